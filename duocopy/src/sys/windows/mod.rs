//! Windows: a directory is held open so that nobody can move it, and files are opened by their path below it.

mod signals;

pub use signals::Signals;

pub use super::unsupported::*;

use super::{Entry, FileId, Freedom, Nature};
use crate::digest::Kind;
use crate::record::SourceRecord;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, FileTimes, OpenOptions, Permissions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, IsTerminal, Write};
use std::ops::Range;
use std::os::windows::ffi::OsStrExt;
use std::os::windows::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::os::windows::io::AsHandle;
use std::path::{Component, Path, PathBuf, Prefix};
use std::time::{Duration, Instant, UNIX_EPOCH};

// From winnt.h and winbase.h.
const FILE_ATTRIBUTE_READONLY: u32 = 0x1;
const FILE_ATTRIBUTE_HIDDEN: u32 = 0x2;
const FILE_ATTRIBUTE_SYSTEM: u32 = 0x4;
const FILE_ATTRIBUTE_SPARSE_FILE: u32 = 0x200;
const FILE_ATTRIBUTE_COMPRESSED: u32 = 0x800;
const FILE_FLAG_OPEN_REPARSE_POINT: u32 = 0x0020_0000;
const FILE_FLAG_BACKUP_SEMANTICS: u32 = 0x0200_0000;
const FILE_FLAG_SEQUENTIAL_SCAN: u32 = 0x0800_0000;
const FILE_FLAG_NO_BUFFERING: u32 = 0x2000_0000;
const FILE_SHARE_READ: u32 = 1;
const FILE_SHARE_WRITE: u32 = 2;
const FILE_SHARE_DELETE: u32 = 4;
const FILE_WRITE_ATTRIBUTES: u32 = 0x100;
const GENERIC_READ: u32 = 0x8000_0000;
const ERROR_ACCESS_DENIED: i32 = 5;
const ERROR_SHARING_VIOLATION: i32 = 32;
const ERROR_LOCK_VIOLATION: i32 = 33;

/// What to do about shared memory that is full, or cannot be had at all.
pub const MORE_SHARED_MEMORY: &str =
    "end other programs or enlarge the page file, or use a smaller --buffer-size";
pub const LOOK_AT_SHARED_MEMORY: &str = "look at the rights of the programs that use this pipe";
pub const LOOK_AT_THE_DISK: &str = "look at its disk (chkdsk)";

/// There is nothing here that a running process can give up so finely.
pub fn confine(_freedom: &Freedom) -> Vec<String> {
    Vec::new()
}

/// Users have no numbers here, and only this one can come.
pub fn user(_name: &str) -> io::Result<u32> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "on Windows only processes of the same user can meet"))
}

/// As [`user`].
pub fn group(name: &str) -> io::Result<u32> {
    user(name)
}

/// As [`user`].
pub fn belongs(_user: u32, _group: u32) -> io::Result<bool> {
    user("").map(|_| false)
}

pub fn show_user(user: u32) -> String {
    user.to_string()
}

pub fn members(_group: u32) -> Vec<u32> {
    Vec::new()
}

pub fn own_user() -> Option<u32> {
    None
}

/// Unix modes as they are said of files here: whether the owner may write, and two attributes above them.
const WRITABLE: u32 = 0o200;
const HIDDEN: u32 = 1 << 16;
const SYSTEM: u32 = 1 << 17;

/// How long other programs may have the destination open before the copy gives up: virus scanners and indexers
/// look at what has just been written.
const BUSY: Duration = Duration::from_secs(2);

/// What is known of an open file.
#[derive(Clone, Debug)]
pub struct Metadata {
    id: FileId,
    about: fs::Metadata,
    links: u64,
    /// Neither a device nor a pipe.
    on_disk: bool,
}

impl Metadata {
    pub fn is_dir(&self) -> bool {
        self.about.is_dir()
    }

    pub fn is_file(&self) -> bool {
        self.on_disk && self.about.is_file()
    }

    pub fn len(&self) -> u64 {
        self.about.len()
    }

    fn mode(&self) -> u32 {
        let attributes = self.about.file_attributes();
        let bit = |attribute: u32, bit: u32| if attributes & attribute == 0 { 0 } else { bit };
        let write = if attributes & FILE_ATTRIBUTE_READONLY == 0 { 0o222 } else { 0 };
        0o444 | write | bit(FILE_ATTRIBUTE_HIDDEN, HIDDEN) | bit(FILE_ATTRIBUTE_SYSTEM, SYSTEM)
    }
}

impl From<&Metadata> for FileId {
    fn from(metadata: &Metadata) -> Self {
        metadata.id
    }
}

pub fn look(file: &File) -> io::Result<Metadata> {
    let on_disk = winapi_util::file::typ(file)?.is_disk();
    if !on_disk {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "a device or a pipe, and no file"));
    }
    let more = winapi_util::file::information(file)?;
    let id = FileId { device: more.volume_serial_number(), inode: more.file_index() };
    Ok(Metadata { id, about: file.metadata()?, links: more.number_of_links(), on_disk })
}

pub fn look_at(path: &Path) -> io::Result<Metadata> {
    look(&OpenOptions::new().access_mode(0).custom_flags(FILE_FLAG_BACKUP_SEMANTICS).open(path)?)
}

/// Opens for reading, to be read once from the start. Nobody can write to it meanwhile: the time of the last write
/// is not reliable while a file is open for writing.
pub fn open_source(path: &Path) -> io::Result<File> {
    let flags = FILE_FLAG_BACKUP_SEMANTICS | FILE_FLAG_SEQUENTIAL_SCAN;
    OpenOptions::new()
        .read(true)
        .share_mode(FILE_SHARE_READ | FILE_SHARE_DELETE)
        .custom_flags(flags)
        .open(path)
}

/// Only files are written to here, and standard output.
pub fn open_outlet(_path: &Path) -> io::Result<Option<File>> {
    Err(io::ErrorKind::Unsupported.into())
}

pub fn standard_input() -> io::Result<File> {
    Ok(io::stdin().as_handle().try_clone_to_owned()?.into())
}

pub fn standard_output() -> io::Result<File> {
    Ok(io::stdout().as_handle().try_clone_to_owned()?.into())
}

/// Whether reading (or writing) something is possible at once. That cannot be asked here: who reads or writes waits.
#[expect(clippy::unnecessary_wraps, reason = "elsewhere it can be asked, and fail")]
pub fn ready(_file: &File, _to_write: bool) -> io::Result<bool> {
    Ok(true)
}

/// What an open file is.
pub fn nature(file: &File) -> io::Result<Nature> {
    let kind = winapi_util::file::typ(file)?;
    Ok(match kind.is_disk() {
        true if file.metadata()?.is_dir() => Nature::Folder,
        true => Nature::Regular,
        false if kind.is_pipe() => Nature::Pipe,
        false => Nature::Device,
    })
}

/// What this path leads to; a link stands for itself.
pub fn nature_of(path: &Path) -> io::Result<Nature> {
    Ok(if fs::symlink_metadata(path)?.is_dir() { Nature::Folder } else { Nature::Regular })
}

pub fn lengths_are_made_up(_file: &File) -> bool {
    false
}

/// Brings what was written to the disk, if it goes to one. (For a pipe this would wait for who reads it.)
pub fn flush(file: &File) -> io::Result<()> {
    if nature(file)? == Nature::Regular { file.sync_all() } else { Ok(()) }
}

/// Whether another program has the file open in a way that does not go together with this one.
pub fn is_busy(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::ResourceBusy
        || matches!(error.raw_os_error(), Some(ERROR_SHARING_VIOLATION | ERROR_LOCK_VIOLATION))
}

/// The rights that a new file gets from this one.
pub fn mode_for_a_new_file(source_mode: u32) -> u32 {
    source_mode
}

/// Gives a file the attributes of the one that it replaces. Owner and access list come from the directory.
pub fn take_mode_and_owner(file: &File, old: &Metadata) -> io::Result<bool> {
    file.set_permissions(old.about.permissions())?;
    Ok(true)
}

pub fn set_mode(file: &File, mode: u32) -> io::Result<()> {
    let mut permissions: Permissions = file.metadata()?.permissions();
    permissions.set_readonly(mode & WRITABLE == 0);
    file.set_permissions(permissions)
}

/// Windows counts from one, `UNIX_EPOCH` is the other.
const FROM_1601_TO_1970: Duration = Duration::from_secs(11_644_473_600);

/// What `--preserve` means without a list: owners are no numbers here.
pub const PRESERVED: [&str; 2] = ["mode", "timestamps"];

/// What it means with `all`.
pub const ALL_PRESERVED: &[&str] = &PRESERVED;

/// A name of an attribute that came from elsewhere.
pub fn attribute_name(name: &[u8]) -> Option<OsString> {
    String::from_utf8(name.to_vec()).ok().map(OsString::from)
}

/// Whoever writes to a pipe waits here.
pub const PIPE_ROOM: usize = 4096;

/// There are no such bits here.
pub const WITHOUT_SPECIAL_BITS: u32 = u32::MAX;

/// Owners are no numbers here.
pub fn set_owner(_file: &File, _owner: (u32, u32)) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// No file has rights that it must lose with its owner.
pub fn is_owned_by(_file: &File, _owner: (u32, u32)) -> bool {
    true
}

/// Sets the times of the last access and the last write, as `identify` says them.
pub fn set_times(file: &File, accessed: (i64, i64), modified: (i64, i64)) -> io::Result<()> {
    let time = |(seconds, nanoseconds): (i64, i64)| {
        let since_1601 = Duration::new(seconds.unsigned_abs(), nanoseconds.unsigned_abs() as u32);
        UNIX_EPOCH.checked_add(since_1601).and_then(|time| time.checked_sub(FROM_1601_TO_1970))
    };
    match (time(accessed), time(modified)) {
        (Some(accessed), Some(modified)) => {
            file.set_times(FileTimes::new().set_accessed(accessed).set_modified(modified))
        }
        _ => Err(io::ErrorKind::InvalidInput.into()),
    }
}

/// What tells this file, and this version of it, from others.
pub fn identify(metadata: &Metadata) -> SourceRecord {
    let time = |ticks: u64| ((ticks / 10_000_000).cast_signed(), (ticks % 10_000_000 * 100).cast_signed());
    SourceRecord {
        file: metadata.into(),
        length: metadata.len(),
        modified: time(metadata.about.last_write_time()),
        // There is a time for it, but no crate that asks for it; nobody can write while this process reads.
        changed: (0, 0),
        accessed: time(metadata.about.last_access_time()),
        mode: metadata.mode(),
        owner: (0, 0),
        punched: metadata.about.file_attributes() & (FILE_ATTRIBUTE_SPARSE_FILE | FILE_ATTRIBUTE_COMPRESSED)
            != 0,
        stream: false,
        checked_by: Kind::Nothing,
        wish: 0,
    }
}

/// All the rest: holes are read as zeros.
#[expect(clippy::unnecessary_wraps, reason = "other systems ask the file system")]
pub fn next_data(_file: &File, position: u64) -> io::Result<Option<Range<u64>>> {
    Ok(Some(position..u64::MAX))
}

/// Nothing: the numbers of files carry how often they were used before.
pub fn born(_metadata: &Metadata) -> u64 {
    0
}

/// Writes all bytes at this position.
pub fn write_at(file: &File, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match file.seek_write(bytes, offset)? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            written => {
                bytes = &bytes[written..];
                offset += written as u64;
            }
        }
    }
    Ok(())
}

/// Nobody can ask that of an open file here.
pub fn set_direct(_file: &File, _direct: bool) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// What is free, in bytes, of a file system that is memory: nobody tells which one is.
pub fn free_memory(_file: &File) -> Option<u64> {
    None
}

/// Whether the byte at this place of a file can be had without waiting for a device: nobody tells.
pub fn is_in_memory(_file: &File, _place: u64) -> bool {
    true
}

/// There is no such call.
pub const LETS_GO: bool = false;

/// Does nothing.
pub fn let_go(_file: &File, _bytes: Range<u64>) {}

/// Fills the buffer from this position; an error if the file ends before.
pub fn read_at(file: &File, mut buffer: &mut [u8], mut offset: u64) -> io::Result<()> {
    while !buffer.is_empty() {
        match file.seek_read(buffer, offset)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => {
                buffer = &mut buffer[read..];
                offset += read as u64;
            }
        }
    }
    Ok(())
}

/// Whether it is a regular file under one name. Who may open it is decided by the directory.
pub fn is_private_file(file: &File) -> bool {
    is_own_file(file)
}

/// Whether it is a regular file under one name.
pub fn is_own_file(file: &File) -> bool {
    look(file).is_ok_and(|it| it.is_file() && !it.about.is_symlink() && it.links == 1)
}

/// Whether it was opened for writing, too.
pub fn is_writable(mut file: &File) -> bool {
    file.write(&[]).is_ok()
}

/// Does this while a locked file can be read by others: locks are more than advice here, and keep out even another
/// handle of the same process.
///
/// A copy that takes it meanwhile is one of the same source, which goes on from the same bytes, or it removes the file:
/// then, or if it still has it, this fails.
pub fn while_others_may_read<T>(file: &File, act: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    // If it fails, so does what wants to read. (Wine has another error than Windows for the second of the two
    // unlockings that the standard library makes.)
    let _ = file.unlock();
    let result = act();
    file.try_lock()?;
    result
}

/// Reserves space, so that a full disk shows before the copy.
pub fn preallocate(file: &File, length: u64) -> io::Result<()> {
    if file.metadata()?.len() < length { file.set_len(length) } else { Ok(()) }
}

/// The terminal that this process talks to people on; 0 if it is none, or one that has no identity.
pub fn terminal() -> u64 {
    match std::env::var_os("WT_SESSION") {
        Some(session) if io::stderr().is_terminal() => {
            let mut hasher = DefaultHasher::new();
            session.hash(&mut hasher);
            hasher.finish().max(1)
        }
        _ => 0,
    }
}

/// The same path for the same file, however it is written: drive letters are capital, and the prefix for paths of
/// any length goes where the path means the same without it.
///
/// A colon in a name is refused: what comes behind it is no file but a stream, or, at the front of a path, a drive.
/// So is what Windows makes of `NUL`, `CON` and the like.
pub fn plain(path: &Path) -> io::Result<PathBuf> {
    if let Some(Component::Prefix(prefix)) = path.components().next()
        && matches!(prefix.kind(), Prefix::DeviceNS(_))
    {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the name of a device, and of no file"));
    }
    let is_stream =
        |part: Component| matches!(part, Component::Normal(name) if name.as_encoded_bytes().contains(&b':'));
    if path.components().any(is_stream) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "a name with a colon, which is a stream of a file",
        ));
    }
    // Only the last step would tell: until then it has another name.
    let is_long =
        |part: Component| matches!(part, Component::Normal(name) if name.encode_wide().count() > 255);
    if path.components().any(is_long) {
        return Err(io::Error::new(io::ErrorKind::InvalidFilename, "a name of more than 255 characters"));
    }
    Ok(plainly(path.components().collect()))
}

fn plainly(path: PathBuf) -> PathBuf {
    let Some(Component::Prefix(prefix)) = path.components().next() else { return path };
    let (begin, verbatim) = match prefix.kind() {
        Prefix::Disk(letter) => (format!(r"{}:\", letter.to_ascii_uppercase() as char).into(), false),
        Prefix::VerbatimDisk(letter) => (format!(r"{}:\", letter.to_ascii_uppercase() as char).into(), true),
        Prefix::VerbatimUNC(server, share) => {
            let mut begin = OsString::from(r"\\");
            begin.push(server);
            begin.push(r"\");
            begin.push(share);
            begin.push(r"\");
            (begin, true)
        }
        _ => return path,
    };
    let mut plain = PathBuf::from(begin);
    plain.extend(path.components().skip(2));
    // A name that only the prefix makes possible (a dot at the end, a device's name) keeps it.
    if verbatim && std::path::absolute(&plain).ok().as_ref() != Some(&plain) {
        return path;
    }
    plain
}

/// The same name for what most directories take for the same name: small letters.
///
/// Where a directory tells them apart, two copies to names that differ in nothing else keep each other waiting.
pub fn folded(name: &OsStr) -> OsString {
    name.to_str().map_or_else(|| name.to_ascii_lowercase(), |name| name.to_lowercase().into())
}

/// A word as the command interpreter reads it.
pub fn quoted(word: &[u8]) -> String {
    let word = String::from_utf8_lossy(word);
    let plain = |c: char| c.is_alphanumeric() || r"\/._-+:@~".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.into();
    }
    // Backslashes before a quote would quote it.
    let (mut quoted, mut backslashes) = (String::from("\""), 0);
    for c in word.chars() {
        if c == '"' {
            quoted.extend(std::iter::repeat_n('\\', backslashes + 1));
        }
        backslashes = if c == '\\' { backslashes + 1 } else { 0 };
        if c.is_control() { quoted.push('?') } else { quoted.push(c) }
    }
    quoted.extend(std::iter::repeat_n('\\', backslashes));
    quoted.push('"');
    quoted
}

/// An open directory. Nobody can rename or remove it, nor what it lies in, as long as it is open.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    handle: File,
}

impl Directory {
    /// For everything; there is no less.
    pub fn find(path: &Path) -> io::Result<Self> {
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

    /// A directory by a path that begins here, or anywhere if it is absolute.
    pub fn find_from_here(&self, path: &Path) -> io::Result<Self> {
        Self::find(&self.path.join(path))
    }

    pub fn open(&self) -> io::Result<Self> {
        self.try_clone()
    }

    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self { path: self.path.clone(), handle: self.handle.try_clone()? })
    }

    /// Where the link of this name leads; `None` if it is none, or not there.
    pub fn read_link(&self, name: &OsStr) -> io::Result<Option<PathBuf>> {
        let path = self.path.join(name);
        match fs::symlink_metadata(&path) {
            Ok(about) if about.is_symlink() => Ok(Some(fs::read_link(&path)?)),
            Ok(_) => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub fn id(&self) -> io::Result<FileId> {
        Ok(FileId::from(&look(&self.handle)?))
    }

    /// What the name stands for; a link stands for itself.
    pub fn entry(&self, name: &OsStr) -> io::Result<Option<Entry>> {
        let metadata = match self.metadata(name) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => return Ok(Some(Entry::Other)),
            Err(error) => return Err(error),
        };
        Ok(Some(if metadata.about.is_symlink() {
            Entry::Other
        } else if metadata.is_dir() {
            Entry::Folder
        } else {
            Entry::Regular(FileId::from(&metadata))
        }))
    }

    /// What is known of the file of this name, without opening it for reading.
    pub fn metadata(&self, name: &OsStr) -> io::Result<Metadata> {
        let flags = FILE_FLAG_BACKUP_SEMANTICS | FILE_FLAG_OPEN_REPARSE_POINT;
        look(&OpenOptions::new().access_mode(0).custom_flags(flags).open(self.path.join(name))?)
    }

    /// A new file; an error if the name is taken. `mode` is what it will get: what of it cannot be given later is
    /// given now.
    pub fn create_new(&self, name: &OsStr, mode: u32) -> io::Result<File> {
        let bit = |bit: u32, attribute: u32| if mode & bit == 0 { 0 } else { attribute };
        let attributes = bit(HIDDEN, FILE_ATTRIBUTE_HIDDEN) | bit(SYSTEM, FILE_ATTRIBUTE_SYSTEM);
        OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .attributes(attributes)
            .custom_flags(FILE_FLAG_OPEN_REPARSE_POINT)
            .open(self.path.join(name))
    }

    /// An existing file for reading and writing; links are not followed.
    pub fn open_existing(&self, name: &OsStr) -> io::Result<File> {
        let (path, link) = (self.path.join(name), FILE_FLAG_OPEN_REPARSE_POINT);
        // A left-over may be read-only already. That is enough for a lock, and to change it.
        OpenOptions::new().read(true).write(true).custom_flags(link).open(&path).or_else(|error| {
            let access = GENERIC_READ | FILE_WRITE_ATTRIBUTES;
            OpenOptions::new().access_mode(access).custom_flags(link).open(&path).map_err(|_| error)
        })
    }

    /// Another handle of this open file of ours, for a thread that flushes: calls with one handle wait for each other.
    pub fn open_again(&self, file: &File, name: &OsStr) -> io::Result<File> {
        let again = self.open_existing(name)?;
        let same = FileId::from(&look(&again)?) == FileId::from(&look(file)?);
        if same { Ok(again) } else { Err(io::Error::other("somebody replaced it")) }
    }

    /// Removes a file of ours, which may have got its last attributes already: read-only, say.
    pub fn remove(&self, name: &OsStr) -> io::Result<()> {
        let path = self.path.join(name);
        fs::remove_file(&path).or_else(|error| {
            let mut permissions = fs::symlink_metadata(&path)?.permissions();
            if !permissions.readonly() {
                return Err(error);
            }
            #[expect(clippy::permissions_set_readonly_false, reason = "on Windows it is one attribute")]
            permissions.set_readonly(false);
            fs::set_permissions(&path, permissions)?;
            fs::remove_file(&path)
        })
    }

    pub fn remove_if_there(&self, name: &OsStr) -> io::Result<()> {
        match self.remove(name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    /// Opens a file so that reads come from the medium and not from the cache.
    pub fn open_past_the_cache(&self, name: &OsStr) -> io::Result<(File, bool)> {
        let flags = FILE_FLAG_OPEN_REPARSE_POINT | FILE_FLAG_NO_BUFFERING;
        Ok((OpenOptions::new().read(true).custom_flags(flags).open(self.path.join(name))?, true))
    }

    /// Puts the file of one name in the place of another.
    pub fn rename_over(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        fs::rename(self.path.join(from), self.path.join(to))
    }

    /// Gives a file a second name, which nobody has.
    pub fn link(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        fs::hard_link(self.path.join(from), self.path.join(to))
    }

    /// All names in it.
    pub fn names(&self) -> io::Result<Vec<OsString>> {
        fs::read_dir(&self.path)?.map(|entry| Ok(entry?.file_name())).collect()
    }

    /// Access lists say who may make names in it; only trying would tell.
    #[expect(clippy::unused_self, reason = "elsewhere the directory is asked")]
    pub fn is_writable(&self) -> bool {
        true
    }

    /// Gives the file of one name another, which nobody has. It has both for a moment.
    pub fn rename_to_a_free_name(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        self.link(from, to)?;
        fs::remove_file(self.path.join(from))
    }

    /// Puts `from`, which is this open file, in the place of `to`, in one step.
    ///
    /// Other programs may have either open for a moment, or hold back a file that is read-only.
    pub fn rename(&self, file: &File, from: &OsStr, to: &OsStr) -> io::Result<()> {
        let (from, to) = (self.path.join(from), self.path.join(to));
        let old = fs::metadata(&to).ok().map(|old| old.permissions()).filter(Permissions::readonly);
        if let Some(old) = &old {
            let mut writable = old.clone();
            #[expect(clippy::permissions_set_readonly_false, reason = "on Windows it is one attribute")]
            writable.set_readonly(false);
            fs::set_permissions(&to, writable)?;
        }
        let (deadline, mut time) = (Instant::now() + BUSY, Duration::from_millis(5));
        let busy = [ERROR_ACCESS_DENIED, ERROR_SHARING_VIOLATION, ERROR_LOCK_VIOLATION];
        let result = loop {
            match fs::rename(&from, &to) {
                Err(error)
                    if error.raw_os_error().is_some_and(|code| busy.contains(&code))
                        && Instant::now() + time < deadline =>
                {
                    pause(time);
                    time = (time * 2).min(Duration::from_millis(250));
                }
                Err(error) if error.raw_os_error().is_some_and(|code| busy.contains(&code)) => {
                    let what = format!("another program has it open, or may not be disturbed: {error}");
                    break Err(io::Error::new(io::ErrorKind::ResourceBusy, what));
                }
                result => break result,
            }
        };
        match (&result, old) {
            // Locks keep others from reading, and it has a name now under which they look for it.
            (Ok(()), _) => drop(file.unlock()),
            (Err(_), Some(old)) => drop(fs::set_permissions(&to, old)),
            (Err(_), None) => {}
        }
        result
    }

    #[expect(clippy::unused_self, reason = "other systems flush the directory")]
    /// Makes the name of this open file durable. The file system's log is written with what it says of a file.
    pub fn sync(&self, file: &File) -> io::Result<()> {
        file.sync_all()
    }
}

#[expect(clippy::disallowed_methods, reason = "nobody says when another program closes a file")]
fn pause(time: Duration) {
    std::thread::sleep(time);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_path_has_one_form() {
        let same = |path: &str| plain(&PathBuf::from(path)).unwrap().into_os_string().into_string().unwrap();
        assert_eq!(same(r"c:\a\b"), r"C:\a\b");
        assert_eq!(same(r"\\?\c:\a\b"), r"C:\a\b");
        assert_eq!(same(r"\\?\c:\a\ends with a dot."), r"\\?\c:\a\ends with a dot.");
        assert_eq!(same(r"\\?\UNC\server\share\a"), r"\\server\share\a");
        assert_eq!(same(r"\\server\share\a"), r"\\server\share\a");
        for stream in [r"C:\a\c:stream", r"C:\a:b\c", r"\\?\C:\a\c:q"] {
            assert!(plain(&PathBuf::from(stream)).is_err(), "{stream}");
        }
        let long = format!(r"C:\{}", r"directory\".repeat(40));
        assert_eq!(same(&format!(r"\\?\{long}file")), format!("{long}file"));
    }

    #[test]
    fn names_that_differ_in_case_are_one() {
        assert_eq!(folded(OsStr::new(r"C:\Größe\ÄÖ.TXT")), OsStr::new(r"c:\größe\äö.txt"));
    }

    #[test]
    fn commands_are_quoted_as_the_command_interpreter_reads_them() {
        for (word, command) in [
            (r"C:\a.txt", r"C:\a.txt"),
            (r"C:\a b", r#""C:\a b""#),
            ("", r#""""#),
            (r#"a"b"#, r#""a\"b""#),
            (r"a b\", r#""a b\\""#),
        ] {
            assert_eq!(quoted(word.as_bytes()), command);
        }
    }

    #[test]
    fn a_locked_file_is_read_by_others_and_locked_again() {
        let folder = tempfile::tempdir().unwrap();
        let directory = Directory::find(folder.path()).unwrap();
        let file = directory.create_new(OsStr::new("a"), 0o600).unwrap();
        let other = directory.open_existing(OsStr::new("a")).unwrap();
        file.try_lock().unwrap();
        write_at(&file, b"content", 0).unwrap();
        assert!(other.try_lock().is_err());
        while_others_may_read(&file, || read_at(&other, &mut [0; 7], 0)).unwrap();
        assert!(other.try_lock().is_err());
        while_others_may_read(&file, || Ok(other.try_lock()?)).unwrap_err();
        let _ = other.unlock();
        file.try_lock().unwrap();
    }
}
