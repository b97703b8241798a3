"""The page on access policies works as written: a program's own policy, and its key rotated without stopping it."""

import os
import pathlib
import re

from document import blocks, prove_that_it_fails, session
from server import Server

PAGE = pathlib.Path(os.environ["CONTRACT"]).parent / "docs" / "operating" / "access.md"

# What its blocks must print, in this order.
PROMISED = [
    r"^dashboard +EnrollmentRead, RegistrationStatusRead$",
    r"^No enrollments\.$",
    r"lacks the right 'EnrollmentWrite'",
    r"^refused, as it should be$",
    r"^Valid now: the new primary, and the former primary as the secondary",
    r"^HostName=.*;SharedAccessKeyName=dashboard;SharedAccessKey=",
    r"^No enrollments\.$",
    r"^the old string is dead$",
    r"^Deleted policy dashboard\.$",
]

work = pathlib.Path.cwd()
(work / "bin").mkdir()
(work / "bin" / "landfall").symlink_to(os.environ["LANDFALL"])
environment = {name: value for name, value in os.environ.items() if not name.startswith("LANDFALL")}
environment["PATH"] = f"{work / 'bin'}:{environment['PATH']}"
prove_that_it_fails(work, environment)

server = Server(
    os.environ["LANDFALL"], work / "data", os.environ["BIND_ADDRESS"],
    official_ports=bool(os.environ["OFFICIAL_PORTS"]),
).start()
parts = blocks(PAGE.read_text())
assert len(parts) >= 5, f"only {len(parts)} sh blocks were found"
said, failure = session(PAGE.name, parts, work, {**environment, "LANDFALL_DATA": str(server.data)})
server.stop()
assert failure is None, failure
text = "\n".join(said)
at = 0
for pattern in PROMISED:
    found = re.compile(pattern, re.MULTILINE).search(text, at)
    assert found, f"nothing matches /{pattern}/ after character {at}:\n{text}"
    at = found.end()
print(f"{len(parts)} blocks of {PAGE.name} passed in one session")
