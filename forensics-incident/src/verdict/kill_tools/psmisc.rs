//! The command lines of `killall` and `fuser` (psmisc 23), of `skill` (procps 4) and, for its operands, of `pidof`.

use super::{Pattern, Selection, is_signal};

/// What follows `killall`.
pub(super) fn killall(arguments: &[String]) -> Selection {
    let mut selection = Selection { tool: "killall".to_owned(), ..Selection::default() };
    let (mut expression, mut ignore_case) = (false, false);
    let mut names = Vec::new();
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "-r" | "--regexp" => expression = true,
            "-I" | "--ignore-case" => ignore_case = true,
            "-s" | "--signal" => drop(words.next()),
            "-u" | "--user" | "-n" | "--ns" | "-y" | "--younger-than" | "-o" | "--older-than" | "-Z"
            | "--context" => {
                let value = words.next().map_or("", String::as_str);
                selection.selectors.push(format!("{word} {value}"));
            }
            "--" => names.extend(words.by_ref().cloned()),
            option if option.starts_with('-') && (option.len() > 1) => {
                // Several letters in one word, a signal, or what has no bearing on the choice.
                if !is_signal(option) && !option.starts_with("--") {
                    expression |= option.contains('r');
                    ignore_case |= option.contains('I');
                }
            }
            name => names.push(name.to_owned()),
        }
    }
    let pattern = |text: String| match expression || ignore_case {
        true => {
            let text = if expression { text } else { regex::escape(&text) };
            Pattern::Expression { text, full: false, exact: !expression, ignore_case }
        }
        false => Pattern::Name(text),
    };
    selection.patterns = names.into_iter().map(pattern).collect();
    selection
}

/// What follows `fuser`; none of its files can be compared with what is known of the target.
pub(super) fn fuser(arguments: &[String]) -> Selection {
    let mut words = arguments.iter();
    let mut names = Vec::new();
    let mut space = None;
    while let Some(word) = words.next() {
        match word.as_str() {
            "-n" | "--namespace" => space = words.next().cloned(),
            option if option.starts_with('-') => {}
            name => names.push(match &space {
                Some(space) => format!("{name}/{space}"),
                None => name.to_owned(),
            }),
        }
    }
    let patterns = names.into_iter().map(Pattern::User).collect();
    Selection { tool: "fuser".to_owned(), patterns, ..Selection::default() }
}

/// What follows `skill`: a bare word may be a command, a user, a terminal or a pid.
pub(super) fn skill(arguments: &[String]) -> Selection {
    let mut selection = Selection { tool: "skill".to_owned(), ..Selection::default() };
    let mut words = arguments.iter().filter(|word| !is_signal(word));
    while let Some(word) = words.next() {
        match word.as_str() {
            "-c" | "--command" => selection.patterns.extend(words.next().cloned().map(Pattern::Name)),
            "-u" | "--user" | "-t" | "--tty" | "-p" | "--pid" => {
                let value = words.next().map_or("", String::as_str);
                selection.selectors.push(format!("{word} {value}"));
            }
            option if option.starts_with('-') => {}
            name => selection.patterns.push(Pattern::Name(name.to_owned())),
        }
    }
    selection
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn killall_takes_names() {
        let names = |line: &str| killall(&words(line)).patterns;
        assert_eq!(names("-9 nginx httpd"), ["nginx", "httpd"].map(|n| Pattern::Name(n.to_owned())));
        assert_eq!(names("-s KILL -q /usr/bin/app"), [Pattern::Name("/usr/bin/app".to_owned())]);
        assert_eq!(killall(&words("-u www -9 app")).selectors, ["-u www"]);
        assert!(matches!(&names("-r ^app")[..], [Pattern::Expression { exact: false, .. }]));
        assert!(
            matches!(&names("-I app.x")[..], [Pattern::Expression { exact: true, text, .. }] if text == "app\\.x")
        );
    }

    #[test]
    fn fuser_takes_files_and_ports() {
        assert_eq!(fuser(&words("-k -9 9999/tcp")).patterns, [Pattern::User("9999/tcp".to_owned())]);
        assert_eq!(fuser(&words("-k -n tcp 80")).patterns, [Pattern::User("80/tcp".to_owned())]);
    }

    #[test]
    fn skill_takes_many_things() {
        assert_eq!(skill(&words("-KILL -u joe")).selectors, ["-u joe"]);
        assert_eq!(skill(&words("-9 app")).patterns, [Pattern::Name("app".to_owned())]);
    }
}
