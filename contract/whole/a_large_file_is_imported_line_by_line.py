"""A file of fifty thousand enrollments is imported while its server is killed; bad lines cost only themselves.

The import outlives a kill -9 of the server, and a killed import is given again without harm. Two imports of one
file at once make each record once. Lines of every bad kind are refused with their numbers, and nothing of them is
repeated that may be a key. A table is imported as well as lines are.
"""

import base64
import hashlib
import http.client
import json
import os
import pathlib
import signal
import ssl
import subprocess
import time

from device import Client, token
from server import Server

MANY = 50_000
WITHIN_SECONDS = 300

work = pathlib.Path.cwd()
binary = os.environ["LANDFALL"]
environment = {name: value for name, value in os.environ.items() if not name.startswith("LANDFALL_")}


def key(text):
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def record(number, prefix="device", **more):
    name = f"{prefix}-{number:06}"
    keys = {"primaryKey": key(name), "secondaryKey": key(name + "'")}
    return {
        "registrationId": name, "attestation": {"type": "symmetricKey", "symmetricKey": keys},
        "initialTwin": {"tags": {"site": f"plant-{number % 7}"}}, **more,
    }


def line(content, kind="enrollment"):
    return json.dumps({"kind": kind, "record": content})


def importing(server, *words):
    return subprocess.Popen(
        [binary, "enrollment", "import", *map(str, words), "--data", server.data, "--json"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, cwd=work,
    )


def ended(running, code=0):
    """Waits for an import and gives what it printed."""
    out, err = running.communicate(timeout=WITHIN_SECONDS)
    assert running.returncode == code, f"left with {running.returncode}: {out}{err}"
    return json.loads(out)


def service(server, method, path, body=None):
    owner = server.connection_string("serviceConnectionString")
    authorization = token(owner["HostName"], owner["SharedAccessKey"], owner["SharedAccessKeyName"])
    client = Client(server)
    answer = client.call(method, f"{path}?api-version=2021-10-01", body, authorization)
    client.close()
    return answer


def until(server, name):
    """Waits until a record is there."""
    deadline = time.monotonic() + WITHIN_SECONDS
    while service(server, "GET", f"/enrollments/{name}").status != 200:
        assert time.monotonic() < deadline, f"no {name}"
        time.sleep(0.02)


class Fixed(Server):
    """A server that comes back where it was."""

    def command_line(self):
        words = super().command_line()
        if self.dev and "--https-port" in words:
            words[words.index("--https-port") + 1] = str(self.dev["httpsPort"])
        return words


def counted(server, text):
    """Sends a text to the route itself and gives the lines that it answers."""
    tls = ssl.create_default_context(cafile=server.dev["caFile"])
    connection = http.client.HTTPSConnection(server.dev["host"], server.dev["httpsPort"], context=tls, timeout=60)
    control = {"Authorization": f"Bearer {server.dev['controlPlane']['token']}"}
    connection.request("POST", "/landfall/enrollments/import", iter([text]), control, encode_chunked=True)
    answer = connection.getresponse()
    assert answer.status == 200 and answer.headers["Content-Type"] == "application/x-ndjson"
    lines = [json.loads(line) for line in answer.read().splitlines()]
    connection.close()
    return lines


server = Fixed(binary, work / "data", os.environ["BIND_ADDRESS"], bool(os.environ["OFFICIAL_PORTS"]), log="warn").start()

# The server is killed on the way and comes back; the same command goes on.
large = work / "large.jsonl"
large.write_text("".join(line(record(number)) + "\n" for number in range(MANY)))
running = importing(server, large)
until(server, f"device-{MANY // 5:06}")
server.kill()
assert running.poll() is None
server.start()
said = ended(running)
assert said["failedLines"] == 0 and said["created"] + said["unchanged"] == MANY, said
assert said["created"] < MANY, f"the server was killed after the import: {said}"
for number in (0, MANY // 2, MANY - 1):
    name = f"device-{number:06}"
    kept = service(server, "POST", f"/enrollments/{name}/attestationmechanism").body
    assert kept["symmetricKey"]["primaryKey"] == key(name), kept

# The trail says who imported how many, and names none.
trail = server.json("audit", "--kind", "enrollment", "--top", "200")["value"]
imported = [entry for entry in trail if entry["action"] == "create" and "count" in entry]
assert sum(entry["count"] for entry in imported) == MANY, imported
assert all(entry["actor"]["type"] == "servicePolicy" and "ids" not in entry for entry in imported), imported

# A killed import, and two of one file at once: each record is made once.
small = work / "small.jsonl"
small.write_text("".join(line(record(number, "second")) + "\n" for number in range(6000)))
running = importing(server, small)
until(server, "second-000100")
running.kill()
running.communicate()
both = [ended(running) for running in [importing(server, small), importing(server, small)]]
assert all(said["created"] + said["unchanged"] == 6000 for said in both), both
third = work / "third.jsonl"
third.write_text("".join(line(record(number, "third")) + "\n" for number in range(3000)))
both = [ended(running) for running in [importing(server, third), importing(server, third)]]
assert sum(said["created"] for said in both) == 3000 and all(not said["failed"] for said in both), both

# Every kind of bad line costs only itself.
endorsement = {"type": "tpm", "tpm": {"endorsementKey": key("endorsement")}}
secret = "hush"
lines = [
    ("\ufeff" + line(record(1, "good")), None),
    (line(record(2, "good")) + "\r", None),
    ("", None),
    ('{"kind":"enrollment","record":{"registrationId":"hush', "no JSON"),
    (line(record(3, "bad")).encode().replace(b"bad", b"\xff\xfe"), "no JSON"),
    (line(record(4, "bad", deviceId="a\0b")), "NUL"),
    (line(record(5, "bad", optionalDeviceInformation={"note": "x" * 150_000})), "longer than"),
    (line(record(6, "bad", optionalDeviceInformation={"note": "x" * 3_000_000})), "longer than"),
    ("x" * 2_000_000, "longer than"),
    (line(record(1, "good")), None),
    (line(record(1, "GOOD", provisioningStatus="disabled")), "differs in attestation, provisioningStatus"),
    (line({**record(7, "bad"), "registrationId": "no good"}), "registration id"),
    (line(record(8, "bad"), kind="device"), "none of"),
    (line(record(9, "bad", iotHubs=["far.example"])), "--map-hub"),
    (line({**record(10, "bad"), "attestation": {"type": "symmetricKey"}}), "--keys"),
    (line(record(11, "bad")).replace(key("bad-000011"), "hush"), "primaryKey"),
    (line({**record(12, "good"), "attestation": endorsement}), None),
    (line({**record(13, "bad"), "attestation": endorsement}), "endorsement key"),
    (line(record(14, "bad", initialTwin={"tags": {"a$b": 1}})), "initialTwin"),
    ('{"kind":"note","text":"of an export"}', None),
    ("[]", "no JSON object"),
    (line({"enrollmentGroupId": "a-group", "attestation": record(15)["attestation"]}, kind="group"), None),
    (line(record(16, "good")), None),
]
texts = [text if isinstance(text, bytes) else text.encode() for text, _ in lines]
bad = work / "bad.jsonl"
bad.write_bytes(b"\n".join(texts))
said = ended(importing(server, bad, "--refused", work / "refused.jsonl"), code=1)
wanted = [(number, word) for number, (_, word) in enumerate(lines, 1) if word]
report = [json.loads(text) for text in (work / "refused.jsonl").read_text().splitlines()]
assert [told["line"] for told in report] == [number for number, _ in wanted], report
for told, (number, word) in zip(report, wanted):
    assert word in told["reason"] and secret not in told["reason"], f"line {number}: {told}"
assert (said["created"], said["unchanged"], said["failedLines"]) == (5, 1, len(wanted)), said

# The same by the route itself, whatever client sends it.
lines = counted(server, b"\n".join(texts))
assert lines[-1] == {
    "settled": len(texts), "created": 0, "replaced": 0, "unchanged": 6, "skipped": 0, "refused": len(wanted), "end": "whole",
}, lines[-1]
assert [told["line"] for told in lines if "line" in told] == [number for number, _ in wanted]

# A table says the same as lines; --on-conflict is heeded.
table = work / "devices.csv"
table.write_text(
    "registrationId;primaryKey;secondaryKey;tags.site;tags.floor;iotEdge;provisioningStatus\n"
    + "".join(f"row-{number};{key('p')};{key('s')};\"plant; {number}\";{number};yes;\n" for number in range(5))
    + "row-9;only three;cells\n"
)
said = ended(importing(server, table), code=1)
assert (said["created"], [told["line"] for told in said["failed"]]) == (5, [7]), said
row = service(server, "GET", "/enrollments/row-3").body
assert row["initialTwin"]["tags"] == {"site": "plant; 3", "floor": 3} and row["capabilities"]["iotEdge"] is True, row
table.write_text(f"registrationId,primaryKey,secondaryKey,provisioningStatus\nrow-3,{key('p')},{key('s')},disabled\n")
assert "iotEdge" in json.dumps(row) and ended(importing(server, table), code=1)["failed"][0]["line"] == 2
assert ended(importing(server, table, "--on-conflict", "skip"))["skipped"] == 1
assert ended(importing(server, table, "--on-conflict", "replace", "--dry-run"))["replaced"] == 1
assert service(server, "GET", "/enrollments/row-3").body["provisioningStatus"] == "enabled"
assert ended(importing(server, table, "--on-conflict", "replace"))["replaced"] == 1
assert service(server, "GET", "/enrollments/row-3").body["provisioningStatus"] == "disabled"

# Without a server there is a clear end that says how far it came.
running = importing(server, large)
time.sleep(0.5)
running.send_signal(signal.SIGINT)
out, err = running.communicate(timeout=WITHIN_SECONDS)
assert running.returncode == 1 and "the same command continues" in err, out + err
server.stop()
print(f"{MANY} lines over a kill -9; {len(wanted)} bad lines told")
