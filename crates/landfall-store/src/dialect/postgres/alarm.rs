//! Wakes this server when another has handed it something: a connection of its own that listens. It only makes
//! things prompt. Whoever is woken looks at the rows, and looks now and then without being woken, since a wake-up
//! is lost with its connection.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_postgres::AsyncMessage;

use super::pool::Pool;
use super::url::PostgresUrl;
use super::{connecting, patience};
use crate::dialect::Fault;

/// What servers call each other by. A wake-up holds the name of the server it is for, and nothing else.
pub(super) const CHANNEL: &str = "landfall_relayed";

/// How long a connection may take, all hosts together.
const CONNECT: Duration = Duration::from_secs(10);
/// The pause before the next try, when the connection is lost or refused.
const AGAIN: Duration = Duration::from_secs(2);
/// How often it is looked whether somebody needs the connection more.
const LOOK: Duration = Duration::from_secs(1);

/// Wakes one server. It begins to listen when it is first waited for.
#[derive(Clone)]
pub(crate) struct Alarm(Arc<Inner>);

struct Inner {
    url: PostgresUrl,
    pool: Pool,
    node: String,
    woken: Arc<Notify>,
    task: OnceLock<JoinHandle<()>>,
}

impl Alarm {
    /// Makes ready to wake `node`.
    pub(crate) fn new(url: &PostgresUrl, pool: Pool, node: &str) -> Self {
        Alarm(Arc::new(Inner {
            url: url.clone(),
            pool,
            node: node.to_owned(),
            woken: Arc::default(),
            task: OnceLock::new(),
        }))
    }

    /// Waits until something was handed to this server; also when it may have been without a word.
    pub(crate) async fn woken(&self) {
        let inner = &self.0;
        inner.task.get_or_init(|| {
            let (url, pool) = (inner.url.clone(), inner.pool.clone());
            let (node, woken) = (inner.node.clone(), Arc::clone(&inner.woken));
            tokio::spawn(async move {
                loop {
                    if let Err(fault) = listen(&url, &pool, &node, &woken).await {
                        tracing::debug!(cause = %fault, "the connection that listens ended");
                    }
                    patience::pause(AGAIN).await;
                }
            })
        });
        inner.woken.notified().await;
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(task) = self.task.get() {
            task.abort();
        }
    }
}

/// Listens until the connection ends, or is given up for somebody who needs it more.
async fn listen(url: &PostgresUrl, pool: &Pool, node: &str, woken: &Notify) -> Result<(), Fault> {
    let connect = url.config.connect(connecting::tls(url)?);
    let (client, mut connection) = patience::within(CONNECT, connect).await?;
    let hear = std::future::poll_fn(|context| {
        loop {
            match std::task::ready!(connection.poll_message(context)) {
                Some(Ok(AsyncMessage::Notification(told))) => {
                    if told.payload() == node {
                        woken.notify_one();
                    }
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => return std::task::Poll::Ready(Err(Fault::from(error))),
                None => return std::task::Poll::Ready(Ok(())),
            }
        }
    });
    let keep = async {
        let settings = format!("{}; LISTEN {CHANNEL}", connecting::SETTINGS);
        patience::within(CONNECT, client.batch_execute(&settings)).await?;
        // Whatever came before that was not told.
        woken.notify_one();
        while !pool.writer_is_waiting() {
            patience::pause(LOOK).await;
        }
        Ok(())
    };
    tokio::select! {
        ended = hear => ended,
        ended = keep => ended,
    }
}
