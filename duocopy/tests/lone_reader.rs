//! A Reader to which no second process comes.

use crate::util::*;

#[test(not_on_windows = "shells; windows.rs tests the command interpreter")]
fn a_lone_reader_shows_the_command_for_the_second_process() {
    shown_command_works("sh", "src", "dst", None);
    shown_command_works("sh", "a file's name", "-a \"copy\" of $HOME; `x` \\", Some("-my name & more"));
}

#[test(needs = [bash], not_on_windows = "shells; windows.rs tests the command interpreter")]
fn a_lone_reader_shows_a_command_with_control_characters() {
    for shell in ["sh", "bash"] {
        shown_command_works(shell, "ü*?[a]~", "new\tline\n\u{7f}\u{85}'\\\u{1b}%d \"$(x)`\u{202e}", None);
        shown_command_works(shell, "\n", "ends with lines\n\n", Some("-\n"));
    }
}

#[cfg(unix)]
fn shown_command_works(shell: &str, source: &str, destination: &str, name: Option<&str>) {
    let folder = Folder::new();
    folder.write(source, bytes(MIB, 1));
    let mut run = folder.duocopy("-v --fsync=none --").word(source).word(destination);
    if let Some(name) = name {
        run = run.word(name);
    }
    let reader = run.start();
    reader.reports("start it as the same user:\n  ");
    let messages = reader.messages();
    let command = messages.split_once("start it as the same user:\n  ").unwrap().1.lines().next().unwrap();
    assert!(command.contains("--fsync=none"), "{command}");
    let second = folder.typed_into(shell, command);
    assert_eq!((second.code, second.messages.as_str()), (0, ""), "{command}");
    reader.end().expect(0, &["complete"]);
    folder.assert_same(source, destination);
}

#[test]
fn a_lone_reader_shows_the_command_after_two_seconds_unless_it_is_quiet() {
    let folder = Folder::new();
    folder.write("src", "content");
    folder.write("other", "content");
    let quiet = folder.duocopy("-q --wait=3s src dst").start();
    let reader = folder.duocopy("--wait=3s other dst").start();
    pause(milliseconds(1500));
    assert_eq!(reader.messages(), "");
    reader.reports("waiting for the second process");
    let ended = reader.end();
    ended.expect(10, &["timed out after 3s", "--wait", &folder.text("other")]);
    assert!(ended.took > milliseconds(2900) && ended.took < milliseconds(4000), "{ended:?}");
    let ended = quiet.end();
    ended.expect(10, &["timed out after 3s"]);
    assert!(!ended.messages.contains("waiting for the second process"), "{ended:?}");
}

#[test]
fn a_reader_waits_as_long_as_the_option_says() {
    let folder = Folder::new();
    folder.write("src", "content");
    let ended = folder.duocopy("--wait=1s src dst").end();
    ended.expect(10, &["timed out after 1s", "--wait"]);
    assert!(ended.took >= milliseconds(1000) && ended.took < milliseconds(2000), "{ended:?}");
    folder.assert_untouched(None);
}

/// The limit is on the time until the Writer comes, and not on the copy.
#[test(needs = [strace])]
fn a_copy_may_take_longer_than_the_wait() {
    let folder = Folder::with_source(2 * MIB);
    let line = &format!("{SMALL_BLOCKS} --wait=400ms src dst");
    let processes = pair(folder.duocopy(line), folder.duocopy(line).traced(SLOW_WRITES));
    for ended in end(processes) {
        ended.expect(0, &["complete"]);
        assert!(ended.took > milliseconds(500), "{ended:?}");
    }
}

/// The system removes what a user has in shared memory at the user's last logout, unless it is told otherwise.
#[test(not_on_windows = "kernel objects cannot be removed")]
fn a_process_that_waits_makes_its_pipe_again_if_it_is_removed() {
    let folder = Folder::with_source(MIB);
    let name = folder.pipe_name();
    folder.make("meet");
    folder.set_mode("meet", 0o700);
    let status = |name: &str| {
        let found = folder.duocopy("status --dir meet --json").word(name).end();
        (found.code == 0).then_some(found.output)
    };
    let both = format!("{} -> {}", folder.text("src"), folder.text("dst"));
    for (first, second, name) in [
        ("--wait=30s --dir meet src dst", "--wait=9s --dir meet src dst", both.as_str()),
        ("read --wait=30s --dir meet src", "write --wait=9s -f --dir meet dst", &name),
        ("read --wait=30s --dir meet -", "write --wait=9s -f --dir meet dst", &name),
        ("write --wait=30s -f --dir meet dst", "read --wait=9s --dir meet src", &name),
    ] {
        let half = if first.starts_with('-') { "" } else { name };
        let waiting = folder.duocopy(&format!("{first} {half}")).after("exec <src").start();
        let id = format!("\"process\":{}", waiting.id());
        for _ in 0..2 {
            until("the waiting process", || status(name).filter(|seen| seen.contains(&id)));
            remove_pipe(&folder);
        }
        until("a new pipe", || status(name).filter(|seen| seen.contains(&id)));
        complete([waiting, folder.duocopy(&format!("{second} {half}")).start()]);
        folder.assert_same("src", "dst");
        std::fs::remove_file(folder.path("dst")).unwrap();
    }
}

/// A Writer that waits for a replacement cannot restart. The data that it has written is kept for the next run.
#[test(needs = [strace])]
fn a_process_that_waits_for_a_replacement_ends_if_its_pipe_is_removed() {
    let folder = Folder::with_source(2 * MIB);
    folder.make("meet");
    folder.set_mode("meet", 0o700);
    let line = &format!("--dir meet --replace-within=30s {SMALL_BLOCKS} --bwlimit=1M src dst");
    let [reader, writer] = pair(folder.duocopy(line), folder.duocopy(line));
    // With `--dir`, the first entry of the journal only names the copy.
    until("a checkpoint", || {
        let journal = folder.left_over("journal").and_then(|path| std::fs::read(path).ok())?;
        [512, 1024]
            .iter()
            .all(|at| journal.get(*at..*at + 512).is_some_and(|it| it != [0; 512]))
            .then_some(())
    });
    reader.kill();
    remove_pipe(&folder);
    let ended = writer.end_within(milliseconds(9000)).unwrap_or_else(|_| panic!("it still waits"));
    ended.expect(1, &["was removed while this process waited"]);
    assert!(folder.left_over("part").is_some(), "there is something to resume");
}

/// Removes everything from the directory where the two meet. The processes may remove files themselves meanwhile.
fn remove_pipe(folder: &Folder) {
    for entry in std::fs::read_dir(folder.path("meet")).unwrap() {
        let _ = std::fs::remove_file(entry.unwrap().path());
    }
}
