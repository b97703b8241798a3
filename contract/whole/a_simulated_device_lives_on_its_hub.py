"""`landfall device run`: registers by each protocol and each kind of credential, sends what it reads, prints what it is told, answers
methods; comes back after kill -9 with nothing lost that was acknowledged; and says what to do when it is turned away."""

import json
import os
import pathlib
import queue
import subprocess
import threading
import time

from server import Server

WITHIN_SECONDS = 60
LINES = 400
binary = os.environ["LANDFALL"]
server = Server(binary, pathlib.Path.cwd() / "data", os.environ["BIND_ADDRESS"], official_ports=bool(os.environ["OFFICIAL_PORTS"])).start()
environment = {name: value for name, value in os.environ.items() if not name.startswith("LANDFALL_")}
secrets = set()


def secret(text):
    secrets.add(text)
    return text


class Device:
    """A `landfall device run` with its input and what it prints."""

    def __init__(self, *words):
        self.process = subprocess.Popen(
            [binary, "device", "run", *words, "--data", str(server.data), "--json"], env=environment, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.told, self.aside = queue.Queue(), []
        self.readers = [threading.Thread(target=read) for read in (self.read, self.read_aside)]
        for reader in self.readers:
            reader.start()

    def read(self):
        for line in self.process.stdout:
            assert not any(key in line for key in secrets), "a key is printed"
            self.told.put(json.loads(line))

    def read_aside(self):
        self.aside.extend(self.process.stderr)

    def hears(self, event):
        """The next thing that it tells, which is of that kind."""
        told = self.told.get(timeout=WITHIN_SECONDS)
        assert told["event"] == event, told
        return told

    def sends(self, text):
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()

    def ends(self, code=0):
        if not self.process.stdin.closed:
            self.process.stdin.close()
        assert self.process.wait(WITHIN_SECONDS) == code, "".join(self.aside)
        for reader in self.readers:
            reader.join()
        said = "".join(self.aside)
        assert not any(key in said for key in secrets), "a key is printed"
        return said


def followed(device, count):
    """The first messages that the hub kept of a device."""
    done = server.command("hub", "monitor", "--after", "0", "--device-id", device, "--count", str(count), "--json")
    return [json.loads(line) for line in done.stdout.splitlines()]


def becomes(device, state):
    deadline = time.monotonic() + WITHIN_SECONDS
    while server.json("hub", "device", "show", device)["connectionState"] != state:
        assert time.monotonic() < deadline, f"not {state}"
        time.sleep(0.05)


def lives(device, *words):
    """The whole of a life, told from outside."""
    run = Device(*words, "--report", '{"firmware": "1.0"}', "--echo-desired", "--method-status", "207")
    state = run.hears("registered")["registrationState"]
    assert (state["deviceId"], state["status"]) == (device, "assigned"), state
    assert run.hears("connected")["deviceId"] == device
    twin = run.hears("twin")["twin"]
    version = twin["desired"]["$version"]
    run.hears("reported")
    becomes(device, "Connected")

    run.sends('{"t": 21.5, "ü": "ß"}')
    assert run.hears("acknowledged")["line"] == 1
    run.sends("")
    run.sends("plain ü")
    assert run.hears("acknowledged")["line"] == 3
    kept = [event for event in followed(device, 3) if event["event"] == "telemetry"]
    assert [event["body"] for event in kept] == [{"t": 21.5, "ü": "ß"}, "plain ü"], kept
    assert kept[0]["systemProperties"]["content-type"] == "application/json", kept

    server.command("hub", "c2d", "send", device, "--body", '{"on": true}', "--props", "level=3;a b=%/ü", "--content-type", "application/json")
    told = run.hears("command")
    assert told["body"] == {"on": True} and told["properties"]["level"] == "3" and told["properties"]["a b"] == "%/ü", told
    answer = server.json("hub", "method", "invoke", device, "--method-name", "re.boot", "--payload", '{"in": [3]}')
    assert (answer["status"], answer["payload"]) == (207, {"in": [3]}), answer
    told = run.hears("method")
    assert (told["name"], told["payload"], told["status"]) == ("re.boot", {"in": [3]}, 207), told
    server.command("hub", "twin", "update", device, "--desired", '{"interval": 5}')
    told = run.hears("desired")
    assert (told["version"], told["patch"]) == (version + 1, {"interval": 5, "$version": version + 1}), told
    run.hears("reported")
    reported = server.json("hub", "twin", "show", device)["properties"]["reported"]
    assert (reported["firmware"], reported["interval"]) == ("1.0", 5), reported

    run.sends('"the last"')
    said = run.ends()
    assert run.hears("acknowledged")["line"] == 4 and run.told.empty() and not said, said
    becomes(device, "Disconnected")


made = server.json("enrollment", "create", "--enrollment-id", "own", "--device-id", "own-Device")
own = server.json("enrollment", "show", "own", "--keys")["attestation"]["symmetricKey"]
secret(own["primaryKey"])
pathlib.Path("own.key").write_text(secret(own["secondaryKey"]))
server.command("group", "create", "--enrollment-id", "keys")
group = server.json("group", "show", "keys", "--keys")["attestation"]["symmetricKey"]
pathlib.Path("group.key").write_text(secret(group["primaryKey"]))
pathlib.Path("wrong.key").write_text(secret(group["secondaryKey"]))
subprocess.run(
    ["bash", "-euo", "pipefail", "-c", '. "$CONTRACT/lib/certificates.sh"; create_test_cert root run-root; create_test_cert intermediate run-maker run-root; '
     "create_test_cert device run-x509 run-maker"], check=True)
server.command("group", "create", "--enrollment-id", "certificates", "--certificate-path", "runMaker_cert.pem")

# Each protocol with each kind of credential, once at least.
lives("own-Device", "own")
lives("by-group-https", "by-group-https", "--group-key", "@group.key", "--protocol", "https")
lives("by-group-ws", "by-group-ws", "--group-key", "@group.key", "--protocol", "mqtt-ws", "--payload", '{"model": 1}')
for protocol in ("mqtt", "https", "mqtt-ws"):
    run = Device("own", "--protocol", protocol, "--key", "@own.key", "--stay")
    for event in ("registered", "connected", "twin"):
        run.hears(event)
    run.process.stdin.close()
    becomes("own-Device", "Connected")
    run.process.terminate()
    run.ends()
certificate = ("--certificate", "runX509_fullchain.pem", "--certificate-key", "runX509_key.pem")
lives("run-x509", "run-x509", *certificate)
for protocol in ("https", "mqtt-ws"):
    run = Device("run-x509", "--protocol", protocol, *certificate)
    for event in ("registered", "connected", "twin"):
        run.hears(event)
    run.ends()

# Given by hand, as where no data folder is: host, scope and authority.
elsewhere = subprocess.run(
    [binary, "device", "run", "own", "--host", f"{server.dev['host']}:{server.dev['httpsPort']}", "--id-scope", server.dev["idScope"],
     "--key", "@own.key", "--ca", server.dev["caFile"], "--data", "nowhere"],
    env=environment, input="by hand\n", capture_output=True, text=True, timeout=WITHIN_SECONDS)
assert elsewhere.returncode == 0 and "1 message acknowledged" in elsewhere.stderr, elsewhere
assert [line.split()[0] for line in elsewhere.stdout.splitlines()] == ["registered", "connected", "twin"], elsewhere.stdout

# The server dies under it, with a change that it must not miss.
run = Device("own", "--stay")
for event in ("registered", "connected", "twin"):
    run.hears(event)
before = server.json("hub", "twin", "show", "own-Device")["properties"]["desired"]["$version"]
feeding = threading.Thread(target=lambda: [(run.sends(json.dumps({"n": number})), time.sleep(0.002)) for number in range(LINES)])
feeding.start()
told = [run.hears("acknowledged") for _ in range(20)]
server.kill()
time.sleep(0.5)
server.start()
server.command("hub", "twin", "update", "own-Device", "--desired", '{"interval": 6}')
feeding.join()
deadline = time.monotonic() + WITHIN_SECONDS
while sum(line["event"] == "acknowledged" for line in told) < LINES or not any(
        line["event"] in ("desired", "twin") and (line.get("version") or line["twin"]["desired"]["$version"]) == before + 1 for line in told):
    assert time.monotonic() < deadline, told[-5:]
    told.append(run.told.get(timeout=WITHIN_SECONDS))
server.command("hub", "c2d", "send", "own-Device", "--body", "still there")
while run.told.get(timeout=WITHIN_SECONDS)["event"] != "command":
    pass
run.process.terminate()
said = run.ends()
assert "the connection" in said or "closed" in said or "cannot connect" in said, said
numbers = []
events = subprocess.Popen([binary, "hub", "monitor", "--data", str(server.data), "--after", "0", "--device-id", "own-Device", "--json"], env=environment, stdout=subprocess.PIPE, text=True)
for line in events.stdout:
    event = json.loads(line)
    if event["event"] == "telemetry" and isinstance(event["body"], dict) and "n" in event["body"]:
        numbers.append(event["body"]["n"])
        if event["body"]["n"] == LINES - 1:
            break
events.terminate()
events.wait()
assert set(numbers) == set(range(LINES)), "every line that was acknowledged is there"
twice = len(numbers) - LINES

# Who is turned away reads why, and what to do.
for words, code, what, fix in [
    (["nobody"], 3, "no individual enrollment 'nobody'", "landfall enrollment create --enrollment-id nobody"),
    (["own", "--key", "@wrong.key"], 5, "401", "landfall explain"),
    (["own", "--key", "@wrong.key", "--protocol", "https"], 5, "401", "landfall explain"),
    (["own", "--certificate", "nowhere.pem", "--certificate-key", "nowhere.pem"], 2, "nowhere.pem", "--certificate"),
    (["own", "--key", "@nowhere"], 2, "nowhere", "fix"),
    (["run-x509", "--certificate", "runX509_cert.pem", "--certificate-key", "runX509_key.pem", "--host", "127.0.0.1:1", "--id-scope", "x"], 6, "127.0.0.1:1", "listens"),
]:
    refused = Device(*words)
    said = refused.ends(code)
    assert what in said and fix in said, said
server.command("enrollment", "update", "own", "--provisioning-status", "disabled")
run = Device("own", "--key", "@own.key")
run.ends(5)
server.stop()
print(f"{LINES} lines over a kill, all kept, {twice} twice")
