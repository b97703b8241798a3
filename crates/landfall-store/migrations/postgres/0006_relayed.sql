-- What one server hands to another, where several share a database; elsewhere it stays empty. `what` is JSON text,
-- `body` what it carries; `until` is in microseconds since 1970. `epoch` is that of the session it is for.
CREATE TABLE hub_relayed (
    number BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    node TEXT COLLATE "C" NOT NULL,
    hub TEXT COLLATE "C" NOT NULL,
    device TEXT COLLATE "C" NOT NULL,
    module TEXT COLLATE "C" NOT NULL,
    epoch BIGINT NOT NULL,
    until BIGINT NOT NULL,
    what TEXT NOT NULL,
    body BYTEA NOT NULL
);
CREATE INDEX hub_relayed_by_node ON hub_relayed (node, number);
CREATE INDEX hub_relayed_by_end ON hub_relayed (until);
