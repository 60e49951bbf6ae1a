//! What tests need of the machine and of its user: `#[test(needs = [root])]`.
//!
//! Each function returns the reason why its need is not met.

#[cfg(unix)]
use std::process::{Command, Stdio};

type Met = Result<(), String>;

#[cfg(unix)]
fn met(holds: bool, reason: &str) -> Met {
    if holds { Ok(()) } else { Err(reason.into()) }
}

#[cfg(unix)]
pub fn root() -> Met {
    met(rustix::process::geteuid().is_root(), "only root may do this")
}

/// This user can mount file systems in a namespace of its own.
#[cfg(unix)]
pub fn own_mounts() -> Met {
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", "mount -t tmpfs -o size=64k tmpfs /dev/shm"]);
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    met(quiet.status().is_ok_and(|status| status.success()), "this user cannot mount file systems")
}

/// An ordinary user can make a user namespace.
#[cfg(unix)]
pub fn own_users() -> Met {
    let mut command = Command::new("setpriv");
    command.args(["--reuid=20001", "--regid=20001", "--clear-groups"]);
    command.args(["unshare", "--user", "--map-root-user", "true"]);
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    met(quiet.status().is_ok_and(|status| status.success()), "an ordinary user cannot make a user namespace")
}

/// This user can mount file systems that the tests themselves serve.
#[cfg(unix)]
pub fn fuse() -> Met {
    let device = std::fs::File::options().read(true).write(true).open("/dev/fuse");
    met(device.is_ok(), "this user cannot open /dev/fuse")
}
