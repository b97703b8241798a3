"""Strangers with wrong keys spend what `limits.group_search_percent` allows, and are then told when to come back.

Two thousand groups with keys, one hundredth of a processor. Past the budget a first-time device reads 429 with number 429001
and Retry-After, and its decision trace names the budget. A device that was here before and one with an enrollment of its own are
served all the while; whoever comes back when it was told to is served in the end.
"""

import base64
import hashlib
import http.client
import json
import os
import pathlib
import ssl
import time

from device import derive, token
from outage import Fleet

GROUPS = 2000
MOST_STRANGERS = 5000
WITHIN_SECONDS = 60

work = pathlib.Path.cwd()


def key(text):
    return base64.b64encode(hashlib.sha512(text.encode()).digest()).decode()


def line(kind, id_member, name):
    keys = {"primaryKey": key(name), "secondaryKey": key(name + "'")}
    record = {id_member: name, "attestation": {"type": "symmetricKey", "symmetricKey": keys}}
    return json.dumps({"kind": kind, "record": record}) + "\n"


class From:
    """A device's connection from an address of its own."""

    def __init__(self, server, address):
        tls = ssl.create_default_context(cafile=server.dev["caFile"])
        self._connection = http.client.HTTPSConnection(
            server.dev["host"], server.dev["httpsPort"], context=tls, timeout=20, source_address=(address, 0))
        self._server = server

    def register(self, device, device_key):
        scope = self._server.scope
        path = f"/{scope}/registrations/{device}/register?api-version=2021-06-01"
        authorization = token(f"{scope}/registrations/{device}", device_key, "registration")
        self._connection.request("PUT", path, json.dumps({"registrationId": device}), {
            "Authorization": authorization, "Content-Type": "application/json"})
        answer = self._connection.getresponse()
        return answer.status, answer.headers, json.loads(answer.read())


with Fleet(os.environ["LANDFALL"], work / "serve", os.environ["BIND_ADDRESS"]) as server:
    server.config.write_text(server.config.read_text() + "[limits]\ngroup_search_percent = 1\n")
    server.start().found()
    records = work / "records.jsonl"
    records.write_text(
        "".join(line("group", "enrollmentGroupId", f"group-{number:04}") for number in range(GROUPS))
        + line("enrollment", "registrationId", "own"))
    done = server.command("enrollment", "import", records, "--json")
    assert done.returncode == 0 and json.loads(done.stdout)["created"] == GROUPS + 1, done

    inside, outside = From(server, "127.0.0.1"), From(server, "127.0.0.2")
    before = derive(key("group-0001"), "before")
    status, _, body = inside.register("before", before)
    assert status == 202, body

    # Strangers, from one address, until the budget is spent.
    for number in range(MOST_STRANGERS):
        status, headers, body = outside.register(f"stranger-{number}", key("nobody's"))
        if status == 429:
            break
        assert status == 401, (status, body)
    assert status == 429, f"{MOST_STRANGERS} searches in vain were all made"
    assert body["errorCode"] == 429001, body
    wait = int(headers["Retry-After"])
    assert 1 <= wait <= 30, headers
    told = server.command("explain", body["trackingId"])
    assert "search.budget" in told.stdout, told

    # Others are served meanwhile, also from the stranger's address when they need no search.
    for device, device_key in (("before", before), ("own", key("own"))):
        status, _, body = outside.register(device, device_key)
        assert status == 202, (device, status, body)

    # Whoever comes back when it was told to is served in the end, from whichever address.
    deadline = time.monotonic() + WITHIN_SECONDS
    for address, device in ((inside, "first-time"), (outside, "late")):
        device_key = derive(key("group-1999"), device)
        while (status := address.register(device, device_key)[0]) == 429 and time.monotonic() < deadline:
            time.sleep(0.2)
        assert status == 202, (device, status)
    server.stop()
print(f"429 for stranger {number + 1} among {GROUPS} groups, to come back in {wait} s")
