"""A device and a module that speak HTTPS: telemetry alone and in batches, messages from the cloud taken under a
lock, an edge device that keeps its modules. Each with its own credential, and no further."""

import base64
import json
import os
import pathlib
import subprocess
import types
import urllib.parse

from device import Client, token

dev = json.loads((pathlib.Path(os.environ["LANDFALL_DATA"]) / "dev.json").read_text())
owner = dict(part.split("=", 1) for part in dev["hubConnectionString"].split(";"))
host = owner["HostName"].split(":")[0]
server = types.SimpleNamespace(dev=dev)
client = Client(server, host=host)
OWNER = token(host, owner["SharedAccessKey"], owner["SharedAccessKeyName"])
DEVICE_API, EDGE_API = "2020-03-13", "2017-11-08-preview"


def key(seed):
    return base64.b64encode(bytes([seed]) * 32).decode()


def own(resource, device_key, expiry=3600):
    """A token that names no policy."""
    return token(resource, device_key, "", expiry).removesuffix("&skn=")


def ask(method, path, authorization, body=None, status=204, version=DEVICE_API, headers=None, by=client, error=None):
    joint = "&" if "?" in path else "?"
    answer = by.call(method, f"{path}{joint}api-version={version}", body, authorization, headers)
    assert answer.status == status, f"{method} {path}: {answer.status} {answer.text}"
    assert error is None or answer.headers["iothub-errorcode"] == error, answer.headers
    return answer


def make(device, seed, **more):
    sas = {"type": "sas", "symmetricKey": {"primaryKey": key(seed), "secondaryKey": key(seed + 1)}}
    ask("PUT", f"/devices/{device}", OWNER, {"deviceId": device, "authentication": sas, **more}, status=200)


def landfall(*words):
    done = subprocess.run([os.environ["LANDFALL"], *words], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def told(device, count):
    out = landfall("hub", "monitor", "--after", "0", "--device-id", device, "--count", str(count), "--json")
    events = [json.loads(line) for line in out.splitlines()]
    return [event for event in events if event["event"] == "telemetry"]


make("Plain", 1)
make("other", 3)
OWN = own(f"{host}/devices/Plain", key(1))
EVENTS, BOUND = "/devices/Plain/messages/events", "/devices/Plain/messages/deviceBound"

# Telemetry: what a message says of itself stands in headers.
ask("POST", EVENTS, OWN, {"t": 21.5}, headers={
    "iothub-to": EVENTS, "iothub-messageid": "m-1", "iothub-correlationid": "c", "iothub-contenttype": "application/json",
    "iothub-contentencoding": "utf-8", "iothub-app-level": "high"})
batch = [{"body": base64.b64encode(b"one").decode(), "properties": {"N": "1"}},
         {"body": "two", "base64Encoded": False, "properties": {"iothub-app-N": "2", "iothub-messageid": "m-2"}}]
ask("POST", EVENTS, own(f"{host}/devices/Plain", key(2)), batch, headers={"Content-Type": "application/vnd.microsoft.iothub.json"})
first, one, two = told("Plain", 3)
assert (first["body"], first["properties"]) == ({"t": 21.5}, {"level": "high"}), first
assert first["systemProperties"] == {
    "message-id": "m-1", "correlation-id": "c", "content-type": "application/json", "content-encoding": "utf-8"}, first
assert (one["body"], one["properties"]) == ("one", {"N": "1"}), one
assert (two["body"], two["properties"], two["systemProperties"]) == ("two", {"N": "2"}, {"message-id": "m-2"}), two
shown = ask("GET", "/devices/Plain", OWNER, status=200).body
assert shown["connectionState"] == "Disconnected" and shown["lastActivityTime"] > "2026", shown
# A batch of which one is wrong is not kept at all; what is too large is told apart from what is malformed.
wrong = [batch[0], {"body": "?"}]
ask("POST", EVENTS, OWN, wrong, status=400, headers={"Content-Type": "application/vnd.microsoft.iothub.json"}, error="ArgumentInvalid")
ask("POST", EVENTS, OWN, "x" * (256 * 1024 - 2))
ask("POST", EVENTS, OWN, "x" * (256 * 1024 - 1), status=413, error="MessageTooLarge")
assert len(told("Plain", 4)) == 4

# Messages from the cloud: taken under a lock, and done when the device says so.
ask("GET", BOUND, OWN)
ask("POST", BOUND, OWNER, {"body": "first", "messageId": "m 1", "properties": {"level": "3", "a b": "%/ü"}, "ack": "full"}, status=200)
landfall("hub", "c2d", "send", "Plain", "--body", "second")
taken = ask("GET", BOUND.replace("deviceBound", "devicebound"), OWN, status=200)
assert taken.text == "first", taken.text
said = {name: taken.headers[name] for name in ("iothub-messageid", "iothub-app-level", "iothub-deliverycount", "iothub-ack", "iothub-to")}
assert said == {"iothub-messageid": "m 1", "iothub-app-level": "3", "iothub-deliverycount": "0", "iothub-ack": "full", "iothub-to": BOUND}, said
assert taken.headers["iothub-app-a%20b"].encode("latin-1").decode() == "%/ü"
lock = taken.headers["ETag"].strip('"')
other = ask("GET", BOUND, OWN, status=200)
assert other.text == "second", other.text
ask("GET", BOUND, OWN)
ask("POST", f"{BOUND}/{lock}/abandon", OWN)
again = ask("GET", BOUND, OWN, status=200)
assert (again.text, again.headers["iothub-deliverycount"]) == ("first", "1"), again.text
ask("DELETE", f"{BOUND}/{lock}", OWN, status=412, error="DeviceMessageLockLost")
ask("DELETE", f"{BOUND}/{again.headers['ETag']}", OWN)
ask("DELETE", f"{BOUND}/{other.headers['ETag'].strip(chr(34))}?reject", OWN)
ask("DELETE", f"{BOUND}/{lock}", OWN, status=412, error="DeviceMessageLockLost")
ask("DELETE", f"{BOUND}/b1c5c8d0-4a54-4d1e-9d21-0d29a1b2c3d4", OWN, status=400, error="ArgumentInvalid")
assert ask("GET", "/devices/Plain", OWNER, status=200).body["cloudToDeviceMessageCount"] == 0

# Nobody is let in by another's credential, and is told no more than a stranger; the operator is told why.
for path, shows in [
    (EVENTS, None),
    (EVENTS, own(f"{host}/devices/Plain", key(9))),
    (EVENTS, own(f"{host}/devices/other", key(3))),
    (EVENTS, own(f"{host}/devices/other", key(1))),
    (EVENTS, own(f"{host}/devices/Plain", key(1), expiry=-7200)),
    ("/devices/nobody/messages/events", own(f"{host}/devices/nobody", key(1))),
    (EVENTS, token(host, owner["SharedAccessKey"], "registryRead")),
]:
    refused = ask("POST", path, shows, {}, status=401, error="IotHubUnauthorizedAccess")
    assert "did not prove" in refused.text, refused.text
    assert "hub.credential" in landfall("explain", refused.headers["x-ms-request-id"])
ask("PUT", "/devices/other", OWNER, {**ask("GET", "/devices/other", OWNER, status=200).body, "status": "disabled"}, status=200, headers={"If-Match": "*"})
refused = ask("POST", "/devices/other/messages/events", own(f"{host}/devices/other", key(3)), {}, status=401)
assert "disabled" in landfall("explain", refused.headers["x-ms-request-id"])
ask("GET", EVENTS, OWN, status=405)
ask("POST", EVENTS, OWN, {}, version="soon", status=400, error="InvalidProtocolVersion")
# A policy that may stand in for any device.
ask("POST", EVENTS, OWNER, {"by": "policy"})

# A device that shows its certificate, and nothing else.
subprocess.run(
    ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
     "-days", "30", "-subj", "/CN=shows", "-keyout", "shows.key", "-out", "shows.pem"], check=True, capture_output=True)
thumbprint = subprocess.run(
    ["openssl", "x509", "-in", "shows.pem", "-noout", "-fingerprint", "-sha256"], check=True, capture_output=True, text=True
).stdout.strip().split("=")[1].replace(":", "")
ask("PUT", "/devices/shows", OWNER, {"deviceId": "shows", "capabilities": {"iotEdge": True}, "authentication": {
    "type": "selfSigned", "x509Thumbprint": {"primaryThumbprint": thumbprint, "secondaryThumbprint": thumbprint}}}, status=200)
certified = Client(server, host=host, certificate=("shows.pem", "shows.key"))
ask("POST", "/devices/shows/messages/events", None, {"by": "certificate"}, by=certified)
ask("POST", "/devices/shows/messages/events", None, {}, status=401)
ask("POST", EVENTS, None, {}, status=401, by=certified)
listed = ask("GET", "/devices/shows/modules", None, status=200, version=EDGE_API, by=certified).body
assert {module["moduleId"] for module in listed} == {"$edgeAgent", "$edgeHub"}, listed

# An edge device keeps its modules; its identity service writes the whole resource of a token in lower case.
make("Edge1", 5, capabilities={"iotEdge": True})
lowered = urllib.parse.quote(f"{host}/devices/edge1", safe="").lower()
EDGE = own(f"{host}/devices/edge1", key(5), expiry=30)
assert f"sr={lowered}".lower() in EDGE.lower()
MODULES = "/devices/Edge1/modules"
listed = ask("GET", MODULES, EDGE, status=200, version=EDGE_API).body
assert sorted(module["moduleId"] for module in listed) == ["$edgeAgent", "$edgeHub"], listed
assert {module["authentication"]["type"] for module in listed} <= {"none", "sas", "x509"}, listed
agent = ask("GET", f"{MODULES}/%24edgeAgent", EDGE, status=200, version=EDGE_API).body
keys = {"type": "sas", "symmetricKey": {"primaryKey": key(6), "secondaryKey": key(7)}}
named = {"moduleId": "$edgeAgent", "deviceId": "Edge1", "managedBy": "IotEdge", "authentication": keys}
put = ask("PUT", f"{MODULES}/%24edgeAgent", EDGE, named, status=200, version=EDGE_API, headers={"If-Match": "*"}).body
assert put["generationId"] == agent["generationId"] and put["authentication"]["type"] == "sas", put
camera = {"moduleId": "camera", "deviceId": "Edge1", "managedBy": "IotEdge", "authentication": keys}
ask("PUT", f"{MODULES}/camera", EDGE, camera, status=200, version=EDGE_API)
ask("PUT", f"{MODULES}/camera", EDGE, camera, status=409, version=EDGE_API, error="ModuleAlreadyExistsOnDevice")
CAMERA = own(f"{host}/devices/Edge1/modules/camera", key(6))
ask("POST", f"{MODULES}/camera/messages/events", CAMERA, {"seen": 1})
ask("POST", f"{MODULES}/camera/messages/events", own(f"{host}/devices/Edge1/modules/camera", key(8)), {}, status=401)
(seen,) = told("Edge1", 1)
assert (seen["moduleId"], seen["body"]) == ("camera", {"seen": 1}), seen
ask("DELETE", f"{MODULES}/camera", EDGE, version=EDGE_API)
ask("GET", f"{MODULES}/camera", EDGE, status=404, version=EDGE_API, error="ModuleNotFound")
# Its own only, and nothing else: neither identities nor twins, nor by a module's key.
for method, path in [
    ("GET", "/devices/Plain/modules"), ("PUT", "/devices/Plain/modules/x"), ("DELETE", "/devices/Plain/modules/x"),
    ("GET", "/devices/Edge1"), ("DELETE", "/devices/Edge1"), ("GET", "/devices"), ("GET", "/twins/Edge1"), ("DELETE", "/devices/Edge1/commands"),
]:
    ask(method, path, EDGE, {} if method == "PUT" else None, status=401, version=EDGE_API, error="IotHubUnauthorizedAccess")
ask("GET", MODULES, own(f"{host}/devices/Edge1/modules/%24edgeAgent", key(6)), status=401, version=EDGE_API)
ask("POST", MODULES, EDGE, {}, status=405, version=EDGE_API)
# No operator changed these modules, so that none answers for them; a policy for devices may do what they do.
audited = json.loads(landfall("audit", "--json", "--id", "Edge1/camera"))["value"]
assert not audited, audited
policies = json.loads(landfall("policy", "list", "--hub", "--keys", "--json"))
(policy,) = [policy for policy in policies["value"] if policy["keyName"] == "device"]
DEVICES = token(host, policy["primaryKey"], "device")
ask("PUT", f"{MODULES}/camera", DEVICES, camera, status=200, version=EDGE_API)
ask("POST", f"{MODULES}/camera/messages/events", DEVICES, {"by": "policy"})
ask("DELETE", "/devices/Edge1", DEVICES, status=401)

client.close()
certified.close()
