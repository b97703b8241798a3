"""Two `landfall serve` on one PostgreSQL database, a device connected to one, every service call made of the other:
twins, messages, methods, changes of its identity and its next connection reach it there, at once. A server that is
killed, or was not heard of for a while, leaves no caller waiting and no device behind.
"""

import base64
import contextlib
import json
import os
import pathlib
import queue
import signal
import statistics
import threading
import time

import mqtt
from database import Database, url_of, versions
from device import token
from node import HUB, Fleet, Named, Node, authority

HUB_API = "api-version=2021-04-12"
KEY = base64.b64encode(b"k" * 32).decode()
DESIRED, METHODS, TWINS = "$iothub/twin/PATCH/properties/desired/", "$iothub/methods/POST/", "$iothub/twin/res/"
CALLS = 40
# A call takes five seconds at the least; what comes on top is the way.
SHORTEST_PATIENCE = 5
WITHIN_SECONDS = 30

work, address = pathlib.Path.cwd(), os.environ["BIND_ADDRESS"]
ca = authority(work / "tls")


class Desk:
    """What an operator asks of one of the servers."""

    def __init__(self, node, fleet):
        self.node, self.token = node, fleet.hubs[HUB]
        self.client = Named(node, host=HUB)

    def ask(self, method, path, body=None, status=200, any_state=False):
        answer = self.client.call(method, f"{path}?{HUB_API}", body, self.token, {"If-Match": "*"} if any_state else None)
        assert answer.status == status, f"{method} {path}: {answer.status} {answer.text}"
        return answer

    def put(self, device, any_state=False, **more):
        sas = {"type": "sas", "symmetricKey": {"primaryKey": KEY, "secondaryKey": KEY}}
        self.ask("PUT", f"/devices/{device}", {"deviceId": device, "authentication": sas, **more}, any_state=any_state)

    def desire(self, device, **properties):
        return self.ask("PATCH", f"/twins/{device}", {"properties": {"desired": properties}}).body["properties"]["desired"]["$version"]

    def invoke(self, device, status=200, connect=0, patience=30):
        call = {"methodName": "reboot", "payload": {"in": 3}, "responseTimeoutInSeconds": patience, "connectTimeoutInSeconds": connect}
        return self.ask("POST", f"/twins/{device}/methods", call, status=status)


class Device(mqtt.Device):
    """A device or module that is connected to one of the servers."""

    def __init__(self, node, identity, clean=False, expect=b"\x00\x00"):
        super().__init__(HUB, node.port, ca.root, address=node.address)
        self.identity, (device, _, module) = identity, identity.partition("/")
        path = f"devices/{device}/modules/{module}" if module else f"devices/{device}"
        self.prefix = f"{path}/messages/"
        password = token(f"{HUB}/{path}", KEY, "").removesuffix("&skn=")
        self.connect(identity, f"{HUB}/{identity}/?{HUB_API}", password=password, clean=clean)
        seen = self.read()
        assert seen[0] == 0x20 and seen[1][1:] == b"\x00", seen

    def listens_to_all(self):
        filters = [f"{DESIRED}#", f"{METHODS}#", f"{TWINS}#"]
        if "/" not in self.identity:
            filters.append(f"{self.prefix}devicebound/#")
        assert set(self.listens(*filters)) == {1}
        return self

    def carries_out(self):
        """Takes one method and answers it."""
        topic, payload = self.received()
        assert topic.startswith(f"{METHODS}reboot/?$rid="), topic
        assert json.loads(payload) == {"in": 3}, payload
        self.publish(f"$iothub/methods/res/207/?$rid={topic.partition('$rid=')[2]}", b'{"did": "reboot"}')

    def is_let_go(self):
        seen = self.read()
        assert seen is None, seen


def beside(work):
    """Runs something beside; whoever asks for its result waits for it."""
    results = queue.Queue()

    def run():
        try:
            results.put((work(), None))
        except BaseException as error:
            results.put((None, error))

    threading.Thread(target=run, daemon=True).start()

    def result():
        value, error = results.get(timeout=60)
        if error is not None:
            raise error
        return value

    return result


def until(what, holds):
    deadline = time.monotonic() + WITHIN_SECONDS
    while not holds():
        assert time.monotonic() < deadline, f"not so: {what}"
        time.sleep(0.05)


def told(device, change, version):
    topic, payload = device.received()
    assert topic == f"{DESIRED}?$version={version}", topic
    assert json.loads(payload) == {**change, "$version": version}, payload


def twins_and_messages(here, there, device):
    """From the other server, in the order in which it was done."""
    for number in range(3):
        told(device, {"number": number}, there.desire("dev", number=number))
    item = {"id": "dev", "importMode": "updateTwin", "properties": {"desired": {"bulk": True}}}
    there.ask("POST", "/devices", [item])
    topic, payload = device.received()
    assert topic.startswith(DESIRED) and json.loads(payload)["bulk"] is True, (topic, payload)
    there.ask("POST", "/devices/dev/messages/deviceBound", {"body": "turn on"})
    topic, payload = device.received()
    assert topic.startswith(f"{device.prefix}devicebound/") and payload == b"turn on", (topic, payload)
    until("the queue is empty", lambda: there.ask("GET", "/devices/dev").body["cloudToDeviceMessageCount"] == 0)
    # And what it does is seen there.
    shown = there.ask("GET", "/devices/dev").body
    assert shown["connectionState"] == "Connected", shown
    device.publish(f"{device.prefix}events/", b"hello", 9)
    assert device.read() == (0x40, b"\x00\x09")
    followed = there.node.command("hub", "monitor", "--service", "factory", "--after", "0", "--device-id", "dev", "--count", "2", "--json")
    assert [json.loads(line)["event"] for line in followed.splitlines()] == ["deviceConnected", "telemetry"], followed
    device.publish("$iothub/twin/PATCH/properties/reported/?$rid=1", b'{"firmware": "2"}')
    topic, _ = device.received()
    assert topic.startswith(f"{TWINS}204/?$rid=1"), topic
    assert there.ask("GET", "/twins/dev").body["properties"]["reported"]["firmware"] == "2"


def methods(here, there, device):
    """Gives how long a call takes on the device's own server and from the other, in milliseconds."""
    took = {"here": [], "there": []}
    for number in range(2 * CALLS):
        where, desk = [("here", here), ("there", there)][number % 2]
        began = time.monotonic()
        answered = beside(lambda: desk.invoke("dev").body)
        device.carries_out()
        answer = answered()
        took[where].append((time.monotonic() - began) * 1000)
        assert answer == {"status": 207, "payload": {"did": "reboot"}}, answer
    missing = there.invoke("nobody", status=404)
    assert missing.headers["iothub-errorcode"] == "DeviceNotFound", missing.text
    there.put("deaf")
    assert there.invoke("deaf", status=404).headers["iothub-errorcode"] == "DeviceNotOnline"
    deaf = Device(here.node, "deaf")
    assert there.invoke("deaf", status=404).headers["iothub-errorcode"] == "DeviceNotOnline"
    # One that comes while it is waited for is called where it comes to.
    answered = beside(lambda: there.invoke("deaf", connect=WITHIN_SECONDS).body)
    time.sleep(1)
    deaf.listens_to_all()
    deaf.carries_out()
    assert answered()["status"] == 207
    # One that never answers.
    silent = there.invoke("deaf", status=504, patience=SHORTEST_PATIENCE)
    assert silent.headers["iothub-errorcode"] == "GatewayTimeout", silent.text
    deaf.send(0xE0)
    return {where: statistics.median(each) for where, each in took.items()}


def places(here, there, device):
    """Who connects to the other server is reached there, and the session here ends at once."""
    moved = Device(there.node, "dev")
    device.is_let_go()
    until("the log says why", lambda: [text for text in here.node.messages("INFO") if "connected anew to another server" in text])
    told(moved, {"after": "move"}, here.desire("dev", after="move"))
    back = Device(here.node, "dev")
    moved.is_let_go()
    told(back, {"after": "return"}, there.desire("dev", after="return"))
    return back


def identities(here, there, device):
    """Whoever is changed or removed at the other server is let go."""
    there.put("dev", any_state=True, status="disabled")
    device.is_let_go()
    there.put("dev", any_state=True, status="enabled")
    there.ask("PUT", "/devices/dev/modules/m", {"deviceId": "dev", "moduleId": "m", "authentication": {
        "type": "sas", "symmetricKey": {"primaryKey": KEY, "secondaryKey": KEY}}})
    device, module = Device(here.node, "dev"), Device(here.node, "dev/m").listens_to_all()
    version = there.ask("PATCH", "/twins/dev/modules/m", {"properties": {"desired": {"m": 1}}}).body["properties"]["desired"]["$version"]
    told(module, {"m": 1}, version)
    there.ask("DELETE", "/devices/dev", status=204, any_state=True)
    device.is_let_go()
    module.is_let_go()


def servers_that_go(here, there):
    """A server that is asleep lets its devices go when it wakes; a caller of one that is killed has an answer in time."""
    there.put("left")
    device = Device(here.node, "left").listens_to_all()
    here.node.process.send_signal(signal.SIGSTOP)
    until("its sessions are ended", lambda: there.ask("GET", "/devices/left").body["connectionState"] == "Disconnected")
    here.node.process.send_signal(signal.SIGCONT)
    device.is_let_go()
    here.node.wait_until_ready()
    device = Device(here.node, "left")
    began = time.monotonic()
    answered = beside(lambda: there.invoke("left", status=504, patience=SHORTEST_PATIENCE))
    topic, _ = device.received()
    assert topic.startswith(METHODS), topic
    here.node.kill()
    here.client.close()
    assert answered().headers["iothub-errorcode"] == "GatewayTimeout"
    took = time.monotonic() - began
    assert took < SHORTEST_PATIENCE + WITHIN_SECONDS, f"it waited {took} s"
    moved = Device(there.node, "left")
    told(moved, {"after": "kill"}, there.desire("left", after="kill"))
    until("its server's session is over", lambda: there.ask("GET", "/statistics/service").body["connectedDeviceCount"] == 1)
    here.node.start()
    told(moved, {"after": "start"}, here.desire("left", after="start"))
    moved.send(0xE0)


took = []
with contextlib.ExitStack() as everything:
    for version, programs in versions(everything):
        with contextlib.ExitStack() as running:
            database = running.enter_context(Database(programs, address)).make()
            nodes = [running.enter_context(Node(work / f"{version}-{name}", address, ca)) for name in "ab"]
            try:
                for node in nodes:
                    node.on(url_of(database)).start()
                fleet = Fleet(nodes[0])
                here, there = (Desk(node, fleet) for node in nodes)
                here.put("dev")
                device = Device(nodes[0], "dev").listens_to_all()
                twins_and_messages(here, there, device)
                took.append(methods(here, there, device))
                device = places(here, there, device)
                identities(here, there, device)
                servers_that_go(here, there)
                until("nothing is left behind", lambda: database.sql(
                    "SELECT count(*) FROM hub_relayed r JOIN nodes n ON n.node = r.node AND n.lease_until > "
                    "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)") == "0")
                for node in nodes:
                    node.stop()
            except BaseException:
                for node in nodes:
                    print(f"--- PostgreSQL {version}, {node.folder.name}\n{node.text()[-3000:]}" if node.log.exists() else node.folder.name)
                raise
print(f"PostgreSQL 15 and 18: everything that is asked of one server reaches a device on the other; a method took "
      + " and ".join(f"{each['here']:.1f} ms on its own, {each['there']:.1f} ms from the other" for each in took) + f" (medians of {CALLS})")
