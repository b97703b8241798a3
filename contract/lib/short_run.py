"""`landfall dev -- COMMAND` for tests: short runs, and one that stays until it is asked to go.

Nothing here knows what is tested.
"""

import json
import os
import pathlib
import subprocess
import sys

ENDS_WITHIN_SECONDS = 60
# What a run that stays is told to run: it says where the data is, and waits for the end of its input.
STAY = [sys.executable, "-c", "import os, sys; print(os.environ['LANDFALL_DATA'], flush=True); sys.stdin.read()"]


def environment(**more):
    """The environment of a user who never met Landfall."""
    own = {name: value for name, value in os.environ.items() if name == "LANDFALL" or not name.startswith("LANDFALL_")}
    return {**own, **more}


def run(*options, command=("true",), status=0):
    """Runs dev with a command to its end; gives what it printed, and what it said on standard error."""
    done = subprocess.run(
        [os.environ["LANDFALL"], "dev", *options, "--", *command], env=environment(),
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=ENDS_WITHIN_SECONDS)
    assert done.returncode == status, f"dev {' '.join(options)} left with {done.returncode}, not {status}\n{done.stderr}"
    return done.stdout, done.stderr


class Stays:
    """A running server, with what its `dev.json` says; ends with the context."""

    def __init__(self, *options):
        self._options = options

    def __enter__(self):
        self._process = subprocess.Popen(
            [os.environ["LANDFALL"], "dev", *self._options, "--", *STAY], env=environment(),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        data = self._process.stdout.readline().strip()
        if not data:
            raise AssertionError(f"dev {' '.join(self._options)} did not start:\n{self._process.communicate()[1]}")
        self.data = pathlib.Path(data)
        self.dev = json.loads((self.data / "dev.json").read_text())
        return self

    def __exit__(self, *_):
        _, self.said = self._process.communicate(timeout=ENDS_WITHIN_SECONDS)
        assert self._process.returncode == 0, f"left with {self._process.returncode}\n{self.said}"

    def landfall(self, *words):
        """Runs a client command against it and gives its JSON."""
        done = subprocess.run(
            [os.environ["LANDFALL"], *words, "--data", str(self.data), "--json"], env=environment(),
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=ENDS_WITHIN_SECONDS)
        assert done.returncode == 0, f"landfall {' '.join(words)} left with {done.returncode}: {done.stderr}"
        return json.loads(done.stdout)
