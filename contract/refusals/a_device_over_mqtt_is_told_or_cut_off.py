"""Raw MQTT: who is turned away, who is told in an answer, who loses the connection, and what the operator reads of it."""

import base64
import json
import os
import socket
import ssl
import struct
import subprocess

environment = os.environ
HOST, SCOPE = environment["DPS_HOST"], environment["DPS_SCOPE_ID"]
PORT = int(json.load(open(os.path.join(environment["LANDFALL_DATA"], "dev.json")))["mqttPort"])
REGISTER = "$dps/registrations/PUT/iotdps-register/?$rid="
POLL = "$dps/registrations/GET/iotdps-get-operationstatus/?$rid="
ANSWERS = "$dps/registrations/res/#"


def text(value):
    value = value.encode() if isinstance(value, str) else value
    return struct.pack(">H", len(value)) + value


def packet(kind, body):
    length, left = b"", len(body)
    while True:
        left, byte = left >> 7, left & 0x7F
        length += bytes([byte | (0x80 if left else 0)])
        if not left:
            return bytes([kind]) + length + body


def landfall(*words):
    done = subprocess.run([environment["LANDFALL"], *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


class Device:
    """A connection that says what it likes."""

    def __init__(self):
        context = ssl.create_default_context(cafile=environment["CA_FILE"])
        self.socket = context.wrap_socket(socket.create_connection((HOST, PORT), timeout=30), server_hostname=HOST)

    def send(self, kind, body=b""):
        self.socket.sendall(packet(kind, body))
        return self

    def connect(self, device, user_name=None, password=None, level=4, will=None):
        if user_name is None:
            user_name = f"{SCOPE}/registrations/{device}/api-version=2019-03-31"
        flags = 0x02 | 0x80 | (0x40 if password is not None else 0) | (0x04 if will else 0)
        body = text("MQTT") + bytes([level, flags]) + struct.pack(">H", 60) + text(device)
        body += text(will) + text("gone") if will else b""
        body += text(user_name) + (text(password) if password is not None else b"")
        return self.send(0x10, body)

    def read(self):
        """The next packet as its first byte and its body; None when the server closed."""
        head = self.socket.recv(1)
        if not head:
            return None
        length, shift = 0, 0
        while True:
            byte = self.socket.recv(1)[0]
            length, shift = length | (byte & 0x7F) << shift, shift + 7
            if byte < 0x80:
                break
        body = b""
        while len(body) < length:
            body += self.socket.recv(length - len(body))
        return head[0], body

    def accepted(self):
        seen = self.read()
        assert seen == (0x20, b"\x00\x00"), seen
        return self

    def listens(self, *filters):
        self.send(0x82, b"\x00\x01" + b"".join(text(name) + b"\x01" for name in filters))
        kind, body = self.read()
        assert kind == 0x90 and body[:2] == b"\x00\x01", body
        return list(body[2:])

    def ask(self, topic, payload=b""):
        """Asks at QoS 1; the acknowledgement comes first. Gives status, query and body of the answer."""
        self.send(0x32, text(topic) + b"\x00\x07" + payload)
        seen = self.read()
        assert seen == (0x40, b"\x00\x07"), f"the acknowledgement comes before the answer: {seen}"
        kind, body = self.read()
        assert kind == 0x32, hex(kind)
        length = struct.unpack(">H", body[:2])[0]
        path, _, query = body[2:2 + length].decode().partition("?")
        assert path.startswith("$dps/registrations/res/") and path.endswith("/"), path
        packet_id, answer = body[2 + length:4 + length], body[4 + length:]
        assert answer.isascii()
        self.send(0x40, packet_id)
        return int(path.split("/")[3]), query, json.loads(answer)

    def closed(self):
        seen = self.read()
        assert seen is None, seen


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
