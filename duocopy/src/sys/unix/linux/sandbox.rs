//! How a process of Linux gives up what it does not need: Landlock for paths, a seccomp filter for system calls.

use crate::sys::Freedom;
use landlock::{
    ABI, Access, AccessFs, AccessNet, PathBeneath, PathFd, Ruleset, RulesetAttr, RulesetCreatedAttr,
    RulesetStatus, Scope,
};
use rustix::fd::AsFd;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch,
};
use std::collections::BTreeMap;
use std::fmt::Display;

/// What is asked for: that of Linux 6.12. Older kernels give what they have.
const LANDLOCK: ABI = ABI::V6;
/// What is looked up when a user is shown by name.
const USER_DATABASE: [&str; 3] = ["/etc/passwd", "/etc/group", "/etc/nsswitch.conf"];

/// Gives up everything but this, for this thread and those that it starts, and what they have open. Returns what this
/// kernel does not have.
pub fn confine(freedom: &Freedom) -> Vec<String> {
    let paths = confine_paths(freedom);
    let calls = confine_calls();
    [paths, calls].into_iter().flatten().collect()
}

fn confine_paths(freedom: &Freedom) -> Option<String> {
    let missing = |what: &dyn Display| Some(format!("it can still open other files ({what})"));
    let restricted = || -> Result<_, landlock::RulesetError> {
        let mut rules = Ruleset::default()
            .handle_access(AccessFs::from_all(LANDLOCK))?
            .handle_access(AccessNet::from_all(LANDLOCK))?
            .scope(Scope::from_all(LANDLOCK))?
            .create()?;
        // What is not there cannot be opened either.
        if let Some(Ok(pipes)) = freedom.pipes.as_ref().map(PathFd::new) {
            rules = rules.add_rule(PathBeneath::new(pipes, AccessFs::ReadFile | AccessFs::RemoveFile))?;
        }
        if let Some(directory) = freedom.writes {
            let all = AccessFs::ReadDir
                | AccessFs::ReadFile
                | AccessFs::WriteFile
                | AccessFs::MakeReg
                | AccessFs::RemoveFile
                | AccessFs::Truncate;
            rules = rules.add_rule(PathBeneath::new(directory.0.as_fd(), all))?;
        }
        if let Some(directory) = freedom.looks {
            let look = AccessFs::ReadDir | AccessFs::ReadFile;
            rules = rules.add_rule(PathBeneath::new(directory.0.as_fd(), look))?;
        }
        for path in USER_DATABASE.map(PathFd::new).into_iter().flatten() {
            rules = rules.add_rule(PathBeneath::new(path, AccessFs::ReadFile))?;
        }
        rules.restrict_self()
    };
    match restricted() {
        Ok(status) if status.ruleset == RulesetStatus::NotEnforced => missing(&"this kernel has no Landlock"),
        Ok(_) => None,
        Err(error) => missing(&error),
    }
}

fn confine_calls() -> Option<String> {
    let missing = |what: &dyn Display| Some(format!("it can still make other system calls ({what})"));
    let Ok(architecture) = TargetArch::try_from(std::env::consts::ARCH) else {
        return missing(&"there is no filter for this processor");
    };
    // An error and not a kill: what a library tries first, and can do without, must not end a copy.
    let refused = SeccompAction::Errno(libc::ENOSYS.cast_unsigned());
    let program = SeccompFilter::new(allowed(), refused, SeccompAction::Allow, architecture)
        .and_then(BpfProgram::try_from);
    let program = match program {
        Ok(program) => program,
        Err(error) => return missing(&error),
    };
    seccompiler::apply_filter(&program).err().and_then(|error| missing(&error))
}

/// What a half needs once its file and the pipe are open.
const ANY_ARGUMENTS: &[libc::c_long] = &[
    // Its file, the temporary file and the journal.
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
    // The partner that `cp` has started.
    libc::SYS_wait4,
    libc::SYS_waitid,
    libc::SYS_exit,
    libc::SYS_exit_group,
    // What some libraries use instead of newer ones.
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

/// What `fcntl` is used for.
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

/// `TCGETS`, `TIOCGWINSZ`, `FIONBIO` and `FIOCLEX` of asm-generic/ioctls.h, whose type is another in each C library.
const TERMINAL_AND_FLAGS: [u64; 4] = [0x5401, 0x5413, 0x5421, 0x5451];

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
        // Threads, and no processes. (Of `clone3` nobody can see which it is: libraries do without.)
        (libc::SYS_clone, vec![is(0, thread, thread)]),
        // Nothing that can be run.
        (libc::SYS_mmap, vec![is(2, code, 0)]),
        (libc::SYS_mprotect, vec![is(2, code, 0)]),
        // Flags and locks, and not signals to others.
        (libc::SYS_fcntl, FLAGS_AND_LOCKS.map(|command| is(1, u64::from(u32::MAX), flag(command))).into()),
        // The times of what is open, and of nothing that is named.
        (libc::SYS_utimensat, vec![is(1, u64::MAX, 0)]),
        // The name of a thread.
        (libc::SYS_prctl, vec![is(0, u64::MAX, flag(libc::PR_SET_NAME))]),
        // Its own end, after a panic.
        (libc::SYS_tgkill, vec![is(0, u64::MAX, own)]),
        (libc::SYS_ioctl, TERMINAL_AND_FLAGS.map(|request| is(1, u64::from(u32::MAX), request)).into()),
    ];
    // Without rules, whatever the arguments are.
    ANY_ARGUMENTS.iter().map(|call| (*call, Vec::new())).chain(with_arguments).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::Directory;
    use std::fs::{self, File, OpenOptions};
    use std::io::{self, Write};
    use std::net::TcpListener;
    use std::os::unix::net::UnixStream;
    use std::path::{Path, PathBuf};
    use std::process::Command;

    /// In a process of its own, because nobody gets his rights back: tries what a half that somebody has taken over
    /// could try, and says what it could do.
    #[test]
    fn confined() {
        let Some(place) = std::env::var_os("DUOCOPY_TEST_PLACE").map(PathBuf::from) else { return };
        let directory = |name| Directory::find(&place.join(name)).unwrap();
        let (writes, looks) = (directory("writes"), directory("looks"));
        let mut open = File::create(place.join("open")).unwrap();
        let missing = confine(&Freedom {
            pipes: Some(place.join("pipes").into()),
            writes: Some(&writes),
            looks: Some(&looks),
        });
        let mut could = Vec::new();
        let mut try_to =
            |what: &'static str, done: io::Result<()>| could.extend(done.is_ok().then_some(what));
        let at = |name: &str| place.join(name);
        let make = |path: PathBuf| File::create_new(path).map(drop);
        try_to("write to what is open", open.write_all(b"x"));
        try_to("make a file", make(at("writes/new")));
        try_to("rename it", fs::rename(at("writes/new"), at("writes/newer")));
        try_to("read a pipe", File::open(at("pipes/file")).map(drop));
        try_to("remove a pipe", fs::remove_file(at("pipes/file")));
        try_to("look at the destination", File::open(at("looks/file")).map(drop));
        try_to(
            "start a thread",
            std::thread::Builder::new().spawn(|| {}).map(|thread| thread.join().unwrap()),
        );
        try_to("read another file", File::open(at("secret")).map(drop));
        try_to("list a directory", fs::read_dir(&place).map(drop));
        try_to("write to another file", OpenOptions::new().append(true).open(at("secret")).map(drop));
        try_to("write where it only looks", make(at("looks/new")));
        try_to("make a pipe", make(at("pipes/new")));
        try_to("make a file elsewhere", make(at("new")));
        try_to("remove a file elsewhere", fs::remove_file(at("secret")));
        try_to("move a file out", fs::rename(at("writes/newer"), at("new")));
        try_to("make a link", std::os::unix::fs::symlink("/", at("writes/link")));
        try_to("make a directory", fs::create_dir(at("writes/directory")));
        try_to("start a program", Command::new("true").status().map(drop));
        try_to("listen", TcpListener::bind("127.0.0.1:0").map(drop));
        try_to("connect", UnixStream::connect(at("socket")).map(drop));
        let times = rustix::fs::Timestamps {
            last_access: rustix::fs::Timespec { tv_sec: 1, tv_nsec: 0 },
            last_modification: rustix::fs::Timespec { tv_sec: 1, tv_nsec: 0 },
        };
        let named =
            rustix::fs::utimensat(rustix::fs::CWD, at("secret"), &times, rustix::fs::AtFlags::empty());
        try_to("set another file's times", named.map_err(Into::into));
        try_to("become somebody else", rustix::process::chdir("/").map_err(Into::into));
        println!("missing: {missing:?}; could: {}", could.join(", "));
    }

    fn status_of_this_kernel() -> Result<(), &'static str> {
        let modules = fs::read_to_string("/sys/kernel/security/lsm").unwrap_or_default();
        let landlock = modules.contains("landlock") || Path::new("/proc/sys/kernel/seccomp").exists();
        if landlock { Ok(()) } else { Err("this kernel has neither Landlock nor seccomp") }
    }

    #[test]
    fn who_is_confined_can_do_its_work_and_nothing_else() {
        let place = tempfile::tempdir().unwrap();
        for name in ["writes", "looks", "pipes"] {
            fs::create_dir(place.path().join(name)).unwrap();
        }
        for name in ["pipes/file", "looks/file", "secret"] {
            fs::write(place.path().join(name), "x").unwrap();
        }
        let _listens = std::os::unix::net::UnixListener::bind(place.path().join("socket")).unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap());
        let (_, module) = module_path!().split_once("::").unwrap();
        let test = format!("{module}::confined");
        child.args([&*test, "--exact", "--nocapture"]).env("DUOCOPY_TEST_PLACE", place.path());
        let output = String::from_utf8(child.output().unwrap().stdout).unwrap();
        let said = output.lines().find_map(|line| line.split_once("missing: ")).map(|(_, said)| said);
        let said = said.unwrap_or_else(|| panic!("{output}"));
        if let Err(why) = status_of_this_kernel() {
            println!("LEFT OUT: a half that is confined: {why}");
            return;
        }
        let needed = "write to what is open, make a file, rename it, read a pipe, remove a pipe, look at the \
                      destination, start a thread";
        if said.starts_with("[];") {
            assert_eq!(said, format!("[]; could: {needed}"));
        } else {
            println!("LEFT OUT: a half that is wholly confined: {said}");
            assert!(said.contains(needed), "{said}");
            for what in ["start a program", "listen", "connect"] {
                assert!(said.contains("other system calls") || !said.contains(what), "{said}");
            }
        }
    }
}
