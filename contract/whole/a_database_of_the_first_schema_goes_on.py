"""A data folder of the first schema, started by this build: its devices and operators notice nothing.

The fixture was made by the last build of that schema (`crates/landfall-store/tests/fixtures/make.py`).
"""

import json
import os
import pathlib
import sqlite3

from device import Client, derive, token
from server import Server

FIXTURE = pathlib.Path(os.environ["CONTRACT"]).parent / "crates/landfall-store/tests/fixtures/schema-1"

facts = json.loads((FIXTURE / "facts.json").read_text())
data = pathlib.Path.cwd() / "data"
data.mkdir()
database = sqlite3.connect(data / "landfall.db")
database.executescript((FIXTURE / "landfall.sql").read_text())
database.close()
(data / "sealing.key").write_bytes((FIXTURE / "sealing.key").read_bytes())
(data / "sealing.key").chmod(0o600)

server = Server(
    os.environ["LANDFALL"], data, os.environ["BIND_ADDRESS"],
    official_ports=bool(os.environ["OFFICIAL_PORTS"]),
).start()
scope = facts["idScope"]
assert server.dev["idScope"] == scope, server.dev
assert server.connection_string("serviceConnectionString")["SharedAccessKey"] == facts["serviceKey"]
client = Client(server)

# Devices that were assigned before register again with the keys they have, and stay where they are.
for registration_id, key, device_id in (
    ("by-key", facts["key"], "device-by-key"),
    ("of-open", derive(facts["groupKey"], "of-open"), "of-open"),
    ("new-of-open", derive(facts["groupKey"], "new-of-open"), "new-of-open"),
):
    authorization = token(f"{scope}/registrations/{registration_id}", key, "registration")
    answer = client.register(scope, registration_id, authorization)
    while answer.status == 202:
        answer = client.operation(scope, registration_id, answer.body["operationId"], authorization)
    state = answer.body["registrationState"]
    assert (state["status"], state["assignedHub"], state["deviceId"]) == ("assigned", facts["hub"], device_id), answer.text

# What operators had kept is there, and what they change from now on is answered for.
owner = server.connection_string("serviceConnectionString")
owner = token(owner["HostName"], owner["SharedAccessKey"], owner["SharedAccessKeyName"])
kept = client.call("GET", "/enrollments/by-key?api-version=2021-10-01", None, owner).body
assert kept["optionalDeviceInformation"] == {"colour": "grün"}, kept
assert kept["initialTwin"]["tags"] == {"floor": 3}, kept
gone = client.call("DELETE", "/enrollments/by-key?api-version=2021-10-01", None, owner)
assert gone.status == 204, gone.text
entries = server.json("audit", "--id", "by-key")["value"]
assert [(entry["action"], entry["kind"]) for entry in entries] == [("delete", "registration"), ("delete", "enrollment")], entries
assert entries[1]["before"]["optionalDeviceInformation"] == {"colour": "grün"}, entries
client.close()
server.stop()
print("a database of schema 1 was brought up to date, and its devices stayed where they were")
