//! Names and classes of Linux signals (`signal(7)`; numbers of x86 and ARM).

/// The signals that have names of their own, by number from 1.
const NAMES: [&str; 31] = [
    "SIGHUP",
    "SIGINT",
    "SIGQUIT",
    "SIGILL",
    "SIGTRAP",
    "SIGABRT",
    "SIGBUS",
    "SIGFPE",
    "SIGKILL",
    "SIGUSR1",
    "SIGSEGV",
    "SIGUSR2",
    "SIGPIPE",
    "SIGALRM",
    "SIGTERM",
    "SIGSTKFLT",
    "SIGCHLD",
    "SIGCONT",
    "SIGSTOP",
    "SIGTSTP",
    "SIGTTIN",
    "SIGTTOU",
    "SIGURG",
    "SIGXCPU",
    "SIGXFSZ",
    "SIGVTALRM",
    "SIGPROF",
    "SIGWINCH",
    "SIGIO",
    "SIGPWR",
    "SIGSYS",
];

/// First real-time signal that the C library leaves to programs (it keeps 32 and 33).
const RTMIN: u32 = 34;
/// Last signal number.
const RTMAX: u32 = 64;

pub use numbers::*;

/// Numbers of the signals that rules speak about.
#[expect(missing_docs, reason = "the names say it all")]
mod numbers {
    pub const SIGHUP: u32 = 1;
    pub const SIGINT: u32 = 2;
    pub const SIGQUIT: u32 = 3;
    pub const SIGILL: u32 = 4;
    pub const SIGTRAP: u32 = 5;
    pub const SIGABRT: u32 = 6;
    pub const SIGBUS: u32 = 7;
    pub const SIGFPE: u32 = 8;
    pub const SIGKILL: u32 = 9;
    pub const SIGUSR1: u32 = 10;
    pub const SIGSEGV: u32 = 11;
    pub const SIGUSR2: u32 = 12;
    pub const SIGPIPE: u32 = 13;
    pub const SIGALRM: u32 = 14;
    pub const SIGTERM: u32 = 15;
    pub const SIGSTKFLT: u32 = 16;
    pub const SIGCHLD: u32 = 17;
    pub const SIGCONT: u32 = 18;
    pub const SIGSTOP: u32 = 19;
    pub const SIGTSTP: u32 = 20;
    pub const SIGTTIN: u32 = 21;
    pub const SIGTTOU: u32 = 22;
    pub const SIGURG: u32 = 23;
    pub const SIGXCPU: u32 = 24;
    pub const SIGXFSZ: u32 = 25;
    pub const SIGVTALRM: u32 = 26;
    pub const SIGPROF: u32 = 27;
    pub const SIGWINCH: u32 = 28;
    pub const SIGIO: u32 = 29;
    pub const SIGPWR: u32 = 30;
    pub const SIGSYS: u32 = 31;
}

/// The name of a signal as the C library counts real-time signals: `SIGTERM`, `SIGRTMIN+3`, `SIGRTMAX-1`.
/// Numbers outside 1 to 64 become `signal#N`.
pub fn name(number: u32) -> String {
    match number {
        1..=31 => NAMES.get(number as usize - 1).map_or_else(String::new, ToString::to_string),
        // Kept by glibc for thread cancellation and setuid; a kill with them still happens.
        32 | 33 => format!("SIG{number}"),
        RTMIN => "SIGRTMIN".to_owned(),
        RTMAX => "SIGRTMAX".to_owned(),
        35..=49 => format!("SIGRTMIN+{}", number - RTMIN),
        50..=63 => format!("SIGRTMAX-{}", RTMAX - number),
        _ => format!("signal#{number}"),
    }
}

/// Reads a signal: a number, or a name with or without `SIG`, in either case, `RTMIN+N` and `RTMAX-N` included.
pub fn parse(text: &str) -> Option<u32> {
    if let Ok(number) = text.parse::<u32>() {
        return (1..=RTMAX).contains(&number).then_some(number);
    }
    let upper = text.to_ascii_uppercase();
    let bare = upper.strip_prefix("SIG").unwrap_or(&upper);
    if let Some(index) = NAMES.iter().position(|name| name.strip_prefix("SIG") == Some(bare)) {
        return u32::try_from(index + 1).ok();
    }
    let offset = |digits: &str| digits.parse::<u32>().ok().filter(|&n| n <= RTMAX - RTMIN);
    match bare {
        "IOT" => return Some(SIGABRT),
        "POLL" => return Some(SIGIO),
        "CLD" => return Some(SIGCHLD),
        "RTMIN" => return Some(RTMIN),
        "RTMAX" => return Some(RTMAX),
        "32" => return Some(32),
        "33" => return Some(33),
        _ => {}
    }
    if let Some(digits) = bare.strip_prefix("RTMIN+") {
        return offset(digits).map(|n| RTMIN + n);
    }
    bare.strip_prefix("RTMAX-").and_then(offset).map(|n| RTMAX - n)
}

/// True for the signals with which one asks a process to end.
pub fn requests_termination(number: u32) -> bool {
    matches!(number, SIGTERM | SIGINT | SIGHUP | SIGQUIT | SIGKILL)
}

/// True for the signals with which the processor and the C library report a program's own fault.
pub fn is_fault(number: u32) -> bool {
    matches!(number, SIGSEGV | SIGBUS | SIGILL | SIGFPE | SIGTRAP | SIGABRT | SIGSYS)
}

/// True when the default action of the signal ends the process (`signal(7)`).
pub fn ends_by_default(number: u32) -> bool {
    !matches!(number, SIGCHLD | SIGCONT | SIGSTOP | SIGTSTP | SIGTTIN | SIGTTOU | SIGURG | SIGWINCH)
        && (1..=RTMAX).contains(&number)
}

/// The bit of a signal in a set, as in the kernel's `sigset_t`: bit N-1 for signal N; 0 for what is no signal.
pub fn bit(number: u32) -> u64 {
    if (1..=RTMAX).contains(&number) { 1 << (number - 1) } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_reads_back() {
        for number in 1..=64 {
            assert_eq!(parse(&name(number)), Some(number), "{}", name(number));
        }
    }

    #[test]
    fn real_time_signals_count_from_either_end() {
        assert_eq!(name(34), "SIGRTMIN");
        assert_eq!(name(49), "SIGRTMIN+15");
        assert_eq!(name(50), "SIGRTMAX-14");
        assert_eq!(name(64), "SIGRTMAX");
        assert_eq!(name(65), "signal#65");
    }

    #[test]
    fn bits_are_those_of_a_kernel_set() {
        assert_eq!((bit(1), bit(64), bit(0), bit(65)), (1, 1 << 63, 0, 0));
        assert!(ends_by_default(SIGTERM) && ends_by_default(SIGUSR1) && ends_by_default(64));
        assert!(!ends_by_default(SIGCHLD) && !ends_by_default(0) && !ends_by_default(65));
    }

    #[test]
    fn spellings() {
        assert_eq!(parse("term"), Some(15));
        assert_eq!(parse("SIGKILL"), Some(9));
        assert_eq!(parse("15"), Some(15));
        assert_eq!(parse("RTMIN+1"), Some(35));
        for bad in ["", "0", "65", "SIG", "TERMS", "RTMIN+31", "RTMAX-99999999999", "-9"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
