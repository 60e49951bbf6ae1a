//! The mode and the access list of a copy: decided in one place, and set in one step.
//!
//! Until then the temporary file is private. No call gives it more rights than the finished file has.

use crate::api::{Loss, LossReason, Preserved};
use crate::sys::{self, AccessList, DefaultList, Existing};
use std::fs::File;
use std::io;

/// The mode of a file that only its owner can use.
const PRIVATE: u32 = 0o600;
/// The bits of a mode that say who may do what. Set-ID bits that are missing are reported as such.
const PERMISSIONS: u32 = 0o1777;

/// The rights that a file gives to its owner, its group and others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rights {
    /// The mode for a file without a list: its group bits are what the owning group may do, and not the mask.
    pub mode: u32,
    pub list: Option<AccessList>,
}

/// The rights that a file has now, and the reasons why it does not have the intended ones.
#[derive(Debug)]
pub struct Given {
    pub mode: u32,
    pub lost_list: Option<LossReason>,
    pub lost_mode: Option<LossReason>,
}

impl Rights {
    /// Returns the rights of a file that replaces another one. They never include the set-ID bits, which were meant for
    /// the old content. If the new file has another group, that group gets nothing, and others get no more than the old
    /// group had, because its members are among the others now.
    pub fn handed_on(existing: &Existing, group_kept: bool) -> Self {
        let (mode, mut list) = (existing.mode & sys::MODE_WITHOUT_SETID, existing.list.clone());
        if group_kept {
            return Self { mode, list };
        }
        let others = mode & 0o007 & mode >> 3;
        if let Some(list) = &mut list {
            list.limit(0, others);
        }
        Self { mode: mode & !0o077 | others, list }
    }

    /// Returns the rights of a file that is created with this mode, as the system would give them.
    pub fn of_new_file(mode: u32, umask: u32, default: &DefaultList) -> Self {
        let mode = mode & 0o777;
        match default {
            DefaultList::Absent => Self { mode: mode & !umask, list: None },
            DefaultList::Unknown => Self { mode: mode & !umask & !0o077, list: None },
            DefaultList::Given(default) => {
                let list = default.for_new_file(mode);
                Self { mode: list.plain_mode(), list: (!list.is_minimal()).then_some(list) }
            }
        }
    }

    /// Returns the rights of the source.
    pub fn of_source(mode: u32, list: Option<AccessList>, set_id: bool) -> Self {
        Self { mode: if set_id { mode } else { mode & sys::MODE_WITHOUT_SETID }, list }
    }

    /// Returns these rights for a file that does not have the group that they were meant for: its group
    /// and others get only the rights that were meant for both.
    pub fn without_group(mut self) -> Self {
        let both = self.mode & self.mode >> 3 & 0o007;
        if let Some(list) = &mut self.list {
            list.limit(both, both);
        }
        Self { mode: self.mode & !0o077 | both << 3 | both, list: self.list }
    }

    /// Returns these rights for a file that may have a list that nobody can see: its group bits give nothing.
    pub fn without_mask(mut self) -> Self {
        self.mode &= !0o070;
        self
    }

    /// Returns these rights with another list, which then says what everybody may do.
    pub fn with_list(&self, list: Option<AccessList>) -> Self {
        let mode = list.as_ref().map_or(self.mode, |list| self.mode & !0o777 | list.plain_mode());
        Self { mode, list }
    }

    /// Returns the mode that a file with these rights has. With a list its group bits are the mask.
    pub fn whole_mode(&self) -> u32 {
        self.list.as_ref().map_or(self.mode, |list| self.mode & !0o777 | list.mode())
    }

    /// Gives these rights to a private file that has its final owner. The list comes first, so that the set-ID bits are
    /// set last.
    ///
    /// If the file system cannot store the list, the file gets the mode without it. If it refuses modes, it decides
    /// about them itself, and the copy does not fail. Some file systems accept both and store neither.
    pub fn give(&self, file: &File) -> io::Result<Given> {
        let lost_list = self.list.as_ref().and_then(|list| match sys::set_access_list(file, Some(list)) {
            Ok(()) if sys::access_list(file).is_ok_and(|now| now.as_ref() == Some(list)) => None,
            Ok(()) => Some(LossReason::OtherValue),
            Err(error) => Some(LossReason::System(error.into())),
        });
        let mode = if lost_list.is_none() { self.whole_mode() } else { self.mode };
        let refusal = set_mode(file, mode)?;
        let now = sys::fstat(file)?.mode;
        let lost_mode = match refusal {
            Some(error) => Some(LossReason::System(error.into())),
            None if (now ^ mode) & PERMISSIONS != 0 => Some(LossReason::OtherValue),
            None => None,
        };
        Ok(Given { mode: now, lost_list, lost_mode })
    }
}

/// Makes the temporary file private again after an earlier attempt to give it rights. Returns `false` if it may still have
/// a list, which a file system that answers no question about lists may hide. Then the group bits of its mode are a mask.
pub fn make_private(file: &File) -> io::Result<bool> {
    limit_to_owner(file, PRIVATE)?;
    // The mode comes first: without the list its group bits would be the rights of the group.
    match sys::set_access_list(file, None) {
        Ok(()) => Ok(true),
        Err(_) if sys::access_list(file).is_err() => Ok(false),
        Err(error) => Err(error),
    }
}

/// Gives a private file to another owner, who gets no more than these rights.
pub fn give_to(file: &File, owner: (u32, u32), mode: u32) -> io::Result<()> {
    let now = sys::fstat(file)?.owner;
    if now == owner && sys::is_known_owner(file, owner) {
        return Ok(());
    }
    if now.0 != owner.0 {
        limit_to_owner(file, mode & PRIVATE)?;
    }
    sys::set_owner(file, owner)
}

/// Returns the loss of an owner that could not be set for this reason.
pub fn lost_owner(error: io::Error) -> Loss {
    let is_ordinary = sys::effective_user() != Some(0);
    let reason = match error.kind() {
        io::ErrorKind::PermissionDenied if is_ordinary => LossReason::NotPrivileged,
        _ => LossReason::System(error.into()),
    };
    Loss { what: Preserved::Ownership, reason }
}

fn limit_to_owner(file: &File, mode: u32) -> io::Result<()> {
    set_mode(file, mode).map(drop)
}

/// Sets the mode if the file does not have it. Returns the error if the file system decides about modes itself.
fn set_mode(file: &File, mode: u32) -> io::Result<Option<io::Error>> {
    if sys::fstat(file)?.mode == mode {
        return Ok(None);
    }
    match sys::set_mode(file, mode) {
        Err(error) if sys::is_refusal(&error) => Ok(Some(error)),
        other => other.map(|()| None),
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    /// A list for owner, a named user, owning group, mask and others.
    fn list([owner, user, group, mask, others]: [u8; 5]) -> AccessList {
        let entry = |kind: u8, rights: u8, id: u32| [&[kind, 0, rights, 0][..], &id.to_le_bytes()].concat();
        let entries = [
            entry(1, owner, u32::MAX),
            entry(2, user, 4001),
            entry(4, group, u32::MAX),
            entry(0x10, mask, u32::MAX),
            entry(0x20, others, u32::MAX),
        ];
        AccessList::parse(&[&2_u32.to_le_bytes()[..], &entries.concat()].concat()).unwrap()
    }

    fn existing(mode: u32, list: Option<AccessList>) -> Existing {
        Existing { owner: (1, 1), mode, list, attributes: Vec::new() }
    }

    #[test]
    fn nobody_gets_more_than_the_old_file_gave() {
        for (mode, group_kept, expected) in [
            (0o644, true, 0o644),
            (0o6755, true, 0o755),
            (0o1664, true, 0o1664),
            (0o2664, false, 0o604),
            (0o660, false, 0o600),
            // Others had more rights than the group, and its members are others now.
            (0o604, false, 0o600),
            (0o617, false, 0o601),
        ] {
            let rights = Rights::handed_on(&existing(mode, None), group_kept);
            assert_eq!(rights, Rights { mode: expected, list: None }, "{mode:o} {group_kept}");
        }
        let old = existing(0o600, Some(list([6, 6, 0, 6, 4])));
        assert_eq!(Rights::handed_on(&old, true).whole_mode(), 0o664);
        let rights = Rights::handed_on(&old, false);
        assert_eq!(rights, Rights { mode: 0o600, list: Some(list([6, 6, 0, 6, 0])) });
    }

    #[test]
    fn a_new_file_has_what_its_directory_gives() {
        let given = |list: AccessList| DefaultList::Given(list);
        let minimal = [&2_u32.to_le_bytes()[..], &[1, 0, 6, 0], &[0xff; 4], &[4, 0, 0, 0], &[0xff; 4]];
        let minimal = [&minimal.concat()[..], &[0x20, 0, 0, 0], &[0xff; 4]].concat();
        let minimal = AccessList::parse(&minimal).unwrap();
        for (mode, default, expected, whole) in [
            (0o4666, DefaultList::Absent, 0o644, 0o644),
            (0o666, DefaultList::Unknown, 0o600, 0o600),
            (0o666, given(minimal.clone()), 0o600, 0o600),
            (0o400, given(minimal), 0o400, 0o400),
            (0o666, given(list([7, 7, 5, 7, 4])), 0o644, 0o664),
            (0o600, given(list([7, 7, 5, 7, 4])), 0o600, 0o600),
        ] {
            let rights = Rights::of_new_file(mode, 0o022, &default);
            assert_eq!((rights.mode, rights.whole_mode()), (expected, whole), "{mode:o} {default:?}");
        }
    }

    #[test]
    fn another_group_gets_no_more_than_others() {
        for (mode, expected) in
            [(0o644, 0o644), (0o755, 0o755), (0o640, 0o600), (0o664, 0o644), (0o604, 0o600), (0o751, 0o711)]
        {
            let rights = Rights { mode, list: None }.without_group();
            assert_eq!(rights, Rights { mode: expected, list: None }, "{mode:o}");
        }
        let rights = Rights { mode: 0o640, list: Some(list([6, 6, 4, 6, 0])) }.without_group();
        assert_eq!(rights, Rights { mode: 0o600, list: Some(list([6, 6, 0, 6, 0])) });
    }

    #[test]
    fn set_id_bits_of_the_source_need_trust() {
        assert_eq!(Rights::of_source(0o6755, None, true).mode, 0o6755);
        assert_eq!(Rights::of_source(0o6755, None, false).mode, 0o755);
        let rights = Rights::of_source(0o4700, Some(list([7, 5, 0, 5, 0])), true);
        assert_eq!((rights.mode, rights.whole_mode()), (0o4700, 0o4750));
    }
}
