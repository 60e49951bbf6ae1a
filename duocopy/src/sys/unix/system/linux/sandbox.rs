//! The sandbox: Landlock restricts which paths a process can open, a seccomp filter which system calls it can make.

use super::syscalls;
use crate::sys::contract::{SandboxGap, SandboxPolicy, Unconfined};
use landlock::{
    ABI, Access, AccessFs, AccessNet, PathBeneath, PathFd, Ruleset, RulesetAttr, RulesetCreatedAttr,
    RulesetError, RulesetStatus, Scope,
};
use rustix::fd::AsFd;

/// The version of Landlock that is asked for, that of Linux 6.12. Older kernels enforce the part that they know.
const LANDLOCK: ABI = ABI::V6;

/// The files that the C library reads to find the name of a user.
const USER_DATABASE: [&str; 3] = ["/etc/passwd", "/etc/group", "/etc/nsswitch.conf"];

/// Confines this thread, and the threads that it starts from now on, to the paths in the policy, to the system calls of
/// a copy, and to what is open already. Returns what this kernel could not enforce.
pub fn confine<D: AsFd>(policy: &SandboxPolicy<D>) -> Vec<Unconfined> {
    let gap = |gap, confined: Result<(), String>| confined.err().map(|reason| Unconfined { gap, reason });
    let paths = gap(SandboxGap::Paths, confine_paths(policy));
    let calls = gap(SandboxGap::SystemCalls, syscalls::confine());
    [paths, calls].into_iter().flatten().collect()
}

fn confine_paths<D: AsFd>(policy: &SandboxPolicy<D>) -> Result<(), String> {
    let status = restrict_paths(policy).map_err(|error| error.to_string())?;
    if status == RulesetStatus::NotEnforced { Err("this kernel has no Landlock".into()) } else { Ok(()) }
}

fn restrict_paths<D: AsFd>(policy: &SandboxPolicy<D>) -> Result<RulesetStatus, RulesetError> {
    let mut rules = Ruleset::default()
        .handle_access(AccessFs::from_all(LANDLOCK))?
        .handle_access(AccessNet::from_all(LANDLOCK))?
        .scope(Scope::from_all(LANDLOCK))?
        .create()?;
    // A path that does not exist needs no rule.
    if let Some(Ok(pipes)) = policy.pipe_dir.as_ref().map(PathFd::new) {
        rules = rules.add_rule(PathBeneath::new(pipes, AccessFs::ReadFile | AccessFs::RemoveFile))?;
    }
    if let Some(directory) = &policy.writable_dir {
        let write = AccessFs::ReadDir
            | AccessFs::ReadFile
            | AccessFs::WriteFile
            | AccessFs::MakeReg
            | AccessFs::RemoveFile
            | AccessFs::Truncate;
        rules = rules.add_rule(PathBeneath::new(directory.as_fd(), write))?;
    }
    if let Some(directory) = &policy.readable_dir {
        let read = AccessFs::ReadDir | AccessFs::ReadFile;
        rules = rules.add_rule(PathBeneath::new(directory.as_fd(), read))?;
    }
    for path in USER_DATABASE.map(PathFd::new).into_iter().flatten() {
        rules = rules.add_rule(PathBeneath::new(path, AccessFs::ReadFile))?;
    }
    Ok(rules.restrict_self()?.ruleset)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::Directory;
    use std::fs::{self, File, OpenOptions};
    use std::io::{self, Write};
    use std::net::TcpListener;
    use std::os::unix::net::UnixStream;
    use std::path::PathBuf;
    use std::process::Command;

    /// Tries what an attacker who has taken over a confined process could try, and prints what succeeded.
    ///
    /// This runs in a process of its own, because a process cannot leave its sandbox.
    #[test]
    #[expect(clippy::print_stdout, reason = "the other test reads it")]
    fn confined() {
        let Some(folder) = std::env::var_os("DUOCOPY_TEST_DIR").map(PathBuf::from) else { return };
        let directory = |name| Directory::open_path(&folder.join(name)).unwrap();
        let (writable, readable) = (directory("writable"), directory("readable"));
        let mut open = File::create(folder.join("open")).unwrap();
        let missing = confine(&SandboxPolicy {
            pipe_dir: Some(folder.join("pipes").into()),
            writable_dir: Some(&writable),
            readable_dir: Some(&readable),
        });
        let mut could = Vec::new();
        let mut try_to =
            |action: &'static str, done: io::Result<()>| could.extend(done.is_ok().then_some(action));
        let at = |name: &str| folder.join(name);
        let make = |path: PathBuf| File::create_new(path).map(drop);
        try_to("write to what is open", open.write_all(b"x"));
        try_to("make a file", make(at("writable/new")));
        try_to("rename it", fs::rename(at("writable/new"), at("writable/newer")));
        try_to("read a pipe", File::open(at("pipes/file")).map(drop));
        try_to("remove a pipe", fs::remove_file(at("pipes/file")));
        try_to("read the destination", File::open(at("readable/file")).map(drop));
        try_to(
            "start a thread",
            std::thread::Builder::new().spawn(|| {}).map(|thread| thread.join().unwrap()),
        );
        try_to("read another file", File::open(at("secret")).map(drop));
        try_to("list a directory", fs::read_dir(&folder).map(drop));
        try_to("write to another file", OpenOptions::new().append(true).open(at("secret")).map(drop));
        try_to("write to the readable directory", make(at("readable/new")));
        try_to("make a pipe", make(at("pipes/new")));
        try_to("make a file elsewhere", make(at("new")));
        try_to("remove a file elsewhere", fs::remove_file(at("secret")));
        try_to("move a file out", fs::rename(at("writable/newer"), at("new")));
        try_to("make a link", std::os::unix::fs::symlink("/", at("writable/link")));
        try_to("make a directory", fs::create_dir(at("writable/directory")));
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
        try_to("change the working directory", rustix::process::chdir("/").map_err(Into::into));
        println!("missing: {missing:?}; could: {}", could.join(", "));
    }

    #[test]
    fn a_confined_process_can_do_its_work_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["writable", "readable", "pipes"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        for name in ["pipes/file", "readable/file", "secret"] {
            fs::write(folder.path().join(name), "x").unwrap();
        }
        let _listens = std::os::unix::net::UnixListener::bind(folder.path().join("socket")).unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap());
        let (_, module) = module_path!().split_once("::").unwrap();
        let test = format!("{module}::confined");
        child.args([&*test, "--exact", "--nocapture"]).env("DUOCOPY_TEST_DIR", folder.path());
        let output = String::from_utf8(child.output().unwrap().stdout).unwrap();
        let report = output.lines().find_map(|line| line.split_once("missing: ")).map(|(_, report)| report);
        let report = report.unwrap_or_else(|| panic!("{output}"));
        let needed = "write to what is open, make a file, rename it, read a pipe, remove a pipe, read the \
                      destination, start a thread";
        let (missing, could) = report.split_once("; could: ").unwrap();
        assert!(could.starts_with(needed), "{report}");
        if missing == "[]" {
            assert_eq!(could, needed);
        }
        // A kernel that lacks one of the two parts still has to refuse what the other one covers.
        for action in ["start a program", "listen", "connect"] {
            assert!(missing.contains("SystemCalls") || !could.contains(action), "{report}");
        }
        for action in ["read another file", "list a directory", "remove a file elsewhere"] {
            assert!(missing.contains("Paths") || !could.contains(action), "{report}");
        }
    }
}
