//! Directories of destinations that cannot be listed, or whose path only an unconfined process can follow.

use crate::util::*;
use std::process::{Child, Command, Stdio};

/// A process whose files in `/proc` lead to its working directory. It is killed at the end.
struct Neighbour(Child);

impl Neighbour {
    /// Starts a process that works in this directory.
    fn in_directory(directory: &std::path::Path) -> Self {
        let mut command = Command::new("sleep");
        Self(command.arg("60").current_dir(directory).stdout(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A drop box: whoever may not list it may put files there.
#[test(needs = [root, strace])]
fn a_directory_that_cannot_be_listed_takes_copies() {
    for mode in [0o1733, 0o333] {
        let folder = Folder::with_source(300 * KIB);
        folder.set_mode("src", 0o644);
        folder.make("box");
        folder.set_mode("box", mode);
        let run = |line: &str| folder.duocopy(line).by_nobody();
        run("cp --dry-run src box/dst").end().expect(0, &[]);
        run("cp src box/dst").end().expect(0, &[]);
        folder.assert_same("src", "box/dst");
        assert_eq!(folder.mode("box/dst"), 0o644, "the directory's default list could not be read");
        // A journal is written and flushed there as well.
        folder.write("src", bytes(8 * MIB, 2));
        let writer = run("src box/dst").traced("-f -e trace=/^(rename|fsync|syncfs)");
        let reader = run("--bwlimit=5M src box/dst");
        // The trace belongs to the same user.
        folder.set_mode("", 0o777);
        let [reader, writer] = pair(reader, writer);
        until("the end of the Writer", || writer.ended());
        let calls = writer.trace();
        complete([reader, writer]);
        let after = calls.rsplit_once("rename").expect("the copy was put in place").1;
        assert!(after.contains("syncfs"), "the name may not be on the disk: {calls}");
        folder.assert_same("src", "box/dst");
        folder.assert_nothing_left_in("box");
    }
}

#[test]
fn a_destination_below_a_magic_link_takes_copies() {
    let folder = Folder::with_source(300 * KIB);
    folder.make("place");
    folder.make("place/deep");
    let process = Neighbour::in_directory(&folder.path("place"));
    let own = format!("/proc/{}", process.0.id());
    for (number, place) in
        [format!("{own}/root{}", folder.text("place")), format!("{own}/cwd"), format!("{own}/cwd/deep/..")]
            .iter()
            .enumerate()
    {
        for flags in ["", "--backup=numbered", "--no-sandbox", "--verify=reread"] {
            folder.write("src", bytes(300 * KIB, number as u64));
            folder.duocopy(&format!("cp {flags} src {place}/dst")).end().expect(0, &[]);
            folder.assert_same("src", "place/dst");
        }
        complete(pair(
            folder.duocopy(&format!("src {place}/dst")),
            folder.duocopy(&format!("src {place}/dst")),
        ));
    }
    folder.assert_nothing_left_in("place");
}

/// The path leads nowhere by then, but the directory is where it was.
#[test(needs = [held_copies])]
fn a_magic_link_may_disappear_during_the_copy() {
    let folder = Folder::with_source(2 * MIB);
    folder.make("place");
    let process = Neighbour::in_directory(&folder.path("place"));
    let line = format!("{HELD_BLOCKS} src /proc/{}/cwd/dst", process.0.id());
    let processes = held_in_the_middle(&folder, &line);
    drop(process);
    complete(processes);
    folder.assert_same("src", "place/dst");
}

/// A Reader that knows the destination looks there after the Writer's death, through the directory that it has opened.
#[test(needs = [strace])]
fn a_reader_finds_a_dead_writers_copy_below_a_magic_link() {
    let folder = Folder::with_source(300 * KIB);
    folder.make("place");
    let process = Neighbour::in_directory(&folder.path("place"));
    let line = format!("src /proc/{}/cwd/dst", process.0.id());
    // The Writer dies when it is about to rename.
    let killed = "-f -e trace=/^rename -e inject=/^rename:signal=KILL";
    let [reader, writer] = pair(folder.duocopy(&line), folder.duocopy(&line).traced(killed));
    writer.end().expect(KILLED, &[]);
    reader.end().expect(8, &["/cwd/dst is unchanged"]);
}
