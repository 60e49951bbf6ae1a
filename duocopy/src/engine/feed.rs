//! Delivers events to the observer on a thread of its own, so that an observer that blocks never holds up the copy.

use crate::api::{Event, Observer, Progress, Warning};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::{Builder, Scope, ScopedJoinHandle};
use std::time::{Duration, Instant};

/// Time between two reports of progress.
const TICK: Duration = Duration::from_millis(100);

enum Message {
    Event(Event),
    Pause,
}

/// Delivers events to the observer. Events are queued until the thread is [started](Feed::start).
pub struct Feed<'scope, 'env> {
    scope: &'scope Scope<'scope, 'env>,
    sender: Sender<Message>,
    state: State<'scope, 'env>,
}

type Line<'env> = (&'env mut dyn Observer, Receiver<Message>);

enum State<'scope, 'env> {
    Idle(Line<'env>),
    Running(ScopedJoinHandle<'scope, Line<'env>>),
    /// The thread panicked, which ends most programs. In others the copy continues without an observer.
    Lost,
}

/// Sends events from another thread.
#[derive(Clone, Debug)]
pub struct FeedSender(Sender<Message>);

impl FeedSender {
    pub fn send(&self, event: Event) {
        // Without a receiver the event is not needed.
        let _ = self.0.send(Message::Event(event));
    }
}

impl<'scope, 'env> Feed<'scope, 'env> {
    pub fn new(scope: &'scope Scope<'scope, 'env>, observer: &'env mut dyn Observer) -> Self {
        let (sender, receiver) = mpsc::channel();
        Self { scope, sender, state: State::Idle((observer, receiver)) }
    }

    pub fn send(&self, event: Event) {
        self.sender().send(event);
    }

    pub fn warn(&self, warnings: impl IntoIterator<Item = Warning>) {
        warnings.into_iter().for_each(|warning| self.send(Event::Warning(warning)));
    }

    pub fn sender(&self) -> FeedSender {
        FeedSender(self.sender.clone())
    }

    /// Starts to deliver events, and at each tick what `progress` returns.
    ///
    /// Call this after entering the sandbox, which confines only the calling thread and the threads that it starts
    /// later.
    pub fn start(&mut self, progress: impl FnMut() -> Progress + Send + 'scope) {
        let State::Idle(line) = std::mem::replace(&mut self.state, State::Lost) else { return };
        // If no thread can be started, everything in its closure is lost. So the line is sent through a channel.
        let (hand_over, received) = mpsc::sync_channel(1);
        let thread = Builder::new().spawn_scoped(self.scope, move || {
            let line = received.recv().expect("the line is handed over at once");
            deliver(line, progress)
        });
        self.state = match thread {
            Ok(thread) => {
                let _ = hand_over.send(line);
                State::Running(thread)
            }
            // The copy continues, and the events are delivered at its end.
            Err(_) => State::Idle(line),
        };
    }

    /// Delivers all events so far, and stops until the next start. Without a running thread, the caller's thread
    /// delivers them.
    pub fn pause(&mut self) {
        let _ = self.sender.send(Message::Pause);
        self.state = match std::mem::replace(&mut self.state, State::Lost) {
            State::Running(thread) => thread.join().map_or(State::Lost, State::Idle),
            State::Idle((observer, receiver)) => {
                let events = receiver.try_iter().take_while(|message| !matches!(message, Message::Pause));
                for message in events {
                    if let Message::Event(event) = message {
                        observer.event(event);
                    }
                }
                State::Idle((observer, receiver))
            }
            State::Lost => State::Lost,
        };
    }
}

fn deliver((observer, receiver): Line<'_>, mut progress: impl FnMut() -> Progress) -> Line<'_> {
    let mut tick = Instant::now() + TICK;
    loop {
        match receiver.recv_timeout(tick.saturating_duration_since(Instant::now())) {
            Ok(Message::Event(event)) => observer.event(event),
            Ok(Message::Pause) | Err(RecvTimeoutError::Disconnected) => return (observer, receiver),
            Err(RecvTimeoutError::Timeout) => {
                observer.event(Event::Progress(progress()));
                tick = Instant::now() + TICK;
            }
        }
    }
}

impl std::fmt::Debug for Feed<'_, '_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Feed").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{Role, Step};

    #[test]
    fn events_come_in_order_whether_the_thread_runs_or_not() {
        let mut seen = Vec::new();
        let mut observer = |event| seen.push(event);
        let replaced = |role| Event::Replaced { role };
        std::thread::scope(|scope| {
            let mut feed = Feed::new(scope, &mut observer);
            feed.send(replaced(Role::Reader));
            feed.pause();
            feed.send(replaced(Role::Writer));
            feed.start(|| Progress::ALONE);
            feed.send(Event::Step(Step::Flushing));
            feed.pause();
            feed.sender().send(Event::Step(Step::Rereading));
            feed.pause();
        });
        seen.retain(|event| !matches!(event, Event::Progress(_)));
        let expected = [
            replaced(Role::Reader),
            replaced(Role::Writer),
            Event::Step(Step::Flushing),
            Event::Step(Step::Rereading),
        ];
        assert_eq!(seen, expected);
    }
}
