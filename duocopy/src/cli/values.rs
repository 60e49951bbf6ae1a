//! The values that options take: their names, their help, and what they mean to the library.

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use duocopy::{
    Backup, Fsync, HAS_ACCESS_LISTS, HAS_ATTRIBUTES, HAS_OWNERS, Hash, Overwrite, Preserve, Sparse, Verify,
};
use std::time::Duration;

/// The values of an option: the name and its aliases, the help, the meaning.
pub type Choices<T> = &'static [(&'static [&'static str], &'static str, T)];

pub const FSYNC: Choices<Fsync> = &[
    (&["none"], "Nothing: the copy may still be in the page cache, as with `cp`", Fsync::None),
    (&["end"], "The content and the name of the copy", Fsync::End),
];

pub const VERIFY: Choices<Verify> = &[
    (&["none"], "Compare nothing but the length", Verify::None),
    (&["stream"], "Both processes compute a checksum of their own bytes", Verify::Stream),
    (&["reread"], "The Writer also reads the copy back, from the disk where possible", Verify::Reread),
];

pub const HASH: Choices<Hash> = &[
    (&["crc64"], "CRC-64/NVME: detects accidental changes", Hash::Crc64),
    (&["blake3"], "BLAKE3: detects forgery too; a resumed copy rereads its beginning", Hash::Blake3),
];

pub const SPARSE: Choices<Sparse> = &[
    (&["auto"], "Where SRC has them", Sparse::Auto),
    (&["always"], "Also in place of long runs of zeros", Sparse::Always),
    (&["never"], "Nowhere: every byte is written", Sparse::Never),
];

/// A value of `--preserve`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preserving {
    This(Preserve),
    /// Hard links between sources: accepted and without effect.
    Links,
    /// Every attribute that this system has.
    All,
}

pub const PRESERVE: Choices<Preserving> = &[
    (
        &["mode"],
        "Permission bits (on Windows: whether the file is read-only)",
        Preserving::This(Preserve::Mode),
    ),
    (&["ownership"], "User and group", Preserving::This(Preserve::Ownership)),
    (&["timestamps"], "Times of the last access and modification", Preserving::This(Preserve::Timestamps)),
    (&["links"], "Accepted as by `cp`; each SRC still becomes a file of its own", Preserving::Links),
    (&["xattr"], "Extended attributes", Preserving::This(Preserve::Xattr)),
    (&["acl"], "Access lists", Preserving::This(Preserve::Acl)),
    (&["all"], "All of these that this system has", Preserving::All),
];

/// Returns the attributes that this system has.
pub fn all_that_can_be_preserved() -> Vec<Preserve> {
    let has = |what: &Preserve| match what {
        Preserve::Mode | Preserve::Timestamps => true,
        Preserve::Ownership => HAS_OWNERS,
        Preserve::Xattr => HAS_ATTRIBUTES,
        Preserve::Acl => HAS_ACCESS_LISTS,
    };
    PRESERVE.iter().filter_map(|(.., what)| attribute(*what)).filter(has).collect()
}

/// Returns the attribute that this value names, if it names a single one.
pub fn attribute(what: Preserving) -> Option<Preserve> {
    if let Preserving::This(what) = what { Some(what) } else { None }
}

/// A value of `--reflink`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reflink {
    Auto,
    Always,
    Never,
}

pub const REFLINK: Choices<Reflink> = &[
    (&["auto"], "Copy the content: two processes share no blocks", Reflink::Auto),
    (&["always"], "Refuse the copy", Reflink::Always),
    (&["never"], "Copy the content", Reflink::Never),
];

/// The attributes that `--preserve` means without a list.
pub const PRESERVED_BY_DEFAULT: &[&str] =
    if cfg!(windows) { &["mode", "timestamps"] } else { &["mode", "ownership", "timestamps"] };

pub const UPDATE: Choices<Overwrite> = &[
    (&["all"], "Replace it", Overwrite::Replace),
    (&["none"], "Skip the copy and succeed", Overwrite::Skip),
    (&["none-fail"], "Fail", Overwrite::Refuse),
    (&["older"], "Replace it if it is older than SRC; otherwise skip the copy", Overwrite::ReplaceIfOlder),
];

pub const BACKUP: Choices<Backup> = &[
    (&["none", "off"], "Make no backup", Backup::None),
    (&["numbered", "t"], "DST.~1~, DST.~2~, …", Backup::Numbered),
    (&["existing", "nil"], "Numbered if a numbered backup exists, otherwise simple", Backup::Existing),
    (&["simple", "never"], "DST~ (or the suffix in `SIMPLE_BACKUP_SUFFIX`)", Backup::Simple),
];

/// Which ends bypass the page cache: the source, the destination.
pub const DIRECT: Choices<(bool, bool)> = &[
    (&["source"], "Reading SRC", (true, false)),
    (&["destination"], "Writing DST", (false, true)),
    (&["both"], "Both", (true, true)),
];

/// When progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Show {
    Auto,
    Always,
    Never,
}

pub const PROGRESS: Choices<Show> = &[
    (&["auto"], "A bar, if standard error is a terminal and the copy takes longer than a second", Show::Auto),
    (&["always"], "Also without a terminal: a line every 10 seconds", Show::Always),
    (&["never"], "Nothing", Show::Never),
];

/// Parses one of these names.
pub fn choice<T: Copy + Send + Sync + 'static>(choices: Choices<T>) -> impl TypedValueParser<Value = T> {
    let names = choices
        .iter()
        .map(|(names, help, _)| PossibleValue::new(names[0]).aliases(names[1..].iter().copied()).help(*help));
    PossibleValuesParser::new(names).map(move |name| find(choices, &name).expect("clap has checked the name"))
}

pub fn find<T: Copy>(choices: Choices<T>, name: &str) -> Option<T> {
    choices.iter().find(|(names, ..)| names.contains(&name)).map(|(.., value)| *value)
}

/// Returns the name of a value on the command line.
pub fn name_of<T: PartialEq>(choices: Choices<T>, wanted: &T) -> &'static str {
    choices.iter().find(|(.., value)| value == wanted).map_or("", |(names, ..)| names[0])
}

pub fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|error| format!("{error}; write it like 500ms, 3s or 1m"))
}

/// K, M, G, T and KiB … count in 1024s, KB, MB … in 1000s, in upper or lower case.
pub fn size(text: &str) -> Result<u64, String> {
    let decimal = text.trim_end().to_ascii_lowercase().ends_with('b');
    let config = parse_size::Config::new();
    let config = if decimal { config.with_decimal() } else { config.with_binary() };
    match config.parse_size(text) {
        Ok(0) => Err("must be more than 0".into()),
        Ok(bytes) => Ok(bytes),
        Err(parse_size::Error::PosOverflow) => Err("larger than 64 bits can hold".into()),
        // The crate's own message speaks of digits and strings.
        Err(_) => Err("not a size; write it like 512K, 4M or 1G".into()),
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
        assert!(size("16777216T").unwrap_err().contains("64 bits"));
        assert!(size("0").is_err() && size("x").unwrap_err().contains("512K"));
    }

    #[test]
    fn backup_modes_have_the_aliases_of_gnu() {
        assert_eq!(
            ["off", "t", "nil", "never"].map(|name| find(BACKUP, name).unwrap()),
            [Backup::None, Backup::Numbered, Backup::Existing, Backup::Simple]
        );
        assert_eq!(name_of(BACKUP, &Backup::Simple), "simple");
    }
}
