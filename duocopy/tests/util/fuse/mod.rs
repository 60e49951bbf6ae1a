//! A file system that passes everything on to a directory, except for what it refuses or tells wrongly.
//!
//! It is real: the kernel mounts it, and any program can use it. It is unmounted when it is dropped, and also when the
//! test's process is killed.

mod nodes;
mod system;

use super::Folder;
use super::needs::Met;
pub use fuser::Errno;
use fuser::{BackgroundSession, Config, MountOption, SessionACL};
use nodes::Nodes;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// With [`Fault::CoarseTimes`], times are multiples of this many seconds, as on FAT.
pub const COARSE: u64 = 2;

/// A call of the file system, by what it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    Chmod,
    Chown,
    SetTimes,
    Truncate,
    Link,
    /// A rename that must not replace.
    RenameNoReplace,
    /// Each `close` of a descriptor.
    Close,
    Reserve,
    /// `lseek` to data and holes. Refused with `ENOSYS`, the kernel takes everything for data.
    SeekData,
    Sync,
    SyncDirectory,
    Write,
    /// Each call about extended attributes, of which there are none.
    Attributes,
    /// The removal of a file that is not empty.
    RemoveContent,
}

/// What the file system does not do as others do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// This call fails with this error.
    Refuses(Call, Errno),
    /// This call succeeds without any effect.
    Ignores(Call),
    /// All files are reported with this mode.
    Mode(u16),
    /// The length of a file is told as 0; reading goes on until its end all the same.
    SizeZero,
    /// The length of a file is told as this; reading goes on until its end all the same.
    Size(u64),
    /// All times are those of the call that asks for them.
    PresentTimes,
    /// Times are rounded down to [`COARSE`] seconds.
    CoarseTimes,
    /// The kernel caches a file's attributes for an hour. The file system is read-only then: otherwise each reading
    /// would make the kernel ask for the access time.
    Remembered,
}

/// A mounted file system.
pub struct Misbehaving {
    _session: BackgroundSession,
    mountpoint: PathBuf,
    /// What it passes everything on to.
    pub backing: PathBuf,
}

/// File systems of this kind can be mounted.
pub fn fuse() -> Met {
    static WORKS: OnceLock<Met> = OnceLock::new();
    let reason = |error| format!("no FUSE file system can be mounted (package fuse3): {error}");
    WORKS.get_or_init(|| Folder::new().try_mount("mounted", &[]).map(drop).map_err(reason)).clone()
}

impl Folder {
    /// Mounts a file system with these faults at a new directory.
    pub fn mount(&self, name: &str, faults: &[Fault]) -> Misbehaving {
        self.try_mount(name, faults).expect("mounting a file system")
    }

    fn try_mount(&self, name: &str, faults: &[Fault]) -> io::Result<Misbehaving> {
        let (backing, mountpoint) = (self.make(format!("{name}.backing")), self.make(name));
        Ok(Misbehaving { _session: mount(&backing, &mountpoint, faults)?, mountpoint, backing })
    }
}

fn mount(backing: &Path, mountpoint: &Path, faults: &[Fault]) -> io::Result<BackgroundSession> {
    let mut config = Config::default();
    config.mount_options = vec![
        MountOption::FSName("misbehaving".into()),
        MountOption::DefaultPermissions,
        // A helper, `fusermount3`, unmounts it if this process is killed.
        MountOption::AutoUnmount,
    ];
    if faults.contains(&Fault::Remembered) {
        config.mount_options.push(MountOption::RO);
    }
    config.acl = SessionACL::All;
    fuser::spawn_mount(Nodes::new(backing, faults)?, mountpoint, &config)
}

impl Drop for Misbehaving {
    fn drop(&mut self) {
        let unmount = Command::new("fusermount3").args(["-u", "-z"]).arg(&self.mountpoint).status();
        if !std::thread::panicking() {
            assert!(unmount.is_ok_and(|status| status.success()), "cannot unmount the file system");
        }
    }
}
