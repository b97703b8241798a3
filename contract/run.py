#!/usr/bin/env python3
"""Runs the contract tests: unmodified clients against the real binary on real TLS.

Every script below the folders named in `FOLDERS` is one test; its file name says what it shows.
Each gets a `landfall dev` of its own, in a folder of its own, on a loopback address of its own, and
passes when it leaves with 0 and the server then leaves in peace. What a test leaves running is
ended, and that is a failure too. There are no skips: a test whose
client is missing fails. Only the standard library is used.

    contract/run.py --binary target/debug/landfall [--only NAME] [--jobs N] [--keep] [--record]
"""

import argparse
import concurrent.futures
import contextlib
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "lib"))

from addresses import AddressError, borrow  # noqa: E402
from recorder import Recorder  # noqa: E402
from server import ContractError, Server, may_bind_443  # noqa: E402

# A folder's tests speak to port 443 when their client can speak to no other.
FOLDERS = ["rest", "refusals", "node", "python", "whole"]
OFFICIAL_PORTS_ONLY = {"node", "python"}
# Tests that start, kill and restart servers themselves are only told where the binary is.
BRING_THEIR_OWN_SERVER = {"whole"}
# `--record` writes down what these folders' clients say; a client certificate cannot be passed on.
RECORDED = {"node": "npm", "python": "pypi"}
NOT_RECORDED = {"node::a_device_registers_with_certificates"}
SUFFIXES = {".sh", ".js", ".py"}
TEST_TIMEOUT_SECONDS = 600
LOG_LINES_SHOWN = 30
# The wardens of the tests that run now.
RUNNING = set()


class Test:
    """One script."""

    def __init__(self, path):
        self.path = path
        self.folder = path.parent.name
        self.name = f"{self.folder}::{path.stem}"

    def command(self, clients):
        """The script's interpreter and the script."""
        interpreter = {
            ".sh": ["bash"],
            ".js": ["node"],
            ".py": [str(clients / "venv" / "bin" / "python") if self.folder == "python" else sys.executable],
        }
        return interpreter[self.path.suffix] + [str(self.path)]


def discover(only):
    """Every test whose name holds `only`, in the order of the folders."""
    tests = [
        Test(path)
        for folder in FOLDERS
        for path in sorted((HERE / folder).iterdir())
        if path.suffix in SUFFIXES and path.is_file()
    ]
    return [test for test in tests if only is None or only in test.name]


def recorder(test, server):
    """What stands between this test's client and its server while transcripts are recorded."""
    return Recorder(server, RECORDED[test.folder], HERE / "transcripts")


def watched(command, folder, environment):
    """Runs a command whose leftovers are ended. Gives its status, nothing when it took too long, and what it said."""
    warden = subprocess.Popen(
        [sys.executable, str(HERE / "lib" / "warden.py"), *command], cwd=folder, env=environment,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
    )
    RUNNING.add(warden)
    try:
        said, _ = warden.communicate(timeout=TEST_TIMEOUT_SECONDS)
        return warden.returncode, said.strip()
    except subprocess.TimeoutExpired:
        warden.terminate()
        said, _ = warden.communicate()
        return None, said.strip()
    finally:
        RUNNING.discard(warden)


def asked_to_stop(number, _frame):
    """SIGTERM and Ctrl-C end the run, and with it every test."""
    raise SystemExit(128 + number)


def run(test, binary, clients, official_ports, keep, record):
    """Runs one test. Gives nothing when it passed, else what went wrong."""
    if test.folder in OFFICIAL_PORTS_ONLY and not official_ports:
        return (
            "this client speaks to port 443 only, and this user may not listen there:\n"
            "run as root, or allow it: sysctl net.ipv4.ip_unprivileged_port_start=443"
        )
    try:
        borrowed = borrow()
    except AddressError as error:
        return str(error)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="landfall-contract-"))
    server = None
    failure = None
    try:
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith("LANDFALL_")
        }
        environment.update(
            LANDFALL=str(binary),
            CONTRACT=str(HERE),
            CLIENTS=str(clients),
            NODE_PATH=str(clients / "node_modules"),
            PYTHONPATH=str(HERE / "lib"),
            PYTHONDONTWRITEBYTECODE="1",
            BIND_ADDRESS=borrowed.address,
            OFFICIAL_PORTS="1" if official_ports else "",
        )
        if test.folder not in BRING_THEIR_OWN_SERVER:
            server = Server(binary, folder / "data", borrowed.address, official_ports and not record).start()
            environment.update(server.environment(port=443 if record else None))
        work = folder / "work"
        work.mkdir()
        with recorder(test, server) if record else contextlib.nullcontext():
            status, said = watched(test.command(clients), work, environment)
        if status is None:
            failure = f"not done within {TEST_TIMEOUT_SECONDS} s\n{said}"
        elif status != 0:
            failure = f"left with {status}\n{said}"
        elif test.folder in BRING_THEIR_OWN_SERVER and said:
            print(f"     {test.name}: {said.splitlines()[-1]}", flush=True)
    except (ContractError, OSError) as error:
        failure = str(error)
    finally:
        if server is not None and server.process is not None:
            try:
                server.stop()
            except ContractError as error:
                failure = f"{failure}\n{error}" if failure else str(error)
            if failure:
                failure += "\n--- the server's log, its end\n" + server.end_of_log(LOG_LINES_SHOWN)
        borrowed.give_back()
        if keep:
            print(f"     {test.name} kept {folder}", flush=True)
        else:
            shutil.rmtree(folder, ignore_errors=True)
    return failure


def main():
    arguments = argparse.ArgumentParser(description="Runs the contract tests.")
    arguments.add_argument("--binary", type=pathlib.Path, required=True, help="the landfall binary")
    arguments.add_argument(
        "--clients", type=pathlib.Path, default=HERE.parent / "target" / "contract",
        help="where `cargo xtask test` installed the npm and PyPI clients",
    )
    arguments.add_argument("--only", help="only tests whose name holds this")
    arguments.add_argument("--jobs", type=int, default=4, help="tests at a time; most of their time is waiting")
    arguments.add_argument("--keep", action="store_true", help="keep each test's folder and say where it is")
    arguments.add_argument(
        "--record", action="store_true",
        help="run the npm and PyPI tests through a recorder that writes contract/transcripts anew; needs port 443",
    )
    chosen = arguments.parse_args()

    tests = discover(chosen.only)
    if chosen.record:
        tests = [test for test in tests if test.folder in RECORDED and test.name not in NOT_RECORDED]
    if not tests:
        print(f"no contract test's name holds {chosen.only!r}", file=sys.stderr)
        return 1
    official_ports = may_bind_443()
    failures = []
    began = time.monotonic()
    print(f"contract tests: {len(tests)}", flush=True)

    def timed(test):
        start = time.monotonic()
        failure = run(
            test, chosen.binary.resolve(), chosen.clients.resolve(), official_ports, chosen.keep, chosen.record,
        )
        return test, failure, time.monotonic() - start

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, asked_to_stop)
    with concurrent.futures.ThreadPoolExecutor(chosen.jobs) as pool:
        try:
            for done in concurrent.futures.as_completed([pool.submit(timed, test) for test in tests]):
                test, failure, seconds = done.result()
                print(f"{'FAIL' if failure else 'PASS'} {test.name} ({seconds:.1f} s)", flush=True)
                if failure:
                    failures.append((test, failure))
        except SystemExit:
            # The pool then waits for those that run, which end their servers.
            pool.shutdown(wait=False, cancel_futures=True)
            for warden in list(RUNNING):
                warden.terminate()
            raise

    for test, failure in failures:
        print(f"\n--- FAIL {test.name}\n{failure}", flush=True)
    print(f"\ncontract tests took {time.monotonic() - began:.0f} s")
    print(f"{len(tests) - len(failures)} passed, {len(failures)} failed", flush=True)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
