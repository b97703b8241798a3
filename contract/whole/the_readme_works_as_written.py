"""The README works as written: every `sh` block, in order, in one shell session against a fresh `landfall dev`.

The session starts in a folder that looks like a clone after the first command: `target/release/landfall`
and `landfall-data`. What the text around a block promises is looked for in what it printed. The lines
that `dev` itself prints for pasting are run first.
"""

import os
import pathlib
import re
import sys
import time

from document import blocks, prove_that_it_fails, session
from server import Server

README = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(os.environ["CONTRACT"]).parent / "README.md")

# What the blocks below a heading must print, as the README says around them.
PROMISED = {
    "Following the articles": [r"Id scope +0ne", r"^HostName=.*;SharedAccessKeyName=provisioningserviceowner;SharedAccessKey="],
    "An IoT Edge device with a symmetric key": [
        r"^Device id +edge-1", r"^IoT Edge +yes", r'"environment": "test"', r"^Status +assigned", r"^(\S{43}=)\n\1\n\1$",
    ],
    "Getting started: services, enrollments, disabled entries": [
        r"^lesson +0ne", r"^sensor-1 .* disabled ", r"^Provisioning status +enabled", r"^edge-2 +assigned", r"^Deleted enrollment sensor-1",
    ],
    "The REST articles: symmetric keys, with curl": [
        r'"status":"assigned".*"registrationId":"dps-sym-key-test01"',
        r'"status":"assigned".*"registrationId":"dps-test-sym-device01"',
        r'"errorCode":401\d{3}.*"Unauthorized"',
        r"^Failed check: sas\.group_key_itself",
    ],
    "The REST articles: X.509, with curl": [
        r'"status":"assigned".*"registrationId":"dps-test-device-01"',
    ],
}
ASSIGNED_BY_CERTIFICATE = 3


def pasted(printed):
    """The lines that `dev` prints for pasting."""
    return [line.strip() for line in printed.splitlines() if re.match(r"  (curl|\S*landfall) ", line)]


work = pathlib.Path.cwd()
clone = work / "clone"
(clone / "target" / "release").mkdir(parents=True)
(clone / "target" / "release" / "landfall").symlink_to(os.environ["LANDFALL"])
environment = {name: value for name, value in os.environ.items() if not name.startswith("LANDFALL")}

prove_that_it_fails(work, environment)

server = Server(os.environ["LANDFALL"], clone / "landfall-data", os.environ["BIND_ADDRESS"], bool(os.environ["OFFICIAL_PORTS"])).start()
try:
    for _ in range(100):
        printed = server.printed.read_text()
        if "Stop with Ctrl-C." in printed:
            break
        time.sleep(0.05)
    for shown in ("A simulated device was provisioned", "Landfall is ready", server.dev["idScope"],
                  server.dev["serviceConnectionString"], server.dev["hubConnectionString"], server.dev["caFile"]):
        assert shown in printed, f"dev does not print {shown!r}"
    lines = pasted(printed)
    assert [pathlib.Path(line.split()[0]).name for line in lines] == ["landfall", "curl", "landfall"], f"dev prints for pasting: {lines}"
    on_path = {**environment, "PATH": f"{clone / 'target' / 'release'}:{environment['PATH']}"}
    answers, failure = session("dev", [("what dev prints", index, line) for index, line in enumerate(lines)], clone, on_path)
    assert failure is None, failure
    assert '"status":"assigning"' in answers[1], f"the printed curl line was answered {answers[1]}"

    parts = blocks(README.read_text())
    assert len(parts) >= 10, f"only {len(parts)} sh blocks were found"
    said, failure = session(README.name, parts, clone, environment)
    assert failure is None, failure
    headings = {heading for heading, _, _ in parts}
    for heading, patterns in PROMISED.items():
        assert heading in headings, f"no block stands below {heading!r}"
        text = "\n".join(said[index] for index, part in enumerate(parts) if part[0] == heading)
        for pattern in patterns:
            assert re.search(pattern, text, re.MULTILINE), f"below {heading!r} nothing matches /{pattern}/:\n{text}"
    certificate = len(re.findall(r'^\{"operationId".*"status":"assigned".*"registrationId":"dps-test-device-01"', "\n".join(said), re.MULTILINE))
    assert certificate == ASSIGNED_BY_CERTIFICATE, f"{certificate} of {ASSIGNED_BY_CERTIFICATE} certificate flows ended assigned"
    if os.environ.get("README_SHOW"):
        print("\n".join(said))
finally:
    server.stop()
print(f"{len(parts)} blocks of {README.name} passed in one session")
