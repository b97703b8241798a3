"""`landfall serve` on a PostgreSQL database that is away or not as it must be. At the start it says what is wrong and what
to do, leaves with the status for it, and starts once that is done. Later devices are told to come back, `readyz` and the log
say what is wrong and what to do, even while nobody asks for anything, and it goes on by itself. A database with few connections to give is shared; one with none is waited for.
"""

import contextlib
import json
import os
import pathlib
import random
import subprocess
import time

from database import Database, url_of, versions
from load import Load, each_on_its_hub
from node import Fleet, Named, Node, authority
from scrape import scrape

CANNOT_CONNECT, REFUSED, USAGE = 6, 1, 2
REACH = "see that the database runs and takes writes"
MORE = "let the database give each server ten connections"
IDENTITY = "see that user, password and database name are right"
# Fewer than the connections that read, and as few as it can do with: one that writes, one that reads.
FEWEST = 2
SEEN_WITHIN_SECONDS = 60

chance = random.Random(os.environ.get("KILL_SEED"))
work, address = pathlib.Path.cwd(), os.environ["BIND_ADDRESS"]
ca = authority(work / "tls")
counted = {"refused": 0, "away": 0, "put off": 0, "devices": 0}


def until(what, seen):
    """Waits until `seen` is true."""
    deadline = time.monotonic() + SEEN_WITHIN_SECONDS
    while not seen():
        assert time.monotonic() < deadline, f"{what}: not within {SEEN_WITHIN_SECONDS} s"
        time.sleep(0.02)


def refuses(node, url, status, *told):
    """A start on this URL ends with this status, and says this."""
    left, said = node.on(url).refused()
    assert left == status, f"{url}: left with {left}\n{said}"
    for text in told:
        assert text in said, f"{text}: {said}"
    assert Database.PASSWORD not in said, said
    counted["refused"] += 1


def tells_of_emptiness(node):
    """Whether it says that its key was there before its database."""
    return any("is empty, and" in text and "sealing.key was there before it" in text for text in node.messages("WARN"))


def start_refused(database, node):
    """Each thing that can be wrong at a start; it starts when it is put right."""
    url = url_of(database)
    database.stop()
    refuses(node, url, CANNOT_CONNECT, "landfall on", "Connection refused", REACH)
    database.start()
    refuses(node, url_of(database, name="elsewhere"), CANNOT_CONNECT, 'database "elsewhere" does not exist', IDENTITY)
    refuses(node, url_of(database, user="nobody"), CANNOT_CONNECT, "password authentication failed", "database.password_file")
    refuses(node, "postgresql://landfall@db.landfall.test/landfall", CANNOT_CONNECT, "db.landfall.test", REACH)
    refuses(node, url.replace("postgresql:", "mysql:"), USAGE, "database.url", "postgresql://USER@HOST:PORT/NAME")
    node.secret("password", "of somebody else")
    refuses(node, url, CANNOT_CONNECT, "password authentication failed", "database.password_file")
    node.secret("password", Database.PASSWORD)
    for wrong, right, told in [
        ("ALTER DATABASE landfall SET default_transaction_read_only = on", "ALTER DATABASE landfall RESET default_transaction_read_only", REACH),
        ("ALTER ROLE landfall CONNECTION LIMIT 0", "ALTER ROLE landfall CONNECTION LIMIT -1", MORE),
    ]:
        database.sql(wrong, database="postgres")
        refuses(node, url, CANNOT_CONNECT, told)
        database.sql(right, database="postgres")
    node.on(url).start().stop()
    assert tells_of_emptiness(node), "a key without its database is not told of"
    database.sql("INSERT INTO schema_versions (version, applied) SELECT max(version) + 7, 0 FROM schema_versions")
    refuses(node, url, REFUSED, "this build knows versions up to", "install the newer build")
    database.sql("DELETE FROM schema_versions WHERE applied = 0")
    node.log.unlink()
    node.on(url).start()
    assert not tells_of_emptiness(node), "what is there is called empty"


def causes(node):
    """What its log gives as the cause of errors."""
    lines = [json.loads(line) for line in node.text().splitlines() if line.startswith("{")]
    return [line["fields"]["cause"] for line in lines if line["level"] == "ERROR" and "cause" in line["fields"]]


def tells(node, remedy):
    """Says where it is asked, and in its log, what to do; and no secret."""
    def told():
        status, _, text = node.ask("/readyz")
        return status == 503 and remedy in text

    until(f"it says: {remedy}", told)
    assert any(remedy in cause for cause in causes(node)), f"{remedy} is not in the log"
    for text in (node.ask("/readyz")[2], node.text()):
        assert Database.PASSWORD not in text and "postgresql://" not in text, text


def goes_unasked(database, node, fleet):
    """Goes while nobody asks for anything: the log says so once, and that it is back; what is counted tells it too."""
    def counts():
        told = scrape(f"http://{node.admin}")
        return [told.sum(f"landfall_store_{what}_failures_total") for what in ("write", "read")]

    before, (writes, reads) = len(node.text()), counts()
    database.stop()
    until("the log says so", lambda: "renew its lease" in node.text()[before:])
    assert REACH in causes(node)[-1], causes(node)[-1]
    until("it is counted", lambda: counts()[0] > writes)
    # An operator's write fails where it looks at what stands there.
    answer = fleet.enroll(Named(node), "in-vain")
    assert answer.status == 503 and answer.headers["Retry-After"], f"{answer.status} {answer.text}"
    assert counts()[1] > reads, "the operator's write is not counted"
    database.start()
    until("the log says that it is back", lambda: "the database is back" in node.text()[before:])
    assert node.text()[before:].count("renew its lease") == 1, node.text()[before:]
    counted["away"] += 1


def unanswered(database, node):
    """A first start whose commit nobody confirms keeps its key: the database may be sealed with it, and is."""
    (node.data / "sealing.key").unlink(missing_ok=True)
    database.sql("CREATE DATABASE fresh OWNER landfall", database="postgres")
    url = url_of(database, name="fresh")
    node.on(url)
    done = subprocess.run([node.binary, "migrate", "--config", node.config], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    for setting in ("SET synchronous_standby_names = 'nobody'", "RESET synchronous_standby_names"):
        database.sql(f"ALTER SYSTEM {setting}", database="postgres")
        database.sql("SELECT pg_reload_conf()", database="postgres")
        if "nobody" in setting:
            refuses(node, url, CANNOT_CONNECT, "did not answer within", REACH)
    sealed = "SELECT count(*) FROM store_facts WHERE name = 'key check'"
    until("the commit comes about", lambda: database.sql(sealed, database="fresh") == "1")
    node.start().stop()


def goes_and_comes(fleet, node, prefix, go, come, remedy=REACH):
    """Goes under load: the server says so, lives on, and works again when it is back. Gives each device's hub."""
    process = node.process.pid
    with Load(fleet, [node], prefix, chance, breath=0.1) as load:
        load.until("registered", 20)
        go()
        before = load.done["put off"]
        until("devices are told to come back", lambda: load.done["put off"] >= before + 4 or load.wrong)
        until("it says that it is not ready", lambda: node.ask("/readyz")[0] == 503)
        tells(node, remedy)
        assert node.ask("/healthz")[0] == 200
        come()
        node.wait_until_ready()
        load.until("registered", 20)
    assert node.alive() and node.process.pid == process
    counted["away"] += 1
    counted["put off"] += load.done["put off"]
    return load.settle()


def shares_few(database, fleet, node):
    """With as few connections as it can do with everybody is answered: nobody is told to come back. Gives each device's hub."""
    limit, hubs = FEWEST, {}
    for number, wanting in enumerate(["everybody", "the one that writes"]):
        database.sql(f"ALTER ROLE landfall CONNECTION LIMIT {limit}")
        if wanting != "everybody":
            database.sql(f"{CUT_OFF} AND {IT_WRITES}")
        with Load(fleet, [node], f"few{number}", chance, workers=8) as load:
            if wanting == "everybody":
                database.sql(CUT_OFF)
            load.until("registered", 60)
        assert load.done["put off"] == 0, load.done
        hubs.update(load.settle())
        database.sql("ALTER ROLE landfall CONNECTION LIMIT -1")
        with Load(fleet, [node], f"more{number}", chance, workers=8) as load:
            until("readers have connections again", lambda: int(database.sql(f"SELECT count(*) {OF_LANDFALL}")) > FEWEST)
        hubs.update(load.settle())
        # Now those that read have all that there are. What writes is known by what it does while nobody asks anything.
        until("it renews its lease", lambda: database.sql(f"SELECT count(*) {OF_LANDFALL} AND {IT_WRITES}") == "1")
        limit = int(database.sql(f"SELECT count(*) {OF_LANDFALL}")) - 1
    return hubs


OF_LANDFALL = "FROM pg_stat_activity WHERE usename = 'landfall'"
IT_WRITES = "query LIKE '%SET%lease_until =%' AND state = 'idle'"
CUT_OFF = f"SELECT pg_terminate_backend(pid) {OF_LANDFALL}"
with contextlib.ExitStack() as everything:
    for version, programs in versions(everything):
        with contextlib.ExitStack() as running:
            database = running.enter_context(Database(programs, address)).make()
            node = running.enter_context(Node(work / version, address, ca))
            try:
                start_refused(database, node)
                fleet, hubs = Fleet(node), {}
                goes_unasked(database, node, fleet)
                hubs.update(goes_and_comes(fleet, node, "killed", database.kill, database.start))
                hubs.update(goes_and_comes(fleet, node, "stopped", database.stop, database.start))

                def taken():
                    database.sql("ALTER ROLE landfall CONNECTION LIMIT 0")
                    database.sql(CUT_OFF)

                hubs.update(shares_few(database, fleet, node))
                hubs.update(goes_and_comes(fleet, node, "taken", taken, lambda: database.sql("ALTER ROLE landfall CONNECTION LIMIT -1"), MORE))

                def locked_out():
                    database.sql("ALTER ROLE landfall PASSWORD 'of somebody else'", database="postgres")
                    database.sql(CUT_OFF)

                right = f"ALTER ROLE landfall PASSWORD '{Database.PASSWORD}'"
                hubs.update(goes_and_comes(fleet, node, "locked-out", locked_out, lambda: database.sql(right, database="postgres"), IDENTITY))
                each_on_its_hub(fleet, node, hubs)
                counted["devices"] += len(hubs)
                node.stop()
                unanswered(database, running.enter_context(Node(work / f"{version}-fresh", address, ca)))
            except BaseException:
                print(f"--- PostgreSQL {version}\n{node.text()[-3000:] if node.log.exists() else ''}")
                raise
print(f"PostgreSQL 15 and 18: {counted['refused']} starts refused with the remedy, {counted['away']} times away under load, "
      f"{counted['put off']} times told to come back, {counted['devices']} devices, none lost, none twice, no server started again")
