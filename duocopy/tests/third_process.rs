//! A third process is refused, and the next pair can come at once.

use crate::util::*;
use std::time::Duration;

/// Starts a third process, which must be refused.
#[track_caller]
fn assert_refused(folder: &Folder, when: &str, message: &str) {
    let third = folder.duocopy("src dst").end();
    third.expect(9, &["too many instances", &folder.text("src"), &folder.text("dst"), message]);
    note!("a third process {when} is refused after {:?}", third.took);
    assert!(third.took < milliseconds(1000 * SLOWNESS), "{third:?}");
}

#[test(needs = [strace])]
fn a_third_process_is_refused_while_the_two_are_starting() {
    let folder = Folder::new();
    folder.write("src", "content");
    let slow = "-P src -e trace=openat -e inject=openat:delay_enter=1500000";
    let [reader, writer] = pair(folder.duocopy("src dst").traced(slow), folder.duocopy("src dst"));
    seated(&folder, &writer);
    for _ in 0..3 {
        assert_refused(&folder, "while they start", "0 bytes are read and 0 written so far");
    }
    complete([reader, writer]);
    folder.assert_same("src", "dst");
}

#[test(needs = [held_copies])]
fn a_third_process_is_refused_while_the_two_copy() {
    let folder = Folder::new();
    folder.write("src", bytes(2 * MIB, 1));
    let [reader, writer] = in_the_middle(&folder);
    let message = format!("Reader (process {}) and its Writer (process {})", reader.id(), writer.id());
    for _ in 0..3 {
        assert_refused(&folder, "during the copy", &message);
    }
    assert!(writer.ended().is_none(), "the copy was too fast for this test");
    complete([reader, writer]);
    folder.assert_same("src", "dst");
}

#[test(needs = [strace])]
fn a_third_process_is_refused_while_the_two_are_finishing() {
    for slow in [
        "-e trace=/^fsync -e inject=/^fsync:delay_enter=1000000:when=1",
        "-e trace=/^rename -e inject=/^rename:delay_enter=1000000",
    ] {
        let folder = Folder::new();
        folder.write("src", bytes(MIB, 1));
        let [reader, writer] = pair(folder.duocopy("src dst"), folder.duocopy("src dst").traced(slow));
        until("the beginning of the slow call", || {
            let length = folder.temporaries("").first()?.metadata().ok()?.len();
            (length == MIB as u64).then_some(())
        });
        pause(milliseconds(200));
        assert_refused(&folder, "while they finish", "1048576 written so far");
        assert!(writer.ended().is_none(), "the copy was too fast for this test");
        complete([reader, writer]);
        folder.assert_same("src", "dst");
    }
}

#[test]
fn a_new_pair_can_come_right_after_one_that_has_ended() {
    let folder = Folder::new();
    folder.write("src", "again and again");
    let start = || folder.duocopy("src dst").start();
    let mut longest = Duration::ZERO;
    for round in 0..200 / SLOWNESS {
        for ended in end([start(), start()]) {
            assert_eq!(ended.code, 0, "round {round}: {ended:?}");
            longest = longest.max(ended.took);
        }
    }
    note!("the slowest of many pairs in a row took {longest:?}");
    folder.assert_same("src", "dst");
}

#[test]
fn a_new_pair_can_come_while_one_is_leaving() {
    let folder = Folder::new();
    folder.write("src", "again and again");
    let start = || folder.duocopy("--wait=20s src dst").start();
    let mut pair = [start(), start()];
    for round in 0..60 / SLOWNESS {
        until("one of the two ends", || pair.iter().any(|process| process.ended().is_some()).then_some(()));
        for ended in end(std::mem::replace(&mut pair, [start(), start()])) {
            assert_eq!(ended.code, 0, "round {round}: {ended:?}");
        }
    }
    complete(pair);
}
