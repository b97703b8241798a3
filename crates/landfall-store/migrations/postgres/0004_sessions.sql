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

-- How many messages were ever queued at a hub. The row outlives the hub.
CREATE TABLE hub_message_counts (
    hub TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    newest BIGINT NOT NULL
);

-- The messages that wait for a device or module. `record` is versioned JSON text.
CREATE TABLE hub_messages (
    hub TEXT COLLATE "C" NOT NULL,
    device TEXT COLLATE "C" NOT NULL,
    module TEXT COLLATE "C" NOT NULL,
    sequence BIGINT NOT NULL,
    expires BIGINT NOT NULL,
    delivery_count BIGINT NOT NULL,
    record TEXT NOT NULL,
    body BYTEA NOT NULL,
    PRIMARY KEY (hub, device, module, sequence),
    FOREIGN KEY (hub, device) REFERENCES devices (hub, device) ON DELETE CASCADE
);
CREATE INDEX hub_messages_by_expiry ON hub_messages (expires);
-- Few are delivered that often and not taken.
CREATE INDEX hub_messages_given_up ON hub_messages (sequence) WHERE delivery_count >= 10;

-- The latest session of a device or module; the server that has it is `node`. `subscriptions` is a JSON array of
-- filters with their quality of service.
CREATE TABLE hub_sessions (
    hub TEXT COLLATE "C" NOT NULL,
    device TEXT COLLATE "C" NOT NULL,
    module TEXT COLLATE "C" NOT NULL,
    epoch BIGINT NOT NULL,
    node TEXT COLLATE "C" NOT NULL,
    connected BIGINT NOT NULL,
    clean BIGINT NOT NULL,
    opened BIGINT NOT NULL,
    changed BIGINT NOT NULL,
    last_activity BIGINT NOT NULL,
    subscriptions TEXT NOT NULL,
    PRIMARY KEY (hub, device, module),
    FOREIGN KEY (hub, device) REFERENCES devices (hub, device) ON DELETE CASCADE
);
CREATE INDEX hub_sessions_connected ON hub_sessions (hub, module, device) WHERE connected = 1;
