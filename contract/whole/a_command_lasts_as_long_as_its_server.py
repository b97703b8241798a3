"""`landfall dev -- COMMAND`: the command finds its server by its environment, its status is passed on, and
nothing is left behind, whether it ends, fails, hangs, is interrupted, or never starts.

Run with a word, this script is the command.
"""

import fcntl
import json
import os
import pathlib
import pty
import signal
import ssl
import subprocess
import sys
import termios
import time
import types

ENDS_WITHIN_SECONDS = 60
ME = str(pathlib.Path(__file__).resolve())


def say(word):
    print(word, flush=True)


def inside_registers():
    """The device of the environment registers; client commands reach this server and no other."""
    from device import Client, token

    e = os.environ
    opened = [os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{fd}")]
    assert not [file for file in opened if file.startswith("socket:")], f"the command holds sockets: {opened}"
    assert not [file for file in opened if e["LANDFALL_DATA"] in file], f"the command holds files of the server: {opened}"
    host, _, port = e["PROVISIONING_HOST"].partition(":")
    dev = {"host": host, "httpsPort": int(port or 443), "caFile": e["SSL_CERT_FILE"]}
    device, scope = e["PROVISIONING_REGISTRATION_ID"], e["PROVISIONING_IDSCOPE"]
    signed = token(f"{scope}/registrations/{device}", e["PROVISIONING_SYMMETRIC_KEY"], "registration")
    client = Client(types.SimpleNamespace(dev=dev))
    answer = client.register(scope, device, signed)
    assert answer.status == 202, answer.text
    for _ in range(50):
        answer = client.operation(scope, device, answer.body["operationId"], signed)
        if answer.status == 200:
            break
    assert answer.body["status"] == "assigned", answer.text
    for name in ("NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "LANDFALL_CA_FILE"):
        ssl.create_default_context(cafile=e[name])
    assert e["IOTHUB_DEVICE_DPS_DEVICE_ID"] == device and e["IOTHUB_DEVICE_DPS_DEVICE_KEY"] == e["PROVISIONING_SYMMETRIC_KEY"]
    assert e["IOTHUB_DEVICE_SECURITY_TYPE"] == "DPS" and e["IOTHUB_DEVICE_DPS_ID_SCOPE"] == scope == e["DPS_IDSCOPE"]

    # The environment named another server before.
    shown = subprocess.run([e["LANDFALL"], "hub", "device", "show", device, "--json"], capture_output=True, text=True, check=True)
    assert json.loads(shown.stdout)["deviceId"] == device, shown.stdout
    listed = subprocess.run([e["LANDFALL"], "enrollment", "list", "--json"], capture_output=True, text=True, check=True)
    assert [one["registrationId"] for one in json.loads(listed.stdout)] == [device], listed.stdout
    say("the command was here")
    sys.exit(7)


def inside_writes_variables_down():
    """Each form of `landfall env` is read back as the same names; each call makes a device of its own."""
    landfall, e = os.environ["LANDFALL"], os.environ
    names = [name for name in json.loads(subprocess.check_output([landfall, "env", "--json"])) if name != "LANDFALL_DATA"]
    assert {"PROVISIONING_HOST", "IOTHUB_CONNECTION_STRING", "NODE_EXTRA_CA_CERTS"} <= set(names), names
    shell = subprocess.run(
        ["sh", "-euc", 'eval "$("$LANDFALL" env)"; exec "$0" -c "import json,os; print(json.dumps(dict(os.environ)))"', sys.executable],
        capture_output=True, text=True, check=True)
    by_shell = json.loads(shell.stdout)
    devices = {e["PROVISIONING_REGISTRATION_ID"], by_shell["PROVISIONING_REGISTRATION_ID"]}
    for name in ("PROVISIONING_CONNECTION_STRING", "IOTHUB_CONNECTION_STRING", "PROVISIONING_HOST", "SSL_CERT_FILE", "LANDFALL_DATA"):
        assert by_shell[name] == e[name], f"{name}: {by_shell[name]!r} and {e[name]!r}"
    written = subprocess.check_output([landfall, "env", "--dotenv"], text=True)
    dotenv = dict(line.split("=", 1) for line in written.splitlines())
    assert all(value[0] == value[-1] == "'" for value in dotenv.values()), written
    assert dotenv["PROVISIONING_CONNECTION_STRING"][1:-1] == e["PROVISIONING_CONNECTION_STRING"]
    devices.add(dotenv["PROVISIONING_REGISTRATION_ID"][1:-1])
    assert len(devices) == 3 and all(device.startswith("env-") for device in devices), devices
    chosen = [landfall, "env", "--registration-id", "chosen", "--json"]
    assert json.loads(subprocess.check_output(chosen))["PROVISIONING_REGISTRATION_ID"] == "chosen"
    again = subprocess.run(chosen, capture_output=True, text=True)
    assert again.returncode == 4, again
    other = subprocess.run([landfall, "env", "--login", e["PROVISIONING_CONNECTION_STRING"].replace("HostName=", "HostName=dps.example.net.")],
                           capture_output=True, text=True)
    assert other.returncode == 2 and "id scope" in other.stderr, other


def inside_counts_interrupts():
    """Leaves with the number of SIGINTs it got, a moment after the first."""
    got = []
    signal.signal(signal.SIGINT, lambda *_: got.append(1))
    say("up")
    while not got:
        time.sleep(0.02)
    time.sleep(0.5)
    sys.exit(len(got))


def inside_ignores_everything():
    for which in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(which, signal.SIG_IGN)
    say("up")
    time.sleep(ENDS_WITHIN_SECONDS)


def inside_leaves_with_the_signals_number():
    for which in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(which, lambda number, _: sys.exit(number))
    say("up")
    while True:
        time.sleep(0.02)


def inside_waits():
    say(os.environ["LANDFALL_DATA"])
    time.sleep(ENDS_WITHIN_SECONDS)


if len(sys.argv) > 1:
    globals()[f"inside_{sys.argv[1]}"]()
    sys.exit(0)


work = pathlib.Path.cwd()
temporary = work / "tmp"
temporary.mkdir()
environment = {name: value for name, value in os.environ.items() if name == "LANDFALL" or not name.startswith("LANDFALL_")}
environment.update(
    TMPDIR=str(temporary),
    LANDFALL_DATA=str(work / "never"),  # --ephemeral is stronger
    LANDFALL_CONNECTION_STRING="HostName=elsewhere.example.net;SharedAccessKeyName=o;SharedAccessKey=" + "A" * 43 + "=",
)
address = os.environ["BIND_ADDRESS"]


def words(*command, options=("--ephemeral",)):
    return [os.environ["LANDFALL"], "dev", "--bind", address, *options, "--", *command]


def begin(*command, options=("--ephemeral",), **how):
    """Starts dev with a command and, when that says something first, waits for it."""
    return subprocess.Popen(words(*command, options=options), env=environment, text=True, **{
        "stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "cwd": work, **how})


def end(process, status, says_on_stderr=""):
    out, err = process.communicate(timeout=ENDS_WITHIN_SECONDS)
    assert process.returncode == status, f"left with {process.returncode}, not {status}\n{out}\n{err}"
    assert says_on_stderr in err, f"{says_on_stderr!r} is not in {err}"
    nothing_left()
    return out


def nothing_left():
    left = sorted(path.name for path in temporary.iterdir())
    assert not left, f"left behind: {left}"
    assert not (work / "never").exists()


# It ends, fails, never starts.
out = end(begin(sys.executable, ME, "registers"), 7, "landfall: ready on https://")
assert out == "the command was here\n", f"standard output is the command's alone: {out!r}"
end(begin(sys.executable, ME, "writes_variables_down"), 0)
assert begin("true", options=("--ephemeral", "--quiet")).communicate(timeout=ENDS_WITHIN_SECONDS) == ("", "")
end(begin("sh", "-c", "kill -9 $$"), 128 + signal.SIGKILL)
end(begin("no-such-command"), 127, "cannot run 'no-such-command'")
(work / "plain").write_text("not a program")
end(begin("./plain"), 126, "fix: ")

# It is asked to end: the request is passed on, and its status is still its own.
for which in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
    process = begin(sys.executable, ME, "leaves_with_the_signals_number")
    assert process.stdout.readline() == "up\n"
    process.send_signal(which)
    end(process, which, "told the command to end")

# It does not listen: the second request is its last.
process = begin(sys.executable, ME, "ignores_everything")
assert process.stdout.readline() == "up\n"
process.send_signal(signal.SIGTERM)
assert "told the command to end" in process.stderr.readline() + process.stderr.readline()
process.send_signal(signal.SIGTERM)
end(process, 128 + signal.SIGKILL, "killed")


def at_a_terminal(command, presses, status):
    """Runs it in the foreground of a terminal of its own and presses Ctrl-C when it says so; without a
    press the terminal goes away."""
    master, slave = pty.openpty()
    process = begin(
        sys.executable, ME, command, stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
    os.close(slave)
    seen = b""
    for what in presses:
        while what not in seen:
            seen += os.read(master, 4096)
        seen = b""
        os.write(master, b"\x03")
    if not presses:
        # To the end of the line: a terminal that goes while it is being written fails that write.
        while b"up\r\n" not in seen:
            seen += os.read(master, 4096)
        os.close(master)
    while presses:
        try:
            if not os.read(master, 4096):
                break
        except OSError:
            break
    assert process.wait(ENDS_WITHIN_SECONDS) == status, f"{command} left with {process.returncode}, not {status}"
    if presses:
        os.close(master)
    nothing_left()


at_a_terminal("counts_interrupts", [b"up"], 1)
at_a_terminal("ignores_everything", [b"up", b"Ctrl-C again"], 128 + signal.SIGKILL)
at_a_terminal("leaves_with_the_signals_number", [], signal.SIGHUP)

# The server cannot start: the command is not run.
marker = work / "marker"
process = begin(sys.executable, ME, "waits", options=("--data", str(work / "data")))
data = process.stdout.readline().strip()
assert data == str(work / "data"), data
second = begin("touch", str(marker), options=("--data", data, "--https-port", "0", "--admin-port", "0"))
end(second, 125, "in use by another landfall")
taken = json.loads((work / "data" / "dev.json").read_text())["httpsPort"]
end(begin("touch", str(marker), options=("--ephemeral", "--https-port", str(taken))), 125, "--bind auto")
assert not marker.exists()
process.terminate()
end(process, 128 + signal.SIGTERM)
assert (work / "data" / "landfall.db").exists() and not (work / "data" / "dev.json").exists()

# Killed itself, it cleans up nothing; the next one does, once the folder is old.
process = begin(sys.executable, ME, "waits")
abandoned = pathlib.Path(process.stdout.readline().strip())
assert abandoned.parent == temporary, abandoned
children = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
process.kill()
process.wait()
for child in children:
    os.kill(int(child), signal.SIGKILL)
process.communicate(timeout=ENDS_WITHIN_SECONDS)
assert abandoned.exists()
os.utime(abandoned, (0, 0))
end(begin("true"), 0)
print("a command got its server, and neither left anything behind")
