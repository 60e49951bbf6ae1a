//! The examples as they are meant to be used: real processes, killed and started again.

use crate::util::{Name, Random, Watchdog, pause, until};
use blockpipe::{Pipe, Reason};
use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// Starts an example. Its output goes into a file.
fn start(example: &str, words: &[&str], output: &PathBuf) -> Child {
    let tests = std::env::current_exe().expect("this executable has a path");
    let built = tests.parent().and_then(|deps| deps.parent()).expect("it lies in target/debug/deps");
    let program = built.join("examples").join(example).with_extension(std::env::consts::EXE_EXTENSION);
    if !program.exists() {
        harness::ignore("the examples are not built: cargo test builds them");
    }
    let output = File::options().create(true).append(true).open(output).expect("a new file");
    let mut command = Command::new(program);
    command.args(words).stdin(Stdio::null()).stdout(output).stderr(Stdio::null());
    command.spawn().expect("the example starts")
}

/// Ends the process at once, as `kill -9` does.
fn kill(mut process: Child) {
    process.kill().expect("it is ours");
    process.wait().expect("it is ours");
}

/// The processes that are still there when a test ends, however it ends.
struct Running(Vec<Child>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.drain(..).for_each(kill);
    }
}

#[test]
fn a_log_is_shipped_whole_although_both_are_killed_again_and_again() {
    let _watchdog = Watchdog::new(120);
    let (name, folder) = (Name::new(), tempfile::tempdir().unwrap());
    let name = String::from_utf8(name.bytes().into()).unwrap();
    let path = |file: &str| folder.path().join(file);
    let (log, copy, output) = (path("log"), path("copy"), path("output"));
    let words = |verb, file: &PathBuf| [verb, file.to_str().unwrap(), &name].map(str::to_owned);
    let both = [words("ship", &log), words("store", &copy)];
    let start = |which: usize| start("logs", &both[which].each_ref().map(String::as_str), &output);
    let mut growing = File::create(&log).unwrap();
    let mut running = Running(vec![start(0), start(1)]);
    let mut random = Random::seeded("BLOCKPIPE_SEED");
    for line in 0..300_000_u32 {
        writeln!(growing, "{line}: something has happened").unwrap();
        if line % 30_000 == 29_999 {
            pause(random.below(200));
            let which = random.below(2) as usize;
            kill(running.0.remove(which));
            running.0.insert(which, start(which));
        }
    }
    until("everything is there", || fs::read(&copy).is_ok_and(|copy| copy == fs::read(&log).unwrap()));
}

#[test]
fn a_viewer_and_a_camera_survive_each_other() {
    let _watchdog = Watchdog::new(120);
    let (name, folder) = (Name::new(), tempfile::tempdir().unwrap());
    let name = String::from_utf8(name.bytes().into()).unwrap();
    let output = ["camera", "viewer"].map(|who| folder.path().join(who));
    let start = |which: usize| start("video", &[["camera", "viewer"][which], &name], &output[which]);
    // The numbers of the frames that were shown.
    let shown = || -> Vec<u64> {
        let text = fs::read_to_string(&output[1]).unwrap_or_default();
        let number = |line: &str| line.strip_prefix("frame ")?.split_once(',')?.0.parse().ok();
        text.lines().filter_map(number).collect()
    };
    let mut running = Running(vec![start(0), start(1)]);
    for which in [0, 1, 0, 1] {
        let before = shown().len();
        until("frames are shown", || shown().len() > before + 3);
        kill(running.0.remove(which));
        running.0.insert(which, start(which));
    }
    let before = shown().len();
    until("frames are shown", || shown().len() > before + 3);
    let shown = shown();
    // A viewer that dies while it shows a frame shows it again; a camera continues with the next number.
    let is_in_order = shown.is_sorted();
    assert!(is_in_order && shown.len() > 15, "{shown:?}");
}

#[test]
fn a_camera_continues_its_numbers_when_it_joins_again() {
    let _watchdog = Watchdog::new(120);
    let (name, folder) = (Name::new(), tempfile::tempdir().unwrap());
    let text = String::from_utf8(name.bytes().into()).unwrap();
    let _running = Running(vec![start("video", &["camera", &text], &folder.path().join("camera"))]);
    let pipe = Pipe::named(name.bytes());
    let mut numbers = Vec::new();
    for _ in 0..2 {
        let mut viewer = pipe.join_as_consumer().unwrap();
        for _ in 0..3 {
            let frame = viewer.filled_block().unwrap().unwrap();
            numbers.push(u64::from_le_bytes(frame.header()[..8].try_into().unwrap()));
            let bytes = (frame.number() + 1) * frame.length() as u64;
            assert!(viewer.monitor().snapshot().sent >= bytes, "the resume point shows the progress");
            viewer.release(frame).unwrap();
        }
        let _ = viewer.abort(&Reason::new(1, "seen enough"));
    }
    assert!(numbers.is_sorted_by(|one, next| one < next), "{numbers:?}");
}
