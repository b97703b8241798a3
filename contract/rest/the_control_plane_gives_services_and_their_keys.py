"""What management tools read before they call the service API by a service's name: find it in the list, take the keys of
the first policy that may configure and enroll, build a connection string from the host name that stands there.
"""

import json
import os
import pathlib
import types

from device import Client, token

dev = json.loads((pathlib.Path(os.environ["LANDFALL_DATA"]) / "dev.json").read_text())
client = Client(types.SimpleNamespace(dev=dev))
control = dev["controlPlane"]
SUBSCRIPTION = f"/subscriptions/{control['subscription']}"
GROUP = f"{SUBSCRIPTION}/resourceGroups/{control['resourceGroup']}"
PROVIDER = "providers/Microsoft.Devices/provisioningServices"
SERVICE = f"{GROUP}/{PROVIDER}/{control['name']}"
BEARER = f"Bearer {control['token']}"


def call(method, path, authorization=BEARER, status=200):
    """One call as the tools make it; gives the body of its answer."""
    answer = client.call(method, f"{path}?api-version=2021-10-15", None, authorization)
    assert answer.status == status, f"{method} {path}: {answer.status} {answer.text}"
    return answer.body


everywhere = call("GET", f"{SUBSCRIPTION}/{PROVIDER}")["value"]
assert call("GET", f"{GROUP}/{PROVIDER}")["value"] == everywhere
# A tool without a resource group takes it from the list, and asks for the service itself.
found = next(one for one in everywhere if one["name"].lower() == control["name"])
assert found["resourcegroup"] == control["resourceGroup"] and found["subscriptionid"] == control["subscription"]
service = call("GET", SERVICE)
assert service == found and service["id"] == SERVICE, service
properties = service["properties"]
assert properties["state"] == "Active" and properties["idScope"] == dev["idScope"], properties
assert [hub["name"] for hub in properties["iotHubs"]] == [os.environ["HUB_HOST"]], properties
assert all(hub["connectionString"].endswith("=****") for hub in properties["iotHubs"]), properties

keys = call("POST", f"{SERVICE}/listkeys")["value"]
usable = next(key for key in keys if {"ServiceConfig", "EnrollmentWrite"} <= set(key["rights"].split(", ")))
assert call("POST", f"{SERVICE}/keys/{usable['keyName'].upper()}/listkeys") == usable
signed = token(properties["serviceOperationsHostName"], usable["primaryKey"], usable["keyName"])
call("GET", "/enrollments/nobody", signed, status=404)
call("POST", f"{SERVICE}/keys/nobody/listkeys", status=404)
call("GET", f"{GROUP}/{PROVIDER}/nobody", status=404)
for method, path in (("GET", SERVICE), ("POST", f"{SERVICE}/listkeys"), ("GET", f"{GROUP}/{PROVIDER}")):
    call(method, path, signed, status=401)
call("PUT", SERVICE, status=405)
call("DELETE", SERVICE, status=405)
