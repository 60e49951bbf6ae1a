//! Detects a source and a destination that are the same file.

use super::contract::Policy;
use super::path::{DestinationPath, Links};
use crate::api::Backup;
use crate::record::SourceRecord;
use crate::sys::{self, Entry, FileId};

/// Returns whether the copy would remove its own source, if `found` is the file at the destination. As with GNU `cp`, a
/// source with two names is not lost if only the other one is replaced, or if the old file becomes the backup.
pub fn would_be_lost(path: &DestinationPath, policy: &Policy, source: &SourceRecord, found: FileId) -> bool {
    let keeps = policy.backup != Backup::None;
    if source.stat.file != found {
        // A link must not replace the file that it leads to.
        let target = policy.source_path.as_deref().filter(|_| source.is_link).map(sys::stat);
        return !keeps && matches!(target, Some(Ok(stat)) if stat.file == found);
    }
    match has_name_of_source(path, policy, source) {
        Some(true) => !(policy.force && keeps),
        // A link with two names needs no protection: replacing one name leaves the other.
        Some(false) => !(policy.remove_destination || keeps || source.is_link),
        None => true,
    }
}

/// Returns whether the name of the destination is that of the source; `None` if the source was found through a link, or
/// cannot be found.
fn has_name_of_source(path: &DestinationPath, policy: &Policy, source: &SourceRecord) -> Option<bool> {
    let there = DestinationPath::open_path(policy.source_path.as_deref()?, Links::Replaced).ok()?;
    let is_link = matches!(there.directory.entry(&there.name).ok()??, Entry::Link(_));
    let is_same = there.directory.id().ok()? == path.directory.id().ok()? && there.name == path.name;
    (is_link == source.is_link).then_some(is_same)
}
