//! `--preserve`: what a copy takes over from its source besides the content.
//!
//! Mode, owner and times travel with the source's identity. Extended attributes and access lists do so in blocks beside
//! the stream, behind its last byte, if the Writer has asked for them: `attr`, a version, then for each its name and
//! its value, each behind its length.

use crate::exit;
use crate::options::Preserve;
use crate::record::SourceRecord;
use crate::sys;
use std::ffi::{OsStr, OsString};
use std::fs::File;

/// More than any file system allows for one file.
const MOST: usize = 1 << 20;
const HEAD: &[u8; 8] = b"attr\0\0\0\x01";
/// A piece begins with its place.
const PLACE: usize = 4;
/// What the names may take of that.
const NAMES: usize = 128 << 10;
/// Stands for the length of a value that could not be read.
const UNREADABLE: u32 = u32::MAX;
/// Access lists, as Linux keeps them.
const ACCESS: &str = "system.posix_acl_access";
/// Rights that a program has, whoever starts it.
const CAPABILITIES: &str = "security.capability";

/// What a copy of a stream has not got.
pub const NOTHING: &str = "anything but the content";

/// An extended attribute; no value if it could not be read.
pub type Attribute = (OsString, Option<Vec<u8>>);

/// What is to be taken over, and what has come of it.
#[derive(Clone, Debug)]
pub struct FromSource<'a> {
    pub preserve: &'a [Preserve],
    /// All that came beside the stream.
    attributes: Vec<u8>,
}

impl<'a> FromSource<'a> {
    pub fn new(preserve: &'a [Preserve]) -> Self {
        Self { preserve, attributes: Vec::new() }
    }

    pub fn wants(&self, what: Preserve) -> bool {
        self.preserve.contains(&what)
    }

    /// Whether the Reader is to send them.
    pub fn wants_attributes(preserve: &[Preserve]) -> bool {
        preserve.contains(&Preserve::Xattr) || preserve.contains(&Preserve::Acl)
    }

    /// Whether a block beside the stream may be so long.
    pub fn may_take(length: usize) -> bool {
        (PLACE..=MOST + PLACE).contains(&length)
    }

    /// Keeps what came in a block beside the stream. `false` if it is nothing that there can be.
    pub fn take(&mut self, piece: &[u8]) -> bool {
        let Some((place, bytes)) = piece.split_first_chunk() else { return false };
        let place = u32::from_le_bytes(*place) as usize;
        if place + bytes.len() > MOST {
            return false;
        }
        // If a Writer before this one has had the beginning, what comes together here has no head, and counts for nothing.
        self.attributes.truncate(place);
        self.attributes.extend_from_slice(bytes);
        true
    }

    /// Gives the file all of it, and says what it could not give. `trusted` is whoever runs both halves: only then
    /// programs of the source's owner stay such.
    pub fn apply(&self, file: &File, source: &SourceRecord, trusted: bool) -> Option<String> {
        if source.stream {
            return (!self.preserve.is_empty()).then(|| NOTHING.into());
        }
        let mut with_rights = trusted && sys::is_owned_by(file, source.owner);
        let mut lost = Vec::new();
        // The owner first: changing it clears some bits of the mode.
        if self.wants(Preserve::Ownership) {
            if let Err(error) = sys::set_owner(file, source.owner) {
                lost.push(format!("ownership ({error})"));
            }
            with_rights = trusted && sys::is_owned_by(file, source.owner);
        }
        let attributes = self.attributes();
        if self.wants(Preserve::Xattr) {
            lost.extend(with_write_permission(file, || {
                apply(attributes.as_deref(), file, false, trusted, with_rights)
            }));
        }
        if self.wants(Preserve::Mode) {
            let mode = if with_rights { source.mode } else { source.mode & sys::MODE_WITHOUT_SETID };
            if let Err(error) = sys::set_mode(file, mode) {
                lost.push(format!("mode ({error})"));
            }
            if mode != source.mode {
                lost.push("the set-user-ID and set-group-ID bits of the mode".into());
            }
        }
        // Behind the mode, which is a part of it.
        if self.wants(Preserve::Acl) {
            if attributes.iter().flatten().all(|(name, _)| name != ACCESS) {
                // The directory may have given it one.
                sys::remove_attribute(file, OsStr::new(ACCESS));
            }
            lost.extend(apply(attributes.as_deref(), file, true, trusted, with_rights));
        }
        if self.wants(Preserve::Timestamps)
            && let Err(error) = sys::set_times(file, source.accessed, source.modified)
        {
            lost.push(format!("timestamps ({error})"));
        }
        (!lost.is_empty()).then(|| lost.join(", "))
    }

    fn attributes(&self) -> Option<Vec<Attribute>> {
        Self::wants_attributes(self.preserve).then(|| unpack(&self.attributes))?
    }
}

/// Attributes of users can be set only on a file that may be written to, even if it is open.
fn with_write_permission<T>(file: &File, act: impl FnOnce() -> T) -> T {
    let mode = sys::fstat(file).map(|stat| stat.mode);
    let opened =
        mode.as_ref().is_ok_and(|mode| mode & 0o200 == 0 && sys::set_mode(file, mode | 0o200).is_ok());
    let done = act();
    if let (true, Ok(mode)) = (opened, mode) {
        let _ = sys::set_mode(file, mode);
    }
    done
}

/// The access list, or all others. Returns what could not be had.
fn apply(
    attributes: Option<&[Attribute]>,
    file: &File,
    lists: bool,
    trusted: bool,
    with_rights: bool,
) -> Vec<String> {
    let (kind, there) = if lists {
        ("access lists", sys::HAS_ACCESS_LISTS)
    } else {
        ("extended attributes", sys::HAS_ATTRIBUTES)
    };
    if !there {
        return vec![format!("{kind} (not on this system)")];
    }
    let Some(attributes) = attributes else {
        return vec![format!("{kind} (they did not come, or came to a Writer that died)")];
    };
    let mut lost = Vec::new();
    for (name, value) in attributes.iter().filter(|(name, _)| (name == ACCESS) == lists) {
        let shown = exit::printable(&name.to_string_lossy());
        let own = name.as_encoded_bytes().starts_with(b"user.") || lists;
        match value {
            None => lost.push(format!("{shown} (it could not be read)")),
            Some(_) if !own && !trusted => {
                lost.push(format!("{shown} (none of this kind is taken over from somebody else)"));
            }
            Some(_) if name == CAPABILITIES && !with_rights => {
                lost.push(format!("{shown} (of another owner)"));
            }
            Some(value) => {
                if let Err(error) = sys::set_attribute(file, name, value) {
                    lost.push(format!("{shown} ({error})"));
                }
            }
        }
    }
    lost
}

/// The pieces in which what is [packed](pack) goes across: each begins with its place, because who takes a dead Reader's
/// place begins anew.
pub fn pieces(packed: &[u8], size: usize) -> impl Iterator<Item = Vec<u8>> {
    let size = size - PLACE;
    packed.chunks(size).enumerate().map(move |(number, piece)| {
        let place = (number * size) as u32;
        [&place.to_le_bytes(), piece].concat()
    })
}

/// What a source has, for the other process.
pub fn pack(attributes: &[Attribute]) -> Vec<u8> {
    let mut packed = HEAD.to_vec();
    for (name, value) in attributes {
        let name = name.as_encoded_bytes();
        let room = (MOST - NAMES).saturating_sub(packed.len() + name.len() + 8);
        let value = value.as_deref().filter(|value| value.len() <= room);
        let length = value.map_or(UNREADABLE, |value| value.len() as u32);
        if packed.len() + name.len() + 8 > MOST {
            break;
        }
        packed.extend_from_slice(&(name.len() as u32).to_le_bytes());
        packed.extend_from_slice(&length.to_le_bytes());
        packed.extend_from_slice(name);
        packed.extend_from_slice(value.unwrap_or_default());
    }
    packed
}

/// `None` if it is nothing that [`pack`] makes.
fn unpack(packed: &[u8]) -> Option<Vec<Attribute>> {
    let (mut rest, mut attributes) = (packed.strip_prefix(HEAD)?, Vec::new());
    while !rest.is_empty() {
        let mut word = || {
            let (word, behind) = rest.split_at_checked(4)?;
            rest = behind;
            Some(u32::from_le_bytes(word.try_into().ok()?))
        };
        let (name, value) = (word()?, word()?);
        let (name, behind) = rest.split_at_checked(name as usize)?;
        let length = if value == UNREADABLE { 0 } else { value as usize };
        let (bytes, behind) = behind.split_at_checked(length)?;
        rest = behind;
        let name = sys::attribute_name(name)?;
        attributes.push((name, (value != UNREADABLE).then(|| bytes.to_vec())));
    }
    Some(attributes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_come_back_as_they_were_and_nonsense_is_none() {
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
            // Whatever it makes of it, it makes something, and quickly.
            let _ = unpack(&changed);
        }
        let large = pack(&[("user.large".into(), Some(vec![0; MOST])), ("user.small".into(), Some(vec![1]))]);
        let [(_, None), (_, Some(small))] = &unpack(&large).unwrap()[..] else { panic!("{}", large.len()) };
        assert_eq!(small, &[1]);
    }

    #[test]
    fn pieces_are_put_together_also_if_somebody_begins_again() {
        let packed = pack(&[("user.a".into(), Some((0..=255).cycle().take(300).collect()))]);
        let pieces: Vec<_> = pieces(&packed, 100).collect();
        let preserve = [Preserve::Xattr];
        let together = |order: &[usize]| {
            let mut from = FromSource::new(&preserve);
            assert!(order.iter().all(|piece| from.take(&pieces[*piece])));
            from.attributes().map(|attributes| pack(&attributes))
        };
        assert_eq!(pieces.len(), 4);
        assert_eq!(together(&[0, 1, 2, 3]).as_ref(), Some(&packed));
        assert_eq!(
            together(&[0, 1, 0, 1, 2, 3]).as_ref(),
            Some(&packed),
            "a Reader that takes a dead one's place"
        );
        for gap in [&[][..], &[2, 3], &[1, 2, 3], &[0, 1, 3]] {
            assert_eq!(together(gap), None, "a Writer that takes a dead one's place");
        }
        let mut from = FromSource::new(&preserve);
        assert!(!from.take(&[0; 3]) && !from.take(&[&(MOST as u32).to_le_bytes()[..], b"x"].concat()));
    }
}
