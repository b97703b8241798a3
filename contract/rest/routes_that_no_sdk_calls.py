"""The routes that no recorded client calls: groups in bulk, CA certificates, Landfall's own."""

import base64
import json
import os
import pathlib
import subprocess
import time
import types

from device import Client, token

dev = json.loads((pathlib.Path(os.environ["LANDFALL_DATA"]) / "dev.json").read_text())
client = Client(types.SimpleNamespace(dev=dev))
control = dev["controlPlane"]
CERTIFICATES = (
    f"/subscriptions/{control['subscription']}/resourceGroups/{control['resourceGroup']}"
    f"/providers/Microsoft.Devices/provisioningServices/{control['name']}/certificates"
)
parts = dict(part.split("=", 1) for part in dev["serviceConnectionString"].split(";"))
OWNER = token(parts["HostName"].split(":")[0], parts["SharedAccessKey"], parts["SharedAccessKeyName"])
BEARER = f"Bearer {control['token']}"


def call(method, path, authorization, body=None, status=200, headers=None):
    """One call; gives the body of its answer."""
    answer = client.call(method, f"{path}?api-version=2021-10-01", body, authorization, headers)
    assert answer.status == status, f"{method} {path}: {answer.status} {answer.text}"
    return answer.body


# Groups in bulk: the good one is made, the other is named, and the call as a whole is 200.
group = {"enrollmentGroupId": "in-bulk", "attestation": {"type": "symmetricKey"}}
made = call("POST", "/enrollmentGroups", OWNER, {"mode": "create", "enrollmentGroups": [group]})
assert made["isSuccessful"] is True, made
again = call("POST", "/enrollmentGroups", OWNER, {"mode": "create", "enrollmentGroups": [group]})
assert again["isSuccessful"] is False, again
assert again["errors"][0]["enrollmentGroupId"] == "in-bulk", again
assert again["errors"][0]["errorCode"] // 1000 == 409, again
assert call("GET", "/enrollmentGroups/in-bulk", OWNER)["enrollmentGroupId"] == "in-bulk"

# CA certificates: listed without paging, and deleted by etag only.
subprocess.run(
    ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
     "-days", "30", "-subj", "/CN=my-root", "-keyout", "root.key", "-out", "root.pem"],
    check=True, capture_output=True,
)
text = base64.b64encode(pathlib.Path("root.pem").read_bytes()).decode()
assert call("GET", CERTIFICATES, BEARER) == {"value": []}
root = call("PUT", f"{CERTIFICATES}/root", BEARER, {"certificate": text})
listed = call("GET", CERTIFICATES, BEARER)["value"]
assert [(one["name"], one["properties"]["subject"]) for one in listed] == [("root", "my-root")], listed
call("DELETE", f"{CERTIFICATES}/root", BEARER, status=400)
call("DELETE", f"{CERTIFICATES}/root", BEARER, status=412, headers={"If-Match": "c3RhbGU="})
call("DELETE", f"{CERTIFICATES}/root", BEARER, headers={"If-Match": root["etag"]})
call("GET", f"{CERTIFICATES}/root", BEARER, status=404)
call("GET", CERTIFICATES, OWNER, status=401)

# Landfall's own: services for whoever holds the server's token, traces for the service's owner.
services = call("GET", "/landfall/services", BEARER)["value"]
assert [service["idScope"] for service in services] == [dev["idScope"]], services
assert call("GET", "/landfall/services/dev", BEARER) == services[0]
# The holder of a service's policy sees its own service, and no key of another.
own = client.call("GET", "/landfall/services?keys=true", None, OWNER).body["value"]
assert [service["serviceConnectionString"] for service in own] == [dev["serviceConnectionString"]], own
assert "hubConnectionString" not in own[0], own
call("GET", "/landfall/services", None, status=401)
call("PUT", f"/{dev['idScope']}/registrations/nobody/register", None, {}, status=401)
# A trace is written beside the answer.
for _ in range(100):
    traces = call("GET", "/landfall/registrations/nobody/traces", OWNER)["value"]
    if traces:
        break
    time.sleep(0.02)
assert traces[0]["finding"]["check"] == "evidence.none", traces
call("GET", "/landfall/registrations/nobody/traces", None, status=401)
