//! Whether a service gets the time that it needs to drain before systemd kills it.
//!
//! Of what a manager knows, only this decides: `TimeoutStopUSec`, `KillSignal`, `KillMode` and `SendSIGKILL` of the
//! unit, and the stop timeout of the `user@UID.service` around a user's unit. `WatchdogUSec` does not run while
//! a unit is being stopped, and `TimeoutAbortUSec`, `RuntimeMaxUSec` and `OOMPolicy` decide why a stop begins, not how
//! long it may take (systemd's `src/core/service.c`; seen with systemd 252).

use forensics_incident::model::{ParentTiming, Timing};
use forensics_incident::signals;
use thiserror::Error;

use super::duration::Span;
use super::properties::Properties;
use super::unit::UnitPath;

/// What the service wants.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Wanted {
    /// Seconds that it takes to drain.
    pub drain: f64,
    /// Seconds for what comes after: connections to close, state to write.
    pub headroom: f64,
}

impl Wanted {
    /// All of it, seconds.
    pub fn total(self) -> f64 {
        self.drain + self.headroom
    }
}

/// What stands in the way of the drain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Obstacle {
    /// `KillSignal=SIGKILL`: there is nothing to handle, and no drain begins.
    KilledAtOnce,
    /// The unit's own stop timeout is too short.
    OwnTimeout,
    /// The stop timeout of the user manager is too short, which counts at logout and shutdown.
    ManagerTimeout,
}

/// Why the unit is never killed for taking its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spared {
    /// `SendSIGKILL=no`.
    NoSigkill,
    /// `KillMode=none`.
    KillModeNone,
    /// `KillMode=process`, and this is not the main process.
    NotMainProcess,
}

/// The answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Alignment {
    /// The record.
    pub timing: Timing,
    /// What is in the way; empty when it is aligned.
    pub obstacles: Vec<Obstacle>,
    /// Set when systemd would not kill it at all.
    pub spared: Option<Spared>,
    /// Name of the signal that ends the wait, almost always SIGKILL.
    pub final_signal: String,
    /// The unit's file has changed since the manager read it.
    pub stale: bool,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CannotTell {
    /// Scopes, sockets and the like have no main process to stop with a timeout.
    #[error("{0} is not a service")]
    NotAService(String),
    /// The manager has no file for the unit, and would answer with defaults.
    #[error("the {scope} manager has no unit {unit} (LoadState={load_state})")]
    NotLoaded {
        /// The unit asked for.
        unit: String,
        /// `system` or `user`.
        scope: &'static str,
        /// What the manager says of it.
        load_state: String,
    },
    /// The manager named no stop timeout.
    #[error("the manager says no stop timeout of {0}")]
    NoTimeout(String),
}

/// Compares what a service wants with what its manager says. `manager` is the user manager's own unit, when there
/// is one and it could be asked; `pid` the process that wants to drain, when it is known.
pub fn align(
    place: &UnitPath,
    properties: &Properties,
    manager: Option<&Properties>,
    pid: Option<u32>,
    wanted: Wanted,
) -> Result<Alignment, CannotTell> {
    let unit = &place.unit;
    if !place.is_service() {
        return Err(CannotTell::NotAService(unit.clone()));
    }
    let load_state = properties.get("LoadState").unwrap_or("unknown").to_owned();
    if !properties.is_loaded() {
        return Err(CannotTell::NotLoaded { unit: unit.clone(), scope: place.scope.name(), load_state });
    }
    let timeout = properties.timeout("TimeoutStopUSec").ok_or_else(|| CannotTell::NoTimeout(unit.clone()))?;
    let spared = spared(properties, pid);
    let too_short = |timeout: Span| timeout < Span::from_secs_round(wanted.total());

    let mut obstacles = Vec::new();
    if spared.is_none_or(|why| why == Spared::NoSigkill)
        && properties.number("KillSignal") == Some(signals::SIGKILL)
    {
        obstacles.push(Obstacle::KilledAtOnce);
    }
    if spared.is_none() && too_short(timeout) {
        obstacles.push(Obstacle::OwnTimeout);
    }
    let manager_timeout = manager
        .filter(|manager| manager.is_loaded() && self::spared(manager, None).is_none())
        .and_then(|manager| manager.timeout("TimeoutStopUSec"))
        .filter(|&outer| spared.is_some() || outer < timeout);
    // When the user manager is killed, everything below it is, whatever the unit's own settings.
    if manager_timeout.is_some_and(too_short) {
        obstacles.push(Obstacle::ManagerTimeout);
    }
    let parent = manager_timeout
        .zip(place.user_manager_unit.clone())
        .map(|(outer, unit)| ParentTiming { unit, timeout_stop_sec: outer.as_secs() });
    Ok(Alignment {
        timing: Timing {
            unit: unit.clone(),
            timeout_stop_sec: timeout.as_secs(),
            drain_timeout: wanted.drain,
            expected_min: wanted.total(),
            mismatch: !obstacles.is_empty(),
            scope: place.scope.name().to_owned(),
            load_state,
            parent,
        },
        obstacles,
        spared,
        final_signal: signals::name(properties.number("FinalKillSignal").unwrap_or(signals::SIGKILL)),
        stale: properties.is("NeedDaemonReload", "yes"),
    })
}

fn spared(properties: &Properties, pid: Option<u32>) -> Option<Spared> {
    let main = properties.number("MainPID").filter(|&main| main != 0);
    let other = pid.zip(main).is_some_and(|(pid, main)| pid != main);
    match properties.get("KillMode") {
        Some("none") => Some(Spared::KillModeNone),
        Some("process") if other => Some(Spared::NotMainProcess),
        _ => properties.is("SendSIGKILL", "no").then_some(Spared::NoSigkill),
    }
}

#[cfg(test)]
mod tests {
    use super::super::unit::{Scope, UnitPath, unit_of_cgroup};
    use super::*;

    #[derive(serde::Deserialize)]
    struct Case {
        name: String,
        cgroup: String,
        system: Option<serde_json::Map<String, serde_json::Value>>,
        user: Option<serde_json::Map<String, serde_json::Value>>,
        drain: f64,
        expect: Option<serde_json::Map<String, serde_json::Value>>,
    }

    fn properties(pairs: &[(&str, &str)]) -> Properties {
        let defaults = [("LoadState", "loaded"), ("TimeoutStopUSec", "1min 30s"), ("KillSignal", "15")];
        Properties::new(defaults.iter().chain(pairs).map(|(k, v)| ((*k).to_owned(), (*v).to_owned())))
    }

    #[test]
    fn vectors() {
        let vectors: serde_json::Value =
            serde_json::from_str(include_str!("../../../tests/vectors/alignment.json")).unwrap();
        let cases: Vec<Case> = serde_json::from_value(vectors["cases"].clone()).unwrap();
        assert!(cases.len() >= 13);
        for case in cases {
            let place = unit_of_cgroup(&case.cgroup);
            let answer = place.and_then(|place| {
                let said = match place.scope {
                    Scope::System => case.system.as_ref(),
                    Scope::User { .. } => case.user.as_ref(),
                }?;
                let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
                let said = Properties::new(said.iter().map(|(name, value)| (name.clone(), text(value))));
                align(&place, &said, None, None, Wanted { drain: case.drain, headroom: 30.0 }).ok()
            });
            let Some(expect) = case.expect else {
                assert_eq!(answer, None, "{}", case.name);
                continue;
            };
            let timing = serde_json::to_value(answer.expect(&case.name).timing).unwrap();
            for (key, value) in expect {
                assert_eq!(timing[&key], value, "{}: {key}", case.name);
            }
        }
    }

    fn judge(pairs: &[(&str, &str)], manager: Option<&Properties>, pid: Option<u32>) -> Alignment {
        let place = UnitPath::named("gw", Scope::User { uid: 7 }).unwrap();
        align(&place, &properties(pairs), manager, pid, Wanted { drain: 100.0, headroom: 30.0 }).unwrap()
    }

    #[test]
    fn settings_that_change_the_answer() {
        assert_eq!(judge(&[], None, None).obstacles, [Obstacle::OwnTimeout]);
        assert_eq!(judge(&[("SendSIGKILL", "no")], None, None).spared, Some(Spared::NoSigkill));
        assert!(!judge(&[("SendSIGKILL", "no")], None, None).timing.mismatch);
        assert!(!judge(&[("KillMode", "none")], None, None).timing.mismatch);
        let process = [("KillMode", "process"), ("MainPID", "5")];
        assert!(judge(&process, None, Some(5)).timing.mismatch);
        assert!(!judge(&process, None, Some(6)).timing.mismatch);
        let at_once = [("KillSignal", "9"), ("TimeoutStopUSec", "infinity")];
        assert_eq!(judge(&at_once, None, None).obstacles, [Obstacle::KilledAtOnce]);
        assert_eq!(judge(&[("FinalKillSignal", "3")], None, None).final_signal, "SIGQUIT");
        assert!(judge(&[("NeedDaemonReload", "yes")], None, None).stale);
        assert!(!judge(&[("TimeoutStopUSec", "0")], None, None).timing.mismatch, "0 is no limit");
    }

    #[test]
    fn the_user_manager_around_it() {
        let long = [("TimeoutStopUSec", "1h")];
        let short = properties(&[("TimeoutStopUSec", "2min")]);
        let answer = judge(&long, Some(&short), None);
        assert_eq!(answer.obstacles, [Obstacle::ManagerTimeout]);
        let parent = answer.timing.parent.unwrap();
        assert_eq!((parent.unit.as_str(), parent.timeout_stop_sec), ("user@7.service", Some(120.0)));
        let enough = properties(&[("TimeoutStopUSec", "10min")]);
        assert!(!judge(&long, Some(&enough), None).timing.mismatch);
        assert_eq!(judge(&[], Some(&enough), None).timing.parent, None, "it is not shorter");
    }
}
