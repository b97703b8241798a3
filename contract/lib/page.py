"""A page of `docs/operating` run as written, with the binary under test as `landfall`, in the test's own folder.

What the page promises is the test's to know, and is held against what the page's blocks printed.
"""

import os
import pathlib
import re

from document import blocks, prove_that_it_fails, session

PAGES = pathlib.Path(os.environ["CONTRACT"]).parent / "docs" / "operating"


class Page:
    """The page of this file name, which has `at_least` so many `sh` blocks."""

    def __init__(self, name, at_least):
        self.name = name
        self.parts = blocks((PAGES / name).read_text())
        assert len(self.parts) >= at_least, f"only {len(self.parts)} sh blocks were found"
        self.printed = ""

    def run(self, folder=None, **environment):
        """Runs all blocks in one session, in `folder` or the test's own, with `environment` beside the usual."""
        folder = pathlib.Path(folder or pathlib.Path.cwd())
        programs = folder / "bin"
        programs.mkdir()
        (programs / "landfall").symlink_to(os.environ["LANDFALL"])
        usual = {name: value for name, value in os.environ.items() if not name.startswith("LANDFALL")}
        usual["PATH"] = f"{programs}:{usual['PATH']}"
        prove_that_it_fails(folder, usual)
        said, failure = session(self.name, self.parts, folder, {**usual, **environment})
        assert failure is None, failure
        self.printed = "\n".join(said)

    def hold_in_order(self, patterns):
        """Each pattern matches what was printed after the match of the one before."""
        at = 0
        for pattern in patterns:
            found = re.compile(pattern, re.MULTILINE).search(self.printed, at)
            assert found, f"nothing matches /{pattern}/ after character {at}:\n{self.printed}"
            at = found.end()

    def hold_anywhere(self, patterns):
        """Each pattern matches somewhere in what was printed."""
        for pattern in patterns:
            assert re.search(pattern, self.printed, re.MULTILINE), f"nothing matches /{pattern}/:\n{self.printed}"

    def __str__(self):
        return f"{len(self.parts)} blocks of {self.name} passed in one session"
