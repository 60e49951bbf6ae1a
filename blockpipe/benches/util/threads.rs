//! Two threads of one process that hand over blocks of ordinary memory: the lower limit of the cost. Where the task is
//! to wake a sleeper, each sleeps on a condition variable, which shows the system's share.

#![allow(unsafe_code, reason = "blocks that change owner without a lock")]

use super::{BLOCKS, Link, Outcome, SPINS, Task, end, measure, serve};
use std::cell::UnsafeCell;
use std::hint::spin_loop;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex};
use std::thread;

/// A counter alone in its cache lines, as the counters of a pipe are.
#[derive(Default)]
#[repr(align(128))]
struct Count(AtomicU64);

struct Ring {
    blocks: Vec<UnsafeCell<Vec<u8>>>,
    filled: Count,
    emptied: Count,
    receiver_sleeps: bool,
    lock: Mutex<()>,
    came: Condvar,
}

// SAFETY: a block has one owner at a time. It is the sender's while fewer than `BLOCKS` blocks were filled since it was
// emptied, and the receiver's while it is filled and not yet emptied; each counter has one writer.
unsafe impl Sync for Ring {}

impl Ring {
    fn new(task: Task) -> Self {
        let blocks = (0..BLOCKS).map(|_| UnsafeCell::new(vec![0; task.block_size()])).collect();
        let [filled, emptied] = [Count::default(), Count::default()];
        let (lock, came) = (Mutex::default(), Condvar::new());
        Self { blocks, filled, emptied, receiver_sleeps: task == Task::Parked, lock, came }
    }
}

struct Threads<'a> {
    output: &'a Ring,
    input: &'a Ring,
    sent: u64,
    received: u64,
}

impl<'a> Threads<'a> {
    fn new(output: &'a Ring, input: &'a Ring) -> Self {
        Self { output, input, sent: 0, received: 0 }
    }
}

fn wait_until(condition: impl Fn() -> bool) {
    loop {
        for _ in 0..SPINS {
            if condition() {
                return;
            }
            spin_loop();
        }
        thread::yield_now();
    }
}

impl Link for Threads<'_> {
    fn send(&mut self, length: usize, mut fill: impl FnMut(&mut [u8])) -> Outcome<()> {
        let (ring, n) = (self.output, self.sent);
        wait_until(|| n - ring.emptied.0.load(Ordering::Acquire) < BLOCKS as u64);
        // SAFETY: the receiver no longer uses this block: its release of `emptied`, our acquire.
        let block = unsafe { &mut *ring.blocks[n as usize % BLOCKS].get() };
        fill(&mut block[..length]);
        self.sent += 1;
        ring.filled.0.store(self.sent, Ordering::Release);
        if ring.receiver_sleeps {
            // A thread that checked before this was stored sleeps by the time the lock is free.
            drop(ring.lock.lock());
            ring.came.notify_one();
        }
        Ok(())
    }

    fn receive(&mut self, length: usize, mut take: impl FnMut(&[u8])) -> Outcome<()> {
        let (ring, n) = (self.input, self.received);
        let there = || ring.filled.0.load(Ordering::Acquire) > n;
        if ring.receiver_sleeps {
            let guard = ring.lock.lock().map_err(|error| error.to_string())?;
            drop(ring.came.wait_while(guard, |()| !there()).map_err(|error| error.to_string())?);
        } else {
            wait_until(there);
        }
        // SAFETY: the sender has given this block away: its release of `filled`, our acquire.
        let block = unsafe { &*ring.blocks[n as usize % BLOCKS].get() };
        take(&block[..length]);
        self.received += 1;
        ring.emptied.0.store(self.received, Ordering::Release);
        Ok(())
    }
}

pub fn two_threads(task: Task, amount: u64) -> Outcome<f64> {
    let (there, back) = (Ring::new(task), Ring::new(task));
    thread::scope(|scope| {
        let far =
            scope.spawn(|| serve(&mut Threads::new(&back, &there), task).map_err(|error| error.to_string()));
        let mut near = Threads::new(&there, &back);
        let nanoseconds = measure(&mut near, task, amount);
        end(&mut near)?;
        far.join().expect("it does not panic")?;
        nanoseconds
    })
}
