"""MQTT 3.1.1 in the standard library: a connection that says what it likes, well or badly."""

import json
import socket
import ssl
import struct


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


class Device:
    """A connection that says what it likes."""

    def __init__(self, host, port, ca_file, address=None):
        context = ssl.create_default_context(cafile=ca_file)
        raw = socket.create_connection((address or host, port), timeout=30)
        # What is small goes at once, as with every client.
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = context.wrap_socket(raw, server_hostname=host)

    def send(self, kind, body=b""):
        self.socket.sendall(packet(kind, body))
        return self

    def connect(self, client_id, user_name, password=None, level=4, will=None, clean=True):
        flags = (0x02 if clean else 0) | 0x80 | (0x40 if password is not None else 0) | (0x04 if will else 0)
        body = text("MQTT") + bytes([level, flags]) + struct.pack(">H", 60) + text(client_id)
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

    def publish(self, topic, payload=b"", packet_id=None):
        """Sends a message, at QoS 1 when it has a packet id; waits for nothing."""
        if packet_id is None:
            return self.send(0x30, text(topic) + payload)
        return self.send(0x32, text(topic) + struct.pack(">H", packet_id) + payload)

    def closed(self):
        seen = self.read()
        assert seen is None, seen

    def received(self):
        """The next message that is sent to it, acknowledged when that is asked for: topic and payload."""
        kind, body = self.read()
        assert kind in (0x30, 0x32), (hex(kind), body)
        length = struct.unpack(">H", body[:2])[0]
        topic, rest = body[2:2 + length].decode(), body[2 + length:]
        if kind == 0x32:
            self.send(0x40, rest[:2])
            rest = rest[2:]
        return topic, rest
