//! What the two processes of a copy say to each other, and where they meet: the only folder that names `blockpipe`.
//!
//! Reader and Writer are the program's words; in the library they hold the producer and the consumer.

mod halt;
mod handshake;
mod layout;
mod meeting;
mod peers;
pub mod status;
pub mod wire;

pub use blockpipe::{Consumer, FilledBlock, Geometry, PipeError, Producer, Reason, Side, Snapshot};
pub use halt::Halt;
pub use handshake::Hello;
pub use layout::{Layout, choose_layout};
pub use meeting::{HALVES, MIN_BLOCK_SIZE, Meeting, Seat, begin, check_peer, offer, progress, role_of};
pub use peers::Peers;
