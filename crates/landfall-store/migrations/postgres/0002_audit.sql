-- The audit trail: who changed what. An entry outlives the record and the service that it is about,
-- so that nothing here refers to another table.
--
-- `number` tells entries of one microsecond apart. `scope` or `hub` says where the record stands, the
-- other is empty; `policy` is empty when no policy was used, `address` when no request was sent.
-- `subjects` are the ids of the records, one a line. `record` holds no secret and is not sealed.

CREATE TABLE audit_entries (
    at BIGINT NOT NULL,
    number BIGINT NOT NULL,
    scope TEXT COLLATE "C" NOT NULL,
    hub TEXT COLLATE "C" NOT NULL,
    actor TEXT COLLATE "C" NOT NULL,
    policy TEXT COLLATE "C" NOT NULL,
    address TEXT COLLATE "C" NOT NULL,
    tracking_id TEXT COLLATE "C" NOT NULL,
    action TEXT COLLATE "C" NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    subjects TEXT COLLATE "C" NOT NULL,
    record TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (at, number)
);
CREATE INDEX audit_by_scope ON audit_entries (scope, at, number) WHERE scope <> '';
CREATE INDEX audit_by_hub ON audit_entries (hub, at, number) WHERE hub <> '';
CREATE INDEX audit_by_policy ON audit_entries (policy, at, number) WHERE policy <> '';
CREATE INDEX audit_by_address ON audit_entries (address, at, number) WHERE address <> '';

-- The ids by which entries are found, in lower case: of a module, its device's id and `device/module`.
CREATE TABLE audit_subjects (
    key TEXT COLLATE "C" NOT NULL,
    at BIGINT NOT NULL,
    number BIGINT NOT NULL,
    PRIMARY KEY (key, at, number)
);
