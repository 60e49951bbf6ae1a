//! The power fails while copies are made, or just after one was reported as complete.
//!
//! The copies are made on a disk that records each write and each flush. Then images of the disk are made as a power cut
//! would leave it: what was flushed is there, and of what was written since the last flush nothing, everything, or any
//! choice of sectors. In each image the destination must be the old file or the new one, and the new one if the copy
//! had exited with 0 before the cut. The next copy must work, resume if it can, and leave no temporary files.
//!
//! By default a sample runs on ext4. `DUOCOPY_POWER_CUTS=300` makes 300 cuts on each of five file systems, and 100 more
//! after copies with `--fsync=none`, which promise less. `DUOCOPY_SEED` repeats the choices of a run, but the kernel may
//! write in another order.

mod copies;
mod disk;
mod image;

use crate::util::mounts::{self, Mounted};
use crate::util::*;
use copies::{Copier, Made, metadata, source};
use disk::Recorded;
use image::{Cut, Images, Loss};
use std::fs::File;
use std::process::Command;

/// A file system to be tested.
struct System {
    name: &'static str,
    make: &'static str,
    /// Of the disk, in MiB.
    length: u64,
    options: &'static str,
}

const EXT4: &str = "mkfs.ext4 -q -E nodiscard,lazy_itable_init=0";
const LONG_RUN: &str = "DUOCOPY_POWER_CUTS";
/// Numbers of copies and cuts without [`LONG_RUN`].
const SAMPLE: (usize, usize) = (6, 6);

#[test(needs = [root, fuse, loop_devices, ext4])]
fn ext4_with_ordered_data() {
    survives(&System {
        name: "ext4, data=ordered",
        make: EXT4,
        length: 128,
        options: "data=ordered,commit=1",
    });
}

#[test(needs = [root, fuse, loop_devices, ext4, power_cuts])]
fn ext4_with_a_journal_of_data() {
    survives(&System {
        name: "ext4, data=journal",
        make: EXT4,
        length: 128,
        options: "data=journal,commit=1",
    });
}

#[test(needs = [root, fuse, loop_devices, ext4, power_cuts])]
fn ext4_without_any_order_of_data() {
    let options = "data=writeback,noauto_da_alloc,commit=1";
    survives(&System { name: "ext4, data=writeback", make: EXT4, length: 128, options });
}

#[test(needs = [root, fuse, loop_devices, xfs, power_cuts])]
fn xfs() {
    survives(&System { name: "XFS", make: "mkfs.xfs -q", length: 320, options: "defaults" });
}

#[test(needs = [root, fuse, loop_devices, btrfs, power_cuts])]
fn btrfs() {
    survives(&System { name: "Btrfs", make: "mkfs.btrfs -q", length: 256, options: "commit=1" });
}

fn survives(system: &System) {
    let wanted = std::env::var(LONG_RUN).ok().and_then(|it| it.parse().ok());
    let mut random = Random::new(system.name);
    mounts::enter_own_namespace();
    match wanted {
        None => trial(system, Promise::OnDisk, SAMPLE, &mut random),
        Some(cuts) => {
            trial(system, Promise::OnDisk, (usize::MAX, cuts), &mut random);
            trial(system, Promise::None, (usize::MAX, cuts / 3), &mut random);
        }
    }
}

/// The promise that a copy makes with exit code 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Promise {
    /// The copy is on the disk.
    OnDisk,
    /// None, because of `--fsync=none`. The next copy must work all the same.
    None,
}

/// What was found after the cuts.
#[derive(Debug, Default)]
struct Counts {
    /// The destination was the version whose exit code 0 was the last one seen.
    last_complete: usize,
    /// It was the version that was being copied.
    next_one: usize,
    older: usize,
    no_version: usize,
    /// The next copy resumed.
    resumed: usize,
}

/// Makes the copies and the cuts on one file system.
fn trial(system: &System, promise: Promise, (copies, cuts): (usize, usize), random: &mut Random) {
    let folder = Folder::with_limit(milliseconds(180_000 + 10_000 * cuts as u64));
    File::create(folder.path("image")).and_then(|file| file.set_len(system.length << 20)).expect("an image");
    let mut words = system.make.split(' ');
    let mut command = Command::new(words.next().expect("a command"));
    command.args(words).arg("image");
    folder.start(command, false).end().expect(0, &[]);
    for name in ["system", "after"] {
        folder.make(name);
    }

    let recorded = Recorded::new(&folder, "image", "system", system.options);
    let more = if promise == Promise::OnDisk { "" } else { " --fsync=none" };
    let made = Copier { folder: &folder, log: &recorded.log, system: "system", more }.make(copies, random);
    let device = recorded.device();
    let log = recorded.end();

    let cuts = choose(&made, cuts, random);
    let (number, entries) = (cuts.len(), log.position());
    let mut after = AfterCut { folder: &folder, system, device, promise, made, counts: Counts::default() };
    let mut images = Images::new(&folder, "image", log);
    let mut wrong = Vec::new();
    for cut in cuts {
        images.make(cut, random);
        if let Err(what) = after.check(cut) {
            wrong.push(format!("{cut:?}: {what}"));
        }
    }
    let name = system.name;
    note!(
        "{name}{more}: {} copies, {entries} writes and flushes, {number} cuts, {:?}",
        after.made.len(),
        after.counts
    );
    assert!(wrong.is_empty(), "{} of {number} cuts on {name}: {wrong:#?}", wrong.len());
}

/// Chooses cuts: directly after each exit code 0, anywhere in a copy, and between the last write of its content and its
/// end, where it is renamed.
fn choose(made: &[Made], count: usize, random: &mut Random) -> Vec<Cut> {
    let mut below = |limit: usize| (random.next() % limit as u64) as usize;
    let loss = |below: &mut dyn FnMut(usize) -> usize| match below(4) {
        0 => Loss::AllLost,
        1 => Loss::NoneLost,
        _ => Loss::Eighths(1 + below(7) as u64),
    };
    let mut cuts = Vec::new();
    for Made { complete, .. } in made {
        cuts.push(Cut { position: *complete, loss: Loss::AllLost });
        cuts.push(Cut { position: *complete, loss: loss(&mut below) });
    }
    // Even a small number of cuts leaves room for the other kind.
    while cuts.len() > count / 2 {
        cuts.swap_remove(below(cuts.len()));
    }
    while cuts.len() < count {
        let copy = &made[below(made.len())];
        let from = if below(2) == 0 { copy.began } else { copy.written };
        let position = from + below(copy.complete - from + 1);
        cuts.push(Cut { position, loss: loss(&mut below) });
    }
    cuts.sort_by_key(|cut| cut.position);
    cuts
}

/// Checks what is in an image.
struct AfterCut<'a> {
    folder: &'a Folder,
    system: &'a System,
    /// The option that selects the loop device that the file system had before the cut.
    device: String,
    promise: Promise,
    made: Vec<Made>,
    counts: Counts,
}

impl AfterCut<'_> {
    /// Checks the destination in the image `cut`, and makes the next copy there.
    fn check(&mut self, cut: Cut) -> Result<(), String> {
        let folder = self.folder;
        let mount = |device: &str| Mounted::new(folder, "cut", "after", (device, self.system.options));
        // Another test may have taken the device.
        let (mounted, is_same_device) = match mount(&self.device) {
            Ok(mounted) => (mounted, true),
            Err(_) => {
                (mount("loop").map_err(|ended| format!("cannot be mounted: {}", ended.messages))?, false)
            }
        };
        // Copies are counted from 1, and 0 means that there is no destination.
        let last = self.made.iter().take_while(|copy| copy.complete <= cut.position).count();
        let next = (last + 1).min(self.made.len());
        let found = folder.content("after/d/dst");
        let is = |number: usize| match number {
            0 => found.is_none(),
            _ => found.as_deref() == Some(&folder.read(source(number))),
        };
        let number = [next, last].into_iter().find(|number| is(*number));
        match number {
            Some(number) if number == last => self.counts.last_complete += 1,
            Some(_) => self.counts.next_one += 1,
            None => {
                let older = (0..last).find(|number| is(*number));
                *if older.is_some() { &mut self.counts.older } else { &mut self.counts.no_version } += 1;
                let length = found.as_ref().map(Vec::len);
                if self.promise == Promise::OnDisk {
                    return Err(format!("{last} or {next} expected; found {older:?}, of {length:?} bytes"));
                }
            }
        }
        if self.promise == Promise::OnDisk {
            let number = number.unwrap_or_default();
            self.check_metadata(number)?;
            self.check_backup(number, next)?;
        }
        let safe = self.made[next - 1].safe_part.filter(|_| is_same_device && number != Some(next));
        self.copy_again(next, safe.is_some_and(|safe| safe <= cut.position))?;
        mounted.unmount();
        Ok(())
    }

    /// The file has the mode, owner and time that it had at the end of its copy.
    fn check_metadata(&self, number: usize) -> Result<(), String> {
        let Some(copy) = number.checked_sub(1).map(|index| &self.made[index]) else { return Ok(()) };
        let now = metadata(self.folder, "after/d/dst");
        if now == copy.metadata { Ok(()) } else { Err(format!("{now}, not {}", copy.metadata)) }
    }

    /// The backup is the destination before the last copy that made one.
    fn check_backup(&self, number: usize, next: usize) -> Result<(), String> {
        let has_one = |number: &usize| self.made[number - 1].options.contains("--backup");
        let kept = |number: usize| (1..=number).rfind(has_one).map(|number| number - 1);
        let found = self.folder.content("after/d/dst~");
        // The backup gets its name before the copy does.
        let fits = |number| found == kept(number).map(|number| self.folder.read(source(number)));
        if fits(number) || fits(next) { Ok(()) } else { Err(format!("the backup is not {:?}", kept(number))) }
    }

    /// The next copy works, resumes if it can, and leaves no temporary files.
    fn copy_again(&mut self, number: usize, can_resume: bool) -> Result<(), String> {
        let (folder, copy) = (self.folder, &self.made[number - 1]);
        let ended = folder.duocopy(&format!("cp {} {} after/d/dst", copy.options, source(number))).end();
        let resumed = ended.messages.contains("resuming");
        self.counts.resumed += usize::from(resumed);
        let left = folder.temporaries("after/d");
        let same = folder.content("after/d/dst").as_deref() == Some(&folder.read(source(number)));
        if ended.code != 0 || !same || !left.is_empty() {
            return Err(format!("the next copy: same: {same}, left: {left:?}, {ended:?}"));
        }
        if can_resume && !resumed { Err(format!("not resumed: {ended:?}")) } else { Ok(()) }
    }
}
