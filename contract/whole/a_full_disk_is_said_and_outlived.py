"""The disk of a database runs full under devices and in the midst of an import, and gets room again.

While it is full, devices are told to come back, `/readyz` says why, what is there can be read and the import waits. With
room everything goes on by itself. Nothing that was acknowledged is lost, nothing that was put off is half there, and the
file is whole. A server that is started on a full disk says so, and leaves nothing that would harm the next start.
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

MEGABYTES = 96
LINES = 12_000
BULKY = {"note": "x" * 20_000}

work = pathlib.Path.cwd()
binary, address = os.environ["LANDFALL"], os.environ["BIND_ADDRESS"]
KEY = base64.b64encode(b"k" * 64).decode()


def line(number):
    attestation = {"type": "symmetricKey", "symmetricKey": {"primaryKey": KEY, "secondaryKey": KEY}}
    record = {"registrationId": f"imported-{number:05}", "attestation": attestation}
    return json.dumps({"kind": "enrollment", "record": record}) + "\n"


def whole(database):
    """Whether SQLite finds nothing amiss in a copy of the file."""
    shutil.copy(database, work / "copy.db")
    with sqlite3.connect(work / "copy.db") as connection:
        found = connection.execute("PRAGMA integrity_check").fetchall()
    connection.close()
    assert found == [("ok",)], found


def full_under_devices(server, disk):
    """Devices register until nothing fits; what was acknowledged is there all the while."""
    server.register_many(30)
    disk.fill()
    while server.register(payload=BULKY).status == 202:
        pass
    reason = server.unready("make room on its disk")
    assert "disk is full" in reason, reason
    for _ in range(20):
        server.register(payload=BULKY)
    assert len(server.put_off) > 20, "they did not read 503"
    assert any("group of writes failed" in message for message in server.messages("ERROR")), server.text()
    server.kept()
    disk.free()
    server.ready_again()
    server.register_many(30)
    return server.kept()


def full_under_an_import(server, disk):
    """A disk that runs full in an import stops it for as long as it is full."""
    file = work / "many.jsonl"
    file.write_text("".join(map(line, range(LINES))))
    disk.fill(but=3)
    running = subprocess.Popen(
        [binary, "enrollment", "import", str(file), "--data", str(server.data), "--json"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=CLEAN, cwd=work,
    )
    server.unready("make room on its disk")
    # Where a batch finds no room a single device still may.
    disk.fill()
    while server.register(payload=BULKY).status == 202:
        pass
    assert running.poll() is None, running.communicate()
    disk.free()
    server.ready_again()
    out, err = running.communicate(timeout=240)
    assert running.returncode == 0, f"left with {running.returncode}: {out}{err}"
    said = json.loads(out)
    assert said["failedLines"] == 0 and said["created"] + said["unchanged"] == LINES, said
    assert said["created"], said
    for number in (0, LINES // 2, LINES - 1):
        answer = server.service("GET", f"/enrollments/imported-{number:05}")
        assert answer.status == 200, f"{number}: {answer.status}"
    again = server.command("enrollment", "import", file, "--json")
    assert json.loads(again.stdout)["unchanged"] == LINES, again


def full_at_a_start(disk):
    """A first start on a full disk, and the start of a server that was stopped."""
    server = Fleet(binary, work / "late", address, data=disk.folder / "late")
    server.before = disk.inside
    (disk.seen / "late").mkdir(mode=0o700)
    disk.fill()
    status, said = server.refused()
    assert status == 1 and "No space left" in said and "has space" in said, (status, said)
    left = sorted(path.name for path in (disk.seen / "late").iterdir())
    assert left == ["landfall.lock"], f"half-written: {left}"
    disk.free()
    server.start().stop()
    disk.fill()
    status, said = server.refused()
    assert status == 1 and "late/landfall.db cannot be opened" in said and "fix: see that there is room on its disk" in said, said
    disk.free()
    server.start().stop()


with SmallDisk(work / "small", MEGABYTES) as disk:
    with Fleet(binary, work / "serve", address, database=disk.folder / "landfall.db") as server:
        server.before = disk.inside
        server.start().found()
        full_under_devices(server, disk)
        full_under_an_import(server, disk)
        acknowledged = server.kept()
        server.stop()
        whole(disk.seen / "landfall.db")
        server.start()
        assert server.kept() == acknowledged
        server.stop()
    full_at_a_start(disk)
print(f"{acknowledged} devices acknowledged and there, {len(server.put_off)} told to come back, {LINES} lines imported")
