//! What an interrupted copy leaves beside its temporary file, so that the next one need not start over.
//!
//! ```text
//!    0  heading: magic, version, checksum kind, source (128 bytes), temporary file, directory, name, own checksum
//!  512  entry, if its number is even     number, position, sum, time, the heading's checksum, own checksum
//! 1024  entry, if its number is odd
//! 1536  end
//! ```
//!
//! Little-endian words. An entry says: the first `position` bytes of the temporary file are on the disk, and this is
//! their checksum. It is written after that is so, over the older one of the two, each in a sector of its own: a
//! write that is torn by a power failure leaves the other entry. Whatever does not fit together is no journal.

use crate::digest;
use crate::record::{Packed, SourceRecord, TargetRecord};
use crate::sys::{self, Directory, FileId};
use std::ffi::OsStr;
use std::fs::File;
use std::io;

const MAGIC: u64 = u64::from_le_bytes(*b"DUOCOPYJ");
const VERSION: u64 = 1;
const SECTOR: usize = 512;
/// Length of the file.
pub const LENGTH: usize = 3 * SECTOR;

/// What the copy is, which must be the same for whoever wants to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heading {
    pub source: SourceRecord,
    /// The temporary file, or the destination after the last step.
    pub target: TargetRecord,
    pub directory: FileId,
    /// Checksum of the destination's name.
    pub name: u64,
}

/// How much of the copy is on the disk, in bytes from the start, and the checksum of that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Durable {
    pub position: u64,
    pub sum: u64,
}

/// What an entry says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    number: u64,
    pub durable: Durable,
    /// When the file was last written to, if it is whole: it is that file only while this is so.
    pub modified: (i64, i64),
}

/// A journal that is open for writing. Only the holder of the temporary file's lock may have one.
#[derive(Debug)]
pub struct Journal {
    file: File,
    heading_sum: u64,
    number: u64,
}

impl Heading {
    /// Whether a copy of this source to the same place may go on from what another one left.
    pub fn fits(&self, other: &Self) -> bool {
        self.source.same_version(&other.source)
            && self.source.checked_by == other.source.checked_by
            && (self.directory, self.name) == (other.directory, other.name)
    }

    fn pack(&self) -> [u8; SECTOR] {
        let mut sector = [0; SECTOR];
        put(&mut sector, 0, &[MAGIC, VERSION]);
        sector[16..144].copy_from_slice(&self.source.pack());
        sector[144..272].copy_from_slice(&self.target.pack());
        put(&mut sector, 272, &[self.directory.device, self.directory.inode, self.name]);
        seal(&mut sector);
        sector
    }

    fn unpack(sector: &[u8; SECTOR]) -> Option<Self> {
        let [magic, version] = get(sector, 0);
        if !sealed(sector) || (magic, version) != (MAGIC, VERSION) {
            return None;
        }
        let packed = |at: usize| -> Packed { sector[at..at + 128].try_into().expect("128 bytes") };
        let [device, inode, name] = get(sector, 272);
        Some(Self {
            source: SourceRecord::unpack(&packed(16)),
            target: TargetRecord::unpack(&packed(144)),
            directory: FileId { device, inode },
            name,
        })
    }
}

impl Journal {
    /// Makes a new one, on the disk with its name. Whatever had the name goes.
    pub fn create(directory: &Directory, name: &OsStr, heading: &Heading) -> io::Result<Self> {
        directory.remove_if_exists(name)?;
        let file = directory.create_new(name, 0o600)?;
        let sector = heading.pack();
        let mut content = [0; LENGTH];
        content[..SECTOR].copy_from_slice(&sector);
        sys::write_at(&file, &content, 0)?;
        file.sync_all()?;
        directory.sync(&file)?;
        Ok(Self { file, heading_sum: sum_of(&sector), number: 0 })
    }

    /// Opens what an earlier copy left, and says what it was and how far it got. `None` if there is nothing that
    /// can be trusted.
    pub fn open(directory: &Directory, name: &OsStr) -> Option<(Self, Heading, Entry)> {
        let file = directory.open_existing(name).ok()?;
        if !sys::is_private_file(&file) {
            return None;
        }
        let mut content = [0; LENGTH];
        sys::read_at(&file, &mut content, 0).ok()?;
        let (heading, entry) = parse(&content)?;
        Some((Self { file, heading_sum: sum_of(&heading.pack()), number: entry.number }, heading, entry))
    }

    /// Says that so much is on the disk; the caller has seen to it. On the disk itself when this returns. `modified` is
    /// the time of the last write if that was the last one.
    pub fn record(&mut self, durable: Durable, modified: (i64, i64)) -> io::Result<()> {
        self.number += 1;
        let mut sector = [0; SECTOR];
        let time = [modified.0.cast_unsigned(), modified.1.cast_unsigned()];
        let words = [self.number, durable.position, durable.sum, time[0], time[1], self.heading_sum];
        put(&mut sector, 0, &words);
        seal(&mut sector);
        sys::write_at(&self.file, &sector, (1 + self.number % 2) * SECTOR as u64)?;
        self.file.sync_data()
    }
}

/// The heading, and the newer one of the entries that belong to it.
pub fn parse(content: &[u8; LENGTH]) -> Option<(Heading, Entry)> {
    let sector = |n: usize| -> &[u8; SECTOR] {
        content[n * SECTOR..][..SECTOR].try_into().expect("the content is three sectors")
    };
    let heading = Heading::unpack(sector(0))?;
    let entry = |n: usize| {
        let [number, position, sum, seconds, nanoseconds, heading_sum] = get(sector(n), 0);
        let belongs = sealed(sector(n)) && heading_sum == sum_of(sector(0)) && number > 0;
        (belongs && position <= heading.source.length).then_some(Entry {
            number,
            durable: Durable { position, sum },
            modified: (seconds.cast_signed(), nanoseconds.cast_signed()),
        })
    };
    let newest = [1, 2].into_iter().filter_map(entry).max_by_key(|entry| entry.number);
    newest.map(|entry| (heading, entry))
}

fn put(sector: &mut [u8; SECTOR], at: usize, words: &[u64]) {
    for (to, word) in sector[at..].chunks_exact_mut(8).zip(words) {
        to.copy_from_slice(&word.to_le_bytes());
    }
}

fn get<const N: usize>(sector: &[u8; SECTOR], at: usize) -> [u64; N] {
    std::array::from_fn(|n| u64::from_le_bytes(sector[at + n * 8..][..8].try_into().expect("eight bytes")))
}

/// A sector's last word is the checksum of the rest.
fn sum_of(sector: &[u8; SECTOR]) -> u64 {
    digest::of(&sector[..SECTOR - 8])
}

fn seal(sector: &mut [u8; SECTOR]) {
    let sum = sum_of(sector);
    put(sector, SECTOR - 8, &[sum]);
}

fn sealed(sector: &[u8; SECTOR]) -> bool {
    get::<1>(sector, SECTOR - 8) == [sum_of(sector)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Kind;

    fn heading() -> Heading {
        let source = SourceRecord {
            wish: 0,
            file: FileId { device: 1, inode: 2 },
            length: 1000,
            modified: (3, 4),
            changed: (5, 6),
            accessed: (7, 8),
            mode: 0o644,
            owner: (0, 0),
            punched: false,
            stream: false,
            checked_by: Kind::Crc64,
        };
        let target =
            TargetRecord { file: FileId { device: 7, inode: 8 }, born: 9, ..TargetRecord::default() };
        Heading { source, target, directory: FileId { device: 10, inode: 11 }, name: 12 }
    }

    fn journal() -> (tempfile::TempDir, Directory, Journal) {
        let folder = tempfile::tempdir().unwrap();
        let directory = Directory::open_path(folder.path()).unwrap().reopen().unwrap();
        let journal = Journal::create(&directory, OsStr::new("j"), &heading()).unwrap();
        (folder, directory, journal)
    }

    #[test]
    fn the_newest_entry_counts_and_a_torn_one_leaves_the_one_before() {
        let (folder, directory, mut journal) = journal();
        let name = OsStr::new("j");
        assert!(Journal::open(&directory, name).is_none(), "nothing is durable yet");
        let entries = [(10, 1), (20, 2), (30, 3)].map(|(position, sum)| Durable { position, sum });
        for entry in entries {
            journal.record(entry, (5, 6)).unwrap();
            let found = Journal::open(&directory, name).unwrap().2;
            assert_eq!((found.durable, found.modified), (entry, (5, 6)));
        }
        let (mut journal, found, _) = Journal::open(&directory, name).unwrap();
        assert_eq!(found, heading());
        journal.record(Durable { position: 40, sum: 4 }, (0, 0)).unwrap();
        let mut content: [u8; LENGTH] = std::fs::read(folder.path().join("j")).unwrap().try_into().unwrap();
        // The fourth entry is in the even sector.
        content[SECTOR + 9] ^= 1;
        assert_eq!(parse(&content).unwrap().1.durable, entries[2]);
        content[2 * SECTOR + 500] ^= 1;
        assert_eq!(parse(&content), None);
    }

    #[test]
    fn no_changed_byte_goes_unnoticed() {
        let (folder, _, mut journal) = journal();
        journal.record(Durable { position: 10, sum: 1 }, (0, 0)).unwrap();
        let content: [u8; LENGTH] = std::fs::read(folder.path().join("j")).unwrap().try_into().unwrap();
        assert!(parse(&content).is_some());
        for at in (0..SECTOR).chain(2 * SECTOR..LENGTH) {
            let mut broken = content;
            broken[at] ^= 0x10;
            assert_eq!(parse(&broken), None, "byte {at}");
        }
    }

    #[test]
    fn another_source_or_place_does_not_fit() {
        let here = heading();
        assert!(here.fits(&heading()));
        let changes: [fn(&mut Heading); 6] = [
            |other| other.source.length += 1,
            |other| other.source.file.inode += 1,
            |other| other.source.changed.1 += 1,
            |other| other.source.checked_by = Kind::Blake3,
            |other| other.directory.inode += 1,
            |other| other.name += 1,
        ];
        for change in changes {
            let mut other = heading();
            change(&mut other);
            assert!(!here.fits(&other));
        }
    }
}
