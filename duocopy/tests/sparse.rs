//! Holes: zeros that take no space.

#[cfg(windows)]
#[test(not_on_windows = "holes are read as zeros, and are made only with --sparse=always")]
fn holes_are_tested() {}

#[cfg(unix)]
mod holes {
    use crate::util::*;
    use std::fs::{File, OpenOptions};
    use std::os::unix::fs::{FileExt, MetadataExt};

    /// Makes a source of this length with data at these offsets, and holes between. The test needs `holes`.
    fn with_holes(folder: &Folder, length: u64, data: &[(u64, usize)]) {
        let file = File::create(folder.path("src")).unwrap();
        file.set_len(length).unwrap();
        for (offset, length) in data {
            file.write_all_at(&bytes(*length, *offset), *offset).unwrap();
        }
        assert!(space(folder, "src") < length);
    }

    fn space(folder: &Folder, name: &str) -> u64 {
        folder.path(name).metadata().unwrap().blocks() * 512
    }

    /// The space that a file system may take for itself.
    const SLACK: u64 = 256 << 10;

    #[test(needs = [holes])]
    fn holes_stay_holes_and_cost_nothing() {
        let folder = Folder::new();
        // Holes at the beginning, in the middle, shorter than a block, and at the end.
        let data = [(1 << 20, 3 * MIB + 5), (8 << 30, 4096), ((8 << 30) + 8192, 4096), (40 << 30, MIB)];
        with_holes(&folder, 64 << 30, &data);
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

    #[test(needs = [holes])]
    fn every_byte_is_what_it_was() {
        let folder = Folder::new();
        let data = [(0, 1), (5 << 20, MIB + 1), ((9 << 20) - 1, 2)];
        with_holes(&folder, 20 << 20, &data);
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

    #[test(needs = [holes, zeros_that_take_space])]
    fn runs_of_zeros_become_holes_on_request() {
        let folder = Folder::new();
        let mut content = vec![0; 20 << 20];
        content[5 << 20..][..MIB].copy_from_slice(&bytes(MIB, 1));
        content[(7 << 20) + 100] = 1;
        folder.write("src", &content);
        folder.duocopy("cp src dst").end().expect(0, &[]);
        folder.assert_same("src", "dst");
        assert!(space(&folder, "dst") >= 20 << 20);
        folder.duocopy("cp --sparse=always src dst").end().expect(0, &[]);
        folder.assert_same("src", "dst");
        let space = space(&folder, "dst");
        assert!(space <= MIB as u64 + 4096 + SLACK, "{space}");
    }

    /// Checks that a copy of this file, with each of these flags, takes no more space than its 1 MiB of data, and takes
    /// more if holes are not wanted.
    #[track_caller]
    fn assert_holes_stay(folder: &Folder, source: &str, flags: &[&str]) {
        for (flag, is_full) in flags.iter().map(|flag| (*flag, false)).chain([("--sparse=never", true)]) {
            folder.duocopy(&format!("cp {flag} {source} dst")).end().expect(0, &[]);
            folder.assert_same(source, "dst");
            let space = space(folder, "dst");
            assert_eq!(space > MIB as u64 + SLACK, is_full, "{flag}: {space}");
        }
    }

    /// Space that was reserved, and never written to, hides holes from a look at how much space the file takes.
    #[test(needs = [holes])]
    fn space_that_was_only_reserved_is_a_hole() {
        let folder = Folder::new();
        let source = File::create(folder.path("src")).unwrap();
        let flags = rustix::fs::FallocateFlags::empty();
        if rustix::fs::fallocate(&source, flags, 0, 20 << 20).is_err() {
            harness::ignore("no space can be reserved where temporary files are");
        }
        source.write_all_at(&bytes(MIB, 1), 7 << 20).unwrap();
        if space(&folder, "src") < 20 << 20 {
            harness::ignore("reserved space does not count where temporary files are");
        }
        // Only once: what was read is in the page cache, and counts as data.
        assert_holes_stay(&folder, "src", &[""]);
    }

    /// XFS gives blocks to the holes of a file that grows.
    #[cfg(target_os = "linux")]
    #[test(needs = [own_mounts, loop_devices, xfs])]
    fn a_file_of_many_holes_takes_no_more_than_its_data() {
        let folder = Folder::new();
        folder.make("disk");
        let source = File::create(folder.path("src")).unwrap();
        for piece in 0..1000 {
            source.write_all_at(&bytes(4096, piece), piece * 16384).unwrap();
        }
        source.set_len(1000 * 16384).unwrap();
        let ended = folder.with_own_mounts(
            "truncate -s 400M disk.img
            mkfs.xfs -q disk.img
            mount -o loop disk.img disk
            # Written by one process, so that the file system reserves space for more.
            $0 cp --sparse=never src disk/src
            cp --sparse=always src disk/holes
            for name in src disk/src disk/holes; do
                $0 cp $name disk/dst
                cmp src disk/dst
                stat -c %b disk/dst
            done",
        );
        ended.expect(0, &[]);
        let spaces: Vec<u64> = ended.output.lines().map(|line| line.parse::<u64>().unwrap() * 512).collect();
        let [sparse, full, again] = spaces[..] else { panic!("{ended:?}") };
        assert!(sparse <= (4 << 20) + SLACK && again <= (4 << 20) + SLACK, "{spaces:?}");
        assert!(full >= 16000 * 1024, "{spaces:?}");
    }

    /// The copy takes no more space than its data even if it is interrupted three times, before and between the holes.
    #[cfg(target_os = "linux")]
    #[test(needs = [own_mounts, loop_devices, xfs])]
    fn a_resumed_file_of_many_holes_takes_no_more_than_its_data() {
        let folder = Folder::new();
        folder.make("disk");
        let source = File::create(folder.path("src")).unwrap();
        source.write_all_at(&bytes(2 * MIB, 1), 0).unwrap();
        for piece in 0..1000 {
            source.write_all_at(&bytes(4096, piece), (2 << 20) + piece * 16384).unwrap();
        }
        let ended = folder.with_own_mounts(
            "truncate -s 400M disk.img
            mkfs.xfs -q disk.img
            mount -o loop disk.img disk
            for try in 1 2 3; do
                timeout -s INT 1 $0 cp --partial --bwlimit=1M src disk/dst || test $? = 124
            done
            $0 cp src disk/dst
            cmp src disk/dst
            stat -c %b disk/dst",
        );
        ended.expect(0, &[]);
        assert_eq!(ended.messages.matches("resuming an interrupted copy").count(), 3, "{ended:?}");
        let space = ended.output.trim().parse::<u64>().unwrap() * 512;
        assert!(space <= (6 << 20) + SLACK, "{space}");
    }

    /// Where the file system does not tell where holes are, zeros are looked for.
    #[cfg(target_os = "linux")]
    #[test(needs = [fuse, holes])]
    fn holes_that_the_file_system_does_not_show_stay_holes() {
        use crate::util::fuse::{Call, Errno, Fault};
        let folder = Folder::new();
        let mounted = folder.mount("mounted", &[Fault::Refuses(Call::SeekData, Errno::ENOSYS)]);
        let source = File::create(mounted.backing.join("src")).unwrap();
        source.set_len(20 << 20).unwrap();
        source.write_all_at(&bytes(MIB, 1), 5 << 20).unwrap();
        assert_holes_stay(&folder, "mounted/src", &["", "--verify=reread"]);
    }

    /// A copy would take years if a hole cost anything.
    #[cfg(target_os = "linux")]
    #[test(needs = [own_mounts, loop_devices, xfs])]
    fn the_longest_holes_cost_nothing() {
        let folder = Folder::new();
        folder.make("disk");
        let ended = folder.with_own_mounts(
            "truncate -s 320M disk.img
            mkfs.xfs -q disk.img
            mount -o loop disk.img disk
            truncate -s 4E disk/src
            printf first | dd of=disk/src conv=notrunc status=none
            printf last | dd of=disk/src seek=3000000000000000000 oflag=seek_bytes conv=notrunc status=none
            for flag in --verify=stream --verify=reread --verify=none; do
                timeout 30 $0 cp $flag disk/src disk/dst
                test $(stat -c %s disk/dst) = $(stat -c %s disk/src)
                head -c 5 disk/dst
                dd if=disk/dst skip=3000000000000000000 count=4 iflag=skip_bytes,count_bytes status=none
                rm disk/dst
            done",
        );
        ended.expect(0, &[]);
        assert_eq!(ended.output, "firstlast".repeat(3));
    }

    /// A dead Writer may have written anything past the resume point, and a hole does not overwrite that.
    #[test(needs = [held_copies, holes])]
    fn a_hole_shows_nothing_of_an_interrupted_copy() {
        let folder = Folder::new();
        let long = LONG as u64;
        with_holes(&folder, 3 * long, &[(0, LONG), (3 * long - 10, 10)]);
        folder.write("dst", OLD);
        let processes = after_a_checkpoint(&folder, "");
        processes.iter().for_each(Process::kill);
        end(processes);
        let left = OpenOptions::new().write(true).open(folder.left_over("part").unwrap()).unwrap();
        left.write_all_at(&vec![0xff; LONG], long + 4096).unwrap();
        complete(pair(folder.duocopy("src dst"), folder.duocopy("src dst")));
        folder.assert_same("src", "dst");
    }

    #[test(needs = [held_copies, holes])]
    fn a_replacement_continues_after_a_hole() {
        let folder = Folder::new();
        with_holes(&folder, 5 << 20, &[(4 << 20, MIB)]);
        let line = "--replace-within=60s src dst";
        let late = "-f -e trace=pwrite64 -e inject=pwrite64:delay_enter=2s";
        let [reader, writer] = pair(folder.duocopy(line), folder.duocopy(line).traced(late));
        until("the hole is made", || (folder.header()?.emptied > 0).then_some(()));
        writer.kill();
        writer.end();
        reader.reports("waiting up to 1m");
        complete([folder.duocopy(line).start(), reader]);
        folder.assert_same("src", "dst");
    }

    #[test(needs = [held_copies, holes])]
    fn a_replacement_continues_before_a_hole() {
        for hit in [0, 1] {
            let folder = Folder::new();
            let long = LONG as u64;
            with_holes(&folder, 2 * long, &[(0, LONG)]);
            let [reader, writer] = after_a_checkpoint(&folder, "--replace-within=60s");
            let (victim, survivor) = if hit == 0 { (reader, writer) } else { (writer, reader) };
            victim.kill();
            victim.end();
            survivor.go_on();
            survivor.reports("waiting up to 1m");
            complete([folder.duocopy("--replace-within=60s src dst").start(), survivor]);
            folder.assert_same("src", "dst");
            assert!(space(&folder, "dst") < 2 * long);
        }
    }

    /// What is written to reserved space is not compressed.
    #[test(needs = [own_mounts, loop_devices, btrfs])]
    fn a_copy_takes_as_little_space_as_the_file_system_can_make_it() {
        let folder = Folder::new();
        folder.write("src", "the same line again and again\n".repeat(MIB));
        File::create(folder.path("disk.img")).unwrap().set_len(200 << 20).unwrap();
        folder.make("disk");
        let ended = folder.with_own_mounts(
            "mkfs.btrfs -q disk.img
        mount -o loop,compress-force disk.img disk
        used() { sync -f disk; df --output=used -k disk | tail -n 1; }
        before=$(used)
        \"$0\" cp src disk/dst
        mkdir disk/attribute
        mount -o remount,compress=no disk
        chattr +c disk/attribute
        \"$0\" cp src disk/attribute/dst
        echo $(($(used) - before))",
        );
        ended.expect(0, &[]);
        // Two times 30 MiB.
        let taken: u64 =
            ended.output.lines().last().unwrap_or_default().parse().unwrap_or_else(|_| panic!("{ended:?}"));
        assert!(taken < 15 << 10, "{taken} KiB");
    }
}
