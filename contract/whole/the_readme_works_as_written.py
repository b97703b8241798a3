"""The README works as written: every `sh` block, in order, in one shell session against a fresh `landfall dev`.

The session starts in a folder that looks like a clone after the first command: `target/release/landfall`
and `landfall-data`. The server has an address and port of its own, so that runs can go on side by side.
"""

import os
import pathlib
import sys

from document import prove_that_it_fails
from readme import follow
from server import Server

README = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(os.environ["CONTRACT"]).parent / "README.md")

work = pathlib.Path.cwd()
clone = work / "clone"
(clone / "target" / "release").mkdir(parents=True)
(clone / "target" / "release" / "landfall").symlink_to(os.environ["LANDFALL"])
environment = {name: value for name, value in os.environ.items() if not name.startswith("LANDFALL")}

prove_that_it_fails(work, environment)

server = Server(os.environ["LANDFALL"], clone / "landfall-data", os.environ["BIND_ADDRESS"], bool(os.environ["OFFICIAL_PORTS"])).start()
try:
    said = follow(README, clone, server, environment)
    if os.environ.get("README_SHOW"):
        print("\n".join(said))
finally:
    server.stop()
print(f"{len(said)} blocks of {README.name} passed in one session")
