use super::*;
use crate::cli::values::Show;
use clap_complete::{Generator, Shell};
use duocopy::{Destination, Fsync, HAS_ACCESS_LISTS, Hash, Preserve, Sparse};
use std::time::Duration;

fn parsed_in(line: &str, environment: &[(&str, &str)]) -> Result<Task, String> {
    let typed = std::iter::once("duocopy").chain(line.split_whitespace()).map(OsString::from);
    let variable =
        |name: &str| environment.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).into());
    parse_from(&typed.collect::<Vec<_>>(), &variable).map_err(|error| error.to_string())
}

fn parsed(line: &str) -> Result<Task, String> {
    parsed_in(line, &[])
}

fn copy_in(line: &str, environment: &[(&str, &str)]) -> (Request, Settings) {
    match parsed_in(line, environment) {
        Ok(Task::Copy(mut requests, settings)) if requests.len() == 1 => (requests.remove(0), settings),
        other => panic!("{line}: {other:?}"),
    }
}

fn request(line: &str) -> Request {
    copy_in(line, &[]).0
}

#[test]
fn the_definition_is_sound() {
    for command in
        [command::<Pair>(), command::<Cp>(), command::<Read>(), command::<Write>(), command::<Query>()]
    {
        command.debug_assert();
    }
}

/// `DUOCOPY_GENERATE=1 cargo test -p duocopy --bin duocopy generated` writes them.
#[test]
fn generated_pages_and_completions_are_those_of_this_definition() {
    let verbs = [command::<Cp>(), command::<Read>(), command::<Write>(), command::<Query>()];
    let mut files = Vec::new();
    for command in std::iter::once(&command::<Pair>()).chain(&verbs) {
        let name = command.get_name().replace(' ', "-");
        let mut page = Vec::new();
        clap_mangen::Man::new(command.clone()).title(name.clone()).render(&mut page).unwrap();
        files.push((format!("man/{name}.1"), page));
    }
    let verbs = verbs.into_iter().zip(VERBS).map(|(command, verb)| command.name(verb));
    let whole = command::<Pair>().args_conflicts_with_subcommands(true).subcommands(verbs);
    for shell in [Shell::Bash, Shell::Fish, Shell::PowerShell, Shell::Zsh] {
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut whole.clone(), "duocopy", &mut script);
        files.push((format!("completions/{}", shell.file_name("duocopy")), script));
    }
    for (name, content) in files {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(&name);
        if std::env::var_os("DUOCOPY_GENERATE").is_some() {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, &content).unwrap();
        }
        // Git may have converted the line ends.
        let found = std::fs::read_to_string(&path).unwrap_or_default().replace("\r\n", "\n");
        assert!(found.as_bytes() == content, "{name} is out of date");
    }
}

#[test]
fn verbs_are_verbs_only_in_front() {
    let parties = |line: &str| request(line).parties;
    let (source, destination) = (PathBuf::from("a"), Destination::Either("b".into()));
    assert_eq!(parties("cp a b"), Parties::Both { source: source.clone(), destination });
    let pair = |source: &str, destination: &str| Parties::Pair {
        source: source.into(),
        destination: Destination::Either(destination.into()),
        name: None,
    };
    assert_eq!(parties("a cp"), pair("a", "cp"));
    assert_eq!(parties("-- cp b"), pair("cp", "b"));
    assert_eq!(parties("./cp b"), pair("./cp", "b"));
    let into = |name: Option<&str>| Parties::Pair {
        source: source.clone(),
        destination: Destination::Directory("d".into()),
        name: name.map(Into::into),
    };
    assert_eq!((parties("-t d a"), parties("-t d a n")), (into(None), into(Some("n"))));
    let destination = Destination::File("b".into());
    assert_eq!(parties("cp -T a b"), Parties::Both { source: source.clone(), destination });
    assert_eq!(parties("read a n"), Parties::Read { source, name: "n".into() });
    assert!(matches!(parsed("status x"), Ok(Task::Status(query)) if query.name == Some("x".into())));
    assert!(parsed("read a").is_err() && parsed("read a b n").is_err());
}

#[test]
fn wrong_usage_is_answered_with_a_hint() {
    for (line, hint) in [
        ("-t d a n b", "there is no DST"),
        ("-v cp a b", "before all flags"),
        ("-v cp a", "before all flags"),
        ("-v status x", "before all flags"),
        ("write --json - n", "carries the data"),
        ("cp --wait 1s a b", "never waits"),
        ("cp --peer-user=x a b", "as the same user"),
        ("read --fsync=none a n", "to `write`"),
        ("read -qf a n", "-f: `read` writes nothing"),
        ("write -u b n", "without --force"),
        ("write --block-size=1M b n", "to `read`"),
        ("read --direct=destination a n", "no destination"),
        ("write --direct=source b n", "no source"),
        ("read --verify=reread a n", "to `write`"),
        ("-n --backup a b", "there is no backup"),
        ("cp -bn a b", "there is no backup"),
        ("cp -b --update=none-fail a b", "there is no backup"),
        ("-q -v a b", "cannot be used with"),
        ("--replace-within=1m --peer-user=x a b", "cannot be used with"),
        ("-r a b", "-r: duocopy copies one file at a time"),
        ("--archive a b", "no directories"),
        ("--parents a b", "only `duocopy cp`"),
        ("cp -l a b", "use `ln`"),
        ("cp --dir=source a b", "leave out --dir"),
        ("cp -T a b c", "one SRC"),
        ("cp --parents --dry-run a b", "cannot be used with"),
        ("cp a", "<DST>"),
        ("write -n b n", "leave out this option"),
        ("--nonsense a b", "unexpected argument"),
    ] {
        let said = parsed(line).expect_err(line);
        assert!(said.contains(hint), "{line}: {said}");
    }
}

#[test]
fn options_become_fields_of_the_request() {
    let whole = request(
        "--fsync=none --verify=reread --hash=blake3 --sparse=always --partial --no-resume --no-sandbox \
         --block-size=1M --buffer-size=4M --bwlimit=10M --direct=source --drop-cache --wait=3s --replace-within=1m \
         --dir=/meet --stats -u -p a b n",
    );
    let mut expected = Request::new(whole.parties.clone());
    (expected.fsync, expected.verify, expected.hash) = (Fsync::None, Verify::Reread, Hash::Blake3);
    (expected.sparse, expected.overwrite) = (Sparse::Always, Overwrite::ReplaceIfOlder);
    (expected.keep_partial, expected.resume, expected.sandbox, expected.stats) = (true, false, false, true);
    (expected.block_size, expected.buffer_size, expected.rate_limit) =
        (Some(1 << 20), Some(4 << 20), Some(10 << 20));
    (expected.direct_source, expected.drop_cache) = (true, true);
    expected.connect_timeout = Some(Duration::from_secs(3));
    expected.replace_within = Some(Duration::from_secs(60));
    expected.dir = Some("/meet".into());
    expected.preserve = whole.preserve.clone();
    assert_eq!(whole, expected);
    assert!(
        whole.preserve.starts_with(&[Preserve::Mode]) && whole.preserve.ends_with(&[Preserve::Timestamps])
    );
    assert_eq!(request("-n --update=all a b").overwrite, Overwrite::Skip);
    assert!(request("a b").sandbox);
    let write = |line: &str| request(line).overwrite;
    assert_eq!(write("write b n"), Overwrite::Refuse);
    assert_eq!([write("write -f b n"), write("write --backup b n")], [Overwrite::Replace; 2]);
    assert_eq!(request("--preserve=xattr,acl a b").preserve, [Preserve::Xattr, Preserve::Acl]);
    let all = request("--preserve=all a b").preserve;
    assert_eq!(all.contains(&Preserve::Acl), HAS_ACCESS_LISTS, "{all:?}");
}

#[test]
fn the_environment_is_read_here() {
    let surroundings = [("DUOCOPY_DIR", "/meet"), ("VERSION_CONTROL", "t"), ("SIMPLE_BACKUP_SUFFIX", ".bak")];
    let set = |line: &str| copy_in(line, &surroundings).0;
    assert_eq!(set("a b").dir, Some("/meet".into()));
    assert_eq!(set("cp a b").dir, set("a b").dir, "this user's own directory may be unusable");
    assert_eq!(
        (set("--backup a b").backup, set("--backup=simple a b").backup),
        (Backup::Numbered, Backup::Simple)
    );
    assert_eq!((set("a b").backup_suffix, set("a b").backup), (".bak".into(), Backup::None));
    assert_eq!(copy_in("a b", &[("SIMPLE_BACKUP_SUFFIX", "/")]).0.backup_suffix, "~");
    let nonsense = parsed_in("--backup a b", &[("VERSION_CONTROL", "x")]).unwrap_err();
    assert!(nonsense.contains("VERSION_CONTROL is `x`"), "{nonsense}");
    assert!(parsed_in("a b", &[("VERSION_CONTROL", "x")]).is_ok());
}

#[test]
fn the_progress_flag_takes_its_value_only_after_an_equals_sign() {
    let progress = |line| copy_in(line, &[]).1.progress;
    assert_eq!(progress("-g a b"), Show::Always);
    assert_eq!(progress("--progress=never a b"), Show::Never);
    assert_eq!(progress("a b --progress"), Show::Always);
    assert_eq!(progress("a b"), Show::Auto);
}
