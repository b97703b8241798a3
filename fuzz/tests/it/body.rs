//! Request bodies of every face: no bytes break their readers, and a refusal repeats no secret.

use std::sync::LazyLock;

use http::{HeaderMap, Method};
use landfall_core::enrollment::{EnrollmentGroup, IndividualEnrollment};
use landfall_core::id::{DeviceId, ModuleId, PolicyName, RegistrationId};
use landfall_core::service::Rights;
use landfall_hub::policy::Permissions;
use landfall_hub::twin::TwinVerb;
use landfall_wire::message::Request;
use landfall_wire::query::HubQueryCall;
use landfall_wire::service::enrollment::{EnrollmentBody, parse_put};
use landfall_wire::service::{bulk, parse_query};
use landfall_wire::{control, device, hub, own};

use crate::certificate::certificate_text;
use crate::read_corpus;

static CORPUS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let mut corpus = read_corpus("body");
    let certificate = certificate_text();
    corpus.push(format!(r#"{{"certificate":"{certificate}"}}"#).into_bytes());
    let group = format!(
        r#"{{"enrollmentGroupId":"dev1","attestation":{{"type":"x509","x509":
            {{"signingCertificates":{{"primary":{{"certificate":"{certificate}"}}}}}}}}}}"#
    );
    corpus.push(group.into_bytes());
    corpus
});

static ID: LazyLock<RegistrationId> = LazyLock::new(|| RegistrationId::parse("dev1").expect("id"));

/// What the seed corpus holds where a key belongs; a refusal must not say it.
const KEY: &str = "q7Zt0Vb3JmXk9LrYc2NwUe8HsDf5Ga";

fn told<T, E: std::fmt::Display>(read: Result<T, E>) -> Option<T> {
    match read {
        Ok(read) => Some(read),
        Err(error) => {
            let text = error.to_string();
            assert!(!text.contains(KEY), "a refusal repeats a key: {text}");
            None
        }
    }
}

fn device_api(body: &[u8]) {
    let _ = told(device::parse_body(body, &ID));
}

fn service_api(body: &[u8]) {
    fn enrollments<E: EnrollmentBody>(body: &[u8]) {
        let id = E::parse_id("dev1").expect("id");
        let _ = told(parse_put::<E>(body, &id));
        let _ = told(bulk::parse::<E>(body));
    }
    enrollments::<IndividualEnrollment>(body);
    enrollments::<EnrollmentGroup>(body);
    let _ = told(parse_query(body));
}

fn operator_apis(body: &[u8]) {
    let _ = told(control::parse_upload(body));
    let _ = told(control::parse_proof(body));
    let _ = told(own::parse_new_service(body));
    let _ = told(own::services::parse_service_change(body));
    let name = PolicyName::parse("dev1").expect("a name");
    let _ = told(own::policies::parse_policy::<Rights>(body, &name));
    let _ = told(own::policies::parse_policy::<Permissions>(body, &name));
    let _ = told(own::policies::parse_rotation(body));
}

fn hub_api(body: &[u8]) {
    if let Some(json) = told(hub::read_json(body)) {
        let device_id = || DeviceId::parse("dev1").expect("id");
        let _ = told(hub::device_request(device_id(), &json));
        let module_id = ModuleId::parse("dev1").expect("id");
        let _ = told(hub::module_request(device_id(), module_id, &json));
        let _ = told(hub::twin_change(TwinVerb::Patch, &json));
        let _ = told(hub::twin_change(TwinVerb::Replace, &json));
        let _ = told(hub::bulk_items(&json));
    }
    let _ = told(HubQueryCall::read(&hub_query(body)));
}

fn hub_query(body: &[u8]) -> Request {
    Request {
        method: Method::POST,
        path: "/devices/query".to_owned(),
        query: None,
        headers: HeaderMap::new(),
        body: body.to_vec(),
    }
}

#[test]
fn no_body_breaks_the_device_api() {
    feed!(CORPUS, device_api);
}

#[test]
fn no_body_breaks_the_service_api() {
    feed!(CORPUS, service_api);
}

#[test]
fn no_body_breaks_control_plane_and_own_routes() {
    feed!(CORPUS, operator_apis);
}

#[test]
fn no_body_breaks_the_hub_api() {
    feed!(CORPUS, hub_api);
}

#[test]
fn the_corpus_holds_something_for_every_reader() {
    let accepted = |reads: &dyn Fn(&[u8]) -> bool| CORPUS.iter().any(|body| reads(body));
    let json = |body: &[u8]| hub::read_json(body).expect("seeds are JSON");
    let id = || DeviceId::parse("dev1").expect("id");
    let module = || ModuleId::parse("dev1").expect("id");
    let group = || EnrollmentGroup::parse_id("dev1").expect("id");
    assert!(accepted(
        &|body| device::parse_body(body, &ID).is_ok_and(|read| read.tpm.is_some())
    ));
    assert!(accepted(&|body| parse_put::<IndividualEnrollment>(
        body, &ID
    )
    .is_ok()));
    assert!(accepted(&|body| parse_put::<EnrollmentGroup>(
        body,
        &group()
    )
    .is_ok()));
    assert!(accepted(
        &|body| bulk::parse::<IndividualEnrollment>(body).is_ok()
    ));
    assert!(accepted(
        &|body| bulk::parse::<EnrollmentGroup>(body).is_ok()
    ));
    assert!(accepted(
        &|body| parse_query(body).is_ok_and(|text| !text.is_empty())
    ));
    assert!(accepted(&|body| control::parse_upload(body).is_ok()));
    assert!(accepted(&|body| control::parse_proof(body).is_ok()));
    assert!(accepted(&|body| own::parse_new_service(body).is_ok()));
    assert!(accepted(
        &|body| hub::device_request(id(), &json(body)).is_ok()
    ));
    assert!(accepted(&|body| hub::module_request(
        id(),
        module(),
        &json(body)
    )
    .is_ok()));
    assert!(accepted(&|body| hub::twin_change(
        TwinVerb::Patch,
        &json(body)
    )
    .is_ok()));
    assert!(accepted(&|body| hub::bulk_items(&json(body)).is_ok()));
    assert!(accepted(
        &|body| HubQueryCall::read(&hub_query(body)).is_ok()
    ));
}
