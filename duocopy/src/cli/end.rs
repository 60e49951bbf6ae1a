//! How a copy ended: the last message, the last JSON object, and the exit code.

use super::output::say;
use super::progress::Screen;
use super::render::{self, show};
use super::values::Show;
use super::{json, output};
use duocopy::{Error, Loss, LossReason, Outcome, Plan, PlannedDestination};
use serde_json::json;
use std::time::Instant;

/// The result of a request.
#[derive(Debug)]
pub enum End {
    Planned(Plan),
    Copied(Outcome),
}

/// Tells people and programs how it ended, and returns the exit code.
pub fn conclude(screen: &mut Screen, result: Result<End, Error>, begun: Instant, signal: Option<u8>) -> u8 {
    screen.finish();
    let seconds = begun.elapsed().as_secs_f64();
    let (settings, to) = (screen.settings, screen.to.clone());
    let to = &to;
    let (result, planned) = match result {
        Ok(End::Planned(plan)) => (Ok(planned_outcome(&plan)), Some(render::plan(&plan))),
        Ok(End::Copied(outcome)) => (Ok(outcome), None),
        Err(error) => (Err(error), None),
    };
    let (code, message) = match &result {
        Err(error) => (render::exit_code(error, to, signal), Some(render::message(error, to))),
        Ok(Outcome::Skipped { path }) => (0, Some(render::kept(path))),
        Ok(Outcome::Complete { not_preserved, .. }) => {
            let is_usual = settings.cp.forgives_owner && only_the_owner(not_preserved);
            let code = if is_usual { 0 } else { render::NOT_PRESERVED };
            match render::not_preserved(not_preserved, to) {
                Some(message) => (code, Some(message)),
                None => (0, None),
            }
        }
    };
    if settings.json {
        let mut fields = json::end(result.as_ref(), code, message.as_deref());
        fields["dry_run"] = json!(settings.dry_run);
        fields["seconds"] = json!(seconds);
        let (source, destination) = to.request.paths();
        (fields["source"], fields["destination"]) = (json!(source.map(show)), json!(destination.map(show)));
        screen.object("end", fields);
    }
    let unwritten = screen.unwritten.as_ref().map(output::failed);
    // A failure of the copy is more informative.
    let code = unwritten.filter(|_| matches!(code, 0 | render::NOT_PRESERVED)).unwrap_or(code);
    if let Some(planned) = planned {
        screen.note(&planned);
        return code;
    }
    if let Ok(Outcome::Complete { bytes, checksum, .. }) = &result {
        let checksum = checksum.as_ref().map_or(String::new(), |checksum| {
            let (algorithm, value) = json::checksum_text(checksum);
            format!(", {algorithm} {value}")
        });
        let complete = format!("complete: {bytes} bytes in {seconds:.3} s{checksum}");
        if settings.progress == Show::Always { screen.note(&complete) } else { screen.detail(&complete) }
    }
    match &message {
        Some(message) if code == 0 => screen.detail(message),
        Some(message) => say(message),
        None => {}
    }
    code
}

/// Returns whether the copy lacks only the owner of the source, which an ordinary user cannot give it, and what needs
/// that owner.
fn only_the_owner(not_preserved: &[Loss]) -> bool {
    let has = |loss: &Loss| loss.reason == LossReason::NotPrivileged;
    not_preserved.iter().any(has)
        && not_preserved.iter().all(|loss| has(loss) || loss.reason == LossReason::OtherOwner)
}

/// Returns how the planned copy would end, if nothing happens to it.
fn planned_outcome(plan: &Plan) -> Outcome {
    if let Some(PlannedDestination::Keep { path }) = &plan.destination {
        return Outcome::Skipped { path: path.clone() };
    }
    let bytes = plan.source.as_ref().and_then(|source| source.length).unwrap_or(0);
    Outcome::Complete { bytes, checksum: None, not_preserved: Vec::new() }
}
