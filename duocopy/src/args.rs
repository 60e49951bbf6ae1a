//! What was typed. Nothing here looks at a file.

use crate::exit;
use crate::options::{Backup, Direct, Options, Update, Verify, size};
use clap::parser::ValueSource;
use clap::{CommandFactory, FromArgMatches, Parser};
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

/// Which processes take part, and what this one may know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Form {
    /// This one and one that somebody else starts, under this name or one made from the paths.
    Pair { source: PathBuf, destination: Destination, name: Option<OsString> },
    /// This one and one that it starts.
    Alone { source: PathBuf, destination: Destination },
    /// Only the Reader.
    Read { source: PathBuf, name: OsString },
    /// Only the Writer.
    Write { destination: PathBuf, name: OsString, permission: Permission },
}

/// A destination as it was typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// A file, or a directory to put it in.
    Either(PathBuf),
    File(PathBuf),
    /// A directory to put it in.
    Directory(PathBuf),
}

#[derive(Clone, Debug, Parser)]
#[command(
    name = "duocopy status",
    bin_name = "duocopy status",
    version,
    max_term_width = 100,
    override_usage = "duocopy status [OPTIONS] [NAME]"
)]
/// Show the pipes that are there now, who is at them and who waits for whom; disturbs nobody
pub struct Query {
    /// Only the pipe of this name
    #[arg(value_name = "NAME")]
    pub name: Option<OsString>,

    /// Look into this directory [default: `DUOCOPY_DIR`, or this user's own]
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,

    /// One JSON object per line and pipe (docs/cli.md)
    #[arg(long)]
    pub json: bool,

    /// Look again every second, until Ctrl-C
    #[arg(long)]
    pub watch: bool,

    /// Remove what killed pairs have left, and nothing else
    #[arg(long, conflicts_with_all = ["watch", "name"])]
    pub clean: bool,
}

/// What a Writer may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permission {
    /// What becomes of what is there.
    pub existing: Existing,
    /// How what is replaced is kept.
    pub backup: Backup,
    /// Take a link for the file that it names.
    pub follow_links: bool,
    pub most_bytes: Option<u64>,
    /// Take over what gives rights: only from who is the same user.
    pub trusted: bool,
}

/// What becomes of a destination that exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    Replace,
    /// Only if it is older than the source; else the copy is skipped.
    ReplaceIfOlder,
    Skip,
    Refuse,
}

impl Permission {
    /// For whoever names both files.
    pub fn of_both(options: &Options) -> Self {
        let existing = match options.update {
            _ if options.no_clobber => Existing::Skip,
            None | Some(Update::All) => Existing::Replace,
            Some(Update::None) => Existing::Skip,
            Some(Update::NoneFail) => Existing::Refuse,
            Some(Update::Older) => Existing::ReplaceIfOlder,
        };
        Self {
            existing,
            backup: options.backup_mode(),
            follow_links: true,
            most_bytes: None,
            trusted: options.dir.is_none(),
        }
    }

    /// As a number, for the other process, which must have been told the same.
    pub fn wish(self) -> u8 {
        1 + self.existing as u8 * 4 + self.backup as u8
    }

    /// Whether it may be that nothing is to be done.
    pub fn skips(&self) -> bool {
        matches!(self.existing, Existing::Skip | Existing::ReplaceIfOlder)
    }

    /// For a half that knows only the destination.
    fn of_write(options: &Options, most_bytes: Option<u64>) -> Self {
        let backup = options.backup_mode();
        let replaces = options.force || backup != Backup::None;
        let existing = if replaces { Existing::Replace } else { Existing::Refuse };
        Self { existing, backup, follow_links: false, most_bytes, trusted: false }
    }
}

/// What this process is asked to do.
#[derive(Clone, Debug)]
pub enum Task {
    Copy(Form, Box<Options>),
    Show(Query),
}

const EXAMPLES: &str = "\
Start the same command twice, in two terminals or with `&`, as the same user. The first process reads SRC and \
never opens DST; the second writes DST and never opens SRC; a third is turned away. DST appears, whole, when \
the copy is complete; until then it is what it was.

Examples:
  duocopy big.iso /mnt/usb/big.iso      in one terminal, and the same line in another
  duocopy big.iso /mnt/usb nightly      the same, under the name `nightly`
  duocopy cp big.iso /mnt/usb           both processes with one command
  duocopy read big.iso nightly          only the Reader; somewhere else, sooner or later:
  duocopy write /mnt/usb/big.iso nightly

Exit codes, the same from both processes:
   0  complete: DST holds every byte         8  the other process died or was interrupted
   1  failed, DST unchanged                  9  too many instances
   2  wrong usage                           10  nobody came within --wait
   3  complete, without all of --preserve   11  the other process is of another version
   4  the checksums differ                  12  refused: same file, in use, exists, not allowed
   5  the source failed                    128+n  ended by signal n
   6  the destination failed
   7  no space (disk, quota, shared memory)";

/// Copy a file with two processes that share nothing but a name
#[derive(Debug, Parser)]
#[command(
    name = "duocopy", version, after_help = EXAMPLES, max_term_width = 100,
    override_usage = "duocopy [OPTIONS] SRC DST [NAME]     started twice\n       duocopy cp [OPTIONS] SRC DST         once\n       duocopy read [OPTIONS] SRC NAME      one half\n       duocopy write [OPTIONS] DST NAME     the other half\n       duocopy status [OPTIONS] [NAME]      what goes on"
)]
struct Pair {
    /// The file to read
    #[arg(value_name = "SRC")]
    source: PathBuf,

    /// The file to write, or a directory to put it in
    #[arg(value_name = "DST", required_unless_present = "target_directory")]
    destination: Option<PathBuf>,

    /// Where the two processes meet [default: made from both absolute paths]
    #[arg(value_name = "NAME")]
    name: Option<OsString>,

    #[command(flatten)]
    target: Target,

    #[command(flatten)]
    options: Options,
}

/// What DST is.
#[derive(Debug, clap::Args)]
struct Target {
    /// Put SRC into this directory; then there is no DST
    #[arg(short, long, value_name = "DIR", conflicts_with = "no_target_directory")]
    target_directory: Option<PathBuf>,

    /// Take DST for a file, and never for a directory to put it in
    #[arg(short = 'T', long)]
    no_target_directory: bool,
}

impl Target {
    fn destination(self, typed: Option<PathBuf>) -> Destination {
        match (self.target_directory, typed) {
            (Some(directory), _) => Destination::Directory(directory),
            (None, Some(path)) if self.no_target_directory => Destination::File(path),
            (None, typed) => Destination::Either(typed.unwrap_or_default()),
        }
    }
}

/// Copy a file with one command, which starts both processes
#[derive(Debug, Parser)]
#[command(
    name = "duocopy cp",
    bin_name = "duocopy cp",
    version,
    max_term_width = 100,
    override_usage = "duocopy cp [OPTIONS] SRC DST"
)]
struct Cp {
    /// The file to read
    #[arg(value_name = "SRC")]
    source: PathBuf,

    /// The file to write, or a directory to put it in
    #[arg(
        value_name = "DST",
        required_unless_present = "target_directory",
        conflicts_with = "target_directory"
    )]
    destination: Option<PathBuf>,

    #[command(flatten)]
    target: Target,

    #[command(flatten)]
    options: Options,
}

/// Read a file for a `duocopy write` under the same NAME, which may come first
///
/// Neither learns the other's path. Both run as the same user, or meet in a --dir.
#[derive(Debug, Parser)]
#[command(
    name = "duocopy read",
    bin_name = "duocopy read",
    version,
    max_term_width = 100,
    override_usage = "duocopy read [OPTIONS] SRC NAME"
)]
struct Read {
    /// The file to read, `-` for standard input; or a pipe or a device
    #[arg(value_name = "SRC")]
    source: PathBuf,

    /// Where the two processes meet
    #[arg(value_name = "NAME")]
    name: OsString,

    #[command(flatten)]
    options: Options,
}

/// Write what a `duocopy read` under the same NAME reads; it may come later
///
/// Neither learns the other's path. Both run as the same user, or meet in a --dir.
#[derive(Debug, Parser)]
#[command(
    name = "duocopy write",
    bin_name = "duocopy write",
    version,
    max_term_width = 100,
    override_usage = "duocopy write [OPTIONS] DST NAME"
)]
struct Write {
    /// The file to write, which must not exist, and no link; `-` for standard output; or a pipe or a device
    #[arg(value_name = "DST")]
    destination: PathBuf,

    /// Where the two processes meet
    #[arg(value_name = "NAME")]
    name: OsString,

    /// Refuse a source that is longer (512M, 10G)
    #[arg(long, value_name = "SIZE", value_parser = size)]
    max_bytes: Option<u64>,

    #[command(flatten)]
    options: Options,
}

/// Words that are verbs. `./` or `--` before one of them makes it a file.
const VERBS: [&str; 4] = ["cp", "read", "write", "status"];

/// Options that a command does not have, and the answer to who gives one all the same.
type Not = [(&'static str, &'static str)];

const NOT_FOR_CP: [(&str, &str); 5] = [
    ("dir", "`cp` starts its own partner, as the same user: leave out --dir"),
    ("peer_user", "`cp` starts its own partner, as the same user: leave out --peer-user"),
    ("peer_group", "`cp` starts its own partner, as the same user: leave out --peer-group"),
    ("wait", "`cp` starts its own partner and never waits for one: leave out --wait"),
    (
        "replace_within",
        "`cp` starts both processes, and nobody else can take the place of one: leave out --replace-within",
    ),
];
const NOT_FOR_READ: [(&str, &str); 9] = [
    ("force", "`read` writes nothing: give --force to `write`"),
    (
        "no_clobber",
        "`read` writes nothing, and `write` replaces nothing without --force: leave out --no-clobber",
    ),
    ("update", "`read` knows nothing of the other file: leave out --update"),
    ("backup", "`read` writes nothing: give --backup to `write`"),
    ("preserve", "`read` writes nothing: give --preserve to `write`"),
    ("fsync", "`read` writes nothing: give --fsync to `write`"),
    ("sparse", "`read` writes nothing: give --sparse to `write`"),
    ("partial", "`read` writes nothing: give --partial to `write`"),
    ("no_resume", "`read` writes nothing: give --no-resume to `write`"),
];
const NOT_FOR_WRITE: [(&str, &str); 5] = [
    ("no_clobber", "`write` replaces nothing without --force: leave out --no-clobber"),
    ("update", "`write` replaces nothing without --force: leave out --update"),
    ("block_size", "the blocks are made by the Reader: give --block-size to `read`"),
    ("buffer_size", "the blocks are made by the Reader: give --buffer-size to `read`"),
    ("bwlimit", "the Reader sets the pace: give --bwlimit to `read`"),
];

/// Reads the command line; ends the process for `--help`, `--version` and wrong usage.
pub fn parse() -> Task {
    let mut task = parse_from(&std::env::args_os().collect::<Vec<_>>()).unwrap_or_else(|error| error.exit());
    if let Task::Copy(_, options) = &task
        && let Some(nonsense) = options.nonsense_of_the_surroundings()
    {
        let what = format!(
            "VERSION_CONTROL is `{nonsense}`: make it none, numbered, existing or simple, or unset it"
        );
        wrong(&mut Pair::command(), &what).exit();
    }
    let dir = match &mut task {
        // What it starts meets it, and nobody else does.
        Task::Copy(Form::Alone { .. }, _) => return task,
        Task::Copy(_, options) => &mut options.dir,
        Task::Show(query) => &mut query.dir,
    };
    if dir.is_none() {
        *dir = std::env::var_os("DUOCOPY_DIR").filter(|dir| !dir.is_empty()).map(PathBuf::from);
    }
    // For the one who reads the command to start the other one with, somewhere else.
    *dir = dir.take().map(|dir| std::path::absolute(&dir).unwrap_or(dir));
    task
}

fn parse_from(typed: &[OsString]) -> Result<Task, clap::Error> {
    let verb = |word: &OsStr| VERBS.into_iter().find(|verb| word == *verb);
    match typed.get(1).and_then(|word| verb(word)) {
        Some("cp") => {
            let Cp { source, destination, target, options } = without(&typed[1..], &NOT_FOR_CP)?;
            let destination = target.destination(destination);
            Ok(Task::Copy(Form::Alone { source, destination }, options.into()))
        }
        Some("read") => {
            let Read { source, name, options } = without(&typed[1..], &NOT_FOR_READ)?;
            if options.direct == Some(Direct::Destination) {
                return Err(wrong(&mut Read::command(), "`read` has no destination: give it to `write`"));
            }
            if options.verify == Verify::Reread {
                let what = "`read` writes nothing that could be read again: give --verify=reread to `write`";
                return Err(wrong(&mut Read::command(), what));
            }
            Ok(Task::Copy(Form::Read { source, name }, options.into()))
        }
        Some("write") => {
            let Write { destination, name, max_bytes, options } = without(&typed[1..], &NOT_FOR_WRITE)?;
            if options.direct == Some(Direct::Source) {
                return Err(wrong(&mut Write::command(), "`write` has no source: give it to `read`"));
            }
            let permission = Permission::of_write(&options, max_bytes);
            if options.json && destination.as_os_str() == "-" {
                return Err(wrong(
                    &mut Write::command(),
                    "standard output carries the data: leave out --json",
                ));
            }
            Ok(Task::Copy(Form::Write { destination, name, permission }, options.into()))
        }
        Some(_) => Ok(Task::Show(without(&typed[1..], &[])?)),
        None => {
            let mut command = Pair::command();
            let matches = command.try_get_matches_from_mut(typed)?;
            let Pair { source, destination, name, target, options } = Pair::from_arg_matches(&matches)?;
            let (destination, name) = match (target.target_directory.is_some(), destination, name) {
                // There is no DST: what comes behind SRC is the name.
                (true, name, None) => (None, name.map(PathBuf::into_os_string)),
                (true, _, Some(_)) => {
                    return Err(wrong(&mut command, "with --target-directory there is no DST: SRC [NAME]"));
                }
                (false, destination, name) => (destination, name),
            };
            let destination = target.destination(destination);
            let escaped = typed.iter().take_while(|word| **word != source).any(|word| word == "--");
            match verb(source.as_os_str()) {
                Some(verb) if !escaped => Err(wrong(
                    &mut command,
                    &format!(
                        "`{verb}` comes before all flags: duocopy {verb} …; a file of this name is ./{verb}"
                    ),
                )),
                _ => Ok(Task::Copy(Form::Pair { source, destination, name }, options.into())),
            }
        }
    }
}

fn without<T: CommandFactory + FromArgMatches>(typed: &[OsString], not: &Not) -> Result<T, clap::Error> {
    let mut command = command_without::<T>(not);
    let matches = command.try_get_matches_from_mut(typed)?;
    for (id, answer) in not {
        if matches.value_source(id) == Some(ValueSource::CommandLine) {
            return Err(wrong(&mut command, answer));
        }
    }
    T::from_arg_matches(&matches)
}

/// Its help does not show what it does not have.
fn command_without<T: CommandFactory>(not: &Not) -> clap::Command {
    not.iter().fold(T::command(), |command, (id, _)| command.mut_arg(id, |arg| arg.hide(true)))
}

fn wrong(command: &mut clap::Command, message: &str) -> clap::Error {
    command.error(clap::error::ErrorKind::InvalidValue, message)
}

const _: () = assert!(exit::USAGE == 2, "what clap exits with");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Show;
    use clap_complete::{Generator, Shell};

    fn parsed(line: &str) -> Result<Task, String> {
        let typed = std::iter::once("duocopy").chain(line.split_whitespace()).map(OsString::from);
        parse_from(&typed.collect::<Vec<_>>()).map_err(|error| error.to_string())
    }

    fn copy(line: &str) -> (Form, Options) {
        match parsed(line) {
            Ok(Task::Copy(form, options)) => (form, *options),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_definition_is_sound() {
        Pair::command().debug_assert();
        Cp::command().debug_assert();
        Read::command().debug_assert();
        Write::command().debug_assert();
        Query::command().debug_assert();
    }

    /// `DUOCOPY_GENERATE=1 cargo test -p duocopy --bin duocopy generated` writes them.
    #[test]
    fn generated_pages_and_completions_are_those_of_this_definition() {
        let verbs = [
            command_without::<Cp>(&NOT_FOR_CP),
            command_without::<Read>(&NOT_FOR_READ),
            command_without::<Write>(&NOT_FOR_WRITE),
            Query::command(),
        ];
        let mut files = Vec::new();
        for command in std::iter::once(&Pair::command()).chain(&verbs) {
            let name = command.get_name().replace(' ', "-");
            let mut page = Vec::new();
            clap_mangen::Man::new(command.clone()).title(name.clone()).render(&mut page).unwrap();
            files.push((format!("man/{name}.1"), page));
        }
        let verbs = verbs.into_iter().zip(VERBS).map(|(command, verb)| command.name(verb));
        let whole = Pair::command().args_conflicts_with_subcommands(true).subcommands(verbs);
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
            let there = std::fs::read(&path).unwrap_or_default();
            // Git may have given the lines other ends.
            let there = String::from_utf8(there).unwrap().replace("\r\n", "\n");
            assert!(there.as_bytes() == content, "{name} is out of date");
        }
    }

    #[test]
    fn verbs_are_verbs_only_in_front() {
        let (source, destination) = (PathBuf::from("a"), Destination::Either("b".into()));
        let form = |line: &str| copy(line).0;
        assert_eq!(form("cp a b"), Form::Alone { source: source.clone(), destination });
        let pair = |source: &str, destination: &str| Form::Pair {
            source: source.into(),
            destination: Destination::Either(destination.into()),
            name: None,
        };
        assert_eq!(form("a cp"), pair("a", "cp"));
        assert_eq!(form("-- cp b"), pair("cp", "b"));
        assert_eq!(form("./cp b"), pair("./cp", "b"));
        let into = |name: Option<&str>| Form::Pair {
            source: source.clone(),
            destination: Destination::Directory("d".into()),
            name: name.map(Into::into),
        };
        assert_eq!((form("-t d a"), form("-t d a n")), (into(None), into(Some("n"))));
        assert!(parsed("-t d a n b").unwrap_err().contains("there is no DST"));
        assert_eq!(
            form("cp -T a b"),
            Form::Alone { source: source.clone(), destination: Destination::File("b".into()) }
        );
        assert_eq!(form("read a n"), Form::Read { source, name: "n".into() });
        assert!(parsed("-v cp a b").unwrap_err().contains("before all flags"));
        assert!(parsed("-v cp a").unwrap_err().contains("before all flags"));
        assert!(matches!(parsed("status x"), Ok(Task::Show(query)) if query.name == Some("x".into())));
        assert!(parsed("-v status x").unwrap_err().contains("before all flags"));
        assert!(parsed("write --json - n").unwrap_err().contains("carries the data"));
        assert!(parsed("cp --wait 1s a b").unwrap_err().contains("never waits"));
        assert!(parsed("read --fsync=none a n").unwrap_err().contains("to `write`"));
        assert!(parsed("write --block-size=1M b n").unwrap_err().contains("to `read`"));
        assert!(parsed("read --direct=destination a n").unwrap_err().contains("no destination"));
        assert!(parsed("write --direct=source b n").unwrap_err().contains("no source"));
        assert!(parsed("read --direct=source a n").is_ok() && parsed("write --direct b n").is_ok());
        assert!(parsed("read a").is_err() && parsed("read a b n").is_err());
    }

    #[test]
    fn the_progress_flag_takes_its_value_only_after_an_equals_sign() {
        assert_eq!(copy("-g a b").1.progress, Show::Always);
        assert_eq!(copy("--progress=never a b").1.progress, Show::Never);
        assert_eq!(copy("a b --progress").1.progress, Show::Always);
        assert_eq!(copy("a b").1.progress, Show::Auto);
    }
}
