//! How records get into a service that has no import route: a few bulk calls at once, over the public
//! service API. `sink` settles each call.

use tokio::task::JoinSet;

use landfall_wire::route::Collection;

use super::caller::Caller;
use super::fit::Fit;
use super::sink::{Chunk, Manner, Settled, settle};
use super::source::{AT_ONCE, Read, Source};
use super::tally::{Outcome, Tally};
use crate::command::outcome::Failure;
use crate::command::print;
use crate::signals;

type Done = Result<(Caller, Collection, Vec<Settled>), Failure>;

/// One run: chunks on their way, a few at once.
pub struct Run<'a> {
    first: Caller,
    idle: Vec<Caller>,
    many: usize,
    running: JoinSet<Done>,
    manner: Manner,
    fit: Fit,
    tally: &'a mut Tally,
}

impl<'a> Run<'a> {
    /// Makes ready to call by `first`.
    pub fn new(first: Caller, manner: Manner, fit: Fit, tally: &'a mut Tally) -> Self {
        Run {
            first,
            idle: Vec::new(),
            many: 0,
            running: JoinSet::new(),
            manner,
            fit,
            tally,
        }
    }

    /// Brings all of the source in; gives whether the user stopped it. What is on its way is settled,
    /// so that what is told is true.
    ///
    /// # Errors
    /// [`Failure`] when something kept it from going on.
    pub async fn run(
        mut self,
        source: &mut Source,
        stop: &mut signals::Stop,
    ) -> Result<bool, Failure> {
        let outcome = self.all(source, stop).await;
        let drained = self.drain(stop).await;
        print::progress("");
        match (drained, outcome) {
            (Err(failure), Ok(false)) => Err(failure),
            (Ok(true), _) => Ok(true),
            (_, outcome) => outcome,
        }
    }

    async fn all(
        &mut self,
        source: &mut Source,
        stop: &mut signals::Stop,
    ) -> Result<bool, Failure> {
        loop {
            let batch = tokio::select! {
                batch = source.next() => batch?,
                _ = stop.wait() => return Ok(true),
            };
            let Some(batch) = batch else {
                return Ok(false);
            };
            for chunk in self.chunks(batch) {
                while self.many == AT_ONCE && self.idle.is_empty() {
                    tokio::select! {
                        done = self.running.join_next() => self.settled(done)?,
                        _ = stop.wait() => return Ok(true),
                    }
                }
                let mut caller = self.idle.pop().unwrap_or_else(|| {
                    self.many += 1;
                    self.first.another()
                });
                let manner = self.manner;
                self.running.spawn(async move {
                    let collection = chunk.collection();
                    let settled = settle(&mut caller, chunk, manner).await?;
                    Ok((caller, collection, settled))
                });
            }
            print::progress(&(print::many(self.tally.settled(), "line") + " settled"));
        }
    }

    /// Makes the records fit, counts those that are none, and cuts the others into chunks.
    fn chunks(&mut self, batch: Vec<(u64, Read)>) -> Vec<Chunk> {
        let mut items = Vec::new();
        for (line, read) in batch {
            let fitted = read.and_then(|(collection, record)| self.fit.item(collection, record));
            match fitted {
                Ok(item) => items.push((line, item)),
                Err(reason) => self.tally.count(line, None, Outcome::Failed(reason)),
            }
        }
        Chunk::cut(items)
    }

    fn settled(
        &mut self,
        done: Option<Result<Done, tokio::task::JoinError>>,
    ) -> Result<(), Failure> {
        let Some(done) = done else {
            return Ok(());
        };
        let (caller, collection, settled) = done.map_err(anyhow::Error::new)??;
        // Whoever is like one that was answered waits for a service that is away for a moment.
        self.first = caller.another();
        self.idle.push(caller);
        for (line, id, outcome) in settled {
            self.tally.count(line, Some((collection, id)), outcome);
        }
        Ok(())
    }

    /// Waits for what is on its way, unless the user stops it; gives whether that was so.
    async fn drain(&mut self, stop: &mut signals::Stop) -> Result<bool, Failure> {
        let mut first = Ok(false);
        loop {
            let done = tokio::select! {
                done = self.running.join_next() => done,
                _ = stop.wait() => {
                    self.running.shutdown().await;
                    return Ok(true);
                }
            };
            if done.is_none() {
                return first;
            }
            if let Err(failure) = self.settled(done)
                && first.is_ok()
            {
                first = Err(failure);
            }
        }
    }
}
