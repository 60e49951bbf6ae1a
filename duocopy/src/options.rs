//! The options that all halves share, and the values that they take.

use crate::cache::CacheUse;
use crate::digest::Kind;
use crate::sys::{HAS_ACCESS_LISTS, HAS_ATTRIBUTES, HAS_OWNERS};
use clap::{Parser, ValueEnum};
use std::path::PathBuf;
use std::time::Duration;

/// What `--preserve` means without a list.
const PRESERVED: &[&str] =
    if HAS_OWNERS { &["mode", "ownership", "timestamps"] } else { &["mode", "timestamps"] };

/// What it means with `all`.
const ALL_PRESERVED: &[&str] = match (HAS_OWNERS, HAS_ATTRIBUTES, HAS_ACCESS_LISTS) {
    (true, true, true) => &["mode", "ownership", "timestamps", "xattr", "acl"],
    (true, true, false) => &["mode", "ownership", "timestamps", "xattr"],
    _ => PRESERVED,
};

/// How far *complete* reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Fsync {
    /// The copy may still be in the page cache, as with `cp`
    None,
    /// The copy is on the disk, and so is its name
    End,
}

/// How it is made sure that the copy is the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Verify {
    /// Not at all
    None,
    /// Both processes compute a checksum of their own bytes, and compare
    Stream,
    /// The Writer also reads the copy again, from the disk if the file system can do that: takes as long again as reading
    Reread,
}

/// What is computed of the content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Hash {
    /// CRC-64/NVME: finds every accident
    Crc64,
    /// BLAKE3: finds forgery too; a copy that goes on in the middle reads the beginning again
    Blake3,
}

/// What becomes of zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Sparse {
    /// Holes of the source stay holes
    Auto,
    /// Other long runs of zeros become holes, too
    Always,
    /// Every byte is written and takes its space
    Never,
}

/// What a copy may have of the source besides its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Preserve {
    /// Permissions (on Windows: whether it may be written to)
    Mode,
    /// User and group
    Ownership,
    /// When it was last read and last written to
    Timestamps,
    /// Extended attributes
    Xattr,
    /// Access lists
    Acl,
    /// All of these that this system has
    All,
}

/// What becomes of a destination that exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Update {
    /// It is replaced
    All,
    /// It stays, which is no failure
    None,
    /// It stays, and that is a failure
    NoneFail,
    /// It is replaced if it was last written to before SRC was; else it stays, which is no failure
    Older,
}

/// How the old file is called if it is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Backup {
    /// It is not kept
    #[value(alias = "off")]
    None,
    /// DST.~1~, DST.~2~, …
    #[value(alias = "t")]
    Numbered,
    /// Numbered if there is one with a number, else simple
    #[value(alias = "nil")]
    Existing,
    /// DST~ (or what `SIMPLE_BACKUP_SUFFIX` says instead of ~)
    #[value(alias = "never")]
    Simple,
}

/// What is read or written past the page cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Direct {
    Source,
    Destination,
    Both,
}

/// When progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Show {
    /// A bar if standard error is a terminal and the copy lasts longer than a second
    Auto,
    /// Also elsewhere: a plain line every 10 seconds
    Always,
    Never,
}

#[derive(Clone, Debug, Parser)]
#[expect(clippy::struct_excessive_bools, reason = "flags are what people type")]
pub struct Options {
    /// How long to wait for the second process (500ms, 3s, 1m) [default: for ever]
    #[arg(long, value_name = "DUR", value_parser = duration)]
    pub wait: Option<Duration>,

    /// Bytes that change hands at once (64K, 1M; K=1024, KB=1000) [default: 512K; less for a small SRC or --buffer-size]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub block_size: Option<u64>,

    /// Shared memory for all blocks together [default: 4 blocks; 16 if SRC is not in memory]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub buffer_size: Option<u64>,

    /// Read at most so many bytes per second, evenly (500K, 10M)
    #[arg(long, value_name = "RATE", value_parser = size)]
    pub bwlimit: Option<u64>,

    /// Meet in this directory, which both users (or containers) can enter [default: `DUOCOPY_DIR`, or this user's own]
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,

    /// Refuse a partner of any other user than these (names or numbers)
    #[arg(long, value_name = "USER", value_delimiter = ',', conflicts_with = "replace_within")]
    pub peer_user: Vec<String>,

    /// Refuse a partner whose user belongs to none of these groups
    #[arg(long, value_name = "GROUP", value_delimiter = ',', conflicts_with = "replace_within")]
    pub peer_group: Vec<String>,

    /// Read and write past the page cache, straight from and to the disk; alone it means both
    #[arg(
        long, value_enum, value_name = "END", num_args = 0..=1, require_equals = true, default_missing_value = "both"
    )]
    pub direct: Option<Direct>,

    /// Leave nothing of the files in the page cache
    #[arg(long)]
    pub drop_cache: bool,

    /// What must be on the disk before a copy counts as complete
    #[arg(long, value_enum, value_name = "WHEN", default_value = "end")]
    pub fsync: Fsync,

    /// How to make sure that the copy is the source
    #[arg(long, value_enum, value_name = "HOW", default_value = "stream")]
    pub verify: Verify,

    /// What to compute of the content
    #[arg(long, value_enum, value_name = "WHICH", default_value = "crc64")]
    pub hash: Hash,

    /// Which zeros take no space in DST
    #[arg(long, value_enum, value_name = "WHICH", default_value = "auto")]
    pub sparse: Sparse,

    /// Take these over from SRC [without a list: mode,ownership,timestamps]
    #[arg(
        short = 'p', long, value_enum, value_name = "LIST", value_delimiter = ',', num_args = 0..=1,
        require_equals = true, default_missing_values = PRESERVED.iter().copied()
    )]
    pub preserve: Vec<Preserve>,

    /// Replace DST if it exists (what is done anyway, except by `write`)
    #[arg(short, long)]
    pub force: bool,

    /// Leave DST as it is if it exists, whatever --update says
    #[arg(short, long, conflicts_with = "backup")]
    pub no_clobber: bool,

    /// What to do if DST exists; -u is --update=older
    #[arg(
        short, long, value_enum, value_name = "WHEN", num_args = 0..=1, require_equals = true,
        default_missing_value = "older"
    )]
    pub update: Option<Update>,

    /// Keep the DST that is replaced, under another name [alone: `VERSION_CONTROL`, or existing]
    #[arg(
        long, value_enum, value_name = "HOW", num_args = 0..=1, require_equals = true,
        default_missing_value = "existing"
    )]
    pub backup: Option<Backup>,

    /// Only say what would be done; start it once
    #[arg(long)]
    pub dry_run: bool,

    /// Keep what was copied when the copy fails or is interrupted (Ctrl-C), to go on from there the next time
    #[arg(long)]
    pub partial: bool,

    /// Start over, whatever an interrupted copy left
    #[arg(long)]
    pub no_resume: bool,

    /// Wait so long for a new partner when the other process has died: start the same command again
    #[arg(long, value_name = "DUR", value_parser = duration)]
    pub replace_within: Option<Duration>,

    /// Show progress; alone it means always
    #[arg(
        short = 'g', long, value_enum, value_name = "WHEN", num_args = 0..=1, require_equals = true,
        default_value = "auto", default_missing_value = "always"
    )]
    pub progress: Show,

    /// Say at the end how fast it was, who waited for whom, and how full the blocks were
    #[arg(long)]
    pub stats: bool,

    /// Do not give up the rights that a half does not need (docs/cli.md)
    #[arg(long)]
    pub no_sandbox: bool,

    /// Write what happens to standard output, too: one JSON object per line (docs/cli.md)
    #[arg(long)]
    pub json: bool,

    /// Say nothing but errors
    #[arg(short, long, conflicts_with_all = ["verbose", "progress", "stats"])]
    pub quiet: bool,

    /// Say what was chosen, and the checksum
    #[arg(short, long)]
    pub verbose: bool,
}

impl Options {
    /// What is to be taken over, one by one.
    pub fn preserves(&self) -> Vec<Preserve> {
        let all = || ALL_PRESERVED.iter().filter_map(|name| Preserve::from_str(name, false).ok());
        let one_by_one = self.preserve.iter().copied();
        if self.preserve.contains(&Preserve::All) { all().collect() } else { one_by_one.collect() }
    }

    /// As `cp` chooses it: by the option, or if it has no value, by the environment.
    pub fn backup_mode(&self) -> Backup {
        match self.backup {
            Some(Backup::Existing) => version_control().unwrap_or(Backup::Existing),
            other => other.unwrap_or(Backup::None),
        }
    }

    /// What the surroundings say instead of a way to keep the old file, if they say something else.
    pub fn nonsense_of_the_surroundings(&self) -> Option<String> {
        (self.backup == Some(Backup::Existing)).then(|| version_control().err())?
    }

    /// How this end is to pass through the page cache.
    pub fn cache(&self, end: Direct) -> CacheUse {
        let direct = self.direct.is_some_and(|direct| direct == end || direct == Direct::Both);
        CacheUse { direct, drops: self.drop_cache, flushes: false }
    }

    /// What both processes compute of the content.
    pub fn digest(&self) -> Kind {
        match (self.verify, self.hash) {
            (Verify::None, _) => Kind::Nothing,
            (_, Hash::Crc64) => Kind::Crc64,
            (_, Hash::Blake3) => Kind::Blake3,
        }
    }

    /// The options that a second process must be started with too, as words. If it is the `other_half`, a command of
    /// its own, only those that it has.
    pub fn for_the_partner(&self, other_half: bool) -> Vec<String> {
        let name = |value: &dyn Fn() -> Option<clap::builder::PossibleValue>| {
            value().map(|value| value.get_name().to_owned()).unwrap_or_default()
        };
        let mut words = Vec::new();
        if self.no_sandbox && !other_half {
            words.push("--no-sandbox".into());
        }
        if let Some(dir) = &self.dir {
            words.push(format!("--dir={}", dir.display()));
        }
        if self.fsync != Fsync::End && !other_half {
            words.push(format!("--fsync={}", name(&|| self.fsync.to_possible_value())));
        }
        if self.sparse != Sparse::Auto && !other_half {
            words.push(format!("--sparse={}", name(&|| self.sparse.to_possible_value())));
        }
        if self.verify == Verify::None || self.verify == Verify::Reread && !other_half {
            words.push(format!("--verify={}", name(&|| self.verify.to_possible_value())));
        }
        if let Some(direct) = self.direct
            && !other_half
        {
            words.push(format!("--direct={}", name(&|| direct.to_possible_value())));
        }
        if self.drop_cache && !other_half {
            words.push("--drop-cache".into());
        }
        if self.hash != Hash::Crc64 {
            words.push(format!("--hash={}", name(&|| self.hash.to_possible_value())));
        }
        for (set, word) in
            [(self.partial, "--partial"), (self.no_resume, "--no-resume"), (self.no_clobber, "--no-clobber")]
        {
            if set && !other_half {
                words.push(word.into());
            }
        }
        if !self.preserve.is_empty() && !other_half {
            let list = self.preserve.iter().map(|what| name(&|| what.to_possible_value()));
            words.push(format!("--preserve={}", list.collect::<Vec<_>>().join(",")));
        }
        if let Some(update) = self.update
            && !other_half
        {
            words.push(format!("--update={}", name(&|| update.to_possible_value())));
        }
        if let Some(backup) = self.backup
            && !other_half
        {
            words.push(format!("--backup={}", name(&|| backup.to_possible_value())));
        }
        if let Some(rate) = self.bwlimit
            && !other_half
        {
            words.push(format!("--bwlimit={rate}"));
        }
        if let Some(time) = self.replace_within {
            words.push(format!(
                "--replace-within={}",
                humantime::format_duration(time).to_string().replace(' ', "")
            ));
        }
        words
    }
}

/// `VERSION_CONTROL` of the environment: what `--backup` means without a value. An error is what it says instead.
fn version_control() -> Result<Backup, String> {
    match std::env::var("VERSION_CONTROL") {
        Ok(control) if !control.is_empty() => Backup::from_str(&control, false).map_err(|_| control),
        _ => Ok(Backup::Existing),
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|error| format!("{error}; write it like 500ms, 3s or 1m"))
}

/// K, M, G, T and KiB … count in 1024s, KB, MB … in 1000s, in any case.
pub fn size(text: &str) -> Result<u64, String> {
    let decimal = text.trim_end().to_ascii_lowercase().ends_with('b');
    let config = parse_size::Config::new();
    let config = if decimal { config.with_decimal() } else { config.with_binary() };
    match config.parse_size(text) {
        Ok(0) => Err("must be more than 0".into()),
        Ok(bytes) => Ok(bytes),
        Err(parse_size::Error::PosOverflow) => Err("more than there can be".into()),
        // What it says speaks of digits and strings.
        Err(_) => Err("no size; write it like 512K, 4M or 1G".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_follow_the_usual_letters() {
        for (text, bytes) in [
            ("512", 512),
            ("1K", 1024),
            ("1k", 1024),
            ("1KiB", 1024),
            ("1KB", 1000),
            ("2m", 2 << 20),
            ("1gb", 1_000_000_000),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        assert_eq!(size("16777216T"), Err("more than there can be".into()));
        assert!(size("0").is_err() && size("x").unwrap_err().contains("512K"));
    }
}
