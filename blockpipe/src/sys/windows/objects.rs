//! Named objects that only this user may open: mutexes, events, and the check that no other user created them.

use super::super::contract::OpenError;
use std::ffi::c_void;
use std::fmt;
use std::io;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::ptr::null_mut;
use std::sync::OnceLock;
use std::time::Duration;
use windows_sys::Win32::Foundation::{
    ERROR_ACCESS_DENIED, ERROR_ALREADY_EXISTS, ERROR_FILE_NOT_FOUND, ERROR_INSUFFICIENT_BUFFER,
    ERROR_INVALID_HANDLE, HANDLE, LocalFree, NTSTATUS, SetLastError, WAIT_ABANDONED, WAIT_OBJECT_0,
    WAIT_TIMEOUT,
};
use windows_sys::Win32::Security::Authorization::{
    ConvertSidToStringSidW, ConvertStringSecurityDescriptorToSecurityDescriptorW, SDDL_REVISION_1,
};
use windows_sys::Win32::Security::{
    ACCESS_ALLOWED_ACE, ACL, DACL_SECURITY_INFORMATION, EqualSid, GetAce, GetKernelObjectSecurity,
    GetSecurityDescriptorDacl, GetSecurityDescriptorOwner, GetTokenInformation, OWNER_SECURITY_INFORMATION,
    PSID, SECURITY_ATTRIBUTES, TOKEN_QUERY, TOKEN_USER, TokenUser,
};
use windows_sys::Win32::System::SystemServices::ACCESS_ALLOWED_ACE_TYPE;
use windows_sys::Win32::System::Threading::{
    CreateEventW, CreateMutexW, GetCurrentProcess, INFINITE, OpenEventW, OpenProcessToken, ReleaseMutex,
    SYNCHRONIZATION_SYNCHRONIZE, WaitForSingleObject,
};

/// Why an object could not be opened.
#[derive(Debug)]
pub(super) enum ObjectError {
    /// The name belongs to something else.
    Foreign(&'static str),
    System(io::Error),
}

impl ObjectError {
    pub(super) fn about(self, name: &str) -> OpenError {
        match self {
            Self::Foreign(what) => OpenError::Foreign { path: name.into(), what },
            Self::System(source) => OpenError::Io { doing: format!("opening {name}"), source },
        }
    }

    /// Returns the last error of this thread, right after the call that failed.
    pub(super) fn last() -> Self {
        let error = io::Error::last_os_error();
        match error.raw_os_error().map(i32::cast_unsigned) {
            Some(ERROR_INVALID_HANDLE) => Self::Foreign("an object of another kind has this name"),
            Some(ERROR_ACCESS_DENIED) => {
                Self::Foreign("belongs to another user, or to a process that runs with more rights")
            }
            _ => Self::System(error),
        }
    }
}

impl From<io::Error> for ObjectError {
    fn from(error: io::Error) -> Self {
        Self::System(error)
    }
}

impl From<ObjectError> for io::Error {
    fn from(failed: ObjectError) -> Self {
        match failed {
            ObjectError::Foreign(what) => Self::new(io::ErrorKind::PermissionDenied, what),
            ObjectError::System(error) => error,
        }
    }
}

/// The names of one pipe's objects.
#[derive(Clone)]
pub(super) struct Names {
    prefix: String,
    user: &'static User,
}

impl fmt::Debug for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.prefix)
    }
}

impl Names {
    pub(super) fn of(key: u128) -> Result<Self, ObjectError> {
        let user = User::of_this_process()?;
        // `Local` is the namespace of this session. Global names would need a right that only services have.
        Ok(Self { prefix: format!(r"Local\blockpipe-{}-{key:032x}", user.name), user })
    }

    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    pub(super) fn full(&self, what: &str) -> String {
        format!("{}-{what}", self.prefix)
    }

    fn wide(&self, what: &str) -> Vec<u16> {
        self.full(what).encode_utf16().chain([0]).collect()
    }

    /// Opens a mutex, or creates one that nobody holds.
    pub(super) fn mutex(&self, what: &str) -> Result<OwnedHandle, ObjectError> {
        // SAFETY: `create` passes attributes and a name that ends with a zero, and both outlive the call.
        // Not owned at once: a process that opens an existing mutex could not tell whether it owns it.
        let (mutex, _) =
            self.create(what, |attributes, name| unsafe { CreateMutexW(attributes, 0, name) })?;
        Ok(mutex)
    }

    /// Opens or creates an event that resets itself when it has woken one sleeper.
    pub(super) fn event(&self, what: &str) -> Result<OwnedHandle, ObjectError> {
        Ok(self.create_event(what)?.0)
    }

    /// Creates an event; `None` if it existed before.
    pub(super) fn new_event(&self, what: &str) -> Result<Option<OwnedHandle>, ObjectError> {
        let (event, existed) = self.create_event(what)?;
        Ok((!existed).then_some(event))
    }

    fn create_event(&self, what: &str) -> Result<(OwnedHandle, bool), ObjectError> {
        // SAFETY: as in `mutex`.
        self.create(what, |attributes, name| unsafe { CreateEventW(attributes, 0, 0, name) })
    }

    /// Returns whether there is an event of this name. The check keeps it alive for a moment.
    pub(super) fn exists(&self, what: &str) -> io::Result<bool> {
        // SAFETY: the name ends with a zero and outlives the call.
        let handle = unsafe { OpenEventW(SYNCHRONIZATION_SYNCHRONIZE, 0, self.wide(what).as_ptr()) };
        if handle.is_null() {
            let error = io::Error::last_os_error();
            let nothing = error.raw_os_error().map(i32::cast_unsigned) == Some(ERROR_FILE_NOT_FOUND);
            return if nothing { Ok(false) } else { Err(error) };
        }
        // SAFETY: the handle was just opened and has no other owner.
        drop(unsafe { OwnedHandle::from_raw_handle(handle) });
        Ok(true)
    }

    /// Creates or opens an object with `make`, and returns whether it existed before. It is never inherited, and never
    /// another user's.
    pub(super) fn create(
        &self,
        what: &str,
        make: impl FnOnce(*const SECURITY_ATTRIBUTES, *const u16) -> HANDLE,
    ) -> Result<(OwnedHandle, bool), ObjectError> {
        let name = self.wide(what);
        let attributes = SECURITY_ATTRIBUTES {
            nLength: size_of::<SECURITY_ATTRIBUTES>() as u32,
            lpSecurityDescriptor: self.user.only.as_ptr().cast_mut().cast(),
            bInheritHandle: 0,
        };
        // SAFETY: sets a number of this thread. Only some systems reset it when an object is new.
        unsafe { SetLastError(0) };
        let handle = make(&raw const attributes, name.as_ptr());
        if handle.is_null() {
            return Err(ObjectError::last());
        }
        let existed =
            io::Error::last_os_error().raw_os_error().map(i32::cast_unsigned) == Some(ERROR_ALREADY_EXISTS);
        // SAFETY: the handle was just opened and has no other owner.
        let handle = unsafe { OwnedHandle::from_raw_handle(handle) };
        if existed {
            self.user.check(&handle)?;
        }
        Ok((handle, existed))
    }

    /// Checks an object that was opened by its name, as `create` does for existing ones.
    pub(super) fn check(&self, handle: &OwnedHandle) -> Result<(), ObjectError> {
        self.user.check(handle)
    }
}

/// The user that this process runs as.
struct User {
    token: Token,
    /// The user's SID as text.
    name: String,
    /// A self-relative security descriptor: this user owns the object, and nobody else has any rights.
    only: Vec<u64>,
}

impl User {
    fn of_this_process() -> Result<&'static Self, ObjectError> {
        static USER: OnceLock<User> = OnceLock::new();
        if let Some(user) = USER.get() {
            return Ok(user);
        }
        let user = Self::ask()?;
        Ok(USER.get_or_init(|| user))
    }

    fn ask() -> Result<Self, ObjectError> {
        let token = Token::of_this_process()?;
        let name = token.sid_text()?;
        let only = descriptor(&format!("O:{name}D:P(A;;GA;;;{name})"))?;
        Ok(Self { token, name, only })
    }

    /// Checks that an existing object belongs to this user and to this user alone.
    fn check(&self, object: &OwnedHandle) -> Result<(), ObjectError> {
        let mut buffer = vec![0_u64; 128];
        let (size, mut needed) = ((buffer.len() * 8) as u32, 0);
        let wanted = OWNER_SECURITY_INFORMATION | DACL_SECURITY_INFORMATION;
        let descriptor: *mut c_void = buffer.as_mut_ptr().cast();
        // SAFETY: the handle is open, and the buffer is as long as the call is told.
        let got = unsafe {
            GetKernelObjectSecurity(object.as_raw_handle(), wanted, descriptor, size, &raw mut needed)
        };
        if got == 0 {
            let error = io::Error::last_os_error();
            let too_long = error.raw_os_error().map(i32::cast_unsigned) == Some(ERROR_INSUFFICIENT_BUFFER);
            return Err(if too_long {
                ObjectError::Foreign("other users may open it")
            } else {
                error.into()
            });
        }
        let (mut owner, mut defaulted): (PSID, _) = (null_mut(), 0);
        // SAFETY: the buffer holds the descriptor that the system has just written; `owner` points into it.
        let got = unsafe { GetSecurityDescriptorOwner(descriptor, &raw mut owner, &raw mut defaulted) };
        // SAFETY: if there is an owner, it is in the descriptor that the system wrote.
        if got == 0 || owner.is_null() || !unsafe { self.is(owner) } {
            return Err(ObjectError::Foreign("belongs to another user"));
        }
        let (mut present, mut list): (_, *mut ACL) = (0, null_mut());
        // SAFETY: as above; `list` points into the buffer.
        let got = unsafe {
            GetSecurityDescriptorDacl(descriptor, &raw mut present, &raw mut list, &raw mut defaulted)
        };
        // SAFETY: if there is a list, it is in the descriptor that the system wrote.
        if got == 0 || present == 0 || list.is_null() || !unsafe { self.is_only_entry(list) } {
            return Err(ObjectError::Foreign("other users may open it"));
        }
        Ok(())
    }

    /// # Safety
    /// `sid` points to a valid SID.
    unsafe fn is(&self, sid: PSID) -> bool {
        // SAFETY: as the caller promises; the other SID is in our token.
        unsafe { EqualSid(sid, self.token.sid()) != 0 }
    }

    /// Returns whether the list grants something to this user and contains no other entry.
    unsafe fn is_only_entry(&self, list: *mut ACL) -> bool {
        let mut entry: *mut c_void = null_mut();
        // SAFETY: as the caller promises, and `entry` points into it.
        if unsafe { (*list).AceCount != 1 || GetAce(list, 0, &raw mut entry) == 0 } {
            return false;
        }
        let entry: *const ACCESS_ALLOWED_ACE = entry.cast();
        // SAFETY: every entry begins with its type; an entry of this type has the layout of this struct and ends in the
        // SID.
        unsafe {
            u32::from((*entry).Header.AceType) == ACCESS_ALLOWED_ACE_TYPE
                && self.is((&raw const (*entry).SidStart).cast_mut().cast())
        }
    }
}

/// A `TOKEN_USER` as the system wrote it, with a pointer into itself.
struct Token(Vec<u64>);

impl Token {
    fn of_this_process() -> io::Result<Self> {
        let mut token = null_mut();
        // SAFETY: the pseudo handle of this process needs no closing, and `token` outlives the call.
        if unsafe { OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &raw mut token) } == 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the handle was just opened and has no other owner.
        let token = unsafe { OwnedHandle::from_raw_handle(token) };
        // The longest SID has 68 bytes.
        let mut buffer = vec![0_u64; 32];
        let mut needed = 0;
        // SAFETY: the handle is open, and the buffer is as long as the call is told.
        let got = unsafe {
            GetTokenInformation(
                token.as_raw_handle(),
                TokenUser,
                buffer.as_mut_ptr().cast(),
                (buffer.len() * 8) as u32,
                &raw mut needed,
            )
        };
        if got == 0 { Err(io::Error::last_os_error()) } else { Ok(Self(buffer)) }
    }

    /// Returns the user's SID, valid as long as this lives.
    fn sid(&self) -> PSID {
        // SAFETY: the buffer is aligned, longer than a `TOKEN_USER`, and begins with one: only the function above
        // creates one.
        unsafe { (*self.0.as_ptr().cast::<TOKEN_USER>()).User.Sid }
    }

    fn sid_text(&self) -> io::Result<String> {
        let mut text = null_mut();
        // SAFETY: the SID is valid; `text` receives memory that we free.
        if unsafe { ConvertSidToStringSidW(self.sid(), &raw mut text) } == 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the text ends with a zero, and everything before it may be read.
        let length = (0..usize::MAX).take_while(|at| unsafe { *text.add(*at) } != 0).count();
        // SAFETY: as just counted; it is freed only afterwards.
        let name = String::from_utf16_lossy(unsafe { std::slice::from_raw_parts(text, length) });
        // SAFETY: the memory came from the call above, whose documentation says to free it so.
        unsafe { LocalFree(text.cast()) };
        Ok(name)
    }
}

fn descriptor(text: &str) -> io::Result<Vec<u64>> {
    let text: Vec<u16> = text.encode_utf16().chain([0]).collect();
    let (mut descriptor, mut size) = (null_mut(), 0);
    // SAFETY: the text ends with a zero; `descriptor` receives memory that we free.
    let got = unsafe {
        ConvertStringSecurityDescriptorToSecurityDescriptorW(
            text.as_ptr(),
            SDDL_REVISION_1,
            &raw mut descriptor,
            &raw mut size,
        )
    };
    if got == 0 {
        return Err(io::Error::last_os_error());
    }
    let mut copy = vec![0_u64; (size as usize).div_ceil(8)];
    // SAFETY: `size` bytes are there to be read, and at least as many to be written; the two do not overlap.
    unsafe {
        std::ptr::copy_nonoverlapping(descriptor.cast::<u8>(), copy.as_mut_ptr().cast(), size as usize);
    };
    // SAFETY: the memory came from the call above, whose documentation says to free it so.
    unsafe { LocalFree(descriptor) };
    Ok(copy)
}

/// Converts to milliseconds, rounded up, so that no wait ends too early.
pub(super) fn milliseconds(time: Duration) -> u32 {
    u32::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(INFINITE - 1).min(INFINITE - 1)
}

/// Waits up to `limit` until this thread owns the mutex. A mutex that was abandoned by a dead owner counts as free.
pub(super) fn acquire_mutex(mutex: &OwnedHandle, limit: Duration) -> io::Result<bool> {
    // SAFETY: the handle is open as long as it is borrowed.
    match unsafe { WaitForSingleObject(mutex.as_raw_handle(), milliseconds(limit)) } {
        WAIT_OBJECT_0 | WAIT_ABANDONED => Ok(true),
        WAIT_TIMEOUT => Ok(false),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Releases the mutex, which this thread must own.
pub(super) fn release_mutex(mutex: &OwnedHandle) -> io::Result<()> {
    // SAFETY: the handle is open as long as it is borrowed; releasing the mutex of another thread is an error and changes nothing.
    if unsafe { ReleaseMutex(mutex.as_raw_handle()) } == 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// A mutex that this thread owns until it is dropped.
#[derive(Debug)]
pub(super) struct Owned<'a>(&'a OwnedHandle);

impl<'a> Owned<'a> {
    pub(super) fn take(mutex: &'a OwnedHandle, limit: Duration) -> io::Result<Option<Self>> {
        Ok(acquire_mutex(mutex, limit)?.then_some(Self(mutex)))
    }
}

impl Drop for Owned<'_> {
    fn drop(&mut self) {
        // This thread owns it, so this cannot fail.
        let _ = release_mutex(self.0);
    }
}

/// The answer of `NtQueryMutant`.
#[repr(C)]
struct MutantState {
    count: i32,
    owned_by_caller: u8,
    abandoned: u8,
}

#[link(name = "ntdll.dll", kind = "raw-dylib", modifiers = "+verbatim")]
unsafe extern "system" {
    fn NtQueryMutant(mutant: HANDLE, class: i32, state: *mut c_void, length: u32, got: *mut u32) -> NTSTATUS;
}

/// Returns whether a living thread owns the mutex. Takes nothing: the documented calls can only query a mutex by taking
/// it.
pub(super) fn is_owned(mutex: &OwnedHandle) -> io::Result<bool> {
    let mut state = MutantState { count: 0, owned_by_caller: 0, abandoned: 0 };
    // SAFETY: the handle is open as long as it is borrowed, and the state is as long as the call is told.
    let status = unsafe {
        NtQueryMutant(
            mutex.as_raw_handle(),
            0,
            (&raw mut state).cast(),
            size_of::<MutantState>() as u32,
            null_mut(),
        )
    };
    if status < 0 {
        return Err(io::Error::other(format!("NtQueryMutant: status {status:#010x}")));
    }
    // 1 means that nobody owns it. Each time its owner takes it, the count goes down by one.
    Ok(state.count < 1)
}
