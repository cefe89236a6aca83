//! Whether the units of the targets leave them time to drain (`--drain-timeout`).
//!
//! The managers are asked when a target comes, not when it dies: by then its manager is busy with that.

use std::collections::{HashMap, HashSet};

use forensics_incident::model::{Process, Timing};
use tokio::task::JoinSet;

use crate::host::systemd::{
    check::check,
    timing::Wanted,
    unit::{UnitPath, unit_of_path},
};

/// What the managers said, by the cgroup path of the target.
#[derive(Default)]
pub(super) struct Timings {
    wanted: Option<Wanted>,
    known: HashMap<String, Timing>,
    asked: HashSet<String>,
    asking: JoinSet<Option<(String, Timing)>>,
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
            match check(&place, Some(pid), wanted).await {
                Ok((alignment, _)) => Some((path, alignment.timing)),
                Err(error) => {
                    log::info!("the stop timing of {} is not known: {error}", place.unit);
                    None
                }
            }
        });
    }

    /// Waits for an answer.
    pub(super) async fn answer(&mut self) {
        match self.asking.join_next().await {
            Some(Ok(Some((path, timing)))) => {
                self.known.insert(path, timing);
            }
            Some(_) => {}
            None => std::future::pending().await,
        }
    }

    /// What is known of a target's unit.
    pub(super) fn of(&self, target: &Process) -> Option<Timing> {
        self.known.get(target.cgroup.as_ref()?).cloned()
    }
}
