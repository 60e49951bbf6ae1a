//! Where the Writer puts what comes: a file that is put in its place in one step, or an outlet that cannot take
//! anything back.

use crate::args::{Existing, Permission};
use crate::cache::{CacheUse, Pages, Passage};
use crate::digest::{Digest, Kind, PIECE, Value};
use crate::exit::{self, Failure};
use crate::journal::Durable;
use crate::metadata::{FromSource, NOTHING};
use crate::plan;
use crate::record::TargetRecord;
use crate::sys::{self, Directory, FileKind};
use std::fmt::Debug;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// What a copy does with its destination, in this order. The defaults are those of an outlet, which has no temporary
/// file, no journal and no name.
pub trait Output: Debug {
    /// What it is, for the other process and for whoever takes this one's place.
    fn record(&self) -> TargetRecord;

    /// What the user should know, though it stops nothing.
    fn notes(&self) -> &[String];

    /// Where names are made and changed.
    fn directory(&self) -> Option<&Directory> {
        None
    }

    /// How much of the copy is on the disk already.
    fn begins(&self) -> Durable {
        Durable::default()
    }

    /// Whether the destination is this file already: an earlier Writer died after its last step.
    fn is_placed(&self) -> bool {
        false
    }

    /// Whether this can be what somebody wrote to, who says that he came as far as this.
    fn can_have(&self, reached: u64) -> bool {
        reached == 0
    }

    /// What to say if it cannot.
    fn lost(&self) -> Failure;

    /// What a dead Writer wrote behind this position, and did not say, is not trusted.
    fn forget_behind(&self, _position: u64) -> Result<(), Failure> {
        Ok(())
    }

    /// A digest of the first bytes, of which somebody kept the sum.
    fn digest(&self, kind: Kind, _from: Durable) -> Result<Digest, Failure> {
        Ok(Digest::new(kind))
    }

    /// How it is to pass through the page cache from here on. Notes say what cannot be.
    fn pass_the_cache(&mut self, from: u64, usage: CacheUse) -> Vec<String>;

    /// From here on the copy is brought to the disk from time to time, and a journal says how far it is.
    fn start_checkpoints(&mut self) -> Result<(), Failure> {
        Ok(())
    }

    /// An error if nothing may be written as far as this.
    fn allow(&self, reached: u64) -> Result<(), Failure>;

    /// Writes these bytes, or as many as are soon written; 0 if none could be for some time. Returns how many.
    fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<usize, Failure>;

    /// The same for so many zeros.
    fn write_zeros(&mut self, offset: u64, length: u64) -> Result<u64, Failure> {
        let zeros = Pages::new(length.min(PIECE as u64) as usize);
        self.write(offset, &zeros).map(|written| written as u64)
    }

    /// Everything up to here is written. An error if what was written before did not get to the disk.
    fn reached(&mut self, _reached: Durable) -> Result<(), Failure> {
        Ok(())
    }

    /// Everything before the copy is put in its place.
    fn prepare(&mut self, whole: Durable, from_source: &FromSource, durable: bool) -> Result<Lost, Failure>;

    /// Reads everything again, from the medium if the file system can do that (the second value).
    fn read_again(&mut self, _kind: Kind) -> Result<(Value, bool), Failure> {
        unreachable!("an outlet is not opened by who wants that")
    }

    /// The one step that changes the destination.
    fn replace(&self) -> Result<(), Failure> {
        Ok(())
    }

    /// After it: the name on the disk.
    fn sync_name(&self) -> Result<(), Failure> {
        Ok(())
    }

    /// After the last word: nothing but the destination stays.
    fn tidy(&self) {}

    /// Leaves what is on the disk for the next copy. Returns how many bytes that are.
    fn keep(&mut self, _reached: Option<Durable>) -> u64 {
        0
    }

    /// Takes away what can be taken away.
    fn discard(&mut self) {}
}

/// What a copy does not have, for people.
#[derive(Debug, Default)]
pub struct Lost {
    /// Of what was to be taken over from the source.
    pub of_source: Option<String>,
    /// Of anything else.
    pub notes: Vec<String>,
}

/// An error if not so many bytes may be written there.
pub fn allow(path: &Path, permission: Permission, length: u64) -> Result<(), Failure> {
    match permission.most_bytes {
        Some(most) if length > most => {
            let what = format!("{length} bytes or more are to be written, and --max-bytes allows {most}");
            Err(Failure::refused(path, &what, "allow more, or have less copied"))
        }
        _ => Ok(()),
    }
}

/// Standard output, a pipe or a device: what is written there is gone.
#[derive(Debug)]
pub struct Outlet {
    file: File,
    path: PathBuf,
    permission: Permission,
    /// So much can be written at once without being held up.
    at_once: usize,
    passage: Passage,
    notes: Vec<String>,
}

/// A Writer before this one wrote to it.
pub fn out_already(path: &Path) -> Failure {
    let what = "what the Writer before this one wrote is out, and cannot be gone on with";
    Failure::refused(path, what, "copy again from the start")
}

impl Outlet {
    /// Whether this path is no place for a file, and what is written to it goes out.
    pub fn is_at(path: &Path) -> bool {
        let passes = |nature| matches!(nature, FileKind::Pipe | FileKind::Device | FileKind::Disk);
        plan::is_standard(path) || sys::file_kind_at(path).is_ok_and(passes)
    }

    /// A failure if it may not be written to so.
    pub fn check(path: &Path, permission: Permission, read_again: bool) -> Result<(), Failure> {
        if read_again {
            let what = "what was written to it cannot be read again";
            return Err(Failure::refused(path, what, "copy to a file, or leave out --verify=reread"));
        }
        let disk =
            !plan::is_standard(path) && sys::file_kind_at(path).is_ok_and(|nature| nature == FileKind::Disk);
        if disk && permission.existing != Existing::Replace {
            let what = "the destination is a disk, and all that is on it would be lost";
            return Err(Failure::refused(path, what, "name another one, or write to it with --force"));
        }
        Ok(())
    }

    /// Opens it, if it need not be `read_again`. `None` if it is a named pipe that nobody reads yet.
    pub fn open(path: &Path, permission: Permission, read_again: bool) -> Result<Option<Self>, Failure> {
        Self::check(path, permission, read_again)?;
        let opening = |error: io::Error| Failure::destination(path, "opening the destination", &error);
        let (file, nature, ours) = if plan::is_standard(path) {
            let file = sys::standard_output().map_err(opening)?;
            let nature = sys::file_kind(&file).map_err(opening)?;
            (file, nature, false)
        } else {
            let nature = sys::file_kind_at(path).map_err(opening)?;
            match sys::open_stream_output(path).map_err(opening)? {
                Some(file) if sys::file_kind(&file).map_err(opening)? == nature => (file, nature, true),
                Some(_) => {
                    let what = "somebody has put something else in its place just now";
                    return Err(Failure::refused(path, what, "look who, then copy again"));
                }
                None => return Ok(None),
            }
        };
        // Whoever else has standard output open would be surprised by a pipe that does not block any more.
        let at_once = if nature == FileKind::Pipe && !ours { sys::PIPE_BUF } else { usize::MAX };
        let what =
            "this cannot be put in its place in one step: what is written is out before the copy is complete";
        let notes = vec![format!("{}: {what}", exit::show(path))];
        Ok(Some(Self { file, path: path.into(), permission, at_once, passage: Passage::default(), notes }))
    }

    fn failed(&self, doing: &str, error: &io::Error) -> Failure {
        if error.kind() == io::ErrorKind::BrokenPipe {
            let what = format!("{}: the program that reads it has ended", exit::show(&self.path));
            return Failure::new(exit::DESTINATION, format!("{what}; look why, then copy again"));
        }
        Failure::destination(&self.path, doing, error)
    }
}

impl Output for Outlet {
    fn record(&self) -> TargetRecord {
        TargetRecord { terminal: sys::terminal_id(), outlet: true, ..TargetRecord::default() }
    }

    fn notes(&self) -> &[String] {
        &self.notes
    }

    fn lost(&self) -> Failure {
        out_already(&self.path)
    }

    fn allow(&self, reached: u64) -> Result<(), Failure> {
        allow(&self.path, self.permission, reached)
    }

    fn pass_the_cache(&mut self, from: u64, usage: CacheUse) -> Vec<String> {
        // Only a disk has one; and what others have open too is left as it is.
        if plan::is_standard(&self.path)
            || !sys::file_kind(&self.file).is_ok_and(|nature| nature == FileKind::Disk)
        {
            return Passage::none(&self.path, usage);
        }
        self.passage.set(&self.file, &self.path, from, usage)
    }

    fn reached(&mut self, reached: Durable) -> Result<(), Failure> {
        self.passage.written_up_to(&self.file, reached.position);
        Ok(())
    }

    fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<usize, Failure> {
        let some = &bytes[..bytes.len().min(self.at_once)];
        let file = &self.file;
        let written = match sys::poll_ready(file, true) {
            Ok(true) => self.passage.pass(file, (offset, some.len()), || (&*file).write(some)),
            Ok(false) => return Ok(0),
            Err(error) => Err(error),
        };
        match written {
            // Room for nothing is what the end of a device looks like.
            Ok(0) => Err(self.failed("writing", &io::ErrorKind::StorageFull.into())),
            Ok(written) => Ok(written),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
                Ok(0)
            }
            Err(error) => Err(self.failed("writing", &error)),
        }
    }

    fn prepare(&mut self, whole: Durable, from_source: &FromSource, durable: bool) -> Result<Lost, Failure> {
        if durable {
            sys::sync_stream(&self.file)
                .map_err(|error| self.failed("flushing the copy to the disk", &error))?;
        }
        let of_source = (!from_source.preserve.is_empty()).then(|| NOTHING.into());
        let notes = self.passage.end(&self.file, &self.path, whole.position).into_iter().collect();
        Ok(Lost { of_source, notes })
    }
}
