//! The messages that users see when something goes wrong, word for word: `messages.txt` has every scene below.
//!
//! `DUOCOPY_GENERATE=1 cargo test -p duocopy --test suite messages::` writes that file again. Read the changes as a user
//! who sees them for the first time: what failed, for which path, and what to do next.
//!
//! Windows has other messages of the system, and no strace; the portable build makes other calls.

use crate::util::*;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::{FileExt, lchown, symlink};
use std::path::{Path, PathBuf};

type Change = fn(&Folder);
/// A change of the folder, or of the temporary file with this path.
type ChangeBeside = fn(&Folder, &Path);
type Act = fn(&[Process; 2]);

/// All scenes so far.
#[derive(Default)]
struct Book(String);

/// A folder with a source and an old destination, and the processes that were started in it.
struct Scene {
    folder: Folder,
    told: Vec<(String, Ended)>,
}

impl Scene {
    fn new() -> Self {
        let folder = Folder::new();
        folder.write("src", bytes(300 * KIB, 1));
        folder.write("dst", OLD);
        Self { folder, told: Vec::new() }
    }

    /// Runs one process to its end.
    fn run(&mut self, line: &str) -> &mut Self {
        let ended = self.folder.duocopy(line).end();
        self.keep(line, ended)
    }

    /// Runs one process in which this call fails.
    fn fails(&mut self, line: &str, injection: &str) -> &mut Self {
        let run = self.folder.duocopy(line).traced(&failing(injection));
        self.keep(line, run.end())
    }

    /// Runs two processes; this call fails in the second one.
    fn pair_fails(&mut self, line: &str, injection: &str) -> &mut Self {
        let reader = self.folder.duocopy(&format!("--wait=3s {line}")).start();
        until("its seat", || self.folder.pipe());
        let writer = self.folder.duocopy(line).traced(&failing(injection)).start();
        let ended = end([reader, writer]);
        self.keep_both(line, line, ended)
    }

    /// Runs two processes, the first of which waits for the second.
    fn both(&mut self, first: &str, second: &str) -> &mut Self {
        let started = self.folder.duocopy(first).start();
        started_well(&started, &self.folder, first);
        let second_one = self.folder.duocopy(second).start();
        let ended = end([started, second_one]);
        self.keep_both(first, second, ended)
    }

    fn keep(&mut self, line: &str, ended: Ended) -> &mut Self {
        self.told.push((line.into(), ended));
        self
    }

    fn keep_both(&mut self, first: &str, second: &str, [one, other]: [Ended; 2]) -> &mut Self {
        self.keep(first, one).keep(second, other)
    }
}

/// Waits until the process has opened its pipe.
fn started_well(process: &Process, folder: &Folder, line: &str) {
    until("it has arrived", || {
        let seen = folder.duocopy("status --json").end().output;
        (seen.contains(&format!("\"process\":{}", process.id())) || process.ended().is_some()).then_some(())
    });
    assert!(process.ended().is_none(), "{line}: {}", process.messages());
}

fn failing(injection: &str) -> String {
    let call = injection.split(':').next().expect("a call");
    format!("-f -e trace={call} -e inject={injection}")
}

impl Book {
    fn tell(&mut self, title: &str, scene: &Scene) {
        writeln!(self.0, "## {title}\n").expect("a text");
        for (line, ended) in &scene.told {
            writeln!(self.0, "$ duocopy {line}\n{}=> {}\n", ended.messages, ended.code).expect("a text");
        }
        let own = scene.folder.text("");
        self.0 = self.0.replace(own.trim_end_matches('/'), "/home");
    }
}

/// Replaces numbers that differ in every run.
fn without_numbers(text: &str) -> String {
    let hidden = |text: String, before: &str, is_part: fn(char) -> bool| {
        let mut parts = text.split(before);
        let first = parts.next().unwrap_or_default().to_owned();
        parts.fold(first, |all, part| format!("{all}{before}{}", hide(part, is_part)))
    };
    let is_digit = |c: char| c.is_ascii_digit();
    let is_hex = |c: char| c.is_ascii_hexdigit();
    let text = hidden(text.to_owned(), "process ", is_digit);
    let text = hidden(text, "processes ", |c| c.is_ascii_digit() || c == ' ' || "and".contains(c));
    let text = hidden(text, ".duocopy-", is_hex);
    let text = hidden(text, "\u{201c}duocopy cp ", is_hex);
    let text = hidden(text, "/dev/shm/blockpipe", |c| c == '/' || c == '-' || c.is_ascii_alphanumeric());
    let text = hidden(text, "no space for ", is_digit);
    let text = hidden(text, " bytes (", is_digit);
    hidden(text, "/home/meet/", is_hex)
}

fn hide(part: &str, is_part: fn(char) -> bool) -> String {
    let rest = part.trim_start_matches(is_part);
    if rest.len() < part.len() { format!("#{rest}") } else { part.into() }
}

#[test(needs = [strace, root, files_on_a_disk])]
fn every_message_names_the_failure_the_path_and_the_remedy() {
    let mut book = Book::default();
    the_source(&mut book);
    the_destination(&mut book);
    what_fails_in_the_middle(&mut book);
    the_halves(&mut book);
    the_pipe(&mut book);
    the_end(&mut book);
    let told = without_numbers(&book.0);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/messages.txt");
    if std::env::var_os("DUOCOPY_GENERATE").is_some() {
        fs::write(&path, &told).expect("writing what is told");
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    let differs = told.lines().zip(written.lines()).position(|(told, written)| told != written);
    if told != written {
        let at = differs.unwrap_or(written.lines().count().min(told.lines().count()));
        let around =
            |text: &str| text.lines().skip(at.saturating_sub(4)).take(9).collect::<Vec<_>>().join("\n");
        panic!("line {}:\n{}\n\nand not, as in messages.txt:\n{}", at + 1, around(&told), around(&written));
    }
}

fn the_source(book: &mut Book) {
    let mut scene = Scene::new();
    scene.run("cp missing dst").run("cp src/under dst").run("cp . dst").run("cp - dst");
    scene.folder.write("secret", "x");
    scene.folder.set_mode("secret", 0o600);
    let ended = scene.folder.duocopy("cp secret /tmp/not-made").by_nobody().end();
    scene.keep("cp secret /tmp/not-made", ended);
    scene.folder.make_fifo("fifo");
    scene.run("cp fifo dst");
    book.tell("A source that cannot be copied", &scene);

    let mut scene = Scene::new();
    let only = format!("read:error=EIO:when=1 -P {}", scene.folder.text("src"));
    scene.fails("cp src dst", &only);
    scene.fails("cp --preserve=xattr src dst", "flistxattr:error=EIO:when=1");
    book.tell("A source that cannot be read", &scene);

    let changes: [(&str, Change); 4] = [
        ("shrinks", |folder| {
            fs::File::options().write(true).open(folder.path("src")).unwrap().set_len(5).unwrap();
        }),
        ("grows", |folder| {
            // Not by writing it anew, which makes it empty first.
            fs::File::options().write(true).open(folder.path("src")).unwrap().set_len(2 << 20).unwrap();
        }),
        ("is written to", |folder| {
            let file = fs::File::options().write(true).open(folder.path("src")).unwrap();
            file.write_all_at(b"x", 0).unwrap();
        }),
        ("is replaced", |folder| {
            folder.write("new", bytes(MIB, 3));
            fs::rename(folder.path("new"), folder.path("src")).unwrap();
        }),
    ];
    for (title, change) in changes {
        let mut scene = Scene::new();
        scene.folder.write("src", bytes(MIB, 1));
        let line = "--bwlimit=1M src dst";
        let both = pair(scene.folder.duocopy(line), scene.folder.duocopy(line));
        until("the copy", || scene.folder.left_over("part"));
        change(&scene.folder);
        let mut ended = end(both);
        // Earlier lines describe the beginning, because of `-v`.
        for ended in &mut ended {
            ended.messages = last_line(&ended.messages);
        }
        scene.keep_both(line, line, ended);
        book.tell(&format!("A source that {title} while it is read"), &scene);
    }
}

fn last_line(messages: &str) -> String {
    messages.lines().last().map_or(String::new(), |line| format!("{line}\n"))
}

fn the_destination(book: &mut Book) {
    let mut scene = Scene::new();
    scene.folder.make("place");
    scene.folder.write("file", "x");
    let long = "n".repeat(256);
    scene
        .run("cp src nowhere/dst")
        .run("cp src nowhere/")
        .run("cp -t nowhere src")
        .run("cp src file/dst")
        .run("cp -T src place")
        .run("cp src /dev/null")
        .run("cp src src")
        .run(&format!("cp src {long}"))
        .run("cp src /proc/dst")
        .run("cp file/ dst")
        .run("write nowhere/ x");
    scene.told[7].0 = "cp src (256 letters)".into();
    for (name, target) in [("loop", "loop"), ("dangling", "nothing")] {
        symlink(target, scene.folder.path(name)).unwrap();
        scene.run(&format!("cp src {name}"));
    }
    let long = scene.folder.text(&long);
    let replaced = scene.told[7].1.messages.replace(&long, "/home/(256 letters)");
    scene.told[7].1.messages = replaced;
    scene.folder.make("closed");
    scene.folder.set_mode("closed", 0o555);
    scene.folder.set_mode("src", 0o644);
    let ended = scene.folder.duocopy("cp src closed/dst").by_nobody().end();
    scene.keep("cp src closed/dst", ended);
    scene.run("cp --update=none-fail src dst").run("cp -v -n src dst");
    book.tell("A destination that will not do", &scene);

    let mut scene = Scene::new();
    for place in ["place", "other"] {
        scene.folder.make(place);
    }
    scene.folder.write("other/src", "x");
    scene.folder.write("place/dst", "x");
    symlink("src", scene.folder.path("link")).unwrap();
    for line in [
        "cp src other/src place",
        "cp src missing dst",
        "cp -R src place other",
        "cp --reflink src dst",
        "cp -i src dst",
        "cp --parents ../src place",
        "cp --parents other/src dst",
        "cp -PT link other",
        "cp -P --attributes-only link dst",
        "cp --parents dst/x place",
    ] {
        scene.run(line);
    }
    scene.fails("cp --parents other/src place", "mkdirat:error=EROFS:when=1");
    book.tell("Options of cp", &scene);

    let mut scene = Scene::new();
    scene.folder.set_mode("dst", 0o4755);
    scene.run("cp src dst");
    book.tell("A set-user-ID program that is replaced", &scene);

    let mut scene = Scene::new();
    let (folder, theirs) = (&scene.folder, Some(20_003));
    folder.make("drop");
    folder.set_mode("drop", 0o1777);
    symlink(folder.path("dst"), folder.path("drop/link")).unwrap();
    folder.write("drop/file", OLD);
    folder.make_fifo("drop/fifo");
    folder.make_fifo("fifo");
    for name in ["drop/link", "drop/file", "drop/fifo", "fifo"] {
        lchown(folder.path(name), theirs, theirs).unwrap();
    }
    for line in [
        "cp src drop/link",
        "cp drop/link new",
        "cp src drop/file",
        "write --dry-run -f drop/fifo x",
        "write --dry-run fifo x",
    ] {
        scene.run(line);
    }
    book.tell("Files of another user", &scene);

    let mut scene = Scene::new();
    scene.folder.write("src", bytes(2 * MIB, 1));
    let both = held_in_the_middle(&scene.folder, &format!("{SMALL_BLOCKS} src dst"));
    scene.run("cp src dst");
    drop(both);
    book.tell("A destination that another copy writes", &scene);
}

fn what_fails_in_the_middle(book: &mut Book) {
    for (title, line, injection) in [
        ("No space is reserved", "src dst", "fallocate:error=ENOSPC:when=1"),
        ("No space is left", "src dst", "pwrite64:error=ENOSPC:when=1"),
        ("The quota is exceeded", "src dst", "pwrite64:error=EDQUOT:when=1"),
        ("The disk fails", "src dst", "pwrite64:error=EIO:when=1"),
        ("A file may not be so large", "src dst", "pwrite64:error=EFBIG:when=1"),
        ("The copy cannot be flushed", "src dst", "fsync:error=EIO:when=1"),
        ("The copy cannot be put in its place", "src dst", "renameat:error=EIO:when=1"),
        ("The name cannot be flushed", "src dst", "fsync:error=EIO:when=2"),
        ("The old file cannot be kept", "--backup src dst", "linkat:error=EPERM:when=1"),
        ("The copy cannot be read again", "--verify=reread src dst", "read:error=EIO:when=20+"),
    ] {
        let mut scene = Scene::new();
        scene.pair_fails(line, injection);
        book.tell(title, &scene);
    }
    let changes: [(&str, ChangeBeside); 3] = [
        ("The temporary file is replaced", |_, part| {
            fs::rename(part, part.with_extension("moved")).unwrap();
            fs::write(part, "x").unwrap();
        }),
        ("The destination becomes a directory", |folder, _| {
            fs::remove_file(folder.path("place/dst")).unwrap();
            folder.make("place/dst");
        }),
        ("The directory is moved away", |folder, _| {
            fs::rename(folder.path("place"), folder.path("elsewhere")).unwrap();
            folder.make("place");
        }),
    ];
    for (title, change) in changes {
        let mut scene = Scene::new();
        scene.folder.write("src", bytes(MIB, 1));
        scene.folder.make("place");
        scene.folder.write("place/dst", OLD);
        let line = "--bwlimit=1M src place/dst";
        let started = scene.folder.duocopy(line).start_reader();
        let both = [started, scene.folder.duocopy(line).start()];
        // Wait for the first bytes: an empty file that is replaced is made again.
        let written = |part: &PathBuf| {
            part.extension().is_some_and(|it| it == "part") && fs::metadata(part).is_ok_and(|it| it.len() > 0)
        };
        let part = until("the copy", || scene.folder.temporaries("place").into_iter().find(written));
        change(&scene.folder, &part);
        let mut ended = end(both);
        ended[0].messages = last_line(&ended[0].messages);
        scene.keep_both(line, line, ended);
        book.tell(title, &scene);
    }
}

fn the_halves(book: &mut Book) {
    let mut scene = Scene::new();
    let name = scene.folder.text("x");
    let halves = |scene: &mut Scene, read: &str, write: &str| {
        let (first, second) = (format!("read {read} {name}"), format!("write {write} {name}"));
        scene.both(&first, &second);
    };
    symlink("dst", scene.folder.path("link")).unwrap();
    halves(&mut scene, "src", "dst");
    halves(&mut scene, "src", "link");
    halves(&mut scene, "src", "--max-bytes=1K new");
    halves(&mut scene, "src", "--verify=none new");
    halves(&mut scene, "src", "--verify=reread -");
    halves(&mut scene, "src", "/dev/full");
    scene.run("write --peer-user=nobody new x");
    halves(&mut scene, "-", "-p new");
    scene.run(&format!("read missing {name}"));
    scene.folder.make_fifo("fifo");
    halves(&mut scene, "--wait=1s fifo", "new2");
    scene.run("write --wait=100ms new x-alone").run("read --peer-user=no-such-user src x");
    book.tell("Halves that do not fit together", &scene);
}

/// Plays a scene while a Reader waits for its peer.
fn meanwhile(title: &str, book: &mut Book, act: impl FnOnce(&mut Scene)) {
    let mut scene = Scene::new();
    let started = scene.folder.duocopy("src dst").start_reader();
    act(&mut scene);
    drop(started);
    book.tell(title, &scene);
}

fn the_pipe(book: &mut Book) {
    let mut scene = Scene::new();
    scene.folder.write("src", bytes(2 * MIB, 1));
    let both = held_in_the_middle(&scene.folder, &format!("{SMALL_BLOCKS} src dst"));
    scene.folder.write("other", "x");
    let stopped = stop(&both);
    let mut ended = scene.folder.duocopy("src dst").end();
    ended.messages = without_progress(&ended.messages);
    scene.keep("src dst", ended);
    drop(stopped);
    book.tell("Too many instances", &scene);

    meanwhile("The name is in use for another copy", book, |scene| {
        let waiting = scene.folder.duocopy("src dst nightly-of-the-tests").start_reader();
        scene.folder.write("other", "x");
        scene.run("other dst nightly-of-the-tests");
        drop(waiting);
    });
    meanwhile("Another version", book, |scene| {
        let pipe = scene.folder.pipe().expect("the Reader waits");
        pipe.write_all_at(&[99], pipe_header::VERSION).expect("ours");
        scene.run("src dst");
    });

    let mut scene = Scene::new();
    scene.folder.make("meet");
    scene.run("read --dir=nowhere src x").run("read --dir=src src x");
    scene.folder.set_mode("meet", 0o700);
    scene.folder.set_mode("src", 0o644);
    let ended = scene.folder.duocopy("read --dir=meet src x").by_nobody().end();
    scene.keep("read --dir=meet src x", ended);
    scene.run("status --dir=meet x").run("status --dir=nowhere").run("--wait=100ms src dst");
    scene.fails("--wait=1s src dst", "fallocate:error=ENOSPC:when=1");
    scene.fails("--wait=1s src dst", "fallocate:error=ENOSPC:when=2");
    book.tell("No pipe", &scene);
}

/// Stops both processes, so that their state does not change.
fn stop(both: &[Process; 2]) -> Vec<&Process> {
    both.iter().inspect(|process| process.signal(Signal::STOP)).collect()
}

fn without_progress(messages: &str) -> String {
    let words = messages.split(' ').map(|word| {
        if !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit()) { "#" } else { word }
    });
    words.collect::<Vec<_>>().join(" ")
}

fn the_end(book: &mut Book) {
    let acts: [(&str, &str, Act); 6] = [
        ("The Reader dies", "", |both| both[0].kill()),
        ("The Writer dies", "", |both| both[1].kill()),
        ("The Reader dies and is waited for", "--replace-within=2s", |both| both[0].kill()),
        ("The Reader is interrupted", "", |both| both[0].signal(Signal::INT)),
        ("The Writer is interrupted", "", |both| both[1].signal(Signal::TERM)),
        ("The Writer is interrupted, and what it has is kept", "--partial", |both| {
            both[1].signal(Signal::INT);
        }),
    ];
    for (title, flags, act) in acts {
        let mut scene = Scene::new();
        scene.folder.write("src", bytes(2 * MIB, 1));
        let line = format!("{SMALL_BLOCKS} {flags} src dst");
        let both = held_in_the_middle(&scene.folder, &line);
        act(&both);
        let ended = end(both);
        let line = format!("{flags} src dst");
        for mut ended in ended {
            ended.messages = without_progress(&without_beginning(&ended.messages));
            scene.keep(line.trim(), ended);
        }
        book.tell(title, &scene);
    }

    // Between the trailer and the verdict.
    let mut scene = Scene::new();
    scene.pair_fails("src dst", "renameat:signal=KILL:when=1");
    book.tell("The Writer dies before the rename", &scene);

    let mut scene = Scene::new();
    let halves: PathBuf = scene.folder.path("x");
    let name = halves.to_str().expect("a readable path");
    let mut lying = blockpipe::Pipe::named(name).tag(HALVES).join_as_producer().unwrap();
    let mut origin = [0; 128];
    for (at, word) in [(16, 4_u64), (56, 0o644), (64, 1 << 8)] {
        origin[at..at + 8].copy_from_slice(&word.to_le_bytes());
    }
    lying.ready(blockpipe::Geometry::new(4096, 2), &origin).unwrap();
    let writer = scene.folder.duocopy("write new").word(name).start();
    lying.start().unwrap();
    let block = lying.empty_block().unwrap();
    lying.send(block, 4).unwrap();
    let _ = lying.close(&[7; 32]);
    let ended = writer.end();
    scene.keep("write new x", ended);
    book.tell("The checksums differ", &scene);
}

/// Removes the lines with which `-v` describes the beginning.
fn without_beginning(messages: &str) -> String {
    let is_beginning =
        |line: &&str| ["this is the", " blocks of ", "strace:"].iter().any(|part| line.contains(part));
    messages.split_inclusive('\n').filter(|line| !is_beginning(line)).collect()
}
