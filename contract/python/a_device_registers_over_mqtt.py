"""azure-iot-device: a device registers over MQTT, straight and in WebSockets, by key and by certificate."""

import base64
import hashlib
import hmac
import os
import pathlib
import secrets
import subprocess

from azure.iot.device import ProvisioningDeviceClient, X509
from azure.iot.device.exceptions import ClientError, CredentialError

environment = os.environ
ca = pathlib.Path(environment["CA_FILE"]).read_text()


def landfall(*words):
    subprocess.run([environment["LANDFALL"], *words], check=True, stdout=subprocess.DEVNULL)


def new_key():
    return base64.b64encode(secrets.token_bytes(64)).decode()


def derive(group_key, registration_id):
    digest = hmac.new(base64.b64decode(group_key), registration_id.encode(), hashlib.sha256).digest()
    return base64.b64encode(digest).decode()


def names(registration_id, websockets):
    return dict(
        provisioning_host=environment["DPS_HOST"], registration_id=registration_id,
        id_scope=environment["DPS_SCOPE_ID"], websockets=websockets, server_verification_cert=ca)


def register(client, payload=None):
    if payload is not None:
        client.provisioning_payload = payload
    return client.register()


def with_key(registration_id, key, websockets):
    return ProvisioningDeviceClient.create_from_symmetric_key(symmetric_key=key, **names(registration_id, websockets))


def with_certificate(registration_id, files, websockets):
    x509 = X509(cert_file=f"{files}_cert.pem", key_file=f"{files}_key.pem")
    return ProvisioningDeviceClient.create_from_x509_certificate(x509=x509, **names(registration_id, websockets))


def assigned(result, device_id, substatus="initialAssignment"):
    assert result.status == "assigned", result
    state = result.registration_state
    assert (state.assigned_hub, state.device_id) == (environment["HUB_HOST"], device_id), str(state)
    assert state.sub_status == substatus, state.sub_status
    assert state.etag and state.created_date_time and state.last_update_date_time


def refused(client):
    try:
        result = register(client)
    except ClientError as error:
        # Its credential is judged with its request: the answer has a body.
        told = repr(error) + repr(error.__cause__)
        assert "401" in told, told
        return
    raise AssertionError(f"expected a refusal: {result}")


def by(name, websockets):
    own = new_key()
    landfall("enrollment", "create", "--enrollment-id", f"{name}-individual", "--device-id", f"{name}-Device",
             "--attestation-type", "symmetricKey", "--primary-key", own, "--secondary-key", new_key())
    assigned(register(with_key(f"{name}-individual", own, websockets), {"greeting": "Grüße"}), f"{name}-Device")
    again = register(with_key(f"{name}-individual", own, websockets))
    assigned(again, f"{name}-Device", "reprovisionedToInitialAssignment")
    refused(with_key(f"{name}-individual", new_key(), websockets))
    refused(with_key(f"{name}-nobody", own, websockets))

    group = new_key()
    landfall("group", "create", "--enrollment-id", f"{name}-group", "--primary-key", group, "--secondary-key", new_key())
    derived = f"{name}-derived"
    assigned(register(with_key(derived, derive(group, derived), websockets)), derived)

    commands = f'. "$CONTRACT/lib/certificates.sh"; create_test_cert root {name}-root; create_test_cert device {name}-x509 {name}-root'
    subprocess.run(["bash", "-euo", "pipefail", "-c", commands], check=True)
    files = f"{name}X509"
    landfall("enrollment", "create", "--enrollment-id", f"{name}-x509", "--attestation-type", "x509",
             "--certificate-path", f"{files}_cert.pem")
    assigned(register(with_certificate(f"{name}-x509", files, websockets)), f"{name}-x509")


by("mqtt", websockets=False)
by("ws", websockets=True)
