//! Access lists, in the form in which Linux stores them in an extended attribute.
//!
//! If a file has a list, the group bits of its mode are not the rights of its group but the mask: the most that the
//! group and the named users and groups can get.

/// The version of the format, in its first four bytes.
const VERSION: u32 = 2;
/// The kinds of entries, from `linux/posix_acl.h`.
const OWNER: u16 = 0x01;
const USER: u16 = 0x02;
const OWNING_GROUP: u16 = 0x04;
const GROUP: u16 = 0x08;
const MASK: u16 = 0x10;
const OTHERS: u16 = 0x20;

/// The access list of a file, or the one that a directory gives to new files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessList(Vec<Entry>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    kind: u16,
    rights: u16,
    id: u32,
}

impl AccessList {
    /// Parses a list; `None` if the kernel would not accept it.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let (version, entries) = bytes.split_first_chunk()?;
        let (entries, []) = entries.as_chunks::<8>() else { return None };
        let entry = |&[k0, k1, r0, r1, id @ ..]: &[u8; 8]| Entry {
            kind: u16::from_le_bytes([k0, k1]),
            rights: u16::from_le_bytes([r0, r1]),
            id: u32::from_le_bytes(id),
        };
        let list = Self(entries.iter().map(entry).collect());
        let count = |kind| list.0.iter().filter(|entry| entry.kind == kind).count();
        let is_known = |entry: &Entry| {
            [OWNER, USER, OWNING_GROUP, GROUP, MASK, OTHERS].contains(&entry.kind) && entry.rights <= 7
        };
        let needs_mask = count(USER) + count(GROUP) > 0;
        let fits = u32::from_le_bytes(*version) == VERSION
            && list.0.iter().all(is_known)
            && [OWNER, OWNING_GROUP, OTHERS].into_iter().all(|kind| count(kind) == 1)
            && (usize::from(needs_mask)..=1).contains(&count(MASK));
        fits.then_some(list)
    }

    /// Returns the bytes of the extended attribute.
    #[cfg_attr(windows, allow(dead_code, reason = "Windows has other access lists"))]
    pub fn pack(&self) -> Vec<u8> {
        let entry = |Entry { kind, rights, id }: &Entry| {
            [&kind.to_le_bytes()[..], &rights.to_le_bytes(), &id.to_le_bytes()].concat()
        };
        [VERSION.to_le_bytes().to_vec(), self.0.iter().flat_map(entry).collect()].concat()
    }

    /// Returns whether a mode says everything that the list says.
    pub fn is_minimal(&self) -> bool {
        self.0.len() == 3
    }

    /// Returns the permission bits that a file with this list has. Its group bits are the mask.
    pub fn mode(&self) -> u32 {
        let group = if self.rights(MASK).is_some() { MASK } else { OWNING_GROUP };
        [OWNER, group, OTHERS].into_iter().fold(0, |mode, kind| mode << 3 | self.rights(kind).unwrap_or(0))
    }

    /// Returns the permission bits for a file without a list, which give nobody more than this list does: the group
    /// bits are the rights of the owning group.
    pub fn plain_mode(&self) -> u32 {
        let group = self.rights(OWNING_GROUP).unwrap_or(0) & self.rights(MASK).unwrap_or(7);
        self.mode() & !0o070 | group << 3
    }

    /// Returns the list of a file that is created with this mode in a directory that gives this list to new files.
    pub fn for_new_file(&self, mode: u32) -> Self {
        let group = if self.rights(MASK).is_some() { MASK } else { OWNING_GROUP };
        let limit = |entry: &Entry| {
            let most = match entry.kind {
                OWNER => mode >> 6,
                OTHERS => mode,
                kind if kind == group => mode >> 3,
                _ => 7,
            };
            Entry { rights: entry.rights & (most & 7) as u16, ..*entry }
        };
        Self(self.0.iter().map(limit).collect())
    }

    /// Limits what the owning group and the others get.
    pub fn limit(&mut self, group: u32, others: u32) {
        for entry in &mut self.0 {
            match entry.kind {
                OWNING_GROUP => entry.rights &= group as u16,
                OTHERS => entry.rights &= others as u16,
                _ => {}
            }
        }
    }

    fn rights(&self, kind: u16) -> Option<u32> {
        self.0.iter().find(|entry| entry.kind == kind).map(|entry| entry.rights.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A list of these kinds and rights, with a number where there is one.
    fn list(entries: &[(u16, u16)]) -> AccessList {
        let entry = |(kind, rights): &(u16, u16)| {
            let id = if [USER, GROUP].contains(kind) { 4001 } else { u32::MAX };
            Entry { kind: *kind, rights: *rights, id }
        };
        AccessList(entries.iter().map(entry).collect())
    }

    #[test]
    fn a_list_that_the_kernel_would_not_take_is_rejected() {
        let good = list(&[(OWNER, 6), (USER, 6), (OWNING_GROUP, 0), (MASK, 6), (OTHERS, 0)]);
        let packed = good.pack();
        assert_eq!(AccessList::parse(&packed), Some(good));
        for length in 0..packed.len() {
            assert_eq!(AccessList::parse(&packed[..length]), None, "{length}");
        }
        for entries in [
            // Each required kind once, a mask if a user or group is named, and no unknown kinds or rights.
            &[(OWNER, 6), (OWNING_GROUP, 0)][..],
            &[(OWNER, 6), (OWNER, 6), (OWNING_GROUP, 0), (OTHERS, 0)],
            &[(OWNER, 6), (USER, 6), (OWNING_GROUP, 0), (OTHERS, 0)],
            &[(OWNER, 6), (OWNING_GROUP, 0), (MASK, 6), (MASK, 6), (OTHERS, 0)],
            &[(OWNER, 6), (OWNING_GROUP, 0), (OTHERS, 0), (0x40, 0)],
            &[(OWNER, 8), (OWNING_GROUP, 0), (OTHERS, 0)],
        ] {
            assert_eq!(AccessList::parse(&list(entries).pack()), None, "{entries:?}");
        }
        let mut other_version = packed;
        other_version[0] = 1;
        assert_eq!(AccessList::parse(&other_version), None);
    }

    #[test]
    fn the_mask_is_not_what_the_group_gets() {
        for (entries, mode, plain) in [
            (&[(OWNER, 6), (USER, 6), (OWNING_GROUP, 0), (MASK, 6), (OTHERS, 0)][..], 0o660, 0o600),
            (&[(OWNER, 6), (GROUP, 7), (OWNING_GROUP, 5), (MASK, 4), (OTHERS, 1)], 0o641, 0o641),
            (&[(OWNER, 7), (USER, 1), (OWNING_GROUP, 7), (MASK, 1), (OTHERS, 0)], 0o710, 0o710),
            (&[(OWNER, 6), (OWNING_GROUP, 4), (OTHERS, 4)], 0o644, 0o644),
        ] {
            let list = list(entries);
            assert_eq!((list.mode(), list.plain_mode()), (mode, plain), "{list:?}");
        }
    }

    #[test]
    fn a_new_file_gets_no_more_than_the_directory_and_its_mode_give() {
        let minimal = list(&[(OWNER, 7), (OWNING_GROUP, 0), (OTHERS, 0)]);
        assert_eq!(minimal.for_new_file(0o644), list(&[(OWNER, 6), (OWNING_GROUP, 0), (OTHERS, 0)]));
        assert!(minimal.is_minimal());
        let named = list(&[(OWNER, 7), (USER, 7), (OWNING_GROUP, 5), (MASK, 7), (OTHERS, 5)]);
        let expected = list(&[(OWNER, 6), (USER, 7), (OWNING_GROUP, 5), (MASK, 4), (OTHERS, 0)]);
        assert_eq!(named.for_new_file(0o640), expected);
        let mut limited = expected;
        limited.limit(0, 0);
        assert_eq!((limited.plain_mode(), limited.mode()), (0o600, 0o640));
    }
}
