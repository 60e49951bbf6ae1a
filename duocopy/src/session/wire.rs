//! The form in which errors and losses cross the pipe: kind, operation, the system's error number, what the Writer
//! left, and in a pair also the path. The receiver writes its own sentence.

use crate::api::{Aftermath, Error, ErrorKind, Loss, Operation, Role, SystemError};
use crate::sys;
use blockpipe::Reason;
use serde::{Deserialize, Serialize};

/// The codes of a [`Reason`]. A remark about losses has a code that no abort has, because the remark of a dead Writer
/// may still be in the pipe.
const ERROR: u32 = 1;
pub const INTERRUPTED: u32 = 2;
const LOSSES: u32 = 3;
/// The most bytes of a message that a pipe transmits.
const MOST: usize = 696;

#[derive(Serialize, Deserialize)]
struct Wire {
    kind: ErrorKind,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    operation: Option<Operation>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    code: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    path: Option<String>,
    #[serde(skip_serializing_if = "is_unmentioned", default)]
    aftermath: Aftermath,
}

fn is_unmentioned(aftermath: &Aftermath) -> bool {
    *aftermath == Aftermath::Unmentioned
}

/// Encodes an error of this process for its peer. Only in a pair may the peer learn paths.
pub fn encode(error: &Error, is_pair: bool) -> Reason {
    if error.kind == ErrorKind::Interrupted {
        return interrupted();
    }
    // The peer may have another working directory.
    let path = error.path.as_deref().filter(|_| is_pair).map(sys::absolute);
    let kind = error.kind.clone();
    let mut wire = Wire {
        kind: if is_pair { kind.with_path(sys::absolute) } else { kind.without_details() },
        operation: error.operation,
        code: error.cause.as_ref().and_then(|cause| cause.code),
        path: path.map(|path| path.to_string_lossy().into_owned()),
        aftermath: error.aftermath.clone().with_path(|path| is_pair.then(|| sys::absolute(path))),
    };
    let mut text = json(&wire);
    if text.len() > MOST {
        (wire.path, wire.kind) = (None, wire.kind.without_details());
        wire.aftermath = wire.aftermath.with_path(|_| None);
        text = json(&wire);
    }
    Reason::new(ERROR, text)
}

/// Decodes an error of the peer, which has this role. No message of the peer can make this process report success, an
/// interrupt of this process, or a path that a half must not know.
pub fn decode(by: Role, reason: &Reason, is_pair: bool) -> Error {
    if reason.code == INTERRUPTED {
        return Error { role: Some(by), ..ErrorKind::PeerInterrupted.into() };
    }
    let wire = serde_json::from_str::<Wire>(&reason.message).ok().filter(|_| reason.code == ERROR);
    let Some(Wire { kind, operation, code, path, aftermath }) = wire else {
        return Error { role: Some(by), ..ErrorKind::PeerFailed.into() };
    };
    let kind = match kind {
        ErrorKind::Interrupted => ErrorKind::PeerInterrupted,
        kind if kind.is_of_one_process() => ErrorKind::PeerFailed,
        kind if is_pair => kind,
        kind => kind.without_details(),
    };
    Error {
        role: Some(by),
        path: path.filter(|_| is_pair).map(Into::into),
        operation,
        cause: code.map(SystemError::from_code),
        // Only the Writer knows what is at the destination.
        aftermath: if by == Role::Writer {
            aftermath.with_path(|path| is_pair.then(|| path.into()))
        } else {
            Aftermath::Unmentioned
        },
        ..kind.into()
    }
}

/// Returns the reason of a process that aborts because it was interrupted.
pub fn interrupted() -> Reason {
    Reason::new(INTERRUPTED, "interrupted")
}

/// Returns whether the Writer reports that the destination exists and was kept.
pub fn is_skip(reason: &Reason) -> bool {
    let wire = serde_json::from_str::<Wire>(&reason.message);
    reason.code == ERROR && wire.is_ok_and(|wire| wire.kind == ErrorKind::Skipped)
}

/// Encodes for the Reader what the Writer could not preserve: as many losses as fit, each without the system's error
/// text.
pub fn remark(losses: &[Loss]) -> Reason {
    let mut list = String::new();
    for loss in losses {
        let item = json(&loss.clone().map_system(SystemError::without_text));
        let comma = if list.is_empty() { "" } else { "," };
        if list.len() + comma.len() + item.len() + 2 > MOST {
            break;
        }
        list = list + comma + &item;
    }
    let code = if losses.is_empty() { 0 } else { LOSSES };
    Reason::new(code, format!("[{list}]"))
}

/// Decodes what the Writer could not preserve.
pub fn losses_of(reason: &Reason) -> Vec<Loss> {
    if reason.code != LOSSES {
        return Vec::new();
    }
    let losses: Vec<Loss> = serde_json::from_str(&reason.message).unwrap_or_default();
    // The peer could have chosen the error texts.
    losses.into_iter().map(|loss| loss.map_system(SystemError::with_own_text)).collect()
}

fn json(value: &(impl Serialize + ?Sized)) -> String {
    serde_json::to_string(value).expect("plain data has a JSON form")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{LossReason, Preserved, SourceChange};
    use std::path::Path;

    fn failed() -> Error {
        let failed =
            Error::destination(Path::new("/secret/file"), Operation::Write, SystemError::from_code(28));
        Error { role: Some(Role::Writer), ..failed }
    }

    #[test]
    fn a_pair_learns_everything_and_a_half_no_path() {
        assert_eq!(decode(Role::Writer, &encode(&failed(), true), true), failed());
        let reason = encode(&failed(), false);
        assert!(!reason.message.contains("secret"), "{}", reason.message);
        assert_eq!(decode(Role::Writer, &reason, false), Error { path: None, ..failed() });
        let unchanged = Error { aftermath: Aftermath::Unchanged, ..failed() };
        assert_eq!(decode(Role::Writer, &encode(&unchanged, true), true), unchanged);
        let aftermath = Aftermath::PartialMayRemain { path: Some("/secret/left-over".into()) };
        let reason = encode(&Error { aftermath, ..failed() }, false);
        assert!(!reason.message.contains("secret"), "{}", reason.message);
        let taken = ErrorKind::NameTaken { found: "/secret/left-over".into() };
        assert!(!encode(&taken.into(), false).message.contains("secret"));
        let change = ErrorKind::SourceChanged(SourceChange::Grew { from: 1, to: 2 });
        assert_eq!(decode(Role::Reader, &encode(&change.clone().into(), false), false).kind, change);
    }

    #[test]
    fn a_long_path_is_left_out() {
        let error = Error::at(ErrorKind::SameFile, Path::new(&"x".repeat(4096)));
        let reason = encode(&error, true);
        assert!(reason.message.len() <= MOST);
        assert_eq!(decode(Role::Writer, &reason, true).kind, ErrorKind::SameFile);
    }

    #[test]
    fn a_peer_cannot_make_this_process_say_what_only_it_can_know() {
        for kind in [ErrorKind::Skipped, ErrorKind::OwnUserNotAllowed, ErrorKind::SecondProcessEnded] {
            let reason = Reason::new(
                ERROR,
                json(&Wire {
                    kind,
                    operation: None,
                    code: None,
                    path: None,
                    aftermath: Aftermath::Unmentioned,
                }),
            );
            assert_eq!(decode(Role::Writer, &reason, true).kind, ErrorKind::PeerFailed);
        }
        for (code, message) in [(0, "{}"), (1, ""), (1, "{\"kind\":\"Unheard\"}"), (7, "x"), (3, "[]")] {
            let decoded = decode(Role::Reader, &Reason::new(code, message), true);
            assert_eq!(decoded.kind, ErrorKind::PeerFailed, "{code} {message}");
        }
        let interrupted = encode(&ErrorKind::Interrupted.into(), true);
        assert_eq!(decode(Role::Reader, &interrupted, true).kind, ErrorKind::PeerInterrupted);
        let path = Wire {
            kind: ErrorKind::SameFile,
            operation: None,
            code: None,
            path: Some("/x".into()),
            aftermath: Aftermath::Complete,
        };
        let decoded = decode(Role::Reader, &Reason::new(ERROR, json(&path)), false);
        assert_eq!((decoded.path, decoded.aftermath), (None, Aftermath::Unmentioned));
    }

    #[test]
    fn losses_cross_as_far_as_they_fit() {
        let loss = |name: &str| Loss {
            what: Preserved::Attribute(name.into()),
            reason: LossReason::System(SystemError::from_code(1)),
        };
        let few = vec![Loss { what: Preserved::Everything, reason: LossReason::Stream }, loss("user.a")];
        assert_eq!(losses_of(&remark(&few)), few);
        // As many losses are kept as fit, and many more do not take longer.
        let fitting = losses_of(&remark(&vec![loss("user.attribute"); 100]));
        for count in [100, 300_000] {
            let many = vec![loss("user.attribute"); count];
            let received = losses_of(&remark(&many));
            assert!(received.len() > 3 && received == fitting && remark(&many).message.len() <= MOST);
        }
        for length in 100..300 {
            let one = loss(&"x".repeat(length));
            let fits = json(&[one.clone().map_system(SystemError::without_text)]).len() <= MOST;
            assert_eq!(losses_of(&remark(&[one])).len(), usize::from(fits), "{length}");
        }
        let words = r#"[{"what":"Mode","reason":{"System":{"code":CODE,"text":"run as root: rm"}}}]"#;
        for code in ["null", "1", "123456"] {
            let received = losses_of(&Reason::new(LOSSES, words.replace("CODE", code)));
            assert!(received.len() == 1 && !format!("{received:?}").contains("root"), "{received:?}");
        }
        assert!(losses_of(&remark(&[])).is_empty() && losses_of(&encode(&failed(), true)).is_empty());
    }
}
