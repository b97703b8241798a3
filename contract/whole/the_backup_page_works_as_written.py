"""The page on backup and restore works as written: the second server shows the keys of the first.

The page's address is fixed, so nothing else on the machine may use it.
"""

import json
import os
import pathlib
import re

from addresses import borrow_fixed
from document import blocks, prove_that_it_fails, session

PAGE = pathlib.Path(os.environ["CONTRACT"]).parent / "docs" / "operating" / "backup.md"

# What its blocks must print, in any place.
PROMISED = [
    r"^Wrote 1 service, 1 enrollment, 0 groups, .* to monday\.backup",
    r"^Restored 1 service, 1 enrollment, 0 groups, .* into .*/second/landfall\.db",
    r"^Primary key +\S{88}$",
]

work = pathlib.Path.cwd()
(work / "bin").mkdir()
(work / "bin" / "landfall").symlink_to(os.environ["LANDFALL"])
environment = {name: value for name, value in os.environ.items() if not name.startswith("LANDFALL")}
environment["PATH"] = f"{work / 'bin'}:{environment['PATH']}"
prove_that_it_fails(work, environment)

parts = blocks(PAGE.read_text())
assert len(parts) >= 2, f"only {len(parts)} sh blocks were found"
with borrow_fixed("127.0.0.203"):
    said, failure = session(PAGE.name, parts, work, environment)
assert failure is None, failure
text = "\n".join(said)
for pattern in PROMISED:
    assert re.search(pattern, text, re.MULTILINE), f"nothing matches /{pattern}/:\n{text}"

# What the page says of the file.
lines = [json.loads(line) for line in (work / "monday.backup").read_text().splitlines()]
head = lines[0]
told = {"format", "formatVersion", "schemaVersion", "landfall", "made", "sealingKey", "leftOut"}
assert set(head) == told, head
assert all(set(line) == {"table", "row"} for line in lines[1:-1])
assert set(lines[-1]["end"]) == {"rows", "sha256"}, lines[-1]
print(f"{len(parts)} blocks of {PAGE.name} passed in one session")
