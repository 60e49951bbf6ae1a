//! A descriptor that another thread makes readable: a pipe with at most one byte in it.

use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use rustix::io::Errno;
use std::io;
use std::sync::Arc;

/// A descriptor for `poll`, `epoll` or an asynchronous runtime, as returned by
/// [`Producer::readiness`](crate::Producer::readiness) and [`Consumer::readiness`](crate::Consumer::readiness). Only the
/// library reads from it.
///
/// It is readable while [`try_empty_block`](crate::Producer::try_empty_block) or
/// [`try_filled_block`](crate::Consumer::try_filled_block) may find something. Once that call has returned `None`, the
/// descriptor becomes readable when there is a block, or the end of the stream, or the pipe has ended, and every 50 ms
/// while there is no peer. An interrupt flag ([`Pipe::interrupt`](crate::Pipe::interrupt)) makes it readable within
/// 50 ms, too. A thread of the library waits for that.
///
/// All clones are one descriptor, which stays open as long as one of them lives, also after the end is gone.
///
/// Do not mix it with calls that wait: either might then be woken 50 ms late.
///
/// # Examples
/// ```
/// use rustix::event::{PollFd, PollFlags, poll};
///
/// # mod setup { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/setup.rs")); }
/// # let (mut producer, mut consumer) = setup::pair();
/// # setup::send(&mut producer, &["hello"]);
/// # let producer = setup::finish(producer);
/// let readiness = consumer.readiness()?;
/// while !consumer.is_at_end() {
///     // An event loop would wait for other descriptors here, too.
///     poll(&mut [PollFd::new(&readiness, PollFlags::IN)], None)?;
///     while let Some(block) = consumer.try_filled_block()? {
///         consumer.release(block)?;
///     }
/// }
/// consumer.finish()?;
/// # producer.join().unwrap()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// With tokio 1.54 (this library does not depend on it). Joining waits, so it runs in a thread of its own; an
/// [interrupt](crate::Pipe::interrupt) flag ends that wait, which dropping the future would not:
///
/// ```text
/// let pipe = Pipe::named("camera 0").interrupt(stop, Reason::new(2, "the viewer is stopping"));
/// let mut consumer = tokio::task::spawn_blocking(move || pipe.join_as_consumer()).await??;
/// // SAFETY: a `Readiness` keeps its descriptor open, and always returns the same one.
/// let readiness = unsafe { AsyncFd::register_with_interest(consumer.readiness()?, Interest::READABLE)? };
/// while !consumer.is_at_end() {
///     let mut guard = readiness.readable().await?;
///     match consumer.try_filled_block()? {
///         Some(block) => consumer.release(block)?, // after using it
///         None => guard.clear_ready(),
///     }
/// }
/// consumer.finish()?;
/// ```
#[derive(Clone, Debug)]
pub struct Readiness(Arc<(OwnedFd, OwnedFd)>);

impl Readiness {
    pub(crate) fn new() -> io::Result<Self> {
        let (read, write) = rustix::pipe::pipe()?;
        for end in [&read, &write] {
            rustix::io::fcntl_setfd(end, rustix::io::FdFlags::CLOEXEC)?;
            rustix::io::ioctl_fionbio(end, true)?;
        }
        Ok(Self(Arc::new((read, write))))
    }

    pub(crate) fn raise(&self) {
        // If the pipe is full, it is readable already.
        let _ = rustix::io::retry_on_intr(|| rustix::io::write(&self.0.1, &[1]));
    }

    pub(crate) fn clear(&self) {
        let mut bytes = [0; 64];
        while matches!(rustix::io::read(&self.0.0, &mut bytes), Ok(1..) | Err(Errno::INTR)) {}
    }
}

impl AsFd for Readiness {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.0.as_fd()
    }
}

impl AsRawFd for Readiness {
    fn as_raw_fd(&self) -> RawFd {
        self.0.0.as_raw_fd()
    }
}
