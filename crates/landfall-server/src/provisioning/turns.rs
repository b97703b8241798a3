//! One at a time, and each address in its turn: whoever asks a thousand times does not push back
//! those who ask once. Called by the driver before it searches many groups.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// The line before a piece of work that one caller does at a time.
#[derive(Debug, Clone, Default)]
pub struct Turns(Arc<Mutex<Line>>);

#[derive(Debug, Default)]
struct Line {
    busy: bool,
    /// Addresses with somebody waiting, in the order of their next turn.
    order: VecDeque<String>,
    /// Who waits, by address, first come first.
    waiting: HashMap<String, VecDeque<oneshot::Sender<Turn>>>,
}

/// A caller's turn; dropping it begins the next one.
#[derive(Debug)]
pub struct Turn(Option<Turns>);

impl Turns {
    /// Waits for the turn of `address`. `None` only when the line itself is gone.
    pub async fn take(&self, address: String) -> Option<Turn> {
        let waiting = {
            let mut line = self.line();
            if !line.busy {
                line.busy = true;
                return Some(Turn(Some(self.clone())));
            }
            let (call, called) = oneshot::channel();
            let queue = line.waiting.entry(address.clone()).or_default();
            queue.push_back(call);
            if queue.len() == 1 {
                line.order.push_back(address);
            }
            called
        };
        waiting.await.ok()
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls the first of the address whose turn it is, or ends the work when nobody waits.
    fn call_next(&self) {
        loop {
            let call = {
                let mut line = self.line();
                let Some(address) = line.order.pop_front() else {
                    line.busy = false;
                    return;
                };
                let Some(queue) = line.waiting.get_mut(&address) else {
                    continue;
                };
                let call = queue.pop_front();
                if queue.is_empty() {
                    line.waiting.remove(&address);
                } else {
                    line.order.push_back(address);
                }
                call
            };
            match call.map(|call| call.send(Turn(Some(self.clone())))) {
                Some(Ok(())) => return,
                // That caller went away: its turn goes to the one after it.
                Some(Err(mut unused)) => unused.0 = None,
                None => {}
            }
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(turns) = self.0.take() {
            turns.call_next();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_that_asks_once_is_not_behind_one_that_asks_often() {
        let turns = Turns::default();
        let (heard, mut order) = tokio::sync::mpsc::unbounded_channel();
        let first = turns.take("flood".to_owned()).await;
        let mut asking = tokio::task::JoinSet::new();
        for address in ["flood", "flood", "flood", "one", "flood"] {
            let (turns, heard) = (turns.clone(), heard.clone());
            asking.spawn(async move {
                let turn = turns.take(address.to_owned()).await;
                heard.send(address).expect("heard");
                drop(turn);
            });
            tokio::task::yield_now().await;
        }
        drop((first, heard));
        while asking.join_next().await.is_some() {}
        let mut came = Vec::new();
        while let Some(address) = order.recv().await {
            came.push(address);
        }
        assert_eq!(came, ["flood", "one", "flood", "flood", "flood"]);
    }

    #[tokio::test]
    async fn a_caller_that_goes_away_does_not_hold_up_the_line() {
        let turns = Turns::default();
        let first = turns.take("a".to_owned()).await;
        let gone = tokio::spawn({
            let turns = turns.clone();
            async move { turns.take("b".to_owned()).await }
        });
        tokio::task::yield_now().await;
        gone.abort();
        let _ = gone.await;
        drop(first);
        assert!(turns.take("c".to_owned()).await.is_some());
    }
}
