//! The twenty operations. Each makes copies, checks them, and returns the result that a user gets: `yes`, an exit code,
//! or a partial success.

use super::kinds::Place;
use crate::util::fuse::{Call, Errno, Fault};
use crate::util::*;
use rustix::fs::{CWD, Timespec, Timestamps, utimensat};
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

pub const YES: &str = "yes";
/// The result of an operation that makes no sense on a file system.
pub const NOT_APPLICABLE: &str = "–";

pub type Operation = fn(&Place, &Path) -> Result<String, String>;

/// The operations by their names in the table. Each gets a new directory for its destinations.
pub const OPERATIONS: [(&str, Operation); 20] = [
    ("new", new),
    ("replace", replace),
    ("`-n`", no_clobber),
    ("`-u`", update),
    ("`-p`", preserve),
    ("ACL", list),
    ("xattr", attribute),
    ("`--sparse=auto`", sparse_auto),
    ("`--sparse=always`", sparse_always),
    ("`--sparse=never`", sparse_never),
    ("resume", resume),
    ("`--verify=reread`", reread),
    ("`--direct`", direct),
    ("long name", long_name),
    ("odd name", odd_name),
    ("`--backup`", backup),
    ("read-only", read_only),
    ("full", full),
    ("close error", close_error),
    ("times", times),
];

const NEW: &[u8] = b"what is there now";
const USERS: &str = "user.duocopy";
/// Files with zeros have this length, and this much data at [`DATA_AT`].
const LENGTH: u64 = 4 << 20;
const DATA: usize = 256 * KIB;
const DATA_AT: u64 = 1 << 20;
/// The space that a file system may use for itself.
const SLACK: u64 = 256 << 10;
/// A copy of this length can be interrupted, and does not fit on a file system that is almost full.
const LARGE: usize = 6 * MIB;
const ROOM: usize = 3 * MIB;

/// Times of files: what is special about them, seconds and nanoseconds.
const TIMES: [(&str, i64, i64); 5] = [
    ("odd seconds", 1_000_000_001, 0),
    ("fractions", 1_000_000_002, 123_456_789),
    ("before 1970", -1_000_000, 0),
    ("after 2038", 2_500_000_000, 0),
    ("after 2107", 5_000_000_000, 0),
];

/// Names that some file systems refuse, and what is special about them.
const ODD_NAMES: [(&str, &[u8]); 4] = [
    ("line breaks", b"a\nb"),
    ("punctuation", b"a\\\":*?<>|b"),
    ("a space at the end", b"a "),
    ("not UTF-8", b"a\xff\xfe"),
];

fn long() -> OsString {
    "n".repeat(255).into()
}

/// Makes all sources.
pub fn make_sources(folder: &Folder) {
    folder.make("sources");
    let path = |name: &str| Path::new("sources").join(name);
    folder.write(path("old"), bytes(300 * KIB, 1));
    folder.write(path("new"), NEW);
    folder.write(path("large"), bytes(LARGE, 2));
    folder.write(Path::new("sources").join(long()), NEW);
    for (_, name) in ODD_NAMES {
        folder.write(Path::new("sources").join(OsStr::from_bytes(name)), NEW);
    }
    for (name, is_sparse) in [("holes", true), ("zeros", false)] {
        let file = File::create(folder.path(path(name))).expect("a source");
        if is_sparse {
            file.set_len(LENGTH).expect("a source can grow");
        } else {
            file.write_all_at(&vec![0; LENGTH as usize], 0).expect("writing a source");
        }
        file.write_all_at(&bytes(DATA, 3), DATA_AT).expect("writing a source");
    }
    let all = folder.write(path("all"), bytes(300 * KIB, 4));
    folder.write(path("listed"), bytes(300 * KIB, 5));
    for (attribute, value) in [(ACCESS_LIST, &access_list()[..]), (USERS, b"value\0")] {
        assert!(folder.set_attribute(path("listed"), attribute, value), "setting {attribute}");
    }
    chown(&all, Some(NOBODY), Some(NOBODY)).expect("giving a source away");
    folder.set_mode(path("all"), 0o640);
    set_times(&all, (1_000_000_001, 0), (1_000_000_003, 123_456_789));
    set_times(&folder.write(path("newer"), NEW), (4_000_000_000, 0), (4_000_000_000, 0));
    for (name, seconds, nanoseconds) in TIMES {
        let time = (seconds, nanoseconds);
        set_times(&folder.write(path(name), NEW), time, time);
    }
}

fn set_times(path: &Path, accessed: (i64, i64), modified: (i64, i64)) {
    let time = |(tv_sec, tv_nsec)| Timespec { tv_sec, tv_nsec };
    let times = Timestamps { last_access: time(accessed), last_modification: time(modified) };
    utimensat(CWD, path, &times, rustix::fs::AtFlags::empty()).expect("setting times");
}

/// Returns an error unless this holds.
fn ensure(holds: bool, what: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what()) }
}

impl Place<'_> {
    fn source(&self, name: impl AsRef<Path>) -> PathBuf {
        Path::new(self.sources).join(name)
    }

    fn copy(&self, flags: &str, from: &Path, to: &Path) -> Ended {
        self.folder.duocopy(&format!("cp --json {flags}")).word(from).word(to).end()
    }

    /// Makes a copy that must be complete, and returns the result.
    fn copied(&self, flags: &str, from: &Path, to: &Path) -> Result<String, String> {
        let ended = self.copy(flags, from, to);
        ensure([0, 3].contains(&ended.code), || format!("{flags}: {ended:?}"))?;
        self.same(from, to)?;
        Ok(answer(&ended))
    }

    fn same(&self, from: &Path, to: &Path) -> Result<(), String> {
        let (wanted, found) = (self.content(from), self.content(to));
        let equal = wanted.is_some() && wanted == found;
        ensure(equal, || format!("{} and {} differ", from.display(), to.display()))
    }

    fn content(&self, name: &Path) -> Option<Vec<u8>> {
        fs::read(self.folder.path(name)).ok()
    }

    /// Returns an error unless the destination has its old content.
    fn untouched(&self, to: &Path) -> Result<(), String> {
        let found = self.content(to);
        ensure(found.as_deref() == Some(OLD), || format!("now {:?} bytes", found.map(|found| found.len())))
    }

    fn metadata(&self, name: &Path) -> fs::Metadata {
        self.folder.path(name).metadata().expect("inspecting a file")
    }

    /// Waits until a new file keeps its times.
    fn settle(&self, file: &Path) {
        if let Some(place) = self.traits.uploads_to {
            // A file that is opened again and again is not uploaded.
            let (written, uploaded) = (self.content(file), below(place, file));
            until("an upload", || (written == self.content(&uploaded)).then_some(()));
            pause(milliseconds(500));
        }
    }

    fn old(&self, directory: &Path) -> PathBuf {
        let to = directory.join("dst");
        self.folder.write(&to, OLD);
        to
    }

    fn shell(&self, line: &str) -> Ended {
        let mut command = Command::new("sh");
        command.args(["-c", line]);
        self.folder.start(command, false).end()
    }
}

/// Returns the path of a file of the file system in this place, where its files are stored.
fn below(place: &str, file: &Path) -> PathBuf {
    file.strip_prefix("fs").map_or(file.into(), |file| Path::new(place).join(file))
}

/// Returns the result of this copy as a user sees it.
fn answer(ended: &Ended) -> String {
    match ended.code {
        0 if ended.messages.is_empty() => YES.into(),
        0 => format!("{YES}, with a note"),
        3 => format!("3 ({})", not_preserved(ended).join(", ")),
        code => code.to_string(),
    }
}

/// Returns what the copy reports as not preserved.
fn not_preserved(ended: &Ended) -> Vec<String> {
    // The last JSON object describes the end.
    let object = |line| serde_json::from_str::<serde_json::Value>(line).ok();
    let end = ended.output.lines().rev().find_map(object).unwrap_or_default();
    let name = |loss: &serde_json::Value| loss["what"].as_str().unwrap_or_default().to_lowercase();
    end["not_preserved"].as_array().map(|all| all.iter().map(name).collect()).unwrap_or_default()
}

/// Copies to a new file and back.
fn new(place: &Place, directory: &Path) -> Result<String, String> {
    let (from, to) = (place.source("old"), directory.join("dst"));
    let answer = place.copied("", &from, &to)?;
    place.settle(&to);
    place.copied("", &to, Path::new("out/back"))?;
    place.copied("", &place.source("new"), &directory.join("short"))?;
    Ok(answer)
}

fn replace(place: &Place, directory: &Path) -> Result<String, String> {
    let to = place.old(directory);
    place.copied("", &place.source("old"), &to)?;
    place.copied("", &place.source("new"), &to)
}

fn no_clobber(place: &Place, directory: &Path) -> Result<String, String> {
    let to = place.old(directory);
    place.copy("-n", &place.source("new"), &to).expect(0, &[]);
    place.untouched(&to)?;
    place.copied("-n", &place.source("new"), &directory.join("new"))
}

/// Copies three times: the second copy finds equal times and changes nothing, the third one has a newer source.
fn update(place: &Place, directory: &Path) -> Result<String, String> {
    let to = directory.join("dst");
    let inode = || (place.metadata(&to).ino(), place.metadata(&to).ctime_nsec());
    place.copied("-u --preserve=timestamps", &place.source("all"), &to)?;
    let before = inode();
    let ended = place.copy("-u --preserve=timestamps", &place.source("all"), &to);
    ensure(ended.code == 0 && inode() == before, || format!("replaced: {ended:?}"))?;
    place.copied("-u", &place.source("newer"), &to)
}

fn preserve(place: &Place, directory: &Path) -> Result<String, String> {
    let (from, to) = (place.source("all"), directory.join("dst"));
    // Reading a file changes its access time.
    let wanted = place.metadata(&from);
    let ended = place.copy("-p", &from, &to);
    ensure([0, 3].contains(&ended.code), || format!("{ended:?}"))?;
    let has = place.metadata(&to);
    place.same(&from, &to)?;
    let times = |it: &fs::Metadata| (it.mtime(), it.mtime_nsec(), it.atime(), it.atime_nsec());
    let lost = [
        ("ownership", (wanted.uid(), wanted.gid()) != (has.uid(), has.gid())),
        ("mode", wanted.mode() != has.mode()),
        ("timestamps", times(&wanted) != times(&has)),
    ];
    let lost: Vec<_> = lost.iter().filter_map(|(what, lost)| lost.then_some(*what)).collect();
    ensure(not_preserved(&ended) == lost, || format!("{lost:?} are lost: {ended:?}"))?;
    Ok(answer(&ended))
}

/// Copies a file with this attribute. The copy has it, or its loss is reported.
fn with_attribute(place: &Place, directory: &Path, flags: &str, name: &str) -> Result<String, String> {
    let (from, to) = (place.source("listed"), directory.join("dst"));
    let Some(value) = place.folder.attribute(&from, name) else { return Ok(NOT_APPLICABLE.into()) };
    let ended = place.copy(flags, &from, &to);
    place.same(&from, &to)?;
    let kept = place.folder.attribute(&to, name) == Some(value);
    ensure(ended.code == if kept { 0 } else { 3 }, || format!("kept: {kept}: {ended:?}"))?;
    Ok(if kept { answer(&ended) } else { "3".into() })
}

fn list(place: &Place, directory: &Path) -> Result<String, String> {
    with_attribute(place, directory, "--preserve=acl", ACCESS_LIST)
}

fn attribute(place: &Place, directory: &Path) -> Result<String, String> {
    with_attribute(place, directory, "--preserve=xattr", USERS)
}

/// Copies this source. Returns whether the copy takes no more space than its data.
fn is_sparse(place: &Place, directory: &Path, flags: &str, source: &str) -> Result<bool, String> {
    let (from, to) = (place.source(source), directory.join("dst"));
    let answer = place.copied(flags, &from, &to)?;
    ensure(answer == YES, || answer)?;
    place.shell("sync -f fs || true");
    Ok(place.metadata(&below(place.traits.stored, &to)).blocks() * 512 <= DATA as u64 + SLACK)
}

fn sparse_auto(place: &Place, directory: &Path) -> Result<String, String> {
    let sparse = is_sparse(place, directory, "", "holes")?;
    Ok(if sparse { YES } else { "zeros" }.into())
}

fn sparse_always(place: &Place, directory: &Path) -> Result<String, String> {
    let sparse = is_sparse(place, directory, "--sparse=always", "zeros")?;
    Ok(if sparse { YES } else { "zeros" }.into())
}

fn sparse_never(place: &Place, directory: &Path) -> Result<String, String> {
    let sparse = is_sparse(place, directory, "--sparse=never", "holes")?;
    Ok(if sparse { "holes" } else { YES }.into())
}

/// Kills both processes of a copy after a checkpoint, or, without checkpoints, once something is copied.
fn interrupt(place: &Place, from: &Path, to: &Path, after_a_checkpoint: bool) {
    let directory = to.parent().and_then(Path::to_str).expect("a readable path");
    // It takes six seconds.
    let start = || place.folder.duocopy("--bwlimit=1M").word(from).word(to).start();
    let both = [start(), start()];
    until("a part of the copy", || {
        let is_there = if after_a_checkpoint {
            place.folder.has_checkpoint_in(directory)
        } else {
            !place.folder.temporaries(directory).is_empty()
        };
        is_there.then_some(())
    });
    both.iter().for_each(Process::kill);
    end(both);
}

fn resume(place: &Place, directory: &Path) -> Result<String, String> {
    let (from, to) = (place.source("large"), place.old(directory));
    interrupt(place, &from, &to, place.traits.has_private_files);
    place.untouched(&to)?;
    let ended = place.copy("-v", &from, &to);
    ensure(ended.code == 0, || format!("{ended:?}"))?;
    place.same(&from, &to)?;
    let resumed = ended.messages.contains("resuming an interrupted copy");
    Ok(if resumed { YES } else { "from the beginning" }.into())
}

fn reread(place: &Place, directory: &Path) -> Result<String, String> {
    place.copied("--verify=reread", &place.source("old"), &directory.join("dst"))
}

/// Copies with direct input and output at both ends.
fn direct(place: &Place, directory: &Path) -> Result<String, String> {
    let to = directory.join("dst");
    let written = place.copied("--direct=destination", &place.source("large"), &to)?;
    place.settle(&to);
    let file = if place.traits.is_source { &place.source("large") } else { &to };
    let read = place.copied("--direct=source", file, Path::new("out/direct"))?;
    Ok(if read == YES { written } else { read })
}

/// Checks that a copy to this name succeeds or fails like a program that creates a file of this name.
fn under(place: &Place, directory: &Path, name: &OsStr) -> Result<String, String> {
    let to = directory.join(name);
    let possible = File::create(place.folder.path(&to)).is_ok();
    if possible {
        fs::remove_file(place.folder.path(&to)).map_err(|error| error.to_string())?;
    }
    let from = if place.traits.is_source { place.source(name) } else { place.source("new") };
    for _ in 0..2 {
        let ended = place.copy("", &from, &to);
        ensure(ended.code == if possible { 0 } else { 6 }, || format!("possible: {possible}: {ended:?}"))?;
        if !possible {
            return Ok("6".into());
        }
        place.same(&from, &to)?;
    }
    Ok(YES.into())
}

fn long_name(place: &Place, directory: &Path) -> Result<String, String> {
    under(place, directory, &long())
}

fn odd_name(place: &Place, directory: &Path) -> Result<String, String> {
    let mut refused = Vec::new();
    for (what, name) in ODD_NAMES {
        if under(place, directory, OsStr::from_bytes(name))? != YES {
            refused.push(what);
        }
    }
    Ok(if refused.is_empty() { YES.into() } else { format!("6 ({})", refused.join(", ")) })
}

fn backup(place: &Place, directory: &Path) -> Result<String, String> {
    let to = place.old(directory);
    let ended = place.copy("--backup=simple", &place.source("new"), &to);
    if ended.code != 0 {
        place.untouched(&to)?;
        return Ok(answer(&ended));
    }
    place.copied("--backup=numbered", &place.source("old"), &to)?;
    let kept = [("dst~", OLD), ("dst.~1~", NEW)];
    let found =
        kept.iter().all(|(name, content)| place.content(&directory.join(name)).as_deref() == Some(*content));
    ensure(found, || "no backups".into())?;
    Ok(answer(&ended))
}

/// Checks a read-only destination, on which the remains of an interrupted copy cannot be removed.
fn read_only(place: &Place, directory: &Path) -> Result<String, String> {
    let to = if place.traits.is_source { place.source("new") } else { place.old(directory) };
    let before = place.content(&to);
    let from = Path::new("sources/large");
    if !place.traits.is_source {
        interrupt(place, from, &to, false);
    }
    place.shell("mount -o remount,bind,ro fs").expect(0, &[]);
    let ended = place.copy("", from, &to);
    place.shell("mount -o remount,bind,rw fs").expect(0, &[]);
    place.folder.temporaries(directory).iter().for_each(|left| drop(fs::remove_file(left)));
    ensure(place.content(&to) == before, || "touched".into())?;
    ensure(ended.messages.contains("the file system is read-only"), || format!("{ended:?}"))?;
    Ok(answer(&ended))
}

fn full(place: &Place, directory: &Path) -> Result<String, String> {
    if place.traits.is_source || place.traits.is_own {
        return Ok(NOT_APPLICABLE.into());
    }
    let to = place.old(directory);
    let space = place.traits.stored;
    place.shell(&format!(
        "sync -f {space}; left=$(($(df --output=avail -B1 {space} | tail -n 1) - {ROOM}))
        fallocate -l $left {space}/fill || head -c $left /dev/urandom >{space}/fill; sync -f {space}"
    ));
    let ended = place.copy("", &place.source("large"), &to);
    let answer = answer(&ended);
    place.shell(&format!("rm {space}/fill"));
    if ended.code == 0 {
        place.same(&place.source("large"), &to)?;
    } else {
        place.untouched(&to)?;
    }
    Ok(answer)
}

fn close_error(place: &Place, directory: &Path) -> Result<String, String> {
    if !place.traits.is_own {
        return Ok(NOT_APPLICABLE.into());
    }
    let name = "refusing";
    let refusing = place.folder.mount(name, &[Fault::Refuses(Call::Close, Errno::ENOSPC)]);
    fs::write(refusing.backing.join("dst"), OLD).expect("an old destination");
    let ended = place.copy("--fsync=none", &place.source("old"), &Path::new(name).join("dst"));
    place.untouched(&Path::new(name).join("dst"))?;
    ensure(place.folder.temporaries(name).is_empty(), || "left over".into())?;
    let _ = directory;
    Ok(answer(&ended))
}

/// Checks that a copy has the times of its source, or that their loss is reported.
fn times(place: &Place, directory: &Path) -> Result<String, String> {
    let mut lost = Vec::new();
    for (what, ..) in TIMES {
        let (from, to) = (place.source(what), directory.join(what));
        let wanted = place.metadata(&from);
        let ended = place.copy("--preserve=timestamps", &from, &to);
        let has = place.metadata(&to);
        let times = |it: &fs::Metadata| (it.mtime(), it.mtime_nsec(), it.atime(), it.atime_nsec());
        let kept = times(&has) == times(&wanted);
        ensure(ended.code == if kept { 0 } else { 3 }, || format!("{wanted:?}, {has:?}, {ended:?}"))?;
        if !kept {
            lost.push(what);
        }
    }
    Ok(match lost.len() {
        0 => YES.into(),
        count if count == TIMES.len() => "3".into(),
        _ => format!("3 ({})", lost.join(", ")),
    })
}
