-- The records of the main road: services, enrollments, certificates, registrations, operations,
-- traces, and the embedded hubs' devices and modules.
--
-- Keys are text in byte order; `key` is the lower-case form of an id that ignores case. Times are
-- whole microseconds since 1970. `record` is versioned JSON text; `secrets` is sealed.

CREATE TABLE store_facts (
    name TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    value BYTEA NOT NULL
);

CREATE TABLE services (
    scope TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    name_key TEXT COLLATE "C" NOT NULL,
    etag TEXT COLLATE "C" NOT NULL,
    trust_version BIGINT NOT NULL,
    record TEXT COLLATE "C" NOT NULL,
    secrets BYTEA NOT NULL
);
CREATE INDEX services_by_name ON services (name_key, scope);

CREATE TABLE individual_enrollments (
    scope TEXT COLLATE "C" NOT NULL REFERENCES services (scope) ON DELETE CASCADE,
    key TEXT COLLATE "C" NOT NULL,
    etag TEXT COLLATE "C" NOT NULL,
    provisioning_status TEXT COLLATE "C" NOT NULL,
    attestation TEXT COLLATE "C" NOT NULL,
    allocation TEXT COLLATE "C" NOT NULL,
    identities TEXT COLLATE "C" NOT NULL,
    tags TEXT COLLATE "C" NOT NULL,
    record TEXT COLLATE "C" NOT NULL,
    secrets BYTEA,
    PRIMARY KEY (scope, key)
);
CREATE INDEX individuals_by_status ON individual_enrollments (scope, provisioning_status, key);
CREATE INDEX individuals_by_attestation ON individual_enrollments (scope, attestation, key);
CREATE INDEX individuals_by_allocation ON individual_enrollments (scope, allocation, key);

-- The certificates and endorsement keys that individual enrollments hold.
CREATE TABLE individual_identities (
    scope TEXT COLLATE "C" NOT NULL REFERENCES services (scope) ON DELETE CASCADE,
    identity TEXT COLLATE "C" NOT NULL,
    key TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (scope, identity, key)
);

CREATE TABLE enrollment_groups (
    scope TEXT COLLATE "C" NOT NULL REFERENCES services (scope) ON DELETE CASCADE,
    key TEXT COLLATE "C" NOT NULL,
    etag TEXT COLLATE "C" NOT NULL,
    provisioning_status TEXT COLLATE "C" NOT NULL,
    attestation TEXT COLLATE "C" NOT NULL,
    allocation TEXT COLLATE "C" NOT NULL,
    tags TEXT COLLATE "C" NOT NULL,
    record TEXT COLLATE "C" NOT NULL,
    secrets BYTEA,
    PRIMARY KEY (scope, key)
);
CREATE INDEX groups_by_status ON enrollment_groups (scope, provisioning_status, key);
CREATE INDEX groups_by_attestation ON enrollment_groups (scope, attestation, key);
CREATE INDEX groups_by_allocation ON enrollment_groups (scope, allocation, key);

-- The leaves of the initial twins' tags; `kind` says individual enrollment or group.
CREATE TABLE enrollment_tags (
    scope TEXT COLLATE "C" NOT NULL REFERENCES services (scope) ON DELETE CASCADE,
    kind TEXT COLLATE "C" NOT NULL,
    path TEXT COLLATE "C" NOT NULL,
    value TEXT COLLATE "C" NOT NULL,
    key TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (scope, kind, path, value, key)
);

CREATE TABLE ca_certificates (
    scope TEXT COLLATE "C" NOT NULL REFERENCES services (scope) ON DELETE CASCADE,
    key TEXT COLLATE "C" NOT NULL,
    etag TEXT COLLATE "C" NOT NULL,
    thumbprint TEXT COLLATE "C" NOT NULL,
    record TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (scope, key)
);
CREATE INDEX ca_certificates_by_thumbprint ON ca_certificates (scope, thumbprint, key);

-- `group_key` is empty when an individual enrollment let the device in.
CREATE TABLE registrations (
    scope TEXT COLLATE "C" NOT NULL REFERENCES services (scope) ON DELETE CASCADE,
    key TEXT COLLATE "C" NOT NULL,
    etag TEXT COLLATE "C" NOT NULL,
    group_key TEXT COLLATE "C" NOT NULL,
    record TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (scope, key)
);
CREATE INDEX registrations_by_group ON registrations (scope, group_key, key) WHERE group_key <> '';

-- A finished operation keeps its registration as `record`; an unfinished one is `sealed` whole,
-- since it holds what the hub will ask of the device.
CREATE TABLE operations (
    scope TEXT COLLATE "C" NOT NULL REFERENCES services (scope) ON DELETE CASCADE,
    id TEXT COLLATE "C" NOT NULL,
    finished BIGINT NOT NULL,
    created BIGINT NOT NULL,
    updated BIGINT NOT NULL,
    record TEXT COLLATE "C" NOT NULL,
    sealed BYTEA,
    PRIMARY KEY (scope, id)
);
CREATE INDEX operations_unfinished ON operations (created, id) WHERE finished = 0;
CREATE INDEX operations_finished ON operations (updated) WHERE finished = 1;

-- `scope` is empty when the attempt named no service that parses.
CREATE TABLE traces (
    tracking_id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    scope TEXT COLLATE "C" NOT NULL,
    registration_key TEXT COLLATE "C" NOT NULL,
    started BIGINT NOT NULL,
    record TEXT COLLATE "C" NOT NULL
);
CREATE INDEX traces_by_registration ON traces (scope, registration_key, started, tracking_id);
CREATE INDEX traces_by_age ON traces (started, tracking_id);

CREATE TABLE hubs (
    hub TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    record TEXT COLLATE "C" NOT NULL,
    secrets BYTEA NOT NULL
);

CREATE TABLE devices (
    hub TEXT COLLATE "C" NOT NULL REFERENCES hubs (hub) ON DELETE CASCADE,
    device TEXT COLLATE "C" NOT NULL,
    revision BIGINT NOT NULL,
    status TEXT COLLATE "C" NOT NULL,
    iot_edge BIGINT NOT NULL,
    tags TEXT COLLATE "C" NOT NULL,
    record TEXT COLLATE "C" NOT NULL,
    secrets BYTEA,
    PRIMARY KEY (hub, device)
);
-- Few devices are disabled or edge devices: only those are listed.
CREATE INDEX devices_disabled ON devices (hub, device) WHERE status = 'disabled';
CREATE INDEX devices_edge ON devices (hub, device) WHERE iot_edge = 1;

CREATE TABLE modules (
    hub TEXT COLLATE "C" NOT NULL,
    device TEXT COLLATE "C" NOT NULL,
    module TEXT COLLATE "C" NOT NULL,
    revision BIGINT NOT NULL,
    tags TEXT COLLATE "C" NOT NULL,
    record TEXT COLLATE "C" NOT NULL,
    secrets BYTEA,
    PRIMARY KEY (hub, device, module),
    FOREIGN KEY (hub, device) REFERENCES devices (hub, device) ON DELETE CASCADE
);

-- The leaves of the twins' tags; `module` is empty for a device's own twin.
CREATE TABLE twin_tags (
    hub TEXT COLLATE "C" NOT NULL REFERENCES hubs (hub) ON DELETE CASCADE,
    path TEXT COLLATE "C" NOT NULL,
    value TEXT COLLATE "C" NOT NULL,
    device TEXT COLLATE "C" NOT NULL,
    module TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (hub, path, value, device, module)
);
