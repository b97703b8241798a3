"""The page on moving to Landfall works as written: the key of an enrollment is the same in both services.

The page's addresses are fixed, so nothing else on the machine may use them.
"""

from addresses import borrow_fixed
from page import Page

# What its blocks must print, in any place.
PROMISED = [
    r"^Exported 1 enrollment and 1 group\.",
    r"^2 lines: 2 created, 0 replaced, 0 unchanged, 0 skipped, 0 failed\.",
    r"^2 lines: 0 created, 0 replaced, 2 unchanged, 0 skipped, 0 failed\.",
]

page = Page("moving.md", at_least=2)
with borrow_fixed("127.0.0.204"), borrow_fixed("127.0.0.205"):
    page.run()
page.hold_anywhere(PROMISED)
print(page)
