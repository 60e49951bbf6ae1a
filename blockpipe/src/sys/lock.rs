//! The three locks of a pipe that is a file.

use super::contract::Side;

/// The locks of a pipe. The numbers are the offsets of the bytes, where bytes are locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lock {
    Gate = 0,
    Producer = 1,
    Consumer = 2,
}

impl From<Side> for Lock {
    fn from(seat: Side) -> Self {
        match seat {
            Side::Producer => Self::Producer,
            Side::Consumer => Self::Consumer,
        }
    }
}
