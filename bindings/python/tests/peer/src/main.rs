//! The Rust end of the pipes in the tests: `peer send NAME COUNT SIZE` or `peer receive NAME`. `--replace` makes an end
//! that can be replaced, and `--slow` one that takes 20 ms for each block.
//!
//! The bytes of frame `n` are computed from `n`, and its header begins with `n`. A producer that replaces another one
//! resumes after the frames that were sent. Each side writes one line for each frame, and the result.

use blockpipe::{Geometry, Pipe};
use std::error::Error;
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

/// Returns byte `i` of frame `n`.
fn byte(n: u64, i: usize) -> u8 {
    (n.wrapping_mul(131).wrapping_add((i as u64).wrapping_mul(7)) % 251) as u8
}

fn say(line: &str) {
    println!("{line}");
    std::io::stdout().flush().expect("standard output");
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("error: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (options, arguments): (Vec<_>, Vec<_>) = arguments.iter().partition(|word| word.starts_with("--"));
    let has = |option: &str| options.iter().any(|given| *given == option);
    #[expect(clippy::disallowed_methods, reason = "it simulates work")]
    let pause = || {
        if has("--slow") {
            std::thread::sleep(Duration::from_millis(20))
        }
    };
    let mut pipe = Pipe::named(arguments[1]).tag("frames");
    if has("--replace") {
        pipe = pipe.replace_within(Duration::from_secs(20));
    }
    if arguments[0] == "send" {
        let (count, size): (u64, usize) = (arguments[2].parse()?, arguments[3].parse()?);
        let mut producer = pipe.join_as_producer()?;
        producer.ready(Geometry::new(size, 4), b"from Rust")?;
        if has("--replace") {
            producer.start()?;
        }
        loop {
            let mut block = producer.empty_block()?;
            let n = block.number();
            if n == count {
                break;
            }
            block.copy_from(0, &(0..size).map(|i| byte(n, i)).collect::<Vec<_>>());
            block.set_header(&n.to_le_bytes());
            producer.send(block, size)?;
            say(&format!("sent {n}"));
            pause();
        }
        producer.close(b"from Rust")?;
    } else {
        let mut consumer = pipe.join_as_consumer()?;
        consumer.begin(b"from Rust", [0; _])?;
        while let Some(block) = consumer.filled_block()? {
            let n = block.number();
            let wrong = block.to_vec().iter().enumerate().position(|(i, got)| *got != byte(n, i));
            if wrong.is_some() || block.header()[..8] != n.to_le_bytes() {
                return Err(format!("frame {n} is wrong at {wrong:?}").into());
            }
            say(&format!("received {n} {}", block.length()));
            consumer.release(block)?;
            pause();
        }
        consumer.finish()?;
    }
    say("complete");
    Ok(())
}
