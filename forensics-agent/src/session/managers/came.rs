//! A run of a unit, as it was when a target in it came.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use forensics_incident::model::{Process, UnitState};

use crate::host::systemd::unit::UnitPath;

/// Digits of an invocation id.
const ID_DIGITS: usize = 32;

/// A run of a unit. The manager's answer comes later, and may then be about another run.
#[derive(Debug, Default)]
pub(super) struct Came {
    /// `INVOCATION_ID` in the environment of a service's process.
    claimed: OnceLock<String>,
    /// Its unit, when that is a service, which has a main process.
    service: Option<UnitPath>,
    /// The process by which it was noticed, as the host and as its pid namespace counts.
    pids: Vec<u32>,
    said: OnceLock<UnitState>,
    /// The main process by the last answer, 0 while there is none: a daemon that goes into the background becomes it once its
    /// starter has ended, and a service may hand over to another one (`MAINPID=` in sd_notify(3)).
    main_pid: AtomicU32,
    /// Questions that its manager has not answered.
    questions: AtomicU32,
}

impl Came {
    pub(super) fn new(target: &Process, place: &UnitPath, invocation_id: Option<String>) -> Self {
        let service = Some(place.clone()).filter(UnitPath::is_service);
        let pids = std::iter::once(target.pid).chain(target.ns_pid).collect();
        let came = Self { service, pids, ..Self::default() };
        came.claim(invocation_id);
        came
    }

    fn claim(&self, invocation_id: Option<String>) {
        // A scope is made around processes that are there already, and that have the id of where they came from.
        let is_id = |id: &String| id.len() == ID_DIGITS && id.bytes().all(|digit| digit.is_ascii_hexdigit());
        if let Some(id) = invocation_id.filter(|id| self.service.is_some() && is_id(id)) {
            let _ = self.claimed.set(id);
        }
    }

    /// A process has executed a program, with this id in its new environment. One that its manager has forked has no id before;
    /// the first one counts.
    pub(super) fn executed(&self, pid: u32, invocation_id: Option<String>) {
        if self.pids.contains(&pid) {
            self.claim(invocation_id);
        }
    }

    /// Its unit, when the process of this number may have been the main one, or have started it, so that another one may be it
    /// once this has ended.
    pub(super) fn led_by(&self, pid: u32) -> Option<&UnitPath> {
        let led = self.pids.contains(&pid) || self.main_pid.load(Ordering::Relaxed) == pid;
        self.service.as_ref().filter(|_| led)
    }

    /// True when it is of this service.
    pub(super) fn is_of(&self, service: &UnitPath) -> bool {
        self.service.as_ref() == Some(service)
    }

    /// True when a process with this id is of another run.
    pub(super) fn is_other_than(&self, invocation_id: Option<&String>) -> bool {
        invocation_id.is_some_and(|id| self.claimed.get().is_some_and(|claimed| claimed != id))
    }

    /// The manager's answer; of all but the main process, the first one counts.
    pub(super) fn tell(&self, state: UnitState) {
        // Of a unit that starts, the last main process is that of an earlier run.
        let last = state.exec_main_pid.filter(|_| state.active_state.as_deref() != Some("activating"));
        if let Some(main) = state.main_pid.filter(|&main| main != 0).or(last) {
            self.main_pid.store(main, Ordering::Relaxed);
        }
        let _ = self.said.set(state);
    }

    /// The manager is asked.
    pub(super) fn begin_question(&self) {
        self.questions.fetch_add(1, Ordering::Relaxed);
    }

    /// The manager has answered, or never will.
    pub(super) fn end_question(&self) {
        self.questions.fetch_sub(1, Ordering::Relaxed);
    }

    /// True as long as the manager may still say that a process is the main one.
    pub(super) fn is_undecided(&self, process: &Process) -> bool {
        // What the manager itself started is the main process from the beginning, or never.
        let is_settled = self.main_pid.load(Ordering::Relaxed) != 0 || self.pids.contains(&process.pid);
        let is_known = is_settled && self.said.get().is_some();
        !is_known && self.questions.load(Ordering::Relaxed) > 0
    }

    /// Whether a process of this unit is the main one; none when the manager has not said.
    pub(super) fn is_main(&self, process: &Process) -> Option<bool> {
        let is = |main: u32| main == process.pid || process.ns_pid == Some(main);
        let main = self.main_pid.load(Ordering::Relaxed);
        // The answer is about its run when it names it. One that was the main process has been it to its end.
        if main != 0 && is(main) {
            return Some(true);
        }
        self.state().and_then(|state| state.main_pid).map(is)
    }

    /// The unit in this run, when the manager has answered in time.
    pub(super) fn state(&self) -> Option<&UnitState> {
        let is_main = |state: &UnitState| state.main_pid.is_some_and(|main| self.pids.contains(&main));
        let agrees = |state: &&UnitState| {
            let claimed = self.claimed.get();
            claimed.is_none() || state.invocation_id.as_ref() == claimed || is_main(state)
        };
        self.said.get().filter(agrees)
    }

    /// The id of this run. The manager's word counts more than what stands in an environment.
    pub(super) fn invocation_id(&self) -> Option<String> {
        self.state().and_then(|state| state.invocation_id.clone()).or_else(|| self.claimed.get().cloned())
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
    fn what_its_manager_forked_has_its_id_once_it_executes() {
        let (own, next) = ("a".repeat(32), "b".repeat(32));
        let came = came(None, 77, &next);
        assert_eq!(came.invocation_id().as_ref(), Some(&next));
        came.executed(901, Some("c".repeat(32)));
        came.executed(900, None);
        assert_eq!(came.invocation_id().as_ref(), Some(&next), "a worker's, and the executor's");
        came.executed(900, Some(own.clone()));
        came.executed(900, Some("d".repeat(32)));
        assert_eq!((came.invocation_id().as_ref(), came.state()), (Some(&own), None));
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
    fn a_daemon_in_the_background_is_the_main_process() {
        let process = |pid, ns_pid| Process { pid, ns_pid, ..Process::default() };
        let (starter, daemon, worker) =
            (process(900, Some(9)), process(901, Some(10)), process(902, Some(11)));
        let id = "a".repeat(32);
        let came = came(None, 0, &id);
        assert_eq!(came.is_main(&daemon), Some(false), "it is still starting");
        assert!(came.led_by(starter.pid).is_some() && came.led_by(daemon.pid).is_none());
        let told = |main| UnitState { main_pid: Some(main), ..UnitState::default() };
        came.tell(told(10));
        assert_eq!([&starter, &daemon, &worker].map(|one| came.is_main(one)), [false, true, false].map(Some));
        assert_eq!(
            came.state().and_then(|state| state.invocation_id.as_ref()),
            Some(&id),
            "the first answer"
        );
        came.tell(told(0));
        assert_eq!(came.is_main(&daemon), Some(true), "it has just ended");
    }

    #[test]
    fn a_daemon_that_was_asked_about_after_its_end() {
        let daemon = Process { pid: 901, ns_pid: Some(10), ..Process::default() };
        let told = |state: &str| UnitState {
            active_state: Some(state.to_owned()),
            main_pid: Some(0),
            exec_main_pid: Some(10),
            ..UnitState::default()
        };
        let came = came(None, 0, &"a".repeat(32));
        assert!(!came.is_undecided(&daemon), "nobody asks");
        came.begin_question();
        came.tell(told("activating"));
        assert!(came.is_undecided(&daemon), "a daemon of an earlier run had this pid");
        assert!(!came.is_undecided(&Process { pid: 900, ..Process::default() }), "it is the starter");
        came.tell(told("failed"));
        assert_eq!((came.is_undecided(&daemon), came.is_main(&daemon)), (false, Some(true)));
        assert!(!came.is_undecided(&Process { pid: 902, ..Process::default() }), "it is another one");
        came.end_question();
    }

    #[test]
    fn a_service_hands_over() {
        let (first, next) = ("a".repeat(32), Process { pid: 950, ..Process::default() });
        let came = came(Some(&first), 9, &first);
        let old = Process { pid: 900, ns_pid: Some(9), ..Process::default() };
        assert_eq!((came.is_main(&old), came.is_main(&next)), (Some(true), Some(false)));
        came.tell(UnitState { main_pid: Some(950), ..UnitState::default() });
        assert_eq!((came.is_main(&old), came.is_main(&next)), (Some(true), Some(true)));
        assert!(came.led_by(950).is_some(), "it may hand over in its turn");
    }

    #[test]
    fn a_scope_has_no_id_of_its_own() {
        let place = UnitPath::named("session-3.scope", Scope::System).expect("a unit");
        let came = Came::new(&Process::default(), &place, Some("a".repeat(32)));
        assert_eq!(came.invocation_id(), None);
        assert_eq!(came.led_by(0), None, "nor a main process");
    }
}
