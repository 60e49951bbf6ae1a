//! Video frames from one process to another, which survive the death of either.
//!
//! Start `video camera NAME` and `video viewer NAME` in two terminals, in any order, and kill either of them: the other
//! one goes on when you start it again. The camera never waits. If the viewer is slow, the camera drops frames, and the
//! viewer skips those that have come meanwhile. `bindings/python/examples/video.py` is the same program in Python: each
//! can be the other one's peer.

use blockpipe::{BlockHeader, JoinError, Pipe, ResumePoint};
use std::error::Error;
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime};

const WIDTH: usize = 1280;
const HEIGHT: usize = 720;
/// Four bytes for each pixel.
const FRAME: usize = WIDTH * HEIGHT * 4;
const INTERVAL: Duration = Duration::from_millis(40);
/// The time for which each process waits until the other one is started again.
const RESTART: Duration = Duration::from_secs(30);

/// Films or shows until the pipe ends. Counts the frames.
type Work = fn(&Pipe, &mut u64) -> Result<(), Box<dyn Error>>;

/// A frame's number and time, in the header of its block.
struct Stamp {
    number: u64,
    /// Milliseconds since 1970.
    taken: u64,
}

impl Stamp {
    fn pack(&self) -> [u8; 16] {
        let mut packed = [0; 16];
        packed[..8].copy_from_slice(&self.number.to_le_bytes());
        packed[8..].copy_from_slice(&self.taken.to_le_bytes());
        packed
    }

    fn unpack(header: &BlockHeader) -> Self {
        let word = |at: usize| u64::from_le_bytes(header[at..at + 8].try_into().expect("eight bytes"));
        Self { number: word(0), taken: word(8) }
    }
}

fn now() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("it is later than 1970");
    u64::try_from(now.as_millis()).expect("it is earlier than the year 584 million")
}

/// Returns the point from which a replacement of the camera continues: the bytes so far, which observers see, and the
/// number of the next frame.
#[expect(clippy::disallowed_methods, reason = "the progress in a point is native-endian")]
fn point(bytes: u64, next: u64) -> ResumePoint {
    let mut point = ResumePoint::default();
    point[..8].copy_from_slice(&bytes.to_ne_bytes());
    point[8..16].copy_from_slice(&next.to_le_bytes());
    point
}

fn number_in(point: &ResumePoint) -> u64 {
    u64::from_le_bytes(point[8..16].try_into().expect("eight bytes"))
}

#[expect(clippy::disallowed_methods, reason = "a camera waits for its next frame")]
fn film(pipe: &Pipe, next: &mut u64) -> Result<(), Box<dyn Error>> {
    let mut camera = pipe.join_as_producer()?;
    // Only a dead camera has left a number. Any other one need not wait for the viewer.
    if camera.predecessor().is_some() {
        *next = number_in(&camera.start()?);
    }
    let (mut picture, mut dropped) = (vec![0; FRAME], 0);
    let begun = Instant::now();
    loop {
        let stamp = Stamp { number: *next, taken: now() };
        // A grey that changes stands for what a lens would see.
        picture.fill(*next as u8);
        *next += 1;
        match camera.try_empty_block()? {
            Some(mut frame) => {
                frame.copy_from(0, &picture);
                frame.set_header(&stamp.pack());
                let bytes = (frame.number() + 1) * FRAME as u64;
                camera.send_with(frame, FRAME, &point(bytes, *next))?;
            }
            None => dropped += 1,
        }
        if next.is_multiple_of(25) {
            println!("{next} frames, {dropped} dropped, after {:.1?}", begun.elapsed());
        }
        std::thread::sleep(INTERVAL);
    }
}

fn show(pipe: &Pipe, shown: &mut u64) -> Result<(), Box<dyn Error>> {
    let mut viewer = pipe.join_as_consumer()?;
    let mut picture = vec![0; FRAME];
    loop {
        // Even the newest of them is old if the camera found all blocks full, and dropped what came after it.
        let skipped = viewer.skip_all()?;
        let Some(frame) = viewer.filled_block()? else { return Ok(viewer.finish()?) };
        let Stamp { number, taken } = Stamp::unpack(frame.header());
        // The camera could change the block at any time, but not this copy.
        frame.copy_to(0, &mut picture);
        viewer.release(frame)?;
        assert!(picture.iter().all(|byte| *byte == number as u8), "frame {number} is whole");
        *shown += 1;
        println!("frame {number}, {} ms old, {skipped} skipped, {shown} shown", now().saturating_sub(taken));
    }
}

#[expect(clippy::disallowed_methods, reason = "the other process needs a moment to come back")]
fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (work, name) = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["camera", name] => (film as Work, name),
        ["viewer", name] => (show as Work, name),
        _ => {
            eprintln!("usage: video camera|viewer NAME");
            return ExitCode::from(2);
        }
    };
    let pipe = Pipe::named(name).blocks(FRAME, 4).replace_within(RESTART);
    // A camera continues its numbers, and a viewer its count, when it joins again.
    let mut frames = 0;
    loop {
        match work(&pipe, &mut frames) {
            Ok(()) => return ExitCode::SUCCESS,
            Err(error) if matches!(error.downcast_ref(), Some(JoinError::TooManyInstances(_))) => {
                eprintln!("{error}");
                return ExitCode::FAILURE;
            }
            // The other one stayed away for too long, say: wait for the next.
            Err(error) => eprintln!("{error}; trying again"),
        }
        std::thread::sleep(Duration::from_secs(1));
    }
}
