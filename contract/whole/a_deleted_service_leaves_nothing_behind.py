"""A service that is deleted leaves no row, no hub, no device and no door of its own; its devices are refused as
strangers are, and `dev` starts again whatever is left. The tables are read from the database file itself.
"""

import json
import os
import pathlib
import sqlite3

from device import Client, derive, token
from server import Server

server = Server(
    os.environ["LANDFALL"], pathlib.Path.cwd() / "data", os.environ["BIND_ADDRESS"],
    official_ports=bool(os.environ["OFFICIAL_PORTS"]),
).start()
client = Client(server)


def rows(scope, hubs):
    """How many rows of each table name the id scope or one of the hubs."""
    with sqlite3.connect(f"file:{server.data / 'landfall.db'}?mode=ro", uri=True) as database:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        counts = {}
        for table in tables:
            columns = {row[1] for row in database.execute(f"PRAGMA table_info({table})")}
            for column, names in (("scope", [scope.lower()]), ("hub", [hub.lower() for hub in hubs])):
                # What an operator did is kept, also to what is gone.
                if column in columns and not table.startswith("audit"):
                    for name in names:
                        (count,) = database.execute(f"SELECT COUNT(*) FROM {table} WHERE {column} = ?", (name,)).fetchone()
                        counts[f"{table}.{column}"] = counts.get(f"{table}.{column}", 0) + count
    return counts


def furnish(name):
    """A second service with a group, an enrollment with tags, and a registered edge device."""
    made = server.json("service", "create", name)
    scope, hub = made["idScope"], made["hubHostNames"][0]
    where = ["--service", name]
    server.command("group", "create", "fleet", *where)
    server.command(
        "enrollment", "create", "edge-1", "--attestation-type", "symmetricKey", "--edge-enabled",
        "--initial-twin-tags", '{"site":"a"}', *where,
    )
    group = server.json("group", "show", "fleet", "--keys", *where)["attestation"]["symmetricKey"]["primaryKey"]
    own = server.json("enrollment", "show", "edge-1", "--keys", *where)["attestation"]["symmetricKey"]["primaryKey"]
    for device, key in (("edge-1", own), ("in-fleet", derive(group, "in-fleet"))):
        signed = token(f"{scope}/registrations/{device}", key, "registration")
        begun = client.register(scope, device, signed)
        assert begun.status == 202, begun.text
        for _ in range(50):
            answer = client.operation(scope, device, begun.body["operationId"], signed)
            if answer.status == 200:
                break
        assert answer.body["registrationState"]["assignedHub"] == hub, answer.text
    return scope, hub, signed, begun.body["operationId"]


scope, hub, signed, operation = furnish("second")
server.command("explain", "in-fleet", "--service", "second")  # waits until the traces are written
before = rows(scope, [hub])
assert len(before) > 12, before
for table in ("services.scope", "enrollment_groups.scope", "registrations.scope", "operations.scope", "traces.scope",
              "enrollment_tags.scope", "hubs.hub", "devices.hub", "modules.hub", "twin_tags.hub"):
    assert before[table] > 0, f"{table}: {before}"

# Nothing goes without being asked for twice.
unasked = server.command("service", "delete", "second", succeed=False)
assert unasked.returncode == 2 and "--yes" in unasked.stderr, unasked.stderr
refused = server.command("service", "delete", "second", "--yes", succeed=False)
assert refused.returncode == 4, refused.stderr
assert "1 individual enrollment, 1 enrollment group, 2 registrations, 2 devices on hub" in refused.stderr, refused.stderr
assert "--force" in refused.stderr, refused.stderr
assert rows(scope, [hub]) == before

said = server.command("service", "delete", "second", "--yes", "--force").stdout
assert "1 individual enrollment, 1 enrollment group, 2 registrations" in said and hub in said, said
left = {table: count for table, count in rows(scope, [hub]).items() if count}
assert left == {}, left
polled = client.operation(scope, "in-fleet", operation, signed)
assert polled.status == 401, polled.text
stranger = client.register(scope, "in-fleet", signed)
assert stranger.status == 401 and stranger.body["errorCode"] == 401002, stranger.text

# The next service gets the address that was freed, and the one after another.
again = server.json("service", "create", "third")
assert again["hubHostNames"] == [hub], again
assert again["idScope"] != scope
fourth = server.json("service", "create", "fourth")
assert fourth["hubHostNames"] != [hub], fourth
for name in ("third", "fourth"):
    server.command("service", "delete", name, "--yes")

# A hub that is kept keeps its devices for a service that links it again.
scope, hub, signed, _ = furnish("fifth")
kept = server.command("service", "delete", "fifth", "--yes", "--force", "--keep-hub").stdout
assert f"--hub-host {hub}" in kept, kept
assert rows(scope, [])["services.scope"] == 0
server.command("service", "create", "sixth", "--hub-host", hub)
devices = server.json("hub", "device", "list", "--service", "sixth")
assert sorted(device["deviceId"] for device in devices) == ["edge-1", "in-fleet"], devices
server.command("service", "delete", "sixth", "--yes", "--force")

# When the first goes, dev.json tells of the next oldest, and so do commands that name no service.
first = server.dev["idScope"]
heir = server.json("service", "create", "heir")
server.command("service", "delete", "dev", "--yes", "--force")
assert json.loads((server.data / "dev.json").read_text())["idScope"] == heir["idScope"]
assert server.json("service", "show")["name"] == "heir"
server.command("enrollment", "create", "of-the-heir", "--attestation-type", "symmetricKey")
assert server.json("enrollment", "list", "--service", "heir")[0]["registrationId"] == "of-the-heir"

# The last one may go too: dev.json makes the next, and so does the next start.
server.command("service", "delete", "heir", "--yes", "--force")
assert server.json("service", "list")["value"] == []
server.command("service", "create", "next")
assert server.json("service", "show")["name"] == "next"
server.command("service", "delete", "next", "--yes")
assert server.json("service", "list")["value"] == []
server.stop()
server.start()
assert server.dev["idScope"] != first
assert [service["idScope"] for service in server.json("service", "list")["value"]] == [server.dev["idScope"]]
server.stop()
print(f"{len(before)} columns of the database were looked at")
