"""Programs of the samples' shape run without an edit: started by `dev -- COMMAND`, and beside a server by `landfall env`.

The programs of `contract/samples` hold nothing about this server. What they read is what the SDKs' own samples read;
both are checked here before any of them is run.
"""

import os
import pathlib
import re
import shlex
import subprocess

from server import Server

SAMPLES = pathlib.Path(os.environ["CONTRACT"]) / "samples"
# The names that samples of the Node and Python SDKs read.
OFFICIAL = {
    "PROVISIONING_HOST", "PROVISIONING_IDSCOPE", "PROVISIONING_REGISTRATION_ID", "PROVISIONING_SYMMETRIC_KEY",
    "PROVISIONING_CONNECTION_STRING", "IOTHUB_CONNECTION_STRING", "IOTHUB_DEVICE_ID", "CERTIFICATE_FILE", "KEY_FILE",
}
# A device of one's own with a certificate: made and enrolled first, and named to the sample.
WITH_CERTIFICATE = """set -e; cd "$(mktemp -d)"; landfall cert device with-a-certificate --key-type ec >&2
landfall enrollment create --enrollment-id with-a-certificate --attestation-type x509 --certificate-path withACertificate_cert.pem >&2
export PROVISIONING_REGISTRATION_ID=with-a-certificate CERTIFICATE_FILE=$PWD/withACertificate_cert.pem KEY_FILE=$PWD/withACertificate_key.pem
cd - >/dev/null; node register_x509.js"""
# Each sample as somebody types it, and what it must print.
RUNS = {
    "node register_symkey.js": [r"^registration succeeded$", r"^assigned hub=\S+\.\S+$", r"^deviceId=env-\w+$"],
    WITH_CERTIFICATE: [r"^registration succeeded$", r"^assigned hub=\S+\.\S+$", r"^deviceId=with-a-certificate$"],
    'node create_individual_enrollment.js -c "$PROVISIONING_CONNECTION_STRING" -d first': [
        r'^enrollment record returned: .*"registrationId":"first"', r"^enrolled: env-\w+ first$", r"^deleted$",
    ],
    "python registry_manager.py": [
        r"^create_device: env-\w+ sas enabled$", r"^update_device: env-\w+ disabled$", r"^update_twin: 3000$",
        r"^get_devices: .*'env-\w+'", r"^GetDeviceRegistryStatistics: \d+$",
    ],
    "python provisioning_service.py": [
        r"^created: sample-enrollment enabled$", r"^enrolled: \['env-\w+', 'sample-enrollment'\]$", r"^deleted: sample-enrollment$",
    ],
}
RUN_TIMEOUT_SECONDS = 60


def hold_to_their_shape(text, name):
    """Nothing of this server stands in a sample, and it reads no other variables than the official ones."""
    assert not re.search(r"landfall|localhost|127\.0\.|BEGIN CERTIFICATE", text, re.IGNORECASE), f"{name} knows this server"
    read = set(re.findall(r"process\.env\.(\w+)|getenv\(\"(\w+)\"|environ\[\"(\w+)\"\]", text))
    names = {one for found in read for one in found if one}
    assert names <= OFFICIAL, f"{name} reads {sorted(names - OFFICIAL)}"


def language(command):
    """Whose samples a command is about."""
    return "python" if command.startswith("python ") else "node"


def run(folder, line):
    """One line of a shell in a folder of the samples. Gives its status and what it printed."""
    done = subprocess.run(
        ["bash", "-c", line], cwd=SAMPLES / folder, env=environment, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=RUN_TIMEOUT_SECONDS,
    )
    return done.returncode, done.stdout, done.stderr


def hold_to_promises(command, outcome):
    """The line left with 0 and printed what its sample promises."""
    status, printed, complaints = outcome
    assert status == 0, f"{command} left with {status}\n{printed}\n{complaints}"
    for pattern in RUNS[command]:
        assert re.search(pattern, printed, re.MULTILINE), f"{command}: nothing matches /{pattern}/ in\n{printed}\n{complaints}"


work = pathlib.Path.cwd()
(work / "bin").mkdir()
(work / "bin" / "landfall").symlink_to(os.environ["LANDFALL"])
# An environment without any of the variables that `landfall env` is for.
environment = {
    name: value for name, value in os.environ.items()
    if not re.search(r"^LANDFALL|^PROVISIONING_|^IOTHUB_|CERT|CA_BUNDLE|CAINFO|^BIND_|^PYTHONPATH$", name)
}
environment["PATH"] = f"{work / 'bin'}:{os.environ['CLIENTS']}/venv/bin:{environment['PATH']}"
environment["TMPDIR"] = str(work)

samples = sorted(SAMPLES.glob("*/*"))
for sample in samples:
    hold_to_their_shape(sample.read_text(), sample.name)
    assert any(sample.name in command for command in RUNS), f"{sample.name} is run by nothing"
assert os.environ["OFFICIAL_PORTS"], (
    "the Node SDK speaks to port 443 only, and this user may not listen there:\n"
    "run as root, or allow it: sysctl net.ipv4.ip_unprivileged_port_start=443"
)

# Without the variables a sample fails: what follows is their doing.
status, _, _ = run("node", "node register_symkey.js")
assert status != 0, "a device registered without being told where"

address = os.environ["BIND_ADDRESS"]
dev = f"landfall dev --ephemeral --bind {address} --https-port 443 --"
for command in RUNS:
    hold_to_promises(command, run(language(command), f"{dev} bash -c {shlex.quote(command)}"))
status, _, _ = run("node", f"{dev} node no-such-sample.js")
assert status == 1, f"a sample that does not exist left with {status}"
assert not list(work.glob("landfall-ephemeral-*")), "a data folder was left behind"

for number, command in enumerate(RUNS):
    server = Server(os.environ["LANDFALL"], work / f"data-{number}", address).start()
    try:
        hold_to_promises(command, run(language(command), f'export LANDFALL_DATA={shlex.quote(str(server.data))}; eval "$(landfall env)"; {command}'))
    finally:
        server.stop()
print(f"{len(samples)} samples ran as they are, by dev and by env")
