//! What is copied.

use crate::cases::Outcome;
use crate::statistics::Random;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

pub const MIB: usize = 1 << 20;

fn bytes(length: usize, random: &mut Random) -> Vec<u8> {
    (0..length / 8).flat_map(|_| random.next().to_le_bytes()).collect()
}

/// A file of so many bytes, a multiple of 8, in the page cache and on the disk.
pub fn make(path: &Path, size: u64, random: &mut Random) -> Outcome<()> {
    let mut file = File::create_new(path)?;
    let mut left = size;
    while left > 0 {
        let piece = left.min(MIB as u64);
        file.write_all(&bytes(piece as usize, random))?;
        left -= piece;
    }
    file.sync_all()?;
    io::copy(&mut File::open(path)?, &mut io::sink())?;
    Ok(())
}

/// So many pieces of 1 MiB, one in each GiB.
pub fn make_sparse(path: &Path, pieces: u64, random: &mut Random) -> Outcome<()> {
    let file = File::create_new(path)?;
    file.set_len(pieces << 30)?;
    for piece in 0..pieces {
        file.write_all_at(&bytes(MIB, random), place(piece))?;
    }
    file.sync_all()?;
    Ok(())
}

/// Where a piece begins: not where a block of the copy does.
fn place(piece: u64) -> u64 {
    (piece << 30) + (123 << 12)
}

/// The pieces are the same, and if the rest takes no more space than before it is zeros. (Reading them takes minutes.)
pub fn compare_sparse(source: &Path, destination: &Path) -> Outcome<()> {
    const SLACK: u64 = 64 << 10;
    if space(destination)? > space(source)? + SLACK {
        return Err("the holes were filled".into());
    }
    let [source, destination] = [File::open(source)?, File::open(destination)?];
    let length = source.metadata()?.len();
    let mut same = destination.metadata()?.len() == length;
    for piece in 0..length >> 30 {
        let [mut wanted, mut there] = [vec![0; MIB], vec![0; MIB]];
        source.read_exact_at(&mut wanted, place(piece))?;
        destination.read_exact_at(&mut there, place(piece))?;
        same &= wanted == there;
    }
    if same { Ok(()) } else { Err("the copy is not what the source is".into()) }
}

/// What it takes on the disk.
pub fn space(path: &Path) -> io::Result<u64> {
    Ok(fs::metadata(path)?.blocks() * 512)
}

/// Writes so many bytes, in the order in which they come to lie, and nothing else.
pub fn write(path: &Path, size: u64) -> io::Result<()> {
    let mut file = File::create_new(path)?;
    let bytes = vec![0x5a; MIB];
    let mut left = size;
    while left > 0 {
        let piece = left.min(MIB as u64);
        file.write_all(&bytes[..piece as usize])?;
        left -= piece;
    }
    Ok(())
}

/// What the program does for [`WRITE_ONLY`](crate::candidate::WRITE_ONLY).
pub fn write_as_much() -> Outcome<()> {
    Ok(write(Path::new("destination"), fs::metadata("source")?.len())?)
}
