"""The page on the audit trail works as written: changes are told, cut down by filters, and exported."""

import json
import os
import pathlib

from device import Client, token
from page import Page
from server import Server

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

page = Page("audit.md", at_least=3)
server = Server(
    os.environ["LANDFALL"], pathlib.Path.cwd() / "data", os.environ["BIND_ADDRESS"],
    official_ports=bool(os.environ["OFFICIAL_PORTS"]),
).start()
try:
    page.run(LANDFALL_DATA=str(server.data))
    page.hold_in_order(PROMISED)

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
finally:
    server.stop()
print(f"{page}, {len(lines)} entries were exported")
