//! The folder of a test.

use super::pipe_header;
use super::process::Process;
use super::run::Run;
use super::watchdog::{Watchdog, watch};
use super::{FileExt, OLD, PROGRAM, TEST_LIMIT, bytes, complete, passes, plain, soon};
use std::cell::Cell;
use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A fresh folder, removed with everything in it at the end of the test.
pub struct Folder {
    directory: TempDir,
    started: Cell<usize>,
    _watchdog: Watchdog,
}

impl Folder {
    pub fn new() -> Self {
        Self::with_limit(TEST_LIMIT)
    }

    /// Makes a folder for a test that may take longer than the others.
    pub fn with_limit(limit: Duration) -> Self {
        let directory = tempfile::Builder::new().prefix("duocopy-test-").tempdir().expect("a fresh folder");
        Self { directory, started: Cell::new(0), _watchdog: Watchdog::new(limit) }
    }

    /// Makes a folder with a file `src` of this length.
    pub fn with_source(length: usize) -> Self {
        let folder = Self::new();
        folder.write("src", bytes(length, 1));
        folder
    }

    /// Makes a folder with a file `src` of this length and an old destination `dst`.
    pub fn with_source_and_destination(length: usize) -> Self {
        let folder = Self::with_source(length);
        folder.write("dst", OLD);
        folder
    }

    /// Returns the path of this name in the folder.
    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Returns the path of this name as the program shows it.
    pub fn text(&self, name: &str) -> String {
        plain(self.path(name).to_str().expect("a readable path"))
    }

    pub fn write(&self, name: impl AsRef<Path>, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, content).expect("writing into the folder");
        path
    }

    pub fn read(&self, name: impl AsRef<Path>) -> Vec<u8> {
        let path = self.path(name);
        fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    pub fn make(&self, name: impl AsRef<Path>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir(&path).expect("making a directory");
        path
    }

    /// Returns a name for a pipe that no other test of this user has.
    pub fn pipe_name(&self) -> String {
        let path = self.text("");
        path.rsplit(['/', '\\']).find(|part| !part.is_empty()).expect("a folder has a name").to_owned()
    }

    /// Returns the content of a file, or nothing if there is no such file.
    pub fn content(&self, name: &str) -> Option<Vec<u8>> {
        fs::read(self.path(name)).ok()
    }

    pub fn is_there(&self, name: impl AsRef<Path>) -> bool {
        self.path(name).symlink_metadata().is_ok()
    }

    /// Whether the Writer has announced the rename.
    pub fn is_committing(&self) -> bool {
        let mut verdict = [0; 8];
        let read = self.pipe().and_then(|pipe| pipe.read_exact_at(&mut verdict, pipe_header::VERDICT).ok());
        read.is_some() && u64::from_ne_bytes(verdict) & 0xff == pipe_header::COMMITTING
    }

    #[track_caller]
    pub fn assert_same(&self, one: impl AsRef<Path>, other: impl AsRef<Path>) {
        // Not `assert_eq!`, which would print both files.
        let equal = self.read(&one) == self.read(&other);
        assert!(equal, "{} and {} differ", one.as_ref().display(), other.as_ref().display());
    }

    /// Fails if `dst` has not this content, or, for `None`, if it exists, or if a copy has left a file beside it.
    #[track_caller]
    pub fn assert_untouched(&self, old: Option<&[u8]>) {
        assert!(self.content("dst").as_deref() == old, "the destination was touched");
        self.assert_nothing_left();
    }

    /// Fails if a copy has left a temporary file or a journal.
    #[track_caller]
    pub fn assert_nothing_left(&self) {
        self.assert_nothing_left_in("");
    }

    /// Fails if a copy has left a temporary file or a journal in this subfolder.
    #[track_caller]
    pub fn assert_nothing_left_in(&self, name: impl AsRef<Path>) {
        assert_eq!(self.temporaries(name), [] as [&Path; 0], "a temporary file is left");
    }

    /// Fails unless the next copy from `src` to `dst` completes and leaves nothing but its destination.
    #[track_caller]
    pub fn assert_next_copy_works(&self) {
        let start = || self.duocopy("--wait=5s src dst").start();
        complete([start(), start()]);
        self.assert_same("src", "dst");
        self.assert_nothing_left();
    }

    /// Lists what copies have left in this folder or a subfolder of it: temporary files and journals.
    pub fn temporaries(&self, name: impl AsRef<Path>) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.path(name)).expect("reading a folder");
        let paths = entries.map(|entry| entry.expect("an entry of a folder").path());
        let is_one = |path: &PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with(".duocopy-")
        };
        paths.filter(is_one).collect()
    }

    /// Returns the temporary file with this extension, if there is one.
    pub fn left_over(&self, extension: &str) -> Option<PathBuf> {
        self.left_over_in("", extension)
    }

    /// Returns the temporary file with this extension in this subfolder, if there is one.
    pub fn left_over_in(&self, name: &str, extension: &str) -> Option<PathBuf> {
        self.temporaries(name).into_iter().find(|path| path.extension().is_some_and(|it| it == extension))
    }

    /// Returns whether a journal records that part of the copy is on the disk.
    pub fn has_checkpoint(&self) -> bool {
        self.has_checkpoint_in("")
    }

    /// Returns whether a journal in this subfolder records that part of the copy is on the disk.
    pub fn has_checkpoint_in(&self, name: &str) -> bool {
        let journal = self.left_over_in(name, "journal").and_then(|path| fs::read(path).ok());
        journal.is_some_and(|content| content.len() == 1536 && content[512..].iter().any(|byte| *byte != 0))
    }

    /// Returns the program with these arguments, to be run in this folder.
    pub fn duocopy(&self, line: &str) -> Run<'_> {
        Run::new(self, PROGRAM, line.split_whitespace().map(OsString::from))
    }

    /// Returns `duocopy read` with these arguments and [`Self::pipe_name`].
    pub fn read_half(&self, line: &str) -> Run<'_> {
        self.duocopy(&format!("read {line} {}", self.pipe_name()))
    }

    /// Returns `duocopy write` with these arguments and [`Self::pipe_name`].
    pub fn write_half(&self, line: &str) -> Run<'_> {
        self.duocopy(&format!("write {line} {}", self.pipe_name()))
    }

    /// Counts the processes that were started in this folder.
    pub fn started(&self) -> usize {
        self.started.get()
    }

    /// Starts a command in this folder, with files for its output.
    pub fn start(&self, mut command: Command, terminal: bool) -> Process {
        let number = self.started.replace(self.started.get() + 1);
        let file = |what: &str| self.path(format!("{what}-{number}"));
        let (errors, output) = (file("stderr"), file("stdout"));
        let open = |path: &Path| File::create(path).expect("making a file for output");
        command.current_dir(self.directory.path()).stdin(Stdio::null());
        command.stderr(open(&errors)).stdout(open(&output));
        // The environment of the tests must not matter.
        command.env("TERM", "xterm").env("LC_ALL", "C.UTF-8").env_remove("COLUMNS");
        let began = Instant::now();
        let spawned = soon(|| Some(command.spawn()).filter(|child| !child.as_ref().is_err_and(passes)));
        let child = spawned.expect("not for ever").unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let child = Arc::new(Mutex::new(child));
        watch(&child);
        Process { child, began, errors, output, trace: file("trace"), terminal, paused: Cell::new(false) }
    }
}
