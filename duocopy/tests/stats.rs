//! `--stats` and `--bwlimit`: what each process reports about itself and its peer.

use crate::util::*;

#[test]
fn both_report_statistics_only_on_request() {
    let folder = Folder::new();
    folder.write("src", bytes(MIB, 1));
    let asked = folder.duocopy("cp --stats --block-size=64K src dst").end();
    asked.expect(
        0,
        &[
            "duocopy: Reader: 1048576 bytes in ",
            "waiting for empty blocks: ",
            "duocopy: Reader: filled blocks when it asked for one: less than a quarter ",
            "duocopy: Writer: 1048576 bytes in ",
            "waiting for filled blocks: ",
            "duocopy: Writer: filled blocks when it asked for one: less than a quarter ",
            "duocopy: Writer: flushing the rest took ",
        ],
    );
    folder.assert_same("src", "dst");
    let again = folder.duocopy("cp --stats --verify=reread src dst").end();
    again.expect(0, &["duocopy: Writer: reading the copy back took "]);
    assert_eq!(folder.duocopy("cp src dst").end().messages, "");
    folder.duocopy("cp --stats -q src dst").end().expect(2, &["cannot be used with"]);
}

#[test(needs = [strace], not_on_windows = "it is slowed down by strace")]
fn the_slower_side_is_named() {
    let folder = Folder::new();
    folder.write("src", bytes(MIB, 1));
    let line = "--stats --fsync=none --block-size=64K --buffer-size=256K src dst";
    for (call, slow_one, say) in [
        ("pwrite64", 1, [": writing DST is the bottleneck"; 2]),
        (
            "read",
            0,
            [": reading SRC is the bottleneck", ": reading SRC, or its --bwlimit, is the bottleneck"],
        ),
    ] {
        let slow = format!("-f -e trace={call} -e inject={call}:delay_enter=20000");
        let halves = [0, 1].map(|half| {
            let run = folder.duocopy(line);
            if half == slow_one { run.traced(&slow) } else { run }
        });
        let [one, other] = halves;
        for (half, message) in end(pair(one, other)).iter().zip(say) {
            half.expect(0, &[message]);
        }
    }
}

/// A limit may be less than a block per second, and an interrupt ends the sleep between two reads.
#[test]
fn a_rate_is_kept_and_named_and_can_be_interrupted() {
    let folder = Folder::new();
    folder.write("src", bytes(MIB, 1));
    let slow = folder.duocopy("cp --bwlimit=2M --block-size=1M --stats src dst").end();
    slow.expect(0, &["Reader: 1048576 bytes in ", ": --bwlimit is the bottleneck"]);
    assert!(slow.took >= milliseconds(450), "{:?}", slow.took);
    folder.assert_same("src", "dst");
    folder.write("dst", "old");
    // This takes six days.
    let [reader, writer] = pair(folder.duocopy("--bwlimit=2 src dst"), folder.duocopy("src dst"));
    until("the first bytes", || folder.temporaries("").pop());
    reader.signal(Signal::INT);
    let [reader, writer] = end([reader, writer]);
    reader.expect(130, &["interrupted"]);
    writer.expect(8, &["was interrupted"]);
    assert_eq!(folder.read("dst"), b"old");
}

#[test]
fn the_writers_lines_of_cp_are_not_warnings() {
    let folder = Folder::new();
    folder.write("src", bytes(2 * MIB, 1));
    let ended = folder.duocopy("cp --json --stats src dst").end();
    ended.expect(0, &["Writer: ", "Reader: "]);
    let objects = ended.output.lines().map(|line| serde_json::from_str(line).expect("an object"));
    let objects: Vec<serde_json::Value> = objects.collect();
    assert!(objects.iter().all(|object| object["type"] != "warning"), "{}", ended.output);
    for role in ["reader", "writer"] {
        let is_of_role = |object: &&serde_json::Value| object["type"] == "stats" && object["role"] == role;
        let of_role: Vec<_> = objects.iter().filter(is_of_role).collect();
        let [stats] = of_role[..] else { panic!("{role}: {}", ended.output) };
        assert!(stats["bytes"] == 2 * MIB && stats["seconds"].as_f64() > Some(0.0), "{stats}");
    }
}
