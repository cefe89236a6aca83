//! What a unit is and has been through, as its manager tells it.

use forensics_incident::model::{Timeout, UnitState};

use super::manager::{self, ManagerError};
use super::properties::Properties;
use super::unit::UnitPath;

/// Names of the properties asked for.
const NAMES: [&str; 28] = [
    "LoadState",
    "ActiveState",
    "SubState",
    "Result",
    "InvocationID",
    "MainPID",
    "ExecMainPID",
    "ExecMainCode",
    "ExecMainStatus",
    "NRestarts",
    "Job",
    "TimeoutStopUSec",
    "TimeoutAbortUSec",
    "WatchdogUSec",
    "RuntimeMaxUSec",
    "Restart",
    "RestartUSec",
    "OOMPolicy",
    "KillMode",
    "SendSIGKILL",
    "RefuseManualStop",
    "StopWhenUnneeded",
    "PartOf",
    "BindsTo",
    "Requires",
    "Conflicts",
    "ConflictedBy",
    "TriggeredBy",
];
/// Names of a list that are kept.
const MAX_LIST: usize = 32;

/// Asks for the state of a unit; takes 2 s at most.
///
/// # Errors
/// The manager does not answer.
pub async fn state(place: &UnitPath) -> Result<UnitState, ManagerError> {
    manager::properties_of(place.scope, &place.unit, &NAMES, manager::PATIENCE).await.map(|said| of(&said))
}

fn of(said: &Properties) -> UnitState {
    let text = |name| said.get(name).map(str::to_owned);
    let flag = |name| match said.get(name)? {
        "yes" => Some(true),
        "no" => Some(false),
        _ => None,
    };
    let list = |name| {
        let names = said.get(name).into_iter().flat_map(str::split_whitespace);
        names.take(MAX_LIST).map(str::to_owned).collect()
    };
    let timeout =
        |name| said.timeout(name).map(|span| span.as_secs().map_or(Timeout::INFINITY, Timeout::Seconds));
    // Of a pause, 0 is none.
    let pause = |name| said.span(name).map(|span| span.as_secs().map_or(Timeout::INFINITY, Timeout::Seconds));
    UnitState {
        load_state: text("LoadState"),
        active_state: text("ActiveState"),
        sub_state: text("SubState"),
        result: text("Result"),
        invocation_id: text("InvocationID").filter(|id| id.bytes().any(|digit| digit != b'0')),
        main_pid: said.number("MainPID"),
        exec_main_pid: said.number("ExecMainPID").filter(|&pid| pid != 0),
        exec_main_code: said.number("ExecMainCode"),
        exec_main_status: said.number("ExecMainStatus"),
        n_restarts: said.number("NRestarts"),
        job: said.number("Job").filter(|&job| job != 0),
        timeout_stop: timeout("TimeoutStopUSec"),
        timeout_abort: timeout("TimeoutAbortUSec"),
        watchdog: timeout("WatchdogUSec"),
        runtime_max: timeout("RuntimeMaxUSec"),
        restart: text("Restart"),
        restart_delay: pause("RestartUSec"),
        oom_policy: text("OOMPolicy"),
        kill_mode: text("KillMode"),
        send_sigkill: flag("SendSIGKILL"),
        refuse_manual_stop: flag("RefuseManualStop"),
        stop_when_unneeded: flag("StopWhenUnneeded"),
        part_of: list("PartOf"),
        binds_to: list("BindsTo"),
        requires: list("Requires"),
        conflicts: list("Conflicts"),
        conflicted_by: list("ConflictedBy"),
        triggered_by: list("TriggeredBy"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `systemctl show` of systemd 252 writes it.
    const SHOWN: &str = "RestartUSec=100ms\nRuntimeMaxUSec=infinity\nWatchdogUSec=0\nResult=timeout\nNRestarts=0\n\
        OOMPolicy=stop\nExecMainCode=2\nExecMainPID=812\nExecMainStatus=9\nSendSIGKILL=yes\nRequires=system.slice sysinit.target\n\
        PartOf=\nActiveState=failed\nSubState=failed\nJob=\nTimeoutStopUSec=1s\nRefuseManualStop=no\n\
        InvocationID=4ded4a5032b24e45a8bff10ab287955d\nMainPID=0\nEnvironment=SECRET=1";

    #[test]
    fn what_is_told_and_what_is_not() {
        let state = of(&Properties::of_show(&NAMES, SHOWN));
        let expected = UnitState {
            active_state: Some("failed".to_owned()),
            sub_state: Some("failed".to_owned()),
            result: Some("timeout".to_owned()),
            invocation_id: Some("4ded4a5032b24e45a8bff10ab287955d".to_owned()),
            main_pid: Some(0),
            exec_main_pid: Some(812),
            exec_main_code: Some(2),
            exec_main_status: Some(9),
            n_restarts: Some(0),
            timeout_stop: Some(Timeout::Seconds(1.0)),
            watchdog: Some(Timeout::INFINITY),
            runtime_max: Some(Timeout::INFINITY),
            restart_delay: Some(Timeout::Seconds(0.1)),
            oom_policy: Some("stop".to_owned()),
            send_sigkill: Some(true),
            refuse_manual_stop: Some(false),
            requires: vec!["system.slice".to_owned(), "sysinit.target".to_owned()],
            ..UnitState::default()
        };
        assert_eq!(state, expected);
    }

    #[test]
    fn no_run_has_no_id() {
        let zero = format!("InvocationID={}\nJob=0\nRestartUSec=0", "0".repeat(32));
        let state = of(&Properties::of_show(&NAMES, &zero));
        assert_eq!((state.invocation_id, state.job), (None, None));
        assert_eq!(state.restart_delay, Some(Timeout::Seconds(0.0)));
    }
}
