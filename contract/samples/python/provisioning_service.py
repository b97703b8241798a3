"""An operator's program, in the shape of the provisioning service SDK's own samples: individual enrollment, query, delete."""

import os

from provisioningserviceclient import IndividualEnrollment, ProvisioningServiceClient, QuerySpecification
from provisioningserviceclient.models import AttestationMechanism, SymmetricKeyAttestation

connection_string = os.getenv("PROVISIONING_CONNECTION_STRING")
registration_id = "sample-enrollment"

service = ProvisioningServiceClient.create_from_connection_string(connection_string)

# Keys that are left out are made by the service.
attestation = AttestationMechanism(type="symmetricKey", symmetric_key=SymmetricKeyAttestation())
enrollment = service.create_or_update(IndividualEnrollment.create(registration_id, attestation))
print("created:", enrollment.registration_id, enrollment.provisioning_status)

found = service.create_individual_enrollment_query(QuerySpecification("SELECT * FROM enrollments")).next()
print("enrolled:", sorted(one.registration_id for one in found))

service.delete(enrollment)
print("deleted:", registration_id)
