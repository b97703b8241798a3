//! Every refusal once, and what lets a device in.

use landfall_core::clock::Entropy;
use landfall_core::id::{DeviceId, Etag, HubHostName, ModuleId};
use landfall_core::sas::sign;
use landfall_core::secret::SymmetricKey;

use super::*;
use crate::device::Presence;
use crate::policy::default_policies;
use crate::twin::{Twin, TwinContent};

struct Counting(std::sync::atomic::AtomicU8);

impl Entropy for Counting {
    fn fill(&self, buffer: &mut [u8]) {
        let seed = self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        buffer.fill(seed);
    }
}

const NOW: Timestamp = Timestamp::from_unix_seconds(2_000_000_000);

fn key(byte: u8) -> SymmetricKey {
    SymmetricKey::from_bytes(vec![byte; 32])
}

fn keys() -> DeviceAuthentication {
    DeviceAuthentication::Sas(KeyPair {
        primary: key(1),
        secondary: key(2),
    })
}

fn hub() -> Hub {
    Hub {
        host_name: HubHostName::parse("my.hub").expect("a name"),
        policies: default_policies(&Counting(10.into())),
        created: NOW,
        revision: 1,
    }
}

fn device(authentication: DeviceAuthentication) -> Device {
    Device {
        id: DeviceId::parse("Dev1").expect("an id"),
        generation_id: "1".to_owned(),
        etag: Etag::of_number(1),
        status: DeviceStatus::Enabled,
        status_reason: None,
        status_updated: NOW,
        authentication,
        iot_edge: false,
        device_scope: None,
        parent_scopes: Vec::new(),
        twin: Twin::fresh(&TwinContent::default(), NOW),
        presence: Presence::default(),
        created: NOW,
        revision: 1,
    }
}

fn token(resource: &str, byte: u8, policy: Option<&str>, seconds: i64) -> Proof<'static> {
    let expiry = Timestamp::from_unix_seconds(NOW.unix_seconds() + seconds);
    Proof {
        token: Some(SasToken::parse(&sign(resource, &key(byte), policy, expiry))),
        certificate: None,
    }
}

fn ask(device: &Device, proof: &Proof<'_>) -> Result<Option<i64>, Refusal> {
    let identity = Identity {
        device,
        module: None,
    };
    let endpoint = Endpoint::device(device.id.clone());
    admit(&hub(), identity, &endpoint, "other.name", proof, NOW)
        .map(|until| until.map(Timestamp::unix_seconds))
}

#[test]
fn either_key_lets_a_device_in_until_its_token_ends() {
    let device = device(keys());
    let until = Ok(Some(NOW.unix_seconds() + 60));
    for (resource, byte) in [
        ("my.hub/devices/Dev1", 1),
        ("MY.HUB/DEVICES/DEV1", 2),
        ("my.hub:8443/devices/Dev1", 1),
        ("other.name/devices/dev1", 2),
        ("my.hub/devices", 1),
    ] {
        assert_eq!(
            ask(&device, &token(resource, byte, None, 60)),
            until,
            "{resource}"
        );
    }
    assert!(ask(&device, &token("my.hub/devices/Dev1", 1, None, -200)).is_ok());
}

#[test]
fn a_proof_that_is_not_the_devices_is_refused_with_the_reason() {
    let by_key = device(keys());
    let path = "my.hub/devices/Dev1";
    assert_eq!(ask(&by_key, &Proof::default()), Err(Refusal::Nothing));
    assert_eq!(
        ask(&by_key, &token(path, 3, None, 60)),
        Err(Refusal::Signature)
    );
    assert!(matches!(
        ask(&by_key, &token(path, 1, None, -400)),
        Err(Refusal::Expired(_))
    ));
    assert!(matches!(
        ask(&by_key, &token("my.hub/devices/Dev12", 1, None, 60)),
        Err(Refusal::Resource(_))
    ));
    let no_token = Proof {
        token: Some(SasToken::parse("password")),
        certificate: None,
    };
    assert!(matches!(ask(&by_key, &no_token), Err(Refusal::Token(_))));
    for (authentication, refusal) in [
        (DeviceAuthentication::None, Refusal::NoCredential),
        (
            DeviceAuthentication::CertificateAuthority,
            Refusal::TokenForCertificate,
        ),
    ] {
        assert_eq!(
            ask(&device(authentication), &token(path, 1, None, 60)),
            Err(refusal)
        );
    }
    let mut disabled = device(keys());
    disabled.status = DeviceStatus::Disabled;
    assert_eq!(
        ask(&disabled, &token(path, 1, None, 60)),
        Err(Refusal::Disabled)
    );
    assert_eq!(
        ask(&disabled, &token(path, 3, None, 60)),
        Err(Refusal::Signature)
    );
}

#[test]
fn a_policy_may_stand_in_for_any_device_when_it_may_connect_devices() {
    let hub = hub();
    let device = device(DeviceAuthentication::None);
    let identity = Identity {
        device: &device,
        module: None,
    };
    let endpoint = Endpoint::device(device.id.clone());
    for (name, opens) in [("device", true), ("iothubowner", true), ("service", false)] {
        let policy = hub
            .policies
            .iter()
            .find(|policy| policy.name.as_str() == name);
        let policy = policy.expect("a default policy");
        let expiry = NOW.plus(std::time::Duration::from_secs(60));
        let text = sign("my.hub/devices", &policy.keys.primary, Some(name), expiry);
        let proof = Proof {
            token: Some(SasToken::parse(&text)),
            certificate: None,
        };
        let admitted = admit(&hub, identity, &endpoint, "my.hub", &proof, NOW);
        assert_eq!(admitted.is_ok(), opens, "{name}: {admitted:?}");
    }
}

#[test]
fn a_module_is_held_to_its_own_key_and_its_devices_status() {
    let mut device = device(DeviceAuthentication::None);
    let module = Module {
        device_id: device.id.clone(),
        id: ModuleId::parse("m").expect("an id"),
        generation_id: "1".to_owned(),
        etag: Etag::of_number(1),
        managed_by: None,
        authentication: keys(),
        twin: Twin::fresh(&TwinContent::default(), NOW),
        presence: Presence::default(),
        created: NOW,
        revision: 1,
    };
    let endpoint = Endpoint {
        device: device.id.clone(),
        module: Some(module.id.clone()),
    };
    let ask = |device: &Device, resource: &str| {
        let identity = Identity {
            device,
            module: Some(&module),
        };
        let proof = token(resource, 2, None, 60);
        admit(&hub(), identity, &endpoint, "my.hub", &proof, NOW)
    };
    assert!(ask(&device, "my.hub/devices/Dev1/modules/m").is_ok());
    assert!(ask(&device, "my.hub/devices/Dev1/modules/m2").is_err());
    device.status = DeviceStatus::Disabled;
    assert_eq!(
        ask(&device, "my.hub/devices/Dev1/modules/m"),
        Err(Refusal::Disabled)
    );
}

#[test]
fn either_thumbprint_of_either_length_lets_a_certificate_in() {
    let made = rcgen::generate_simple_self_signed(vec!["Dev1".to_owned()]).expect("a certificate");
    let certificate = Certificate::from_der(made.cert.der()).expect("readable");
    let proof = Proof {
        token: None,
        certificate: Some(&certificate),
    };
    let asking = |primary: Option<String>, secondary: Option<String>| {
        ask(
            &device(DeviceAuthentication::SelfSigned { primary, secondary }),
            &proof,
        )
    };
    let sha256 = certificate.sha256_hex();
    let sha1 = certificate.info().sha1_thumbprint;
    assert_eq!(asking(Some(sha256.to_ascii_lowercase()), None), Ok(None));
    assert_eq!(asking(Some("00".repeat(32)), Some(sha1)), Ok(None));
    assert_eq!(
        asking(Some("00".repeat(32)), None),
        Err(Refusal::Thumbprint(sha256))
    );
    assert!(asking(None, None).is_err());
    assert_eq!(
        ask(&device(keys()), &proof),
        Err(Refusal::CertificateForToken)
    );
    let authority = device(DeviceAuthentication::CertificateAuthority);
    assert_eq!(ask(&authority, &proof), Err(Refusal::Authority));
}
