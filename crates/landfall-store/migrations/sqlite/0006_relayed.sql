-- What one server hands to another, where several share a database; elsewhere it stays empty. `what` is JSON text,
-- `body` what it carries; `until` is in microseconds since 1970. `epoch` is that of the session it is for.
CREATE TABLE hub_relayed (
    number INTEGER PRIMARY KEY,
    node TEXT NOT NULL,
    hub TEXT NOT NULL,
    device TEXT NOT NULL,
    module TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    until INTEGER NOT NULL,
    what TEXT NOT NULL,
    body BLOB NOT NULL
) STRICT;
CREATE INDEX hub_relayed_by_node ON hub_relayed (node, number);
CREATE INDEX hub_relayed_by_end ON hub_relayed (until);
