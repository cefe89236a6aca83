//! Programs that choose their victims by a property: what they were told to look for, and what of the target it met.

mod matching;
mod pkill;
mod psmisc;

use crate::model::Process;

pub(super) use matching::{Met, meet};

/// What such a program was told to look for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Selection {
    /// The program: `pkill`, `killall`, `fuser`.
    pub(super) tool: String,
    /// Any one of these must meet the target.
    pub(super) patterns: Vec<Pattern>,
    /// Whatever else narrows the choice, as it stands on the command line: `-u www-data`.
    pub(super) selectors: Vec<String>,
    /// The choice is turned round.
    pub(super) inverted: bool,
    /// A pidfile that the choice comes from.
    pub(super) pidfile: Option<String>,
}

/// One thing to look for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Pattern {
    /// An extended regular expression.
    Expression {
        /// As given.
        text: String,
        /// Tried on the whole command line instead of the name.
        full: bool,
        /// It must meet all of that.
        exact: bool,
        /// Upper and lower case are the same.
        ignore_case: bool,
    },
    /// The name of a program, or the path of its executable.
    Name(String),
    /// Whoever uses this file, file system or port.
    User(String),
}

/// What the sender, or whoever picked the pids for it, was told to look for; none for a program that takes pids.
pub(super) fn selection(sender: &Process) -> Option<Selection> {
    let arguments = sender.args().get(1..).unwrap_or_default();
    match sender.program() {
        "pkill" | "pgrep" => Some(pkill::parse("pkill", arguments)),
        "skill" => Some(psmisc::skill(arguments)),
        "killall" => Some(psmisc::killall(arguments)),
        "killall5" => Some(Selection {
            tool: "killall5".to_owned(),
            selectors: vec!["every process outside its session".to_owned()],
            ..Selection::default()
        }),
        "fuser" => Some(psmisc::fuser(arguments)),
        "kill" | "sh" | "bash" | "dash" | "xargs" | "busybox" => piped(sender),
        _ => None,
    }
}

/// `pgrep … | xargs kill`, `kill $(pgrep …)`, `kill $(pidof …)`, in the script of a shell that is near.
fn piped(sender: &Process) -> Option<Selection> {
    /// So far up a shell that holds the script may be.
    const NEAR: usize = 3;
    let near = std::iter::once(sender).chain(sender.ancestors.iter().take(NEAR));
    near.filter_map(|process| {
        let script = process.args().iter().skip_while(|arg| !is_command_option(arg)).nth(1)?;
        let words = script
            .split_whitespace()
            .map(|word| word.trim_matches(['"', '\'', '`', '$', '(', ')', ';', '|']));
        let words: Vec<String> = words.map(str::to_owned).collect();
        let at = words.iter().position(|word| matches!(base(word), "pgrep" | "pidof"))?;
        let ends = |word: &&String| !matches!(word.as_str(), "" | "xargs" | "kill" | "|" | "&&" | ";");
        let arguments: Vec<String> = words.get(at + 1..)?.iter().take_while(ends).cloned().collect();
        match base(words.get(at)?) {
            "pgrep" => Some(Selection { tool: "pgrep".to_owned(), ..pkill::parse("pgrep", &arguments) }),
            _ => Some(Selection { tool: "pidof".to_owned(), ..psmisc::killall(&arguments) }),
        }
    })
    .next()
}

/// `-c` of a shell, also as `-ec`.
fn is_command_option(argument: &str) -> bool {
    argument.starts_with('-') && !argument.starts_with("--") && argument.ends_with('c')
}

fn base(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// True for `-9`, `-KILL`, `-SIGKILL`.
fn is_signal(argument: &str) -> bool {
    let Some(name) = argument.strip_prefix('-') else { return false };
    let short = name.strip_prefix("SIG").unwrap_or(name);
    let number = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit());
    number || (1..=64).any(|signal| crate::signals::name(signal).strip_prefix("SIG") == Some(short))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{process, under};

    #[test]
    fn scripts_that_pick_pids_for_kill() {
        let shell = |script: &str| Process {
            argv: Some(["sh", "-c", script].map(str::to_owned).to_vec()),
            ..process(50, "sh")
        };
        for script in
            ["pgrep -f 'port 99' | xargs kill -9", "kill -9 $(pgrep -f 'port 99')", "kill `pgrep -f port`"]
        {
            let found = selection(&under(process(51, "kill -9 812"), &[shell(script)]));
            let found = found.unwrap_or_else(|| panic!("{script}"));
            assert_eq!(found.tool, "pgrep", "{script}");
            assert!(
                matches!(&found.patterns[..], [Pattern::Expression { text, full: true, .. }] if text.starts_with("port")),
                "{script}: {found:?}"
            );
        }
        assert_eq!(selection(&under(process(51, "kill -9 812"), &[shell("kill -9 812")])), None);
        assert_eq!(selection(&process(51, "kill -9 812")), None);
    }

    #[test]
    fn signals_are_no_patterns() {
        for (argument, is) in
            [("-9", true), ("-KILL", true), ("-SIGTERM", true), ("-f", false), ("-", false), ("nginx", false)]
        {
            assert_eq!(is_signal(argument), is, "{argument}");
        }
    }
}
