//! The groups of options that the forms of a copy share, and what they mean to the library.

use super::as_cp::Manner;
use super::values::{
    BACKUP, DIRECT, FSYNC, HASH, PRESERVE, PRESERVED_BY_DEFAULT, PROGRESS, Preserving, SPARSE, Show, UPDATE,
    VERIFY, all_that_can_be_preserved, attribute, choice, duration, find, size,
};
use clap::Args;
use duocopy::{Backup, Destination, Fsync, Hash, Overwrite, Parties, Request, Sparse, Verify};
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// Options that concern only the program, not the library.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "flags are what people type")]
pub struct Settings {
    pub progress: Show,
    pub quiet: bool,
    pub verbose: bool,
    pub json: bool,
    pub dry_run: bool,
    pub cp: Manner,
}

/// The options of the forms that know both paths.
#[derive(Debug, Args)]
#[command(next_help_heading = "What is copied")]
pub struct Both {
    /// Copy SRC into this directory, instead of naming DST
    #[arg(short, long, value_name = "DIR", conflicts_with = "no_target_directory")]
    pub target_directory: Option<PathBuf>,

    /// Treat DST as a file; refuse it if it is a directory
    #[arg(short = 'T', long)]
    pub no_target_directory: bool,

    #[command(flatten)]
    copied: Copied,

    /// Do not replace DST if it exists; overrides --update
    #[arg(short, long)]
    no_clobber: bool,

    /// What to do if DST exists; -u means --update=older
    #[arg(
        short, long, value_name = "WHEN", num_args = 0..=1, require_equals = true, value_parser = choice(UPDATE),
        default_missing_value = "older"
    )]
    update: Option<Overwrite>,

    #[command(flatten)]
    safety: Safety,
    #[command(flatten)]
    blocks: Blocks,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "What is copied")]
pub struct Copied {
    /// Preserve the specified attributes [without a list: mode,ownership,timestamps]
    #[arg(
        short = 'p', long, value_name = "LIST", value_delimiter = ',', num_args = 0..=1, require_equals = true,
        value_parser = choice(PRESERVE), default_missing_values = PRESERVED_BY_DEFAULT
    )]
    preserve: Vec<Preserving>,

    /// How to create holes in DST
    #[arg(long, value_name = "WHEN", value_parser = choice(SPARSE), default_value = "auto")]
    sparse: Sparse,

    /// Replace DST if it exists (the default, except for `write`)
    #[arg(short, long)]
    pub force: bool,

    /// Keep the old DST under another name [without a value: `VERSION_CONTROL`, or existing]
    #[arg(
        long, alias = "b", value_name = "CONTROL", num_args = 0..=1, require_equals = true, value_parser = choice(BACKUP),
        default_missing_value = "existing"
    )]
    backup: Option<Backup>,

    /// Keep the old DST under another name, as with --backup without a value
    #[arg(short = 'b')]
    simple_backup: bool,

    /// Suffix of a simple backup; implies -b [default: `SIMPLE_BACKUP_SUFFIX`, or ~]
    #[arg(short = 'S', long, value_name = "SUFFIX")]
    suffix: Option<String>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "How safe")]
pub struct Safety {
    /// What must be on the disk before the copy counts as complete
    #[arg(long, value_name = "WHEN", value_parser = choice(FSYNC), default_value = "end")]
    fsync: Fsync,

    /// Keep what was copied after a failure or Ctrl-C, for the next run to resume
    #[arg(long)]
    partial: bool,

    /// Restart from the beginning, even if an interrupted copy could be resumed
    #[arg(long)]
    no_resume: bool,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "How fast")]
pub struct Blocks {
    /// Block size (64K, 1M; K=1024, KB=1000) [default: 512K; less for a small SRC or --buffer-size]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    block_size: Option<u64>,

    /// Shared memory for all blocks together [default: 4 blocks; 16 for a stream or a large SRC on a disk]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    buffer_size: Option<u64>,

    /// Limit reading to this many bytes per second (500K, 10M)
    #[arg(long, value_name = "RATE", value_parser = size)]
    bwlimit: Option<u64>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Two parties")]
pub struct Meeting {
    /// Time limit for the other process to arrive (500ms, 3s, 1m) [default: none]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    wait: Option<Duration>,

    /// If the other process dies, wait this long for a replacement: start the same command again
    #[arg(long, value_name = "TIME", value_parser = duration)]
    replace_within: Option<Duration>,

    /// Meet in this directory, which both users or containers can enter
    /// [default: `DUOCOPY_DIR`, or this user's own]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,

    /// Accept only processes of these users (names or numbers)
    #[arg(long, value_name = "USER", value_delimiter = ',', conflicts_with = "replace_within")]
    peer_user: Vec<String>,

    /// Accept only processes of users in these groups
    #[arg(long, value_name = "GROUP", value_delimiter = ',', conflicts_with = "replace_within")]
    peer_group: Vec<String>,
}

/// The options that both halves have.
#[derive(Debug, Args)]
pub struct Common {
    /// How to compare the copy with the source
    #[arg(
        long, value_name = "HOW", value_parser = choice(VERIFY), default_value = "stream", help_heading = "How safe"
    )]
    pub verify: Verify,

    /// Checksum algorithm
    #[arg(
        long, value_name = "ALGORITHM", value_parser = choice(HASH), default_value = "crc64",
        help_heading = "How safe"
    )]
    hash: Hash,

    /// Keep the rights that this half does not need (docs/cli.md)
    #[arg(long, help_heading = "How safe")]
    no_sandbox: bool,

    /// Bypass the page cache [without a value: both]
    #[arg(
        long, value_name = "END", num_args = 0..=1, require_equals = true, value_parser = choice(DIRECT),
        default_missing_value = "both", help_heading = "How fast"
    )]
    pub direct: Option<(bool, bool)>,

    /// Leave nothing of the files in the page cache
    #[arg(long, help_heading = "How fast")]
    drop_cache: bool,
}

/// The options that decide which messages are written, and where to.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
#[expect(clippy::struct_excessive_bools, reason = "flags are what people type")]
pub struct Output {
    /// Show what a copy would do, and change nothing; start it once
    #[arg(long)]
    dry_run: bool,

    /// When to show progress [without a value: always]
    #[arg(
        short = 'g', long, value_name = "WHEN", num_args = 0..=1, require_equals = true,
        value_parser = choice(PROGRESS), default_value = "auto", default_missing_value = "always"
    )]
    progress: Show,

    /// Report the speed, the bottleneck, and how full the blocks were
    #[arg(long)]
    stats: bool,

    /// Also print events to standard output, one JSON object per line (docs/cli.md)
    #[arg(long)]
    pub json: bool,

    /// Report nothing but errors
    #[arg(short, long, conflicts_with_all = ["verbose", "progress", "stats"])]
    quiet: bool,

    /// Report what was chosen, and the checksum
    #[arg(short, long)]
    pub verbose: bool,
}

/// An environment: the value of each variable.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<OsString>;

impl Both {
    /// Returns the request for these parties.
    pub fn request(&self, parties: Parties, environment: Environment) -> Result<Request, String> {
        let mut request = Request::new(parties);
        request.overwrite = match self.update {
            _ if self.no_clobber => Overwrite::Skip,
            update => update.unwrap_or(Overwrite::Replace),
        };
        self.copied.apply(&mut request, environment)?;
        if request.backup != Backup::None && matches!(request.overwrite, Overwrite::Skip | Overwrite::Refuse)
        {
            return Err(
                "with -n or --update=none nothing is replaced, so there is no backup: leave out one of them"
                    .into(),
            );
        }
        request.force = self.copied.force;
        self.safety.apply(&mut request);
        self.blocks.apply(&mut request);
        self.common.apply(&mut request);
        Ok(request)
    }

    /// Returns the destination, of which this was typed.
    pub fn destination(&self, typed: Option<PathBuf>) -> Destination {
        match (&self.target_directory, typed) {
            (Some(directory), _) => Destination::Directory(directory.clone()),
            (None, Some(path)) if self.no_target_directory => Destination::File(path),
            (None, typed) => Destination::Either(typed.unwrap_or_default()),
        }
    }
}

impl Copied {
    pub fn apply(&self, request: &mut Request, environment: Environment) -> Result<(), String> {
        let one_by_one = self.preserve.iter().filter_map(|what| attribute(*what));
        let preserves_all = self.preserve.contains(&Preserving::All);
        request.preserve = if preserves_all { all_that_can_be_preserved() } else { one_by_one.collect() };
        request.sparse = self.sparse;
        let is_implied = self.simple_backup || self.suffix.is_some();
        request.backup = match self.backup.or(is_implied.then_some(Backup::Existing)) {
            Some(Backup::Existing) => version_control(environment)?,
            other => other.unwrap_or(Backup::None),
        };
        let of_environment =
            || environment("SIMPLE_BACKUP_SUFFIX").and_then(|suffix| suffix.into_string().ok());
        let suffix = self.suffix.clone().or_else(of_environment);
        if let Some(suffix) = suffix.filter(|it| !it.is_empty() && !it.contains(std::path::is_separator)) {
            request.backup_suffix = suffix;
        }
        Ok(())
    }
}

/// What `--backup` means without a value.
fn version_control(environment: Environment) -> Result<Backup, String> {
    let Some(control) = environment("VERSION_CONTROL").filter(|control| !control.is_empty()) else {
        return Ok(Backup::Existing);
    };
    let control = control.to_string_lossy();
    find(BACKUP, &control).ok_or_else(|| {
        format!("VERSION_CONTROL is `{control}`: set it to none, numbered, existing or simple, or unset it")
    })
}

impl Safety {
    pub fn apply(&self, request: &mut Request) {
        request.fsync = self.fsync;
        request.keep_partial = self.partial;
        request.resume = !self.no_resume;
    }
}

impl Blocks {
    pub fn apply(&self, request: &mut Request) {
        request.block_size = self.block_size;
        request.buffer_size = self.buffer_size;
        request.rate_limit = self.bwlimit;
    }
}

impl Meeting {
    pub fn apply(self, request: &mut Request, environment: Environment) {
        request.connect_timeout = self.wait;
        request.replace_within = self.replace_within;
        request.dir = meeting_directory(self.dir, environment);
        request.peer_users = self.peer_user;
        request.peer_groups = self.peer_group;
    }
}

/// Returns the directory that was typed, or that of the environment.
pub fn meeting_directory(typed: Option<PathBuf>, environment: Environment) -> Option<PathBuf> {
    let of_environment = || environment("DUOCOPY_DIR").filter(|dir| !dir.is_empty()).map(PathBuf::from);
    typed.or_else(of_environment)
}

impl Common {
    pub fn apply(&self, request: &mut Request) {
        request.verify = self.verify;
        request.hash = self.hash;
        request.sandbox = !self.no_sandbox;
        (request.direct_source, request.direct_destination) = self.direct.unwrap_or_default();
        request.drop_cache = self.drop_cache;
    }
}

impl Output {
    pub fn apply(&self, request: &mut Request) -> Settings {
        request.stats = self.stats;
        let Self { progress, quiet, verbose, json, dry_run, .. } = *self;
        Settings { progress, quiet, verbose, json, dry_run, cp: Manner::default() }
    }
}
