//! Console events that stop the copy: Ctrl-C, Ctrl-Break, and the end of the console.

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

// The numbers of the nearest Unix signals, most of which the C library of Windows uses too.
const INTERRUPT: u8 = 2;
const BREAK: u8 = 21;
const HANG_UP: u8 = 1;
const TERMINATE: u8 = 15;

/// Records the console events that this process received.
#[derive(Clone, Debug)]
pub struct Signals {
    /// Set by the first event that stops the process, or by the program itself.
    pub stop: Arc<AtomicBool>,
    number: Arc<AtomicUsize>,
}

impl Signals {
    /// Starts to watch: the first Ctrl-C, Ctrl-Break or end of the console sets a flag, and a second event ends the
    /// process with `exit_base` plus the number of the signal.
    ///
    /// When the console closes, the system gives its processes some seconds to end by themselves.
    pub fn watch(exit_base: u8) -> io::Result<Self> {
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
            exit(i32::from(exit_base) + i32::from(second));
        })?;
        Ok(signals)
    }

    /// Returns the signal that stopped this process, if one did.
    pub fn number(&self) -> Option<u8> {
        let number = self.number.load(Ordering::Relaxed);
        (number != 0).then_some(number as u8)
    }

    /// Returns `false`: Windows has no event that asks for a status line.
    #[expect(clippy::unused_self, reason = "Unix has a signal for it")]
    pub fn status_requested(&self) -> bool {
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
    /// Waits for the next event and returns its number.
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
