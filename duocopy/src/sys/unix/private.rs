//! A directory for one copy, in which only this user can do anything.

use super::dir::Directory;
use super::system;
use rustix::fd::AsRawFd;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::path::{Path, PathBuf};

/// A directory that this process has made.
#[derive(Debug)]
pub struct PrivateDirectory {
    parent: Directory,
    name: String,
    path: PathBuf,
}

impl PrivateDirectory {
    /// Returns the directories in which one can be made: those in memory first.
    pub fn places() -> Vec<PathBuf> {
        let of_session = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
        let places = [Some("/dev/shm".into()), of_session, Some(std::env::temp_dir())];
        places.into_iter().flatten().filter(|place| place.is_absolute()).collect()
    }

    /// Makes a directory in this one, with a name that nobody can guess. Fails where other users could rename it and
    /// put another directory in its place.
    pub fn make(place: &Path) -> io::Result<Self> {
        let parent = Directory::open_path(place)?;
        if parent.others_may_rename()? {
            return Err(Errno::PERM.into());
        }
        let name = format!("duocopy-{:016x}", RandomState::new().hash_one(std::process::id()));
        rustix::fs::mkdirat(&parent, &name, Mode::RWXU)?;
        let made = Self { path: place.join(&name), parent, name };
        made.let_owner_in().inspect_err(|_| made.remove())?;
        Ok(made)
    }

    /// Sets the mode again if the umask, or the parent's default access list, has locked out even this user.
    fn let_owner_in(&self) -> rustix::io::Result<()> {
        let flags = system::LOOKUP | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let opened = rustix::fs::openat(&self.parent, &self.name, flags, Mode::empty())?;
        if rustix::fs::fstat(&opened)?.st_mode & 0o777 == 0o700 {
            return Ok(());
        }
        match rustix::fs::fchmod(&opened, Mode::RWXU) {
            // It is open for lookups only.
            Err(Errno::BADF) => {
                rustix::fs::chmod(format!("/proc/self/fd/{}", opened.as_raw_fd()), Mode::RWXU)
            }
            other => other,
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the directory in which this one is.
    pub fn parent(&self) -> &Directory {
        &self.parent
    }

    /// Removes the directory, if it is empty.
    pub fn remove(&self) {
        let _ = self.parent.remove_directory(OsStr::new(&self.name));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::Permissions;
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    #[test]
    fn a_private_directory_is_made_and_removed() {
        let place = PrivateDirectory::places().pop().unwrap();
        let made = [(); 2].map(|()| PrivateDirectory::make(&place).unwrap());
        assert_ne!(made[0].path(), made[1].path());
        for one in made {
            assert_eq!(one.path().metadata().unwrap().mode() & 0o7777, 0o700);
            one.remove();
            assert!(!one.path().exists());
        }
    }

    #[test]
    fn a_private_directory_is_made_only_where_nobody_can_replace_it() {
        let folder = tempfile::tempdir().unwrap();
        for (mode, is_safe) in [
            (0o700, true),
            (0o755, true),
            (0o1777, true),
            (0o1770, true),
            (0o777, false),
            (0o770, false),
            (0o702, false),
        ] {
            std::fs::set_permissions(folder.path(), Permissions::from_mode(mode)).unwrap();
            let made = PrivateDirectory::make(folder.path());
            assert_eq!(made.is_ok(), is_safe, "{mode:o}: {made:?}");
            if let Ok(made) = made {
                made.remove();
            }
            assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "{mode:o}");
        }
        if rustix::process::geteuid().is_root() {
            for mode in [0o700, 0o755, 0o1777] {
                std::fs::set_permissions(folder.path(), Permissions::from_mode(mode)).unwrap();
                std::os::unix::fs::chown(folder.path(), Some(20003), None).unwrap();
                let made = PrivateDirectory::make(folder.path());
                assert!(made.is_err(), "{mode:o}, which another user owns: {made:?}");
            }
        }
    }
}
