"""`landfall serve` has no password and no open door: its keys are read on its machine by its user alone.

The folder that the server keeps names where it runs, so `--data` is enough: no name must resolve, no authority be
trusted. Whoever may not read the folder is told who may. The file goes with the server, even with a killed one.
"""

import json
import os
import pathlib
import pwd
import subprocess
import sys

from serving import Authority, Serving

work = pathlib.Path.cwd()
address = os.environ["BIND_ADDRESS"]
binary = os.environ["LANDFALL"]
ca = Authority(work / "tls")
names = ["DNS:dps.landfall.test", "DNS:hub.landfall.test"]
server = Serving(binary, work / "serve", address)
environment = {name: value for name, value in os.environ.items() if not name.startswith("LANDFALL")}


def command(*words, program=(binary,), **options):
    done = subprocess.run(
        [*program, *words, "--data", str(server.data)], cwd="/", env=environment, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=60, **options,
    )
    return done.returncode, done.stdout.strip(), done.stderr


def command_of(user, *words):
    """The same by another user, who may be unable to find the binary by its path: it is handed over open."""
    become = "import os, sys; os.setgroups([]); os.setuid(int(sys.argv[1])); os.execve(int(sys.argv[2]), ['landfall', *sys.argv[3:]], os.environ)"
    with open(binary, "rb") as opened:
        program = (sys.executable, "-c", become, str(user), str(opened.fileno()))
        return command(*words, program=program, pass_fds=[opened.fileno()])


with server:
    pair = ca.issue("first", names)
    live = [work / "live.pem", work / "live-key.pem"]
    for file, source in zip(live, pair):
        file.write_bytes(source.read_bytes())
    server.configure([live], [("factory", "dps.landfall.test", "hub.landfall.test")])
    done = subprocess.run([binary, "serve", "--config", str(server.config), "--check"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and "can be served" in done.stdout and "ECDSA, CN=first" in done.stdout, done
    assert not server.data.exists(), "--check made something"
    server.start()

    # The log says how to read the keys, and not the keys.
    how = [text for text in server.messages() if "first start" in text]
    assert len(how) == 1 and f"landfall connection-string --data {server.data}" in how[0], server.text()
    told = json.loads((server.data / "server.json").read_text())
    status, string, error = command("connection-string")
    port = "" if server.port == 443 else f":{server.port}"
    assert status == 0, error
    assert string.startswith(f"HostName=dps.landfall.test{port};SharedAccessKeyName=provisioningserviceowner;"), string
    key = string.rpartition("SharedAccessKey=")[2]
    token = (server.data / "control.token").read_text().strip()
    for text in (server.text(), json.dumps(told)):
        assert key not in text and token not in text
    status, string, error = command("connection-string", "--hub")
    assert status == 0 and string.startswith("HostName=hub.landfall.test"), error

    # Every other command goes the same way, although the names resolve nowhere and the root is nobody's.
    assert command("enrollment", "create", "--enrollment-id", "dev-1", "--attestation-type", "symmetricKey")[0] == 0
    assert "dev-1" in command("enrollment", "list")[1]
    assert command("hub", "device", "list")[0] == 0
    assert command("service", "list")[0] == 0

    # A certificate that is replaced is known to commands too.
    for file, source in zip(live, ca.issue("second", names)):
        file.write_bytes(source.read_bytes())
    server.until("the second certificate", lambda: server.shown() == "second")
    server.until("a command", lambda: command("service", "list")[0] == 0)

    # A service whose names no certificate holds is made, and the answer says so.
    status, _, error = command("service", "create", "two", "--host", "two.landfall.test", "--hub-host", "hub2.landfall.test")
    assert status == 0 and error.count("warning: no server certificate holds the name") == 2, error
    status, answer, error = command("service", "update", "two", "--host", "dps2.landfall.test", "--json")
    assert status == 0 and not error, error
    assert ["dps2.landfall.test" in text for text in json.loads(answer)["warnings"]] == [True], answer
    status, answer, error = command("service", "update", "two", "--host", "dps.landfall.test", "--json")
    assert status == 0 and "warnings" not in json.loads(answer), (answer, error)
    assert command("service", "delete", "two", "--yes")[0] == 0

    # Who may not read the folder is told who may.
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody").pw_uid
        status, _, error = command_of(nobody, "connection-string")
        assert status == 5 and "Permission denied" in error and "fix: run this command as the server's user" in error, error

    # Killed, it leaves its file; nothing answers, and the next start writes its own.
    server.process.kill()
    server.process.wait()
    status, _, error = command("connection-string")
    assert status == 6 and "cannot connect" in error, error
    server.start()
    assert not [text for text in server.messages() if "first start" in text][1:], "the second start is not the first"
    assert json.loads((server.data / "server.json").read_text())["pid"] != told["pid"]
    assert command("connection-string")[0] == 0
    server.stop()
    assert not (server.data / "server.json").exists()
    status, _, error = command("connection-string")
    assert status == 2 and "no server runs on the data folder" in error, error
print("read by its owner, refused to others")
