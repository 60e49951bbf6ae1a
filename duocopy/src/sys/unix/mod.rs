//! Unix: calls relative to a directory descriptor.

#[cfg(any(target_os = "linux", target_os = "macos"))]
mod attributes;
#[cfg(target_os = "freebsd")]
mod freebsd;
#[cfg(target_os = "freebsd")]
use freebsd as system;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
use linux as system;
#[cfg(target_os = "macos")]
mod macos;
#[cfg(target_os = "macos")]
use macos as system;

use super::{Entry, FileId, Nature};
use crate::digest::Kind;
use crate::record::SourceRecord;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, FallocateFlags, Mode, OFlags, SeekFrom, Timestamps, seek};
use rustix::io::{Errno, retry_on_intr};
use rustix::process::umask;
use std::ffi::{OsStr, OsString};
use std::fs::{File, OpenOptions, Permissions};
use std::io;
use std::ops::Range;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

pub use std::fs::Metadata;
pub use system::{
    HAS_ACCESS_LISTS, HAS_ATTRIBUTES, LETS_GO, PIPE_ROOM, attributes, confine, free_memory, is_in_memory,
    let_go, remove_attribute, set_attribute, set_direct,
};

/// What to do about shared memory that is full, or cannot be had at all.
pub const MORE_SHARED_MEMORY: &str =
    "free some of it (df -h /dev/shm, ls -l /dev/shm), or use a smaller --buffer-size";
pub const LOOK_AT_SHARED_MEMORY: &str = "look at the rights and the mount of /dev/shm";
pub const LOOK_AT_THE_DISK: &str = "look at its disk (dmesg)";

/// The user of this name, or number.
pub fn user(name: &str) -> io::Result<u32> {
    number_of(name, "user", || Ok(nix::unistd::User::from_name(name)?.map(|user| user.uid.as_raw())))
}

/// The group of this name, or number.
pub fn group(name: &str) -> io::Result<u32> {
    number_of(name, "group", || Ok(nix::unistd::Group::from_name(name)?.map(|group| group.gid.as_raw())))
}

fn number_of(name: &str, what: &str, look_up: impl FnOnce() -> io::Result<Option<u32>>) -> io::Result<u32> {
    let number = name.parse().ok().map_or_else(look_up, |number| Ok(Some(number)))?;
    number.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, format!("there is no such {what}")))
}

/// Whether this user belongs to this group, as the user database says.
pub fn belongs(user: u32, group: u32) -> io::Result<bool> {
    let Some(user) = nix::unistd::User::from_uid(user.into())? else { return Ok(false) };
    let members = nix::unistd::Group::from_gid(group.into())?.map_or(Vec::new(), |group| group.mem);
    Ok(user.gid.as_raw() == group || members.contains(&user.name))
}

/// A user for people.
pub fn show_user(user: u32) -> String {
    match nix::unistd::User::from_uid(user.into()) {
        Ok(Some(known)) => format!("{} ({user})", known.name),
        _ => user.to_string(),
    }
}

/// All who belong to this group, as far as this system itself knows them.
pub fn members(group: u32) -> Vec<u32> {
    let known = nix::unistd::Group::from_gid(group.into()).ok().flatten();
    let named = known.map_or(Vec::new(), |group| group.mem);
    let named = named.into_iter().filter_map(|name| user(&name).ok());
    // Those whose primary group it is are in no list but this one: name, password, user, group.
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let primary = users.lines().filter_map(|line| {
        let mut fields = line.split(':').skip(2);
        let (user, primary) = (fields.next()?.parse().ok()?, fields.next()?.parse::<u32>().ok()?);
        (primary == group).then_some(user)
    });
    named.chain(primary).collect()
}

/// The user that this process runs as.
#[expect(clippy::unnecessary_wraps, reason = "on Windows users have no numbers")]
pub fn own_user() -> Option<u32> {
    Some(rustix::process::geteuid().as_raw())
}

pub fn look(file: &File) -> io::Result<Metadata> {
    file.metadata()
}

pub fn look_at(path: &Path) -> io::Result<Metadata> {
    std::fs::metadata(path)
}

impl From<&Metadata> for FileId {
    fn from(metadata: &Metadata) -> Self {
        Self { device: metadata.dev(), inode: metadata.ino() }
    }
}

/// Opens for reading, to be read once from the start. A FIFO without a writer does not block.
pub fn open_source(path: &Path) -> io::Result<File> {
    let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    // Only advice: without it the copy is slower, not wrong.
    system::read_ahead(&file);
    Ok(file)
}

/// A named pipe or a device, to be written once; `None` if it is a pipe that nobody reads yet. Links are not followed.
pub fn open_outlet(path: &Path) -> io::Result<Option<File>> {
    let access = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    // Exclusive: a disk that is mounted is in use.
    let exclusive = if nature_of(path)? == Nature::Disk { OFlags::EXCL } else { OFlags::empty() };
    match retry_on_intr(|| rustix::fs::open(path, access | exclusive, Mode::empty())) {
        Ok(file) => Ok(Some(file.into())),
        Err(Errno::NXIO) if std::fs::symlink_metadata(path)?.file_type().is_fifo() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

pub fn standard_input() -> io::Result<File> {
    Ok(io::stdin().as_fd().try_clone_to_owned()?.into())
}

pub fn standard_output() -> io::Result<File> {
    Ok(io::stdout().as_fd().try_clone_to_owned()?.into())
}

/// Whether reading (or writing) something is possible at once; waits for that up to a twentieth of a second. An end or
/// an error is something, too.
pub fn ready(file: &File, to_write: bool) -> io::Result<bool> {
    let wanted = if to_write { PollFlags::OUT } else { PollFlags::IN };
    let limit = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
    match poll(&mut [PollFd::new(file, wanted)], Some(&limit)) {
        Ok(ready) => Ok(ready > 0),
        Err(Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// What an open file is.
pub fn nature(file: &File) -> io::Result<Nature> {
    Ok(nature_in(&file.metadata()?))
}

/// What this path leads to; a link stands for itself.
pub fn nature_of(path: &Path) -> io::Result<Nature> {
    Ok(nature_in(&std::fs::symlink_metadata(path)?))
}

fn nature_in(metadata: &Metadata) -> Nature {
    match metadata.file_type() {
        kind if kind.is_dir() => Nature::Folder,
        kind if kind.is_fifo() || kind.is_socket() => Nature::Pipe,
        kind if kind.is_char_device() => Nature::Device,
        kind if kind.is_block_device() => Nature::Disk,
        _ => Nature::Regular,
    }
}

/// Whether the file system says lengths that mean nothing, as `/proc` does.
pub fn lengths_are_made_up(file: &File) -> bool {
    system::lengths_are_made_up(file)
}

/// Brings what was written to the disk, if it goes to one.
pub fn flush(file: &File) -> io::Result<()> {
    match nature(file)? {
        Nature::Regular | Nature::Disk => file.sync_all(),
        _ => Ok(()),
    }
}

/// Whether another program has the file open in a way that does not go together with this one. Here all do.
pub fn is_busy(_error: &io::Error) -> bool {
    false
}

/// The rights that a new file gets from this one and from the user's mask.
pub fn mode_for_a_new_file(source_mode: u32) -> u32 {
    // The mask can only be read by setting it; this happens before any thread is started.
    let mask = umask(Mode::empty());
    umask(mask);
    source_mode & 0o777 & !system::bits(mask)
}

/// Gives a file the mode and, as far as this user may, the owner of the one that it replaces; whether all was kept.
pub fn take_mode_and_owner(file: &File, old: &Metadata) -> io::Result<bool> {
    // The owner first: changing it clears the set-user-id bit.
    let owner = std::os::unix::fs::fchown(file, Some(old.uid()), Some(old.gid()));
    let group =
        owner.as_ref().map_or_else(|_| std::os::unix::fs::fchown(file, None, Some(old.gid())), |()| Ok(()));
    let (owner_kept, group_kept) = (file.metadata()?.uid() == old.uid(), group.is_ok());
    // Rights of an owner or a group must not go to another one.
    let kept = match (owner_kept, group_kept) {
        (true, true) => 0o7777,
        (false, true) => 0o1777,
        (_, false) => 0o1707,
    };
    set_mode(file, old.mode() & kept)?;
    Ok(owner_kept && group_kept)
}

pub fn set_mode(file: &File, mode: u32) -> io::Result<()> {
    file.set_permissions(Permissions::from_mode(mode))
}

/// What `--preserve` means without a list.
pub const PRESERVED: [&str; 3] = ["mode", "ownership", "timestamps"];

/// What it means with `all`.
pub const ALL_PRESERVED: &[&str] = match (HAS_ATTRIBUTES, HAS_ACCESS_LISTS) {
    (true, true) => &["mode", "ownership", "timestamps", "xattr", "acl"],
    (true, false) => &["mode", "ownership", "timestamps", "xattr"],
    (false, _) => &PRESERVED,
};

/// A name of an attribute that came from elsewhere.
pub fn attribute_name(name: &[u8]) -> Option<OsString> {
    (!name.is_empty() && !name.contains(&0)).then(|| OsString::from_vec(name.to_vec()))
}

/// What is left of a mode without the set-user-ID and set-group-ID bits.
pub const WITHOUT_SPECIAL_BITS: u32 = 0o1777;

/// Gives a file to a user and a group, or, if that fails, to the group.
pub fn set_owner(file: &File, (user, group): (u32, u32)) -> io::Result<()> {
    std::os::unix::fs::fchown(file, Some(user), Some(group)).inspect_err(|_| {
        let _ = std::os::unix::fs::fchown(file, None, Some(group));
    })
}

/// Whether it is this user's and this group's.
pub fn is_owned_by(file: &File, owner: (u32, u32)) -> bool {
    file.metadata().is_ok_and(|it| (it.uid(), it.gid()) == owner)
}

/// Sets the times of the last access and the last write, as `identify` says them.
pub fn set_times(file: &File, accessed: (i64, i64), modified: (i64, i64)) -> io::Result<()> {
    let [last_access, last_modification] =
        [accessed, modified].map(|(tv_sec, tv_nsec)| Timespec { tv_sec, tv_nsec });
    Ok(rustix::fs::futimens(file, &Timestamps { last_access, last_modification })?)
}

/// What tells this file, and this version of it, from others.
pub fn identify(metadata: &Metadata) -> SourceRecord {
    SourceRecord {
        file: metadata.into(),
        length: metadata.len(),
        modified: (metadata.mtime(), metadata.mtime_nsec()),
        changed: (metadata.ctime(), metadata.ctime_nsec()),
        accessed: (metadata.atime(), metadata.atime_nsec()),
        mode: metadata.mode() & 0o7777,
        owner: (metadata.uid(), metadata.gid()),
        punched: metadata.blocks() * 512 < metadata.len(),
        stream: false,
        checked_by: Kind::Nothing,
        wish: 0,
    }
}

/// The next bytes from this position on that are not in a hole, `None` if all the rest is one. A file system that cannot
/// tell has no holes. Moves the position of the file.
pub fn next_data(file: &File, position: u64) -> io::Result<Option<Range<u64>>> {
    let start = match seek(file, SeekFrom::Data(position)) {
        Ok(start) => start,
        Err(Errno::NXIO) => return Ok(None),
        Err(Errno::INVAL | Errno::NOTSUP) => return Ok(Some(position..u64::MAX)),
        Err(error) => return Err(error.into()),
    };
    Ok(Some(start..seek(file, SeekFrom::Hole(start))?))
}

/// When the file was made, in nanoseconds; 0 if the file system does not say.
pub fn born(metadata: &Metadata) -> u64 {
    let time = metadata.created().ok().and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
    time.map_or(0, |time| time.as_nanos() as u64)
}

/// Writes all bytes at this position.
pub fn write_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    file.write_all_at(bytes, offset)
}

/// Fills the buffer from this position; an error if the file ends before.
pub fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    file.read_exact_at(buffer, offset)
}

/// Whether it is a regular file that only this user can open, under one name.
pub fn is_private_file(file: &File) -> bool {
    let own = rustix::process::geteuid().as_raw();
    file.metadata()
        .is_ok_and(|it| it.is_file() && it.uid() == own && it.nlink() == 1 && it.mode() & 0o7777 == 0o600)
}

/// Whether it is a regular file of this user under one name; for the superuser anybody's.
pub fn is_own_file(file: &File) -> bool {
    let own = rustix::process::geteuid();
    file.metadata()
        .is_ok_and(|it| it.is_file() && it.nlink() == 1 && (it.uid() == own.as_raw() || own.is_root()))
}

/// Whether it was opened for reading and writing.
pub fn is_writable(file: &File) -> bool {
    rustix::fs::fcntl_getfl(file).is_ok_and(|flags| flags & OFlags::RWMODE == OFlags::RDWR)
}

/// Does this while a locked file can be read by others. Locks are advice here, and keep nobody from reading.
pub fn while_others_may_read<T>(_file: &File, act: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    act()
}

/// The same name for what directories take for the same name: here they tell all apart.
pub fn folded(name: &OsStr) -> OsString {
    name.to_owned()
}

/// The same path for the same file, however it is written.
#[expect(clippy::unnecessary_wraps, reason = "on other systems some names are none")]
pub fn plain(path: &Path) -> io::Result<PathBuf> {
    // Components, so that a trailing or doubled slash makes no other name.
    Ok(path.components().collect())
}

/// A word as a shell reads it, whatever bytes it has. Nothing in it moves a cursor.
pub fn quoted(word: &[u8]) -> String {
    match std::str::from_utf8(word) {
        Ok(text)
            if !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || "/._-+=:,@%".contains(c)) =>
        {
            text.into()
        }
        Ok(text) if !text.contains(char::is_control) => format!("'{}'", text.replace('\'', r"'\''")),
        // Escapes that bash, zsh, ksh and new POSIX shells know: \ooo is one byte.
        _ => {
            let escaped = word.iter().map(|byte| match byte {
                b'\'' | b'\\' => format!("\\{}", char::from(*byte)),
                b' '..=b'~' => char::from(*byte).into(),
                _ => format!("\\{byte:03o}"),
            });
            format!("$'{}'", escaped.collect::<String>())
        }
    }
}

/// Reserves space where the file system can, so that a full disk shows before the copy. Of memory there must only be
/// enough now.
pub fn preallocate(file: &File, length: u64) -> io::Result<()> {
    if length == 0 {
        return Ok(());
    }
    // To reserve memory is a third of what it takes to write there.
    if let Some(free) = system::free_memory(file) {
        let has = file.metadata()?.blocks() * 512;
        return if length.saturating_sub(has) > free { Err(Errno::NOSPC.into()) } else { Ok(()) };
    }
    match retry_on_intr(|| rustix::fs::fallocate(file, FallocateFlags::empty(), 0, length)) {
        Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// The device of the terminal that this process talks to people on; 0 if there is none.
pub fn terminal() -> u64 {
    let error = io::stderr();
    match rustix::fs::fstat(&error) {
        Ok(stat) if rustix::termios::isatty(&error) => system::device(stat.st_rdev),
        _ => 0,
    }
}

/// An open directory. All names are relative to it.
#[derive(Debug)]
pub struct Directory(pub(super) OwnedFd);

impl Directory {
    /// Only to look at what is in it, by name, and to go on from it: who is confined may do that everywhere.
    pub fn find(path: &Path) -> io::Result<Self> {
        let flags = system::LOOK | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self(retry_on_intr(|| rustix::fs::open(path, flags, Mode::empty()))?))
    }

    /// The same by a path that begins here, or anywhere if it is absolute.
    pub fn find_from_here(&self, path: &Path) -> io::Result<Self> {
        let flags = system::LOOK | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self(retry_on_intr(|| rustix::fs::openat(&self.0, path, flags, Mode::empty()))?))
    }

    /// The one that was found, for everything.
    pub fn open(&self) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self(retry_on_intr(|| rustix::fs::openat(&self.0, c".", flags, Mode::empty()))?))
    }

    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self(self.0.try_clone()?))
    }

    /// Where the link of this name leads; `None` if it is none, or not there.
    pub fn read_link(&self, name: &OsStr) -> io::Result<Option<PathBuf>> {
        match rustix::fs::readlinkat(&self.0, name, Vec::new()) {
            Ok(target) => Ok(Some(OsString::from_vec(target.into_bytes()).into())),
            Err(Errno::INVAL | Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    pub fn id(&self) -> io::Result<FileId> {
        let stat = rustix::fs::fstat(&self.0)?;
        Ok(FileId { device: system::device(stat.st_dev), inode: stat.st_ino })
    }

    /// What the name stands for; a link stands for itself.
    pub fn entry(&self, name: &OsStr) -> io::Result<Option<Entry>> {
        let stat = match rustix::fs::statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        Ok(Some(match rustix::fs::FileType::from_raw_mode(stat.st_mode) {
            rustix::fs::FileType::RegularFile => {
                Entry::Regular(FileId { device: system::device(stat.st_dev), inode: stat.st_ino })
            }
            rustix::fs::FileType::Directory => Entry::Folder,
            _ => Entry::Other,
        }))
    }

    /// Mode and owner of the regular file of this name, without opening it for reading.
    pub fn metadata(&self, name: &OsStr) -> io::Result<Metadata> {
        let flags = system::LOOK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        File::from(retry_on_intr(|| rustix::fs::openat(&self.0, name, flags, Mode::empty()))?).metadata()
    }

    /// A new file that only this user can open; an error if the name is taken. The mode comes when it is complete.
    pub fn create_new(&self, name: &OsStr, _mode: u32) -> io::Result<File> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let file = retry_on_intr(|| rustix::fs::openat(&self.0, name, flags, Mode::RUSR | Mode::WUSR))?;
        // Whatever the umask says, the next copy of this user may open it.
        if let Err(error) = rustix::fs::fchmod(&file, Mode::RUSR | Mode::WUSR) {
            let _ = self.remove(name);
            return Err(error.into());
        }
        Ok(file.into())
    }

    /// An existing file for reading and writing; links are not followed.
    pub fn open_existing(&self, name: &OsStr) -> io::Result<File> {
        let flags = OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
        let open =
            |access| retry_on_intr(|| rustix::fs::openat(&self.0, name, flags | access, Mode::empty()));
        // A left-over may have got its last mode already: read-only, say. Any access is enough for a lock.
        let file = open(OFlags::RDWR)
            .or_else(|error| open(OFlags::RDONLY).or_else(|_| open(OFlags::WRONLY)).map_err(|_| error))?;
        Ok(file.into())
    }

    /// This open file once more, for a thread that flushes it.
    #[expect(clippy::unused_self, reason = "other systems open it by its name")]
    pub fn open_again(&self, file: &File, _name: &OsStr) -> io::Result<File> {
        file.try_clone()
    }

    pub fn remove(&self, name: &OsStr) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&self.0, name, AtFlags::empty())?)
    }

    pub fn remove_if_there(&self, name: &OsStr) -> io::Result<()> {
        match rustix::fs::unlinkat(&self.0, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Opens a file so that reads come from the medium and not from the page cache. The second value says whether
    /// the file system does that; where it does not, the cache was at least asked to forget the file.
    pub fn open_past_the_cache(&self, name: &OsStr) -> io::Result<(File, bool)> {
        system::open_past_the_cache(&self.0, name)
    }

    /// Puts `from`, which is this open file, in the place of `to`, in one step.
    pub fn rename(&self, _file: &File, from: &OsStr, to: &OsStr) -> io::Result<()> {
        Ok(rustix::fs::renameat(&self.0, from, &self.0, to)?)
    }

    /// Puts the file of one name in the place of another.
    pub fn rename_over(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        Ok(rustix::fs::renameat(&self.0, from, &self.0, to)?)
    }

    /// Gives a file a second name, which nobody has.
    pub fn link(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        Ok(rustix::fs::linkat(&self.0, from, &self.0, to, AtFlags::empty())?)
    }

    /// All names in it.
    pub fn names(&self) -> io::Result<Vec<OsString>> {
        let entries = rustix::fs::Dir::read_from(&self.0)?
            .map(|entry| Ok(OsString::from_vec(entry?.file_name().to_bytes().to_vec())));
        entries.collect()
    }

    /// Whether this user may make and remove names in it.
    pub fn is_writable(&self) -> bool {
        let access = rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK;
        rustix::fs::accessat(&self.0, c".", access, AtFlags::EACCESS).is_ok()
    }

    /// Gives the file of one name another, which nobody has, in one step.
    pub fn rename_to_a_free_name(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        match system::rename_to_a_free_name(&self.0, from, to) {
            // The file system has no such call. Both names for a moment; an error if the new one is taken.
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                self.link(from, to)?;
                Ok(rustix::fs::unlinkat(&self.0, from, AtFlags::empty())?)
            }
            other => Ok(other?),
        }
    }

    /// Makes the name of this open file durable. File systems that have no such thing are content.
    pub fn sync(&self, _file: &File) -> io::Result<()> {
        match retry_on_intr(|| system::flush(&self.0)) {
            Ok(()) | Err(Errno::INVAL | Errno::OPNOTSUPP) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// The signals that mean: stop in an orderly way.
const STOPPING: [i32; 3] =
    [signal_hook::consts::SIGHUP, signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM];

/// What signals did so far.
#[derive(Clone, Debug)]
pub struct Signals {
    /// Set by the first signal that stops.
    pub stop: Arc<AtomicBool>,
    number: Arc<AtomicUsize>,
    status: Arc<AtomicBool>,
}

impl Signals {
    /// From here on the first Ctrl-C (or hang-up, or termination) sets a flag, and a second one ends the process.
    /// Signals that were ignored when the process started (`nohup`, background jobs) stay ignored.
    pub fn watch(second_ends_with: u8) -> io::Result<Self> {
        let signals = Self {
            stop: Arc::new(AtomicBool::new(false)),
            number: Arc::new(AtomicUsize::new(0)),
            status: Arc::new(AtomicBool::new(false)),
        };
        // Not `stop` itself, which others may set too: only a second signal means now.
        let second = Arc::new(AtomicBool::new(false));
        let ignored = ignored_signals();
        for signal in STOPPING.into_iter().filter(|signal| ignored >> (signal - 1) & 1 == 0) {
            let code = i32::from(second_ends_with) + signal;
            signal_hook::flag::register_conditional_shutdown(signal, code, Arc::clone(&second))?;
            signal_hook::flag::register(signal, Arc::clone(&second))?;
            signal_hook::flag::register_usize(
                signal,
                Arc::clone(&signals.number),
                signal.unsigned_abs() as usize,
            )?;
            signal_hook::flag::register(signal, Arc::clone(&signals.stop))?;
        }
        signal_hook::flag::register(signal_hook::consts::SIGUSR1, Arc::clone(&signals.status))?;
        // Ctrl-T.
        #[cfg(any(target_os = "macos", target_os = "freebsd"))]
        signal_hook::flag::register(rustix::process::Signal::INFO.as_raw(), Arc::clone(&signals.status))?;
        // Caught only so that it does not kill: a write over `ulimit -f` then fails like any other.
        signal_hook::flag::register(rustix::process::Signal::XFSZ.as_raw(), Arc::default())?;
        Ok(signals)
    }

    /// The signal that stopped this process, if one did.
    pub fn number(&self) -> Option<u8> {
        let number = self.number.load(Ordering::Relaxed);
        (number != 0).then_some(number as u8)
    }

    /// Whether somebody asked for a status line since the last look (SIGUSR1, or SIGINFO where there is one).
    pub fn status_wanted(&self) -> bool {
        self.status.swap(false, Ordering::Relaxed)
    }
}

/// A bit for each ignored signal, as the kernel tells on Linux; elsewhere none is known.
fn ignored_signals() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_only_where_a_shell_needs_it() {
        let words = ["duocopy", "/a b/c", "it's", "", "/plain-1.2"].map(|word| quoted(word.as_bytes()));
        assert_eq!(words.join(" "), r"duocopy '/a b/c' 'it'\''s' '' /plain-1.2");
        assert_eq!(quoted(b"a'\n\xff\\"), r"$'a\'\012\377\\'");
    }
}
