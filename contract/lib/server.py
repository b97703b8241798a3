"""One `landfall dev` of its own: started on free addresses, asked through `dev.json`, stopped by pid.

Every contract test runs against one of these. Nothing here knows what is tested.
"""

import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import time

READY_WITHIN_SECONDS = 60
STOPPED_WITHIN_SECONDS = 15


class ContractError(Exception):
    """A server that does not start, does not stop, or refuses a command that must succeed."""


def may_bind_443(address="127.0.0.1"):
    """Whether this user may listen on port 443 of a loopback address that nothing uses."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, 443))
        except PermissionError:
            return False
        except OSError:
            return True
    return True


def free_port(address="127.0.0.1"):
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind((address, 0))
        return probe.getsockname()[1]


class Server:
    """A running `landfall dev` and what its `dev.json` says."""

    def __init__(self, binary, data, address, official_ports=True, log="info"):
        self.binary = str(binary)
        self.data = pathlib.Path(data)
        self.address = address
        self.official_ports = official_ports
        self.log_filter = log
        self.log = self.data.parent / (self.data.name + ".log")
        self.printed = self.data.parent / (self.data.name + ".out")
        self.process = None
        self.dev = None

    def command_line(self):
        """What is started: `dev` on this test's address, with a port of its own where 443 is not to be had."""
        command = [
            self.binary, "dev", "--data", str(self.data), "--bind", self.address,
            "--admin-port", str(free_port(self.address)), "--log", self.log_filter,
        ]
        if not self.official_ports:
            command += ["--https-port", str(free_port(self.address))]
        return command

    def surroundings(self):
        """Where, in which environment and by whom it is started."""
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith("LANDFALL_")
        }
        return {"cwd": self.data.parent, "env": environment}

    def start(self):
        """Starts it and waits until `dev.json` of this start is there."""
        said_ready = self.data / "dev.json"
        said_ready.unlink(missing_ok=True)
        with open(self.printed, "ab") as printed, open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                self.command_line(), stdin=subprocess.DEVNULL, stdout=printed, stderr=log, **self.surroundings(),
            )
        deadline = time.monotonic() + READY_WITHIN_SECONDS
        while not said_ready.exists():
            if self.process.poll() is not None:
                raise ContractError(f"the server left with {self.process.returncode} before it was ready\n{self.end_of_log(10)}")
            if time.monotonic() > deadline:
                self.kill()
                raise ContractError(f"no dev.json within {READY_WITHIN_SECONDS} s")
            time.sleep(0.02)
        self.dev = json.loads(said_ready.read_text())
        return self

    def stop(self):
        """Asks it to leave, and holds it to leaving in peace."""
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(STOPPED_WITHIN_SECONDS)
            except subprocess.TimeoutExpired:
                self.kill()
                raise ContractError(f"the server did not leave within {STOPPED_WITHIN_SECONDS} s of SIGTERM")
        if self.process.returncode != 0:
            raise ContractError(f"the server left with {self.process.returncode}")

    def kill(self):
        """Ends it as a power cut would: kill -9."""
        self.process.kill()
        self.process.wait()

    def end_of_log(self, lines):
        """The last lines that the server logged, for whoever reads a failure."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def connection_string(self, name):
        """A connection string of `dev.json` as its three parts."""
        return dict(part.split("=", 1) for part in self.dev[name].split(";"))

    def environment(self, port=None):
        """What a test script reads to find this server, or what stands before it on another port."""
        shown = self.dev["httpsPort"]
        strings = {name: self.dev[name] for name in ("serviceConnectionString", "hubConnectionString")}
        if port is not None and port != shown:
            strings = {name: text.replace(f":{shown};", ";") for name, text in strings.items()}
            shown = port
        host = self.dev["host"]
        return {
            "LANDFALL_DATA": str(self.data),
            "DPS_HOST": host,
            "DPS_PORT": str(shown),
            "DPS_ENDPOINT": f"https://{host}" if shown == 443 else f"https://{host}:{shown}",
            "DPS_SCOPE_ID": self.dev["idScope"],
            "CA_FILE": self.dev["caFile"],
            "SERVICE_CONNECTION_STRING": strings["serviceConnectionString"],
            "HUB_CONNECTION_STRING": strings["hubConnectionString"],
            "HUB_HOST": re.sub(r":\d+$", "", self.connection_string("hubConnectionString")["HostName"]),
            "NODE_EXTRA_CA_CERTS": self.dev["caFile"],
            "REQUESTS_CA_BUNDLE": self.dev["caFile"],
            "SERVER_LOG": str(self.log),
        }

    def command(self, *words, succeed=True):
        """Runs a `landfall` client command against this server and gives what it printed."""
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith("LANDFALL_")
        }
        done = subprocess.run(
            [self.binary, *words, "--data", str(self.data)],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, env=environment, timeout=60,
        )
        if succeed and done.returncode != 0:
            raise ContractError(f"landfall {' '.join(words)} left with {done.returncode}: {done.stderr.strip()}")
        return done

    def json(self, *words):
        """Runs a `landfall` client command with `--json` and gives what it printed, read."""
        return json.loads(self.command(*words, "--json").stdout)
