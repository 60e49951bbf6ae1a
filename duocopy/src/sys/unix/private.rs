//! A directory for one copy, in which only this user can do anything.

use super::dir::Directory;
use rustix::fs::{AtFlags, Mode};
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

    /// Makes one in this directory, with a name that nobody can guess.
    pub fn make(place: &Path) -> io::Result<Self> {
        let parent = Directory::open_path(place)?;
        let name = format!("duocopy-{:016x}", RandomState::new().hash_one(std::process::id()));
        rustix::fs::mkdirat(&parent, &name, Mode::RWXU)?;
        let made = Self { path: place.join(&name), parent, name };
        // The umask may have locked out even this user.
        rustix::fs::chmodat(&made.parent, &made.name, Mode::RWXU, AtFlags::empty())
            .inspect_err(|_| made.remove())?;
        Ok(made)
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
    use std::os::unix::fs::MetadataExt;

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
}
