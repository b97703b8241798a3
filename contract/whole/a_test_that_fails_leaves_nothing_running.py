"""A test that starts a server and more, and then fails, leaves nothing running; one that passes and leaves something fails."""

import os
import pathlib
import signal
import subprocess
import sys
import tempfile

from addresses import borrow
from server import Server

WARDEN = pathlib.Path(os.environ["CONTRACT"]) / "lib" / "warden.py"
# Starts a server, a process that no signal but SIGKILL ends in a session of its own, and one below it whose parent is
# gone at once; says their ids; then ends as it is told.
LEAVES = """
import os, subprocess, sys
from server import Server
address, folder, end = sys.argv[1:]
server = Server(os.environ["LANDFALL"], folder + "/data", address, official_ports=False).start()
deaf = subprocess.Popen(["sh", "-c", "trap '' TERM HUP INT; sleep 600 & echo $!; wait"],
                        stdout=subprocess.PIPE, text=True, start_new_session=True)
below = int(deaf.stdout.readline())
alone = subprocess.run(["sh", "-c", "sleep 600 >/dev/null 2>&1 & echo $!"], capture_output=True, text=True).stdout
print(server.process.pid, deaf.pid, below, int(alone), flush=True)
if end == "wait":
    server.process.wait()
assert end == "pass", "it fails on purpose"
os._exit(0)
"""
SAID_WITHIN_SECONDS = 60


def runs(pid):
    """Whether a process is there and has not ended."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def left(address, folder, end, signalled=None):
    """Runs it under a warden. Gives the warden's status, what was said, and which of its processes still run."""
    with subprocess.Popen([sys.executable, str(WARDEN), sys.executable, "-c", LEAVES, address, str(folder), end],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as warden:
        first = warden.stdout.readline()
        pids = [int(word) for word in first.split()]
        assert len(pids) == 4, first + warden.stdout.read()
        if signalled is not None:
            assert all(runs(pid) for pid in pids), pids
            warden.send_signal(signalled)
        said = warden.stdout.read()
        warden.wait(SAID_WITHIN_SECONDS)
    return warden.returncode, said, [pid for pid in pids if runs(pid)]


with borrow() as address, tempfile.TemporaryDirectory() as folder:
    folder = pathlib.Path(folder)
    for end, number, expected in [("fail", None, 1), ("pass", None, 1), ("wait", signal.SIGTERM, 128 + signal.SIGTERM)]:
        status, said, running = left(address, folder, end, number)
        assert not running, f"{end}: {running} still run\n{said}"
        assert status == expected, f"{end}: {status}\n{said}"
        assert said.count("it left running") >= 3 and " dev --data" in said, f"{end}: not told\n{said}"
    # Nothing of it is in the way of the next.
    again = Server(os.environ["LANDFALL"], folder / "data", address, official_ports=False).start()
    again.stop()

done = subprocess.run([sys.executable, str(WARDEN), "sh", "-c", "exit 7"], timeout=60)
assert done.returncode == 7, done
done = subprocess.run([sys.executable, str(WARDEN), "true"], timeout=60)
assert done.returncode == 0, done
print("what a test leaves running is ended, and told")
