-- The records of the main road: services, enrollments, certificates, registrations, operations,
-- traces, and the embedded hubs' devices and modules.
--
-- Keys are text in byte order; `key` is the lower-case form of an id that ignores case. Times are
-- whole microseconds since 1970. `record` is versioned JSON text; `secrets` is sealed.
-- Tables of small rows are clustered by their key; rows that may grow past a kilobyte are not.

CREATE TABLE store_facts (
    name TEXT NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE services (
    scope TEXT NOT NULL PRIMARY KEY,
    name_key TEXT NOT NULL,
    etag TEXT NOT NULL,
    trust_version INTEGER NOT NULL,
    record TEXT NOT NULL,
    secrets BLOB NOT NULL
) STRICT;
CREATE INDEX services_by_name ON services (name_key, scope);

CREATE TABLE individual_enrollments (
    scope TEXT NOT NULL REFERENCES services (scope) ON DELETE CASCADE,
    key TEXT NOT NULL,
    etag TEXT NOT NULL,
    provisioning_status TEXT NOT NULL,
    attestation TEXT NOT NULL,
    allocation TEXT NOT NULL,
    identities TEXT NOT NULL,
    tags TEXT NOT NULL,
    record TEXT NOT NULL,
    secrets BLOB,
    PRIMARY KEY (scope, key)
) STRICT;
CREATE INDEX individuals_by_status ON individual_enrollments (scope, provisioning_status, key);
CREATE INDEX individuals_by_attestation ON individual_enrollments (scope, attestation, key);
CREATE INDEX individuals_by_allocation ON individual_enrollments (scope, allocation, key);

-- The certificates and endorsement keys that individual enrollments hold.
CREATE TABLE individual_identities (
    scope TEXT NOT NULL REFERENCES services (scope) ON DELETE CASCADE,
    identity TEXT NOT NULL,
    key TEXT NOT NULL,
    PRIMARY KEY (scope, identity, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE enrollment_groups (
    scope TEXT NOT NULL REFERENCES services (scope) ON DELETE CASCADE,
    key TEXT NOT NULL,
    etag TEXT NOT NULL,
    provisioning_status TEXT NOT NULL,
    attestation TEXT NOT NULL,
    allocation TEXT NOT NULL,
    tags TEXT NOT NULL,
    record TEXT NOT NULL,
    secrets BLOB,
    PRIMARY KEY (scope, key)
) STRICT;
CREATE INDEX groups_by_status ON enrollment_groups (scope, provisioning_status, key);
CREATE INDEX groups_by_attestation ON enrollment_groups (scope, attestation, key);
CREATE INDEX groups_by_allocation ON enrollment_groups (scope, allocation, key);

-- The leaves of the initial twins' tags; `kind` says individual enrollment or group.
CREATE TABLE enrollment_tags (
    scope TEXT NOT NULL REFERENCES services (scope) ON DELETE CASCADE,
    kind TEXT NOT NULL,
    path TEXT NOT NULL,
    value TEXT NOT NULL,
    key TEXT NOT NULL,
    PRIMARY KEY (scope, kind, path, value, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE ca_certificates (
    scope TEXT NOT NULL REFERENCES services (scope) ON DELETE CASCADE,
    key TEXT NOT NULL,
    etag TEXT NOT NULL,
    thumbprint TEXT NOT NULL,
    record TEXT NOT NULL,
    PRIMARY KEY (scope, key)
) STRICT;
CREATE INDEX ca_certificates_by_thumbprint ON ca_certificates (scope, thumbprint, key);

-- `group_key` is empty when an individual enrollment let the device in.
CREATE TABLE registrations (
    scope TEXT NOT NULL REFERENCES services (scope) ON DELETE CASCADE,
    key TEXT NOT NULL,
    etag TEXT NOT NULL,
    group_key TEXT NOT NULL,
    record TEXT NOT NULL,
    PRIMARY KEY (scope, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX registrations_by_group ON registrations (scope, group_key, key) WHERE group_key <> '';

-- A finished operation keeps its registration as `record`; an unfinished one is `sealed` whole,
-- since it holds what the hub will ask of the device.
CREATE TABLE operations (
    scope TEXT NOT NULL REFERENCES services (scope) ON DELETE CASCADE,
    id TEXT NOT NULL,
    finished INTEGER NOT NULL,
    created INTEGER NOT NULL,
    updated INTEGER NOT NULL,
    record TEXT NOT NULL,
    sealed BLOB,
    PRIMARY KEY (scope, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX operations_unfinished ON operations (created, id) WHERE finished = 0;
CREATE INDEX operations_finished ON operations (updated) WHERE finished = 1;

-- `scope` is empty when the attempt named no service that parses.
CREATE TABLE traces (
    tracking_id TEXT NOT NULL PRIMARY KEY,
    scope TEXT NOT NULL,
    registration_key TEXT NOT NULL,
    started INTEGER NOT NULL,
    record TEXT NOT NULL
) STRICT;
CREATE INDEX traces_by_registration ON traces (scope, registration_key, started, tracking_id);
CREATE INDEX traces_by_age ON traces (started, tracking_id);

CREATE TABLE hubs (
    hub TEXT NOT NULL PRIMARY KEY,
    record TEXT NOT NULL,
    secrets BLOB NOT NULL
) STRICT;

CREATE TABLE devices (
    hub TEXT NOT NULL REFERENCES hubs (hub) ON DELETE CASCADE,
    device TEXT NOT NULL,
    revision INTEGER NOT NULL,
    status TEXT NOT NULL,
    iot_edge INTEGER NOT NULL,
    tags TEXT NOT NULL,
    record TEXT NOT NULL,
    secrets BLOB,
    PRIMARY KEY (hub, device)
) STRICT;
-- Few devices are disabled or edge devices: only those are listed.
CREATE INDEX devices_disabled ON devices (hub, device) WHERE status = 'disabled';
CREATE INDEX devices_edge ON devices (hub, device) WHERE iot_edge = 1;

CREATE TABLE modules (
    hub TEXT NOT NULL,
    device TEXT NOT NULL,
    module TEXT NOT NULL,
    revision INTEGER NOT NULL,
    tags TEXT NOT NULL,
    record TEXT NOT NULL,
    secrets BLOB,
    PRIMARY KEY (hub, device, module),
    FOREIGN KEY (hub, device) REFERENCES devices (hub, device) ON DELETE CASCADE
) STRICT;

-- The leaves of the twins' tags; `module` is empty for a device's own twin.
CREATE TABLE twin_tags (
    hub TEXT NOT NULL REFERENCES hubs (hub) ON DELETE CASCADE,
    path TEXT NOT NULL,
    value TEXT NOT NULL,
    device TEXT NOT NULL,
    module TEXT NOT NULL,
    PRIMARY KEY (hub, path, value, device, module)
) STRICT, WITHOUT ROWID;
