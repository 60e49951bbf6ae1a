//! Backups, modes and holes.

use super::*;
use crate::api::Sparse;

#[test]
fn backups_have_the_names_that_cp_gives() {
    let (simple, one, nine) = ("destination~", "destination.~1~", "destination.~9~");
    let ten = "destination.~10~";
    // The policy, the backups that exist, the new one.
    let cases: [(Backup, &[&str], Option<&str>); 9] = [
        (Backup::None, &[simple, one], None),
        (Backup::Simple, &[], Some(simple)),
        (Backup::Simple, &[simple, one], Some(simple)),
        (Backup::Numbered, &[], Some(one)),
        (Backup::Numbered, &[one, nine], Some(ten)),
        (Backup::Numbered, &["destination.~x~", "destination.~~", "other.~5~"], Some(one)),
        (Backup::Existing, &[], Some(simple)),
        (Backup::Existing, &[simple], Some(simple)),
        (Backup::Existing, &[simple, nine], Some(ten)),
    ];
    for (backup, existing, expected) in cases {
        let folder = Folder::with_old();
        for name in existing {
            fs::write(folder.path("there").join(name), "older").unwrap();
        }
        let mut wanted = folder.files();
        wanted.insert("destination".into(), NEW.into());
        wanted.extend(expected.map(|name| (name.to_owned(), OLD.to_owned())));
        copy(&folder, &Policy { backup, ..policy() }).unwrap();
        assert_eq!(folder.files(), wanted, "{backup:?} {existing:?}");
    }
    let folder = Folder::with_old();
    copy(&folder, &Policy { backup: Backup::Simple, backup_suffix: ".orig".into(), ..policy() }).unwrap();
    assert_eq!(folder.files(), files([("destination", NEW), ("destination.orig", OLD)]));
}

#[cfg(unix)]
#[test]
fn a_new_file_gets_the_mode_of_the_source_and_an_old_one_keeps_its_own() {
    use std::os::unix::fs::PermissionsExt;
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    for (old, source, trusts_reader, expected) in [
        (None, 0o4777, true, 0o750),
        (None, 0o4777, false, 0o750),
        (Some(0o711), 0o600, true, 0o711),
        (Some(0o1711), 0o600, false, 0o1711),
    ] {
        let folder = if old.is_some() { Folder::with_old() } else { Folder::new() };
        fs::set_permissions(folder.path("source"), fs::Permissions::from_mode(source)).unwrap();
        if let Some(old) = old {
            fs::set_permissions(folder.destination(), fs::Permissions::from_mode(old)).unwrap();
        }
        copy(&folder, &Policy { umask: 0o027, trusts_reader, ..policy() }).unwrap();
        assert_eq!(mode(&folder.destination()), expected, "{old:?} {source:o}");
    }
}

/// A program with new content must not run with the rights of the old one.
#[cfg(unix)]
#[test]
fn set_id_bits_of_the_old_file_are_not_for_the_new_content() {
    for trusts_reader in [true, false] {
        let folder = Folder::with_old();
        sys::set_mode(&fs::File::open(folder.destination()).unwrap(), 0o6711).unwrap();
        let mut destination = folder.open(&Policy { trusts_reader, ..policy() }, true).unwrap();
        let staged = write(&mut *destination, NEW.len()).unwrap();
        let (ready, prepared) = staged.prepare(point(NEW), &SourceMetadata::new(&[]), true).unwrap();
        let path = folder.destination();
        let what = vec![crate::api::Preserved::SetIdBits];
        assert_eq!(prepared.warnings, [Warning::NotHandedOn { path, what }]);
        ready.commit().unwrap();
        assert_eq!(sys::stat(&folder.destination()).unwrap().mode, 0o711);
    }
}

/// The copy gets the mode that the old file has at the time of the rename.
#[cfg(unix)]
#[test]
fn a_destination_that_was_made_private_during_the_copy_stays_private() {
    let set_mode = |folder: &Folder, mode| {
        sys::set_mode(&fs::File::open(folder.destination()).unwrap(), mode).unwrap();
    };
    for before_it_is_prepared in [true, false] {
        let folder = Folder::with_old();
        set_mode(&folder, 0o644);
        let mut destination = folder.open(&policy(), true).unwrap();
        let staged = write(&mut *destination, NEW.len()).unwrap();
        if before_it_is_prepared {
            set_mode(&folder, 0o600);
        }
        let (ready, _) = staged.prepare(point(NEW), &SourceMetadata::new(&[]), true).unwrap();
        if !before_it_is_prepared {
            set_mode(&folder, 0o600);
        }
        ready.commit().unwrap();
        assert_eq!(sys::stat(&folder.destination()).unwrap().mode, 0o600, "{before_it_is_prepared}");
    }
    // If the old file is gone by then, the copy gets the mode of a new file.
    let folder = Folder::with_old();
    set_mode(&folder, 0o666);
    let mut destination = folder.open(&Policy { umask: 0o077, ..policy() }, true).unwrap();
    let staged = write(&mut *destination, NEW.len()).unwrap();
    fs::remove_file(folder.destination()).unwrap();
    let (ready, _) = staged.prepare(point(NEW), &SourceMetadata::new(&[]), true).unwrap();
    ready.commit().unwrap();
    assert_eq!(sys::stat(&folder.destination()).unwrap().mode, 0o600);
}

/// A user who may write to a leftover may have opened it for writing.
#[cfg(unix)]
#[test]
fn a_leftover_that_was_given_to_others_is_not_resumed() {
    for (mode, expected) in [(0o600, 8), (0o644, 8), (0o660, 0), (0o602, 0)] {
        let folder = Folder::new();
        interrupt(&folder, 8);
        let left = fs::File::open(temporary_path(&folder.destination()).unwrap()).unwrap();
        sys::set_mode(&left, mode).unwrap();
        let destination = folder.open(&policy(), true).unwrap();
        assert_eq!(destination.resume_point().position, expected, "{mode:o}");
        // The file is private again while the rest is written.
        let now = sys::stat(&temporary_path(&folder.destination()).unwrap()).unwrap();
        assert_eq!(now.mode, 0o600, "{mode:o}");
    }
    let folder = Folder::new();
    interrupt(&folder, 8);
    let left = fs::File::open(temporary_path(&folder.destination()).unwrap()).unwrap();
    // Only root can give a file away.
    if sys::set_owner(&left, (65534, 65534)).is_ok() {
        assert_eq!(folder.open(&policy(), true).unwrap().resume_point().position, 0);
    }
}

/// Once a file is in place, other programs may use and change it.
#[cfg(unix)]
#[test]
fn a_copy_that_is_in_place_already_is_not_changed() {
    let folder = Folder::new();
    interrupt(&folder, 8);
    let mut destination = folder.open(&policy(), true).unwrap();
    // Killed before `tidy`.
    drop(commit(&mut *destination).unwrap());
    drop(destination);
    sys::set_mode(&fs::File::open(folder.destination()).unwrap(), 0o600).unwrap();
    let before = sys::stat(&folder.destination()).unwrap();
    let mut destination = open(&folder.destination(), &policy(), &folder.source(), true).unwrap();
    assert!(destination.already_committed());
    let staged = write(&mut *destination, NEW.len()).unwrap();
    let metadata = SourceMetadata::new(&[Preserve::Mode, Preserve::Timestamps, Preserve::Ownership]);
    let (ready, prepared) = staged.prepare(point(NEW), &metadata, true).unwrap();
    let in_place = |what| crate::api::Loss { what, reason: crate::api::LossReason::InPlace };
    // The owner is right already.
    let expected = [crate::api::Preserved::Mode, crate::api::Preserved::Timestamps].map(in_place);
    assert_eq!(prepared.not_preserved, expected);
    ready.commit().unwrap();
    let after = sys::stat(&folder.destination()).unwrap();
    assert_eq!((after.mode, after.modified, after.changed), (before.mode, before.modified, before.changed));
}

#[test]
fn runs_of_zeros_become_holes_where_the_policy_says_so() {
    for sparse in [Sparse::Always, Sparse::Auto, Sparse::Never] {
        let folder = Folder::new();
        let mut destination = folder.open(&Policy { sparse, ..policy() }, true).unwrap();
        let (mut staged, ..) = destination.stage(ResumePoint::default(), PLAN, &|| false).unwrap();
        let content = [vec![1; 4096], vec![0; 1 << 20], vec![2; 10]].concat();
        assert_eq!(staged.write(0, &content), Ok(content.len()));
        let length = content.len() as u64;
        let mut zeros = 0;
        while zeros < 1 << 21 {
            zeros += staged.write_zeros(length + zeros, (1 << 21) - zeros).unwrap();
        }
        let whole = ResumePoint { position: length + zeros, sum: 0 };
        let (ready, _) = staged.prepare(whole, &SourceMetadata::new(&[Preserve::Mode]), false).unwrap();
        ready.commit().unwrap().0.tidy();
        let copy = fs::read(folder.destination()).unwrap();
        assert!(copy[..content.len()] == content && copy[content.len()..].iter().all(|byte| *byte == 0));
        assert_eq!(copy.len() as u64, whole.position);
        let has_holes = sys::stat(&folder.destination()).unwrap().has_holes;
        if cfg!(target_os = "linux") {
            assert_eq!(has_holes, sparse == Sparse::Always, "{sparse:?}");
        }
    }
}

/// No correct Reader reports that the source hides holes that it does not have.
#[test]
fn a_contradictory_record_makes_no_holes() {
    let folder = Folder::new();
    let source = SourceRecord { hides_holes: true, ..folder.source() };
    assert!(!source.stat.has_holes);
    let mut destination = open(&folder.destination(), &policy(), &source, true).unwrap();
    let (mut staged, ..) = destination.stage(ResumePoint::default(), PLAN, &|| false).unwrap();
    assert_eq!((staged.write(0, &[0; 8192]), staged.write_zeros(8192, 4096)), (Ok(8192), Ok(4096)));
}

/// Another user may create a file at the destination during the copy, to get its rights to what is copied.
#[cfg(unix)]
#[test]
fn a_file_that_will_not_be_replaced_gives_no_rights() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new();
    let policy = Policy { overwrite: Overwrite::Refuse, umask: 0o077, ..policy() };
    let mut destination = folder.open(&policy, true).unwrap();
    let staged = write(&mut *destination, NEW.len()).unwrap();
    fs::write(folder.destination(), OLD).unwrap();
    fs::set_permissions(folder.destination(), fs::Permissions::from_mode(0o666)).unwrap();
    drop(staged.prepare(point(NEW), &SourceMetadata::new(&[]), false).unwrap());
    let temporary = temporary_path(&folder.destination()).unwrap();
    assert_eq!(fs::metadata(temporary).unwrap().permissions().mode() & 0o777, 0o600);
}

/// Another user can move a file of this user into a sticky directory, under the name of a journal.
#[cfg(unix)]
#[test]
fn nothing_is_resumed_in_a_directory_that_is_shared_and_sticky() {
    use std::os::unix::fs::PermissionsExt;
    for (mode, begins) in [(0o755, 8), (0o777, 8), (0o1777, 0), (0o1775, 0), (0o1755, 8)] {
        let folder = Folder::new();
        interrupt(&folder, 8);
        fs::set_permissions(folder.path("there"), fs::Permissions::from_mode(mode)).unwrap();
        let destination = folder.open(&policy(), true).unwrap();
        assert_eq!(destination.resume_point().position, begins, "{mode:o}");
    }
}

#[cfg(unix)]
#[test]
fn a_link_that_is_not_put_in_place_is_discarded() {
    let folder = Folder::new();
    let names = || {
        let entries = fs::read_dir(folder.path("there")).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect::<Vec<_>>()
    };
    let source = SourceRecord { is_link: true, ..folder.source() };
    let mut destination = open(&folder.destination(), &policy(), &source, true).unwrap();
    let (mut staged, ..) = destination.stage(ResumePoint::default(), PLAN, &|| false).unwrap();
    staged.write(0, b"some text").unwrap();
    let whole = ResumePoint { position: 9, sum: 0 };
    drop(staged.prepare(whole, &SourceMetadata::new(&[]), false).unwrap());
    assert!(names().iter().any(|name| name.contains(".link")), "{:?}", names());
    destination.discard();
    assert!(names().is_empty(), "{:?}", names());
}
