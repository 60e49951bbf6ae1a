//! Unix: signals, modes, mount tables, and pipes that are files.

use super::{
    Ended, Folder, MIB, PROGRAM, Process, Run, SLOW_WRITES, SMALL_BLOCKS, pair, pipe_header, succeeds,
};
use rustix::fs::{CWD, FileType, Mode};
pub use rustix::process::Signal;
use rustix::process::{Pid, kill_process};
use std::fs::{self, File};
use std::io;
pub use std::os::unix::fs::{FileExt, symlink};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// The user without rights that every system has.
pub const NOBODY: u32 = 65534;
/// A script exits with this code if it cannot run its test here. Its last message is the reason.
const IMPOSSIBLE_HERE: i32 = 77;
/// How much longer everything may take than on Linux.
pub const SLOWNESS: u64 = 1;
/// The attribute in which a file's access list is stored.
pub const ACCESS_LIST: &str = "system.posix_acl_access";
/// A copy with these blocks can be held in the middle.
pub const HELD_BLOCKS: &str = SMALL_BLOCKS;
/// A held copy of this length takes three seconds, longer than until the first checkpoint.
pub const LONG: usize = 8 * MIB;
/// The exit code of a killed process.
pub const KILLED: i32 = -9;
/// The signals that ask a process to stop.
pub const STOPPING: [Signal; 3] = [Signal::INT, Signal::TERM, Signal::HUP];

/// Whether the next start of a program may succeed after this error. A program that was just copied is busy while the
/// fork of another test still has it open for writing.
pub fn passes(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::ExecutableFileBusy
}

/// A path as the program shows it.
pub fn plain(path: &str) -> String {
    path.to_owned()
}

pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Starts a pair with a slow Writer and returns it in the middle of its copy: 2 MiB take most of a second.
pub fn held_in_the_middle(folder: &Folder, line: &str) -> [Process; 2] {
    let processes = pair(folder.duocopy(line), folder.duocopy(line).traced(SLOW_WRITES));
    processes[1].has_written(3);
    processes
}

/// Returns the number of a user that no other test has, in this process or in another one at the same time.
pub fn fresh_user() -> u32 {
    static USERS: AtomicU32 = AtomicU32::new(0);
    30_000 + std::process::id() % 300 * 100 + USERS.fetch_add(1, Ordering::Relaxed) % 100
}

/// Returns the command that runs another one with a mount namespace of its own, if this user may have one.
pub fn own_mounts() -> Option<&'static [&'static str]> {
    static WAYS: [&[&str]; 2] = [&["unshare", "--mount"], &["unshare", "--mount", "--map-root-user"]];
    static WORKS: OnceLock<Option<usize>> = OnceLock::new();
    let works = WORKS.get_or_init(|| {
        WAYS.iter().position(|way| {
            let mount = "mount -t tmpfs -o size=64k tmpfs /dev/shm";
            succeeds(Command::new(way[0]).args(&way[1..]).args(["sh", "-c", mount]))
        })
    });
    works.map(|way| WAYS[way])
}

/// Sets the user and group of a process, and whether it has a process group of its own.
pub fn surround(command: &mut Command, user: Option<(u32, u32)>, own_group: bool) {
    if let Some((user, group)) = user {
        command.uid(user).gid(group);
    }
    if own_group {
        command.process_group(0);
    }
}

/// Returns an access list that lets one more user read: version 2, then kind, permissions and number of each entry.
pub fn access_list() -> Vec<u8> {
    let entries = [
        (1_u16, 6_u16, u32::MAX),
        (2, 4, NOBODY),
        (4, 4, u32::MAX),
        (0x10, 4, u32::MAX),
        (0x20, 0, u32::MAX),
    ];
    let entries = entries.map(|(kind, rights, id)| {
        [&kind.to_le_bytes()[..], &rights.to_le_bytes(), &id.to_le_bytes()].concat()
    });
    [&2_u32.to_le_bytes()[..], &entries.concat()].concat()
}

/// Words of a pipe's header.
#[derive(Debug)]
pub struct Header {
    pub state: u64,
    /// How many blocks the Reader has sent, and the Writer has released.
    pub filled: u64,
    pub emptied: u64,
    /// Not 0 once the Writer has begun.
    pub begun: u64,
    /// Whether the Reader sleeps, and in the upper half whether the Writer does.
    pub sleepers: u64,
    /// The stage of the verdict.
    pub stage: u64,
}

pub fn send(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).expect("sending a signal");
}

/// Returns the exit code; the number of a signal that killed the process is negative.
pub fn code_of(status: ExitStatus) -> i32 {
    status.code().unwrap_or_else(|| -status.signal().unwrap_or(0))
}

impl Folder {
    pub fn mode(&self, name: impl AsRef<Path>) -> u32 {
        fs::symlink_metadata(self.path(name)).expect("inspecting a file").mode() & 0o7777
    }

    pub fn set_mode(&self, name: impl AsRef<Path>, mode: u32) {
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(mode)).expect("setting a mode");
    }

    /// Sets an extended attribute. Returns whether that was possible.
    pub fn set_attribute(&self, name: impl AsRef<Path>, attribute: &str, value: &[u8]) -> bool {
        let flags = rustix::fs::XattrFlags::empty();
        rustix::fs::setxattr(self.path(name), attribute, value, flags).is_ok()
    }

    pub fn attribute(&self, name: impl AsRef<Path>, attribute: &str) -> Option<Vec<u8>> {
        let mut value = vec![0; 65536];
        let length = rustix::fs::getxattr(self.path(name), attribute, &mut value[..]).ok()?;
        value.truncate(length);
        Some(value)
    }

    pub fn make_fifo(&self, name: impl AsRef<Path>) {
        let mode = Mode::RUSR | Mode::WUSR;
        rustix::fs::mknodat(CWD, self.path(name), FileType::Fifo, mode, 0).expect("making a named pipe");
    }

    /// Opens the pipe between two processes that copy `src` to `dst`, while there is one.
    pub fn pipe(&self) -> Option<File> {
        pipe_file([self.text("src"), self.text("dst")].join("\0").as_bytes())
    }

    /// Whether the Writer of [`Self::write_half`] has begun to take blocks.
    pub fn halves_have_begun(&self) -> bool {
        let mut begun = [0; 4];
        let pipe = pipe_file(self.pipe_name().as_bytes());
        let read = pipe.and_then(|pipe| pipe.read_exact_at(&mut begun, pipe_header::BEGUN).ok());
        read.is_some() && begun != [0; 4]
    }

    /// Returns the words of the pipe's header that explain a failure.
    pub fn header(&self) -> Option<Header> {
        let mut header = [0; pipe_header::LENGTH];
        self.pipe()?.read_exact_at(&mut header, 0).ok()?;
        let word = |at: u64| {
            let at = usize::try_from(at).expect("an offset in the header");
            u64::from_ne_bytes(header[at..at + 8].try_into().expect("eight bytes"))
        };
        Some(Header {
            state: word(pipe_header::STATE) & 0xff,
            filled: word(pipe_header::FILLED),
            emptied: word(pipe_header::EMPTIED),
            begun: word(pipe_header::BEGUN) & 0xffff_ffff,
            sleepers: word(pipe_header::READER_SLEEPS),
            stage: word(pipe_header::VERDICT) & 0xff,
        })
    }

    /// Runs a script with a mount namespace of its own; `$0` is the program. The test needs `own_mounts`.
    pub fn with_own_mounts(&self, script: &str) -> Ended {
        let way = own_mounts().expect("the test needs own_mounts");
        let mut command = Command::new(way[0]);
        command.args(&way[1..]).args(["sh", "-euc", script, PROGRAM]);
        let ended = self.start(command, false).end();
        if ended.code == IMPOSSIBLE_HERE {
            harness::ignore(ended.messages.trim());
        }
        ended
    }

    /// Returns a copy of the program that every user can start. Other users may be unable to enter the directory in
    /// which the program was built.
    pub fn program_for_others(&self) -> PathBuf {
        self.set_mode("", 0o755);
        let program = self.path("program");
        if !program.exists() {
            // Another process makes the copy: if this one had the file open for writing, the child of another test
            // could inherit it, and a program that is open for writing cannot be started.
            assert!(succeeds(Command::new("cp").arg(PROGRAM).arg(&program)), "copying the program");
        }
        program
    }

    /// Gives this line to a shell in another directory that finds the program through PATH.
    pub fn typed_into(&self, shell: &str, line: &str) -> Ended {
        let directory = Path::new(PROGRAM).parent().expect("the program is in a directory");
        let path = std::env::var_os("PATH").unwrap_or_default();
        let directories = std::iter::once(directory.to_path_buf()).chain(std::env::split_paths(&path));
        let mut command = Command::new(shell);
        command.env("PATH", std::env::join_paths(directories).expect("directories without a colon"));
        // With `exec` the program is our child, and ends with the test.
        command.args(["-c", "cd / && eval \"exec $1\"", shell, line]);
        self.start(command, false).end()
    }
}

impl Drop for Folder {
    /// Removes what killed processes have left in shared memory, because nothing uses these names again.
    fn drop(&mut self) {
        let ours = self.text("").into_bytes();
        for (path, _, name) in pipes() {
            if name.windows(ours.len()).any(|part| part == ours) {
                let _ = fs::remove_file(path);
            }
        }
    }
}

impl Run<'_> {
    /// Runs the program as a user who owns nothing if the tests run as root, and otherwise as the tests' user.
    pub fn by_nobody(self) -> Self {
        if is_root() { self.by_user(NOBODY, NOBODY) } else { self }
    }

    /// Runs the program as this user and in this group only, which only root can.
    pub fn by_user(mut self, user: u32, group: u32) -> Self {
        self.program = self.folder.program_for_others();
        self.user = Some((user, group));
        self
    }
}

impl Process {
    /// Signals its process group, as Ctrl-C does.
    pub fn signal_group(&self, signal: Signal) {
        let group = Pid::from_child(&self.child());
        rustix::process::kill_process_group(group, signal).expect("sending a signal");
    }

    /// Returns where in the kernel each of its threads sleeps, to explain a failure.
    pub fn sleeps_in(&self) -> Vec<String> {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.id())).into_iter().flatten().flatten();
        tasks.map(|task| fs::read_to_string(task.path().join("wchan")).unwrap_or_default()).collect()
    }

    /// Lists the processes that it has started and that still run.
    pub fn children(&self) -> Vec<u32> {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.id())).into_iter().flatten().flatten();
        let children = tasks.map(|task| fs::read_to_string(task.path().join("children")).unwrap_or_default());
        let all = children.collect::<Vec<_>>().join(" ");
        all.split_whitespace().filter_map(|id| id.parse().ok()).collect()
    }

    /// Returns the most memory that it has had at once, in bytes, while it lives.
    pub fn peak_memory(&self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        Some(line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()? << 10)
    }
}

/// Returns the directory of this user's pipes.
pub fn pipes_folder() -> PathBuf {
    pipes_folder_of(rustix::process::geteuid().as_raw())
}

/// Returns the directory of another user's pipes.
pub fn pipes_folder_of(user: u32) -> PathBuf {
    let portable = if cfg!(blockpipe_portable) { "-portable" } else { "" };
    format!("/dev/shm/blockpipe{portable}-{user}").into()
}

/// Lists the pipes of this user: path, file and the stored beginning of the name.
fn pipes() -> Vec<(PathBuf, File, Vec<u8>)> {
    let paths = fs::read_dir(pipes_folder()).into_iter().flatten().flatten().map(|entry| entry.path());
    let pipe = |path: PathBuf| {
        let file = File::options().read(true).write(true).open(&path).ok()?;
        let mut length = [0; 4];
        file.read_exact_at(&mut length, pipe_header::NAME_LENGTH).ok()?;
        let length = u32::from_ne_bytes(length) as usize;
        let mut name = vec![0; length.min(pipe_header::NAME_LIMIT)];
        file.read_exact_at(&mut name, pipe_header::NAME).ok()?;
        Some((path, file, name))
    };
    paths.filter_map(pipe).collect()
}

/// Opens the pipe with this name.
pub fn pipe_file(name: &[u8]) -> Option<File> {
    let stored = &name[..name.len().min(pipe_header::NAME_LIMIT)];
    pipes().into_iter().find_map(|(_, file, name)| (name == stored).then_some(file))
}
