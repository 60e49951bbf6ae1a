//! Unix: a pipe is a file, and processes can be stopped by signals.

use super::{Actor, Name, until};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::PathBuf;
use std::process::Child;

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

    /// Opens the pipe, empty if it is new, with its gate locked by this process: by a classic lock, which excludes the
    /// library's lock; or, where the library locks whole files, by such a lock.
    pub fn locked_gate(&self) -> File {
        let mut options = OpenOptions::new();
        let file = options.write(true).create(true).truncate(false).mode(0o600).open(self.place()).unwrap();
        if cfg!(blockpipe_portable) {
            rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive).unwrap();
        } else {
            // SAFETY: a `flock` holds only numbers, and all zeros are valid: from the start of the file.
            let mut lock: libc::flock = unsafe { std::mem::zeroed() };
            lock.l_type = libc::F_WRLCK as libc::c_short;
            lock.l_len = 1;
            // SAFETY: the descriptor is open, and `lock` outlives the call.
            let got = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLK, &raw const lock) };
            assert_eq!(got, 0, "{}", std::io::Error::last_os_error());
        }
        file
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(self.path());
    }
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
        let open = std::fs::read_dir(format!("/proc/{}/fd", self.id())).expect("it lives");
        open.flatten().any(|entry| entry.path().read_link().is_ok_and(|file| file == name.path()))
    }

    fn state(&self) -> char {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.id())).expect("it lives");
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
