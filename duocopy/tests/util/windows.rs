//! Windows: console events instead of signals, and processes that can be suspended.

#![allow(clippy::upper_case_acronyms, reason = "the names that signals have elsewhere")]
#![allow(clippy::unused_self, reason = "other systems look at the process or the folder")]

use super::{Ended, Folder, MIB, Process, Run, left_out, milliseconds, pause, until};
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

/// With these options a copy can be held in its middle: one of 2 MiB takes two seconds, however busy the machine is.
pub const HELD_BLOCKS: &str = "--block-size=16K --buffer-size=64K --bwlimit=1M";
/// A held copy of this length takes longer than until the first checkpoint.
pub const LONG: usize = 2 * MIB;

/// Whether the next start of a program may succeed after this error. Wine's kernel sometimes answers "internal error"
/// when the new process is gone before it has run, which happens right after a kill.
pub fn passes(error: &io::Error) -> bool {
    error.raw_os_error() == Some(ERROR_INTERNAL_ERROR.cast_signed())
}

/// The names that other systems have for what is nearest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Ctrl-C, both of them.
    INT,
    TERM,
    /// Is suspended, and goes on.
    STOP,
    CONT,
    /// Is ended.
    KILL,
    /// There is nothing like it here: only in tests that are left out.
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

/// How much longer everything may take than on Linux: processes start slowly where Windows is only played.
pub const SLOWNESS: u64 = 5;
/// How a killed process ends.
pub const KILLED: i32 = 1;
/// What asks a process to stop.
pub const STOPPING: [Signal; 1] = [Signal::INT];

/// A path as the program shows it.
pub fn plain(path: &str) -> String {
    path.replace('/', r"\")
}

pub fn is_root() -> bool {
    false
}

pub fn can_be_held(_what: &str) -> bool {
    true
}

/// A pair in the middle of a copy of `src` to `dst`, of 2 MiB: the Reader is suspended, and goes on when it is told to,
/// or when its end is waited for.
pub fn held_in_the_middle(folder: &Folder, line: &str) -> [Process; 2] {
    let reader = folder.duocopy(line).start_reader();
    let writer = folder.duocopy(line).start_writer();
    // Until the first bytes have arrived. Where locks keep them from being read, the temporary file and some time must do.
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
    assert!(writer.ended().is_none(), "{}", writer.said());
    [reader, writer]
}

/// A console of its own, so that its events reach nobody else.
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
            let (said, errors) = (&output.stdout, String::from_utf8_lossy(&output.stderr));
            // A test program that does not find it sends nothing, and succeeds.
            let sent = output.status.success() && String::from_utf8_lossy(said).contains("1 passed");
            assert!(sent, "no event was sent: {errors}");
        }
        other => panic!("{other:?} is not used here"),
    }
}

/// Sends an event to everybody at the console of this process. Whoever sends one is there, too, so another process
/// does it.
pub fn event(process: u32, event: u32) -> Output {
    let mut command = Command::new(std::env::current_exe().expect("a test knows its executable"));
    command.args(["util::system::console_event", "--exact", "--nocapture"]);
    command.env("DUOCOPY_TEST_EVENT", format!("{process} {event}"));
    command.output().expect("the test executable starts again")
}

/// Not a test of its own: what the process started in `event` does.
#[test]
fn console_event() {
    let Ok(what) = std::env::var("DUOCOPY_TEST_EVENT") else { return };
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
    // Until the event has come here, too.
    pause(milliseconds(50));
}

unsafe extern "system" fn ignore(_event: u32) -> i32 {
    1
}

pub fn code_of(status: ExitStatus) -> i32 {
    status.code().expect("every process has an exit code here")
}

/// Links need a right that few have.
pub fn symlink(target: impl AsRef<Path>, link: impl AsRef<Path>) -> io::Result<()> {
    std::os::windows::fs::symlink_file(target, link)
}

/// As on other systems.
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
    /// Pipes are no files here.
    pub fn pipe(&self) -> Option<File> {
        None
    }

    pub fn with_own_mounts(&self, what: &str, _script: &str) -> Option<Ended> {
        left_out(&format!("{what}: there are no small file systems to mount here"));
        None
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
