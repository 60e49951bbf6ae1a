//! Names of pipes and paths of files.

use crate::util::*;
#[cfg(unix)]
use std::ffi::OsStr;
#[cfg(unix)]
use std::os::unix::ffi::OsStrExt;

#[test]
fn unrelated_copies_run_side_by_side_without_a_name() {
    let folder = Folder::new();
    let lines: Vec<String> = (0..6).map(|n| format!("{SMALL_BLOCKS} src{n} dst{n}")).collect();
    for n in 0..lines.len() {
        folder.write(format!("src{n}"), bytes(MIB + n, n as u64));
    }
    let start = |line: &String| folder.duocopy(line).start();
    let first: Vec<_> = lines.iter().map(start).collect();
    let second: Vec<_> = lines.iter().map(start).collect();
    for process in first.into_iter().chain(second) {
        process.end().expect(0, &[]);
    }
    for n in 0..lines.len() {
        folder.assert_same(format!("src{n}"), format!("dst{n}"));
    }
}

#[test]
fn a_name_may_be_long_and_odd() {
    let folder = Folder::new();
    folder.write("src", bytes(300 * KIB, 1));
    let odd = format!("{} / \t\n\u{1b}[2J/../ 'ü'\u{202e} \"日本\"", folder.text(""));
    let name = odd.repeat(4000 / odd.len() + 1);
    let [reader, writer] = pair(folder.duocopy("src dst").word(&name), folder.duocopy("src dst").word(&name));
    for ended in end([reader, writer]) {
        ended.expect(0, &["complete", "\\t\\n\\u{1b}[2J"]);
        assert!(
            !ended.messages.contains('\u{1b}'),
            "control characters must not reach a terminal: {ended:?}"
        );
    }
    folder.assert_same("src", "dst");
}

#[test(not_on_windows = "names are no bytes here; windows.rs has surrogates")]
fn paths_need_not_be_utf_8() {
    let folder = Folder::new();
    let [source, destination] = [OsStr::from_bytes(b"a \xff\xfe\n"), OsStr::from_bytes(b"-b\x80")];
    folder.write(source, "content");
    let start = || folder.duocopy("--").word(source).word(destination).start();
    complete([start(), start()]);
    folder.assert_same(source, destination);
}

#[test]
fn another_copy_under_the_same_name_is_refused_and_the_first_continues() {
    let folder = Folder::new();
    folder.write("src", "content");
    folder.write("other", "other content");
    let name = &folder.text("a name");
    let reader = folder.duocopy("src dst").word(name).start_reader();
    for line in ["other dst", "src other-dst", "dst src"] {
        let newcomer = folder.duocopy(line).word(name).end();
        let paths = line.split(' ').map(|path| folder.text(path)).collect::<Vec<_>>();
        let paths_of = |from: &str, to: &str| format!("{from} -> {to}");
        let (theirs, ours) =
            (paths_of(&folder.text("src"), &folder.text("dst")), paths_of(&paths[0], &paths[1]));
        // Where case makes no difference, the paths of the other process are shown in lower case.
        let theirs = if cfg!(windows) { theirs.to_lowercase() } else { theirs };
        newcomer.expect(12, &[name, &theirs, &ours, "choose another NAME"]);
        assert!(newcomer.took < milliseconds(1000 * SLOWNESS), "{newcomer:?}");
    }
    assert!(reader.ended().is_none(), "the first process must continue to wait: {}", reader.messages());
    let writer = folder.duocopy("src dst").word(name).start_writer();
    complete([reader, writer]);
    folder.assert_same("src", "dst");
    assert!(!folder.is_there("other-dst"));
}

#[test(not_on_windows = "pipes are no files; the library tests it")]
fn another_version_is_refused_by_number_and_the_first_continues() {
    let folder = Folder::new();
    folder.write("src", "content");
    let name = &folder.text("a name");
    let reader = folder.duocopy("src dst").word(name).start_reader();
    let header = until("the pipe's file", || pipe_file(name.as_bytes()));
    let mut ours = [0; 4];
    header.read_exact_at(&mut ours, pipe_header::VERSION).unwrap();
    header.write_all_at(&77_u32.to_ne_bytes(), pipe_header::VERSION).unwrap();
    let texts =
        [name, "version 77", &format!("version {}", u32::from_ne_bytes(ours)), "use the same duocopy"];
    folder.duocopy("src dst").word(name).end().expect(11, &texts);
    assert!(reader.ended().is_none(), "the first process must continue to wait: {}", reader.messages());
    header.write_all_at(&ours, pipe_header::VERSION).unwrap();
    let writer = folder.duocopy("src dst").word(name).start_writer();
    complete([reader, writer]);
}
