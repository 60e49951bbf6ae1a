//! What tests need of the machine and of its user: `#[test(needs = [strace, root])]`.
//!
//! Each function returns the reason why its need is not met. Those that try something out remember the answer.

use super::{is_root, succeeds};
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

pub type Met = Result<(), String>;

fn met(holds: bool, reason: &str) -> Met {
    if holds { Ok(()) } else { Err(reason.into()) }
}

/// Processes can be watched, slowed down, made to fail and killed at their system calls.
pub fn strace() -> Met {
    static WORKS: OnceLock<bool> = OnceLock::new();
    let works = WORKS.get_or_init(|| succeeds(Command::new("strace").args(["-o", "/dev/null", "true"])));
    met(*works, "strace is missing or is not allowed to trace")
}

/// A copy can be held in the middle.
pub fn held_copies() -> Met {
    if cfg!(windows) { Ok(()) } else { strace() }
}

/// A process can be given a terminal of its own.
pub fn terminal() -> Met {
    static WORKS: OnceLock<bool> = OnceLock::new();
    let works = WORKS.get_or_init(|| succeeds(Command::new("script").args(["-qec", "true", "/dev/null"])));
    met(*works, "`script` is missing (package bsdutils)")
}

pub fn root() -> Met {
    met(is_root(), "only root may do this")
}

/// The test may take minutes and write gigabytes.
pub fn large() -> Met {
    met(is_large(), "takes long: set DUOCOPY_LARGE=1")
}

/// Whether the user has asked for the long variant of tests.
pub fn is_large() -> bool {
    std::env::var_os("DUOCOPY_LARGE").is_some_and(|value| value == "1")
}

/// This user can mount file systems in a namespace of its own.
pub fn own_mounts() -> Met {
    met(super::own_mounts().is_some(), "this user cannot mount file systems")
}

/// Temporary files are on a file system that keeps holes.
#[cfg(unix)]
pub fn holes() -> Met {
    use std::os::unix::fs::MetadataExt;
    let file = tempfile::tempfile().expect("a temporary file");
    file.set_len(1 << 20).expect("a temporary file can grow");
    let taken = file.metadata().expect("inspecting a temporary file").blocks() * 512;
    met(taken < 1 << 20, "the file system of temporary files has no holes")
}

/// Zeros that are written take space where temporary files are.
#[cfg(unix)]
pub fn zeros_that_take_space() -> Met {
    use std::io::Write;
    use std::os::unix::fs::MetadataExt;
    let mut file = tempfile::tempfile().expect("a temporary file");
    file.write_all(&vec![0; 1 << 20]).and_then(|()| file.sync_all()).expect("writing a temporary file");
    let taken = file.metadata().expect("inspecting a temporary file").blocks() * 512;
    met(taken >= 1 << 20, "the file system of temporary files stores no zeros")
}

/// Temporary files are on a disk, and not in memory.
#[cfg(target_os = "linux")]
pub fn files_on_a_disk() -> Met {
    /// `TMPFS_MAGIC` of linux/magic.h.
    const TMPFS: u64 = 0x0102_1994;
    let in_memory = rustix::fs::statfs(std::env::temp_dir())
        .is_ok_and(|system| u64::try_from(system.f_type) == Ok(TMPFS));
    met(!in_memory, "temporary files are in memory")
}

/// `fincore` shows what is in the page cache.
#[cfg(target_os = "linux")]
pub fn fincore() -> Met {
    met(succeeds(Command::new("fincore").arg("--version")), "`fincore` is missing (package util-linux)")
}

/// Extended attributes and access lists can be set on temporary files.
#[cfg(unix)]
pub fn extended_attributes() -> Met {
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    let flags = rustix::fs::XattrFlags::empty();
    let set = rustix::fs::setxattr(file.path(), "user.x", b"x", flags);
    met(set.is_ok(), "the file system of temporary files has no extended attributes")
}

/// Temporary files can be made immutable.
#[cfg(target_os = "linux")]
pub fn file_attributes() -> Met {
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    let change = |attribute: &str| succeeds(Command::new("chattr").arg(attribute).arg(file.path()));
    let works = change("+i") && change("-i") && change("+a") && change("-a");
    met(works, "the file system of temporary files has no attributes, or `chattr` is missing (e2fsprogs)")
}

/// A file can become a disk.
#[cfg(unix)]
pub fn loop_devices() -> Met {
    met(succeeds(Command::new("losetup").arg("--find")), "`losetup` finds no free loop device")
}

/// The kernel knows Btrfs, and `mkfs.btrfs` is installed.
#[cfg(unix)]
pub fn btrfs() -> Met {
    made_by("btrfs", "mkfs.btrfs", "--version", "package btrfs-progs")
}

/// The kernel knows ext3, and `mkfs.ext3` is installed.
#[cfg(unix)]
pub fn ext3() -> Met {
    made_by("ext3", "mkfs.ext3", "-V", "package e2fsprogs")
}

/// The kernel knows ext4, and `mkfs.ext4` is installed.
#[cfg(unix)]
pub fn ext4() -> Met {
    made_by("ext4", "mkfs.ext4", "-V", "package e2fsprogs")
}

/// The kernel knows XFS, and `mkfs.xfs` is installed.
#[cfg(unix)]
pub fn xfs() -> Met {
    made_by("xfs", "mkfs.xfs", "-V", "package xfsprogs")
}

#[cfg(unix)]
fn made_by(system: &str, program: &str, version: &str, package: &str) -> Met {
    let known = std::fs::read_to_string("/proc/filesystems").is_ok_and(|systems| systems.contains(system));
    let made = succeeds(Command::new(program).arg(version));
    met(known && made, &format!("there is no {system} here ({package})"))
}

/// A program can be told to hold a lease on a file.
#[cfg(target_os = "linux")]
pub fn perl() -> Met {
    met(succeeds(Command::new("perl").args(["-e", "0"])), "perl is missing")
}

/// The user has asked for power cuts on this file system, too.
pub fn power_cuts() -> Met {
    let asked = std::env::var_os("DUOCOPY_POWER_CUTS").is_some();
    met(asked, "takes long: set DUOCOPY_POWER_CUTS=300")
}

/// The user has asked for this file system, too.
pub fn file_systems() -> Met {
    let asked = std::env::var_os("DUOCOPY_FILE_SYSTEMS").is_some();
    met(asked, "takes long: set DUOCOPY_FILE_SYSTEMS=1")
}

/// File systems that misbehave as told can be mounted.
#[cfg(all(target_os = "linux", not(blockpipe_portable)))]
pub use super::fuse::fuse;

/// A user can create namespaces in which it is root.
#[cfg(unix)]
pub fn user_namespaces() -> Met {
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "--pid", "--fork", "--kill-child", "true"]);
    if is_root() {
        super::surround(&mut command, Some((super::NOBODY, super::NOBODY)), false);
    }
    met(succeeds(&mut command), "an ordinary user cannot create namespaces")
}

/// The kernel can restrict which paths a process opens.
#[cfg(target_os = "linux")]
pub fn landlock() -> Met {
    use landlock::{ABI, Access, AccessFs, CompatLevel, Compatible, Ruleset, RulesetAttr};
    let ruleset = Ruleset::default().set_compatibility(CompatLevel::HardRequirement);
    met(ruleset.handle_access(AccessFs::from_all(ABI::V1)).is_ok(), "the kernel has no Landlock")
}

/// The program that shows how to embed the engine. Cargo builds examples with all tests, but not with one suite alone.
pub fn example() -> Met {
    met(super::example().exists(), "the example is not built: cargo build -p duocopy --example embed")
}

/// The kernel tells which children a process has.
pub fn children_in_proc() -> Met {
    let id = std::process::id();
    let path = format!("/proc/{id}/task/{id}/children");
    met(Path::new(&path).exists(), "the kernel does not list the children of a process")
}

/// Where the dynamic loader may be.
pub const LOADERS: [&str; 2] = ["/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1"];

/// The program can be started by naming it to the dynamic loader.
pub fn loader() -> Met {
    met(LOADERS.iter().any(|path| Path::new(path).exists()), "the dynamic loader is not where it usually is")
}

pub fn bash() -> Met {
    met(Path::new("/bin/bash").exists(), "bash is missing")
}

/// The repository's documentation is there, which is not in the package.
pub fn manual() -> Met {
    met(super::manual().exists(), "docs/cli.md is not in this package")
}

/// A program that can die between two stores to shared memory.
pub fn program_with_steps() -> Met {
    met(std::env::var_os("DUOCOPY_STEPS_PROGRAM").is_some(), "needs another build: ci/every_step")
}

/// The system keeps the time of a file's last change of any kind, and tells it.
pub fn change_times() -> Met {
    met(cfg!(unix), "the system tells no time of the last change of a file's attributes")
}
