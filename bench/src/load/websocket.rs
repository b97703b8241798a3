//! As much of a WebSocket as carries MQTT to a server that is known: its opening, frames to send, and what the
//! frames that came carry.

use anyhow::{Context as _, ensure};

/// What opens one, on the path that clients take.
pub(super) const OPENING: &str = "GET /$iothub/websocket HTTP/1.1\r\nHost: localhost\r\n\
    Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n";

/// Bytes in a frame of a client. The mask is nought, which leaves them as they are.
pub(super) fn frame(bytes: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x82];
    match u8::try_from(bytes.len()) {
        Ok(length) if length < 126 => frame.push(0x80 | length),
        _ => {
            frame.push(0x80 | 126);
            let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
            frame.extend(length.to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend(bytes);
    frame
}

/// Takes the whole frames out of `framed`, and adds what they carry to `carried`.
///
/// # Errors
/// When a frame is none of a short binary message.
pub(super) fn unframe(framed: &mut Vec<u8>, carried: &mut Vec<u8>) -> anyhow::Result<()> {
    while let [kind, short, rest @ ..] = &framed[..] {
        ensure!(*kind == 0x82, "a frame of kind {kind:#x}");
        let (head, length) = match (*short, rest) {
            (126, [high, low, ..]) => (4, usize::from(u16::from_be_bytes([*high, *low]))),
            (126, _) => break,
            (short, _) => (2, usize::from(short)),
        };
        ensure!(*short < 127, "a frame that is masked or very long");
        if framed.len() < head + length {
            break;
        }
        let whole = framed.get(head..head + length).context("a whole frame")?;
        carried.extend(whole);
        framed.drain(..head + length);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_carry_what_they_were_given_however_they_arrive() {
        let (mut framed, mut carried) = (Vec::new(), Vec::new());
        for size in [5_usize, 125, 126, 700] {
            // A server's frame has no mask.
            let mut frame = frame(&vec![b'x'; size]);
            frame[1] &= 0x7F;
            let head = if size < 126 { 2 } else { 4 };
            frame.drain(head..head + 4);
            for byte in frame {
                framed.push(byte);
                unframe(&mut framed, &mut carried).expect("frames");
            }
            assert_eq!(carried.len(), size);
            assert!(framed.is_empty());
            carried.clear();
        }
        framed.extend([0x88, 0]);
        assert!(unframe(&mut framed, &mut carried).is_err());
    }
}
