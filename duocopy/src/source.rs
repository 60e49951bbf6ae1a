//! The Reader's file: opened once, read from start to end, and looked at again afterwards.

use crate::cache::{CacheUse, Passage};
use crate::digest::{Digest, Kind, PIECE};
use crate::exit::{self, Failure};
use crate::metadata;
use crate::plan::{self, Supply};
use crate::record::SourceRecord;
use crate::sys::{self, FileKind};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};

#[derive(Debug)]
pub struct Source {
    file: File,
    path: PathBuf,
    record: SourceRecord,
    position: u64,
    passage: Passage,
    /// The bytes around the position, or next behind it, that are in no hole.
    data: Range<u64>,
    /// Whether it is a named pipe, which was opened here so that reading never waits.
    own_pipe: bool,
    /// Whether nobody has opened it for writing yet.
    unopened: bool,
}

/// BLAKE3 computes so many zeros in a few seconds, and progress is seen after each.
pub const LONGEST_HOLE: u64 = 16 << 30;

/// What comes next in the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece {
    /// So many bytes, in the block. None at the end.
    Bytes(usize),
    /// So many zeros, which are in a hole.
    Zeros(u64),
    /// Nothing came for a twentieth of a second, and more may come.
    NotYet,
}

impl Source {
    /// Opens it to be read once; `kind` is what will be computed of it. Only with `streams` may it be something that is
    /// no file.
    pub fn open(path: &Path, kind: Kind, streams: bool) -> Result<Self, Failure> {
        let failed = |error: io::Error| {
            let remedy = match error.kind() {
                io::ErrorKind::NotFound => "look at the spelling of the path",
                io::ErrorKind::NotADirectory => {
                    "a part of its path is a file: look at the spelling of the path"
                }
                io::ErrorKind::PermissionDenied => "run as a user who may read it",
                // Its content could be anything while somebody writes to it.
                _ if sys::is_busy(&error) => {
                    "end the program that has it open for writing, or copy a snapshot"
                }
                _ => "look at its file system",
            };
            Failure::source(path, format_args!("opening the source: {error}"), remedy)
        };
        let standard = plan::is_standard(path);
        let file = if standard { sys::standard_input() } else { sys::open_source(path) }.map_err(failed)?;
        let nature = sys::file_kind(&file).map_err(failed)?;
        if nature == FileKind::Directory {
            let remedy = "name a file: one file is copied at a time";
            return Err(Failure::source(path, "the source is a directory", remedy));
        }
        let stream = standard || nature != FileKind::Regular;
        if stream && !streams {
            let remedy = "name a regular file, or give it to `duocopy read`, which reads anything";
            return Err(Failure::source(path, "the source is not a regular file", remedy));
        }
        if stream || sys::is_pseudo_fs(&file) {
            // Who may not read it must not be able to read the copy.
            let mode = match sys::fstat(&file) {
                Ok(stat) if !standard => stat.mode,
                _ => SourceRecord::STREAM.mode,
            };
            let record = SourceRecord { checked_by: kind, mode, ..SourceRecord::STREAM };
            let own_pipe = nature == FileKind::Pipe && !standard;
            return Ok(Self {
                file,
                path: path.into(),
                record,
                position: 0,
                passage: Passage::default(),
                data: 0..u64::MAX,
                own_pipe,
                unopened: own_pipe,
            });
        }
        let stat = sys::fstat(&file).map_err(failed)?;
        let record = SourceRecord { checked_by: kind, ..SourceRecord::from_stat(&stat) };
        // One that takes all of its space has no holes to look for.
        let data = 0..if record.punched { 0 } else { u64::MAX };
        let (path, passage) = (path.into(), Passage::default());
        Ok(Self { file, path, record, position: 0, passage, data, own_pipe: false, unopened: false })
    }

    /// Whether it is a named pipe that nobody has opened for writing yet.
    pub fn is_unopened(&self) -> bool {
        self.unopened
    }

    /// And nobody does.
    pub fn unopened(&self) -> Failure {
        Failure::nobody_opens(&self.path, "writing")
    }

    pub fn record(&self) -> &SourceRecord {
        &self.record
    }

    /// Whether its file system is memory, and nothing else.
    pub fn is_memory(&self) -> bool {
        sys::free_memory(&self.file).is_some()
    }

    /// How fast it will come, as far as that can be known.
    pub fn supply(&self) -> Supply {
        let length = self.record.length;
        let in_memory = |place: u64| sys::is_cached(&self.file, place);
        if self.record.stream {
            Supply::Stream
        // Looking into a hole would tell nothing.
        } else if self.record.punched || length == 0 || [0, length / 2, length - 1].into_iter().all(in_memory)
        {
            Supply::Memory
        } else {
            Supply::Device
        }
    }

    /// How it is to pass through the page cache from here on. Notes say what cannot be.
    pub fn pass_the_cache(&mut self, usage: CacheUse) -> Vec<String> {
        // What others have open too is left as it is, and a pipe has no cache.
        let nature = sys::file_kind(&self.file);
        if plan::is_standard(&self.path) || !matches!(nature, Ok(FileKind::Regular | FileKind::Disk)) {
            return Passage::none(&self.path, usage);
        }
        self.passage.set(&self.file, &self.path, self.position, usage)
    }

    /// Everything is read. A note if not all of it passed the cache as it was to.
    pub fn leave_the_cache(&self) -> Option<String> {
        self.passage.end(&self.file, &self.path, self.position)
    }

    /// Its extended attributes, packed for the other process.
    pub fn attributes(&self) -> Result<Vec<u8>, Failure> {
        if self.record.stream {
            return Ok(metadata::pack(&[]));
        }
        let attributes = sys::attributes(&self.file).map_err(|error| {
            let what = format!("reading the extended attributes of the source: {error}");
            Failure::source(&self.path, what, "copy without --preserve=xattr,acl")
        })?;
        Ok(metadata::pack(&attributes))
    }

    /// Another process read the beginning and died. Only the very same version can be gone on with.
    pub fn check_same_version(&self, before: &SourceRecord) -> Result<(), Failure> {
        if self.record.same_version(before) {
            return Ok(());
        }
        if self.record.stream {
            let what = "what the Reader before this one read of it cannot be read again";
            return Err(Failure::source(&self.path, what, "copy again from the start"));
        }
        let what = "the source is not what the Reader before this one read";
        Err(Failure::source(&self.path, what, "copy again when nobody writes to it, or copy a snapshot"))
    }

    /// Goes to this position, and gives the digest of what comes before it: `sum` is its checksum, if it has one, or
    /// it is read again.
    pub fn start_at(&mut self, position: u64, sum: u64) -> Result<Digest, Failure> {
        let kind = self.record.checked_by;
        if self.record.stream && position == 0 {
            return Ok(Digest::new(kind));
        }
        if position > self.record.length {
            let what =
                format!("the copy is to go on at byte {position}, which is behind the end of the source");
            return Err(Failure::source(&self.path, what, "copy again with --no-resume"));
        }
        let mut digest = Digest::going_on(kind, sum);
        if digest.is_none() {
            let mut again = Digest::new(kind);
            again.update_from(&self.file, position, &mut vec![0; PIECE]).map_err(|error| {
                let what = format!("reading the beginning of the source again: {error}");
                Failure::source(&self.path, what, "look at its disk (dmesg), then copy again")
            })?;
            digest = Some(again);
        }
        self.go_to(position).map_err(|error| self.failed(&error))?;
        Ok(digest.expect("it was made above"))
    }

    /// Fills the block, or as much of it as comes before the next hole or the end of the file.
    pub fn next(&mut self, block: &mut [u8]) -> Result<Piece, Failure> {
        if self.record.stream {
            return self.some(block).map_err(|error| self.failed(&error));
        }
        let piece = match self.hole() {
            Ok(0) => self.fill(block).map(Piece::Bytes),
            Ok(zeros) => self.go_to(self.position + zeros).map(|()| Piece::Zeros(zeros)),
            Err(error) => Err(error),
        };
        piece.map_err(|error| self.failed(&error))
    }

    /// The length of the hole here, 0 if there is none.
    fn hole(&mut self) -> io::Result<u64> {
        let (position, length) = (self.position, self.record.length);
        if position >= self.data.end && position < length {
            self.data = sys::next_data(&self.file, position)?.unwrap_or(length..u64::MAX);
            // Looking has moved the place from which is read.
            self.go_to(position)?;
        }
        Ok(self.data.start.min(length).saturating_sub(position).min(LONGEST_HOLE))
    }

    fn go_to(&mut self, position: u64) -> io::Result<()> {
        self.position = position;
        self.file.seek(SeekFrom::Start(position)).map(drop)
    }

    fn fill(&mut self, block: &mut [u8]) -> io::Result<usize> {
        let room = (block.len() as u64).min(self.data.end.saturating_sub(self.position)) as usize;
        let (mut filled, file) = (0, &self.file);
        while filled < room {
            let next = (self.position + filled as u64, room - filled);
            match self.passage.pass(file, next, || (&*file).read(&mut block[filled..room])) {
                Ok(0) => break,
                Ok(bytes) => filled += bytes,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.position += filled as u64;
        self.passage.read_up_to(file, self.position);
        Ok(filled)
    }

    /// What has come of a stream.
    fn some(&mut self, block: &mut [u8]) -> io::Result<Piece> {
        let ready = sys::poll_ready(&self.file, false)?;
        if !ready && !self.own_pipe {
            return Ok(Piece::NotYet);
        }
        let (next, file) = ((self.position, block.len()), &self.file);
        match self.passage.pass(file, next, || (&*file).read(block)) {
            // No end is said where others read, too, so that nothing but this tells an end; or no beginning.
            Ok(0) if !ready && self.unopened => Ok(Piece::NotYet),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(Piece::NotYet),
            // Only of a pipe that somebody has open for writing.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.unopened = false;
                Ok(Piece::NotYet)
            }
            read => {
                self.unopened = false;
                self.position += *read.as_ref().unwrap_or(&0) as u64;
                self.passage.read_up_to(file, self.position);
                read.map(Piece::Bytes)
            }
        }
    }

    fn failed(&self, error: &io::Error) -> Failure {
        let what = format!("reading the source: {error}");
        Failure::source(&self.path, what, &format!("{}, then copy again", exit::LOOK_AT_THE_DISK))
    }

    /// After the last byte: the copy is of one version only if the file is what it was.
    pub fn check_unchanged(&self, copied: u64) -> Result<(), Failure> {
        if self.record.stream {
            return Ok(());
        }
        let now = sys::fstat(&self.file).map_err(|error| {
            Failure::source(&self.path, format_args!("looking at the source again: {error}"), "copy again")
        })?;
        let before = &self.record;
        let what = if now.length < before.length || copied < before.length {
            let length = now.length.min(copied);
            format!("the source shrank from {} to {length} bytes while it was read", before.length)
        } else if now.length > before.length || copied > before.length {
            let length = now.length.max(copied);
            format!("the source grew from {} to {length} bytes while it was read", before.length)
        } else if sys::stat(&self.path).is_ok_and(|there| there.file != before.file) {
            "another file was put in the place of the source while it was read".into()
        } else if now.modified != before.modified {
            "the source was written to while it was read".into()
        } else if now.changed != before.changed {
            // Whoever sets the time of the last write back changes this one.
            "the source, or what the file system keeps about it, was changed while it was read".into()
        } else {
            return Ok(());
        };
        Err(Failure::source(&self.path, what, "copy again when nobody writes to it, or copy a snapshot"))
    }
}
