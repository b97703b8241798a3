//! Tells a client that speaks plain HTTP to a TLS port, which otherwise sees a broken connection and
//! nothing more.

use std::io;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

const TOLD: &str = "This port speaks TLS only: use an https URL.\n";

/// The whole reply; its length is counted, not written down.
fn answer() -> String {
    format!(
        "HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{TOLD}",
        TOLD.len()
    )
}

/// Looks at the first byte without taking it. A TLS handshake begins with a byte that is no letter,
/// an HTTP request with a letter: the latter is answered and `true`.
///
/// # Errors
/// When the connection breaks off.
pub async fn turned_away(stream: &mut TcpStream) -> io::Result<bool> {
    let mut first = [0];
    if stream.peek(&mut first).await? == 0 || !first[0].is_ascii_alphabetic() {
        return Ok(false);
    }
    // Closing with bytes unread would reset the connection before the answer is seen.
    let _ = stream.try_read(&mut [0; 8192]);
    stream.write_all(answer().as_bytes()).await?;
    stream.shutdown().await?;
    Ok(true)
}
