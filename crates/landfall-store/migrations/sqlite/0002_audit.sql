-- The audit trail: who changed what. An entry outlives the record and the service that it is about,
-- so that nothing here refers to another table.
--
-- `number` tells entries of one microsecond apart. `scope` or `hub` says where the record stands, the
-- other is empty; `policy` is empty when no policy was used, `address` when no request was sent.
-- `subjects` are the ids of the records, one a line. `record` holds no secret and is not sealed.

CREATE TABLE audit_entries (
    at INTEGER NOT NULL,
    number INTEGER NOT NULL,
    scope TEXT NOT NULL,
    hub TEXT NOT NULL,
    actor TEXT NOT NULL,
    policy TEXT NOT NULL,
    address TEXT NOT NULL,
    tracking_id TEXT NOT NULL,
    action TEXT NOT NULL,
    kind TEXT NOT NULL,
    subjects TEXT NOT NULL,
    record TEXT NOT NULL,
    PRIMARY KEY (at, number)
) STRICT;
CREATE INDEX audit_by_scope ON audit_entries (scope, at, number) WHERE scope <> '';
CREATE INDEX audit_by_hub ON audit_entries (hub, at, number) WHERE hub <> '';
CREATE INDEX audit_by_policy ON audit_entries (policy, at, number) WHERE policy <> '';
CREATE INDEX audit_by_address ON audit_entries (address, at, number) WHERE address <> '';

-- The ids by which entries are found, in lower case: of a module, its device's id and `device/module`.
CREATE TABLE audit_subjects (
    key TEXT NOT NULL,
    at INTEGER NOT NULL,
    number INTEGER NOT NULL,
    PRIMARY KEY (key, at, number)
) STRICT, WITHOUT ROWID;
