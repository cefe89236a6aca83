//! What a process is called: by its executable, by the script that it runs, by the title that it gave itself.

use crate::model::Process;

/// Programs that run a file of another name.
const INTERPRETERS: [&str; 10] =
    ["python", "perl", "ruby", "node", "bash", "dash", "sh", "bun", "deno", "php"];

/// True when a process goes by one of these names. A name that ends in `*` stands for all that begin so.
///
/// What merely stands among its arguments does not count, nor does the kernel's name of it where the executable is
/// known: that one anybody may choose.
pub(super) fn is_called(process: &Process, names: &[&str]) -> bool {
    let fits = |name: &str| {
        names.iter().any(|wanted| match wanted.strip_suffix('*') {
            Some(start) => name.starts_with(start),
            None => name == *wanted,
        })
    };
    let by_kernel = process.exe.is_none().then_some(process.name.as_str());
    let own = [Some(process.program()), title(process), by_kernel];
    own.into_iter().flatten().chain(script(process)).any(fits)
}

/// The base name of the script that an interpreter runs.
pub(super) fn script(process: &Process) -> Option<&str> {
    if !is_interpreter(process) {
        return None;
    }
    let arguments = process.args().get(1..)?;
    let is_option = |argument: &&String| argument.starts_with('-');
    // What follows `-c` and `-e` is the script itself.
    let inline = |option: &String| !option.starts_with("--") && option.ends_with(['c', 'e']);
    if arguments.iter().take_while(is_option).any(inline) {
        return None;
    }
    let path = arguments.iter().find(|argument| !is_option(argument))?;
    path.rsplit('/').next()
}

/// The title that a program wrote over its arguments: `sshd: joe@pts/0`, `claude`.
fn title(process: &Process) -> Option<&str> {
    let first = process.args().first()?;
    match first.split_once(':') {
        Some((title, rest)) if rest.is_empty() || rest.starts_with(' ') => Some(title),
        _ if is_interpreter(process) && !first.contains('/') => Some(first),
        _ => None,
    }
}

fn is_interpreter(process: &Process) -> bool {
    let program = process.program();
    // python3.11, node20: the version is part of the name.
    INTERPRETERS.iter().any(|name| {
        program.strip_prefix(name).is_some_and(|rest| rest.chars().all(|c| c.is_ascii_digit() || c == '.'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::process;

    fn with_exe(exe: &str, argv: &[&str]) -> Process {
        Process {
            exe: Some(exe.to_owned()),
            argv: Some(argv.iter().map(|&word| word.to_owned()).collect()),
            ..process(5, "thread-name")
        }
    }

    #[test]
    fn names_that_count() {
        for (process, name) in [
            (with_exe("/usr/sbin/cron", &["/usr/sbin/cron", "-f"]), "cron"),
            (with_exe("/usr/sbin/sshd", &["sshd: joe@pts/0"]), "sshd"),
            (
                with_exe("/usr/bin/perl", &["/usr/bin/perl", "-w", "/usr/sbin/needrestart", "-v"]),
                "needrestart",
            ),
            (
                with_exe("/usr/bin/python3.11", &["/usr/bin/python3", "/usr/bin/unattended-upgrade"]),
                "unattended-upgrade",
            ),
            (with_exe("/usr/bin/node", &["claude"]), "claude"),
            (
                with_exe("/usr/bin/python3", &["python3", "/root/.ansible/tmp/x/AnsiballZ_command.py"]),
                "AnsiballZ_*",
            ),
            (process(5, "tmux new -d"), "tmux"),
        ] {
            assert!(is_called(&process, &[name]), "{name}: {process:?}");
        }
    }

    #[test]
    fn names_that_do_not() {
        for (process, name) in [
            (with_exe("/usr/bin/vim", &["vim", "cron"]), "cron"),
            (with_exe("/usr/bin/grep", &["grep", "claude"]), "claude"),
            (with_exe("/usr/bin/bash", &["bash", "-c", "/usr/sbin/cron"]), "cron"),
            (with_exe("/usr/bin/perl", &["perl", "-e", "needrestart"]), "needrestart"),
            (with_exe("/usr/bin/crontab", &["crontab", "-l"]), "cron"),
            (
                with_exe("/usr/bin/python3", &["python3", "x.py", "/usr/bin/unattended-upgrade"]),
                "unattended-upgrade",
            ),
            (with_exe("/usr/bin/shred", &["claude"]), "claude"),
            (Process { name: "cron".to_owned(), ..with_exe("/tmp/x", &["x"]) }, "cron"),
        ] {
            assert!(!is_called(&process, &[name]), "{name}: {process:?}");
        }
    }
}
