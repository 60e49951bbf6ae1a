//! The users to whom the peer may belong.

use crate::api::{Error, ErrorKind, Parties, Request};
use crate::sys;
use std::io;

/// The users and groups that are allowed. If both lists are empty, any user who can join is allowed.
#[derive(Clone, Debug, Default)]
pub struct Peers {
    users: Vec<u32>,
    groups: Vec<u32>,
}

impl Peers {
    pub fn of(request: &Request) -> Result<Self, Error> {
        // The second process of `cp` runs as this user, and no other process may take its place.
        if let (Parties::Both { .. }, Some(_), Some(own)) =
            (&request.parties, &request.dir, sys::effective_user())
        {
            return Ok(Self { users: vec![own], groups: Vec::new() });
        }
        let mut peers = Self {
            users: numbers(&request.peer_users, sys::user_id, ErrorKind::UnknownUser)?,
            groups: numbers(&request.peer_groups, sys::group_id, ErrorKind::UnknownGroup)?,
        };
        let allows_own = || sys::effective_user().is_none_or(|own| peers.check(Some(own)).is_ok());
        if request.dir.is_none() && !allows_own() {
            return Err(ErrorKind::OwnUserNotAllowed.into());
        }
        // Looked up now, because a confined process cannot do it.
        if request.sandbox && request.dir.is_some() {
            sys::remember_names();
        }
        let members: Vec<u32> = peers.groups.iter().flat_map(|group| sys::group_members(*group)).collect();
        peers.users.extend(members);
        Ok(peers)
    }

    /// Returns an error if a process of this user must not be the peer.
    pub fn check(&self, user: Option<u32>) -> Result<(), Error> {
        // The Reader is confined before the Writer comes, so it cannot look up members here and relies on the list of
        // users. That list lacks users whose primary group only a network directory knows: they cannot be listed in
        // advance.
        let is_member = |user| self.groups.iter().any(|group| sys::is_member(user, *group).unwrap_or(false));
        let is_allowed = |user| self.users.contains(&user) || is_member(user);
        if self.users.is_empty() && self.groups.is_empty() || user.is_some_and(is_allowed) {
            return Ok(());
        }
        Err(ErrorKind::PeerNotAllowed { user }.into())
    }
}

fn numbers(
    names: &[String],
    find: fn(&str) -> io::Result<u32>,
    unknown: fn(String) -> ErrorKind,
) -> Result<Vec<u32>, Error> {
    let number = |name: &String| {
        find(name).map_err(|error| Error { cause: Some(error.into()), ..unknown(name.clone()).into() })
    };
    names.iter().map(number).collect()
}
