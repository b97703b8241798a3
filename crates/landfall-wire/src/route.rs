//! Every public path, written once. A path is split, percent-decoded segment by segment, and
//! matched without case on its fixed segments; methods are judged by the face that it belongs to.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// The face that a path belongs to, with what the path names. Ids are decoded, not yet parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// The device API.
    Device(DeviceRoute),
    /// The service API.
    Service(ServiceRoute),
    /// The control plane.
    Control(ControlRoute),
    /// The hub API.
    Hub(HubRoute),
    /// Landfall's own routes, listed in docs/divergences.md.
    Own(OwnRoute),
}

/// Paths of the device API.
///
/// Source: docs/protocol/device-api.md §1.1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeviceRoute {
    /// `/{scope}/registrations/{id}/register`
    Register(String, String),
    /// `/{scope}/registrations/{id}/operations/{operation}`
    Operation(String, String, String),
    /// `/{scope}/registrations/{id}`
    Registration(String, String),
}

/// The two collections of the service API that share one form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Collection {
    /// `/enrollments`
    Individuals,
    /// `/enrollmentGroups`
    Groups,
}

/// Paths of the service API.
///
/// Source: docs/protocol/service-api.md §4.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServiceRoute {
    /// `/enrollments`, `/enrollmentGroups`: bulk.
    Bulk(Collection),
    /// `/enrollments/{id}`, `/enrollmentGroups/{id}`; by POST `/enrollments/query`,
    /// `/enrollmentGroups/query`.
    Item(Collection, String),
    /// `/enrollments/{id}/attestationmechanism`, `/enrollmentGroups/{id}/attestationmechanism`
    AttestationMechanism(Collection, String),
    /// `/registrations/{id}`
    Registration(String),
    /// `/registrations/{group}/query`
    RegistrationQuery(String),
}

/// Paths of the control plane, below `/subscriptions/{s}/resourceGroups/{g}/providers/
/// Microsoft.Devices/provisioningServices`.
///
/// Source: docs/protocol/control-plane.md §2.1, §5.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControlRoute {
    /// The subscription named in the path.
    pub subscription: String,
    /// The resource group named in the path; empty where it names none.
    pub resource_group: String,
    /// The provisioning service, by name; empty where the path names none.
    pub service: String,
    /// What of the service.
    pub target: ControlTarget,
}

/// What a control plane path names of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ControlTarget {
    /// `/subscriptions/{subscription}/providers/Microsoft.Devices/provisioningServices` and
    /// `/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.Devices/provisioningServices`
    Services,
    /// `/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.Devices/provisioningServices/{name}`
    Service,
    /// `…/listkeys`
    Keys,
    /// `…/keys/{name}/listkeys`
    Key(String),
    /// `…/certificates`
    Certificates,
    /// `…/certificates/{name}`
    Certificate(String),
    /// `…/certificates/{name}/generateVerificationCode`
    VerificationCode(String),
    /// `…/certificates/{name}/verify`
    Verify(String),
}

/// Paths of the hub API.
///
/// Source: docs/protocol/hub-api.md §1.2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HubRoute {
    /// `/devices`
    Devices,
    /// `/devices/query` by POST; by another method a device of that name.
    Query,
    /// `/devices/{id}`
    Device(String),
    /// `/devices/{id}/modules`
    Modules(String),
    /// `/devices/{id}/modules/{module}`
    Module(String, String),
    /// `/devices/{id}/commands`: its queue of messages
    Commands(String),
    /// `/devices/{id}/messages/events`, `/devices/{id}/modules/{module}/messages/events`
    Events(String, Option<String>),
    /// `/devices/{id}/messages/deviceBound`
    Messages(String),
    /// `/devices/{id}/messages/deviceBound/{lock}`
    Message(String, String),
    /// `/devices/{id}/messages/deviceBound/{lock}/abandon`
    Abandon(String, String),
    /// `/twins/{id}`
    Twin(String),
    /// `/twins/{id}/modules/{module}`
    ModuleTwin(String, String),
    /// `/twins/{id}/methods`, `/twins/{id}/modules/{module}/methods`
    Method(String, Option<String>),
    /// `/statistics/devices`
    DeviceStatistics,
    /// `/statistics/service`
    ServiceStatistics,
    /// A path of the hub API that this build does not serve.
    NotServed,
}

/// Whose shared access policies a path is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PolicyHolder {
    /// A provisioning service's, by its name.
    Service(String),
    /// An embedded hub's, by its host name.
    Hub(String),
}

/// Landfall's own routes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OwnRoute {
    /// `/landfall/services`
    Services,
    /// `/landfall/services/{name}`
    Service(String),
    /// `/landfall/services/{name}/policies`, `/landfall/hubs/{host}/policies`
    Policies(PolicyHolder),
    /// `/landfall/services/{name}/policies/{policy}`, `/landfall/hubs/{host}/policies/{policy}`
    Policy(PolicyHolder, String),
    /// `/landfall/services/{name}/policies/{policy}/rotate`, `/landfall/hubs/{host}/policies/{policy}/rotate`
    PolicyRotation(PolicyHolder, String),
    /// `/landfall/audit`
    Audit,
    /// `/landfall/traces/{tracking}`
    Trace(String),
    /// `/landfall/registrations/{id}/traces`
    RegistrationTraces(String),
    /// `/landfall/registrations/{id}/inspection`
    Inspection(String),
    /// `/landfall/enrollments/import`
    Import,
    /// `/landfall/hubs/{host}/events`
    HubEvents(String),
}

impl Route {
    /// The methods that the path takes, as an `Allow` header lists them; `None` where the face of
    /// the path says it itself.
    pub fn methods(&self) -> Option<&'static str> {
        match self {
            Route::Device(DeviceRoute::Register(..)) => Some("PUT"),
            Route::Device(DeviceRoute::Operation(..)) => Some("GET"),
            Route::Device(DeviceRoute::Registration(..)) => Some("POST"),
            Route::Hub(route) => Some(match route {
                HubRoute::Devices => "GET, POST",
                HubRoute::Query => "GET, PUT, DELETE, POST",
                HubRoute::Device(_) | HubRoute::Module(..) => "GET, PUT, DELETE",
                HubRoute::Twin(_) | HubRoute::ModuleTwin(..) => "GET, PATCH, PUT",
                HubRoute::Messages(_) => "GET, POST",
                HubRoute::Method(..) | HubRoute::Events(..) | HubRoute::Abandon(..) => "POST",
                HubRoute::Commands(_) | HubRoute::Message(..) => "DELETE",
                HubRoute::Modules(_)
                | HubRoute::DeviceStatistics
                | HubRoute::ServiceStatistics
                | HubRoute::NotServed => "GET",
            }),
            Route::Own(route) => Some(match route {
                OwnRoute::Services => "GET, POST",
                OwnRoute::Service(_) => "GET, PATCH, DELETE",
                OwnRoute::Policy(..) => "GET, PUT, DELETE",
                OwnRoute::PolicyRotation(..) | OwnRoute::Inspection(_) | OwnRoute::Import => "POST",
                OwnRoute::Policies(_)
                | OwnRoute::Audit
                | OwnRoute::Trace(_)
                | OwnRoute::RegistrationTraces(_)
                | OwnRoute::HubEvents(_) => "GET",
            }),
            Route::Service(_) | Route::Control(_) => None,
        }
    }
}

/// Says whose path this is; `None` when no face knows it.
pub fn parse(path: &str) -> Option<Route> {
    let path = path.strip_prefix('/')?;
    let path = path.strip_suffix('/').unwrap_or(path);
    let segments = path
        .split('/')
        .map(|segment| percent_decode_str(segment).decode_utf8())
        .collect::<Result<Vec<Cow<'_, str>>, _>>()
        .ok()?;
    let lower: Vec<Cow<'_, str>> = segments.iter().map(|segment| lower_case(segment)).collect();
    let lower: Vec<&str> = lower.iter().map(|segment| &**segment).collect();
    let at = |index: usize| {
        let segment = segments.get(index);
        segment.map(|text| text.to_string()).unwrap_or_default()
    };

    let route = match lower.as_slice() {
        ["enrollments", ..] => Route::Service(collection(Collection::Individuals, &lower, &at)?),
        ["enrollmentgroups", ..] => Route::Service(collection(Collection::Groups, &lower, &at)?),
        ["registrations", _] => Route::Service(ServiceRoute::Registration(at(1))),
        ["registrations", _, "query"] => Route::Service(ServiceRoute::RegistrationQuery(at(1))),
        ["subscriptions", ..] => Route::Control(control(&lower, &at)?),
        ["landfall", ..] => Route::Own(own(&lower, &at)?),
        [
            "devices" | "twins" | "statistics" | "configurations" | "jobs" | "messages"
            | "digitaltwins",
            ..,
        ] => Route::Hub(hub(&lower, &at)),
        [_, "registrations", _] => Route::Device(DeviceRoute::Registration(at(0), at(2))),
        [_, "registrations", _, "register"] => Route::Device(DeviceRoute::Register(at(0), at(2))),
        [_, "registrations", _, "operations", _] => {
            Route::Device(DeviceRoute::Operation(at(0), at(2), at(4)))
        }
        _ => return None,
    };
    Some(route)
}

/// Most paths are lower case as they come.
fn lower_case(segment: &str) -> Cow<'_, str> {
    if segment.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(segment.to_ascii_lowercase())
    } else {
        Cow::Borrowed(segment)
    }
}

fn collection(
    which: Collection,
    lower: &[&str],
    at: &dyn Fn(usize) -> String,
) -> Option<ServiceRoute> {
    match lower {
        [_] => Some(ServiceRoute::Bulk(which)),
        [_, _] => Some(ServiceRoute::Item(which, at(1))),
        [_, _, "attestationmechanism"] => Some(ServiceRoute::AttestationMechanism(which, at(1))),
        _ => None,
    }
}

fn control(lower: &[&str], at: &dyn Fn(usize) -> String) -> Option<ControlRoute> {
    const PROVIDER: &str = "microsoft.devices";
    const SERVICES: &str = "provisioningservices";
    let (resource_group, rest) = match lower {
        [_, _, "providers", PROVIDER, SERVICES] => (String::new(), &[][..]),
        [
            _,
            _,
            "resourcegroups",
            _,
            "providers",
            PROVIDER,
            SERVICES,
            rest @ ..,
        ] => (at(3), rest),
        _ => return None,
    };
    let target = match rest {
        [] => ControlTarget::Services,
        [_] => ControlTarget::Service,
        [_, "listkeys"] => ControlTarget::Keys,
        [_, "keys", _, "listkeys"] => ControlTarget::Key(at(9)),
        [_, "certificates"] => ControlTarget::Certificates,
        [_, "certificates", _] => ControlTarget::Certificate(at(9)),
        [_, "certificates", _, "generateverificationcode"] => {
            ControlTarget::VerificationCode(at(9))
        }
        [_, "certificates", _, "verify"] => ControlTarget::Verify(at(9)),
        _ => return None,
    };
    Some(ControlRoute {
        subscription: at(1),
        resource_group,
        service: if rest.is_empty() {
            String::new()
        } else {
            at(7)
        },
        target,
    })
}

fn own(lower: &[&str], at: &dyn Fn(usize) -> String) -> Option<OwnRoute> {
    let route = match lower {
        [_, "services"] => OwnRoute::Services,
        [_, "services", _] => OwnRoute::Service(at(2)),
        [_, holder @ ("services" | "hubs"), _, "policies", rest @ ..] => {
            let holder = if *holder == "hubs" {
                PolicyHolder::Hub(at(2))
            } else {
                PolicyHolder::Service(at(2))
            };
            match rest {
                [] => OwnRoute::Policies(holder),
                [_] => OwnRoute::Policy(holder, at(4)),
                [_, "rotate"] => OwnRoute::PolicyRotation(holder, at(4)),
                _ => return None,
            }
        }
        [_, "audit"] => OwnRoute::Audit,
        [_, "traces", _] => OwnRoute::Trace(at(2)),
        [_, "registrations", _, "traces"] => OwnRoute::RegistrationTraces(at(2)),
        [_, "registrations", _, "inspection"] => OwnRoute::Inspection(at(2)),
        [_, "enrollments", "import"] => OwnRoute::Import,
        [_, "hubs", _, "events"] => OwnRoute::HubEvents(at(2)),
        _ => return None,
    };
    Some(route)
}

fn hub(lower: &[&str], at: &dyn Fn(usize) -> String) -> HubRoute {
    match lower {
        ["devices"] => HubRoute::Devices,
        ["devices", "query"] => HubRoute::Query,
        ["devices", _] => HubRoute::Device(at(1)),
        ["devices", _, "modules"] => HubRoute::Modules(at(1)),
        ["devices", _, "commands"] => HubRoute::Commands(at(1)),
        ["devices", _, "messages", "events"] => HubRoute::Events(at(1), None),
        ["devices", _, "modules", _, "messages", "events"] => HubRoute::Events(at(1), Some(at(3))),
        ["devices", _, "messages", "devicebound"] => HubRoute::Messages(at(1)),
        ["devices", _, "messages", "devicebound", _] => HubRoute::Message(at(1), at(4)),
        ["devices", _, "messages", "devicebound", _, "abandon"] => HubRoute::Abandon(at(1), at(4)),
        ["devices", _, "modules", _] => HubRoute::Module(at(1), at(3)),
        ["twins", _] => HubRoute::Twin(at(1)),
        ["twins", _, "modules", _] => HubRoute::ModuleTwin(at(1), at(3)),
        ["twins", _, "methods"] => HubRoute::Method(at(1), None),
        ["twins", _, "modules", _, "methods"] => HubRoute::Method(at(1), Some(at(3))),
        ["statistics", "devices"] => HubRoute::DeviceStatistics,
        ["statistics", "service"] => HubRoute::ServiceStatistics,
        _ => HubRoute::NotServed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fixed_segments_ignore_case_and_ids_are_decoded_once() {
        assert_eq!(
            parse("/enrollmentgroups/a%3Ab/attestationMechanism"),
            Some(Route::Service(ServiceRoute::AttestationMechanism(
                Collection::Groups,
                "a:b".into()
            )))
        );
        assert_eq!(
            parse("/enrollments/"),
            Some(Route::Service(ServiceRoute::Bulk(Collection::Individuals)))
        );
        assert_eq!(
            parse("/0ne1/registrations/d%2541/register"),
            Some(Route::Device(DeviceRoute::Register(
                "0ne1".into(),
                "d%41".into()
            )))
        );
        assert_eq!(
            parse("/devices/%24edgeAgent"),
            Some(Route::Hub(HubRoute::Device("$edgeAgent".into())))
        );
        assert_eq!(parse("/nothing"), None);
        assert_eq!(parse("/%ff/registrations/a"), None);
    }

    #[test]
    fn a_service_of_the_control_plane_is_found_alone_and_in_lists() {
        const PROVIDER: &str = "providers/Microsoft.Devices/provisioningServices";
        let control = |group: &str, service: &str, target| {
            Some(Route::Control(ControlRoute {
                subscription: "s".into(),
                resource_group: group.into(),
                service: service.into(),
                target,
            }))
        };
        for (path, found) in [
            (String::new(), control("", "", ControlTarget::Services)),
            (
                "resourcegroups/g/".into(),
                control("g", "", ControlTarget::Services),
            ),
        ] {
            assert_eq!(parse(&format!("/subscriptions/s/{path}{PROVIDER}")), found);
        }
        for (rest, target) in [
            ("dev", Some(ControlTarget::Service)),
            ("dev/listKeys", Some(ControlTarget::Keys)),
            ("dev/keys/o/listkeys", Some(ControlTarget::Key("o".into()))),
            (
                "dev/certificates/c",
                Some(ControlTarget::Certificate("c".into())),
            ),
            ("dev/keys/o", None),
            ("dev/skus", None),
        ] {
            let path = format!("/subscriptions/s/resourceGroups/g/{PROVIDER}/{rest}");
            let found = target.and_then(|target| control("g", "dev", target));
            assert_eq!(parse(&path), found, "{rest}");
        }
    }

    #[test]
    fn a_group_called_registrations_is_not_taken_for_a_device() {
        assert_eq!(
            parse("/registrations/registrations/query"),
            Some(Route::Service(ServiceRoute::RegistrationQuery(
                "registrations".into()
            )))
        );
    }
}
