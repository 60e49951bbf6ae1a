//! The pipe between the two processes of a copy, and the messages that they exchange. Only this folder names
//! `blockpipe`.
//!
//! What `duocopy` calls Reader and Writer are the producer and the consumer of `blockpipe`.

mod frame;
mod halt;
mod handshake;
mod layout;
mod meeting;
mod peers;
pub mod status;
pub mod wire;

pub use blockpipe::Directory as PipeDirectory;
pub use blockpipe::ResumePoint as PipePoint;
pub use blockpipe::{
    Consumer, FilledBlock, Geometry, Pipe, PipeError, Producer, Reason, Side, Snapshot, Trust,
};
pub use frame::{Frame, advance, pack_point, pack_trailer, unpack_trailer};
pub use halt::{Halt, is_removal};
pub use handshake::Hello;
pub use layout::{Layout, choose_layout};
pub use meeting::{
    HALVES, MIN_BLOCK_SIZE, Meeting, Place, Seat, begin, check_peer, identified, offer, progress, role_of,
    start,
};
pub use peers::Peers;
