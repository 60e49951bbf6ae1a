//! Users, groups and the umask.

use nix::unistd::{Group, User};
use rustix::fs::Mode;
use std::collections::BTreeMap;
use std::io;
use std::sync::OnceLock;

/// Users and groups have numbers, and each file has one of each.
pub const HAS_OWNERS: bool = true;

/// Returns the number of a user who is given by name or number.
pub fn user_id(name: &str) -> io::Result<u32> {
    id_of(name, "user", || Ok(User::from_name(name)?.map(|user| user.uid.as_raw())))
}

/// Returns the number of a group that is given by name or number.
pub fn group_id(name: &str) -> io::Result<u32> {
    id_of(name, "group", || Ok(Group::from_name(name)?.map(|group| group.gid.as_raw())))
}

fn id_of(name: &str, what: &str, look_up: impl FnOnce() -> io::Result<Option<u32>>) -> io::Result<u32> {
    let number = name.parse().ok().map_or_else(look_up, |number| Ok(Some(number)))?;
    number.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, format!("there is no such {what}")))
}

/// The names of the users that this system itself knows, once they were read.
static NAMES: OnceLock<BTreeMap<u32, String>> = OnceLock::new();

/// Reads the names of the users that this system itself knows. A confined process cannot do that later.
pub fn remember_names() {
    NAMES.get_or_init(|| local_users().into_iter().map(|local| (local.user, local.name)).collect());
}

/// Returns the name of a user; `None` if the user database has none.
pub fn user_name(user: u32) -> Option<String> {
    let remembered = NAMES.get().and_then(|names| names.get(&user)).cloned();
    remembered.or_else(|| User::from_uid(user.into()).ok().flatten().map(|user| user.name))
}

/// A user in `/etc/passwd`.
struct LocalUser {
    name: String,
    user: u32,
    primary_group: u32,
}

/// Returns the users in `/etc/passwd`, whose lines begin with name, password, user, group. The first line of a user
/// counts.
fn local_users() -> Vec<LocalUser> {
    let content = std::fs::read("/etc/passwd").unwrap_or_default();
    let content = String::from_utf8_lossy(&content);
    let local = |line: &str| {
        let mut fields = line.split(':');
        let (name, _) = (fields.next()?.to_owned(), fields.next()?);
        let (user, primary_group) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
        Some(LocalUser { name, user, primary_group })
    };
    content.lines().rev().filter_map(local).collect()
}

/// Checks in the user database whether a user belongs to a group.
pub fn is_member(user: u32, group: u32) -> io::Result<bool> {
    let Some(user) = User::from_uid(user.into())? else { return Ok(false) };
    let members = Group::from_gid(group.into())?.map_or(Vec::new(), |group| group.mem);
    Ok(user.gid.as_raw() == group || members.contains(&user.name))
}

/// Returns the members of a group, as far as this system itself knows them.
pub fn group_members(group: u32) -> Vec<u32> {
    let known = Group::from_gid(group.into()).ok().flatten();
    let named = known.map_or(Vec::new(), |group| group.mem);
    let named = named.into_iter().filter_map(|name| user_id(&name).ok());
    // The group need not list users who have it as their primary group.
    let primary = local_users().into_iter().filter(|local| local.primary_group == group);
    named.chain(primary.map(|local| local.user)).collect()
}

/// Returns the user that this process runs as.
#[expect(clippy::unnecessary_wraps, reason = "on Windows users have no numbers")]
pub fn effective_user() -> Option<u32> {
    Some(rustix::process::geteuid().as_raw())
}

/// Returns the umask of this process. Call it in `main`, before the first thread starts.
///
/// Linux tells it in `/proc`. Elsewhere, or without `/proc`, it can only be read by setting it: a file that another
/// thread creates in between would get other rights than the user wants.
///
/// The umask has no special bits: a new file gets `mode & 0o777 & !umask`.
pub fn umask() -> u32 {
    status_field("Umask:", 8).unwrap_or_else(|| {
        let mask = rustix::process::umask(Mode::RWXG | Mode::RWXO);
        rustix::process::umask(mask);
        mask.bits().into()
    }) as u32
}

/// Returns a number from `/proc/self/status`, which only Linux has; `None` if `/proc` is not mounted.
pub(super) fn status_field(name: &str, radix: u32) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let value = status.lines().find_map(|line| line.strip_prefix(name))?;
    u64::from_str_radix(value.trim(), radix).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_name_and_by_number() {
        let root = user_name(0).expect("there is a superuser");
        assert_eq!((user_id(&root).unwrap(), user_id("0").unwrap(), user_id("4711").unwrap()), (0, 0, 4711));
        assert_eq!(user_id("nobody-at-all").unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!(user_name(u32::MAX - 7), None);
        remember_names();
        assert_eq!((user_name(0), user_name(u32::MAX - 7)), (Some(root), None));
    }

    #[test]
    fn the_umask_is_that_of_the_shell_that_started_the_process() {
        let shell = std::process::Command::new("sh").args(["-c", "umask"]).output().unwrap();
        let shell = String::from_utf8(shell.stdout).unwrap();
        assert_eq!(umask(), u32::from_str_radix(shell.trim(), 8).unwrap());
    }
}
