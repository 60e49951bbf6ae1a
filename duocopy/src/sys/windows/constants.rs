//! Numbers of the system that no crate here declares, and the bits of a mode on Windows.

// From winnt.h and winbase.h.
pub const FILE_ATTRIBUTE_READONLY: u32 = 0x1;
pub const FILE_ATTRIBUTE_HIDDEN: u32 = 0x2;
pub const FILE_ATTRIBUTE_SYSTEM: u32 = 0x4;
pub const FILE_ATTRIBUTE_SPARSE_FILE: u32 = 0x200;
pub const FILE_ATTRIBUTE_COMPRESSED: u32 = 0x800;
pub const FILE_FLAG_OPEN_REPARSE_POINT: u32 = 0x0020_0000;
pub const FILE_FLAG_BACKUP_SEMANTICS: u32 = 0x0200_0000;
pub const FILE_FLAG_SEQUENTIAL_SCAN: u32 = 0x0800_0000;
pub const FILE_FLAG_NO_BUFFERING: u32 = 0x2000_0000;
pub const FILE_SHARE_READ: u32 = 1;
pub const FILE_SHARE_WRITE: u32 = 2;
pub const FILE_SHARE_DELETE: u32 = 4;
pub const FILE_WRITE_ATTRIBUTES: u32 = 0x100;
pub const GENERIC_READ: u32 = 0x8000_0000;
pub const ERROR_ACCESS_DENIED: i32 = 5;
pub const ERROR_SHARING_VIOLATION: i32 = 32;
pub const ERROR_LOCK_VIOLATION: i32 = 33;

/// The mode bit that says that a file is not read-only.
pub const MODE_WRITABLE: u32 = 0o200;
/// Attributes that Unix does not have, above the bits of a Unix mode.
pub const MODE_HIDDEN: u32 = 1 << 16;
pub const MODE_SYSTEM: u32 = 1 << 17;
