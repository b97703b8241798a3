"""An operator's program, in the shape of the hub SDK's own sample: it makes a device, changes its twin, and deletes it."""

import base64
import os
import uuid

from azure.iot.hub import IoTHubRegistryManager
from azure.iot.hub.models import Twin, TwinProperties

connection_string = os.getenv("IOTHUB_CONNECTION_STRING")
device_id = os.getenv("IOTHUB_DEVICE_ID")


def new_key():
    return base64.b64encode(str(uuid.uuid4()).encode()).decode()


registry = IoTHubRegistryManager.from_connection_string(connection_string)

device = registry.create_device_with_sas(device_id, new_key(), new_key(), "enabled")
print("create_device:", device.device_id, device.authentication.type, device.status)

device = registry.update_device_with_sas(device_id, device.etag, new_key(), new_key(), "disabled")
print("update_device:", device.device_id, device.status)

twin = registry.get_twin(device_id)
patch = Twin(properties=TwinProperties(desired={"telemetryInterval": 3000}))
twin = registry.update_twin(device_id, patch, twin.etag)
print("update_twin:", twin.properties.desired["telemetryInterval"])

print("get_devices:", [found.device_id for found in registry.get_devices(10)])
registry.delete_device(device_id)
print("GetDeviceRegistryStatistics:", registry.get_device_registry_statistics().total_device_count)
