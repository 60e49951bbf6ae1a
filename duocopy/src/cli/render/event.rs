//! Events and outcomes.

use super::audience::{Audience, printable, quoted, role_name, show, show_half, show_name, show_tag};
use super::error::message;
use duocopy::{
    Backup, LayoutReason, Loss, LossReason, Plan, PlannedDestination, Preserved, Role, SandboxGap, Step,
    Warning,
};
use std::path::Path;

pub fn joined(role: Role, pipe: &[u8]) -> String {
    format!("this is the {}; the pipe is {}", role_name(role), quoted(&show_tag(pipe)))
}

pub fn replaced(role: Role) -> String {
    format!("this {} takes the place of one that died", role_name(role))
}

pub fn resumed(position: u64, rereads: bool) -> String {
    let check = if rereads {
        "they are only read again for the checksum"
    } else {
        "they are trusted: --verify=reread also checks them"
    };
    format!("resuming an interrupted copy: {position} bytes need not be copied again; {check}")
}

pub fn step(step: Step) -> &'static str {
    match step {
        Step::Comparing => "read, reading the source again because its inode has changed",
        Step::Flushing => "copied, flushing to the disk",
        Step::Rereading => "flushed, reading the copy back",
    }
}

pub fn layout(length: Option<u64>, blocks: usize, block_size: usize, reason: LayoutReason) -> String {
    let length = length.map_or("unknown length".into(), |length| format!("{length} bytes"));
    let s = if blocks == 1 { "" } else { "s" };
    let reason = match reason {
        LayoutReason::Requested => "as requested",
        LayoutReason::Adjusted => "as close to the request as whole pages and blocks allow",
        LayoutReason::SmallSource => "no more than SRC needs",
        LayoutReason::ShortSource => "more would not make a copy of this length faster",
        LayoutReason::Stream => "data from a stream may arrive in bursts",
        LayoutReason::Disk => "data from a disk may arrive in bursts",
        LayoutReason::Memory => "SRC is in memory, and few blocks stay in the processors' caches",
    };
    format!("{length}, {blocks} block{s} of {block_size} bytes: {reason}")
}

pub fn warning(warning: &Warning, to: &Audience) -> String {
    match warning {
        Warning::Unconfined { gap, reason } => {
            let gap = match gap {
                SandboxGap::Paths => "open other files",
                SandboxGap::SystemCalls => "make other system calls",
            };
            let reason = printable(reason);
            format!(
                "not confined: this process can still {gap} ({reason}); --no-sandbox turns this warning off"
            )
        }
        Warning::LayoutAdjusted { blocks, block_size } => {
            format!("using up to {blocks} blocks of {block_size} bytes, the nearest that works")
        }
        Warning::DirectUnavailable { path, cause } => {
            let cause = printable(&cause.to_string());
            format!("--direct is not available, so the page cache is used: {}: {cause}", to.show(path))
        }
        Warning::DirectUntil { path, offset } => {
            let path = to.show(path);
            format!("--direct ended at byte {offset}, because the data came in parts of sectors: {path}")
        }
        Warning::DropCacheUnavailable { path } => {
            format!("--drop-cache is not available on this system: {}", to.show(path))
        }
        Warning::DropCacheUseless { path } => {
            format!("--drop-cache has no effect, because this file system is in memory: {}", to.show(path))
        }
        Warning::NoPageCache { path } => {
            let what =
                "--direct and --drop-cache have no effect on standard input and output, pipes and terminals";
            format!("{what}: {}", to.show(path))
        }
        Warning::Irreversible { path } => {
            format!(
                "not a regular file: the output is not atomic and cannot be rolled back: {}",
                to.show(path)
            )
        }
        Warning::NoLocks { cause } => {
            let cause = printable(&cause.to_string());
            format!(
                "this file system has no locks: {cause}; make sure that no other copy writes to the same file"
            )
        }
        Warning::NoCheckpoints { cause } => {
            let cause = printable(&cause.to_string());
            format!(
                "cannot start a thread that records progress, so a killed copy cannot be resumed: {cause}"
            )
        }
        Warning::NotExclusive { path } => {
            let limit = "this file system has no rename that fails if the destination exists, so that was checked just \
                         before; a file that another program created in between was replaced";
            format!("{limit}: {}", to.show(path))
        }
        Warning::Restarted => {
            "restarting from the beginning: what an interrupted copy left does not fit the source, the \
                               options or the temporary file of this one"
                .into()
        }
        Warning::OwnerNotKept { path } => {
            format!(
                "cannot keep the owner and group of the old file, so their permissions were removed: {}",
                to.show(path)
            )
        }
        Warning::NotHandedOn { path, what } => {
            let what = what.iter().map(property).collect::<Vec<_>>().join(", ");
            format!("did not keep these properties of the old file: {what}: {}", to.show(path))
        }
        Warning::RereadCached => {
            "the copy was read back through the page cache: this file system has no direct reads".into()
        }
        Warning::TooLate(error) => {
            format!("the copy is complete; this error came after everything was sent: {}", message(error, to))
        }
    }
}

/// Returns the message of a copy that was skipped because the destination exists.
pub fn kept(path: &Path) -> String {
    format!("skipped: {} exists", show(path))
}

/// Describes what a copy would do, for `--dry-run`.
pub fn plan(plan: &Plan) -> String {
    let mut would = Vec::new();
    if let Some(source) = &plan.source {
        let length = source.length.map_or("until it ends".into(), |length| format!("({length} bytes)"));
        would.push(format!("read {} {length}", show_half(&source.path, Role::Reader)));
    }
    match &plan.destination {
        Some(PlannedDestination::Keep { path }) => return kept(path),
        Some(PlannedDestination::Create { path }) => would.push(format!("create {}", show(path))),
        Some(PlannedDestination::Stream { path }) => {
            would.push(format!("write to {}, which cannot be rolled back", show_half(path, Role::Writer)));
        }
        Some(PlannedDestination::Replace { path, backup }) => {
            let backup = match backup {
                Backup::None => "",
                Backup::Numbered => ", and keep the old file under a numbered name",
                Backup::Simple | Backup::Existing => ", and keep the old file under another name",
            };
            would.push(format!("replace {}{backup}", show(path)));
        }
        None => {}
    }
    format!("would {}", would.join(" and "))
}

/// Describes the metadata that a complete copy has not preserved; `None` if it has preserved all.
pub fn not_preserved(lost: &[Loss], to: &Audience) -> Option<String> {
    let destination = to.destination();
    if lost.iter().any(|loss| loss.reason == LossReason::Stream) {
        let what = "copied, but metadata was not preserved";
        return Some(format!("{what}: {destination}: the source is a stream; leave out --preserve"));
    }
    let properties = lost.iter().map(loss).collect::<Vec<_>>().join(", ");
    let is_for_nobody = lost.iter().all(|loss| loss.reason == LossReason::OtherValue);
    let remedy = if is_for_nobody {
        "leave it out of --preserve, or copy to another file system"
    } else {
        "run as a user who may set it, or leave it out of --preserve"
    };
    (!lost.is_empty())
        .then(|| format!("copied, but not everything was preserved: {destination}: {properties}; {remedy}"))
}

fn property(what: &Preserved) -> String {
    match what {
        Preserved::Everything => "all metadata".into(),
        Preserved::Ownership => "ownership".into(),
        Preserved::Mode => "mode".into(),
        Preserved::SetIdBits => "the set-user-ID and set-group-ID bits".into(),
        Preserved::Timestamps => "timestamps".into(),
        Preserved::Attributes => "extended attributes".into(),
        Preserved::AccessLists => "access lists".into(),
        Preserved::Attribute(name) => show_name(name),
    }
}

fn loss(Loss { what, reason }: &Loss) -> String {
    let what = property(what);
    let reason = match reason {
        LossReason::Stream => "the source is a stream".into(),
        LossReason::System(cause) => printable(&cause.to_string()),
        LossReason::OtherValue => "the file system cannot store this value".into(),
        LossReason::Unsupported => "not supported on this system".into(),
        LossReason::NotReceived => "not received: the Writer that received it died".into(),
        LossReason::Unreadable => "it could not be read".into(),
        LossReason::OtherUser => "it grants rights, and the other process may belong to another user".into(),
        LossReason::NotPrivileged => "only the superuser can set it".into(),
        LossReason::OtherOwner => "it grants rights, and the copy has another owner".into(),
        LossReason::InPlace => {
            "an earlier run has put the copy in place without it; copy again to set it".into()
        }
    };
    format!("{what} ({reason})")
}

#[cfg(test)]
mod tests {
    use super::*;
    use duocopy::{PlannedSource, Request, SystemError};

    #[test]
    fn a_plan_is_one_sentence() {
        let source = Some(PlannedSource { path: "/a".into(), length: Some(3) });
        let backup = Backup::Numbered;
        let destination = Some(PlannedDestination::Replace { path: "/b".into(), backup });
        let whole = plan(&Plan { source: source.clone(), destination });
        assert_eq!(
            whole,
            "would read /a (3 bytes) and replace /b, and keep the old file under a numbered name"
        );
        let destination = Some(PlannedDestination::Keep { path: "/b".into() });
        assert_eq!(plan(&Plan { source, destination }), "skipped: /b exists");
    }

    #[test]
    fn a_loss_names_the_property_and_the_reason() {
        let to = Audience::new(&Request::both("/a", "/b"));
        assert_eq!(not_preserved(&[], &to), None);
        let lost = Loss { what: Preserved::Mode, reason: LossReason::System(SystemError::from_code(1)) };
        let said = not_preserved(&[lost], &to).unwrap();
        assert!(said.contains("not everything was preserved: /b: mode ("), "{said}");
        assert!(said.ends_with("; run as a user who may set it, or leave it out of --preserve"), "{said}");
        let lost = Loss { what: Preserved::Timestamps, reason: LossReason::OtherValue };
        let said = not_preserved(&[lost], &to).unwrap();
        assert!(said.ends_with("; leave it out of --preserve, or copy to another file system"), "{said}");
        let lost = Loss { what: Preserved::Everything, reason: LossReason::Stream };
        let said = not_preserved(&[lost], &to).unwrap();
        assert!(said.contains("metadata was not preserved: /b: the source is a stream"), "{said}");
    }
}
