//! Whether the units of the targets leave them time to drain (`--drain-timeout`).
//!
//! The managers are asked when a target comes, not when it dies: by then its manager is busy with that.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use forensics_incident::model::{Process, Timing};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::host::systemd::{
    check::check,
    manager::PATIENCE,
    timing::Wanted,
    unit::{UnitPath, unit_of_path},
};

/// Pauses before a manager is asked again that was too busy to answer.
const RETRY_AFTER: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(3)];

/// What the managers said, by the cgroup path of the target.
#[derive(Default)]
pub(super) struct Timings {
    wanted: Option<Wanted>,
    /// None for those that cannot be told.
    known: HashMap<String, Option<Timing>>,
    asked: HashSet<String>,
    asking: JoinSet<(Question, Result<Timing, String>)>,
}

/// What a manager is asked.
struct Question {
    /// The cgroup path of the target.
    path: String,
    place: UnitPath,
    pid: u32,
    wanted: Wanted,
    /// So many times it is asked again when it does not answer.
    retries: usize,
}

impl Timings {
    /// Asks about the unit of every target when the drain is known.
    pub(super) fn new(wanted: Option<Wanted>) -> Self {
        Self { wanted, ..Self::default() }
    }

    /// Starts to ask about a target's unit, once for each. To be called within the event loop.
    pub(super) fn ask(&mut self, target: &Process) {
        let (Some(wanted), Some(path)) = (self.wanted, &target.cgroup) else { return };
        let Some(place) = unit_of_path(path).filter(UnitPath::is_service) else { return };
        if !self.asked.insert(path.clone()) {
            return;
        }
        self.spawn(Question {
            path: path.clone(),
            place,
            pid: target.pid,
            wanted,
            retries: RETRY_AFTER.len(),
        });
    }

    fn spawn(&mut self, question: Question) {
        self.asking.spawn(async move {
            let pause = RETRY_AFTER.iter().rev().nth(question.retries);
            sleep(pause.copied().unwrap_or_default()).await;
            let checked = check(&question.place, Some(question.pid), question.wanted, PATIENCE).await;
            let timing = checked.map(|(alignment, _)| alignment.timing);
            (question, timing.map_err(|error| error.to_string()))
        });
    }

    /// Waits for an answer.
    pub(super) async fn answer(&mut self) {
        match self.asking.join_next().await {
            Some(Ok((question, Ok(timing)))) => {
                self.known.insert(question.path, Some(timing));
            }
            Some(Ok((question, Err(why)))) => {
                let Question { path, place, retries, .. } = &question;
                log::info!("the stop timing of {} is not known: {why}", place.unit);
                self.known.entry(path.clone()).or_insert(None);
                if let Some(retries) = retries.checked_sub(1) {
                    self.spawn(Question { retries, ..question });
                }
            }
            // It panicked, and its path is lost with it: nobody may wait for that.
            Some(Err(_)) => self.known.extend(self.asked.iter().map(|path| (path.clone(), None))),
            None => std::future::pending().await,
        }
    }

    /// True while the manager of a target has not answered yet, for 2 s at most; what it says when it is asked again is not
    /// waited for.
    pub(super) fn is_pending(&self, target: &Process) -> bool {
        let path = target.cgroup.as_ref();
        path.is_some_and(|path| self.asked.contains(path) && !self.known.contains_key(path))
    }

    /// What is known of a target's unit.
    pub(super) fn of(&self, target: &Process) -> Option<Timing> {
        self.known.get(target.cgroup.as_ref()?)?.clone()
    }
}
