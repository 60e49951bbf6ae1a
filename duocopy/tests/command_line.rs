//! The command line: wrong usage, help, and names that look like subcommands.

use crate::util::*;
use std::collections::BTreeSet;
use std::fs;

#[test]
fn wrong_usage_is_explained() {
    let folder = Folder::new();
    folder.write("a", "content");
    folder.write("cp", "content of cp");
    for (line, message) in [
        ("", "Usage: duocopy"),
        ("a", "<DST>"),
        ("a b c d", "'d'"),
        ("--nonsense a b", "--nonsense"),
        ("-v cp a b", "duocopy cp"),
        ("-v cp a", "duocopy cp"),
        ("-v status x", "duocopy status"),
        ("status x y", "'y'"),
        ("status --clean x", "--clean"),
        ("--peer-user=a --replace-within=1s a b", "--replace-within"),
        ("write --json - x", "carries the data"),
        ("read --verify=reread a x", "--verify=reread"),
        ("read a", "<NAME>"),
        ("read --fsync=none a n", "--fsync: `read` writes nothing"),
        ("write a b c", "'c'"),
        ("-v write a b", "duocopy write"),
        ("cp a", "<DST>"),
        ("cp --wait=1s a b", "--wait"),
        ("-q -v a b", "--quiet"),
        ("--wait=x a b", "--wait"),
        ("--fsync=maybe a b", "end"),
    ] {
        let ended = folder.duocopy(line).end();
        ended.expect(2, &[message]);
        assert_eq!(ended.output, "", "{ended:?}");
    }
    folder.duocopy("").word("").word("b").end().expect(2, &["<SRC>"]);
    folder.duocopy("a").word("").end().expect(2, &["[DST]"]);
    assert!(!folder.is_there("b"));
}

#[test]
fn help_and_version_are_answers_and_not_errors() {
    let folder = Folder::new();
    for line in ["--help", "-h"] {
        let ended = folder.duocopy(line).end();
        ended.expect(0, &[]);
        let mentioned = [
            "SRC",
            "DST",
            "NAME",
            "duocopy cp",
            "duocopy read",
            "duocopy write",
            "duocopy status",
            "--wait",
            "--block-size",
            "--buffer-size",
            "--fsync",
        ];
        for text in
            mentioned.into_iter().chain(["--progress", "too many instances", "same user", "Exit codes"])
        {
            assert!(ended.output.contains(text), "“{text}” is missing in: {}", ended.output);
        }
    }
    let ended = folder.duocopy("cp --help").end();
    assert!(
        ended.code == 0 && ended.output.contains("duocopy cp") && !ended.output.contains("--wait"),
        "{ended:?}"
    );
    let ended = folder.duocopy("--version").end();
    assert_eq!((ended.code, ended.output), (0, format!("duocopy {}\n", env!("CARGO_PKG_VERSION"))));
}

#[test(needs = [terminal], not_on_windows = "no terminal can be created")]
fn colours_are_used_only_where_they_are_wanted() {
    let folder = Folder::new();
    for (environment, coloured) in [("true", true), ("export NO_COLOR=1", false), ("export TERM=dumb", false)]
    {
        let program = format!("{environment}; exec '{PROGRAM}' --nonsense");
        let mut command = std::process::Command::new("script");
        command.args(["-qec", &program, "/dev/null"]).current_dir(folder.path("")).env("TERM", "xterm");
        // Each of these variables decides about colours; build servers set CI.
        for variable in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "CI"] {
            command.env_remove(variable);
        }
        let output = command.stdin(std::process::Stdio::null()).output().expect("it is there");
        let messages = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            messages.contains("--nonsense") && messages.contains('\x1b') == coloured,
            "{environment}: {messages:?}"
        );
    }
}

#[test(needs = [manual])]
fn the_manual_and_the_help_name_the_same_options_and_exit_codes() {
    let folder = Folder::new();
    let help = folder.duocopy("--help").end().output;
    let manual = fs::read_to_string(manual()).unwrap();
    let options = |text: &str| -> BTreeSet<String> {
        let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
        let is_option = |word: &&str| word.starts_with("--") && word.contains(char::is_alphabetic);
        words.filter(is_option).map(Into::into).collect()
    };
    let in_any_help = ["", "cp", "read", "write", "status"]
        .map(|verb| folder.duocopy(&format!("{verb} --help")).end().output);
    assert_eq!(options(&manual), options(&in_any_help.concat()));
    let is_code = |word: &&str| *word == "128+n" || word.parse::<u8>().is_ok();
    let (_, end_of_help) = help.split_once("Exit codes").unwrap();
    let in_help: BTreeSet<&str> = end_of_help.split_whitespace().filter(is_code).collect();
    let rows = manual.lines().filter_map(|line| line.strip_prefix("| ")?.split(' ').next());
    assert_eq!(rows.filter(is_code).collect::<BTreeSet<_>>(), in_help);
}

#[test]
fn a_file_with_the_name_of_a_subcommand_can_be_copied() {
    let folder = Folder::new();
    folder.write("cp", "content of cp");
    let lines = ["-- cp dst", "./cp dst", "-v -- cp dst", "--fsync=none ./cp dst"];
    for line in lines {
        let start = || folder.duocopy(line).start();
        complete([start(), start()]);
        folder.assert_same("cp", "dst");
        fs::remove_file(folder.path("dst")).unwrap();
    }
}
