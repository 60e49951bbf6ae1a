//! The memory that both processes have mapped, as types: the header, and the region of descriptors and blocks.

use crate::layout::{self, Geometry, Header};
use crate::reason::Reason;
use crate::ring::Slot;
use crate::sync::Ordering;
use crate::sys::{Seats, Segment, Side};
use std::slice;

/// A pipe's header in this process's memory.
#[derive(Debug)]
pub(crate) struct Shared(Segment);

impl Shared {
    pub(crate) fn map(seats: &Seats) -> std::io::Result<Self> {
        let segment = seats.header()?;
        assert!(segment.length() >= layout::HEADER_LENGTH, "the header is mapped in full");
        Ok(Self(segment))
    }

    /// Copies the header as it is now, so that nobody can take it away.
    pub(crate) fn copy(seats: &Seats) -> std::io::Result<Self> {
        let segment = seats.header_copy()?;
        assert!(segment.length() >= layout::HEADER_LENGTH, "the header is copied in full");
        Ok(Self(segment))
    }

    pub(crate) fn header(&self) -> &Header {
        // SAFETY: the mapping is page-aligned, at least as long as a `Header` (checked in `map` and `copy`), and lives
        // as long as `self`. A `Header` is atomics only: any bytes are valid, and both sides may touch them at any
        // time.
        unsafe { self.0.address().cast().as_ref() }
    }

    pub(crate) fn reason(&self, by: Side) -> Reason {
        let area = match by {
            Side::Producer => &self.header().producer_reason,
            Side::Consumer => &self.header().consumer_reason,
        };
        let message = area.message.get();
        // The text may have been cut in the middle of a character.
        let message = String::from_utf8_lossy(&message).trim_end_matches(char::REPLACEMENT_CHARACTER).into();
        Reason { code: area.code.load(Ordering::Relaxed), message }
    }

    pub(crate) fn set_reason(&self, by: Side, reason: &Reason) {
        let area = match by {
            Side::Producer => &self.header().producer_reason,
            Side::Consumer => &self.header().consumer_reason,
        };
        area.message.set(reason.message.as_bytes());
        area.code.store(reason.code, Ordering::Relaxed);
    }

    /// Returns what the consumer has said about itself, once it has begun.
    pub(crate) fn consumer_hello(&self) -> Option<Vec<u8>> {
        let begun = self.header().ring.consumer.begun.load(Ordering::Acquire) != 0;
        begun.then(|| self.header().consumer_hello.get())
    }
}

/// The descriptors and blocks of one pairing. The mapping has been checked to be as long as the geometry requires.
#[derive(Debug)]
pub(crate) struct Region {
    segment: Segment,
    geometry: Geometry,
}

impl Region {
    pub(crate) fn new(segment: Segment, geometry: Geometry) -> Self {
        assert!(
            segment.length() as u64 >= geometry.region_length(),
            "the region is as long as the geometry requires"
        );
        Self { segment, geometry }
    }

    pub(crate) fn geometry(&self) -> Geometry {
        self.geometry
    }

    pub(crate) fn slots(&self) -> &[Slot] {
        // SAFETY: the mapping begins page-aligned with `blocks` descriptors (checked in `new`), lives as long as
        // `self`, and a `Slot` is atomics only: any bytes are valid, and both sides may touch them at any time.
        unsafe { slice::from_raw_parts(self.segment.address().as_ptr().cast(), self.geometry.blocks()) }
    }

    /// Returns the address of the first byte of block `n` of the stream.
    pub(crate) fn block(&self, n: u64) -> *mut u8 {
        // SAFETY: `block_start` plus a whole block is at most `region_length`, which is mapped (checked in `new`).
        unsafe { self.segment.address().as_ptr().add(self.geometry.block_start(n) as usize) }
    }
}
