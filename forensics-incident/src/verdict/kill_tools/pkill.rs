//! The command line of `pkill` and `pgrep`, see pkill(1) of procps 4.

use super::{Pattern, Selection, is_signal};

/// Short options that take a value, in the same word or the next.
const WITH_VALUE: &str = "dFGgOPqrstuU";
/// Those of them that narrow the choice.
const SELECTORS: &str = "GgOPrstuU";
/// Long options that take a value.
const LONG_WITH_VALUE: [&str; 19] = [
    "--signal",
    "--queue",
    "--pgroup",
    "--group",
    "--parent",
    "--session",
    "--terminal",
    "--euid",
    "--uid",
    "--older",
    "--pidfile",
    "--runstates",
    "--ns",
    "--nslist",
    "--cgroup",
    "--env",
    "--delimiter",
    "--shell-quote",
    "--pid-file",
];

/// Reads what follows the program's name.
pub(super) fn parse(tool: &str, arguments: &[String]) -> Selection {
    let mut selection = Selection { tool: tool.to_owned(), ..Selection::default() };
    let (mut full, mut exact, mut ignore_case) = (false, false, false);
    let mut text = None;
    let mut words = arguments.iter();
    let mut only_operands = false;
    while let Some(word) = words.next() {
        if only_operands || !word.starts_with('-') || word == "-" {
            text.get_or_insert_with(|| word.clone());
        } else if word == "--" {
            only_operands = true;
        } else if let Some(long) = word.strip_prefix("--") {
            match long {
                "full" => full = true,
                "exact" => exact = true,
                "ignore-case" => ignore_case = true,
                "inverse" => selection.inverted = true,
                "newest" | "oldest" => selection.selectors.push(word.clone()),
                _ => {
                    let (name, value) = match word.split_once('=') {
                        Some((name, value)) => (name, Some(value.to_owned())),
                        None if LONG_WITH_VALUE.contains(&word.as_str()) => {
                            (word.as_str(), words.next().cloned())
                        }
                        None => (word.as_str(), None),
                    };
                    match (name, value) {
                        ("--pidfile", file) => selection.pidfile = file,
                        ("--signal" | "--queue" | "--delimiter", _) | (_, None) => {}
                        (name, Some(value)) => selection.selectors.push(format!("{name} {value}")),
                    }
                }
            }
        } else if !is_signal(word) {
            let mut letters = word.chars().skip(1);
            while let Some(letter) = letters.next() {
                match letter {
                    'f' => full = true,
                    'x' => exact = true,
                    'i' => ignore_case = true,
                    'v' => selection.inverted = true,
                    'n' | 'o' => selection.selectors.push(format!("-{letter}")),
                    _ if WITH_VALUE.contains(letter) => {
                        let rest: String = letters.by_ref().collect();
                        let value = if rest.is_empty() { words.next().cloned() } else { Some(rest) };
                        match (letter, value) {
                            ('F', file) => selection.pidfile = file,
                            (_, Some(value)) if SELECTORS.contains(letter) => {
                                selection.selectors.push(format!("-{letter} {value}"));
                            }
                            _ => {}
                        }
                    }
                    _ => {}
                }
            }
        }
    }
    selection.patterns.extend(text.map(|text| Pattern::Expression { text, full, exact, ignore_case }));
    selection
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Selection {
        parse("pkill", &line.split(' ').map(str::to_owned).collect::<Vec<_>>())
    }

    fn expression(text: &str, full: bool, exact: bool, ignore_case: bool) -> Vec<Pattern> {
        vec![Pattern::Expression { text: text.to_owned(), full, exact, ignore_case }]
    }

    #[test]
    fn options_and_patterns() {
        assert_eq!(parsed("-9 nginx").patterns, expression("nginx", false, false, false));
        assert_eq!(parsed("-KILL -fxi my.app").patterns, expression("my.app", true, true, true));
        assert_eq!(parsed("--signal TERM --full app").patterns, expression("app", true, false, false));
        assert_eq!(parsed("--signal=TERM -f -- -x").patterns, expression("-x", true, false, false));
        let narrowed = parsed("-u www-data -P1 --older 60 -n worker");
        assert_eq!(narrowed.patterns, expression("worker", false, false, false));
        assert_eq!(narrowed.selectors, ["-u www-data", "-P 1", "--older 60", "-n"]);
        let by_file = parsed("-F /run/app.pid");
        assert_eq!((by_file.pidfile.as_deref(), by_file.patterns.len()), (Some("/run/app.pid"), 0));
        assert!(parsed("-v nginx").inverted);
    }

    #[test]
    fn broken_command_lines_are_read_as_far_as_they_go() {
        for line in ["", "-", "--", "-u", "-F", "--signal", "-\u{fffd} x", "-fu"] {
            let _ = parsed(line);
        }
    }
}
