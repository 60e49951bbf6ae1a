//! The progress bar, and progress lines in a log.

use crate::util::*;
use std::fs;

#[test(needs = [strace, terminal])]
fn a_bar_is_drawn_on_a_terminal_only_and_not_for_a_quiet_copy() {
    let folder = Folder::new();
    for (flags, bar) in [("", true), ("-q", false), ("--progress=never", false)] {
        folder.write("src", bytes(4 * MIB + 512 * KIB, 1));
        let line = &format!("{flags} {SMALL_BLOCKS} src dst");
        // The Reader has a terminal, and the Writer has none.
        let reader = folder.duocopy(line).on_a_terminal().start();
        until("the Reader", || folder.pipe());
        let writer =
            folder.duocopy(line).traced("-e trace=pwrite64 -e inject=pwrite64:delay_enter=30000").start();
        let [reader, writer] = end([reader, writer]);
        assert!(writer.took > milliseconds(2000), "the copy was too fast for this test");
        assert_eq!((reader.code, writer.code, writer.messages.as_str()), (0, 0, ""), "{reader:?}");
        if bar {
            let texts = [" %", "in ", "out ", "left", "iB/s", "waiting for the destination"];
            reader.expect(0, &texts);
        } else {
            assert_eq!(reader.messages, "", "{flags}");
        }
        folder.assert_same("src", "dst");
    }
}

#[test(needs = [strace, terminal])]
fn two_processes_on_one_terminal_draw_one_bar() {
    let folder = Folder::new();
    folder.write("src", bytes(4 * MIB, 1));
    let line = &format!("{SMALL_BLOCKS} src dst");
    let trace = folder.path("trace-of-the-reader");
    let reader = format!(
        "strace -D -f -qqq -s 500 -e trace=write -o {} '{PROGRAM}' {line} & sleep 0.5",
        trace.display()
    );
    // The flush takes long enough to be drawn.
    let slow = "-e trace=pwrite64,fsync,fdatasync -e inject=pwrite64:delay_enter=30000 \
                -e inject=fsync,fdatasync:delay_enter=400000";
    let writer = folder.duocopy(line).traced(slow);
    let ended = writer.after(&reader).on_a_terminal().end();
    ended.expect(0, &["in ", "out ", "copied, flushing to the disk"]);
    let by_the_reader = fs::read_to_string(trace).unwrap();
    assert!(!by_the_reader.contains("out "), "{by_the_reader}");
    folder.assert_same("src", "dst");
}

#[test(needs = [large, strace])]
fn a_log_gets_a_line_every_ten_seconds_on_request() {
    let folder = Folder::new();
    folder.write("src", bytes(2 * MIB, 1));
    let line = &format!("{SMALL_BLOCKS} -g src dst");
    let slow = "-e trace=pwrite64 -e inject=pwrite64:delay_enter=370000";
    let processes = pair(folder.duocopy(line), folder.duocopy(line).traced(slow));
    pause(milliseconds(9000));
    for process in &processes {
        assert!(!process.messages().contains("written"), "too early: {}", process.messages());
    }
    pause(milliseconds(2000));
    for process in &processes {
        assert!(process.messages().contains(" of 2.00 MiB written · in "), "{}", process.messages());
    }
    for ended in end(processes) {
        ended.expect(0, &["complete"]);
        assert_eq!(ended.messages.matches(" written · ").count(), 1, "{ended:?}");
    }
}
