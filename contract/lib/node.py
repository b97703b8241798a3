"""`landfall serve` as one of several servers on one PostgreSQL database, and who calls it: devices of one group by its
key, the owner by the keys that the server gives its user. Nothing here knows what is tested.
"""

import base64
import http.client
import json
import os
import secrets
import socket
import subprocess

from database import Database
from device import Client, derive, token
from serving import Authority, Serving

SERVICE, HUB = "dps.landfall.test", "hub.landfall.test"
# Hubs that are linked besides, so that allocation has a choice.
FURTHER_HUBS = ["hub2.landfall.test", "hub3.landfall.test"]
ANSWERED_WITHIN_SECONDS = 30
SERVICE_API = "api-version=2021-10-01"
GROUP_KEY = base64.b64encode(secrets.token_bytes(64)).decode()
SEALING_KEY = base64.b64encode(secrets.token_bytes(32)).decode()


class Named(Client):
    """A client whose server is at an address of this machine, wherever its name leads."""

    def __init__(self, node, host=SERVICE):
        self.dev = {"host": host, "httpsPort": node.port, "caFile": node.authority.root}
        super().__init__(self)
        self._address = node.address

    def connect(self):
        """A connection whose socket is made already."""
        connection = http.client.HTTPSConnection(self._host, self._port, context=self._tls, timeout=ANSWERED_WITHIN_SECONDS)
        raw = socket.create_connection((self._address, self._port), ANSWERED_WITHIN_SECONDS)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sock = self._tls.wrap_socket(raw, server_hostname=self._host)
        return connection


class Node(Serving):
    """One of the servers: its folder holds a copy of the key that all of them have."""

    def __init__(self, folder, address, authority):
        super().__init__(os.environ["LANDFALL"], folder, address)
        self.authority = authority
        self.pair = authority.folder / "node.pem", authority.folder / "node-key.pem"
        self.data.mkdir(mode=0o700)
        self.secret("sealing.key", SEALING_KEY)
        self.secret("password", Database.PASSWORD)

    def secret(self, name, text):
        """Writes a file of the data folder that its owner alone may read."""
        file = self.data / name
        file.touch(mode=0o600)
        file.write_text(text)

    def on(self, url):
        """Configures it for a database."""
        database = f'[database]\nurl = "{url}"\npassword_file = "password"\n[device]\nretry_after_seconds = 1'
        return self.configure([self.pair], [("factory", SERVICE, HUB)], more=database)

    def alive(self):
        """Whether its process runs."""
        return self.process is not None and self.process.poll() is None

    def kill(self):
        """kill -9."""
        self.process.kill()
        self.process.wait()

    def command(self, *words):
        """Runs a client command as the server's user; gives what it printed."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith("LANDFALL_")}
        done = subprocess.run([self.binary, *words, "--data", str(self.data)], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, env=clean, timeout=60)
        assert done.returncode == 0, f"landfall {' '.join(words)} left with {done.returncode}: {done.stderr}"
        return done.stdout.strip()


def authority(folder):
    """The authority of all nodes, with a certificate for every name that they go by."""
    made = Authority(folder)
    made.issue("node", [f"DNS:{name}" for name in (SERVICE, HUB, *FURTHER_HUBS)])
    return made


def signed(connection_string):
    """The token of a policy, for an hour."""
    parts = dict(part.split("=", 1) for part in connection_string.split(";"))
    return token(parts["HostName"], parts["SharedAccessKey"], parts["SharedAccessKeyName"])


class Fleet:
    """The group that devices come by, and what its owner may ask of any node."""

    def __init__(self, node):
        for number, hub in enumerate(FURTHER_HUBS):
            node.command("service", "create", f"further{number}", "--host", f"further{number}.landfall.test", "--hub-host", hub)
            node.command("linked-hub", "create", hub, "--service", "factory")
        self.scope = json.loads(node.command("service", "show", "factory", "--json"))["idScope"]
        self.owner = signed(node.command("connection-string", "--service", "factory"))
        services = ["factory", *(f"further{number}" for number in range(len(FURTHER_HUBS)))]
        self.hubs = {
            hub: signed(node.command("connection-string", "--hub", "--service", service))
            for hub, service in zip([HUB, *FURTHER_HUBS], services)
        }
        made = self.enroll(Named(node), "fleet")
        assert made.status == 200, made.text

    def enroll(self, client, group, key=GROUP_KEY):
        """An operator makes or replaces a group."""
        keys = {"primaryKey": key, "secondaryKey": key}
        body = {"enrollmentGroupId": group, "allocationPolicy": "hashed", "attestation": {"type": "symmetricKey", "symmetricKey": keys}}
        return client.call("PUT", f"/enrollmentGroups/{group}?{SERVICE_API}", body, self.owner)

    def forget(self, client, device):
        """An operator removes a device's registration."""
        return client.call("DELETE", f"/registrations/{device}?{SERVICE_API}", None, self.owner)

    def credential(self, device):
        """What a device proves itself by."""
        return token(f"{self.scope}/registrations/{device}", derive(GROUP_KEY, device), "registration")

    def register(self, client, device):
        """A device registers."""
        return client.register(self.scope, device, self.credential(device))

    def poll(self, client, device, operation):
        """A device asks for its operation."""
        return client.operation(self.scope, device, operation, self.credential(device))

    def devices(self, node):
        """The hubs that each device is on, as the hubs list them."""
        found = {}
        for hub, authorization in self.hubs.items():
            client, mark = Named(node, host=hub), None
            while True:
                more = {"x-ms-continuation": mark} if mark else {}
                answer = client.call("POST", "/devices/query?api-version=2021-04-12", {"query": "SELECT * FROM devices"},
                                     authorization, {"x-ms-max-item-count": "1000", **more})
                assert answer.status == 200, answer.text
                for item in answer.body:
                    found.setdefault(item["deviceId"], []).append(hub)
                mark = answer.headers.get("x-ms-continuation")
                if not mark:
                    break
        return found
