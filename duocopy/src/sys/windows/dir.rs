//! An open directory, and files by their path below it.

use super::constants::{
    ERROR_ACCESS_DENIED, ERROR_LOCK_VIOLATION, ERROR_SHARING_VIOLATION, FILE_ATTRIBUTE_HIDDEN,
    FILE_ATTRIBUTE_SYSTEM, FILE_FLAG_BACKUP_SEMANTICS, FILE_FLAG_NO_BUFFERING, FILE_FLAG_OPEN_REPARSE_POINT,
    FILE_SHARE_READ, FILE_SHARE_WRITE, FILE_WRITE_ATTRIBUTES, GENERIC_READ, MODE_HIDDEN, MODE_SYSTEM,
};
use super::file::Information;
use crate::sys::contract::{
    DefaultList, Entry, Existing, FileId, FileOwner, NoReplace, Protection, Stat, Time,
};
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::windows::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long another program may have the destination open before a rename gives up. Virus scanners and indexers open
/// what has just been written.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);

/// What a rename reports while another program has one of the files open.
const BUSY: [i32; 3] = [ERROR_ACCESS_DENIED, ERROR_SHARING_VIOLATION, ERROR_LOCK_VIOLATION];

/// Holds a directory open. Until it is closed nobody can rename or remove it or a directory above it.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    handle: File,
}

impl Directory {
    /// Opens a directory. Windows has no way to open it for less than everything.
    pub fn open_path(path: &Path) -> io::Result<Self> {
        let path = std::path::absolute(path)?;
        let handle = OpenOptions::new()
            .read(true)
            .share_mode(FILE_SHARE_READ | FILE_SHARE_WRITE)
            .custom_flags(FILE_FLAG_BACKUP_SEMANTICS)
            .open(&path)?;
        if !handle.metadata()?.is_dir() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        Ok(Self { path, handle })
    }

    /// Opens a directory by a path that is absolute or relative to this directory.
    pub fn open_path_at(&self, path: &Path) -> io::Result<Self> {
        Self::open_path(&self.path.join(path))
    }

    /// Returns `None`: nobody can move the directory while it is open.
    #[expect(clippy::unused_self, reason = "other systems ask about the directory")]
    pub fn location(&self) -> Option<PathBuf> {
        None
    }

    /// Duplicates the handle, which can be used for everything already.
    pub fn reopen(&self) -> io::Result<Self> {
        self.try_clone()
    }

    /// Duplicates the handle.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self { path: self.path.clone(), handle: self.handle.try_clone()? })
    }

    /// Returns the target of a symbolic link; `None` if the name is not a link, or does not exist.
    pub fn read_link(&self, name: &OsStr) -> io::Result<Option<PathBuf>> {
        let path = self.path.join(name);
        match fs::symlink_metadata(&path) {
            Ok(about) if about.is_symlink() => Ok(Some(fs::read_link(&path)?)),
            Ok(_) => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Returns `None`: links are not copied on Windows, where creating one takes a privilege.
    #[expect(
        clippy::unused_self,
        clippy::unnecessary_wraps,
        reason = "Unix has links that anybody can create"
    )]
    pub fn symbolic_link(&self, _name: &OsStr) -> io::Result<Option<(Stat, Vec<u8>)>> {
        Ok(None)
    }

    /// Fails: links are not copied on Windows.
    #[expect(clippy::unused_self, reason = "Unix has links that anybody can create")]
    pub fn create_symbolic_link(&self, _name: &OsStr, _text: &[u8]) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Fails: links are not copied on Windows.
    #[expect(clippy::unused_self, reason = "Unix has links that anybody can create")]
    pub fn set_link_owner(&self, _name: &OsStr, _owner: (u32, u32)) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Fails: links are not copied on Windows.
    #[expect(clippy::unused_self, reason = "Unix has links that anybody can create")]
    pub fn set_link_times(&self, _name: &OsStr, _accessed: Time, _modified: Time) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Creates a directory; fails if the name is taken. Its rights come from the one above it.
    pub fn create_directory(&self, name: &OsStr, _mode: u32) -> io::Result<()> {
        fs::create_dir(self.path.join(name))
    }

    /// Returns the directory as a file, whose times can be changed.
    pub fn as_file(&self) -> io::Result<File> {
        OpenOptions::new()
            .access_mode(FILE_WRITE_ATTRIBUTES)
            .share_mode(FILE_SHARE_READ | FILE_SHARE_WRITE)
            .custom_flags(FILE_FLAG_BACKUP_SEMANTICS)
            .open(&self.path)
    }

    /// Checks nothing: only the directory's access control list decides who may put a file there.
    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "Unix has sticky directories")]
    pub fn owner_of(&self, _name: &OsStr) -> io::Result<FileOwner> {
        Ok(FileOwner::ThisUser)
    }

    /// Checks nothing, as [`Self::owner_of`].
    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "Unix has sticky directories")]
    pub fn owner_of_open(&self, _file: &File) -> io::Result<FileOwner> {
        Ok(FileOwner::ThisUser)
    }

    /// Checks nothing, as [`Self::owner_of`].
    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "Unix has sticky directories")]
    pub fn owner_of_user(&self, _user: u32) -> io::Result<FileOwner> {
        Ok(FileOwner::ThisUser)
    }

    /// Returns `false`: there are no sticky directories.
    #[expect(clippy::unused_self, reason = "Unix has sticky directories")]
    pub fn is_shared_and_sticky(&self) -> bool {
        false
    }

    /// Returns the identity of the directory itself.
    pub fn id(&self) -> io::Result<FileId> {
        Ok(Information::of(&self.handle)?.id)
    }

    /// Returns what the name stands for; `None` if it does not exist. Links are not followed.
    pub fn entry(&self, name: &OsStr) -> io::Result<Option<Entry>> {
        let about = match self.information(name) {
            Ok(about) => about,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => return Ok(Some(Entry::Other)),
            Err(error) => return Err(error),
        };
        Ok(Some(if about.metadata.is_symlink() {
            Entry::Other
        } else if about.metadata.is_dir() {
            Entry::Directory
        } else {
            Entry::Regular(about.id)
        }))
    }

    /// Returns the metadata of the file of this name without opening it for reading.
    pub fn stat(&self, name: &OsStr) -> io::Result<Stat> {
        Ok((&self.information(name)?).into())
    }

    fn information(&self, name: &OsStr) -> io::Result<Information> {
        Information::of(&self.look_up(name)?)
    }

    /// Opens a file for its metadata only. Links are not followed.
    pub fn look_up(&self, name: &OsStr) -> io::Result<File> {
        let flags = FILE_FLAG_BACKUP_SEMANTICS | FILE_FLAG_OPEN_REPARSE_POINT;
        OpenOptions::new().access_mode(0).custom_flags(flags).open(self.path.join(name))
    }

    /// Creates a file; fails if the name is taken.
    ///
    /// It gets those attributes of `mode` that can only be given to a new file: *hidden* and *system*.
    pub fn create_new(&self, name: &OsStr, mode: u32) -> io::Result<File> {
        let bit = |bit: u32, attribute: u32| if mode & bit == 0 { 0 } else { attribute };
        let attributes = bit(MODE_HIDDEN, FILE_ATTRIBUTE_HIDDEN) | bit(MODE_SYSTEM, FILE_ATTRIBUTE_SYSTEM);
        OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .attributes(attributes)
            .custom_flags(FILE_FLAG_OPEN_REPARSE_POINT)
            .open(self.path.join(name))
    }

    /// Opens an existing file for reading and writing, or for reading and changing its attributes. Links are not
    /// followed.
    pub fn open_existing(&self, name: &OsStr) -> io::Result<File> {
        let (path, link) = (self.path.join(name), FILE_FLAG_OPEN_REPARSE_POINT);
        // A file that an interrupted copy left can be read-only already. It can still be locked and made writable.
        OpenOptions::new().read(true).write(true).custom_flags(link).open(&path).or_else(|error| {
            let access = GENERIC_READ | FILE_WRITE_ATTRIBUTES;
            OpenOptions::new().access_mode(access).custom_flags(link).open(&path).map_err(|_| error)
        })
    }

    /// Opens the same file a second time, for a thread that syncs it: calls through one handle wait for each other.
    pub fn open_again(&self, file: &File, name: &OsStr) -> io::Result<File> {
        let again = self.open_existing(name)?;
        if Information::of(&again)?.id == Information::of(file)?.id {
            Ok(again)
        } else {
            Err(io::Error::other("another program replaced it"))
        }
    }

    /// Opens a file so that reads come from the medium and not from the cache, which Windows guarantees.
    pub fn open_direct(&self, name: &OsStr) -> io::Result<(File, bool)> {
        let flags = FILE_FLAG_OPEN_REPARSE_POINT | FILE_FLAG_NO_BUFFERING;
        Ok((OpenOptions::new().read(true).custom_flags(flags).open(self.path.join(name))?, true))
    }

    /// Removes a file, even if it is read-only: a file of this program may have its final attributes already.
    pub fn remove(&self, name: &OsStr) -> io::Result<()> {
        let path = self.path.join(name);
        fs::remove_file(&path).or_else(|error| {
            let permissions = fs::symlink_metadata(&path)?.permissions();
            if !permissions.readonly() {
                return Err(error);
            }
            fs::set_permissions(&path, writable(permissions))?;
            fs::remove_file(&path)
        })
    }

    /// Removes a file if it exists.
    pub fn remove_if_exists(&self, name: &OsStr) -> io::Result<()> {
        match self.remove(name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    /// Renames `from`, which is this open file, to `to` and replaces what is there in one step.
    ///
    /// Another program may have one of the two open for a moment, so a rename that fails is repeated for two seconds. A
    /// destination that is read-only is made writable first.
    pub fn rename(&self, file: &File, from: &OsStr, to: &OsStr) -> io::Result<()> {
        let to_path = self.path.join(to);
        let old = fs::metadata(&to_path).ok().map(|old| old.permissions()).filter(Permissions::readonly);
        if let Some(old) = &old {
            fs::set_permissions(&to_path, writable(old.clone()))?;
        }
        let result = self.rename_when_free(from, to);
        match (&result, old) {
            // The lock keeps others from reading, and they look for the file under its new name from now on.
            (Ok(()), _) => drop(file.unlock()),
            (Err(_), Some(old)) => drop(fs::set_permissions(&to_path, old)),
            (Err(_), None) => {}
        }
        result
    }

    /// Renames a file and repeats that while another program has one of the two open, until the timeout.
    fn rename_when_free(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        let (deadline, mut time) = (Instant::now() + BUSY_TIMEOUT, Duration::from_millis(5));
        loop {
            match self.rename_over(from, to) {
                Err(error) if error.raw_os_error().is_some_and(|code| BUSY.contains(&code)) => {
                    if Instant::now() + time >= deadline {
                        return Err(io::ErrorKind::ResourceBusy.into());
                    }
                    pause(time);
                    time = (time * 2).min(Duration::from_millis(250));
                }
                result => return result,
            }
        }
    }

    /// Renames a file that need not be open, and replaces what is at `to` in one step.
    pub fn rename_over(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        fs::rename(self.path.join(from), self.path.join(to))
    }

    /// Renames a file; fails if the new name is taken. The file has both names for a moment.
    pub fn rename_no_replace(&self, from: &OsStr, to: &OsStr) -> io::Result<NoReplace> {
        self.link(from, to)?;
        // The file is in place. If the old name stays, the next copy to this destination removes it.
        let _ = fs::remove_file(self.path.join(from));
        Ok(NoReplace::Guaranteed)
    }

    /// Returns the extended name.
    #[expect(clippy::unused_self, reason = "other systems ask the file system how long a name may be")]
    pub fn extended_name(&self, name: &OsStr, ending: &str) -> OsString {
        let mut extended = name.to_owned();
        extended.push(ending);
        extended
    }

    /// Gives a file a second name; fails if the new name is taken.
    pub fn link(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        fs::hard_link(self.path.join(from), self.path.join(to))
    }

    /// Returns all names in the directory.
    pub fn names(&self) -> io::Result<Vec<OsString>> {
        fs::read_dir(&self.path)?.map(|entry| Ok(entry?.file_name())).collect()
    }

    /// Never refuses: access lists decide who may create names, and only an attempt would tell.
    #[expect(clippy::unused_self, reason = "Unix asks the directory")]
    #[expect(clippy::unnecessary_wraps, reason = "on Unix it may fail")]
    pub fn check_writable(&self) -> io::Result<()> {
        Ok(())
    }

    /// Returns nothing: Windows has no such attributes.
    #[expect(clippy::unused_self, reason = "other systems ask about the directory")]
    pub fn protection(&self) -> Protection {
        Protection::default()
    }

    /// Returns nothing: Windows has no such attributes.
    #[expect(clippy::unused_self, reason = "other systems ask about the file")]
    pub fn protection_of(&self, _name: &OsStr) -> Protection {
        Protection::default()
    }

    /// Returns `true`: owners have no numbers.
    #[expect(
        clippy::unused_self,
        clippy::unnecessary_wraps,
        reason = "other systems have sticky directories"
    )]
    pub fn may_replace(&self, _owner: u32) -> io::Result<bool> {
        Ok(true)
    }

    /// Returns the metadata that the regular file of this name can hand on to the file that replaces it; `None` if
    /// there is none. Owner and access list come from the directory.
    pub fn existing(&self, name: &OsStr) -> io::Result<Option<Existing>> {
        Ok(match self.entry(name)? {
            Some(Entry::Regular(_)) => {
                let Stat { owner, mode, .. } = self.stat(name)?;
                Some(Existing { owner, mode, list: None, attributes: Vec::new() })
            }
            _ => None,
        })
    }

    /// Returns no list: the system itself gives a new file its access list.
    #[expect(clippy::unused_self, reason = "Linux asks the directory")]
    pub fn default_list(&self) -> DefaultList {
        DefaultList::Absent
    }

    /// Gives the file the attributes of the file of this name: read-only, and *hidden* and *system*, which no mode can
    /// set.
    pub fn copy_system_attributes(&self, file: &File, name: &OsStr) -> io::Result<()> {
        file.set_permissions(fs::symlink_metadata(self.path.join(name))?.permissions())
    }

    /// Makes the name of this open file durable, which syncing the file does: NTFS writes its log with it.
    #[expect(clippy::unused_self, reason = "Unix syncs the directory")]
    pub fn sync(&self, file: &File) -> io::Result<()> {
        file.sync_all()
    }
}

fn writable(mut permissions: Permissions) -> Permissions {
    #[expect(clippy::permissions_set_readonly_false, reason = "on Windows it is one attribute")]
    permissions.set_readonly(false);
    permissions
}

#[expect(clippy::disallowed_methods, reason = "no event tells when another program closes a file")]
fn pause(time: Duration) {
    std::thread::sleep(time);
}
