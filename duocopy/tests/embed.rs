//! Programs that embed the engine, and the second process that they start.

use crate::util::*;
use std::process::Command;
use std::time::Duration;

#[test(needs = [example])]
fn the_example_copies_cancels_and_tells_errors_apart() {
    let folder = Folder::new();
    let ended = folder.start(Command::new(example()), false).end();
    ended.expect(0, &[]);
    let printed = [
        format!("copied {} bytes with ", 64 * MIB),
        "checksum Some(Crc64(".into(),
        "cancelled a copy; the destination is unchanged".into(),
        "missing -> copy: choose another file to read (Source (Open): ".into(),
        "source -> missing/copy: choose another place to write to (Destination (OpenDirectory): ".into(),
        "source -> source: nothing to do (SameFile: ".into(),
    ];
    for text in printed {
        assert!(ended.output.contains(&text), "“{text}” is missing in: {ended:?}");
    }
    // A library prints nothing of its own.
    assert_eq!(ended.messages, "");
}

/// Fails unless a second process has ended soon and has reported nothing to users.
#[track_caller]
fn assert_quick_and_quiet(ended: &Ended) {
    ended.expect(0, &[]);
    assert_eq!(ended.messages, "");
    assert!(ended.took < Duration::from_millis(2000 * SLOWNESS), "{ended:?}");
}

#[test]
fn a_second_process_without_a_request_does_nothing() {
    let folder = Folder::with_source_and_destination(KIB);
    let ended = folder.duocopy("--second-process").end();
    assert_quick_and_quiet(&ended);
    assert_eq!(ended.output, "");
    folder.assert_untouched(Some(OLD));
}

/// With another argument it is an option that does not exist.
#[test]
fn the_second_process_has_no_arguments() {
    let folder = Folder::with_source_and_destination(KIB);
    for line in ["--second-process src dst", "cp --second-process src dst"] {
        folder.duocopy(line).end().expect(2, &["--second-process"]);
    }
    folder.assert_untouched(Some(OLD));
}

#[test(not_on_windows = "there is no shell")]
fn a_second_process_with_garbage_does_nothing() {
    let folder = Folder::with_source_and_destination(KIB);
    let task = task(&folder);
    let garbage = [
        bytes(100 * KIB, 1),
        b"\n".into(),
        b"{}".into(),
        b"[".repeat(MIB),
        task[..task.len() - 1].into(),
        [&task[..], b"more"].concat(),
    ];
    for input in garbage {
        folder.write("input", &input);
        let ended = folder.duocopy("--second-process").after("exec <input").end();
        assert_quick_and_quiet(&ended);
        assert_eq!(ended.output, "");
        folder.assert_untouched(Some(OLD));
    }
}

/// The first process may be gone before the second one has begun.
#[test(not_on_windows = "there is no shell")]
fn a_second_process_whose_first_one_is_gone_touches_nothing() {
    let folder = Folder::with_source_and_destination(KIB);
    folder.write("input", task(&folder));
    let ended = folder.duocopy("--second-process").after("exec <input").end();
    assert_quick_and_quiet(&ended);
    assert!(ended.output.contains("PeerTimeout") && ended.output.lines().count() == 1, "{ended:?}");
    folder.assert_untouched(Some(OLD));
}

/// Returns what the first process of `cp src dst` would send: a request, and a pipe in the usual directory.
#[cfg(unix)]
fn task(folder: &Folder) -> Vec<u8> {
    let both = duocopy::Request::both(folder.path("src"), folder.path("dst"));
    let request = duocopy::Request { connect_timeout: Some(Duration::ZERO), ..both };
    let name = folder.pipe_name().into_bytes();
    serde_json::to_vec(&serde_json::json!({ "request": request, "pipe": { "name": name, "private": null } }))
        .expect("plain data")
}
