use super::*;
use duocopy::{Operation, Request, Role, SystemError};
use std::collections::HashMap;

/// The exit codes, and the kinds of error that have them: for the second time.
const CODES: [(u8, &str); 12] = [
    (0, "Skipped"),
    (1, "SecondProcess PeerFailed SharedMemory Meeting PipeBusy Pipe"),
    (
        2,
        "EmptyPath DevicePath StreamPath LongPath UnusablePath StandardStream UnknownUser UnknownGroup \
         OwnUserNotAllowed",
    ),
    (4, "Mismatch"),
    (
        5,
        "Source SourceIsDirectory SourceNotRegular SourceChanged SourceNotRepeatable SourceDiffers \
         ResumePastEnd",
    ),
    (6, "Destination NoSuchDirectory NotADirectory NameTaken DestinationBusy OutputClosed"),
    (8, "PeerDied PeerInterrupted DiedCommitting SecondProcessEnded"),
    (9, "TooManyInstances PairEnding"),
    (10, "FifoNotOpened PeerTimeout"),
    (11, "OtherVersion"),
    (
        12,
        "SameFile DestinationIsDirectory DestinationIsSpecial SourceIsTemporary DirectoryTakesNoFiles \
         DanglingLink LinkLoop LinkToDirectory LinkNotFollowed DestinationExists DestinationAppeared \
         DestinationChangedType DirectoryMoved TemporaryFileReplaced TemporaryFileGone \
         TemporaryFileContended DestinationLocked TemporaryFileTaken NoLocks TooLarge CannotReread \
         DiskNotReplaced OutputNotResumable OutputReplaced CommittedTooEarly OptionsDiffer \
         TooManyAttributes BackupIsSource BackupIsSpecial BackupFailed PeerNotAllowed PeerUnproven \
         NameInUse ForeignPipe",
    ),
    (130, "Interrupted"),
];

/// One error of each kind that says more than its name.
fn detailed() -> Vec<Kind> {
    let (path, text) = (|| "/meet/x".into(), || String::from("text"));
    vec![
        Kind::UnknownUser(text()),
        Kind::UnknownGroup(text()),
        Kind::SourceChanged(SourceChange::Metadata),
        Kind::ResumePastEnd { position: 9 },
        Kind::NameTaken { found: path() },
        Kind::DestinationBusy { copy: path() },
        Kind::NoLocks { found: path() },
        Kind::TooLarge { bytes: 9, max: 1 },
        Kind::OptionsDiffer(SharedOption::Checksum),
        Kind::BackupIsSource { backup: path() },
        Kind::BackupIsSpecial { backup: path() },
        Kind::PeerNotAllowed { user: Some(7) },
        Kind::NameInUse { there: b"/c\0/d".into(), processes: vec![7] },
        Kind::ForeignPipe { what: text() },
        Kind::Mismatch { reread: false, resumed: 0 },
        Kind::TooManyInstances { reader: Some(7), writer: Some(8), read: 9, written: 1 },
        Kind::PairEnding { processes: vec![7, 8] },
        Kind::OtherVersion { ours: 1, theirs: 2 },
        Kind::SharedMemory { step: text() },
        Kind::Meeting { step: text() },
        Kind::Pipe { what: text() },
    ]
}

/// The name of a kind, as serde writes it.
fn name_of(kind: &Kind) -> String {
    let text = serde_json::to_string(kind).unwrap();
    text.split('"').nth(1).unwrap().into()
}

/// The names of all kinds: serde lists them when it is given none of them.
fn all_names() -> Vec<String> {
    let expected = serde_json::from_str::<Kind>("\"?\"").unwrap_err().to_string();
    expected.split('`').skip(3).step_by(2).map(Into::into).collect()
}

#[test]
fn every_kind_has_its_code_and_a_sentence_with_the_path() {
    const DIALECT: [&str; 6] = ["partner", "behind", "whoever", "wish", "gave up", "anew"];
    let listed = CODES.iter().flat_map(|(code, names)| names.split(' ').map(move |name| (name, *code)));
    let mut codes: HashMap<_, _> = listed.collect();
    let audiences = [
        Audience::new(&Request::both("/a", "/b")),
        Audience { role: Some(Role::Writer), ..Audience::new(&Request::pair("/a", "/b")) },
        Audience::new(&Request::read("/a", "n")),
    ];
    for name in all_names() {
        let code = codes.remove(&*name).expect("a new kind belongs into the table");
        let detailed = detailed().into_iter().find(|kind| name_of(kind) == name);
        let kind =
            detailed.unwrap_or_else(|| serde_json::from_str(&format!("\"{name}\"")).expect("an example"));
        for (to, role) in audiences
            .iter()
            .flat_map(|to| [None, Some(Role::Reader), Some(Role::Writer)].map(|role| (to, role)))
        {
            let cause = Some(SystemError::from_code(5));
            let error = Error { role, cause, ..Error::at(kind.clone(), Path::new("/where/\u{1b}")) };
            assert_eq!(exit_code(&error, to, Some(2)), code, "{kind:?}");
            let said = message(&error, to);
            assert!(said.contains("/where/\\u{1b}"), "{said}");
            assert!(said.starts_with(char::is_lowercase) && !said.ends_with(['.', ' ', ';']), "{said}");
            assert!(!DIALECT.iter().any(|word| said.contains(word)), "{said}");
            assert!(!to.started_both() || !said.contains("Reader") && !said.contains("Writer"), "{said}");
        }
    }
    assert!(codes.is_empty(), "no longer kinds: {codes:?}");
}

#[cfg(unix)]
#[test]
fn a_message_names_what_failed_the_path_the_reason_and_the_remedy() {
    let cp = Audience::new(&Request::both("/a", "/b"));
    let missing = Error {
        operation: Some(Operation::Open),
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
        operation: Some(Operation::Write),
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
    assert_eq!(said, format!("the Writer failed: {written}: {reason}; its own message says more"));
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
