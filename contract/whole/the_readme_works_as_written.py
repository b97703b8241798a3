"""The README works as written: every `sh` block, in order, in one shell session against a fresh `landfall dev`.

Nothing in a block is changed. The session starts in a folder that looks like a clone after the first
command: `target/release/landfall` and `landfall-data`. A block fails with its first command that
fails; what the text around it promises is looked for in what it printed. The lines that `dev` itself
prints for pasting are run first.
"""

import os
import pathlib
import re
import shlex
import subprocess
import sys
import time

from server import Server

README = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(os.environ["CONTRACT"]).parent / "README.md")
SESSION_TIMEOUT_SECONDS = 240

# What the blocks below a heading must print, as the README says around them.
PROMISED = {
    "Following the articles": [r"Id scope +0ne", r"^HostName=.*;SharedAccessKeyName=provisioningserviceowner;SharedAccessKey="],
    "An IoT Edge device with a symmetric key": [
        r"edge-1", r"iotEdge|Edge", r"environment", r"assigned",
    ],
    "Getting started: services, enrollments, disabled entries": [r"lesson", r"disabled", r"enabled"],
    "The REST articles: symmetric keys, with curl": [
        r'"status":"assigned".*"registrationId":"dps-sym-key-test01"',
        r'"status":"assigned".*"registrationId":"dps-test-sym-device01"',
        r'"errorCode":401\d{3}.*"Unauthorized"',
        r"group's key itself|group key itself",
    ],
    "The REST articles: X.509, with curl and openssl": [
        r'"status":"assigned".*"registrationId":"dps-test-device-01"',
    ],
}
ASSIGNED_BY_CERTIFICATE = 3


def blocks(text):
    """Each `sh` block with the heading above it and the line on which it begins."""
    found, heading, block = [], "", None
    for number, line in enumerate(text.splitlines(), 1):
        if block is None:
            if line.startswith("#"):
                heading = line.lstrip("# ")
            elif line == "```sh":
                block = (heading, number + 1, [])
        elif line == "```":
            found.append((block[0], block[1], "\n".join(block[2])))
            block = None
        else:
            block[2].append(line)
    assert block is None, f"the block that begins on line {block[1]} has no end"
    return found


def session(parts, folder, environment):
    """Runs all blocks in one shell. Gives what each printed, and the failure, if there was one."""
    script = ["set -Eeuo pipefail", "trap 'echo \"$here: this failed: $BASH_COMMAND\"' ERR"]
    for index, (heading, line, text) in enumerate(parts):
        here = shlex.quote(f"{README.name}, from line {line} ({heading})")
        script += [f"printf '\\n<<block {index}>>\\n'", f"here={here}", text]
    script.append("printf '\\n<<end>>\\n'")
    done = subprocess.run(
        ["bash", "-c", "\n".join(script)], cwd=folder, env=environment, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", timeout=SESSION_TIMEOUT_SECONDS,
    )
    said = re.split(r"^<<(?:block \d+|end)>>$", done.stdout, flags=re.MULTILINE)[1:]
    failure = None
    if done.returncode != 0 or "<<end>>" not in done.stdout:
        failure = f"the session left with {done.returncode} in block {len(said)} of {len(parts)}\n{said[-1] if said else done.stdout}"
    return said, failure


def pasted(printed):
    """The lines that `dev` prints for pasting."""
    return [line.strip() for line in printed.splitlines() if re.match(r"  (curl|\S*landfall) ", line)]


work = pathlib.Path.cwd()
clone = work / "clone"
(clone / "target" / "release").mkdir(parents=True)
(clone / "target" / "release" / "landfall").symlink_to(os.environ["LANDFALL"])
environment = {name: value for name, value in os.environ.items() if not name.startswith("LANDFALL")}

# A session that cannot fail would prove nothing.
for broken in ("false", "false | cat", "f() { false; }; f", "X=$(false)", "echo $UNSET"):
    _, failure = session([("a heading", 1, "true"), ("another", 2, broken + "\ntrue")], work, environment)
    assert failure is not None, f"the session passed over {broken!r}"

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
    assert [pathlib.Path(line.split()[0]).name for line in lines] == ["curl", "landfall", "landfall"], f"dev prints for pasting: {lines}"
    on_path = {**environment, "PATH": f"{clone / 'target' / 'release'}:{environment['PATH']}"}
    _, failure = session([("what dev prints", index, line) for index, line in enumerate(lines)], clone, on_path)
    assert failure is None, failure

    parts = blocks(README.read_text())
    assert len(parts) >= 10, f"only {len(parts)} sh blocks were found"
    said, failure = session(parts, clone, environment)
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
