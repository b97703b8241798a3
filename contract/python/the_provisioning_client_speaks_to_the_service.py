"""azure-iothub-provisioningserviceclient 1.2.0 (api-version 2018-09-01-preview): its calls once each."""

import base64
import os
import secrets

from provisioningserviceclient import (
    BulkEnrollmentOperation,
    EnrollmentGroup,
    IndividualEnrollment,
    ProvisioningServiceClient,
    ProvisioningServiceError,
    QuerySpecification,
)
from provisioningserviceclient.models import (
    AttestationMechanism,
    DeviceCapabilities,
    InitialTwin,
    ReprovisionPolicy,
    SymmetricKeyAttestation,
)


def new_key():
    return base64.b64encode(secrets.token_bytes(64)).decode()


def refused(status, call, *arguments):
    try:
        call(*arguments)
    except ProvisioningServiceError as error:
        assert str(error).startswith(f"Service Error {status}"), str(error)
        return
    raise AssertionError(f"expected {status}, and it was accepted")


client = ProvisioningServiceClient.create_from_connection_string(os.environ["SERVICE_CONNECTION_STRING"])
keys = SymmetricKeyAttestation(primary_key=new_key(), secondary_key=new_key())
attestation = AttestationMechanism(type="symmetricKey", symmetric_key=keys)

created = client.create_or_update(
    IndividualEnrollment.create(
        "py-1", attestation, device_id="Py-1",
        initial_twin=InitialTwin.create(tags={"environment": "test"}, desired_properties={"colour": "blue"}),
        device_capabilities=DeviceCapabilities.create(iot_edge=True),
        reprovision_policy=ReprovisionPolicy(update_hub_assignment=True, migrate_device_data=True),
    )
)
assert created.etag and created.device_id == "Py-1"
read = client.get_individual_enrollment("py-1")
assert read.initial_twin.tags == {"environment": "test"}
assert read.initial_twin.desired_properties == {"colour": "blue"}
assert read.capabilities.iot_edge is True and read.provisioning_status == "enabled"
assert read.reprovision_policy.migrate_device_data is True
assert read.attestation.symmetric_key is None
mechanism = client.get_individual_enrollment_attestation_mechanism("py-1")
assert mechanism.symmetric_key.primary_key == keys.primary_key

read.provisioning_status = "disabled"
changed = client.create_or_update(read)
assert changed.provisioning_status == "disabled" and changed.etag != created.etag
refused(412, client.create_or_update, read)
refused(412, client.delete, created)

group = client.create_or_update(EnrollmentGroup.create("py-group", AttestationMechanism(type="symmetricKey", symmetric_key=keys)))
assert client.get_enrollment_group("py-group").etag == group.etag
assert client.get_enrollment_group_attestation_mechanism("py-group").symmetric_key.primary_key == keys.primary_key

more = [
    IndividualEnrollment.create(
        f"py-bulk-{number}",
        AttestationMechanism(
            type="symmetricKey",
            symmetric_key=SymmetricKeyAttestation(primary_key=new_key(), secondary_key=new_key()),
        ),
    )
    for number in range(5)
]
assert client.run_bulk_operation(BulkEnrollmentOperation("create", more)).is_successful is True

found = []
pages = client.create_individual_enrollment_query(QuerySpecification("SELECT * FROM enrollments"), 4)
for page in pages:
    assert len(page) <= 4
    found += [item.registration_id for item in page]
assert sorted(found) == ["py-1"] + [f"py-bulk-{number}" for number in range(5)], found
groups = next(iter(client.create_enrollment_group_query(QuerySpecification("SELECT *"))))
assert [item.enrollment_group_id for item in groups] == ["py-group"]
# The wrapper's create_registration_state_query hands its page size to the wrong parameter and always
# raises a TypeError (1.2.0); the generated client beneath it makes the same call.
assert client._runtime_client.query_device_registration_states("py-group") == []

refused(404, client.get_registration_state, "py-1")
client.delete(changed)
refused(404, client.get_individual_enrollment, "py-1")
client.delete_enrollment_group_by_param("py-group")
refused(404, client.get_enrollment_group, "py-group")
