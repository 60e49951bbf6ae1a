//! The seccomp filter: the system calls that a confined process can make.

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch,
};
use std::collections::BTreeMap;

/// Restricts this thread, and the threads that it starts from now on, to the calls below. Fails with the reason.
pub fn confine() -> Result<(), String> {
    let Ok(architecture) = TargetArch::try_from(std::env::consts::ARCH) else {
        return Err("there is no filter for this processor".into());
    };
    // Any other call fails as if the kernel did not have it. It does not kill the process: libraries try newer calls
    // first, and fall back to older ones.
    let refused = SeccompAction::Errno(libc::ENOSYS.cast_unsigned());
    let program = SeccompFilter::new(allowed(), refused, SeccompAction::Allow, architecture)
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
    libc::SYS_openat,
    libc::SYS_close,
    libc::SYS_fstat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_statfs,
    libc::SYS_fstatfs,
    libc::SYS_readlinkat,
    libc::SYS_getdents64,
    libc::SYS_dup,
    libc::SYS_flock,
    libc::SYS_ftruncate,
    libc::SYS_fallocate,
    libc::SYS_fadvise64,
    libc::SYS_sync_file_range,
    libc::SYS_fsync,
    libc::SYS_fdatasync,
    libc::SYS_fchmod,
    libc::SYS_fchown,
    // The attributes of the file that is replaced, which is not opened for reading.
    libc::SYS_getxattr,
    libc::SYS_listxattr,
    libc::SYS_flistxattr,
    libc::SYS_fgetxattr,
    libc::SYS_fsetxattr,
    libc::SYS_fremovexattr,
    libc::SYS_renameat,
    libc::SYS_renameat2,
    libc::SYS_linkat,
    libc::SYS_unlinkat,
    libc::SYS_ppoll,
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
    libc::SYS_open,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_stat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_lstat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_poll,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_rename,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_unlink,
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

/// Returns the allowed calls, each with conditions on its arguments of which one must hold.
fn allowed() -> BTreeMap<i64, Vec<SeccompRule>> {
    let is = |argument, mask: u64, value: u64| {
        let condition =
            SeccompCondition::new(argument, SeccompCmpArgLen::Qword, SeccompCmpOp::MaskedEq(mask), value);
        let rule = condition.and_then(|condition| SeccompRule::new(vec![condition]));
        rule.expect("the arguments of a call are numbered from 0 to 5")
    };
    let flag = |flag: libc::c_int| u64::from(flag.cast_unsigned());
    let own = u64::from(std::process::id());
    let (thread, code) = (flag(libc::CLONE_THREAD), flag(libc::PROT_EXEC));
    let with_arguments = [
        // Starting threads but not processes. A filter cannot see what `clone3` starts, so libraries have to do without.
        (libc::SYS_clone, vec![is(0, thread, thread)]),
        // Memory that cannot be executed.
        (libc::SYS_mmap, vec![is(2, code, 0)]),
        (libc::SYS_mprotect, vec![is(2, code, 0)]),
        (libc::SYS_fcntl, FLAGS_AND_LOCKS.map(|command| is(1, u64::from(u32::MAX), flag(command))).into()),
        // Times of an open file (no name is given), not of a file that is named.
        (libc::SYS_utimensat, vec![is(1, u64::MAX, 0)]),
        // The name of a thread.
        (libc::SYS_prctl, vec![is(0, u64::MAX, flag(libc::PR_SET_NAME))]),
        // A signal to this process: a panic ends it with one.
        (libc::SYS_tgkill, vec![is(0, u64::MAX, own)]),
        (libc::SYS_ioctl, TERMINAL_AND_FLAGS.map(|request| is(1, u64::from(u32::MAX), request)).into()),
    ];
    // A call without rules is allowed with any arguments.
    ANY_ARGUMENTS.iter().map(|call| (*call, Vec::new())).chain(with_arguments).collect()
}
