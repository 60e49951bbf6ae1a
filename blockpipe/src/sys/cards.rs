//! User cards: files in a directory of several users that prove which user holds a seat.

use super::contract::{OpenError, Side};
use super::folder::{Folder, OPEN_FLAGS, side_name};
use super::system;
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::retry_on_intr;
use std::io;

/// The card by which a peer was identified. It stays the same file even if another one takes its name.
#[derive(Debug)]
pub(crate) struct Card {
    /// The user, unless this process's user namespace has no number for that user.
    pub user: Option<u32>,
    /// The open card, in a directory of several users.
    file: Option<OwnedFd>,
    is_own: bool,
}

impl Card {
    /// Returns whether the process that was identified still lives. Always true in a directory of one user.
    pub(crate) fn is_held(&self) -> io::Result<bool> {
        self.file.as_ref().map_or(Ok(true), |file| system::is_held(file, self.is_own))
    }
}

impl Folder {
    /// Publishes the user who takes a seat: writes a file for this pairing alone, which only its owner can write to,
    /// and locks it in a way that only its owner can, for as long as the returned file lives.
    pub fn publish_user(
        &self,
        pipe: &OwnedFd,
        key: &str,
        side: Side,
        generation: u64,
    ) -> Result<Option<OwnedFd>, OpenError> {
        if !self.shared {
            return Ok(None);
        }
        let name = card_name(key, side);
        let path = format!("{}/{name}", self.path.to_string_lossy());
        self.remove_old_card(&name, &path)?;
        let card = self.make_card(pipe, key, side, generation);
        card.map(Some).map_err(|source| OpenError::Io { doing: format!("creating {path}"), source })
    }

    /// Removes the card of an earlier pairing, or of a dead process that is being replaced.
    fn remove_old_card(&self, name: &str, path: &str) -> Result<(), OpenError> {
        let foreign = |what| Err(OpenError::Foreign { path: path.into(), what });
        match self.remove(name) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(_) if self.is_directory(name) => foreign("a directory has the name of a user card"),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied && self.sticky => foreign(
                "a file of another user has the name of a user card, and the directory has the sticky bit, so that only \
                 that user or root can remove it",
            ),
            Err(source) => Err(OpenError::Io { doing: format!("removing {path}"), source }),
        }
    }

    fn is_directory(&self, name: &str) -> bool {
        rustix::fs::statat(&self.descriptor, name, AtFlags::SYMLINK_NOFOLLOW)
            .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
    }

    fn make_card(&self, pipe: &OwnedFd, key: &str, side: Side, generation: u64) -> io::Result<OwnedFd> {
        let name = card_name(key, side);
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OPEN_FLAGS;
        let mode = self.mode & (Mode::RUSR | Mode::RGRP | Mode::ROTH);
        let file = retry_on_intr(|| rustix::fs::openat(&self.descriptor, &name, flags, mode))?;
        system::hold(&file)?;
        self.give(&file, mode)?;
        let text = card_text(pipe, key, side, generation)?;
        let written = retry_on_intr(|| rustix::io::write(&file, text.as_bytes()))?;
        if written == text.len() { Ok(file) } else { Err(io::ErrorKind::WriteZero.into()) }
    }

    /// Returns the card of the process that holds the seat now. The kernel reports the card's owner, and that the card
    /// is locked for writing: a dead process's card is not locked, and other users cannot lock it that way.
    pub fn card(&self, pipe: &OwnedFd, key: &str, side: Side, generation: u64) -> io::Result<Card> {
        let own = rustix::process::geteuid().as_raw();
        if !self.shared {
            return Ok(Card { user: Some(own), file: None, is_own: true });
        }
        let flags = OFlags::RDONLY | OPEN_FLAGS;
        let card = retry_on_intr(|| {
            rustix::fs::openat(&self.descriptor, card_name(key, side), flags, Mode::empty())
        })?;
        let (stat, text) = (rustix::fs::fstat(&card)?, card_text(pipe, key, side, generation)?);
        // One byte longer than expected, so that a longer file is noticed.
        let mut there = vec![0; text.len() + 1];
        let length = retry_on_intr(|| rustix::io::read(&card, &mut there))?;
        let is_own = stat.st_uid == own;
        let is_valid = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
            && stat.st_mode & 0o022 == 0
            && stat.st_nlink == 1
            && system::is_held(&card, is_own)?;
        if is_valid && &there[..length] == text.as_bytes() {
            let user = (self.unknown_user != Some(stat.st_uid)).then_some(stat.st_uid);
            Ok(Card { user, file: Some(card), is_own })
        } else {
            Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the peer has not proved which user it belongs to",
            ))
        }
    }

    /// Removes the user cards of both sides, as far as this user may.
    pub fn unlink_cards(&self, key: &str) {
        if self.shared {
            for side in [Side::Producer, Side::Consumer] {
                let _ = self.remove(&card_name(key, side));
            }
        }
    }

    /// Removes this user card, unless another process has replaced it. The end that removes the pipe may lack the right
    /// to remove this card.
    pub fn unlink_card(&self, card: &OwnedFd, key: &str, side: Side) {
        let name = card_name(key, side);
        if self.leads_to(&name, card).unwrap_or(false) {
            let _ = self.remove(&name);
        }
    }
}

fn card_name(key: &str, side: Side) -> String {
    format!("{key}-{}-user", side_name(side))
}

/// Returns the text of a user card. It contains the inode number of the pipe's file, so that nobody can have made
/// another file with this generation.
fn card_text(pipe: &OwnedFd, key: &str, side: Side, generation: u64) -> io::Result<String> {
    let file = rustix::fs::fstat(pipe)?.st_ino;
    Ok(format!("blockpipe {key} {file:x} {generation:016x} {}\n", side_name(side)))
}
