use std::fmt;
use std::str::FromStr;

use forensics_incident::signals::*;

/// A set of signals, 1 to 64.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignalSet(u64);

/// What ends services. Not here: what runtimes send themselves all day (SIGURG, SIGCHLD, SIGWINCH, SIGPROF).
const DEFAULT: [u32; 19] = [
    SIGTERM, SIGKILL, SIGINT, SIGHUP, SIGQUIT, SIGABRT, SIGUSR1, SIGUSR2, SIGALRM, SIGXCPU, SIGXFSZ, SIGPIPE,
    SIGIO, SIGSYS, SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP,
];

impl SignalSet {
    /// No signal.
    pub const EMPTY: Self = Self(0);
    /// All 64.
    pub const ALL: Self = Self(u64::MAX);

    /// As the kernel's `sigset_t`: signal N is bit N-1.
    pub fn mask(self) -> u64 {
        self.0
    }

    /// Whether the set has this signal; false for numbers outside 1 to 64.
    pub fn contains(self, signal: u32) -> bool {
        self.0 & bit(signal) != 0
    }

    fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

fn bit(signal: u32) -> u64 {
    signal.checked_sub(1).and_then(|shift| 1u64.checked_shl(shift)).unwrap_or(0)
}

impl Default for SignalSet {
    fn default() -> Self {
        Self(DEFAULT.iter().fold(0, |mask, &signal| mask | bit(signal)))
    }
}

/// Items separated by commas: a signal, `all` or `default`. A list that starts with `+` or `-` changes the default
/// set, any other replaces it; items are taken from left to right.
impl FromStr for SignalSet {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut set = if text.starts_with(['+', '-']) { Self::default() } else { Self::EMPTY };
        for item in text.split(',') {
            let item = item.trim();
            let (add, word) = match item.strip_prefix('-') {
                Some(word) => (false, word),
                None => (true, item.strip_prefix('+').unwrap_or(item)),
            };
            let named = match word.to_ascii_lowercase().as_str() {
                "all" => Self::ALL,
                "default" => Self::default(),
                _ => Self(bit(parse(word).ok_or_else(|| format!("no signal is called '{word}'"))?)),
            };
            set = if add { set.with(named) } else { set.without(named) };
        }
        if set == Self::EMPTY { Err("it leaves no signal".to_owned()) } else { Ok(set) }
    }
}

impl fmt::Display for SignalSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<String> = (1..=64).filter(|&n| self.contains(n)).map(name).collect();
        f.write_str(&names.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(text: &str) -> SignalSet {
        text.parse().expect(text)
    }

    #[test]
    fn plain_lists_replace_the_default() {
        assert_eq!(set("TERM,9"), SignalSet((1 << 14) | (1 << 8)));
        assert_eq!(set("SIGRTMAX").mask(), 1 << 63);
        assert_eq!(set("all").mask(), u64::MAX);
        assert_eq!(set("all,-URG,-17").mask(), !(1 << 22) & !(1 << 16));
    }

    #[test]
    fn signs_change_the_default() {
        let default = SignalSet::default();
        assert!(!default.contains(SIGURG) && default.contains(SIGPIPE));
        assert_eq!(set("+urg,-pipe").mask(), (default.mask() | (1 << 22)) & !(1 << 12));
        assert_eq!(set("default,+WINCH"), set("+WINCH"));
        assert_eq!(set("-9").mask(), default.mask() & !(1 << 8));
    }

    #[test]
    fn refusals_name_the_item() {
        assert_eq!("TERM,FOO".parse::<SignalSet>(), Err("no signal is called 'FOO'".to_owned()));
        assert_eq!("TERM,-TERM".parse::<SignalSet>(), Err("it leaves no signal".to_owned()));
        for bad in ["", ",", "65", "0", "--9", "TERM;KILL"] {
            assert!(bad.parse::<SignalSet>().is_err(), "{bad}");
        }
    }

    #[test]
    fn numbers_outside_are_in_no_set() {
        assert!(!SignalSet::ALL.contains(0) && !SignalSet::ALL.contains(65) && SignalSet::ALL.contains(64));
    }

    #[test]
    fn reads_back_what_it_prints() {
        assert_eq!(set(&SignalSet::default().to_string()), SignalSet::default());
    }
}
