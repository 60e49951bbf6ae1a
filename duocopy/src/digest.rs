//! What both halves compute from their own bytes, so that each can tell whether the other saw the same.
//!
//! CRC-64/NVME is the checksum that object stores keep for whole objects. Its state is one word, so another process
//! can go on where this one stopped. BLAKE3 cannot be forged by who chooses the bytes, and cannot be continued from
//! one word: whoever goes on in the middle reads the beginning again.

use crc_fast::CrcAlgorithm;
use std::fmt::Write;
use std::fs::File;
use std::io::{self, Read, Seek};

/// How much of a file is read at once where nothing is shared.
pub const PIECE: usize = 1 << 20;

static ZEROS: [u8; 64 << 10] = [0; 64 << 10];

/// What is computed; both processes must do the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Nothing,
    Crc64,
    Blake3,
}

/// What travels to the other process at the end. Unused bytes are zero.
pub type Value = [u8; 32];

#[derive(Debug)]
pub enum Digest {
    Nothing,
    Crc64(Box<crc_fast::Digest>),
    Blake3(Box<blake3::Hasher>),
}

impl Kind {
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

    /// A digest with its name, for people. Empty if there is none.
    pub fn show(self, value: &Value) -> String {
        self.name(value).map_or(String::new(), |(name, value)| format!(", {name} {value}"))
    }

    /// What it is called, and the digest as people write it, if there is one.
    pub fn name(self, value: &Value) -> Option<(&'static str, String)> {
        let hex = |bytes: &mut dyn Iterator<Item = &u8>| {
            bytes.fold(String::new(), |mut text, byte| {
                let _ = write!(text, "{byte:02x}");
                text
            })
        };
        match self {
            Self::Nothing => None,
            Self::Crc64 => Some(("CRC-64/NVME", hex(&mut value[..8].iter().rev()))),
            Self::Blake3 => Some(("BLAKE3", hex(&mut value.iter()))),
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

    /// Goes on behind bytes of which somebody else kept the `sum`. `None` if they have to be read again.
    pub fn going_on(kind: Kind, sum: u64) -> Option<Self> {
        match kind {
            Kind::Nothing => Some(Self::Nothing),
            // The published value is inverted at the end; that is all there is to undo.
            Kind::Crc64 => {
                let state = crc_fast::Digest::new_with_init_state(CrcAlgorithm::Crc64Nvme, !sum);
                Some(Self::Crc64(Box::new(state)))
            }
            Kind::Blake3 => None,
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

    /// So many zeros.
    pub fn update_zeros(&mut self, length: u64) {
        match self {
            Self::Nothing => {}
            Self::Crc64(digest) => {
                let state = behind_zeros(!digest.finalize(), length);
                **digest = crc_fast::Digest::new_with_init_state(CrcAlgorithm::Crc64Nvme, state);
            }
            Self::Blake3(digest) => {
                // There is no shorter way.
                let mut left = length;
                while left > 0 {
                    let some = left.min(ZEROS.len() as u64);
                    digest.update(&ZEROS[..some as usize]);
                    left -= some;
                }
            }
        }
    }

    /// The first `length` bytes of the file, through this buffer. An error if there are fewer.
    pub fn update_from(&mut self, mut file: &File, length: u64, buffer: &mut [u8]) -> io::Result<()> {
        file.rewind()?;
        let mut left = length;
        while left > 0 {
            match file.read(buffer) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(bytes) => {
                    let bytes = left.min(bytes as u64);
                    self.update(&buffer[..bytes as usize]);
                    left -= bytes;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// The checksum of everything so far, for whoever has to go on; 0 if it is no word.
    pub fn sum(&self) -> u64 {
        match self {
            Self::Crc64(digest) => digest.finalize(),
            Self::Nothing | Self::Blake3(_) => 0,
        }
    }

    pub fn value(&self) -> Value {
        let mut value = [0; 32];
        match self {
            Self::Nothing => {}
            Self::Crc64(_) => value[..8].copy_from_slice(&self.sum().to_le_bytes()),
            Self::Blake3(digest) => value = digest.finalize().into(),
        }
        value
    }
}

/// The state of CRC-64/NVME behind so many zeros: it is a polynomial over GF(2), whose highest bit is that of x⁰, and
/// each zero byte multiplies it by x⁸, modulo the one that the catalogue gives. So n of them take log n steps.
/// (`crc_fast::checksum_combine` computes the same with matrices, in a hundred times as long.)
fn behind_zeros(state: u64, mut bytes: u64) -> u64 {
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

/// The checksum of one piece.
pub fn of(bytes: &[u8]) -> u64 {
    let mut digest = Digest::new(Kind::Crc64);
    digest.update(bytes);
    digest.sum()
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
        assert!(Kind::Blake3.show(&empty).contains("BLAKE3 af1349b9f5f9a1a6a0404dea36dcc949"));
    }

    #[test]
    fn zeros_count_as_if_they_were_there() {
        for kind in [Kind::Nothing, Kind::Crc64, Kind::Blake3] {
            for length in [0, 1, 2, 7, 4096, 100_003] {
                let [mut skipped, mut read] = [Digest::new(kind), Digest::new(kind)];
                for digest in [&mut skipped, &mut read] {
                    digest.update(b"before");
                }
                skipped.update_zeros(length);
                read.update(&vec![0; length as usize]);
                for digest in [&mut skipped, &mut read] {
                    digest.update(b"behind");
                }
                assert_eq!(skipped.value(), read.value(), "{kind:?} {length}");
            }
        }
        for length in [1 << 20, (1 << 40) + 12345, u64::MAX >> 1] {
            let combined = crc_fast::checksum_combine(CrcAlgorithm::Crc64Nvme, !of(b"before"), 0, length);
            assert_eq!(behind_zeros(!of(b"before"), length), combined, "{length}");
        }
    }

    #[test]
    fn a_sum_is_enough_for_another_process_to_go_on() {
        let mut other = Digest::going_on(Kind::Crc64, of(b"12345")).unwrap();
        other.update(b"6789");
        assert_eq!(other.sum(), of(b"123456789"));
        assert_eq!(Kind::Crc64.show(&other.value()), ", CRC-64/NVME ae8b14860a799888");
        assert!(Digest::going_on(Kind::Blake3, 0).is_none());
    }
}
