//! Blocks as types: holding one is the right to touch its bytes, and giving it away is a move.

use crate::memory::Region;
use crate::nudge::{Nudge, Returned};
use crate::ring::BlockHeader;
use crate::sys::forks;
use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};
use std::slice;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

/// Type parameter of the ends and blocks: [`TrustedPeer`] if the caller has promised with
/// [`Pipe::trust_peer`](crate::Pipe::trust_peer) that nothing but the two ends writes to the blocks.
///
/// Code that works with either is generic:
///
/// ```
/// use blockpipe::{EmptyBlock, FilledBlock, Trust};
/// use std::io::{Read, Result};
///
/// fn fill<T: Trust>(block: &mut EmptyBlock<T>, source: &mut impl Read) -> Result<usize> {
///     if let Some(bytes) = block.trusted_mut() {
///         return source.read(bytes);
///     }
///     let mut bytes = vec![0; block.capacity()];
///     let length = source.read(&mut bytes)?;
///     block.copy_from(0, &bytes[..length]);
///     Ok(length)
/// }
///
/// fn count_lines<T: Trust>(block: &FilledBlock<T>) -> usize {
///     let count = |bytes: &[u8]| bytes.iter().filter(|byte| **byte == b'\n').count();
///     block.trusted().map_or_else(|| count(&block.to_vec()), count)
/// }
/// # mod setup { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/setup.rs")); }
/// # let (mut producer, mut consumer) = setup::pair();
/// # let mut block = producer.empty_block().unwrap();
/// # let length = fill(&mut block, &mut &b"one\ntwo\n"[..]).unwrap();
/// # producer.send(block, length).unwrap();
/// # assert_eq!(count_lines(&consumer.filled_block().unwrap().unwrap()), 2);
/// ```
pub trait Trust: Copy + fmt::Debug + Send + Sync + 'static + private::Sealed {
    /// True if blocks can be used as slices.
    const IS_TRUSTED: bool;
}

/// The peer is not trusted: blocks are copied in and out, or accessed through raw pointers.
#[derive(Clone, Copy, Debug)]
pub enum UntrustedPeer {}

/// The peer is trusted: blocks are slices.
#[derive(Clone, Copy, Debug)]
pub enum TrustedPeer {}

impl Trust for UntrustedPeer {
    const IS_TRUSTED: bool = false;
}

impl Trust for TrustedPeer {
    const IS_TRUSTED: bool = true;
}

impl private::Sealed for UntrustedPeer {}
impl private::Sealed for TrustedPeer {}

mod private {
    pub trait Sealed {}
}

/// The memory that an end's blocks lie in, and the way back to the end. It stays mapped as long as a block is held.
#[derive(Debug)]
pub(crate) struct Memory {
    pub region: Region,
    pub nudge: Arc<Nudge>,
    forks: u32,
}

impl Memory {
    pub(crate) fn new(region: Region, nudge: Arc<Nudge>) -> Arc<Self> {
        Arc::new(Self { region, nudge, forks: forks() })
    }

    /// Returns the address of a block.
    fn block(&self, n: u64) -> *mut u8 {
        self.assert_here();
        self.region.block(n)
    }

    /// Returns the header of a filled block.
    fn header(&self, n: u64) -> BlockHeader {
        self.assert_here();
        let slots = self.region.slots();
        slots[(n % slots.len() as u64) as usize].header()
    }

    /// A forked child has no such memory.
    fn is_of_this_process(&self) -> bool {
        self.forks == forks()
    }

    fn assert_here(&self) {
        assert!(
            self.is_of_this_process(),
            "a block was used in a forked child: only the parent has its memory"
        );
    }
}

/// An empty block: a piece of shared memory, aligned to 4 KiB, that only this process touches until it is sent.
///
/// Its content is unspecified (whatever an earlier block left there). Give it away with
/// [`Producer::send`](crate::Producer::send). If it is dropped instead, it still belongs to the producer and is handed
/// out again.
///
/// Bytes are copied in ([`copy_from`](Self::copy_from)) or written through a raw pointer. Only blocks of a
/// [`TrustedPeer`] are slices ([`Pipe::trust_peer`](crate::Pipe::trust_peer)); the methods of slices below are for those.
///
/// It can be stored, and moved to another thread and back. If it outlives its producer, it can be written to, and
/// nobody will see it.
///
/// # Examples
/// ```
/// # mod setup { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/setup.rs")); }
/// # let (mut producer, mut consumer) = setup::pair();
/// let mut block = producer.empty_block()?;
/// assert_eq!((block.number(), block.capacity()), (0, 4096));
/// assert!(block.is_of_this_process()); // this is no forked child
/// block.set_header(&33_u64.to_le_bytes()); // a timestamp, in this application
/// block.copy_from(0, b"frame ");
/// block.copy_from(6, b"0");
/// producer.send(block, 7)?;
///
/// let block = consumer.filled_block()?.expect("one block");
/// assert_eq!(block.header()[..8], 33_u64.to_le_bytes());
/// assert_eq!(block.to_vec(), b"frame 0");
/// # Ok::<(), blockpipe::PipeError>(())
/// ```
///
/// A system call that takes an address fills a block without a copy, and without trusting the peer:
///
/// ```
/// # mod setup { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/setup.rs")); }
/// # let (mut producer, mut consumer) = setup::pair();
/// # // SAFETY of a stand-in for such a call: the caller passes an address and the number of bytes there.
/// # unsafe fn read(_file: i32, to: *mut u8, most: usize) -> usize { unsafe { to.write_bytes(b'x', most) }; most }
/// # let file = 0;
/// let mut block = producer.empty_block()?;
/// // SAFETY: the call writes at most `capacity` bytes to a block that this process holds.
/// let length = unsafe { read(file, block.as_mut_ptr(), block.capacity()) };
/// producer.send(block, length)?;
/// # assert_eq!(consumer.filled_block()?.unwrap().to_vec(), [b'x'; 4096]);
/// # Ok::<(), blockpipe::PipeError>(())
/// ```
#[derive(Debug)]
#[must_use = "a block that is dropped is not sent"]
pub struct EmptyBlock<T: Trust = UntrustedPeer> {
    memory: Arc<Memory>,
    n: u64,
    header: BlockHeader,
    trust: PhantomData<T>,
}

impl<T: Trust> EmptyBlock<T> {
    pub(crate) fn new(memory: Arc<Memory>, n: u64) -> Self {
        Self { memory, n, header: [0; _], trust: PhantomData }
    }

    /// Takes the block apart, so that dropping it no longer puts it back.
    pub(crate) fn into_parts(self) -> (Arc<Memory>, u64, BlockHeader) {
        let block = ManuallyDrop::new(self);
        // SAFETY: the block is never used or dropped again, so the memory has one owner.
        (unsafe { std::ptr::read(&raw const block.memory) }, block.n, block.header)
    }

    pub(crate) fn belongs_to(&self, memory: &Arc<Memory>) -> bool {
        Arc::ptr_eq(&self.memory, memory)
    }

    /// Returns the number of bytes that fit into the block. See the [example](#examples).
    pub fn capacity(&self) -> usize {
        self.memory.region.geometry().block_size()
    }

    /// Returns the number of the block in the stream; the first one is 0. See the [example](#examples).
    pub fn number(&self) -> u64 {
        self.n
    }

    /// Returns whether this process can access the block's bytes: a forked child cannot, and a call that tries panics
    /// there. See the [example](#examples).
    pub fn is_of_this_process(&self) -> bool {
        self.memory.is_of_this_process()
    }

    /// Sets the block's header, which the consumer reads with [`FilledBlock::header`]: at most 40 bytes, followed by
    /// zeros. All zero without this call. See the [example](#examples).
    ///
    /// # Panics
    /// If there are more bytes.
    pub fn set_header(&mut self, header: &[u8]) {
        assert!(
            header.len() <= self.header.len(),
            "{} bytes are too long for a block's header",
            header.len()
        );
        let (used, rest) = self.header.split_at_mut(header.len());
        used.copy_from_slice(header);
        rest.fill(0);
    }

    /// Copies these bytes into the block, starting at `at`. See the [example](#examples).
    ///
    /// # Panics
    /// If the block is too short.
    pub fn copy_from(&mut self, at: usize, bytes: &[u8]) {
        check_range(at, bytes.len(), self.capacity());
        // SAFETY: the block is mapped as long as it is held, and the bytes fit into it.
        let (head, words, tail) = unsafe { atomics(self.memory.block(self.n).add(at), bytes.len()) };
        let (first, bytes) = bytes.split_at(head.len());
        let (chunks, last) = bytes.as_chunks();
        head.iter().zip(first).for_each(|(to, from)| to.store(*from, Ordering::Relaxed));
        for (word, chunk) in words.iter().zip(chunks) {
            word.store(u64::from_ne_bytes(*chunk), Ordering::Relaxed);
        }
        tail.iter().zip(last).for_each(|(to, from)| to.store(*from, Ordering::Relaxed));
    }

    /// Returns the address of the first byte, aligned to 4 KiB, for as long as the block is held. The peer may be able
    /// to write to these bytes: see [`Pipe::trust_peer`](crate::Pipe::trust_peer). See the [example](#examples).
    pub fn as_mut_ptr(&mut self) -> *mut u8 {
        self.memory.block(self.n)
    }

    /// Returns the block as a slice if the [peer is trusted](crate::Pipe::trust_peer), for code that works either way. See
    /// the example of [`Trust`].
    pub fn trusted_mut(&mut self) -> Option<&mut [u8]> {
        // SAFETY: the block is mapped as long as it is held, any byte is a valid `u8`, and it has one owner:
        // `Filler::owns` reported that the consumer has released it (its release of `emptied`, our acquire), and the
        // window hands it out once. The caller of `trust_peer` has promised that nothing else writes to it.
        T::IS_TRUSTED
            .then(|| unsafe { slice::from_raw_parts_mut(self.memory.block(self.n), self.capacity()) })
    }
}

impl<T: Trust> Drop for EmptyBlock<T> {
    fn drop(&mut self) {
        self.memory.nudge.give_back(Returned::Dropped(self.n));
    }
}

impl Deref for EmptyBlock<TrustedPeer> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: as in `trusted_mut`.
        unsafe { slice::from_raw_parts(self.memory.block(self.n), self.capacity()) }
    }
}

impl DerefMut for EmptyBlock<TrustedPeer> {
    fn deref_mut(&mut self) -> &mut [u8] {
        self.trusted_mut().expect("the peer is trusted")
    }
}

/// A filled block: a piece of shared memory, aligned to 4 KiB, with what the producer sent.
///
/// Give it back with [`Consumer::release`](crate::Consumer::release). If it is dropped instead (after an error or a
/// panic), it counts as not dealt with and is handed out again.
///
/// Bytes are copied out ([`copy_to`](Self::copy_to), [`to_vec`](Self::to_vec)) or read through a raw pointer. Only blocks
/// of a [`TrustedPeer`] are slices ([`Pipe::trust_peer`](crate::Pipe::trust_peer)); the methods of slices below are for
/// those.
///
/// It can be stored, and moved to another thread and back. If it outlives its consumer, its bytes stay as they are.
///
/// # Examples
/// ```
/// # mod setup { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/setup.rs")); }
/// # let (mut producer, mut consumer) = setup::pair();
/// # setup::send(&mut producer, &["frame 0"]);
/// let block = consumer.filled_block()?.expect("one block");
/// assert_eq!((block.number(), block.length(), block.header()), (0, 7, &[0; 40]));
/// let mut word = [0; 5];
/// block.copy_to(0, &mut word);
/// assert_eq!(&word, b"frame");
/// assert_eq!(block.to_vec(), b"frame 0");
/// consumer.release(block)?;
/// # Ok::<(), blockpipe::PipeError>(())
/// ```
///
/// A system call that takes an address needs neither a copy nor a trusted peer:
///
/// ```
/// # mod setup { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/setup.rs")); }
/// # let (mut producer, mut consumer) = setup::pair();
/// # setup::send(&mut producer, &["frame 0"]);
/// # // SAFETY of a stand-in for such a call: the caller passes an address and the number of bytes there.
/// # unsafe fn write(_file: i32, from: *const u8, length: usize) { assert_eq!(unsafe { *from }, b'f'); let _ = length; }
/// # let file = 0;
/// let block = consumer.filled_block()?.expect("one block");
/// // SAFETY: the call reads `length` bytes of a block that this process holds.
/// unsafe { write(file, block.as_ptr(), block.length()) };
/// consumer.release(block)?;
/// # Ok::<(), blockpipe::PipeError>(())
/// ```
#[derive(Debug)]
#[must_use = "a block that is dropped is handed out again"]
pub struct FilledBlock<T: Trust = UntrustedPeer> {
    memory: Arc<Memory>,
    n: u64,
    length: usize,
    /// Read when it is first asked for, and only once.
    header: OnceLock<BlockHeader>,
    trust: PhantomData<T>,
}

impl<T: Trust> FilledBlock<T> {
    pub(crate) fn new(memory: Arc<Memory>, n: u64, length: usize) -> Self {
        Self { memory, n, length, header: OnceLock::new(), trust: PhantomData }
    }

    /// Takes the block apart, so that dropping it no longer puts it back.
    pub(crate) fn into_parts(self) -> (Arc<Memory>, u64, usize) {
        let block = ManuallyDrop::new(self);
        // SAFETY: the block is never used or dropped again, so the memory has one owner.
        (unsafe { std::ptr::read(&raw const block.memory) }, block.n, block.length)
    }

    pub(crate) fn belongs_to(&self, memory: &Arc<Memory>) -> bool {
        Arc::ptr_eq(&self.memory, memory)
    }

    /// Returns the number of bytes that were sent. See the [example](#examples).
    pub fn length(&self) -> usize {
        self.length
    }

    /// Returns the number of the block in the stream; the first one is 0. See the [example](#examples).
    pub fn number(&self) -> u64 {
        self.n
    }

    /// Returns whether this process can access the block's bytes: a forked child cannot, and a call that tries panics
    /// there. See the [example](EmptyBlock#examples).
    pub fn is_of_this_process(&self) -> bool {
        self.memory.is_of_this_process()
    }

    /// Returns the header that the producer has set with [`EmptyBlock::set_header`]; zeros if it has set none. See the
    /// [example](EmptyBlock#examples).
    pub fn header(&self) -> &BlockHeader {
        self.header.get_or_init(|| self.memory.header(self.n))
    }

    /// Copies bytes out, starting at `at`. Reads each byte once. See the [example](#examples).
    ///
    /// # Panics
    /// If the block is too short.
    #[expect(clippy::disallowed_methods, reason = "bytes that were stored as bytes are loaded as bytes")]
    pub fn copy_to(&self, at: usize, to: &mut [u8]) {
        check_range(at, to.len(), self.length);
        // SAFETY: the block is mapped as long as it is held, and these bytes are in it.
        let (head, words, tail) = unsafe { atomics(self.memory.block(self.n).add(at), to.len()) };
        let (first, to) = to.split_at_mut(head.len());
        let (chunks, last) = to.as_chunks_mut();
        first.iter_mut().zip(head).for_each(|(to, from)| *to = from.load(Ordering::Relaxed));
        for (chunk, word) in chunks.iter_mut().zip(words) {
            *chunk = word.load(Ordering::Relaxed).to_ne_bytes();
        }
        last.iter_mut().zip(tail).for_each(|(to, from)| *to = from.load(Ordering::Relaxed));
    }

    /// Copies the whole block out. See the [example](#examples).
    pub fn to_vec(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.length];
        self.copy_to(0, &mut bytes);
        bytes
    }

    /// Returns the address of the first byte, aligned to 4 KiB, for as long as the block is held. The peer may be able
    /// to write to these bytes: see [`Pipe::trust_peer`](crate::Pipe::trust_peer). See the [example](#examples).
    pub fn as_ptr(&self) -> *const u8 {
        self.memory.block(self.n)
    }

    /// Returns the block as a slice if the [peer is trusted](crate::Pipe::trust_peer), for code that works either way. See
    /// the example of [`Trust`].
    pub fn trusted(&self) -> Option<&[u8]> {
        // SAFETY: the block is mapped as long as it is held. The length was read once and checked against the block
        // size (`Drainer::describe`). The producer gave the bytes away before its release of `filled`, which our acquire
        // saw, and gets them back by `release` only; an end that is dropped while a block is held aborts the pipe, so no
        // replacement can release it. The caller of `trust_peer` has promised that nothing else writes to it.
        T::IS_TRUSTED.then(|| unsafe { slice::from_raw_parts(self.memory.block(self.n), self.length) })
    }
}

impl<T: Trust> Drop for FilledBlock<T> {
    fn drop(&mut self) {
        self.memory.nudge.give_back(Returned::Dropped(self.n));
    }
}

impl Deref for FilledBlock<TrustedPeer> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.trusted().expect("the peer is trusted")
    }
}

/// A block that is released when this is dropped.
#[cfg(feature = "bytes")]
struct ReleasedOnDrop {
    memory: Arc<Memory>,
    n: u64,
    length: usize,
}

#[cfg(feature = "bytes")]
impl AsRef<[u8]> for ReleasedOnDrop {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: as in `trusted`; it was made of a block of a trusted peer, and counts as held.
        unsafe { slice::from_raw_parts(self.memory.block(self.n), self.length) }
    }
}

#[cfg(feature = "bytes")]
impl Drop for ReleasedOnDrop {
    fn drop(&mut self) {
        self.memory.nudge.give_back(Returned::Released(self.n, self.length as u64));
    }
}

#[cfg(feature = "bytes")]
impl FilledBlock<TrustedPeer> {
    /// Returns the block as [`bytes::Bytes`], without a copy. It counts as held until the last clone is dropped, and is
    /// then released: the consumer gives it to the producer in its next call, or in the wait that it is in. Needs the
    /// feature `bytes`.
    ///
    /// # Examples
    /// ```
    /// use blockpipe::{Geometry, Pipe};
    ///
    /// # mod setup { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/setup.rs")); }
    /// # let name = setup::name();
    /// // SAFETY: only this user can open the pipe's memory, and both of its ends are this program.
    /// let pipe = unsafe { Pipe::named(&name).trust_peer() };
    /// # let mut producer = pipe.join_as_producer()?;
    /// # producer.ready(Geometry::new(4096, 4), b"")?;
    /// # let mut block = producer.empty_block()?;
    /// # block[..5].copy_from_slice(b"hello");
    /// # producer.send(block, 5)?;
    /// let mut consumer = pipe.join_as_consumer()?;
    /// let bytes = consumer.filled_block()?.expect("one block").into_bytes();
    /// assert_eq!(bytes, "hello");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn into_bytes(self) -> bytes::Bytes {
        let (memory, n, length) = self.into_parts();
        bytes::Bytes::from_owner(ReleasedOnDrop { memory, n, length })
    }
}

#[track_caller]
fn check_range(at: usize, length: usize, size: usize) {
    assert!(
        at <= size && length <= size - at,
        "bytes {at}..{} are outside a block of {size} bytes",
        at.saturating_add(length)
    );
}

/// Views `length` bytes as atomics, which the peer may write to at any time: bytes up to the first multiple of eight,
/// whole words, then the remaining bytes.
///
/// # Safety
/// The bytes are mapped for `'a`.
unsafe fn atomics<'a>(start: *mut u8, length: usize) -> (&'a [AtomicU8], &'a [AtomicU64], &'a [AtomicU8]) {
    let head = start.align_offset(align_of::<AtomicU64>());
    if length < head {
        // A slice needs an aligned address even if it is empty, and there is none between these bytes.
        // SAFETY: as the caller promises; any bytes are valid, and atomics may be shared.
        return (unsafe { slice::from_raw_parts(start.cast(), length) }, &[], &[]);
    }
    let (words, tail) = ((length - head) / 8, (length - head) % 8);
    // SAFETY: as the caller promises; any bytes are valid, atomics may be shared, and the words are aligned.
    unsafe {
        (
            slice::from_raw_parts(start.cast(), head),
            slice::from_raw_parts(start.add(head).cast(), words),
            slice::from_raw_parts(start.add(head + words * 8).cast(), tail),
        )
    }
}
