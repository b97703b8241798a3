"""`landfall dev --seed TEXT`: two machines have the same id scope, keys, connection strings, devices and CA key; what
must never come twice does not; a folder keeps to the seed that made it.
"""

import os
import pathlib
import ssl
import subprocess

from device import Client, token
from short_run import Stays, environment, run

PORTS = ("--https-port", "0", "--admin-port", "0")
TEXT = "the text of this test, which is no secret"
address = os.environ["BIND_ADDRESS"]
work = pathlib.Path.cwd()
VARYING = {"LANDFALL_DATA", "LANDFALL_CA_FILE", "NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"}


def text_of(server, name):
    return (server.data / name).read_text()


def seen(server):
    """What two machines must agree on."""
    drawn = server.landfall("env"), server.landfall("env"), server.landfall("env", "--registration-id", "mine")
    port = str(server.dev["httpsPort"])
    return {
        **{name: server.dev[name].replace(port, "PORT") for name in ("idScope", "serviceConnectionString", "hubConnectionString")},
        "token": server.dev["controlPlane"]["token"],
        "ca key": text_of(server, "ca-key.pem"),
        "env": [{name: value.replace(port, "PORT") for name, value in one.items() if name not in VARYING} for one in drawn],
    }


def operation(server):
    """The operation id of a device's registration: one that must never come twice."""
    read = server.landfall("env", "--registration-id", "device")
    scope = read["PROVISIONING_IDSCOPE"]
    signed = token(f"{scope}/registrations/device", read["PROVISIONING_SYMMETRIC_KEY"], "registration")
    answer = Client(server).register(scope, "device", signed)
    assert answer.status == 202, answer.text
    return answer.body["operationId"]


def started(name, text=TEXT):
    return Stays("--data", str(work / name), "--bind", address, *PORTS, "--seed", text)


with started("one") as server:
    one, ca, first_operation = seen(server), server.dev["caFile"], operation(server)
    etags = [entry["etag"] for entry in server.landfall("enrollment", "list")]
server_said = "whoever knows the text knows every key"
with started("two") as two:
    other, second_operation = seen(two), operation(two)
    etags += [entry["etag"] for entry in two.landfall("enrollment", "list")]
    # A client that was given the CA of one trusts the other.
    two.dev["caFile"] = ca
    assert Client(two).call("GET", "/").status in (404, 400), "no TLS with the other machine's CA"
assert server_said in two.said, two.said
for what, value in one.items():
    assert other[what] == value, f"{what} differs:\n{value}\n{other[what]}"
ids = [variables["PROVISIONING_REGISTRATION_ID"] for variables in one["env"]]
assert len(set(ids)) == 3, ids
assert first_operation != second_operation and len(set(etags)) == len(etags) == 10, "what must never come twice came twice"
assert (work / "one" / "sealing.key").read_text() != (work / "two" / "sealing.key").read_text()

with started("three", "another text") as three:
    another = seen(three)
for what, value in one.items():
    assert another[what] != value, f"{what} is the same for another seed"

# A folder keeps to what made it.
with Stays("--data", str(work / "one"), "--bind", address, *PORTS) as server:
    assert server.dev["idScope"] == one["idScope"]
    assert server.landfall("env")["PROVISIONING_REGISTRATION_ID"] not in ids
assert server_said in server.said
_, said = run("--data", str(work / "one"), "--bind", address, *PORTS, "--seed", "another text", status=125)
assert "made from another seed" in said and "--ephemeral" in said, said
with Stays("--data", str(work / "plain"), "--bind", address, *PORTS) as server:
    assert server.dev["idScope"] != one["idScope"]
_, said = run("--data", str(work / "plain"), "--bind", address, *PORTS, "--seed", TEXT, status=125)
assert "made without a seed" in said, said
certificate = {name: str(work / "one" / f"{name}.pem") for name in ("server", "server-key")}
(work / "serve.toml").write_text(
    f'[https]\nlisten = ["{address}:0"]\n[[https.certificates]]\nchain = "{certificate["server"]}"\nkey = "{certificate["server-key"]}"\n')
refused = subprocess.run(
    [os.environ["LANDFALL"], "serve", "--config", str(work / "serve.toml"), "--data", str(work / "one")], env=environment(), capture_output=True, text=True, timeout=60)
assert refused.returncode == 1 and "dev --seed" in refused.stderr, refused

for file in (work / "one").iterdir():
    assert TEXT.encode() not in file.read_bytes(), f"{file.name} holds the text of the seed"
assert (work / "one" / "seed.key").stat().st_mode & 0o777 == 0o600
print("the same seed gave the same keys in two folders, and nothing else came twice")
