//! The correct ends: each asks before each step.

use super::{BLOCK, BLOCKS, STREAM};
use crate::util::{point, read_point, trailer};
use blockpipe::{Consumer, End, Geometry, Pipe, PipeError, Producer, Reason, ResumePoint};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

/// The environment variable that makes an actor a correct end.
pub const CORRECT: &str = "BLOCKPIPE_TEST_CORRECT";

struct Correct {
    lines: Receiver<String>,
    interrupted: Arc<AtomicBool>,
}

/// Copies repeatedly, asking before each step, until standard input ends, if this process was started for that.
pub fn correct_end() {
    if std::env::var_os(CORRECT).is_none() {
        return;
    }
    let interrupted = Arc::new(AtomicBool::new(false));
    let (sender, lines) = mpsc::channel();
    std::thread::spawn({
        let interrupted = Arc::clone(&interrupted);
        move || {
            for line in std::io::stdin().lines().map_while(Result::ok) {
                if line == "interrupt" {
                    interrupted.store(true, Ordering::Relaxed);
                    continue;
                }
                if line != "go" {
                    // Here and not where the copy begins, or an interrupt that comes at once would be lost.
                    interrupted.store(false, Ordering::Relaxed);
                }
                if sender.send(line).is_err() {
                    break;
                }
            }
            std::process::exit(0);
        }
    });
    println!("> here");
    let end = Correct { lines, interrupted };
    loop {
        let line = end.lines.recv().expect("the thread ends the process");
        let [name, replaces, starts] = line.split(' ').collect::<Vec<_>>()[..] else {
            panic!("unexpected line: `{line}`");
        };
        let (replaces, starts) = (replaces == "replaces", starts == "starts");
        match end.copy(&unhex(name), replaces, starts) {
            Ok(bytes) => println!("> ended complete {bytes}"),
            Err(error) => println!("> ended {}", error.escape_debug()),
        }
    }
}

/// Decodes what [`hex`] wrote.
fn unhex(word: &str) -> Vec<u8> {
    let digits = word.as_bytes()[1..].chunks(2);
    digits.map(|two| u8::from_str_radix(str::from_utf8(two).expect("ASCII"), 16).expect("hex")).collect()
}

impl Correct {
    fn step(&self, what: &str) {
        println!("> at {what}");
        let line = self.lines.recv().expect("the thread ends the process");
        assert_eq!(line, "go", "before `{what}`");
    }

    fn copy(&self, name: &[u8], replaces: bool, starts: bool) -> Result<usize, String> {
        self.step("join");
        let mut pipe =
            Pipe::named(name).interrupt(Arc::clone(&self.interrupted), Reason::new(130, "interrupted"));
        if replaces {
            pipe = pipe.replace_within(Duration::from_millis(300));
        }
        match pipe.join() {
            Ok(End::Producer(mut producer)) => {
                assert!(replaces || producer.predecessor().is_none(), "a new pipe has no predecessor");
                let result = self.produce(&mut producer, starts);
                if result.is_err() {
                    assert!(matches!(producer.finish(), Err(PipeError::Over)), "an error ends the role");
                }
                result
            }
            Ok(End::Consumer(mut consumer)) => {
                assert!(replaces || consumer.predecessor().is_none(), "a new pipe has no predecessor");
                let result = self.consume(&mut consumer);
                if result.is_err() {
                    assert!(
                        matches!(consumer.filled_block(), Err(PipeError::Over)),
                        "an error ends the role"
                    );
                }
                result
            }
            Err(error) => Err(format!("{error:?}")),
        }
    }

    fn produce(&self, producer: &mut Producer, starts: bool) -> Result<usize, String> {
        let (monitor, replaces) = (producer.monitor(), producer.predecessor().is_some());
        let step = |what: &str| {
            self.step(what);
            assert!(!format!("{:?}", monitor.snapshot()).is_empty());
        };
        let (mut progress, mut sum, mut handled) = (0, 0, 0);
        step("ready");
        match producer.ready(Geometry::new(BLOCK, BLOCKS), &[7; 1024]) {
            Err(PipeError::OtherGeometry(there)) if replaces => producer.ready(there, b""),
            other => other,
        }
        .map_err(show)?;
        if starts || replaces {
            step("start");
            let start = producer.start().map_err(show)?;
            (progress, sum) = read_point(&start);
        }
        let mut left = STREAM;
        while left > 0 {
            let mut held = Vec::new();
            while held.len() < 2 && left > 0 {
                step("empty_block");
                let mut block = producer.empty_block().map_err(show)?;
                assert!(replaces || block.capacity() == BLOCK, "blocks are as long as requested");
                let bytes = vec![left as u8; block.capacity()];
                block.copy_from(0, &bytes);
                block.set_header(&[left as u8; 40]);
                sum = add(sum, &bytes);
                progress = bytes.len().wrapping_add(progress as usize) as u64;
                held.push((block, point(progress, sum)));
                left -= 1;
            }
            while let Some((block, point)) = held.pop() {
                step("send");
                let length = block.capacity();
                producer.send_with(block, length, &point).map_err(show)?;
                handled += length;
            }
        }
        step("close");
        producer.close(&trailer(progress, sum)).map_err(show)?;
        assert!(!format!("{:?} {:?}", producer.peer_hello(), producer.remark()).is_empty());
        Ok(handled)
    }

    fn consume(&self, consumer: &mut Consumer) -> Result<usize, String> {
        let (monitor, replaces, geometry) =
            (consumer.monitor(), consumer.predecessor().is_some(), consumer.geometry());
        let step = |what: &str| {
            self.step(what);
            assert!(!format!("{:?}", monitor.snapshot()).is_empty());
        };
        step("begin");
        let requested = ResumePoint::default();
        assert!(consumer.peer_hello().len() <= 1024);
        let start = consumer.begin(&[9; 1024], requested).map_err(show)?;
        assert!(replaces || start == requested, "the stream begins where this end wanted: {start:?}");
        let (mut progress, mut sum) = read_point(&start);
        let (mut next, mut handled) = (if replaces { None } else { Some(0) }, 0);
        loop {
            let mut held = Vec::new();
            while held.len() < 2 {
                step("filled_block");
                let Some(block) = consumer.filled_block().map_err(show)? else { break };
                assert_eq!(block.number(), next.unwrap_or(block.number()), "blocks come in order");
                next = Some(block.number() + 1);
                assert!(block.length() <= geometry.block_size(), "the content fits into a block");
                let bytes = block.to_vec();
                sum = add(sum, &bytes);
                progress = progress.wrapping_add(bytes.len() as u64);
                handled += bytes.len();
                held.push((block, point(progress, sum)));
            }
            let ended = held.len() < 2;
            while let Some((block, point)) = held.pop() {
                step("release");
                consumer.release_with(block, &point).map_err(show)?;
            }
            if ended {
                break;
            }
        }
        assert!(consumer.is_at_end());
        if consumer.trailer().expect("there are no more blocks") != &trailer(progress, sum) {
            step("abort");
            return Err(format!("{:?}", consumer.abort(&Reason::new(4, "another trailer"))));
        }
        step("commit");
        let committing = consumer.commit().map_err(show)?;
        step("complete");
        committing.complete().map_err(show)?;
        Ok(handled)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is passed to `map_err`")]
fn show(error: PipeError) -> String {
    assert!(!matches!(error, PipeError::Misuse(_) | PipeError::Over), "{error:?} is the caller's fault");
    format!("{error:?}")
}

/// A running checksum that reads every byte.
fn add(sum: u64, block: &[u8]) -> u64 {
    block.chunks_exact(8).fold(sum, |sum, word| {
        (sum ^ u64::from_ne_bytes(word.try_into().expect("eight bytes"))).wrapping_mul(0x0100_0000_01b3)
    })
}
