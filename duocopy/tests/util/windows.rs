//! Windows: console events instead of signals, and processes that can be suspended.

#![allow(clippy::upper_case_acronyms, reason = "the names that signals have elsewhere")]
#![allow(clippy::unused_self, reason = "other systems use the process or the folder")]

use super::{Ended, Folder, MIB, Process, Run, milliseconds, pause, until};
use std::fs::File;
use std::io::{self, Read};
use std::os::windows::fs::FileExt as _;
use std::os::windows::io::AsRawHandle;
use std::os::windows::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output};
use std::time::Instant;
use windows_sys::Win32::Foundation::{ERROR_INTERNAL_ERROR, HANDLE, NTSTATUS};
use windows_sys::Win32::System::Console::{
    AttachConsole, CTRL_C_EVENT, FreeConsole, GenerateConsoleCtrlEvent, SetConsoleCtrlHandler,
};
use windows_sys::Win32::System::Threading::CREATE_NO_WINDOW;

#[link(name = "ntdll.dll", kind = "raw-dylib", modifiers = "+verbatim")]
unsafe extern "system" {
    fn NtSuspendProcess(process: HANDLE) -> NTSTATUS;
    fn NtResumeProcess(process: HANDLE) -> NTSTATUS;
}

/// A copy with these options can be held in the middle: 2 MiB take two seconds, however busy the machine is.
pub const HELD_BLOCKS: &str = "--block-size=16K --buffer-size=64K --bwlimit=1M";
/// A held copy of this length takes longer than until the first checkpoint.
pub const LONG: usize = 2 * MIB;

/// Whether the next start of a program may succeed after this error. Wine's kernel sometimes answers "internal error"
/// when the new process is gone before it has run, which happens right after a kill.
pub fn passes(error: &io::Error) -> bool {
    error.raw_os_error() == Some(ERROR_INTERNAL_ERROR.cast_signed())
}

/// The signals of other systems that have a counterpart here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Ctrl-C stands for INT and for TERM.
    INT,
    TERM,
    /// Suspends and resumes the process.
    STOP,
    CONT,
    /// Terminates the process.
    KILL,
    /// Has no counterpart: only tests that do not run here use it.
    USR1,
    HUP,
}

impl Signal {
    pub fn as_raw(self) -> i32 {
        match self {
            Self::INT | Self::TERM => 2,
            other => panic!("{other:?} is not used here"),
        }
    }
}

/// How much longer everything may take than on Linux: processes start slowly under Wine.
pub const SLOWNESS: u64 = 5;
/// The exit code of a killed process.
pub const KILLED: i32 = 1;
/// The signals that ask a process to stop.
pub const STOPPING: [Signal; 1] = [Signal::INT];

/// A path as the program shows it.
pub fn plain(path: &str) -> String {
    path.replace('/', r"\")
}

pub fn is_root() -> bool {
    false
}

pub fn own_mounts() -> Option<&'static [&'static str]> {
    None
}

/// Starts a pair and returns it in the middle of its copy of 2 MiB. The Reader is suspended, and continues when the
/// test says so or waits for its end.
pub fn held_in_the_middle(folder: &Folder, line: &str) -> [Process; 2] {
    let reader = folder.duocopy(line).start_reader();
    let writer = folder.duocopy(line).start_writer();
    // Wait for the first bytes. Where a lock keeps them from being read, wait for the temporary file and some time.
    let mut there: Option<Instant> = None;
    until("the first bytes of the copy", || {
        let temporary = folder.temporaries("").pop()?;
        let since = there.get_or_insert_with(Instant::now).elapsed();
        let mut byte = [0];
        let read = File::open(temporary).and_then(|mut file| file.read(&mut byte));
        (byte != [0] || read.is_err() && since > milliseconds(100)).then_some(())
    });
    reader.signal(Signal::STOP);
    reader.paused.set(true);
    pause(milliseconds(100));
    assert!(writer.ended().is_none(), "{}", writer.messages());
    [reader, writer]
}

/// Gives a process a console of its own, so that events reach no other process.
pub fn surround(command: &mut Command, _user: Option<(u32, u32)>, _own_group: bool) {
    command.creation_flags(CREATE_NO_WINDOW);
}

pub fn send(child: &Child, signal: Signal) {
    // SAFETY: the child's handle is open.
    let done = |call: unsafe extern "system" fn(HANDLE) -> NTSTATUS| unsafe { call(child.as_raw_handle()) };
    match signal {
        Signal::STOP => assert!(done(NtSuspendProcess) >= 0),
        Signal::CONT => assert!(done(NtResumeProcess) >= 0),
        Signal::INT | Signal::TERM => {
            let output = event(child.id(), CTRL_C_EVENT);
            let errors = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "no event was sent: {errors}");
        }
        other => panic!("{other:?} is not used here"),
    }
}

/// The environment variable that makes the test executable send a console event.
const EVENT: &str = "DUOCOPY_TEST_EVENT";

/// Sends an event to all processes at the console of this process. The sender must be at that console, too, so another
/// process sends it.
pub fn event(process: u32, event: u32) -> Output {
    let mut command = Command::new(std::env::current_exe().expect("a test knows its executable"));
    command.env(EVENT, format!("{process} {event}"));
    command.output().expect("the test executable starts again")
}

/// Sends the event if this process was started for that, and ends the process.
pub fn send_event_if_asked() {
    let Ok(what) = std::env::var(EVENT) else { return };
    let (process, event) = what.split_once(' ').expect("two words");
    // SAFETY: these calls take numbers and a handler that lives as long as the process.
    unsafe {
        FreeConsole();
        let attached = AttachConsole(process.parse().expect("a number"));
        assert!(attached != 0, "attaching: {}", io::Error::last_os_error());
        SetConsoleCtrlHandler(Some(ignore), 1);
        let sent = GenerateConsoleCtrlEvent(event.parse().expect("a number"), 0);
        assert!(sent != 0, "sending: {}", io::Error::last_os_error());
    }
    // The event must have arrived here, too, before the handler goes away.
    pause(milliseconds(50));
    std::process::exit(0);
}

unsafe extern "system" fn ignore(_event: u32) -> i32 {
    1
}

pub fn code_of(status: ExitStatus) -> i32 {
    status.code().expect("every process has an exit code here")
}

/// Makes a link, which needs a right that few users have.
pub fn symlink(target: impl AsRef<Path>, link: impl AsRef<Path>) -> io::Result<()> {
    std::os::windows::fs::symlink_file(target, link)
}

/// Reads and writes at an offset, as on other systems.
pub trait FileExt {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;
    fn write_all_at(&self, buffer: &[u8], offset: u64) -> io::Result<()>;
}

impl FileExt for File {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        assert_eq!(self.seek_read(buffer, offset)?, buffer.len());
        Ok(())
    }

    fn write_all_at(&self, buffer: &[u8], offset: u64) -> io::Result<()> {
        assert_eq!(self.seek_write(buffer, offset)?, buffer.len());
        Ok(())
    }
}

impl Folder {
    /// Returns nothing, because pipes are not files here.
    pub fn pipe(&self) -> Option<File> {
        None
    }

    pub fn with_own_mounts(&self, _script: &str) -> Ended {
        unreachable!("no file systems can be mounted here")
    }
}

impl Run<'_> {
    pub fn by_nobody(self) -> Self {
        self
    }
}

impl Process {
    pub fn children(&self) -> Vec<u32> {
        Vec::new()
    }

    pub fn signal_group(&self, signal: Signal) {
        self.signal(signal);
    }
}
