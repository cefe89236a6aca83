//! A run of a unit, as it was when a target in it came.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use forensics_incident::model::{Process, UnitState};

use crate::host::systemd::unit::UnitPath;

/// Digits of an invocation id.
const ID_DIGITS: usize = 32;

/// A run of a unit. The manager's answer comes later, and may then be about another run.
#[derive(Debug, Default)]
pub(super) struct Came {
    /// `INVOCATION_ID` in the environment of a service's process.
    claimed: Option<String>,
    /// The process by which it was noticed, as the host and as its pid namespace counts.
    pids: Vec<u32>,
    said: OnceLock<UnitState>,
    /// The manager said that there was no main process yet.
    is_starting: AtomicBool,
    /// It will not be asked again.
    is_asked: AtomicBool,
}

impl Came {
    pub(super) fn new(target: &Process, place: &UnitPath, invocation_id: Option<String>) -> Self {
        // A scope is made around processes that are there already, and that have the id of where they came from.
        let is_id = |id: &String| id.len() == ID_DIGITS && id.bytes().all(|digit| digit.is_ascii_hexdigit());
        let claimed = invocation_id.filter(|id| place.is_service() && is_id(id));
        let pids = std::iter::once(target.pid).chain(target.ns_pid).collect();
        Self { claimed, pids, ..Self::default() }
    }

    /// True when a process with this id is of another run.
    pub(super) fn is_other_than(&self, invocation_id: Option<&String>) -> bool {
        invocation_id.is_some_and(|id| self.claimed.as_ref().is_some_and(|claimed| claimed != id))
    }

    /// The manager's answer; the first one counts.
    pub(super) fn tell(&self, state: UnitState) {
        let _ = self.said.set(state);
    }

    /// The manager's answer is that the unit has no main process yet.
    pub(super) fn tell_starting(&self) {
        self.is_starting.store(true, Ordering::Relaxed);
    }

    /// The manager has answered, or never will.
    pub(super) fn tell_no_more(&self) {
        self.is_asked.store(true, Ordering::Relaxed);
    }

    /// True as long as the manager may still say which process is the main one.
    pub(super) fn is_open(&self) -> bool {
        let is_told = self.said.get().is_some() || self.is_starting.load(Ordering::Relaxed);
        !is_told && !self.is_asked.load(Ordering::Relaxed)
    }

    /// The main process, as the manager counts: 0 while there is none, none when the manager has not said.
    pub(super) fn main_pid(&self) -> Option<u32> {
        let none_yet = self.is_starting.load(Ordering::Relaxed).then_some(0);
        self.state().and_then(|state| state.main_pid).or(none_yet)
    }

    /// The unit in this run, when the manager has answered in time.
    pub(super) fn state(&self) -> Option<&UnitState> {
        let is_main = |state: &UnitState| state.main_pid.is_some_and(|main| self.pids.contains(&main));
        let agrees = |state: &&UnitState| {
            self.claimed.is_none() || state.invocation_id == self.claimed || is_main(state)
        };
        self.said.get().filter(agrees)
    }

    /// The id of this run. The manager's word counts more than what stands in an environment.
    pub(super) fn invocation_id(&self) -> Option<String> {
        self.state().and_then(|state| state.invocation_id.clone()).or_else(|| self.claimed.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::systemd::unit::Scope;

    fn came(claimed: Option<&str>, main_pid: u32, told: &str) -> Came {
        let target = Process { pid: 900, ns_pid: Some(9), ..Process::default() };
        let place = UnitPath::named("gw", Scope::System).expect("a unit");
        let came = Came::new(&target, &place, claimed.map(str::to_owned));
        let invocation_id = Some(told.to_owned());
        came.tell(UnitState { main_pid: Some(main_pid), invocation_id, ..UnitState::default() });
        came
    }

    #[test]
    fn an_answer_about_the_next_run_is_none() {
        let (own, next) = ("a".repeat(32), "b".repeat(32));
        for (claimed, main_pid, told, state, id) in [
            (Some(own.as_str()), 0, &own, true, Some(&own)),
            (Some(&own), 77, &next, false, Some(&own)),
            // It claims what it likes.
            (Some(&own), 9, &next, true, Some(&next)),
            (Some("junk"), 77, &next, true, Some(&next)),
            (None, 77, &next, true, Some(&next)),
        ] {
            let came = came(claimed, main_pid, told);
            assert_eq!(came.state().is_some(), state, "{claimed:?} {main_pid} {told}");
            assert_eq!(came.invocation_id().as_ref(), id, "{claimed:?} {main_pid} {told}");
        }
    }

    #[test]
    fn one_of_an_earlier_run_is_told_from_those_of_the_present_one() {
        let (own, next) = ("a".repeat(32), "b".repeat(32));
        let present = came(Some(&next), 9, &next);
        assert!(present.is_other_than(Some(&own)));
        assert!(!present.is_other_than(Some(&next)) && !present.is_other_than(None));
        assert!(!came(None, 9, &next).is_other_than(Some(&own)), "nothing is known of it");
    }

    #[test]
    fn a_scope_has_no_id_of_its_own() {
        let place = UnitPath::named("session-3.scope", Scope::System).expect("a unit");
        let came = Came::new(&Process::default(), &place, Some("a".repeat(32)));
        assert_eq!(came.invocation_id(), None);
    }
}
