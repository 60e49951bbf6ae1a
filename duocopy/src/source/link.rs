//! A symbolic link that is copied as a link: its text is the content.

use super::contract::{Piece, Source, Supply};
use crate::api::{Error, ErrorKind, Operation, SourceChange, Warning};
use crate::attributes::Attribute;
use crate::cache::CacheUse;
use crate::digest::{Digest, Kind, MustEnd};
use crate::record::{ResumePoint, SourceRecord};
use crate::sys::{Directory, Stat};
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

#[derive(Debug)]
pub struct LinkSource {
    directory: Directory,
    name: OsString,
    path: PathBuf,
    record: SourceRecord,
    text: Vec<u8>,
    position: usize,
}

impl LinkSource {
    /// Reads the link at this path; returns `None` if the path is not a link.
    pub fn open(path: &Path, digest: Kind) -> io::Result<Option<Self>> {
        let Some(name) = path.file_name() else { return Ok(None) };
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let directory = Directory::open_path(parent.unwrap_or(Path::new(".")))?;
        let Some((stat, text)) = directory.symbolic_link(name)? else { return Ok(None) };
        let stat = Stat { length: text.len() as u64, ..stat };
        let record = SourceRecord { is_link: true, ..SourceRecord::of_file(stat, digest) };
        Ok(Some(Self { directory, name: name.into(), path: path.into(), record, text, position: 0 }))
    }
}

impl Source for LinkSource {
    fn record(&self) -> &SourceRecord {
        &self.record
    }

    fn supply(&self, _past_the_cache: bool) -> Supply {
        Supply::Memory
    }

    fn resume(&mut self, at: ResumePoint, _trusts_sum: bool, _must_end: MustEnd) -> Result<Digest, Error> {
        match at.position {
            0 => Ok(Digest::new(self.record.digest)),
            position => Err(Error::at(ErrorKind::ResumePastEnd { position }, &self.path)),
        }
    }

    fn use_cache(&mut self, _usage: CacheUse) -> Vec<Warning> {
        Vec::new()
    }

    fn next(&mut self, block: &mut [u8]) -> Result<Piece, Error> {
        let rest = &self.text[self.position..];
        let filled = rest.len().min(block.len());
        block[..filled].copy_from_slice(&rest[..filled]);
        self.position += filled;
        Ok(Piece::Bytes(filled))
    }

    fn attributes(&self) -> Result<Vec<Attribute>, Error> {
        Ok(Vec::new())
    }

    fn is_suspect(&self, _bytes: u64) -> Result<bool, Error> {
        let now = self.directory.symbolic_link(&self.name);
        let now = now.map_err(|error| Error::source(&self.path, Operation::Stat, error))?;
        match now {
            Some((stat, text)) if stat.file == self.record.stat.file && text == self.text => Ok(false),
            _ => Err(Error::at(ErrorKind::SourceChanged(SourceChange::Replaced), &self.path)),
        }
    }

    fn finish(&mut self) -> Option<Warning> {
        None
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::fs::{read_link, remove_file, rename};
    use std::os::unix::fs::symlink;

    #[test]
    fn the_text_of_a_link_is_its_content_while_it_is_the_same_link() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        symlink("some text", path("link")).unwrap();
        assert!(LinkSource::open(folder.path(), Kind::Crc64).unwrap().is_none());
        assert!(LinkSource::open(&path("missing"), Kind::Crc64).unwrap().is_none());
        let mut link = LinkSource::open(&path("link"), Kind::Crc64).unwrap().unwrap();
        assert!(link.record().is_link && link.record().known_length() == Some(9));
        let (mut block, mut text) = ([0; 7], Vec::new());
        while let Piece::Bytes(filled @ 1..) = link.next(&mut block).unwrap() {
            text.extend_from_slice(&block[..filled]);
        }
        assert_eq!(text, b"some text");
        let check = || link.is_suspect(9).map_err(|error| error.kind);
        assert_eq!(check(), Ok(false));
        let replaced = Err(ErrorKind::SourceChanged(SourceChange::Replaced));
        // The same text in another link, and no link at all.
        symlink(read_link(path("link")).unwrap(), path("other")).unwrap();
        rename(path("other"), path("link")).unwrap();
        assert_eq!(check(), replaced);
        remove_file(path("link")).unwrap();
        assert_eq!(check(), replaced);
    }
}
