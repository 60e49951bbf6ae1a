//! The seccomp filter: the system calls that a confined process can make.

use seccompiler::SeccompCmpArgLen::{Dword, Qword};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch,
};
use std::collections::BTreeMap;
use std::os::fd::RawFd;

/// The system calls that only some halves need.
#[derive(Debug)]
pub struct Needs {
    /// Rename files and give them second names, and see the attributes of a file that is replaced.
    pub renames: bool,
    /// List directories. Landlock does not restrict listing a directory that is already open.
    pub lists: bool,
    /// The descriptor of the only file whose length, mode, owner, attributes and times may change.
    pub changeable: Option<RawFd>,
}

/// Restricts this thread, and the threads that it starts from now on, to the calls below. Fails with the reason.
pub fn confine(needs: &Needs) -> Result<(), String> {
    let Ok(architecture) = TargetArch::try_from(std::env::consts::ARCH) else {
        return Err("there is no filter for this processor".into());
    };
    // Any other call fails as if the kernel did not have it. It does not kill the process: libraries try newer calls
    // first, and fall back to older ones.
    let refused = SeccompAction::Errno(libc::ENOSYS.cast_unsigned());
    let program = SeccompFilter::new(allowed(needs), refused, SeccompAction::Allow, architecture)
        .and_then(BpfProgram::try_from)
        .map_err(|error| error.to_string())?;
    seccompiler::apply_filter(&program).map_err(|error| error.to_string())
}

/// What a process needs once its file and the pipe are open.
const ANY_ARGUMENTS: &[libc::c_long] = &[
    // The file, the temporary file and the journal.
    libc::SYS_read,
    libc::SYS_pread64,
    libc::SYS_readv,
    libc::SYS_write,
    libc::SYS_pwrite64,
    libc::SYS_writev,
    libc::SYS_lseek,
    libc::SYS_fstat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_statfs,
    libc::SYS_fstatfs,
    libc::SYS_readlinkat,
    libc::SYS_dup,
    libc::SYS_flock,
    libc::SYS_fadvise64,
    libc::SYS_sync_file_range,
    libc::SYS_fsync,
    libc::SYS_fdatasync,
    libc::SYS_flistxattr,
    libc::SYS_fgetxattr,
    libc::SYS_unlinkat,
    libc::SYS_ppoll,
    // As if Linux could not reserve memory in a file.
    #[cfg(blockpipe_portable)]
    libc::SYS_ftruncate,
    // Memory.
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_brk,
    // Threads, time, signals, and the end.
    libc::SYS_futex,
    libc::SYS_set_robust_list,
    libc::SYS_rseq,
    libc::SYS_gettid,
    libc::SYS_getpid,
    libc::SYS_geteuid,
    libc::SYS_getuid,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_yield,
    libc::SYS_nanosleep,
    libc::SYS_clock_nanosleep,
    libc::SYS_clock_gettime,
    libc::SYS_getrandom,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_restart_syscall,
    // The second process, which `cp` started.
    libc::SYS_wait4,
    libc::SYS_waitid,
    libc::SYS_exit,
    libc::SYS_exit_group,
    // Older calls that some C libraries still use.
    #[cfg(target_arch = "x86_64")]
    libc::SYS_stat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_lstat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_poll,
];

/// The commands of `fcntl`: file descriptor flags and locks, but not signals to other processes.
const FLAGS_AND_LOCKS: [libc::c_int; 11] = [
    libc::F_GETFD,
    libc::F_SETFD,
    libc::F_GETFL,
    libc::F_SETFL,
    libc::F_DUPFD_CLOEXEC,
    libc::F_GETLK,
    libc::F_SETLK,
    libc::F_SETLKW,
    libc::F_OFD_GETLK,
    libc::F_OFD_SETLK,
    libc::F_OFD_SETLKW,
];

/// `TCGETS`, `TIOCGWINSZ`, `FIONBIO` and `FIOCLEX` of asm-generic/ioctls.h. Each C library gives them another type.
const TERMINAL_AND_FLAGS: [u64; 4] = [0x5401, 0x5413, 0x5421, 0x5451];

/// Calls that change names and make them durable, and calls that read the attributes of the replaced file, which is not
/// open for reading.
const RENAMING: [libc::c_long; 6] = [
    libc::SYS_renameat,
    libc::SYS_renameat2,
    libc::SYS_linkat,
    libc::SYS_syncfs,
    libc::SYS_getxattr,
    libc::SYS_listxattr,
];

/// Changes to an open file.
const CHANGING: [libc::c_long; 5] =
    [libc::SYS_ftruncate, libc::SYS_fchmod, libc::SYS_fchown, libc::SYS_fsetxattr, libc::SYS_fremovexattr];

/// How C libraries start threads: `CLONE_VM`, `_FS`, `_FILES`, `_SIGHAND`, `_THREAD`, `_SYSVSEM`, `_SETTLS`,
/// `_PARENT_SETTID` and `_CHILD_CLEARTID`. One of them adds `CLONE_DETACHED`, which does nothing.
const NEW_THREAD: libc::c_int = 0x003d_0f00;

/// Returns the allowed calls, each with rules of which one must hold.
fn allowed(needs: &Needs) -> BTreeMap<i64, Vec<SeccompRule>> {
    let flag = |flag: libc::c_int| u64::from(flag.cast_unsigned());
    let own = u64::from(std::process::id());
    let (low, code) = (u64::from(u32::MAX), flag(libc::PROT_EXEC));
    let writing = flag(libc::O_ACCMODE | libc::O_CREAT | libc::O_TRUNC);
    let mut allowed: BTreeMap<i64, Vec<SeccompRule>> =
        ANY_ARGUMENTS.iter().map(|call| (*call, Vec::new())).collect();
    allowed.extend([
        // Files are opened for reading only, and never created.
        (libc::SYS_openat, vec![is(2, writing, 0)]),
        #[cfg(target_arch = "x86_64")]
        (libc::SYS_open, vec![is(1, writing, 0)]),
        // The Reader reserves memory in the pipe's file, which is open. Other modes of the call change content.
        (libc::SYS_fallocate, vec![is(1, low, 0)]),
        // A filter cannot see what `clone3` starts. Without it, C libraries use `clone`.
        (libc::SYS_clone, vec![is(0, !flag(libc::CLONE_DETACHED), flag(NEW_THREAD))]),
        // Memory that cannot be executed.
        (libc::SYS_mmap, vec![is(2, code, 0)]),
        (libc::SYS_mprotect, vec![is(2, code, 0)]),
        (libc::SYS_fcntl, FLAGS_AND_LOCKS.map(|command| is(1, low, flag(command))).into()),
        // The name of a thread.
        (libc::SYS_prctl, vec![is(0, u64::MAX, flag(libc::PR_SET_NAME))]),
        // A signal to this process: a panic ends it with one.
        (libc::SYS_tgkill, vec![is(0, u64::MAX, own)]),
        (libc::SYS_ioctl, TERMINAL_AND_FLAGS.map(|request| is(1, low, request)).into()),
        (libc::SYS_close, Vec::new()),
    ]);
    if needs.renames {
        allowed.extend(RENAMING.map(|call| (call, Vec::new())));
    }
    if needs.lists {
        allowed.insert(libc::SYS_getdents64, Vec::new());
    }
    if let Some(changeable) = needs.changeable {
        let this = || condition(0, Dword, SeccompCmpOp::Eq, flag(changeable));
        allowed.extend(CHANGING.map(|call| (call, vec![rule(vec![this()])])));
        // With a name, the call could change any file.
        let no_name = condition(1, Qword, SeccompCmpOp::Eq, 0);
        allowed.insert(libc::SYS_utimensat, vec![rule(vec![this(), no_name])]);
        // No other file may get this number. No other call that is allowed here can close or reuse it.
        let other = condition(0, Dword, SeccompCmpOp::Ne, flag(changeable));
        allowed.insert(libc::SYS_close, vec![rule(vec![other])]);
    }
    allowed
}

/// Returns the rule that an argument has this value in the bits of the mask.
fn is(argument: u8, mask: u64, value: u64) -> SeccompRule {
    rule(vec![condition(argument, Qword, SeccompCmpOp::MaskedEq(mask), value)])
}

/// Returns a condition on an argument. The kernel takes a descriptor from the lower half of its argument, a `Dword`.
fn condition(argument: u8, length: SeccompCmpArgLen, operator: SeccompCmpOp, value: u64) -> SeccompCondition {
    SeccompCondition::new(argument, length, operator, value).expect("arguments are numbered from 0 to 5")
}

/// Returns the rule that all of these conditions hold.
fn rule(conditions: Vec<SeccompCondition>) -> SeccompRule {
    SeccompRule::new(conditions).expect("there are conditions")
}
