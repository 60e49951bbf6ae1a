//! Windows: a pipe is a handful of named objects, and processes can be suspended.

use super::{Actor, Name};
use std::io;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::process::Child;
use std::ptr::null_mut;
use windows_sys::Win32::Foundation::{
    ERROR_INTERNAL_ERROR, GetHandleInformation, HANDLE, HANDLE_FLAG_INHERIT, LocalFree, NTSTATUS,
    WAIT_OBJECT_0,
};
use windows_sys::Win32::Security::Authorization::{
    ConvertSidToStringSidW, ConvertStringSecurityDescriptorToSecurityDescriptorW,
};
use windows_sys::Win32::Security::{
    GetTokenInformation, SECURITY_ATTRIBUTES, TOKEN_QUERY, TOKEN_USER, TokenUser,
};
use windows_sys::Win32::System::Memory::{
    FILE_MAP_WRITE, MEMORY_MAPPED_VIEW_ADDRESS, MapViewOfFile, OpenFileMappingW, UnmapViewOfFile,
};
use windows_sys::Win32::System::Threading::{
    CreateMutexW, GetCurrentProcess, OpenMutexW, OpenProcessToken, ReleaseMutex, SYNCHRONIZATION_SYNCHRONIZE,
    WaitForSingleObject,
};

#[link(name = "ntdll.dll", kind = "raw-dylib", modifiers = "+verbatim")]
unsafe extern "system" {
    fn NtSuspendProcess(process: HANDLE) -> NTSTATUS;
    fn NtResumeProcess(process: HANDLE) -> NTSTATUS;
}

/// Returns whether the next attempt to start a program may succeed after this error. Wine sometimes answers "internal
/// error" if the new process is gone before it has run, which happens right after a kill.
pub fn passes(error: &io::Error) -> bool {
    error.raw_os_error() == Some(ERROR_INTERNAL_ERROR.cast_signed())
}

pub fn wide(text: &str) -> Vec<u16> {
    text.encode_utf16().chain([0]).collect()
}

/// Returns the SID of the user that runs the tests.
pub fn user() -> String {
    let mut token = null_mut();
    // SAFETY: the pseudo handle needs no closing.
    assert!(unsafe { OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &raw mut token) } != 0);
    // SAFETY: just opened.
    let token = unsafe { OwnedHandle::from_raw_handle(token) };
    let (mut buffer, mut size) = ([0_u64; 32], 0);
    let (room, into) = (size_of_val(&buffer) as u32, buffer.as_mut_ptr().cast());
    // SAFETY: the buffer is as long as the call is received.
    let got = unsafe { GetTokenInformation(token.as_raw_handle(), TokenUser, into, room, &raw mut size) };
    assert!(got != 0, "{}", io::Error::last_os_error());
    let mut text = null_mut();
    // SAFETY: the buffer begins with the requested structure; the text is freed below.
    let got =
        unsafe { ConvertSidToStringSidW((*buffer.as_ptr().cast::<TOKEN_USER>()).User.Sid, &raw mut text) };
    assert!(got != 0, "{}", io::Error::last_os_error());
    // SAFETY: the text ends with a zero, and is freed once.
    unsafe {
        let length = (0..usize::MAX).take_while(|at| *text.add(*at) != 0).count();
        let user = String::from_utf16(std::slice::from_raw_parts(text, length)).unwrap();
        LocalFree(text.cast());
        user
    }
}

impl Name {
    pub fn location(&self) -> String {
        format!(r"Local\blockpipe-{}-{:032x}", user(), self.key())
    }

    /// Returns the full name of one of its objects, ended by a zero.
    pub fn object(&self, what: &str) -> Vec<u16> {
        wide(&format!("{}-{what}", self.location()))
    }

    pub fn exists(&self) -> bool {
        self.find_header().is_some()
    }

    /// Opens what two processes share under this name.
    pub fn header(&self) -> Header {
        self.find_header().expect("a pipe has a header")
    }

    fn find_header(&self) -> Option<Header> {
        let root = Header::open(&self.object("root"))?;
        let number = u64::from(root.word(0)) | u64::from(root.word(4)) << 32;
        Header::open(&self.object(&format!("header-{number:016x}")))
    }

    /// Returns the gate, locked by this thread.
    pub fn locked_gate(&self) -> Mutex {
        let mutex = mutex(&self.object("gate"), &format!("O:{0}D:P(A;;GA;;;{0})", user()));
        // SAFETY: it is open.
        assert_eq!(unsafe { WaitForSingleObject(mutex.as_raw_handle(), 1000) }, WAIT_OBJECT_0);
        Mutex(mutex)
    }

    /// Returns whether a process has the consumer's seat.
    fn has_consumer(&self) -> bool {
        // SAFETY: the name ends with a zero.
        let handle =
            unsafe { OpenMutexW(SYNCHRONIZATION_SYNCHRONIZE, 0, self.object("consumer-alive").as_ptr()) };
        if handle.is_null() {
            return false;
        }
        // SAFETY: just opened.
        let mutex = unsafe { OwnedHandle::from_raw_handle(handle) };
        // SAFETY: it is open. If the mutex is acquired, it was free, and is released at once.
        unsafe {
            let free = WaitForSingleObject(mutex.as_raw_handle(), 0) == WAIT_OBJECT_0;
            if free {
                ReleaseMutex(mutex.as_raw_handle());
            }
            !free
        }
    }
}

/// Creates a mutex with these rights, given in the security descriptor definition language.
pub fn mutex(name: &[u16], rights: &str) -> OwnedHandle {
    let (rights, mut descriptor) = (wide(rights), null_mut());
    // SAFETY: the text ends with a zero; the descriptor is freed below.
    let got = unsafe {
        ConvertStringSecurityDescriptorToSecurityDescriptorW(
            rights.as_ptr(),
            1,
            &raw mut descriptor,
            null_mut(),
        )
    };
    assert!(got != 0, "{}", io::Error::last_os_error());
    let attributes = SECURITY_ATTRIBUTES {
        nLength: size_of::<SECURITY_ATTRIBUTES>() as u32,
        lpSecurityDescriptor: descriptor,
        bInheritHandle: 0,
    };
    // SAFETY: the name ends with a zero, and the attributes are whole; the descriptor is not used afterwards.
    unsafe {
        let handle = CreateMutexW(&raw const attributes, 0, name.as_ptr());
        assert!(!handle.is_null(), "{}", io::Error::last_os_error());
        LocalFree(descriptor);
        OwnedHandle::from_raw_handle(handle)
    }
}

/// A mutex that this thread owns.
pub struct Mutex(OwnedHandle);

impl Drop for Mutex {
    fn drop(&mut self) {
        // SAFETY: it is open, and this thread owns it.
        unsafe { ReleaseMutex(self.0.as_raw_handle()) };
    }
}

/// A mapped section, word by word.
pub struct Header(*mut u32);

impl Header {
    fn open(name: &[u16]) -> Option<Self> {
        // SAFETY: the name ends with a zero.
        let handle = unsafe { OpenFileMappingW(FILE_MAP_WRITE, 0, name.as_ptr()) };
        if handle.is_null() {
            return None;
        }
        // SAFETY: just opened.
        let section = unsafe { OwnedHandle::from_raw_handle(handle) };
        // SAFETY: it is open, and the view is new memory.
        let view = unsafe { MapViewOfFile(section.as_raw_handle(), FILE_MAP_WRITE, 0, 0, 4096) };
        Some(Self(view.Value.cast()))
    }

    pub fn word(&self, at: usize) -> u32 {
        assert!(at < 4096 && at.is_multiple_of(4));
        // SAFETY: inside the view.
        unsafe { self.0.add(at / 4).read_volatile() }
    }

    pub fn set_word(&self, at: usize, word: u32) {
        assert!(at < 4096 && at.is_multiple_of(4));
        // SAFETY: inside the view.
        unsafe { self.0.add(at / 4).write_volatile(word) };
    }
}

impl Drop for Header {
    fn drop(&mut self) {
        // SAFETY: only this value owns the view.
        unsafe { UnmapViewOfFile(MEMORY_MAPPED_VIEW_ADDRESS { Value: self.0.cast() }) };
    }
}

impl Actor {
    /// Stops the process, as a debugger does.
    pub fn stop(&self) {
        // SAFETY: the child's handle is open.
        assert!(unsafe { NtSuspendProcess(handle(&self.child)) } >= 0);
    }

    pub fn go_on(&self) {
        // SAFETY: the child's handle is open.
        assert!(unsafe { NtResumeProcess(handle(&self.child)) } >= 0);
    }

    /// Returns whether the process has opened the pipe of this name, as the second one.
    #[expect(clippy::unused_self, reason = "elsewhere it is asked of the process")]
    pub fn has_opened(&self, name: &Name) -> bool {
        name.has_consumer()
    }
}

fn handle(child: &Child) -> HANDLE {
    child.as_raw_handle()
}

/// Returns how many handles this process has open, and how many of them its children would inherit.
pub fn handles() -> (usize, usize) {
    let (mut open, mut inherited) = (0, 0);
    // Handles are small multiples of four. (Not every system can count them.)
    for number in (4_usize..8192).step_by(4) {
        let mut flags = 0;
        // SAFETY: a number that is not a handle causes an error.
        if unsafe { GetHandleInformation(number as HANDLE, &raw mut flags) } != 0 {
            open += 1;
            inherited += usize::from(flags & HANDLE_FLAG_INHERIT != 0);
        }
    }
    (open, inherited)
}
