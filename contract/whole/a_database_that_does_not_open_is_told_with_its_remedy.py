"""A server, `dev` and `migrate` on a database that cannot be used: each says what is wrong and what to do, and leaves it alone.

A newer schema, rubbish in its place, a folder in its place, half a file, a lock of another program, another sealing key, a
read-only disk, files and a folder without rights. Two servers that start on one folder at once, and a server beside
`migrate`: one goes first, the other says so or comes after it. Put right, the same server starts with all that it had.
"""

import hashlib
import os
import pathlib
import shutil
import sqlite3
import subprocess

from outage import CLEAN, Fleet
from small_disk import SmallDisk

ROUNDS = 3

work = pathlib.Path.cwd()
binary, address = os.environ["LANDFALL"], os.environ["BIND_ADDRESS"]
# Root may read and write whatever the modes say, unless it lays that right down.
WITHOUT_RIGHTS = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
told = 0


def run(server, *words):
    done = subprocess.run(
        [*server.before, binary, *map(str, words)], capture_output=True, text=True, env=CLEAN, timeout=60, cwd="/",
        stdin=subprocess.DEVNULL,
    )
    return done.returncode, done.stderr


def everyone(server):
    """Whoever opens a database: by which words."""
    yield "serve", ["serve", "--config", server.config]
    yield "migrate", ["migrate", "--config", server.config]
    yield "dev", ["dev", "--data", server.data, "--bind", address, "--https-port", server.port, "--admin-port", "0"]


def refuses(server, wrong, remedy, but=()):
    """Holds each to an end with 1, what is wrong, and the remedy."""
    global told
    for who, words in everyone(server):
        if who not in but:
            status, said = run(server, *words)
            assert status == 1, f"{who} left with {status}: {said}"
            error = next((text for text in said.splitlines() if text.startswith("error: ")), "")
            assert wrong in error, f"{who}: {wrong!r} is not in {said}"
            assert remedy in said.partition("error: ")[2], f"{who}: {remedy!r} is not in {said}"
            told += 1


def content(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


class Spoilt:
    """The server's database in a state that is no good; as it was again afterwards."""

    def __init__(self, server, kept):
        self.server, self.kept = server, kept

    def __enter__(self):
        for leftover in self.server.data.glob("landfall.db*"):
            leftover.unlink()
        shutil.copy(self.kept, self.server.database)
        return self.server.database

    def __exit__(self, *_):
        self.server.data.chmod(0o700)
        self.__enter__()


def spoil(server, kept):
    """The file itself is no good."""
    with Spoilt(server, kept) as database:
        with sqlite3.connect(database) as connection:
            newest = connection.execute("SELECT max(version) FROM schema_versions").fetchone()[0]
            connection.execute("INSERT INTO schema_versions (version, applied) VALUES (?, 0)", (newest + 7,))
        connection.close()
        before = content(database)
        refuses(server, f"has schema version {newest + 7}, this build knows versions up to {newest}", "fix: install the newer build")
        assert content(database) == before, "what a newer build made was touched"
    with Spoilt(server, kept) as database:
        database.write_bytes(b"This is no database. " * 1000)
        before = content(database)
        refuses(server, "file is not a database", "fix: something else stands in its place")
        assert content(database) == before, "what is somebody else's was touched"
    with Spoilt(server, kept) as database:
        with open(database, "r+b") as file:
            file.truncate(3 * 8192)
        refuses(server, "malformed", "restore a backup with `landfall restore`")
    with Spoilt(server, kept) as database:
        database.unlink()
        database.mkdir()
        refuses(server, "cannot be opened", "fix: see that its folder is there")
        database.rmdir()


def lock(server, kept):
    """Another program has it, or another key sealed it, or nobody may."""
    with Spoilt(server, kept) as database:
        other = sqlite3.connect(database, isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        refuses(server, "database is locked", "fix: another program holds it", but=["dev"])
        other.close()
    key = server.data / "sealing.key"
    right = key.read_bytes()
    key.write_text("A" * 43 + "=")
    refuses(server, "the sealing key does not fit", "fix: put back the sealing.key", but=["migrate"])
    key.unlink()
    refuses(server, "sealing.key is missing", "restore it from a backup", but=["migrate"])
    key.write_bytes(right)
    key.chmod(0o600)
    server.before = WITHOUT_RIGHTS
    with Spoilt(server, kept) as database:
        database.chmod(0)
        refuses(server, "cannot be opened: ", "the server's user may enter it and read and write")
        database.chmod(0o400)
        refuses(server, "cannot be opened: ", "the server's user may enter it and read and write")
    with Spoilt(server, kept):
        server.data.chmod(0o500)
        refuses(server, "readonly database", "fix: see that its folder is there")
        server.data.chmod(0)
        refuses(server, "Permission denied", "can be written")
    server.before = []


def read_only(kept):
    """A disk that nobody may write to."""
    with SmallDisk(work / "small", 20) as disk, Fleet(binary, work / "small-serve", address, data=disk.folder) as server:
        server.before = disk.inside
        server.start().stop()
        disk.remount("ro")
        refuses(server, "Read-only file system", "can be written")
        disk.remount("rw")
        server.start().stop()


def at_once(server):
    """Two servers on one new folder: one serves, the other says that it does not."""
    for number in range(ROUNDS):
        data = work / f"shared-{number}"
        pair = [Fleet(binary, work / f"twin-{number}-{one}", address, data=data) for one in "ab"]
        with pair[0], pair[1]:
            for one in pair:
                one.launch()
            left = pair[0].until("one of them to leave", lambda: [one for one in pair if one.process.poll() is not None])
            assert len(left) == 1, [one.text() for one in pair]
            stays = pair[1 - pair.index(left[0])].wait_until_ready()
            assert left[0].process.returncode == 1, left[0].text()
            assert "is in use by another landfall" in left[0].text(), left[0].text()
            stays.found().register_many(2)
            stays.kept()
            status, said = run(stays, "migrate", "--config", stays.config)
            assert status == 1 and "is in use by another landfall: stop that one" in said, said
            stays.stop()
    # Another folder does not help: the key is in the first.
    other = Fleet(binary, work / "other", address, database=server.database)
    status, said = other.refused()
    assert status == 1 and "sealing.key is missing" in said, said


def beside_migrate():
    """A server starts on an old database while `migrate` is at it."""
    fixture = pathlib.Path(os.environ["CONTRACT"]).parent / "crates/landfall-store/tests/fixtures/schema-1"
    for number in range(ROUNDS):
        server = Fleet(binary, work / f"old-{number}", address)
        server.data.mkdir(mode=0o700)
        with sqlite3.connect(server.database) as connection:
            connection.executescript((fixture / "landfall.sql").read_text())
        connection.close()
        shutil.copy(fixture / "sealing.key", server.data)
        with server:
            migrating = subprocess.Popen(
                [binary, "migrate", "--config", server.config], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=CLEAN)
            server.launch()
            out, err = migrating.communicate(timeout=60)
            first = migrating.returncode == 0
            assert ("had schema version 1" in out) if first else ("is in use by another landfall" in err), out + err
            server.until("an end or a start", lambda: server.process.poll() is not None or server.ask("/readyz")[0] == 200)
            if server.process.poll() is not None:
                assert first and "is in use by another landfall" in server.text(), server.text()
                server.start()
            server.stop()
        with sqlite3.connect(server.database) as connection:
            versions = [row[0] for row in connection.execute("SELECT version FROM schema_versions ORDER BY version")]
        connection.close()
        assert versions == list(range(1, len(versions) + 1)) and len(versions) > 1, versions


with Fleet(binary, work / "serve", address) as server:
    server.start().found().register_many(5)
    server.stop()
    kept = work / "kept.db"
    shutil.copy(server.database, kept)
    spoil(server, kept)
    lock(server, kept)
    server.start()
    assert server.kept() == 5
    server.stop()
    read_only(kept)
    at_once(server)
    beside_migrate()
print(f"{told} refusals, each with its remedy")
