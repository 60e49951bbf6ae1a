//! The attempts of an attacker that has taken over a half.

use super::tracee::{Argument, Tracee};
use crate::util::*;
use rustix::io::Errno;
use std::fs;
use std::path::{Path, PathBuf};

/// The rows of the table in docs/cli.md.
const SEE: &str =
    "see whether a path exists, the size, times, mode and owner of what is there, and where a link leads";
const SEE_ATTRIBUTES: &str = "see the extended attributes of what is at a path";
const READ_PIPE: &str = "read a file in or below the pipe's directory";
const REMOVE_PIPE: &str = "remove a file in or below the pipe's directory";
const READ_BESIDE: &str = "read a file in or below DST's directory";
const LIST_BESIDE: &str = "list DST's directory";
const RENAME_BESIDE: &str =
    "rename or remove a file in or below DST's directory, or give it a second name there";
const RENAME: &str = "rename or remove any other file, or move one to another directory";
pub const CHANGE_OWN: &str =
    "change the length, mode, owner, attributes and times of the file that it writes";
const CHANGE: &str = "change those of any other file, open or not, except that it can make longer what it has open for writing: the pipe and the journal";
const READ: &str = "read any other file, such as `/etc/passwd`";
const WRITE: &str = "open a file for writing, or create one";
const START: &str =
    "start a program or a process, open a connection, signal another process, make memory executable";

const CURRENT: i32 = libc::AT_FDCWD;

/// A system call that a half has tried, and its result.
pub struct Attempt {
    pub row: &'static str,
    pub what: String,
    pub result: i64,
}

/// Returns whether the sandbox, and not the file system, has refused a call.
pub fn is_refused(result: i64) -> bool {
    let errors = [Errno::NOSYS, Errno::ACCESS, Errno::XDEV, Errno::PERM];
    errors.into_iter().any(|error| result == -i64::from(error.raw_os_error()))
}

/// An attacker inside a half.
struct Attacker<'a> {
    tracee: &'a Tracee,
    folder: &'a Folder,
    /// A file in the directory of the half's pipe.
    pipe: PathBuf,
    /// The descriptors that the half had open at first, and those that the attacker has opened.
    open: Vec<(i64, String)>,
    /// The descriptor of the temporary file.
    own: Option<i64>,
    attempts: Vec<Attempt>,
}

/// Makes all attempts that need arguments. `pipes` is the directory of the half's pipe.
pub fn attempts(tracee: &Tracee, folder: &Folder, pipes: &Path) -> Vec<Attempt> {
    let pipe = pipes.join(format!("attacked-{}", folder.pipe_name()));
    fs::write(&pipe, "x").expect("root may");
    let open = tracee.descriptors();
    let is_temporary = |(_, path): &&(i64, String)| path.rsplit('.').next() == Some("part");
    // The thread that makes checkpoints has a second descriptor, with a higher number.
    let own = open.iter().find(is_temporary).map(|(number, _)| *number);
    let mut attacker = Attacker { tracee, folder, pipe, open, own, attempts: Vec::new() };
    attacker.looks();
    attacker.reads();
    attacker.writes();
    attacker.changes_what_is_open();
    attacker.changes_by_name();
    attacker.lists();
    attacker.renames();
    attacker.starts();
    let _ = fs::remove_file(&attacker.pipe);
    attacker.attempts
}

/// Makes a call inside the half, and notes it as an attempt.
macro_rules! attempt {
    ($attacker:ident, $row:expr, $what:expr, $call:ident $(, $argument:expr)* $(,)?) => {{
        let result = $attacker.tracee.call(libc::$call, [$(Argument::from($argument)),*]);
        let what = format!("{} of {}", stringify!($call), $what);
        $attacker.attempts.push(Attempt { row: $row, what, result });
        result
    }};
}

impl Attacker<'_> {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path(name)
    }

    fn secret(&self) -> PathBuf {
        self.path("elsewhere/secret")
    }

    fn looks(&mut self) {
        let buffer = self.tracee.buffer();
        attempt!(self, SEE, "elsewhere", SYS_newfstatat, CURRENT, &*self.secret(), buffer, 0);
        attempt!(self, SEE, "a link", SYS_readlinkat, CURRENT, "/proc/self/exe", buffer, 64);
        attempt!(self, SEE, "/", SYS_openat, CURRENT, "/", libc::O_PATH);
        attempt!(self, SEE_ATTRIBUTES, "elsewhere", SYS_listxattr, &*self.secret(), buffer, 0);
    }

    fn reads(&mut self) {
        let pipe = self.pipe.clone();
        let [beside, below] = ["out/a", "out/sub/private"].map(|name| self.path(name));
        let known = [(READ_PIPE, pipe), (READ_BESIDE, beside), (READ_BESIDE, below)];
        let system =
            ["/etc/passwd", "/etc/group", "/etc/nsswitch.conf", "/proc/self/environ", "/proc/self/mem"];
        let others = system.map(PathBuf::from).into_iter().chain([self.secret()]);
        for (row, file) in known.into_iter().chain(others.map(|file| (READ, file))) {
            let name = file.display().to_string();
            let opened = attempt!(self, row, name, SYS_openat, CURRENT, &*file, libc::O_RDONLY);
            self.open.extend((opened >= 0).then_some((opened, name)));
        }
    }

    fn writes(&mut self) {
        let files = ["in/src", "out/a", "out/sub/private", "elsewhere/secret"].map(|name| self.path(name));
        for file in files.into_iter().chain([self.pipe.clone()]) {
            for flags in [libc::O_WRONLY, libc::O_RDWR, libc::O_ACCMODE, libc::O_TRUNC] {
                let what = format!("{}, {flags:o}", file.display());
                attempt!(self, WRITE, what, SYS_openat, CURRENT, &*file, flags);
                attempt!(self, WRITE, what, SYS_open, &*file, flags);
            }
        }
        for directory in ["in", "out", "out/sub", "meet", "elsewhere"] {
            let name = format!("{directory}/new");
            let new = self.path(&name);
            for flags in [libc::O_CREAT, libc::O_CREAT | libc::O_RDWR, libc::O_CREAT | libc::O_EXCL] {
                let what = format!("{name}, {flags:o}");
                attempt!(self, WRITE, what, SYS_openat, CURRENT, &*new, flags, 0o600);
            }
            let (parent, unnamed) = (self.path(directory), libc::O_TMPFILE | libc::O_RDWR);
            attempt!(self, WRITE, "an unnamed file", SYS_openat, CURRENT, &*parent, unnamed, 0o600);
            attempt!(self, WRITE, name, SYS_mknodat, CURRENT, &*new, 0o100_600, 0);
            attempt!(self, WRITE, name, SYS_mkdirat, CURRENT, &*new, 0o700);
            attempt!(self, WRITE, name, SYS_symlinkat, "/", CURRENT, &*new);
            assert!(!self.folder.is_there(&name), "{name} was created");
        }
    }

    fn changes_what_is_open(&mut self) {
        for (number, name) in self.open.clone() {
            let row = if self.own == Some(number) { CHANGE_OWN } else { CHANGE };
            // Set the mode that the file has already: if the sandbox fails, this test must do no harm.
            attempt!(self, row, name, SYS_fchmod, number, self.tracee.mode_of(number));
            attempt!(self, row, name, SYS_fchown, number, -1, -1);
            attempt!(self, row, name, SYS_fsetxattr, number, "user.x", "x", 1, 0);
            attempt!(self, row, name, SYS_fremovexattr, number, "user.y");
            attempt!(self, row, name, SYS_utimensat, number, 0, 0, 0);
            attempt!(self, row, name, SYS_ftruncate, number, i64::try_from(MIB).expect("a small number"));
            attempt!(self, CHANGE, name, SYS_utimensat, number, "x", 0, 0);
            let punch = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
            attempt!(self, CHANGE, name, SYS_fallocate, number, punch, 0, 1);
            if let Some(own) = self.own {
                // Another file must not get the number of this descriptor.
                attempt!(self, CHANGE, name, SYS_dup2, number, own);
                attempt!(self, CHANGE, name, SYS_dup3, number, own, 0);
            }
        }
        if let Some(own) = self.own {
            // The kernel ignores the upper half of the argument.
            for number in [own, own | 1 << 32, own | -1 << 32] {
                attempt!(self, CHANGE, "the temporary file", SYS_close, number);
            }
        }
    }

    fn changes_by_name(&mut self) {
        let secret = self.secret();
        attempt!(self, CHANGE, "elsewhere", SYS_fchmodat, CURRENT, &*secret, 0o777);
        attempt!(self, CHANGE, "elsewhere", SYS_chmod, &*secret, 0o777);
        attempt!(self, CHANGE, "elsewhere", SYS_fchownat, CURRENT, &*secret, 1, 1, 0);
        attempt!(self, CHANGE, "elsewhere", SYS_setxattr, &*secret, "user.x", "x", 1, 0);
        attempt!(self, CHANGE, "elsewhere", SYS_utimensat, CURRENT, &*secret, 0, 0);
        attempt!(self, CHANGE, "elsewhere", SYS_truncate, &*secret, 0);
    }

    fn lists(&mut self) {
        let (out, elsewhere) = (self.path("out"), self.path("elsewhere"));
        let opened = attempt!(self, LIST_BESIDE, "out", SYS_openat, CURRENT, &*out, libc::O_DIRECTORY);
        attempt!(self, READ, "elsewhere", SYS_openat, CURRENT, &*elsewhere, libc::O_DIRECTORY);
        // The Writer has this directory open.
        let there = self.open.iter().find(|(_, path)| out.to_str() == Some(path)).map(|(number, _)| *number);
        if let Some(directory) = there.or((opened >= 0).then_some(opened)) {
            let buffer = self.tracee.buffer();
            attempt!(self, LIST_BESIDE, "out", SYS_getdents64, directory, buffer, 256);
        }
    }

    fn renames(&mut self) {
        let (pipe, secret, private) = (self.pipe.clone(), self.secret(), self.path("out/sub/private"));
        attempt!(self, REMOVE_PIPE, "a pipe", SYS_unlinkat, CURRENT, &*pipe, 0);
        let [a, b, c, d] = ["out/a", "out/b", "out/c", "out/d"].map(|name| self.path(name));
        let (second, away) = (self.path("out/sub/a"), self.path("elsewhere/a"));
        attempt!(self, RENAME_BESIDE, "out/a", SYS_renameat, CURRENT, &*a, CURRENT, &*d);
        attempt!(self, RENAME_BESIDE, "out/b", SYS_renameat2, CURRENT, &*b, CURRENT, &*c, 0);
        attempt!(self, RENAME_BESIDE, "out/sub", SYS_linkat, CURRENT, &*private, CURRENT, &*second, 0);
        attempt!(self, RENAME_BESIDE, "out/c", SYS_unlinkat, CURRENT, &*c, 0);
        attempt!(self, RENAME, "elsewhere", SYS_unlinkat, CURRENT, &*secret, 0);
        attempt!(self, RENAME, "elsewhere", SYS_renameat, CURRENT, &*secret, CURRENT, &*away);
        for (from, to) in [(&private, "elsewhere/b"), (&private, "out/e"), (&secret, "out/f")] {
            let target = self.path(to);
            attempt!(self, RENAME, to, SYS_renameat, CURRENT, &**from, CURRENT, &*target);
            attempt!(self, RENAME, to, SYS_linkat, CURRENT, &**from, CURRENT, &*target, 0);
        }
        assert!(secret.exists() && private.exists(), "a file was moved");
    }

    fn starts(&mut self) {
        let buffer = self.tracee.buffer();
        attempt!(self, START, "/bin/true", SYS_execve, "/bin/true", 0, 0);
        attempt!(self, START, "a process", SYS_clone, libc::SIGCHLD, 0, 0, 0, 0);
        let with_mounts = libc::CLONE_VM | libc::CLONE_SIGHAND | libc::CLONE_THREAD | libc::CLONE_NEWNS;
        attempt!(self, START, "a thread with its own mounts", SYS_clone, with_mounts, buffer, 0, 0, 0);
        let (code, private) = (libc::PROT_READ | libc::PROT_EXEC, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        attempt!(self, START, "code", SYS_mmap, 0, 4096, code, private, -1);
        attempt!(self, START, "code", SYS_mprotect, buffer, 4096, code);
        attempt!(self, START, "process 1", SYS_kill, 1, 0);
        attempt!(self, START, "process 1", SYS_tgkill, 1, 1, 0);
        attempt!(self, START, "a connection", SYS_socket, libc::AF_UNIX, libc::SOCK_STREAM, 0);
        // TIOCSTI with and without upper half, TIOCLINUX, TCSETS, FIOSETOWN, FICLONE, FS_IOC_SETFLAGS.
        for request in [0x5412_i64, 0x1_0000_5412, 0x541c, 0x5402, 0x8901, 0x4004_9409, 0x4008_6602] {
            attempt!(self, START, format!("{request:x}"), SYS_ioctl, 2, request, buffer);
        }
        for command in [libc::F_SETOWN, libc::F_SETLEASE, libc::F_NOTIFY, libc::F_ADD_SEALS] {
            attempt!(self, START, command, SYS_fcntl, 2, command, 0);
        }
        attempt!(self, START, "PR_SET_DUMPABLE", SYS_prctl, libc::PR_SET_DUMPABLE, 1, 0, 0, 0);
    }
}
