//! Zeros that take no space.

left_out_on_windows!(holes, "holes are read as zeros, and left out only with --sparse=always");

#[cfg(unix)]
mod holes {
    use crate::util::*;
    use std::fs::{File, OpenOptions};
    use std::os::unix::fs::{FileExt, MetadataExt};

    /// A source of this length with bytes at these places, and nothing between. `None` if that takes all the space
    /// here that its length says.
    fn with_holes(folder: &Folder, length: u64, data: &[(u64, usize)]) -> Option<()> {
        let file = File::create(folder.path("src")).unwrap();
        file.set_len(length).unwrap();
        for (offset, length) in data {
            file.write_all_at(&bytes(*length, *offset), *offset).unwrap();
        }
        if space(folder, "src") >= length {
            left_out("holes (this file system has none)");
            return None;
        }
        Some(())
    }

    fn space(folder: &Folder, name: &str) -> u64 {
        folder.path(name).metadata().unwrap().blocks() * 512
    }

    /// Whatever a file system takes for itself.
    const SLACK: u64 = 256 << 10;

    #[test]
    fn holes_stay_holes_and_cost_nothing() {
        let folder = Folder::new();
        // In front, in the middle, shorter than a block, and at the end.
        let data = [(1 << 20, 3 * MIB + 5), (8 << 30, 4096), ((8 << 30) + 8192, 4096), (40 << 30, MIB)];
        let Some(()) = with_holes(&folder, 64 << 30, &data) else { return };
        complete(pair(folder.duocopy("src dst"), folder.duocopy("src dst")));
        let (src, dst) = (space(&folder, "src"), space(&folder, "dst"));
        assert!(dst <= src + SLACK, "{dst} bytes of space instead of {src}");
        let copy = File::open(folder.path("dst")).unwrap();
        assert_eq!(copy.metadata().unwrap().len(), 64 << 30);
        for (offset, length) in data {
            let mut there = vec![0; length];
            copy.read_exact_at(&mut there, offset).unwrap();
            assert!(there == bytes(length, offset), "at {offset}");
        }
    }

    #[test]
    fn every_byte_is_what_it_was() {
        let folder = Folder::new();
        let data = [(0, 1), (5 << 20, MIB + 1), ((9 << 20) - 1, 2)];
        let Some(()) = with_holes(&folder, 20 << 20, &data) else { return };
        for flags in
            ["", "--verify=reread", "--verify=none", "--hash=blake3", "--fsync=none", "--sparse=never"]
        {
            let ended = folder.duocopy(&format!("cp {flags} src dst")).end();
            ended.expect(0, &[]);
            folder.assert_same("src", "dst");
            let full = space(&folder, "dst") >= 20 << 20;
            assert_eq!(full, flags == "--sparse=never", "{flags}");
        }
    }

    #[test]
    fn runs_of_zeros_become_holes_if_wanted() {
        let folder = Folder::new();
        let mut content = vec![0; 20 << 20];
        content[5 << 20..][..MIB].copy_from_slice(&bytes(MIB, 1));
        content[(7 << 20) + 100] = 1;
        folder.write("src", &content);
        folder.duocopy("cp src dst").end().expect(0, &[]);
        folder.assert_same("src", "dst");
        if space(&folder, "dst") < 20 << 20 {
            return left_out("zeros that take space (this file system leaves them out)");
        }
        folder.duocopy("cp --sparse=always src dst").end().expect(0, &[]);
        folder.assert_same("src", "dst");
        let space = space(&folder, "dst");
        assert!(space <= MIB as u64 + 4096 + SLACK, "{space}");
    }

    /// What a dead Writer wrote behind what it said may be anything, and a hole is not written over it.
    #[test]
    fn a_hole_shows_nothing_of_an_interrupted_copy() {
        if !can_be_held("kills after a checkpoint") {
            return;
        }
        let folder = Folder::new();
        let long = LONG as u64;
        let Some(()) = with_holes(&folder, 3 * long, &[(0, LONG), (3 * long - 10, 10)]) else { return };
        folder.write("dst", OLD);
        let processes = after_a_checkpoint(&folder, "");
        processes.iter().for_each(Process::kill);
        end(processes);
        let left = OpenOptions::new().write(true).open(folder.left_over("part").unwrap()).unwrap();
        left.write_all_at(&vec![0xff; LONG], long + 4096).unwrap();
        complete(pair(folder.duocopy("src dst"), folder.duocopy("src dst")));
        folder.assert_same("src", "dst");
    }

    #[test]
    fn a_replacement_goes_on_behind_a_hole_that_nothing_was_written_behind() {
        if !can_be_held("kills between a hole and what comes behind it") {
            return;
        }
        let folder = Folder::new();
        let Some(()) = with_holes(&folder, 5 << 20, &[(4 << 20, MIB)]) else { return };
        let line = "--replace-within=60s src dst";
        let late = "-f -e trace=pwrite64 -e inject=pwrite64:delay_enter=2s";
        let [reader, writer] = pair(folder.duocopy(line), folder.duocopy(line).traced(late));
        until("the temporary file with a hole", || {
            let metadata = folder.left_over("part")?.metadata().ok()?;
            (metadata.len() == 4 << 20).then_some(())
        });
        // Until the block is given back, which nothing shows.
        pause(milliseconds(100));
        writer.kill();
        writer.end();
        reader.says("waiting up to 1m");
        complete([folder.duocopy(line).start(), reader]);
        folder.assert_same("src", "dst");
    }

    #[test]
    fn a_replacement_goes_on_in_front_of_a_hole() {
        if !can_be_held("kills after a checkpoint") {
            return;
        }
        for hit in [0, 1] {
            let folder = Folder::new();
            let long = LONG as u64;
            let Some(()) = with_holes(&folder, 2 * long, &[(0, LONG)]) else { return };
            let [reader, writer] = after_a_checkpoint(&folder, "--replace-within=60s");
            let (victim, survivor) = if hit == 0 { (reader, writer) } else { (writer, reader) };
            victim.kill();
            victim.end();
            survivor.go_on();
            survivor.says("waiting up to 1m");
            complete([folder.duocopy("--replace-within=60s src dst").start(), survivor]);
            folder.assert_same("src", "dst");
            assert!(space(&folder, "dst") < 2 * long);
        }
    }
}
