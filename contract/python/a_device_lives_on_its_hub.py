"""azure-iot-device and azure-iot-hub: a device provisions, connects to its hub with the same credential, reads its twin,
reports, is told what it should become, carries out methods; straight and in WebSockets, by key and by certificate."""

import base64
import json
import os
import pathlib
import queue
import secrets
import subprocess
import time

from azure.iot.device import IoTHubDeviceClient, IoTHubModuleClient, Message, MethodResponse, ProvisioningDeviceClient, X509
from azure.iot.device.exceptions import CredentialError
from azure.iot.hub import IoTHubRegistryManager
from azure.iot.hub.models import CloudToDeviceMethod, Twin, TwinProperties
from msrest.exceptions import HttpOperationError

environment = os.environ
ca = pathlib.Path(environment["CA_FILE"]).read_text()
hub = IoTHubRegistryManager.from_connection_string(environment["HUB_CONNECTION_STRING"])
WITHIN_SECONDS = 30


def landfall(*words):
    subprocess.run([environment["LANDFALL"], *words], check=True, stdout=subprocess.DEVNULL)


def new_key():
    return base64.b64encode(secrets.token_bytes(64)).decode()


def desire(device, **properties):
    twin = Twin(properties=TwinProperties(desired=properties))
    return hub.update_twin(device, twin, hub.get_twin(device).etag)


def followed(device, count):
    """The first events that the hub keeps of a device."""
    done = subprocess.run(
        [environment["LANDFALL"], "hub", "monitor", "--after", "0", "--device-id", device, "--count", str(count), "--json"],
        capture_output=True, text=True, check=True, timeout=WITHIN_SECONDS)
    return [json.loads(line) for line in done.stdout.splitlines()]


def command(device, data, *words):
    landfall("hub", "c2d", "send", device, "--body", data, *words)


def becomes(device, state):
    """The end of a connection is written after the client has gone."""
    deadline = time.monotonic() + WITHIN_SECONDS
    while hub.get_device(device).connection_state != state:
        assert time.monotonic() < deadline, f"not {state}"
        time.sleep(0.05)


def waits_no_more(device):
    """A message that its device has leaves the queue."""
    deadline = time.monotonic() + WITHIN_SECONDS
    while hub.get_device(device).cloud_to_device_message_count:
        assert time.monotonic() < deadline, "the queue is not empty"
        time.sleep(0.1)


def call(device, name, payload, wait=30):
    method = CloudToDeviceMethod(method_name=name, payload=payload, response_timeout_in_seconds=wait)
    return hub.invoke_device_method(device, method)


def refused(status, ask, *arguments):
    try:
        ask(*arguments)
    except HttpOperationError as error:
        assert error.response.status_code == status, error.response.text
        return error.response.headers["iothub-errorcode"]
    raise AssertionError("expected a refusal")


def lives(client, device, websockets):
    """What a device's program does, told from outside."""
    becomes(device, "Disconnected")
    patches, called, messages = queue.Queue(), queue.Queue(), queue.Queue()
    client.on_twin_desired_properties_patch_received = patches.put

    def carry_out(request):
        called.put((request.name, request.payload))
        client.send_method_response(MethodResponse.create_from_method_request(request, 207, {"did": request.name}))

    assert refused(404, call, device, "reboot", None) == "DeviceNotOnline"
    client.on_method_request_received = carry_out
    client.on_message_received = messages.put
    client.connect()
    becomes(device, "Connected")
    assert hub.get_twin(device).connection_state == "Connected"
    assert hub.get_device(device).connection_state_updated_time.year > 2000

    twin = client.get_twin()
    assert twin["desired"]["$version"] >= 1 and twin["reported"]["$version"] >= 1, twin
    client.patch_twin_reported_properties({"firmware": "1.0", "ü": {"deep": [1, None, "ß"]}, "gone": 1})
    client.patch_twin_reported_properties({"gone": None})
    seen = hub.get_twin(device).properties.reported
    assert seen["firmware"] == "1.0" and seen["ü"]["deep"] == [1, None, "ß"] and "gone" not in seen, seen
    assert client.get_twin()["reported"]["$version"] == twin["reported"]["$version"] + 2

    before = hub.get_twin(device).properties.desired["$version"]
    desire(device, interval=5, nested={"a": 1})
    patch = patches.get(timeout=WITHIN_SECONDS)
    assert patch == {"interval": 5, "nested": {"a": 1}, "$version": before + 1}, patch
    desire(device, nested={"a": None, "b": "ä"})
    patch = patches.get(timeout=WITHIN_SECONDS)
    assert patch == {"nested": {"a": None, "b": "ä"}, "$version": before + 2}, patch
    assert client.get_twin()["desired"] == {"interval": 5, "nested": {"b": "ä"}, "$version": before + 2}

    message = Message(json.dumps({"t": 21.5, "ü": "ß"}), content_encoding="utf-8", content_type="application/json")
    message.message_id, message.correlation_id = f"{device}-1", "c/1"
    message.custom_properties.update({"alarm": "no", "a b&c=d": "%/ü"})
    client.send_message(message)
    client.send_message("plain")
    connected, *told = followed(device, 3)
    assert connected["event"] == "deviceConnected" and {event["event"] for event in told} == {"telemetry"}, told
    assert [event["body"] for event in told] == [{"t": 21.5, "ü": "ß"}, "plain"], told
    assert told[0]["properties"] == {"alarm": "no", "a b&c=d": "%/ü"}, told[0]
    system = told[0]["systemProperties"]
    assert (system["message-id"], system["correlation-id"], system["content-type"]) == (f"{device}-1", "c/1", "application/json")

    command(device, "turn on", "--properties", "level=3;a b=%/ü", "--message-id", "m 1", "--content-type", "text/plain")
    message = messages.get(timeout=WITHIN_SECONDS)
    assert (message.data, message.message_id, message.content_type) == (b"turn on", "m 1", "text/plain"), vars(message)
    assert message.custom_properties == {"level": "3", "a b": "%/ü"}, message.custom_properties
    waits_no_more(device)

    answer = call(device, "reboot", {"in": 3})
    assert (answer.status, answer.payload) == (207, {"did": "reboot"}), answer
    assert called.get(timeout=WITHIN_SECONDS) == ("reboot", {"in": 3})
    # A connection that is lost comes back, and what it subscribed to is still there: clients do not ask again.
    client.disconnect()
    becomes(device, "Disconnected")
    assert refused(404, call, device, "reboot", None) == "DeviceNotOnline"
    for number in range(3):
        command(device, f"while away {number}")
    assert hub.get_device(device).cloud_to_device_message_count == 3
    client.connect()
    assert [messages.get(timeout=WITHIN_SECONDS).data for _ in range(3)] == [f"while away {number}".encode() for number in range(3)]
    waits_no_more(device)
    desire(device, interval=6)
    assert patches.get(timeout=WITHIN_SECONDS)["interval"] == 6
    assert call(device, "again", None).payload == {"did": "again"}
    client.shutdown()


def by_key(name, websockets):
    key = new_key()
    landfall("enrollment", "create", "--enrollment-id", name, "--device-id", f"{name}-Device", "--attestation-type", "symmetricKey",
             "--primary-key", key, "--secondary-key", new_key(), "--initial-twin-properties", '{"first": true}')
    provisioning = ProvisioningDeviceClient.create_from_symmetric_key(
        provisioning_host=environment["DPS_HOST"], registration_id=name, id_scope=environment["DPS_SCOPE_ID"],
        symmetric_key=key, websockets=websockets, server_verification_cert=ca)
    state = provisioning.register().registration_state
    how = dict(websockets=websockets, server_verification_cert=ca)
    client = IoTHubDeviceClient.create_from_symmetric_key(key, state.assigned_hub, state.device_id, **how)
    desire(state.device_id, first=None)
    lives(client, state.device_id, websockets)
    stranger = IoTHubDeviceClient.create_from_symmetric_key(new_key(), state.assigned_hub, state.device_id, **how)
    try:
        stranger.connect()
        raise AssertionError("a wrong key was let in")
    except CredentialError:
        stranger.shutdown()


def by_certificate(name, websockets):
    commands = f'. "$CONTRACT/lib/certificates.sh"; create_test_cert root {name}-root; create_test_cert device {name} {name}-root'
    subprocess.run(["bash", "-euo", "pipefail", "-c", commands], check=True)
    files = "certMqtt"
    landfall("enrollment", "create", "--enrollment-id", name, "--attestation-type", "x509", "--certificate-path", f"{files}_cert.pem")
    x509 = X509(cert_file=f"{files}_cert.pem", key_file=f"{files}_key.pem")
    how = dict(websockets=websockets, server_verification_cert=ca)
    provisioning = ProvisioningDeviceClient.create_from_x509_certificate(
        provisioning_host=environment["DPS_HOST"], registration_id=name, id_scope=environment["DPS_SCOPE_ID"], x509=x509, **how)
    state = provisioning.register().registration_state
    lives(IoTHubDeviceClient.create_from_x509_certificate(x509, state.assigned_hub, state.device_id, **how), name, websockets)


by_key("key-mqtt", websockets=False)
by_key("key-ws", websockets=True)
by_certificate("cert-mqtt", websockets=False)

# A queue takes fifty, and can be emptied.
hub.create_device_with_sas("away", new_key(), new_key(), "enabled")
for number in range(50):
    command("away", str(number))
full = subprocess.run([environment["LANDFALL"], "hub", "c2d", "send", "away", "--body", "51"], capture_output=True, text=True)
assert full.returncode == 1 and "DeviceMaximumQueueDepthExceeded" in full.stderr + full.stdout, full
purged = subprocess.run([environment["LANDFALL"], "hub", "c2d", "purge", "away"], capture_output=True, text=True, check=True)
assert json.loads(purged.stdout) == {"totalMessagesPurged": 50, "deviceId": "away", "moduleId": None}, purged.stdout
command("away", "again")

# A module has a session of its own.
hub.create_device_with_sas("with-module", new_key(), new_key(), "enabled")
module_key = new_key()
hub.create_module_with_sas("with-module", "m", "", module_key, new_key())
module = IoTHubModuleClient.create_from_connection_string(
    f"HostName={environment['HUB_HOST']};DeviceId=with-module;ModuleId=m;SharedAccessKey={module_key}", server_verification_cert=ca)
module.connect()
module.send_message_to_output("from the module", "out")
_, event = followed("with-module", 2)
assert (event["deviceId"], event["moduleId"], event["body"]) == ("with-module", "m", "from the module"), event
assert event["systemProperties"]["iothub-output-name"] == "out", event
module.patch_twin_reported_properties({"module": True})
assert hub.get_module_twin("with-module", "m").properties.reported["module"] is True
module.on_method_request_received = lambda request: module.send_method_response(
    MethodResponse.create_from_method_request(request, 200, {"module": request.name}))
answer = hub.invoke_device_module_method("with-module", "m", CloudToDeviceMethod(method_name="start", payload=[1]))
assert (answer.status, answer.payload) == (200, {"module": "start"}), answer
module.shutdown()
