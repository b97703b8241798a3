"""Three `landfall serve` on one PostgreSQL database, oldest version and newest: they make it at once, any of them answers
any poll, `hashed` gives the same hub on each; one is killed under load, or stands still, and the others go on, with the
operations that it had begun too, once its lease of five seconds on the database's clock is over and not before.
"""

import contextlib
import os
import pathlib
import random
import signal
import time

from database import Database, url_of, versions
from load import Load, each_on_its_hub
from node import Fleet, Named, Node, authority
from unfinished import leave

MADE_AT_ONCE = 2
ALLOCATED = 8
LEASE_MICROS = 5_000_000
CONTINUED_WITHIN_SECONDS = 60
# How a server goes: killed before it has answered much, killed in full work, or asleep for longer than its lease.
ENDS = [("killed", 1), ("killed", 40), ("asleep", 20)]
NOW = "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)"

seed = int(os.environ.get("KILL_SEED", random.randrange(1 << 32)))
chance = random.Random(seed)
print(f"KILL_SEED={seed}")
work, address = pathlib.Path.cwd(), os.environ["BIND_ADDRESS"]
ca = authority(work / "tls")
counted = {"devices": 0, "operations": 0, "elsewhere": 0, "databases": 0}


def together(nodes):
    """Starts all at the same moment."""
    for node in nodes:
        node.launch()
    for node in nodes:
        node.wait_until_ready()


def make_at_once(database, nodes):
    """All find an empty database at the same moment: it is made once, and the service is founded once."""
    for number in range(MADE_AT_ONCE):
        if number:
            for node in nodes:
                node.stop()
            database.empty()
        together(nodes)
        steps = database.sql("SELECT version FROM schema_versions ORDER BY version").split()
        assert steps == [str(step + 1) for step in range(len(steps))] and steps, steps
        assert database.sql("SELECT count(*) FROM services") == "1"
        for node in nodes:
            assert not node.messages("ERROR"), node.text()
        counted["databases"] += 1


def allocate_alike(fleet, nodes):
    """A device that nothing is known of is given the same hub, whichever server it asks."""
    clients, given = [Named(node) for node in nodes], set()
    ask = Load(fleet, nodes, "alike", chance, workers=0)
    for number in range(ALLOCATED):
        device, hubs = f"alike-{number}", []
        for client in clients:
            answer = fleet.register(client, device)
            assert answer.status == 202, answer.text
            hubs.append(ask.assigned({}, device, answer.body["operationId"]))
            answer = fleet.forget(client, device)
            assert answer.status == 204, answer.text
        assert len(set(hubs)) == 1, f"{device}: {hubs}"
        given.update(hubs)
    assert len(given) > 1, f"all were given {given}: there was nothing to choose"


def name_of(database, node, others):
    """Starts a server anew, and gives the name that this run of it goes by in the database."""
    node.start()
    names = set(database.sql("SELECT node FROM nodes").split()) - others
    assert len(names) == 1, names
    return names.pop()


def continues(database, fleet, load, left, gone):
    """Waits until the operations that `gone` left are others', and holds that to be after the end of its lease."""
    clients, ids = {}, ", ".join(f"'{operation}'" for operation in left.values())
    deadline = time.monotonic() + CONTINUED_WITHIN_SECONDS
    while True:
        held, early, waiting = map(int, database.sql(
            f"SELECT n.lease_until - {NOW}, (SELECT count(*) FROM operations WHERE id IN ({ids}) AND node <> n.node AND n.lease_until > {NOW}), "
            f"(SELECT count(*) FROM operations WHERE id IN ({ids}) AND finished = 0) FROM nodes n WHERE node = '{gone}'").split("|"))
        assert held <= LEASE_MICROS, f"the lease lasts {held} microseconds more"
        assert early == 0, "an operation was taken before its server's lease was over"
        if not waiting:
            break
        assert time.monotonic() < deadline, f"{waiting} operations are not continued"
        time.sleep(0.2)
    hubs = {device: load.assigned(clients, device, operation) for device, operation in left.items()}
    counted["operations"] += len(hubs)
    return hubs


def outlive(database, fleet, nodes):
    """Each server goes once, in another way."""
    hubs = {}
    for number, (node, (end, answers)) in enumerate(zip(nodes, ENDS)):
        node.stop()
        name = name_of(database, node, set(database.sql("SELECT node FROM nodes").split()))
        others = [other for other in nodes if other is not node]
        with Load(fleet, nodes, f"{end}{number}", chance) as load:
            load.until("registered", answers)
            left = {f"left{number}-{one}": None for one in range(2)}
            for device in left:
                left[device] = leave(database, fleet, name, device)
                answer = fleet.poll(Named(others[0]), device, left[device])
                assert (answer.status, answer.body["status"]) == (202, "assigning"), answer.text
            time.sleep(chance.uniform(0, 0.3))
            if end == "killed":
                node.kill()
            else:
                node.process.send_signal(signal.SIGSTOP)
            load.nodes = others
            load.until("registered", 20)
            hubs.update(continues(database, fleet, load, left, name))
            if end == "killed":
                node.start()
            else:
                node.process.send_signal(signal.SIGCONT)
                node.until("it learns that others took over", lambda: [text for text in node.messages("WARN") if "has taken over" in text])
                node.wait_until_ready()
            load.nodes = nodes
            load.until("registered", 20)
        hubs.update(load.settle())
        counted["elsewhere"] += load.done["polled elsewhere"]
    each_on_its_hub(fleet, nodes[0], hubs)
    counted["devices"] += len(hubs)


with contextlib.ExitStack() as everything:
    for version, programs in versions(everything):
        with contextlib.ExitStack() as running:
            database = running.enter_context(Database(programs, address)).make()
            nodes = [running.enter_context(Node(work / f"{version}-{name}", address, ca)) for name in "abc"]
            for node in nodes:
                node.on(url_of(database))
            try:
                make_at_once(database, nodes)
                fleet = Fleet(nodes[0])
                allocate_alike(fleet, nodes)
                outlive(database, fleet, nodes)
                for node in nodes:
                    node.stop()
            except BaseException:
                for node in nodes:
                    print(f"--- PostgreSQL {version}, {node.folder.name}\n{node.text()[-2000:]}" if node.log.exists() else node.folder.name)
                raise
print(f"PostgreSQL 15 and 18: {counted['databases']} databases made by three servers at once, {len(ENDS) * 2} servers gone, "
      f"{counted['operations']} operations continued, {counted['elsewhere']} polls elsewhere, {counted['devices']} devices, none lost, none twice")
