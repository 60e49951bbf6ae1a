//! The parts that are specific to macOS: a temporary directory for each user, and, since 14.4, a wait on shared
//! addresses.

pub(crate) use super::super::fifo::forget as unlink_bells;
pub(crate) use super::super::ofd::{Locks, hold, is_held};
pub(crate) use super::super::zeros::write_zeros as reserve;

use super::super::contract::Side;
use super::super::fifo;
use super::super::folder::Folder;
use std::ffi::{CStr, c_int, c_void};
use std::io;
use std::ptr::NonNull;
use std::sync::OnceLock;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

/// Returns the directory of this user's pipes, inside the temporary directory that the system makes for each user.
pub(crate) fn directory() -> String {
    let mut buffer = [0_u8; 1024];
    // SAFETY: the buffer's length is passed correctly; the answer ends with a zero even if it is truncated.
    let length =
        unsafe { libc::confstr(libc::_CS_DARWIN_USER_TEMP_DIR, buffer.as_mut_ptr().cast(), buffer.len()) };
    let folder = CStr::from_bytes_until_nul(&buffer).ok().and_then(|folder| folder.to_str().ok());
    match folder.filter(|_| (1..=buffer.len()).contains(&length)) {
        Some(folder) => format!("{}/blockpipe", folder.trim_end_matches('/')),
        None => format!("/tmp/blockpipe-{}", rustix::process::geteuid().as_raw()),
    }
}

/// There are no user namespaces.
pub(crate) fn unknown_user() -> Option<u32> {
    None
}

/// Keeps these pages out of forked children.
pub(crate) fn keep_from_children(address: NonNull<u8>, length: usize) -> io::Result<()> {
    unsafe extern "C" {
        fn minherit(address: *mut c_void, length: usize, inherit: c_int) -> c_int;
    }
    const VM_INHERIT_NONE: c_int = 2;
    // SAFETY: the range is a whole mapping of this process; the call changes only what its children get.
    if unsafe { minherit(address.as_ptr().cast(), length, VM_INHERIT_NONE) } == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

type Wait = unsafe extern "C" fn(*mut c_void, u64, usize, u32, u32, u64) -> c_int;
type Wake = unsafe extern "C" fn(*mut c_void, usize, u32) -> c_int;

/// `OS_SYNC_WAIT_ON_ADDRESS_SHARED` and `OS_SYNC_WAKE_BY_ADDRESS_SHARED`.
const SHARED: u32 = 1;
/// `OS_CLOCK_MACH_ABSOLUTE_TIME`.
const CLOCK: u32 = 32;

/// Returns the calls of macOS 14.4, if this system has them.
fn calls() -> Option<(Wait, Wake)> {
    static CALLS: OnceLock<Option<(Wait, Wake)>> = OnceLock::new();
    *CALLS.get_or_init(|| {
        // SAFETY: the names end with zeros; looking up a name changes nothing.
        let find = |name: &CStr| unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
        let wait = NonNull::new(find(c"os_sync_wait_on_address_with_timeout"))?;
        let wake = NonNull::new(find(c"os_sync_wake_by_address_any"))?;
        // SAFETY: these names stand for functions with these arguments (os/os_sync_wait_on_address.h).
        Some(unsafe {
            (
                std::mem::transmute::<*mut c_void, Wait>(wait.as_ptr()),
                std::mem::transmute::<*mut c_void, Wake>(wake.as_ptr()),
            )
        })
    })
}

/// A wait on the sleeper's word; on older systems, a FIFO.
#[derive(Debug)]
pub(crate) enum Bell {
    Word(Wait, Wake),
    Fifo(fifo::Bell),
}

impl Bell {
    pub(crate) fn open(folder: &Folder, key: &str, sleeper: Side) -> io::Result<Self> {
        match calls() {
            Some((wait, wake)) => Ok(Self::Word(wait, wake)),
            None => Ok(Self::Fifo(fifo::Bell::open(folder, key, sleeper)?)),
        }
    }

    pub(crate) fn sleep(&self, word: &AtomicU32, limit: Duration) {
        match self {
            Self::Word(wait, _) => {
                let limit = u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX).max(1);
                // SAFETY: the word is four bytes, aligned, and mapped as long as it is borrowed. Every outcome (woken,
                // word changed, timed out, signal) means the same: check again.
                unsafe { wait(word.as_ptr().cast(), 1, size_of::<u32>(), SHARED, CLOCK, limit) };
            }
            Self::Fifo(bell) => bell.sleep(word, limit),
        }
    }

    pub(crate) fn ring(&self, word: &AtomicU32) {
        match self {
            Self::Word(_, wake) => {
                // SAFETY: as in `sleep`. It is not an error if nobody sleeps.
                unsafe { wake(word.as_ptr().cast(), size_of::<u32>(), SHARED) };
            }
            Self::Fifo(bell) => bell.ring(word),
        }
    }
}
