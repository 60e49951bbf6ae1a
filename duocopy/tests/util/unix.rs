//! Unix: signals, modes, mount tables, and pipes that are files.

use super::{
    Ended, Folder, MIB, PROGRAM, Process, Run, SLOW_WRITES, SMALL_BLOCKS, left_out, pair, strace, succeeds,
};
pub use rustix::process::Signal;
use rustix::process::{Pid, kill_process};
use std::fs::{self, File};
use std::io;
#[allow(unused_imports, reason = "each test program uses a part of this")]
pub use std::os::unix::fs::{FileExt, symlink};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::sync::OnceLock;

/// Nobody in particular, who exists on every system.
pub const NOBODY: u32 = 65534;
/// How much longer everything may take than on Linux.
pub const SLOWNESS: u64 = 1;
/// With these blocks a copy can be held in its middle.
pub const HELD_BLOCKS: &str = SMALL_BLOCKS;
/// A held copy of this length takes longer than until the first checkpoint: three seconds.
pub const LONG: usize = 8 * MIB;
/// How a killed process ends.
pub const KILLED: i32 = -9;
/// What asks a process to stop.
pub const STOPPING: [Signal; 3] = [Signal::INT, Signal::TERM, Signal::HUP];

/// Whether the next start of a program may succeed after this error. One that was just copied is busy while any fork of
/// another test still has it open for writing.
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

/// Whether a copy can be held in its middle. Without this, `what` is left out.
pub fn can_be_held(what: &str) -> bool {
    strace(what)
}

/// A pair in the middle of a copy of `src` to `dst`, whose Writer is slow: 2 MiB take most of a second.
pub fn held_in_the_middle(folder: &Folder, line: &str) -> [Process; 2] {
    let processes = pair(folder.duocopy(line), folder.duocopy(line).traced(SLOW_WRITES));
    processes[1].has_called("pwrite64", 3);
    processes
}

/// The command before `sh` that gives it a mount table of its own, if this user may have one.
pub fn own_mounts(what: &str) -> Option<&'static [&'static str]> {
    static WAYS: [&[&str]; 2] = [&["unshare", "--mount"], &["unshare", "--mount", "--map-root-user"]];
    static WORKS: OnceLock<Option<usize>> = OnceLock::new();
    let works = WORKS.get_or_init(|| {
        WAYS.iter().position(|way| {
            let mount = "mount -t tmpfs -o size=64k tmpfs /dev/shm";
            succeeds(Command::new(way[0]).args(&way[1..]).args(["sh", "-c", mount]))
        })
    });
    if works.is_none() {
        left_out(&format!("{what}: this user may not mount"));
    }
    works.map(|way| WAYS[way])
}

/// Whose process it is to be, and whether in a group of its own.
pub fn surround(command: &mut Command, user: Option<(u32, u32)>, own_group: bool) {
    if let Some((user, group)) = user {
        command.uid(user).gid(group);
    }
    if own_group {
        command.process_group(0);
    }
}

pub fn send(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).expect("sending a signal");
}

/// The exit code; a signal that killed it is negative.
pub fn code_of(status: ExitStatus) -> i32 {
    status.code().unwrap_or_else(|| -status.signal().unwrap_or(0))
}

impl Folder {
    pub fn mode(&self, name: impl AsRef<Path>) -> u32 {
        fs::symlink_metadata(self.path(name)).expect("looking at a file").mode() & 0o7777
    }

    pub fn set_mode(&self, name: impl AsRef<Path>, mode: u32) {
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(mode)).expect("setting a mode");
    }

    /// The header of the pipe between two processes that copy `src` to `dst`, while there is one.
    pub fn pipe(&self) -> Option<File> {
        pipe_file([self.text("src"), self.text("dst")].join("\0").as_bytes())
    }

    /// For the story of a failure: state, counters, whether the consumer has begun, who sleeps, and the verdict
    /// (`ring.rs` of the library).
    pub fn header(&self) -> Option<[u64; 6]> {
        let mut header = [0; 4096];
        self.pipe()?.read_exact_at(&mut header, 0).ok()?;
        let word = |at: usize| u64::from_ne_bytes(header[at..at + 8].try_into().expect("eight bytes"));
        Some([
            word(12) & 0xff,
            word(2304),
            word(2432),
            word(2440) & 0xffff_ffff,
            word(2568),
            word(2560) & 0xff,
        ])
    }

    /// Runs a script with a mount table of its own; `$0` is the program. Nothing if this user may not.
    pub fn with_own_mounts(&self, what: &str, script: &str) -> Option<Ended> {
        let way = own_mounts(what)?;
        let mut command = Command::new(way[0]);
        command.args(&way[1..]).args(["sh", "-euc", script, PROGRAM]);
        Some(self.start(command, false).end())
    }

    /// Gives this very line to a shell that knows the program by its name only and is somewhere else.
    pub fn typed_into(&self, shell: &str, line: &str) -> Ended {
        let place = Path::new(PROGRAM).parent().expect("the program is in a directory");
        let known = std::env::var_os("PATH").unwrap_or_default();
        let places = std::iter::once(place.to_path_buf()).chain(std::env::split_paths(&known));
        let mut command = Command::new(shell);
        command.env("PATH", std::env::join_paths(places).expect("directories without a colon"));
        // `exec`, so that what is typed is our child and ends with the test.
        command.args(["-c", "cd / && eval \"exec $1\"", shell, line]);
        self.start(command, false).end()
    }
}

impl Drop for Folder {
    /// Removes what killed processes left in shared memory: nobody comes to these names again.
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
    /// As a user who owns nothing, if the tests run as root; and as ourselves otherwise.
    pub fn by_nobody(self) -> Self {
        if is_root() { self.by_user(NOBODY, NOBODY) } else { self }
    }

    /// As this user, in this group only. Only root can.
    pub fn by_user(mut self, user: u32, group: u32) -> Self {
        self.folder.set_mode("", 0o755);
        // Where the program was built may be closed to others.
        self.program = self.folder.path("program");
        if !self.program.exists() {
            fs::copy(PROGRAM, &self.program).expect("copying the program");
        }
        self.user = Some((user, group));
        self
    }
}

impl Process {
    /// As Ctrl-C does it: to everybody in its process group.
    pub fn signal_group(&self, signal: Signal) {
        let group = Pid::from_child(&self.child());
        rustix::process::kill_process_group(group, signal).expect("sending a signal");
    }

    /// Where in the kernel each of its threads sleeps, for the story of a failure.
    pub fn sleeps_in(&self) -> Vec<String> {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.id())).into_iter().flatten().flatten();
        tasks.map(|task| fs::read_to_string(task.path().join("wchan")).unwrap_or_default()).collect()
    }

    /// The processes that it has started and that still run.
    pub fn children(&self) -> Vec<u32> {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.id())).into_iter().flatten().flatten();
        let children = tasks.map(|task| fs::read_to_string(task.path().join("children")).unwrap_or_default());
        let all = children.collect::<Vec<_>>().join(" ");
        all.split_whitespace().filter_map(|id| id.parse().ok()).collect()
    }

    /// The most memory that it has had at once, in bytes, while it lives.
    pub fn peak_memory(&self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        Some(line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()? << 10)
    }
}

/// Where this user's pipes are.
pub fn pipes_folder() -> PathBuf {
    let portable = if cfg!(blockpipe_portable) { "-portable" } else { "" };
    format!("/dev/shm/blockpipe{portable}-{}", rustix::process::geteuid().as_raw()).into()
}

/// The pipes of this user: path, file and the beginning of the name (`layout.rs` of the library).
fn pipes() -> Vec<(PathBuf, File, Vec<u8>)> {
    let paths = fs::read_dir(pipes_folder()).into_iter().flatten().flatten().map(|entry| entry.path());
    let pipe = |path: PathBuf| {
        let file = File::options().read(true).write(true).open(&path).ok()?;
        let mut header = [0; 4096];
        file.read_exact_at(&mut header, 0).ok()?;
        let length = u32::from_ne_bytes(header[256..260].try_into().expect("four bytes")) as usize;
        let name = header[260..].get(..length)?.to_vec();
        Some((path, file, name))
    };
    paths.filter_map(pipe).collect()
}

/// The file of the pipe under this name.
pub fn pipe_file(name: &[u8]) -> Option<File> {
    let stored = &name[..name.len().min(508)];
    pipes().into_iter().find_map(|(_, file, name)| (name == stored).then_some(file))
}
