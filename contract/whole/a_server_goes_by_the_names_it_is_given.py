"""`landfall dev --host NAME`: service, hub and certificate go by names that only others resolve, as containers do;
a hub keeps its name, and a name that devices could not use is refused.
"""

import http.client
import json
import os
import pathlib
import socket
import ssl

from device import API, token
from short_run import Stays, run

PORTS = ("--https-port", "0", "--admin-port", "0")
address = os.environ["BIND_ADDRESS"]
data = str(pathlib.Path.cwd() / "data")


class AsAContainer(http.client.HTTPSConnection):
    """A connection to a name that leads to the server, wherever this machine thinks that it leads."""

    def __init__(self, server, name):
        context = ssl.create_default_context(cafile=server.dev["caFile"])
        super().__init__(name, server.dev["httpsPort"], context=context, timeout=20)
        self._place = (server.dev["address"], server.dev["httpsPort"])
        self._tls = context

    def connect(self):
        self.sock = self._tls.wrap_socket(socket.create_connection(self._place, 20), server_hostname=self.host)


def register(server, name, device):
    """A device of a new enrollment registers under a name of the server's; gives its hub."""
    read = server.landfall("env", "--registration-id", device)
    scope = read["PROVISIONING_IDSCOPE"]
    signed = token(f"{scope}/registrations/{device}", read["PROVISIONING_SYMMETRIC_KEY"], "registration")
    connection = AsAContainer(server, name)

    def call(method, path, body=None):
        connection.request(method, f"/{scope}/registrations/{device}/{path}?{API}", body,
                           {"Authorization": signed, "Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())

    status, body = call("PUT", "register", json.dumps({"registrationId": device}))
    for _ in range(50):
        if status == 200:
            break
        assert status == 202, body
        status, body = call("GET", f"operations/{body['operationId']}")
    assert body["status"] == "assigned", body
    return body["registrationState"]["assignedHub"]


def host_of(connection_string):
    return connection_string.split(";")[0].split("=", 1)[1].rsplit(":", 1)[0]


# A name without a dot is refused, and nothing is made.
_, said = run("--data", data, "--bind", address, "--host", "landfall", status=125)
assert "has no dot" in said and "Java" in said, said
assert not pathlib.Path(data).exists()

server = Stays("--data", data, "--bind", address, *PORTS, "--host", "DPS.test", "--host", "hub.test")
with server:
    dev = server.dev
    assert dev["host"] == "dps.test" and dev["hosts"] == ["dps.test", "hub.test"] and dev["address"] == address, dev
    assert host_of(dev["serviceConnectionString"]) == host_of(dev["hubConnectionString"]) == "dps.test"
    for name in ("dps.test", "hub.test"):
        assert register(server, name, f"by-{name}") == "dps.test"
    try:
        AsAContainer(server, "other.test").connect()
        raise AssertionError("the certificate holds a name that was not given")
    except ssl.SSLCertVerificationError:
        pass
    devices = server.landfall("hub", "device", "list")
    assert len(devices) == 2, devices
assert "dps.test leads nowhere" in server.said and "/etc/hosts" in server.said, server.said

# Later the service may have another name; the hub keeps its own, or the server does not start.
_, said = run("--data", data, "--bind", address, *PORTS, "--host", "new.test", status=125)
assert "the hub of this data folder is called dps.test" in said and "--host dps.test" in said, said
with Stays("--data", data, "--bind", address, *PORTS, "--host", "new.test", "--host", "dps.test") as server:
    assert server.dev["host"] == "new.test" and host_of(server.dev["hubConnectionString"]) == "dps.test"
    assert register(server, "new.test", "by-new.test") == "dps.test"
    assert len(server.landfall("hub", "device", "list")) == 3
with Stays("--data", data, "--bind", address, *PORTS) as server:
    assert server.dev["host"] == "new.test" and host_of(server.dev["hubConnectionString"]) == "dps.test"
    kept = [entry["registrationId"] for entry in server.landfall("enrollment", "list")]
    assert {"by-dps.test", "by-hub.test", "by-new.test"} <= set(kept), kept

# On every address, for containers: only with a name, and it says who may come.
_, said = run("--ephemeral", "--bind", "0.0.0.0", *PORTS, status=125)
assert "--host" in said, said
server = Stays("--ephemeral", "--bind", "0.0.0.0", *PORTS, "--host", "dps.test")
with server:
    assert server.dev["address"] == "127.0.0.1", server.dev
    assert register(server, "dps.test", "outside") == "dps.test"
    second = server.landfall("service", "create", "second")
    assert second["serviceHostName"].startswith("127.0.0."), second
assert "other machines may reach" in server.said, server.said
print("the names were announced, certified and kept")
