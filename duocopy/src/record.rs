//! Records that identify the files of a copy: for the peer, for the journal, and for a process that replaces a dead
//! one.

use crate::digest::Kind;
use crate::sys::{self, FileId, Stat};

/// A packed record: 16 little-endian words.
pub type Packed = [u8; 128];

/// The source, as the Reader has it open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts, each a bit of the packed record")]
pub struct SourceRecord {
    /// The status of the file. For a stream, only the mode has a meaning. The group bits of the mode are what the
    /// owning group may do, and not the mask of an access list.
    pub stat: Stat,
    /// True if the source has an access list, which says more than its mode.
    pub has_list: bool,
    /// True if the file takes less space than its length says, and the system does not tell where its holes are.
    pub hides_holes: bool,
    /// True if the source is a symbolic link, whose text is the content.
    pub is_link: bool,
    /// True if the source is a stream, which can be read only once, and whose length is known only at the end.
    pub is_stream: bool,
    /// The checksum that the Reader computes.
    pub digest: Kind,
}

/// The origin of a copy, as its Writer knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    pub source: SourceRecord,
    pub party: Party,
}

/// The user whose process reads the source, as the kernel knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Party {
    /// This user: only this user can take part.
    Private,
    /// The user with this number, who is one of several that can take part.
    User(u32),
    /// A user for whom this process's user namespace has no number: never the same as another one.
    Unknown,
}

/// The file that the Writer fills, and what else the Reader needs to know of the Writer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TargetRecord {
    /// The temporary file, or the destination once it is committed.
    pub file: FileId,
    /// The birth time of the file in nanoseconds; 0 if the file system has none. It tells files with a reused inode
    /// number apart.
    pub birth_time: u64,
    /// The terminal on which the Writer reports; 0 if it has none.
    pub terminal: u64,
    /// True if the destination is a stream, whose output cannot be rolled back.
    pub is_stream: bool,
    /// True if the Reader must send the source's extended attributes.
    pub wants_attributes: bool,
}

/// A point from which a copy can resume: the number of bytes before it, and the state of their checksum (0 if that does
/// not fit a word).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ResumePoint {
    pub position: u64,
    pub sum: u64,
}

impl SourceRecord {
    /// A stream has neither a length nor rights that a copy could take over.
    pub const STREAM: Self = Self {
        stat: Stat {
            file: FileId { device: 0, inode: 0 },
            length: 0,
            modified: (0, 0),
            changed: (0, 0),
            accessed: (0, 0),
            mode: 0o666,
            owner: (0, 0),
            birth_time: 0,
            has_holes: false,
        },
        has_list: false,
        hides_holes: false,
        is_link: false,
        is_stream: true,
        digest: Kind::Nothing,
    };

    /// A regular file.
    pub fn of_file(stat: Stat, digest: Kind) -> Self {
        Self { stat, has_list: false, hides_holes: false, is_link: false, is_stream: false, digest }
    }

    /// Returns whether both are the same file with, as far as the file system can tell, the same content.
    pub fn same_version(&self, other: &Self) -> bool {
        let version = |record: &Self| {
            let stat = record.stat;
            (stat.length, stat.modified, stat.changed, stat.birth_time)
        };
        let same_file = may_be_same_file(self.stat.file, other.stat.file);
        !self.is_stream && !other.is_stream && same_file && version(self) == version(other)
    }

    /// The length, if it is known before the end.
    pub fn known_length(&self) -> Option<u64> {
        (!self.is_stream).then_some(self.stat.length)
    }

    pub fn pack(&self) -> Packed {
        let Stat { file, length, modified: m, changed: c, accessed: a, mode, owner, .. } = self.stat;
        let [m0, m1, c0, c1, a0, a1] = [m.0, m.1, c.0, c.1, a.0, a.1].map(i64::cast_unsigned);
        let owner = u64::from(owner.0) | u64::from(owner.1) << 32;
        let flags = u64::from(self.stat.has_holes)
            | u64::from(self.is_stream) << 1
            | u64::from(self.has_list) << 2
            | u64::from(self.hides_holes) << 3
            | u64::from(self.is_link) << 4
            | self.digest.number() << 8;
        let birth = self.stat.birth_time;
        pack([file.device, file.inode, length, m0, m1, c0, c1, mode.into(), flags, a0, a1, owner, birth])
    }

    pub fn unpack(bytes: &[u8]) -> Self {
        let [device, inode, length, m0, m1, c0, c1, mode, flags, a0, a1, owner, birth_time] =
            get_words(bytes);
        let [m0, m1, c0, c1, a0, a1] = [m0, m1, c0, c1, a0, a1].map(u64::cast_signed);
        let stat = Stat {
            file: FileId { device, inode },
            length,
            modified: (m0, m1),
            changed: (c0, c1),
            accessed: (a0, a1),
            mode: mode as u32,
            owner: (owner as u32, (owner >> 32) as u32),
            birth_time,
            has_holes: flags & 1 != 0,
        };
        let [is_stream, has_list, hides_holes, is_link] = [2, 4, 8, 16].map(|flag| flags & flag != 0);
        Self { stat, has_list, hides_holes, is_link, is_stream, digest: Kind::from_number(flags >> 8 & 0xff) }
    }
}

impl Origin {
    /// Returns whether both have the same Reader, and sources with the same rights and kind of checksum.
    pub fn is_of_same_party(&self, other: &Self) -> bool {
        let party = |origin: &Self| {
            let source = &origin.source;
            (origin.party, source.stat.mode, source.has_list, source.stat.owner, source.digest)
        };
        self.party != Party::Unknown && party(self) == party(other)
    }
}

impl TargetRecord {
    pub fn of(stat: &Stat) -> Self {
        Self { file: stat.file, birth_time: stat.birth_time, ..Self::default() }
    }

    /// Returns whether both are the same file. Inode numbers are reused, so the birth time is compared, too.
    pub fn is_same_file(&self, other: &Self) -> bool {
        may_be_same_file(self.file, other.file) && self.birth_time == other.birth_time
    }

    pub fn pack(&self) -> Packed {
        let flags = u64::from(self.is_stream) | u64::from(self.wants_attributes) << 1;
        pack([self.file.device, self.file.inode, self.terminal, self.birth_time, flags])
    }

    pub fn unpack(bytes: &[u8]) -> Self {
        let [device, inode, terminal, birth_time, flags] = get_words(bytes);
        let (is_stream, wants_attributes) = (flags & 1 != 0, flags & 2 != 0);
        Self { file: FileId { device, inode }, birth_time, terminal, is_stream, wants_attributes }
    }
}

/// Returns whether both can be the same file. Some file systems get another device number each time they are mounted;
/// for those only the inode number is compared, and the caller must compare more.
pub fn may_be_same_file(one: FileId, other: FileId) -> bool {
    let anonymous = |id: FileId| sys::is_anonymous_device(id.device);
    one.inode == other.inode && (one.device == other.device || anonymous(one) && anonymous(other))
}

fn pack<const N: usize>(words: [u64; N]) -> Packed {
    let mut bytes = [0; 128];
    put_words(&mut bytes, &words);
    bytes
}

/// Writes these words to the beginning, in little-endian order.
pub fn put_words(bytes: &mut [u8], words: &[u64]) {
    bytes.chunks_exact_mut(8).zip(words).for_each(|(to, word)| to.copy_from_slice(&word.to_le_bytes()));
}

/// Returns the words at the beginning. Words that are not there are zero.
pub fn get_words<const N: usize>(bytes: &[u8]) -> [u64; N] {
    let words = bytes.as_chunks().0;
    std::array::from_fn(|n| words.get(n).map_or(0, |word| u64::from_le_bytes(*word)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_survive_packing() {
        let source = SourceRecord {
            stat: Stat {
                file: FileId { device: u64::MAX, inode: 2 },
                length: 3,
                modified: (-4, 5),
                changed: (6, 7),
                accessed: (8, 9),
                mode: 0o644,
                owner: (10, u32::MAX),
                birth_time: 11,
                has_holes: true,
            },
            has_list: true,
            hides_holes: true,
            is_link: true,
            is_stream: true,
            digest: Kind::Blake3,
        };
        assert_eq!(SourceRecord::unpack(&source.pack()), source);
        let target = TargetRecord {
            file: FileId { device: 1, inode: u64::MAX },
            birth_time: 7,
            terminal: 9,
            is_stream: true,
            wants_attributes: true,
        };
        assert_eq!(TargetRecord::unpack(&target.pack()), target);
    }
}
