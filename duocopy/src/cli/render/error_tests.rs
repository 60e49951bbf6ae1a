use super::*;
use duocopy::{Request, Role, SystemError};
use std::collections::HashSet;

/// One error of each kind.
fn examples() -> Vec<Kind> {
    let (path, text) = (|| "/meet/x".into(), || String::from("text"));
    vec![
        Kind::EmptyPath,
        Kind::DevicePath,
        Kind::StreamPath,
        Kind::LongPath,
        Kind::UnusablePath,
        Kind::StandardStream,
        Kind::UnknownUser(text()),
        Kind::UnknownGroup(text()),
        Kind::OwnUserNotAllowed,
        Kind::Source,
        Kind::SourceIsDirectory,
        Kind::SourceNotRegular,
        Kind::SourceIsLink,
        Kind::CannotReflink,
        Kind::SourceChanged(SourceChange::Modified),
        Kind::SourceNotRepeatable,
        Kind::SourceDiffers,
        Kind::ResumePastEnd { position: 9 },
        Kind::FifoNotOpened,
        Kind::Destination,
        Kind::NoSuchDirectory,
        Kind::NotADirectory,
        Kind::NameTaken { found: path() },
        Kind::DestinationBusy { copy: path() },
        Kind::DestinationProtected,
        Kind::DirectoryProtected,
        Kind::DestinationIsMountPoint,
        Kind::StickyDirectory,
        Kind::OutputClosed,
        Kind::SameFile,
        Kind::DestinationIsDirectory,
        Kind::DestinationIsSpecial,
        Kind::SourceIsTemporary,
        Kind::DirectoryTakesNoFiles,
        Kind::DanglingLink,
        Kind::LinkLoop,
        Kind::LinkToDirectory,
        Kind::LinkNotFollowed,
        Kind::ForeignLink { found: path() },
        Kind::ForeignFile { found: path() },
        Kind::ForeignTarget,
        Kind::ForeignFifo,
        Kind::DestinationExists,
        Kind::DestinationAppeared,
        Kind::DestinationJustWritten,
        Kind::Declined,
        Kind::DestinationChangedType,
        Kind::DirectoryMoved,
        Kind::TemporaryFileReplaced,
        Kind::TemporaryFileGone,
        Kind::TemporaryFileContended,
        Kind::DestinationLocked,
        Kind::TemporaryFileTaken,
        Kind::NoLocks { found: path() },
        Kind::TooLarge { bytes: 9, max: 1 },
        Kind::CannotReread,
        Kind::DiskNotReplaced,
        Kind::OutputNotResumable,
        Kind::OutputReplaced,
        Kind::CommittedTooEarly,
        Kind::OptionsDiffer(SharedOption::Checksum),
        Kind::TooManyAttributes,
        Kind::BackupIsSource { backup: path() },
        Kind::BackupIsSpecial { backup: path() },
        Kind::BackupExists { backup: path() },
        Kind::BackupFailed,
        Kind::PeerNotAllowed { user: Some(7) },
        Kind::PeerChanged { user: 8 },
        Kind::PeerUnproven,
        Kind::NameInUse { there: b"/c\0/d".into(), processes: vec![7] },
        Kind::ForeignPipe { what: text() },
        Kind::ForeignDirectory { what: text() },
        Kind::Mismatch { reread: false, resumed: 0 },
        Kind::PeerDied,
        Kind::PeerInterrupted,
        Kind::PeerFailed,
        Kind::DiedCommitting,
        Kind::SecondProcessEnded,
        Kind::SecondProcess,
        Kind::Interrupted,
        Kind::TooManyInstances { reader: Some(7), writer: Some(8), read: 9, written: 1 },
        Kind::PairEnding { processes: vec![7, 8] },
        Kind::PeerTimeout,
        Kind::OtherVersion { ours: 1, theirs: 2 },
        Kind::SharedMemory { step: text() },
        Kind::Meeting { step: text() },
        Kind::PipeBusy,
        Kind::PipeRemoved,
        Kind::Pipe { what: text() },
        Kind::Skipped,
    ]
}

/// The exit code of each kind, for the second time. A new kind needs an example, too.
fn expected_code(kind: &Kind) -> u8 {
    use Kind::*;
    match kind {
        Skipped => 0,
        SecondProcess
        | Declined
        | PeerFailed
        | SharedMemory { .. }
        | Meeting { .. }
        | PipeBusy
        | PipeRemoved
        | Pipe { .. } => 1,
        EmptyPath | DevicePath | StreamPath | LongPath | UnusablePath | StandardStream | UnknownUser(_)
        | UnknownGroup(_) | OwnUserNotAllowed => 2,
        Mismatch { .. } => 4,
        Source
        | SourceIsDirectory
        | SourceNotRegular
        | SourceChanged(_)
        | SourceNotRepeatable
        | SourceDiffers
        | ResumePastEnd { .. } => 5,
        Destination
        | NoSuchDirectory
        | NotADirectory
        | NameTaken { .. }
        | DestinationBusy { .. }
        | DestinationProtected
        | DirectoryProtected
        | DestinationIsMountPoint
        | StickyDirectory
        | OutputClosed => 6,
        PeerDied | PeerInterrupted | DiedCommitting | SecondProcessEnded => 8,
        TooManyInstances { .. } | PairEnding { .. } => 9,
        FifoNotOpened | PeerTimeout => 10,
        OtherVersion { .. } => 11,
        SameFile
        | DestinationIsDirectory
        | DestinationIsSpecial
        | SourceIsTemporary
        | DirectoryTakesNoFiles
        | DanglingLink
        | LinkLoop
        | LinkToDirectory
        | LinkNotFollowed
        | ForeignLink { .. }
        | ForeignFile { .. }
        | ForeignTarget
        | ForeignFifo
        | DestinationExists
        | DestinationAppeared
        | DestinationJustWritten
        | SourceIsLink
        | CannotReflink
        | DestinationChangedType
        | DirectoryMoved
        | TemporaryFileReplaced
        | TemporaryFileGone
        | TemporaryFileContended
        | DestinationLocked
        | TemporaryFileTaken
        | NoLocks { .. }
        | TooLarge { .. }
        | CannotReread
        | DiskNotReplaced
        | OutputNotResumable
        | OutputReplaced
        | CommittedTooEarly
        | OptionsDiffer(_)
        | TooManyAttributes
        | BackupIsSource { .. }
        | BackupIsSpecial { .. }
        | BackupExists { .. }
        | BackupFailed
        | PeerNotAllowed { .. }
        | PeerChanged { .. }
        | PeerUnproven
        | NameInUse { .. }
        | ForeignPipe { .. }
        | ForeignDirectory { .. } => 12,
        Interrupted => 130,
    }
}

const KINDS: usize = 90;

#[test]
fn every_kind_has_its_code_and_a_sentence_with_the_path() {
    const DIALECT: [&str; 6] = ["partner", "behind", "whoever", "wish", "gave up", "anew"];
    let seen: HashSet<_> = examples().iter().map(std::mem::discriminant).collect();
    assert_eq!((seen.len(), examples().len()), (KINDS, KINDS), "one example of each kind");
    let audiences = [
        Audience::new(&Request::both("/a", "/b")),
        Audience { role: Some(Role::Writer), ..Audience::new(&Request::pair("/a", "/b")) },
        Audience::new(&Request::read("/a", "n")),
    ];
    for kind in examples() {
        for (to, role) in audiences
            .iter()
            .flat_map(|to| [None, Some(Role::Reader), Some(Role::Writer)].map(|role| (to, role)))
        {
            let cause = Some(SystemError::from_code(5));
            let error = Error { role, cause, ..Error::at(kind.clone(), Path::new("/where/\u{1b}")) };
            assert_eq!(exit_code(&error, to, Some(2)), expected_code(&kind), "{kind:?}");
            let said = message(&error, to);
            let path = match &kind {
                Kind::NameTaken { .. }
                | Kind::NoLocks { .. }
                | Kind::ForeignLink { .. }
                | Kind::ForeignFile { .. } => "/meet/x",
                _ => "/where/\\u{1b}",
            };
            assert!(said.contains(path), "{said}");
            assert!(said.starts_with(char::is_lowercase) && !said.ends_with(['.', ' ', ';']), "{said}");
            assert!(!DIALECT.iter().any(|word| said.contains(word)), "{said}");
            assert!(!to.started_both() || !said.contains("Reader") && !said.contains("Writer"), "{said}");
        }
    }
}

#[cfg(target_os = "linux")]
#[test]
fn the_remedy_fits_what_the_file_system_said() {
    use duocopy::Operation::{Rename, Stat, Temporary};
    let cp = Audience::new(&Request::both("/a", "/b"));
    let said = |kind: Kind, operation, code| {
        let cause = Some(SystemError::from_code(code));
        message(&Error { operation: Some(operation), cause, ..Error::at(kind, Path::new("/b")) }, &cp)
    };
    let taken = || Kind::NameTaken { found: "/meet/x".into() };
    for (kind, operation, code, remedy) in [
        // ENOENT: FAT returns it for a name that it does not allow.
        (Kind::Destination, Rename, 2, "; choose another name"),
        (Kind::Destination, Temporary, 2, "; create its directory first"),
        // EILSEQ.
        (Kind::Destination, Stat, 84, "; choose another name"),
        // EROFS.
        (taken(), Temporary, 30, "; the file system is read-only"),
        (taken(), Temporary, 1, "; remove it, or ask its owner"),
    ] {
        let said = said(kind, operation, code);
        assert!(said.contains(remedy), "{said}");
    }
}

#[cfg(unix)]
#[test]
fn a_message_names_what_failed_the_path_the_reason_and_the_remedy() {
    let cp = Audience::new(&Request::both("/a", "/b"));
    let missing = Error {
        operation: Some(duocopy::Operation::Open),
        cause: Some(SystemError::from_code(2)),
        ..Error::at(Kind::Source, Path::new("/a"))
    };
    let reason = "No such file or directory (os error 2)";
    assert_eq!(
        message(&missing, &cp),
        format!("cannot open the source: /a: {reason}; check the spelling of the path")
    );
    let full = |path: Option<&str>| Error {
        role: Some(Role::Writer),
        path: path.map(Into::into),
        operation: Some(duocopy::Operation::Write),
        cause: Some(SystemError::from_code(28)),
        aftermath: Aftermath::Kept { bytes: 9 },
        ..Error::new(Kind::Destination)
    };
    let kept = "is unchanged, and 9 bytes of the copy are kept, which the next run resumes";
    let written = "cannot write to the destination";
    let reason = "No space left on device (os error 28)";
    let remedy = "free some space there, or choose another destination";
    let said = message(&full(Some("/b")), &cp);
    assert_eq!(said, format!("{written}: /b: {reason}; the destination {kept}; {remedy}"));
    let pair = Audience { role: Some(Role::Reader), ..Audience::new(&Request::pair("/a", "/b")) };
    let said = message(&full(Some("/b")), &pair);
    assert!(said.starts_with("the Writer failed: cannot write to the destination: /b: "), "{said}");
    let read = Audience::new(&Request::read("/a", "n"));
    let said = message(&Error { aftermath: Aftermath::Unmentioned, ..full(None) }, &read);
    assert_eq!(said, format!("the Writer failed: {written}: {reason}; the Writer's own message says more"));
    assert_eq!([exit_code(&full(None), &read, None), exit_code(&missing, &cp, None)], [7, 5]);
}

#[test]
fn what_is_at_the_destination_is_said() {
    let died = |aftermath| Error { aftermath, ..Error::new(Kind::PeerDied) };
    let pair = Audience { role: Some(Role::Writer), ..Audience::new(&Request::pair("/a", "/b")) };
    assert_eq!(message(&died(Aftermath::Unchanged), &pair), "the Reader died; /b is unchanged; copy again");
    let cp = Audience::new(&Request::both("/a", "/b"));
    let path = Some("/.duocopy-1.part".into());
    assert_eq!(
        message(&died(Aftermath::PartialMayRemain { path }), &cp),
        "the second process died; /b is unchanged; a partial copy may remain at /.duocopy-1.part, which the next run \
         resumes or removes; copy again"
    );
    let read = Audience::new(&Request::read("/a", "n"));
    let said = message(&died(Aftermath::Undetermined), &read);
    assert!(
        said.starts_with("the Writer died; the destination may be complete or unchanged, which"),
        "{said}"
    );
    let timeout =
        Request { connect_timeout: Some(std::time::Duration::from_secs(3)), ..read.request.clone() };
    let said = message(&Error::new(Kind::PeerTimeout), &Audience::new(&timeout));
    assert!(
        said.starts_with("timed out after 3s waiting for the other process at the pipe \u{201c}n\u{201d};")
    );
}
