//! The copies that are made before the power fails.

use super::disk::{Entry, Log};
use crate::util::*;
use std::fs::File;
use std::ops::Range;
use std::process::Command;

/// How a copy is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// `duocopy cp`.
    One,
    /// Two processes.
    Pair,
    /// A pair, killed after two checkpoints and resumed with `duocopy cp`.
    Resumed,
}

/// Options and ways of the copies, one after the other to the same destination.
const COPIES: [(&str, Way); 12] = [
    ("", Way::One),
    ("--backup=simple", Way::One),
    ("--verify=reread", Way::One),
    ("", Way::Resumed),
    ("--preserve=all", Way::Pair),
    ("--sparse=always", Way::One),
    ("--backup=simple --preserve=all", Way::One),
    ("", Way::Pair),
    ("--hash=blake3 --direct", Way::One),
    ("--backup=simple --sparse=always", Way::Resumed),
    ("--drop-cache", Way::One),
    ("--preserve=all --verify=reread", Way::Pair),
];

const LENGTHS: [usize; 8] = [0, 5, 4096, 65_537, 300_000, 1_000_000, 4_000_000, 9_000_000];
/// At this rate, a copy of this length takes six seconds.
const SLOW: (&str, usize) = ("--bwlimit=1M", 6 * MIB);

/// A copy that was made.
#[derive(Debug)]
pub struct Made {
    pub options: &'static str,
    /// Where in the log the copy began, its last bytes reached the disk, and exit code 0 was seen.
    pub began: usize,
    pub written: usize,
    pub complete: usize,
    /// Where in the log a part of the copy was safe.
    pub safe_part: Option<usize>,
    /// Mode, owner and time of the complete file.
    pub metadata: String,
}

/// The name of the source of a copy, counted from 1.
pub fn source(number: usize) -> String {
    format!("src-{number}")
}

/// Makes copies to `d/dst` on a file system that is mounted in the folder.
pub struct Copier<'a> {
    pub folder: &'a Folder,
    pub log: &'a Log,
    pub system: &'a str,
    /// Options of all copies.
    pub more: &'a str,
}

impl Copier<'_> {
    /// Makes the first `count` copies.
    pub fn make(&self, count: usize, random: &mut Random) -> Vec<Made> {
        let system = self.system;
        shell(self.folder, &format!("mkdir {system}/d && sync -f {system}")).expect(0, &[]);
        // No two versions in a row are equal.
        let first = random.next() as usize % LENGTHS.len();
        let lengths = LENGTHS.iter().cycle().skip(first);
        let copies = COPIES.iter().take(count).zip(lengths).zip(1..);
        copies
            .map(|(((options, way), length), number)| self.one(options, *way, (number, *length), random))
            .collect()
    }

    fn one(
        &self,
        options: &'static str,
        way: Way,
        (number, length): (usize, usize),
        random: &mut Random,
    ) -> Made {
        let Self { folder, log, system, more } = *self;
        let length = if way == Way::Resumed { SLOW.1 } else { length };
        let end = write_source(folder, number, length, random);
        // Later copies find a different state of the file system's own work.
        pause(milliseconds(random.next() % 4 * 200));

        let began = log.position();
        let line = format!("{more} {options} {} {system}/d/dst", source(number));
        let start = |options| folder.duocopy(&format!("{options} {line}")).start();
        let mut safe_part = None;
        match way {
            Way::Pair => complete([start(""), start("")]),
            Way::Resumed if more.is_empty() => {
                let halves = [start(SLOW.0), start(SLOW.0)];
                until("two checkpoints", || has_two_checkpoints(folder, system).then_some(()));
                halves.iter().for_each(Process::kill);
                safe_part = Some(log.position());
                start("cp").end().expect(0, &["resum"]);
            }
            Way::One | Way::Resumed => {
                start("cp").end().expect(0, &[]);
            }
        }
        let complete = log.position();
        let metadata = metadata(folder, &format!("{system}/d/dst"));
        let written = first_write_of(log, &end, began..complete).unwrap_or(began);
        Made { options, began, written, complete, safe_part, metadata }
    }
}

/// Makes the source of a copy, every second one with a hole, and returns its last sector.
fn write_source(folder: &Folder, number: usize, length: usize, random: &mut Random) -> Vec<u8> {
    let mut content = bytes(length, random.next());
    if number.is_multiple_of(2) {
        // Short, so that a copy at the rate `SLOW` still takes long.
        content[length / 3..length / 2].fill(0);
    }
    let name = source(number);
    let file = File::create(folder.path(&name)).expect("making a source");
    file.set_len(length as u64).expect("a source can grow");
    for (offset, part) in (0..).step_by(4 * KIB).zip(content.chunks(4 * KIB)) {
        if part.iter().any(|byte| *byte != 0) {
            file.write_all_at(part, offset).expect("writing a source");
        }
    }
    folder.set_mode(&name, [0o600, 0o640, 0o755][number % 3]);
    content.split_off(length.saturating_sub(1) / 512 * 512)
}

/// Returns whether both places of the copy's journal have an entry. The first entry is then on the disk.
fn has_two_checkpoints(folder: &Folder, system: &str) -> bool {
    let is_empty = |offset: usize| format!("cmp -s -n 512 -i {offset}:0 \"$journal\" /dev/zero");
    let script = format!(
        "journal=$(echo {system}/d/.duocopy-*.journal); test -f \"$journal\" && ! {} && ! {}",
        is_empty(512),
        is_empty(1024),
    );
    pause(milliseconds(100));
    shell(folder, &script).code == 0
}

/// Returns mode, owner and time of a file.
pub fn metadata(folder: &Folder, path: &str) -> String {
    shell(folder, &format!("stat -c '%a %u:%g %y' {path}")).expect(0, &[]).output.clone()
}

/// Runs a line of shell in the folder.
fn shell(folder: &Folder, line: &str) -> Ended {
    let mut command = Command::new("sh");
    command.args(["-c", line]);
    folder.start(command, false).end()
}

/// Returns the position of the first write in this part of the log that contains a sector that begins like this.
fn first_write_of(log: &Log, beginning: &[u8], part: Range<usize>) -> Option<usize> {
    let entries = log.entries();
    let is_it = |entry: &Entry| match *entry {
        Entry::Write { length, at, .. } => {
            log.bytes(length, at).chunks(512).any(|sector| sector.starts_with(beginning))
        }
        Entry::Flush => false,
    };
    let found = entries[part.clone()].iter().position(is_it).filter(|_| !beginning.is_empty());
    found.map(|position| part.start + position)
}
