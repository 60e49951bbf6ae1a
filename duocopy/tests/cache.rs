//! What stays in the page cache, as `fincore` (util-linux) shows it.

#[cfg(not(target_os = "linux"))]
#[test]
fn the_page_cache() {
    harness::ignore("only Linux tells what is in the page cache");
}

#[cfg(target_os = "linux")]
mod cached {
    use crate::util::*;
    use std::fs::File;
    use std::os::unix::fs::FileExt;
    use std::process::{Command, Stdio};

    const SIZE: usize = 24 * MIB + 777;
    /// How much of a file that is not cached may be cached: its last pages.
    const REST: u64 = MIB as u64;

    /// Returns how many bytes of a file are cached.
    fn cached(folder: &Folder, name: &str) -> u64 {
        let asked =
            Command::new("fincore").args(["-nb", "-o", "RES"]).arg(folder.path(name)).output().unwrap();
        String::from_utf8(asked.stdout).unwrap().trim().parse().unwrap()
    }

    fn forget(folder: &Folder, name: &str) {
        let file = File::open(folder.path(name)).unwrap();
        file.sync_all().unwrap();
        rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).unwrap();
    }

    /// Makes a folder with a source that is on the disk and not in the page cache. The test needs `fincore`.
    fn folder() -> Folder {
        let folder = Folder::with_source(SIZE);
        forget(&folder, "src");
        if cached(&folder, "src") > 0 {
            harness::ignore("temporary files cannot be removed from the page cache here");
        }
        folder
    }

    #[track_caller]
    fn assert_copied_past_the_cache(folder: &Folder, copy: &str) {
        for name in ["src", copy] {
            assert!(cached(folder, name) < REST, "{name}: {}", cached(folder, name));
        }
        folder.assert_same("src", copy);
    }

    #[test(needs = [fincore])]
    fn both_files_stay_cached_unless_drop_cache_is_given() {
        let folder = folder();
        complete(pair(folder.duocopy("src dst"), folder.duocopy("src dst")));
        for name in ["src", "dst"] {
            assert!(cached(&folder, name) >= SIZE as u64, "{name}: {}", cached(&folder, name));
        }
        let line = "--drop-cache src new";
        complete(pair(folder.duocopy(line), folder.duocopy(line)));
        assert_copied_past_the_cache(&folder, "new");
    }

    /// Data that a checkpoint has flushed stays cached, too.
    #[test(needs = [fincore])]
    fn a_slow_copy_stays_cached() {
        let folder = folder();
        folder.duocopy("cp --bwlimit=10M src dst").end().expect(0, &[]);
        assert!(cached(&folder, "dst") >= SIZE as u64, "{}", cached(&folder, "dst"));
    }

    #[test(needs = [fincore])]
    fn a_source_that_is_not_cached_gets_more_blocks() {
        let folder = folder();
        folder.write("src", bytes(64 * MIB, 1));
        folder.duocopy("cp -v --fsync=none src dst").end().expect(0, &[", 4 blocks of ", "is in memory"]);
        forget(&folder, "src");
        folder
            .duocopy("cp -v --fsync=none src dst")
            .end()
            .expect(0, &[", 16 blocks of ", "data from a disk"]);
    }

    #[test(needs = [fincore])]
    fn direct_ends_bypass_the_cache_and_others_do_not() {
        let folder = folder();
        for (flag, ends) in [("=source", [true, false]), ("=destination", [false, true]), ("", [true, true])]
        {
            for more in ["", "--bwlimit=200M", "--fsync=none", "--sparse=always", "--verify=reread"] {
                let what = format!("cp --direct{flag} {more} src dst");
                forget(&folder, "src");
                let ended = folder.duocopy(&what).end();
                ended.expect(0, &[]);
                assert!(!ended.messages.contains("--direct"), "{what}: {ended:?}");
                for (name, direct) in ["src", "dst"].into_iter().zip(ends) {
                    let there = cached(&folder, name);
                    assert_eq!(there < REST, direct, "{what}: {there} bytes of {name} are cached");
                }
                folder.assert_same("src", "dst");
            }
        }
    }

    #[test(needs = [fincore])]
    fn data_in_odd_pieces_goes_through_the_cache_with_a_message() {
        let folder = folder();
        let script = "dd if=src bs=10007 status=none | exec \"$0\" read --direct - odd";
        let mut read = Command::new("sh");
        read.args(["-c", script, PROGRAM]).current_dir(folder.path(""));
        let read = read.stderr(Stdio::piped()).spawn().unwrap();
        let ended = folder.duocopy("write --direct dst odd").end();
        let read = read.wait_with_output().unwrap();
        let messages = String::from_utf8_lossy(&read.stderr);
        assert!(read.status.success() && messages.contains("no effect on standard input"), "{messages}");
        ended.expect(0, &["--direct ended at byte ", "dst"]);
        folder.assert_same("src", "dst");
    }

    #[test(needs = [fincore])]
    fn an_end_in_the_middle_of_a_sector_and_holes_bypass_the_cache() {
        let folder = folder();
        let file = File::options().write(true).open(folder.path("src")).unwrap();
        file.set_len(40 * MIB as u64).unwrap();
        file.write_all_at(&bytes(12 * MIB + 99, 2), 64 * MIB as u64).unwrap();
        forget(&folder, "src");
        folder.duocopy("cp --direct src dst").end().expect(0, &[]);
        assert_copied_past_the_cache(&folder, "dst");
    }

    #[test(needs = [fincore])]
    fn a_resumed_direct_copy_reads_the_beginning_again() {
        let folder = folder();
        let line = "cp --direct --hash=blake3 --partial --block-size=512K";
        let pieces = folder.duocopy(&format!("{line} --bwlimit=10M src dst")).start();
        until("something is copied", || (!folder.temporaries("").is_empty()).then_some(()));
        pause(milliseconds(800));
        pieces.signal(Signal::INT);
        pieces.end().expect(130, &[]);
        folder.duocopy(&format!("{line} src dst")).end().expect(0, &["resuming an interrupted copy"]);
        folder.assert_same("src", "dst");
    }

    #[test(needs = [fincore])]
    fn zeros_of_holes_bypass_the_cache() {
        let folder = folder();
        let file = File::options().write(true).open(folder.path("src")).unwrap();
        file.set_len(0).unwrap();
        file.set_len(40 * MIB as u64).unwrap();
        folder.duocopy("cp --direct --sparse=never src dst").end().expect(0, &[]);
        assert!(cached(&folder, "dst") < REST, "{}", cached(&folder, "dst"));
        folder.assert_same("src", "dst");
    }

    #[test(needs = [fincore])]
    fn a_process_that_does_not_trust_its_peer_bypasses_the_cache_too() {
        let folder = folder();
        let line = "--direct --dir=. src dst";
        complete(pair(folder.duocopy(line), folder.duocopy(line)));
        assert_copied_past_the_cache(&folder, "dst");
    }

    #[test]
    fn files_in_memory_cannot_bypass_the_cache_which_is_reported() {
        let folder = Folder::new();
        folder.write("src", bytes(SIZE, 1));
        let memory = tempfile::Builder::new().prefix("duocopy-test-").tempdir_in("/dev/shm").unwrap();
        let there = |name: &str| memory.path().join(name).display().to_string();
        folder.duocopy(&format!("cp src {}", there("a"))).end().expect(0, &[]);
        let ended =
            folder.duocopy(&format!("cp -v --direct --drop-cache {} {}", there("a"), there("b"))).end();
        for name in ["a", "b"] {
            for message in
                ["--direct is not available, so the page cache is used", "--drop-cache has no effect"]
            {
                let line =
                    ended.messages.lines().find(|line| line.contains(&there(name)) && line.contains(message));
                assert!(line.is_some(), "{message}: {ended:?}");
            }
        }
        assert!(ended.code == 0 && !ended.messages.contains("data from a disk"), "{ended:?}");
    }
}
