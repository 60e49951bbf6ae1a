//! What people see while it runs. Everything goes to standard error; nothing here decides anything.

use crate::options::{Options, Show};
use crate::report;
use crate::sys::{self, Signals};
use indicatif::{BinaryBytes, HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;
use std::collections::VecDeque;
use std::io::{self, IsTerminal, Write};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The program's words for the two ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Reader,
    Writer,
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Reader => "Reader",
            Self::Writer => "Writer",
        })
    }
}

/// Where the other process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    NotYet,
    Here,
    Died,
    /// The verdict is known: who has heard it may be gone, and nobody misses it.
    Dismissed,
}

/// How the copy stands now.
#[derive(Clone, Copy, Debug)]
pub struct View {
    pub partner: Presence,
    pub read: u64,
    pub written: u64,
    /// How full the blocks between the two are, in percent.
    pub buffer: u64,
    /// Who sleeps because the other one is slower.
    pub asleep: Option<Role>,
    /// Whether the other process draws on the same terminal.
    pub drawn_by_partner: bool,
}

impl View {
    /// Before anybody has come.
    pub const NOBODY: Self = Self {
        partner: Presence::NotYet,
        read: 0,
        written: 0,
        buffer: 0,
        asleep: None,
        drawn_by_partner: false,
    };
}

const TICK: Duration = Duration::from_millis(100);
/// A copy that is shorter than this needs no bar.
const BAR_AFTER: Duration = Duration::from_secs(1);
const LONELY_AFTER: Duration = Duration::from_secs(2);
const LINE_EVERY: Duration = Duration::from_secs(10);
const OBJECT_EVERY: Duration = Duration::from_secs(1);
/// Rates are taken over this time.
const RATE_OVER: Duration = Duration::from_secs(2);

enum Message {
    Step(&'static str),
    Stop,
}

/// Where messages go, and the thread that draws while a copy runs.
#[derive(Debug)]
pub struct Progress {
    show: Show,
    quiet: bool,
    verbose: bool,
    json: bool,
    drawing: Option<(Sender<Message>, JoinHandle<()>)>,
}

impl Progress {
    pub fn new(options: &Options) -> Self {
        let Options { progress, quiet, verbose, json, .. } = *options;
        Self { show: progress, quiet, verbose, json, drawing: None }
    }

    /// Something that the user should know.
    pub fn note(&self, text: &str) {
        if self.json {
            report::object("warning", json!({ "message": text }));
        }
        if !self.quiet {
            say(text);
        }
    }

    /// What `--stats` has to say.
    pub fn stats(&self, text: &str) {
        if self.json {
            report::object("stats", json!({ "message": text }));
        }
        say(text);
    }

    /// Something for those who asked for more.
    pub fn detail(&self, text: &str) {
        if self.verbose {
            say(text);
        }
    }

    /// A copy of so many bytes begins, or of as many as there are.
    pub fn begins(&self, role: Role, length: Option<u64>, pipe: &str) {
        if self.json {
            let role = role.to_string().to_lowercase();
            report::object(
                "start",
                json!({ "role": role, "process": std::process::id(), "pipe": pipe, "length": length }),
            );
        }
    }

    /// Starts to show how the copy of so many bytes stands. The two messages are said if nobody comes, and when the
    /// other process has died and is waited for; empty if they never are.
    pub fn start(
        &mut self,
        (total, lonely, replacement): (Option<u64>, String, String),
        signals: Signals,
        view: impl FnMut() -> View + Send + 'static,
    ) {
        let (sender, messages) = mpsc::channel();
        let said = |text: String| (!self.quiet && !text.is_empty()).then_some(text);
        let (lonely, replacement) = (said(lonely), said(replacement));
        let show = if self.quiet { Show::Never } else { self.show };
        let mut screen = Screen {
            total,
            lonely,
            replacement,
            show,
            signals,
            view,
            bar: None,
            step: "",
            samples: VecDeque::new(),
            json: self.json,
        };
        // Without a thread nothing is shown; the copy goes on.
        let thread = std::thread::Builder::new().spawn(move || screen.run(&messages));
        self.drawing = thread.ok().map(|thread| (sender, thread));
    }

    /// The copy goes on to its next step, which has no bytes to count.
    pub fn step(&self, step: &'static str) {
        if let Some((sender, _)) = &self.drawing {
            let _ = sender.send(Message::Step(step));
        }
    }

    /// Takes the bar away. Messages come after this.
    pub fn finish(&mut self) {
        if let Some((sender, thread)) = self.drawing.take() {
            let _ = sender.send(Message::Stop);
            // A bar that failed to be drawn is no reason to say anything else.
            let _ = thread.join();
        }
    }
}

/// One line on standard error, which may be closed.
pub fn say(text: &str) {
    let _ = writeln!(io::stderr(), "duocopy: {text}");
}

struct Screen<V> {
    /// If it is known before the end.
    total: Option<u64>,
    lonely: Option<String>,
    replacement: Option<String>,
    show: Show,
    signals: Signals,
    view: V,
    bar: Option<ProgressBar>,
    step: &'static str,
    samples: VecDeque<(Instant, View)>,
    json: bool,
}

impl<V: FnMut() -> View> Screen<V> {
    fn run(&mut self, messages: &Receiver<Message>) {
        let begun = Instant::now();
        let terminal =
            io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        let (mut line_at, mut object_at) = (begun + LINE_EVERY, begun + OBJECT_EVERY);
        let (mut together, mut alone) = (None, false);
        loop {
            match messages.recv_timeout(TICK) {
                Ok(Message::Step(step)) => self.step = step,
                Err(RecvTimeoutError::Timeout) => {}
                Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => break,
            }
            let now = Instant::now();
            let view = (self.view)();
            self.sample(now, view);
            if view.partner != Presence::NotYet {
                together.get_or_insert(now);
            } else if now > begun + LONELY_AFTER
                && together.is_none()
                && let Some(lonely) = self.lonely.take()
            {
                say(&lonely);
            }
            if let Some(message) = &self.replacement {
                // A partner that came and died between two looks has died too.
                match view.partner {
                    Presence::Died if !alone => {
                        self.above_the_bar(message);
                        if self.json {
                            report::object("warning", json!({ "message": message }));
                        }
                    }
                    Presence::Here if alone => {
                        self.above_the_bar("another process has come in its place; the copy goes on");
                    }
                    _ => {}
                }
            }
            alone = view.partner == Presence::Died;
            if self.signals.status_requested() {
                self.above_the_bar(&self.line(view));
            }
            if self.json && together.is_some() && now > object_at {
                self.report(view);
                object_at = now + OBJECT_EVERY;
            }
            let long = together.is_some_and(|since| now > since + BAR_AFTER);
            if terminal && self.show != Show::Never {
                if long && !view.drawn_by_partner {
                    self.draw(view);
                }
            } else if self.show == Show::Always && now > line_at {
                say(&self.line(view));
                line_at = now + LINE_EVERY;
            }
        }
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    fn sample(&mut self, now: Instant, view: View) {
        self.samples.push_back((now, view));
        while self.samples.get(1).is_some_and(|(at, _)| now.duration_since(*at) > RATE_OVER) {
            self.samples.pop_front();
        }
    }

    fn draw(&mut self, view: View) {
        let bar = self.bar.get_or_insert_with(|| {
            let template = match self.total {
                Some(_) => "{percent:>3} % {bar:10} {wide_msg}",
                None => "{binary_bytes} {wide_msg}",
            };
            let style = ProgressStyle::with_template(template).expect("a valid template");
            ProgressBar::with_draw_target(self.total, ProgressDrawTarget::stderr()).with_style(style)
        });
        bar.set_position(view.written.min(self.total.unwrap_or(u64::MAX)));
        let message = self.message(view);
        if let Some(bar) = &self.bar {
            bar.set_message(message);
            bar.tick();
        }
    }

    /// The same for programs.
    fn report(&self, view: View) {
        let (reading, writing) = self.rates();
        let waits = view.asleep.map(|role| role.to_string().to_lowercase());
        report::object(
            "progress",
            json!({
                "read": view.read, "written": view.written, "length": self.total,
                "read_per_second": reading, "written_per_second": writing,
                "buffer": view.buffer, "waits": waits, "step": self.step,
                "partner": if view.partner == Presence::Died { "died" } else { "here" },
            }),
        );
    }

    fn above_the_bar(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| say(line)),
            None => say(line),
        }
    }

    /// `in 812 · out 401 MiB/s · 12s left · waiting for the destination · buffer 97 %`: what matters most comes first,
    /// because a narrow terminal cuts the end.
    fn message(&self, view: View) -> String {
        if !self.step.is_empty() {
            return self.step.into();
        }
        let (reading, writing) = self.rates();
        let mut parts = vec![format!("in {} · out {} MiB/s", reading >> 20, writing >> 20)];
        if let Some(total) = self.total
            && let Some(seconds) = total.saturating_sub(view.written).checked_div(writing)
        {
            parts.push(format!("{:#} left", HumanDuration(Duration::from_secs(seconds))));
        }
        match view.asleep {
            _ if matches!(view.partner, Presence::NotYet | Presence::Died) => {
                parts.push("waiting for the second process".into());
            }
            Some(Role::Reader) => parts.push("waiting for the destination".into()),
            Some(Role::Writer) => parts.push("waiting for the source".into()),
            None => {}
        }
        parts.push(format!("buffer {} %", view.buffer));
        parts.join(" · ")
    }

    fn line(&self, view: View) -> String {
        let (written, message) = (BinaryBytes(view.written), self.message(view));
        let Some(total) = self.total else { return format!("{written} written · {message}") };
        // The other process may say any number.
        let percent = (u128::from(view.written) * 100).checked_div(total.into()).unwrap_or(100);
        format!("{percent} % · {written} of {} written · {message}", BinaryBytes(total))
    }

    /// Bytes per second in and out.
    fn rates(&self) -> (u64, u64) {
        let (Some((from, then)), Some((to, now))) = (self.samples.front(), self.samples.back()) else {
            return (0, 0);
        };
        let millis = u64::try_from(to.duration_since(*from).as_millis()).unwrap_or(u64::MAX).max(1);
        let rate = |then: u64, now: u64| now.saturating_sub(then).saturating_mul(1000) / millis;
        (rate(then.read, now.read), rate(then.written, now.written))
    }
}

/// A command line that a shell reads as these words, whatever bytes they have. Nothing in it moves a cursor.
pub fn command_line<'a>(words: impl Iterator<Item = &'a [u8]>) -> String {
    words.map(sys::shell_quote).collect::<Vec<_>>().join(" ")
}
