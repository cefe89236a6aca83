//! One end, and the looks at its unit and at the journal that explain it.

use std::sync::Arc;
use std::time::Duration;

use forensics_incident::model::{Facts, ManagerFacts, ParentUnit, Timeout, UnitState};
use forensics_incident::signals::SIGKILL;
use forensics_incident::stop;
use forensics_incident::unit_result;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout_at};

use super::{
    came::Came,
    need::is_of_manager,
    said::{Said, missing},
};
use crate::host::{
    cgroup, clock,
    journal::{self, Ended, JournalError},
    systemd::{
        linger,
        state::state,
        unit::{Scope, UnitPath, cgroup_of_unit},
    },
};

/// How long an incident waits.
const PATIENCE: Duration = Duration::from_secs(2);
/// Pauses before the looks of an incident that waits, milliseconds: what explains it is mostly in the journal at once.
const PAUSES_MS: [u64; 7] = [15, 40, 80, 160, 320, 500, 800];
/// A manager that has logged its reason has this long to log the end as well.
const PATIENCE_FOR_END: Duration = Duration::from_millis(700);
/// A unit on which this one hangs has this long to be logged after it.
const PATIENCE_FOR_CUE: Duration = Duration::from_millis(300);
/// The first pause before it is looked what the manager made of the end; each is twice the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// How long that may take, besides the pause before a restart.
const SETTLE_FOR: Duration = Duration::from_secs(120);
/// A journal that did not answer in time may still have what explains an end: so long it is asked again.
const ASK_AGAIN_FOR: Duration = Duration::from_secs(30);
/// The word of a manager that did not give it in time is told as soon as it is there, so long after the incident, even though
/// the unit has not settled, as one never does whose manager is gone.
const OWED_AFTER: Duration = Duration::from_secs(5);
/// The longest pause before a restart that is waited for.
const MAX_RESTART_DELAY_S: f64 = 600.0;
/// A unit that another one takes down may wait this long for its turn after the request, seconds.
const LEAD_S: f64 = 120.0;
/// Targets that end everything (systemd.special(7)).
const SHUTDOWNS: [&str; 5] =
    ["poweroff.target", "reboot.target", "halt.target", "kexec.target", "soft-reboot.target"];
/// Messages of the same moment, seconds.
const MOMENT_S: f64 = 1.0;

/// What there is to be known of one end.
pub(super) struct Question {
    facts: Facts,
    place: UnitPath,
    came: Arc<Came>,
    ended: Ended,
    /// When the manager began to act, or the end, Unix seconds.
    begun: f64,
    /// When it last had a reason to speak: when it began to act, or lost its patience.
    acted: f64,
    looks: Arc<Semaphore>,
}

impl Question {
    pub(super) fn new(facts: &Facts, place: UnitPath, came: Arc<Came>, looks: Arc<Semaphore>) -> Self {
        let target = &facts.target;
        let stopped = stop::of_manager(facts);
        let begun = stopped.map_or(facts.outcome.ts, |(first, _)| first.ts);
        let lost_patience = stopped.map(|(_, last)| last).filter(|last| last.signal_num == SIGKILL);
        let acted = lost_patience.map_or(begun, |signal| signal.ts);
        let ended = Ended {
            start_ts: target.start_boot_ns as f64 / 1e9 + clock::unix_minus_boot_s(),
            end_ts: facts.outcome.ts,
            invocation_id: None,
            pids: std::iter::once(target.pid).chain(target.ns_pid).collect(),
        };
        Self { facts: facts.clone(), place, came, ended, begun, acted, looks }
    }

    /// Looks until the manager has told its reason and the end, for [`PATIENCE`] at most.
    pub(super) async fn spoken(mut self) -> Said {
        let started = Instant::now();
        let mut said = Said { is_late: true, ..Said::default() };
        for pause in PAUSES_MS {
            sleep(Duration::from_millis(pause)).await;
            if timeout_at(started + PATIENCE, self.look(&mut said)).await.is_err() {
                break;
            }
            if self.is_enough(&said, started.elapsed()) {
                said.is_late = false;
                break;
            }
        }
        if timeout_at(started + PATIENCE, self.last_words(&mut said)).await.is_err() {
            said.is_late = true;
            said.missing.push(missing("unit_log", "the journal did not answer in time"));
        }
        if said.manager.is_none() {
            said.missing.push(missing("manager", "it did not answer in time"));
        } else if said.is_late {
            said.missing.push(missing("manager.messages", "not all that it logged was there in time"));
        }
        said
    }

    /// True when the manager must speak, and has not.
    fn is_owed(&self) -> bool {
        self.facts.manager.is_none() && self.facts.signals.iter().any(is_of_manager)
    }

    /// Looks, ever more rarely, until the manager has made up its mind. None when it does not in any reasonable time, or is no
    /// news; that something is owed that was logged makes it some.
    pub(super) async fn settled(mut self, is_owed_words: bool) -> Option<Said> {
        let started = Instant::now();
        let is_owed = is_owed_words || self.is_owed();
        let delay = self.came.state().and_then(|state| state.restart_delay).and_then(Timeout::seconds);
        let delay = Duration::from_secs_f64(delay.unwrap_or_default().clamp(0.0, MAX_RESTART_DELAY_S));
        let deadline = started + SETTLE_FOR + delay;
        let mut pause = FIRST_PAUSE;
        let mut said = Said::default();
        while Instant::now() < deadline {
            sleep(pause).await;
            pause *= 2;
            let is_overdue = self.look(&mut said).await;
            let elapsed = started.elapsed();
            let is_enough = self.is_enough(&said, elapsed);
            let is_late = is_overdue || (is_owed_words && !is_enough);
            let has_settled = unit_result::is_settled(&self.facts) && (!is_late || elapsed >= ASK_AGAIN_FOR);
            let has_spoken = is_owed && elapsed >= OWED_AFTER && is_enough;
            if has_settled || has_spoken {
                // All that is known was told.
                if is_owed_words && !is_enough && self.facts.unit_result.is_some() {
                    return None;
                }
                said.is_late = false;
                self.last_words(&mut said).await;
                if said.is_late && elapsed < ASK_AGAIN_FOR {
                    continue;
                }
                said.residual = match unit_result::of(&self.facts) {
                    Some(result) if !result.restarted => {
                        cgroup::processes(cgroup_of_unit(self.facts.target.cgroup.as_deref()?)?)
                    }
                    // A unit that runs on without the target is no news.
                    None if !is_owed => return None,
                    Some(_) | None => Vec::new(),
                };
                return Some(said);
            }
        }
        None
    }

    /// One look at the manager and at the journal. True when the journal did not answer in time.
    async fn look(&mut self, said: &mut Said) -> bool {
        // It is never closed.
        let _turn = self.looks.acquire().await;
        let since = self.begun - LEAD_S;
        let (after, parent, shutdown) =
            tokio::join!(state(&self.place), parent(&self.place), shutdown(&self.facts));
        // On which units this one hangs changes little; a manager that is busy tells it late.
        let hangs_on = self.came.state().or(after.as_ref().ok());
        let messages = journal::messages(&self.place, since..self.begun, hangs_on).await;
        let is_late = matches!(messages, Err(JournalError::Overdue(_)));
        said.missing.clear();
        let messages = messages.unwrap_or_else(|error| {
            said.missing.push(missing("manager.messages", &error.to_string()));
            Vec::new()
        });
        let after =
            after.inspect_err(|error| said.missing.push(missing("manager.after", &error.to_string())));
        let manager = ManagerFacts {
            unit: self.place.unit.clone(),
            scope: self.place.scope.name().to_owned(),
            invocation_id: self.came.invocation_id(),
            before: self.came.state().cloned(),
            after: after.ok(),
            messages,
            shutdown,
            linger: linger::of(&self.place),
            parent,
        };
        self.facts.manager = Some(manager.clone());
        said.manager = Some(manager);
        is_late
    }

    async fn last_words(&self, said: &mut Said) {
        let _turn = self.looks.acquire().await;
        let ended = Ended { invocation_id: self.came.invocation_id(), ..self.ended.clone() };
        let lines = journal::last_lines(&self.place, &ended).await;
        said.is_late |= matches!(lines, Err(JournalError::Overdue(_)));
        match lines {
            Ok(lines) => said.log = lines,
            Err(error) => said.missing.push(missing("unit_log", &error.to_string())),
        }
    }

    /// True when what the manager has said can be all: its reason, and the end of the main process or of the unit.
    fn is_enough(&self, said: &Said, elapsed: Duration) -> bool {
        let Some(manager) = &said.manager else { return false };
        let own = manager.messages.iter().filter(|message| message.unit.as_ref() == Some(&manager.unit));
        let since_end = self.facts.outcome.ts - MOMENT_S / 2.0;
        let told_reason = || own.clone().any(|message| message.ts >= self.acted - MOMENT_S);
        let told_end = own.clone().any(|message| message.ts >= since_end && is_of_end(&message.text));
        let cannot =
            manager.messages.is_empty() && said.missing.iter().any(|one| one.field == "manager.messages");
        // What pulled it down may be logged only after it.
        let may_come = manager.after.as_ref().is_some_and(hangs_on_services) && elapsed < PATIENCE_FOR_CUE;
        // Nothing more is to come of a unit that runs on, or is down.
        let is_over = !self.facts.signals.iter().any(is_of_manager) && unit_result::is_settled(&self.facts);
        cannot || is_over || (told_end && !may_come) || (told_reason() && elapsed >= PATIENCE_FOR_END)
    }
}

/// True when the unit can be pulled down by another one that is no slice and no target of every unit.
fn hangs_on_services(state: &UnitState) -> bool {
    let UnitState { part_of, binds_to, requires, .. } = state;
    let common = |name: &&String| {
        name.ends_with(".slice") || matches!(name.as_str(), "sysinit.target" | "basic.target")
    };
    [part_of, binds_to, requires].into_iter().flatten().any(|name| !common(&name))
}

/// A sentence about the end of a process or a unit, which is the last one before any restart.
fn is_of_end(text: &str) -> bool {
    ["ain process exited", "Failed with result", "Deactivated successfully", "Stopped "]
        .iter()
        .any(|part| text.contains(part))
}

/// The target of a shutdown that is under way, when a manager ended the target.
async fn shutdown(facts: &Facts) -> Option<String> {
    stop::of_manager(facts)?;
    let has_job = async |name: &str| match UnitPath::named(name, Scope::System) {
        Some(target) => state(&target)
            .await
            .is_ok_and(|state| state.job.is_some() || state.active_state.as_deref() == Some("active")),
        None => false,
    };
    // Every one of them conflicts with what it ends by way of this one.
    if !has_job("shutdown.target").await {
        return None;
    }
    for target in SHUTDOWNS {
        if has_job(target).await {
            return Some(target.to_owned());
        }
    }
    Some("shutdown.target".to_owned())
}

/// The unit around a user's manager.
async fn parent(place: &UnitPath) -> Option<ParentUnit> {
    let unit = place.user_manager_unit.clone()?;
    let outer = UnitPath::named(&unit, Scope::System)?;
    let timeout_stop = state(&outer).await.ok().and_then(|state| state.timeout_stop);
    Some(ParentUnit { unit, timeout_stop })
}
