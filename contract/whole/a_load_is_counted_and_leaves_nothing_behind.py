"""`landfall bench` counts what registers, says what did not, stays on its own machine, and leaves nothing behind: no
group, no registration, no device, whether it ends by itself, by Ctrl-C, or because devices are refused.
"""

import json
import os
import pathlib
import signal
import sqlite3
import subprocess
import time

from server import Server

server = Server(
    os.environ["LANDFALL"], pathlib.Path.cwd() / "data", os.environ["BIND_ADDRESS"],
    official_ports=bool(os.environ["OFFICIAL_PORTS"]), log="warn",
).start()
TABLES = ("enrollment_groups", "registrations", "devices")


def kept():
    """How many rows each table has of which a run makes some."""
    with sqlite3.connect(f"file:{server.data / 'landfall.db'}?mode=ro", uri=True) as database:
        return {table: database.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0] for table in TABLES}


def start(*words):
    """Begins a run, with its output to be read."""
    return subprocess.Popen(
        [server.binary, "bench", "--data", str(server.data), "--json", *words],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )


def wait_for(what, within=30):
    """Waits until something is so."""
    deadline = time.monotonic() + within
    while not what():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


empty = kept()

# Every device of every kind registers once, and what the server used is known.
for words in (
    [],
    ["--poll"],
    ["--connections", "kept", "--poll", "--in-flight", "3"],
    ["--attestation", "x509", "--poll", "--in-flight", "500"],
):
    told = server.json("bench", "--count", "60", *words)
    assert (told["registered"], told["failed"], told["errors"]) == (60, 0, {}), told
    assert told["registrationsPerSecond"] > 0, told
    times = told["latencyMicroseconds"]
    assert 0 < times["p50"] <= times["p99"] <= times["p999"] <= times["max"], told
    assert told["server"]["process"] == server.process.pid, told
    assert told["server"]["cpuMicrosecondsPerRegistration"] > 0, told
    assert kept() == empty, (words, kept())



def happened():
    """How many events of each kind the hub kept of devices."""
    with sqlite3.connect(f"file:{server.data / 'landfall.db'}?mode=ro", uri=True) as database:
        return dict(database.execute("SELECT kind, COUNT(*) FROM hub_events GROUP BY kind"))


# Over MQTT, straight and in WebSockets: what registers, what is held, and what is acknowledged, which the hub has.
for words in ([], ["--websockets", "--poll"], ["--attestation", "x509", "--poll"]):
    told = server.json("bench", "mqtt-register", "--count", "60", *words)
    assert (told["registered"], told["failed"]) == (60, 0) and kept() == empty, (words, told, kept())
assert not happened(), happened()
for words in ([], ["--websockets"], ["--attestation", "x509"]):
    before = happened()
    told = server.json("bench", "connect", "--count", "60", "--hold", "1", *words)
    assert (told["connected"], told["held"], told["failed"]) == (60, 60, 0), (words, told)
    assert isinstance(told["memoryBytesPerConnection"], int), told
    assert happened()["deviceConnected"] == before.get("deviceConnected", 0) + 60, (words, happened())
    before = happened()
    told = server.json("bench", "telemetry", "--count", "500", "--in-flight", "7", *words)
    assert (told["acknowledged"], told["failed"]) == (500, 0) and told["messagesPerSecond"] > 0, (words, told)
    assert happened()["telemetry"] == before.get("telemetry", 0) + 500 and kept() == empty, (words, happened(), kept())

# For people, the same in words.
said = server.command("bench", "--count", "5", "--in-flight", "1").stdout
assert "5 devices in" in said and "a second" in said and "p99.9" in said, said

# While it runs, its group, registrations and devices are there; Ctrl-C prints the figures until then.
running = start("--count", "100000", "--seconds", "600", "--in-flight", "8", "--poll")
wait_for(lambda: kept()["devices"] > empty["devices"] + 10)
assert kept()["enrollment_groups"] == empty["enrollment_groups"] + 1
running.send_signal(signal.SIGINT)
out, err = running.communicate(timeout=60)
assert running.returncode == 0, err
told = json.loads(out)
assert told["interrupted"] and 10 <= told["registered"] < 100000, told
assert kept() == empty, kept()

# Devices that are not assigned are counted by kind, and the run fails.
running = start("--count", "100000", "--seconds", "600", "--in-flight", "8", "--poll")
wait_for(lambda: kept()["devices"] > empty["devices"])
(group,) = [one["enrollmentGroupId"] for one in server.json("group", "list")]
server.command("group", "update", group, "--provisioning-status", "disabled")
wait_for(lambda: any(one["status"] == "disabled" for one in server.json("registration", "list", "--group-id", group)))
running.send_signal(signal.SIGINT)
out, err = running.communicate(timeout=60)
told = json.loads(out)
assert running.returncode == 1 and "failed" in err, err
assert list(told["errors"]) == ["registration disabled (code 403201)"], told
assert kept() == empty, kept()

# A server that goes away in the midst fails the run, which says what stays.
running = start("--count", "100000", "--seconds", "600", "--in-flight", "8")
wait_for(lambda: kept()["devices"] > empty["devices"])
server.kill()
out, err = running.communicate(timeout=120)
told = json.loads(out)
assert running.returncode != 0 and told["failed"] > 0, (running.returncode, told)
server.start()
stays = kept()
(group,) = [one["enrollmentGroupId"] for one in server.json("group", "list")]
assert group in err, err

# What makes no sense, and other machines, are refused before anything is made.
for words, said in (
    (["--attestation", "x509", "--connections", "kept"], "a certificate is shown when a connection begins"),
    (["--count", "100001"], "100000 devices"),
    (["telemetry", "--count", "1000001"], "1000001"),
    (["--seconds", "0"], "0"),
    (["mqtt-register", "--connections", "kept"], "belongs to one device"),
    (["telemetry", "--poll"], "leave out --poll"),
    (["--websockets"], "mqtt-register --websockets"),
    (["--in-flight", "501"], "501"),
    (["--server", "192.0.2.7:8443", "--control-token", "x", "--service", "y"], "192.0.2.7"),
):
    refused = server.command("bench", *words, succeed=False)
    assert refused.returncode != 0 and said in refused.stderr, (words, refused.stderr)
assert kept() == stays, kept()

# What a server held that goes away is told.
before = happened()["deviceConnected"]
running = start("connect", "--count", "60", "--hold", "600")
wait_for(lambda: happened()["deviceConnected"] == before + 60)
server.kill()
out, err = running.communicate(timeout=60)
told = json.loads(out)
assert running.returncode != 0 and (told["connected"], told["held"], told["failed"]) == (60, 0, 60), (out, err)
server.start()
groups = [one["enrollmentGroupId"] for one in server.json("group", "list")]
assert [name for name in groups if name in err] != [group] and any(name in err for name in groups), err

server.stop()
