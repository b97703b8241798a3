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

-- How many messages were ever queued at a hub. The row outlives the hub.
CREATE TABLE hub_message_counts (
    hub TEXT NOT NULL PRIMARY KEY,
    newest INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The messages that wait for a device or module. `record` is versioned JSON text.
CREATE TABLE hub_messages (
    hub TEXT NOT NULL,
    device TEXT NOT NULL,
    module TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    delivery_count INTEGER NOT NULL,
    record TEXT NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (hub, device, module, sequence),
    FOREIGN KEY (hub, device) REFERENCES devices (hub, device) ON DELETE CASCADE
) STRICT;
CREATE INDEX hub_messages_by_expiry ON hub_messages (expires);
-- Few are delivered that often and not taken.
CREATE INDEX hub_messages_given_up ON hub_messages (sequence) WHERE delivery_count >= 10;

-- The latest session of a device or module; the server that has it is `node`. `subscriptions` is a JSON array of
-- filters with their quality of service.
CREATE TABLE hub_sessions (
    hub TEXT NOT NULL,
    device TEXT NOT NULL,
    module TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    node TEXT NOT NULL,
    connected INTEGER NOT NULL,
    clean INTEGER NOT NULL,
    opened INTEGER NOT NULL,
    changed INTEGER NOT NULL,
    last_activity INTEGER NOT NULL,
    subscriptions TEXT NOT NULL,
    PRIMARY KEY (hub, device, module),
    FOREIGN KEY (hub, device) REFERENCES devices (hub, device) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX hub_sessions_connected ON hub_sessions (hub, module, device) WHERE connected = 1;
