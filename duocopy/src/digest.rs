//! The checksum that each process computes over its own bytes, so that both can tell whether they saw the same.
//!
//! CRC-64/NVME is the checksum that object stores keep for whole objects. Its state is one word, so another process can
//! continue it. BLAKE3 cannot be forged, even if an attacker chooses the bytes; but its state does not fit a word, and a
//! process that resumes a copy reads the beginning again.

use crate::api::{Checksum, Hash, Request, Verify};
use crate::sys;
use crc_fast::CrcAlgorithm;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

/// How much of a file is read at once, outside of the shared memory.
pub const PIECE: usize = 1 << 20;

/// Returns whether work that takes any time must end early. It is asked after each [`PIECE`].
pub type MustEnd<'a> = &'a dyn Fn() -> bool;

static ZEROS: [u8; 64 << 10] = [0; 64 << 10];

/// Which checksum is computed: the same in both processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Nothing,
    Crc64,
    Blake3,
}

/// A checksum as it travels to the peer at the end. Unused bytes are zero.
pub type Value = [u8; 32];

/// A checksum of the bytes so far.
#[derive(Debug)]
pub enum Digest {
    Nothing,
    Crc64(Box<crc_fast::Digest>),
    Blake3(Box<blake3::Hasher>),
}

impl Kind {
    pub fn of(request: &Request) -> Self {
        match (request.verify, request.hash) {
            (Verify::None, _) => Self::Nothing,
            (_, Hash::Crc64) => Self::Crc64,
            (_, Hash::Blake3) => Self::Blake3,
        }
    }

    /// Returns how many zeros may be added at once, so that no call takes more than a second or two. Only BLAKE3 has no
    /// shortcut for them.
    pub fn longest_zeros(self) -> u64 {
        if self == Self::Blake3 { 1 << 30 } else { u64::MAX }
    }

    pub fn from_number(number: u64) -> Self {
        match number {
            1 => Self::Crc64,
            2 => Self::Blake3,
            _ => Self::Nothing,
        }
    }

    pub fn number(self) -> u64 {
        match self {
            Self::Nothing => 0,
            Self::Crc64 => 1,
            Self::Blake3 => 2,
        }
    }

    /// Returns the checksum of a value that a [`Digest`] of this kind computed.
    pub fn checksum(self, value: &Value) -> Option<Checksum> {
        match self {
            Self::Nothing => None,
            Self::Crc64 => {
                Some(Checksum::Crc64(u64::from_le_bytes(value[..8].try_into().expect("eight bytes"))))
            }
            Self::Blake3 => Some(Checksum::Blake3(*value)),
        }
    }
}

impl Digest {
    pub fn new(kind: Kind) -> Self {
        match kind {
            Kind::Nothing => Self::Nothing,
            Kind::Crc64 => Self::Crc64(Box::new(crc_fast::Digest::new(CrcAlgorithm::Crc64Nvme))),
            Kind::Blake3 => Self::Blake3(Box::default()),
        }
    }

    /// Continues after bytes for which [`resume_state`](Self::resume_state) returned `sum`. `None` if they have to be
    /// read again.
    pub fn resume(kind: Kind, sum: u64) -> Option<Self> {
        match kind {
            Kind::Nothing => Some(Self::Nothing),
            // The published value is the inverted state.
            Kind::Crc64 => {
                let state = crc_fast::Digest::new_with_init_state(CrcAlgorithm::Crc64Nvme, !sum);
                Some(Self::Crc64(Box::new(state)))
            }
            Kind::Blake3 => None,
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::Nothing => Kind::Nothing,
            Self::Crc64(_) => Kind::Crc64,
            Self::Blake3(_) => Kind::Blake3,
        }
    }

    pub fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Nothing => {}
            Self::Crc64(digest) => digest.update(bytes),
            Self::Blake3(digest) => {
                digest.update(bytes);
            }
        }
    }

    /// Adds this many zeros.
    pub fn update_zeros(&mut self, length: u64) {
        match self {
            Self::Nothing => {}
            Self::Crc64(digest) => {
                let state = after_zeros(!digest.finalize(), length);
                **digest = crc_fast::Digest::new_with_init_state(CrcAlgorithm::Crc64Nvme, state);
            }
            Self::Blake3(digest) => {
                // BLAKE3 has no shortcut for zeros.
                let mut left = length;
                while left > 0 {
                    let some = left.min(ZEROS.len() as u64);
                    digest.update(&ZEROS[..some as usize]);
                    left -= some;
                }
            }
        }
    }

    /// Adds the first `length` bytes of the file, which it reads through this buffer. Holes are not read. An error if
    /// there are fewer bytes, or, with [`Interrupted`](io::ErrorKind::Interrupted), once `must_end` returns `true`.
    pub fn update_from(
        &mut self,
        mut file: &File,
        length: u64,
        buffer: &mut [u8],
        must_end: MustEnd,
    ) -> io::Result<()> {
        let (end, longest) = (sys::fstat(file)?.length.min(length), self.kind().longest_zeros());
        let (mut position, mut data) = (0, 0..0);
        while position < length {
            if must_end() {
                return Err(io::ErrorKind::Interrupted.into());
            }
            if position >= data.end && position < end {
                data = sys::next_data(file, position)?.unwrap_or(end..u64::MAX);
                file.seek(SeekFrom::Start(position.max(data.start)))?;
            }
            if position < data.start.min(end) {
                let zeros = (data.start.min(end) - position).min(longest);
                self.update_zeros(zeros);
                position += zeros;
                continue;
            }
            match file.read(buffer) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(bytes) => {
                    let bytes = (length - position).min(bytes as u64);
                    self.update(&buffer[..bytes as usize]);
                    position += bytes;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Returns the state from which another process can [resume](Self::resume); 0 if it does not fit a word.
    pub fn resume_state(&self) -> u64 {
        match self {
            Self::Crc64(digest) => digest.finalize(),
            Self::Nothing | Self::Blake3(_) => 0,
        }
    }

    pub fn value(&self) -> Value {
        let mut value = [0; 32];
        match self {
            Self::Nothing => {}
            Self::Crc64(_) => value[..8].copy_from_slice(&self.resume_state().to_le_bytes()),
            Self::Blake3(digest) => value = digest.finalize().into(),
        }
        value
    }
}

/// Returns the state of CRC-64/NVME after this many more zeros.
///
/// The state is a polynomial over GF(2), whose highest bit belongs to x⁰, and each zero byte multiplies it by x⁸, modulo
/// the polynomial of the catalogue: n zeros take log n steps. (`crc_fast::checksum_combine` computes the same with
/// matrices, and takes a hundred times as long.)
fn after_zeros(state: u64, mut bytes: u64) -> u64 {
    const MODULUS: u64 = 0xad93_d235_94c9_3659_u64.reverse_bits();
    let times_x = |a: u64| (a >> 1) ^ (if a & 1 == 0 { 0 } else { MODULUS });
    let product = |a: u64, mut b: u64| {
        (0..64).rev().fold(0, |sum, bit| {
            let term = if a >> bit & 1 == 0 { 0 } else { b };
            b = times_x(b);
            sum ^ term
        })
    };
    let (mut state, mut factor) = (state, 1 << (63 - 8));
    while bytes > 0 {
        if bytes & 1 == 1 {
            state = product(state, factor);
        }
        factor = product(factor, factor);
        bytes >>= 1;
    }
    state
}

/// Returns the CRC-64/NVME of these bytes.
pub fn of(bytes: &[u8]) -> u64 {
    let mut digest = Digest::new(Kind::Crc64);
    digest.update(bytes);
    digest.resume_state()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_the_published_checksum() {
        // Check value of CRC-64/NVME in the CRC RevEng catalogue.
        assert_eq!(of(b"123456789"), 0xae8b_1486_0a79_9888);
        assert_eq!(of(b""), 0);
        // The empty input in the BLAKE3 specification's test vectors.
        let empty = Digest::new(Kind::Blake3).value();
        let Some(Checksum::Blake3(empty)) = Kind::Blake3.checksum(&empty) else { panic!("{empty:?}") };
        assert_eq!(empty[..4], [0xaf, 0x13, 0x49, 0xb9]);
    }

    #[test]
    fn zeros_of_a_hole_count_like_zeros_that_were_read() {
        for kind in [Kind::Nothing, Kind::Crc64, Kind::Blake3] {
            for length in [0, 1, 2, 7, 4096, 100_003] {
                let [mut skipped, mut read] = [Digest::new(kind), Digest::new(kind)];
                for digest in [&mut skipped, &mut read] {
                    digest.update(b"before");
                }
                skipped.update_zeros(length);
                read.update(&vec![0; length as usize]);
                for digest in [&mut skipped, &mut read] {
                    digest.update(b"after");
                }
                assert_eq!(skipped.value(), read.value(), "{kind:?} {length}");
            }
        }
        for length in [1 << 20, (1 << 40) + 12345, u64::MAX >> 1] {
            let combined = crc_fast::checksum_combine(CrcAlgorithm::Crc64Nvme, !of(b"before"), 0, length);
            assert_eq!(after_zeros(!of(b"before"), length), combined, "{length}");
        }
    }

    #[test]
    fn a_file_counts_as_it_reads_with_holes_and_without() {
        for data in [&[][..], &[0], &[(1 << 20) + 5], &[1 << 20, 3 << 20], &[(4 << 20) - 10]] {
            let file = tempfile::tempfile().unwrap();
            file.set_len(4 << 20).unwrap();
            for at in data {
                sys::write_at(&file, b"some bytes", *at).unwrap();
            }
            let mut content = vec![0; 4 << 20];
            sys::read_at(&file, &mut content, 0).unwrap();
            for kind in [Kind::Crc64, Kind::Blake3] {
                for length in [0, 1, 1 << 20, (1 << 20) + 7, 4 << 20] {
                    let [mut of_file, mut of_bytes] = [Digest::new(kind), Digest::new(kind)];
                    of_file.update_from(&file, length, &mut [0; 10_000], &|| false).unwrap();
                    of_bytes.update(&content[..length as usize]);
                    assert_eq!(of_file.value(), of_bytes.value(), "{kind:?} {data:?} {length}");
                }
                let more = Digest::new(kind).update_from(&file, (4 << 20) + 1, &mut [0; 99], &|| false);
                assert_eq!(more.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
            }
        }
    }

    #[test]
    fn another_process_can_continue_from_the_state() {
        let mut other = Digest::resume(Kind::Crc64, of(b"12345")).unwrap();
        other.update(b"6789");
        assert_eq!(other.resume_state(), of(b"123456789"));
        assert_eq!(Kind::Crc64.checksum(&other.value()), Some(Checksum::Crc64(0xae8b_1486_0a79_9888)));
        assert_eq!(Kind::Nothing.checksum(&other.value()), None);
        assert!(Digest::resume(Kind::Blake3, 0).is_none());
    }
}
