"""The page on the audit trail works as written: changes are told, cut down by filters, and exported."""

import json
import os
import pathlib
import re

from device import Client, token
from document import blocks, prove_that_it_fails, session
from server import Server

PAGE = pathlib.Path(os.environ["CONTRACT"]).parent / "docs" / "operating" / "audit.md"

# What its blocks must print, in this order.
PROMISED = [
    r"^AT +WHO +FROM +ACTION +KIND +ID +WHERE +NOTE$",
    r"^\S+Z  provisioningserviceowner +\S+ +update +enrollment +press-1 +dev +-$",
    r"^\S+Z  provisioningserviceowner +\S+ +create +enrollment +press-1 +dev +-$",
    r"delete +enrollment +landfall-self-check",
    r"^No entries\.$",
    r"provisioningserviceowner",
    r"^No entries\.$",
    r"^2$",
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
assert len(parts) >= 3, f"only {len(parts)} sh blocks were found"
said, failure = session(PAGE.name, parts, work, {**environment, "LANDFALL_DATA": str(server.data)})
assert failure is None, failure
text = "\n".join(said)
at = 0
for pattern in PROMISED:
    found = re.compile(pattern, re.MULTILINE).search(text, at)
    assert found, f"nothing matches /{pattern}/ after character {at}:\n{text}"
    at = found.end()

# The export pages through everything: more than one page, none twice, newest first.
owner = server.connection_string("serviceConnectionString")
owner = token(owner["HostName"], owner["SharedAccessKey"], owner["SharedAccessKeyName"])
client = Client(server)
for number in range(230):
    answer = client.call(
        "PUT", "/enrollments/press-1?api-version=2021-10-01",
        {"registrationId": "press-1", "attestation": {"type": "symmetricKey"}, "provisioningStatus": ("enabled", "disabled")[number % 2]},
        owner, {"If-Match": "*"},
    )
    assert answer.status == 200, answer.text
client.close()
lines = [json.loads(line) for line in server.command("audit", "--id", "press-1", "--jsonl").stdout.splitlines()]
names = [line["entry"] for line in lines]
assert len(names) == len(set(names)) == 232, len(names)
assert [line["at"] for line in lines] == sorted((line["at"] for line in lines), reverse=True)
assert lines[-1]["action"] == "create" and "before" not in lines[-1], lines[-1]
server.stop()
print(f"{len(parts)} blocks of {PAGE.name} passed in one session, {len(lines)} entries were exported")
