//! What the two processes leave for each other to identify their files: 16 words in 128 bytes each.

use crate::digest::Kind;
use crate::sys::{FileId, Stat};

/// The bytes that travel.
pub type Packed = [u8; 128];

/// The file that the Reader has open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceRecord {
    pub file: FileId,
    pub length: u64,
    /// Seconds and nanoseconds.
    pub modified: (i64, i64),
    pub changed: (i64, i64),
    pub accessed: (i64, i64),
    /// Permission bits.
    pub mode: u32,
    /// User and group.
    pub owner: (u32, u32),
    /// Whether the file takes less space than its length says.
    pub punched: bool,
    /// Whether it is read as it comes, once, and its length is known at its end.
    pub stream: bool,
    /// What the Reader computes of the content; the Writer must do the same.
    pub checked_by: Kind,
    /// What the Reader was told about a destination that exists (`Permission::wish`); 0 if it knows of none.
    pub wish: u8,
}

/// The temporary file that the Writer fills, and where the Writer talks to people.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TargetRecord {
    pub file: FileId,
    /// When it was made, in nanoseconds; 0 if the file system does not say. Inode numbers are used again.
    pub born: u64,
    /// Device of its terminal; 0 if it has none.
    pub terminal: u64,
    /// Whether there is no such file: what is written goes out, and cannot be taken back.
    pub outlet: bool,
    /// Whether the Reader is to send the source's extended attributes.
    pub attributes: bool,
}

impl SourceRecord {
    /// What comes from elsewhere has neither a length nor rights that a copy could take over.
    pub const STREAM: Self = Self {
        file: FileId { device: 0, inode: 0 },
        length: 0,
        modified: (0, 0),
        changed: (0, 0),
        accessed: (0, 0),
        mode: 0o666,
        owner: (0, 0),
        punched: false,
        stream: true,
        checked_by: Kind::Nothing,
        wish: 0,
    };

    /// Describes a regular file of which nothing is computed yet.
    pub fn from_stat(stat: &Stat) -> Self {
        Self {
            file: stat.file,
            length: stat.length,
            modified: stat.modified,
            changed: stat.changed,
            accessed: stat.accessed,
            mode: stat.mode,
            owner: stat.owner,
            punched: stat.has_holes,
            ..Self { stream: false, ..Self::STREAM }
        }
    }

    /// Whether both are the same file with, as far as the file system can tell, the same content.
    pub fn same_version(&self, other: &Self) -> bool {
        !self.stream
            && (self.file, self.length, self.modified, self.changed)
                == (other.file, other.length, other.modified, other.changed)
    }

    /// How long it is, if that is known before its end.
    pub fn known_length(&self) -> Option<u64> {
        (!self.stream).then_some(self.length)
    }

    pub fn pack(&self) -> Packed {
        let (m, c, a) = (self.modified, self.changed, self.accessed);
        let [m0, m1, c0, c1, a0, a1] = [m.0, m.1, c.0, c.1, a.0, a.1].map(i64::cast_unsigned);
        let owner = u64::from(self.owner.0) | u64::from(self.owner.1) << 32;
        let flags = u64::from(self.punched)
            | u64::from(self.stream) << 1
            | self.checked_by.number() << 8
            | u64::from(self.wish) << 16;
        let FileId { device, inode } = self.file;
        pack([device, inode, self.length, m0, m1, c0, c1, self.mode.into(), flags, a0, a1, owner])
    }

    pub fn unpack(bytes: &Packed) -> Self {
        let [device, inode, length, m0, m1, c0, c1, mode, flags, a0, a1, owner] = unpack(bytes);
        let [m0, m1, c0, c1, a0, a1] = [m0, m1, c0, c1, a0, a1].map(u64::cast_signed);
        Self {
            file: FileId { device, inode },
            length,
            modified: (m0, m1),
            changed: (c0, c1),
            accessed: (a0, a1),
            mode: mode as u32,
            owner: (owner as u32, (owner >> 32) as u32),
            punched: flags & 1 != 0,
            stream: flags & 2 != 0,
            checked_by: Kind::from_number(flags >> 8 & 0xff),
            wish: (flags >> 16) as u8,
        }
    }
}

impl TargetRecord {
    pub fn pack(&self) -> Packed {
        let flags = u64::from(self.outlet) | u64::from(self.attributes) << 1;
        pack([self.file.device, self.file.inode, self.terminal, self.born, flags])
    }

    pub fn unpack(bytes: &Packed) -> Self {
        let [device, inode, terminal, born, flags] = unpack(bytes);
        let (outlet, attributes) = (flags & 1 != 0, flags & 2 != 0);
        Self { file: FileId { device, inode }, born, terminal, outlet, attributes }
    }
}

fn pack<const N: usize>(words: [u64; N]) -> Packed {
    let mut bytes = [0; 128];
    bytes.chunks_exact_mut(8).zip(words).for_each(|(to, word)| to.copy_from_slice(&word.to_le_bytes()));
    bytes
}

fn unpack<const N: usize>(bytes: &Packed) -> [u64; N] {
    std::array::from_fn(|n| u64::from_le_bytes(bytes[n * 8..][..8].try_into().expect("eight bytes")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_back_as_they_were() {
        let source = SourceRecord {
            file: FileId { device: u64::MAX, inode: 2 },
            length: 3,
            modified: (-4, 5),
            changed: (6, 7),
            accessed: (8, 9),
            mode: 0o644,
            owner: (10, u32::MAX),
            punched: true,
            stream: true,
            checked_by: Kind::Blake3,
            wish: 7,
        };
        assert_eq!(SourceRecord::unpack(&source.pack()), source);
        let target = TargetRecord {
            file: FileId { device: 1, inode: u64::MAX },
            born: 7,
            terminal: 9,
            outlet: true,
            attributes: true,
        };
        assert_eq!(TargetRecord::unpack(&target.pack()), target);
    }
}
