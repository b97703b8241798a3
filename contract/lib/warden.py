"""Runs one test and ends whatever it leaves running, however it ends: servers, databases, shells, in whatever
process group or session. `run.py` starts one of these for each test.

    python3 warden.py COMMAND ...

It leaves with the status of the command, or with 1 when that passed and left something running. On SIGTERM, or when
whoever started it is gone, it ends the command too. Only processes below the command are ended, each by its id: the
kernel gives those whose parent is gone to this process, so that none of them gets lost. Only Linux does that.
"""

import ctypes
import os
import pathlib
import signal
import subprocess
import sys
import time

# <linux/prctl.h>
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
# How long those who are left have to go by themselves: a database's keeper still takes its folder away.
BY_THEMSELVES_SECONDS = 5
# And how long after SIGTERM; SIGKILL asks nobody.
ASKED_SECONDS, KILLED_SECONDS = 3, 0.2


class Stopped(BaseException):
    """A signal came that asks to end."""


def prctl(option, value):
    """Asks the kernel for what it does for a process; not to get it is an error."""
    if ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


def children():
    """This process's children that have not ended: what was run, by pid."""
    found = {}
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = stat.read_text().rpartition(")")[2].split()[:2]
            title = (stat.parent / "cmdline").read_bytes()
        except OSError:
            continue
        if int(parent) == os.getpid() and state != "Z":
            found[int(stat.parent.name)] = title.replace(b"\0", b" ").decode(errors="replace").strip()
    return found


def reap():
    """Takes note of all that have ended."""
    try:
        while os.waitpid(-1, os.WNOHANG) != (0, 0):
            pass
    except ChildProcessError:
        pass


def send(pids, number):
    """Sends a signal to those that are still there. They are our children, so no id is somebody else's by now."""
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass


def are_gone_within(seconds):
    """Waits for the last child to end; gives whether it did."""
    deadline = time.monotonic() + seconds
    while children():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
        reap()
    reap()
    return True


def end_the_rest():
    """Ends all that the command left. Gives what did not go by itself: what was run, by pid."""
    if are_gone_within(BY_THEMSELVES_SECONDS):
        return {}
    left = children()
    send(left, signal.SIGTERM)
    patience = ASKED_SECONDS
    while not are_gone_within(patience):
        # What a killed one leaves becomes ours in its turn.
        left = {**children(), **left}
        send(children(), signal.SIGKILL)
        patience = KILLED_SECONDS
    return left


def status_of(process):
    """Waits for one process, and meanwhile takes note of every other that ends, so that none looks alive."""
    while True:
        pid, status = os.waitpid(-1, 0)
        if pid == process.pid:
            return os.waitstatus_to_exitcode(status)


def stop(number, _frame):
    """A signal ends the waiting; a second one does not disturb the ending."""
    for other in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(other, signal.SIG_IGN)
    raise Stopped(number)


def main(command):
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, stop)
    process = None
    try:
        process = subprocess.Popen(command)
        status = status_of(process)
    except Stopped as stopped:
        status = 128 + stopped.args[0]
        if process is not None:
            send([process.pid], signal.SIGKILL)
    left = end_the_rest()
    for pid, title in left.items():
        print(f"it left running, and this was ended: {pid} {title}", flush=True)
    if status < 0:
        status = 128 - status
    return status or (1 if left else 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
