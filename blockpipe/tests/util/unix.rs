//! Unix: a pipe is a file, and processes can be stopped by signals.

use super::{Actor, Name, until};
use blockpipe::Pipe;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

/// The directory of this user's pipes.
pub fn directory() -> PathBuf {
    let portable = if cfg!(blockpipe_portable) { "-portable" } else { "" };
    format!("/dev/shm/blockpipe{portable}-{}", rustix::process::geteuid().as_raw()).into()
}

/// Returns whether the next attempt to start a program may succeed after this error.
pub fn passes(_: &io::Error) -> bool {
    false
}

impl Name {
    pub fn path(&self) -> PathBuf {
        directory().join(format!("{:032x}", self.key()))
    }

    pub fn location(&self) -> String {
        self.path().display().to_string()
    }

    pub fn exists(&self) -> bool {
        self.path().symlink_metadata().is_ok()
    }

    /// Returns the path in this user's directory, which is created if necessary.
    pub fn place(&self) -> PathBuf {
        DirBuilder::new().recursive(true).mode(0o700).create(directory()).unwrap();
        self.path()
    }

    /// Opens what two processes share under this name.
    pub fn header(&self) -> Header {
        Header(OpenOptions::new().read(true).write(true).open(self.path()).unwrap())
    }

    /// Opens the pipe, empty if it is new, with its gate locked by this process.
    pub fn locked_gate(&self) -> File {
        locked_gate(&self.place())
    }
}

/// Opens a pipe's file, empty if it is new, with its gate locked as the library locks it.
///
/// (A classic lock would be lost as soon as another test of this process opens and closes the file, as one that lists or
/// sweeps pipes does. Such a test also takes the gate for a moment.)
pub fn locked_gate(path: &Path) -> File {
    let mut options = OpenOptions::new();
    let file = options.write(true).create(true).truncate(false).mode(0o600).open(path).unwrap();
    until("the gate is free", || try_lock_gate(&file).is_ok());
    file
}

fn try_lock_gate(file: &File) -> io::Result<()> {
    if cfg!(blockpipe_portable) {
        return Ok(rustix::fs::flock(file, rustix::fs::FlockOperation::NonBlockingLockExclusive)?);
    }
    // SAFETY: a `flock` holds only numbers, and all zeros are valid: from the start of the file.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = libc::F_WRLCK as libc::c_short;
    lock.l_len = 1;
    // SAFETY: the descriptor is open, and `lock` outlives the call.
    let got = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_SETLK, &raw const lock) };
    if got == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

impl Drop for Name {
    fn drop(&mut self) {
        let _ = fs::remove_file(self.path());
    }
}

/// A directory that is removed with everything in it.
pub struct Place(pub PathBuf);

impl Place {
    pub fn new(mode: u32) -> Self {
        let path = std::env::temp_dir().join(format!("blockpipe-{}", Name::new().hex()));
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        Self(path)
    }

    pub fn files(&self) -> Vec<PathBuf> {
        fs::read_dir(&self.0).unwrap().map(|entry| entry.unwrap().path()).collect()
    }

    /// Returns the path of a pipe's file in this directory.
    pub fn file(&self, name: &Name) -> PathBuf {
        self.0.join(format!("{:032x}", name.key()))
    }

    pub fn pipe(&self, name: &Name) -> Pipe {
        Pipe::named(name.bytes()).in_directory(&self.0)
    }

    pub fn join(&self, name: &Name) -> String {
        format!("join {} dir {}", name.hex(), self.0.display())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A user that needs no account, for tests that run as root.
pub struct User {
    id: u32,
    group: u32,
    /// Where this user can execute the tests.
    tools: Place,
}

impl User {
    /// Describes the user with this number and one group besides its own.
    pub fn new(id: u32, group: u32) -> Self {
        let tools = Place::new(0o755);
        // This process must not write the copy: a child that another test has forked would still have the file open for
        // writing until its exec, and a program that is open for writing cannot be started.
        let copied =
            Command::new("cp").arg(std::env::current_exe().unwrap()).arg(tools.0.join("actor")).status();
        assert!(copied.unwrap().success());
        Self { id, group, tools }
    }

    /// Starts an actor that belongs to this user.
    pub fn actor(&self) -> Actor {
        self.actor_through(&[])
    }

    /// Starts an actor that belongs to this user, in a user namespace that knows no other user.
    pub fn lonely_actor(&self) -> Actor {
        self.actor_through(&["unshare", "--user", "--map-root-user"])
    }

    fn actor_through(&self, prefix: &[&str]) -> Actor {
        let mut command = Command::new("setpriv");
        let [user, own] = [format!("--reuid={}", self.id), format!("--regid={}", self.id)];
        command.args([user, own, format!("--groups={}", self.group)]);
        command.args(prefix).arg(self.tools.0.join("actor")).current_dir("/");
        Actor::start_through(command)
    }
}

/// Runs this executable in a mount namespace of its own, which this shell script prepares.
pub fn in_own_mounts(script: &str) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", &format!("set -e; {script}; exec \"$0\"")]);
    command.arg(std::env::current_exe().unwrap());
    command
}

/// Runs this executable in the mount namespace of another actor.
pub fn in_the_mounts_of(actor: &Actor) -> Command {
    let mut command = Command::new("nsenter");
    command.args(["--mount", "--target", &actor.id().to_string()]).arg(std::env::current_exe().unwrap());
    command
}

pub struct Header(File);

impl Header {
    pub fn word(&self, at: usize) -> u32 {
        let mut bytes = [0; 4];
        self.0.read_exact_at(&mut bytes, at as u64).unwrap();
        u32::from_ne_bytes(bytes)
    }

    pub fn set_word(&self, at: usize, word: u32) {
        self.0.write_all_at(&word.to_ne_bytes(), at as u64).unwrap();
    }
}

impl Actor {
    /// Stops the process, as Ctrl-Z or a debugger does.
    pub fn stop(&self) {
        signal(&self.child, rustix::process::Signal::STOP);
        until("the actor has stopped", || self.state() == 'T');
    }

    pub fn go_on(&self) {
        signal(&self.child, rustix::process::Signal::CONT);
    }

    /// Returns whether the process has opened the pipe of this name.
    pub fn has_opened(&self, name: &Name) -> bool {
        self.has_opened_file(&name.path())
    }

    pub fn has_opened_file(&self, path: &Path) -> bool {
        let open = fs::read_dir(format!("/proc/{}/fd", self.id())).expect("it lives");
        open.flatten().any(|entry| entry.path().read_link().is_ok_and(|file| file == path))
    }

    fn state(&self) -> char {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.id())).expect("it lives");
        let (_, after_name) = stat.rsplit_once(") ").expect("the format is the kernel's");
        after_name.chars().next().expect("the format is the kernel's")
    }
}

fn signal(child: &Child, signal: rustix::process::Signal) {
    rustix::process::kill_process(rustix::process::Pid::from_child(child), signal)
        .expect("a child can be signalled");
}

/// Returns how many descriptors this process has open, and how many of them its children would inherit.
pub fn handles() -> (usize, usize) {
    let numbers = 0..1024;
    // SAFETY: only queries whether it is open; nothing is changed or closed.
    let flags = |number| rustix::io::fcntl_getfd(unsafe { BorrowedFd::borrow_raw(number) }).ok();
    let open: Vec<_> = numbers.filter_map(flags).collect();
    (open.len(), open.iter().filter(|flags| !flags.contains(rustix::io::FdFlags::CLOEXEC)).count())
}
