//! What the Reader says before the first block: its source, and the options that both processes must share.

use crate::api::{Backup, Overwrite, Request, SharedOption};
use crate::digest::Kind;
use crate::record::{Packed, SourceRecord};

/// The byte of the packed record that carries the overwrite policy.
const OVERWRITE: usize = 8 * 8 + 2;

/// What the Reader says about its source and its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hello {
    pub source: SourceRecord,
    /// What a pair agrees to do with a destination that exists; 0 from a Reader that knows no destination.
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

    pub fn unpack(packed: &Packed) -> Self {
        Self { source: SourceRecord::unpack(packed), overwrite: packed[OVERWRITE] }
    }

    /// The first option in which this process differs from the Reader, if there is one. Roles depend on the order of
    /// arrival, so nothing may depend on which of the two processes was given an option.
    pub fn difference(&self, own: &Request) -> Option<SharedOption> {
        if self.source.digest != Kind::of(own) {
            return Some(SharedOption::Checksum);
        }
        let differs = self.overwrite != 0 && self.overwrite != number(own);
        differs.then_some(SharedOption::Overwrite)
    }
}

/// The overwrite policy as a number; never 0.
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
    use crate::api::{Hash, Verify};

    fn hello(request: &Request) -> Hello {
        let source = SourceRecord { digest: Kind::of(request), ..SourceRecord::STREAM };
        let hello = Hello::new(source, request);
        assert_eq!(Hello::unpack(&hello.pack()), hello);
        hello
    }

    #[test]
    fn a_pair_must_share_checksum_and_overwrite_policy() {
        let request = Request::pair("a", "b");
        let changes: [(fn(&mut Request), Option<SharedOption>); 7] = [
            (|_| {}, None),
            (|own| own.verify = Verify::None, Some(SharedOption::Checksum)),
            (|own| own.verify = Verify::Reread, None),
            (|own| own.hash = Hash::Blake3, Some(SharedOption::Checksum)),
            (|own| own.overwrite = Overwrite::Skip, Some(SharedOption::Overwrite)),
            (|own| own.backup = Backup::Simple, Some(SharedOption::Overwrite)),
            (|own| own.keep_partial = true, None),
        ];
        for (change, expected) in changes {
            let mut own = request.clone();
            change(&mut own);
            assert_eq!(hello(&request).difference(&own), expected, "{own:?}");
        }
    }

    #[test]
    fn a_half_decides_alone_what_it_overwrites() {
        let reader = hello(&Request::read("a", "n"));
        assert_eq!(reader.difference(&Request::write("b", "n")), None);
        let own = Request { verify: Verify::None, ..Request::write("b", "n") };
        assert_eq!(reader.difference(&own), Some(SharedOption::Checksum));
    }
}
