//! While the copy goes on, brings it to the disk from time to time and writes down how far it is.
//!
//! A thread of its own: the Writer never waits for it, except at the end.

use crate::journal::{Durable, Heading, Journal};
use crate::sys::{Directory, Entry};
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Time from the end of one checkpoint to the next. What is lost by a kill is what was copied in this time;
/// `docs/benchmarks.md` says what it costs.
const EVERY: Duration = Duration::from_secs(1);

/// What the thread works on.
#[derive(Debug)]
pub struct Keeper {
    pub file: File,
    pub directory: Directory,
    pub name: OsString,
    pub temporary: OsString,
    pub heading: Heading,
    /// What an earlier copy left, if this one goes on from there. Otherwise it is made when there is something to say.
    pub journal: Option<Journal>,
}

#[derive(Debug)]
pub struct Checkpoints {
    shared: Arc<Shared>,
    thread: JoinHandle<(Keeper, io::Result<()>)>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    ended: Condvar,
}

#[derive(Debug, Default)]
struct State {
    reached: Durable,
    ended: bool,
    failed: bool,
}

impl Keeper {
    /// Brings the copy up to here to the disk, then says so; whether it could be said. An error if the copy itself
    /// is not on the disk, which is final.
    pub fn record(&mut self, reached: Durable) -> io::Result<bool> {
        self.file.sync_data()?;
        Ok(self.write_down(reached, (0, 0)).is_ok())
    }

    /// Says that so much of the copy is on the disk; the caller has seen to it. If this fails, what was said before
    /// is still true, and the copy can go on without it.
    pub fn write_down(&mut self, reached: Durable, modified: (i64, i64)) -> io::Result<()> {
        let journal = match &mut self.journal {
            Some(journal) => journal,
            none => none.insert(Journal::create(&self.directory, &self.name, &self.heading)?),
        };
        journal.record(reached, modified)
    }

    /// The system says only once that something did not get to the disk. Who takes this process' place must not go on
    /// with it, even if this is all that this process still does. It holds the file's lock.
    fn destroy(&self) {
        let _ = self.directory.remove_if_exists(&self.name);
        let ours = Some(Entry::Regular(self.heading.target.file));
        if self.directory.entry(&self.temporary).ok().flatten() == ours {
            let _ = self.directory.remove(&self.temporary);
        }
    }

    fn run(&mut self, shared: &Shared) -> io::Result<()> {
        let mut recorded = Durable::default();
        loop {
            let state = shared.lock();
            let (state, _) = shared
                .ended
                .wait_timeout_while(state, EVERY, |state| !state.ended)
                .unwrap_or_else(PoisonError::into_inner);
            let reached = state.reached;
            if state.ended {
                return Ok(());
            }
            drop(state);
            if reached.position > recorded.position {
                if !self.record(reached)? {
                    return Ok(());
                }
                recorded = reached;
            }
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nobody panics with it, and a panic ends the process.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Checkpoints {
    /// Starts the thread.
    pub fn start(mut keeper: Keeper) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let thread = std::thread::Builder::new().spawn({
            let shared = Arc::clone(&shared);
            move || {
                let result = keeper.run(&shared);
                if result.is_err() {
                    keeper.destroy();
                }
                shared.lock().failed = result.is_err();
                (keeper, result)
            }
        })?;
        Ok(Self { shared, thread })
    }

    /// The copy has got this far; `false` if what it wrote before could not be brought to the disk.
    pub fn reached(&self, reached: Durable) -> bool {
        let mut state = self.shared.lock();
        state.reached = reached;
        !state.failed
    }

    /// Ends the thread, when its last call has returned. Gives what it worked on, and the error that stopped it.
    pub fn end(self) -> (Keeper, io::Result<()>) {
        self.shared.lock().ended = true;
        self.shared.ended.notify_one();
        self.thread.join().expect("a panic ends the process")
    }
}
