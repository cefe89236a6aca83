//! The properties of a service that decide how it is stopped.

use std::collections::BTreeMap;

use serde::Serialize;

use super::duration::{Span, parse_us};

/// Names of the properties that decide about the timing of a stop, as in `org.freedesktop.systemd1.Unit` and
/// `….Service`.
pub const NAMES: [&str; 13] = [
    "LoadState",
    "NeedDaemonReload",
    "TimeoutStopUSec",
    "TimeoutAbortUSec",
    "KillMode",
    "KillSignal",
    "FinalKillSignal",
    "SendSIGKILL",
    "WatchdogUSec",
    "RuntimeMaxUSec",
    "OOMPolicy",
    "NRestarts",
    "MainPID",
];

/// What a manager says of a unit, by property name, as `systemctl show` writes it; times may also be plain
/// microseconds, as over D-Bus.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Properties(BTreeMap<String, String>);

impl Properties {
    /// Properties from pairs of name and value; only [`NAMES`] are kept.
    pub fn new(pairs: impl IntoIterator<Item = (String, String)>) -> Self {
        Self::of(&NAMES, pairs)
    }

    /// Properties from pairs of name and value; only those of these names are kept.
    pub fn of(names: &[&str], pairs: impl IntoIterator<Item = (String, String)>) -> Self {
        Self(pairs.into_iter().filter(|(name, _)| names.contains(&name.as_str())).collect())
    }

    /// Reads the output of `systemctl show`; only [`NAMES`] are kept.
    pub fn from_show(output: &str) -> Self {
        Self::of_show(&NAMES, output)
    }

    /// Reads the output of `systemctl show`; only those of these names are kept.
    pub fn of_show(names: &[&str], output: &str) -> Self {
        let pairs = output.lines().filter_map(|line| line.split_once('='));
        Self::of(names, pairs.map(|(name, value)| (name.to_owned(), value.to_owned())))
    }

    /// One value; None when the manager did not say, as older ones do not know every property.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// True when the manager found the unit's file. An unknown unit has the manager's defaults for values.
    pub fn is_loaded(&self) -> bool {
        self.get("LoadState") == Some("loaded")
    }

    /// A time; None when it is absent or unreadable.
    pub fn span(&self, name: &str) -> Option<Span> {
        let value = self.get(name)?;
        if value.bytes().all(|b| b.is_ascii_digit()) {
            return value.parse().ok().map(Span::from_us);
        }
        parse_us(value).ok()
    }

    /// A timeout: as [`Properties::span`], with 0 for no limit (systemd.service(5)).
    pub fn timeout(&self, name: &str) -> Option<Span> {
        self.span(name).map(|span| if span.as_us() == 0 { Span::INFINITY } else { span })
    }

    /// True only when the manager said so.
    pub fn is(&self, name: &str, value: &str) -> bool {
        self.get(name) == Some(value)
    }

    /// A number.
    pub fn number(&self, name: &str) -> Option<u32> {
        self.get(name)?.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_systemctl_shows() {
        let shown = Properties::from_show(
            "LoadState=loaded\nTimeoutStopUSec=1min 30s\nTimeoutAbortUSec=5000000\nWatchdogUSec=0\nEnvironment=A=b\njunk\n",
        );
        assert!(shown.is_loaded());
        assert_eq!(shown.timeout("TimeoutStopUSec"), Some(Span::from_us(90_000_000)));
        assert_eq!(shown.timeout("TimeoutAbortUSec"), Some(Span::from_us(5_000_000)));
        assert_eq!(shown.timeout("WatchdogUSec"), Some(Span::INFINITY));
        assert_eq!(shown.get("Environment"), None, "what was not asked for is not kept");
        assert_eq!(shown.span("KillMode"), None);
    }
}
