//! What a console tells its processes: Ctrl-C, Ctrl-Break, and that it closes.

use std::io;
use std::process::exit;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use tokio::signal::windows::{
    CtrlBreak, CtrlC, CtrlClose, CtrlLogoff, CtrlShutdown, ctrl_break, ctrl_c, ctrl_close, ctrl_logoff,
    ctrl_shutdown,
};

/// The numbers that other systems, and the C library here, have for what is nearest.
const INTERRUPT: u8 = 2;
const BREAK: u8 = 21;
const HANG_UP: u8 = 1;
const TERMINATE: u8 = 15;

/// What signals did so far.
#[derive(Clone, Debug)]
pub struct Signals {
    /// Set by the first signal that stops.
    pub stop: Arc<AtomicBool>,
    number: Arc<AtomicUsize>,
}

impl Signals {
    /// From here on the first Ctrl-C (or Ctrl-Break, or the end of the console) sets a flag, and a second one ends
    /// the process. When the console goes, the system waits some seconds for its processes to end by themselves.
    pub fn watch(second_ends_with: u8) -> io::Result<Self> {
        let signals = Self { stop: Arc::new(AtomicBool::new(false)), number: Arc::new(AtomicUsize::new(0)) };
        let mut events = Events {
            interrupt: ctrl_c()?,
            stop: ctrl_break()?,
            close: ctrl_close()?,
            logoff: ctrl_logoff()?,
            shutdown: ctrl_shutdown()?,
        };
        let watched = signals.clone();
        thread::Builder::new().spawn(move || {
            let number = events.next();
            watched.number.store(number.into(), Ordering::Relaxed);
            watched.stop.store(true, Ordering::Relaxed);
            let second = events.next();
            exit(i32::from(second_ends_with) + i32::from(second));
        })?;
        Ok(signals)
    }

    /// The signal that stopped this process, if one did.
    pub fn number(&self) -> Option<u8> {
        let number = self.number.load(Ordering::Relaxed);
        (number != 0).then_some(number as u8)
    }

    /// Whether somebody asked for a status line since the last look. There is no way to ask here.
    #[expect(clippy::unused_self, reason = "other systems have a signal for it")]
    pub fn status_wanted(&self) -> bool {
        false
    }
}

struct Events {
    interrupt: CtrlC,
    stop: CtrlBreak,
    close: CtrlClose,
    logoff: CtrlLogoff,
    shutdown: CtrlShutdown,
}

impl Events {
    /// Waits for any of them.
    fn next(&mut self) -> u8 {
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        let mut context = Context::from_waker(&waker);
        loop {
            match self.poll(&mut context) {
                Poll::Ready(number) => return number,
                Poll::Pending => thread::park(),
            }
        }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<u8> {
        let polls = [
            (self.interrupt.poll_recv(context), INTERRUPT),
            (self.stop.poll_recv(context), BREAK),
            (self.close.poll_recv(context), HANG_UP),
            (self.logoff.poll_recv(context), TERMINATE),
            (self.shutdown.poll_recv(context), TERMINATE),
        ];
        let ready = polls.into_iter().find(|(poll, _)| poll.is_ready());
        ready.map_or(Poll::Pending, |(_, number)| Poll::Ready(number))
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
