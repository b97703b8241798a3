//! How records get into another Landfall: part by part over its import route, two on their way at
//! once, settled in order. A part may be sent again without harm, so that a server that goes away
//! for a moment costs nothing but time.

use std::collections::VecDeque;

use landfall_core::administration::import::{Manner, OnConflict};
use landfall_wire::client::own::import;
use landfall_wire::client::{RefusalKind, ReplyError, read};
use landfall_wire::message::Reply;
use landfall_wire::own::import::{End, Progress, RefusedLine, Told, Why};
use tokio::task::JoinHandle;

use super::caller::Caller;
use super::parts::{Part, Parts};
use super::tally::{FailedLine, Tally};
use crate::command::meter::Meter;
use crate::command::outcome::{Exit, Failure};
use crate::signals;

/// Parts on their way at once: one is settled while the next is sent.
const AT_ONCE: usize = 2;

/// Whether the server of `caller` has the import route: other provisioning services have not.
///
/// # Errors
/// [`Failure`] when it refuses the caller, or does not answer.
pub async fn is_served(caller: &mut Caller) -> Result<bool, Failure> {
    let nothing = Manner {
        dry_run: true,
        ..Manner::default()
    };
    let reply = caller.reply(|who| import(who, nothing)).await?;
    match read(&reply) {
        Ok(_) => Ok(true),
        Err(ReplyError::Refused(refusal)) if refusal.kind == RefusalKind::NotFound => Ok(false),
        Err(ReplyError::Unreadable(_)) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

type Sent = JoinHandle<Result<(Caller, Part, Vec<Told>), Failure>>;

/// One run.
pub struct Stream {
    idle: Vec<Caller>,
    sent: VecDeque<Sent>,
    manner: Manner,
    meter: Meter,
}

impl Stream {
    /// Makes ready to send by `caller`, of a source of so many bytes, when that is known.
    pub fn new(caller: Caller, manner: Manner, size: Option<u64>) -> Self {
        let mut idle = vec![caller];
        // Of two lines about one record the later one stands, so they must not overtake each other.
        if manner.on_conflict != OnConflict::Replace {
            while idle.len() < AT_ONCE
                && let Some(another) = idle.first().map(Caller::another)
            {
                idle.push(another);
            }
        }
        Stream {
            idle,
            sent: VecDeque::new(),
            manner,
            meter: Meter::new(size),
        }
    }

    /// Sends all parts; gives whether the user stopped it. What is on its way is settled, so that
    /// what is told is true.
    ///
    /// # Errors
    /// [`Failure`] when something kept it from going on.
    pub async fn run(
        mut self,
        mut parts: Parts,
        tally: &mut Tally,
        stop: &mut signals::Stop,
    ) -> Result<bool, Failure> {
        let outcome = self.send(&mut parts, tally, stop).await;
        let mut first = outcome;
        while !self.sent.is_empty() {
            let settled = tokio::select! {
                settled = self.oldest(tally) => settled,
                _ = stop.wait(), if first.is_ok() => {
                    self.sent.drain(..).for_each(|sent| sent.abort());
                    first = Ok(true);
                    break;
                }
            };
            if let Err(failure) = settled {
                // What was sent behind it is not told: nobody knows of it.
                self.sent.drain(..).for_each(|sent| sent.abort());
                first = first.and(Err(failure));
            }
        }
        self.meter.end();
        first
    }

    async fn send(
        &mut self,
        parts: &mut Parts,
        tally: &mut Tally,
        stop: &mut signals::Stop,
    ) -> Result<bool, Failure> {
        loop {
            let part = tokio::select! {
                part = parts.next() => part?,
                _ = stop.wait() => return Ok(true),
            };
            let Some(part) = part else {
                return Ok(false);
            };
            while self.idle.is_empty() {
                tokio::select! {
                    settled = self.oldest(tally) => settled?,
                    _ = stop.wait() => return Ok(true),
                }
            }
            if let Some(caller) = self.idle.pop() {
                let sending = settle(caller, part, self.manner);
                self.sent.push_back(tokio::spawn(sending));
            }
        }
    }

    /// Waits for the part that was sent first, and counts what became of it. Nothing is lost when
    /// this is dropped before it is ready.
    async fn oldest(&mut self, tally: &mut Tally) -> Result<(), Failure> {
        let Some(oldest) = self.sent.front_mut() else {
            return Ok(());
        };
        let settled = oldest.await;
        self.sent.pop_front();
        let (caller, part, told) = settled.map_err(anyhow::Error::new)??;
        self.idle.push(caller);
        count(tally, &part, told);
        self.meter.show(part.read, tally.settled());
        Ok(())
    }
}

/// Sends one part until it is settled.
async fn settle(
    mut caller: Caller,
    part: Part,
    manner: Manner,
) -> Result<(Caller, Part, Vec<Told>), Failure> {
    if part.lines.is_empty() {
        return Ok((caller, part, Vec::new()));
    }
    let reply = caller
        .reply_that(
            |who| {
                let mut request = import(who, manner);
                request.body.clone_from(&part.bytes);
                request
            },
            unsettled,
        )
        .await?;
    if !reply.status.is_success() {
        read(&reply)?;
    }
    if let Some(why) = unsettled(&reply) {
        return Err(Failure::new(
            Exit::Refused,
            format!("the server {why}"),
            "see the server's log; when it serves again, give the same command",
        ));
    }
    Ok((caller, part, told(&reply)))
}

fn told(reply: &Reply) -> Vec<Told> {
    let lines = reply.body.split(|byte| *byte == b'\n');
    lines.filter_map(Told::parse).collect()
}

/// Why the part of a reply must be sent again.
fn unsettled(reply: &Reply) -> Option<&'static str> {
    if !reply.status.is_success() {
        return None;
    }
    match told(reply).last() {
        Some(Told::Progress(Progress { end, .. })) => match end {
            Some(End::Whole) => None,
            Some(End::Stopping) => Some("stops"),
            Some(End::Unavailable) => Some("cannot write now"),
            Some(End::Incomplete) | None => Some("did not get all lines"),
        },
        _ => Some("did not tell what became of the lines"),
    }
}

/// Counts what was told of a part, by the numbers of its source.
fn count(tally: &mut Tally, part: &Part, told: Vec<Told>) {
    let mut failed = part.bad.clone();
    let mut last = Progress::default();
    for told in told {
        match told {
            Told::Progress(progress) => last = progress,
            Told::Refused(mut refused) => {
                let place = usize::try_from(refused.line.saturating_sub(1)).ok();
                let number = place.and_then(|place| part.lines.get(place));
                refused.line = number.copied().unwrap_or_default();
                failed.push(refused);
            }
        }
    }
    failed.sort_by_key(|refused| refused.line);
    tally.add(&last);
    for refused in failed {
        tally.fail(with_remedy(refused));
    }
}

/// A refusal with what its sender may do.
fn with_remedy(refused: RefusedLine) -> FailedLine {
    let text = refused.reason.to_ascii_lowercase();
    let remedy = match refused.why {
        Why::NoKey => ": export it with --keys",
        Why::NoCertificate => ": give it by --certificates",
        Why::Differs => ": --on-conflict replace takes the line, skip what is there",
        Why::Invalid if text.starts_with("iot hub") => {
            "; give its name here with --map-hub OLD=NEW, or leave hubs out with --drop-hubs"
        }
        Why::Invalid if text.starts_with("ca certificate") => {
            "; add the CA certificate under that name and verify it first"
        }
        Why::Invalid => "",
    };
    FailedLine {
        line: refused.line,
        record: refused.record,
        reason: format!("{}{remedy}", refused.reason),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_of_a_part_is_told_by_the_lines_of_its_source() {
        let refused = |line| RefusedLine {
            line,
            record: None,
            why: Why::NoKey,
            reason: "no key".to_owned(),
        };
        let part = Part {
            lines: vec![3, 5, 9],
            bad: vec![RefusedLine {
                why: Why::Invalid,
                ..refused(4)
            }],
            ..Part::default()
        };
        let progress = Progress {
            settled: 3,
            created: 1,
            unchanged: 1,
            refused: 1,
            end: Some(End::Whole),
            ..Progress::default()
        };
        let mut tally = Tally::default();
        count(
            &mut tally,
            &part,
            vec![Told::Refused(refused(2)), Told::Progress(progress)],
        );
        assert_eq!((tally.settled(), tally.in_place()), (4, 2));
        assert_eq!(
            tally.failures_text(),
            "line 4: no key\nline 5: no key: export it with --keys\n"
        );
    }
}
