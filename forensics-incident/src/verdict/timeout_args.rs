//! The command line of `timeout(1)`, as GNU coreutils and busybox read it.

use crate::signals::{self, SIGTERM};

/// What `timeout` was told to do.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct TimeoutArgs<'a> {
    /// Seconds until the first signal; infinite when it is disabled by 0.
    pub(super) duration_s: f64,
    /// Seconds from the first signal to `SIGKILL`.
    pub(super) kill_after_s: Option<f64>,
    /// The first signal.
    pub(super) signal: u32,
    /// What it runs.
    pub(super) command: &'a [String],
}

/// Long options with a value, then those without (coreutils `src/timeout.c`, `long_options`).
const LONG_WITH_VALUE: [(&str, Letter); 2] = [("signal", Letter::Signal), ("kill-after", Letter::KillAfter)];
const LONG_PLAIN: [&str; 3] = ["foreground", "preserve-status", "verbose"];

#[derive(Debug, Clone, Copy)]
enum Letter {
    Signal,
    KillAfter,
}

/// Reads the arguments, program name included; none when they are not those of a working `timeout`.
pub(super) fn parse(args: &[String]) -> Option<TimeoutArgs<'_>> {
    let called = args.iter().take(2).position(|arg| arg.rsplit('/').next() == Some("timeout"))?;
    let mut rest = args.get(called + 1..)?;
    let mut parsed = TimeoutArgs { duration_s: 0.0, kill_after_s: None, signal: SIGTERM, command: &[] };
    // getopt's leading `+`: the first word that is no option ends them.
    while let [option, tail @ ..] = rest {
        if option == "--" {
            rest = tail;
            break;
        }
        let Some(value) = option.strip_prefix('-').filter(|letters| !letters.is_empty()) else { break };
        rest = tail;
        let wanted = match value.strip_prefix('-') {
            Some(long) => long_option(long)?,
            None => short_options(value)?,
        };
        let Some((letter, value)) = wanted else { continue };
        let value = match (value, rest) {
            (Some(value), _) => value,
            (None, [next, tail @ ..]) => {
                rest = tail;
                next
            }
            (None, []) => return None,
        };
        match letter {
            Letter::Signal => parsed.signal = signals::parse(value)?,
            Letter::KillAfter => parsed.kill_after_s = Some(duration(value)?),
        }
    }
    let [first, command @ ..] = rest else { return None };
    Some(TimeoutArgs { duration_s: duration(first)?, command, ..parsed })
}

/// What an option wants: nothing more, or a value that may stand with it.
type Wanted<'a> = Option<(Letter, Option<&'a str>)>;

/// A long option, which may be shortened as far as it stays unambiguous.
fn long_option(text: &str) -> Option<Wanted<'_>> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (text, None),
    };
    let plain = LONG_PLAIN.iter().filter(|long| long.starts_with(name)).count();
    let mut valued = LONG_WITH_VALUE.iter().filter(|(long, _)| long.starts_with(name));
    match (plain, valued.next(), valued.next()) {
        (1, None, _) => Some(None),
        (0, Some(&(_, letter)), None) => Some(Some((letter, value))),
        _ => None,
    }
}

/// Short options in one word: `-v`, `-sKILL`, `-vk 5`.
fn short_options(letters: &str) -> Option<Wanted<'_>> {
    for (at, letter) in letters.char_indices() {
        let value = letters.get(at + letter.len_utf8()..).filter(|value| !value.is_empty());
        match letter {
            'f' | 'p' | 'v' => {}
            's' => return Some(Some((Letter::Signal, value))),
            'k' => return Some(Some((Letter::KillAfter, value))),
            _ => return None,
        }
    }
    Some(None)
}

/// Seconds of a duration: a number with an optional `s`, `m`, `h` or `d`; 0 is never.
fn duration(text: &str) -> Option<f64> {
    let (number, unit) = match text.char_indices().next_back()? {
        (end, 's') => (text.get(..end)?, 1.0),
        (end, 'm') => (text.get(..end)?, 60.0),
        (end, 'h') => (text.get(..end)?, 3600.0),
        (end, 'd') => (text.get(..end)?, 86400.0),
        _ => (text, 1.0),
    };
    let seconds = number.parse::<f64>().ok().filter(|seconds| *seconds >= 0.0)? * unit;
    Some(if seconds == 0.0 { f64::INFINITY } else { seconds })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Option<(f64, Option<f64>, u32, String)> {
        let args = line.split(' ').map(str::to_owned).collect::<Vec<_>>();
        parse(&args).map(|args| (args.duration_s, args.kill_after_s, args.signal, args.command.join(" ")))
    }

    #[test]
    fn what_timeout_accepts() {
        let inf = f64::INFINITY;
        for (line, duration_s, kill_after_s, signal, command) in [
            ("timeout 1 sleep 9", 1.0, None, 15, "sleep 9"),
            ("/usr/bin/timeout 1.5m x", 90.0, None, 15, "x"),
            ("timeout 2h x", 7200.0, None, 15, "x"),
            ("timeout .5d x", 43200.0, None, 15, "x"),
            ("timeout 0 x", inf, None, 15, "x"),
            ("timeout inf x", inf, None, 15, "x"),
            ("timeout -s KILL 3 x -k 1", 3.0, None, 9, "x -k 1"),
            ("timeout -sINT 3 x", 3.0, None, 2, "x"),
            ("timeout --signal=hup 3 x", 3.0, None, 1, "x"),
            ("timeout --signal 9 3 x", 3.0, None, 9, "x"),
            ("timeout -k 5 3s x", 3.0, Some(5.0), 15, "x"),
            ("timeout -k5m 3 x", 3.0, Some(300.0), 15, "x"),
            ("timeout -vk 5 3 x", 3.0, Some(5.0), 15, "x"),
            ("timeout --kill-after=1m --foreground --preserve-status -v 3 x", 3.0, Some(60.0), 15, "x"),
            ("timeout --kill=2 --fore 3 x", 3.0, Some(2.0), 15, "x"),
            ("timeout -- 3 x -- y", 3.0, None, 15, "x -- y"),
            ("busybox timeout -s 9 3 x", 3.0, None, 9, "x"),
        ] {
            assert_eq!(read(line), Some((duration_s, kill_after_s, signal, command.to_owned())), "{line}");
        }
    }

    #[test]
    fn what_timeout_refuses() {
        for line in [
            "timeout",
            "timeout x",
            "timeout -1 x",
            "timeout nan x",
            "timeout 5x x",
            "timeout -s NONE 3 x",
            "timeout -s",
            "timeout --no-such 3 x",
            "timeout -z 3 x",
            "timeout 1ms x",
            "sleep 3",
        ] {
            assert_eq!(read(line), None, "{line}");
        }
    }
}
