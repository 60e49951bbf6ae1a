//! The requests of the kernel.

use super::Call;
use super::nodes::{Change, Nodes};
use crate::util::is_root;
use fuser::{
    BsdFileFlags, Errno, FileHandle, FileType, Filesystem, Generation, INodeNo, LockOwner, OpenFlags,
    RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory, ReplyEmpty, ReplyEntry, ReplyLseek,
    ReplyOpen, ReplyStatfs, ReplyWrite, ReplyXattr, Request, TimeOrNow, WriteFlags,
};
use rustix::fs::{self, AtFlags, CWD, Mode, OFlags};
use std::ffi::OsStr;
use std::fs::{File, Permissions};
use std::io;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::time::SystemTime;

type Answer<T> = Result<T, Errno>;

/// Answers a request with the result of an expression, or with its error.
macro_rules! answer {
    ($reply:ident, $result:expr, |$value:pat_param| $answer:expr) => {
        match $result {
            Ok($value) => $answer,
            Err(error) => $reply.error(error),
        }
    };
    ($reply:ident, $result:expr) => {
        answer!($reply, $result, |()| $reply.ok())
    };
}

impl Filesystem for Nodes {
    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        answer!(reply, self.look_up(parent, name), |found| reply.entry(
            &self.memory(),
            &found,
            Generation(0)
        ));
    }

    fn forget(&self, _: &Request, node: INodeNo, lookups: u64) {
        Self::forget(self, node, lookups);
    }

    fn getattr(&self, _: &Request, node: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        answer!(reply, self.stat(node), |found| reply.attr(&self.memory(), &found));
    }

    fn setattr(
        &self,
        _: &Request,
        node: INodeNo,
        mode: Option<u32>,
        owner: Option<u32>,
        group: Option<u32>,
        length: Option<u64>,
        accessed: Option<TimeOrNow>,
        modified: Option<TimeOrNow>,
        _: Option<SystemTime>,
        _: Option<FileHandle>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let wanted = Change { mode, owner, group, length, accessed, modified };
        answer!(reply, self.change(node, &wanted), |found| reply.attr(&self.memory(), &found));
    }

    fn mkdir(&self, _: &Request, parent: INodeNo, name: &OsStr, mode: u32, umask: u32, reply: ReplyEntry) {
        let make = || -> Answer<_> {
            let path = self.child(parent, name)?;
            std::fs::create_dir(&path)?;
            std::fs::set_permissions(&path, Permissions::from_mode(mode & !umask & 0o7777))?;
            self.look_up(parent, name)
        };
        answer!(reply, make(), |entry| reply.entry(&self.memory(), &entry, Generation(0)));
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let unlink = || -> Answer<_> {
            let path = self.child(parent, name)?;
            if path.symlink_metadata()?.len() > 0 {
                self.check(Call::RemoveContent)?;
            }
            Ok(std::fs::remove_file(path)?)
        };
        answer!(reply, unlink());
    }

    fn rmdir(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let path = self.child(parent, name);
        answer!(reply, path.and_then(|path| Ok(std::fs::remove_dir(path)?)));
    }

    fn rename(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        new_parent: INodeNo,
        new_name: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        let rename = || -> Answer<_> {
            if !flags.is_empty() {
                self.check(Call::RenameNoReplace)?;
            }
            let (from, to) = (self.child(parent, name)?, self.child(new_parent, new_name)?);
            let flags = fs::RenameFlags::from_bits_retain(flags.bits());
            Ok(fs::renameat_with(CWD, from, CWD, to, flags).map_err(io::Error::from)?)
        };
        answer!(reply, rename());
    }

    fn link(&self, _: &Request, node: INodeNo, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let link = || -> Answer<_> {
            self.check(Call::Link)?;
            let (from, to) = (self.path(node)?, self.child(parent, name)?);
            fs::linkat(CWD, from, CWD, to, AtFlags::SYMLINK_FOLLOW).map_err(io::Error::from)?;
            self.look_up(parent, name)
        };
        answer!(reply, link(), |made| reply.entry(&self.memory(), &made, Generation(0)));
    }

    fn open(&self, _: &Request, node: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        let open = || -> Answer<_> {
            // The kernel itself appends, truncates and resolves links.
            let access = OFlags::from_bits_retain(flags.0.cast_unsigned()) & OFlags::ACCMODE;
            let file = fs::open(self.path(node)?, access | OFlags::CLOEXEC, Mode::empty());
            Ok(self.keep(file.map_err(io::Error::from)?.into()))
        };
        answer!(reply, open(), |(handle, flags)| reply.opened(handle, flags));
    }

    fn create(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        flags: i32,
        reply: ReplyCreate,
    ) {
        let create = || -> Answer<_> {
            let asked = OFlags::from_bits_retain(flags.cast_unsigned()) & (OFlags::EXCL | OFlags::ACCMODE);
            let flags = asked | OFlags::CREATE | OFlags::CLOEXEC;
            let mode = Mode::from_raw_mode(mode & !umask);
            let file = fs::open(self.child(parent, name)?, flags, mode).map_err(io::Error::from)?;
            let file = File::from(file);
            if is_root() {
                std::os::unix::fs::fchown(&file, Some(request.uid()), Some(request.gid()))?;
            }
            Ok((self.look_up(parent, name)?, self.keep(file)))
        };
        answer!(reply, create(), |(found, (handle, flags))| {
            reply.created(&self.memory(), &found, Generation(0), handle, flags);
        });
    }

    fn read(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let mut buffer = vec![0; size as usize];
        let read = self.with(handle, |file| {
            let mut filled = 0;
            // Only at the end of the file may an answer be short.
            while filled < buffer.len() {
                match file.read_at(&mut buffer[filled..], offset + filled as u64)? {
                    0 => break,
                    count => filled += count,
                }
            }
            Ok(filled)
        });
        answer!(reply, read, |length| reply.data(&buffer[..length]));
    }

    fn write(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let write = || -> Answer<_> {
            self.check(Call::Write)?;
            self.with(handle, |file| file.write_all_at(data, offset))
        };
        answer!(reply, write(), |()| reply.written(data.len() as u32));
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        answer!(reply, self.check(Call::Close));
    }

    fn release(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        _: OpenFlags,
        _: Option<LockOwner>,
        _: bool,
        reply: ReplyEmpty,
    ) {
        Self::release(self, handle);
        reply.ok();
    }

    fn fsync(&self, _: &Request, _: INodeNo, handle: FileHandle, _: bool, reply: ReplyEmpty) {
        let sync = || self.check(Call::Sync).and_then(|()| self.with(handle, File::sync_all));
        answer!(reply, sync());
    }

    fn fsyncdir(&self, _: &Request, _: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        answer!(reply, self.check(Call::SyncDirectory));
    }

    fn fallocate(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        offset: u64,
        length: u64,
        mode: i32,
        reply: ReplyEmpty,
    ) {
        let mode = fs::FallocateFlags::from_bits_retain(mode.cast_unsigned());
        let reserve = || -> Answer<_> {
            self.check(Call::Reserve)?;
            self.with(handle, |file| Ok(fs::fallocate(file, mode, offset, length)?))
        };
        answer!(reply, reserve());
    }

    fn lseek(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        offset: i64,
        whence: i32,
        reply: ReplyLseek,
    ) {
        let offset = offset.cast_unsigned();
        let seek = || -> Answer<_> {
            self.check(Call::SeekData)?;
            let to = if whence == libc::SEEK_DATA {
                fs::SeekFrom::Data(offset)
            } else {
                fs::SeekFrom::Hole(offset)
            };
            self.with(handle, |file| Ok(fs::seek(file, to)?))
        };
        answer!(reply, seek(), |found| reply.offset(found.cast_signed()));
    }

    fn setxattr(&self, _: &Request, _: INodeNo, _: &OsStr, _: &[u8], _: i32, _: u32, reply: ReplyEmpty) {
        if self.ignores(Call::Attributes) {
            return reply.ok();
        }
        reply.error(self.check(Call::Attributes).err().unwrap_or(Errno::ENOSYS));
    }

    fn getxattr(&self, _: &Request, _: INodeNo, _: &OsStr, _: u32, reply: ReplyXattr) {
        reply.error(self.check(Call::Attributes).err().unwrap_or(Errno::ENOSYS));
    }

    fn listxattr(&self, _: &Request, _: INodeNo, _: u32, reply: ReplyXattr) {
        reply.error(self.check(Call::Attributes).err().unwrap_or(Errno::ENOSYS));
    }

    fn removexattr(&self, _: &Request, _: INodeNo, _: &OsStr, reply: ReplyEmpty) {
        reply.error(self.check(Call::Attributes).err().unwrap_or(Errno::ENOSYS));
    }

    fn readdir(&self, _: &Request, node: INodeNo, _: FileHandle, offset: u64, mut reply: ReplyDirectory) {
        let list = || -> Answer<Vec<_>> {
            let kind = |it: &std::fs::DirEntry| it.file_type().ok().and_then(FileType::from_std);
            let entries = std::fs::read_dir(self.path(node)?)?.flatten();
            Ok(entries.map(|it| (it.file_name(), kind(&it).unwrap_or(FileType::RegularFile))).collect())
        };
        let own = [".", ".."].map(|name| (name.into(), FileType::Directory));
        answer!(reply, list(), |names| {
            let all = own.into_iter().chain(names).enumerate().skip(offset as usize);
            for (at, (name, kind)) in all {
                if reply.add(INodeNo(u64::MAX), at as u64 + 1, kind, name) {
                    break;
                }
            }
            reply.ok();
        });
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        // Ten gigabytes, all of it free.
        reply.statfs(10 << 18, 10 << 18, 10 << 18, 1 << 20, 1 << 20, 4096, 255, 4096);
    }
}
