//! Which users the other process may belong to.

use crate::exit::{self, Failure};
use crate::options::Options;
use crate::sys;
use std::io;

/// Nothing in it: whoever can come may.
#[derive(Clone, Debug, Default)]
pub struct Peers {
    users: Vec<u32>,
    groups: Vec<u32>,
}

impl Peers {
    pub fn of(options: &Options) -> Result<Self, Failure> {
        let known = |flag: &str, names: &[String], find: fn(&str) -> io::Result<u32>| {
            let find = |name: &String| {
                find(name).map_err(|error| {
                    let error = match error.kind() {
                        io::ErrorKind::Unsupported => {
                            "on Windows only processes of the same user can meet".into()
                        }
                        _ => error.to_string(),
                    };
                    let what = format!("{flag} {}: {error}", exit::printable(name));
                    Failure::new(exit::USAGE, format!("{what}; give a name or a number that exists here"))
                })
            };
            names.iter().map(find).collect::<Result<Vec<_>, _>>()
        };
        let peers = Self {
            users: known("--peer-user", &options.peer_user, sys::user_id)?,
            groups: known("--peer-group", &options.peer_group, sys::group_id)?,
        };
        if options.dir.is_none() && sys::effective_user().is_some_and(|own| peers.check(Some(own)).is_err()) {
            let what = "without --dir only processes of this user can come, whom --peer-user and --peer-group do not allow";
            return Err(Failure::new(exit::USAGE, format!("{what}; name the directory where the two meet")));
        }
        // What belongs to the groups now: later this process may not be able to look.
        let members = peers.groups.iter().flat_map(|group| sys::group_members(*group));
        Ok(Self { users: peers.users.iter().copied().chain(members).collect(), ..peers })
    }

    /// A failure if this user's process is not to be dealt with.
    pub fn check(&self, user: Option<u32>) -> Result<(), Failure> {
        let belongs = |user| self.groups.iter().any(|group| sys::is_member(user, *group).unwrap_or(false));
        let allowed = |user| self.users.contains(&user) || belongs(user);
        if self.users.is_empty() && self.groups.is_empty() || user.is_some_and(allowed) {
            return Ok(());
        }
        let who = user.map_or("an unknown user".into(), exit::show_user);
        let what =
            format!("the other process belongs to {who}, whom --peer-user and --peer-group do not allow");
        Err(Failure::new(exit::REFUSED, format!("{what}; look who started it, or allow this user")))
    }
}
