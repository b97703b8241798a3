"""Two `landfall serve` on a PostgreSQL primary with a synchronous standby, under load: the primary is killed with all its
processes, the standby promoted, and the servers find it by themselves. Of what was acknowledged nothing is lost, and no
device is on two hubs; neither while the standby is late, nor while it is away, when devices are told to come back.
"""

import base64
import contextlib
import json
import os
import pathlib
import random
import signal
import time

from database import Database, url_of, versions
from load import Load, each_on_its_hub
from node import Fleet, Named, Node, authority

IMPORTED = 300
# How many registrations are answered before the primary goes; whether its standby stands still just before.
GOES = [(30, False), (3, True), (60, True)]
LATE_SECONDS = 0.3
STANDBY = "landfall_standby"
SETTLED_WITHIN_SECONDS = 60

seed = int(os.environ.get("KILL_SEED", random.randrange(1 << 32)))
chance = random.Random(seed)
print(f"KILL_SEED={seed}")
work, address = pathlib.Path.cwd(), os.environ["BIND_ADDRESS"]
ca = authority(work / "tls")
counted = {"gone": 0, "devices": 0, "again": 0, "put off": 0}


def until(what, seen):
    """Waits until `seen` is true."""
    deadline = time.monotonic() + SETTLED_WITHIN_SECONDS
    while not seen():
        assert time.monotonic() < deadline, f"{what}: not within {SETTLED_WITHIN_SECONDS} s"
        time.sleep(0.05)


def follow(primary, replaced=None):
    """A standby without which the primary acknowledges nothing; at the place of one that it replaces."""
    standby = primary.standby(STANDBY, replaced)
    primary.sql(f"ALTER SYSTEM SET synchronous_standby_names = '{STANDBY}'")
    primary.sql("SELECT pg_reload_conf()")
    until("the standby is synchronous", lambda: primary.sql("SELECT sync_state FROM pg_stat_replication") == "sync")
    return standby


def receiver(standby):
    """The process of a standby that takes what the primary sends."""
    found = [pid for pid, title in standby.processes().items() if "walreceiver" in title]
    assert len(found) == 1, standby.processes()
    return found[0]


def take_over(running, nodes, fleet, primary, standby, answers, late):
    """The primary goes under load and the standby takes its place; then the dead one is replaced."""
    with Load(fleet, nodes, f"take{counted['gone']}", chance) as load:
        load.until("registered", answers)
        stopped = receiver(standby) if late else None
        if late:
            # What is acknowledged from now on and is not there would be lost.
            os.kill(stopped, signal.SIGSTOP)
            time.sleep(LATE_SECONDS)
        primary.kill()
        if late:
            # What the primary sent meanwhile waits in this machine; of another it would be gone.
            os.kill(stopped, signal.SIGTERM)
            os.kill(stopped, signal.SIGCONT)
        standby.promote()
        counted["gone"] += 1
        load.until("registered", 30)
        for node in nodes:
            node.wait_until_ready()
    standby_of_it = running.enter_context(follow(standby, primary))
    counted["again"] += len(load.unanswered)
    counted["put off"] += load.done["put off"]
    hubs = load.settle()
    counted["devices"] += len(hubs)
    return standby_of_it, hubs


def brought(node, fleet):
    """An operator brings many enrollments at once; gives the last that is told of them."""
    key = base64.b64encode(b"k" * 64).decode()
    attestation = {"type": "symmetricKey", "symmetricKey": {"primaryKey": key, "secondaryKey": key}}
    records = [{"registrationId": f"brought-{number}", "attestation": attestation} for number in range(IMPORTED)]
    text = "".join(json.dumps({"kind": "enrollment", "record": record}) + "\n" for record in records)
    connection = Named(node).connect()
    connection.request("POST", "/landfall/enrollments/import", text, {"Authorization": fleet.owner})
    told = connection.getresponse().read().decode().splitlines()
    connection.close()
    return json.loads(told[-1])


def without_a_standby(nodes, fleet, primary, standby):
    """As long as the standby is away nothing is acknowledged; when it is back, all goes on by itself."""
    standby.kill()
    with Load(fleet, nodes, f"away{counted['gone']}", chance) as load:
        until("devices are told to come back", lambda: load.done["put off"] >= 4 or load.wrong)
        for node in nodes:
            assert node.ask("/readyz")[0] == 503, node.ask("/readyz")
        assert load.done["registered"] == 0, "something was acknowledged without the standby"
        # Who brings many enrollments is told too, instead of waiting for what may not come.
        told = brought(nodes[0], fleet)
        assert told["end"] == "unavailable", told
        standby.start()
        load.until("registered", 20)
        for node in nodes:
            node.wait_until_ready()
    told = brought(nodes[0], fleet)
    assert told["end"] == "whole" and told["created"] + told["unchanged"] == IMPORTED, told
    counted["put off"] += load.done["put off"]
    hubs = load.settle()
    counted["devices"] += len(hubs)
    return hubs


with contextlib.ExitStack() as everything:
    for version, programs in versions(everything):
        with contextlib.ExitStack() as running:
            primary = running.enter_context(Database(programs, address)).make()
            standby = running.enter_context(follow(primary))
            nodes = [running.enter_context(Node(work / f"{version}-{name}", address, ca)) for name in "ab"]
            try:
                for node in nodes:
                    node.on(url_of(primary, standby)).start()
                pids = [node.process.pid for node in nodes]
                fleet, hubs = Fleet(nodes[0]), {}
                for answers, late in GOES:
                    standby_of_it, more = take_over(running, nodes, fleet, primary, standby, answers, late)
                    hubs.update(more)
                    primary, standby = standby, standby_of_it
                hubs.update(without_a_standby(nodes, fleet, primary, standby))
                each_on_its_hub(fleet, nodes[0], hubs)
                assert [node.process.pid for node in nodes] == pids and all(node.alive() for node in nodes)
                for node in nodes:
                    node.stop()
            except BaseException:
                for node in nodes:
                    print(f"--- PostgreSQL {version}, {node.folder.name}\n{node.text()[-2500:]}" if node.log.exists() else node.folder.name)
                raise
print(f"PostgreSQL 15 and 18: {counted['gone']} primaries killed under load, {counted['devices']} devices, none lost, none twice; "
      f"{counted['again']} asked again, {counted['put off']} times told to come back, no server started again")
