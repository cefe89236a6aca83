//! Names of pidfiles on command lines and in scripts.

/// Names that are taken from one text.
const MAX_NAMES: usize = 8;

/// Options that are followed by a pidfile: `pkill -F`, `start-stop-daemon -p`, `killproc -p`.
const OPTIONS: [&str; 4] = ["-F", "-p", "--pidfile", "--pid-file"];

/// What separates the words of a shell script, as far as names of files are concerned.
const SEPARATORS: &[char] = &[
    ' ', '\t', '\n', '\r', '"', '\'', '`', ';', '|', '&', '(', ')', '{', '}', '<', '>', '=', '$', ',', '[',
    ']',
];

/// Those on a command line, a script on it included.
pub(super) fn in_arguments(arguments: &[String]) -> Vec<String> {
    let mut names = Vec::new();
    let mut before: Option<&str> = None;
    for argument in arguments {
        if before.is_some_and(|option| OPTIONS.contains(&option)) && !argument.starts_with('-') {
            keep(&mut names, argument);
        } else if let Some(file) = argument.strip_prefix("-F").filter(|file| file.starts_with('/')) {
            keep(&mut names, file);
        } else {
            for name in in_text(argument) {
                keep(&mut names, &name);
            }
        }
        before = Some(argument);
    }
    names
}

/// Those in the text of a script: what looks like one, and what is read by `cat` or `<`.
pub(super) fn in_text(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut is_read = false;
    for word in text.split(SEPARATORS).filter(|word| !word.is_empty()) {
        // A comment or an option is none, and neither is what a variable of the script would have to complete.
        let is_path = !word.starts_with(['-', '#']) && !word.starts_with("/proc/") && word.len() <= 4096;
        if is_path && (looks_like_one(word) || (is_read && word.contains('/'))) {
            keep(&mut names, word);
        }
        is_read = word == "cat" || word.ends_with("/cat");
    }
    names
}

/// The script that an interpreter runs, as it stands on the command line.
pub(super) fn script_of(arguments: &[String]) -> Option<&str> {
    let mut rest = arguments.get(1..)?.iter();
    let first = rest.find(|argument| !argument.starts_with('-'))?;
    let inline = |argument: &&String| {
        argument.starts_with('-') && !argument.starts_with("--") && argument.ends_with('c')
    };
    let has_inline =
        arguments.iter().skip(1).take_while(|argument| argument.starts_with('-')).any(|a| inline(&a));
    (!has_inline && !first.contains(char::is_whitespace)).then_some(first)
}

fn looks_like_one(word: &str) -> bool {
    let base = word.rsplit('/').next().unwrap_or(word).to_ascii_lowercase();
    base.ends_with(".pid") || (word.contains('/') && base.contains("pid"))
}

fn keep(names: &mut Vec<String>, name: &str) {
    if names.len() < MAX_NAMES && !names.iter().any(|known| known == name) {
        names.push(name.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(line: &[&str]) -> Vec<String> {
        in_arguments(&line.iter().map(|&word| word.to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn names_on_command_lines() {
        for (line, name) in [
            (&["pkill", "-F", "/run/app.pid"][..], "/run/app.pid"),
            (&["pkill", "-F/run/app"], "/run/app"),
            (&["pkill", "--pidfile=/run/app.pid"], "/run/app.pid"),
            (&["start-stop-daemon", "--stop", "--pidfile", "/run/app"], "/run/app"),
            (&["start-stop-daemon", "-K", "-p", "app.pid"], "app.pid"),
            (&["sh", "-c", "kill -9 $(cat /tmp/app.pid)"], "/tmp/app.pid"),
            (&["sh", "-c", "kill `cat /srv/state/server`; exit"], "/srv/state/server"),
            (&["bash", "-c", "kill \"$(</var/run/app/pid)\""], "/var/run/app/pid"),
            (&["bash", "-c", "read p < app.pid; kill $p"], "app.pid"),
            (&["bash", "-c", "PIDFILE=/run/x.pid\nkill $(cat $PIDFILE)"], "/run/x.pid"),
        ] {
            assert_eq!(arguments(line), [name], "{line:?}");
        }
    }

    #[test]
    fn what_is_no_name() {
        for line in [
            &["kill", "-9", "812"][..],
            &["sh", "-c", "kill $PID; cat /proc/1/pid"],
            &["sh", "-c", "kill ${PIDFILE} $pid"],
            &["pkill", "-F", "-x"],
            &[],
        ] {
            assert_eq!(arguments(line), Vec::<String>::new(), "{line:?}");
        }
        let many = (0..100).map(|n| format!("/run/{n}.pid")).collect::<Vec<_>>();
        assert_eq!(in_arguments(&many).len(), MAX_NAMES);
    }

    #[test]
    fn scripts_of_interpreters() {
        let script = |line: &str| {
            let arguments = line.split(' ').map(str::to_owned).collect::<Vec<_>>();
            script_of(&arguments).map(str::to_owned)
        };
        assert_eq!(script("/bin/sh /etc/init.d/app stop").as_deref(), Some("/etc/init.d/app"));
        assert_eq!(script("bash -eu ./stop.sh").as_deref(), Some("./stop.sh"));
        for line in ["sh -c ./x", "bash -ec x", "bash", "-bash"] {
            assert_eq!(script(line), None, "{line}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read(text in "\\PC*", words in proptest::collection::vec("\\PC*", 0..5)) {
            proptest::prop_assert!(in_text(&text).len() <= MAX_NAMES);
            in_arguments(&words);
            script_of(&words);
        }
    }
}
