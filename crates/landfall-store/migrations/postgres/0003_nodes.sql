-- Which server works on what. Several servers may share a database in PostgreSQL; a SQLite file has one,
-- so that there `nodes` stays empty.
--
-- A node is one run of a server. Its lease ends at `lease_until`, in microseconds of the database's clock;
-- whoever ends the lease of another raises its `epoch`, under which that one commits. `last_commit` numbers
-- the node's commits, so that it can tell afterwards whether one came about.

CREATE TABLE nodes (
    node TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    epoch BIGINT NOT NULL,
    lease_until BIGINT NOT NULL,
    last_commit BIGINT NOT NULL
);

-- The node that works on an unfinished operation; empty once it is finished.
ALTER TABLE operations ADD COLUMN node TEXT COLLATE "C" NOT NULL DEFAULT '';
