"""azure-iot-hub: devices by key and thumbprint, twins, query by tag, statistics."""

import base64
import os
import secrets

from azure.iot.hub import IoTHubRegistryManager
from azure.iot.hub.models import QuerySpecification, Twin, TwinProperties
from msrest.exceptions import HttpOperationError


def new_key():
    return base64.b64encode(secrets.token_bytes(32)).decode()


def refused(status, call, *arguments):
    try:
        call(*arguments)
    except HttpOperationError as error:
        assert error.response.status_code == status, error.response.text
        return error.response
    raise AssertionError(f"expected {status}, and it was accepted")


hub = IoTHubRegistryManager.from_connection_string(os.environ["HUB_CONNECTION_STRING"])
before = hub.get_device_registry_statistics()

# Create, by keys given and by keys made.
primary, secondary = new_key(), new_key()
created = hub.create_device_with_sas("Dev1", primary, secondary, "enabled")
assert created.device_id == "Dev1" and created.status == "enabled"
assert created.authentication.type == "sas"
assert created.authentication.symmetric_key.primary_key == primary
assert created.generation_id and created.etag
assert created.connection_state == "Disconnected"
made = hub.create_device_with_sas("Dev2", "", "", "disabled", iot_edge=True)
assert len(base64.b64decode(made.authentication.symmetric_key.primary_key)) >= 16
assert made.capabilities.iot_edge is True and made.status == "disabled"
assert sorted(module.module_id for module in hub.get_modules("Dev2")) == ["$edgeAgent", "$edgeHub"]
thumbprint = secrets.token_hex(32).upper()
by_certificate = hub.create_device_with_x509("Dev3", thumbprint, thumbprint, "enabled")
assert by_certificate.authentication.type == "selfSigned"
assert by_certificate.authentication.x509_thumbprint.primary_thumbprint.upper() == thumbprint
assert refused(409, hub.create_device_with_sas, "Dev1", primary, secondary, "enabled").headers["iothub-errorcode"] == "DeviceAlreadyExists"

# Read; ids are case-sensitive.
assert hub.get_device("Dev1").authentication.symmetric_key.secondary_key == secondary
response = refused(404, hub.get_device, "dev1")
assert response.headers["iothub-errorcode"] == "DeviceNotFound"
assert response.json()["Message"].startswith("ErrorCode:DeviceNotFound;"), response.text
assert {device.device_id for device in hub.get_devices(10)} >= {"Dev1", "Dev2", "Dev3"}
assert len(hub.get_devices(2)) == 2

# Update, with and against the etag.
updated = hub.update_device_with_sas("Dev1", created.etag, primary, new_key(), "disabled", status_reason="in repair")
assert updated.status == "disabled" and updated.status_reason == "in repair"
assert updated.etag != created.etag and updated.generation_id == created.generation_id
refused(412, hub.update_device_with_sas, "Dev1", created.etag, primary, secondary, "enabled")
hub.update_device_with_sas("Dev1", None, primary, secondary, "enabled")

# Twin: patch, conflict, replace.
twin = hub.get_twin("Dev1")
assert twin.properties.desired["$version"] == 1 and twin.properties.reported["$version"] == 1
patched = hub.update_twin("Dev1", Twin(tags={"environment": "test", "floor": 3}), twin.etag)
assert patched.tags == {"environment": "test", "floor": 3}
assert patched.properties.desired["$version"] == 1, "tags alone do not touch the desired version"
refused(412, hub.update_twin, "Dev1", Twin(tags={"environment": "live"}), twin.etag)
patched = hub.update_twin("Dev1", Twin(tags={"floor": None}, properties=TwinProperties(desired={"fan": {"speed": 2}})))
assert patched.properties.desired["fan"] == {"speed": 2} and patched.properties.desired["$version"] == 2
assert hub.get_twin("Dev1").etag == patched.etag
hub.update_twin("Dev2", Twin(tags={"environment": "live"}))
hub.update_twin("Dev3", Twin(tags={"environment": "test"}))


# Query.
def query(text, page=None):
    found, token = [], None
    while True:
        result = hub.query_iot_hub(QuerySpecification(query=text), token, page)
        found += result.items
        token = result.continuation_token
        if not token:
            return found


names = lambda found: sorted(item.device_id for item in found)
assert names(query("SELECT * FROM devices WHERE tags.environment = 'test'")) == ["Dev1", "Dev3"]
assert names(query("SELECT * FROM devices WHERE tags.environment = 'test'", page=1)) == ["Dev1", "Dev3"]
assert names(query("SELECT * FROM devices WHERE tags.environment = 'nowhere'")) == []
assert names(query("select * from devices where capabilities.iotEdge = true")) == ["Dev2"]
assert names(query("SELECT * FROM devices WHERE properties.desired.fan.speed >= 2 AND NOT deviceId = 'Dev3'")) == ["Dev1"]
first = hub.query_iot_hub(QuerySpecification(query="SELECT * FROM devices"), None, 1)
assert first.type == "Twin" and first.continuation_token and len(first.items) == 1
refused(400, query, "SELECT * FROM devices WHERE")

replaced = hub.replace_twin("Dev1", Twin(tags={"new": True}, properties=TwinProperties(desired={"fan": None, "light": 1})))
assert replaced.tags == {"new": True}
assert replaced.properties.desired["light"] == 1 and "fan" not in replaced.properties.desired

# Statistics, delete.
now = hub.get_device_registry_statistics()
assert now.total_device_count == before.total_device_count + 3
assert now.disabled_device_count == before.disabled_device_count + 1
assert hub.get_service_statistics().connected_device_count == 0
refused(412, hub.delete_device, "Dev1", "bm8tc3VjaC1ldGFn")
hub.delete_device("Dev1")
hub.delete_device("Dev2")
hub.delete_device("Dev3", hub.get_device("Dev3").etag)
refused(404, hub.get_twin, "Dev1")
assert hub.get_device_registry_statistics().total_device_count == before.total_device_count
