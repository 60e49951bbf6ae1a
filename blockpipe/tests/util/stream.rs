//! What the actors send: bytes that the receiver can compute, too.

use super::{point, read_point, trailer};
use blockpipe::{EmptyBlock, FilledBlock, ResumePoint, Trust};

/// A stream whose bytes depend on the position and on the sender, with a running checksum.
pub struct Stream {
    pub salt: u64,
    pub position: u64,
    pub sum: u64,
}

impl Stream {
    pub fn new(salt: u64) -> Self {
        Self { salt, position: 0, sum: 0 }
    }

    /// Resumes where another end stopped.
    pub fn resumed(salt: u64, point: &ResumePoint) -> Self {
        let (position, sum) = read_point(point);
        Self { salt, position, sum }
    }

    /// Starts after this many bytes.
    pub fn after(salt: u64, bytes: u64) -> Self {
        let mut stream = Self::new(salt);
        stream.pass(bytes as usize);
        stream
    }

    pub fn point(&self) -> ResumePoint {
        point(self.position, self.sum)
    }

    pub fn trailer(&self) -> [u8; 64] {
        trailer(self.position, self.sum)
    }

    fn byte(&self, position: u64) -> u8 {
        ((position + self.salt).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8
    }

    /// Fills the first `length` bytes of a block, and says in its header at which position they begin.
    pub fn write<T: Trust>(&self, position: u64, block: &mut EmptyBlock<T>, length: usize) {
        block.set_header(&position.to_le_bytes());
        let bytes = |to: &mut [u8]| (position..).zip(to).for_each(|(at, byte)| *byte = self.byte(at));
        if let Some(block) = block.trusted_mut() {
            return bytes(&mut block[..length]);
        }
        let mut copy = vec![0; length];
        bytes(&mut copy);
        block.copy_from(0, &copy);
    }

    /// Advances over the next bytes of the stream, and returns the resume point after them.
    pub fn pass(&mut self, length: usize) -> ResumePoint {
        for position in self.position..self.position + length as u64 {
            self.sum = (self.sum ^ u64::from(self.byte(position))).wrapping_mul(0x0100_0000_01b3);
        }
        self.position += length as u64;
        self.point()
    }

    /// Advances as `pass` does, and compares the bytes that came through the pipe.
    pub fn compare<T: Trust>(&mut self, block: &FilledBlock<T>) -> ResumePoint {
        assert_eq!(position(block), self.position, "blocks come in order");
        let copy;
        let bytes = if let Some(bytes) = block.trusted() {
            bytes
        } else {
            copy = block.to_vec();
            &copy
        };
        let wrong = (self.position..).zip(bytes).find(|(position, byte)| self.byte(*position) != **byte);
        assert_eq!(wrong, None, "the first byte that is not what was sent");
        self.pass(block.length())
    }
}

/// Returns the position in the stream that a block's header contains.
pub fn position<T: Trust>(block: &FilledBlock<T>) -> u64 {
    let (position, rest) = block.header().split_at(8);
    assert!(rest.iter().all(|byte| *byte == 0), "the rest of the header is zeros");
    u64::from_le_bytes(position.try_into().expect("eight bytes"))
}
