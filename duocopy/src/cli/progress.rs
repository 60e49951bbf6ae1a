//! Shows a running copy to people and programs.

use super::options::Settings;
use super::output::say;
use super::render::{self, Audience, show};
use super::values::Show;
use super::{hint, json};
use duocopy::{Event, Observer, Presence, Progress, Request, Role, Signals, Step, Warning};
use indicatif::{BinaryBytes, HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

/// A shorter copy needs no bar.
const BAR_AFTER: Duration = Duration::from_secs(1);
const LONELY_AFTER: Duration = Duration::from_secs(2);
const LINE_EVERY: Duration = Duration::from_secs(10);
const OBJECT_EVERY: Duration = Duration::from_secs(1);
/// The time over which rates are taken.
const RATE_OVER: Duration = Duration::from_secs(2);

/// Shows the events of a copy.
#[derive(Debug)]
pub struct Screen {
    pub to: Audience,
    pub settings: Settings,
    signals: Signals,
    has_terminal: bool,
    bar: Option<ProgressBar>,
    length: Option<u64>,
    step: Option<Step>,
    /// The message if no peer comes for some time.
    lonely: Option<(Instant, String)>,
    /// Since when the peer is there.
    together: Option<Instant>,
    peer_died: bool,
    line_at: Instant,
    object_at: Instant,
    /// Why an object could not be written; the later ones are left out.
    pub unwritten: Option<io::Error>,
    samples: VecDeque<(Instant, Progress)>,
}

impl Screen {
    pub fn new(request: &Request, settings: Settings, signals: &Signals) -> Self {
        let now = Instant::now();
        Self {
            to: Audience::new(request),
            settings,
            signals: signals.clone(),
            has_terminal: io::stderr().is_terminal()
                && std::env::var_os("TERM").is_none_or(|term| term != "dumb"),
            bar: None,
            length: None,
            step: None,
            lonely: None,
            together: None,
            peer_died: false,
            line_at: now + LINE_EVERY,
            object_at: now + OBJECT_EVERY,
            unwritten: None,
            samples: VecDeque::new(),
        }
    }

    /// Writes an object for programs, if there are any. The copy continues even if nobody can read it.
    pub fn object(&mut self, kind: &str, fields: Value) {
        if self.settings.json && self.unwritten.is_none() {
            self.unwritten = json::object(kind, fields).err();
        }
    }

    /// Takes the bar away; messages about the end follow.
    pub fn finish(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    /// Says what the user should know.
    pub fn note(&self, text: &str) {
        if !self.settings.quiet {
            self.above_the_bar(text);
        }
    }

    /// Says what only a user who asked for more should know.
    pub fn detail(&self, text: &str) {
        if self.settings.verbose {
            self.above_the_bar(text);
        }
    }

    fn above_the_bar(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| say(text)),
            None => say(text),
        }
    }

    fn progress(&mut self, progress: Progress) {
        let now = Instant::now();
        self.samples.push_back((now, progress));
        while self.samples.get(1).is_some_and(|(at, _)| now.duration_since(*at) > RATE_OVER) {
            self.samples.pop_front();
        }
        if progress.peer != Presence::NotYet {
            self.together.get_or_insert(now);
            self.lonely = None;
        } else if let Some((_, text)) = self.lonely.take_if(|(since, _)| now > *since + LONELY_AFTER) {
            self.note(&text);
        }
        self.watch_peer(progress.peer);
        if self.signals.status_requested() {
            self.above_the_bar(&self.line(progress));
        }
        if self.settings.json && self.together.is_some() && now > self.object_at {
            self.report(progress);
            self.object_at = now + OBJECT_EVERY;
        }
        let show = if self.settings.quiet { Show::Never } else { self.settings.progress };
        let is_long = self.together.is_some_and(|since| now > since + BAR_AFTER);
        if self.has_terminal && show != Show::Never {
            if is_long && !progress.peer_shows {
                self.draw(progress);
            }
        } else if show == Show::Always && now > self.line_at {
            say(&self.line(progress));
            self.line_at = now + LINE_EVERY;
        }
    }

    /// Says when the peer has died and a replacement is waited for, and when that has come.
    fn watch_peer(&mut self, peer: Presence) {
        let Some(time) = self.to.request.replace_within else { return };
        match peer {
            Presence::Died if !self.peer_died => {
                let text = replacement_message(&self.to, time);
                self.object("warning", json!({ "kind": "PeerDied", "message": text }));
                self.note(&text);
            }
            Presence::Here if self.peer_died => {
                self.note("another process has taken its place; the copy continues");
            }
            _ => {}
        }
        self.peer_died = peer == Presence::Died;
    }

    fn draw(&mut self, progress: Progress) {
        let (written, message) = (self.written(progress), self.message(progress));
        let bar = self.bar.get_or_insert_with(|| {
            let template = match self.length {
                Some(_) => "{percent:>3} % {bar:10} {wide_msg}",
                None => "{binary_bytes} {wide_msg}",
            };
            let style = ProgressStyle::with_template(template).expect("a valid template");
            ProgressBar::with_draw_target(self.length, ProgressDrawTarget::stderr()).with_style(style)
        });
        bar.set_position(written.min(self.length.unwrap_or(u64::MAX)));
        bar.set_message(message);
        bar.tick();
    }

    fn report(&mut self, progress: Progress) {
        let (reading, writing) = self.rates();
        let fields = json!({
            "read": progress.read, "written": progress.written, "length": self.length,
            "read_per_second": reading, "written_per_second": writing,
            "buffer": progress.buffer, "waits": progress.waiting,
            "step": self.step.as_ref().map_or(String::new(), json::lower),
            "peer": if progress.peer == Presence::Died { "died" } else { "here" },
        });
        self.object("progress", fields);
    }

    /// `in 812 · out 401 MiB/s · 12s left · waiting for the destination · buffer 97 %`: what matters most comes first,
    /// because a narrow terminal cuts the end.
    fn message(&self, progress: Progress) -> String {
        if let Some(step) = self.step {
            return render::step(step).into();
        }
        let (reading, writing) = self.rates();
        let mut parts = vec![format!("in {} · out {} MiB/s", reading >> 20, writing >> 20)];
        if let Some(length) = self.length
            && let Some(seconds) = length.saturating_sub(progress.written).checked_div(writing)
        {
            parts.push(format!("{:#} left", HumanDuration(Duration::from_secs(seconds))));
        }
        match progress.waiting {
            _ if matches!(progress.peer, Presence::NotYet | Presence::Died) => {
                parts.push("waiting for the second process".into());
            }
            Some(Role::Reader) => parts.push("waiting for the destination".into()),
            Some(Role::Writer) => parts.push("waiting for the source".into()),
            None => {}
        }
        parts.push(format!("buffer {} %", progress.buffer));
        parts.join(" · ")
    }

    fn line(&self, progress: Progress) -> String {
        let (written, message) = (self.written(progress), self.message(progress));
        let Some(length) = self.length else {
            return format!("{} written · {message}", BinaryBytes(written));
        };
        // The peer may report any number.
        let percent = (u128::from(written) * 100).checked_div(length.into()).unwrap_or(100);
        format!("{percent} % · {} of {} written · {message}", BinaryBytes(written), BinaryBytes(length))
    }

    /// Returns the bytes written so far. The Writer's steps begin once all bytes are written, perhaps before the next
    /// progress report.
    fn written(&self, progress: Progress) -> u64 {
        let is_all = self.step.is_some_and(|step| step != Step::Comparing);
        self.length.filter(|_| is_all).unwrap_or(progress.written)
    }

    /// Returns bytes per second in and out.
    fn rates(&self) -> (u64, u64) {
        let (Some((from, then)), Some((to, now))) = (self.samples.front(), self.samples.back()) else {
            return (0, 0);
        };
        let time = to.duration_since(*from);
        (rate(then.read, now.read, time), rate(then.written, now.written, time))
    }
}

impl Observer for Screen {
    fn event(&mut self, event: Event) {
        if self.settings.json
            && let Some((kind, fields)) = json::event(&event, &self.to)
        {
            self.object(kind, fields);
        }
        match event {
            Event::Joined { role, pipe } => {
                self.to.role = Some(role);
                if !self.to.started_both() {
                    self.detail(&render::joined(role, &pipe));
                }
            }
            Event::Waiting { missing, refusal } if !self.to.started_both() => {
                let mut text = lonely_message(&self.to, missing);
                if let Some(error) = refusal {
                    text = format!("{text}\nit would be refused now: {}", render::message(&error, &self.to));
                }
                self.lonely = Some((Instant::now(), text));
            }
            Event::PeerUser { role, user } => {
                let user = user.map_or("a user unknown in this user namespace".into(), render::user);
                self.note(&format!("the {} belongs to {user}", render::role_name(role)));
            }
            Event::Replaced { role } => self.note(&render::replaced(role)),
            Event::Layout { length, blocks, block_size, reason } => {
                self.detail(&render::layout(length, blocks, block_size, reason));
            }
            Event::Resumed { position, rereads } => self.note(&render::resumed(position, rereads)),
            Event::Started { length, .. } => self.length = length,
            Event::Progress(progress) => self.progress(progress),
            Event::Step(step) => {
                self.step = Some(step);
                // A step may be over before the next report of progress.
                if let (Some(_), Some((_, progress))) = (&self.bar, self.samples.back()) {
                    self.draw(*progress);
                }
            }
            // Checkpoints matter only if the Writer is killed.
            Event::Warning(warning @ Warning::NoCheckpoints { .. }) => {
                self.detail(&render::warning(&warning, &self.to));
            }
            Event::Warning(warning) => self.note(&render::warning(&warning, &self.to)),
            Event::Stats(stats) => render::stats(&stats).iter().for_each(|line| self.above_the_bar(line)),
            Event::Waiting { .. } => {}
        }
    }
}

/// Returns bytes per second.
pub fn rate(then: u64, now: u64, time: Duration) -> u64 {
    let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1);
    now.saturating_sub(then).saturating_mul(1000) / millis
}

/// The message if no peer comes.
fn lonely_message(to: &Audience, missing: Role) -> String {
    let who = if to.request.is_half() { render::role_name(missing) } else { "second process" };
    let user = match &to.request.dir {
        None => "the same user".into(),
        Some(dir) => format!("a user who may enter {}", show(dir)),
    };
    format!("waiting for the {who}; start it as {user}:\n  {}", hint::command(&to.request, missing))
}

/// The message while this process waits for a replacement of its dead peer.
fn replacement_message(to: &Audience, time: Duration) -> String {
    let other = to.role.map_or(Role::Reader, Role::other);
    let (name, time) = (render::role_name(other), humantime::format_duration(time));
    let start = if to.request.is_half() { "start it again" } else { "start the same command again" };
    let command = hint::command(&to.request, other);
    format!("the {name} died; waiting up to {time} for a replacement; {start}:\n  {command}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::as_cp::Manner;

    #[test]
    fn a_line_says_how_far_the_copy_is_and_what_it_waits_for() {
        let settings = Settings {
            progress: Show::Never,
            quiet: true,
            verbose: false,
            json: false,
            dry_run: false,
            cp: Manner::default(),
        };
        let mut screen = Screen::new(&Request::pair("/a", "/b"), settings, &Signals::watch(128).unwrap());
        let now = Progress {
            peer: Presence::Here,
            read: 2 << 20,
            written: 1 << 20,
            buffer: 50,
            waiting: Some(Role::Reader),
            peer_shows: false,
        };
        let rest = "in 0 · out 0 MiB/s · waiting for the destination · buffer 50 %";
        assert_eq!(screen.line(now), format!("1.00 MiB written · {rest}"));
        screen.length = Some(4 << 20);
        assert_eq!(screen.line(now), format!("25 % · 1.00 MiB of 4.00 MiB written · {rest}"));
        screen.event(Event::Step(Step::Flushing));
        assert_eq!(screen.line(now), "100 % · 4.00 MiB of 4.00 MiB written · copied, flushing to the disk");
        assert_eq!(
            lonely_message(&screen.to, Role::Writer),
            "waiting for the second process; start it as the same user:\n  duocopy --no-sandbox /a /b"
        );
    }
}
