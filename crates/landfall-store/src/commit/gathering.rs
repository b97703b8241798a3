//! Who shares a commit: the requests that are queued, a share of what imports bring, and whoever comes
//! while the writer waits a moment for company.

use std::collections::VecDeque;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use tokio::sync::oneshot::Sender;

use super::request::{Request, weight};

/// Most requests in one commit.
const MOST: usize = 64;

/// Most rows of imports in one commit: what a device waits for that comes meanwhile.
const MOST_ROWS: usize = 2000;

/// Groups without anybody else in them after which imports have the writer to themselves.
const QUIET: usize = 16;

/// From so many requests in the last group on, the next waits for more.
const COMPANY: usize = 4;

/// How long it waits at a time; it goes on without more as soon as a wait brought none.
const WAIT: Duration = Duration::from_micros(500);

/// How often it waits.
const WAITS: u32 = 8;

/// What lets the writer's thread rest for a span, or less.
pub(super) type Rest = Box<dyn FnMut(Duration) + Send>;

/// Gathers groups, one after the other.
pub(super) struct Gathering {
    rest: Rest,
    /// How many requests the last group had, without those of imports.
    company: usize,
    /// How many groups in a row had only imports in them.
    quiet: usize,
    /// What imports bring waits here: each group takes a share of it. Rows share pages, so the more of
    /// them share a commit the less is written; but while others come a group takes one request.
    many: VecDeque<Request>,
}

/// What was gathered.
#[derive(Default)]
pub(super) struct Gathered {
    /// Those that share a commit.
    pub(super) group: Vec<Request>,
    /// Traces, which wait for no disk and so have a transaction of their own.
    pub(super) apart: Vec<Request>,
    /// Who told the writer to close: nobody behind it was gathered.
    pub(super) closing: Option<Sender<()>>,
}

impl Gathered {
    /// How much it adds to the write-ahead log.
    pub(super) fn weight(&self) -> usize {
        self.apart.len() + self.group.iter().map(weight).sum::<usize>()
    }
}

impl Gathering {
    /// Gathers, and rests by `rest` where it waits for company.
    pub(super) fn new(rest: Rest) -> Self {
        Gathering {
            rest,
            company: 0,
            quiet: 0,
            many: VecDeque::new(),
        }
    }

    /// Whether imports have brought what no group has taken yet.
    pub(super) fn has_imports(&self) -> bool {
        !self.many.is_empty()
    }

    /// Gathers the next group: `first`, those that are queued, and a share of what imports brought.
    pub(super) fn gather(
        &mut self,
        first: Option<Request>,
        requests: &Receiver<Request>,
    ) -> Gathered {
        let mut gathered = Gathered::default();
        let mut next = first;
        let mut waits = WAITS;
        while let Some(request) = next {
            match request {
                Request::Close(answer) => {
                    gathered.closing = Some(answer);
                    break;
                }
                request @ Request::Many(..) => self.many.push_back(request),
                request @ Request::Traces { .. } => gathered.apart.push(request),
                request => gathered.group.push(request),
            }
            next = self.another(requests, gathered.group.len(), &mut waits);
        }
        self.company = gathered.group.len();
        self.quiet = if gathered.group.is_empty() {
            self.quiet + 1
        } else {
            0
        };
        let most = if self.quiet > QUIET { MOST_ROWS } else { 0 };
        gathered.group.extend(share(&mut self.many, most));
        gathered
    }

    /// Another request of a group that has `gathered` so many. Where many ask at once a commit waits a moment
    /// for more of them: what it costs is nearly the same for one and for all, most of all on a quick disk,
    /// which leaves little time for them to come by themselves. Who asks alone never waits.
    fn another(
        &mut self,
        requests: &Receiver<Request>,
        gathered: usize,
        waits: &mut u32,
    ) -> Option<Request> {
        if gathered >= MOST {
            return None;
        }
        if let Ok(request) = requests.try_recv() {
            return Some(request);
        }
        if gathered == 0 || self.company < COMPANY || *waits == 0 {
            return None;
        }
        *waits -= 1;
        (self.rest)(WAIT);
        requests.try_recv().ok()
    }
}

/// Takes the next requests of imports for one commit: one, and further ones while there are not more rows
/// than `most`.
fn share(waiting: &mut VecDeque<Request>, most: usize) -> Vec<Request> {
    let (mut taken, mut rows) = (Vec::new(), 0);
    while let Some(Request::Many(next, _)) = waiting.front()
        && (taken.is_empty() || rows + next.len() <= most)
    {
        rows += next.len();
        taken.extend(waiting.pop_front());
    }
    taken
}

#[cfg(test)]
mod tests;
