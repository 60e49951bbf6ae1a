//! Standard streams that are closed, full or left by their reader.
//!
//! Windows has no /dev/full, and its shells close no streams.

use crate::util::*;
use std::fs;
use std::io::Read;

/// Every way to start a program with some of its three standard streams closed, as a line of shell, and whether the
/// first two are closed.
fn closings() -> impl Iterator<Item = (String, [bool; 2])> {
    (0..8).map(|closed| {
        let is_closed = |stream: usize| closed >> stream & 1 == 1;
        let words = (0..3).filter(|stream| is_closed(*stream)).map(|stream| format!(" {stream}>&-"));
        (format!("exec{}", words.collect::<String>()), [is_closed(0), is_closed(1)])
    })
}

#[test]
fn a_standard_stream_that_was_closed_is_not_a_stream() {
    for (closing, [input, output]) in closings() {
        let folder = Folder::with_source(MIB);
        for (from, to, is_closed, code) in [("-", "dst", input, 5), ("src", "-", output, 6)] {
            let run = |half: Run<'_>, is_closing| {
                let redirected = if is_closing { closing.clone() } else { String::from("exec <src") };
                half.after(&redirected).start()
            };
            let reader = run(folder.read_half(&format!("--wait=5s {from}")), from == "-");
            if from == "-" && is_closed {
                let ended = reader.end();
                assert_eq!(ended.code, code, "{closing}: {ended:?}");
                continue;
            }
            // Standard input of the Reader is this file, if nothing has closed it.
            let writer = run(folder.write_half(&format!("--wait=5s {to}")), to == "-");
            for ended in end([reader, writer]) {
                assert_eq!(ended.code, if is_closed { code } else { 0 }, "{closing} {from}: {ended:?}");
            }
        }
        for name in fs::read_dir(folder.path("")).unwrap().map(|entry| entry.unwrap().file_name()) {
            let name = name.to_str().unwrap();
            assert!(["src", "dst"].contains(&name) || name.starts_with("std"), "{closing}: {name}");
        }
    }
}

#[test]
fn a_copy_of_files_needs_no_standard_stream() {
    for (closing, _) in closings() {
        let folder = Folder::with_source(MIB);
        let closed = |line: &str| folder.duocopy(line).after(&closing);
        closed("cp src copied").end().expect(0, &[]);
        folder.assert_same("src", "copied");
        complete([closed("--wait=9s src dst").start(), closed("--wait=9s src dst").start()]);
        folder.assert_same("src", "dst");
        folder.assert_nothing_left();
    }
}

#[test]
fn a_message_says_what_to_do_about_a_closed_stream() {
    let folder = Folder::new();
    let ended = folder.read_half("-").after("exec <&-").end();
    ended.expect(5, &["cannot open the source: standard input: ", "redirect it"]);
    let ended = folder.read_half("--dry-run -").after("exec <&-").end();
    ended.expect(5, &["standard input"]);
    for closing in ["exec >&-", "exec 1</dev/null"] {
        folder.write_half("--dry-run -").after(closing).end().expect(6, &["standard output", "redirect it"]);
    }
    // Some programs open it for both directions, as the Rust runtime does in place of a closed stream.
    for (input, output) in
        [("exec </dev/null", "exec >/dev/null"), ("exec 0<>/dev/null", "exec 1<>/dev/null")]
    {
        let reader = folder.read_half("-").after(input).start();
        complete([reader, folder.write_half("-q -").after(output).start()]);
    }
}

#[test]
fn output_that_cannot_be_written_is_a_failure() {
    let folder = Folder::with_source(KIB);
    let name = folder.pipe_name();
    let waiting = folder.read_half("--wait=30s src").start();
    let status = format!("status {name}");
    until("the Reader", || (folder.duocopy(&status).end().code == 0).then_some(()));
    for line in ["--help", "cp -h", "--version", "status", "status --json", "status --clean", &status] {
        for unusable in ["exec >/dev/full", "exec >&-"] {
            folder.duocopy(line).after(unusable).end().expect(1, &["cannot write to standard output"]);
        }
        for nobody_reads in ["exec >/dev/null", "exec 1<>/dev/null"] {
            folder.duocopy(line).after(nobody_reads).end().expect(0, &[]);
        }
    }
    complete([waiting, folder.write_half("dst").start()]);
}

#[test]
fn a_copy_whose_objects_cannot_be_written_is_complete_and_fails() {
    let folder = Folder::with_source(KIB);
    // Known before the copy.
    for closing in ["exec >&-", "exec >/dev/full"] {
        folder
            .duocopy("cp --json src dst")
            .after(closing)
            .end()
            .expect(1, &["cannot write to standard output"]);
        folder.assert_untouched(None);
    }
    folder.make_fifo("out");
    let reader = folder.duocopy("--json src dst").after("exec >out").start();
    // It has looked at its output before it writes the first object.
    let read = fs::File::open(folder.path("out")).unwrap().read(&mut [0; 9]).unwrap();
    let writer = folder.duocopy("src dst").start();
    assert_eq!(read, 9);
    writer.end().expect(0, &[]);
    reader.end().expect(1, &["cannot write to standard output: ", "roken pipe"]);
    folder.assert_same("src", "dst");
}

#[test]
fn watching_ends_with_the_reader_of_its_output() {
    let folder = Folder::with_source(KIB);
    let name = folder.pipe_name();
    folder.make_fifo("out");
    // There is nothing to show: no write can fail.
    let watching = folder.duocopy(&format!("status --watch {name}")).after("exec >out").start();
    drop(fs::File::open(folder.path("out")).unwrap());
    watching.end().expect(1, &["cannot write to standard output: "]);
    let waiting = folder.read_half("--wait=30s src").start();
    let watching = folder.duocopy("status --watch --json").after("exec >out").start();
    drop(fs::File::open(folder.path("out")).unwrap());
    watching.end().expect(1, &["roken pipe"]);
    complete([waiting, folder.write_half("dst").start()]);
}
