//! Pointers from C, which may be NULL. Everything else about them is promised by the rules of the header.

use crate::guard::guard;
use crate::result::blockpipe_result::{self, BLOCKPIPE_NOTHING, BLOCKPIPE_OK};
use crate::result::{Failure, Outcome};
use pipe::Reason;
use std::ffi::{CStr, c_char, c_void};
use std::slice;

/// Borrows an object or an out-parameter.
///
/// # Safety
/// The pointer is NULL, or valid and used by nobody else during `'a`.
pub(crate) unsafe fn borrow<'a, T>(pointer: *mut T, argument: &str) -> Result<&'a mut T, Failure> {
    // SAFETY: as the caller promises.
    unsafe { pointer.as_mut() }.ok_or_else(|| Failure::null(argument))
}

/// Takes an object out of the caller's variable, which is NULL from now on.
///
/// # Safety
/// `variable` is NULL, or valid and used by nobody else during the call, and holds NULL or a pointer from [`give`]
/// that was not taken since.
pub(crate) unsafe fn take<T>(variable: *mut *mut T, argument: &str) -> Result<Box<T>, Failure> {
    // SAFETY: as the caller promises.
    let variable = unsafe { borrow(variable, argument)? };
    let object = std::mem::replace(variable, std::ptr::null_mut());
    if object.is_null() {
        return Err(Failure::null(argument));
    }
    // SAFETY: `give` made it with `Box::into_raw`, and it is taken only once, because the variable is NULL now.
    Ok(unsafe { Box::from_raw(object) })
}

/// Runs the exported function `operation`, which frees an object if there is one.
///
/// # Safety
/// As [`take`].
pub(crate) unsafe fn free<T>(operation: &str, variable: *mut *mut T) {
    guard(operation, || {
        // SAFETY: as the caller promises.
        drop(unsafe { take(variable, "") }.ok());
        Ok(BLOCKPIPE_OK)
    });
}

/// Prepares an out-parameter for an object: NULL, until [`give`] stores one. Must run before anything that can fail.
///
/// # Safety
/// The pointer is NULL, or valid for writes and used by nobody else during `'a`. What it points to may be uninitialised.
pub(crate) unsafe fn out<'a, T>(variable: *mut *mut T, argument: &str) -> Result<&'a mut *mut T, Failure> {
    if variable.is_null() {
        return Err(Failure::null(argument));
    }
    // SAFETY: it is valid for writes, and initialised once this line is done, so there can be a reference.
    unsafe {
        variable.write(std::ptr::null_mut());
        Ok(&mut *variable)
    }
}

/// Stores an object for the caller, who owns it from now on.
pub(crate) fn give<T>(variable: &mut *mut T, object: T) {
    *variable = Box::into_raw(Box::new(object));
}

/// Stores a plain value, unless the caller passes NULL because it does not need the value.
///
/// # Safety
/// The pointer is NULL or valid for writes.
pub(crate) unsafe fn store<T>(to: *mut T, value: T) {
    if !to.is_null() {
        // SAFETY: as the caller promises.
        unsafe { to.write(value) };
    }
}

/// Stores a plain value like [`store`]. Returns BLOCKPIPE_NOTHING if there is none.
///
/// # Safety
/// As [`store`].
pub(crate) unsafe fn store_some<T>(to: *mut T, value: Option<T>) -> blockpipe_result {
    let Some(value) = value else { return BLOCKPIPE_NOTHING };
    // SAFETY: as the caller promises.
    unsafe { store(to, value) };
    BLOCKPIPE_OK
}

/// Borrows bytes of the caller. NULL with a length of 0 is an empty slice.
///
/// # Safety
/// The pointer is NULL, or `length` bytes there are initialised and do not change during `'a`.
pub(crate) unsafe fn bytes<'a>(
    data: *const c_void,
    length: usize,
    argument: &str,
) -> Result<&'a [u8], Failure> {
    if length == 0 {
        return Ok(&[]);
    }
    if data.is_null() {
        return Err(Failure::null(argument));
    }
    if length > isize::MAX as usize {
        return Err(Failure::misuse("a length is larger than any object"));
    }
    // SAFETY: not NULL and not too long, as was checked; the rest is the caller's promise.
    Ok(unsafe { slice::from_raw_parts(data.cast(), length) })
}

/// Copies bytes of a fixed number, such as a resume point; `None` if the pointer is NULL.
///
/// # Safety
/// The pointer is NULL, or N bytes there are initialised.
pub(crate) unsafe fn array<const N: usize>(data: *const u8) -> Option<[u8; N]> {
    // SAFETY: as the caller promises; an array of bytes has no alignment.
    (!data.is_null()).then(|| unsafe { data.cast::<[u8; N]>().read() })
}

/// Borrows a string of the caller.
///
/// # Safety
/// The pointer is NULL, or to bytes that end with a zero and do not change during `'a`.
pub(crate) unsafe fn string<'a>(text: *const c_char, argument: &str) -> Result<&'a CStr, Failure> {
    // SAFETY: as the caller promises.
    (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) }).ok_or_else(|| Failure::null(argument))
}

/// Converts a code and a text, which may be NULL, into a reason.
///
/// # Safety
/// As [`string`].
pub(crate) unsafe fn reason(code: u32, text: *const c_char) -> Reason {
    // SAFETY: as the caller promises.
    let text = unsafe { string(text, "text") };
    Reason::new(code, text.map(|text| text.to_string_lossy()).unwrap_or_default())
}

/// Copies bytes into a buffer of the caller, as many as fit, and stores how many there are.
///
/// # Safety
/// `buffer` is NULL or valid for writes of `capacity` bytes; `length` is NULL or valid for writes.
pub(crate) unsafe fn copy_out(
    from: &[u8],
    buffer: *mut c_void,
    capacity: usize,
    length: *mut usize,
) -> Outcome {
    if buffer.is_null() && capacity > 0 {
        return Err(Failure::null("buffer"));
    }
    let copied = from.len().min(capacity);
    if copied > 0 {
        // SAFETY: the buffer is not NULL, and holds at least `copied` bytes. It is the caller's, so not part of `from`.
        unsafe { buffer.cast::<u8>().copy_from_nonoverlapping(from.as_ptr(), copied) };
    }
    // SAFETY: as the caller promises.
    unsafe { store(length, from.len()) };
    Ok(BLOCKPIPE_OK)
}
