use std::fmt;

use serde::{Deserialize, Serialize};

/// What the systemd manager of the target's unit says of it: nothing here was seen by the kernel.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ManagerFacts {
    /// Name of the unit, as `gateway.service`.
    pub unit: String,
    /// `system` or `user`.
    pub scope: String,
    /// The run of the unit in which the target was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invocation_id: Option<String>,
    /// The unit as it was when the target came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<UnitState>,
    /// The unit as it was after the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<UnitState>,
    /// What the manager, logind and systemd-oomd logged around the end, about this unit and others, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub messages: Vec<ManagerMessage>,
    /// The target of a shutdown for which the manager has a job, as `poweroff.target`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shutdown: Option<String>,
    /// Whether the user of the unit may linger: run units without a session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub linger: Option<bool>,
    /// The unit in which a user manager runs, when the unit is a user's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<ParentUnit>,
}

/// The unit of a user manager: when it stops, so does everything below it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ParentUnit {
    /// Name of the unit, as `user@1000.service`.
    pub unit: String,
    /// How long it gets to stop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_stop: Option<Timeout>,
}

/// Properties of a unit, as the manager gives them (`org.freedesktop.systemd1(5)`); absent where it does not say.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct UnitState {
    /// `LoadState`: `loaded` when the manager has its file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub load_state: Option<String>,
    /// `ActiveState`: `active`, `deactivating`, `failed` and so on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active_state: Option<String>,
    /// `SubState`: `running`, `stop-sigterm`, `auto-restart` and so on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sub_state: Option<String>,
    /// `Result`: `success`, `exit-code`, `signal`, `timeout`, `watchdog`, `oom-kill` and so on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<String>,
    /// `InvocationID`: one run of the unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub invocation_id: Option<String>,
    /// `MainPID` as the manager counts; 0 for none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub main_pid: Option<u32>,
    /// `ExecMainPID`: the last main process, whether it has ended or not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exec_main_pid: Option<u32>,
    /// `ExecMainCode`, a `CLD_*` of `waitid(2)`: 1 exited, 2 killed, 3 dumped core; 0 for not ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exec_main_code: Option<u32>,
    /// `ExecMainStatus`: the exit status or the signal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exec_main_status: Option<u32>,
    /// `NRestarts`: automatic restarts since it was last started by a job.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub n_restarts: Option<u32>,
    /// `Job`: number of the job that is queued or running for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job: Option<u32>,
    /// `TimeoutStopUSec`: how long it may take to stop.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_stop: Option<Timeout>,
    /// `TimeoutAbortUSec`: the same after the watchdog's signal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_abort: Option<Timeout>,
    /// `WatchdogUSec`; infinite when there is no watchdog.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub watchdog: Option<Timeout>,
    /// `RuntimeMaxUSec`: how long it may run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runtime_max: Option<Timeout>,
    /// `Restart`: `no`, `always`, `on-failure` and so on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restart: Option<String>,
    /// `RestartUSec`: the pause before an automatic restart.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restart_delay: Option<Timeout>,
    /// `OOMPolicy`: `continue`, `stop` or `kill`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oom_policy: Option<String>,
    /// `KillMode`: `control-group`, `mixed`, `process` or `none`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kill_mode: Option<String>,
    /// `SendSIGKILL`: false when nothing is killed at the end of a stop.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub send_sigkill: Option<bool>,
    /// `RefuseManualStop`: only other units can stop it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refuse_manual_stop: Option<bool>,
    /// `StopWhenUnneeded`: it stops when no other unit needs it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_when_unneeded: Option<bool>,
    /// `PartOf`: it is stopped and restarted with these.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub part_of: Vec<String>,
    /// `BindsTo`: it is stopped when one of these ends for any reason.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub binds_to: Vec<String>,
    /// `Requires`: it is stopped when one of these is stopped.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub requires: Vec<String>,
    /// `Conflicts`: starting it stops these, and the other way round.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conflicts: Vec<String>,
    /// `ConflictedBy`: units that name it in their `Conflicts`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conflicted_by: Vec<String>,
    /// `TriggeredBy`: timers, sockets and paths that start it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub triggered_by: Vec<String>,
}

/// A time that may have no end.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Timeout {
    /// Seconds.
    Seconds(f64),
    /// `"infinity"`.
    Never(Infinity),
}

/// The word for a time without an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Infinity {
    /// `infinity`
    Infinity,
}

impl Timeout {
    /// A time without an end.
    pub const INFINITY: Self = Self::Never(Infinity::Infinity);

    /// Seconds; none without an end.
    pub fn seconds(self) -> Option<f64> {
        match self {
            Self::Seconds(seconds) => Some(seconds),
            Self::Never(_) => None,
        }
    }
}

/// As people write it: `2 s`, `infinity`.
impl fmt::Display for Timeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Seconds(seconds) => f.write_str(&crate::text::span(*seconds)),
            Self::Never(_) => f.write_str("infinity"),
        }
    }
}

/// A message of a manager, or of logind or systemd-oomd. Only such whose sender the journal vouches for are here.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ManagerMessage {
    /// Unix time at which it was sent, or received where that is not known, seconds.
    pub ts: f64,
    /// Who wrote it: `systemd`, `systemd-logind`, `systemd-oomd`.
    pub identifier: String,
    /// What it says.
    pub text: String,
    /// `MESSAGE_ID`: which kind of message it is (`systemd/sd-messages.h`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
    /// The unit that it is about (`UNIT`, `USER_UNIT`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// The run of the unit that it is about (`INVOCATION_ID`, `USER_INVOCATION_ID`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub invocation_id: Option<String>,
    /// `JOB_ID`: the jobs of one request have numbers that follow one another, that of the request first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job_id: Option<u32>,
    /// `JOB_TYPE`: `start`, `stop`, `restart` and so on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job_type: Option<String>,
    /// `JOB_RESULT`: `done`, `failed`, `canceled`, `timeout` and so on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job_result: Option<String>,
    /// `UNIT_RESULT`, when a unit failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit_result: Option<String>,
}
