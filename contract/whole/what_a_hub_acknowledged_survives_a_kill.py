"""kill -9 while devices send: every message that was acknowledged is there afterwards, once, in the order of its device; a
reader who comes back goes on where it stopped."""

import base64
import json
import os
import pathlib
import random
import secrets
import struct
import subprocess
import threading
import time

import mqtt
from device import Client, token
from server import Server

KILLS = 6
DEVICES = 4
LONGEST_LOAD_SECONDS = 0.8
WITHIN_SECONDS = 60

chance = random.Random(seed := int(os.environ.get("KILL_SEED", random.randrange(1 << 32))))
print(f"KILL_SEED={seed}")
server = Server(
    os.environ["LANDFALL"], pathlib.Path.cwd() / "data", os.environ["BIND_ADDRESS"],
    official_ports=bool(os.environ["OFFICIAL_PORTS"]), log="warn",
).start()
host = server.connection_string("hubConnectionString")["HostName"].split(":")[0]
owner = server.connection_string("hubConnectionString")
key = base64.b64encode(secrets.token_bytes(32)).decode()
names = [f"dev{number}" for number in range(DEVICES)]
for name in names:
    made = Client(server).call(
        "PUT", f"/devices/{name}?api-version=2021-04-12",
        {"deviceId": name, "authentication": {"type": "sas", "symmetricKey": {"primaryKey": key, "secondaryKey": key}}},
        token(owner["HostName"], owner["SharedAccessKey"], owner["SharedAccessKeyName"]))
    assert made.status == 200, made.text


def password_of(name):
    return token(f"{host}/devices/{name}", key, "").removesuffix("&skn=")


def connect(name):
    password = password_of(name)
    device = mqtt.Device(host, server.dev["mqttPort"], server.dev["caFile"])
    device.connect(name, f"{host}/{name}/?api-version=2021-04-12", password=password, clean=False)
    kind, body = device.read()
    assert (kind, body[1]) == (0x20, 0), body
    return device


def load(name, kill, acknowledged, wrong):
    """Sends up to eight messages ahead of what is acknowledged, until the server is gone."""
    try:
        device = connect(name)
        waiting, number = {}, 0
        while True:
            while len(waiting) < 8:
                number += 1
                text = f"{kill}-{number}"
                waiting[number] = text
                device.publish(f"devices/{name}/messages/events/kill={kill}", text.encode(), packet_id=number)
            seen = device.read()
            if seen is None:
                return
            kind, body = seen
            if kind != 0x40:
                wrong.append(f"{name}: {kind:#x}")
                return
            acknowledged[name].append(waiting.pop(struct.unpack(">H", body)[0]))
    except (OSError, IndexError, AssertionError):
        return


def follow(after, count):
    """The next `count` events behind a number."""
    done = subprocess.run(
        [os.environ["LANDFALL"], "hub", "monitor", "--data", str(server.data), "--after", str(after), "--count", str(count), "--json"],
        capture_output=True, text=True, timeout=WITHIN_SECONDS)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


acknowledged, wrong = {name: [] for name in names}, []
for kill in range(KILLS):
    threads = [threading.Thread(target=load, args=(name, kill, acknowledged, wrong)) for name in names]
    for thread in threads:
        thread.start()
    time.sleep(chance.uniform(0.1, LONGEST_LOAD_SECONDS))
    server.kill()
    for thread in threads:
        thread.join()
    server.start()
assert not wrong, wrong
promised = sum(map(len, acknowledged.values()))
assert promised > 100, f"the load acknowledged {promised} messages only"

# A session that is kept outlives the server, and so do the messages to its device until it has them.
listener = connect("dev0")
assert listener.listens("devices/dev0/messages/devicebound/#", "$iothub/methods/POST/#") == [1, 1]
sent = [f"command {number}" for number in range(12)]
for text in sent[:6]:
    server.command("hub", "c2d", "send", "dev0", "--body", text)
seen, unacknowledged = [], []
for _ in range(6):
    kind, body = listener.read()
    assert kind == 0x32, hex(kind)
    length = struct.unpack(">H", body[:2])[0]
    assert body[2:].startswith(b"devices/dev0/messages/devicebound/%24.to=%2Fdevices%2Fdev0%2Fmessages%2Fdevicebound"), body
    unacknowledged.append(body[2 + length:4 + length])
    seen.append(body[4 + length:].decode())
assert seen == sent[:6], seen
for packet_id in unacknowledged[:3]:
    listener.send(0x40, packet_id)
deadline = time.monotonic() + WITHIN_SECONDS
while server.json("hub", "device", "show", "dev0")["cloudToDeviceMessageCount"] != 3:
    assert time.monotonic() < deadline
    time.sleep(0.1)
for text in sent[6:]:
    server.command("hub", "c2d", "send", "dev0", "--body", text)
server.kill()
server.start()
listener = mqtt.Device(host, server.dev["mqttPort"], server.dev["caFile"])
listener.connect("dev0", f"{host}/dev0/?api-version=2021-04-12", password=password_of("dev0"), clean=False)
assert listener.read() == (0x20, b"\x01\x00"), "the session is still there, and its subscriptions"
again = []
while len(again) < 9:
    kind, body = listener.read()
    length = struct.unpack(">H", body[:2])[0]
    again.append(body[4 + length:].decode())
    listener.send(0x40, body[2 + length:4 + length])
assert again == sent[3:], again
listener.send(0xE0)

# The last event of all marks the end of what is to be read.
connect("dev0").publish("devices/dev0/messages/events/", b"the end", packet_id=1).read()
kept = {name: [] for name in names}
read = subprocess.Popen(
    [os.environ["LANDFALL"], "hub", "monitor", "--data", str(server.data), "--after", "0", "--json"],
    stdout=subprocess.PIPE, text=True)
sequence = 0
for line in read.stdout:
    event = json.loads(line)
    assert event["sequenceNumber"] == sequence + 1, f"{event['sequenceNumber']} follows {sequence}"
    sequence = event["sequenceNumber"]
    if event["event"] == "telemetry":
        if event["body"] == "the end":
            break
        kept[event["deviceId"]].append(event["body"])
read.terminate()
read.wait()
for name in names:
    assert len(set(kept[name])) == len(kept[name]), f"{name}: a message is there twice"
    lost = set(acknowledged[name]) - set(kept[name])
    assert not lost, f"{name}: acknowledged and lost: {sorted(lost)[:5]}"
    order = [tuple(map(int, text.split("-"))) for text in kept[name]]
    assert order == sorted(order), f"{name}: out of order"
# Who may not follow the hub does not.
client, path = Client(server), f"/landfall/hubs/{host}/events"
reads = server.json("policy", "show", "registryRead", "--hub", "--keys")
for word, authorization, told in [
    ("no token", None, "Unauthorized"),
    ("a device's token", password_of("dev0"), "Unauthorized"),
    ("a policy that may only read identities", token(owner["HostName"], reads["primaryKey"], "registryRead"), "ServiceConnect"),
]:
    answer = client.call("GET", path, None, authorization)
    assert answer.status == 401 and told in answer.text, f"{word}: {answer.status} {answer.text}"
owners = token(owner["HostName"], owner["SharedAccessKey"], owner["SharedAccessKeyName"])
for asked in ("after=-1", "after=x", "deviceId=a%20b"):
    answer = client.call("GET", f"{path}?{asked}", None, owners)
    assert answer.status == 400, f"{asked}: {answer.status} {answer.text}"

last = follow(sequence - 2, 2)
assert [event["sequenceNumber"] for event in last] == [sequence - 1, sequence], last
server.stop()
print(f"{KILLS} kills, {promised} messages acknowledged, {sum(map(len, kept.values()))} kept, none lost, none twice, none out of order")
