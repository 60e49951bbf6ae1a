//! The Reader's first message: its source, and the options on which both processes must agree.

use crate::api::{Backup, Overwrite, Request, SharedOption};
use crate::digest::Kind;
use crate::record::{Packed, SourceRecord};

/// The byte of the packed record that carries the overwrite policy.
const OVERWRITE: usize = 8 * 8 + 2;

/// The Reader's first message: its source, and its shared options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hello {
    pub source: SourceRecord,
    /// The overwrite policy, on which a pair must agree; 0 from a Reader that knows no destination.
    overwrite: u8,
}

impl Hello {
    pub fn new(source: SourceRecord, request: &Request) -> Self {
        Self { source, overwrite: if request.is_half() { 0 } else { number(request) } }
    }

    pub fn pack(&self) -> Packed {
        let mut packed = self.source.pack();
        packed[OVERWRITE] = self.overwrite;
        packed
    }

    pub fn unpack(packed: &[u8]) -> Self {
        let overwrite = packed.get(OVERWRITE).copied().unwrap_or_default();
        Self { source: SourceRecord::unpack(packed), overwrite }
    }

    /// Returns the first shared option in which this process differs from the Reader. Roles depend on the order of
    /// arrival, so the result of a copy must not depend on which of the two processes was given an option.
    pub fn difference(&self, own: &Request) -> Option<SharedOption> {
        if self.source.digest != Kind::of(own) {
            return Some(SharedOption::Checksum);
        }
        let differs = self.overwrite != 0 && self.overwrite != number(own);
        differs.then_some(SharedOption::Overwrite)
    }
}

/// Returns the overwrite policy as a number that is never 0.
fn number(request: &Request) -> u8 {
    let overwrite = match request.overwrite {
        Overwrite::Replace => 0,
        Overwrite::ReplaceIfOlder => 1,
        Overwrite::Skip => 2,
        Overwrite::Refuse => 3,
    };
    let backup = match request.backup {
        Backup::None => 0,
        Backup::Numbered => 1,
        Backup::Existing => 2,
        Backup::Simple => 3,
    };
    1 + overwrite * 4 + backup
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{Fsync, Hash, Preserve, SourceLinks, Sparse, Verify};
    use std::time::Duration;

    fn hello(request: &Request) -> Hello {
        let source = SourceRecord { digest: Kind::of(request), ..SourceRecord::STREAM };
        let hello = Hello::new(source, request);
        assert_eq!(Hello::unpack(&hello.pack()), hello);
        hello
    }

    /// The process to which a field of a request matters.
    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Field {
        /// Both processes of a pair must have the same value; the handshake compares it.
        Shared(SharedOption),
        /// It decides whether and where the two meet.
        Meeting,
        /// Only the Reader, only the Writer, or each process for itself acts on it.
        Reader,
        Writer,
        Own,
    }

    type Change = fn(&mut Request);

    /// Every field, the process to which it matters, and a change to another value.
    const FIELDS: [(&str, Field, Change); 34] = [
        ("parties", Field::Meeting, |own| own.parties = Request::pair("a", "c").parties),
        ("connect_timeout", Field::Own, |own| own.connect_timeout = Some(Duration::from_millis(1))),
        ("replace_within", Field::Own, |own| own.replace_within = Some(Duration::from_nanos(7))),
        ("dir", Field::Meeting, |own| own.dir = Some("/d".into())),
        ("peer_users", Field::Own, |own| own.peer_users = vec!["u".into()]),
        ("peer_groups", Field::Own, |own| own.peer_groups = vec!["g".into()]),
        ("block_size", Field::Reader, |own| own.block_size = Some(1)),
        ("buffer_size", Field::Reader, |own| own.buffer_size = Some(2)),
        ("rate_limit", Field::Reader, |own| own.rate_limit = Some(3)),
        ("direct_source", Field::Reader, |own| own.direct_source = true),
        ("direct_destination", Field::Writer, |own| own.direct_destination = true),
        ("drop_cache", Field::Own, |own| own.drop_cache = true),
        ("fsync", Field::Writer, |own| own.fsync = Fsync::None),
        ("verify", Field::Shared(SharedOption::Checksum), |own| own.verify = Verify::None),
        ("hash", Field::Shared(SharedOption::Checksum), |own| own.hash = Hash::Blake3),
        ("sparse", Field::Writer, |own| own.sparse = Sparse::Always),
        ("preserve", Field::Writer, |own| own.preserve = vec![Preserve::Acl]),
        ("overwrite", Field::Shared(SharedOption::Overwrite), |own| own.overwrite = Overwrite::Skip),
        ("backup", Field::Shared(SharedOption::Overwrite), |own| own.backup = Backup::Simple),
        ("backup_suffix", Field::Writer, |own| own.backup_suffix = ".old".into()),
        ("follow_links", Field::Writer, |own| own.follow_links = false),
        ("create_through_links", Field::Writer, |own| own.create_through_links = true),
        ("source_links", Field::Reader, |own| own.source_links = SourceLinks::Copy),
        ("read_streams", Field::Reader, |own| own.read_streams = true),
        ("only_attributes", Field::Own, |own| own.only_attributes = true),
        ("remove_destination", Field::Writer, |own| own.remove_destination = true),
        ("force", Field::Writer, |own| own.force = true),
        ("max_bytes", Field::Writer, |own| own.max_bytes = Some(4)),
        ("keep_partial", Field::Writer, |own| own.keep_partial = true),
        ("resume", Field::Writer, |own| own.resume = false),
        ("umask", Field::Writer, |own| own.umask = 0o077),
        ("sandbox", Field::Own, |own| own.sandbox = true),
        ("stats", Field::Own, |own| own.stats = true),
        ("second_process", Field::Own, |own| own.second_process = Some("/p".into())),
    ];

    #[test]
    fn every_field_is_compared_or_is_one_process_own_and_reaches_the_second_process() {
        let request = Request::pair("a", "b");
        let serde_json::Value::Object(all) = serde_json::to_value(&request).unwrap() else {
            panic!("no object")
        };
        let listed: Vec<&str> = FIELDS.iter().map(|(name, ..)| *name).collect();
        let mut known: Vec<&str> = all.keys().map(String::as_str).collect();
        known.sort_by_key(|name| listed.iter().position(|other| other == name));
        assert_eq!(known, listed, "a new field belongs into this table");
        for (name, field, change) in FIELDS {
            let mut own = request.clone();
            change(&mut own);
            assert_ne!(own, request, "{name}: not another value");
            let expected = if let Field::Shared(option) = field { Some(option) } else { None };
            assert_eq!(hello(&request).difference(&own), expected, "{name}");
            let received: Request = serde_json::from_slice(&serde_json::to_vec(&own).unwrap()).unwrap();
            assert_eq!(received, own, "{name}: what the second process of `cp` gets");
        }
    }

    #[test]
    fn reading_back_is_the_writers_own() {
        let own = Request { verify: Verify::Reread, ..Request::pair("a", "b") };
        assert_eq!(hello(&Request::pair("a", "b")).difference(&own), None);
    }

    #[test]
    fn a_half_decides_alone_what_it_overwrites() {
        let reader = hello(&Request::read("a", "n"));
        assert_eq!(reader.difference(&Request::write("b", "n")), None);
        let own = Request { verify: Verify::None, ..Request::write("b", "n") };
        assert_eq!(reader.difference(&own), Some(SharedOption::Checksum));
    }
}
