//! What happens to a destination, step by step, in a directory of its own.

mod rights_and_names;

use super::contract::*;
use super::*;
use crate::api::{Aftermath, Backup, Error, ErrorKind, Fsync, Overwrite, Preserve, Request, Warning};
use crate::cache::CacheUse;
use crate::digest::Kind;
use crate::record::{ResumePoint, SourceRecord, TargetRecord};
use crate::sys::{self, FileId};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

const OLD: &str = "the old one";
const NEW: &str = "the content of the source";
const PLAN: WritePlan =
    WritePlan { digest: Kind::Crc64, cache: CacheUse { direct: false, drops: false, flushes: false } };

/// A directory with the source and, perhaps, an old destination.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        fs::create_dir(folder.path("there")).unwrap();
        fs::write(folder.path("source"), NEW).unwrap();
        folder
    }

    fn with_old() -> Self {
        let folder = Self::new();
        fs::write(folder.destination(), OLD).unwrap();
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn destination(&self) -> PathBuf {
        self.path("there/destination")
    }

    fn source(&self) -> SourceRecord {
        SourceRecord::of_file(sys::stat(&self.path("source")).unwrap(), Kind::Crc64)
    }

    fn age(&self, name: &str, seconds: u64) {
        let file = fs::File::options().write(true).open(self.path(name)).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(seconds)).unwrap();
    }

    /// The files in the directory of the destination: the end of each name, and the content if it is not a journal.
    fn files(&self) -> BTreeMap<String, String> {
        let entries = fs::read_dir(self.path("there")).unwrap().map(Result::unwrap);
        let file = |entry: fs::DirEntry| {
            let name = entry.file_name().into_string().unwrap();
            let content = fs::read(entry.path()).unwrap_or_default();
            let name = name.strip_prefix(".duocopy-").map_or(name.as_str(), |own| &own[16..]).to_owned();
            let content =
                if name == ".journal" { String::new() } else { String::from_utf8(content).unwrap() };
            (name, content)
        };
        entries.map(file).collect()
    }

    fn open(&self, policy: &Policy, resume: bool) -> Result<Box<dyn Destination>, Error> {
        open(&self.destination(), policy, &self.source(), resume)
    }

    fn inspect(&self, policy: &Policy, source: &SourceRecord) -> Result<Found, Error> {
        inspect(&self.destination(), policy, Some(source), false, false, true)
    }
}

fn temporary_path(path: &Path) -> Option<PathBuf> {
    Observed::open(path, Links::FOLLOWED).map(|observed| observed.temporary_path())
}

fn policy() -> Policy {
    Policy::of(&Request::both("", ""), &crate::api::Stop::new())
}

fn files<const N: usize>(files: [(&str, &str); N]) -> BTreeMap<String, String> {
    files.map(|(name, content)| (name.into(), content.into())).into()
}

fn point(content: &str) -> ResumePoint {
    ResumePoint { position: content.len() as u64, sum: crate::digest::of(content.as_bytes()) }
}

/// Writes the rest of the copy, up to `NEW[..to]`.
fn write(destination: &mut dyn Destination, to: usize) -> Result<Box<dyn Staged<'_> + '_>, Error> {
    let at = destination.resume_point();
    let (mut staged, mut digest, _) = destination.stage(at, PLAN, &|| false)?;
    let rest = &NEW.as_bytes()[at.position as usize..to];
    if !rest.is_empty() {
        assert_eq!(staged.write(at.position, rest)?, rest.len());
        digest.update(rest);
        staged.reached(ResumePoint { position: to as u64, sum: digest.resume_state() })?;
    }
    assert_eq!(digest.resume_state(), crate::digest::of(&NEW.as_bytes()[..to]));
    Ok(staged)
}

/// Takes all steps up to the commit.
fn commit(destination: &mut dyn Destination) -> Result<Box<dyn Committed + '_>, Error> {
    let staged = write(destination, NEW.len())?;
    let (ready, prepared) = staged.prepare(point(NEW), &SourceMetadata::new(&[]), true)?;
    assert_eq!((prepared.not_preserved, prepared.warnings), (Vec::new(), Vec::new()));
    ready.commit().map(|(committed, _)| committed)
}

fn copy(folder: &Folder, policy: &Policy) -> Result<(), Error> {
    let mut destination = folder.open(policy, true)?;
    let committed = commit(&mut *destination)?;
    committed.sync_name()?;
    committed.tidy();
    Ok(())
}

/// Leaves what an interrupted copy leaves after this many bytes.
fn interrupt(folder: &Folder, bytes: usize) {
    let mut destination = folder.open(&policy(), true).unwrap();
    drop(write(&mut *destination, bytes).unwrap());
    assert_eq!(destination.keep(Some(point(&NEW[..bytes]))), bytes as u64);
}

/// Syncing the name may fail after the rename. The next run recognises the copy by its journal.
#[test]
fn a_copy_that_is_in_place_keeps_its_journal() {
    let folder = Folder::new();
    interrupt(&folder, 5);
    let mut destination = folder.open(&policy(), true).unwrap();
    drop(commit(&mut *destination).unwrap());
    destination.discard();
    assert_eq!(folder.files(), files([(".journal", ""), ("destination", NEW)]));
}

#[test]
fn a_copy_is_whole_or_the_old_one_at_every_step() {
    let folder = Folder::with_old();
    let mut destination = folder.open(&policy(), true).unwrap();
    assert_eq!(folder.files().into_keys().collect::<Vec<_>>(), [".part", "destination"]);
    let staged = write(&mut *destination, NEW.len()).unwrap();
    assert_eq!(folder.files()["destination"], OLD);
    let (mut ready, _) = staged.prepare(point(NEW), &SourceMetadata::new(&[]), true).unwrap();
    assert_eq!(folder.files()["destination"], OLD);
    assert_eq!(ready.reread(Kind::Crc64, &|| false).unwrap().0[..8], point(NEW).sum.to_le_bytes());
    let (committed, _) = ready.commit().unwrap();
    assert_eq!(folder.files(), files([("destination", NEW)]));
    committed.sync_name().unwrap();
    committed.tidy();
    assert_eq!(folder.files(), files([("destination", NEW)]));
}

#[test]
fn a_failure_before_the_commit_leaves_the_old_one_and_nothing_else() {
    type Change = fn(&Folder);
    let appears: Change = |folder| fs::write(folder.destination(), OLD).unwrap();
    // Windows does not move or remove what is open.
    let cases: Vec<(&str, Overwrite, Change, ErrorKind)> = vec![
        ("exists", Overwrite::Refuse, appears, ErrorKind::DestinationAppeared),
        ("exists", Overwrite::Skip, appears, ErrorKind::Skipped),
        ("newer", Overwrite::ReplaceIfOlder, appears, ErrorKind::Skipped),
        #[cfg(unix)]
        (
            "other file",
            Overwrite::Replace,
            |folder| {
                let temporary = temporary_path(&folder.destination()).unwrap();
                fs::remove_file(&temporary).unwrap();
            },
            ErrorKind::TemporaryFileReplaced,
        ),
        (
            "directory",
            Overwrite::Replace,
            |folder| fs::create_dir(folder.destination()).unwrap(),
            ErrorKind::DestinationChangedType,
        ),
        #[cfg(unix)]
        (
            "moved",
            Overwrite::Replace,
            |folder| {
                fs::rename(folder.path("there"), folder.path("elsewhere")).unwrap();
                fs::create_dir(folder.path("there")).unwrap();
            },
            ErrorKind::DirectoryMoved,
        ),
    ];
    for (what, overwrite, change, expected) in cases {
        let folder = Folder::new();
        let mut destination = folder.open(&Policy { overwrite, ..policy() }, true).unwrap();
        let staged = write(&mut *destination, NEW.len()).unwrap();
        let (ready, _) = staged.prepare(point(NEW), &SourceMetadata::new(&[]), true).unwrap();
        change(&folder);
        let error = ready.commit().err().unwrap();
        assert_eq!((error.kind, error.aftermath), (expected, Aftermath::Unmentioned), "{what}");
        destination.discard();
        // On Windows the name of a removed file stays until the file is closed.
        drop(destination);
        let left = folder.files();
        assert!(left.get("destination").is_none_or(|old| old == OLD || old.is_empty()), "{what} {left:?}");
        assert_eq!(left.keys().filter(|name| *name != "destination").count(), 0, "{what} {left:?}");
        assert!(fs::read_dir(folder.path("elsewhere")).map_or(0, Iterator::count) == 0, "{what}");
    }
}

#[test]
fn the_overwrite_policy_decides_what_happens_to_an_existing_destination() {
    use Overwrite::{Refuse, Replace, ReplaceIfOlder, Skip};
    let (older, newer) = (9, 1);
    // The policy, the age of the destination (the source is 5 seconds old), and whether the source is a stream.
    let cases = [
        (Replace, older, false, None),
        (Replace, newer, false, None),
        (ReplaceIfOlder, older, false, None),
        (ReplaceIfOlder, newer, false, Some(ErrorKind::Skipped)),
        (ReplaceIfOlder, newer, true, None),
        (Skip, older, false, Some(ErrorKind::Skipped)),
        (Skip, older, true, Some(ErrorKind::Skipped)),
        (Refuse, older, false, Some(ErrorKind::DestinationExists)),
        (Refuse, newer, true, Some(ErrorKind::DestinationExists)),
    ];
    for (overwrite, age, is_stream, expected) in cases {
        let folder = Folder::with_old();
        folder.age("source", 5);
        folder.age("there/destination", age);
        let source = if is_stream { SourceRecord::STREAM } else { folder.source() };
        let policy = Policy { overwrite, ..policy() };
        let case = format!("{overwrite:?}, {age} s, stream {is_stream}");
        let inspected = folder.inspect(&policy, &source);
        let opened = open(&folder.destination(), &policy, &source, true);
        assert_eq!(inspected.err().map(|error| error.kind), expected, "{case}");
        assert_eq!(opened.as_ref().err().map(|error| error.kind.clone()), expected, "{case}");
        if let Ok(mut opened) = opened {
            opened.discard();
        }
        assert_eq!(folder.files(), files([("destination", OLD)]), "{case}");
        fs::remove_file(folder.destination()).unwrap();
        assert_eq!(folder.inspect(&policy, &source), Ok(Found::Absent), "{case}");
    }
}

#[test]
fn what_is_refused_is_refused_before_anything_changes() {
    type Prepare = fn(&Folder, &mut Policy);
    let cases: Vec<(Prepare, ErrorKind)> = vec![
        (|folder, _| fs::create_dir(folder.destination()).unwrap(), ErrorKind::DestinationIsDirectory),
        (
            |folder, _| fs::hard_link(folder.path("source"), folder.destination()).unwrap(),
            ErrorKind::SameFile,
        ),
        (
            |folder, _| {
                let temporary = temporary_path(&folder.destination()).unwrap();
                fs::hard_link(folder.path("source"), temporary).unwrap();
            },
            ErrorKind::SourceIsTemporary,
        ),
        (|_, policy| policy.max_bytes = Some(5), ErrorKind::TooLarge { bytes: NEW.len() as u64, max: 5 }),
        (
            |folder, policy| {
                policy.backup = Backup::Simple;
                fs::write(folder.destination(), OLD).unwrap();
                fs::create_dir(folder.path("there/destination~")).unwrap();
            },
            ErrorKind::BackupIsSpecial { backup: "destination~".into() },
        ),
        #[cfg(unix)]
        (|folder, _| link(folder, "nowhere"), ErrorKind::DanglingLink),
        #[cfg(unix)]
        (|folder, _| link(folder, "destination"), ErrorKind::LinkLoop),
        #[cfg(unix)]
        (
            |folder, policy| {
                policy.follow_links = false;
                link(folder, "../source");
            },
            ErrorKind::LinkNotFollowed,
        ),
    ];
    for (prepare, expected) in cases {
        let (folder, mut policy) = (Folder::new(), policy());
        prepare(&folder, &mut policy);
        let before = folder.files();
        let inspected = folder.inspect(&policy, &folder.source()).unwrap_err();
        assert_eq!(inspected.kind, expected);
        assert_eq!(folder.open(&policy, true).unwrap_err(), inspected);
        assert_eq!(folder.files(), before);
    }
}

#[cfg(unix)]
fn link(folder: &Folder, to: &str) {
    std::os::unix::fs::symlink(to, folder.destination()).unwrap();
}

#[test]
fn a_copy_is_kept_only_with_a_journal() {
    for (reached, expected) in [(None, 0), (Some(0), 0), (Some(8), 8)] {
        let folder = Folder::with_old();
        let mut destination = folder.open(&policy(), true).unwrap();
        drop(write(&mut *destination, 8).unwrap());
        assert_eq!(destination.keep(reached.map(|bytes| point(&NEW[..bytes]))), expected);
        drop(destination);
        let names: Vec<_> = folder.files().into_keys().collect();
        if expected > 0 {
            assert_eq!(names, [".journal", ".part", "destination"]);
        } else {
            assert_eq!(names, ["destination"]);
        }
    }
    // What an earlier copy has recorded is kept without a new record, and is discarded only on request.
    let folder = Folder::new();
    interrupt(&folder, 8);
    let mut destination = folder.open(&policy(), true).unwrap();
    drop(write(&mut *destination, 12).unwrap());
    assert_eq!(destination.keep(None), 8);
    destination.discard();
    drop(destination);
    assert_eq!(folder.files(), files([]));
}

#[test]
fn only_what_fits_is_resumed() {
    type Change = fn(&Folder);
    let part = |folder: &Folder| temporary_path(&folder.destination()).unwrap();
    let nothing: Change = |_| {};
    let shorter: Change = |folder| {
        let path = temporary_path(&folder.destination()).unwrap();
        fs::File::options().write(true).open(path).unwrap().set_len(7).unwrap();
    };
    let replaced: Change = |folder| {
        let path = temporary_path(&folder.destination()).unwrap();
        fs::rename(&path, path.with_extension("old")).unwrap();
        fs::copy(path.with_extension("old"), &path).unwrap();
        fs::remove_file(path.with_extension("old")).unwrap();
    };
    let corrupt: Change = |folder| {
        let path = temporary_path(&folder.destination()).unwrap().with_extension("journal");
        let mut journal = fs::read(&path).unwrap();
        journal[20] ^= 1;
        fs::write(path, journal).unwrap();
    };
    let cases = [
        (nothing, true, 8, false),
        (nothing, false, 0, false),
        ((|folder| folder.age("source", 7)) as Change, true, 0, true),
        (shorter, true, 0, true),
        (replaced, true, 0, true),
        (corrupt, true, 0, false),
    ];
    for (number, (change, resume, expected, restarted)) in cases.into_iter().enumerate() {
        let folder = Folder::new();
        interrupt(&folder, 8);
        change(&folder);
        let mut destination = folder.open(&policy(), resume).unwrap();
        assert_eq!(destination.resume_point().position, expected, "case {number}");
        let warnings = if restarted { vec![Warning::Restarted] } else { Vec::new() };
        assert_eq!(destination.take_warnings(), warnings, "case {number}");
        assert_eq!(part(&folder).with_extension("journal").exists(), expected > 0, "case {number}");
        commit(&mut *destination).unwrap().tidy();
        drop(destination);
        assert_eq!(folder.files(), files([("destination", NEW)]), "case {number}");
    }
}

#[test]
fn a_committed_copy_is_recognized_as_long_as_nobody_writes_to_it() {
    let folder = Folder::new();
    interrupt(&folder, 8);
    let mut destination = folder.open(&policy(), true).unwrap();
    // Killed before `tidy`.
    drop(commit(&mut *destination).unwrap());
    drop(destination);
    let refusing = Policy { overwrite: Overwrite::Refuse, ..policy() };
    assert!(matches!(folder.inspect(&refusing, &folder.source()), Ok(Found::Existing(_))));
    assert_eq!(inspect_early(&folder.destination(), &refusing), Ok(()));
    assert_eq!(folder.open(&refusing, false).unwrap_err().kind, ErrorKind::DestinationExists);
    let mut destination = folder.open(&refusing, true).unwrap();
    assert!(destination.already_committed());
    assert_eq!(destination.resume_point(), point(NEW));
    let mut staged = write(&mut *destination, NEW.len()).unwrap();
    assert_eq!(staged.write(0, b"x").unwrap_err().kind, ErrorKind::CommittedTooEarly);
    drop(staged);
    commit(&mut *destination).unwrap();
    assert_eq!(
        destination.stage(point(&NEW[..3]), PLAN, &|| false).err().unwrap().kind,
        ErrorKind::TemporaryFileGone
    );
    drop(destination);
    fs::write(folder.destination(), NEW.to_uppercase()).unwrap();
    assert_eq!(folder.open(&refusing, true).unwrap_err().kind, ErrorKind::DestinationExists);
    assert!(!folder.open(&policy(), true).unwrap().already_committed());
}

#[test]
fn a_replacement_takes_over_the_very_file_of_the_dead_writer() {
    let (folder, policy) = (Folder::with_old(), Policy { fsync: Fsync::None, ..policy() });
    let take_over = |dead, committing| {
        AtomicFile::take_over(&folder.destination(), &policy, &folder.source(), &dead, committing)
    };
    let mut destination = folder.open(&policy, true).unwrap();
    let dead = destination.record();
    let (mut staged, ..) = destination.stage(ResumePoint::default(), PLAN, &|| false).unwrap();
    assert_eq!(staged.write(0, &NEW.as_bytes()[..8]), Ok(8));
    drop(staged);
    drop(destination);
    let mut second = take_over(dead, false).unwrap();
    assert_eq!((second.record(), second.already_committed()), (dead, false));
    // A file that is shorter than what was acknowledged is not that Writer's. (The source's length is reserved.)
    let past_the_end = ResumePoint { position: NEW.len() as u64 + 1, sum: 0 };
    assert_eq!(second.stage(past_the_end, PLAN, &|| false).err().unwrap().kind, ErrorKind::TemporaryFileGone);
    drop(second.stage(point(&NEW[..5]), PLAN, &|| false).unwrap());
    drop(second);
    let other = TargetRecord { file: FileId { inode: dead.file.inode + 1, ..dead.file }, ..dead };
    assert_eq!(take_over(other, false).unwrap_err().kind, ErrorKind::TemporaryFileGone);
    let error = take_over(other, true).unwrap_err();
    assert_eq!((error.kind, error.aftermath), (ErrorKind::DiedCommitting, Aftermath::Undetermined));
    let temporary = temporary_path(&folder.destination()).unwrap();
    fs::remove_file(folder.destination()).unwrap();
    fs::hard_link(&temporary, folder.destination()).unwrap();
    assert!(take_over(dead, true).unwrap().already_committed(), "it died with both names");
    assert!(!temporary.exists());
    assert_eq!(take_over(dead, false).unwrap_err().kind, ErrorKind::TemporaryFileGone);
    assert!(take_over(dead, true).unwrap().already_committed());
}

#[test]
fn only_one_copy_at_a_time_writes_to_a_destination() {
    let folder = Folder::new();
    let first = folder.open(&policy(), true).unwrap();
    assert_eq!(folder.open(&policy(), true).unwrap_err().kind, ErrorKind::DestinationLocked);
    drop(first);
    copy(&folder, &policy()).unwrap();
    assert_eq!(folder.files(), files([("destination", NEW)]));
}

#[test]
fn what_has_the_temporary_name_and_is_no_leftover_is_left_alone() {
    let folder = Folder::new();
    let found = temporary_path(&folder.destination()).unwrap();
    fs::create_dir(&found).unwrap();
    let error = folder.open(&policy(), true).unwrap_err();
    assert_eq!(error.kind, ErrorKind::NameTaken { found: found.clone() });
    assert!(found.is_dir());
}
