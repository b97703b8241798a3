"""A backup taken under load brings back every device that was acknowledged before it, and none in part.

Devices register as fast as they can while the backup is written. Restored into another folder, every
device that was assigned before the backup began is there, keeps its hub and device id, and no
registration is without its hub device. Nothing that fails on the way leaves anything behind: a full
disk, a killed restore, a wrong key, a cut file.
"""

import base64
import http.client
import json
import os
import pathlib
import secrets
import shutil
import subprocess
import threading
import time

from device import Client, derive, token
from server import Server

WORKERS = 3
ACKNOWLEDGED_BEFORE = 60
WITHIN_SECONDS = 60

work = pathlib.Path.cwd()
binary = os.environ["LANDFALL"]


def server_in(data):
    return Server(
        binary, data, os.environ["BIND_ADDRESS"], official_ports=bool(os.environ["OFFICIAL_PORTS"]), log="warn"
    )


def landfall(*words, code=0, prefix=(), stdin=subprocess.DEVNULL):
    """Runs a command, holds it to its exit code and gives what it said."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LANDFALL_")}
    done = subprocess.run(
        [*prefix, binary, *map(str, words)], capture_output=True, env=environment, stdin=stdin, timeout=120
    )
    said = (done.stdout + done.stderr).decode(errors="replace")
    assert done.returncode == code, f"{words} left with {done.returncode}:\n{said}"
    return said


server = server_in(work / "data").start()
scope = server.dev["idScope"]
group_key = base64.b64encode(secrets.token_bytes(64)).decode()
owner = server.connection_string("serviceConnectionString")


def service(running, method, path, body=None, headers=None):
    return Client(running).call(
        method, f"{path}?api-version=2021-10-01", body,
        token(owner["HostName"], owner["SharedAccessKey"], owner["SharedAccessKeyName"]), headers,
    )


made = service(server, "PUT", "/enrollmentGroups/fleet", {
    "enrollmentGroupId": "fleet",
    "attestation": {"type": "symmetricKey", "symmetricKey": {"primaryKey": group_key, "secondaryKey": group_key}},
    "initialTwin": {"tags": {"fleet": "one"}},
})
assert made.status == 200, made.text


def assigned(client, registration_id):
    """Registers a device and gives where it was put; `None` when the server went away meanwhile."""
    authorization = token(f"{scope}/registrations/{registration_id}", derive(group_key, registration_id), "registration")
    try:
        answer = client.register(scope, registration_id, authorization)
        operation = answer.body["operationId"]
        deadline = time.monotonic() + WITHIN_SECONDS
        while answer.status == 202:
            assert time.monotonic() < deadline, f"{registration_id}: still assigning"
            answer = client.operation(scope, registration_id, operation, authorization)
    except (OSError, http.client.HTTPException):
        return None
    assert answer.status == 200, f"{registration_id}: {answer.status} {answer.text}"
    state = answer.body["registrationState"]
    return operation, state["assignedHub"], state["deviceId"]


acknowledged = {}
stop = threading.Event()
broken = []


def load(worker):
    client = Client(server)
    number = 0
    while not stop.is_set():
        registration_id = f"dev-{worker}-{number}"
        number += 1
        try:
            place = assigned(client, registration_id)
        except Exception as error:  # told at the end, by the main thread
            broken.append(error)
            return
        if place is None:
            return
        acknowledged[registration_id] = place


threads = [threading.Thread(target=load, args=(worker,)) for worker in range(WORKERS)]
for thread in threads:
    thread.start()


def wait_for(count):
    deadline = time.monotonic() + WITHIN_SECONDS
    while len(acknowledged) < count:
        assert not broken, broken
        assert time.monotonic() < deadline, f"only {len(acknowledged)} devices registered"
        time.sleep(0.02)


wait_for(ACKNOWLEDGED_BEFORE)
backup = work / "monday.backup"
before = dict(acknowledged)
said = landfall("backup", backup, "--data", server.data)
wait_for(len(acknowledged) + 20)
stop.set()
for thread in threads:
    thread.join()
assert not broken, broken
assert "sealing.key" in said and "hub devices" in said, said
assert backup.stat().st_mode & 0o077 == 0, oct(backup.stat().st_mode)
text = backup.read_text()
assert group_key not in text and owner["SharedAccessKey"] not in text

# Nothing is written over; a disk that is full leaves nothing; a pipe takes the same.
said = landfall("backup", backup, "--data", server.data, code=4)
assert "is there already" in said and backup.read_text() == text
limited = ("sh", "-c", "trap '' XFSZ; ulimit -f 64; exec \"$0\" \"$@\"")
said = landfall("backup", work / "full.backup", "--data", server.data, code=1, prefix=limited)
assert "cannot write" in said and "make room" in said, said
assert not list(work.glob("full.backup*"))
whole = landfall("backup", "-", "--without-traces", "--data", server.data)
assert '"leftOut":["traces"]' in whole and '{"end":' in whole

server.kill()
landfall("backup", work / "stopped.backup", "--data", server.data)

# What does not fit is refused and leaves the folder as it was.
other = work / "other"
said = landfall("restore", backup, "--data", other, code=2)
assert "sealing.key is not there" in said, said
wrong = work / "wrong.key"
wrong.write_text(base64.b64encode(secrets.token_bytes(32)).decode())
said = landfall("restore", backup, "--data", other, "--sealing-key-file", wrong, code=1)
assert "was sealed with key" in said, said
key = server.data / "sealing.key"
cut = work / "cut.backup"
cut.write_text(text[: len(text) // 2])
said = landfall("restore", cut, "--data", other, "--sealing-key-file", key, code=1)
assert "cut off" in said, said
said = landfall("restore", backup, "--data", server.data, code=4)
assert "is there already" in said, said
assert [path.name for path in other.iterdir()] == ["landfall.lock"]

# kill -9 in the middle, while the database is half built; then the same command again.
environment = {name: value for name, value in os.environ.items() if not name.startswith("LANDFALL_")}
halfway = subprocess.Popen(
    [binary, "restore", "-", "--data", str(other), "--sealing-key-file", str(key)],
    stdin=subprocess.PIPE, env=environment,
)
halfway.stdin.write(text[: len(text) * 2 // 3].encode())
halfway.stdin.flush()
deadline = time.monotonic() + WITHIN_SECONDS
while not (other / "landfall.db.restoring").exists():
    assert time.monotonic() < deadline and halfway.poll() is None
    time.sleep(0.02)
halfway.kill()
halfway.wait()
assert not (other / "landfall.db").exists()
shutil.copy(key, work / "copy.key")
said = landfall("restore", backup, "--data", other, "--sealing-key-file", work / "copy.key")
assert not list(other.glob("*.restoring*")), list(other.iterdir())
assert (other / "sealing.key").stat().st_mode & 0o077 == 0

# What an administrator restores belongs to the server's user.
if os.getuid() == 0:
    theirs = work / "theirs"
    theirs.mkdir()
    os.chown(theirs, 12345, 12345)
    landfall("restore", backup, "--data", theirs, "--sealing-key-file", key)
    owners = {path.name: path.stat().st_uid for path in theirs.iterdir()}
    assert owners == dict.fromkeys(["landfall.db", "landfall.lock", "sealing.key"], 12345), owners

# The other server knows every device that was acknowledged before, and no other half.
server = server_in(other).start()
client = Client(server)
for registration_id, (operation, hub, device) in before.items():
    authorization = token(f"{scope}/registrations/{registration_id}", derive(group_key, registration_id), "registration")
    polled = client.operation(scope, registration_id, operation, authorization)
    assert polled.status == 200, f"{registration_id}: {polled.status} {polled.text}"
    state = polled.body["registrationState"]
    assert (state["assignedHub"], state["deviceId"]) == (hub, device), polled.text
    place = assigned(client, registration_id)
    assert place is not None and place[1:] == (hub, device), f"{registration_id}: {place}"


def everything(path, host, policy, key, version, body=None):
    """Every record of a listing, page by page."""
    asked = Client(server, host=host.split(":")[0])
    found, mark = [], None
    while True:
        answer = asked.call(
            "POST", f"{path}?api-version={version}", body, token(host, key, policy),
            {"x-ms-max-item-count": "1000", **({"x-ms-continuation": mark} if mark else {})},
        )
        assert answer.status == 200, answer.text
        found += answer.body
        mark = answer.headers.get("x-ms-continuation")
        if not mark:
            return found


registrations = {
    state["registrationId"]
    for state in everything(
        "/registrations/fleet/query", owner["HostName"], owner["SharedAccessKeyName"], owner["SharedAccessKey"],
        "2021-10-01",
    )
}
hub = server.connection_string("hubConnectionString")
devices = everything(
    "/devices/query", hub["HostName"], hub["SharedAccessKeyName"], hub["SharedAccessKey"], "2021-04-12",
    {"query": "SELECT * FROM devices WHERE tags.fleet = 'one'"},
)
devices = {twin["deviceId"] for twin in devices}
assert registrations == devices, f"torn: {registrations ^ devices}"
assert set(before) <= registrations
rows = json.loads(text.splitlines()[-1])["end"]["rows"]
# Those that registered after the restore were all there before it.
assert len(registrations) == rows["registrations"], (len(registrations), rows)
server.stop()
print(
    f"{len(before)} devices acknowledged before the backup are all there; "
    f"{len(registrations)} of {len(acknowledged)} in it, each whole"
)
