"""The page on backup and restore works as written: the second server shows the keys of the first.

The page's address is fixed, so nothing else on the machine may use it.
"""

import json
import pathlib

from addresses import borrow_fixed
from page import Page

# What its blocks must print, in any place.
PROMISED = [
    r"^Wrote 1 service, 1 enrollment, 0 groups, .* to monday\.backup",
    r"^Restored 1 service, 1 enrollment, 0 groups, .* into .*/second/landfall\.db",
    r"^Primary key +\S{88}$",
]

page = Page("backup.md", at_least=2)
with borrow_fixed("127.0.0.203"):
    page.run()
page.hold_anywhere(PROMISED)

# What the page says of the file.
lines = [json.loads(line) for line in pathlib.Path("monday.backup").read_text().splitlines()]
head = lines[0]
told = {"format", "formatVersion", "schemaVersion", "landfall", "made", "sealingKey", "leftOut"}
assert set(head) == told, head
assert all(set(line) == {"table", "row"} for line in lines[1:-1])
assert set(lines[-1]["end"]) == {"rows", "sha256"}, lines[-1]
print(page)
