//! The import route: lines come in, are settled batch by batch while the next arrive, and their
//! sender is told how far it is. Whatever the size of the file, a few batches are held.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use landfall_core::administration::Administration;
use landfall_core::administration::import::{ImportRecord, Manner, OnConflict, Settled};
use landfall_core::audit::{Actor, Author, Origin};
use landfall_core::error::Error;
use landfall_core::id::IdScope;
use landfall_core::service::Rights;
use landfall_hub::store::HubStore;
use landfall_wire::message::{Reply, Request};
use landfall_wire::own::import::{
    BadLine, Batch, Cutter, End, LONGEST_LINE, Line, Progress, RefusedLine, Told, manner, parse,
};
use landfall_wire::route::Collection;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::OwnApi;
use super::caller::Scope;
use super::inspection::named;
use crate::backend::{Backend, unread};
use crate::listener::{Arriving, Gone, Streamed};
use crate::time;

/// Batches that are settled at the same time: while some are read, others are written, and share a commit.
const AT_ONCE: usize = 6;

/// Lines that are settled from one telling to the next, unless there is nothing else to wait for.
const TOLD_EVERY: u64 = 1000;

/// What may wait to be told. A sender that reads nothing is not read from either.
const TOLD_AHEAD: usize = 64;

/// Lines that make no full batch are settled when no other comes for this span.
const LULL: Duration = Duration::from_millis(200);

impl<S: HubStore> OwnApi<S> {
    /// Begins an import: answers at once, and tells the rest while it comes about.
    ///
    /// # Errors
    /// What the caller may read, when it may not import or asks for what makes no sense.
    pub async fn import(
        &self,
        request: &Request,
        origin: &Origin,
        body: Arriving,
    ) -> Result<Streamed, Error> {
        if request.method != http::Method::POST {
            return Err(Error::MethodNotAllowed);
        }
        let (scope, actor) = match self.caller(request, Rights::ENROLLMENT_WRITE).await? {
            Scope::One(keeper) => (keeper.what.id_scope.clone(), keeper.actor.clone()),
            Scope::All => {
                let service = named(self.services().await?, request)?;
                (service.id_scope, Actor::ControlToken)
            }
        };
        let import = Import {
            backend: self.backend.clone(),
            scope,
            author: origin.author(actor),
            manner: manner(request)?,
        };
        let (tell, told) = mpsc::channel(TOLD_AHEAD);
        tokio::spawn(Arc::new(import).run(body, tell));
        let reply =
            Reply::empty(StatusCode::OK).with_header("content-type", "application/x-ndjson");
        Ok(Streamed {
            reply,
            rest: Some(told),
        })
    }
}

/// One import at work.
struct Import<S> {
    backend: Backend<S>,
    scope: IdScope,
    author: Author,
    manner: Manner,
}

/// A batch that was settled.
struct Settlement {
    /// The number of its last line.
    last: u64,
    outcomes: Vec<Settled>,
    refused: Vec<RefusedLine>,
}

type Settling = JoinHandle<Result<Settlement, Error>>;

impl<S: HubStore> Import<S> {
    async fn run(self: Arc<Self>, mut body: Arriving, tell: mpsc::Sender<Bytes>) {
        let at_once = match self.manner.on_conflict {
            // Of two lines about one record the later one stands.
            OnConflict::Replace => 1,
            OnConflict::Fail | OnConflict::Skip => AT_ONCE,
        };
        let mut cutter = Cutter::default();
        let mut settling = VecDeque::new();
        let mut teller = Teller {
            progress: Progress::default(),
            told: 0,
            tell,
        };
        let end = loop {
            let waits = cutter.is_empty();
            let piece = match (waits, body.next()) {
                (true, next) => next.await,
                (false, next) => match time::timeout(LULL, next).await {
                    Ok(piece) => piece,
                    Err(_) => Ok(Some(Bytes::new())),
                },
            };
            let lull = matches!(&piece, Ok(Some(piece)) if piece.is_empty());
            match piece {
                Ok(Some(piece)) => cutter.feed(&piece),
                Ok(None) => {
                    cutter.finish();
                    break End::Whole;
                }
                Err(Gone::Incomplete) => break End::Incomplete,
                Err(Gone::Stopping) => break End::Stopping,
            }
            if cutter.is_full() || lull {
                settling.push_back(tokio::spawn(Arc::clone(&self).settle(cutter.cut())));
            }
            while settling.len() >= at_once || (lull && !settling.is_empty()) {
                if !teller.oldest(&mut settling).await {
                    return;
                }
            }
        };
        // What came whole is settled, however it ended.
        let rest = cutter.cut();
        if !rest.is_empty() {
            settling.push_back(tokio::spawn(Arc::clone(&self).settle(rest)));
        }
        while !settling.is_empty() {
            if !teller.oldest(&mut settling).await {
                return;
            }
        }
        teller.end(end).await;
    }

    async fn settle(self: Arc<Self>, batch: Batch) -> Result<Settlement, Error> {
        let last = batch.last();
        let read = tokio::task::spawn_blocking(move || read(&batch)).await;
        let (named, records, mut refused) = read.map_err(|_| Error::Internal)?;
        let service = self.backend.store.service(&self.scope).await;
        let service = service.map_err(|error| unread(&error))?;
        let administration = Administration {
            store: &*self.backend.store,
            service: &service.ok_or(Error::ServiceNotFound)?,
            now: self.backend.clock.now(),
            entropy: &*self.backend.entropy,
            author: self.author.clone(),
        };
        let outcomes = administration.import(records, self.manner).await?;
        for ((line, record), outcome) in named.into_iter().zip(&outcomes) {
            if let Settled::Refused(why) = outcome {
                refused.push(RefusedLine::of(line, record, why));
            }
        }
        refused.sort_by_key(|refused| refused.line);
        Ok(Settlement {
            last,
            outcomes,
            refused,
        })
    }
}

/// A record's line, and what it is called.
type Named = (u64, (Collection, String));

/// Reads the lines of a batch: the records, and the lines that are none.
fn read(batch: &Batch) -> (Vec<Named>, Vec<ImportRecord>, Vec<RefusedLine>) {
    let (mut named, mut records, mut refused) = (Vec::new(), Vec::new(), Vec::new());
    for (number, line) in batch.lines() {
        let parsed = match line {
            Some(line) => parse(line),
            None => Err(BadLine {
                record: None,
                reason: format!("it is longer than {LONGEST_LINE} bytes"),
            }),
        };
        match parsed {
            Ok(Line::Nothing) => {}
            Ok(Line::Record(collection, id, record)) => {
                named.push((number, (collection, id)));
                records.push(record);
            }
            Err(bad) => refused.push(RefusedLine::bad(number, bad)),
        }
    }
    (named, records, refused)
}

/// Tells the sender how far it is.
struct Teller {
    progress: Progress,
    /// The last line that was told to be settled.
    told: u64,
    tell: mpsc::Sender<Bytes>,
}

impl Teller {
    /// Waits for the oldest batch and tells what became of it. Gives whether to go on: not when it
    /// could not be settled, and not when nobody listens any more.
    async fn oldest(&mut self, settling: &mut VecDeque<Settling>) -> bool {
        let Some(oldest) = settling.pop_front() else {
            return true;
        };
        let settlement = match oldest.await {
            Ok(Ok(settlement)) => settlement,
            failed => {
                if let Err(error) = failed {
                    tracing::error!(%error, "a batch of an import could not be settled");
                }
                // What follows is not told: it would read as if this batch were in.
                self.end(End::Unavailable).await;
                return false;
            }
        };
        let mut text = String::new();
        for outcome in &settlement.outcomes {
            if !matches!(outcome, Settled::Refused(_)) {
                self.progress.count(outcome);
            }
        }
        for refused in settlement.refused {
            self.progress.refused += 1;
            text.push_str(&Told::Refused(refused).text());
        }
        self.progress.settled = settlement.last;
        if settling.is_empty() || self.progress.settled >= self.told + TOLD_EVERY {
            self.told = self.progress.settled;
            text.push_str(&Told::Progress(self.progress).text());
        }
        text.is_empty() || self.tell.send(Bytes::from(text)).await.is_ok()
    }

    async fn end(&mut self, end: End) {
        self.progress.end = Some(end);
        let text = Told::Progress(self.progress).text();
        // A sender that went away is told nothing.
        let _ = self.tell.send(Bytes::from(text)).await;
    }
}
