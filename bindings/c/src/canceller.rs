//! Ending a wait from another thread.

use crate::guard::guard;
use crate::pointer::free;
use crate::result::Failure;
use crate::result::blockpipe_result::{self, BLOCKPIPE_OK};
use pipe::Canceller;

/// A handle that ends a wait of one end. All threads may use it at the same time.
pub struct blockpipe_canceller {
    canceller: Canceller,
}

impl blockpipe_canceller {
    pub(crate) fn new(canceller: Canceller) -> Self {
        Self { canceller }
    }
}

/// Ends the end's current wait with BLOCKPIPE_CANCELED, or its next wait if there is none now. Nothing else changes: the
/// end can be used as before. Does nothing once the end is freed. Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blockpipe_cancel(canceller: *const blockpipe_canceller) -> blockpipe_result {
    guard("blockpipe_cancel", || {
        // SAFETY: by the rules of the header. All threads may share it: `Canceller` is `Sync`.
        let canceller = unsafe { canceller.as_ref() }.ok_or_else(|| Failure::null("canceller"))?;
        canceller.canceller.cancel();
        Ok(BLOCKPIPE_OK)
    })
}

/// Frees the canceller, and sets the caller's pointer to NULL. Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blockpipe_canceller_free(canceller: *mut *mut blockpipe_canceller) {
    // SAFETY: by the rules of the header.
    unsafe { free("blockpipe_canceller_free", canceller) };
}
