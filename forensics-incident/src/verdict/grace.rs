//! The time that a sender gives before it sends the next signal, where it is known for that.

use crate::model::{Process, Signal};
use crate::signals::{SIGINT, SIGKILL, SIGTERM};
use crate::text::span;

use super::actors::is_timeout;
use super::programs::is_called;
use super::timeout_args;

/// Nobody is early by more than a clock tick or two, seconds.
const EARLY_S: f64 = 0.03;
/// A busy machine is late, seconds.
const LATE_S: f64 = 1.0;

/// A program that follows up on a signal after a time of its own, unless it was told otherwise.
struct Follower {
    programs: &'static [&'static str],
    /// The first signal and the next one.
    from: u32,
    to: u32,
    /// Seconds.
    after_s: f64,
    /// Whose time it is: it completes "the time that … ".
    whose: &'static str,
}

const fn kills(programs: &'static [&'static str], after_s: f64, whose: &'static str) -> Follower {
    Follower { programs, from: SIGTERM, to: SIGKILL, after_s, whose }
}

/// Container runtimes are run for each signal anew, on behalf of these.
const RUNTIMES: &[&str] = &[
    "dockerd",
    "docker-containerd-shim",
    "containerd-shim*",
    "runc",
    "docker-runc",
    "crun",
    "conmon",
    "podman",
];

const FOLLOWERS: &[Follower] = &[
    // docker stop --time and podman stop --time.
    kills(RUNTIMES, 10.0, "`docker stop` and `podman stop` allow by default"),
    // terminationGracePeriodSeconds of a Kubernetes pod.
    kills(RUNTIMES, 30.0, "Kubernetes allows a pod by default (terminationGracePeriodSeconds)"),
    // stopwaitsecs
    kills(&["supervisord"], 10.0, "supervisord allows by default (stopwaitsecs)"),
    // kill_timeout; the title is `PM2 v5.3.0: God Daemon`.
    kills(&["PM2 v*"], 1.6, "pm2 allows by default (kill_timeout)"),
    // graceful_timeout
    kills(&["circusd"], 30.0, "circus allows by default (graceful_timeout)"),
    kills(&["foreman", "overmind", "honcho"], 5.0, "it allows by default"),
    // actions/runner, src/Runner.Sdk/ProcessInvoker.cs
    Follower {
        programs: &["Runner.Worker", "Runner.Listener"],
        from: SIGINT,
        to: SIGTERM,
        after_s: 7.5,
        whose: "GitHub's runner allows a step that was cancelled",
    },
    kills(&["Runner.Worker", "Runner.Listener"], 2.5, "GitHub's runner allows a step that was cancelled"),
];

/// True when two signals come from one who follows up: the same process, or the same kind of runtime.
pub(super) fn is_same_sender(one: &Process, other: &Process) -> bool {
    one.is(other)
        || (is_called(one, RUNTIMES) && one.program() == other.program() && one.cgroup == other.cgroup)
}

/// What the time between two signals of one sender tells, when it is one that the sender is known to allow.
pub(super) fn allowed(first: &Signal, next: &Signal) -> Option<String> {
    let (one, sender) = (first.sender.as_ref()?, next.sender.as_ref()?);
    if !is_same_sender(one, sender) {
        return None;
    }
    let passed = next.ts - first.ts;
    let fits = |seconds: f64| (seconds - EARLY_S..=seconds * 1.02 + LATE_S).contains(&passed);
    let whose = if is_timeout(sender) {
        let told = timeout_args::parse(sender.args())?.kill_after_s.filter(|&after| fits(after))?;
        format!("the {} that its option -k gives", span(told))
    } else if is_called(sender, &["start-stop-daemon"]) {
        let told = retry(sender.args(), next.signal_num).filter(|&after| fits(after))?;
        format!("the {} that its option --retry gives", span(told))
    } else {
        let follows = |follower: &&Follower| {
            (follower.from, follower.to) == (first.signal_num, next.signal_num)
                && fits(follower.after_s)
                && is_called(sender, follower.programs)
        };
        let follower = FOLLOWERS.iter().find(follows)?;
        format!("the {} that {}", span(follower.after_s), follower.whose)
    };
    Some(format!("{} came {} after {}: {whose}.", next.signal, span(passed), first.signal))
}

/// Seconds before a signal by the schedule of `start-stop-daemon --retry`: `5`, or `TERM/30/KILL/5`.
fn retry(arguments: &[String], signal: u32) -> Option<f64> {
    let at = arguments.iter().position(|word| word.starts_with("--retry") || word.starts_with("-R"))?;
    let option = arguments.get(at)?;
    let value = match option.split_once('=') {
        Some((_, value)) => value,
        None if option == "--retry" || option == "-R" => arguments.get(at + 1)?,
        None => option.strip_prefix("-R")?,
    };
    if let Ok(seconds) = value.parse::<f64>() {
        return (signal == SIGKILL).then_some(seconds);
    }
    let parts: Vec<&str> = value.split('/').map(|part| part.trim_start_matches('-')).collect();
    let is_it = |part: &&str| part.parse::<f64>().is_err() && crate::signals::parse(part) == Some(signal);
    let at = parts.iter().rposition(is_it)?;
    parts.get(at.checked_sub(1)?)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use crate::model::{Process, Signal};
    use crate::sample::{ignored, kill, killed, nginx, process};
    use crate::signals::{SIGINT, SIGKILL, SIGTERM};
    use crate::verdict::{Show, judge};

    fn told(first: Signal, next: Signal) -> Option<String> {
        let (at, number) = (next.boot_ns as f64 / 1e9 + 0.01, next.signal_num);
        let said = judge(&killed(nginx(), at, number, vec![ignored(first), next]), Show::Cmdline).evidence;
        said.into_iter().find(|said| said.contains(": the "))
    }

    fn by(sender: &Process, first: u32, next: u32, after_s: f64) -> Option<String> {
        told(kill(100.0, first, sender.clone()), kill(100.0 + after_s, next, sender.clone()))
    }

    #[test]
    fn times_that_a_sender_is_known_for() {
        for (cmdline, first, next, after_s, words) in [
            ("/usr/bin/containerd-shim-runc-v2 -id 5", SIGTERM, SIGKILL, 10.02, "`docker stop`"),
            ("/usr/bin/dockerd", SIGTERM, SIGKILL, 30.4, "Kubernetes"),
            ("supervisord -c x", SIGTERM, SIGKILL, 10.6, "stopwaitsecs"),
            ("Runner.Worker spawnclient", SIGINT, SIGTERM, 7.51, "cancelled"),
            ("Runner.Worker spawnclient", SIGTERM, SIGKILL, 2.5, "cancelled"),
            (
                "start-stop-daemon --stop --retry=TERM/30/KILL/5 --pidfile x",
                SIGTERM,
                SIGKILL,
                30.0,
                "the 30 s that its option --retry",
            ),
            ("start-stop-daemon -K --retry 7", SIGTERM, SIGKILL, 7.0, "the 7 s that its option --retry"),
        ] {
            let said = by(&process(500, cmdline), first, next, after_s);
            assert!(said.as_ref().is_some_and(|said| said.contains(words)), "{cmdline}: {said:?}");
        }
    }

    #[test]
    fn near_misses() {
        for (cmdline, first, next, after_s) in [
            ("/usr/bin/dockerd", SIGTERM, SIGKILL, 9.5),
            ("/usr/bin/dockerd", SIGTERM, SIGKILL, 15.0),
            ("/usr/bin/dockerd", SIGINT, SIGKILL, 10.0),
            ("bash stop.sh", SIGTERM, SIGKILL, 10.0),
            ("start-stop-daemon -K --retry 7", SIGTERM, SIGKILL, 10.0),
            ("start-stop-daemon -K", SIGTERM, SIGKILL, 7.0),
            ("start-stop-daemon -K --retry", SIGTERM, SIGKILL, 7.0),
            ("start-stop-daemon -K --retry=KILL/5", SIGTERM, SIGKILL, 5.0),
        ] {
            assert_eq!(by(&process(500, cmdline), first, next, after_s), None, "{cmdline} {after_s}");
        }
        let other = told(
            kill(100.0, SIGTERM, process(500, "supervisord")),
            kill(110.0, SIGKILL, process(501, "kill 812")),
        );
        assert_eq!(other, None, "somebody else");
    }

    #[test]
    fn a_runtime_is_run_anew_for_each_signal() {
        let runc = |pid| process(pid, "runc kill web");
        let said = told(kill(100.0, SIGTERM, runc(500)), kill(110.1, SIGKILL, runc(510)));
        assert!(said.is_some_and(|said| {
            said.starts_with("SIGKILL came 10.1 s after SIGTERM: the 10 s that `docker stop`")
        }));
    }
}
