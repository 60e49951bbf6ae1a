//! Paths, attributes, open files and consoles of Windows.

use crate::util::*;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::os::windows::ffi::OsStringExt;
use std::os::windows::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Instant;

const READ_ONLY: u32 = 1;
const HIDDEN: u32 = 2;
const SHARE_READ: u32 = 1;

#[test(not_on_windows = "soak.rs kills, stops and changes processes as only Unix can")]
fn soak() {}
#[test(not_on_windows = "every_call.rs kills by strace")]
fn every_call() {}
#[test(not_on_windows = "hardening.rs tests modes, links and owners")]
fn hardening() {}
#[test(not_on_windows = "hostile.rs writes into the file of a pipe")]
fn hostile() {}
#[test(not_on_windows = "strangers.rs and parties.rs are about several users")]
fn several_users() {}
#[test(not_on_windows = "streams.rs tests named pipes and devices of Unix")]
fn streams() {}

fn attributes(path: &Path) -> u32 {
    fs::metadata(path).unwrap().file_attributes() & (READ_ONLY | HIDDEN)
}

/// Copies by a pair whose processes get these paths.
fn pair_of(folder: &Folder, [one, two]: [[&Path; 2]; 2]) {
    let start =
        |[source, destination]: [&Path; 2]| folder.duocopy("--").word(source).word(destination).start();
    complete([start(one), start(two)]);
}

#[test]
fn processes_with_different_paths_of_one_file_meet() {
    let folder = Folder::new();
    folder.write("src", "content");
    let plain = [folder.path("src"), folder.path("dst")];
    let text = plain.each_ref().map(|path| path.to_str().unwrap().to_owned());
    let lower = text.each_ref().map(|text| PathBuf::from(text[..1].to_lowercase() + &text[1..]));
    let verbatim = text.each_ref().map(|text| PathBuf::from(format!(r"\\?\{text}")));
    let capitals = text.each_ref().map(|text| PathBuf::from(text.to_uppercase()));
    let slashes = text.each_ref().map(|text| PathBuf::from(text.replace('\\', "/")));
    for other in [&lower, &verbatim, &slashes, &capitals] {
        let both = |paths: &[PathBuf; 2]| [paths[0].clone(), paths[1].clone()];
        let (one, two) = (both(&plain), both(other));
        pair_of(&folder, [[&one[0], &one[1]], [&two[0], &two[1]]]);
        folder.assert_same("src", "dst");
        fs::remove_file(folder.path("dst")).unwrap();
    }
}

#[test]
fn paths_may_be_longer_than_260_characters() {
    let folder = Folder::new();
    let mut deep = folder.path("");
    for _ in 0..12 {
        deep.push("a directory whose name is long");
    }
    fs::create_dir_all(&deep).unwrap();
    let (source, destination) = (deep.join("src"), deep.join("dst"));
    assert!(source.as_os_str().len() > 300);
    fs::write(&source, bytes(300 * KIB, 1)).unwrap();
    pair_of(&folder, [[&source, &destination]; 2]);
    assert!(fs::read(&source).unwrap() == fs::read(&destination).unwrap());
    folder.duocopy("cp").word(&source).word(&destination).end().expect(0, &[]);
}

#[test]
fn names_may_have_any_characters() {
    name_works(&OsString::from("größe 日本 🦀.txt"));
}

#[test]
fn names_may_have_unpaired_surrogates() {
    name_works(&OsString::from_wide(&[b'a'.into(), 0xd800, b'b'.into()]));
}

fn name_works(name: &OsString) {
    let folder = Folder::new();
    let (source, destination) = (folder.path(name), folder.path("dst"));
    if fs::write(&source, "content").is_err() {
        harness::ignore(format!("no file called {} can be made here", name.display()));
    }
    pair_of(&folder, [[&source, &destination]; 2]);
    folder.assert_same(name, "dst");
    fs::remove_file(&source).unwrap();
    pair_of(&folder, [[&destination, &source]; 2]);
    folder.assert_same(name, "dst");
}

#[test]
fn an_alternate_stream_of_a_file_is_refused() {
    let folder = Folder::new();
    folder.write("src", "content");
    for name in ["c:stream", "file:stream"] {
        let path = format!(r"{}\{name}", folder.text("").trim_end_matches('\\'));
        for ended in end([0, 1].map(|_| folder.duocopy("src").word(&path).start())) {
            ended.expect(2, &["a name with a colon"]);
        }
    }
}

#[test]
fn a_read_only_file_stays_read_only() {
    attribute_is_preserved(0);
    attribute_is_preserved(READ_ONLY);
}

#[test]
fn a_hidden_file_stays_hidden() {
    attribute_is_preserved(HIDDEN);
}

/// The copy gets the attribute of the file that it replaces, or, if there is none, that of the source.
fn attribute_is_preserved(attribute: u32) {
    let folder = Folder::new();
    folder.write("src", "new content");
    let set = |name: &str, read_only| {
        let mut permissions = fs::metadata(folder.path(name)).unwrap().permissions();
        permissions.set_readonly(read_only);
        fs::set_permissions(folder.path(name), permissions).unwrap();
    };
    let hidden = |name: &str| {
        let file = OpenOptions::new().write(true).create_new(true).attributes(HIDDEN).open(folder.path(name));
        std::io::Write::write_all(&mut file.unwrap(), OLD).unwrap();
    };
    let copy = |line: &str| {
        let start = || folder.duocopy(line).start();
        complete([start(), start()]);
    };
    if attribute == HIDDEN {
        hidden("dst");
    } else {
        folder.write("dst", OLD);
    }
    set("dst", attribute == READ_ONLY);
    if attributes(&folder.path("dst")) != attribute {
        harness::ignore("no hidden file can be made here");
    }
    copy("src dst");
    folder.assert_same("src", "dst");
    assert_eq!(attributes(&folder.path("dst")), attribute);
    copy("dst new");
    assert_eq!(attributes(&folder.path("new")), attribute);
    for name in ["dst", "new"] {
        set(name, false);
    }
}

#[test]
fn a_destination_that_another_program_has_open_is_waited_for() {
    let folder = Folder::new();
    folder.write("src", "content");
    folder.write("dst", OLD);
    // Open for reading, without permission to replace the file.
    let open = || OpenOptions::new().read(true).share_mode(SHARE_READ).open(folder.path("dst")).unwrap();
    let other = open();
    let start = || folder.duocopy("src dst").start();
    let pair = [start(), start()];
    pause(milliseconds(1000));
    drop(other);
    complete(pair);
    folder.assert_same("src", "dst");

    folder.write("dst", OLD);
    let other = open();
    let begun = Instant::now();
    let ended = end([start(), start()]);
    if ended[0].code == 0 {
        harness::ignore("a file that another program has open can be replaced here");
    }
    for ended in &ended {
        ended.expect(6, &[&folder.text("dst"), ".part", "has the destination open"]);
    }
    assert!(begun.elapsed() > milliseconds(1900));
    drop(other);
    assert_eq!(folder.read("dst"), OLD);
    complete([start(), start()]);
    folder.assert_nothing_left();
}

#[test]
fn a_source_cannot_be_written_to_while_it_is_copied() {
    let folder = Folder::new();
    folder.write("src", bytes(2 * MIB, 1));
    let writing = OpenOptions::new().append(true).open(folder.path("src")).unwrap();
    for ended in [(); 2].map(|()| folder.duocopy("--wait=5s src dst").start()).map(Process::end) {
        ended.expect(5, &[&folder.text("src"), "open for writing"]);
    }
    drop(writing);
    let pair = in_the_middle(&folder);
    assert!(OpenOptions::new().write(true).open(folder.path("src")).is_err());
    complete(pair);
    folder.assert_same("src", "dst");
}

#[test]
fn devices_directories_and_missing_files_are_refused() {
    let folder = Folder::new();
    folder.write("src", "content");
    folder.make("folder");
    let device = "the path names a device";
    for (line, code, message) in [
        ("src NUL", 2, device),
        ("con dst", 2, device),
        ("folder dst", 5, "folder"),
        ("missing dst", 5, "missing"),
    ] {
        for ended in [(); 2].map(|()| folder.duocopy(&format!("--wait=5s {line}")).start()).map(Process::end)
        {
            ended.expect(code, &[message]);
        }
        assert!(!folder.is_there("dst"));
    }
    // A directory as destination gets a file with the name of the source.
    for line in ["src folder", r"src folder\", "src folder/", r"src folder\src"] {
        let start = || folder.duocopy(line).start();
        complete([start(), start()]);
        folder.assert_same("src", r"folder\src");
    }
}

#[test]
fn a_name_that_is_too_long_is_refused_before_anything_is_copied() {
    let folder = Folder::new();
    folder.write("src", OLD);
    let ended = folder.duocopy("cp src").word("x".repeat(256)).end();
    ended.expect(2, &["the name is too long"]);
    let ended = folder.duocopy("cp src").word("x".repeat(255)).end();
    ended.expect(0, &[]);
}

#[test]
fn a_file_is_not_copied_onto_itself() {
    let folder = Folder::new();
    folder.write("src", OLD);
    fs::hard_link(folder.path("src"), folder.path("hard")).unwrap();
    for line in ["src src", r"src .\src", "src SRC", "src hard"] {
        let pair = pair(folder.duocopy(line), folder.duocopy(line));
        for ended in end(pair) {
            ended.expect(12, &["source and destination are the same file"]);
        }
        assert_eq!(folder.read("src"), OLD);
    }
}

#[test]
fn a_lone_reader_shows_a_command_for_the_command_interpreter() {
    let folder = Folder::new();
    folder.write("a file", "content");
    let reader = folder.duocopy("--").word("a file").word("a copy").start();
    reader.reports("start it as the same user:\n  ");
    let messages = reader.messages();
    let command = messages.split_once("start it as the same user:\n  ").unwrap().1.lines().next().unwrap();
    let (program, arguments) = command.split_once(' ').unwrap();
    assert_eq!(program, "duocopy");
    let quoted = |name: &str| format!("\"{}\"", folder.text(name));
    assert_eq!(arguments, format!("{} {}", quoted("a file"), quoted("a copy")));
    let second = folder.duocopy("--").word("a file").word("a copy").start();
    complete([reader, second]);
}

/// Nothing of a copy is locked once it is complete.
#[test]
fn a_complete_copy_can_be_opened_at_once() {
    let folder = Folder::new();
    folder.write("src", bytes(MIB, 1));
    for flags in ["", "--verify=reread", "--fsync=none"] {
        let ended = folder.duocopy(&format!("cp {flags} src dst")).end();
        ended.expect(0, &[]);
        folder.assert_same("src", "dst");
        drop(File::options().write(true).open(folder.path("dst")).unwrap());
    }
}

#[test]
fn control_break_interrupts_in_an_orderly_way() {
    const CTRL_BREAK: u32 = 1;
    let folder = Folder::new();
    folder.write("src", "content");
    let reader = folder.duocopy("src dst").start_reader();
    let output = crate::util::event(reader.id(), CTRL_BREAK);
    if !output.status.success() {
        harness::ignore("Ctrl-Break cannot be sent here");
    }
    reader.end().expect(128 + 21, &["interrupted", "is unchanged"]);
}

#[test(not_on_windows = "no call closes a console")]
fn the_end_of_a_console_ends_both() {}
