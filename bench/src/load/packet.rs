//! MQTT 3.1.1 as much as a client of a measured server says, as bytes made beforehand: packets to send, and the
//! next packet of what came. Written by hand, so that what a client costs is the same whatever it calls.

/// The first bytes of packets, with the flags that they have here.
pub(super) mod kind {
    pub(in super::super) const CONNECT: u8 = 0x10;
    pub(in super::super) const LET_IN: u8 = 0x20;
    pub(in super::super) const MESSAGE: u8 = 0x30;
    pub(in super::super) const SURE_MESSAGE: u8 = 0x32;
    pub(in super::super) const ACKNOWLEDGED: u8 = 0x40;
    pub(in super::super) const SUBSCRIBE: u8 = 0x82;
    pub(in super::super) const SUBSCRIBED: u8 = 0x90;
}

/// The end of a connection in order.
pub(super) const DISCONNECT: [u8; 2] = [0xE0, 0];

/// What a client shows of itself.
pub(super) struct Login {
    pub(super) client_id: String,
    pub(super) user_name: String,
    pub(super) password: String,
    /// Whether nothing of the session is to be kept.
    pub(super) clean: bool,
}

/// A packet that came.
pub(super) struct Packet {
    pub(super) kind: u8,
    pub(super) body: Vec<u8>,
}

/// A CONNECT of a client that need not say that it is there.
pub(super) fn connect(login: &Login) -> Vec<u8> {
    let clean = if login.clean { 0x02 } else { 0 };
    let mut body = text("MQTT");
    body.extend([4, 0xC0 | clean, 0, 0]);
    for part in [&login.client_id, &login.user_name, &login.password] {
        body.extend(text(part));
    }
    packet(kind::CONNECT, &body)
}

/// A SUBSCRIBE of one filter.
pub(super) fn subscribe(id: u16, filter: &str, qos: u8) -> Vec<u8> {
    let mut body = id.to_be_bytes().to_vec();
    body.extend(text(filter));
    body.push(qos);
    packet(kind::SUBSCRIBE, &body)
}

/// A message: one that is acknowledged when it has a packet id.
pub(super) fn publish(topic: &str, payload: &[u8], id: Option<u16>) -> Vec<u8> {
    let mut body = text(topic);
    body.extend(id.iter().flat_map(|id| id.to_be_bytes()));
    body.extend(payload);
    let sure = id.map_or(kind::MESSAGE, |_| kind::SURE_MESSAGE);
    packet(sure, &body)
}

/// The acknowledgement of a message.
pub(super) fn acknowledge(id: [u8; 2]) -> [u8; 4] {
    [kind::ACKNOWLEDGED, 2, id[0], id[1]]
}

/// Topic, packet id and payload of a message.
pub(super) type Said<'a> = (&'a str, Option<[u8; 2]>, &'a [u8]);

impl Packet {
    /// The packet that stands first in `received`, which is taken out of it; `None` until it is there whole.
    pub(super) fn take(received: &mut Vec<u8>) -> Option<Self> {
        let (mut length, mut head) = (0, 1);
        loop {
            let byte = *received.get(head)?;
            length |= usize::from(byte & 0x7F) << (7 * (head - 1));
            head += 1;
            if byte & 0x80 == 0 {
                break;
            }
        }
        let body = received.get(head..head + length)?.to_vec();
        let kind = *received.first()?;
        received.drain(..head + length);
        Some(Packet { kind, body })
    }

    /// A message as topic, packet id (when it is to be acknowledged) and payload; `None` when it is none.
    pub(super) fn message(&self) -> Option<Said<'_>> {
        let sure = match self.kind {
            kind::MESSAGE => false,
            kind::SURE_MESSAGE => true,
            _ => return None,
        };
        let (length, rest) = self.body.split_first_chunk::<2>()?;
        let (topic, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        let topic = std::str::from_utf8(topic).ok()?;
        if !sure {
            return Some((topic, None, rest));
        }
        let (id, payload) = rest.split_first_chunk::<2>()?;
        Some((topic, Some(*id), payload))
    }
}

fn packet(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut packet = vec![kind];
    let mut left = body.len();
    loop {
        let more = if left > 0x7F { 0x80 } else { 0 };
        packet.push((left & 0x7F) as u8 | more);
        left >>= 7;
        if left == 0 {
            break;
        }
    }
    packet.extend(body);
    packet
}

fn text(text: &str) -> Vec<u8> {
    let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
    let mut bytes = length.to_be_bytes().to_vec();
    bytes.extend(text.as_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_read_once_it_is_whole_and_only_once() {
        for (id, payload) in [(None, vec![b'a'; 3]), (Some(7), vec![b'b'; 300])] {
            let bytes = publish("a/b", &payload, id);
            let mut received = bytes[..bytes.len() - 1].to_vec();
            assert!(Packet::take(&mut received).is_none());
            received.push(bytes[bytes.len() - 1]);
            received.extend(acknowledge([0, 9]));
            let packet = Packet::take(&mut received).expect("a packet");
            let message = packet.message().expect("a message");
            assert_eq!(message, ("a/b", id.map(u16::to_be_bytes), &*payload));
            let rest = Packet::take(&mut received).expect("a packet");
            assert_eq!((rest.kind, &*rest.body), (kind::ACKNOWLEDGED, &[0, 9][..]));
            assert!(rest.message().is_none());
            assert!(received.is_empty());
        }
    }
}
