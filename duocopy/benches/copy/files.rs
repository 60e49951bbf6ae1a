//! What is copied.

use crate::cases::Outcome;
use crate::statistics::Random;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
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

/// Whether both have the same bytes.
pub fn compare(source: &Path, destination: &Path) -> Outcome<()> {
    let (mut source, mut destination) = (File::open(source)?, File::open(destination)?);
    let mut left = source.metadata()?.len();
    let mut same = destination.metadata()?.len() == left;
    let [mut wanted, mut there] = [vec![0; MIB], vec![0; MIB]];
    while same && left > 0 {
        let piece = left.min(MIB as u64) as usize;
        source.read_exact(&mut wanted[..piece])?;
        destination.read_exact(&mut there[..piece])?;
        same = wanted[..piece] == there[..piece];
        left -= piece as u64;
    }
    if same { Ok(()) } else { Err("the copy is not what the source is".into()) }
}

/// So many pieces of 1 MiB, one in each GiB.
pub fn make_sparse(path: &Path, pieces: u64, random: &mut Random) -> Outcome<()> {
    let mut file = File::create_new(path)?;
    file.set_len(pieces << 30)?;
    for piece in 0..pieces {
        file.seek(SeekFrom::Start(place(piece)))?;
        file.write_all(&bytes(MIB, random))?;
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
    let [mut source, mut destination] = [File::open(source)?, File::open(destination)?];
    let length = source.metadata()?.len();
    let mut same = destination.metadata()?.len() == length;
    for piece in 0..length >> 30 {
        let [mut wanted, mut there] = [vec![0; MIB], vec![0; MIB]];
        for (file, bytes) in [(&mut source, &mut wanted), (&mut destination, &mut there)] {
            file.seek(SeekFrom::Start(place(piece)))?;
            file.read_exact(bytes)?;
        }
        same &= wanted == there;
    }
    if same { Ok(()) } else { Err("the copy is not what the source is".into()) }
}

/// What it takes on the disk.
#[cfg(unix)]
pub fn space(path: &Path) -> io::Result<u64> {
    Ok(std::os::unix::fs::MetadataExt::blocks(&fs::metadata(path)?) * 512)
}

/// Nothing sparse is measured here.
#[cfg(not(unix))]
pub fn space(path: &Path) -> io::Result<u64> {
    Ok(fs::metadata(path)?.len())
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

/// What the program does for [`ALONE`](crate::candidate::ALONE).
pub fn copy_alone() -> Outcome<()> {
    let (mut source, mut destination) = (File::open("source")?, File::create("destination")?);
    let mut block = vec![0; MIB / 2];
    loop {
        match source.read(&mut block)? {
            0 => return Ok(()),
            bytes => destination.write_all(&block[..bytes])?,
        }
    }
}
