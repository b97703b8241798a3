"""The table of routes is what the server serves: each path is asked by each method.

A method that a path does not know is 405; anything else is an answer. `cargo xtask tidy` holds the
same table to the source and to the recorded exchanges.
"""

import json
import os
import pathlib
import re
import types

from device import Client, token

METHODS = ["GET", "PUT", "POST", "PATCH", "DELETE"]
# A name that nothing has, so that no probe changes anything.
NOBODY = "nobody"

dev = json.loads((pathlib.Path(os.environ["LANDFALL_DATA"]) / "dev.json").read_text())
client = Client(types.SimpleNamespace(dev=dev))
control = dev["controlPlane"]
bearer = f"Bearer {control['token']}"
certificates = (
    f"/subscriptions/{control['subscription']}/resourceGroups/{control['resourceGroup']}"
    f"/providers/Microsoft.Devices/provisioningServices/{control['name']}"
)


def owner(connection_string):
    """A token of the policy in a connection string."""
    parts = dict(part.split("=", 1) for part in connection_string.split(";"))
    return token(parts["HostName"].split(":")[0], parts["SharedAccessKey"], parts["SharedAccessKeyName"])


def authorization(shape):
    """Whose face a path belongs to."""
    if shape.startswith(("/landfall", "/subscriptions", "…")):
        return bearer
    if shape.startswith(("/devices", "/twins", "/statistics")):
        return owner(dev["hubConnectionString"])
    return owner(dev["serviceConnectionString"])


rows = [
    line.split()[:2]
    for line in (pathlib.Path(os.environ["CONTRACT"]) / "routes.txt").read_text().splitlines()
    if line and not line.startswith("#")
]
assert len(rows) > 40, f"read {len(rows)} rows"
patterns = [
    (method, re.compile(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(shape)))) for method, shape in rows
]
for shape in dict.fromkeys(shape for _, shape in rows):
    path = re.sub(r"\{\w+\}", NOBODY, shape)
    told = {method for method, pattern in patterns if pattern.fullmatch(path)}
    served = set()
    for method in METHODS:
        url = path.replace("…", certificates) + "?api-version=2021-10-01"
        answer = client.call(method, url, {}, authorization(shape))
        assert answer.status < 500, f"{method} {path}: {answer.status} {answer.text}"
        # Nothing here is refused for who asks, except devices: they have no credential.
        assert answer.status != 401 or shape.startswith("/{scope}"), f"{method} {path}: {answer.text}"
        if answer.status != 405:
            served.add(method)
    assert served == told, f"{path}: served {sorted(served)}, told {sorted(told)}"
