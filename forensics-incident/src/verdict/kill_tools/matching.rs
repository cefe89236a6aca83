//! Trying a pattern on what is known of a target.

use regex::RegexBuilder;

use super::{Pattern, Selection};
use crate::model::Process;

/// Bytes of a compiled expression: foreign ones must not cost more.
const MAX_EXPRESSION: usize = 1 << 20;
/// Bytes of the kernel's name of a process (`TASK_COMM_LEN - 1`).
const MAX_NAME: usize = 15;
/// What redaction leaves of a secret.
const REDACTED: &str = "[redacted]";

/// What a selection met of a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Met {
    /// This much of it.
    Part {
        /// The pattern.
        pattern: String,
        /// What was compared, as `its command line`.
        subject: &'static str,
        /// The words that it met, whole.
        words: String,
        /// It met only a part of those words.
        inside_a_word: bool,
    },
    /// It was chosen by other properties than name and command line.
    Selectors(String),
    /// Whatever uses this was to be killed.
    User(String),
    /// It cannot be told, for this reason.
    Untested(&'static str),
    /// None of it: something else must have chosen the target.
    Nothing(String),
}

/// Tries a selection on a target.
pub(crate) fn meet(selection: &Selection, target: &Process) -> Met {
    if selection.inverted {
        return Met::Untested("its choice is turned round with -v");
    }
    if let Some(file) = &selection.pidfile {
        return Met::Selectors(format!("the pid in {file}"));
    }
    let tried: Vec<Met> = selection.patterns.iter().map(|pattern| try_one(pattern, target)).collect();
    let rank = |met: &&Met| match met {
        Met::Part { .. } | Met::Selectors(_) => 0,
        Met::User(_) => 1,
        Met::Untested(_) => 2,
        Met::Nothing(_) => 3,
    };
    match tried.iter().min_by_key(rank) {
        Some(best) => best.clone(),
        None if selection.selectors.is_empty() => Met::Untested("it was given no pattern that is known"),
        None => Met::Selectors(selection.selectors.join(" ")),
    }
}

fn try_one(pattern: &Pattern, target: &Process) -> Met {
    match pattern {
        Pattern::User(name) => Met::User(name.clone()),
        Pattern::Name(name) => try_name(name, target),
        Pattern::Expression { text, full, exact, ignore_case } => {
            let (subject, haystack) = if *full {
                // pgrep joins the arguments with blanks.
                ("its command line", target.args().join(" "))
            } else {
                ("its name", target.name.clone())
            };
            if text.contains(REDACTED) || haystack.contains(REDACTED) && *full {
                return Met::Untested("a part of it was redacted");
            }
            if haystack.is_empty() {
                return Met::Untested("the command line of the target is not known");
            }
            try_expression(text, subject, &haystack, *exact, *ignore_case)
        }
    }
}

/// The syntax of the crate is that of POSIX but for back references and collating elements, which do not compile.
fn try_expression(text: &str, subject: &'static str, haystack: &str, exact: bool, ignore_case: bool) -> Met {
    let whole = if exact { format!("^(?:{text})$") } else { text.to_owned() };
    let expression =
        RegexBuilder::new(&whole).case_insensitive(ignore_case).size_limit(MAX_EXPRESSION).build();
    let Ok(expression) = expression else { return Met::Untested("its expression cannot be tried here") };
    let Some(found) = expression.find(haystack) else { return Met::Nothing(text.to_owned()) };
    let before = haystack.get(..found.start()).unwrap_or_default();
    let after = haystack.get(found.end()..).unwrap_or_default();
    let from = before.rfind(' ').map_or(0, |blank| blank + 1);
    let to = found.end() + after.find(' ').unwrap_or(after.len());
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let goes_on =
        |inner: Option<char>, outer: Option<char>| inner.is_some_and(is_word) && outer.is_some_and(is_word);
    let matched = found.as_str();
    Met::Part {
        pattern: text.to_owned(),
        subject,
        words: haystack.get(from..to).unwrap_or_default().to_owned(),
        inside_a_word: goes_on(matched.chars().next_back(), after.chars().next())
            || goes_on(matched.chars().next(), before.chars().next_back()),
    }
}

fn try_name(name: &str, target: &Process) -> Met {
    let met = |subject, words: &str| Met::Part {
        pattern: name.to_owned(),
        subject,
        words: words.to_owned(),
        inside_a_word: false,
    };
    if name.contains('/') {
        return match &target.exe {
            Some(exe) if exe == name => met("its executable", exe),
            Some(_) => Met::Nothing(name.to_owned()),
            None => Met::Untested("the executable of the target is not known"),
        };
    }
    // killall compares 15 bytes with the kernel's name, and the rest with the first argument.
    let short = name.get(..MAX_NAME).unwrap_or(name);
    if short == target.name && (name.len() <= MAX_NAME || target.program() == name) {
        return met("its name", &target.name);
    }
    Met::Nothing(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::process;

    fn expression(text: &str, full: bool, exact: bool) -> Selection {
        let pattern = Pattern::Expression { text: text.to_owned(), full, exact, ignore_case: false };
        Selection { patterns: vec![pattern], ..Selection::default() }
    }

    fn target() -> Process {
        process(812, "/srv/svc --port 9999 --name web")
    }

    #[test]
    fn what_a_pattern_meets() {
        let part = |words: &str, inside| (words.to_owned(), inside);
        for (text, full, exact, expected) in [
            ("port 99", true, false, part("--port 9999", true)),
            ("port 9999", true, false, part("--port 9999", false)),
            ("svc", false, false, part("svc", false)),
            ("sv", false, false, part("svc", true)),
            ("^svc$", false, false, part("svc", false)),
            ("svc", false, true, part("svc", false)),
            ("name (web|api)", true, false, part("--name web", false)),
        ] {
            let Met::Part { words, inside_a_word, .. } = meet(&expression(text, full, exact), &target())
            else {
                panic!("{text} met nothing")
            };
            assert_eq!((words, inside_a_word), expected, "{text}");
        }
    }

    #[test]
    fn what_meets_nothing_or_cannot_be_tried() {
        for (text, full, exact) in [("port 98", true, false), ("sv", false, true), ("port", false, false)] {
            assert_eq!(meet(&expression(text, full, exact), &target()), Met::Nothing(text.to_owned()));
        }
        for text in ["(a)\\1", "(((", "a{1000}{1000}{1000}", "token=[redacted]"] {
            assert!(matches!(meet(&expression(text, true, false), &target()), Met::Untested(_)), "{text}");
        }
        let unknown = Process { argv: None, ..target() };
        assert!(matches!(meet(&expression("x", true, false), &unknown), Met::Untested(_)));
    }

    #[test]
    fn names_are_compared_as_the_kernel_cuts_them() {
        let name =
            |text: &str| Selection { patterns: vec![Pattern::Name(text.to_owned())], ..Selection::default() };
        let long = process(812, "/srv/a-name-that-is-long --x");
        assert!(matches!(meet(&name("a-name-that-is-long"), &long), Met::Part { .. }));
        assert!(matches!(meet(&name("a-name-that-is-loud"), &long), Met::Nothing(_)));
        assert!(matches!(meet(&name("svc"), &target()), Met::Part { .. }));
        let by_path = Process { exe: Some("/srv/svc".to_owned()), ..target() };
        assert!(matches!(meet(&name("/srv/svc"), &by_path), Met::Part { .. }));
        assert!(matches!(meet(&name("/srv/other"), &by_path), Met::Nothing(_)));
    }
}
