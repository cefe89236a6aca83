//! What an exit status means by convention. It is the program's own to choose, so nothing follows from it for certain.

use crate::model::Process;
use crate::signals;

/// What a status means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Meaning {
    /// In a word or two, for the summary.
    pub(super) label: String,
    /// In a sentence, with its source.
    pub(super) says: String,
}

/// `sysexits.h` of the C library, from 64 on: names, and what its comments say.
const SYSEXITS: [(&str, &str); 15] = [
    ("EX_USAGE", "it was called with wrong arguments"),
    ("EX_DATAERR", "its input was wrong"),
    ("EX_NOINPUT", "it could not open its input"),
    ("EX_NOUSER", "it was told a user that does not exist"),
    ("EX_NOHOST", "it was told a host that does not exist"),
    ("EX_UNAVAILABLE", "a service that it needs was unavailable"),
    ("EX_SOFTWARE", "it found an error in itself"),
    ("EX_OSERR", "the system refused it something, as a fork"),
    ("EX_OSFILE", "a file of the system was missing or unusable"),
    ("EX_CANTCREAT", "it could not create its output"),
    ("EX_IOERR", "reading or writing failed"),
    ("EX_TEMPFAIL", "it failed for now, and wants to be tried again"),
    ("EX_PROTOCOL", "the other side broke the protocol"),
    ("EX_NOPERM", "it was not permitted what it wanted to do"),
    ("EX_CONFIG", "its configuration is wrong"),
];
/// The first of them.
const FIRST_SYSEXIT: i32 = 64;

/// Statuses of systemd for a service that it could not start, systemd.exec(5) "Process Exit Codes"; from 200 on, with
/// those that it does not use left empty.
const SYSTEMD: [&str; 46] = [
    "CHDIR",
    "NICE",
    "FDS",
    "EXEC",
    "MEMORY",
    "LIMITS",
    "OOM_ADJUST",
    "SIGNAL_MASK",
    "STDIN",
    "STDOUT",
    "CHROOT",
    "IOPRIO",
    "TIMERSLACK",
    "SECUREBITS",
    "SETSCHEDULER",
    "CPUAFFINITY",
    "GROUP",
    "USER",
    "CAPABILITIES",
    "CGROUP",
    "SETSID",
    "CONFIRM",
    "STDERR",
    "",
    "PAM",
    "NETWORK",
    "NAMESPACE",
    "NO_NEW_PRIVILEGES",
    "SECCOMP",
    "SELINUX_CONTEXT",
    "PERSONALITY",
    "APPARMOR_PROFILE",
    "ADDRESS_FAMILIES",
    "RUNTIME_DIRECTORY",
    "",
    "CHOWN",
    "SMACK_PROCESS_LABEL",
    "KEYRING",
    "STATE_DIRECTORY",
    "CACHE_DIRECTORY",
    "LOGS_DIRECTORY",
    "CONFIGURATION_DIRECTORY",
    "NUMA_POLICY",
    "CREDENTIALS",
    "",
    "BPF",
];
/// The first of them.
const FIRST_SYSTEMD: i32 = 200;

/// What a status means for this process; none for those about which there is no convention.
pub(super) fn meaning(code: i32, target: &Process) -> Option<Meaning> {
    systemd(code, target).or_else(|| sysexit(code)).or_else(|| shell(code, target))
}

/// The signal of which a status seems to speak: shells and runtimes return 128+N for a child that died of signal N.
pub(super) fn impostor(code: i32) -> Option<String> {
    let number = u32::try_from(code.checked_sub(128)?).ok()?;
    (1..=64).contains(&number).then(|| signals::name(number))
}

fn sysexit(code: i32) -> Option<Meaning> {
    let (name, means) = nth(&SYSEXITS, code, FIRST_SYSEXIT)?;
    let says = format!("{code} is {name} in sysexits.h: by that convention, {means}.");
    Some(Meaning { label: (*name).to_owned(), says })
}

/// As long as it has not executed the program of the unit, it is systemd that runs, and that gives itself a name in
/// brackets (`rename_process_from_path()`, src/core/exec-invoke.c).
fn systemd(code: i32, target: &Process) -> Option<Meaning> {
    let name = nth(&SYSTEMD, code, FIRST_SYSTEMD).filter(|name| !name.is_empty())?;
    target.unit.as_ref()?;
    let by_systemd = match target.exe.as_deref() {
        Some(exe) => matches!(
            exe,
            "/usr/lib/systemd/systemd"
                | "/lib/systemd/systemd"
                | "/usr/lib/systemd/systemd-executor"
                | "/lib/systemd/systemd-executor"
        ),
        None => target.name.starts_with('('),
    };
    by_systemd.then(|| Meaning {
        label: format!("EXIT_{name} of systemd"),
        says: format!(
            "{code} is EXIT_{name} of systemd, which could not start the program of the unit (systemd.exec(5))."
        ),
    })
}

fn shell(code: i32, target: &Process) -> Option<Meaning> {
    let starts_others = matches!(
        target.program(),
        "sh" | "bash"
            | "dash"
            | "zsh"
            | "ksh"
            | "ash"
            | "busybox"
            | "env"
            | "nohup"
            | "nice"
            | "timeout"
            | "xargs"
            | "setsid"
            | "chroot"
            | "stdbuf"
    );
    let meaning = |label: &str, says: &str| {
        let (label, says) = (label.to_owned(), says.to_owned());
        Some(Meaning { label, says })
    };
    match code {
        126 if starts_others => meaning(
            "a command could not be executed",
            "Shells, env(1) and their like exit with 126 when a command was found and could not be executed.",
        ),
        127 if starts_others => meaning(
            "a command was not found",
            "Shells, env(1) and their like exit with 127 when a command was not found.",
        ),
        255 => meaning(
            "-1, or any error",
            "255 is what is left of exit(-1), and what ssh(1) returns for errors of its own; it says no more than that something failed.",
        ),
        _ => None,
    }
}

fn nth<T>(table: &[T], code: i32, first: i32) -> Option<&T> {
    table.get(usize::try_from(code.checked_sub(first)?).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{nginx, process};

    fn label(code: i32, target: &Process) -> Option<String> {
        meaning(code, target).map(|meaning| meaning.label)
    }

    #[test]
    fn by_convention() {
        for (code, expected) in [
            (63, None),
            (64, Some("EX_USAGE")),
            (75, Some("EX_TEMPFAIL")),
            (78, Some("EX_CONFIG")),
            (79, None),
            (0, None),
            (1, None),
            (128, None),
            (-1, None),
            (i32::MIN, None),
            (255, Some("-1, or any error")),
        ] {
            assert_eq!(label(code, &nginx()).as_deref(), expected, "{code}");
        }
        let says = meaning(75, &nginx()).map(|meaning| meaning.says).unwrap_or_default();
        assert_eq!(
            says,
            "75 is EX_TEMPFAIL in sysexits.h: by that convention, it failed for now, and wants to be tried again."
        );
    }

    #[test]
    fn only_what_starts_commands_misses_them() {
        let shell = process(5, "sh -c nonexistent");
        assert_eq!(label(127, &shell).as_deref(), Some("a command was not found"));
        assert_eq!(label(126, &shell).as_deref(), Some("a command could not be executed"));
        assert_eq!((label(127, &nginx()), label(126, &nginx())), (None, None));
    }

    #[test]
    fn systemd_speaks_only_before_the_program_has_started() {
        let unit = Some("a.service".to_owned());
        let executor = Process { unit: unit.clone(), name: "(nginx)".to_owned(), ..Process::default() };
        assert_eq!(label(203, &executor).as_deref(), Some("EXIT_EXEC of systemd"));
        assert_eq!(label(243, &executor).as_deref(), Some("EXIT_CREDENTIALS of systemd"));
        assert_eq!(label(245, &executor).as_deref(), Some("EXIT_BPF of systemd"));
        assert_eq!(label(223, &executor), None, "a number that it does not use");
        let started = Process { unit: unit.clone(), ..nginx() };
        assert_eq!(label(203, &started), None, "the program's own");
        let outside = Process { unit: None, ..executor.clone() };
        assert_eq!(label(203, &outside), None);
        let named = Process { exe: Some("/tmp/x".to_owned()), ..executor };
        assert_eq!(label(203, &named), None, "anyone may take such a name");
    }

    #[test]
    fn impostors() {
        for (code, signal) in [
            (129, Some("SIGHUP")),
            (137, Some("SIGKILL")),
            (192, Some("SIGRTMAX")),
            (193, None),
            (128, None),
            (-5, None),
            (i32::MIN, None),
        ] {
            assert_eq!(impostor(code).as_deref(), signal, "{code}");
        }
    }
}
