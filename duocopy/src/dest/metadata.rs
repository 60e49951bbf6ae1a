//! Preserves the metadata of the source (`--preserve`).
//!
//! Mode, owner and times are part of the source's record. Extended attributes and access lists come after the last byte
//! of the content, if the Writer requests them.

use crate::api::{Loss, LossReason, Preserve, Preserved};
use crate::attributes::{Attribute, Received};
use crate::record::SourceRecord;
use crate::sys;
use std::ffi::OsStr;
use std::fs::File;
use std::io;

/// Access lists, as Linux keeps them.
const ACCESS_LIST: &str = "system.posix_acl_access";
/// Rights that a program has, whichever user starts it.
const CAPABILITIES: &str = "security.capability";

/// The metadata that a copy is to preserve, and the attributes that have arrived for it.
#[derive(Clone, Debug)]
pub struct SourceMetadata {
    preserve: Vec<Preserve>,
    attributes: Received,
}

/// The conditions under which attributes that grant rights may be preserved.
#[derive(Clone, Copy)]
struct Rights {
    /// Reader and Writer belong to one user.
    trusts_reader: bool,
    /// The copy also has the owner of the source.
    same_owner: bool,
}

impl SourceMetadata {
    pub fn new(preserve: &[Preserve]) -> Self {
        Self { preserve: preserve.to_vec(), attributes: Received::default() }
    }

    pub fn wants(&self, what: Preserve) -> bool {
        self.preserve.contains(&what)
    }

    /// Returns whether no metadata is to be preserved.
    pub fn is_empty(&self) -> bool {
        self.preserve.is_empty()
    }

    /// Adds a piece of the packed attributes. Returns `false` if no Reader that keeps to the protocol can have sent it.
    pub fn add_attributes(&mut self, piece: &[u8]) -> bool {
        self.attributes.add(piece)
    }

    /// Sets the metadata that is to be preserved. Returns what could not be preserved.
    ///
    /// A set-ID program of the source's owner stays one only if the user who runs both halves `trusts_reader`, and the
    /// copy has the same owner.
    pub fn apply(&self, file: &File, source: &SourceRecord, trusts_reader: bool) -> Vec<Loss> {
        let mut lost = Vec::new();
        if source.is_stream {
            if !self.is_empty() {
                lost.push(Loss { what: Preserved::Everything, reason: LossReason::Stream });
            }
            return lost;
        }
        let failed = |what, error: io::Error| Loss { what, reason: LossReason::System(error.into()) };
        let (stat, owned) = (&source.stat, || sys::is_owned_by(file, source.stat.owner));
        let mut rights = Rights { trusts_reader, same_owner: trusts_reader && owned() };
        // The owner comes first, because changing it clears bits of the mode.
        if self.wants(Preserve::Ownership) {
            let set = sys::set_owner(file, stat.owner);
            lost.extend(set.err().map(|error| failed(Preserved::Ownership, error)));
            rights.same_owner = trusts_reader && owned();
        }
        let attributes = self.attributes.unpack();
        let attributes = attributes.as_deref();
        if self.wants(Preserve::Xattr) {
            lost.extend(with_write_permission(file, || apply_attributes(attributes, file, false, rights)));
        }
        if self.wants(Preserve::Mode) {
            let mode = if rights.same_owner { stat.mode } else { stat.mode & sys::MODE_WITHOUT_SETID };
            lost.extend(sys::set_mode(file, mode).err().map(|error| failed(Preserved::Mode, error)));
            if mode != stat.mode {
                let reason = if trusts_reader { LossReason::OtherOwner } else { LossReason::OtherUser };
                lost.push(Loss { what: Preserved::SetIdBits, reason });
            }
        }
        // The access list comes after the mode, which is a part of it.
        if self.wants(Preserve::Acl) {
            if attributes.into_iter().flatten().all(|(name, _)| name != ACCESS_LIST) {
                // The file may have inherited one from its directory.
                sys::remove_attribute(file, OsStr::new(ACCESS_LIST));
            }
            lost.extend(apply_attributes(attributes, file, true, rights));
        }
        if self.wants(Preserve::Timestamps) {
            let set = sys::set_times(file, stat.accessed, stat.modified);
            lost.extend(set.err().map(|error| failed(Preserved::Timestamps, error)));
        }
        lost
    }
}

/// Runs `act` while the file may be written to: attributes of users can be set on no other file, even if it is open.
fn with_write_permission<T>(file: &File, act: impl FnOnce() -> T) -> T {
    let mode = sys::fstat(file).map(|stat| stat.mode);
    let changed =
        mode.as_ref().is_ok_and(|mode| mode & 0o200 == 0 && sys::set_mode(file, mode | 0o200).is_ok());
    let result = act();
    if let (true, Ok(mode)) = (changed, mode) {
        let _ = sys::set_mode(file, mode);
    }
    result
}

/// Sets the access `lists`, or all other attributes. Returns what could not be set.
fn apply_attributes(attributes: Option<&[Attribute]>, file: &File, lists: bool, rights: Rights) -> Vec<Loss> {
    let (all, supported) = if lists {
        (Preserved::AccessLists, sys::HAS_ACCESS_LISTS)
    } else {
        (Preserved::Attributes, sys::HAS_ATTRIBUTES)
    };
    let attributes = match attributes {
        _ if !supported => return vec![Loss { what: all, reason: LossReason::Unsupported }],
        None => return vec![Loss { what: all, reason: LossReason::NotReceived }],
        Some(attributes) => attributes,
    };
    let wanted = attributes.iter().filter(|(name, _)| (name == ACCESS_LIST) == lists);
    wanted
        .filter_map(|(name, value)| {
            let gives_rights = !lists && !name.as_encoded_bytes().starts_with(b"user.");
            let reason = match value {
                None => LossReason::Unreadable,
                Some(_) if gives_rights && !rights.trusts_reader => LossReason::OtherUser,
                Some(_) if name == CAPABILITIES && !rights.same_owner => LossReason::OtherOwner,
                Some(value) => LossReason::System(sys::set_attribute(file, name, value).err()?.into()),
            };
            Some(Loss { what: Preserved::Attribute(name.clone()), reason })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(unix)]
    use crate::digest::Kind;

    fn lost(metadata: &SourceMetadata, source: &SourceRecord, trusts_reader: bool) -> Vec<Loss> {
        let file = tempfile::tempfile().unwrap();
        metadata.apply(&file, source, trusts_reader)
    }

    #[test]
    fn a_stream_has_nothing_but_content() {
        let everything = [Loss { what: Preserved::Everything, reason: LossReason::Stream }];
        let metadata = SourceMetadata::new(&[Preserve::Mode]);
        assert_eq!(lost(&metadata, &SourceRecord::STREAM, true), everything);
        assert_eq!(lost(&SourceMetadata::new(&[]), &SourceRecord::STREAM, true), []);
    }

    #[cfg(unix)]
    #[test]
    fn set_id_bits_are_for_one_user_and_one_owner() {
        let mut stat = sys::fstat(&tempfile::tempfile().unwrap()).unwrap();
        stat.mode = 0o4755;
        let of = |owner| {
            let mut stat = stat;
            stat.owner = owner;
            SourceRecord::of_file(stat, Kind::Nothing)
        };
        let metadata = SourceMetadata::new(&[Preserve::Mode]);
        let bits = |reason| vec![Loss { what: Preserved::SetIdBits, reason }];
        let other = (stat.owner.0 + 1, stat.owner.1);
        assert_eq!(lost(&metadata, &of(stat.owner), true), []);
        assert_eq!(lost(&metadata, &of(other), true), bits(LossReason::OtherOwner));
        assert_eq!(lost(&metadata, &of(stat.owner), false), bits(LossReason::OtherUser));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn each_attribute_that_is_not_set_is_reported_with_its_reason() {
        use crate::attributes::{pack, pieces};
        let mut metadata = SourceMetadata::new(&[Preserve::Xattr]);
        let source = SourceRecord::of_file(SourceRecord::STREAM.stat, Kind::Nothing);
        let none = [Loss { what: Preserved::Attributes, reason: LossReason::NotReceived }];
        assert_eq!(lost(&metadata, &source, true), none);
        let attributes = [("trusted.a".into(), Some(vec![1])), ("user.b".into(), None)];
        assert!(pieces(&pack(&attributes), 100).all(|piece| metadata.add_attributes(&piece)));
        let loss = |name: &str, reason| Loss { what: Preserved::Attribute(name.into()), reason };
        let expected = [loss("trusted.a", LossReason::OtherUser), loss("user.b", LossReason::Unreadable)];
        assert_eq!(lost(&metadata, &source, false), expected);
    }
}
