"""azure-iot-hub: module identities, module twins, bulk creation."""

import os

from azure.iot.hub import IoTHubRegistryManager
from azure.iot.hub.models import ExportImportDevice, AuthenticationMechanism, SymmetricKey, Twin, TwinProperties
from msrest.exceptions import HttpOperationError

hub = IoTHubRegistryManager.from_connection_string(os.environ["HUB_CONNECTION_STRING"])
hub.create_device_with_sas("Gateway", "", "", "enabled")

module = hub.create_module_with_sas("Gateway", "sensor", "", "", "")
assert module.device_id == "Gateway" and module.module_id == "sensor"
assert module.authentication.symmetric_key.primary_key
assert [item.module_id for item in hub.get_modules("Gateway")] == ["sensor"]
assert hub.get_module("Gateway", "sensor").generation_id == module.generation_id
renewed = hub.update_module_with_sas("Gateway", "sensor", "me", module.etag, module.authentication.symmetric_key.primary_key, module.authentication.symmetric_key.secondary_key)
assert renewed.managed_by == "me" and renewed.etag != module.etag

twin = hub.get_module_twin("Gateway", "sensor")
twin = hub.update_module_twin("Gateway", "sensor", Twin(properties=TwinProperties(desired={"interval": 5})), twin.etag)
assert twin.properties.desired["interval"] == 5 and twin.module_id == "sensor"
twin = hub.replace_module_twin("Gateway", "sensor", Twin(properties=TwinProperties(desired={"other": 1})))
assert "interval" not in twin.properties.desired

hub.delete_module("Gateway", "sensor")
assert hub.get_modules("Gateway") == []
try:
    hub.get_module("Gateway", "sensor")
    raise AssertionError("the module is still there")
except HttpOperationError as error:
    assert error.response.status_code == 404
    assert error.response.headers["iothub-errorcode"] == "ModuleNotFound", error.response.headers

# A device goes with its modules.
hub.create_module_with_sas("Gateway", "sensor", "", "", "")
hub.delete_device("Gateway")
hub.create_device_with_sas("Gateway", "", "", "enabled")
assert hub.get_modules("Gateway") == []

# Bulk: identity and twin in one call.
keys = SymmetricKey(primary_key="cHJpbWFyeS1rZXktb2YtYnVsaw==", secondary_key="c2Vjb25kYXJ5LWtleS1vZi1idWxr")
devices = [
    ExportImportDevice(
        id=f"Bulk{number}", import_mode="create", status="enabled",
        authentication=AuthenticationMechanism(type="sas", symmetric_key=keys),
        tags={"environment": "bulk"},
    )
    for number in range(3)
]
result = hub.bulk_create_or_update_devices(devices)
assert result.is_successful is True and not result.errors
assert hub.get_twin("Bulk2").tags == {"environment": "bulk"}
assert hub.get_device("Bulk1").authentication.symmetric_key.primary_key == keys.primary_key
