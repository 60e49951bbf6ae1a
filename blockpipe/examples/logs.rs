//! Ships a log that grows from one process to another, without losing or repeating a byte when either is killed.
//!
//! Start `logs ship LOG NAME` and `logs store COPY NAME`, in any order, and kill and restart either of them at any time.
//! The copy is a file that the second one appends to, and its length says where the shipping continues.

use blockpipe::{Pipe, PipeError, ResumePoint};
use std::error::Error;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::process::ExitCode;
use std::time::Duration;

/// The time for which each process waits until the other one is started again.
const RESTART: Duration = Duration::from_secs(60);

type Work = fn(&str, &Pipe) -> Result<(), Box<dyn Error>>;

/// Returns the point after this many bytes. The library shows them as progress.
#[expect(clippy::disallowed_methods, reason = "the progress in a point is native-endian")]
fn point(bytes: u64) -> ResumePoint {
    let mut point = ResumePoint::default();
    point[..8].copy_from_slice(&bytes.to_ne_bytes());
    point
}

fn bytes_in(point: &ResumePoint) -> u64 {
    u64::from_ne_bytes(point[..8].try_into().expect("eight bytes"))
}

#[expect(clippy::disallowed_methods, reason = "nothing wakes a process when a file grows")]
fn ship(log: &str, pipe: &Pipe) -> Result<(), Box<dyn Error>> {
    let mut log = File::open(log)?;
    let mut producer = pipe.join_as_producer()?;
    // Where the copy ends, or where a dead shipper has stopped.
    let mut shipped = bytes_in(&producer.start()?);
    log.seek(SeekFrom::Start(shipped))?;
    let mut piece = vec![0; 64 << 10];
    loop {
        match log.read(&mut piece)? {
            0 => {
                std::thread::sleep(Duration::from_millis(50));
                producer.check()?;
            }
            length => {
                let mut block = producer.empty_block()?;
                block.copy_from(0, &piece[..length]);
                shipped += length as u64;
                producer.send_with(block, length, &point(shipped))?;
            }
        }
    }
}

fn store(copy: &str, pipe: &Pipe) -> Result<(), Box<dyn Error>> {
    let mut copy = File::options().create(true).append(true).open(copy)?;
    let mut consumer = pipe.join_as_consumer()?;
    let stored = copy.metadata()?.len();
    let begins = bytes_in(&consumer.begin(b"", point(stored))?);
    // A dead one may have stored a block that it could not release any more: it comes once more.
    let mut again = stored.checked_sub(begins).ok_or("the copy is shorter than what was stored")?;
    while let Some(block) = consumer.filled_block()? {
        let known = again.min(block.length() as u64);
        again -= known;
        copy.write_all(&block.to_vec()[known as usize..])?;
        copy.sync_data()?;
        consumer.release(block)?;
    }
    Ok(consumer.finish()?)
}

#[expect(clippy::disallowed_methods, reason = "the other process needs a moment to come back")]
fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (work, file, name) = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["ship", log, name] => (ship as Work, log, name),
        ["store", copy, name] => (store as Work, copy, name),
        _ => {
            eprintln!("usage: logs ship LOG NAME | logs store COPY NAME");
            return ExitCode::from(2);
        }
    };
    let pipe = Pipe::named(name).replace_within(RESTART);
    loop {
        let Err(error) = work(file, &pipe) else { return ExitCode::SUCCESS };
        eprintln!("{error}");
        // The other one stayed away for too long, or died before it had begun: wait for the next.
        if !matches!(error.downcast_ref(), Some(PipeError::PeerDied)) {
            return ExitCode::FAILURE;
        }
        std::thread::sleep(Duration::from_secs(1));
    }
}
