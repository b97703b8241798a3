//! The strict reader of DER: one element at a time, definite and shortest lengths only.
//!
//! Certificates are taken apart here by position; what the parts mean is read by `facts` and
//! `name`. Nothing outside this crate sees raw elements.

/// Deepest nesting that a certificate may have.
const DEEPEST: usize = 24;

pub(crate) const BOOLEAN: u8 = 0x01;
pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const BIT_STRING: u8 = 0x03;
pub(crate) const OBJECT_IDENTIFIER: u8 = 0x06;
pub(crate) const SEQUENCE: u8 = 0x30;
pub(crate) const SET: u8 = 0x31;

/// One element: its tag octet, its content, and all its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Element<'a> {
    pub(crate) tag: u8,
    pub(crate) content: &'a [u8],
    pub(crate) raw: &'a [u8],
}

impl<'a> Element<'a> {
    /// The elements inside; `None` when the content is not a row of elements.
    pub(crate) fn children(&self) -> Option<Vec<Element<'a>>> {
        let mut rest = self.content;
        let mut found = Vec::new();
        while !rest.is_empty() {
            let (element, after) = read(rest)?;
            found.push(element);
            rest = after;
        }
        Some(found)
    }
}

/// Reads one element and gives it with what follows it.
pub(crate) fn read(input: &[u8]) -> Option<(Element<'_>, &[u8])> {
    let (&tag, after_tag) = input.split_first()?;
    if tag & 0x1f == 0x1f {
        return None;
    }
    let (&first, mut body) = after_tag.split_first()?;
    let length = if first < 0x80 {
        usize::from(first)
    } else {
        let octets = usize::from(first & 0x7f);
        if !(1..=4).contains(&octets) {
            return None;
        }
        let (digits, after) = body.split_at_checked(octets)?;
        body = after;
        let length = digits
            .iter()
            .fold(0_usize, |sum, digit| sum << 8 | usize::from(*digit));
        if digits.first() == Some(&0) || length < 0x80 {
            return None;
        }
        length
    };
    let (content, rest) = body.split_at_checked(length)?;
    let raw = input.get(..input.len() - rest.len())?;
    Some((Element { tag, content, raw }, rest))
}

/// Reads `input` as exactly one element with the tag `tag`.
pub(crate) fn only(input: &[u8], tag: u8) -> Option<Element<'_>> {
    let (element, rest) = read(input)?;
    (rest.is_empty() && element.tag == tag).then_some(element)
}

/// Whether every nested element keeps the rules of DER that decide how bytes are split.
pub(crate) fn well_formed(element: &Element<'_>) -> bool {
    scan(element, DEEPEST)
}

fn scan(element: &Element<'_>, depth: usize) -> bool {
    if element.tag & 0x20 != 0 {
        return depth > 0
            && element
                .children()
                .is_some_and(|inner| inner.iter().all(|e| scan(e, depth - 1)));
    }
    match element.tag {
        BOOLEAN => element.content.len() == 1,
        INTEGER => match element.content {
            [] => false,
            [0, second, ..] => second & 0x80 != 0,
            [0xff, second, ..] => second & 0x80 == 0,
            _ => true,
        },
        OBJECT_IDENTIFIER => element.content.last().is_some_and(|last| last & 0x80 == 0),
        _ => true,
    }
}

/// Writes an object identifier's content in dotted form.
pub(crate) fn dotted(content: &[u8]) -> String {
    let mut arcs: Vec<u128> = Vec::new();
    let mut arc = 0_u128;
    for octet in content {
        arc = arc.wrapping_shl(7) | u128::from(octet & 0x7f);
        if octet & 0x80 == 0 {
            arcs.push(arc);
            arc = 0;
        }
    }
    let mut text = String::new();
    for (position, arc) in arcs.iter().enumerate() {
        if position == 0 {
            let top = (arc / 40).min(2);
            text.push_str(&format!("{top}.{}", arc - top * 40));
        } else {
            text.push_str(&format!(".{arc}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indefinite_and_padded_lengths_are_refused() {
        assert!(read(&[0x30, 0x80, 0x00, 0x00]).is_none(), "indefinite");
        assert!(read(&[0x04, 0x81, 0x01, 0xaa]).is_none(), "long form of 1");
        assert!(read(&[0x04, 0x05, 0x00]).is_none(), "cut short");
        assert!(read(&[0x1f, 0x81, 0x00]).is_none(), "long tag");
        assert!(read(&[]).is_none());
    }

    #[test]
    fn padded_integers_are_not_well_formed() {
        for (bytes, fine) in [
            (&[0x02, 0x01, 0x00][..], true),
            (&[0x02, 0x02, 0x00, 0x80][..], true),
            (&[0x02, 0x02, 0x00, 0x7f][..], false),
            (&[0x02, 0x02, 0xff, 0x80][..], false),
            (&[0x02, 0x01, 0xff][..], true),
            (&[0x02, 0x00][..], false),
        ] {
            let (element, _) = read(bytes).expect("an element");
            assert_eq!(well_formed(&element), fine, "{bytes:02x?}");
        }
    }

    #[test]
    fn nesting_without_end_is_refused() {
        let mut bytes = vec![0x30, 0x00];
        for _ in 0..30 {
            let mut outer = vec![0x30, u8::try_from(bytes.len()).expect("short")];
            outer.extend(bytes);
            bytes = outer;
        }
        assert!(!well_formed(&read(&bytes).expect("an element").0));
    }

    #[test]
    fn object_identifiers_are_written_in_dots() {
        assert_eq!(dotted(&[0x55, 0x1d, 0x13]), "2.5.29.19");
        assert_eq!(dotted(&[0x2a, 0x86, 0x48, 0xce, 0x3d]), "1.2.840.10045");
        assert_eq!(
            dotted(&[0x67, 0x81, 0x05, 0x05, 0x04, 0x01]),
            "2.23.133.5.4.1"
        );
    }
}
