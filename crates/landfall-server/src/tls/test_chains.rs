//! Chains and keys for tests, of any kind, names and times, around 2040-06-01.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use landfall_core::clock::{Clock, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, PKCS_RSA_SHA256,
};
use time::OffsetDateTime;

use crate::dev_ca::PemPair;

/// A day.
pub const DAY: Duration = Duration::from_secs(24 * 3600);

/// When all of it happens.
pub fn now() -> Timestamp {
    Timestamp::parse("2040-06-01T00:00:00Z").expect("a time")
}

/// A key of the kind that every client knows.
pub fn ecdsa() -> KeyPair {
    KeyPair::generate().expect("a key")
}

/// A key of the kind that old clients know alone.
pub fn rsa() -> KeyPair {
    KeyPair::generate_for(&PKCS_RSA_SHA256).expect("a key")
}

/// A clock that is turned by hand.
pub struct HandClock(AtomicI64);

impl HandClock {
    /// A clock that shows [`now`].
    pub fn new() -> Arc<Self> {
        Arc::new(HandClock(AtomicI64::new(now().unix_micros())))
    }

    /// Turns it to `time`.
    pub fn turn_to(&self, time: Timestamp) {
        self.0.store(time.unix_micros(), Ordering::SeqCst);
    }
}

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_micros(self.0.load(Ordering::SeqCst))
    }
}

/// An authority.
pub struct Ca(CertifiedIssuer<'static, KeyPair>);

impl Ca {
    /// A root.
    pub fn root(subject: &str) -> Self {
        Ca(CertifiedIssuer::self_signed(of_ca(subject), ecdsa()).expect("a root"))
    }

    /// An authority below this one.
    pub fn below(&self, subject: &str) -> Self {
        Ca(CertifiedIssuer::signed_by(of_ca(subject), ecdsa(), &self.0).expect("a link"))
    }

    /// Its certificate.
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate for `names` and its key, valid from `from` for 90 days.
    pub fn issue(&self, names: &[&str], key: &KeyPair, from: Timestamp) -> PemPair {
        let params = params("server", names, from, DAY * 90);
        PemPair {
            certificate: params.signed_by(key, &self.0).expect("a leaf").pem(),
            key: key.serialize_pem().into(),
        }
    }
}

fn of_ca(subject: &str) -> CertificateParams {
    let mut params = params(subject, &[], now().minus(DAY * 30), DAY * 3650);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
}

fn params(subject: &str, names: &[&str], from: Timestamp, span: Duration) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).expect("names");
    params.distinguished_name.push(DnType::CommonName, subject);
    let date = |time: Timestamp| OffsetDateTime::from_unix_timestamp(time.unix_seconds());
    params.not_before = date(from).expect("a date");
    params.not_after = date(from.plus(span)).expect("a date");
    params
}
