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
        (Some(0o4711), 0o600, true, 0o4711),
        (Some(0o4711), 0o600, false, 0o711),
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

#[test]
fn runs_of_zeros_become_holes_where_the_policy_says_so() {
    for sparse in [Sparse::Always, Sparse::Auto, Sparse::Never] {
        let folder = Folder::new();
        let mut destination = folder.open(&Policy { sparse, ..policy() }, true).unwrap();
        let (mut staged, _) = destination.stage(ResumePoint::default(), PLAN).unwrap();
        let content = [vec![1; 4096], vec![0; 1 << 20], vec![2; 10]].concat();
        assert_eq!(staged.write(0, &content), Ok(content.len()));
        let length = content.len() as u64;
        let mut zeros = 0;
        while zeros < 1 << 21 {
            zeros += staged.write_zeros(length + zeros, (1 << 21) - zeros).unwrap();
        }
        let whole = ResumePoint { position: length + zeros, sum: 0 };
        let (ready, _) = staged.prepare(whole, &SourceMetadata::new(&[Preserve::Mode]), false).unwrap();
        ready.commit().unwrap().tidy();
        let copy = fs::read(folder.destination()).unwrap();
        assert!(copy[..content.len()] == content && copy[content.len()..].iter().all(|byte| *byte == 0));
        assert_eq!(copy.len() as u64, whole.position);
        let has_holes = sys::stat(&folder.destination()).unwrap().has_holes;
        if cfg!(target_os = "linux") {
            assert_eq!(has_holes, sparse == Sparse::Always, "{sparse:?}");
        }
    }
}
