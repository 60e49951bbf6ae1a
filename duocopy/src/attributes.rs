//! Extended attributes and access lists on their way from the Reader to the Writer.
//!
//! They travel packed, after the last byte of the content:
//!
//! ```text
//! "attr", 3 zeros, version 1
//! for each attribute: length of the name, length of the value (4 bytes each, little-endian), name, value
//! ```
//!
//! The packed bytes are sent in pieces, each of which begins with its offset: a Reader that replaces a dead one sends
//! all of them again.

use crate::sys;
pub use crate::sys::Attribute;

/// More than any file system allows for one file.
const MAX_PACKED: usize = 1 << 20;
const HEADER: &[u8; 8] = b"attr\0\0\0\x01";
/// Bytes at the beginning of a piece that hold its offset.
const OFFSET: usize = 4;
/// The part of [`MAX_PACKED`] that is reserved for names.
const ROOM_FOR_NAMES: usize = 128 << 10;
/// The most bytes that all names of a file can have, each with a zero (`XATTR_LIST_MAX` of Linux).
const MAX_NAMES: usize = 64 << 10;
/// Stands for the length of a value that could not be read.
const UNREADABLE: u32 = u32::MAX;

/// Packs attributes for the Writer. A value for which there is no room counts as unreadable.
pub fn pack(attributes: &[Attribute]) -> Vec<u8> {
    let (mut packed, mut names) = (HEADER.to_vec(), 0);
    for (name, value) in attributes {
        let name = name.as_encoded_bytes();
        names += name.len() + 1;
        let room = (MAX_PACKED - ROOM_FOR_NAMES).saturating_sub(packed.len() + name.len() + 8);
        let value = value.as_deref().filter(|value| value.len() <= room);
        let length = value.map_or(UNREADABLE, |value| value.len() as u32);
        if names > MAX_NAMES || packed.len() + name.len() + 8 > MAX_PACKED {
            break;
        }
        packed.extend_from_slice(&(name.len() as u32).to_le_bytes());
        packed.extend_from_slice(&length.to_le_bytes());
        packed.extend_from_slice(name);
        packed.extend_from_slice(value.unwrap_or_default());
    }
    packed
}

/// Divides packed attributes into pieces of at most `size` bytes.
pub fn pieces(packed: &[u8], size: usize) -> impl Iterator<Item = Vec<u8>> {
    let size = size - OFFSET;
    packed.chunks(size).enumerate().map(move |(number, piece)| {
        let offset = (number * size) as u32;
        [&offset.to_le_bytes(), piece].concat()
    })
}

/// The pieces that have arrived.
#[derive(Clone, Debug, Default)]
pub struct Received(Vec<u8>);

impl Received {
    /// Returns whether a piece may have this length, so that it is worth the memory.
    pub fn accepts(length: usize) -> bool {
        (OFFSET..=MAX_PACKED + OFFSET).contains(&length)
    }

    /// Adds a piece. Returns `false` if no Reader that keeps to the protocol can have sent it.
    pub fn add(&mut self, piece: &[u8]) -> bool {
        let Some((offset, bytes)) = piece.split_first_chunk() else { return false };
        let offset = u32::from_le_bytes(*offset) as usize;
        if offset + bytes.len() > MAX_PACKED {
            return false;
        }
        // If an earlier Writer received the first pieces, the rest begins without a header, and `unpack` ignores it.
        self.0.truncate(offset);
        self.0.extend_from_slice(bytes);
        true
    }

    /// Returns the attributes; `None` if they are incomplete, or more than a file can have.
    pub fn unpack(&self) -> Option<Vec<Attribute>> {
        unpack(&self.0)
    }
}

fn unpack(packed: &[u8]) -> Option<Vec<Attribute>> {
    let (mut rest, mut attributes, mut names) = (packed.strip_prefix(HEADER)?, Vec::new(), 0);
    while !rest.is_empty() {
        let mut word = || {
            let (word, others) = rest.split_at_checked(4)?;
            rest = others;
            Some(u32::from_le_bytes(word.try_into().ok()?))
        };
        let (name, value) = (word()?, word()?);
        let (name, others) = rest.split_at_checked(name as usize)?;
        let length = if value == UNREADABLE { 0 } else { value as usize };
        let (bytes, others) = others.split_at_checked(length)?;
        rest = others;
        names += name.len() + 1;
        if names > MAX_NAMES {
            return None;
        }
        let name = sys::attribute_name(name)?;
        attributes.push((name, (value != UNREADABLE).then(|| bytes.to_vec())));
    }
    Some(attributes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_survive_packing_and_corrupt_ones_are_rejected() {
        let attributes: Vec<Attribute> = vec![
            ("user.a".into(), Some(b"x\0y".to_vec())),
            ("user.b".into(), None),
            ("user.c".into(), Some(Vec::new())),
        ];
        let packed = pack(&attributes);
        assert_eq!(unpack(&packed), Some(attributes));
        assert_eq!(unpack(&pack(&[])), Some(Vec::new()));
        for length in 0..packed.len() {
            let cut = unpack(&packed[..length]);
            assert!(cut.is_none_or(|cut| cut.len() < 3), "{length}");
        }
        for at in 0..packed.len() {
            let mut changed = packed.clone();
            changed[at] ^= 0xff;
            // Any result will do, if only there is one, and soon.
            let _ = unpack(&changed);
        }
        let large =
            pack(&[("user.large".into(), Some(vec![0; MAX_PACKED])), ("user.small".into(), Some(vec![1]))]);
        let [(_, None), (_, Some(small))] = &unpack(&large).unwrap()[..] else { panic!("{}", large.len()) };
        assert_eq!(small, &[1]);
    }

    #[test]
    fn no_more_names_arrive_than_a_file_can_have() {
        for (length, most) in [(1, MAX_NAMES / 2), (7, MAX_NAMES / 8), (255, MAX_NAMES / 256)] {
            let attributes = |count| vec![("x".repeat(length).into(), None); count];
            for (count, arrives) in [(most, true), (most + 1, false)] {
                let one = pack(&attributes(1))[HEADER.len()..].repeat(count);
                let received = unpack(&[&HEADER[..], &one].concat());
                assert_eq!(received.is_some_and(|all| all.len() == count), arrives, "{count} of {length}");
            }
            assert_eq!(
                unpack(&pack(&attributes(2 * most))).map(|all| all.len()),
                Some(most),
                "none but these are sent"
            );
        }
    }

    #[test]
    fn pieces_are_joined_even_if_a_reader_sends_them_again() {
        let packed = pack(&[("user.a".into(), Some((0..=255).cycle().take(300).collect()))]);
        let pieces: Vec<_> = pieces(&packed, 100).collect();
        let joined = |order: &[usize]| {
            let mut received = Received::default();
            assert!(order.iter().all(|piece| received.add(&pieces[*piece])));
            received.unpack().map(|attributes| pack(&attributes))
        };
        assert_eq!(pieces.len(), 4);
        assert_eq!(joined(&[0, 1, 2, 3]).as_ref(), Some(&packed));
        assert_eq!(joined(&[0, 1, 0, 1, 2, 3]).as_ref(), Some(&packed), "after the Reader was replaced");
        for gap in [&[][..], &[2, 3], &[1, 2, 3], &[0, 1, 3]] {
            assert_eq!(joined(gap), None, "after the Writer was replaced");
        }
        let mut received = Received::default();
        assert!(!received.add(&[0; 3]));
        assert!(!received.add(&[&(MAX_PACKED as u32).to_le_bytes()[..], b"x"].concat()));
    }
}
