//! Too few descriptors, processes and threads, and a program that is hard to find again.

use crate::util::*;
use std::path::Path;

#[test]
fn with_too_few_descriptors_a_copy_works_or_says_so() {
    let folder = Folder::with_source(MIB);
    let mut works = 0;
    for number in 4..20 {
        let few = format!("ulimit -n {number}");
        let limited = |line: &str| folder.duocopy(line).after(&few).end();
        let mut ended = vec![limited("cp src dst"), limited("cp -n src dst"), limited("cp --backup src dst")];
        ended.extend(["cp --dry-run src dst", "status", "status --clean"].map(limited));
        for [one, other] in [["--wait=1s src dst"; 2], ["read --wait=1s src", "write --wait=1s -f dst"]] {
            let name = if one.starts_with("read") { folder.pipe_name() } else { String::new() };
            let start = |line: &str| folder.duocopy(&format!("{line} {name}")).after(&few).start();
            let both = end([start(one), start(other)]);
            // A process whose peer has failed before it arrived waits for another one.
            assert!(both.iter().any(|ended| ended.code != 10), "{number}: {both:?}");
            ended.extend(both.into_iter().filter(|ended| ended.code != 10));
        }
        for ended in &ended {
            assert!(ended.code == 0 || ended.messages.contains("raise `ulimit -n`"), "{number}: {ended:?}");
        }
        works += usize::from(ended.iter().all(|ended| ended.code == 0));
        assert_eq!(folder.temporaries("").len(), 0, "{number}");
    }
    assert!(works > 0);
    folder.assert_same("src", "dst");
}

#[test(needs = [root])]
fn with_too_few_threads_a_copy_does_without_or_says_so() {
    let folder = Folder::with_source(MIB);
    folder.set_mode("src", 0o644);
    let (mut failed, mut without, mut with) = (0, 0, 0);
    for number in 1..12 {
        for flag in ["-v", ""] {
            // The kernel may count the processes of a user for some time after they have ended.
            let user = fresh_user();
            let limited = folder.duocopy(&format!("cp {flag} src dst")).by_user(user, user);
            folder.set_mode("", 0o777);
            let ended = limited.inside(&format!("prlimit --nproc={number}")).end();
            let is_said = ended.messages.contains("cannot start a thread");
            match ended.code {
                0 => folder.assert_same("src", "dst"),
                _ => assert!(ended.messages.contains("raise `ulimit -u`"), "{number}: {ended:?}"),
            }
            match (flag, ended.code) {
                ("-v", 0) if is_said => without += 1,
                ("-v", 0) => with += 1,
                ("-v", _) => failed += 1,
                _ => assert!(!is_said, "{ended:?}"),
            }
            let _ = std::fs::remove_file(folder.path("dst"));
            let _ = std::fs::remove_dir(pipes_folder_of(user));
            folder.assert_nothing_left();
        }
    }
    assert!(failed > 0 && without > 0 && with > 0, "{failed} {without} {with}");
}

#[test(needs = [own_mounts, bash])]
fn cp_needs_no_proc() {
    let folder = Folder::with_source(KIB);
    let script = "mount -t tmpfs tmpfs /proc; \"$0\" cp src dst; PATH=${0%/*}:$PATH; cd place; duocopy cp ../src by-name; \
                  ln -s \"$0\" here; ./here cp ../src by-path; exec bash -c 'exec -a none/here \"$0\" cp ../src none' \"$0\"";
    folder.make("place");
    let ended = folder.with_own_mounts(script);
    let command = format!(
        "start this command twice: duocopy {0}/place/../src {0}/place/none",
        folder.text("").trim_end_matches('/')
    );
    ended.expect(1, &["cannot start the second process", &command]);
    for copy in ["dst", "place/by-name", "place/by-path"] {
        folder.assert_same("src", copy);
    }
}

#[test(needs = [loader])]
fn cp_works_if_the_program_is_started_by_the_loader() {
    let folder = Folder::with_source(KIB);
    let loader = needs::LOADERS.iter().find(|path| Path::new(path).exists()).unwrap();
    folder.duocopy("cp src dst").inside(loader).end().expect(0, &[]);
    folder.assert_same("src", "dst");
    // Nobody but the user knows what the program is called here.
    let wrong = folder.duocopy("cp src none").inside(&format!("{loader} --argv0 none"));
    let ended = wrong.end();
    ended.expect(
        1,
        &["cannot start the second process: it could not be loaded", "start this command twice: "],
    );
    assert!(!folder.is_there("none"));
    folder.assert_nothing_left();
}
