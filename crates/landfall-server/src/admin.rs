//! The admin listener: whether the process lives, whether it can serve, what it counted, and which authority
//! its clients are to trust, in plain HTTP, meant for this machine or a closed network.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use landfall_core::store::Store;
use tokio::net::TcpListener;

use crate::metrics::scrape::{CONTENT_TYPE, Scrape};
use crate::stop::Stop;
use crate::time;

/// How long the store may take to say that it can write.
const READY_WITHIN: Duration = Duration::from_secs(3);

/// The certificate of the authority that clients are to trust, as PEM text; may be exchanged while
/// the server runs.
pub type Ca = Arc<ArcSwapOption<String>>;

/// What the listener is asked for.
pub struct Asked<S> {
    /// Whether it can write is asked by `/readyz`.
    pub store: Arc<S>,
    /// For `/ca.pem`.
    pub ca: Ca,
    /// For `/metrics`.
    pub scrape: Scrape,
}

/// Answers `/healthz`, `/readyz`, `/metrics` and `/ca.pem` until `stop` says true.
pub async fn serve<S: Store>(listener: TcpListener, asked: Asked<S>, mut stop: Stop) {
    let asked = Arc::new(asked);
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(_) => {
                    time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
            () = stop.given() => return,
        };
        let (asked, stopping) = (Arc::clone(&asked), stop.clone());
        tokio::spawn(async move {
            let service = service_fn(|request| {
                let (asked, stopping) = (Arc::clone(&asked), stopping.is_given());
                async move { Ok::<_, Infallible>(answer(&request, &asked, stopping).await) }
            });
            let _ = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(Duration::from_secs(10))
                .keep_alive(false)
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn answer<S: Store>(
    request: &hyper::Request<Incoming>,
    asked: &Asked<S>,
    stopping: bool,
) -> hyper::Response<Full<Bytes>> {
    if request.method() != Method::GET && request.method() != Method::HEAD {
        return reply(StatusCode::METHOD_NOT_ALLOWED, "only GET\n".to_owned());
    }
    match request.uri().path() {
        "/healthz" => reply(StatusCode::OK, "ok\n".to_owned()),
        "/readyz" if stopping => reply(StatusCode::SERVICE_UNAVAILABLE, "stopping\n".to_owned()),
        "/readyz" => match time::timeout(READY_WITHIN, asked.store.ready()).await {
            Ok(Ok(())) => reply(StatusCode::OK, "ready\n".to_owned()),
            Ok(Err(error)) => reply(
                StatusCode::SERVICE_UNAVAILABLE,
                format!("the database takes no writes: {}\n", error.0),
            ),
            Err(_) => reply(StatusCode::SERVICE_UNAVAILABLE, late()),
        },
        "/metrics" => metrics(&asked.scrape).await,
        "/ca.pem" => match asked.ca.load_full() {
            Some(ca) => typed(ca.to_string(), "application/x-pem-file"),
            None => reply(
                StatusCode::NOT_FOUND,
                "no authority is configured: its clients trust public ones, or https.ca_file is to name the PEM file of yours\n".to_owned(),
            ),
        },
        _ => reply(
            StatusCode::NOT_FOUND,
            "there is /healthz, /readyz, /metrics and /ca.pem\n".to_owned(),
        ),
    }
}

/// What is said when the store does not say in time whether it can write: the log knows more, or will.
fn late() -> String {
    format!(
        "the database takes no writes: it confirmed none within {} seconds: see that it runs, that this machine reaches it, and that \
         nothing holds up its commits (a disk, another session, a synchronous standby that is away); the log says more\n",
        READY_WITHIN.as_secs()
    )
}

/// A scrape; counting a process's open files takes a while when there are many.
async fn metrics(scrape: &Scrape) -> hyper::Response<Full<Bytes>> {
    let scrape = scrape.clone();
    match tokio::task::spawn_blocking(move || scrape.text()).await {
        Ok(text) => typed(text, CONTENT_TYPE),
        Err(error) => reply(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
    }
}

fn typed(text: String, kind: &'static str) -> hyper::Response<Full<Bytes>> {
    let mut response = reply(StatusCode::OK, text);
    let kind = HeaderValue::from_static(kind);
    response
        .headers_mut()
        .insert(http::header::CONTENT_TYPE, kind);
    response
}

fn reply(status: StatusCode, text: String) -> hyper::Response<Full<Bytes>> {
    let mut response = hyper::Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    response.headers_mut().insert(
        http::header::CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    response
}
