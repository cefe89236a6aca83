//! Signals at the agent that are meant for the command it runs.

use std::io;

use rustix::process::{Pid, Signal, kill_process};
use tokio::signal::unix::{Signal as Stream, SignalKind, signal};

/// The signals that are passed on.
pub(crate) struct Forwarded {
    interrupt: Stream,
    quit: Stream,
    terminate: Stream,
    hangup: Stream,
    user1: Stream,
    user2: Stream,
}

/// One signal to pass on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Passed {
    signal: Signal,
    /// The terminal has sent it to the command as well.
    from_terminal: bool,
}

impl Forwarded {
    /// Catches them from now on.
    ///
    /// # Errors
    ///
    /// The handlers could not be set.
    pub(crate) fn catch() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
            user1: signal(SignalKind::user_defined1())?,
            user2: signal(SignalKind::user_defined2())?,
        })
    }

    /// The next one.
    pub(crate) async fn next(&mut self) -> Passed {
        let (signal, typed) = tokio::select! {
            _ = self.interrupt.recv() => (Signal::INT, true),
            _ = self.quit.recv() => (Signal::QUIT, true),
            _ = self.terminate.recv() => (Signal::TERM, false),
            _ = self.hangup.recv() => (Signal::HUP, false),
            _ = self.user1.recv() => (Signal::USR1, false),
            _ = self.user2.recv() => (Signal::USR2, false),
        };
        Passed { signal, from_terminal: typed && in_foreground() }
    }
}

impl Passed {
    /// Passes it on, unless the terminal did: ^C reaches the whole foreground group.
    pub(crate) fn send_to(self, pid: u32) {
        let target = i32::try_from(pid).ok().and_then(Pid::from_raw);
        if let Some(target) = target.filter(|_| !self.from_terminal) {
            // A command that has just ended needs it no more.
            let _ = kill_process(target, self.signal);
        }
    }
}

/// True when what is typed at the controlling terminal goes to our process group.
fn in_foreground() -> bool {
    let Ok(terminal) = rustix::fs::open("/dev/tty", rustix::fs::OFlags::RDONLY, rustix::fs::Mode::empty())
    else {
        return false;
    };
    rustix::termios::tcgetpgrp(&terminal).is_ok_and(|group| group == rustix::process::getpgrp())
}
