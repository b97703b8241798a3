"""The disk of a PostgreSQL server runs full under devices and an operator, and gets room again: oldest version and newest.

Where its data finds no room, every write is refused; where its log finds none, the whole server ends itself. While it
lasts devices are told to come back, `/readyz` and the log say what is wrong and what to do, and what is there can be read as
long as the server runs. With room Landfall goes on by itself. Nothing that was acknowledged is lost, nothing that was put off
is half there.
"""

import contextlib
import json
import os
import pathlib
import random
import time

from database import Database, url_of, versions
from load import Load, each_on_its_hub
from node import SERVICE_API, Fleet, Named, Node, authority
from small_disk import SmallDisk

MEGABYTES = 160
# Small parts of a log are used up soon.
SMALL_PARTS = "--wal-segsize=1"
FULL, ROOM = "No space left on device", "make room on the disk of the database server"
AWAY = "see that the database runs and takes writes"
SEEN_WITHIN_SECONDS = 60

chance = random.Random(os.environ.get("KILL_SEED"))
work, address = pathlib.Path.cwd(), os.environ["BIND_ADDRESS"]
ca = authority(work / "tls")
counted = {"full": 0, "put off": 0, "devices": 0}


def until(what, seen):
    """Waits until `seen` gives something, which it gives."""
    deadline = time.monotonic() + SEEN_WITHIN_SECONDS
    while not (found := seen()):
        assert time.monotonic() < deadline, f"{what}: not within {SEEN_WITHIN_SECONDS} s"
        time.sleep(0.02)
    return found


def unready(node, *remedies):
    """Waits until it says that it cannot serve, and holds it to saying what to do."""
    def said():
        status, _, text = node.ask("/readyz")
        return status == 503 and any(remedy in text for remedy in remedies) and text
    text = until(f"unready: {remedies}", said)
    assert node.ask("/healthz")[0] == 200
    return text


def causes(node):
    """What its log gives as the causes of groups of writes that failed."""
    lines = [json.loads(line)["fields"] for line in node.text().splitlines() if line.startswith("{")]
    return [fields.get("cause", "") for fields in lines if fields["message"] == "a group of writes failed"]


def whole(database, promised):
    """Whoever was acknowledged is there, and nobody is there by half: with a registration, an operation or a device alone."""
    registered = set(database.sql("SELECT key FROM registrations").split())
    devices = database.sql("SELECT device FROM devices").split()
    assert registered == set(devices) and len(registered) == len(devices), sorted(registered ^ set(devices))[:5]
    assert database.sql("SELECT count(*) FROM operations") == str(len(registered)), "operations of nobody, or none of somebody"
    assert promised <= registered, f"LOST: {sorted(promised - registered)[:5]}"
    return len(registered)


def data_finds_no_room(database, disk, node, fleet):
    """Every write that needs room is refused; PostgreSQL goes on. Gives the load that saw it."""
    with Load(fleet, [node], "data", chance, breath=0) as load:
        load.until("registered", 20)
        disk.fill()
        load.until("put off", 20)
        told = unready(node, ROOM)
        assert FULL in told, told
        # It stays so, whatever little finds room: several questions, one after the other.
        for _ in range(5):
            assert node.ask("/readyz")[0] == 503
        assert any(FULL in cause and ROOM in cause for cause in causes(node)), causes(node)
        client = Named(node)
        answer = client.call("GET", f"/enrollmentGroups/fleet?{SERVICE_API}", None, fleet.owner)
        assert answer.status == 200, f"what is there can be read: {answer.status} {answer.text}"
        disk.free()
        node.wait_until_ready()
        load.until("registered", 20)
    assert database.process.poll() is None, "PostgreSQL ended"
    counted["put off"] += load.done["put off"]
    return load


def log_finds_no_room(database, disk, node, fleet):
    """PostgreSQL ends itself, and is started again when there is room. Gives the load that saw it."""
    with Load(fleet, [node], "log", chance, breath=0) as load:
        load.until("registered", 20)
        disk.fill()

        def panics():
            # What is written goes on in the next part of the log, until there is none.
            database.sql("SELECT pg_switch_wal()", check=False)
            return "PANIC" in database.log.read_text()

        until("PostgreSQL panics", panics)
        load.until("put off", 20)
        unready(node, ROOM, AWAY)
        disk.free()
        database.start()
        node.wait_until_ready()
        load.until("registered", 20)
    counted["put off"] += load.done["put off"]
    return load


with contextlib.ExitStack() as everything:
    for version, programs in versions(everything):
        for what, fills in (("data", data_finds_no_room), ("log", log_finds_no_room)):
            with contextlib.ExitStack() as running:
                disk = running.enter_context(SmallDisk(work / f"{version}-{what}-disk", MEGABYTES))
                database = running.enter_context(Database(programs, address, disk))
                elsewhere = [f"--waldir={database.folder}/log-of-writes"] if what == "data" else []
                database.make(SMALL_PARTS, *elsewhere)
                node = running.enter_context(Node(work / f"{version}-{what}", address, ca))
                try:
                    process = node.on(url_of(database)).start().process.pid
                    fleet = Fleet(node)
                    load = fills(database, disk, node, fleet)
                    there = whole(database, set(load.promised))
                    hubs = load.settle()
                    each_on_its_hub(fleet, node, hubs)
                    assert len(hubs) > there, "nobody was put off who came back"
                    assert node.alive() and node.process.pid == process
                    counted["full"] += 1
                    counted["devices"] += len(hubs)
                    node.stop()
                except BaseException:
                    print(f"--- PostgreSQL {version}, {what}\n{node.text()[-3000:] if node.log.exists() else ''}\n{database.end_of_log()}")
                    raise
print(f"PostgreSQL 15 and 18: {counted['full']} times full under load, {counted['put off']} times told to come back, "
      f"{counted['devices']} devices, none lost, none half there, no server started again")
