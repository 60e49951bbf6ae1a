//! What stays in the page cache, asked of the kernel by `fincore` (util-linux).

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
    /// What is left of a file that is not cached: its last pages.
    const REST: u64 = MIB as u64;

    /// Bytes of a file that are cached.
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
    fn is_copied_past_the_cache(folder: &Folder, copy: &str) {
        for name in ["src", copy] {
            assert!(cached(folder, name) < REST, "{name}: {}", cached(folder, name));
        }
        folder.assert_same("src", copy);
    }

    #[test(needs = [fincore])]
    fn usually_both_stay_and_with_drop_cache_neither_does() {
        let folder = folder();
        complete(pair(folder.duocopy("src dst"), folder.duocopy("src dst")));
        for name in ["src", "dst"] {
            assert!(cached(&folder, name) >= SIZE as u64, "{name}: {}", cached(&folder, name));
        }
        let line = "--drop-cache src new";
        complete(pair(folder.duocopy(line), folder.duocopy(line)));
        is_copied_past_the_cache(&folder, "new");
    }

    /// What a checkpoint has brought to the disk meanwhile does not go with what comes behind it.
    #[test(needs = [fincore])]
    fn a_slow_copy_stays_too() {
        let folder = folder();
        folder.duocopy("cp --bwlimit=10M src dst").end().expect(0, &[]);
        assert!(cached(&folder, "dst") >= SIZE as u64, "{}", cached(&folder, "dst"));
    }

    #[test(needs = [fincore])]
    fn a_source_that_is_not_in_memory_gets_more_blocks() {
        let folder = folder();
        folder.write("src", bytes(64 * MIB, 1));
        folder.duocopy("cp -v --fsync=none src dst").end().expect(0, &[", 4 blocks of ", "is in memory"]);
        forget(&folder, "src");
        folder
            .duocopy("cp -v --fsync=none src dst")
            .end()
            .expect(0, &[", 16 blocks of ", "comes from a disk"]);
    }

    #[test(needs = [fincore])]
    fn direct_ends_pass_the_cache_and_others_do_not() {
        let folder = folder();
        for (flag, ends) in [("=source", [true, false]), ("=destination", [false, true]), ("", [true, true])]
        {
            for more in ["", "--bwlimit=200M", "--fsync=none", "--sparse=always", "--verify=reread"] {
                let what = format!("cp --direct{flag} {more} src dst");
                forget(&folder, "src");
                let ended = folder.duocopy(&what).end();
                ended.expect(0, &[]);
                assert!(!ended.said.contains("--direct"), "{what}: {ended:?}");
                for (name, direct) in ["src", "dst"].into_iter().zip(ends) {
                    let there = cached(&folder, name);
                    assert_eq!(there < REST, direct, "{what}: {there} bytes of {name} are cached");
                }
                folder.assert_same("src", "dst");
            }
        }
    }

    #[test(needs = [fincore])]
    fn what_comes_in_odd_pieces_goes_through_the_cache_and_that_is_said() {
        let folder = folder();
        let script = "dd if=src bs=10007 status=none | exec \"$0\" read --direct - odd";
        let mut read = Command::new("sh");
        read.args(["-c", script, env!("CARGO_BIN_EXE_duocopy")]).current_dir(folder.path(""));
        let read = read.stderr(Stdio::piped()).spawn().unwrap();
        let ended = folder.duocopy("write --direct dst odd").end();
        let read = read.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&read.stderr);
        assert!(read.status.success() && said.contains("no effect on standard input"), "{said}");
        ended.expect(0, &["from byte ", "--direct was not possible"]);
        folder.assert_same("src", "dst");
    }

    #[test(needs = [fincore])]
    fn an_end_in_the_middle_of_a_sector_and_holes_are_no_odd_pieces() {
        let folder = folder();
        let file = File::options().write(true).open(folder.path("src")).unwrap();
        file.set_len(40 * MIB as u64).unwrap();
        file.write_all_at(&bytes(12 * MIB + 99, 2), 64 * MIB as u64).unwrap();
        forget(&folder, "src");
        folder.duocopy("cp --direct src dst").end().expect(0, &[]);
        is_copied_past_the_cache(&folder, "dst");
    }

    #[test(needs = [fincore])]
    fn what_goes_on_reads_the_beginning_again_all_the_same() {
        let folder = folder();
        let line = "cp --direct --hash=blake3 --partial --block-size=512K";
        let pieces = folder.duocopy(&format!("{line} --bwlimit=10M src dst")).start();
        until("something is copied", || (!folder.temporaries("").is_empty()).then_some(()));
        pause(milliseconds(800));
        pieces.signal(Signal::INT);
        pieces.end().expect(130, &[]);
        folder.duocopy(&format!("{line} src dst")).end().expect(0, &["going on"]);
        folder.assert_same("src", "dst");
    }

    #[test(needs = [fincore])]
    fn zeros_of_holes_are_no_odd_pieces() {
        let folder = folder();
        let file = File::options().write(true).open(folder.path("src")).unwrap();
        file.set_len(0).unwrap();
        file.set_len(40 * MIB as u64).unwrap();
        folder.duocopy("cp --direct --sparse=never src dst").end().expect(0, &[]);
        assert!(cached(&folder, "dst") < REST, "{}", cached(&folder, "dst"));
        folder.assert_same("src", "dst");
    }

    #[test(needs = [fincore])]
    fn who_does_not_trust_the_other_reads_and_writes_past_the_cache_too() {
        let folder = folder();
        let line = "--direct --dir=. src dst";
        complete(pair(folder.duocopy(line), folder.duocopy(line)));
        is_copied_past_the_cache(&folder, "dst");
    }

    #[test]
    fn where_files_are_memory_nothing_passes_the_cache_and_that_is_said() {
        let folder = Folder::new();
        folder.write("src", bytes(SIZE, 1));
        let memory = tempfile::Builder::new().prefix("duocopy-test-").tempdir_in("/dev/shm").unwrap();
        let there = |name: &str| memory.path().join(name).display().to_string();
        folder.duocopy(&format!("cp src {}", there("a"))).end().expect(0, &[]);
        let ended =
            folder.duocopy(&format!("cp -v --direct --drop-cache {} {}", there("a"), there("b"))).end();
        for name in ["a", "b"] {
            for says in
                ["--direct is not to be had here, so the page cache is used", "--drop-cache has no effect"]
            {
                let line = ended.said.lines().find(|line| line.contains(&there(name)) && line.contains(says));
                assert!(line.is_some(), "{says}: {ended:?}");
            }
        }
        assert!(ended.code == 0 && !ended.said.contains("comes from a disk"), "{ended:?}");
    }
}
