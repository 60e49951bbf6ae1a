//! The names of system calls.

macro_rules! numbers {
    ($($name:literal $call:ident,)*) => {
        /// Returns the number of a system call that a half may make.
        pub fn number_of(name: &str) -> i64 {
            match name {
                $($name => libc::$call,)*
                _ => panic!("the manual allows an unknown system call: {name}"),
            }
        }
    };
}

numbers! {
    "read" SYS_read,
    "pread64" SYS_pread64,
    "readv" SYS_readv,
    "write" SYS_write,
    "pwrite64" SYS_pwrite64,
    "writev" SYS_writev,
    "lseek" SYS_lseek,
    "close" SYS_close,
    "fstat" SYS_fstat,
    "newfstatat" SYS_newfstatat,
    "statx" SYS_statx,
    "stat" SYS_stat,
    "lstat" SYS_lstat,
    "statfs" SYS_statfs,
    "fstatfs" SYS_fstatfs,
    "readlinkat" SYS_readlinkat,
    "dup" SYS_dup,
    "flock" SYS_flock,
    "fadvise64" SYS_fadvise64,
    "sync_file_range" SYS_sync_file_range,
    "fsync" SYS_fsync,
    "fdatasync" SYS_fdatasync,
    "flistxattr" SYS_flistxattr,
    "fgetxattr" SYS_fgetxattr,
    "unlinkat" SYS_unlinkat,
    "ppoll" SYS_ppoll,
    "poll" SYS_poll,
    "munmap" SYS_munmap,
    "mremap" SYS_mremap,
    "madvise" SYS_madvise,
    "brk" SYS_brk,
    "futex" SYS_futex,
    "set_robust_list" SYS_set_robust_list,
    "rseq" SYS_rseq,
    "gettid" SYS_gettid,
    "getpid" SYS_getpid,
    "geteuid" SYS_geteuid,
    "getuid" SYS_getuid,
    "sched_getaffinity" SYS_sched_getaffinity,
    "sched_yield" SYS_sched_yield,
    "nanosleep" SYS_nanosleep,
    "clock_nanosleep" SYS_clock_nanosleep,
    "clock_gettime" SYS_clock_gettime,
    "getrandom" SYS_getrandom,
    "rt_sigaction" SYS_rt_sigaction,
    "rt_sigprocmask" SYS_rt_sigprocmask,
    "rt_sigreturn" SYS_rt_sigreturn,
    "sigaltstack" SYS_sigaltstack,
    "restart_syscall" SYS_restart_syscall,
    "wait4" SYS_wait4,
    "waitid" SYS_waitid,
    "exit" SYS_exit,
    "exit_group" SYS_exit_group,
    "renameat" SYS_renameat,
    "renameat2" SYS_renameat2,
    "linkat" SYS_linkat,
    "syncfs" SYS_syncfs,
    "getxattr" SYS_getxattr,
    "listxattr" SYS_listxattr,
    "getdents64" SYS_getdents64,
}
