//! The metadata of a copy: that of the source (`--preserve`), or of the file that it replaces, or of a new file.
//!
//! Mode, owner and times are part of the source's record. Extended attributes and access lists come after the last byte
//! of the content, if the Writer requests them.

use super::rights::{self, Given, Rights};
use super::xattr;
use crate::api::{Loss, LossReason, Preserve, Preserved, Stop, Warning};
use crate::attributes::{Attribute, Received};
use crate::record::SourceRecord;
use crate::sys::{self, AccessList, DefaultList, Existing, Stat};
use std::fs::File;
use std::io;
use std::path::Path;

/// The metadata that a copy is to preserve, and the attributes that have arrived for it.
#[derive(Clone, Debug)]
pub struct SourceMetadata {
    preserve: Vec<Preserve>,
    attributes: Received,
}

/// The facts that decide on the metadata of a copy, besides the options.
#[derive(Clone, Copy, Debug)]
pub struct Surroundings<'a> {
    pub source: &'a SourceRecord,
    /// Permission bits that a new file does not get.
    pub umask: u32,
    /// True if Reader and Writer belong to one user.
    pub trusts_reader: bool,
    /// The file that the copy replaces.
    pub existing: Option<&'a Existing>,
    /// The access list that the directory gives to new files.
    pub default_list: &'a DefaultList,
    /// Set if the copy is to end.
    pub stop: &'a Stop,
}

/// The metadata that a copy should have and does not have.
#[derive(Debug, Default)]
pub struct Missing {
    /// Metadata of the source that was to be preserved.
    pub of_source: Vec<Loss>,
    /// Metadata of the replaced file.
    pub of_existing: Vec<Preserved>,
    /// True if the copy does not have the owner of the file that it replaces.
    pub other_owner: bool,
}

impl Missing {
    /// Returns the warnings about metadata of the replaced file.
    pub fn warnings(&self, path: &Path) -> Vec<Warning> {
        let owner = self.other_owner.then(|| Warning::OwnerNotKept { path: path.into() });
        let what = self.of_existing.clone();
        let others = (!what.is_empty()).then(|| Warning::NotHandedOn { path: path.into(), what });
        owner.into_iter().chain(others).collect()
    }
}

/// The source's access list, or the reason why it cannot be preserved.
type SourceList = (Option<AccessList>, Option<Loss>);

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

    /// Gives a temporary file its metadata. Returns the part that could not be set.
    ///
    /// The order matters: users' attributes can be set only on a file that this user may write to; changing the owner
    /// removes a program's capabilities; and only a file with its final owner may get the mode and the list.
    pub fn apply(&self, file: &File, around: &Surroundings) -> io::Result<Missing> {
        let mut missing = Missing::default();
        let (source, trusts_reader) = (around.source, around.trusts_reader);
        let is_stream = source.is_stream;
        if is_stream && !self.is_empty() {
            missing.of_source.push(Loss { what: Preserved::Everything, reason: LossReason::Stream });
        }
        let wants = |what| !is_stream && self.wants(what);
        let received = self.attributes.unpack();
        let received = received.as_deref();
        let is_private = rights::make_private(file)?;
        let existing = around.existing.map_or(&[][..], |existing| &existing.attributes);
        missing.of_existing = xattr::hand_on(existing, file, trusts_reader)?;
        if wants(Preserve::Xattr) {
            missing.of_source.extend(xattr::set_users(received, file, trusts_reader, around.stop)?);
        }
        let (source_list, lost_list) = self.source_list(received, source);
        let decide = |set_id, group_kept, group_asked_for| {
            if wants(Preserve::Mode) {
                let rights = Rights::of_source(source.stat.mode, source_list.clone(), set_id);
                return if group_asked_for { rights } else { rights.without_group() };
            }
            let rights = match around.existing {
                Some(existing) => Rights::handed_on(existing, group_kept),
                None => Rights::of_new_file(source.stat.mode, around.umask, around.default_list),
            };
            let replaces_list = wants(Preserve::Acl) && lost_list.is_none();
            if replaces_list { rights.with_list(source_list.clone()) } else { rights }
        };
        let lost_owner = self.set_owner(file, around, decide(false, true, true).mode)?;
        let owner = sys::fstat(file)?.owner;
        // Some file systems accept every owner, and decide about it themselves.
        let is_ignored = wants(Preserve::Ownership) && lost_owner.is_none() && owner != source.stat.owner;
        let ignored =
            is_ignored.then_some(Loss { what: Preserved::Ownership, reason: LossReason::OtherValue });
        missing.of_source.extend(lost_owner.or(ignored));
        let is_known = sys::is_known_owner(file, owner);
        let kept = around.existing.is_none_or(|existing| existing.owner == owner && is_known);
        missing.other_owner = !kept && !wants(Preserve::Ownership);
        let same_owner = trusts_reader && is_known && source.stat.owner == owner;
        if wants(Preserve::Xattr) {
            let privileged = xattr::set_privileged(received, file, trusts_reader, same_owner, around.stop)?;
            missing.of_source.extend(privileged);
        }
        // If `--preserve=ownership` asked for this group, it counts like the old one.
        let has_group = !sys::HAS_OWNERS || source.stat.owner.1 == owner.1 && is_known;
        let group_kept = around.existing.is_none_or(|existing| existing.owner.1 == owner.1 && is_known)
            || wants(Preserve::Ownership) && has_group;
        let rights = decide(same_owner, group_kept, has_group || !wants(Preserve::Ownership));
        let rights = if is_private { rights } else { rights.without_mask() };
        let mut given = rights.give(file)?;
        if wants(Preserve::Mode) && (rights.mode ^ source.stat.mode) & 0o777 != 0 {
            given.lost_mode.get_or_insert(LossReason::OtherOwner);
        }
        missing.of_source.extend((!is_stream).then_some(lost_list).flatten());
        let mode = given.mode;
        self.add_lost(&mut missing, given, around);
        self.add_set_id(&mut missing, around, mode);
        if wants(Preserve::Timestamps) {
            missing.of_source.extend(set_times(file, &source.stat)?);
        }
        Ok(missing)
    }

    /// Returns the requested metadata that a file lacks. An earlier Writer has put the file in place, so nothing about
    /// it is changed.
    pub fn missing(&self, file: &File, source: &SourceRecord, trusts_reader: bool) -> Vec<Loss> {
        if source.is_stream {
            let all = Loss { what: Preserved::Everything, reason: LossReason::Stream };
            return if self.is_empty() { Vec::new() } else { vec![all] };
        }
        let in_place = |what| Loss { what, reason: LossReason::InPlace };
        let mut missing = Vec::new();
        let received = self.attributes.unpack();
        let received = received.as_deref();
        let stat = sys::fstat(file).ok();
        let same_owner = stat.is_some_and(|stat| stat.owner == source.stat.owner);
        if self.wants(Preserve::Ownership) && !same_owner {
            missing.push(in_place(Preserved::Ownership));
        }
        if self.wants(Preserve::Xattr) {
            missing.extend(xattr::missing(received, file, trusts_reader, same_owner));
        }
        let (list, lost_list) = self.source_list(received, source);
        let wants_list = self.wants(Preserve::Mode) || self.wants(Preserve::Acl);
        if wants_list && lost_list.is_none() && sys::access_list(file).ok() != Some(list.clone()) {
            missing.push(in_place(Preserved::AccessLists));
        }
        missing.extend(lost_list);
        if self.wants(Preserve::Mode) {
            let rights = Rights::of_source(source.stat.mode, list, trusts_reader && same_owner);
            if stat.is_none_or(|stat| stat.mode != rights.whole_mode()) {
                missing.push(in_place(Preserved::Mode));
            }
            missing.extend(lost_set_id(source, rights.mode, trusts_reader));
        }
        if self.wants(Preserve::Timestamps) && stat.is_none_or(|stat| stat.modified != source.stat.modified) {
            missing.push(in_place(Preserved::Timestamps));
        }
        missing
    }

    /// Returns the source's access list if it is to be preserved. Preserving the mode requires the list, too, because
    /// the list changes the meaning of the group bits.
    fn source_list(&self, received: Option<&[Attribute]>, source: &SourceRecord) -> SourceList {
        let (asked, with_mode) = (self.wants(Preserve::Acl), self.wants(Preserve::Mode) && source.has_list);
        let fails = |what, reason| (None, Some(Loss { what, reason }));
        match received {
            _ if !asked && !with_mode => (None, None),
            _ if !sys::HAS_ACCESS_LISTS => fails(Preserved::AccessLists, LossReason::Unsupported),
            None => fails(Preserved::AccessLists, LossReason::NotReceived),
            Some(received) => match received.iter().find(|(name, _)| name == xattr::ACCESS_LIST) {
                None => (None, None),
                Some((name, value)) => match value.as_deref().and_then(AccessList::parse) {
                    Some(list) => ((!list.is_minimal()).then_some(list), None),
                    None => fails(Preserved::Attribute(name.clone()), LossReason::Unreadable),
                },
            },
        }
    }

    /// Gives the file its owner: that of the source if requested, or else that of the replaced file, or else this user.
    /// The owner gets no more rights than this mode allows.
    fn set_owner(&self, file: &File, around: &Surroundings, mode: u32) -> io::Result<Option<Loss>> {
        let mut lost = None;
        if self.wants(Preserve::Ownership) && !around.source.is_stream {
            match rights::give_to(file, around.source.stat.owner, mode) {
                Ok(()) => return Ok(None),
                Err(error) => lost = Some(rights::lost_owner(error)),
            }
        }
        match around.existing {
            Some(existing) if sys::HAS_OWNERS => {
                // If this fails, `apply` gives the file fewer rights.
                let _ = rights::give_to(file, existing.owner, mode);
            }
            Some(_) => {}
            None => {
                let owner = sys::fstat(file)?.owner;
                // An earlier attempt may have given the file to the owner of a file that is gone. A file system that
                // decides about owners itself refuses this.
                if let Some(user) = sys::effective_user().filter(|user| *user != owner.0) {
                    let _ = sys::set_user(file, user);
                }
            }
        }
        Ok(lost)
    }

    fn add_lost(&self, missing: &mut Missing, given: Given, around: &Surroundings) {
        let of_source = !around.source.is_stream;
        if let Some(reason) = given.lost_list {
            if of_source && (self.wants(Preserve::Mode) || self.wants(Preserve::Acl)) {
                let what = Preserved::Attribute(xattr::ACCESS_LIST.into());
                missing.of_source.push(Loss { what, reason });
            } else {
                missing.of_existing.push(Preserved::AccessLists);
            }
        }
        if let Some(reason) = given.lost_mode {
            if of_source && self.wants(Preserve::Mode) {
                missing.of_source.push(Loss { what: Preserved::Mode, reason });
            } else if around.existing.is_some() {
                missing.of_existing.push(Preserved::Mode);
            }
        }
    }

    fn add_set_id(&self, missing: &mut Missing, around: &Surroundings, mode: u32) {
        let has_set_id = |mode: u32| mode & sys::MODE_WITHOUT_SETID != mode;
        if self.wants(Preserve::Mode) && !around.source.is_stream {
            missing.of_source.extend(lost_set_id(around.source, mode, around.trusts_reader));
        } else if around.existing.is_some_and(|existing| has_set_id(existing.mode)) {
            missing.of_existing.push(Preserved::SetIdBits);
        }
    }
}

/// Sets the times. Returns the loss if the file has other times afterwards, because the file system has rounded them or
/// has refused the call. A refusal does not matter if the times are right already.
pub fn set_times(file: &File, wanted: &Stat) -> io::Result<Option<Loss>> {
    let set = sys::set_times(file, wanted.accessed, wanted.modified);
    let now = sys::fstat(file)?;
    if (now.accessed, now.modified) == (wanted.accessed, wanted.modified) {
        return Ok(None);
    }
    let reason = set.map_or_else(|error| LossReason::System(error.into()), |()| LossReason::OtherValue);
    Ok(Some(Loss { what: Preserved::Timestamps, reason }))
}

/// Returns the loss of the source's set-ID bits if it has some that the copy does not get.
fn lost_set_id(source: &SourceRecord, mode: u32, trusts_reader: bool) -> Option<Loss> {
    let set_id = |mode: u32| mode & !sys::MODE_WITHOUT_SETID;
    let reason = if trusts_reader { LossReason::OtherOwner } else { LossReason::OtherUser };
    (set_id(source.stat.mode) != set_id(mode)).then_some(Loss { what: Preserved::SetIdBits, reason })
}

#[cfg(test)]
mod tests;
