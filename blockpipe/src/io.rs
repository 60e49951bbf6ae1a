//! The two ends as streams of bytes, for code that reads and writes.

use crate::block::{EmptyBlock, FilledBlock, Trust, UntrustedPeer};
use crate::consumer::Consumer;
use crate::error::PipeError;
use crate::producer::Producer;
use std::io::{self, BufRead, Read, Write};

/// Writes to a producer, as returned by [`Producer::writer`]. Bytes are sent when a block is full, and by `flush`.
///
/// Dropping it sends what is left, and ignores an error of that: call `flush` to see it.
///
/// # Examples
/// ```
/// use std::io::Write;
///
/// # mod setup { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/setup.rs")); }
/// # let (mut producer, mut consumer) = setup::pair();
/// let mut writer = producer.writer();
/// for number in 1..=3 {
///     writeln!(writer, "line {number}")?;
/// }
/// writer.flush()?;
/// # drop(writer);
/// # assert_eq!(consumer.filled_block()?.unwrap().to_vec(), b"line 1\nline 2\nline 3\n");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Writer<'a, T: Trust = UntrustedPeer> {
    producer: &'a mut Producer<T>,
    /// The block that is being filled, and how far.
    block: Option<(EmptyBlock<T>, usize)>,
}

/// Reads from a consumer, as returned by [`Consumer::reader`]. Headers of blocks are ignored.
///
/// It copies a block piece by piece, in pieces of at most 16 KiB, and releases the block when its last byte has been
/// consumed. If it is dropped before that, the block is handed out again, from its beginning.
///
/// # Examples
/// ```
/// use std::io::BufRead;
///
/// # mod setup { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/setup.rs")); }
/// # let (mut producer, mut consumer) = setup::pair();
/// # setup::send(&mut producer, &["line 1\nli", "ne 2\n"]);
/// # let producer = setup::finish(producer);
/// let lines: Vec<String> = consumer.reader().lines().collect::<Result<_, _>>()?;
/// consumer.finish()?;
/// assert_eq!(lines, ["line 1", "line 2"]);
/// # producer.join().unwrap()?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Reader<'a, T: Trust = UntrustedPeer> {
    consumer: &'a mut Consumer<T>,
    /// The block that is being read, and how much of it has been copied.
    block: Option<(FilledBlock<T>, usize)>,
    /// A part of the block: the peer may change the block itself at any time.
    copy: Vec<u8>,
    read: usize,
}

/// The length of that part: a copy that stays in the processor's first cache.
const COPY: usize = 16 << 10;

impl<T: Trust> Producer<T> {
    /// Returns this end as a stream of bytes. Example: [`Writer`].
    pub fn writer(&mut self) -> Writer<'_, T> {
        Writer { producer: self, block: None }
    }
}

impl<T: Trust> Consumer<T> {
    /// Returns this end as a stream of bytes. Example: [`Reader`].
    pub fn reader(&mut self) -> Reader<'_, T> {
        Reader { consumer: self, block: None, copy: Vec::new(), read: 0 }
    }
}

impl<T: Trust> Write for Writer<'_, T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.is_empty() {
            return Ok(0);
        }
        if self.block.is_none() {
            self.block = Some((self.producer.empty_block()?, 0));
        }
        let (block, filled) = self.block.as_mut().expect("it was just put there");
        let length = bytes.len().min(block.capacity() - *filled);
        block.copy_from(*filled, &bytes[..length]);
        *filled += length;
        if *filled == block.capacity() {
            self.flush()?;
        }
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        match self.block.take() {
            Some((block, filled)) if filled > 0 => Ok(self.producer.send(block, filled)?),
            _ => Ok(()),
        }
    }
}

impl<T: Trust> Drop for Writer<'_, T> {
    fn drop(&mut self) {
        let _ = self.flush();
    }
}

impl<T: Trust> Reader<'_, T> {
    /// Releases the block once everything of it has been consumed.
    fn release_if_done(&mut self) -> Result<(), PipeError> {
        let is_done = self.read == self.copy.len();
        match self.block.take_if(|(block, copied)| is_done && *copied == block.length()) {
            Some((block, _)) => self.consumer.release(block),
            None => Ok(()),
        }
    }
}

impl<T: Trust> BufRead for Reader<'_, T> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.read == self.copy.len() {
            // An empty block, or one whose release failed.
            self.release_if_done()?;
            if self.block.is_none() {
                match self.consumer.filled_block()? {
                    Some(block) => self.block = Some((block, 0)),
                    None => break,
                }
            }
            let (block, copied) = self.block.as_mut().expect("it was just put there");
            self.copy.resize(COPY.min(block.length() - *copied), 0);
            block.copy_to(*copied, &mut self.copy);
            *copied += self.copy.len();
            self.read = 0;
        }
        Ok(&self.copy[self.read..])
    }

    fn consume(&mut self, length: usize) {
        self.read = (self.read + length).min(self.copy.len());
        // If it fails, so does every later call.
        let _ = self.release_if_done();
    }
}

impl<T: Trust> Read for Reader<'_, T> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let length = self.fill_buf()?.read(to)?;
        self.consume(length);
        Ok(length)
    }
}
