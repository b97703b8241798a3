"""The README followed from a running `landfall dev` on: the lines that `dev` prints for pasting, then every
`sh` block in one shell session, and what the text around a block promises looked for in what it printed.

Whoever calls this started the server and says who follows. Not a test.
"""

import pathlib
import re
import time

from document import blocks, session

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
        r"^Accepted, at .*: 'dps-test-device-01' through enrollment group 'by-root'\.$",
    ],
}
ASSIGNED_BY_CERTIFICATE = 3
LAST_PRINTED = "Stop with Ctrl-C."


def first_command(readme):
    """The words that the first minute gives to `landfall`: what follows `cargo run --release --`."""
    found = re.search(r"^## The first minute$.*?^```$\n^cargo run --release -- ([^\n]+)\n^```$", readme.read_text(), re.MULTILINE | re.DOTALL)
    assert found, f"{readme}: below \"The first minute\" stands no block with `cargo run --release -- …`"
    return found.group(1).split()


def follow(readme, clone, server, environment, **process):
    """Pastes what the running server printed and what the README shows. Gives what each block printed.

    `process` says how the shells are started, for instance by which user.
    """
    lines = _pasted(_printed(server))
    assert [pathlib.Path(line.split()[0]).name for line in lines] == ["landfall", "curl", "landfall"], f"dev prints for pasting: {lines}"
    on_path = {**environment, "PATH": f"{clone / 'target' / 'release'}:{environment['PATH']}"}
    answers, failure = session("dev", [("what dev prints", index, line) for index, line in enumerate(lines)], clone, on_path, **process)
    assert failure is None, failure
    assert '"status":"assigning"' in answers[1], f"the printed curl line was answered {answers[1]}"

    parts = blocks(readme.read_text())
    assert len(parts) >= 10, f"only {len(parts)} sh blocks were found"
    said, failure = session(readme.name, parts, clone, environment, **process)
    assert failure is None, failure
    _hold_to_promises(parts, said)
    return said[:len(parts)]


def _printed(server):
    """All that `dev` prints once it is ready."""
    for _ in range(100):
        printed = server.printed.read_text()
        if LAST_PRINTED in printed:
            break
        time.sleep(0.05)
    for shown in ("A simulated device was provisioned", "Landfall is ready", server.dev["idScope"],
                  server.dev["serviceConnectionString"], server.dev["hubConnectionString"], server.dev["caFile"]):
        assert shown in printed, f"dev does not print {shown!r}"
    return printed


def _pasted(printed):
    """The lines that `dev` prints for pasting."""
    return [line.strip() for line in printed.splitlines() if re.match(r"  (curl|\S*landfall) ", line)]


def _hold_to_promises(parts, said):
    headings = {heading for heading, _, _ in parts}
    for heading, patterns in PROMISED.items():
        assert heading in headings, f"no block stands below {heading!r}"
        text = "\n".join(said[index] for index, part in enumerate(parts) if part[0] == heading)
        for pattern in patterns:
            assert re.search(pattern, text, re.MULTILINE), f"below {heading!r} nothing matches /{pattern}/:\n{text}"
    certificate = len(re.findall(r'^\{"operationId".*"status":"assigned".*"registrationId":"dps-test-device-01"', "\n".join(said), re.MULTILINE))
    assert certificate == ASSIGNED_BY_CERTIFICATE, f"{certificate} of {ASSIGNED_BY_CERTIFICATE} certificate flows ended assigned"
