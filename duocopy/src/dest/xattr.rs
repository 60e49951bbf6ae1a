//! The extended attributes that a copy gets, from the source and from the file that it replaces.

use crate::api::{Loss, LossReason, Preserved, Stop};
use crate::attributes::Attribute;
use crate::sys;
use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;

/// The access list of a file, which is set with its mode.
pub const ACCESS_LIST: &str = "system.posix_acl_access";
/// The capabilities of a program, whichever user starts it.
const CAPABILITIES: &str = "security.capability";

/// Users' attributes in which programs keep owners, modes or capabilities that they cannot give to the file itself.
/// These programs treat them as rights: a peer that could set them could create a set-user-ID program of root.
const RIGHTS_OF_USERS: [&str; 11] = [
    // containers/storage (Podman, Buildah, CRI-O) and fuse-overlayfs: owner and mode in `override_stat`.
    "user.containers.",
    "user.fuseoverlayfs.",
    // overlayfs of Linux, mounted with `userxattr`: redirections to other files, and the origin of content.
    "user.overlay.",
    // rootlesscontaine.rs, which umoci and PRoot follow: the owner.
    "user.rootlesscontainers",
    // `rsync --fake-super`: owner, mode, access lists and attributes such as capabilities.
    "user.rsync.",
    // QEMU's 9p file system with `security_model=mapped-xattr`: owner and mode.
    "user.virtfs.",
    // virtiofsd and the virtiofs of crosvm: attributes of the guest's `security.` and `trusted.`.
    "user.virtiofsd.",
    "user.virtiofs.",
    // OSTree repositories of the kind `bare-user`: owner, mode and attributes.
    "user.ostreemeta",
    // pseudo (Yocto): owner and mode.
    "user.pseudo_data",
    // Samba, with the value of `acl_xattr:security_acl_name` that its documentation uses: a Windows access list.
    "user.NTACL",
];

/// Labels of security modules that a file keeps when its content changes.
const LABELS: [&str; 2] = ["security.selinux", "security.SMACK64"];
/// Checksums of the content that the kernel computes.
const OF_CONTENT: [&str; 2] = ["security.ima", "security.evm"];

fn is_of_users(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b"user.")
}

/// Returns whether the kernel or another program may treat an attribute as rights.
fn gives_rights(name: &OsStr) -> bool {
    let is_in = |prefix: &&str| name.as_encoded_bytes().starts_with(prefix.as_bytes());
    !is_of_users(name) || RIGHTS_OF_USERS.iter().any(is_in)
}

/// Gives a private file the attributes of the file that it replaces, and removes those that an earlier attempt has
/// left. Returns the attributes of the replaced file that the new one does not get.
///
/// Attributes that give rights to a program were meant for the old content, and so were those that would give rights to
/// content from another user.
pub fn hand_on(existing: &[Attribute], file: &File, trusts_reader: bool) -> io::Result<Vec<Preserved>> {
    // Without a list, nobody knows which attributes an earlier attempt has left.
    let listed = sys::attributes(file);
    let mut lost = Vec::new();
    if listed.is_err() {
        lost.extend((!existing.is_empty()).then_some(Preserved::Attributes));
        sys::remove_attribute(file, OsStr::new(CAPABILITIES));
    }
    let has = listed.unwrap_or_default();
    for (name, _) in &has {
        let is_own = is_of_users(name) || name.as_encoded_bytes().starts_with(b"trusted.");
        if is_own && existing.iter().all(|(other, _)| other != name) {
            sys::remove_attribute(file, name);
        }
        if name == CAPABILITIES {
            sys::remove_attribute(file, name);
            if sys::attributes(file)?.iter().any(|(name, _)| name == CAPABILITIES) {
                return Err(io::ErrorKind::PermissionDenied.into());
            }
        }
    }
    let is_handed_on = |name: &OsString| {
        LABELS.iter().any(|label| name == label)
            || is_of_users(name) && (trusts_reader || !gives_rights(name))
    };
    for attribute in existing {
        let (name, value) = attribute;
        if name.is_empty() {
            if lost.is_empty() {
                lost.push(Preserved::Attributes);
            }
            continue;
        }
        if OF_CONTENT.iter().any(|checksum| name == checksum) {
            continue;
        }
        let set = |value: &Vec<u8>| has.contains(attribute) || sys::set_attribute(file, name, value).is_ok();
        if !is_handed_on(name) || !value.as_ref().is_some_and(set) {
            if is_of_users(name) {
                sys::remove_attribute(file, name);
            }
            lost.push(Preserved::Attribute(name.clone()));
        }
    }
    Ok(lost)
}

/// Sets the source's attributes that belong to users. Returns those that the copy does not get.
pub fn set_users(
    received: Option<&[Attribute]>,
    file: &File,
    trusts_reader: bool,
    stop: &Stop,
) -> io::Result<Vec<Loss>> {
    match check(received) {
        Err(lost) => Ok(vec![lost]),
        Ok(received) => {
            let received = received.iter().filter(|(name, _)| is_of_users(name));
            set_all(received, file, |attribute| refusal(attribute, trusts_reader, false), stop)
        }
    }
}

/// Sets all other attributes of the source. Returns what the copy does not get.
pub fn set_privileged(
    received: Option<&[Attribute]>,
    file: &File,
    trusts_reader: bool,
    same_owner: bool,
    stop: &Stop,
) -> io::Result<Vec<Loss>> {
    let received = check(received).unwrap_or_default().iter();
    let received = received.filter(|(name, _)| !is_of_users(name) && name != ACCESS_LIST);
    set_all(received, file, |attribute| refusal(attribute, trusts_reader, same_owner), stop)
}

/// Returns which attributes of the source a file does not have.
pub fn missing(
    received: Option<&[Attribute]>,
    file: &File,
    trusts_reader: bool,
    same_owner: bool,
) -> Vec<Loss> {
    let received = match check(received) {
        Err(lost) => return vec![lost],
        Ok(received) => received.iter().filter(|(name, _)| name != ACCESS_LIST),
    };
    let has = attributes_of(file);
    let lost = |attribute: &Attribute| match refusal(attribute, trusts_reader, same_owner) {
        None if has.contains(attribute) => None,
        reason => Some(loss(&attribute.0, reason.unwrap_or(LossReason::InPlace))),
    };
    received.filter_map(lost).collect()
}

fn check(received: Option<&[Attribute]>) -> Result<&[Attribute], Loss> {
    let lost = |reason| Loss { what: Preserved::Attributes, reason };
    match received {
        _ if !sys::HAS_ATTRIBUTES => Err(lost(LossReason::Unsupported)),
        None => Err(lost(LossReason::NotReceived)),
        Some(received) => Ok(received),
    }
}

/// Sets these attributes, except for those that a copy must not have. Returns those that the file does not get.
fn set_all<'a>(
    attributes: impl Iterator<Item = &'a Attribute>,
    file: &File,
    refusal: impl Fn(&Attribute) -> Option<LossReason>,
    stop: &Stop,
) -> io::Result<Vec<Loss>> {
    let (mut lost, mut has) = (Vec::new(), None);
    for attribute in attributes {
        if stop.is_requested() {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let (name, value) = attribute;
        let reason = refusal(attribute).or_else(|| {
            let set = sys::set_attribute(file, name, value.as_deref().unwrap_or_default());
            // A refusal does not matter if the file has the attribute, which its directory may have given to it.
            let mut has = || has.get_or_insert_with(|| attributes_of(file)).contains(attribute);
            set.err().filter(|_| !has()).map(|error| LossReason::System(error.into()))
        });
        lost.extend(reason.map(|reason| loss(name, reason)));
    }
    Ok(lost)
}

fn attributes_of(file: &File) -> HashSet<Attribute> {
    sys::attributes(file).unwrap_or_default().into_iter().collect()
}

/// Returns why a copy must not have an attribute, if that is so.
fn refusal((name, value): &Attribute, trusts_reader: bool, same_owner: bool) -> Option<LossReason> {
    match value {
        None => Some(LossReason::Unreadable),
        Some(_) if gives_rights(name) && !trusts_reader => Some(LossReason::OtherUser),
        Some(_) if name == CAPABILITIES && !same_owner => Some(LossReason::OtherOwner),
        Some(_) => None,
    }
}

fn loss(name: &OsStr, reason: LossReason) -> Loss {
    Loss { what: Preserved::Attribute(name.to_owned()), reason }
}
