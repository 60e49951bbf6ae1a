//! The commands of an actor. An answer is one line, mostly the `Debug` text of a result.
//!
//! | command | what it does |
//! |---|---|
//! | `join NAME [as ROLE] [tag HEX] [dir PATH] [connect_timeout MS] [replace MS]` | joins; the answer is the role or the error. Drops the end that it had before |
//! | `handles` | how many handles are open, and how many of them a child would inherit |
//! | `leave` | drops its end without a verdict |
//! | `abort CODE TEXT` · `phase` · `check` | aborts · the phase that the monitor shows · whether it can continue |
//! | *as producer* | |
//! | `ready SIZE BLOCKS` · `start` | reserves the memory, or finds it · waits for a consumer, and resumes where it has to |
//! | `hold` · `drop I` · `give I LENGTH` | takes a block and fills it · drops or sends the `I`th held one |
//! | `send N` · `stream N W` · `close` | sends N bytes · also closes, holding W blocks and sending the last one first |
//! | *as consumer* | |
//! | `peer_user` | the producer's user |
//! | `begin` · `begin_at BYTES` · `resume` | begins at 0 · after that many earlier bytes · where a dead consumer stopped |
//! | `take` · `drop I` · `release I` | one block after another, each compared with the expected bytes |
//! | `drain W` | all blocks to the end, holding W and releasing the last one first |
//! | `commit`, then `complete`, `abort CODE TEXT` or `leave` | |
//! | *both* | |
//! | `copy NAME BYTES AT [as ROLE]` | at that time: joins in any role, or as `producer` or `consumer`, and copies until there is a verdict |
//! | `relay NAME BYTES MS` | the same at once, waiting up to MS for a replacement of a dead peer, or replacing a dead end |

use super::{ANSWER, handles, now};
use blockpipe::{
    Consumer, EmptyBlock, End, FilledBlock, Geometry, Identity, JoinError, Pipe, PipeError, Producer, Reason,
    ResumePoint,
};
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

/// The reason passed to `Pipe::interrupt`.
pub fn interruption() -> Reason {
    Reason::new(130, "interrupted by the test")
}

/// Executes commands until standard input ends.
pub fn run() -> ! {
    let interrupted = Arc::new(AtomicBool::new(false));
    let (sender, lines) = mpsc::channel();
    std::thread::spawn({
        let interrupted = Arc::clone(&interrupted);
        move || {
            for line in std::io::stdin().lines().map_while(Result::ok) {
                if line == "interrupt" {
                    interrupted.store(true, Ordering::Relaxed);
                } else if sender.send(line).is_err() {
                    break;
                }
            }
            // The test has ended, perhaps while this process was waiting.
            std::process::exit(0);
        }
    });
    let mut commands = Commands { lines, interrupted };
    say("here");
    let mut command = commands.next();
    loop {
        command = match command.words()[..] {
            ["join", name, ref options @ ..] => match join(&commands.pipe(name, options), options) {
                Ok(End::Producer(end)) => {
                    say("producer");
                    produce(&mut commands, end)
                }
                Ok(End::Consumer(end)) => {
                    say("consumer");
                    consume(&mut commands, end)
                }
                Err(error) => {
                    say(&format!("{error:?}"));
                    commands.next()
                }
            },
            ["copy", name, bytes, at, ref role @ ..] => {
                commands.interrupted.store(false, Ordering::Relaxed);
                while now() < number(at) {
                    std::hint::spin_loop();
                }
                let pipe = commands.pipe(name, &[]);
                match copy(&pipe, role, number(bytes)) {
                    Ok(copied) => say(&copied),
                    Err(error) => say(&error),
                }
                commands.next()
            }
            ["relay", name, bytes, time] => {
                let pipe = commands.pipe(name, &["replace", time]);
                say(&relay(&pipe, number(bytes)).unwrap_or_else(|error| error));
                commands.next()
            }
            ["handles"] => {
                show(&handles());
                commands.next()
            }
            ["leave"] => {
                say("left");
                commands.next()
            }
            _ => panic!("unexpected command: `{}`", command.0),
        };
    }
}

struct Command(String);

impl Command {
    fn words(&self) -> Vec<&str> {
        self.0.split(' ').collect()
    }
}

struct Commands {
    lines: Receiver<String>,
    interrupted: Arc<AtomicBool>,
}

impl Commands {
    fn next(&mut self) -> Command {
        Command(self.lines.recv().expect("the reading thread ends the process before the channel"))
    }

    fn pipe(&self, name: &str, options: &[&str]) -> Pipe {
        let pipe = Pipe::named(bytes(name)).interrupt(Arc::clone(&self.interrupted), interruption());
        options.chunks(2).fold(pipe, |pipe, option| match option {
            ["as", _] => pipe,
            ["tag", tag] => pipe.tag(bytes(tag)),
            ["dir", path] => pipe.in_directory(path),
            ["connect_timeout", time] => pipe.connect_timeout(Duration::from_millis(number(time))),
            ["replace", time] => pipe.replace_within(Duration::from_millis(number(time))),
            _ => panic!("no such option: {option:?}"),
        })
    }
}

/// Joins in the role that the options request.
fn join(pipe: &Pipe, options: &[&str]) -> Result<End, JoinError> {
    match options.chunks(2).find(|option| option[0] == "as") {
        Some(["as", "producer"]) => pipe.join_as_producer().map(End::Producer),
        Some(["as", "consumer"]) => pipe.join_as_consumer().map(End::Consumer),
        None | Some(["as", "any"]) => pipe.join(),
        Some(role) => panic!("no such role: {role:?}"),
    }
}

fn say(answer: &str) {
    let mut output = std::io::stdout().lock();
    writeln!(output, "{ANSWER}{answer}").and_then(|()| output.flush()).expect("the test listens");
}

fn show(result: &impl Debug) {
    say(&format!("{result:?}"));
}

fn number(word: &str) -> u64 {
    word.parse().expect("a number")
}

fn index(word: &str) -> usize {
    word.parse().expect("a number")
}

/// Decodes what [`super::hex`] wrote.
fn bytes(word: &str) -> Vec<u8> {
    let digits = word.as_bytes()[1..].chunks(2);
    digits.map(|two| u8::from_str_radix(str::from_utf8(two).expect("ASCII"), 16).expect("hex")).collect()
}

fn reason(code: &str, text: &str) -> Reason {
    let code = code.parse().expect("a number");
    Reason::new(code, String::from_utf8(bytes(text)).expect("a reason is text"))
}

/// A stream whose bytes depend on the position and on the sender, with a running checksum.
struct Stream {
    salt: u64,
    position: u64,
    sum: u64,
}

impl Stream {
    fn new(salt: u64) -> Self {
        Self { salt, position: 0, sum: 0 }
    }

    /// Resumes where another end stopped.
    fn resumed(salt: u64, point: ResumePoint) -> Self {
        Self { salt, position: point.position, sum: point.sum }
    }

    /// Starts after this many bytes.
    fn after(salt: u64, bytes: u64) -> Self {
        let mut stream = Self::new(salt);
        stream.pass(bytes as usize);
        stream
    }

    fn point(&self) -> ResumePoint {
        ResumePoint { position: self.position, sum: self.sum }
    }

    fn byte(&self, position: u64) -> u8 {
        ((position + self.salt).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8
    }

    fn write(&self, position: u64, block: &mut [u8]) {
        (position..).zip(block).for_each(|(position, byte)| *byte = self.byte(position));
    }

    /// Advances over the next bytes of the stream, and returns the checksum up to here.
    fn pass(&mut self, length: usize) -> u64 {
        for position in self.position..self.position + length as u64 {
            self.sum = (self.sum ^ u64::from(self.byte(position))).wrapping_mul(0x0100_0000_01b3);
        }
        self.position += length as u64;
        self.sum
    }

    /// Advances as `pass` does, and compares the bytes that came through the pipe.
    fn compare(&mut self, block: &FilledBlock<'_>) -> u64 {
        assert_eq!(block.offset(), self.position, "blocks come in order");
        let wrong =
            (self.position..).zip(block.iter()).find(|(position, byte)| self.byte(*position) != **byte);
        assert_eq!(wrong, None, "the first byte that is not what was sent");
        self.pass(block.len())
    }
}

/// Returns a number that identifies this end in this run, and salts its stream.
fn identify() -> u64 {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    u64::from(std::process::id()) << 32 | COUNT.fetch_add(1, Ordering::Relaxed)
}

fn identity(id: u64) -> Identity {
    let mut identity = [0; 128];
    identity[..8].copy_from_slice(&id.to_le_bytes());
    identity
}

/// Returns a checksum as the digest of a trailer.
fn digest(sum: u64) -> [u8; 32] {
    let mut digest = [0; 32];
    digest[..8].copy_from_slice(&sum.to_le_bytes());
    digest
}

fn id_in(identity: &Identity) -> u64 {
    u64::from_le_bytes(*identity.first_chunk().expect("128 bytes"))
}

/// Sends the next `count` bytes, holding `window` blocks at a time and sending the last one first.
fn send(producer: &Producer, stream: &mut Stream, count: u64, window: usize) -> Result<(), PipeError> {
    let end = stream.position + count;
    while stream.position < end {
        let mut held = Vec::new();
        while held.len() < window && stream.position < end {
            let mut block = producer.empty_block()?;
            let length = (block.len() as u64).min(end - stream.position) as usize;
            stream.write(stream.position, &mut block[..length]);
            held.push((block, length, stream.pass(length)));
        }
        held.into_iter().rev().for_each(|(block, length, sum)| block.send(length, sum));
    }
    Ok(())
}

/// Receives everything, holding `window` blocks at a time and releasing the last one first.
fn drain(consumer: &Consumer, stream: &mut Stream, window: usize) -> Result<(), PipeError> {
    loop {
        let mut held = Vec::new();
        while held.len() < window {
            let Some(block) = consumer.filled_block()? else { break };
            held.push((stream.compare(&block), block));
        }
        let ended = held.len() < window;
        held.into_iter().rev().for_each(|(sum, block)| block.release(sum));
        if ended {
            let trailer = consumer.trailer().expect("there are no more blocks");
            assert_eq!(
                (trailer.length, trailer.digest),
                (stream.position, digest(stream.sum)),
                "the last word"
            );
            return Ok(());
        }
    }
}

fn produce(commands: &mut Commands, mut producer: Producer) -> Command {
    let id = producer.predecessor().map_or_else(identify, id_in);
    let (mut stream, mut dropped) = (Stream::new(id), BTreeMap::new());
    loop {
        let command = produce_blocks(commands, &producer, &mut stream, &mut dropped);
        match command.words()[..] {
            ["ready", size, blocks] => {
                show(&producer.ready(Geometry::new(index(size), index(blocks)), &identity(id)));
            }
            ["start"] => match producer.start() {
                Ok(point) => {
                    stream = Stream::resumed(id, point);
                    say(&format!("starts at {}", point.position));
                }
                Err(error) => show(&Err::<(), _>(error)),
            },
            ["close"] => show(&producer.close(&digest(stream.sum))),
            ["stream", count, window] => match send(&producer, &mut stream, number(count), index(window)) {
                Ok(()) => show(&producer.close(&digest(stream.sum))),
                Err(error) => show(&Err::<(), _>(error)),
            },
            _ => return command,
        }
    }
}

/// Runs the commands during which blocks may be held, and returns the first other one. Positions and checksums of
/// dropped blocks outlive it.
fn produce_blocks(
    commands: &mut Commands,
    producer: &Producer,
    stream: &mut Stream,
    dropped: &mut BTreeMap<u64, u64>,
) -> Command {
    let mut held: Vec<Option<(EmptyBlock<'_>, u64, u64)>> = Vec::new();
    loop {
        let command = commands.next();
        match command.words()[..] {
            ["hold"] => match producer.empty_block() {
                Ok(mut block) => {
                    // The oldest dropped block comes back first.
                    let (position, sum) =
                        dropped.pop_first().unwrap_or_else(|| (stream.position, stream.pass(block.len())));
                    stream.write(position, &mut block);
                    say(&format!("held {position}"));
                    held.push(Some((block, position, sum)));
                }
                Err(error) => show(&Err::<(), _>(error)),
            },
            ["drop", which] => {
                let (_, position, sum) = held[index(which)].take().expect("a held block");
                dropped.insert(position, sum);
                say("dropped");
            }
            ["give", which, length] => {
                let (block, _, sum) = held[index(which)].take().expect("a held block");
                block.send(index(length), sum);
                say("given");
            }
            ["send", count] => show(&send(producer, stream, number(count), 1)),
            ["abort", code, text] => show(&producer.abort(&reason(code, text))),
            ["check"] => show(&producer.check()),
            ["handles"] => show(&handles()),
            ["phase"] => show(&producer.monitor().snapshot().phase),
            _ => return command,
        }
    }
}

fn consume(commands: &mut Commands, mut consumer: Consumer) -> Command {
    let mut stream = Stream::new(id_in(consumer.origin()));
    loop {
        let command = consume_blocks(commands, &consumer, &mut stream);
        match command.words()[..] {
            ["commit"] => match consumer.commit() {
                Ok(committing) => {
                    say("Ok");
                    let command = commands.next();
                    match command.words()[..] {
                        ["complete"] => show(&committing.complete()),
                        ["abort", code, text] => show(&committing.abort(&reason(code, text))),
                        ["leave"] => return command,
                        _ => panic!("unexpected command while committing: `{}`", command.0),
                    }
                }
                Err(error) => show(&Err::<(), _>(error)),
            },
            _ => return command,
        }
    }
}

/// Runs the commands during which blocks may be held, and returns the first other one.
fn consume_blocks(commands: &mut Commands, consumer: &Consumer, stream: &mut Stream) -> Command {
    let mut held: Vec<Option<(FilledBlock<'_>, u64)>> = Vec::new();
    loop {
        let command = commands.next();
        match command.words()[..] {
            ["check"] => show(&consumer.check()),
            ["peer_user"] => show(&consumer.peer_user()),
            ["begin"] => show(&consumer.begin(&identity(identify()), ResumePoint::default()).map(drop)),
            ["begin_at", bytes] => {
                *stream = Stream::after(stream.salt, number(bytes));
                show(&consumer.begin(&identity(identify()), stream.point()).map(drop));
            }
            ["resume"] => {
                let target = *consumer.predecessor().expect("this consumer is a replacement");
                match consumer.begin(&target, ResumePoint::default()) {
                    Ok(point) => {
                        *stream = Stream::resumed(stream.salt, point);
                        say(&format!("resumes at {}", point.position));
                    }
                    Err(error) => show(&Err::<(), _>(error)),
                }
            }
            ["take"] => match consumer.filled_block() {
                Ok(Some(block)) => {
                    let taken_before = block.offset() < stream.position;
                    let sum = if taken_before { 0 } else { stream.compare(&block) };
                    say(&format!("taken {} {}", block.offset(), block.len()));
                    held.push(Some((block, sum)));
                }
                Ok(None) => show(&consumer.trailer()),
                Err(error) => show(&Err::<(), _>(error)),
            },
            ["drop", which] => {
                drop(held[index(which)].take().expect("a held block"));
                say("dropped");
            }
            ["release", which] => {
                let (block, sum) = held[index(which)].take().expect("a held block");
                block.release(sum);
                say("released");
            }
            ["drain", window] => match drain(consumer, stream, index(window)) {
                Ok(()) => say(&format!("drained {}", stream.position)),
                Err(error) => show(&Err::<(), _>(error)),
            },
            ["abort", code, text] => show(&consumer.abort(&reason(code, text))),
            ["phase"] => show(&consumer.monitor().snapshot().phase),
            _ => return command,
        }
    }
}

/// Makes a whole copy in the requested role, or in any. The answer is what [`super::Copied`] parses.
fn copy(pipe: &Pipe, role: &[&str], count: u64) -> Result<String, String> {
    let (own, started) = (identify(), now());
    let end = join(pipe, role).map_err(|error| kind(&error))?;
    let show = |error: PipeError| format!("{error:?}");
    let (role, peer) = match end {
        End::Producer(mut producer) => {
            let mut stream = Stream::new(own);
            producer.ready(Geometry::new(4096, 4), &identity(own)).map_err(show)?;
            send(&producer, &mut stream, count, 1).map_err(show)?;
            let monitor = producer.monitor();
            producer.close(&digest(stream.sum)).map_err(show)?;
            ("producer", id_in(&monitor.snapshot().target.expect("the consumer has begun")))
        }
        End::Consumer(mut consumer) => {
            let peer = id_in(consumer.origin());
            consumer.begin(&identity(own), ResumePoint::default()).map_err(show)?;
            drain(&consumer, &mut Stream::new(peer), 1).map_err(show)?;
            consumer.commit().map_err(show)?.complete().map_err(show)?;
            ("consumer", peer)
        }
    };
    Ok(format!("complete {role} {own} {peer} {started} {}", now()))
}

/// Makes a whole copy, or the rest of a dead end's copy. The answer is `complete`, the role and where it resumed.
fn relay(pipe: &Pipe, count: u64) -> Result<String, String> {
    let show = |error: PipeError| format!("{error:?}");
    match pipe.join().map_err(|error| kind(&error))? {
        End::Producer(mut producer) => {
            let id = producer.predecessor().map_or_else(identify, id_in);
            producer.ready(Geometry::new(4096, 4), &identity(id)).map_err(show)?;
            let point = producer.start().map_err(show)?;
            let mut stream = Stream::resumed(id, point);
            send(&producer, &mut stream, count - point.position, 2).map_err(show)?;
            producer.close(&digest(stream.sum)).map_err(show)?;
            Ok(format!("complete producer {}", point.position))
        }
        End::Consumer(mut consumer) => {
            let salt = id_in(consumer.origin());
            let target = consumer.predecessor().map_or_else(identify, id_in);
            let point = consumer.begin(&identity(target), ResumePoint::default()).map_err(show)?;
            drain(&consumer, &mut Stream::resumed(salt, point), 2).map_err(show)?;
            consumer.commit().map_err(show)?.complete().map_err(show)?;
            Ok(format!("complete consumer {}", point.position))
        }
    }
}

/// Returns the error's first word: a snapshot is too long to be printed a thousand times.
fn kind(error: &JoinError) -> String {
    format!("{error:?}").split(['(', ' ']).next().expect("a text has a first word").into()
}
