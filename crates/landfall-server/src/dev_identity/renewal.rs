//! Keeps the development certificate good while the server runs, and says long before its CA ends.

use std::sync::Arc;
use std::time::Duration;

use landfall_core::clock::spoken;

use super::DevIdentity;
use crate::daily::Daily;
use crate::stop::Stop;
use crate::time;

/// How often the time is looked at. A machine may have slept meanwhile.
pub const ROUND: Duration = Duration::from_secs(3600);
/// A CA with less time than this left is called to mind every day.
const CA_SOON: Duration = Duration::from_secs(180 * 24 * 3600);

/// Looks every day, by the identity's clock, whether certificate or CA are near their end, until
/// `stop` says true.
pub async fn run(identity: Arc<DevIdentity>, round: Duration, mut stop: Stop) {
    let mut looked = Daily::default();
    loop {
        let now = identity.clock.now();
        if looked.is_due(now) {
            looked.done(now);
            look(&identity);
        }
        tokio::select! {
            () = time::sleep(round) => {}
            () = stop.given() => return,
        }
    }
}

fn look(identity: &DevIdentity) {
    match identity.renew() {
        Ok(true) => tracing::info!("the server certificate was made anew before its end"),
        Ok(false) => {}
        Err(error) => tracing::error!("the server certificate could not be made anew: {error}"),
    }
    match identity.ca_remark() {
        Ok(Some(remark)) => tracing::warn!("{remark}"),
        Ok(None) => {}
        Err(error) => tracing::error!("the development CA could not be read: {error}"),
    }
}

impl DevIdentity {
    /// What to say of a CA that is near its end or past it.
    fn ca_remark(&self) -> Result<Option<String>, super::DevIdentityError> {
        let (ends, now) = (self.ca_ends()?, self.clock.now());
        if ends > now.plus(CA_SOON) {
            return Ok(None);
        }
        let left = if ends > now {
            format!(
                "ends on {}, in {}",
                ends.to_rfc1123(),
                spoken(ends.since(now))
            )
        } else {
            format!("ended on {}", ends.to_rfc1123())
        };
        Ok(Some(format!(
            "the development CA {} {left}: from then on clients refuse this server, and it does not start again. Begin with a new one: stop the server, remove ca.pem and ca-key.pem, start it, and give the new ca.pem to every client",
            self.ca_file().display()
        )))
    }
}

#[cfg(test)]
mod tests {
    use landfall_core::certificate::Certificate;
    use landfall_core::clock::Timestamp;
    use rustls::pki_types::ServerName;

    use super::*;
    use crate::client::tls::{Trust, settings};
    use crate::data_folder::DataFolder;
    use crate::dev_identity::DevIdentityError;
    use crate::stop;
    use crate::time::SystemEntropy;
    use crate::tls::server_config;
    use crate::tls::test_chains::{DAY, HandClock, now};

    fn open(
        place: &std::path::Path,
        clock: &Arc<HandClock>,
    ) -> Result<DevIdentity, DevIdentityError> {
        DevIdentity::open(
            Arc::new(DataFolder::open(place)?),
            Arc::clone(clock) as _,
            Arc::new(SystemEntropy),
            ["localhost".to_owned(), "dps.landfall.test".to_owned()],
        )
    }

    /// The end of the certificate that a client is shown in a real handshake, without a socket.
    fn shown_until(identity: &DevIdentity) -> Timestamp {
        use std::io::Write as _;
        let server = server_config(identity.shown()).expect("settings");
        let mut server = rustls::ServerConnection::new(Arc::new(server)).expect("a server");
        let client = settings(&Trust::File(identity.ca_file()), None).expect("settings");
        let mut client = (*client).clone();
        // The machine's clock is years before these certificates: what is shown matters here.
        let seen = Arc::new(Seen::default());
        client
            .dangerous()
            .set_certificate_verifier(Arc::clone(&seen) as _);
        let name = ServerName::try_from("dps.landfall.test").expect("a name");
        let mut client = rustls::ClientConnection::new(Arc::new(client), name).expect("a client");
        let _ = client.writer().write(b"x");
        for _ in 0..4 {
            let mut bytes = Vec::new();
            client.write_tls(&mut bytes).expect("written");
            let _ = server.read_tls(&mut bytes.as_slice());
            let _ = server.process_new_packets();
            let mut bytes = Vec::new();
            server.write_tls(&mut bytes).expect("written");
            let _ = client.read_tls(&mut bytes.as_slice());
            let _ = client.process_new_packets();
        }
        let seen = seen.0.lock().expect("whole").take().expect("a certificate");
        for name in ["dps.landfall.test", "localhost"] {
            assert!(identity.shown().carries(name), "{name}");
        }
        Certificate::from_der(&seen)
            .expect("a certificate")
            .not_after()
    }

    /// Takes any certificate and keeps it.
    #[derive(Debug, Default)]
    struct Seen(std::sync::Mutex<Option<Vec<u8>>>);

    impl rustls::client::danger::ServerCertVerifier for Seen {
        fn verify_server_cert(
            &self,
            end_entity: &rustls::pki_types::CertificateDer<'_>,
            _: &[rustls::pki_types::CertificateDer<'_>],
            _: &ServerName<'_>,
            _: &[u8],
            _: rustls::pki_types::UnixTime,
        ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
            *self.0.lock().expect("whole") = Some(end_entity.to_vec());
            Ok(rustls::client::danger::ServerCertVerified::assertion())
        }

        fn verify_tls12_signature(
            &self,
            _: &[u8],
            _: &rustls::pki_types::CertificateDer<'_>,
            _: &rustls::DigitallySignedStruct,
        ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
            Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
        }

        fn verify_tls13_signature(
            &self,
            _: &[u8],
            _: &rustls::pki_types::CertificateDer<'_>,
            _: &rustls::DigitallySignedStruct,
        ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
            Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
        }

        fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
            vec![rustls::SignatureScheme::ECDSA_NISTP256_SHA256]
        }
    }

    #[tokio::test]
    async fn a_certificate_near_its_end_is_made_anew_while_the_server_runs() {
        let place = tempfile::tempdir().expect("a folder");
        let clock = HandClock::new();
        let identity = Arc::new(open(place.path(), &clock).expect("opens"));
        let first = shown_until(&identity);
        assert_eq!(first, now().plus(DAY * 396));
        let (stopper, stopped) = stop::channel();
        let round = Duration::from_millis(5);
        let worker = tokio::spawn(run(Arc::clone(&identity), round, stopped));
        clock.turn_to(now().plus(DAY * 300));
        time::sleep(round * 10).await;
        assert_eq!(shown_until(&identity), first, "too early");
        let late = now().plus(DAY * 370);
        clock.turn_to(late);
        let renewed = time::timeout(Duration::from_secs(30), async {
            while shown_until(&identity) == first {
                time::sleep(round).await;
            }
        });
        renewed.await.expect("renewed");
        assert_eq!(shown_until(&identity), late.plus(DAY * 396));
        stopper.stop();
        worker.await.expect("ended");
        drop(identity);
        let again = open(place.path(), &clock).expect("opens");
        assert_eq!(shown_until(&again), late.plus(DAY * 396), "the files too");
    }

    #[test]
    fn no_certificate_outlasts_the_ca_whose_end_is_told_long_before() {
        let place = tempfile::tempdir().expect("a folder");
        let clock = HandClock::new();
        let identity = open(place.path(), &clock).expect("opens");
        assert_eq!(identity.ca_remark().expect("reads"), None);
        let ca_ends = now().plus(DAY * 3650);
        clock.turn_to(ca_ends.minus(DAY * 100));
        assert!(identity.renew().expect("renews"));
        assert_eq!(shown_until(&identity), ca_ends);
        clock.turn_to(ca_ends.minus(DAY));
        assert!(!identity.renew().expect("cannot be better"));
        let said = identity.ca_remark().expect("reads").expect("a remark");
        assert!(
            said.contains("in 1 d 0 h") && said.contains("remove ca.pem"),
            "{said}"
        );
        clock.turn_to(ca_ends.plus(DAY));
        assert!(!identity.renew().expect("cannot be better"));
        let said = identity.ca_remark().expect("reads").expect("a remark");
        assert!(said.contains("ended on"), "{said}");
        drop(identity);
        let error = open(place.path(), &clock).err().expect("refused");
        assert!(
            error.to_string().contains("remove it and ca-key.pem"),
            "{error}"
        );
    }
}
