"""The page on `landfall serve` works as written: its own certificate, its configuration, the first connection string.

The page's addresses and port 443 are fixed, so this test waits while another run has them, and nothing else
on the machine may use them.
"""

import os
import pathlib
import re

from addresses import borrow_fixed
from document import blocks, prove_that_it_fails, session

PAGE = pathlib.Path(os.environ["CONTRACT"]).parent / "docs" / "operating" / "serve.md"

# What its blocks must print, in any place.
PROMISED = [
    r'"message":"ready"',
    r"^ready$",
    r"^factory +0ne\w+ +127\.0\.0\.201 +127\.0\.0\.201 +127\.0\.0\.202",
    r"^HostName=127\.0\.0\.201;SharedAccessKeyName=provisioningserviceowner;SharedAccessKey=",
    r"^HostName=127\.0\.0\.202;SharedAccessKeyName=iothubowner;SharedAccessKey=",
    r"^Assigned hub +127\.0\.0\.202",
    r'"message":"stopped"',
]

work = pathlib.Path.cwd()
(work / "bin").mkdir()
(work / "bin" / "landfall").symlink_to(os.environ["LANDFALL"])
environment = {name: value for name, value in os.environ.items() if not name.startswith("LANDFALL")}
environment["PATH"] = f"{work / 'bin'}:{environment['PATH']}"
prove_that_it_fails(work, environment)

assert os.environ["OFFICIAL_PORTS"], (
    "the page's server listens on port 443, and this user may not:\n"
    "run as root, or allow it: sysctl net.ipv4.ip_unprivileged_port_start=443"
)
parts = blocks(PAGE.read_text())
assert len(parts) >= 6, f"only {len(parts)} sh blocks were found"
with borrow_fixed("127.0.0.201"), borrow_fixed("127.0.0.202"):
    said, failure = session(PAGE.name, parts, work, environment)
assert failure is None, failure
text = "\n".join(said)
for pattern in PROMISED:
    assert re.search(pattern, text, re.MULTILINE), f"nothing matches /{pattern}/:\n{text}"
print(f"{len(parts)} blocks of {PAGE.name} passed in one session")
