//! Pipes, devices and standard streams.
//!
//! Windows has other pipes and devices.

use crate::util::*;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::path::Path;
use std::process::Command;

fn reader<'a>(folder: &'a Folder, line: &str) -> Run<'a> {
    folder.read_half(line)
}

fn writer<'a>(folder: &'a Folder, line: &str) -> Run<'a> {
    folder.write_half(line)
}

/// Opens a named pipe that the program has open at its other end.
fn opened(folder: &Folder, name: &str, to_write: bool) -> File {
    OpenOptions::new().read(!to_write).write(to_write).open(folder.path(name)).expect("opening a named pipe")
}

const OUT: &str = "not atomic and cannot be rolled back: ";

#[test]
fn standard_input_comes_out_as_standard_output() {
    for length in [0, 1, 64 * KIB, 3 * MIB + 7] {
        let folder = Folder::new();
        folder.write("src", bytes(length, 1));
        let from = reader(&folder, "-").after("exec <src").start();
        let to = writer(&folder, "-").after("exec >out").start();
        let [from, to] = end([from, to]);
        from.expect(0, &[]);
        to.expect(0, &[OUT, "standard output"]);
        folder.assert_same("src", "out");
    }
}

/// Unlike in a pipeline, each process learns how its peer has ended.
#[test]
fn a_copy_from_a_named_pipe_to_another_is_whole() {
    let folder = Folder::new();
    let content = bytes(2 * MIB + 1, 1);
    folder.write("src", &content);
    folder.make_fifo("in");
    folder.make_fifo("out");
    let processes = [reader(&folder, "in").start(), writer(&folder, "-q out").start()];
    let mut feed = opened(&folder, "in", true);
    let feeder =
        std::thread::spawn(move || content.chunks(100_000).try_for_each(|some| feed.write_all(some)));
    let mut came = Vec::new();
    opened(&folder, "out", false).read_to_end(&mut came).expect("reading what comes out");
    feeder.join().expect("no panic").expect("feeding");
    complete(processes);
    assert!(came == folder.read("src"), "{} bytes came", came.len());
}

#[test]
fn data_is_passed_on_at_once() {
    let folder = Folder::new();
    folder.make_fifo("in");
    let processes = [reader(&folder, "in").start(), writer(&folder, "-").start()];
    let mut feed = opened(&folder, "in", true);
    for (line, so_far) in [("one\n", "one\n"), ("two\n", "one\ntwo\n")] {
        feed.write_all(line.as_bytes()).expect("feeding");
        until("the line", || (processes[1].output() == so_far).then_some(()));
    }
    drop(feed);
    complete(processes);
}

#[test]
fn a_stream_becomes_a_file_like_any_other() {
    let folder = Folder::new();
    folder.write("src", bytes(700 * KIB, 1));
    let start = |flags: &str| {
        let from = reader(&folder, "-").after("exec <src").start();
        end([from, writer(&folder, &format!("{flags} dst")).start()])
    };
    for ended in start("") {
        ended.expect(0, &[]);
    }
    folder.assert_same("src", "dst");
    // The mode comes from the mask, because a stream has no mode.
    assert_eq!(folder.mode("dst"), 0o644);
    let [from, to] = start("");
    to.expect(12, &["the destination exists", "--force"]);
    from.expect(12, &["the Writer failed: the destination exists"]);
    folder.write("src", bytes(9, 2));
    for ended in start("--force") {
        ended.expect(0, &[]);
    }
    folder.assert_same("src", "dst");
    let [from, to] = start("--force --max-bytes=8");
    to.expect(12, &["at least 9 bytes", "--max-bytes allows 8"]);
    from.expect(12, &["the Writer failed: ", "--max-bytes allows 8"]);
    folder.assert_nothing_left();
}

#[test]
fn a_named_pipe_must_be_opened_within_the_wait() {
    for reading in [true, false] {
        let folder = Folder::new();
        folder.write("src", bytes(KIB, 1));
        folder.make_fifo("pipe");
        let (from, to) = if reading { ("--wait=300ms pipe", "dst") } else { ("src", "--wait=300ms pipe") };
        let [from, to] = end([reader(&folder, from).start(), writer(&folder, to).start()]);
        let (who, other) = if reading { (from, to) } else { (to, from) };
        who.expect(10, &["timed out waiting for another program", &folder.text("pipe"), "--wait"]);
        other.expect(10, &["failed: timed out waiting for another program"]);
        assert!(!folder.is_there("dst"));
    }
}

/// A process that waits for a silent pipe, or for space in a full one, still notices its peer and signals.
#[test]
fn a_process_that_waits_for_a_pipe_can_be_interrupted_and_notices_a_death() {
    for silent in [true, false] {
        for act in [Signal::INT, Signal::KILL] {
            for hit in [0, 1] {
                let folder = Folder::new();
                folder.write("src", bytes(4 * MIB, 1));
                folder.make_fifo("pipe");
                let (from, to) = if silent { ("pipe", "dst") } else { ("src", "pipe") };
                let processes = [reader(&folder, from).start(), writer(&folder, to).start()];
                let mut pipe = opened(&folder, "pipe", silent);
                let mut some = [1; 1000];
                if silent { pipe.write_all(&some) } else { pipe.read_exact(&mut some) }.expect("a bit");
                // A Reader whose Writer dies before that waits for another one.
                until("the Writer has begun", || folder.halves_have_begun().then_some(()));
                pause(milliseconds(200));
                let begun = std::time::Instant::now();
                processes[hit].signal(act);
                let ended = end(processes);
                assert!(begun.elapsed() < milliseconds(2000), "{:?}", begun.elapsed());
                let state = match (silent, hit) {
                    (false, _) => "is not the whole copy",
                    (true, _) => "is unchanged",
                };
                if act == Signal::INT {
                    ended[hit].expect(130, &["interrupted", if silent || hit == 1 { state } else { "" }]);
                    ended[1 - hit].expect(8, &["was interrupted", state]);
                } else {
                    ended[hit].expect(KILLED, &[]);
                    ended[1 - hit].expect(8, &["died", state]);
                }
                assert!(!folder.is_there("dst"));
            }
        }
    }
}

/// Standard output is not made non-blocking, so a write to a full pipe would wait for ever.
#[test]
fn a_writer_to_full_standard_output_notices_a_death() {
    let folder = Folder::new();
    folder.write("src", bytes(4 * MIB, 1));
    folder.make_fifo("pipe");
    let from = reader(&folder, "src").start();
    let to = writer(&folder, "-").after("exec >pipe").start();
    let mut pipe = opened(&folder, "pipe", false);
    pipe.read_exact(&mut [0; 1000]).expect("some bytes");
    pause(milliseconds(200));
    from.kill();
    let [_, to] = end([from, to]);
    to.expect(8, &["died; what was written to standard output is not the whole copy"]);
}

/// Nothing of a stream is kept for the next copy.
#[test]
fn a_stream_is_not_resumed() {
    let folder = Folder::new();
    folder.make_fifo("in");
    let processes = [reader(&folder, "in").start(), writer(&folder, "dst").start()];
    let mut feed = opened(&folder, "in", true);
    // Longer than until the first checkpoint of a file.
    for _ in 0..15 {
        feed.write_all(&[1; 100]).expect("feeding");
        pause(milliseconds(100));
    }
    assert_eq!(folder.left_over("journal"), None);
    processes[0].kill();
    let [_, to] = end(processes);
    to.expect(8, &["died", "dst is unchanged; copy again"]);
    folder.assert_nothing_left();
}

#[test]
fn the_end_of_the_reading_program_is_a_failure_of_the_destination() {
    let folder = Folder::new();
    folder.write("src", bytes(4 * MIB, 1));
    folder.make_fifo("pipe");
    let processes = [reader(&folder, "src").start(), writer(&folder, "pipe").start()];
    let mut some = [0; 1000];
    opened(&folder, "pipe", false).read_exact(&mut some).expect("some bytes");
    let [from, to] = end(processes);
    to.expect(6, &["the program that reads the output has ended", &folder.text("pipe")]);
    from.expect(6, &["the Writer failed: the program that reads the output has ended"]);
}

#[test]
fn devices_can_be_source_and_destination() {
    let folder = Folder::new();
    folder.write("src", bytes(MIB, 1));
    let both = |from: &str, to: &str| end([reader(&folder, from).start(), writer(&folder, to).start()]);
    let [from, to] = both("src", "/dev/null");
    from.expect(0, &[]);
    to.expect(0, &[OUT, "/dev/null"]);
    let [from, to] = both("src", "/dev/full");
    from.expect(7, &["the Writer failed: cannot write to the destination: No space left"]);
    to.expect(7, &["/dev/full: No space left"]);
    let [from, to] = both("/dev/zero", "--max-bytes=1M dst");
    from.expect(12, &["the Writer failed: ", "--max-bytes allows 1048576"]);
    to.expect(12, &["--max-bytes allows 1048576"]);
    let [from, to] = both("src", "--verify=reread /dev/null");
    from.expect(12, &["the Writer failed: the output cannot be read back"]);
    to.expect(12, &["cannot be read back: /dev/null"]);
    assert!(!folder.is_there("dst") && folder.temporaries("").is_empty());
}

#[test]
fn nothing_longer_than_max_bytes_is_written_to_a_stream() {
    let folder = Folder::new();
    folder.write("src", bytes(MIB, 1));
    let from = reader(&folder, "--block-size=64K src").start();
    let to = writer(&folder, "--max-bytes=100K -").start();
    let [from, to] = end([from, to]);
    to.expect(12, &["at least 1048576 bytes", "--max-bytes allows 102400"]);
    from.expect(12, &["the Writer failed: ", "--max-bytes allows 102400"]);
    assert!(to.output.is_empty(), "{} bytes went out", to.output.len());
}

#[test]
fn a_socket_is_refused_as_destination() {
    let folder = Folder::new();
    folder.write("src", "x");
    let _socket = std::os::unix::net::UnixListener::bind(folder.path("socket")).expect("making a socket");
    let [from, to] = end([reader(&folder, "src").start(), writer(&folder, "socket").start()]);
    to.expect(6, &["cannot open the destination", &folder.text("socket")]);
    from.expect(6, &["the Writer failed: cannot open the destination"]);
}

#[test]
fn a_death_is_noticed_before_the_named_pipe_is_opened() {
    let folder = Folder::new();
    folder.write("src", "x");
    folder.make_fifo("pipe");
    let processes = [reader(&folder, "src").start(), writer(&folder, "-v pipe").start()];
    processes[1].reports("this is the Writer");
    pause(milliseconds(100));
    processes[0].kill();
    let [_, to] = end(processes);
    to.expect(8, &["the Reader", "died", "what was written to"]);
}

#[test]
fn the_writer_of_a_stream_cannot_be_replaced() {
    let folder = Folder::new();
    folder.write("src", bytes(4 * MIB, 1));
    folder.make_fifo("pipe");
    let from = reader(&folder, "--replace-within=20s src").start();
    let to = || writer(&folder, "--replace-within=20s pipe").start();
    let dead = to();
    // Opened for writing, too, so that it does not wait for the Writer and stays open.
    let pipe = OpenOptions::new().read(true).write(true).open(folder.path("pipe"));
    pipe.as_ref().expect("opening it").read_exact(&mut [0; 1000]).expect("some bytes");
    dead.kill();
    from.reports("died; waiting up to 20s for a replacement");
    let [from, to] = end([from, to()]);
    to.expect(12, &["cannot be resumed", &folder.text("pipe")]);
    from.expect(12, &["the Writer failed: ", "cannot be resumed"]);
}

/// A loop device, removed at the end.
struct Disk(String);

impl Disk {
    fn over(file: &Path) -> Option<Self> {
        let made = Command::new("losetup").args(["--find", "--show"]).arg(file).output().ok()?;
        let device = String::from_utf8(made.stdout).ok()?;
        made.status.success().then(|| Self(device.trim().into()))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("losetup").args(["--detach", &self.0]).status();
    }
}

#[test(needs = [loop_devices])]
fn a_disk_is_written_only_with_force() {
    let folder = Folder::new();
    let Some(disk) = Disk::over(&folder.write("disk", vec![1; MIB])) else {
        harness::ignore("this user cannot make a loop device");
    };
    folder.write("src", bytes(MIB, 1));
    let to = |flags: &str| {
        let to = writer(&folder, &format!("{flags} {}", disk.0)).start();
        end([reader(&folder, "src").start(), to])
    };
    let [from, refused] = to("");
    from.expect(12, &["the Writer failed: the destination is a disk"]);
    refused.expect(12, &["the destination is a disk", "--force"]);
    let [from, written] = to("--force");
    from.expect(0, &[]);
    written.expect(0, &[OUT]);
    let from = reader(&folder, &disk.0).start();
    complete([from, writer(&folder, "dst").start()]);
    folder.assert_same("src", "dst");
    folder.write("src", bytes(MIB + 1, 1));
    let [from, full] = to("--force");
    from.expect(7, &["the Writer failed", "No space left"]);
    full.expect(7, &["No space left"]);
}

/// Another program has a lease on the source, and gives it back when it is asked to; or only when the kernel takes it.
#[cfg(target_os = "linux")]
#[test(needs = [perl, strace])]
fn a_leased_source_is_waited_for_until_an_interrupt() {
    // F_SETLEASE with F_WRLCK.
    let lease = |answer: &str| {
        let folder = Folder::with_source(KIB);
        let mut holder = Command::new("perl");
        let script = format!(
            "$SIG{{IO}} = {answer}; open(F, '+<', 'src') or exit 77; fcntl(F, 1024, 1) or exit 77;
            open(R, '>', 'ready'); sleep 60 while 1"
        );
        holder.args(["-e", &script]);
        let holder = folder.start(holder, false);
        until("the lease", || (folder.is_there("ready") || holder.ended().is_some()).then_some(()));
        if !folder.is_there("ready") {
            harness::ignore("there are no leases where temporary files are");
        }
        (folder, holder)
    };
    let (folder, _holder) = lease("sub { select(undef, undef, undef, 0.3); exit }");
    folder.duocopy("cp src dst").end().expect(0, &[]);
    folder.assert_same("src", "dst");
    for line in ["cp src dst", "cp --dry-run src dst"] {
        let (folder, _holder) = lease("'IGNORE'");
        let copy = folder.duocopy(line).traced("-e trace=openat").start();
        until("an attempt", || copy.trace().contains("EAGAIN").then_some(()));
        copy.signal(Signal::INT);
        let ended = copy.end_within(milliseconds(10_000)).unwrap_or_else(|_| panic!("it still waits"));
        ended.expect(130, &[]);
        folder.assert_untouched(None);
    }
}

/// A file system may return the error of a lease for another reason, and for ever.
#[cfg(target_os = "linux")]
#[test(needs = [strace, large])]
fn a_source_that_looks_leased_is_not_waited_for_without_end() {
    let folder = Folder::with_limit(TEST_LIMIT * 3);
    folder.write("src", OLD);
    let leased = "-P src -e trace=openat -e inject=openat:error=EAGAIN";
    let copy = folder.duocopy("cp src dst").traced(leased).start();
    let ended = copy.end_within(TEST_LIMIT * 2).unwrap_or_else(|_| panic!("it still waits"));
    ended.expect(5, &["cannot open the source", "temporarily unavailable"]);
}

/// The file system in which the node of a disk lies is memory, but the disk is not.
#[cfg(target_os = "linux")]
#[test(needs = [loop_devices])]
fn a_disk_can_bypass_the_page_cache() {
    let folder = Folder::new();
    let Some(disk) = Disk::over(&folder.write("disk", vec![1; MIB])) else {
        harness::ignore("this user cannot make a loop device");
    };
    for flag in ["--direct", "--drop-cache"] {
        let from = reader(&folder, &format!("{flag} {}", disk.0)).start();
        let to = writer(&folder, &format!("--force {flag} dst")).start();
        for ended in end([from, to]) {
            ended.expect(0, &[]);
            assert!(!ended.messages.contains(flag), "{ended:?}");
        }
        folder.assert_same("disk", "dst");
        folder.write("src", bytes(MIB, 1));
        let to = writer(&folder, &format!("--force {flag} {}", disk.0)).start();
        for ended in end([reader(&folder, "src").start(), to]) {
            ended.expect(0, &[]);
            assert!(!ended.messages.contains(flag), "{ended:?}");
        }
        folder.write("src", "");
    }
}

#[test]
fn a_source_that_only_its_owner_may_read_stays_private() {
    let folder = Folder::new();
    folder.duocopy("cp /proc/self/environ dst").end().expect(0, &[]);
    assert_eq!(folder.mode("dst"), 0o400);
    folder.make_fifo("in");
    let processes = [reader(&folder, "in").start(), writer(&folder, "new").start()];
    drop(opened(&folder, "in", true));
    complete(processes);
    assert_eq!((folder.mode("new"), folder.read("new")), (0o600, Vec::new()));
}

#[test]
fn only_read_and_write_accept_streams() {
    let folder = Folder::new();
    folder.write("src", "x");
    folder.make_fifo("pipe");
    for line in ["- dst", "src -", "cp - dst", "cp src -"] {
        folder
            .duocopy(line)
            .end()
            .expect(2, &["only `duocopy read` and `duocopy write` accept a standard stream: -", "./-"]);
    }
    folder
        .duocopy("cp pipe dst")
        .end()
        .expect(5, &["the source is not a regular file", &folder.text("pipe"), "duocopy read"]);
    folder.duocopy("cp src pipe").end().expect(12, &["only regular files are replaced"]);
    // A file can have this name.
    folder.write("-", "dash");
    folder.duocopy("cp ./- dst").end().expect(0, &[]);
    folder.assert_same("-", "dst");
}

/// A stream cannot be read again, so its Writer can be replaced, but its Reader cannot.
#[test]
fn only_the_writer_of_a_copy_from_a_stream_can_be_replaced() {
    for hit in [0, 1] {
        let folder = Folder::new();
        folder.make_fifo("in");
        let from = || reader(&folder, "--replace-within=20s in").start();
        let to = || writer(&folder, "--replace-within=20s dst").start();
        let mut processes = [from(), to()];
        let mut feed = opened(&folder, "in", true);
        let content = bytes(MIB, 1);
        feed.write_all(&content[..KIB]).expect("feeding");
        until("the first bytes", || {
            folder.left_over("part").filter(|path| fs::metadata(path).unwrap().len() > 0)
        });
        processes[hit].kill();
        let survivor = &processes[1 - hit];
        survivor.reports("died; waiting up to 20s for a replacement");
        let newcomer = if hit == 0 { from() } else { to() };
        let dead = std::mem::replace(&mut processes[hit], newcomer);
        dead.end().expect(KILLED, &[]);
        // Without a Reader this fails.
        let _ = feed.write_all(&content[KIB..]);
        drop(feed);
        let ended = end(processes);
        if hit == 0 {
            ended[0].expect(5, &["cannot be read again"]);
            ended[1].expect(5, &["the Reader failed: a stream cannot be read again"]);
            assert!(!folder.is_there("dst"));
        } else {
            ended[0].expect(0, &[]);
            ended[1].expect(0, &["takes the place of one that died"]);
            assert!(folder.read("dst") == content);
        }
    }
}
