//! The record of how much of a copy is on the disk: a journal, and the thread that writes it.

use super::checkpoint::{Checkpoints, Recorder};
use super::journal::{Heading, Journal};
use super::path::DestinationPath;
use crate::record::ResumePoint;
use crate::sys;
use std::ffi::OsStr;
use std::fs::File;
use std::io;

/// A journal in each of its states.
#[derive(Debug, Default)]
pub struct Journaling {
    /// The journal that an interrupted copy left, until checkpoints begin.
    journal: Option<Journal>,
    /// An empty file for a journal, until checkpoints begin.
    prepared: Option<File>,
    checkpoints: Option<Checkpoints>,
    /// The recorder of the checkpoints, after they have ended, or if they could not be started.
    recorder: Option<Box<Recorder>>,
    /// True if the file system lets others write to each file. No journal is written there, because no copy would trust
    /// it.
    is_useless: bool,
}

impl Journaling {
    /// Continues the journal that an interrupted copy left for this temporary file, if there is one.
    pub fn of(journal: Option<Journal>, file: &File) -> Self {
        let is_useless = journal.is_none() && !sys::is_private_file(file);
        Self { journal, is_useless, ..Self::default() }
    }

    /// Makes a journal that names the temporary file before anything is written to that file. If this fails, the only
    /// loss is that no replacement is possible.
    pub fn begin(&mut self, path: &DestinationPath, heading: &Heading) {
        if self.journal.is_none()
            && self.make_journal(path, heading).is_ok()
            && let Some(journal) = &mut self.journal
        {
            let _ = journal.record(ResumePoint::default(), (0, 0));
        }
    }

    /// Opens a file for a journal, unless there is one: a confined process can give it a name, but not create it.
    pub fn prepare(&mut self, path: &DestinationPath) {
        if self.journal.is_none() && !self.is_useless {
            self.prepared = sys::prepare_file(&path.directory, &path.journal());
        }
    }

    /// Starts checkpoints of this open file, which has this name now. Returns the system's error if there are none,
    /// because no thread can be started: then nothing is recorded before the end.
    pub fn start(
        &mut self,
        path: &DestinationPath,
        file: (&File, &OsStr),
        heading: Heading,
    ) -> io::Result<Option<io::Error>> {
        if self.is_useless {
            return Ok(None);
        }
        let recorder = Recorder::new(path, file, heading, self.journal.take(), self.prepared.take())?;
        match Checkpoints::start(Box::new(recorder)) {
            Ok(checkpoints) => {
                self.checkpoints = Some(checkpoints);
                Ok(None)
            }
            Err((recorder, error)) => {
                self.recorder = Some(recorder);
                Ok(Some(error))
            }
        }
    }

    /// Notes that the copy has reached this point. Returns `false` if an earlier part could not be flushed.
    pub fn reached(&self, point: ResumePoint) -> bool {
        self.checkpoints.as_ref().is_none_or(|checkpoints| checkpoints.reached(point))
    }

    /// Ends the checkpoints.
    pub fn end(&mut self) -> io::Result<()> {
        let Some(checkpoints) = self.checkpoints.take() else { return Ok(()) };
        let (recorder, result) = checkpoints.end();
        // After an error there is no recorder, and nothing more is recorded: data that may have been lost between the
        // cache and the disk must not be trusted.
        result?;
        self.recorder = Some(recorder);
        Ok(())
    }

    /// Closes the journal, so that nothing more is recorded.
    pub fn forget(&mut self) {
        (self.journal, self.recorder) = (None, None);
    }

    /// Flushes the copy up to this point and records it. Returns `false` if the copy is not on the disk.
    pub fn flush(&mut self, reached: ResumePoint) -> bool {
        self.recorder.as_mut().is_none_or(|recorder| recorder.flush(reached).is_ok())
    }

    /// Records that the whole copy is on the disk, if there are earlier records.
    pub fn record_whole(&mut self, whole: ResumePoint, file: &File) {
        if let Some(recorder) = &mut self.recorder
            && recorder.journal().is_some()
            && let Ok(stat) = sys::fstat(file)
        {
            // If this fails and the process is killed while it commits, the next run only has to copy again.
            let _ = recorder.record(whole, stat.modified);
        }
    }

    /// Makes sure that there is a journal, even if nothing is on the disk yet.
    pub fn make_journal(&mut self, path: &DestinationPath, heading: &Heading) -> io::Result<()> {
        if let Some(recorder) = &mut self.recorder {
            recorder.make_journal()?;
        } else if self.journal.is_none() && !self.is_useless {
            let prepared = self.prepared.take();
            self.journal = Some(Journal::create(&path.directory, &path.journal(), prepared, heading)?);
        }
        Ok(())
    }

    /// Removes the journal, unless its name leads to another one by now: the journal goes with its temporary file, which
    /// somebody may have removed.
    pub fn remove(&self, path: &DestinationPath) {
        let files = [self.journal().map(Journal::file), self.prepared.as_ref()];
        if files.into_iter().flatten().any(|file| path.leads_to_open(&path.journal(), file)) {
            // If this fails, the next copy to this destination removes it.
            let _ = Journal::remove(&path.directory, &path.journal());
        }
    }

    /// Returns the position up to which the copy is recorded to be on the disk; 0 if nothing is recorded.
    pub fn durable(&self) -> u64 {
        self.journal().map_or(0, Journal::durable)
    }

    /// Returns the journal, if there is one. While checkpoints run, their thread has it.
    fn journal(&self) -> Option<&Journal> {
        self.recorder.as_ref().map_or(self.journal.as_ref(), |recorder| recorder.journal())
    }
}
