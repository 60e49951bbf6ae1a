//! What the words on the command line mean here: paths, the name to meet under, the size of the blocks.

use crate::args::Destination;
use crate::exit::{self, Failure, USAGE};
use crate::sys::{self, BadPath};
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

/// The absolute paths that this process knows, and what follows from them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    source: Option<PathBuf>,
    destination: Option<PathBuf>,
}

impl Paths {
    /// Makes both absolute without following links. If the destination is a directory, the source's file name is
    /// appended, as `cp` does.
    pub fn of_both(source: &Path, typed: &Destination) -> Result<Self, Failure> {
        let (Destination::Either(destination)
        | Destination::File(destination)
        | Destination::Directory(destination)) = typed;
        let destination = destination.as_path();
        if let Some(standard) = [source, destination].into_iter().find(|path| is_standard(path)) {
            let what = "standard input and output belong to `duocopy read - NAME` and `duocopy write - NAME`";
            let file = "a file of this name is ./-";
            return Err(Failure::new(USAGE, format!("{}: {what}; {file}", exit::show(standard))));
        }
        let slash_at_the_end = destination.to_string_lossy().ends_with(std::path::is_separator);
        let (source, shown) = (absolute(source)?, destination);
        let mut destination = absolute(shown)?;
        let (is_file, is_directory) =
            (matches!(typed, Destination::File(_)), matches!(typed, Destination::Directory(_)));
        if !is_file
            && destination.is_dir()
            && let Some(name) = source.file_name()
        {
            destination.push(name);
        } else if is_directory && destination.exists() {
            let what = format!("{}: it is no directory", exit::show(shown));
            return Err(Failure::new(exit::DESTINATION, format!("{what}; name one, or leave out -t")));
        } else if (slash_at_the_end || is_directory) && !destination.is_dir() {
            let what = format!("{}: there is no such directory", exit::show(shown));
            return Err(Failure::new(exit::DESTINATION, format!("{what}; make it first, or name a file")));
        }
        Ok(Self { source: Some(source), destination: Some(destination) })
    }

    /// Of a half that knows only what it reads.
    pub fn of_the_source(source: &Path) -> Result<Self, Failure> {
        Ok(Self { source: Some(absolute(source)?), destination: None })
    }

    /// Of a half that knows only where it writes.
    pub fn of_the_destination(destination: &Path) -> Result<Self, Failure> {
        Ok(Self { source: None, destination: Some(absolute(destination)?) })
    }

    /// For the Reader.
    pub fn source(&self) -> &Path {
        self.source.as_deref().expect("who may become the Reader knows the source")
    }

    /// For the Writer.
    pub fn destination(&self) -> &Path {
        self.destination.as_deref().expect("who may become the Writer knows the destination")
    }

    /// Of who knows both.
    pub fn both(&self) -> Option<(&Path, &Path)> {
        Some((self.source.as_deref()?, self.destination.as_deref()?))
    }

    /// The destination as far as it is known, for messages.
    pub fn show_destination(&self) -> String {
        self.destination.as_deref().map_or("the destination".into(), exit::show)
    }

    /// What the two processes are there for: both paths as bytes, with a NUL between, which no path contains. It is
    /// also the default name. Halves that must not know each other's path only know that they are halves.
    pub fn job(&self) -> Vec<u8> {
        let Some((source, destination)) = self.both() else { return HALVES.into() };
        let (source, destination) =
            (sys::case_fold(source.as_os_str()), sys::case_fold(destination.as_os_str()));
        [&source, OsStr::new("\0"), &destination].map(OsStr::as_encoded_bytes).concat()
    }

    /// The same for people.
    pub fn show_job(&self) -> String {
        match self.both() {
            Some((source, destination)) => format!("{} -> {}", exit::show(source), exit::show(destination)),
            None => show_job(HALVES),
        }
    }
}

/// No pair of paths: those have a NUL between them.
const HALVES: &[u8] = b"`duocopy read` and `duocopy write`";

/// Whether it stands for standard input or output.
pub fn is_standard(path: &Path) -> bool {
    path == "-"
}

fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    if is_standard(path) {
        return Ok(path.into());
    }
    let absolute = std::path::absolute(path).map_err(|error| unusable(path, &error))?;
    sys::normalize(&absolute).map_err(|bad| unusable(path, &why_bad(bad)))
}

fn why_bad(bad: BadPath) -> io::Error {
    use io::ErrorKind::{InvalidFilename, InvalidInput};
    match bad {
        BadPath::Device => io::Error::new(InvalidInput, "the name of a device, and of no file"),
        BadPath::Stream => io::Error::new(InvalidInput, "a name with a colon, which is a stream of a file"),
        BadPath::TooLong => io::Error::new(InvalidFilename, "a name of more than 255 characters"),
    }
}

/// What [`show_job`] shows of two paths.
pub fn read_job(shown: &OsStr) -> Option<Vec<u8>> {
    let shown = sys::case_fold(shown);
    let (shown, arrow) = (shown.as_encoded_bytes(), b" -> ".as_slice());
    let at = shown.windows(arrow.len()).position(|piece| piece == arrow)?;
    Some([&shown[..at], b"\0", &shown[at + arrow.len()..]].concat())
}

/// A job as people write it.
pub fn show_job(job: &[u8]) -> String {
    exit::printable(&String::from_utf8_lossy(job).replacen('\0', " -> ", 1))
}

fn unusable(path: &Path, error: &io::Error) -> Failure {
    let what = if path.as_os_str().is_empty() {
        "an empty path".into()
    } else {
        format!("{}: {error}", exit::show(path))
    };
    Failure::new(USAGE, format!("{what}; give a file's path"))
}

/// Block size and number of blocks, with a note if the user's wishes had to be mended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    pub block_size: usize,
    pub blocks: usize,
    pub note: Option<String>,
    /// Why so many.
    pub why: &'static str,
}

/// Where the source comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Supply {
    /// The page cache.
    Memory,
    /// A disk.
    Device,
    /// Whatever is at the other end of a pipe.
    Stream,
}

/// A block that passes through the caches of both processors on its way; `docs/benchmarks.md` has the figures.
const DEFAULT_BLOCK_SIZE: u64 = 512 << 10;
/// One is filled, one is drained, and each side may be one ahead. More of them pass through slower caches.
const DEFAULT_BLOCKS: u64 = 4;
/// For a source that may come in bursts, and is slower than any cache.
const BLOCKS_FOR_BURSTS: u64 = 16;
const ROOM_FOR_BURSTS: u64 = 8 << 20;
/// What is reserved for them must not take longer than the copy.
const LONG: u64 = 64 << 20;
/// The limits of `blockpipe::Geometry`.
const SIZES: std::ops::RangeInclusive<u64> = 4096..=1 << 30;
const MOST_BLOCKS: u64 = 1 << 16;

/// How to cut the shared memory for a file of this length (a stream may have any).
pub fn cut(length: Option<u64>, supply: Supply, block_size: Option<u64>, buffer_size: Option<u64>) -> Cut {
    let length = length.unwrap_or(u64::MAX);
    // Large ones are fewer.
    let for_bursts =
        (ROOM_FOR_BURSTS / block_size.unwrap_or(DEFAULT_BLOCK_SIZE)).clamp(DEFAULT_BLOCKS, BLOCKS_FOR_BURSTS);
    let (usual, why) = match supply {
        _ if buffer_size.is_some() => (DEFAULT_BLOCKS, "as near as whole blocks come to what was asked for"),
        Supply::Stream => (for_bursts, "a stream may come in bursts"),
        Supply::Device if length >= LONG => (for_bursts, "SRC comes from a disk, perhaps in bursts"),
        Supply::Device | Supply::Memory if length < LONG => {
            (DEFAULT_BLOCKS, "more would not pay for so small a file")
        }
        _ if block_size.is_some() => (DEFAULT_BLOCKS, "their size as was asked for, their number as usual"),
        _ => (
            DEFAULT_BLOCKS,
            "SRC is in memory, as far as can be told, and few blocks stay in the processors' caches",
        ),
    };
    let fits = |size: u64| size.clamp(*SIZES.start(), *SIZES.end()).next_multiple_of(4096);
    let asked = match (block_size, buffer_size) {
        (Some(block), _) => fits(block),
        // Whole pages, and not more than was asked for.
        (None, Some(buffer)) => fits((buffer / DEFAULT_BLOCKS / 4096 * 4096).min(DEFAULT_BLOCK_SIZE)),
        (None, None) => DEFAULT_BLOCK_SIZE,
    };
    let most = buffer_size.map_or(usual, |buffer| (buffer / asked).clamp(2, MOST_BLOCKS));
    let mended = block_size.is_some_and(|block| block != asked)
        || buffer_size.is_some_and(|buffer| most * asked > buffer || buffer / asked > MOST_BLOCKS);
    let note = mended.then(|| format!("using up to {most} blocks of {asked} bytes, the nearest that works"));
    // A small file needs no more than it fills.
    let wanted = asked.min(fits(length));
    let blocks = most.min(length.div_ceil(wanted).max(1));
    let why = if blocks < most { "no more than SRC needs" } else { why };
    Cut { block_size: wanted as usize, blocks: blocks as usize, note, why }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocks_of(length: u64, block: Option<u64>, buffer: Option<u64>) -> (usize, usize, bool) {
        let cut = cut(Some(length), Supply::Memory, block, buffer);
        (cut.blocks, cut.block_size, cut.note.is_some())
    }

    #[test]
    fn small_files_take_little_memory() {
        assert_eq!(blocks_of(0, None, None), (1, 4096, false));
        assert_eq!(blocks_of(5000, None, None), (1, 8192, false));
        assert_eq!(blocks_of(600 << 10, None, None), (2, 512 << 10, false));
        assert_eq!(blocks_of(5 << 30, None, None), (4, 512 << 10, false));
    }

    #[test]
    fn what_may_come_in_bursts_gets_more_blocks() {
        let blocks = |length, supply| cut(length, supply, None, None).blocks;
        assert_eq!(blocks(None, Supply::Stream), 16);
        assert_eq!(blocks(Some(5 << 30), Supply::Device), 16);
        assert_eq!(blocks(Some(10 << 20), Supply::Device), 4);
        assert_eq!(cut(None, Supply::Stream, Some(1 << 20), None).blocks, 8);
        assert_eq!(cut(None, Supply::Stream, Some(64 << 20), None).blocks, 4);
        assert_eq!(cut(None, Supply::Stream, None, Some(1 << 20)).blocks, 4);
    }

    #[test]
    fn wishes_are_kept_and_impossible_ones_mended_with_a_note() {
        assert_eq!(blocks_of(1 << 30, Some(1 << 20), Some(8 << 20)), (8, 1 << 20, false));
        assert_eq!(blocks_of(1 << 30, None, Some(1 << 20)), (4, 256 << 10, false));
        assert_eq!(blocks_of(1 << 30, None, Some(64 << 20)), (128, 512 << 10, false));
        assert_eq!(blocks_of(1 << 30, None, Some(600 << 10)), (4, 148 << 10, false));
        assert_eq!(blocks_of(1 << 30, None, Some(1)), (2, 4096, true));
        assert_eq!(blocks_of(1 << 30, Some(1 << 20), Some(1 << 20)), (2, 1 << 20, true));
        assert_eq!(blocks_of(1 << 30, Some(1), None), (4, 4096, true));
        assert_eq!(blocks_of(3, Some(1 << 30), Some(1 << 33)), (1, 4096, false));
        assert_eq!(blocks_of(5 << 30, Some(u64::MAX), None), (4, 1 << 30, true));
    }

    #[test]
    #[cfg(unix)]
    fn paths_are_made_absolute_and_plain() {
        let of_both = |source: &str, destination: &str| {
            Paths::of_both(Path::new(source), &Destination::Either(destination.into()))
        };
        let paths = of_both("/a//b/", "/no such place/./c").unwrap();
        assert_eq!(paths.job(), b"/a/b\0/no such place/c");
        assert_eq!(of_both("/a/b", "/").unwrap().destination(), Path::new("/b"));
        assert!(of_both("", "x").is_err());
        let failure = of_both("/a", "/no such place/").unwrap_err();
        assert_eq!(failure.code, exit::DESTINATION, "a slash at the end asks for a directory");
        assert_eq!(show_job(b"/a\n\0/b"), "/a\\n -> /b");
        let read = |shown: &str| read_job(OsStr::new(shown));
        assert_eq!(read("/a b -> /c").as_deref(), Some(b"/a b\0/c".as_slice()));
        assert_eq!((read("nightly"), read("/a->/b")), (None, None));
    }
}
