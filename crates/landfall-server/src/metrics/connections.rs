//! What is counted of connections and their TLS handshakes. Called by the listener.

use std::io;
use std::time::Duration;

use rustls::{HandshakeKind, ProtocolVersion, ServerConnection};

use super::instrument::{Counter, Counters, Spread};
use super::label::{ClientCertificate, Handshake, NoHandshake, Protocol, TlsVersion};
use super::table;

/// What is counted of connections.
#[derive(Debug)]
pub struct ConnectionCounts {
    /// Those let in.
    pub accepted: Counter,
    /// Those closed at once.
    pub refused: Counter,
    /// Those that the system could not give.
    pub failures: Counter,
    /// Handshakes that succeeded.
    pub handshakes: Counters<(TlsVersion, Handshake, ClientCertificate)>,
    /// Handshakes that failed.
    pub failed: Counters<(NoHandshake,)>,
    /// How long those took that succeeded.
    pub durations: Spread,
    /// Those whose peers began to speak, by what they speak.
    pub spoken: Counters<(Protocol,)>,
    /// Those of them that are over.
    over: Counters<(Protocol,)>,
}

/// A connection on which a protocol is spoken, as long as this lives.
pub struct Speaking<'a> {
    counts: &'a ConnectionCounts,
    protocol: Protocol,
}

impl Drop for Speaking<'_> {
    fn drop(&mut self) {
        self.counts.over.count((self.protocol,));
    }
}

impl Default for ConnectionCounts {
    fn default() -> Self {
        ConnectionCounts {
            accepted: Counter::default(),
            refused: Counter::default(),
            failures: Counter::default(),
            handshakes: Counters::default(),
            failed: Counters::default(),
            durations: Spread::new(table::TLS_HANDSHAKE_DURATION.kind.bounds()),
            spoken: Counters::default(),
            over: Counters::default(),
        }
    }
}

impl ConnectionCounts {
    /// Counts a connection on which a protocol is spoken from now on.
    pub fn speaks(&self, protocol: Protocol) -> Speaking<'_> {
        self.spoken.count((protocol,));
        Speaking {
            counts: self,
            protocol,
        }
    }

    /// How many speak a protocol now.
    pub fn speaking(&self, protocol: Protocol) -> u64 {
        // The other way round it might be less than none.
        let over = self.over.value((protocol,));
        self.spoken.value((protocol,)).saturating_sub(over)
    }

    /// Counts a handshake that succeeded.
    pub fn shook(&self, connection: &ServerConnection, took: Duration) {
        let version = match connection.protocol_version() {
            Some(ProtocolVersion::TLSv1_2) => TlsVersion::V1_2,
            _ => TlsVersion::V1_3,
        };
        let kind = match connection.handshake_kind() {
            Some(HandshakeKind::Resumed) => Handshake::Resumed,
            Some(HandshakeKind::FullWithHelloRetryRequest) => Handshake::Retried,
            Some(HandshakeKind::Full) | None => Handshake::Full,
        };
        let certificate = match connection.peer_certificates() {
            Some([_, ..]) => ClientCertificate::Shown,
            Some([]) | None => ClientCertificate::None,
        };
        self.handshakes.count((version, kind, certificate));
        self.durations.take_span(took);
    }

    /// Counts a handshake that failed with an error.
    pub fn broke(&self, error: &io::Error) {
        self.failed.count((reason(error),));
    }
}

fn reason(error: &io::Error) -> NoHandshake {
    let inner = error.get_ref();
    match inner.and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::AlertReceived(_)) => NoHandshake::Alert,
        Some(rustls::Error::PeerIncompatible(_)) => NoHandshake::Incompatible,
        Some(rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented) => {
            NoHandshake::Certificate
        }
        Some(_) => NoHandshake::Malformed,
        None => match error.kind() {
            io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::NotConnected
            | io::ErrorKind::BrokenPipe => NoHandshake::Left,
            io::ErrorKind::TimedOut => NoHandshake::Timeout,
            _ => NoHandshake::Other,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_told_apart_by_what_an_operator_would_do() {
        let tls = |error: rustls::Error| io::Error::new(io::ErrorKind::InvalidData, error);
        let alert = rustls::AlertDescription::UnknownCA;
        assert_eq!(
            reason(&tls(rustls::Error::AlertReceived(alert))),
            NoHandshake::Alert
        );
        let certificate = rustls::CertificateError::BadSignature;
        assert_eq!(reason(&tls(certificate.into())), NoHandshake::Certificate);
        assert_eq!(
            reason(&tls(rustls::Error::DecryptError)),
            NoHandshake::Malformed
        );
        assert_eq!(
            reason(&io::ErrorKind::UnexpectedEof.into()),
            NoHandshake::Left
        );
        assert_eq!(
            reason(&io::ErrorKind::OutOfMemory.into()),
            NoHandshake::Other
        );
    }
}
