//! The records that the two processes exchange beside the bytes: a block's header, a resume point, and the trailer.

use super::halt::Halt;
use crate::api::ErrorKind;
use crate::digest::Value;
use crate::record::{ResumePoint, get_words};
use blockpipe::{EmptyBlock, FilledBlock, Trailer, Trust};

/// The content of a block. The block's header says it: one byte for the kind, then the number of zeros, little-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame {
    /// Bytes of the source.
    Data,
    /// No bytes: the source has this many zeros next.
    Zeros(u64),
    /// A part of the source's attributes, which is not part of its content.
    Attributes,
}

/// The limit of a source in bytes. Adding a block's length to a position below it never overflows.
const MAX_POSITION: u64 = u64::MAX >> 1;

impl Frame {
    /// Describes the block in its header. A block whose header is not set holds data.
    pub fn put<T: Trust>(self, block: &mut EmptyBlock<T>) {
        let (kind, zeros) = match self {
            Self::Data => return,
            Self::Zeros(zeros) => (1, zeros),
            Self::Attributes => (2, 0),
        };
        let mut header = [kind; 9];
        header[1..].copy_from_slice(&zeros.to_le_bytes());
        block.set_header(&header);
    }

    /// Returns what the block holds, or an error if no correct peer sends such a block.
    pub fn of<T: Trust>(block: &FilledBlock<T>) -> Result<Self, Halt> {
        let header = block.header();
        let [zeros] = get_words(&header[1..]);
        match header[0] {
            0 => Ok(Self::Data),
            1 if block.length() == 0 && zeros <= MAX_POSITION => Ok(Self::Zeros(zeros)),
            2 => Ok(Self::Attributes),
            _ => Err(violation("a block's header is invalid")),
        }
    }
}

/// Adds a length that the peer claims to a position. Returns an error beyond the limit.
pub fn advance(position: u64, length: u64) -> Result<u64, Halt> {
    let end = position.checked_add(length).filter(|end| *end <= MAX_POSITION);
    end.ok_or_else(|| violation("the source is longer than the limit"))
}

#[expect(clippy::disallowed_methods, reason = "the progress in a resume point is native-endian")]
pub fn pack_point(point: ResumePoint) -> blockpipe::ResumePoint {
    let mut packed = blockpipe::ResumePoint::default();
    packed[..8].copy_from_slice(&point.position.to_ne_bytes());
    packed[8..16].copy_from_slice(&point.sum.to_le_bytes());
    packed
}

pub fn unpack_point(packed: &blockpipe::ResumePoint) -> Result<ResumePoint, Halt> {
    let word = |at: usize| packed[at..][..8].try_into().expect("eight bytes");
    let point = ResumePoint { position: u64::from_ne_bytes(word(0)), sum: u64::from_le_bytes(word(8)) };
    advance(point.position, 0).map(|_| point)
}

/// Packs the trailer: the length of the source, and its checksum.
pub fn pack_trailer(length: u64, digest: &Value) -> [u8; 40] {
    let mut packed = [0; 40];
    packed[..8].copy_from_slice(&length.to_le_bytes());
    packed[8..].copy_from_slice(digest);
    packed
}

pub fn unpack_trailer(packed: &Trailer) -> (u64, Value) {
    let [length] = get_words(packed);
    (length, packed[8..40].try_into().expect("32 bytes"))
}

fn violation(what: &str) -> Halt {
    ErrorKind::Pipe { what: format!("the peer violated the protocol: {what}") }.into()
}
