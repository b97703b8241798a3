-- A message that a device took over HTTPS is locked until it says what became of it, or this time: microseconds
-- since 1970.
ALTER TABLE hub_messages ADD COLUMN locked_until BIGINT NOT NULL DEFAULT 0;
