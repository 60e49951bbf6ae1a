//! Flushes a copy from time to time while it runs, and records the flushed part in the journal.
//!
//! A thread of its own does this; the Writer waits for it only at the end.

use super::journal::{Heading, Journal};
use super::path::DestinationPath;
use crate::record::ResumePoint;
use crate::sys::{Directory, Entry};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

/// Time from the end of one checkpoint to the next. A kill loses what was copied in this time; `docs/benchmarks.md`
/// says what checkpoints cost.
const INTERVAL: Duration = Duration::from_secs(1);

/// Flushes the temporary file and writes the journal.
#[derive(Debug)]
pub struct Recorder {
    file: File,
    directory: Directory,
    journal_name: OsString,
    temporary: OsString,
    heading: Heading,
    /// The journal of the copy that this one resumes. Without one it is created once there is something to record.
    journal: Option<Journal>,
    /// An open file for the journal, on systems where a confined process cannot create one.
    prepared: Option<File>,
}

/// The thread that makes checkpoints.
#[derive(Debug)]
pub struct Checkpoints {
    shared: Arc<Shared>,
    thread: JoinHandle<(Box<Recorder>, io::Result<()>)>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    ended: Condvar,
}

#[derive(Debug, Default)]
struct State {
    reached: ResumePoint,
    ended: bool,
    failed: bool,
}

impl Recorder {
    /// Makes a recorder for this open file, which has this name now.
    pub fn new(
        path: &DestinationPath,
        (file, name): (&File, &OsStr),
        heading: Heading,
        journal: Option<Journal>,
        prepared: Option<File>,
    ) -> io::Result<Self> {
        Ok(Self {
            file: path.directory.open_again(file, name)?,
            directory: path.directory.try_clone()?,
            journal_name: path.journal(),
            temporary: path.temporary(),
            heading,
            journal,
            prepared,
        })
    }

    /// Returns the journal, once there is one.
    pub fn journal(&self) -> Option<&Journal> {
        self.journal.as_ref()
    }

    /// Flushes the copy up to this point and records it. Returns whether the record succeeded. An error means that the
    /// copy itself is not on the disk, which is final.
    pub fn flush(&mut self, reached: ResumePoint) -> io::Result<bool> {
        self.file.sync_data()?;
        Ok(self.record(reached, (0, 0)).is_ok())
    }

    /// Records that the copy is on the disk up to this point, which the caller has made sure of. If this fails, the
    /// older records are still true, and the copy can do without a new one.
    pub fn record(&mut self, reached: ResumePoint, modified: (i64, i64)) -> io::Result<()> {
        self.make_journal()?.record(reached, modified)
    }

    /// Returns the journal, and creates it if there is none.
    pub fn make_journal(&mut self) -> io::Result<&mut Journal> {
        match &mut self.journal {
            Some(journal) => Ok(journal),
            none => {
                let prepared = self.prepared.take();
                Ok(none.insert(Journal::create(
                    &self.directory,
                    &self.journal_name,
                    prepared,
                    &self.heading,
                )?))
            }
        }
    }

    /// Removes the journal and the temporary file. The system reports only once that data did not reach the disk: a
    /// process that replaces this one must not continue with that data, even if this process is killed next. Until then
    /// this process holds the file's lock.
    fn destroy(&self) {
        let _ = Journal::remove(&self.directory, &self.journal_name);
        let ours = Some(Entry::Regular(self.heading.target.file));
        if self.directory.entry(&self.temporary).ok().flatten() == ours {
            let _ = self.directory.remove(&self.temporary);
        }
    }

    fn run(&mut self, shared: &Shared) -> io::Result<()> {
        let mut recorded = ResumePoint::default();
        loop {
            let state = shared.lock();
            let (state, _) = shared
                .ended
                .wait_timeout_while(state, INTERVAL, |state| !state.ended)
                .unwrap_or_else(PoisonError::into_inner);
            let reached = state.reached;
            if state.ended {
                return Ok(());
            }
            drop(state);
            if reached.position > recorded.position {
                if !self.flush(reached)? {
                    return Ok(());
                }
                recorded = reached;
            }
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // No code panics while it holds the lock, and a panic ends the process.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Checkpoints {
    /// Starts the thread. If that fails, the recorder comes back with the system's error.
    pub fn start(recorder: Box<Recorder>) -> Result<Self, (Box<Recorder>, io::Error)> {
        let shared = Arc::new(Shared::default());
        // If no thread can be started, everything in its closure is lost. So the recorder is sent through a channel.
        let (hand_over, received) = mpsc::sync_channel::<Box<Recorder>>(1);
        let thread = std::thread::Builder::new().spawn({
            let shared = Arc::clone(&shared);
            move || {
                let mut recorder = received.recv().expect("the recorder is handed over at once");
                let result = recorder.run(&shared);
                if result.is_err() {
                    recorder.destroy();
                }
                shared.lock().failed = result.is_err();
                (recorder, result)
            }
        });
        match thread {
            Ok(thread) => {
                let _ = hand_over.send(recorder);
                Ok(Self { shared, thread })
            }
            Err(error) => Err((recorder, error)),
        }
    }

    /// Notes that the copy has reached this point. Returns `false` if an earlier part could not be flushed.
    pub fn reached(&self, reached: ResumePoint) -> bool {
        let mut state = self.shared.lock();
        state.reached = reached;
        !state.failed
    }

    /// Ends the thread once its last call has returned. Returns the recorder, and the error that stopped the thread.
    pub fn end(self) -> (Box<Recorder>, io::Result<()>) {
        self.shared.lock().ended = true;
        self.shared.ended.notify_one();
        self.thread.join().expect("a panic ends the process")
    }
}
