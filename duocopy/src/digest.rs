//! CRC-64/NVME of the content: the checksum that object stores keep for whole objects.
//!
//! Its state is one word, so another process can go on where this one stopped.

use crc_fast::CrcAlgorithm;

#[derive(Debug)]
pub struct Digest(crc_fast::Digest);

impl Digest {
    pub const NAME: &str = "CRC-64/NVME";

    pub fn new() -> Self {
        Self(crc_fast::Digest::new(CrcAlgorithm::Crc64Nvme))
    }

    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The checksum of everything so far.
    pub fn value(&self) -> u64 {
        self.0.finalize()
    }
}

/// The checksum of one piece.
pub fn of(bytes: &[u8]) -> u64 {
    let mut digest = Digest::new();
    digest.update(bytes);
    digest.value()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_the_published_checksum() {
        // Check value of CRC-64/NVME in the CRC RevEng catalogue.
        assert_eq!(of(b"123456789"), 0xae8b_1486_0a79_9888);
        assert_eq!(of(b""), 0);
    }

    #[test]
    fn its_value_is_enough_for_another_process_to_go_on() {
        // The published state is inverted at the end; that is all there is to undo.
        let mut other = crc_fast::Digest::new_with_init_state(CrcAlgorithm::Crc64Nvme, !of(b"12345"));
        other.update(b"6789");
        assert_eq!(other.finalize(), of(b"123456789"));
    }
}
