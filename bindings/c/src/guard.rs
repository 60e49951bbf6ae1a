//! The boundary to C: panics stop here, and failures become a code and this thread's last message.

use crate::result::blockpipe_result::{self, BLOCKPIPE_INTERNAL};
use crate::result::{Failure, Outcome};
use std::any::Any;
use std::cell::RefCell;
use std::ffi::{CString, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The message and the reason of this thread's last failed call.
#[derive(Default)]
struct Last {
    message: CString,
    reason: Option<(u32, CString)>,
}

thread_local! {
    static LAST: RefCell<Last> = RefCell::default();
}

/// Returns a sentence about the last call on this thread that returned an error: the function, the pipe and its
/// directory, what failed, and the system's reason where there is one. Empty if no call has failed. Calls that do not
/// fail leave it as it is, so read it only after an error.
///
/// The text is UTF-8. It belongs to the library and stays valid until the next call fails on this thread, or the thread
/// ends. Never NULL. Does not block.
#[unsafe(no_mangle)]
pub extern "C" fn blockpipe_last_message() -> *const c_char {
    LAST.try_with(|last| last.borrow().message.as_ptr()).unwrap_or(c"".as_ptr())
}

/// Returns the text with which one end aborted the pipe, and stores its code, if the last call on this thread that
/// returned an error returned BLOCKPIPE_ABORTED. Otherwise returns NULL, and stores 0. `code` may be NULL.
///
/// The text is valid as long as that of `blockpipe_last_message`. Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blockpipe_last_reason(code: *mut u32) -> *const c_char {
    let (number, text) = LAST
        .try_with(|last| last.borrow().reason.as_ref().map(|(number, text)| (*number, text.as_ptr())))
        .ok()
        .flatten()
        .unwrap_or((0, std::ptr::null()));
    // SAFETY: `code` is NULL or valid, by the rules of the header.
    if let Some(code) = unsafe { code.as_mut() } {
        *code = number;
    }
    text
}

/// Runs the body of the exported function `operation`, and stores a message if it fails or panics.
pub(crate) fn guard(operation: &str, body: impl FnOnce() -> Outcome) -> blockpipe_result {
    guard_pipe(operation, || None, body)
}

/// Runs the body of the exported function `operation`, and stores a message with a description of the `pipe` if it
/// fails or panics.
pub(crate) fn guard_pipe(
    operation: &str,
    pipe: impl FnOnce() -> Option<String>,
    body: impl FnOnce() -> Outcome,
) -> blockpipe_result {
    // Unwinding into C would be undefined behaviour. An object that was in use during a panic is memory-safe, but may be
    // inconsistent, so BLOCKPIPE_INTERNAL tells the caller to free it.
    let failure = match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(result)) => return result,
        Ok(Err(failure)) => failure,
        Err(panic) => {
            Failure::new(BLOCKPIPE_INTERNAL, format!("defect of the library: {}", text_of(&*panic)))
        }
    };
    let pipe = catch_unwind(AssertUnwindSafe(pipe)).ok().flatten();
    let pipe = pipe.map_or(String::new(), |pipe| format!("{pipe}: "));
    let last = Last {
        message: c_string(format!("{operation}: {pipe}{}", failure.text)),
        reason: failure.reason.map(|reason| (reason.code, c_string(reason.message))),
    };
    // A thread that frees objects while it ends may have destroyed its message already.
    let _ = LAST.try_with(|stored| stored.replace(last));
    failure.code
}

fn text_of(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("a panic")
}

/// Converts a text into a C string. Zeros, which a peer's text may contain, are replaced.
pub(crate) fn c_string(text: String) -> CString {
    let text: String = if text.contains('\0') { text.replace('\0', "\u{fffd}") } else { text };
    CString::new(text).expect("the zeros were replaced")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::CStr;

    #[test]
    fn a_panic_becomes_a_code_and_a_message() {
        let pipe = || Some("pipe \"p\"".into());
        let result = guard_pipe("blockpipe_test", pipe, || panic!("number {}", 7));
        assert_eq!(result, BLOCKPIPE_INTERNAL);
        // SAFETY: the message is a string that no later call has replaced.
        let message = unsafe { CStr::from_ptr(blockpipe_last_message()) };
        assert_eq!(message, c"blockpipe_test: pipe \"p\": defect of the library: number 7");
    }

    #[test]
    fn zeros_do_not_truncate_a_text() {
        assert_eq!(c_string("a\0b".into()).to_str(), Ok("a\u{fffd}b"));
    }
}
