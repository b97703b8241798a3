"""Raw MQTT: who is turned away, who is told in an answer, who loses the connection, and what the operator reads of it."""

import base64
import json
import os
import subprocess

import mqtt
from mqtt import text

environment = os.environ
HOST, SCOPE = environment["DPS_HOST"], environment["DPS_SCOPE_ID"]
PORT = int(json.load(open(os.path.join(environment["LANDFALL_DATA"], "dev.json")))["mqttPort"])
REGISTER = "$dps/registrations/PUT/iotdps-register/?$rid="
POLL = "$dps/registrations/GET/iotdps-get-operationstatus/?$rid="
ANSWERS = "$dps/registrations/res/#"


class Device(mqtt.Device):
    """One that speaks to the provisioning service."""

    def __init__(self):
        super().__init__(HOST, PORT, environment["CA_FILE"])

    def connect(self, device, user_name=None, **how):
        if user_name is None:
            user_name = f"{SCOPE}/registrations/{device}/api-version=2019-03-31"
        return super().connect(device, user_name, **how)


def landfall(*words):
    done = subprocess.run([environment["LANDFALL"], *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def refused(code, device, **how):
    seen = Device().connect(device, **how)
    answer = seen.read()
    assert answer == (0x20, bytes([0, code])), (how, answer)
    seen.closed()


def explained(device, word):
    told = landfall("explain", device)
    assert word in told, told


landfall("enrollment", "create", "--enrollment-id", "mqtt-1", "--attestation-type", "symmetricKey")

# Turned away at CONNECT.
refused(1, "mqtt-1", level=5)
refused(1, "mqtt-1", level=3)
refused(4, "mqtt-1", user_name="mqtt-1")
refused(4, "mqtt-1", user_name=f"{SCOPE}/registrations/mqtt-1/ClientVersion=1")
explained("mqtt-1", "mqtt.user_name")
refused(5, "mqtt-2", user_name=f"{SCOPE}/registrations/mqtt-1/api-version=2019-03-31")
explained("mqtt-1", "mqtt.client_id")
refused(5, "mqtt-1", will="devices/mqtt-1/messages/events/")
explained("mqtt-1", "mqtt.will")

# Told in the answer to its request, with the reason for the operator.
wrong = base64.b64encode(b"x" * 32).decode().replace("=", "%3D")
token = f"SharedAccessSignature sr={SCOPE}%2Fregistrations%2Fmqtt-1&sig={wrong}&se=4000000000"
device = Device().connect("mqtt-1", password=token).accepted()
assert device.listens(ANSWERS, "devices/mqtt-1/#", "#") == [1, 0x80, 0x80]
status, query, body = device.ask(REGISTER + "a%20b")
assert (status, query) == (401, "$rid=a%20b"), (status, query)
assert body["errorCode"] // 1000 == 401 and body["trackingId"] and body["message"], body
explained("mqtt-1", "sas.signature")
assert landfall("explain", body["trackingId"]).count("mqtt"), "the trace says what brought the request"
status, query, body = device.ask(POLL + "2&operationId=no/such")
assert (status, query) == (400, "$rid=2"), (status, query, body)
status, _, body = device.ask(REGISTER + "3", b"{")
assert status == 400, body
status, _, body = device.ask(REGISTER + "4", json.dumps({"registrationId": "mqtt-2"}).encode())
assert status == 400, body
status, _, body = device.ask(REGISTER + "5", b" " * (96 * 1024 + 1))
assert status == 413, body
device.send(0xC0)
assert device.read() == (0xD0, b"")

# Cut off.
for what, kind, sent in [
    ("a topic of the hub", 0x30, text("devices/mqtt-1/messages/events/") + b"{}"),
    ("an answer of the service", 0x30, text("$dps/registrations/res/200/?$rid=1") + b"{}"),
    ("no request id", 0x30, text("$dps/registrations/PUT/iotdps-register/") + b"{}"),
]:
    Device().connect("mqtt-1", password=token).accepted().send(kind, sent).closed()
    explained("mqtt-1", "mqtt.topic")
for what, kind, sent in [
    ("QoS 2", 0x34, text(REGISTER + "1") + b"\x00\x01{}"),
    ("no UTF-8", 0x30, text(b"$dps/\xff") + b"{}"),
    ("a second CONNECT", 0x10, b"\x00\x04MQTT\x04\x02\x00\x3c\x00\x01d"),
    ("a packet that is too large", 0x30, text(REGISTER + "1") + b" " * (128 * 1024)),
]:
    seen = Device().connect("mqtt-1", password=token).accepted()
    try:
        seen.send(kind, sent).closed()
    except OSError:
        pass  # It was cut off while it was still sending.
    explained("mqtt-1", "mqtt.packet")
early = Device()
early.send(0x30, text(REGISTER + "1") + b"{}").closed()
unsubscribed = Device().connect("mqtt-1", password=token).accepted()
unsubscribed.send(0x32, text(REGISTER + "1") + b"\x00\x09").send(0xC0)
assert unsubscribed.read() == (0x40, b"\x00\x09")
assert unsubscribed.read() == (0xD0, b""), "nothing is sent to a device that does not listen"
unsubscribed.send(0xE0).closed()

nobody = Device().connect("nobody", user_name="0ne00000000/registrations/nobody/api-version=2019-03-31", password=token)
assert nobody.accepted().listens(ANSWERS) == [1]
status, _, body = nobody.ask(REGISTER + "1")
assert status == 401, body
explained(body["trackingId"], "service.scope")
