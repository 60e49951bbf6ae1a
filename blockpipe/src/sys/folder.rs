//! The directories of pipes, for systems where a pipe is a file: the private one of this user, or one that several
//! users or containers can enter.

use super::contract::{Location, OpenError, Side};
use super::network;
use super::system;
use rustix::fd::OwnedFd;
use rustix::fs::{Access, AtFlags, CWD, FileType, Mode, OFlags, Stat};
use rustix::io::{Errno, retry_on_intr};
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;

/// Flags for opening any file here: they never follow a link, and never block on a file that is not regular.
pub(crate) const OPEN_FLAGS: OFlags =
    OFlags::CLOEXEC.union(OFlags::NOFOLLOW).union(OFlags::NOCTTY).union(OFlags::NONBLOCK);

#[derive(Debug)]
pub(crate) struct Folder {
    pub descriptor: OwnedFd,
    pub path: OsString,
    /// True if other users can enter it.
    pub shared: bool,
    /// The mode of the files that are created here.
    pub mode: Mode,
    /// True if only a file's owner can remove it (and root, and the owner of the directory).
    pub sticky: bool,
    /// The number that stands for every user that this process's user namespace does not know. It is read when the
    /// directory is opened, because a process may confine itself later.
    pub unknown_user: Option<u32>,
}

/// The mode of files that belong to this user alone.
const OWN: Mode = Mode::RUSR.union(Mode::WUSR);

impl Folder {
    /// Opens the chosen directory, or without one this user's own, which is created if it is missing.
    pub fn open(location: &Location, usual: &str) -> Result<Self, OpenError> {
        let opened = match location {
            Location::Usual => Self::private(&own(usual), true),
            chosen => Self::existing(chosen, usual),
        };
        opened?.ok_or_else(|| doing("opening", &path_of(location, usual).to_string_lossy(), Errno::NOENT))
    }

    /// Opens the directory without creating it.
    pub fn existing(location: &Location, usual: &str) -> Result<Option<Self>, OpenError> {
        match location {
            Location::Usual => Self::private(&own(usual), false),
            Location::Shared(path) => Self::shared(path).map(Some),
            Location::Private(path) => Self::private(path, false),
        }
    }

    /// Opens a directory of several users. All who may write in it are trusted to leave other pairs alone.
    fn shared(path: &OsStr) -> Result<Self, OpenError> {
        let shown = path.to_string_lossy().into_owned();
        // The user has named it, so links on the way are followed.
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let opened = retry_on_intr(|| rustix::fs::open(path, flags, Mode::empty()));
        let descriptor = match opened {
            Err(Errno::NOTDIR) => return Err(OpenError::Foreign { path: shown, what: "not a directory" }),
            other => other.map_err(|error| doing("opening", &shown, error))?,
        };
        let stat = checked(&descriptor, &shown)?;
        // Those who may write in the directory can create pipes and replace those of others, so they may open its files,
        // too. Nobody else may.
        let writers = Mode::from_raw_mode(stat.st_mode) & (Mode::WGRP | Mode::WOTH);
        let mode = OWN | writers | readers(writers);
        Ok(Self {
            descriptor,
            path: path.into(),
            shared: true,
            mode,
            sticky: stat.st_mode & 0o1000 != 0,
            unknown_user: system::unknown_user(),
        })
    }

    /// Opens this user's own directory, and refuses one that other users could enter.
    fn private(path: &OsStr, may_create: bool) -> Result<Option<Self>, OpenError> {
        let shown = path.to_string_lossy().into_owned();
        let made = match if may_create { rustix::fs::mkdir(path, Mode::RWXU) } else { Err(Errno::EXIST) } {
            Ok(()) => true,
            Err(Errno::EXIST) => false,
            Err(error) => return Err(doing("creating", &shown, error)),
        };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let open = || retry_on_intr(|| rustix::fs::open(path, flags, Mode::empty()));
        let mut opened = open();
        if may_create && matches!(opened, Err(Errno::ACCESS)) && is_own_directory(path) {
            // The umask has locked out even this user, in this process or in one that was killed before it could
            // correct the mode. Whatever is opened now is checked below.
            rustix::fs::chmod(path, Mode::RWXU).map_err(|error| doing("opening", &shown, error))?;
            opened = open();
        }
        let descriptor = match opened {
            Ok(directory) => directory,
            Err(Errno::NOENT) if !may_create => return Ok(None),
            Err(Errno::NOTDIR | Errno::LOOP) => {
                return Err(OpenError::Foreign { path: shown, what: "not a directory" });
            }
            // This user may not be allowed to read the directory of another user.
            Err(Errno::ACCESS) if !is_own(path) => {
                return Err(OpenError::Foreign { path: shown, what: "belongs to another user" });
            }
            Err(error) => return Err(doing("opening", &shown, error)),
        };
        let stat = checked(&descriptor, &shown)?;
        if stat.st_uid != rustix::process::geteuid().as_raw() {
            return Err(OpenError::Foreign { path: shown, what: "belongs to another user" });
        }
        if stat.st_mode & 0o077 != 0 {
            return Err(OpenError::Foreign { path: shown, what: "other users may enter it" });
        }
        if made || may_create && stat.st_mode & 0o700 != 0o700 {
            // Let this user use it, whatever the umask is or was.
            rustix::fs::fchmod(&descriptor, Mode::RWXU).map_err(|error| doing("opening", &shown, error))?;
        }
        Ok(Some(Self {
            descriptor,
            path: path.into(),
            shared: false,
            mode: OWN,
            sticky: false,
            unknown_user: None,
        }))
    }

    /// Returns why this file cannot belong to a pipe, judging by its owner and mode.
    pub fn rejects(&self, stat: &Stat) -> Option<&'static str> {
        if !self.shared && stat.st_uid != rustix::process::geteuid().as_raw() {
            Some("belongs to another user")
        } else if Mode::from_raw_mode(stat.st_mode) & (Mode::RWXG | Mode::RWXO) & !self.mode != Mode::empty()
        {
            Some("other users may open it")
        } else {
            None
        }
    }

    /// Opens this file, or creates it. Also returns whether it is new.
    pub fn open_or_create(&self, name: &str) -> rustix::io::Result<(OwnedFd, bool)> {
        // Other processes may create or remove it between the two calls; each such step means that one of them arrived
        // or left. One call that opens or creates would not do: Linux may forbid it for the file of another user in a
        // directory with the sticky bit (`fs.protected_regular`).
        let (mut tries, open) = (0, OFlags::RDWR | OPEN_FLAGS);
        loop {
            tries += 1;
            match retry_on_intr(|| rustix::fs::openat(&self.descriptor, name, open, Mode::empty())) {
                Err(Errno::NOENT) => {}
                other => return Ok((other?, false)),
            }
            match self.create(name) {
                Err(Errno::EXIST) if tries < 1000 => {}
                other => return Ok((other?, true)),
            }
        }
    }

    /// Creates the file, accessible from the first moment to all who may join here. An error if it exists.
    fn create(&self, name: &str) -> rustix::io::Result<OwnedFd> {
        let create = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OPEN_FLAGS;
        if !self.shared {
            let file = retry_on_intr(|| rustix::fs::openat(&self.descriptor, name, create, self.mode))?;
            self.open_up(&file)?;
            return Ok(file);
        }
        // A process that is killed before it renames the file leaves one that is in nobody's way.
        let random = getrandom::u64().map_err(|_| Errno::AGAIN)?;
        let new = format!("{name}-new-{random:016x}");
        let file = retry_on_intr(|| rustix::fs::openat(&self.descriptor, &new, create, self.mode))?;
        let named = self.open_up(&file).and_then(|()| self.rename_to_a_free_name(&new, name));
        if named.is_err() {
            let _ = rustix::fs::unlinkat(&self.descriptor, &new, AtFlags::empty());
        }
        named.map(|()| file)
    }

    fn rename_to_a_free_name(&self, from: &str, to: &str) -> rustix::io::Result<()> {
        #[cfg(any(target_os = "linux", target_os = "macos"))]
        match rustix::fs::renameat_with(
            &self.descriptor,
            from,
            &self.descriptor,
            to,
            rustix::fs::RenameFlags::NOREPLACE,
        ) {
            // A filter of system calls may answer EPERM to a call that it does not know.
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP | Errno::PERM) => {}
            other => return other,
        }
        // The file has both names for a moment. A process that opens it in between, or after this one was killed,
        // removes the first name.
        rustix::fs::linkat(&self.descriptor, from, &self.descriptor, to, AtFlags::empty())?;
        let _ = rustix::fs::unlinkat(&self.descriptor, from, AtFlags::empty());
        Ok(())
    }

    /// Removes the names that this file had before it got its final one.
    pub fn remove_first_names(&self, name: &str, file: &OwnedFd) {
        let first = format!("{name}-new-");
        for other in self.names().unwrap_or_default() {
            if other.starts_with(&first) && matches!(self.leads_to(&other, file), Ok(true)) {
                let _ = rustix::fs::unlinkat(&self.descriptor, &other, AtFlags::empty());
            }
        }
    }

    /// Lets those who may join here open the file, whatever the umask is.
    pub fn open_up(&self, file: &OwnedFd) -> rustix::io::Result<()> {
        self.give(file, self.mode)
    }

    /// Gives the file this mode and, in a directory of several users, the directory's group.
    pub fn give(&self, file: &OwnedFd, mode: Mode) -> rustix::io::Result<()> {
        if self.shared {
            // As the set-group-ID bit does. If it fails, the peer cannot open the file, and reports that.
            let group = rustix::fs::fstat(&self.descriptor)?.st_gid;
            let _ = rustix::fs::fchown(file, None, Some(rustix::fs::Gid::from_raw(group)));
        }
        rustix::fs::fchmod(file, mode)
    }

    /// Removes a file. In a directory with the sticky bit, the error for a file of another user names it and the remedy.
    pub fn remove(&self, name: &str) -> io::Result<()> {
        match rustix::fs::unlinkat(&self.descriptor, name, AtFlags::empty()) {
            Err(Errno::PERM | Errno::ACCESS) if self.sticky => Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                format!(
                    "{}/{name}: it belongs to another user, and the directory has the sticky bit; only that user or \
                     root can remove it",
                    self.path.to_string_lossy()
                ),
            )),
            other => Ok(other?),
        }
    }

    /// Returns whether this name leads to this file, which somebody may have removed, renamed or replaced.
    pub fn leads_to(&self, name: &str, file: &OwnedFd) -> rustix::io::Result<bool> {
        let file = rustix::fs::fstat(file)?;
        match rustix::fs::statat(&self.descriptor, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(named) => Ok((named.st_dev, named.st_ino) == (file.st_dev, file.st_ino)),
            Err(Errno::NOENT) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Returns whether a file or directory of this name exists.
    pub fn has(&self, name: &str) -> bool {
        rustix::fs::statat(&self.descriptor, name, AtFlags::SYMLINK_NOFOLLOW).is_ok()
    }

    /// Returns the names in the directory that are valid text.
    pub fn names(&self) -> rustix::io::Result<Vec<String>> {
        let entries = rustix::fs::Dir::read_from(&self.descriptor)?;
        Ok(entries.flatten().filter_map(|entry| Some(entry.file_name().to_str().ok()?.to_owned())).collect())
    }
}

/// Returns the path of the directory at this location.
pub(crate) fn path_of(location: &Location, usual: &str) -> OsString {
    match location {
        Location::Usual => own(usual),
        Location::Shared(path) | Location::Private(path) => path.clone(),
    }
}

/// Returns the path of this user's own directory: `usual`, or one of the same name in `XDG_RUNTIME_DIR` where this user
/// cannot use `usual`.
///
/// Both processes of a pair have to choose alike, and an observer has to look where they are. So the choice depends only
/// on what anybody can check again, and not on what an attempt to create the directory returned.
fn own(usual: &str) -> OsString {
    let name = usual.rsplit('/').next().expect("a split text has a last part");
    match runtime_directory() {
        Some(mut directory) if !is_usable(usual) => {
            directory.push("/");
            directory.push(name);
            directory
        }
        _ => usual.into(),
    }
}

/// Returns whether the file or directory at this path belongs to this user. Links are not followed.
fn is_own(path: &OsStr) -> bool {
    rustix::fs::lstat(path).is_ok_and(|stat| stat.st_uid == rustix::process::geteuid().as_raw())
}

/// Returns whether this is a directory of this user. Links are not followed.
fn is_own_directory(path: &OsStr) -> bool {
    is_own(path)
        && rustix::fs::lstat(path)
            .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
}

/// Returns whether this user owns the directory, or could create it.
fn is_usable(path: &str) -> bool {
    let write = |path, access| rustix::fs::accessat(CWD, path, access, AtFlags::EACCESS);
    if let Ok(stat) = rustix::fs::lstat(path) {
        // Its mode does not count: it may be about to get the right one.
        let is_own = stat.st_uid == rustix::process::geteuid().as_raw();
        return is_own && write(path, Access::WRITE_OK) != Err(Errno::ROFS);
    }
    let (parent, _) = path.rsplit_once('/').expect("the path is absolute");
    let written = write(parent, Access::WRITE_OK | Access::EXEC_OK);
    !matches!(written, Err(Errno::NOENT | Errno::NOTDIR | Errno::ROFS | Errno::ACCESS))
}

/// Returns `XDG_RUNTIME_DIR`, if it is set and belongs to this user alone, as its specification requires.
fn runtime_directory() -> Option<OsString> {
    let path = std::env::var_os("XDG_RUNTIME_DIR").filter(|path| path.as_bytes().starts_with(b"/"))?;
    let stat = rustix::fs::stat(&path).ok()?;
    let is_own = stat.st_uid == rustix::process::geteuid().as_raw() && stat.st_mode & 0o022 == 0;
    is_own.then_some(path)
}

/// Returns the owner and mode of a directory, and refuses one on a network file system.
fn checked(directory: &OwnedFd, path: &str) -> Result<Stat, OpenError> {
    let failed = |error| doing("checking", path, error);
    if network::is_network(directory).map_err(failed)? {
        return Err(OpenError::Foreign {
            path: path.into(),
            what: "a network file system or FUSE, where two machines would not see each other's locks; use a \
                   directory of this machine, such as one in /dev/shm",
        });
    }
    rustix::fs::fstat(directory).map_err(failed)
}

/// Returns the permission to read for those who have the permission to write.
fn readers(writers: Mode) -> Mode {
    Mode::from_raw_mode(writers.as_raw_mode() << 1)
}

pub(crate) fn side_name(side: Side) -> &'static str {
    match side {
        Side::Producer => "producer",
        Side::Consumer => "consumer",
    }
}

fn doing(what: &str, path: &str, error: Errno) -> OpenError {
    OpenError::Io { doing: format!("{what} {path}"), source: error.into() }
}
