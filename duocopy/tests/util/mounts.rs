//! Mounts that end with the test.

use super::{Ended, Folder, succeeds, until};
use nix::sched::{CloneFlags, unshare};
use std::process::Command;

/// Gives this thread, and the processes that it starts from now on, a mount namespace of its own: everything mounted
/// there is unmounted when the test's process ends, even if it is killed.
pub fn enter_own_namespace() {
    unshare(CloneFlags::CLONE_NEWNS).expect("a mount namespace of its own");
    assert!(succeeds(Command::new("mount").args(["--make-rprivate", "/"])), "a private mount namespace");
}

/// A mounted file system, which is unmounted when this is dropped.
pub struct Mounted<'a> {
    folder: &'a Folder,
    name: &'a str,
}

impl<'a> Mounted<'a> {
    /// Mounts the image at this directory of the folder, through a loop device: `loop`, or `loop=` with a path.
    pub fn new(
        folder: &'a Folder,
        image: &str,
        name: &'a str,
        (device, options): (&str, &str),
    ) -> Result<Self, Ended> {
        let mut command = Command::new("mount");
        command.args(["-o", &format!("{device},{options}")]).args([image, name]);
        let ended = folder.start(command, false).end();
        if ended.code == 0 { Ok(Self::at(folder, name)) } else { Err(ended) }
    }

    /// Takes charge of the file system that is mounted at this directory of the folder.
    pub fn at(folder: &'a Folder, name: &'a str) -> Self {
        Self { folder, name }
    }

    pub fn folder(&self) -> &'a Folder {
        self.folder
    }

    pub fn name(&self) -> &'a str {
        self.name
    }

    /// Unmounts it, which writes everything that is still in memory.
    pub fn unmount(self) {
        until("unmounting a file system", || (self.run_umount(&[]) == 0).then_some(()));
        std::mem::forget(self);
    }

    fn run_umount(&self, flags: &[&str]) -> i32 {
        let mut command = Command::new("umount");
        command.args(flags).arg(self.name);
        self.folder.start(command, false).end().code
    }
}

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        self.run_umount(&["--lazy"]);
    }
}
