//! The commands of an actor. An answer is one line, mostly the `Debug` text of a result.
//!
//! | command | what it does |
//! |---|---|
//! | `join NAME [as ROLE] [tag HEX] [dir PATH] [connect_timeout MS] [replace MS]` | joins; the answer is the role or the error. Drops the end that it had before |
//! | `handles` | how many handles are open, and how many of them a child would inherit |
//! | `leave` | drops its end without a verdict, and the blocks before it |
//! | `directory [dir PATH]` | the directory in which a pipe's file would be |
//! | `sweep DIR` | removes the dead pipes in this directory again and again, until the process is killed |
//! | `abort CODE TEXT` · `phase` · `peer` · `check` | aborts · the phase and the peer that the monitor shows · whether it can continue |
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

use super::stream::{Stream, position};
use super::{ANSWER, handles, now, trusted};
use blockpipe::{
    Consumer, EmptyBlock, End, FilledBlock, Geometry, JoinError, Pipe, PipeError, Producer, Reason,
    ResumePoint, Trust, TrustedPeer, remove_dead,
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
            ["join", name, ref options @ ..] => {
                let pipe = commands.pipe(name, options);
                // Others can enter a directory that is named, so its blocks are copied.
                if options.contains(&"dir") {
                    let end = join(&pipe, options);
                    commands.serve(end)
                } else {
                    let end = join(&trusted(pipe), options);
                    commands.serve(end)
                }
            }
            ["copy", name, bytes, at, ref role @ ..] => {
                commands.interrupted.store(false, Ordering::Relaxed);
                while now() < number(at) {
                    std::hint::spin_loop();
                }
                let pipe = trusted(commands.pipe(name, &[]));
                match copy(&pipe, role, number(bytes)) {
                    Ok(copied) => say(&copied),
                    Err(error) => say(&error),
                }
                commands.next()
            }
            ["relay", name, bytes, time] => {
                let pipe = trusted(commands.pipe(name, &["replace", time]));
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
            ["directory", ref options @ ..] => {
                let directory = commands.pipe("x", options).directory();
                say(directory.expect("pipes are files").to_str().expect("tests choose valid text"));
                commands.next()
            }
            ["sweep", directory] => {
                say("sweeps");
                loop {
                    remove_dead(Some(directory.as_ref())).expect("the directory can be listed");
                }
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

    /// Runs the commands for an end, and returns the first other one.
    fn serve<T: Trust>(&mut self, end: Result<End<T>, JoinError>) -> Command {
        match end {
            Ok(End::Producer(end)) => {
                say("producer");
                produce(self, end)
            }
            Ok(End::Consumer(end)) => {
                say("consumer");
                consume(self, end)
            }
            Err(error) => {
                say(&format!("{error:?}"));
                self.next()
            }
        }
    }
}

/// Joins in the role that the options request.
fn join<T: Trust>(pipe: &Pipe<T>, options: &[&str]) -> Result<End<T>, JoinError> {
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

/// Answers with `done`, or with the error.
fn say_if<E: Debug>(result: &Result<(), E>, done: &str) {
    match result {
        Ok(()) => say(done),
        Err(_) => show(result),
    }
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

/// Returns a number that identifies this end in this run, and salts its stream.
fn identify() -> u64 {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    u64::from(std::process::id()) << 32 | COUNT.fetch_add(1, Ordering::Relaxed)
}

/// Returns the number that an end has said about itself.
fn id_in(hello: &[u8]) -> u64 {
    u64::from_le_bytes(hello.try_into().expect("eight bytes"))
}

/// Sends the next `count` bytes, holding `window` blocks at a time and sending the last one first.
fn send<T: Trust>(
    producer: &mut Producer<T>,
    stream: &mut Stream,
    count: u64,
    window: usize,
) -> Result<(), PipeError> {
    let end = stream.position + count;
    while stream.position < end {
        let mut held = Vec::new();
        while held.len() < window && stream.position < end {
            let mut block = producer.empty_block()?;
            let length = (block.capacity() as u64).min(end - stream.position) as usize;
            stream.write(stream.position, &mut block, length);
            held.push((block, length, stream.pass(length)));
        }
        while let Some((block, length, point)) = held.pop() {
            producer.send_with(block, length, &point)?;
        }
    }
    Ok(())
}

/// Receives everything, holding `window` blocks at a time and releasing the last one first.
fn drain<T: Trust>(consumer: &mut Consumer<T>, stream: &mut Stream, window: usize) -> Result<(), PipeError> {
    loop {
        let mut held = Vec::new();
        while held.len() < window {
            let Some(block) = consumer.filled_block()? else { break };
            held.push((stream.compare(&block), block));
        }
        let ended = held.len() < window;
        while let Some((point, block)) = held.pop() {
            consumer.release_with(block, &point)?;
        }
        if ended {
            let trailer = consumer.trailer().expect("there are no more blocks");
            assert_eq!(*trailer, stream.trailer(), "the trailer");
            return Ok(());
        }
    }
}

fn produce<T: Trust>(commands: &mut Commands, mut producer: Producer<T>) -> Command {
    let id = producer.predecessor().map_or_else(identify, id_in);
    let mut stream = Stream::new(id);
    // Positions and resume points of the blocks that were dropped.
    let mut dropped = BTreeMap::new();
    let mut held: Vec<Option<(EmptyBlock<T>, u64, ResumePoint)>> = Vec::new();
    loop {
        let command = commands.next();
        match command.words()[..] {
            ["ready", size, blocks] => {
                let geometry = Geometry::new(index(size), index(blocks));
                show(&producer.ready(geometry, &id.to_le_bytes()));
            }
            ["start"] => match producer.start() {
                Ok(point) => {
                    stream = Stream::resumed(id, &point);
                    say(&format!("starts at {}", stream.position));
                }
                Err(error) => show(&Err::<(), _>(error)),
            },
            ["hold"] => match producer.empty_block() {
                Ok(mut block) => {
                    let length = block.capacity();
                    // The oldest dropped block comes back first.
                    let (position, point) =
                        dropped.pop_first().unwrap_or_else(|| (stream.position, stream.pass(length)));
                    stream.write(position, &mut block, length);
                    say(&format!("held {position}"));
                    held.push(Some((block, position, point)));
                }
                Err(error) => show(&Err::<(), _>(error)),
            },
            ["drop", which] => {
                let (_, position, point) = held[index(which)].take().expect("a held block");
                dropped.insert(position, point);
                say("dropped");
            }
            ["give", which, length] => {
                let (block, _, point) = held[index(which)].take().expect("a held block");
                say_if(&producer.send_with(block, index(length), &point), "given");
            }
            ["send", count] => show(&send(&mut producer, &mut stream, number(count), 1)),
            ["stream", count, window] => {
                let sent = send(&mut producer, &mut stream, number(count), index(window));
                show(&sent.and_then(|()| producer.close(&stream.trailer())));
            }
            ["close"] => show(&producer.close(&stream.trailer())),
            ["abort", code, text] => show(&producer.abort(&reason(code, text))),
            ["check"] => show(&producer.check()),
            ["handles"] => show(&handles()),
            ["phase"] => show(&producer.monitor().snapshot().phase),
            ["peer"] => show(&producer.monitor().peer()),
            _ => return command,
        }
    }
}

fn consume<T: Trust>(commands: &mut Commands, mut consumer: Consumer<T>) -> Command {
    let mut stream = Stream::new(id_in(consumer.peer_hello()));
    let mut held: Vec<Option<(FilledBlock<T>, ResumePoint)>> = Vec::new();
    loop {
        let command = commands.next();
        match command.words()[..] {
            ["check"] => show(&consumer.check()),
            ["peer_user"] => show(&consumer.peer_user()),
            ["begin"] => show(&begin(&mut consumer, &stream).map(drop)),
            ["begin_at", bytes] => {
                stream = Stream::after(stream.salt, number(bytes));
                show(&begin(&mut consumer, &stream).map(drop));
            }
            ["resume"] => {
                let target = consumer.predecessor().expect("this consumer is a replacement").to_vec();
                match consumer.begin(&target, ResumePoint::default()) {
                    Ok(point) => {
                        stream = Stream::resumed(stream.salt, &point);
                        say(&format!("resumes at {}", stream.position));
                    }
                    Err(error) => show(&Err::<(), _>(error)),
                }
            }
            ["take"] => match consumer.filled_block() {
                Ok(Some(block)) => {
                    let taken_before = position(&block) < stream.position;
                    let point = if taken_before { ResumePoint::default() } else { stream.compare(&block) };
                    say(&format!("taken {} {}", position(&block), block.length()));
                    held.push(Some((block, point)));
                }
                Ok(None) => say("the end"),
                Err(error) => show(&Err::<(), _>(error)),
            },
            ["drop", which] => {
                drop(held[index(which)].take().expect("a held block"));
                say("dropped");
            }
            ["release", which] => {
                let (block, point) = held[index(which)].take().expect("a held block");
                say_if(&consumer.release_with(block, &point), "released");
            }
            ["drain", window] => match drain(&mut consumer, &mut stream, index(window)) {
                Ok(()) => say(&format!("drained {}", stream.position)),
                Err(error) => show(&Err::<(), _>(error)),
            },
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
            ["abort", code, text] => show(&consumer.abort(&reason(code, text))),
            ["phase"] => show(&consumer.monitor().snapshot().phase),
            ["peer"] => show(&consumer.monitor().peer()),
            _ => return command,
        }
    }
}

fn begin<T: Trust>(consumer: &mut Consumer<T>, stream: &Stream) -> Result<ResumePoint, PipeError> {
    consumer.begin(&identify().to_le_bytes(), stream.point())
}

/// Makes a whole copy in the requested role, or in any. The answer is what [`super::Copied`] parses.
fn copy(pipe: &Pipe<TrustedPeer>, role: &[&str], count: u64) -> Result<String, String> {
    let (own, started) = (identify(), now());
    let end = join(pipe, role).map_err(|error| kind(&error))?;
    let show = |error: PipeError| format!("{error:?}");
    let (role, peer) = match end {
        End::Producer(mut producer) => {
            let mut stream = Stream::new(own);
            producer.ready(Geometry::new(4096, 4), &own.to_le_bytes()).map_err(show)?;
            send(&mut producer, &mut stream, count, 1).map_err(show)?;
            producer.close(&stream.trailer()).map_err(show)?;
            let hello = producer.peer_hello().map_err(show)?;
            ("producer", id_in(&hello.expect("the consumer has begun")))
        }
        End::Consumer(mut consumer) => {
            let peer = id_in(consumer.peer_hello());
            consumer.begin(&own.to_le_bytes(), ResumePoint::default()).map_err(show)?;
            drain(&mut consumer, &mut Stream::new(peer), 1).map_err(show)?;
            consumer.commit().map_err(show)?.complete().map_err(show)?;
            ("consumer", peer)
        }
    };
    Ok(format!("complete {role} {own} {peer} {started} {}", now()))
}

/// Makes a whole copy, or the rest of a dead end's copy. The answer is `complete`, the role and where it resumed.
fn relay(pipe: &Pipe<TrustedPeer>, count: u64) -> Result<String, String> {
    let show = |error: PipeError| format!("{error:?}");
    match pipe.join().map_err(|error| kind(&error))? {
        End::Producer(mut producer) => {
            let id = producer.predecessor().map_or_else(identify, id_in);
            producer.ready(Geometry::new(4096, 4), &id.to_le_bytes()).map_err(show)?;
            let mut stream = Stream::resumed(id, &producer.start().map_err(show)?);
            let resumed = stream.position;
            send(&mut producer, &mut stream, count - resumed, 2).map_err(show)?;
            producer.close(&stream.trailer()).map_err(show)?;
            Ok(format!("complete producer {resumed}"))
        }
        End::Consumer(mut consumer) => {
            let salt = id_in(consumer.peer_hello());
            let target = consumer.predecessor().map_or_else(identify, id_in);
            let point = consumer.begin(&target.to_le_bytes(), ResumePoint::default()).map_err(show)?;
            let mut stream = Stream::resumed(salt, &point);
            let resumed = stream.position;
            drain(&mut consumer, &mut stream, 2).map_err(show)?;
            consumer.commit().map_err(show)?.complete().map_err(show)?;
            Ok(format!("complete consumer {resumed}"))
        }
    }
}

/// Returns the error's first word: a snapshot is too long to be printed a thousand times.
fn kind(error: &JoinError) -> String {
    format!("{error:?}").split(['(', ' ']).next().expect("a text has a first word").into()
}
