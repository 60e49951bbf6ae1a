//! Runs the same twenty operations on every file system that can be mounted here.
//!
//! By default a sample of three runs; `DUOCOPY_FILE_SYSTEMS=1` runs all. `answers.rs` has the expected results of each
//! file system, and `docs/platforms.md` has them as a table: `DUOCOPY_GENERATE=1 cargo test -p duocopy --test suite
//! file_systems::` generates it again.

mod answers;
mod kinds;
mod operations;

use crate::util::*;
use answers::expected;
use kinds::KINDS;
use operations::OPERATIONS;
use std::path::Path;

/// Makes a test for each of these file systems.
macro_rules! tests {
    ($($test:ident $(($($need:ident),+))?: $name:literal,)+) => {
        $(
            #[test(needs = [root, own_mounts, loop_devices, bash, fuse, extended_attributes $($(, $need)+)?])]
            fn $test() {
                check($name);
            }
        )+

        #[test]
        fn each_has_a_test() {
            let names: Vec<_> = KINDS.iter().map(|kind| kind.name).collect();
            assert_eq!(names, [$($name),+]);
        }
    };
}

tests! {
    ext4(file_systems): "ext4",
    ext4_with_small_inodes: "ext4, inodes of 128 bytes",
    ext3(file_systems): "ext3",
    xfs(file_systems): "XFS",
    btrfs(file_systems): "Btrfs",
    btrfs_with_compression: "Btrfs, `compress-force=zstd`",
    btrfs_with_a_quota(file_systems): "Btrfs with a quota",
    tmpfs(file_systems): "tmpfs",
    overlayfs: "overlayfs",
    squashfs(file_systems): "squashfs, as the source",
    bindfs(file_systems): "bindfs",
    fuse_overlayfs(file_systems): "fuse-overlayfs",
    ntfs_3g(file_systems): "NTFS-3G",
    ntfs_3g_with_permissions(file_systems): "NTFS-3G, `permissions,acl`",
    exfat_fuse(file_systems): "exfat-fuse",
    sshfs(file_systems): "sshfs",
    rclone_with_a_cache(file_systems): "rclone mount, `--vfs-cache-mode=writes`",
    rclone(file_systems): "rclone mount",
    fuse_of_these_tests(file_systems): "the FUSE file system of these tests",
}

fn check(name: &str) {
    let kind = KINDS.iter().find(|kind| kind.name == name).expect("a file system of the table");
    kind.require();
    mounts::enter_own_namespace();
    let folder = Folder::with_limit(milliseconds(180_000));
    operations::make_sources(&folder);
    let place = kind.mount(&folder);
    let mut wrong = Vec::new();
    for (number, (operation, run)) in OPERATIONS.iter().enumerate() {
        let directory = Path::new(place.target).join(format!("of-{number}"));
        folder.make(&directory);
        let mut found = run(&place, &directory).unwrap_or_else(|what| format!("wrong: {what}"));
        let left = folder.temporaries(&directory);
        if !left.is_empty() {
            note!("left: {left:?}");
            found += ", a temporary file is left";
        }
        let _ = std::fs::remove_dir_all(folder.path(&directory));
        let expected = expected(name, operation);
        note!("{name}: {operation}: {found}");
        if found != expected {
            wrong.push(format!("{operation}: {found}; expected: {expected}"));
        }
    }
    place.end();
    assert!(wrong.is_empty(), "{name}: {wrong:#?}");
}
