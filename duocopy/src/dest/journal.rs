//! The journal that an interrupted copy leaves beside its temporary file, so that the next copy can resume it.
//!
//! ```text
//!    0  heading: magic, version, source (128 bytes), temporary file (128 bytes), directory, name, the Reader's user,
//!       own checksum
//!  512  entry, if its number is even     number, position, sum, time, the heading's checksum, own checksum
//! 1024  entry, if its number is odd
//! 1536  end
//! ```
//!
//! All words are little-endian. An entry says that the first `position` bytes of the temporary file are on the disk,
//! and what their checksum is. It is written once that is true, over the older of the two entries, each of which has a
//! sector of its own: if a power failure tears the write, the other entry is still there. A file whose checksums do not
//! match is not a journal.

use crate::digest;
use crate::record::{
    Origin, Packed, Party, ResumePoint, SourceRecord, TargetRecord, get_words, may_be_same_file, put_words,
};
use crate::sys::{self, Directory, FileId};
use std::ffi::OsStr;
use std::fs::File;
use std::io;

const MAGIC: u64 = u64::from_le_bytes(*b"DUOCOPYJ");
const VERSION: u64 = 3;
/// Values that stand for the Reader's user where only one user can take part, and where the user has no number.
const PRIVATE: u64 = u64::MAX;
const UNKNOWN: u64 = u64::MAX - 1;
const SECTOR: usize = 512;
/// Length of the file.
pub const LENGTH: usize = 3 * SECTOR;

/// Identifies a copy. Only a copy with the same heading may resume it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heading {
    pub origin: Origin,
    /// The temporary file, or the destination after the commit.
    pub target: TargetRecord,
    pub directory: FileId,
    /// Checksum of the destination's name.
    pub name: u64,
}

/// The part of the copy that a journal records as durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recorded {
    number: u64,
    /// Everything up to here is on the disk.
    pub durable: ResumePoint,
    /// Time of the last write once the copy is whole: the file is that copy only as long as it has this time.
    pub modified: (i64, i64),
}

/// A journal that is open for writing. Only the process that has locked the temporary file may have one.
#[derive(Debug)]
pub struct Journal {
    file: File,
    heading_sum: u64,
    number: u64,
    durable: u64,
}

impl Heading {
    /// Returns whether a copy with this heading may resume one with the other, if the temporary file is the same, too.
    pub fn fits(&self, other: &Self) -> bool {
        !self.origin.source.is_stream && self.may_take_over(other)
    }

    /// Returns whether a copy with this heading may take over the file of one with the other, and read it again: both
    /// have the same Reader, source and destination. All streams count as the same source, because a stream has no
    /// identity.
    pub fn may_take_over(&self, other: &Self) -> bool {
        let (ours, theirs) = (&self.origin.source, &other.origin.source);
        (ours.same_version(theirs) || ours.is_stream && theirs.is_stream)
            && self.origin.is_of_same_party(&other.origin)
            && may_be_same_file(self.directory, other.directory)
            && self.name == other.name
    }

    fn pack(&self) -> [u8; SECTOR] {
        let mut sector = [0; SECTOR];
        put_words(&mut sector, &[MAGIC, VERSION]);
        sector[16..144].copy_from_slice(&self.origin.source.pack());
        sector[144..272].copy_from_slice(&self.target.pack());
        let party = match self.origin.party {
            Party::Private => PRIVATE,
            Party::User(user) => user.into(),
            Party::Unknown => UNKNOWN,
        };
        put_words(&mut sector[272..], &[self.directory.device, self.directory.inode, self.name, party]);
        seal(&mut sector);
        sector
    }

    fn unpack(sector: &[u8; SECTOR]) -> Option<Self> {
        let [magic, version] = get_words(sector);
        if !is_sealed(sector) || (magic, version) != (MAGIC, VERSION) {
            return None;
        }
        let packed = |at: usize| -> Packed { sector[at..at + 128].try_into().expect("128 bytes") };
        let [device, inode, name, party] = get_words(&sector[272..]);
        let party = match party {
            PRIVATE => Party::Private,
            UNKNOWN => Party::Unknown,
            user => Party::User(u32::try_from(user).ok()?),
        };
        Some(Self {
            origin: Origin { source: SourceRecord::unpack(&packed(16)), party },
            target: TargetRecord::unpack(&packed(144)),
            directory: FileId { device, inode },
            name,
        })
    }
}

impl Journal {
    /// Creates a journal, from a prepared file if there is one, and flushes it with its name to the disk. An older journal of
    /// this name is removed.
    pub fn create(
        directory: &Directory,
        name: &OsStr,
        prepared: Option<File>,
        heading: &Heading,
    ) -> io::Result<Self> {
        if !prepared.as_ref().is_some_and(sys::is_only_name) {
            Self::remove(directory, name)?;
        }
        let file = match prepared {
            Some(file) => sys::name_prepared(directory, file, name)?,
            None => directory.create_new(name, 0o600)?,
        };
        let sector = heading.pack();
        let mut content = [0; LENGTH];
        content[..SECTOR].copy_from_slice(&sector);
        sys::write_at(&file, &content, 0)?;
        file.sync_all()?;
        directory.sync(&file)?;
        Ok(Self { file, heading_sum: sum_of(&sector), number: 0, durable: 0 })
    }

    /// Returns the position up to which the last record says that everything is on the disk; 0 without a record.
    pub fn durable(&self) -> u64 {
        self.durable
    }

    /// Returns the open file.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Removes the journal of this name if there is one: a file of this user that has no other name. Anything else is
    /// left alone, and the error is of the kind `AlreadyExists`.
    pub fn remove(directory: &Directory, name: &OsStr) -> io::Result<()> {
        let file = match directory.look_up(name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            other => other?,
        };
        if sys::is_own_file(&file) {
            directory.remove_if_exists(name)
        } else {
            Err(io::ErrorKind::AlreadyExists.into())
        }
    }

    /// Returns whether the journal of this name, which only this user can have written, was made for this file.
    pub fn names(directory: &Directory, name: &OsStr, target: &File) -> bool {
        let Some(content) = read(directory, name).map(|(_, content)| content) else { return false };
        let heading = Heading::unpack(content[..SECTOR].try_into().expect("one sector"));
        let Ok(stat) = sys::fstat(target) else { return false };
        heading.is_some_and(|heading| heading.target.is_same_file(&TargetRecord::of(&stat)))
    }

    /// Opens the journal that an earlier copy left. `None` if there is none that can be trusted.
    pub fn open(directory: &Directory, name: &OsStr) -> Option<(Self, Heading, Recorded)> {
        // There, another user can move a file of this user to this name, from a directory of their own.
        if directory.is_shared_and_sticky() {
            return None;
        }
        let (file, content) = read(directory, name)?;
        let (heading, recorded) = parse(&content)?;
        let (number, durable) = (recorded.number, recorded.durable.position);
        Some((Self { file, heading_sum: sum_of(&heading.pack()), number, durable }, heading, recorded))
    }

    /// Returns whether only the user who created the journal can have written to the file: it belongs to that user, and
    /// its mode does not let others write.
    pub fn is_alike(&self, file: &File) -> io::Result<bool> {
        let (ours, theirs) = (sys::fstat(&self.file)?, sys::fstat(file)?);
        Ok(ours.owner == theirs.owner && !sys::others_may_write(theirs.mode))
    }

    /// Records that everything up to this point is on the disk, which the caller has made sure of. The record itself is
    /// on the disk once this returns. `modified` is the time of the last write if the copy is whole.
    pub fn record(&mut self, durable: ResumePoint, modified: (i64, i64)) -> io::Result<()> {
        self.number += 1;
        let mut sector = [0; SECTOR];
        let time = [modified.0.cast_unsigned(), modified.1.cast_unsigned()];
        let words = [self.number, durable.position, durable.sum, time[0], time[1], self.heading_sum];
        put_words(&mut sector, &words);
        seal(&mut sector);
        sys::write_at(&self.file, &sector, (1 + self.number % 2) * SECTOR as u64)?;
        self.file.sync_data()?;
        self.durable = durable.position;
        Ok(())
    }
}

/// Reads a file that only this user can have written; `None` if it is not one, or too short for a journal.
fn read(directory: &Directory, name: &OsStr) -> Option<(File, [u8; LENGTH])> {
    let file = directory.open_existing(name).ok()?;
    if !sys::is_private_file(&file) {
        return None;
    }
    let mut content = [0; LENGTH];
    sys::read_at(&file, &mut content, 0).ok()?;
    Some((file, content))
}

/// Returns the heading, and the newer one of the entries that belong to it.
pub fn parse(content: &[u8; LENGTH]) -> Option<(Heading, Recorded)> {
    let sector = |n: usize| -> &[u8; SECTOR] {
        content[n * SECTOR..][..SECTOR].try_into().expect("the content is three sectors")
    };
    let heading = Heading::unpack(sector(0))?;
    let entry = |n: usize| {
        let [number, position, sum, seconds, nanoseconds, heading_sum] = get_words(sector(n));
        let belongs = is_sealed(sector(n)) && heading_sum == sum_of(sector(0)) && number > 0;
        (belongs && position <= heading.origin.source.stat.length).then_some(Recorded {
            number,
            durable: ResumePoint { position, sum },
            modified: (seconds.cast_signed(), nanoseconds.cast_signed()),
        })
    };
    let newest = [1, 2].into_iter().filter_map(entry).max_by_key(|entry| entry.number);
    newest.map(|entry| (heading, entry))
}

/// Returns the checksum that belongs in a sector's last word.
fn sum_of(sector: &[u8; SECTOR]) -> u64 {
    digest::of(&sector[..SECTOR - 8])
}

fn seal(sector: &mut [u8; SECTOR]) {
    let sum = sum_of(sector);
    put_words(&mut sector[SECTOR - 8..], &[sum]);
}

fn is_sealed(sector: &[u8; SECTOR]) -> bool {
    get_words(&sector[SECTOR - 8..]) == [sum_of(sector)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Kind;

    fn heading() -> Heading {
        let mut stat = SourceRecord::STREAM.stat;
        (stat.file, stat.length) = (FileId { device: 1, inode: 2 }, 1000);
        (stat.modified, stat.changed) = ((3, 4), (5, 6));
        let source = SourceRecord::of_file(stat, Kind::Crc64);
        let file = FileId { device: 7, inode: 8 };
        let target = TargetRecord { file, birth_time: 9, ..TargetRecord::default() };
        Heading {
            origin: Origin { source, party: Party::User(13) },
            target,
            directory: FileId { device: 10, inode: 11 },
            name: 12,
        }
    }

    fn journal() -> (tempfile::TempDir, Directory, Journal) {
        let folder = tempfile::tempdir().unwrap();
        let directory = Directory::open_path(folder.path()).unwrap().reopen().unwrap();
        let name = OsStr::new("j");
        let prepared = sys::prepare_file(&directory, name);
        let journal = Journal::create(&directory, name, prepared, &heading()).unwrap();
        (folder, directory, journal)
    }

    #[test]
    fn the_newest_entry_counts_and_a_torn_one_leaves_the_older_one() {
        let (folder, directory, mut journal) = journal();
        let name = OsStr::new("j");
        assert!(Journal::open(&directory, name).is_none(), "nothing is recorded yet");
        let entries = [(10, 1), (20, 2), (30, 3)].map(|(position, sum)| ResumePoint { position, sum });
        for entry in entries {
            journal.record(entry, (5, 6)).unwrap();
            let found = Journal::open(&directory, name).unwrap().2;
            assert_eq!((found.durable, found.modified), (entry, (5, 6)));
        }
        let (mut journal, found, _) = Journal::open(&directory, name).unwrap();
        assert_eq!(found, heading());
        journal.record(ResumePoint { position: 40, sum: 4 }, (0, 0)).unwrap();
        let mut content: [u8; LENGTH] = std::fs::read(folder.path().join("j")).unwrap().try_into().unwrap();
        // The fourth entry is in the even sector.
        content[SECTOR + 9] ^= 1;
        assert_eq!(parse(&content).unwrap().1.durable, entries[2]);
        content[2 * SECTOR + 500] ^= 1;
        assert_eq!(parse(&content), None);
    }

    #[test]
    fn every_changed_byte_is_noticed() {
        let (folder, _, mut journal) = journal();
        journal.record(ResumePoint { position: 10, sum: 1 }, (0, 0)).unwrap();
        let content: [u8; LENGTH] = std::fs::read(folder.path().join("j")).unwrap().try_into().unwrap();
        assert!(parse(&content).is_some());
        for at in (0..SECTOR).chain(2 * SECTOR..LENGTH) {
            let mut broken = content;
            broken[at] ^= 0x10;
            assert_eq!(parse(&broken), None, "byte {at}");
        }
    }

    #[test]
    fn only_the_same_source_and_destination_fit() {
        let here = heading();
        assert!(here.fits(&heading()));
        let changes: [fn(&mut Heading); 12] = [
            |other| other.origin.party = Party::User(14),
            |other| other.origin.party = Party::Private,
            |other| other.origin.party = Party::Unknown,
            |other| other.origin.source.has_list = true,
            |other| other.origin.source.stat.mode ^= 0o044,
            |other| other.origin.source.stat.owner.0 += 1,
            |other| other.origin.source.stat.length += 1,
            |other| other.origin.source.stat.file.inode += 1,
            |other| other.origin.source.stat.changed.1 += 1,
            |other| other.origin.source.digest = Kind::Blake3,
            |other| other.directory.inode += 1,
            |other| other.name += 1,
        ];
        for change in changes {
            let mut other = heading();
            change(&mut other);
            assert!(!here.fits(&other) && !here.may_take_over(&other));
        }
        let mut unknown = heading();
        unknown.origin.party = Party::Unknown;
        assert_eq!(Heading::unpack(&unknown.pack()), Some(unknown));
        assert!(!unknown.fits(&unknown) && !unknown.may_take_over(&unknown), "two users may have no number");
        let mut stream = heading();
        stream.origin.source.is_stream = true;
        assert!(stream.may_take_over(&stream) && !stream.fits(&stream));
        assert!(!here.may_take_over(&stream) && !stream.may_take_over(&here));
    }
}
