//! Parses the command line into a [`Request`]. Nothing here opens a file.

use super::as_cp::AsCp;
use super::options::{
    Blocks, Both, Common, Copied, Environment, Meeting, Output, Safety, Settings, meeting_directory,
};
use super::output;
use super::render::printable_lines;
use super::values::size;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ArgMatches, Command, CommandFactory, FromArgMatches, Parser};
use duocopy::{Backup, Destination, Overwrite, Parties, Request, Verify, check_standard_output};
use std::ffi::{OsStr, OsString};
use std::io::{self, Write as _};
use std::path::PathBuf;

/// The task that the command line asks for.
#[derive(Clone, Debug)]
pub enum Task {
    /// One copy, or with `cp` one for each source.
    Copy(Vec<Request>, Settings),
    Status(Query),
}

/// Show the pipes that exist now, which processes use them, and which one waits
#[derive(Clone, Debug, Parser)]
#[command(name = "duocopy status", override_usage = "duocopy status [OPTIONS] [NAME]")]
pub struct Query {
    /// Show only the pipe of this name
    #[arg(value_name = "NAME")]
    pub name: Option<OsString>,

    /// Show the pipes in this directory [default: `DUOCOPY_DIR`, or this user's own]
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,

    /// Print one JSON object per pipe, each on its own line (docs/cli.md)
    #[arg(long)]
    pub json: bool,

    /// Repeat every second, until Ctrl-C
    #[arg(long)]
    pub watch: bool,

    /// Remove the pipes that killed pairs left, and nothing else
    #[arg(long, conflicts_with_all = ["watch", "name"])]
    pub clean: bool,
}

const EXAMPLES: &str = "\
Start the same command twice, in two terminals or with `&`, as the same user. The first process reads SRC and \
never opens DST; the second writes DST and never opens SRC; a third is turned away. DST is replaced in one step \
when the copy is complete; until then it is unchanged.

Examples:
  duocopy big.iso /mnt/usb/big.iso      in one terminal, and the same line in another
  duocopy big.iso /mnt/usb nightly      the same, under the name `nightly`
  duocopy cp big.iso /mnt/usb           both processes with one command
  duocopy read big.iso nightly          only the Reader; elsewhere, before or after it:
  duocopy write /mnt/usb/big.iso nightly

Exit codes, the same from both processes:
   0  complete: DST holds every byte         8  the other process died or was interrupted
   1  failed, DST unchanged                  9  too many instances
   2  wrong usage                           10  timed out waiting for the other process
   3  complete, without all of --preserve   11  the other process is of another version
   4  the checksums differ                  12  refused: same file, in use, exists, not allowed
   5  the source failed                    128+n  ended by signal n
   6  the destination failed
   7  no space (disk, quota, shared memory)";

/// Copy a file with two processes that share nothing but a name
#[derive(Debug, Parser)]
#[command(
    name = "duocopy", after_help = EXAMPLES,
    override_usage = "duocopy [OPTIONS] SRC DST [NAME]     start it twice\n       duocopy cp [OPTIONS] SRC... DST      both processes at once\n       duocopy read [OPTIONS] SRC NAME      only the Reader\n       duocopy write [OPTIONS] DST NAME     only the Writer\n       duocopy status [OPTIONS] [NAME]      show the pipes"
)]
struct Pair {
    /// The file to read
    #[arg(value_name = "SRC")]
    source: PathBuf,
    /// The file to write, or a directory to put it in
    #[arg(value_name = "DST", required_unless_present = "target_directory")]
    destination: Option<PathBuf>,
    /// The name under which the two processes meet [default: made from both absolute paths]
    #[arg(value_name = "NAME")]
    name: Option<OsString>,
    #[command(flatten)]
    both: Both,
    #[command(flatten)]
    meeting: Meeting,
    #[command(flatten)]
    output: Output,
}

/// Copy files with one command, which starts both processes
#[derive(Debug, Parser)]
#[command(
    name = "duocopy cp",
    infer_long_args = true,
    override_usage = "duocopy cp [OPTIONS] SRC DST\n       duocopy cp [OPTIONS] SRC... DIR\n       duocopy cp [OPTIONS] -t DIR SRC..."
)]
struct Cp {
    /// The files to read, and DST, the file to write or a directory to put them in
    #[arg(value_name = "SRC", required = true)]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    own: AsCp,
    #[command(flatten)]
    both: Both,
    #[command(flatten)]
    output: Output,
}

/// Read a file for a `duocopy write` with the same NAME; either may start first
///
/// Neither learns the other's path. Both run as the same user, or meet in a --dir.
#[derive(Debug, Parser)]
#[command(name = "duocopy read", override_usage = "duocopy read [OPTIONS] SRC NAME")]
struct Read {
    /// The file, pipe or device to read; `-` is standard input
    #[arg(value_name = "SRC")]
    source: PathBuf,
    /// The name under which the two processes meet
    #[arg(value_name = "NAME")]
    name: OsString,
    #[command(flatten)]
    blocks: Blocks,
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    meeting: Meeting,
    #[command(flatten)]
    output: Output,
}

/// Write what a `duocopy read` with the same NAME reads; either may start first
///
/// Neither learns the other's path. Both run as the same user, or meet in a --dir.
#[derive(Debug, Parser)]
#[command(name = "duocopy write", override_usage = "duocopy write [OPTIONS] DST NAME")]
struct Write {
    /// The file to create, or a pipe or device to write; `-` is standard output
    #[arg(value_name = "DST")]
    destination: PathBuf,
    /// The name under which the two processes meet
    #[arg(value_name = "NAME")]
    name: OsString,
    /// Refuse a source that is longer (512M, 10G)
    #[arg(long, value_name = "SIZE", value_parser = size, help_heading = "What is copied")]
    max_bytes: Option<u64>,
    #[command(flatten)]
    copied: Copied,
    #[command(flatten)]
    safety: Safety,
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    meeting: Meeting,
    #[command(flatten)]
    output: Output,
}

/// The first words that are commands. `./` or `--` before one of them makes it a file.
const VERBS: [&str; 4] = ["cp", "read", "write", "status"];

/// Options of other forms: how they are typed, and what to do instead.
type Hints = &'static [(&'static str, &'static str)];

const NOT_FOR_ANY: Hints = &[
    ("-r -R --recursive -a --archive", "duocopy copies one file at a time, and no directories: name a file"),
    (
        "-d -P --no-dereference -L --dereference -H -i --interactive --attributes-only --copy-contents --parents \
         --reflink --remove-destination --strip-trailing-slashes --debug",
        "only `duocopy cp` has this option: leave it out",
    ),
    ("-l --link -s --symbolic-link", "duocopy copies, and makes no links to SRC: use `ln`"),
];
const NOT_FOR_CP: Hints = &[
    ("--dir", "`cp` starts both processes, as the same user: leave out --dir, or set DUOCOPY_DIR"),
    ("--peer-user --peer-group", "`cp` starts both processes, as the same user: leave out this option"),
    ("--wait", "`cp` starts both processes and never waits for one: leave out --wait"),
    (
        "--replace-within",
        "`cp` starts both processes, and neither can be replaced: leave out --replace-within",
    ),
    ("--max-bytes", "only `write` limits the size of DST: leave out --max-bytes"),
];
const NOT_FOR_READ: Hints = &[
    (
        "--force -f --backup -b --suffix -S --preserve -p --fsync --sparse --partial --no-resume --max-bytes",
        "`read` writes nothing: give this option to `write`",
    ),
    (
        "--no-clobber -n --update -u",
        "`read` does not know DST, and `write` replaces nothing without --force: leave out this option",
    ),
];
const NOT_FOR_WRITE: Hints = &[
    ("--no-clobber -n --update -u", "`write` replaces nothing without --force: leave out this option"),
    ("--block-size --buffer-size", "the Reader divides the memory into blocks: give this option to `read`"),
    ("--bwlimit", "the Reader sets the pace: give --bwlimit to `read`"),
];

/// Reads the command line and the environment; ends the process for `--help`, `--version` and wrong usage.
pub fn parse() -> Task {
    let typed: Vec<_> = std::env::args_os().collect();
    parse_from(&typed, &|name| std::env::var_os(name))
        .unwrap_or_else(|error| std::process::exit(answer(&error)))
}

/// Shows the help, the version or what is wrong, and returns the exit code.
fn answer(error: &clap::Error) -> i32 {
    if !error.use_stderr() {
        let printed =
            check_standard_output().and_then(|()| error.print()).and_then(|()| io::stdout().flush());
        return printed.map_or_else(|error| output::failed(&error).into(), |()| error.exit_code());
    }
    // The message repeats the arguments, which may contain control characters.
    let text = error.render().to_string();
    let shown = printable_lines(&text);
    let _ = if shown == text { error.print() } else { write!(io::stderr(), "{shown}") };
    error.exit_code()
}

fn parse_from(typed: &[OsString], environment: Environment) -> Result<Task, clap::Error> {
    let verb = |word: &OsStr| VERBS.into_iter().find(|verb| word == *verb);
    match typed.get(1).and_then(|word| verb(word)) {
        Some("cp") => cp(parsed_in_order(&typed[1..], NOT_FOR_CP)?, environment),
        Some("read") => read(parsed(&typed[1..], NOT_FOR_READ)?, environment),
        Some("write") => write(parsed(&typed[1..], NOT_FOR_WRITE)?, environment),
        Some(_) => {
            let query: Query = parsed(&typed[1..], &[])?;
            Ok(Task::Status(Query { dir: meeting_directory(query.dir, environment), ..query }))
        }
        None => {
            let typed_pair: Pair = parsed(typed, &[])?;
            let escaped =
                typed.iter().take_while(|word| **word != typed_pair.source).any(|word| word == "--");
            match verb(typed_pair.source.as_os_str()) {
                Some(verb) if !escaped => Err(wrong::<Pair>(&format!(
                    "`{verb}` comes before all flags: duocopy {verb} …; a file of this name is ./{verb}"
                ))),
                _ => pair(typed_pair, environment),
            }
        }
    }
}

fn pair(typed: Pair, environment: Environment) -> Result<Task, clap::Error> {
    let Pair { source, destination, name, both, meeting, output } = typed;
    let (destination, name) = match (both.target_directory.is_some(), destination, name) {
        // There is no DST, so NAME follows SRC.
        (true, name, None) => (None, name.map(PathBuf::into_os_string)),
        (true, _, Some(_)) => {
            return Err(wrong::<Pair>("with --target-directory there is no DST: SRC [NAME]"));
        }
        (false, destination, name) => (destination, name),
    };
    let parties = Parties::Pair { source, destination: both.destination(destination), name };
    let mut request = both.request(parties, environment).map_err(|what| wrong::<Pair>(&what))?;
    meeting.apply(&mut request, environment);
    Ok(copy(request, &output))
}

fn cp((typed, order): (Cp, ArgMatches), environment: Environment) -> Result<Task, clap::Error> {
    let Cp { mut paths, own, both, output } = typed;
    let last = if both.target_directory.is_some() { None } else { paths.pop() };
    let destination = match (both.destination(last), &paths[..]) {
        (_, []) => {
            let missing = "the following required arguments were not provided:\n  <DST>";
            return Err(command::<Cp>().error(ErrorKind::MissingRequiredArgument, missing));
        }
        (Destination::File(_), [_, _, ..]) => return Err(wrong::<Cp>("-T takes one SRC and one DST")),
        (Destination::Either(path), [_, _, ..]) => Destination::Directory(path),
        (destination, _) => destination,
    };
    let (mut requests, mut settings) = (Vec::new(), None);
    for source in paths {
        let parties = Parties::Both { source: own.source(source), destination: destination.clone() };
        let mut request = both.request(parties, environment).map_err(|what| wrong::<Cp>(&what))?;
        own.apply(&mut request, &order);
        request.create_through_links = environment("POSIXLY_CORRECT").is_some();
        request.dir = meeting_directory(None, environment);
        settings = Some(output.apply(&mut request));
        requests.push(request);
    }
    let settings = settings.expect("there is a source");
    Ok(Task::Copy(requests, Settings { cp: own.manner(output.verbose), ..settings }))
}

fn read(typed: Read, environment: Environment) -> Result<Task, clap::Error> {
    let Read { source, name, blocks, common, meeting, output } = typed;
    if common.direct == Some((false, true)) {
        return Err(wrong::<Read>("`read` has no destination: give --direct=destination to `write`"));
    }
    if common.verify == Verify::Reread {
        return Err(wrong::<Read>("`read` has no copy to read back: give --verify=reread to `write`"));
    }
    let mut request = Request::read(source, name);
    blocks.apply(&mut request);
    meeting.apply(&mut request, environment);
    common.apply(&mut request);
    Ok(copy(request, &output))
}

fn write(typed: Write, environment: Environment) -> Result<Task, clap::Error> {
    let Write { destination, name, max_bytes, copied, safety, common, meeting, output } = typed;
    if common.direct == Some((true, false)) {
        return Err(wrong::<Write>("`write` has no source: give --direct=source to `read`"));
    }
    if output.json && destination.as_os_str() == "-" {
        return Err(wrong::<Write>("standard output carries the data: leave out --json"));
    }
    let mut request = Request::write(destination, name);
    request.max_bytes = max_bytes;
    copied.apply(&mut request, environment).map_err(|what| wrong::<Write>(&what))?;
    if copied.force || request.backup != Backup::None {
        request.overwrite = Overwrite::Replace;
    }
    safety.apply(&mut request);
    meeting.apply(&mut request, environment);
    common.apply(&mut request);
    Ok(copy(request, &output))
}

fn copy(mut request: Request, output: &Output) -> Task {
    let settings = output.apply(&mut request);
    Task::Copy(vec![request], settings)
}

/// Parses these words; an option of another form is answered with its hint.
fn parsed<T: CommandFactory + FromArgMatches>(typed: &[OsString], hints: Hints) -> Result<T, clap::Error> {
    parsed_in_order(typed, hints).map(|(parsed, _)| parsed)
}

/// Parses like [`parsed`], and also returns the order of the options.
fn parsed_in_order<T: CommandFactory + FromArgMatches>(
    typed: &[OsString],
    hints: Hints,
) -> Result<(T, ArgMatches), clap::Error> {
    // The text may also be an abbreviation of an option of this form, as `--dir` is of `--direct`.
    let options =
        typed.iter().take_while(|word| *word != "--").filter_map(|word| word.to_str()?.split('=').next());
    let mut long = options.filter(|option| option.starts_with("--"));
    if let Some((option, hint)) = long.find_map(|option| Some((option, hint(hints, option)?))) {
        return Err(wrong::<T>(&format!("{option}: {hint}")));
    }
    let matches = command::<T>().try_get_matches_from_mut(typed).map_err(|error| {
        let Some(ContextValue::String(option)) = error.get(ContextKind::InvalidArg) else { return error };
        match hint(hints, option).or_else(|| hint(NOT_FOR_ANY, option)) {
            Some(hint) if error.kind() == ErrorKind::UnknownArgument => {
                wrong::<T>(&format!("{option}: {hint}"))
            }
            _ => error,
        }
    })?;
    Ok((T::from_arg_matches(&matches)?, matches))
}

/// Returns the remedy for an option that this form does not have.
fn hint(hints: Hints, option: &str) -> Option<&'static str> {
    let is_known = |options: &str| options.split(' ').any(|known| known == option);
    hints.iter().find(|(options, _)| is_known(options)).map(|(_, hint)| *hint)
}

/// Returns a form of the command, which calls itself by its name however it was started.
fn command<T: CommandFactory>() -> Command {
    let command = T::command().version(env!("CARGO_PKG_VERSION")).max_term_width(100);
    let name = command.get_name().to_owned();
    command.bin_name(name)
}

fn wrong<T: CommandFactory>(message: &str) -> clap::Error {
    command::<T>().error(ErrorKind::InvalidValue, message)
}

#[cfg(test)]
#[path = "args_tests.rs"]
mod tests;
