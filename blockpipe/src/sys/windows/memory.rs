//! Memory that two processes share: sections of the page file.

use super::objects::{Names, ObjectError};
use std::io;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::ptr::NonNull;
use windows_sys::Win32::Foundation::{
    ERROR_ALREADY_EXISTS, ERROR_COMMITMENT_LIMIT, ERROR_DISK_FULL, ERROR_NO_SYSTEM_RESOURCES,
    ERROR_NOT_ENOUGH_MEMORY, ERROR_NOT_ENOUGH_QUOTA, ERROR_PAGEFILE_QUOTA, INVALID_HANDLE_VALUE,
};
use windows_sys::Win32::System::Memory::{
    CreateFileMappingW, FILE_MAP_READ, FILE_MAP_WRITE, MEMORY_BASIC_INFORMATION, MEMORY_MAPPED_VIEW_ADDRESS,
    MapViewOfFile, OpenFileMappingW, PAGE_READWRITE, UnmapViewOfFile, VirtualQuery,
};

/// How to get a section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// It must not exist.
    Create,
    /// It must exist.
    Open,
    OpenOrCreate,
}

/// A section in this process's memory. The handle keeps its name alive for processes that come later.
#[derive(Debug)]
pub(crate) struct Segment {
    address: NonNull<u8>,
    length: usize,
    _section: OwnedHandle,
}

// SAFETY: the mapping belongs to the process and not to a thread; users of the bytes order their accesses themselves.
unsafe impl Send for Segment {}
// SAFETY: as above: a shared reference gives only the address and the length.
unsafe impl Sync for Segment {}

impl Segment {
    /// Opens or creates a section. Also returns whether it existed before.
    pub(super) fn named(
        names: &Names,
        what: &str,
        length: u64,
        access: Access,
    ) -> Result<(Self, bool), ObjectError> {
        let length_here = usize::try_from(length).map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory))?;
        let (section, existed) = match access {
            Access::Open => (open(names, what)?, true),
            Access::Create | Access::OpenOrCreate => {
                let (high, low) = ((length >> 32) as u32, length as u32);
                let (section, existed) = names
                    .create(what, |attributes, name| {
                        // SAFETY: `create` passes attributes and a name that ends with a zero, and both outlive the
                        // call. The whole length is committed at once: lack of space is an error here, not a fault
                        // later.
                        unsafe {
                            CreateFileMappingW(
                                INVALID_HANDLE_VALUE,
                                attributes,
                                PAGE_READWRITE,
                                high,
                                low,
                                name,
                            )
                        }
                    })
                    .map_err(no_space)?;
                if existed && access == Access::Create {
                    return Err(io::Error::from_raw_os_error(ERROR_ALREADY_EXISTS.cast_signed()).into());
                }
                (section, existed)
            }
        };
        Ok((Self::map(section, length_here)?, existed))
    }

    fn map(section: OwnedHandle, length: usize) -> io::Result<Self> {
        // SAFETY: a new view at an address of the system's choice touches no existing memory; 0 maps all of it.
        let view = unsafe { MapViewOfFile(section.as_raw_handle(), FILE_MAP_READ | FILE_MAP_WRITE, 0, 0, 0) };
        let Some(address) = NonNull::new(view.Value.cast()) else {
            return Err(io::Error::from(no_space(io::Error::last_os_error().into())));
        };
        let segment = Self { address, length, _section: section };
        let mut about = MEMORY_BASIC_INFORMATION::default();
        // SAFETY: `about` is as long as the call is told. The view is one region: nobody has changed the protection of
        // a part.
        let got = unsafe {
            VirtualQuery(address.as_ptr().cast(), &raw mut about, size_of::<MEMORY_BASIC_INFORMATION>())
        };
        if got == 0 {
            return Err(io::Error::last_os_error());
        }
        if about.RegionSize < length {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the pipe's memory is shorter than its header says",
            ));
        }
        Ok(segment)
    }

    /// Returns the address of the first byte, aligned to a page.
    pub(crate) fn address(&self) -> NonNull<u8> {
        self.address
    }

    /// Returns the number of mapped bytes.
    pub(crate) fn length(&self) -> usize {
        self.length
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        // SAFETY: the address is that of a view which only this value owns.
        let _ =
            unsafe { UnmapViewOfFile(MEMORY_MAPPED_VIEW_ADDRESS { Value: self.address.as_ptr().cast() }) };
    }
}

/// The right to read the owner, in addition to what a view needs.
const READ_CONTROL: u32 = 0x0002_0000;

fn open(names: &Names, what: &str) -> Result<OwnedHandle, ObjectError> {
    let name: Vec<u16> = names.full(what).encode_utf16().chain([0]).collect();
    // SAFETY: the name ends with a zero and outlives the call.
    let handle = unsafe { OpenFileMappingW(FILE_MAP_READ | FILE_MAP_WRITE | READ_CONTROL, 0, name.as_ptr()) };
    if handle.is_null() {
        return Err(ObjectError::last());
    }
    // SAFETY: the handle was just opened and has no other owner.
    let section = unsafe { OwnedHandle::from_raw_handle(handle) };
    names.check(&section)?;
    Ok(section)
}

/// Reports the various errors for full memory or a full page file as one kind; the system's error is inside.
fn no_space(failed: ObjectError) -> ObjectError {
    let ObjectError::System(error) = failed else { return failed };
    match error.raw_os_error().map(i32::cast_unsigned) {
        Some(
            ERROR_COMMITMENT_LIMIT
            | ERROR_DISK_FULL
            | ERROR_NO_SYSTEM_RESOURCES
            | ERROR_NOT_ENOUGH_MEMORY
            | ERROR_NOT_ENOUGH_QUOTA
            | ERROR_PAGEFILE_QUOTA,
        ) => ObjectError::System(io::Error::new(io::ErrorKind::StorageFull, error)),
        _ => ObjectError::System(error),
    }
}
