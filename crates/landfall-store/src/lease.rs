//! Which server works on which operation, where several share a database: each run of a server is a node with
//! a lease by the database's clock. The writer renews it with every commit, and commits under its epoch
//! alone; whoever takes over the operations of a node whose lease is over ends its epoch first, so that a
//! server that was only asleep cannot finish what another has taken up.

use landfall_core::registration::operation::Operation;

use crate::dialect::{Fault, Session};
use crate::operations;
use crate::secret::Sealer;

/// How often a lease is renewed when nothing is committed.
pub(crate) const RENEWAL: std::time::Duration = std::time::Duration::from_millis(1500);

/// A node's hold on its work.
#[derive(Debug)]
pub(crate) struct Lease {
    node: String,
    epoch: i64,
    commits: i64,
}

impl Lease {
    /// Takes a lease for a node, under an epoch that it had not before.
    pub(crate) fn take(session: &Session, node: &str) -> Result<Self, Fault> {
        // What nobody can ask about any more.
        session.execute(
            "DELETE FROM nodes WHERE lease_until + 86400000000
               < CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)",
            &[],
        )?;
        let taken = session.first(
            "INSERT INTO nodes (node, epoch, lease_until, last_commit)
             VALUES ($1, 1,
               CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT) + 5000000, 0)
             ON CONFLICT (node) DO UPDATE SET epoch = nodes.epoch + 1,
               lease_until = excluded.lease_until
             RETURNING epoch, last_commit",
            &[node.into()],
            |row| Ok((row.integer(0)?, row.integer(1)?)),
        )?;
        let (epoch, commits) = taken.unwrap_or_default();
        Ok(Lease {
            node: node.to_owned(),
            epoch,
            commits,
        })
    }

    /// Numbers the group of writes that has begun, and renews the lease with it.
    ///
    /// # Errors
    /// [`Fault::Ended`] when another has ended the lease.
    pub(crate) fn hold(&mut self, session: &Session) -> Result<(), Fault> {
        self.commits = self.commits.saturating_add(1);
        let held = session.execute(
            "UPDATE nodes SET last_commit = $1,
               lease_until = CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT) + 5000000
             WHERE node = $2 AND epoch = $3",
            &[
                self.commits.into(),
                self.node.as_str().into(),
                self.epoch.into(),
            ],
        )?;
        ended_unless(held)
    }

    /// Renews the lease when nothing is committed.
    ///
    /// # Errors
    /// [`Fault::Ended`] when another has ended the lease.
    pub(crate) fn renew(&self, session: &Session) -> Result<(), Fault> {
        let held = session.execute(
            "UPDATE nodes SET
               lease_until = CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT) + 5000000
             WHERE node = $1 AND epoch = $2",
            &[self.node.as_str().into(), self.epoch.into()],
        )?;
        ended_unless(held)
    }

    /// Whether the last group that was numbered was committed, when the answer to that was lost. Waits while
    /// the database has not decided yet.
    pub(crate) fn came_about(&self, session: &Session) -> Result<bool, Fault> {
        let last = session.first(
            "SELECT last_commit FROM nodes WHERE node = $1 FOR UPDATE",
            &[self.node.as_str().into()],
            |row| row.integer(0),
        )?;
        Ok(last == Some(self.commits))
    }

    /// Lets go, so that others need not wait for the end.
    pub(crate) fn release(&self, session: &Session) -> Result<(), Fault> {
        session.execute(
            "UPDATE nodes SET lease_until = 0 WHERE node = $1 AND epoch = $2",
            &[self.node.as_str().into(), self.epoch.into()],
        )?;
        Ok(())
    }
}

fn ended_unless(held: usize) -> Result<(), Fault> {
    if held == 1 { Ok(()) } else { Err(Fault::Ended) }
}

/// The time by the database's clock, in microseconds.
pub(crate) fn now(session: &Session) -> Result<i64, Fault> {
    let now = session.first(
        "SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)",
        &[],
        |row| row.integer(0),
    )?;
    Ok(now.unwrap_or_default())
}

/// The unfinished operations that are this node's to continue, oldest first: its own, and those of nodes
/// whose lease is over, which become its own.
pub(crate) fn unfinished(
    session: &Session,
    sealer: &Sealer,
    limit: usize,
) -> Result<Vec<Operation>, Fault> {
    let node = session.node();
    let now = now(session)?;
    session.execute(
        "UPDATE nodes SET epoch = epoch + 1 WHERE node <> $1 AND lease_until < $2
           AND EXISTS (SELECT 1 FROM operations o WHERE o.finished = 0 AND o.node = nodes.node)",
        &[node.into(), now.into()],
    )?;
    // A node's clock may have been ahead; nobody waits for it.
    session.execute(
        "UPDATE operations SET node = $1,
           updated = CASE WHEN updated > $2 THEN $2 ELSE updated END
         WHERE finished = 0 AND node <> $1 AND NOT EXISTS
           (SELECT 1 FROM nodes n WHERE n.node = operations.node AND n.lease_until >= $2)",
        &[node.into(), now.into()],
    )?;
    session.all(&operations::unfinished_of(node, limit), sealer)
}
