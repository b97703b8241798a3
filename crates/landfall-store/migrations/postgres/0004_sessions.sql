-- What sessions of devices leave at an embedded hub.

-- How many events a hub ever had. The row outlives the hub: a hub of the same name goes on counting. Whoever
-- adds events locks the table, so that servers do so one after the other and a reader never sees a number
-- before a smaller one.
CREATE TABLE hub_event_counts (
    hub TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    newest BIGINT NOT NULL
);

-- What happened at a hub, in order and without a gap. `module` is empty for a device by itself; `properties` is
-- a JSON array of names and values.
CREATE TABLE hub_events (
    hub TEXT COLLATE "C" NOT NULL REFERENCES hubs (hub) ON DELETE CASCADE,
    sequence BIGINT NOT NULL,
    enqueued BIGINT NOT NULL,
    device TEXT COLLATE "C" NOT NULL,
    module TEXT COLLATE "C" NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    properties TEXT NOT NULL,
    body BYTEA NOT NULL,
    PRIMARY KEY (hub, sequence)
);
