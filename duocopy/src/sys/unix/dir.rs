//! Calls relative to a directory descriptor.

mod links;

use super::attributes::{LookedUp, Readable, access_list_of, attributes_of, default_list};
use super::file::fstat;
use super::{system, walk};
use crate::sys::contract::{DefaultList, Entry, Existing, FileId, FileOwner, NoReplace, Protection, Stat};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::{Errno, retry_on_intr};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// The errors that file systems without hard links return. Some cloud storage reports an I/O error.
const NO_LINKS: [Errno; 6] =
    [Errno::PERM, Errno::NOSYS, Errno::OPNOTSUPP, Errno::INVAL, Errno::IO, Errno::MLINK];

/// Flags for opening an existing file by name: they follow no link, and do not wait if something else, such as a named
/// pipe, has taken the name.
pub const BY_NAME: OFlags =
    OFlags::CLOEXEC.union(OFlags::NOFOLLOW).union(OFlags::NONBLOCK).union(OFlags::NOCTTY);

/// Holds a directory open. All names are relative to it.
#[derive(Debug)]
pub struct Directory(OwnedFd);

impl Directory {
    /// Opens a directory for looking up names in it and below it, which a confined process may do anywhere.
    pub fn open_path(path: &Path) -> io::Result<Self> {
        Ok(Self(walk::open_directory(None, path)?))
    }

    /// Opens a directory for looking up names, by a path that is absolute or relative to this directory.
    pub fn open_path_at(&self, path: &Path) -> io::Result<Self> {
        Ok(Self(walk::open_directory(Some(&self.0), path)?))
    }

    /// Opens the same directory for everything: listing it and syncing it, too. One that this user may not read serves for
    /// everything else.
    pub fn reopen(&self) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        match retry_on_intr(|| rustix::fs::openat(&self.0, c".", flags, Mode::empty())) {
            Err(Errno::ACCESS) => self.try_clone(),
            other => Ok(Self(other?)),
        }
    }

    /// Returns the path that leads to the directory now, wherever it was moved, without looking up any name. `None` if
    /// the system does not tell.
    pub fn location(&self) -> Option<PathBuf> {
        system::path_of(&self.0)
    }

    /// Duplicates the descriptor.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self(self.0.try_clone()?))
    }

    /// Returns the target of a symbolic link; `None` if the name is not a link, or does not exist. A link that must not
    /// be followed is an error, which [`foreign_link`](crate::sys::foreign_link) recognises.
    pub fn read_link(&self, name: &OsStr) -> io::Result<Option<PathBuf>> {
        walk::read_link(&self.0, name)
    }

    /// Creates a directory with these permission bits, as far as the umask allows them; fails if the name is taken.
    pub fn create_directory(&self, name: &OsStr, mode: u32) -> io::Result<()> {
        Ok(rustix::fs::mkdirat(&self.0, name, Mode::from_raw_mode(mode as _))?)
    }

    /// Returns the directory as a file, whose metadata can be read and changed.
    pub fn as_file(&self) -> io::Result<File> {
        Ok(self.0.try_clone()?.into())
    }

    /// Returns the owner of the file with this name. Links are not followed.
    pub fn owner_of(&self, name: &OsStr) -> io::Result<FileOwner> {
        self.owner_of_user(rustix::fs::statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW)?.st_uid)
    }

    /// Returns the owner of this file, which was opened in this directory.
    pub fn owner_of_open(&self, file: &File) -> io::Result<FileOwner> {
        self.owner_of_user(rustix::fs::fstat(file)?.st_uid)
    }

    /// Returns the owner of a file that belongs to this user and lies in this directory.
    pub fn owner_of_user(&self, user: u32) -> io::Result<FileOwner> {
        Ok(walk::owner(&rustix::fs::fstat(&self.0)?, user))
    }

    /// Returns whether others can put files into this directory, and cannot remove those of this user (sticky bit).
    pub fn is_shared_and_sticky(&self) -> bool {
        rustix::fs::fstat(&self.0).is_ok_and(|stat| stat.st_mode & 0o1000 != 0 && stat.st_mode & 0o022 != 0)
    }

    /// Returns whether others can rename and remove the entries that this user creates in this directory; its owner
    /// always can. Root does not count, because root has an unknown number in some user namespaces.
    pub fn others_may_rename(&self) -> io::Result<bool> {
        let (stat, own) = (rustix::fs::fstat(&self.0)?, rustix::process::geteuid().as_raw());
        let may_all_write = stat.st_mode & 0o1000 == 0 && stat.st_mode & 0o022 != 0;
        Ok(may_all_write || ![own, 0, walk::UNKNOWN_USER].contains(&stat.st_uid))
    }

    /// Returns the identity of the directory itself.
    pub fn id(&self) -> io::Result<FileId> {
        Ok(file_id(&rustix::fs::fstat(&self.0)?))
    }

    /// Returns what the name stands for; `None` if it does not exist. Links are not followed.
    pub fn entry(&self, name: &OsStr) -> io::Result<Option<Entry>> {
        let stat = match rustix::fs::statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        Ok(Some(match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Entry::Regular(file_id(&stat)),
            FileType::Directory => Entry::Directory,
            FileType::Symlink => Entry::Link(file_id(&stat)),
            _ => Entry::Other,
        }))
    }

    /// Returns the metadata of the regular file or symbolic link of this name without opening it for reading.
    pub fn stat(&self, name: &OsStr) -> io::Result<Stat> {
        match self.look_up(name) {
            // Only Linux opens a link for its metadata.
            Err(error) if matches!(Errno::from_io_error(&error), Some(Errno::LOOP | Errno::MLINK)) => {
                Ok(link_stat(&rustix::fs::statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW)?))
            }
            found => fstat(&found?),
        }
    }

    /// Opens a file for its metadata only, which a confined process may do with any file. Links are not followed.
    pub fn look_up(&self, name: &OsStr) -> io::Result<File> {
        let flags = system::LOOKUP | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(retry_on_intr(|| rustix::fs::openat(&self.0, name, flags, Mode::empty()))?.into())
    }

    /// Creates a file that only this user can open; fails if the name is taken.
    ///
    /// The file gets `mode` later, once it is complete: Windows alone needs the mode here.
    pub fn create_new(&self, name: &OsStr, _mode: u32) -> io::Result<File> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let file = retry_on_intr(|| rustix::fs::openat(&self.0, name, flags, Mode::RUSR | Mode::WUSR))?;
        // The next copy of this user must be able to open the file, whatever the umask or the directory took away.
        let set_mode = || match rustix::fs::fstat(&file)?.st_mode & 0o7777 {
            0o600 => Ok(()),
            _ => rustix::fs::fchmod(&file, Mode::RUSR | Mode::WUSR),
        };
        match set_mode() {
            // A file system that refuses modes decides about them itself.
            Ok(()) | Err(Errno::PERM | Errno::OPNOTSUPP | Errno::NOSYS) => Ok(file.into()),
            Err(error) => {
                let _ = self.remove(name);
                Err(error.into())
            }
        }
    }

    /// Opens an existing file for reading and writing, or for one of the two. Links are not followed.
    pub fn open_existing(&self, name: &OsStr) -> io::Result<File> {
        let open =
            |access| retry_on_intr(|| rustix::fs::openat(&self.0, name, BY_NAME | access, Mode::empty()));
        // A file that an interrupted copy left may have its final mode already, which can be read-only. Any access is
        // enough to lock it.
        let file = open(OFlags::RDWR).or_else(|error| match error {
            Errno::NOENT => Err(error),
            _ => open(OFlags::RDONLY).or_else(|_| open(OFlags::WRONLY)).map_err(|_| error),
        })?;
        Ok(file.into())
    }

    /// Returns a second handle of an open file, for a thread that syncs it.
    #[expect(clippy::unused_self, reason = "Windows opens the file by its name")]
    pub fn open_again(&self, file: &File, _name: &OsStr) -> io::Result<File> {
        file.try_clone()
    }

    /// Opens a file so that reads come from the medium and not from the page cache.
    ///
    /// The second value says whether the file system guarantees that. Where it does not, the system was at least asked
    /// not to use the cache.
    pub fn open_direct(&self, name: &OsStr) -> io::Result<(File, bool)> {
        system::open_direct(&self.0, name)
    }

    /// Removes an empty directory.
    pub fn remove_directory(&self, name: &OsStr) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&self.0, name, AtFlags::REMOVEDIR)?)
    }

    /// Removes a file.
    pub fn remove(&self, name: &OsStr) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&self.0, name, AtFlags::empty())?)
    }

    /// Removes a file if it exists.
    pub fn remove_if_exists(&self, name: &OsStr) -> io::Result<()> {
        match rustix::fs::unlinkat(&self.0, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Renames `from`, which is this open file, to `to` and replaces what is there in one step.
    pub fn rename(&self, _file: &File, from: &OsStr, to: &OsStr) -> io::Result<()> {
        self.rename_over(from, to)
    }

    /// Renames a file that need not be open, and replaces what is at `to` in one step.
    pub fn rename_over(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        Ok(rustix::fs::renameat(&self.0, from, &self.0, to)?)
    }

    /// Renames a file; fails if the new name is taken. If the file system has neither a call for that nor hard links,
    /// the name is only checked just before.
    pub fn rename_no_replace(&self, from: &OsStr, to: &OsStr) -> io::Result<NoReplace> {
        match system::rename_no_replace(&self.0, from, to) {
            // The file system has no such call, or a filter of system calls does not know it. With `linkat`, the file
            // has both names for a moment, and a new name that is taken is still an error.
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP | Errno::PERM) => {
                match rustix::fs::linkat(&self.0, from, &self.0, to, AtFlags::empty()) {
                    Ok(()) => {
                        // The file is in place. If the old name stays, the next copy to this destination removes it.
                        let _ = self.remove(from);
                        Ok(NoReplace::Guaranteed)
                    }
                    Err(error) if !NO_LINKS.contains(&error) => Err(error.into()),
                    Err(_) if self.entry(to)?.is_some() => Err(io::ErrorKind::AlreadyExists.into()),
                    Err(_) => self.rename_over(from, to).map(|()| NoReplace::CheckedBefore),
                }
            }
            other => Ok(other.map(|()| NoReplace::Guaranteed)?),
        }
    }

    /// Returns the extended name, or, if that is too long for the file system, what GNU `cp` makes of it: as much of the
    /// name as fits, and `~`.
    pub fn extended_name(&self, name: &OsStr, ending: &str) -> OsString {
        let mut extended = name.to_owned();
        extended.push(ending);
        // Some file systems do not tell, and say 0.
        let limit = rustix::fs::fstatvfs(&self.0).map_or(0, |system| system.f_namemax as usize);
        if limit == 0 || extended.len() <= limit {
            return extended;
        }
        let kept = &name.as_bytes()[..name.len().min(limit - 1)];
        OsString::from_vec([kept, b"~"].concat())
    }

    /// Gives a file a second name; fails if the new name is taken.
    pub fn link(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        Ok(rustix::fs::linkat(&self.0, from, &self.0, to, AtFlags::empty())?)
    }

    /// Returns all names in the directory.
    pub fn names(&self) -> io::Result<Vec<OsString>> {
        // This one may be open for lookups only.
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let listed = retry_on_intr(|| rustix::fs::openat(&self.0, c".", flags, Mode::empty()))?;
        let entries = rustix::fs::Dir::new(listed)?
            .map(|entry| Ok(OsString::from_vec(entry?.file_name().to_bytes().to_vec())));
        entries.collect()
    }

    /// Returns an error if this user may not create and remove names in the directory.
    pub fn check_writable(&self) -> io::Result<()> {
        let access = rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK;
        Ok(rustix::fs::accessat(&self.0, c".", access, AtFlags::EACCESS)?)
    }

    /// Returns what protects the directory itself. The system may not tell.
    pub fn protection(&self) -> Protection {
        system::protection(&self.0, OsStr::new(""))
    }

    /// Returns what protects the file of this name. The system may not tell. Links are not followed.
    pub fn protection_of(&self, name: &OsStr) -> Protection {
        system::protection(&self.0, name)
    }

    /// Returns whether this user may replace or remove a file of this owner: in a sticky directory, that takes more than
    /// the right to write.
    pub fn may_replace(&self, owner: u32) -> io::Result<bool> {
        let (directory, own) = (rustix::fs::fstat(&self.0)?, rustix::process::geteuid().as_raw());
        let is_sticky = directory.st_mode & 0o1000 != 0;
        Ok(!is_sticky || own == owner || own == directory.st_uid || system::overrides_owners())
    }

    /// Returns the metadata that the regular file of this name can hand on to the file that replaces it; `None` if
    /// there is none.
    ///
    /// The file is opened with `O_PATH`: this user may not be allowed to read it, and other programs could notice an
    /// open file. If its access list cannot be read that way, the mode gives the group nothing, because the group bits
    /// may be the mask of a list.
    pub fn existing(&self, name: &OsStr) -> io::Result<Option<Existing>> {
        if !matches!(self.entry(name)?, Some(Entry::Regular(_))) {
            return Ok(None);
        }
        let file = match self.look_up(name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        let Stat { owner, mode, .. } = fstat(&file)?;
        let plain = Existing { owner, mode, list: None, attributes: Vec::new() };
        // On other systems the names of attributes do not show which ones belong to users.
        if !system::HAS_ACCESS_LISTS {
            return Ok(Some(plain));
        }
        if let Some(found) = LookedUp::new(&file) {
            return Ok(Some(with_attributes(plain, &found)));
        }
        match retry_on_intr(|| rustix::fs::openat(&self.0, name, BY_NAME, Mode::empty())) {
            Ok(file) => Ok(Some(with_attributes(plain, &File::from(file)))),
            Err(_) => Ok(Some(Existing { mode: mode & !0o070, ..plain })),
        }
    }

    /// Returns the access list that the directory gives to new files.
    pub fn default_list(&self) -> DefaultList {
        let Ok(directory) = self.0.try_clone().map(File::from) else { return DefaultList::Unknown };
        match default_list(&directory) {
            // It is open for lookups only.
            DefaultList::Unknown => {
                LookedUp::new(&directory).map_or(DefaultList::Unknown, |it| default_list(&it))
            }
            known => known,
        }
    }

    /// Does nothing: Unix has no attributes that are neither in the mode nor extended ones.
    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "Windows has such attributes")]
    pub fn copy_system_attributes(&self, _file: &File, _name: &OsStr) -> io::Result<()> {
        Ok(())
    }

    /// Makes the names in the directory durable. A file system that cannot do that succeeds without it.
    ///
    /// If it is the directory that cannot be synced, because it is open for lookups only or because the file system knows
    /// no such call, everything on the file system of `file` is.
    pub fn sync(&self, file: &File) -> io::Result<()> {
        const IMPOSSIBLE: [Errno; 7] = [
            Errno::BADF,
            Errno::INVAL,
            Errno::OPNOTSUPP,
            Errno::NOSYS,
            Errno::ISDIR,
            Errno::PERM,
            Errno::ACCESS,
        ];
        match retry_on_intr(|| system::sync_directory(&self.0)) {
            Err(error) if IMPOSSIBLE.contains(&error) => {}
            other => return Ok(other?),
        }
        match retry_on_intr(|| system::sync_all_of(file)) {
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => Ok(()),
            other => Ok(other?),
        }
    }
}

impl AsFd for Directory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn with_attributes(mut existing: Existing, file: &impl Readable) -> Existing {
    match access_list_of(file) {
        Ok(None) => {}
        Ok(Some(list)) => {
            existing.mode = existing.mode & !0o777 | list.plain_mode();
            existing.list = Some(list);
        }
        // The group bits may be the mask of a list.
        Err(_) => existing.mode &= !0o070,
    }
    existing.attributes = attributes_of(file).unwrap_or_else(|_| vec![(OsString::new(), None)]);
    existing.attributes.retain(|(name, _)| !name.as_encoded_bytes().starts_with(b"system."));
    existing
}

/// Returns the status of a symbolic link, without its birth time.
#[allow(
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    clippy::unnecessary_cast,
    clippy::useless_conversion,
    reason = "each system has other types"
)]
fn link_stat(stat: &rustix::fs::Stat) -> Stat {
    Stat {
        file: file_id(stat),
        length: stat.st_size as u64,
        modified: (stat.st_mtime as i64, stat.st_mtime_nsec as i64),
        changed: (stat.st_ctime as i64, stat.st_ctime_nsec as i64),
        accessed: (stat.st_atime as i64, stat.st_atime_nsec as i64),
        mode: u32::from(stat.st_mode) & 0o7777,
        owner: (stat.st_uid, stat.st_gid),
        birth_time: 0,
        has_holes: false,
    }
}

fn file_id(stat: &rustix::fs::Stat) -> FileId {
    FileId { device: system::device(stat.st_dev), inode: stat.st_ino }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::{read_at, set_mode, stat, write_at};

    fn directory() -> (tempfile::TempDir, Directory) {
        let folder = tempfile::tempdir().unwrap();
        let directory = Directory::open_path(folder.path()).unwrap().reopen().unwrap();
        (folder, directory)
    }

    #[test]
    fn a_file_has_the_same_metadata_however_it_is_asked_for() {
        let (folder, directory) = directory();
        let name = OsStr::new("a");
        let file = directory.create_new(name, 0o644).unwrap();
        write_at(&file, b"content", 0).unwrap();
        let open = fstat(&file).unwrap();
        assert_eq!((open.length, open.mode), (7, 0o600));
        assert_eq!(directory.stat(name).unwrap(), open);
        assert_eq!(stat(&folder.path().join(name)).unwrap(), open);
        assert_eq!(directory.entry(name).unwrap(), Some(Entry::Regular(open.file)));
        assert_eq!(directory.entry(OsStr::new("..")).unwrap(), Some(Entry::Directory));
        assert_eq!(directory.names().unwrap().iter().filter(|found| *found == name).count(), 1);
    }

    #[test]
    fn a_name_that_is_taken_is_replaced_only_by_the_calls_that_say_so() {
        let (_folder, directory) = directory();
        let (old, new) = (OsStr::new("old"), OsStr::new("new"));
        for (name, content) in [(old, b"old"), (new, b"new")] {
            write_at(&directory.create_new(name, 0).unwrap(), content, 0).unwrap();
        }
        let taken = |result: io::Result<()>| result.unwrap_err().kind() == io::ErrorKind::AlreadyExists;
        assert!(taken(directory.rename_no_replace(new, old).map(drop)) && taken(directory.link(new, old)));
        assert!(taken(directory.create_new(old, 0).map(drop)));
        directory.rename_over(new, old).unwrap();
        assert_eq!(directory.entry(new).unwrap(), None);
        let mut content = [0; 3];
        read_at(&directory.open_existing(old).unwrap(), &mut content, 0).unwrap();
        assert_eq!(&content, b"new");
    }

    /// Another user may have put a named pipe in the place of a file.
    #[test]
    fn no_name_makes_a_process_wait() {
        let (folder, directory) = directory();
        let (fifo, name) = (folder.path().join("fifo"), OsStr::new("fifo"));
        assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        let (over, wait) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let (opened, _) = directory.open_direct(name).unwrap();
            assert!(crate::sys::fstat(&opened).is_ok());
            directory.open_existing(name).unwrap();
            directory.existing(name).unwrap();
            directory.look_up(name).unwrap();
            over.send(()).unwrap();
        });
        wait.recv_timeout(std::time::Duration::from_secs(20)).expect("a call waits for a writer");
    }

    #[test]
    fn a_file_that_is_read_only_can_still_be_opened_and_removed() {
        let (_folder, directory) = directory();
        let name = OsStr::new("a");
        set_mode(&directory.create_new(name, 0).unwrap(), 0o400).unwrap();
        directory.open_existing(name).unwrap();
        directory.remove(name).unwrap();
        directory.remove_if_exists(name).unwrap();
        assert_eq!(directory.remove(name).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
