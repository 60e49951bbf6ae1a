//! A destination that another process writes.

use super::path::{DestinationPath, Links};
use super::staging;
use crate::api::Aftermath;
use crate::digest::{Digest, Kind, MustEnd, PIECE, Value};
use crate::record::TargetRecord;
use crate::sys::Directory;
use std::path::{Path, PathBuf};

/// A destination that another process writes, opened once, so that this process can inspect it if the Writer dies.
#[derive(Debug)]
pub struct Observed(DestinationPath);

impl Observed {
    /// Opens the directory of a destination. Returns `None` if this process cannot see it.
    pub fn open(path: &Path, links: Links) -> Option<Self> {
        DestinationPath::open_path(path, links).ok().map(Self)
    }

    /// Returns the directory, which the sandbox must leave readable.
    pub fn directory(&self) -> &Directory {
        &self.0.directory
    }

    /// Returns the path that the temporary file of a copy to this destination has.
    pub fn temporary_path(&self) -> PathBuf {
        self.0.sibling(&self.0.temporary())
    }

    /// Returns the state of the destination after the Writer died while it committed. It depends on which of the two
    /// names the file has, and on whether its content is what the Reader sent.
    pub fn fate(
        &self,
        target: &TargetRecord,
        length: u64,
        kind: Kind,
        sent: &Value,
        must_end: MustEnd,
    ) -> Aftermath {
        let inspect = || -> Option<Aftermath> {
            // The temporary name is checked first, because a rename moves the file from there to the other one. Where
            // that takes two calls, the file has both names for a moment.
            let is_temporary = staging::find(&self.0, &self.0.temporary(), target).is_some();
            let Some(stat) = staging::find(&self.0, &self.0.name, target) else {
                return is_temporary.then_some(Aftermath::Unchanged);
            };
            let mut digest = Digest::new(kind);
            if stat.length == length && kind != Kind::Nothing {
                let file = self.0.directory.open_existing(&self.0.name).ok()?;
                digest.update_from(&file, length, &mut vec![0; PIECE], must_end).ok()?;
            }
            let same = stat.length == length && digest.value() == *sent;
            Some(if same { Aftermath::Complete } else { Aftermath::Changed })
        };
        inspect().unwrap_or(Aftermath::Undetermined)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys;

    #[test]
    fn a_writer_that_dies_at_its_end_is_judged_by_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("name");
        let destination = Observed::open(&path, Links::FOLLOWED).unwrap();
        let temporary = destination.temporary_path();
        std::fs::write(&temporary, "new").unwrap();
        let stat = sys::stat(&temporary).unwrap();
        let target = TargetRecord { file: stat.file, birth_time: stat.birth_time, ..TargetRecord::default() };
        let mut digest = Digest::new(Kind::Crc64);
        digest.update(b"new");
        let now = |target: &TargetRecord, length, sent| {
            destination.fate(target, length, Kind::Crc64, &sent, &|| false)
        };
        assert_eq!(now(&target, 3, digest.value()), Aftermath::Unchanged);
        std::fs::hard_link(&temporary, &path).unwrap();
        assert_eq!(now(&target, 3, digest.value()), Aftermath::Complete, "with both names");
        std::fs::remove_file(&temporary).unwrap();
        assert_eq!(now(&target, 3, digest.value()), Aftermath::Complete);
        assert_eq!(now(&target, 4, digest.value()), Aftermath::Changed);
        assert_eq!(now(&target, 3, [1; 32]), Aftermath::Changed);
        let reused = TargetRecord { birth_time: target.birth_time + 1, ..target };
        assert_eq!(now(&reused, 3, digest.value()), Aftermath::Undetermined);
    }
}
