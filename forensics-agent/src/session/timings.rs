//! Whether the units of the targets leave them time to drain (`--drain-timeout`).
//!
//! The managers are asked when a target comes, not when it dies: by then its manager is busy with that.

use std::collections::{HashMap, HashSet};

use forensics_incident::model::{Process, Timing};
use tokio::task::JoinSet;

use crate::host::systemd::{
    check::check,
    manager::PATIENCE,
    timing::Wanted,
    unit::{UnitPath, unit_of_path},
};

/// What the managers said, by the cgroup path of the target.
#[derive(Default)]
pub(super) struct Timings {
    wanted: Option<Wanted>,
    /// None for those that cannot be told.
    known: HashMap<String, Option<Timing>>,
    asked: HashSet<String>,
    asking: JoinSet<(String, Option<Timing>)>,
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
        let (path, pid) = (path.clone(), target.pid);
        self.asking.spawn(async move {
            let checked = check(&place, Some(pid), wanted, PATIENCE).await;
            let timing = checked
                .inspect_err(|error| log::info!("the stop timing of {} is not known: {error}", place.unit))
                .map(|(alignment, _)| alignment.timing);
            (path, timing.ok())
        });
    }

    /// Waits for an answer.
    pub(super) async fn answer(&mut self) {
        match self.asking.join_next().await {
            Some(Ok((path, timing))) => {
                self.known.insert(path, timing);
            }
            // It panicked, and its path is lost with it: nobody may wait for that.
            Some(Err(_)) => self.known.extend(self.asked.iter().map(|path| (path.clone(), None))),
            None => std::future::pending().await,
        }
    }

    /// True while the manager of a target has not answered yet, for 2 s at most.
    pub(super) fn is_pending(&self, target: &Process) -> bool {
        let path = target.cgroup.as_ref();
        path.is_some_and(|path| self.asked.contains(path) && !self.known.contains_key(path))
    }

    /// What is known of a target's unit.
    pub(super) fn of(&self, target: &Process) -> Option<Timing> {
        self.known.get(target.cgroup.as_ref()?)?.clone()
    }
}
