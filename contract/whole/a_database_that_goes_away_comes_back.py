"""A running server's database is held by another program, moved away, shut off, made read-only and exchanged; then it is back.

While it lasts devices are told to come back and `/readyz` says why: nothing is acknowledged that the next start would not
find. Then the same process goes on. Nothing that was acknowledged is lost, nothing that was put off is half there. An import
waits meanwhile. Only another file in its place needs a restart, and says so.
"""

import base64
import json
import os
import pathlib
import shutil
import sqlite3
import subprocess

from outage import CLEAN, Fleet
from small_disk import SmallDisk

work = pathlib.Path.cwd()
binary, address = os.environ["LANDFALL"], os.environ["BIND_ADDRESS"]
WITHOUT_RIGHTS = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
DEVICES = 10
outages = []


class Outage:
    """Something keeps the server from writing; devices come meanwhile, and afterwards."""

    def __init__(self, server, reason):
        self.server, self.reason = server, reason

    def __enter__(self):
        self.server.register_many(DEVICES)

    def __exit__(self, *_):
        if not any(_):
            self.server.ready_again()
            self.server.register_many(DEVICES)
            self.server.kept()
            outages.append(self.reason)

    def lasts(self):
        """Holds the server to saying so, to devices and to whoever asks."""
        for _ in range(DEVICES):
            assert self.server.register().status == 503
        self.server.unready(self.reason)
        assert self.server.register().status == 503
        causes = [json.loads(line)["fields"].get("cause", "") for line in self.server.text().splitlines() if line.startswith("{")]
        assert any(self.reason in cause for cause in causes), f"{self.reason!r} is not in the log"


def held(server):
    """Another program writes, and does not end."""
    outage = Outage(server, "database is locked")
    with outage:
        other = sqlite3.connect(server.database, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        outage.lasts()
        assert "end that program" in server.unready("another program holds it")
        file = work / "few.jsonl"
        key = base64.b64encode(b"k" * 64).decode()
        attestation = {"type": "symmetricKey", "symmetricKey": {"primaryKey": key, "secondaryKey": key}}
        records = [{"registrationId": f"few-{number}", "attestation": attestation} for number in range(100)]
        file.write_text("".join(json.dumps({"kind": "enrollment", "record": record}) + "\n" for record in records))
        importing = subprocess.Popen(
            [binary, "enrollment", "import", str(file), "--data", str(server.data), "--json"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=CLEAN, cwd=work)
        told = importing.stderr.readline()
        assert "cannot write now: waiting" in told, told
        other.close()
    out, err = importing.communicate(timeout=120)
    assert importing.returncode == 0 and json.loads(out)["created"] == 100, out + err


def moved(server):
    """The folder is somewhere else: what was written there would be lost to the next start."""
    outage = Outage(server, "cannot be reached: No such file or directory")
    with outage:
        away = server.data.rename(work / "away")
        outage.lasts()
        assert server.service("GET", "/enrollmentGroups/fleet").status == 200, "what is open can be read"
        assert not server.data.exists(), "it made a folder anew"
        away.rename(server.data)


def shut(server):
    """Nobody may enter the folder any more."""
    outage = Outage(server, "cannot be reached: Permission denied")
    with outage:
        server.data.chmod(0)
        outage.lasts()
        server.data.chmod(0o700)


def exchanged(server):
    """A backup is put in the place of the open database."""
    outage = Outage(server, "another file stands at")
    with outage:
        copy, original = work / "copy.db", work / "original.db"
        shutil.copy(server.database, copy)
        server.database.rename(original)
        shutil.copy(copy, server.database)
        before = server.database.read_bytes()
        outage.lasts()
        assert "restart the server" in server.unready("put back the one that this server opened")
        assert server.database.read_bytes() == before, "it wrote into what it never opened"
        server.database.unlink()
        original.rename(server.database)


def tells_of_emptiness(server):
    """Whether it said that its key was there before its database."""
    return any("is empty, and" in text and "sealing.key was there before it" in text for text in server.messages("WARN"))


def lost(server):
    """The file is gone when the server starts: it says that it begins anew, beside the key of another."""
    for file in server.data.glob("landfall.db*"):
        file.rename(work / file.name)
    server.start()
    assert tells_of_emptiness(server), server.text()
    server.stop()


def read_only():
    """The disk is made read-only, which is noticed where the database must be opened anew."""
    with SmallDisk(work / "small", 16) as disk, Fleet(
        binary, work / "second", address, database=disk.folder / "landfall.db",
    ) as server:
        server.before = disk.inside
        server.start().found()
        outage = Outage(server, "and that the disk takes writes")
        with outage:
            disk.cover()
            disk.fill()
            while server.register(payload={"note": "x" * 20_000}).status == 202:
                pass
            disk.free()
            outage.lasts()
            disk.uncover()
        server.stop()


with Fleet(binary, work / "serve", address) as server:
    server.before = WITHOUT_RIGHTS
    server.start().found()
    for takes_away in (held, moved, shut, exchanged):
        takes_away(server)
    acknowledged = server.kept()
    server.stop()
    server.start()
    assert server.kept() == acknowledged
    server.stop()
    assert not tells_of_emptiness(server), "what is there is called empty"
    lost(server)
read_only()
print(f"{len(outages)} outages, {acknowledged} devices acknowledged and there, {len(server.put_off)} told to come back")
