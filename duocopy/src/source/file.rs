//! A regular file: read from a resume point to its end, and checked for changes afterwards.

use super::contract::{Piece, Source, Supply};
use super::settle;
use crate::api::{Error, ErrorKind, Operation, SourceChange, Warning};
use crate::attributes::Attribute;
use crate::cache::{CachePolicy, CacheUse, Pages};
use crate::digest::{Digest, Kind, MustEnd, PIECE, Value};
use crate::record::{ResumePoint, SourceRecord};
use crate::sys::{self, FileSystemKind, Stat};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Holes are looked for in a file of this length even if it takes all of its space, which may be reserved and never
/// written to. A shorter one is read faster than asked.
const MAY_HAVE_HOLES: u64 = 64 << 10;

/// The most times to read a source again while its inode keeps changing.
const MAX_READINGS: usize = 3;

#[derive(Debug)]
pub struct FileSource {
    file: File,
    path: PathBuf,
    record: SourceRecord,
    /// When the status in the record was received.
    opened: Instant,
    /// True if another machine or program keeps the file.
    is_remote: bool,
    position: u64,
    /// The data around the position, or the next data after it; the rest up to there is a hole.
    data: Range<u64>,
    cache: CachePolicy,
}

impl FileSource {
    pub fn new(file: File, path: &Path, system: FileSystemKind, digest: Kind) -> io::Result<Self> {
        let mut record = SourceRecord::of_file(sys::fresh_stat(&file)?, digest);
        let opened = Instant::now();
        // A copy must not give the group the rights that the list gives to named users.
        (record.stat.mode, record.has_list) = sys::plain_mode(&file, record.stat.mode);
        let (path, cache, is_remote) =
            (path.into(), CachePolicy::default(), system == FileSystemKind::Remote);
        let mut source =
            Self { file, path, record, opened, is_remote, position: 0, data: 0..u64::MAX, cache };
        source.look_for_holes()?;
        Ok(source)
    }

    /// Finds out whether the source has holes, and whether the system tells where they are.
    fn look_for_holes(&mut self) -> io::Result<()> {
        let Stat { length, has_holes, .. } = self.record.stat;
        if !has_holes && length < MAY_HAVE_HOLES {
            return Ok(());
        }
        // A system that does not even know this call has no holes to show.
        self.data = self.next_data().unwrap_or(0..u64::MAX);
        let shows_holes = self.data != (0..u64::MAX);
        self.record.hides_holes = has_holes && !shows_holes;
        self.record.stat.has_holes |= shows_holes;
        self.seek(0)
    }

    /// Returns the data around the position, or the next data after it. The last data ends where reading does.
    fn next_data(&self) -> io::Result<Range<u64>> {
        let (position, length) = (self.position, self.record.stat.length);
        let has_ended = || {
            let read = sys::read_at(&self.file, &mut [0], position);
            read.is_err_and(|error| error.kind() == io::ErrorKind::UnexpectedEof)
        };
        Ok(match sys::next_data(&self.file, position)? {
            Some(data) if data.end < length => data,
            Some(data) => data.start..u64::MAX,
            // The length may be made up. Then there is no hole up to it.
            None if self.is_remote && has_ended() => position..u64::MAX,
            None => length..u64::MAX,
        })
    }

    /// Returns the open file.
    pub fn into_file(self) -> File {
        self.file
    }

    /// Returns whether the system makes the content when it is read, so that length and times say nothing about it.
    pub fn is_made_up(&self) -> bool {
        let stat = &self.record.stat;
        // What has a length is asked for it only where another program may have invented it.
        if stat.length > 0 && !self.is_remote {
            return false;
        }
        let again = || sys::fresh_stat(&self.file).ok().filter(|now| now.length == stat.length);
        // Some servers of FUSE, such as lxcfs, report the present as all times of a file.
        let has_one_time = stat.modified == stat.changed && stat.modified == stat.accessed;
        if self.is_remote
            && has_one_time
            && again().is_some_and(|one| {
                one.modified != stat.modified && again().is_some_and(|other| other.modified != one.modified)
            })
        {
            return true;
        }
        match sys::read_at(&self.file, &mut [0], stat.length) {
            Ok(()) => again().is_some(),
            Err(error) => error.kind() == io::ErrorKind::NotSeekable,
        }
    }

    /// The length of the hole at the position, 0 if there is none.
    fn hole(&mut self) -> io::Result<u64> {
        let (position, length) = (self.position, self.record.stat.length);
        if position >= self.data.end && position < length {
            self.data = self.next_data()?;
            // The search has moved the file's own position.
            self.seek(position)?;
        }
        Ok(self.data.start.min(length).saturating_sub(position).min(self.record.digest.longest_zeros()))
    }

    fn seek(&mut self, position: u64) -> io::Result<()> {
        self.position = position;
        self.file.seek(SeekFrom::Start(position)).map(drop)
    }

    fn fill(&mut self, block: &mut [u8]) -> io::Result<usize> {
        let room = (block.len() as u64).min(self.data.end.saturating_sub(self.position)) as usize;
        let (mut filled, file) = (0, &self.file);
        while filled < room {
            let next = (self.position + filled as u64, room - filled);
            match self.cache.transfer(file, next, || (&*file).read(&mut block[filled..room])) {
                Ok(0) => break,
                Ok(bytes) => filled += bytes,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.position += filled as u64;
        self.cache.read_up_to(file, self.position);
        Ok(filled)
    }

    /// Returns how the file's content changed since it was opened, as far as `now`, its status after the last byte, shows
    /// that.
    fn change(&self, copied: u64, now: &Stat) -> Option<SourceChange> {
        let before = &self.record.stat;
        let is_replaced = || sys::stat(&self.path).is_ok_and(|there| there.file != before.file);
        let ended_early =
            copied < before.length && !(now.modified == before.modified && now.changed == before.changed);
        match () {
            // If nothing was written to the file, it has never been as long as its length says.
            () if now.length < before.length || ended_early => {
                Some(SourceChange::Shrank { from: before.length, to: now.length.min(copied) })
            }
            () if now.length > before.length || copied > before.length => {
                Some(SourceChange::Grew { from: before.length, to: now.length.max(copied) })
            }
            () if is_replaced() => Some(SourceChange::Replaced),
            () if now.modified != before.modified => Some(SourceChange::Modified),
            () => None,
        }
    }

    /// Checks that the content has not changed, as far as length and time show that. Returns the status of the file.
    fn check(&self, copied: u64) -> Result<Stat, Error> {
        let now = sys::fresh_stat(&self.file).map_err(|error| self.failed(Operation::Stat, &error))?;
        self.change(copied, &now).map_or(Ok(now), |change| Err(self.changed(change)))
    }

    /// Waits for up to 50 ms until a change of a file with this status would show. Returns whether one would show now.
    #[expect(clippy::disallowed_methods, reason = "a clock wakes nobody")]
    fn settles(&self, stat: &Stat, received: Instant) -> bool {
        let left = sys::read_file_clock()
            .and_then(|now| settle::time_left(stat, now, received.elapsed(), self.is_remote));
        if let Some(left) = left {
            std::thread::sleep(left.clamp(Duration::from_millis(1), Duration::from_millis(50)));
        }
        left.is_none()
    }

    /// Reads the source again, and checks that it has this length and this checksum.
    fn read_again(&mut self, bytes: u64, sum: &Value, must_end: MustEnd) -> Result<(), Error> {
        let (mut digest, mut block) = (Digest::new(self.record.digest), Pages::new(PIECE));
        self.data = 0..0;
        self.seek(0).map_err(|error| self.failed(Operation::Read, &error))?;
        while self.position <= bytes {
            if must_end() {
                return Err(ErrorKind::Interrupted.into());
            }
            match self.next(&mut block)? {
                Piece::Bytes(0) => break,
                Piece::Bytes(filled) => digest.update(&block[..filled]),
                Piece::Zeros(zeros) => digest.update_zeros(zeros),
                Piece::NotYet => {}
            }
        }
        if self.position != bytes || digest.value() != *sum {
            return Err(self.changed(SourceChange::Modified));
        }
        Ok(())
    }

    fn changed(&self, change: SourceChange) -> Error {
        Error::at(ErrorKind::SourceChanged(change), &self.path)
    }

    fn failed(&self, operation: Operation, error: &io::Error) -> Error {
        Error::source(&self.path, operation, error)
    }
}

impl Source for FileSource {
    fn record(&self) -> &SourceRecord {
        &self.record
    }

    fn supply(&self, past_the_cache: bool) -> Supply {
        let length = self.record.stat.length;
        let cached = |offset: u64| sys::is_cached(&self.file, offset);
        // A probe inside a hole would tell nothing.
        let in_memory =
            self.record.stat.has_holes || length == 0 || [0, length / 2, length - 1].into_iter().all(cached);
        let has_no_disk = || sys::free_memory(&self.file).is_some();
        if in_memory && (!past_the_cache || has_no_disk()) { Supply::Memory } else { Supply::Disk }
    }

    fn settle(&self) -> bool {
        self.settles(&self.record.stat, self.opened)
    }

    fn resume(&mut self, at: ResumePoint, trusts_sum: bool, must_end: MustEnd) -> Result<Digest, Error> {
        if at.position > self.record.stat.length {
            return Err(Error::at(ErrorKind::ResumePastEnd { position: at.position }, &self.path));
        }
        let kind = self.record.digest;
        let resumed = if trusts_sum { Digest::resume(kind, at.sum) } else { None };
        let digest = if let Some(digest) = resumed {
            digest
        } else {
            let mut digest = Digest::new(kind);
            digest
                .update_from(&self.file, at.position, &mut vec![0; PIECE], must_end)
                .map_err(|error| self.failed(Operation::ReadPrefix, &error))?;
            digest
        };
        if self.data != (0..u64::MAX) {
            // The hole or data that was found when the file was opened may have changed since, within one step of the
            // clock.
            self.data = 0..0;
        }
        self.seek(at.position).map_err(|error| self.failed(Operation::Read, &error))?;
        Ok(digest)
    }

    fn use_cache(&mut self, usage: CacheUse) -> Vec<Warning> {
        self.cache.set(&self.file, &self.path, self.position, usage)
    }

    fn next(&mut self, block: &mut [u8]) -> Result<Piece, Error> {
        let piece = match self.hole() {
            Ok(0) => self.fill(block).map(Piece::Bytes),
            Ok(zeros) => self.seek(self.position + zeros).map(|()| Piece::Zeros(zeros)),
            Err(error) => Err(error),
        };
        piece.map_err(|error| self.failed(Operation::Read, &error))
    }

    fn attributes(&self) -> Result<Vec<Attribute>, Error> {
        sys::attributes(&self.file).map_err(|error| self.failed(Operation::ReadAttributes, &error))
    }

    fn is_suspect(&self, bytes: u64) -> Result<bool, Error> {
        // Either its name, rights, links or attributes were changed, or a program has written to it and set back the
        // time.
        Ok(self.check(bytes)?.changed != self.record.stat.changed && self.record.digest != Kind::Nothing)
    }

    fn compare(&mut self, bytes: u64, sum: &Value, must_end: MustEnd) -> Result<(), Error> {
        // If the inode changes while the source is read again, a program may have written to it and set back the time
        // once more. Then the bytes that were read may never have existed together.
        for _ in 0..MAX_READINGS {
            let (before, received) = (self.check(bytes)?, Instant::now());
            while !self.settles(&before, received) {
                if must_end() {
                    return Err(ErrorKind::Interrupted.into());
                }
            }
            self.read_again(bytes, sum, must_end)?;
            if self.check(bytes)?.changed == before.changed {
                return Ok(());
            }
        }
        Err(self.changed(SourceChange::Modified))
    }

    fn finish(&mut self) -> Option<Warning> {
        self.cache.end(&self.file, &self.path, self.position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(content: &[u8]) -> (tempfile::TempDir, FileSource) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("source");
        std::fs::write(&path, content).unwrap();
        let file = sys::open_source(&path).unwrap();
        let source = FileSource::new(file, &path, FileSystemKind::Local, Kind::Crc64).unwrap();
        (folder, source)
    }

    fn rest(source: &mut FileSource) -> Vec<u8> {
        let (mut all, mut block) = (Vec::new(), [0; 7]);
        loop {
            match source.next(&mut block).unwrap() {
                Piece::Bytes(0) => return all,
                Piece::Bytes(filled) => all.extend_from_slice(&block[..filled]),
                Piece::Zeros(zeros) => all.resize(all.len() + zeros as usize, 0),
                Piece::NotYet => unreachable!("a file has an end"),
            }
        }
    }

    #[test]
    fn a_file_is_read_from_the_resume_point_to_its_end() {
        let (_folder, mut source) = source(b"some twenty bytes ..");
        let mut digest = source
            .resume(ResumePoint { position: 5, sum: crate::digest::of(b"some ") }, true, &|| false)
            .unwrap();
        let bytes = rest(&mut source);
        assert_eq!(bytes, b"twenty bytes ..");
        digest.update(&bytes);
        assert_eq!(digest.resume_state(), crate::digest::of(b"some twenty bytes .."));
        let sum = digest.value();
        assert_eq!(source.is_suspect(20), Ok(false));
        assert_eq!(source.compare(20, &sum, &|| false), Ok(()));
        assert_eq!(source.compare(20, &sum, &|| true).unwrap_err().kind, ErrorKind::Interrupted);
        let modified = ErrorKind::SourceChanged(SourceChange::Modified);
        assert_eq!(source.compare(20, &Value::default(), &|| false).unwrap_err().kind, modified);
    }

    /// An action of a program on the source, and the piece before which it happens.
    #[cfg(unix)]
    type Step<'a> = (usize, &'a dyn Fn(&File));

    /// A program writes to the source and sets back the time, also while it is read again.
    #[test]
    #[cfg(unix)]
    #[expect(
        clippy::disallowed_methods,
        reason = "a change must not be in the same step of the clock as another"
    )]
    fn what_was_never_there_at_one_time_is_no_version() {
        let [old, new] = [b'A', b'B'].map(|byte| vec![byte; PIECE]);
        let mixed = [&old[..], &new].concat();
        let mut sum = Digest::new(Kind::Crc64);
        sum.update(&mixed);
        let sum = sum.value();
        let write = |first: &[u8], second: &[u8]| {
            let (first, second) = (first.to_vec(), second.to_vec());
            move |file: &File| {
                let modified = file.metadata().unwrap().modified().unwrap();
                sys::write_at(file, &first, 0).unwrap();
                sys::write_at(file, &second, PIECE as u64).unwrap();
                file.set_modified(modified).unwrap();
            }
        };
        let touch = |file: &File| {
            let accessed = std::time::SystemTime::UNIX_EPOCH;
            file.set_times(std::fs::FileTimes::new().set_accessed(accessed)).unwrap();
        };
        let (first, second) = (write(&old, &old), write(&new, &new));
        let cases: [(&[Step], bool); 5] = [
            (&[], true),
            (&[(2, &touch)], true),
            (&[(1, &touch), (4, &touch), (7, &touch)], false),
            (&[(1, &first), (2, &second)], false),
            (&[(1, &first), (2, &second), (4, &first), (5, &second), (7, &first), (8, &second)], false),
        ];
        for (case, (steps, is_version)) in cases.into_iter().enumerate() {
            let (folder, mut source) = source(&mixed);
            let file = File::options().write(true).open(folder.path().join("source")).unwrap();
            let asked = std::cell::Cell::new(0);
            let must_end = || {
                asked.set(asked.get() + 1);
                for (_, step) in steps.iter().filter(|(at, _)| *at == asked.get()) {
                    step(&file);
                    // Otherwise the wait for a step of the clock asks, too.
                    std::thread::sleep(Duration::from_millis(20));
                }
                false
            };
            std::thread::sleep(Duration::from_millis(20));
            assert_eq!(source.compare(2 * PIECE as u64, &sum, &must_end).is_ok(), is_version, "{case}");
        }
    }

    #[test]
    fn nothing_is_resumed_past_the_end() {
        let (_folder, mut source) = source(b"short");
        let error = source.resume(ResumePoint { position: 6, sum: 0 }, true, &|| false).unwrap_err();
        assert_eq!(error.kind, ErrorKind::ResumePastEnd { position: 6 });
    }

    #[test]
    fn every_change_is_told_apart() {
        type Case = (fn(&mut Stat), u64, Option<SourceChange>);
        let cases: [Case; 8] = [
            (|_| {}, 5, None),
            // The length was never true.
            (|_| {}, 4, None),
            (|stat| stat.changed.1 ^= 1, 4, Some(SourceChange::Shrank { from: 5, to: 4 })),
            (|stat| stat.modified.1 ^= 1, 4, Some(SourceChange::Shrank { from: 5, to: 4 })),
            (|stat| stat.length = 3, 5, Some(SourceChange::Shrank { from: 5, to: 3 })),
            (|stat| stat.length = 9, 6, Some(SourceChange::Grew { from: 5, to: 9 })),
            (|stat| stat.modified.1 ^= 1, 5, Some(SourceChange::Modified)),
            // Only the content tells what this means.
            (|stat| stat.changed.1 ^= 1, 5, None),
        ];
        let (_folder, source) = source(b"12345");
        for (change, copied, expected) in cases {
            let mut stat = source.record.stat;
            change(&mut stat);
            assert_eq!(source.change(copied, &stat), expected);
        }
    }

    /// Windows replaces no file that is open.
    #[test]
    #[cfg(unix)]
    fn a_file_that_was_replaced_is_noticed() {
        let (folder, source) = source(b"12345");
        let other = folder.path().join("other");
        std::fs::write(&other, b"12345").unwrap();
        std::fs::rename(&other, folder.path().join("source")).unwrap();
        let error = source.is_suspect(5).unwrap_err();
        assert_eq!(error.kind, ErrorKind::SourceChanged(SourceChange::Replaced));
    }
}
