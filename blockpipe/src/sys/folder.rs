//! The directories of pipes, for systems where a pipe is a file: the private one of this user, or one that several
//! users or containers can enter.

use super::contract::{OpenError, Side};
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, Mode, OFlags, Stat};
use rustix::io::{Errno, retry_on_intr};
use std::ffi::{OsStr, OsString};

/// Flags for opening any file here: they never follow a link, and never block on a file that is not regular.
pub(crate) const OPEN_FLAGS: OFlags =
    OFlags::CLOEXEC.union(OFlags::NOFOLLOW).union(OFlags::NOCTTY).union(OFlags::NONBLOCK);

#[derive(Debug)]
pub(crate) struct Folder {
    pub descriptor: OwnedFd,
    pub path: OsString,
    /// Whether other users can enter it.
    pub shared: bool,
}

impl Folder {
    /// Opens the chosen directory, or without one this user's `own`, which is created if it is missing.
    pub fn open(directory: Option<&OsStr>, own: &str) -> Result<Self, OpenError> {
        match directory {
            Some(path) => Self::shared(path),
            None => Self::private(own, true).map(|it| it.expect("it is made if it is missing")),
        }
    }

    /// Opens the directory without creating it.
    pub fn existing(directory: Option<&OsStr>, own: &str) -> Result<Option<Self>, OpenError> {
        match directory {
            Some(path) => Self::shared(path).map(Some),
            None => Self::private(own, false),
        }
    }

    /// Opens a directory of several users. All who can enter it are trusted to leave other pairs alone; its mode must
    /// keep everybody else out.
    fn shared(path: &OsStr) -> Result<Self, OpenError> {
        let shown = path.to_string_lossy().into_owned();
        // The user has named it, so links on the way are followed.
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let opened = retry_on_intr(|| rustix::fs::open(path, flags, Mode::empty()));
        let descriptor = match opened {
            Err(Errno::NOTDIR) => return Err(OpenError::Foreign { path: shown, what: "not a directory" }),
            other => other.map_err(|error| doing("opening", &shown, error))?,
        };
        let stat = rustix::fs::fstat(&descriptor).map_err(|error| doing("checking", &shown, error))?;
        if stat.st_mode & 0o002 != 0 {
            return Err(OpenError::Foreign { path: shown, what: "any user may write in this directory" });
        }
        if stat.st_mode & 0o1000 != 0 {
            let what = "users cannot remove each other's files in this directory (sticky bit: chmod -t)";
            return Err(OpenError::Foreign { path: shown, what });
        }
        Ok(Self { descriptor, path: path.into(), shared: true })
    }

    /// Opens this user's own directory, and refuses one that other users could enter.
    fn private(path: &str, may_create: bool) -> Result<Option<Self>, OpenError> {
        let made = match if may_create { rustix::fs::mkdir(path, Mode::RWXU) } else { Err(Errno::EXIST) } {
            Ok(()) => true,
            Err(Errno::EXIST) => false,
            Err(error) => return Err(doing("creating", path, error)),
        };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let open = || retry_on_intr(|| rustix::fs::open(path, flags, Mode::empty()));
        let mut opened = open();
        if made && matches!(opened, Err(Errno::ACCESS)) {
            // The umask has locked out even this user. What is opened now is checked below, whatever it is.
            rustix::fs::chmod(path, Mode::RWXU).map_err(|error| doing("opening", path, error))?;
            opened = open();
        }
        let descriptor = match opened {
            Ok(directory) => directory,
            Err(Errno::NOENT) if !may_create => return Ok(None),
            Err(Errno::NOTDIR | Errno::LOOP) => {
                return Err(OpenError::Foreign { path: path.into(), what: "not a directory" });
            }
            Err(error) => return Err(doing("opening", path, error)),
        };
        let stat = rustix::fs::fstat(&descriptor).map_err(|error| doing("checking", path, error))?;
        if stat.st_uid != rustix::process::geteuid().as_raw() {
            return Err(OpenError::Foreign { path: path.into(), what: "belongs to another user" });
        }
        if stat.st_mode & 0o077 != 0 {
            return Err(OpenError::Foreign { path: path.into(), what: "other users may enter it" });
        }
        if made {
            // Let this user use it, whatever the umask is.
            rustix::fs::fchmod(&descriptor, Mode::RWXU).map_err(|error| doing("opening", path, error))?;
        }
        Ok(Some(Self { descriptor, path: path.into(), shared: false }))
    }

    /// Returns the mode of the files that are created here.
    pub fn mode(&self) -> Mode {
        let own = Mode::RUSR | Mode::WUSR;
        if self.shared { own | Mode::RGRP | Mode::WGRP } else { own }
    }

    /// Returns why this file cannot belong to a pipe, judging by its owner and mode.
    pub fn rejects(&self, stat: &Stat) -> Option<&'static str> {
        let own = stat.st_uid == rustix::process::geteuid().as_raw();
        if !self.shared && !own {
            Some("belongs to another user")
        } else if !self.shared && stat.st_mode & 0o077 != 0 {
            Some("other users may open it")
        } else if self.shared && stat.st_mode & 0o006 != 0 {
            Some("any user may open it")
        } else {
            None
        }
    }

    /// Opens this file, or creates it. Also returns whether it is new.
    pub fn open_or_create(&self, name: &str) -> rustix::io::Result<(OwnedFd, bool)> {
        // Other processes may create or remove it between the two calls; each such step means that one of them arrived
        // or left.
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
            let file = retry_on_intr(|| rustix::fs::openat(&self.descriptor, name, create, self.mode()))?;
            self.open_up(&file)?;
            return Ok(file);
        }
        // A process that is killed before it renames the file leaves one that is in nobody's way.
        let random = getrandom::u64().map_err(|_| Errno::AGAIN)?;
        let new = format!("{name}-new-{random:016x}");
        let file = retry_on_intr(|| rustix::fs::openat(&self.descriptor, &new, create, self.mode()))?;
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
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {}
            other => return other,
        }
        // The file has both names for a moment, in which another process may reject it as foreign.
        rustix::fs::linkat(&self.descriptor, from, &self.descriptor, to, AtFlags::empty())?;
        rustix::fs::unlinkat(&self.descriptor, from, AtFlags::empty())
    }

    /// Lets those who may join here open the file, whatever the umask is.
    pub fn open_up(&self, file: &OwnedFd) -> rustix::io::Result<()> {
        self.give(file, self.mode())
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

    /// Returns the names in the directory that are valid text.
    pub fn names(&self) -> rustix::io::Result<Vec<String>> {
        let entries = rustix::fs::Dir::read_from(&self.descriptor)?;
        Ok(entries.flatten().filter_map(|entry| Some(entry.file_name().to_str().ok()?.to_owned())).collect())
    }
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
