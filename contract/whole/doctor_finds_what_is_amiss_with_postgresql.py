"""`landfall doctor` on PostgreSQL, oldest version and newest: nothing is amiss with one that is well; then each thing is
broken for real, found, and told with its remedy: a standby, a disk that is not waited for, few connections left or none, a
wrong password.
"""

import contextlib
import json
import os
import pathlib
import subprocess

from database import Database, url_of, versions
from node import Node, authority

work, address = pathlib.Path.cwd(), os.environ["BIND_ADDRESS"]
ca = authority(work / "tls")
CLEAN = {name: value for name, value in os.environ.items() if not name.startswith("LANDFALL_")}
seen = set()


def amiss(node):
    """What it finds that is not well with database and key: (subject, result) to what was seen."""
    done = subprocess.run([node.binary, "doctor", "--config", str(node.config), "--json"], capture_output=True, text=True,
                          env=CLEAN, timeout=60, cwd=work)
    assert done.stdout, done.stderr
    assert Database.PASSWORD not in done.stdout + done.stderr
    found = [one for one in json.loads(done.stdout)["findings"] if one["result"] != "ok" and one["subject"] in ("database", "sealing key")]
    assert all(one["fix"] for one in found), found
    return {(one["subject"], one["result"]): (one["what"], one["fix"]) for one in found}


def finds(node, text, remedy, subject="database", result="failure"):
    """Holds it to finding this with this remedy, and nothing else of the database."""
    found = amiss(node)
    assert list(found) == [(subject, result)], found
    what, fix = found[subject, result]
    assert text in what and remedy in fix, found
    seen.add(text)


def others(database, busy):
    """Another program that holds a connection."""
    words = [str(database.programs / "psql"), "-X", "-A", "-t", "-q", "-h", str(database.folder), "-p", str(database.port)]
    held = subprocess.Popen([*words, "-U", "boss", "-d", "postgres"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd="/")
    busy.callback(held.communicate)
    held.stdin.write("SELECT 'there';\n")
    held.stdin.flush()
    assert held.stdout.readline() == "there\n"


with contextlib.ExitStack() as everything:
    for version, programs in versions(everything):
        with contextlib.ExitStack() as running:
            database = running.enter_context(Database(programs, address)).make()
            node = running.enter_context(Node(work / version, address, ca)).on(url_of(database))
            node.start()
            assert amiss(node) == {}, amiss(node)
            node.stop()
            assert amiss(node) == {}, "after a stop"

            standby = running.enter_context(database.standby("follower"))
            node.on(url_of(standby))
            finds(node, "takes no writes", "name the primary in database.url")
            node.on(url_of(standby, database))
            assert amiss(node) == {}, amiss(node)
            node.on(url_of(database))
            for setting in ("fsync", "synchronous_commit"):
                database.sql(f"ALTER SYSTEM SET {setting} = off")
                database.sql("SELECT pg_reload_conf()")
                finds(node, "before they are on its disk", "set fsync = on and synchronous_commit = on")
                database.sql(f"ALTER SYSTEM RESET {setting}")
                database.sql("SELECT pg_reload_conf()")
            assert amiss(node) == {}, amiss(node)
            database.stop()
            database.start(max_connections=13, superuser_reserved_connections=3, max_wal_senders=2)
            with contextlib.ExitStack() as busy:
                for number in range(1, 11):
                    others(database, busy)
                    # Doctor's own is one more; the last that open are told of, and none left.
                    if number == 9:
                        finds(node, "10 of 10 connections", "raise max_connections", result="warning")
                finds(node, "connection slots are reserved", "raise max_connections")
            node.secret("password", "of somebody else")
            finds(node, "password authentication failed", "database.password_file")
            node.secret("password", Database.PASSWORD)
print(f"PostgreSQL 15 and 18: {len(seen)} kinds of findings, each with its remedy")
