//! The same program as frames.c, with the Rust crate. The two can be the ends of one pipe.

#![allow(
    clippy::disallowed_methods,
    reason = "these are rules for the library; an example may sleep and store bytes"
)]

use pipe::{Pipe, Reason, ResumePoint};
use std::error::Error;
use std::thread::sleep;
use std::time::{Duration, SystemTime};

const FRAME_SIZE: usize = 65536;

/// The content of a resume point. Observers read the progress in bytes.
#[derive(Default)]
struct Point {
    bytes: u64,
    next: u64,
    frames: u64,
}

impl Point {
    fn from_bytes(point: &ResumePoint) -> Self {
        Self { bytes: word(point, 0), next: word(point, 1), frames: word(point, 2) }
    }

    fn after(&self, number: u64, length: usize) -> Self {
        Self { bytes: self.bytes + length as u64, next: number + 1, frames: self.frames + 1 }
    }

    fn to_bytes(&self) -> ResumePoint {
        let mut point = [0; _];
        for (to, from) in point.chunks_mut(8).zip([self.bytes, self.next, self.frames]) {
            to.copy_from_slice(&from.to_ne_bytes());
        }
        point
    }
}

fn word(bytes: &[u8], n: usize) -> u64 {
    u64::from_ne_bytes(bytes[n * 8..][..8].try_into().expect("eight bytes"))
}

fn send(pipe: &Pipe, count: u64, period: Duration) -> Result<(), Box<dyn Error>> {
    let mut producer = pipe.join_as_producer()?;
    let mut point = Point::from_bytes(&producer.start()?);
    eprintln!("sending from frame {}", point.next);
    for number in point.next..count {
        sleep(period);
        // The receiver is slow: drop this frame.
        let Some(mut block) = producer.try_empty_block()? else { continue };
        block.copy_from(0, &vec![number as u8; FRAME_SIZE]);
        let time = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs();
        block.set_header(&[number.to_ne_bytes(), time.to_ne_bytes()].concat());
        point = point.after(number, FRAME_SIZE);
        producer.send_with(block, FRAME_SIZE, &point.to_bytes())?;
    }
    producer.close(&point.frames.to_ne_bytes())?;
    println!("sent {} of {count}", point.frames);
    Ok(())
}

fn receive(pipe: &Pipe, time: Duration) -> Result<(), Box<dyn Error>> {
    let mut consumer = pipe.join_as_consumer()?;
    let mut point = Point::from_bytes(&consumer.begin(b"", [0; _])?);
    eprintln!("receiving from frame {}", point.next);
    while let Some(block) = consumer.filled_block()? {
        let (number, bytes) = (word(block.header(), 0), block.to_vec());
        if number < point.next || bytes != vec![number as u8; FRAME_SIZE] {
            return Err(consumer.abort(&Reason::new(1, "this is not the next frame")).into());
        }
        sleep(time);
        point = point.after(number, bytes.len());
        consumer.release_with(block, &point.to_bytes())?;
    }
    if consumer.trailer().is_none_or(|trailer| word(trailer, 0) != point.frames) {
        return Err(consumer.abort(&Reason::new(2, "frames are missing")).into());
    }
    consumer.finish()?;
    println!("received {}", point.frames);
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let pipe = |name: &str| {
        let limit = Duration::from_secs(10);
        Pipe::named(name).tag("frames").blocks(FRAME_SIZE, 4).connect_timeout(limit).replace_within(limit)
    };
    match arguments[..] {
        ["send", name, count, period] => {
            send(&pipe(name), count.parse()?, Duration::from_millis(period.parse()?))
        }
        ["receive", name, time] => receive(&pipe(name), Duration::from_millis(time.parse()?)),
        _ => Err("usage: frames send NAME COUNT PERIOD | frames receive NAME TIME".into()),
    }
}
