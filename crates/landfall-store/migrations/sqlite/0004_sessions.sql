-- What sessions of devices leave at an embedded hub.

-- How many events a hub ever had. The row outlives the hub: a hub of the same name goes on counting.
CREATE TABLE hub_event_counts (
    hub TEXT NOT NULL PRIMARY KEY,
    newest INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What happened at a hub, in order and without a gap. `module` is empty for a device by itself; `properties` is
-- a JSON array of names and values.
CREATE TABLE hub_events (
    hub TEXT NOT NULL REFERENCES hubs (hub) ON DELETE CASCADE,
    sequence INTEGER NOT NULL,
    enqueued INTEGER NOT NULL,
    device TEXT NOT NULL,
    module TEXT NOT NULL,
    kind TEXT NOT NULL,
    properties TEXT NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (hub, sequence)
) STRICT;
