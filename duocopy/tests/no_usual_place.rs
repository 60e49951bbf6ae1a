//! The usual directory of the pipes cannot be used: it belongs to somebody else, is no directory, or cannot be made.

use crate::util::*;
use std::fs;

/// What makes the usual directory, `$usual`, unusable in a new /dev/shm.
const UNUSABLE: [&str; 5] = [
    "mount -t tmpfs tmpfs /dev/shm; touch $usual",
    "mount -t tmpfs tmpfs /dev/shm; ln -s /tmp $usual",
    "mount -t tmpfs tmpfs /dev/shm; mkdir $usual; chmod 750 $usual",
    "mount -t tmpfs -o ro tmpfs /dev/shm",
    "mount -t tmpfs tmpfs /dev/shm; mount -t tmpfs -o ro tmpfs /dev/shm",
];

fn prepared() -> (Folder, String) {
    let folder = Folder::with_source(MIB);
    folder.make("tmp");
    let usual = pipes_folder().display().to_string();
    let begin = format!("usual={usual}; unset XDG_RUNTIME_DIR; export TMPDIR=$PWD/tmp");
    (folder, begin)
}

#[test(needs = [own_mounts])]
fn cp_needs_no_usual_directory_and_leaves_nothing() {
    for unusable in UNUSABLE {
        let (folder, begin) = prepared();
        let script = format!(
            "{begin}; {unusable}; before=$(ls -A /dev/shm tmp)
            \"$0\" cp src dst; cmp src dst
            umask 777; \"$0\" cp -p src masked; umask 022; cmp src masked
            \"$0\" cp none dst && exit 1
            \"$0\" cp src none/dst && exit 1
            \"$0\" cp --bwlimit=100K src slow & until ls .duocopy-*.part; do :; done; kill $!; wait $! && exit 1
            test \"$(ls -A /dev/shm tmp)\" = \"$before\"; test ! -e slow"
        );
        let ended = folder.with_own_mounts(&script);
        assert_eq!(ended.code, 0, "{unusable}: {ended:?}");
        assert!(!ended.messages.contains("not confined"), "{ended:?}");
        folder.assert_nothing_left();
    }
}

#[test(needs = [own_mounts])]
fn a_pair_is_told_to_name_a_directory() {
    for unusable in UNUSABLE {
        let (folder, begin) = prepared();
        let script = format!("{begin}; {unusable}; exec \"$0\" --wait=3s src dst");
        let ended = folder.with_own_mounts(&script);
        assert!([1, 12].contains(&ended.code), "{unusable}: {ended:?}");
        for text in ["DUOCOPY_DIR", "chmod 700", "/dev/shm"] {
            assert!(ended.messages.contains(text), "{unusable}: {ended:?}");
        }
        let script = format!(
            "{begin}; {unusable}; chmod 700 tmp; export DUOCOPY_DIR=tmp
            \"$0\" --wait=9s src dst & \"$0\" --wait=9s src dst; wait $!; \"$0\" cp src copied; cmp src dst; cmp src copied"
        );
        folder.with_own_mounts(&script).expect(0, &[]);
    }
}

#[test(needs = [root])]
fn a_user_whose_directory_another_one_has_made_can_copy() {
    let folder = Folder::with_source(KIB);
    folder.set_mode("src", 0o644);
    let user = fresh_user();
    let usual = pipes_folder_of(user);
    let _ = fs::remove_dir(&usual);
    fs::create_dir(&usual).unwrap();
    std::os::unix::fs::chown(&usual, Some(fresh_user()), None).unwrap();
    let run = folder.duocopy("cp src dst").by_user(user, user);
    folder.set_mode("", 0o777);
    let ended = run.end();
    let others = folder.duocopy("--wait=1s src other").by_user(user, user).end();
    fs::remove_dir(&usual).unwrap();
    ended.expect(0, &[]);
    folder.assert_same("src", "dst");
    others.expect(12, &["belongs to another user", "--dir", "chmod 700"]);
}

#[test(needs = [root, user_namespaces])]
fn the_root_of_a_namespace_can_copy() {
    let folder = Folder::with_source(KIB);
    folder.set_mode("src", 0o644);
    // The real root has made this directory.
    let _ = fs::create_dir(pipes_folder());
    let run = folder.duocopy("cp src dst").by_nobody();
    folder.set_mode("", 0o777);
    run.inside("unshare --user --map-root-user").end().expect(0, &[]);
    folder.assert_same("src", "dst");
}

/// The owner of a directory can replace every directory in it.
#[test(needs = [root, own_mounts])]
fn no_place_is_made_where_another_user_can_replace_it() {
    for (mode, group) in [("700", "root"), ("755", "root"), ("1777", "root"), ("2770", "20003")] {
        let (folder, begin) = prepared();
        let script = format!(
            "{begin}; mount -t tmpfs -o ro tmpfs /dev/shm; mkdir theirs; chmod {mode} theirs; chown 20003:{group} theirs
            export XDG_RUNTIME_DIR=$PWD/theirs; chmod 755 .
            \"$0\" cp --bwlimit=1M src dst & until ls tmp theirs | grep -q duocopy-; do :; done
            made=$(ls theirs); wait $!; cmp src dst; test -z \"$made\""
        );
        folder.with_own_mounts(&script).expect(0, &[]);
    }
}
