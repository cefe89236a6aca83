use crate::model::{Cause, Intent, Mechanism, Signal, Verdict};
use crate::signals::{SIGINT, SIGQUIT};

use super::super::case::{Case, quote};
use super::super::kernel::{begin_with, explain, follow, passed, raised, running};

/// Its terminal: a key was typed, the terminal went away, the leader of its session ended, or its stopped process
/// group was orphaned.
///
/// Evidence: the kernel path. A worker carries what was typed, so nobody is to blame for a key. Who closes the master
/// side (sshd, tmux, a terminal program) or leads the session is running when that happens. Must not match a shell
/// that passes a hangup on to its jobs with `kill(2)`.
pub(super) fn terminal(case: &Case<'_>) -> Option<Verdict> {
    use Mechanism as M;
    let signal = raised(case, &[M::TtyInterrupt, M::TtyHangup, M::SessionLeaderExit, M::OrphanedPgrp])?;
    let target = case.target();
    let tty = target.tty.as_ref().map_or_else(String::new, |tty| format!(" {tty}"));
    let actor = running(signal);
    let named = actor.map(|actor| case.actor(actor));
    let (cause, intent, reason, action) = match signal.mechanism {
        // TIOCSTI pushes a character as if it was typed; only then the kernel runs in who did it.
        M::TtyInterrupt => match signal.sender.as_ref().and(named) {
            Some(pusher) => (
                Cause::TerminalInterrupt,
                Intent::Deliberate,
                format!("{pusher} put {} into the input of its terminal{tty}", key(signal)),
                Some("typed into"),
            ),
            None => (
                Cause::TerminalInterrupt,
                Intent::Deliberate,
                format!("{} was typed at its terminal{tty}", key(signal)),
                None,
            ),
        },
        M::TtyHangup => {
            let by = |how: &str| named.map_or_else(String::new, |closer| format!("{how} by {closer}"));
            // TIOCVHANGUP and vhangup(2), with which a login makes sure that it is alone at its terminal.
            match passed(signal, &["tty_ioctl", "tty_vhangup_self"]) {
                true => {
                    let reason = format!("its terminal{tty} was hung up{}", by(""));
                    (Cause::TerminalHangup, Intent::Automatic, reason, Some("hung up"))
                }
                false => {
                    let reason = format!("its terminal{tty} went away{}", by(", closed"));
                    (Cause::TerminalHangup, Intent::Automatic, reason, Some("closed"))
                }
            }
        }
        M::SessionLeaderExit => {
            let leader = named.unwrap_or_else(|| "a process that is not known".to_owned());
            let reason = format!("the leader of the session on its terminal{tty}, {leader}, ended");
            (Cause::TerminalHangup, Intent::Automatic, reason, Some("ended, the session leader of"))
        }
        // The last process that could continue the group ended as processes do; that is no reason to blame it.
        _ => (
            Cause::TerminalHangup,
            Intent::Automatic,
            "its process group was stopped, and the last process that could have continued it ended"
                .to_owned(),
            None,
        ),
    };
    let mut verdict = explain(case, signal, cause, intent, &reason);
    if let (Some(actor), Some(action)) = (actor, action) {
        begin_with(&mut verdict, case, actor, action, &format!("the terminal{tty}"));
        follow(&mut verdict, case, signal, actor);
    }
    if let Some(session) = target.session {
        verdict.evidence.push(match session == target.pid {
            true => format!("It led session {session} on that terminal."),
            false => format!("It belonged to session {session}."),
        });
    }
    if signal.mechanism == M::TtyHangup || signal.mechanism == M::SessionLeaderExit {
        verdict.advice = Some(
            "What shall outlive its terminal needs a service (`systemd-run`), `setsid`, or `nohup`."
                .to_owned(),
        );
    }
    Some(verdict)
}

/// The key behind a signal of the terminal.
fn key(signal: &Signal) -> String {
    match signal.signal_num {
        SIGINT => "^C".to_owned(),
        SIGQUIT => "^\\".to_owned(),
        _ => format!("the key for {}", quote(&signal.signal)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Confidence, Process};
    use crate::sample::{exited, kill, killed, nginx, process, signal};
    use crate::signals::SIGHUP;
    use crate::verdict::kernel::tests::{death, judged, somebody};
    use crate::verdict::{Show, judge};

    #[test]
    fn what_happened_to_the_terminal() {
        use Mechanism as M;
        for (number, mechanism, cause, blamed, words) in [
            (SIGINT, M::TtyInterrupt, Cause::TerminalInterrupt, false, "^C was typed at its terminal pts/3"),
            (SIGQUIT, M::TtyInterrupt, Cause::TerminalInterrupt, false, "^\\ was typed"),
            (SIGHUP, M::TtyHangup, Cause::TerminalHangup, true, "pts/3 went away, closed by `somebody"),
            (SIGHUP, M::SessionLeaderExit, Cause::TerminalHangup, true, "the leader of the session"),
            (SIGHUP, M::OrphanedPgrp, Cause::TerminalHangup, false, "was stopped"),
        ] {
            let mut facts = death(number, mechanism, &[], &somebody());
            facts.target.tty = Some("pts/3".to_owned());
            facts.target.session = Some(800);
            let verdict = judged(&facts);
            assert_eq!(verdict.cause, cause, "{mechanism:?}");
            assert_eq!(verdict.culprit, blamed.then(somebody), "{mechanism:?}");
            assert!(verdict.summary.contains(words), "{}", verdict.summary);
            assert!(verdict.evidence.contains(&"It belonged to session 800.".to_owned()));
        }
    }

    #[test]
    fn a_terminal_that_is_hung_up_is_not_closed() {
        let hung_up = judged(&death(
            SIGHUP,
            Mechanism::TtyHangup,
            &["__tty_hangup", "tty_vhangup", "tty_ioctl"],
            &somebody(),
        ));
        assert_eq!(hung_up.culprit, Some(somebody()));
        assert!(hung_up.summary.contains("its terminal was hung up by `somebody"), "{}", hung_up.summary);
        // The master side of a pty hangs up the other one when it is closed.
        let stack = ["__tty_hangup", "tty_vhangup", "pty_close", "tty_release"];
        let closed = judged(&death(SIGHUP, Mechanism::TtyHangup, &stack, &somebody()));
        assert!(closed.summary.contains("went away, closed by `somebody"), "{}", closed.summary);
    }

    #[test]
    fn a_worker_closes_nothing() {
        let worker = Process { ppid: Some(2), ..process(44, "kworker/u8:0 --running") };
        assert_eq!(judged(&death(SIGHUP, Mechanism::TtyHangup, &[], &worker)).culprit, None);
    }

    #[test]
    fn who_pushes_a_key_is_to_blame() {
        let sent = signal(99.9, SIGINT, Mechanism::TtyInterrupt, Some(somebody()));
        let verdict = judge(&killed(nginx(), 100.0, SIGINT, vec![sent]), Show::Cmdline);
        assert_eq!(verdict.culprit, Some(somebody()));
        assert!(verdict.summary.contains("put ^C into"), "{}", verdict.summary);
    }

    #[test]
    fn an_exit_after_a_hangup_is_likely_at_most() {
        let sent = signal(99.0, SIGHUP, Mechanism::TtyHangup, None);
        let verdict = judge(&exited(nginx(), 100.0, 0, Some(1.0), vec![sent]), Show::Cmdline);
        assert_eq!((verdict.cause, verdict.confidence), (Cause::TerminalHangup, Confidence::Likely));
    }

    #[test]
    fn a_shell_that_passes_it_on_is_a_sender() {
        let facts = killed(nginx(), 100.0, SIGHUP, vec![kill(99.9, SIGHUP, process(5, "bash"))]);
        assert_ne!(judge(&facts, Show::Cmdline).cause, Cause::TerminalHangup);
    }
}
