//! What `--json` writes to standard output: one object per line, documented in docs/cli.md.

use super::output;
use super::render::{self, Audience, show, show_tag};
use duocopy::{Checksum, Error, Event, Loss, LossReason, Outcome, Preserved, Role, Stats, Warning};
use serde_json::{Value, json};
use std::borrow::Cow;
use std::fmt::{Debug, Write as _};
use std::io;

/// Programs may meet new fields and types; what exists keeps its meaning.
const VERSION: u32 = 1;

/// Writes an object of this type.
pub fn object(kind: &str, mut fields: Value) -> io::Result<()> {
    fields["type"] = json!(kind);
    fields["version"] = json!(VERSION);
    output::write(&format!("{fields}\n"))
}

/// Returns the type and the fields of an event; `None` for progress, which the display samples once a second.
pub fn event(event: &Event, to: &Audience) -> Option<(&'static str, Value)> {
    let joined = |role: &Role, pipe: &[u8]| json!({ "role": role, "process": std::process::id(), "pipe": show_tag(pipe) });
    Some(match event {
        Event::Joined { role, pipe } => ("joined", joined(role, pipe)),
        Event::Waiting { missing, refusal } => {
            let refusal = refusal.as_ref().map(|error| error_fields(error, to));
            ("waiting", json!({ "missing": missing, "refusal": refusal }))
        }
        Event::PeerUser { role, user } => ("peer", json!({ "role": role, "user": user })),
        Event::Replaced { role } => ("replaced", json!({ "role": role })),
        Event::Layout { length, blocks, block_size, reason } => (
            "layout",
            json!({ "length": length, "blocks": blocks, "block_size": block_size, "reason": reason }),
        ),
        Event::Started { role, pipe, length } => {
            let mut fields = joined(role, pipe);
            fields["length"] = json!(length);
            ("start", fields)
        }
        Event::Resumed { position, rereads } => {
            ("resumed", json!({ "position": position, "rereads": rereads }))
        }
        Event::Step(step) => ("step", json!({ "step": lower(step) })),
        Event::Warning(warning) => ("warning", warning_fields(warning, to)),
        Event::Stats(stats) => ("stats", stats_fields(stats)),
        Event::Progress(_) => return None,
    })
}

/// Returns the fields of the `end`: how the copy ended, and the message that people read about it.
pub fn end(result: Result<&Outcome, &Error>, code: u8, message: Option<&str>) -> Value {
    let kind = result.err().map(|error| name(&error.kind));
    let (bytes, checksum, lost) = match result {
        Ok(Outcome::Complete { bytes, checksum, not_preserved }) => {
            let lost = not_preserved.iter().map(loss_fields).collect();
            (Some(*bytes), checksum.as_ref().map(checksum_text), lost)
        }
        _ => (None, None, Vec::<Value>::new()),
    };
    json!({
        "code": code,
        "kind": kind,
        "message": message,
        "bytes": bytes,
        "checksum": checksum.map(|(name, value)| json!({ "algorithm": name, "value": value })),
        "not_preserved": lost,
    })
}

/// Returns the name of a checksum's algorithm, and the checksum in hexadecimal.
pub fn checksum_text(checksum: &Checksum) -> (&'static str, String) {
    match checksum {
        Checksum::Crc64(value) => ("CRC-64/NVME", format!("{value:016x}")),
        Checksum::Blake3(value) => {
            let hex = value.iter().fold(String::new(), |mut text, byte| {
                let _ = write!(text, "{byte:02x}");
                text
            });
            ("BLAKE3", hex)
        }
    }
}

fn error_fields(error: &Error, to: &Audience) -> Value {
    let code = render::exit_code(error, to, None);
    json!({ "code": code, "kind": name(&error.kind), "message": render::message(error, to) })
}

fn loss_fields(loss: &Loss) -> Value {
    let system = match &loss.reason {
        LossReason::System(cause) => Some(cause.to_string()),
        _ => None,
    };
    let attribute = attribute(&loss.what);
    json!({ "what": name(&loss.what), "attribute": attribute, "reason": name(&loss.reason), "system": system })
}

fn attribute(what: &Preserved) -> Option<Cow<'_, str>> {
    match what {
        Preserved::Attribute(name) => Some(name.to_string_lossy()),
        _ => None,
    }
}

fn warning_fields(warning: &Warning, to: &Audience) -> Value {
    let mut fields = match warning {
        Warning::Unconfined { gap, .. } => json!({ "gap": gap }),
        Warning::LayoutAdjusted { blocks, block_size } => {
            json!({ "blocks": blocks, "block_size": block_size })
        }
        Warning::DirectUnavailable { path, cause } => {
            json!({ "path": show(path), "system": cause.to_string() })
        }
        Warning::DirectUntil { path, offset } => json!({ "path": show(path), "offset": offset }),
        Warning::DropCacheUnavailable { path }
        | Warning::DropCacheUseless { path }
        | Warning::NoPageCache { path }
        | Warning::Irreversible { path }
        | Warning::OwnerNotKept { path }
        | Warning::NotExclusive { path } => json!({ "path": show(path) }),
        Warning::NotHandedOn { path, what } => {
            let what = what.iter().map(|it| json!({ "what": name(it), "attribute": attribute(it) }));
            json!({ "path": show(path), "not_handed_on": what.collect::<Vec<_>>() })
        }
        Warning::NoLocks { cause } | Warning::NoCheckpoints { cause } => {
            json!({ "system": cause.to_string() })
        }
        Warning::Restarted | Warning::RereadCached => json!({}),
        Warning::TooLate(error) => json!({ "error": error_fields(error, to) }),
    };
    fields["kind"] = json!(name(warning));
    fields["message"] = json!(render::warning(warning, to));
    fields
}

fn stats_fields(stats: &Stats) -> Value {
    let seconds = |time: std::time::Duration| time.as_secs_f64();
    json!({
        "role": stats.role,
        "bytes": stats.bytes,
        "seconds": seconds(stats.duration),
        "reader_waited": seconds(stats.waited[0]),
        "writer_waited": seconds(stats.waited[1]),
        "held_back": seconds(stats.held_back),
        "fill": stats.fill,
        "blocks": stats.blocks,
        "flushing": stats.flushing.map(seconds),
        "rereading": stats.rereading.map(seconds),
        "message": render::stats(stats).join("\n"),
    })
}

/// Returns the name of an enum's variant, as the library's documentation has it.
fn name(variant: &impl Debug) -> String {
    format!("{variant:?}").chars().take_while(char::is_ascii_alphanumeric).collect()
}

/// Returns the name of an enum's variant in lower case.
pub fn lower(variant: &impl Debug) -> String {
    name(variant).to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use duocopy::{ErrorKind, Request};

    #[test]
    fn events_and_ends_have_fields() {
        let to = Audience::new(&Request::both("/a", "/b"));
        let warning = Warning::LayoutAdjusted { blocks: 2, block_size: 4096 };
        let (kind, fields) = event(&Event::Warning(warning), &to).unwrap();
        assert_eq!(
            (kind, &fields["kind"], &fields["blocks"]),
            ("warning", &json!("LayoutAdjusted"), &json!(2))
        );
        assert!(fields["message"].as_str().unwrap().contains("using up to 2 blocks of 4096 bytes"));
        let failed = end(Err(&Error::new(ErrorKind::TooLarge { bytes: 2, max: 1 })), 12, Some("x"));
        assert_eq!(
            (&failed["kind"], &failed["code"], &failed["bytes"]),
            (&json!("TooLarge"), &json!(12), &Value::Null)
        );
        let checksum = Some(Checksum::Crc64(7));
        let done = end(Ok(&Outcome::Complete { bytes: 3, checksum, not_preserved: Vec::new() }), 0, None);
        assert_eq!(done["checksum"], json!({ "algorithm": "CRC-64/NVME", "value": "0000000000000007" }));
    }
}
