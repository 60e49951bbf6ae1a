//! The program about to be run.

use super::folder::Folder;
use super::process::{Ended, Process};
use super::surround;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::process::Command;

/// The program with its arguments, and what is around it.
pub struct Run<'a> {
    pub(super) folder: &'a Folder,
    pub(super) program: PathBuf,
    words: Vec<OsString>,
    trace: Option<String>,
    shell: Option<String>,
    /// User and group.
    pub(super) user: Option<(u32, u32)>,
    around: Vec<OsString>,
    terminal: bool,
    own_group: bool,
}

impl<'a> Run<'a> {
    pub fn new(folder: &'a Folder, program: &str, words: impl Iterator<Item = OsString>) -> Self {
        Self {
            folder,
            program: program.into(),
            words: words.collect(),
            trace: None,
            shell: None,
            user: None,
            around: Vec::new(),
            terminal: false,
            own_group: false,
        }
    }

    /// Adds one more argument, which may contain anything.
    pub fn word(mut self, word: impl AsRef<OsStr>) -> Self {
        self.words.push(word.as_ref().into());
        self
    }

    /// Runs another build of the program.
    pub fn built_as(mut self, program: impl Into<PathBuf>) -> Self {
        self.program = program.into();
        self
    }

    /// Runs the program under `strace` with these flags.
    pub fn traced(mut self, flags: &str) -> Self {
        self.trace = Some(flags.into());
        self
    }

    /// Runs this line of shell first, in the same process.
    pub fn after(mut self, line: &str) -> Self {
        self.shell = Some(line.into());
        self
    }

    /// Runs the program through this command, which runs another one in the end.
    pub fn inside(mut self, command: &str) -> Self {
        self.around = command.split_whitespace().map(OsString::from).collect();
        self
    }

    /// Gives the program a terminal of its own; what it reports is then what the terminal shows.
    pub fn on_a_terminal(mut self) -> Self {
        self.terminal = true;
        self
    }

    /// Gives the program a process group of its own, as an interactive shell does.
    pub fn in_its_own_group(mut self) -> Self {
        self.own_group = true;
        self
    }

    pub fn start(self) -> Process {
        let mut words = self.around;
        if let Some(line) = &self.shell {
            words.extend(["sh", "-c", &format!("{line}; exec \"$@\""), "sh"].map(OsString::from));
        }
        if let Some(flags) = &self.trace {
            // With -D the program itself is our child, and `strace` a grandchild that ends with it.
            words.extend(["strace", "-D", "-q", "-o"].map(OsString::from));
            words.push(self.folder.path(format!("trace-{}", self.folder.started())).into());
            words.extend(flags.split_whitespace().map(OsString::from));
        }
        words.push(self.program.into());
        words.extend(self.words);
        if self.terminal {
            let quoted = words.iter().map(|word| {
                let word = word.to_str().expect("an argument in UTF-8");
                format!("'{}'", word.replace('\'', r"'\''"))
            });
            let line = format!("exec {}", quoted.collect::<Vec<_>>().join(" "));
            words = ["script", "-qec", &line, "/dev/null"].map(OsString::from).into();
        }
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]);
        surround(&mut command, self.user, self.own_group);
        self.folder.start(command, self.terminal)
    }

    /// Starts the program and waits for its end.
    pub fn end(self) -> Ended {
        self.start().end()
    }

    /// Starts the program as the first of two, and waits until it has its role.
    pub fn start_reader(mut self) -> Process {
        self.words.insert(0, "-v".into());
        let reader = self.start();
        reader.reports("this is the Reader");
        reader
    }

    /// Starts the program as the second of two.
    pub fn start_writer(mut self) -> Process {
        self.words.insert(0, "-v".into());
        self.start()
    }
}
