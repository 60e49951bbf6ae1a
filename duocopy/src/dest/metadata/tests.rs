use super::*;
#[cfg(unix)]
use crate::digest::Kind;

/// Describes a new file in a directory without a default access list.
fn around(source: &SourceRecord, trusts_reader: bool) -> Surroundings<'_> {
    static STOP: std::sync::LazyLock<Stop> = std::sync::LazyLock::new(Stop::default);
    let default_list = &DefaultList::Absent;
    Surroundings { source, umask: 0o022, trusts_reader, existing: None, default_list, stop: &STOP }
}

/// Applies the metadata to a file, and returns the part that is missing.
fn apply(metadata: &SourceMetadata, file: &File, source: &SourceRecord, trusts_reader: bool) -> Missing {
    metadata.apply(file, &around(source, trusts_reader)).unwrap()
}

fn lost(metadata: &SourceMetadata, source: &SourceRecord, trusts_reader: bool) -> Vec<Loss> {
    let file = tempfile::tempfile().unwrap();
    let lost = apply(metadata, &file, source, trusts_reader).of_source;
    // `missing` must find everything that `apply` could not set.
    let names = |lost: &[Loss]| lost.iter().map(|loss| loss.what.clone()).collect::<Vec<_>>();
    assert_eq!(names(&metadata.missing(&file, source, trusts_reader)), names(&lost));
    lost
}

#[test]
fn a_stream_has_nothing_but_content() {
    let everything = [Loss { what: Preserved::Everything, reason: LossReason::Stream }];
    let metadata = SourceMetadata::new(&[Preserve::Mode]);
    assert_eq!(lost(&metadata, &SourceRecord::STREAM, true), everything);
    assert_eq!(lost(&SourceMetadata::new(&[]), &SourceRecord::STREAM, true), []);
}

#[cfg(unix)]
#[test]
fn set_id_bits_are_for_one_user_and_one_owner() {
    let mut stat = sys::fstat(&tempfile::tempfile().unwrap()).unwrap();
    stat.mode = 0o4755;
    let of = |owner| {
        let mut stat = stat;
        stat.owner = owner;
        SourceRecord::of_file(stat, Kind::Nothing)
    };
    let metadata = SourceMetadata::new(&[Preserve::Mode]);
    let bits = |reason| vec![Loss { what: Preserved::SetIdBits, reason }];
    let other = (stat.owner.0 + 1, stat.owner.1);
    assert_eq!(lost(&metadata, &of(stat.owner), true), []);
    assert_eq!(lost(&metadata, &of(other), true), bits(LossReason::OtherOwner));
    assert_eq!(lost(&metadata, &of(stat.owner), false), bits(LossReason::OtherUser));
}

#[cfg(target_os = "linux")]
mod linux {
    use super::*;
    use crate::attributes::{pack, pieces};
    use std::ffi::OsStr;

    const CAPABILITIES: &str = "security.capability";

    fn wanting(preserve: &[Preserve], attributes: &[Attribute]) -> SourceMetadata {
        let mut metadata = SourceMetadata::new(preserve);
        assert!(pieces(&pack(attributes), 100).all(|piece| metadata.add_attributes(&piece)));
        metadata
    }

    fn source(mode: u32) -> SourceRecord {
        let mut stat = sys::fstat(&tempfile::tempfile().unwrap()).unwrap();
        stat.mode = mode;
        SourceRecord::of_file(stat, Kind::Nothing)
    }

    /// Version 2; an entry for owner, a named user, group, mask and others.
    fn list([owner, user, group, mask, others]: [u8; 5]) -> AccessList {
        let entries = [(1, owner, [0xff; 4]), (2, user, [1, 0, 0, 0]), (4, group, [0xff; 4])];
        let entries = entries.into_iter().chain([(0x10, mask, [0xff; 4]), (0x20, others, [0xff; 4])]);
        let entries = entries.flat_map(|(kind, rights, id)| [[kind, 0, rights, 0], id]);
        let bytes = [[2, 0, 0, 0]].into_iter().chain(entries).flatten().collect::<Vec<u8>>();
        AccessList::parse(&bytes).unwrap()
    }

    fn existing(file: &File, mode: u32, attributes: Vec<Attribute>) -> Existing {
        Existing { owner: sys::fstat(file).unwrap().owner, mode, list: None, attributes }
    }

    fn replace(file: &File, existing: &Existing, trusts_reader: bool) -> Missing {
        let source = source(0o600);
        let around = Surroundings { existing: Some(existing), ..around(&source, trusts_reader) };
        SourceMetadata::new(&[]).apply(file, &around).unwrap()
    }

    fn names(file: &File) -> Vec<String> {
        let mut names: Vec<_> =
            sys::attributes(file).unwrap().into_iter().map(|(name, _)| name.into_string().unwrap()).collect();
        names.retain(|name| name.starts_with("user.") || name == CAPABILITIES);
        names.sort();
        names
    }

    fn has_attributes(file: &File) -> bool {
        let set = sys::set_attribute(file, OsStr::new("user.test"), b"x").is_ok();
        sys::remove_attribute(file, OsStr::new("user.test"));
        set
    }

    #[test]
    fn each_attribute_that_is_not_set_is_reported_with_its_reason() {
        let source = SourceRecord::of_file(SourceRecord::STREAM.stat, Kind::Nothing);
        let none = [Loss { what: Preserved::Attributes, reason: LossReason::NotReceived }];
        assert_eq!(lost(&SourceMetadata::new(&[Preserve::Xattr]), &source, true), none);
        let attributes = [("trusted.a".into(), Some(vec![1])), ("user.b".into(), None)];
        let metadata = wanting(&[Preserve::Xattr], &attributes);
        let loss = |name: &str, reason| Loss { what: Preserved::Attribute(name.into()), reason };
        let file = tempfile::tempfile().unwrap();
        assert_eq!(
            apply(&metadata, &file, &source, false).of_source,
            [loss("user.b", LossReason::Unreadable), loss("trusted.a", LossReason::OtherUser)]
        );
    }

    #[test]
    fn a_stranger_gives_no_attribute_that_a_program_takes_for_rights() {
        let file = tempfile::tempfile().unwrap();
        if !has_attributes(&file) {
            return;
        }
        let giving = [
            "user.containers.override_stat",
            "user.fuseoverlayfs.override_stat",
            "user.overlay.redirect",
            "user.rootlesscontainers",
            "user.rsync.%stat",
            "user.virtfs.mode",
            "user.virtiofsd.security.capability",
            "user.ostreemeta",
        ];
        let harmless = ["user.containersx", "user.mime_type", "user.overlays"];
        let attributes: Vec<Attribute> = giving
            .iter()
            .chain(&harmless)
            .map(|name| ((*name).into(), Some(b"0:0:04755".to_vec())))
            .collect();
        let metadata = wanting(&[Preserve::Xattr], &attributes);
        let refused =
            |name: &&str| Loss { what: Preserved::Attribute((*name).into()), reason: LossReason::OtherUser };
        let lost = apply(&metadata, &file, &source(0o600), false).of_source;
        assert_eq!(lost, giving.iter().map(refused).collect::<Vec<_>>());
        assert_eq!(names(&file), harmless);
        // They are no less dangerous if the replaced file had them.
        let old = existing(&file, 0o600, attributes.clone());
        assert_eq!(replace(&file, &old, false).of_existing.len(), giving.len());
        assert_eq!(names(&file), harmless);
        // One user copies everything, and keeps everything.
        assert_eq!(apply(&metadata, &file, &source(0o600), true).of_source, []);
        assert_eq!(names(&file).len(), attributes.len());
        assert_eq!(replace(&file, &old, true).of_existing, []);
        assert_eq!(names(&file).len(), attributes.len());
    }

    #[test]
    fn what_an_earlier_attempt_has_given_is_taken_away() {
        let file = tempfile::tempfile().unwrap();
        if !has_attributes(&file) || sys::set_access_list(&file, Some(&list([7, 7, 7, 7, 7]))).is_err() {
            return;
        }
        sys::set_attribute(&file, OsStr::new("user.left"), b"x").unwrap();
        // Only root can set capabilities, which is version 2, and all of them.
        let capabilities = [&0x0200_0001_u32.to_le_bytes()[..], &[0xff; 16]].concat();
        let _ = sys::set_attribute(&file, OsStr::new(CAPABILITIES), &capabilities);
        sys::set_mode(&file, 0o4777).unwrap();
        apply(&SourceMetadata::new(&[]), &file, &source(0o640), true);
        assert_eq!(names(&file), [] as [&str; 0]);
        assert_eq!((sys::fstat(&file).unwrap().mode, sys::access_list(&file).unwrap()), (0o640, None));
    }

    #[test]
    fn a_replaced_file_hands_on_what_is_not_for_its_content() {
        let file = tempfile::tempfile().unwrap();
        if !has_attributes(&file) || sys::set_access_list(&file, Some(&list([6, 0, 0, 0, 0]))).is_err() {
            return;
        }
        let tag = |name: &str| (name.into(), Some(b"x".to_vec()));
        let mut old = existing(&file, 0o4600, vec![tag("user.tag"), tag("security.ima"), tag(CAPABILITIES)]);
        old.list = Some(list([6, 6, 0, 6, 0]));
        let missing = replace(&file, &old, true);
        assert_eq!(missing.of_existing, [Preserved::Attribute(CAPABILITIES.into()), Preserved::SetIdBits]);
        assert_eq!((missing.of_source, missing.other_owner), (Vec::new(), false));
        assert_eq!(names(&file), ["user.tag"]);
        assert_eq!(sys::access_list(&file).unwrap(), old.list);
        assert_eq!(sys::fstat(&file).unwrap().mode, 0o660);
        // An attribute that the old file could not show is missing in the new one.
        let unread = existing(&file, 0o600, vec![("user.tag".into(), None)]);
        assert_eq!(replace(&file, &unread, true).of_existing, [Preserved::Attribute("user.tag".into())]);
        assert_eq!(names(&file), [] as [&str; 0]);
    }

    #[test]
    fn a_mode_comes_with_its_list_or_gives_the_group_nothing() {
        let file = tempfile::tempfile().unwrap();
        if sys::set_access_list(&file, Some(&list([6, 0, 0, 0, 0]))).is_err() {
            return;
        }
        let of_source = list([6, 6, 0, 6, 0]);
        let source = SourceRecord { has_list: true, ..source(0o600) };
        let received = [(xattr::ACCESS_LIST.into(), Some(of_source.pack()))];
        let after = |metadata: &SourceMetadata| {
            let lost = apply(metadata, &file, &source, true).of_source;
            assert_eq!(metadata.missing(&file, &source, true), lost);
            (sys::fstat(&file).unwrap().mode, sys::access_list(&file).unwrap(), lost)
        };
        for preserve in [Preserve::Mode, Preserve::Acl] {
            let metadata = wanting(&[preserve], &received);
            assert_eq!(after(&metadata), (0o660, Some(of_source.clone()), Vec::new()), "{preserve:?}");
        }
        let lost = |what, reason| vec![Loss { what, reason }];
        let expected = lost(Preserved::AccessLists, LossReason::NotReceived);
        assert_eq!(after(&SourceMetadata::new(&[Preserve::Mode])), (0o600, None, expected));
        let nonsense = [(xattr::ACCESS_LIST.into(), Some(vec![2, 0, 0, 0, 1]))];
        let expected = lost(Preserved::Attribute(xattr::ACCESS_LIST.into()), LossReason::Unreadable);
        assert_eq!(after(&wanting(&[Preserve::Mode], &nonsense)), (0o600, None, expected));
        // Without being asked for, neither mode nor list of the source count.
        assert_eq!(after(&wanting(&[Preserve::Timestamps], &received)), (0o600, None, Vec::new()));
    }
}
