//! The servers of a lane: one, or several on one database, of which one is killed and another is asked.

use std::path::PathBuf;
use std::time::Duration;

use landfall_server::time::sleep;

use crate::load::Target;
use landfall_crash::access::Access;
use landfall_crash::server::{Server, Victim};

/// See the module.
#[derive(Default)]
pub struct Nodes {
    servers: Vec<Server>,
    running: Vec<Victim>,
    accesses: Vec<Access>,
}

impl Nodes {
    /// Takes servers that nobody started yet.
    pub fn new(servers: Vec<Server>) -> Self {
        Nodes {
            servers,
            ..Nodes::default()
        }
    }

    /// Starts all, each after the one before it: the first makes the key that all have.
    ///
    /// # Errors
    /// When one does not start, or does not let itself be used.
    pub async fn begin(&mut self) -> anyhow::Result<()> {
        for (node, server) in self.servers.iter().enumerate() {
            if let Some(first) = self.servers.first().filter(|_| node > 0) {
                server.share_key_of(first)?;
            }
            self.running.push(server.start().await?);
            self.accesses.push(match self.accesses.first() {
                None => Access::gather(server).await?,
                Some(first) => first.at(server)?,
            });
        }
        Ok(())
    }

    /// How many there are.
    pub fn many(&self) -> usize {
        self.servers.len()
    }

    /// The first of them, which has the data where there is one.
    pub fn first(&self) -> &Server {
        &self.servers[0]
    }

    /// How one is reached.
    pub fn access(&self, node: usize) -> Access {
        self.accesses[node].clone()
    }

    /// One that can be killed.
    pub fn victim(&self, node: usize) -> Victim {
        self.running[node].clone()
    }

    /// Kills one, starts it, and kills it again before it may be ready; a database server that is to be killed too
    /// is killed in between.
    ///
    /// # Errors
    /// When it cannot be started.
    pub async fn cut_off(
        &mut self,
        node: usize,
        after: Duration,
        target: &Target,
    ) -> anyhow::Result<()> {
        self.running[node].kill();
        self.running[node] = self.servers[node].launch()?;
        sleep(after).await;
        if let Target::Database(..) = target {
            target.kill();
        }
        self.running[node].kill();
        Ok(())
    }

    /// Waits until one serves: again by itself, when it lives, and else started again.
    ///
    /// # Errors
    /// When it does not.
    pub async fn recover(&mut self, node: usize) -> anyhow::Result<()> {
        if self.running[node].has_left() {
            self.running[node] = self.servers[node].start().await?;
        } else {
            self.servers[node].recover(&self.running[node]).await?;
        }
        Ok(())
    }

    /// Ends all.
    pub fn end(&self) {
        for victim in &self.running {
            victim.kill();
        }
    }

    /// Keeps their folders for whoever looks into a failure, and says where they are.
    pub fn keep(&mut self) -> Vec<PathBuf> {
        self.servers.iter_mut().map(Server::keep).collect()
    }
}
