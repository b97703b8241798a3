"""Raw MQTT on the hub: who is turned away, who loses its session, what the operator reads of it; and that whoever
behaves goes on undisturbed."""

import base64
import json
import os
import pathlib
import subprocess
import time
import types

import mqtt
from device import Client, token
from mqtt import text

environment = os.environ
dev = json.loads((pathlib.Path(environment["LANDFALL_DATA"]) / "dev.json").read_text())
owner = dict(part.split("=", 1) for part in dev["hubConnectionString"].split(";"))
HOST = owner["HostName"].split(":")[0]
client = Client(types.SimpleNamespace(dev=dev), host=HOST)
OWNER = token(HOST, owner["SharedAccessKey"], owner["SharedAccessKeyName"])
KEY = base64.b64encode(b"k" * 32).decode()
OTHER = base64.b64encode(b"o" * 32).decode()


def landfall(*words):
    done = subprocess.run([environment["LANDFALL"], *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def explained(device, *words):
    told = landfall("explain", device)
    for word in words:
        assert word in told, (word, told)


def put(device, **more):
    sas = {"type": "sas", "symmetricKey": {"primaryKey": KEY, "secondaryKey": KEY}}
    body = {"deviceId": device, "authentication": sas, **more}
    answer = client.call("PUT", f"/devices/{device}?api-version=2021-04-12", body, OWNER, {"If-Match": "*"} if more else None)
    assert answer.status == 200, answer.text


def own(device, key=KEY, expiry=3600, host=HOST):
    return token(f"{host}/devices/{device}", key, "", expiry).removesuffix("&skn=")


def connecting(device, password, user_name=None, client_id=None, **how):
    seen = mqtt.Device(HOST, dev["mqttPort"], environment["CA_FILE"])
    return seen.connect(client_id or device, user_name or f"{HOST}/{device}/?api-version=2021-04-12", password=password, **how)


def refused(code, device, password, *words, **how):
    seen = connecting(device, password, **how)
    answer = seen.read()
    assert answer == (0x20, bytes([0, code])), (device, how, answer)
    seen.closed()
    if words:
        explained(device, *words)


def connected(device):
    return connecting(device, own(device)).accepted()


for name in ["good", "late", "wrong", "elsewhere", "bare", "off", "policy", "renamed", "Cased"]:
    put(name)
witness = connected("good")
assert witness.listens("devices/good/messages/devicebound/#") == [1]

# Turned away at CONNECT, each with its reason for the operator alone.
refused(1, "good", own("good"), level=5)
refused(5, "late", own("late", expiry=-7200), "hub.credential", "expired")
refused(5, "wrong", own("wrong", key=OTHER), "hub.credential", "neither of its keys")
refused(5, "elsewhere", own("good"), "hub.credential", "not this device")
refused(5, "bare", None, "hub.credential", "neither a token nor a client certificate")
refused(5, "bare", "no token at all", "hub.credential")
refused(5, "nobody", own("nobody"), "hub.credential", "no such device")
refused(5, "cased", own("Cased"), "hub.credential", "no such device")
put("off", status="disabled")
refused(5, "off", own("off"), "hub.credential", "disabled")
weak = next(p for p in json.loads(landfall("policy", "list", "--hub", "--keys", "--json"))["value"] if p["keyName"] == "registryRead")
refused(5, "policy", token(HOST, weak["primaryKey"], "registryRead"), "hub.credential", "DeviceConnect")
refused(2, "renamed", own("renamed"), "hub.user_name", user_name=f"{HOST}/good/?api-version=2021-04-12")
refused(4, "renamed", own("renamed"), user_name=f"{HOST}/a b/?api-version=2021-04-12", client_id="a b")

# A session ends when its peer breaks the rules.
for name, wrong in [
    ("qos2", (0x34, text("devices/qos2/messages/events/") + b"\x00\x01{}")),
    ("no-utf8", (0x30, text(b"devices/no-utf8/messages/events/\xff") + b"{}")),
    ("twice", (0x10, b"\x00\x04MQTT\x04\x02\x00\x3c\x00\x01d")),
    ("server-packet", (0x20, b"\x00\x00")),
    ("no-packet-id", (0x32, text("devices/no-packet-id/messages/events/") + b"\x00\x00{}")),
    ("no-filter", (0x82, b"\x00\x01")),
    ("wild", (0x30, text("devices/wild/messages/events/#") + b"{}")),
    ("nul", (0x30, text(b"devices/nul/messages/events/\x00") + b"{}")),
]:
    put(name)
    connected(name).send(*wrong).closed()
    explained(name, "mqtt.packet")
put("endless")
endless = connected("endless")
endless.socket.sendall(b"\x30\xff\xff\xff\x7f" + b"x" * 1000)
endless.closed()
explained("endless", "mqtt.packet")
for name, topic in [("of-another", "devices/good/messages/events/"), ("of-none", "telemetry"), ("of-dps", "$dps/registrations/PUT/iotdps-register/?$rid=1")]:
    put(name)
    connected(name).publish(topic, b"{}", 1).closed()
    explained(name, "hub.topic")
put("large")
large = connected("large")
try:
    large.publish("devices/large/messages/events/", b"x" * (256 * 1024 + 1), 1).closed()
except OSError:
    pass  # It was cut off while it was still sending.
explained("large", "hub.message_size")
early = mqtt.Device(HOST, dev["mqttPort"], environment["CA_FILE"])
early.publish("devices/good/messages/events/", b"{}").closed()
# A filter that the hub does not have is refused alone.
put("curious")
curious = connected("curious")
filters = ["#", "devices/good/messages/devicebound/#", "devices/curious/#", "$iothub/twin/res/#", "$iothub/methods/POST/#"]
assert curious.listens(*filters) == [0x80, 0x80, 0x80, 1, 1]
# Who falls silent, half-way or altogether, is let go.
put("half")
half = connected("half")
half.socket.sendall(b"\x30\x20\x00\x1d")

# Who does not read is told no more than a little: what is beyond that is not held for it.
put("deaf")
deaf = connected("deaf")
assert deaf.listens("$iothub/twin/PATCH/properties/desired/#", "$iothub/methods/POST/#") == [1, 1]
for number in range(600):
    desired = {f"p{part}": chr(97 + number % 26) * 4000 for part in range(7)}
    answer = client.call("PATCH", "/twins/deaf?api-version=2021-04-12", {"properties": {"desired": desired}}, OWNER)
    assert answer.status == 200, answer.text
call = {"methodName": "hear", "responseTimeoutInSeconds": 5}
answer = client.call("POST", "/twins/deaf/methods?api-version=2021-04-12", call, OWNER)
assert (answer.status, answer.headers["iothub-errorcode"]) == (404, "DeviceNotOnline"), answer.text
deaf.socket.close()

# None of it touched the witness: its session stands, and nothing was kept of what was refused.
landfall("hub", "c2d", "send", "good", "--body", "still there")
kind, body = witness.read()
assert kind == 0x32 and body.endswith(b"still there"), (kind, body)
shown = client.call("GET", "/devices/good?api-version=2021-04-12", None, OWNER).body
assert shown["connectionState"] == "Connected", shown
witness.publish("devices/good/messages/events/", b"last", 9)
assert witness.read() == (0x40, b"\x00\x09")
deadline = time.monotonic() + 30
while True:
    out = landfall("hub", "monitor", "--after", "0", "--device-id", "good", "--count", "2", "--json")
    events = [json.loads(line) for line in out.splitlines()]
    if len(events) == 2:
        break
    assert time.monotonic() < deadline
assert [event["event"] for event in events] == ["deviceConnected", "telemetry"] and events[1]["body"] == "last", events
witness.send(0xE0).closed()
half.socket.close()
client.close()
