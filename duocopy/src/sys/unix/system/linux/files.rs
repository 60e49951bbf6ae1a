//! What a file's length and times mean, and how to ask for them.

use crate::sys::contract::{FileId, FileKind, FileSystemKind, Stat};
use crate::sys::unix::file::{file_kind, fstat};
use nix::time::ClockId;
use rustix::fs::{AtFlags, FsWord, StatxFlags, statx};
use rustix::io::Errno;
use std::fs::File;
use std::io;

/// The file systems of linux/magic.h that produce content when it is read: proc, sysfs, cgroup, cgroup2, debugfs,
/// tracefs, securityfs. Reading from some of their files takes the bytes away.
pub(super) const PSEUDO: [FsWord; 7] =
    [0x9fa0, 0x6265_6572, 0x0027_e0eb, 0x6367_7270, 0x6462_6720, 0x7472_6163, 0x7363_6673];

/// The file systems whose files another machine or another program keeps (most numbers are in `linux/magic.h`).
///
/// blockpipe has the same list for its own purpose, and a test compares them.
const REMOTE: [u32; 19] = [
    0x6969,      // NFS
    0x517b,      // SMB
    0xff53_4d42, // CIFS
    0xfe53_4d42, // SMB 2
    0x0102_1997, // 9P
    0x6573_5546, // FUSE, also virtiofs
    0x00c3_6400, // Ceph
    0x5346_414f, // AFS
    0x6b41_4653, // AFS (kAFS)
    0x7375_7245, // Coda
    0x564c,      // NCP
    0x0116_1970, // GFS2
    0x7461_636f, // OCFS2
    0x0bd0_0bd0, // Lustre
    0x2003_0528, // OrangeFS
    0x4750_4653, // GPFS
    0x1983_0326, // BeeGFS
    0x786f_4256, // shared folders of VirtualBox
    0xbacb_acbc, // shared folders of VMware
];

/// The clock from which files get their times. It stands still for up to 10 ms, from one tick of the kernel to the next.
pub const FILE_CLOCK: ClockId = ClockId::CLOCK_REALTIME_COARSE;

/// Returns where the files of this file's file system are kept.
pub fn file_system_kind(file: &File) -> FileSystemKind {
    match rustix::fs::fstatfs(file).map_or(0, |about| about.f_type) {
        kind if PSEUDO.contains(&kind) => FileSystemKind::Pseudo,
        kind if u32::try_from(kind).is_ok_and(|kind| REMOTE.contains(&kind)) => FileSystemKind::Remote,
        _ => FileSystemKind::Local,
    }
}

/// Returns the metadata of an open file. Whoever keeps the file is asked for it, whatever the system remembers.
pub fn fresh_stat(file: &File) -> io::Result<Stat> {
    let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_FORCE_SYNC;
    let about = match statx(file, c"", flags, StatxFlags::BASIC_STATS | StatxFlags::BTIME) {
        // A kernel before Linux 4.11.
        Err(Errno::NOSYS) => return fstat(file),
        other => other?,
    };
    let has_birth_time = StatxFlags::from_bits_retain(about.stx_mask).contains(StatxFlags::BTIME);
    let birth = about.stx_btime;
    let birth_time = u64::try_from(birth.tv_sec)
        .ok()
        .filter(|_| has_birth_time)
        .map_or(0, |seconds| seconds.wrapping_mul(1_000_000_000).wrapping_add(u64::from(birth.tv_nsec)));
    Ok(Stat {
        file: FileId {
            device: rustix::fs::makedev(about.stx_dev_major, about.stx_dev_minor),
            inode: about.stx_ino,
        },
        length: about.stx_size,
        modified: (about.stx_mtime.tv_sec, about.stx_mtime.tv_nsec.into()),
        changed: (about.stx_ctime.tv_sec, about.stx_ctime.tv_nsec.into()),
        accessed: (about.stx_atime.tv_sec, about.stx_atime.tv_nsec.into()),
        mode: u32::from(about.stx_mode) & 0o7777,
        owner: (about.stx_uid, about.stx_gid),
        birth_time,
        has_holes: about.stx_blocks.saturating_mul(512) < about.stx_size,
    })
}

/// Returns whether this is a disk. Its node lies in a file system that says nothing about it.
pub(super) fn is_disk(file: &File) -> bool {
    matches!(file_kind(file), Ok(FileKind::Disk))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_to_ask_for_metadata_agree() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(1 << 20).unwrap();
        assert_eq!(fresh_stat(&file).unwrap(), fstat(&file).unwrap());
        assert!(fresh_stat(&file).unwrap().has_holes);
    }
}
