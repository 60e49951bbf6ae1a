//! Finds out whether other machines may open the same files. Each kernel keeps the locks and the shared memory of such
//! files for itself, so processes on two machines would meet and never see each other's seats.

use rustix::fd::OwnedFd;
use rustix::io::{Result, retry_on_intr};

/// The numbers by which Linux knows these file systems (most are in `linux/magic.h`).
///
/// FUSE is among them because the kernel does not know what its server does: it may be sshfs. Overlay is not: an overlay
/// belongs to one kernel, and new files are in its upper directory, which cannot be on NFS.
#[cfg(target_os = "linux")]
const NETWORK: [u32; 19] = [
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

#[cfg(target_os = "linux")]
pub(crate) fn is_network(directory: &OwnedFd) -> Result<bool> {
    let kind = retry_on_intr(|| rustix::fs::fstatfs(directory))?.f_type;
    Ok(u32::try_from(kind).is_ok_and(|kind| NETWORK.contains(&kind)))
}

#[cfg(target_os = "macos")]
pub(crate) fn is_network(directory: &OwnedFd) -> Result<bool> {
    let flags = retry_on_intr(|| rustix::fs::fstatfs(directory))?.f_flags;
    Ok(flags & libc::MNT_LOCAL.unsigned_abs() == 0)
}

#[cfg(target_os = "freebsd")]
pub(crate) fn is_network(directory: &OwnedFd) -> Result<bool> {
    let flags = retry_on_intr(|| rustix::fs::fstatfs(directory))?.f_flags;
    Ok(flags & libc::MNT_LOCAL == 0)
}
