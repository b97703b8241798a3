//! All faces of the server behind one listener: whose path is it, and who answers.

use std::net::SocketAddr;

use landfall_core::audit::Origin;
use landfall_core::error::Error;
use landfall_core::id::TrackingId;
use landfall_core::sas::{LEEWAY, SasToken};
use landfall_core::secret::SymmetricKey;
use landfall_core::service::ProvisioningService;
use landfall_hub::error::HubError;
use landfall_hub::event::LARGEST_EVENT;
use landfall_hub::registry::EmbeddedHubs;
use landfall_hub::store::HubStore;
use landfall_wire::fault;
use landfall_wire::message::{Reply, Request};
use landfall_wire::mqtt::session::Event;
use landfall_wire::route::{self, HubRoute, OwnRoute, Route};

use tokio::io::{AsyncRead, AsyncWrite};

use crate::backend::{Backend, unread};
use crate::connection::Link;
use crate::connection::mqtt::Connection;
use crate::device_api::DeviceApi;
use crate::device_api::https::{Incoming, LARGEST_BODY};
use crate::hub_api::mqtt::HubDevices;
use crate::listener::{Arriving, Chain, Faces, Streamed, Unread};
use crate::metrics::label::{Face, Method, Status};
use crate::own_api::OwnApi;
use crate::spans::Span;
use crate::time::Stopwatch;
use crate::{control_api, hub_api, service_api};

/// The largest body of an operator's request, in bytes: a hub's bulk call carries 100 twins.
const LARGEST_OPERATOR_BODY: usize = 4 * 1024 * 1024;
/// What a hub's caller is told that sends a large body and no token of any operator.
const UNPROVED: &str = "the token is not signed by a key of a shared access policy of this hub";
/// Most characters of a path or method in the log.
const LONGEST_SHOWN: usize = 256;

/// Every face, over one store.
pub struct AllFaces<S: HubStore> {
    /// Store, clock and chance.
    pub backend: Backend<S>,
    /// Devices and modules that live in the embedded hubs.
    pub hub: HubDevices<S>,
    /// The device API.
    pub device: DeviceApi<S, EmbeddedHubs<S>>,
    /// Landfall's own routes.
    pub own: OwnApi<S>,
    /// The bearer token of the control plane.
    pub control_token: SymmetricKey,
}

impl<S: HubStore> Faces for AllFaces<S> {
    async fn body_limit(&self, head: &Request) -> usize {
        match route::parse(&head.path) {
            // One that is a little too large is read, so that its sender is told.
            Some(Route::Hub(HubRoute::Events(..))) => LARGEST_EVENT + LARGEST_BODY,
            Some(Route::Hub(_) | Route::Service(_) | Route::Control(_)) => {
                if !may_be_larger(head, LARGEST_BODY) || self.operates(head).await {
                    LARGEST_OPERATOR_BODY
                } else {
                    LARGEST_BODY
                }
            }
            Some(Route::Device(_)) => self.device.largest_body,
            Some(Route::Own(_)) | None => LARGEST_BODY,
        }
    }

    fn unreadable_head(&self, peer: SocketAddr) -> Reply {
        let now = self.backend.clock.now();
        let tracking = TrackingId::draw(now, &*self.backend.entropy);
        tracing::info!(tracking_id = %tracking, %peer, "the head of a request could not be read");
        let error = Error::Unreadable(
            "The head of the request cannot be read: send HTTP/1.1, with fewer or shorter headers."
                .to_owned(),
        );
        let reply = fault::reply(&error, &tracking, now);
        self.count(Face::Nobody, Method::Other, &reply);
        reply
    }

    fn streams(&self, head: &Request) -> bool {
        matches!(
            route::parse(&head.path),
            Some(Route::Own(OwnRoute::Import | OwnRoute::HubEvents(_)))
        )
    }

    async fn answer_stream(&self, peer: SocketAddr, head: Request, body: Arriving) -> Streamed {
        let (origin, watch) = (self.origin(peer), Stopwatch::start());
        let tracking = &origin.tracking_id;
        let route = route::parse(&head.path);
        let methods = route.as_ref().and_then(Route::methods);
        let answered = match route {
            Some(Route::Own(OwnRoute::HubEvents(host))) => {
                self.own.follow(&head, &host, body.stop()).await
            }
            _ => self.own.import(&head, &origin, body).await,
        };
        let mut streamed = match answered {
            Ok(streamed) => streamed,
            Err(error) => fault::reply(&error, tracking, origin.at).into(),
        };
        log(&origin, peer, &head, &streamed.reply);
        self.offer(&origin, Face::Own, &head, &streamed.reply, watch);
        self.count(Face::Own, &head.method, &streamed.reply);
        streamed.reply = fault::allowing(streamed.reply, methods)
            .with_header("x-ms-request-id", tracking.as_str());
        streamed
    }

    async fn answer_mqtt<T>(&self, stream: T, link: &Link)
    where
        T: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let mut connection = Box::new(Connection::new(stream, link));
        match Box::pin(connection.next()).await {
            Ok(Event::Connect(connecting)) if hub_api::mqtt::is_meant(&connecting) => {
                Box::pin(self.hub.answer_mqtt(connection, connecting, link)).await;
            }
            Ok(Event::Connect(connecting)) => {
                Box::pin(self.device.answer_mqtt(connection, *connecting, link)).await;
            }
            // The session gives nothing before CONNECT.
            Ok(_) => {}
            Err(ended) => {
                self.device.note_stranger(ended, link);
                connection.close().await;
            }
        }
    }

    fn refuse_websocket(&self, peer: SocketAddr, head: &Request, error: &Error) -> Reply {
        let origin = self.origin(peer);
        let reply = fault::reply(error, &origin.tracking_id, origin.at);
        log(&origin, peer, head, &reply);
        self.count(Face::Nobody, &head.method, &reply);
        reply.with_header("x-ms-request-id", origin.tracking_id.as_str())
    }

    async fn answer(
        &self,
        peer: SocketAddr,
        chain: Chain,
        request: Request,
        unread: Option<Unread>,
    ) -> Reply {
        let route = route::parse(&request.path);
        let methods = route.as_ref().and_then(Route::methods);
        if let Some(Route::Device(route)) = &route {
            let incoming = Incoming {
                peer,
                chain: &chain,
                request: &request,
                route,
                unread,
            };
            let reply = self.device.answer_https(incoming).await;
            let reply = fault::allowing(reply, methods);
            self.count(Face::Device, &request.method, &reply);
            return reply;
        }
        let (origin, watch) = (self.origin(peer), Stopwatch::start());
        let (tracking, now) = (&origin.tracking_id, origin.at);
        let answered = match unread {
            Some(unread) => Ok(self.unreadable(route.as_ref(), request_error(unread), tracking)),
            None => {
                let route = route.clone();
                self.operator(route, &chain, &request, &origin).await
            }
        };
        let reply = answered.unwrap_or_else(|error| fault::reply(&error, tracking, now));
        log(&origin, peer, &request, &reply);
        self.offer(&origin, face(route.as_ref()), &request, &reply, watch);
        self.count(face(route.as_ref()), &request.method, &reply);
        fault::allowing(reply, methods).with_header("x-ms-request-id", tracking.as_str())
    }
}

/// Says in the log what was asked and answered.
fn log(origin: &Origin, peer: SocketAddr, request: &Request, reply: &Reply) {
    tracing::info!(
        tracking_id = %origin.tracking_id,
        %peer,
        status = reply.status.as_u16(),
        "{} {}: {}",
        shown(request.method.as_str()),
        shown(&request.path),
        reply.status.as_u16()
    );
}

/// What a request that was not read whole is told.
pub(crate) fn request_error(unread: Unread) -> Error {
    match unread {
        Unread::TooLarge(limit) => Error::TooLarge(limit),
        Unread::Incomplete => Error::Unreadable("The body did not arrive whole.".to_owned()),
        Unread::Host => {
            Error::Unreadable("The request must name one host, in one Host header.".to_owned())
        }
    }
}

/// Whether the head leaves it open that the body is larger than `size`.
fn may_be_larger(head: &Request, size: usize) -> bool {
    let length = head.header("content-length").map(str::parse::<usize>);
    match length {
        Some(length) => length.is_ok_and(|length| length > size),
        None => head.headers.contains_key("transfer-encoding"),
    }
}

/// Whose path it is, as it is counted.
fn face(route: Option<&Route>) -> Face {
    match route {
        Some(Route::Device(_)) => Face::Device,
        Some(Route::Service(_)) => Face::Service,
        Some(Route::Control(_)) => Face::Control,
        Some(Route::Hub(_)) => Face::Hub,
        Some(Route::Own(_)) => Face::Own,
        None => Face::Nobody,
    }
}

/// A face in a word or two, for a collector of traces.
fn spoken(face: Face) -> &'static str {
    match face {
        Face::Device => "device API",
        Face::Service => "service API",
        Face::Control => "control plane",
        Face::Hub => "hub API",
        Face::Own => "own routes",
        Face::Nobody => "unknown path",
    }
}

/// A method by its name, when it is one that everybody knows: a stranger may send any word.
fn known(method: &http::Method) -> &str {
    match method.as_str() {
        method @ ("GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE" | "OPTIONS") => method,
        _ => "_OTHER",
    }
}

/// The beginning of a text from outside, for the log. What would move a terminal's cursor or begin another
/// line is written as its number: a path may hold any character, in its bytes as they are.
fn shown(text: &str) -> String {
    let mut shown = String::with_capacity(text.len().min(LONGEST_SHOWN));
    for c in text.chars().take(LONGEST_SHOWN) {
        if c.is_control() {
            shown.extend(c.escape_unicode());
        } else {
            shown.push(c);
        }
    }
    shown
}

impl<S: HubStore> AllFaces<S> {
    /// Hands an operator's request to a collector of traces. Its query is left out: it may hold a token.
    fn offer(
        &self,
        origin: &Origin,
        face: Face,
        request: &Request,
        reply: &Reply,
        watch: Stopwatch,
    ) {
        self.own.traces.spans().offer(|| {
            let status = reply.status.as_u16();
            let address = origin.address.map(|address| address.to_string());
            let method = known(&request.method);
            Span {
                tracking_id: origin.tracking_id.clone(),
                name: format!("{method} {}", spoken(face)),
                started: origin.at,
                lasted: watch.elapsed(),
                attributes: vec![
                    ("landfall.tracking_id", origin.tracking_id.as_str().into()),
                    ("http.request.method", method.into()),
                    ("url.path", shown(&request.path).as_str().into()),
                    ("http.response.status_code", status.into()),
                    (
                        "client.address",
                        address.as_deref().unwrap_or_default().into(),
                    ),
                ],
                status,
                stages: Vec::new(),
            }
        });
    }

    /// Counts an answer, by whose path was asked for.
    fn count(&self, face: Face, method: impl Into<Method>, reply: &Reply) {
        let labels = (face, method.into(), Status(reply.status));
        self.backend.metrics.requests.count(labels);
    }

    /// One request of an operator, as of now.
    fn origin(&self, peer: SocketAddr) -> Origin {
        let at = self.backend.clock.now();
        Origin {
            at,
            address: Some(peer.ip().to_canonical()),
            tracking_id: TrackingId::draw(at, &*self.backend.entropy),
        }
    }

    /// The refusal of a request that was not read whole, in the form of the face it was for.
    fn unreadable(&self, route: Option<&Route>, error: Error, tracking: &TrackingId) -> Reply {
        let now = self.backend.clock.now();
        let error = match (route, error) {
            // Less room than operators get is given to those who did not prove to be one.
            (
                Some(Route::Hub(_) | Route::Service(_) | Route::Control(_)),
                Error::TooLarge(LARGEST_BODY),
            ) => Error::Unauthorized,
            (_, error) => error,
        };
        match route {
            Some(Route::Hub(_)) => {
                let error = match error {
                    Error::Unauthorized => HubError::Unauthorized(UNPROVED.to_owned()),
                    Error::TooLarge(_) => HubError::TooLarge(error.to_string()),
                    other => HubError::Unreadable(other.to_string()),
                };
                fault::hub::reply(&error, tracking, now)
            }
            Some(Route::Control(_)) => fault::control::reply(&error, tracking),
            _ => fault::reply(&error, tracking, now),
        }
    }

    /// Whether the caller proved to be an operator of anything here. Only then a body is read that
    /// is larger than a device's; whether this operator may do what it asks is judged later.
    async fn operates(&self, head: &Request) -> bool {
        if control_api::bears(head, &self.control_token) {
            return true;
        }
        let token = head.header("authorization").map(SasToken::parse);
        let Some(Ok(token)) = token else {
            return false;
        };
        let store = &self.backend.store;
        let (Ok(services), Ok(hubs)) = (store.services().await, store.hubs().await) else {
            return false;
        };
        let services = services.iter().flat_map(|service| &service.policies);
        let services = services.map(|policy| &policy.keys);
        let hubs = hubs.iter().flat_map(|hub| &hub.policies);
        let mut keys = services.chain(hubs.map(|policy| &policy.keys));
        !token.expired(self.backend.clock.now(), LEEWAY)
            && keys.any(|keys| token.signed_by(&keys.primary) || token.signed_by(&keys.secondary))
    }

    async fn operator(
        &self,
        route: Option<Route>,
        chain: &Chain,
        request: &Request,
        origin: &Origin,
    ) -> Result<Reply, Error> {
        let backend = &self.backend;
        match route {
            Some(Route::Service(route)) => {
                let services = self.services_at(&request.host()).await?;
                Ok(service_api::answer(backend, &services, request, &route, origin).await)
            }
            Some(Route::Control(route)) => {
                let services = backend
                    .store
                    .services()
                    .await
                    .map_err(|error| unread(&error))?;
                let token = &self.control_token;
                Ok(control_api::answer(backend, &services, request, &route, token, origin).await)
            }
            Some(Route::Hub(route)) => {
                let hubs = backend.store.hubs().await.map_err(|error| unread(&error))?;
                Ok(hub_api::https::answer(&self.hub, &hubs, chain, request, &route, origin).await)
            }
            Some(Route::Own(route)) => self.own.answer(request, &route, origin).await,
            Some(Route::Device(_)) | None => Err(Error::OtherNotFound("Path".to_owned())),
        }
    }

    /// The services that answer to this host name; all of them when none is called so, since then
    /// the caller's signature tells which one is meant.
    async fn services_at(&self, host: &str) -> Result<Vec<ProvisioningService>, Error> {
        let all = self
            .backend
            .store
            .services()
            .await
            .map_err(|error| unread(&error))?;
        let named: Vec<_> = all
            .iter()
            .filter(|service| service.host_name == host)
            .cloned()
            .collect();
        Ok(if named.is_empty() { all } else { named })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_of_a_path_is_one_line_of_bounded_length() {
        assert_eq!(shown("/enrollments/ä-1"), "/enrollments/ä-1");
        assert_eq!(
            shown("/a\n\u{1b}[2J\u{7f}\u{9b}31m"),
            "/a\\u{a}\\u{1b}[2J\\u{7f}\\u{9b}31m"
        );
        let long = shown(&"ä".repeat(10_000));
        assert_eq!(long.chars().count(), LONGEST_SHOWN);
    }
}
