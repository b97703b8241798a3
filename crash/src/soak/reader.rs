//! A reader of a hub's events, who comes back behind the last event that it saw, and notes what is missing.

use std::sync::Arc;
use std::time::Duration;

use landfall_crash::access::Access;
use landfall_server::time::sleep;
use landfall_wire::client::events::{Sent, Stream, follow};

use crate::ledger::Ledger;
use crate::phase::{Clock, Phase};

/// The pause before a connection that ended is made again.
const PAUSE: Duration = Duration::from_millis(200);

/// See the module.
pub struct Reader {
    access: Access,
    host: &'static str,
    ledger: Arc<Ledger>,
    clock: Arc<Clock>,
    after: i64,
}

impl Reader {
    /// A reader of the hub of this host name, from its first event on.
    pub fn new(access: Access, host: &'static str, ledger: Arc<Ledger>, clock: Arc<Clock>) -> Self {
        Reader {
            access,
            host,
            ledger,
            clock,
            after: 0,
        }
    }

    /// Reads until all is over.
    pub async fn read(mut self) {
        while self.clock.phase() != Phase::Over {
            let operator = self.access.operator_of(self.host);
            let request = follow(&operator, self.host, Some(self.after), None);
            let client = self.access.client(self.host);
            if let Ok(Ok(mut coming)) = client.follow(request).await {
                let mut stream = Stream::default();
                while let Ok(Some(piece)) = coming.next().await {
                    for sent in stream.take(&piece) {
                        self.take(&sent);
                    }
                }
            }
            sleep(PAUSE).await;
        }
    }

    fn take(&mut self, sent: &Sent) {
        match sent.sequence {
            Some(sequence) if sequence == self.after + 1 => {}
            other => {
                let (host, after) = (self.host, self.after);
                self.ledger
                    .fault(&format!("{host}: {other:?} is shown after event {after}"));
            }
        }
        self.after = sent.sequence.unwrap_or(self.after);
        if sent.name != "telemetry" {
            return;
        }
        let id = sent.data["deviceId"].as_str().unwrap_or_default();
        let number = sent.data["body"]["n"].as_u64().unwrap_or_default();
        self.ledger
            .note(id, |record| record.telemetry.shown(number));
    }
}
