//! A limit on the time that a test takes.

use std::io::{self, Write};
use std::process::Child;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

/// All processes that the tests have started, to be killed if a test hangs.
static CHILDREN: Mutex<Vec<Weak<Mutex<Child>>>> = Mutex::new(Vec::new());

/// Lets the watchdogs kill this process.
pub fn watch(child: &Arc<Mutex<Child>>) {
    CHILDREN.lock().expect("no panic while it is held").push(Arc::downgrade(child));
}

/// Ends the whole test program, with its children, if a test hangs.
pub struct Watchdog {
    /// The thread notices when this is dropped at the end of the test.
    _end: Sender<()>,
}

impl Watchdog {
    pub fn new(limit: Duration) -> Self {
        let (sender, end) = mpsc::channel();
        let test = std::thread::current().name().unwrap_or("a test").to_owned();
        std::thread::spawn(move || {
            if end.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
                // Not `note!`, which is shown only at the end of the test.
                let _ = writeln!(io::stderr(), "\n{test}: still running after {limit:?}");
                for child in CHILDREN.lock().iter().flat_map(|all| all.iter()).filter_map(Weak::upgrade) {
                    let _ = child.lock().map(|mut child| child.kill());
                }
                std::process::abort();
            }
        });
        Self { _end: sender }
    }
}
