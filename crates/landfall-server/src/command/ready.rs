//! `landfall ready`: whether a server on this machine can serve, asked of its admin listener. For health
//! checks, container images without a shell among them, and for scripts that wait for a server.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_util::rt::TokioIo;
use landfall_wire::client::connection_string::host_and_port;
use serde_json::Value as Json;
use tokio::net::TcpStream;

use super::outcome::{Exit, Failure};
use super::print;
use crate::client::{ClientError, Endpoint};
use crate::data_folder::ANNOUNCEMENTS;
use crate::time::{Stopwatch, sleep, timeout};

/// Where `serve` answers unless its configuration says otherwise.
const USUAL: &str = "127.0.0.1:9080";

/// How long one question may take; the server itself gives its store three seconds.
const PATIENCE: Duration = Duration::from_secs(5);

/// The pause between two questions while waiting.
const PAUSE: Duration = Duration::from_millis(100);

/// The most that is read of an answer, which is a word or a sentence.
const LARGEST_ANSWER: usize = 4096;

/// Say whether a server on this machine is ready: it takes requests and can write its database.
#[derive(Args)]
pub struct ReadyCommand {
    /// The server's admin listener; else the one that the running server of --data names, else
    /// 127.0.0.1:9080
    #[arg(long, value_name = "ADDR:PORT|URL", env = "LANDFALL_ADMIN_LISTEN")]
    admin: Option<String>,
    /// Data folder of the server
    #[arg(
        long,
        value_name = "DIR",
        env = "LANDFALL_DATA",
        default_value = "landfall-data"
    )]
    data: PathBuf,
    /// Wait so many seconds at most until it is ready
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    wait: u64,
}

impl ReadyCommand {
    /// Does what was asked.
    ///
    /// # Errors
    /// [`Failure`]: 1 when the server says that it is not ready, 6 when nobody answers.
    pub async fn run(self) -> Result<(), Failure> {
        let watch = Stopwatch::start();
        let limit = Duration::from_secs(self.wait);
        loop {
            // Looked up anew each time: the server's file appears while it starts.
            let failure = match ask(&endpoint(self.admin.as_deref(), &self.data)?).await {
                Ok(()) => {
                    print::text("ready");
                    return Ok(());
                }
                Err(failure) => failure,
            };
            if watch.elapsed() >= limit {
                return Err(failure);
            }
            sleep(PAUSE).await;
        }
    }
}

/// The admin listener that is asked.
fn endpoint(given: Option<&str>, data: &Path) -> Result<Endpoint, Failure> {
    let files = ANNOUNCEMENTS.iter();
    let told = files
        .filter_map(|name| std::fs::read(data.join(name)).ok())
        .filter_map(|text| serde_json::from_slice::<Json>(&text).ok())
        .find_map(|file| Some(file.get("adminUrl")?.as_str()?.to_owned()));
    let text = given.or(told.as_deref()).unwrap_or(USUAL);
    let address = text.strip_prefix("http://").unwrap_or(text);
    match host_and_port(address.trim_end_matches('/')) {
        Ok((host, Some(port))) => Ok(Endpoint::new(&host, port)),
        Ok((_, None)) | Err(_) => Err(Failure::usage(
            format!("'{text}' is not the address of an admin listener"),
            "give it as ADDR:PORT, such as 127.0.0.1:9080, or as http://ADDR:PORT",
        )),
    }
}

/// Asks once.
async fn ask(endpoint: &Endpoint) -> Result<(), Failure> {
    let said = asked(endpoint).await?;
    if said.ready {
        return Ok(());
    }
    Err(Failure::new(
        Exit::Refused,
        format!(
            "the server at {endpoint} is not ready: {}",
            said.text.trim()
        ),
        "see the server's log; a server that is stopping, or that cannot write its database, says so",
    ))
}

/// What a server says of its readiness.
pub struct Said {
    /// Whether it can serve.
    pub ready: bool,
    /// Its words.
    pub text: String,
    /// Its clock, as HTTP writes it.
    pub date: Option<String>,
}

/// Asks `/readyz` of the admin listener at `endpoint`, and does not wait long.
///
/// # Errors
/// [`ClientError`] when nobody answers, or not in time.
pub async fn asked(endpoint: &Endpoint) -> Result<Said, ClientError> {
    let answer = timeout(PATIENCE, exchange(endpoint)).await;
    answer.map_err(|_| ClientError::TimedOut {
        endpoint: endpoint.clone(),
        limit: PATIENCE,
    })?
}

async fn exchange(endpoint: &Endpoint) -> Result<Said, ClientError> {
    let broken = |cause: Box<dyn std::error::Error + Send + Sync>| ClientError::Broken {
        endpoint: endpoint.clone(),
        cause,
    };
    let stream = TcpStream::connect((endpoint.host.as_str(), endpoint.port))
        .await
        .map_err(|cause| ClientError::Connect {
            endpoint: endpoint.clone(),
            cause,
        })?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| broken(error.into()))?;
    // Ends by itself when the sender is dropped; its error reaches the caller through the sender.
    tokio::spawn(connection);
    let request = http::Request::get("/readyz")
        .header(http::header::HOST, endpoint.to_string())
        .body(Empty::<Bytes>::new())
        .map_err(|error| broken(error.into()))?;
    let (head, body) = sender
        .send_request(request)
        .await
        .map_err(|error| broken(error.into()))?
        .into_parts();
    let said = Limited::new(body, LARGEST_ANSWER).collect().await;
    let said = said.map_err(broken)?.to_bytes();
    let date = head.headers.get(http::header::DATE);
    Ok(Said {
        ready: head.status.is_success(),
        text: String::from_utf8_lossy(&said).into_owned(),
        date: date.and_then(|date| Some(date.to_str().ok()?.to_owned())),
    })
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    /// Answers one connection with these bytes and gives what it was asked.
    async fn answering(bytes: &'static str) -> (Endpoint, tokio::task::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let port = listener.local_addr().expect("address").port();
        let asked = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a caller");
            let mut request = vec![0; 1024];
            let read = stream.read(&mut request).await.expect("a request");
            stream.write_all(bytes.as_bytes()).await.expect("answered");
            String::from_utf8_lossy(&request[..read]).into_owned()
        });
        (Endpoint::new("127.0.0.1", port), asked)
    }

    #[tokio::test]
    async fn a_ready_server_is_told_from_one_that_is_not() {
        let (at, asked) = answering("HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nready\n").await;
        assert_eq!(ask(&at).await, Ok(()));
        let asked = asked.await.expect("answered");
        assert!(asked.starts_with("GET /readyz HTTP/1.1\r\n"), "{asked}");

        let (at, _) =
            answering("HTTP/1.1 503 Service Unavailable\r\ncontent-length: 9\r\n\r\nstopping\n")
                .await;
        let failure = ask(&at).await.expect_err("not ready");
        assert_eq!(failure.exit, Exit::Refused);
        assert!(failure.what.ends_with("is not ready: stopping"));
    }

    #[tokio::test]
    async fn nobody_there_and_something_else_there_are_no_connection() {
        let (at, asked) = answering("SSH-2.0-x\r\n").await;
        let failure = ask(&at).await.expect_err("no HTTP");
        assert_eq!(failure.exit, Exit::CannotConnect);
        let _ = asked.await;
        let failure = ask(&at).await.expect_err("nobody");
        assert_eq!(failure.exit, Exit::CannotConnect);
    }

    #[test]
    fn the_listener_is_the_given_one_else_that_of_the_folder_else_the_usual_one() {
        let folder = tempfile::tempdir().expect("folder");
        let at = |given| endpoint(given, folder.path()).map(|found| found.to_string());
        assert_eq!(at(None).as_deref(), Ok(USUAL));
        let kept = folder.path().join("server.json");
        std::fs::write(kept, r#"{"adminUrl": "http://127.0.0.1:9081"}"#).expect("written");
        assert_eq!(at(None).as_deref(), Ok("127.0.0.1:9081"));
        let dev = folder.path().join("dev.json");
        std::fs::write(dev, r#"{"adminUrl": "http://127.0.0.3:9765"}"#).expect("written");
        assert_eq!(at(None).as_deref(), Ok("127.0.0.3:9765"));
        assert_eq!(at(Some("[::1]:9080")).as_deref(), Ok("[::1]:9080"));
        assert_eq!(
            at(Some("http://localhost:1/")).as_deref(),
            Ok("localhost:1")
        );
        for bad in ["localhost", "", "https://localhost:1", "a:b"] {
            assert!(at(Some(bad)).is_err(), "{bad}");
        }
    }
}
