//! Word of changes to services, hubs and policies, for whoever must follow them: `dev` keeps its
//! `dev.json` true. A change is answered when its follower has followed.

use std::sync::{Arc, OnceLock};

use tokio::sync::{mpsc, oneshot};

/// A change that is followed; dropped, or answered, when that is done.
pub type Change = oneshot::Sender<()>;

/// Tells the one follower, if there is one. Clones tell the same.
#[derive(Debug, Clone, Default)]
pub struct Changes {
    follower: Arc<OnceLock<mpsc::Sender<Change>>>,
}

impl Changes {
    /// The changes from now on, for the first who asks; nothing for anyone later.
    pub fn follow(&self) -> mpsc::Receiver<Change> {
        let (tell, told) = mpsc::channel(1);
        // A second follower's end is dropped with `tell`: it hears the end at once.
        let _ = self.follower.set(tell);
        told
    }

    /// Says that something changed, and waits until that is followed.
    pub async fn tell(&self) {
        let Some(follower) = self.follower.get() else {
            return;
        };
        let (done, followed) = oneshot::channel();
        if follower.send(done).await.is_ok() {
            // A follower that ends meanwhile has nothing more to keep true.
            let _ = followed.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_change_waits_for_its_follower_and_for_nobody_else() {
        let changes = Changes::default();
        changes.tell().await;
        let mut told = changes.follow();
        assert!(changes.follow().recv().await.is_none(), "one follower only");
        let telling = tokio::spawn({
            let changes = changes.clone();
            async move { changes.tell().await }
        });
        let change = told.recv().await.expect("a change");
        assert!(!telling.is_finished());
        change.send(()).expect("awaited");
        telling.await.expect("told");
        drop(told);
        changes.tell().await;
    }
}
