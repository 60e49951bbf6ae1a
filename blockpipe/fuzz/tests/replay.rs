//! Runs the corpus, and then random mutations of it, as a fuzzer does, but without one. `FUZZ_SECONDS` sets the time
//! for each target, `FUZZ_SEED` the seed of the mutations.

use std::path::Path;
use std::time::{Duration, Instant};

#[test]
fn header() {
    replay("header", duocopy_fuzz::header);
}

#[test]
fn consumer() {
    replay("consumer", duocopy_fuzz::consumer);
}

#[test]
fn producer() {
    replay("producer", duocopy_fuzz::producer);
}

#[test]
fn verdict() {
    replay("verdict", duocopy_fuzz::verdict);
}

#[test]
fn journal() {
    replay("journal", duocopy_fuzz::journal);
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

fn replay(target: &str, run: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    let entries = std::fs::read_dir(folder).expect("every target has a corpus");
    let mut corpus: Vec<_> = entries.map(|entry| std::fs::read(entry.unwrap().path()).unwrap()).collect();
    corpus.sort();
    assert!(corpus.len() > 2, "a corpus of {}", corpus.len());
    corpus.iter().for_each(|input| one(target, run, input));
    let mut random = Random(number("FUZZ_SEED").unwrap_or(1));
    let (begun, time) = (Instant::now(), Duration::from_secs(number("FUZZ_SECONDS").unwrap_or(1)));
    let mut count = 0;
    while begun.elapsed() < time {
        let mut input = corpus[random.below(corpus.len())].clone();
        for _ in 0..=random.below(6) {
            random.mutate(&mut input);
        }
        one(target, run, &input);
        count += 1;
    }
    println!("{target}: {} inputs, {count} mutations", corpus.len());
}

fn one(target: &str, run: fn(&[u8]), input: &[u8]) {
    if let Err(panic) = std::panic::catch_unwind(|| run(input)) {
        println!("{target} fails with {input:02x?}");
        std::panic::resume_unwind(panic);
    }
}

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    fn mutate(&mut self, input: &mut Vec<u8>) {
        let extremes = [0, 1, 2, u64::MAX, u64::MAX - 1, u64::MAX >> 1, 1 << 63, 4096, 4097, 8192, 1 << 32];
        let at = self.below(input.len() + 1);
        match self.below(6) {
            0 => input.truncate(at.max(1)),
            1 => input.insert(at, self.next() as u8),
            2 => (0..10).for_each(|_| input.push(self.next() as u8)),
            3 if input.len() >= 8 => {
                let at = at.min(input.len() - 8);
                let value = extremes[self.below(extremes.len())];
                input[at..at + 8].copy_from_slice(&value.to_le_bytes());
            }
            4 if at < input.len() => input[at] = self.next() as u8,
            _ if at < input.len() => input[at] ^= 1 << self.below(8),
            _ => {}
        }
    }
}
