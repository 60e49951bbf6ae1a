//! A working directory whose own path is of no use: too long, closed to this user, or of another directory by now.

use crate::util::*;
use std::fs;

/// A line of shell that goes into a directory whose path is longer than any that the kernel takes.
const DEEPER: &str =
    "name=$(printf 'd%.0s' $(seq 240)); for i in $(seq 18); do mkdir -p $name; cd $name; done";

/// A directory `inner` that everybody may use, with a source, in one that only root may enter.
fn closed(folder: &Folder) {
    for name in ["outer", "outer/inner", "outer/inner/sub"] {
        folder.make(name);
        folder.set_mode(name, 0o777);
    }
    folder.write("outer/inner/src", bytes(MIB, 1));
    folder.set_mode("outer/inner/src", 0o644);
    folder.set_mode("outer", 0o700);
}

/// Runs this line of shell, in which `$D` is the program, as a user who may not enter `outer`.
fn by_nobody(folder: &Folder, script: &str) -> Ended {
    let (inner, program) = (folder.text("outer/inner"), folder.program_for_others());
    let user = format!("setpriv --reuid {NOBODY} --regid {NOBODY} --clear-groups");
    let mut command = std::process::Command::new("env");
    command
        .args(["-C", &inner, &format!("D={}", program.display())])
        .args(user.split(' '))
        .args(["bash", "-c", script]);
    folder.start(command, false).end()
}

#[test(needs = [root, bash])]
fn relative_paths_need_no_right_to_the_directory_above() {
    let folder = Folder::new();
    closed(&folder);
    let script = "set -e; $D cp src dst; $D cp ./src sub; $D cp -t . sub/src; $D cp src sub/../again; \
                  $D --wait=9s src pair & $D --wait=9s src ./pair; wait $!; \
                  $D read --wait=9s src x & $D write --wait=9s half x; wait $!; \
                  cmp src dst; cmp src sub/src; cmp src again; cmp src pair; cmp src half";
    by_nobody(&folder, script).expect(0, &[]);
    // A message shows where it was, and a command for somebody who is elsewhere.
    let ended = by_nobody(&folder, "$D cp none dst; $D --wait=3s src dst");
    let there = folder.text("outer/inner");
    let command = format!("duocopy {there}/src {there}/dst");
    ended.expect(10, &["cannot open the source: ", &format!("{there}/none"), &command]);
}

#[test(needs = [root, bash])]
fn two_processes_of_a_pair_meet_in_a_directory_without_a_path() {
    let folder = Folder::new();
    closed(&folder);
    // The system cannot tell where it is.
    let script = format!(
        "{DEEPER}; echo content > src; set -e; \
         $D --wait=9s src dst & until $D status --json >seen && grep -q '/src -> (dir' seen; do :; done; \
         $D --wait=9s src dst; wait $!; cmp src dst; \
         $D cp src sub/none && exit 1; $D cp src copied; cmp src copied; grep -o 'directory [0-9a-f:]*)/src -> ' seen"
    );
    let ended = by_nobody(&folder, &script);
    assert!(ended.output.contains("/src -> "), "{ended:?}");
    // Two other directories without a path are another name.
    let script = format!(
        "{DEEPER}; mkdir a b; echo content | tee a/src >b/src; \
         (cd a; $D --wait=1s src dst) & (cd b; $D --wait=1s src dst); echo $?; wait $!; echo $?"
    );
    assert_eq!(by_nobody(&folder, &script).output, "10\n10\n");
    // The command for the other process works only in this directory.
    let script = format!("{DEEPER}; echo content > src; $D --wait=3s src ./--x; $D --wait=3s -- src -x");
    by_nobody(&folder, &script).expect(10, &["\n  duocopy src ./--x\n", "\n  duocopy -- src -x\n"]);
}

#[test(needs = [bash])]
fn a_working_directory_may_have_a_path_of_any_length() {
    let folder = Folder::new();
    let script = format!(
        "{DEEPER}; set -e; echo content > src; mkdir sub; $D cp src dst; $D cp src sub; $D cp -t . sub/src -T 2>/dev/null && exit 1; \
         $D cp -t sub dst; $D --wait=9s src pair & $D --wait=9s src pair; wait $!; \
         $D cp src none/. && exit 1; $D write none/ x && exit 1; cmp src dst; cmp src sub/src; cmp src sub/dst; cmp src pair"
    );
    let mut command = std::process::Command::new("bash");
    command.args(["-c", &script]).env("D", PROGRAM);
    folder.start(command, false).end().expect(0, &["there is no such directory"]);
}

#[test(needs = [own_mounts])]
fn a_relative_path_leads_below_what_was_mounted_over_the_working_directory() {
    let folder = Folder::new();
    folder.make("under");
    folder.write("under/src", "content");
    let script = "cd under; mount -t tmpfs tmpfs \"$PWD\"; \"$0\" cp src dst; cmp src dst; \
                  \"$0\" --wait=9s src pair & \"$0\" --wait=9s src pair; wait $!; cmp src pair; ls \"$PWD\"";
    let ended = folder.with_own_mounts(script);
    assert_eq!((ended.code, ended.output.as_str()), (0, ""), "{ended:?}");
    folder.assert_same("under/src", "under/dst");
}

#[test]
fn a_working_directory_that_was_removed_has_no_files() {
    let folder = Folder::new();
    let run = folder.duocopy("cp src dst").after("mkdir gone; cd gone; rmdir ../gone");
    run.end().expect(5, &["cannot open the source", "o such file or directory"]);
}

#[test]
fn what_ends_like_a_directory_must_be_one() {
    let folder = Folder::with_source(KIB);
    folder.make("place");
    folder.write("file", OLD);
    for end in ["/", "/.", "/..", "//", "/./", "/./."] {
        for name in ["new", "file", "place/new"] {
            let line = format!("cp src {name}{end}");
            folder.duocopy(&line).end().expect(6, &["there is no such directory: ", name]);
            folder
                .duocopy(&format!("write {name}{end} x"))
                .end()
                .expect(6, &["there is no such directory: "]);
            folder.duocopy(&format!("src {name}{end}")).end().expect(6, &["there is no such directory: "]);
        }
        assert!(!folder.is_there("new") && !folder.is_there("place/new"));
        assert_eq!(folder.read("file"), OLD);
        folder.duocopy(&format!("cp src{end} dst")).end().expect(5, &["ot a directory"]);
        folder.duocopy(&format!("read src{end} x")).end().expect(5, &["ot a directory"]);
    }
    for end in ["", "/", "/.", "/../place"] {
        folder.duocopy(&format!("cp src place{end}")).end().expect(0, &[]);
        folder.assert_same("src", "place/src");
        fs::remove_file(folder.path("place/src")).unwrap();
    }
    // Names that only begin or end with dots are files.
    for name in ["...", "place/..x", "x."] {
        folder.duocopy(&format!("cp src {name}")).end().expect(0, &[]);
        folder.assert_same("src", name);
    }
    // A file of this name is no standard stream.
    folder.duocopy("cp src ./-").end().expect(0, &[]);
    complete([folder.read_half("./-").start(), folder.write_half("place/../copied").start()]);
    folder.assert_same("src", "copied");
}
