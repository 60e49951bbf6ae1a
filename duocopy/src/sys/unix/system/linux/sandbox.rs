//! The sandbox: Landlock restricts which paths a process can open, a seccomp filter which system calls it can make.

use super::syscalls::{self, Needs};
use crate::sys::contract::{DirectoryRight, SandboxGap, SandboxPolicy, Unconfined};
use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, PathBeneath, Ruleset, RulesetAttr, RulesetCreatedAttr,
    RulesetError, RulesetStatus, Scope,
};
use rustix::fd::AsFd;
use std::os::fd::AsRawFd;

/// The version of Landlock that is asked for, that of Linux 6.12. Older kernels enforce the part that they know.
const LANDLOCK: ABI = ABI::V6;

/// Confines this thread, and the threads that it starts from now on, to the directories in the policy, to the system
/// calls of a copy, and to what is open already. Returns what this kernel could not enforce.
pub fn confine<P: AsFd, D: AsFd>(policy: &SandboxPolicy<P, D>) -> Vec<Unconfined> {
    let gap = |gap, confined: Result<(), String>| confined.err().map(|reason| Unconfined { gap, reason });
    let paths = gap(SandboxGap::Paths, confine_paths(policy));
    let calls = gap(SandboxGap::SystemCalls, syscalls::confine(&needs(policy)));
    [paths, calls].into_iter().flatten().collect()
}

/// Returns the system calls that this policy needs, besides those that every half needs.
fn needs<P, D>(policy: &SandboxPolicy<P, D>) -> Needs {
    let has = |right| policy.destination.as_ref().is_some_and(|(_, rights)| rights.contains(&right));
    Needs {
        renames: has(DirectoryRight::RenameFiles),
        lists: has(DirectoryRight::ListNames),
        changeable: policy.changeable.map(AsRawFd::as_raw_fd),
    }
}

fn confine_paths<P: AsFd, D: AsFd>(policy: &SandboxPolicy<P, D>) -> Result<(), String> {
    let status = restrict_paths(policy).map_err(|error| error.to_string())?;
    if status == RulesetStatus::NotEnforced { Err("this kernel has no Landlock".into()) } else { Ok(()) }
}

fn restrict_paths<P: AsFd, D: AsFd>(policy: &SandboxPolicy<P, D>) -> Result<RulesetStatus, RulesetError> {
    let mut rules = Ruleset::default()
        .handle_access(AccessFs::from_all(LANDLOCK))?
        .handle_access(AccessNet::from_all(LANDLOCK))?
        .scope(Scope::from_all(LANDLOCK))?
        .create()?;
    if let Some((directory, rights)) = &policy.pipe {
        rules = rules.add_rule(PathBeneath::new(directory.as_fd(), access(rights)))?;
    }
    if let Some(directory) = &policy.pipe_parent {
        rules = rules.add_rule(PathBeneath::new(directory.as_fd(), AccessFs::RemoveDir))?;
    }
    if let Some((directory, rights)) = &policy.destination {
        rules = rules.add_rule(PathBeneath::new(directory.as_fd(), access(rights)))?;
    }
    Ok(rules.restrict_self()?.ruleset)
}

/// Converts these rights to those of Landlock.
fn access(rights: &[DirectoryRight]) -> BitFlags<AccessFs> {
    let access = rights.iter().map(|right| match right {
        DirectoryRight::ReadFiles => AccessFs::ReadFile.into(),
        DirectoryRight::ListNames => AccessFs::ReadDir.into(),
        DirectoryRight::RemoveFiles => AccessFs::RemoveFile.into(),
        // A rename removes one name and creates another. The seccomp filter prevents the creation of new files.
        DirectoryRight::RenameFiles => AccessFs::RemoveFile | AccessFs::MakeReg,
    });
    access.fold(BitFlags::empty(), |all, some: BitFlags<AccessFs>| all | some)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::{Directory, set_mode, set_owner, set_times};
    use rustix::fs::{AtFlags, Timespec, Timestamps, utimensat};
    use std::ffi::OsStr;
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
        let directory = |name| Directory::open_path(&folder.join(name)).unwrap().reopen().unwrap();
        let (pipes, destination) = (directory("pipes"), directory("destination"));
        let mut open = File::create(folder.join("open")).unwrap();
        let other = File::create(folder.join("other")).unwrap();
        let number = open.as_raw_fd();
        let missing = confine(&SandboxPolicy {
            pipe: Some((&pipes, vec![DirectoryRight::ReadFiles, DirectoryRight::RemoveFiles])),
            pipe_parent: None,
            destination: Some((&destination, vec![DirectoryRight::RenameFiles])),
            changeable: Some(&open),
        });
        let mut could = Vec::new();
        let mut try_to =
            |action: &'static str, done: io::Result<()>| could.extend(done.is_ok().then_some(action));
        let at = |name: &str| folder.join(name);
        let (file, renamed, new) = (OsStr::new("file"), OsStr::new("renamed"), OsStr::new("new"));
        let times = (1, 0);
        try_to("write to what is open", open.write_all(b"x"));
        try_to("set its mode", set_mode(&open, 0o640));
        try_to("set its times", set_times(&open, times, times));
        try_to("rename a file", destination.rename_over(file, renamed));
        try_to("give it a second name", destination.link(renamed, file));
        try_to("read a pipe", File::open(at("pipes/file")).map(drop));
        try_to("remove a pipe", pipes.remove(file));
        try_to(
            "start a thread",
            std::thread::Builder::new().spawn(|| {}).map(|thread| thread.join().unwrap()),
        );
        try_to("set another mode", set_mode(&other, 0o640));
        try_to("set another owner", set_owner(&other, (1, 1)));
        try_to("set other times", set_times(&other, times, times));
        try_to("set another length", other.set_len(0));
        drop(open);
        let reused = File::open(at("pipes/other")).unwrap().as_raw_fd() == number;
        try_to("reuse the number", reused.then_some(()).ok_or(io::ErrorKind::Other.into()));
        try_to("read another file", File::open(at("secret")).map(drop));
        try_to("read in the destination", File::open(at("destination/file")).map(drop));
        try_to("list a directory", fs::read_dir(&folder).map(drop));
        try_to("list the destination", destination.names().map(drop));
        try_to("write to another file", OpenOptions::new().append(true).open(at("secret")).map(drop));
        try_to(
            "write in the destination",
            OpenOptions::new().write(true).open(at("destination/file")).map(drop),
        );
        try_to("make a file", destination.create_new(new, 0).map(drop));
        try_to("make a pipe", pipes.create_new(new, 0).map(drop));
        try_to("make a file elsewhere", File::create_new(at("new")).map(drop));
        let outside = Directory::open_path(&folder).unwrap();
        try_to("remove a file elsewhere", outside.remove(OsStr::new("secret")));
        try_to("move a file out", fs::rename(at("destination/file"), at("new")));
        try_to("make a link", std::os::unix::fs::symlink("/", at("destination/link")));
        try_to("make a directory", fs::create_dir(at("destination/directory")));
        try_to("start a program", Command::new("true").status().map(drop));
        try_to("listen", TcpListener::bind("127.0.0.1:0").map(drop));
        try_to("connect", UnixStream::connect(at("socket")).map(drop));
        let time = Timespec { tv_sec: 1, tv_nsec: 0 };
        let times = Timestamps { last_access: time, last_modification: time };
        let named = utimensat(rustix::fs::CWD, at("secret"), &times, AtFlags::empty());
        try_to("set the times of a name", named.map_err(Into::into));
        try_to("change the working directory", rustix::process::chdir("/").map_err(Into::into));
        println!("missing: {missing:?}; could: {}", could.join(", "));
    }

    #[test]
    fn a_confined_process_can_do_its_work_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["destination", "pipes"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        for name in ["pipes/file", "pipes/other", "destination/file", "secret"] {
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
        let needed = "write to what is open, set its mode, set its times, rename a file, give it a second name, \
                      read a pipe, remove a pipe, start a thread";
        let (missing, could) = report.split_once("; could: ").unwrap();
        assert!(could.starts_with(needed), "{report}");
        if missing == "[]" {
            assert_eq!(could, needed);
        }
        // A kernel that lacks one of the two parts still has to refuse what the other one covers.
        for action in ["start a program", "listen", "connect", "another mode", "reuse", "make a file"] {
            assert!(missing.contains("SystemCalls") || !could.contains(action), "{report}");
        }
        for action in ["read another file", "list a directory", "remove a file elsewhere"] {
            assert!(missing.contains("Paths") || !could.contains(action), "{report}");
        }
    }
}
