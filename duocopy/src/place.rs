//! Where a destination is: its directory, opened once, and the names in it.

use crate::digest;
use crate::exit::{self, Failure};
use crate::sys::{self, Directory};
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};

/// As many as the kernel follows.
const MOST_LINKS: usize = 40;

/// The path was resolved once; from here on everything goes through the open directory.
#[derive(Debug)]
pub struct Place {
    pub directory: Directory,
    pub name: OsString,
    /// As the user wrote it, for messages.
    pub path: PathBuf,
    /// With the links followed, for messages.
    real: PathBuf,
    follow_links: bool,
}

impl Place {
    /// A destination that is a link stands for the file that it names, in that file's own directory; or it is refused,
    /// if links are not to be followed.
    pub fn resolve(path: &Path, follow_links: bool) -> Result<Self, Failure> {
        let found = Self::find(path, follow_links)?;
        let failed = |error: io::Error| Failure::destination(path, "opening its directory", &error);
        Ok(Self { directory: found.directory.reopen().map_err(failed)?, ..found })
    }

    /// The same, only to look at what is there.
    pub fn find(path: &Path, follow_links: bool) -> Result<Self, Failure> {
        let failed = |error: io::Error| Failure::destination(path, "opening its directory", &error);
        let refused = |what: &str, remedy| Err(Failure::refused(path, what, remedy));
        let Some(mut name) = path.file_name().map(OsStr::to_owned) else {
            return refused("the destination is a directory", "name the file in it");
        };
        let mut directory = Directory::open_path(parent(path).unwrap_or(Path::new("."))).map_err(failed)?;
        let mut real = path.to_owned();
        for links in 0..=MOST_LINKS {
            let looking = |error: io::Error| Failure::destination(path, "looking at the destination", &error);
            let Some(target) = directory.read_link(&name).map_err(looking)? else {
                if links > 0 && directory.entry(&name).map_err(looking)?.is_none() {
                    return refused(
                        "the destination is a link that leads nowhere",
                        "remove it, or name its file",
                    );
                }
                return Ok(Self { directory, name, path: path.into(), real, follow_links });
            };
            if !follow_links {
                return refused(
                    "the destination is a link, and `write` follows none",
                    "name the file itself",
                );
            }
            let Some(next) = target.file_name() else {
                return refused("the destination is a link to a directory", "name the file in it");
            };
            if let Some(parent) = parent(&target) {
                directory = match directory.open_path_at(parent) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {
                        return refused(
                            "the destination is a link that leads nowhere",
                            "remove it, or name its file",
                        );
                    }
                    other => other.map_err(failed)?,
                };
            }
            next.clone_into(&mut name);
            real = real.with_file_name(&target);
        }
        refused("the destination is a link that leads in circles", "remove it, or name its file")
    }

    /// The temporary file beside the destination. Its name is made from the destination's, so that two copies to
    /// one destination meet on it.
    pub fn temporary(&self) -> OsString {
        self.beside("part")
    }

    /// The journal beside the temporary file.
    pub fn journal(&self) -> OsString {
        self.beside("journal")
    }

    /// What a name that is about to be another one is called for a moment.
    pub fn backup(&self) -> OsString {
        self.beside("backup")
    }

    /// Where the temporary file is, for messages.
    pub fn temporary_path(&self) -> PathBuf {
        self.real.with_file_name(self.temporary())
    }

    /// Whether the path still leads to this name in the directory that is open.
    pub fn is_where_it_was(&self) -> bool {
        let there = Self::find(&self.path, self.follow_links).map(|there| (there.directory.id(), there.name));
        matches!(
            (there, self.directory.id()),
            (Ok((Ok(there), name)), Ok(here)) if there == here && name == self.name
        )
    }

    /// Of the destination's name, the same for all ways to write it.
    pub fn hash(&self) -> u64 {
        digest::of(sys::case_fold(&self.name).as_encoded_bytes())
    }

    fn beside(&self, ending: &str) -> OsString {
        format!(".duocopy-{:016x}.{ending}", self.hash()).into()
    }
}

/// The path in front of the last name, if there is one.
fn parent(path: &Path) -> Option<&Path> {
    path.parent().filter(|parent| !parent.as_os_str().is_empty())
}

/// Where the temporary file of a copy to this destination is, or was.
pub fn temporary_path(path: &Path) -> String {
    match Place::find(path, true) {
        Ok(place) => exit::show(&place.temporary_path()),
        Err(_) => "beside it".into(),
    }
}
