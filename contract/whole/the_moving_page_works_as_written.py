"""The page on moving to Landfall works as written: the key of an enrollment is the same in both services.

The page's addresses are fixed, so nothing else on the machine may use them.
"""

import os
import pathlib
import re

from addresses import borrow_fixed
from document import blocks, prove_that_it_fails, session

PAGE = pathlib.Path(os.environ["CONTRACT"]).parent / "docs" / "operating" / "moving.md"

# What its blocks must print, in any place.
PROMISED = [
    r"^Exported 1 enrollment and 1 group\.",
    r"^2 lines: 2 created, 0 replaced, 0 unchanged, 0 skipped, 0 failed\.",
    r"^2 lines: 0 created, 0 replaced, 2 unchanged, 0 skipped, 0 failed\.",
]

work = pathlib.Path.cwd()
(work / "bin").mkdir()
(work / "bin" / "landfall").symlink_to(os.environ["LANDFALL"])
environment = {name: value for name, value in os.environ.items() if not name.startswith("LANDFALL")}
environment["PATH"] = f"{work / 'bin'}:{environment['PATH']}"
prove_that_it_fails(work, environment)

parts = blocks(PAGE.read_text())
assert len(parts) >= 2, f"only {len(parts)} sh blocks were found"
with borrow_fixed("127.0.0.204"), borrow_fixed("127.0.0.205"):
    said, failure = session(PAGE.name, parts, work, environment)
assert failure is None, failure
text = "\n".join(said)
for pattern in PROMISED:
    assert re.search(pattern, text, re.MULTILINE), f"nothing matches /{pattern}/:\n{text}"
print(f"{len(parts)} blocks of {PAGE.name} passed in one session")
