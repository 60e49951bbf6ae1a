//! `duocopy status`, and `--json`.

use crate::util::*;
use serde_json::Value;
#[cfg(unix)]
use std::fs;

/// Parses the output, in which every line is an object with a type and a version.
#[track_caller]
fn objects(ended: &Ended) -> Vec<Value> {
    let object = |line: &str| {
        let object: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(object["type"].is_string() && object["version"] == 1, "{object}");
        object
    };
    ended.output.lines().map(object).collect()
}

#[track_caller]
fn of_type(objects: &[Value], kind: &str) -> Vec<Value> {
    objects.iter().filter(|object| object["type"] == kind).cloned().collect()
}

#[test]
fn waiting_and_copying_processes_are_shown_and_not_disturbed() {
    let folder = Folder::new();
    let name = folder.pipe_name();
    folder.write("src", bytes(MIB, 1));
    let status = |flags: &str| folder.duocopy(&format!("status {flags} {name}")).end();
    status("")
        .expect(1, &[&format!("there is no pipe \u{201c}{name}\u{201d}"), "`duocopy status` shows all"]);

    let reader = folder.duocopy(&format!("read --bwlimit=512K src {name}")).start();
    let seen = until("the lonely Reader", || {
        let seen = status("");
        seen.output.contains("has waited for the other process for").then_some(seen)
    });
    let process = format!("Reader: process {}", reader.id());
    for text in [&name, &process, "Writer: not arrived yet", "0 B written of 1.00 MiB (0 %)"] {
        assert!(seen.output.contains(text), "{text}: {seen:?}");
    }
    let one = &objects(&status("--json"))[0];
    assert!(one["waits"]["who"] == "reader" && one["waits"]["seconds"].as_f64() > Some(0.0), "{one}");
    assert!(one["writer"].is_null() && one["dead"] == false && one["length"] == MIB, "{one}");

    let writer = folder.duocopy(&format!("write dst {name}")).start();
    let moving = until("the copy", || {
        let seen = objects(&status("--json"));
        seen.into_iter().find(|one| one["phase"] == "moving" && one["read_per_second"].as_u64() > Some(0))
    });
    assert_eq!(
        (&moving["name"], &moving["blocks"]),
        (&Value::from(name.as_str()), &Value::from(2)),
        "{moving}"
    );
    assert_eq!(moving["reader"]["process"], reader.id(), "{moving}");
    while folder.duocopy(&format!("status {name}")).end().code == 0 {}
    complete([reader, writer]);
    folder.assert_same("src", "dst");
}

/// Without NAME the two paths are the name, and `status` takes the name as it is shown.
#[test]
fn a_pair_is_found_by_its_paths() {
    let folder = Folder::new();
    folder.write("src", bytes(MIB, 1));
    let name = format!("{} -> {}", folder.text("src"), folder.text("dst"));
    let status = || folder.duocopy("status --json").word(&name).end();
    status().expect(1, &["there is no pipe"]);
    let reader = folder.duocopy("--wait=30s src dst").start();
    let is_joined = |seen: &Ended| seen.code == 0 && objects(seen)[0]["reader"].is_object();
    let seen = until("the lonely Reader", || Some(status()).filter(is_joined));
    assert_eq!(objects(&seen)[0]["reader"]["process"], reader.id(), "{seen:?}");
    complete([reader, folder.duocopy("src dst").start()]);
}

/// What `status` shows as the name of a pipe is a name for `status`, whatever characters it has.
#[test(not_on_windows = "names of files have no such characters")]
fn a_pipe_is_found_by_the_name_that_is_shown() {
    let folder = Folder::new();
    let odd =
        ["plain", " -> ", "a -> b", "->", "new\nline", "\u{202e}turned", "a\\n", "\u{201c}quoted\u{201d}"];
    for (source, destination) in odd.iter().zip(odd.iter().cycle().skip(1)) {
        let source = format!("{source} of a file");
        folder.write(&source, "x");
        let reader = folder.duocopy("--wait=30s --").word(&source).word(destination).start();
        let own = Value::from(reader.id());
        let is_own = |seen: &Value| seen["reader"]["process"] == own;
        let seen = || objects(&folder.duocopy("status --json").end()).into_iter().find(is_own);
        let name = until("the lonely Reader", seen)["name"].as_str().unwrap().to_owned();
        let seen = folder.duocopy("status --json").word(&name).end();
        assert!(objects(&seen).iter().any(is_own), "{name}: {seen:?}");
        reader.signal(Signal::TERM);
        reader.end();
        folder.duocopy("status").word(&name).end().expect(1, &["there is no pipe"]);
    }
}

#[test(not_on_windows = "kernel objects cannot be listed, and go with their last handle")]
fn the_list_shows_all_pipes_and_cleaning_removes_only_dead_ones() {
    let folder = Folder::new();
    folder.write("src", "x");
    folder.make("meet");
    folder.set_mode("meet", 0o700);
    let status = |flags: &str| folder.duocopy(&format!("status --dir=meet {flags}")).end();
    assert_eq!(status("").output, "no pipes\n");
    let read = |name: &str| folder.duocopy(&format!("-v --dir=meet src dst {name}")).start();
    let (alive, dead, strange) = (read("alive"), read("dead"), read("strange"));
    for reader in [&alive, &dead, &strange] {
        reader.reports("this is the Reader");
    }
    dead.kill();
    let pipes = std::fs::read_dir(folder.path("meet")).expect("a folder").flatten();
    let is_strange = |path: &std::path::Path| {
        std::fs::read(path).is_ok_and(|content| content.windows(7).any(|part| part == b"strange"))
    };
    let path = pipes
        .filter(|entry| entry.file_name().len() == 32)
        .find_map(|entry| is_strange(&entry.path()).then_some(entry.path()))
        .expect("its pipe");
    std::fs::File::options()
        .write(true)
        .open(path)
        .expect("ours")
        .write_all_at(&[77], pipe_header::VERSION)
        .expect("ours");

    let all = status("");
    let copy = format!("{} -> {}", folder.text("src"), folder.text("dst"));
    for text in [
        &format!("\u{201c}alive\u{201d}: {copy}"),
        "\u{201c}dead\u{201d}: left by a killed pair; the next copy removes it, or `duocopy status --clean` does",
        "one pipe cannot be inspected: ",
        "speaks version 77",
    ] {
        assert!(all.output.contains(text), "{text}: {all:?}");
    }
    let listed = objects(&status("--json"));
    let dead: Vec<_> = listed.iter().filter(|one| one["dead"] == true).map(|one| &one["name"]).collect();
    assert_eq!(dead, ["dead"]);

    assert_eq!(status("--clean").output, "removed \u{201c}dead\u{201d}, which a killed pair had left\n");
    assert_eq!(status("--clean").output, "nothing to remove\n");
    strange.kill();
    until("its end", || strange.ended());
    let removed = status("--clean").output;
    assert_eq!(removed, "removed one of another version, which a killed pair had left\n");
    assert!(status("").output.contains("alive"));
    assert_eq!(folder.duocopy("status --dir=nowhere").end().expect(1, &["nowhere", "first"]).output, "");
}

#[test(not_on_windows = "it looks into a directory")]
fn watching_continues_until_it_is_interrupted() {
    let folder = Folder::new();
    folder.make("meet");
    folder.set_mode("meet", 0o700);
    let watch = folder.duocopy("status --dir=meet --watch").start();
    until("three looks", || (watch.output().matches("no pipes").count() >= 3).then_some(()));
    watch.signal(Signal::INT);
    watch.end().expect(0, &[]);
}

#[test]
fn json_reports_the_beginning_the_progress_and_the_end() {
    let folder = Folder::new();
    folder.write("src", bytes(3 * MIB, 1));
    let line = "--json --bwlimit=1M src dst";
    for (ended, role) in
        end(pair(folder.duocopy(line), folder.duocopy(line))).iter().zip(["reader", "writer"])
    {
        ended.expect(0, &[]);
        let told = objects(ended);
        let [start] = &of_type(&told, "start")[..] else { panic!("{told:?}") };
        assert!(start["role"] == role && start["length"] == 3 * MIB, "{start}");
        let progress = of_type(&told, "progress");
        assert!(!progress.is_empty(), "{told:?}");
        assert!(progress.iter().all(|now| now["written"].as_u64() <= Some(3 * MIB as u64)), "{progress:?}");
        let last = told.last().expect("an end");
        assert!(last["type"] == "end" && last["code"] == 0 && last["bytes"] == 3 * MIB, "{last}");
        assert_eq!(last["checksum"]["algorithm"], "CRC-64/NVME", "{last}");
        let value = last["checksum"]["value"].as_str().expect("a text");
        assert!(
            value.len() == 16 && last["message"].is_null() && last["seconds"].as_f64() > Some(1.0),
            "{last}"
        );
    }
    // Only the process that was started reports anything.
    let alone = folder.duocopy("cp --json --verify=none src dst").end();
    let told = objects(alone.expect(0, &[]));
    assert_eq!((of_type(&told, "start").len(), of_type(&told, "end").len()), (1, 1), "{told:?}");
    assert!(told.last().expect("an end")["checksum"].is_null());

    let missing = folder.duocopy("cp --json nothing dst").end();
    let told = objects(missing.expect(5, &["nothing"]));
    let [end] = &of_type(&told, "end")[..] else { panic!("{told:?}") };
    assert!(end["code"] == 5 && end["message"].as_str().is_some_and(|it| it.contains("nothing")), "{end}");
    // Messages for users remain.
    let warned = folder.duocopy("cp --json --block-size=1 src dst").end();
    let warnings = of_type(&objects(&warned), "warning");
    assert!(warnings.iter().any(|it| it["message"].as_str().is_some_and(|it| it.contains("using up to"))));
}

#[test(not_on_windows = "there is no shell")]
fn two_processes_that_share_one_output_do_not_cut_each_others_lines() {
    let folder = Folder::new();
    let long = folder.make("n".repeat(200));
    fs::write(long.join("src"), bytes(300 * KIB, 2)).expect("ours");
    for _ in 0..20 {
        let line = format!(
            "for i in 1 2; do '{PROGRAM}' --json --block-size=1 {long}/src dst & done | cat",
            long = long.display()
        );
        let output =
            std::process::Command::new("sh").args(["-c", &line]).current_dir(folder.path("")).output();
        let output = output.expect("a shell");
        let text = String::from_utf8(output.stdout).expect("text");
        assert!(
            text.lines().count() >= 4 && text.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()),
            "{text}"
        );
    }
}
