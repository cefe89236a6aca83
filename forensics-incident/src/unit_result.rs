//! What a manager made of an end: whether its word is there, and what it comes to.

use crate::model::{Facts, ManagerFacts, ManagerMessage, UnitResult, UnitState};

/// Kinds of messages of a manager (`systemd/sd-messages.h`).
pub(crate) mod message_ids {
    /// A job has started a unit.
    pub(crate) const STARTED: &str = "39f53479d3a045ac8e11786248231fbf";
    /// A job begins to stop a unit.
    pub(crate) const STOPPING: &str = "de5b426a63be47a7b6ac3eaac82e2f6f";
    /// A unit has ended well.
    pub(crate) const SUCCESS: &str = "7ad2d189f7e94e70a38c781354912448";
    /// A unit has failed, `UNIT_RESULT` says how.
    pub(crate) const FAILURE: &str = "d9b373ed55a64feb8242e02dbe79a49c";
}

/// Messages this long before the recorded end are still about it, seconds: journald stamps them when it gets them, the
/// kernel when the process ends, and clocks are stepped.
const BEFORE_S: f64 = 0.5;

/// True when the manager has nothing more to say: the unit is down with no job left, runs again, or runs on.
pub fn is_settled(facts: &Facts) -> bool {
    let Some(manager) = &facts.manager else { return false };
    let Some(after) = &manager.after else { return false };
    if runs_again(facts, manager) {
        // The journal is read after the properties, which may be those from before the new start.
        return after.invocation_id.is_none() || after.invocation_id != manager.invocation_id;
    }
    match after.active_state.as_deref() {
        Some("inactive" | "failed") => after.job.is_none(),
        // As long as it takes the target for its main process, it has not seen the end.
        Some("active" | "reloading") => !is_main(facts, after),
        _ => false,
    }
}

/// What the manager made of the end; none before it has settled, or when the unit runs on without the target.
pub fn of(facts: &Facts) -> Option<UnitResult> {
    let manager = facts.manager.as_ref()?;
    let after = manager.after.as_ref()?;
    let restarted = runs_again(facts, manager);
    let down = down(facts, manager);
    let is_down = matches!(after.active_state.as_deref(), Some("inactive" | "failed"));
    if !restarted && !is_down {
        return None;
    }
    let said = down.and_then(|message| match message.message_id.as_deref() {
        Some(message_ids::SUCCESS) => Some("success".to_owned()),
        _ => message.unit_result.clone(),
    });
    // In another run the property is that of the other run.
    let result = said.or_else(|| after.result.clone().filter(|_| !restarted))?;
    let why_not = (!restarted).then(|| why_not(facts, manager, after, &result));
    Some(UnitResult {
        result,
        n_restarts: after.n_restarts,
        restarted,
        why_not,
        inactive_after_s: down.map(|message| (message.ts - facts.outcome.ts).max(0.0)),
        residual: Vec::new(),
    })
}

fn is_main(facts: &Facts, state: &UnitState) -> bool {
    let target = &facts.target;
    let pids = [Some(target.pid), target.ns_pid];
    state.main_pid.is_some_and(|main| main != 0 && pids.contains(&Some(main)))
}

/// True when the unit has been started after the end.
fn runs_again(facts: &Facts, manager: &ManagerFacts) -> bool {
    let Some(run) = manager.invocation_id.as_deref() else { return false };
    let is_other = |id: &Option<String>| id.as_deref().is_some_and(|id| id != run);
    let now = manager.after.as_ref().is_some_and(|after| {
        is_other(&after.invocation_id)
            && matches!(after.active_state.as_deref(), Some("active" | "reloading"))
    });
    let was = |message: &ManagerMessage| {
        is(message, message_ids::STARTED) && is_about(manager, message) && is_other(&message.invocation_id)
    };
    now || manager.messages.iter().any(|message| was(message) && message.ts >= facts.outcome.ts - BEFORE_S)
}

/// The message that the unit of that run is down.
fn down<'a>(facts: &Facts, manager: &'a ManagerFacts) -> Option<&'a ManagerMessage> {
    own(manager).find(|message| {
        (is(message, message_ids::SUCCESS) || is(message, message_ids::FAILURE))
            && message.ts >= facts.outcome.ts - BEFORE_S
    })
}

/// What was said about the unit in that run, or where it is not known in which one.
fn own(manager: &ManagerFacts) -> impl Iterator<Item = &ManagerMessage> {
    manager
        .messages
        .iter()
        .filter(|message| is_about(manager, message) && is_of_run(manager, message) != Some(false))
}

/// Whether a message is about that run of the unit; none where it is not known in which one.
fn is_of_run(manager: &ManagerFacts, message: &ManagerMessage) -> Option<bool> {
    Some(message.invocation_id.as_deref()? == manager.invocation_id.as_deref()?)
}

pub(crate) fn is(message: &ManagerMessage, id: &str) -> bool {
    message.message_id.as_deref() == Some(id)
}

fn is_about(manager: &ManagerFacts, message: &ManagerMessage) -> bool {
    message.unit.as_deref() == Some(manager.unit.as_str())
}

/// Why the manager did not start the unit again (`service_shall_restart()` in systemd's `src/core/service.c`).
fn why_not(facts: &Facts, manager: &ManagerFacts, after: &UnitState, result: &str) -> String {
    let restart = after.restart.as_deref().unwrap_or("no");
    let wants = match restart {
        "always" => true,
        "on-success" => result == "success",
        "on-failure" => result != "success",
        "on-abnormal" => !matches!(result, "success" | "exit-code"),
        "on-abort" => matches!(result, "signal" | "core-dump"),
        "on-watchdog" => result == "watchdog",
        _ => false,
    };
    // What stopped another run was said before the target started, or after it had ended.
    let started = facts.outcome.lived_s.map(|lived| facts.outcome.ts - lived);
    let is_of_life = |message: &ManagerMessage| {
        started.is_some_and(|started| message.ts > started) && message.ts <= facts.outcome.ts + BEFORE_S
    };
    let was_stopped = own(manager).any(|message| {
        let is_own = is_of_run(manager, message) == Some(true) || is_of_life(message);
        message.job_type.as_deref() == Some("stop") && is_own
    });
    let too_often = own(manager).any(|message| {
        message.text.ends_with("Start request repeated too quickly.")
            && message.ts >= facts.outcome.ts - BEFORE_S
    });
    if too_often {
        "it was started too often in too short a time (StartLimitBurst=, StartLimitIntervalSec=)".to_owned()
    } else if was_stopped {
        "a job stopped it, and what a job stops is not started again by itself".to_owned()
    } else if !wants && restart == "no" {
        "its unit has Restart=no".to_owned()
    } else if !wants {
        format!("its unit has Restart={restart}, which is not for the result {result}")
    } else {
        format!(
            "its unit has Restart={restart}, and the manager does not say why it did not (RestartPreventExitStatus=, perhaps)"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{BOOT, exited, nginx};

    fn message(id: &str, at: f64, invocation: &str) -> ManagerMessage {
        ManagerMessage {
            ts: BOOT + at,
            message_id: Some(id.to_owned()),
            unit: Some("nginx.service".to_owned()),
            invocation_id: Some(invocation.to_owned()),
            unit_result: (id == message_ids::FAILURE).then(|| "exit-code".to_owned()),
            ..ManagerMessage::default()
        }
    }

    fn state(active: &str, invocation: &str) -> UnitState {
        UnitState {
            active_state: Some(active.to_owned()),
            invocation_id: Some(invocation.to_owned()),
            result: Some("success".to_owned()),
            n_restarts: Some(1),
            ..UnitState::default()
        }
    }

    /// An exit with status 1 in the run `a`, in the hundredth second.
    fn end(after: UnitState, messages: Vec<ManagerMessage>) -> Facts {
        let manager = ManagerFacts {
            unit: "nginx.service".to_owned(),
            scope: "system".to_owned(),
            invocation_id: Some("a".to_owned()),
            before: Some(state("active", "a")),
            after: Some(after),
            messages,
            shutdown: None,
            linger: None,
            parent: None,
        };
        Facts { manager: Some(manager), ..exited(nginx(), 100.0, 1, None, Vec::new()) }
    }

    #[test]
    fn started_again() {
        let messages =
            vec![message(message_ids::FAILURE, 100.01, "a"), message(message_ids::STARTED, 100.2, "b")];
        for after in [state("active", "b"), state("activating", "c"), state("failed", "c")] {
            let facts = end(after, messages.clone());
            assert!(is_settled(&facts));
            let said = of(&facts).unwrap();
            assert_eq!((said.result.as_str(), said.restarted, said.why_not), ("exit-code", true, None));
            assert!((said.inactive_after_s.unwrap() - 0.01).abs() < 1e-6);
        }
    }

    #[test]
    fn an_earlier_start_is_none() {
        let facts = end(state("activating", "a"), vec![message(message_ids::STARTED, 50.0, "b")]);
        assert!(!is_settled(&facts));
        assert_eq!(of(&facts), None);
    }

    #[test]
    fn why_it_was_not() {
        let failed = |restart: &str| UnitState { restart: Some(restart.to_owned()), ..state("failed", "a") };
        let down = || message(message_ids::FAILURE, 100.01, "a");
        let often = ManagerMessage {
            text: "nginx.service: Start request repeated too quickly.".to_owned(),
            ..message("", 100.1, "a")
        };
        let job = ManagerMessage { job_type: Some("stop".to_owned()), ..message("", 99.0, "a") };
        for (after, messages, words) in [
            (failed("no"), vec![down()], "has Restart=no"),
            (
                failed("on-abnormal"),
                vec![down()],
                "has Restart=on-abnormal, which is not for the result exit-code",
            ),
            (failed("always"), vec![down(), often], "too often"),
            (failed("always"), vec![job, down()], "a job stopped it"),
            (failed("on-failure"), vec![down()], "RestartPreventExitStatus=, perhaps"),
        ] {
            let facts = end(after, messages);
            assert!(is_settled(&facts));
            let said = of(&facts).unwrap();
            assert!(!said.restarted);
            assert!(said.why_not.as_ref().is_some_and(|why| why.contains(words)), "{said:?}");
        }
    }

    #[test]
    fn what_befell_another_run_is_no_reason() {
        let stop = |at: f64, run: Option<&str>| ManagerMessage {
            job_type: Some("stop".to_owned()),
            invocation_id: run.map(str::to_owned),
            ..message("", at, "")
        };
        let often = |at: f64, run: &str| ManagerMessage {
            text: "nginx.service: Start request repeated too quickly.".to_owned(),
            ..message("", at, run)
        };
        // The target lived from the fortieth second on.
        for (run, said, words) in [
            (Some("a"), stop(30.0, Some("z")), "has Restart=no"),
            (Some("a"), stop(99.0, Some("z")), "has Restart=no"),
            (Some("a"), stop(30.0, None), "has Restart=no"),
            (None, stop(30.0, Some("z")), "has Restart=no"),
            (None, stop(99.0, Some("z")), "a job stopped it"),
            (Some("a"), stop(99.0, None), "a job stopped it"),
            (Some("a"), stop(30.0, Some("a")), "a job stopped it"),
            (None, stop(101.0, Some("z")), "has Restart=no"),
            (Some("a"), often(30.0, "z"), "has Restart=no"),
            (Some("a"), often(30.0, "a"), "has Restart=no"),
            (Some("a"), often(100.1, "z"), "has Restart=no"),
            (None, often(30.0, "z"), "has Restart=no"),
            (None, often(100.1, "z"), "too often"),
        ] {
            let after = UnitState { restart: Some("no".to_owned()), ..state("failed", "a") };
            let mut facts = end(after, vec![said.clone(), message(message_ids::FAILURE, 100.01, "a")]);
            facts.outcome.lived_s = Some(60.0);
            facts.manager.as_mut().unwrap().invocation_id = run.map(str::to_owned);
            let why = of(&facts).unwrap().why_not.unwrap();
            assert!(why.contains(words), "{run:?} {said:?}: {why}");
        }
        let unknown = end(state("failed", "a"), vec![stop(99.0, None)]);
        let why = of(&unknown).unwrap().why_not.unwrap();
        assert!(why.contains("Restart=no"), "when it started is not known: {why}");
    }

    #[test]
    fn properties_from_before_the_new_start() {
        let started = message(message_ids::STARTED, 100.5, "b");
        let mut before = state("activating", "a");
        assert!(!is_settled(&end(before.clone(), vec![started.clone()])));
        before.invocation_id = Some("c".to_owned());
        assert!(is_settled(&end(before, vec![started])), "yet another run");
    }

    #[test]
    fn what_is_not_settled() {
        let with = |change: &dyn Fn(&mut UnitState)| {
            let mut after = state("active", "a");
            change(&mut after);
            end(after, Vec::new())
        };
        assert!(!is_settled(&with(&|after| after.main_pid = Some(812))), "its end is not seen yet");
        assert!(!is_settled(&with(&|after| after.active_state = Some("deactivating".to_owned()))));
        assert!(!is_settled(&with(&|after| {
            after.active_state = Some("failed".to_owned());
            after.job = Some(5);
        })));
        let worker = with(&|after| after.main_pid = Some(800));
        assert!(is_settled(&worker), "the unit runs on");
        assert_eq!(of(&worker), None);
    }
}
