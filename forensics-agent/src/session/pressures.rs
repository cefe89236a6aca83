//! Readings of pressure around the ends of targets. They are taken when something happens, never by the clock.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use forensics_incident::model::{Pressure, Process, Reading};

use crate::host::pressure::{self, Extent, Hierarchies, Place};

/// Targets of one cgroup that come within this time share a first reading: counters stand still long enough.
const SHARED_FOR: Duration = Duration::from_secs(10);

/// The readings that were taken for the targets.
pub(super) struct Pressures {
    hierarchies: Hierarchies,
    targets: HashMap<u32, Held>,
    /// The last first reading of each cgroup that a target is in.
    first: HashMap<Option<Place>, (Arc<Reading>, Instant)>,
    /// From the start of the agent, for targets that only their signals made known.
    start: Arc<Reading>,
}

/// What is held of a target.
struct Held {
    place: Option<Place>,
    before: Arc<Reading>,
    request: Option<Reading>,
}

impl Pressures {
    /// Takes the first reading of the host.
    pub(super) fn start() -> Self {
        let hierarchies = Hierarchies::find();
        let start = Arc::new(pressure::read(&hierarchies, None, Extent::Counters));
        Self { hierarchies, targets: HashMap::new(), first: HashMap::new(), start }
    }

    /// A target is there, or has executed another program and may have been put elsewhere before.
    pub(super) fn watch(&mut self, target: &Process) {
        let place = self.hierarchies.place_of(target.pid);
        // One that has ended meanwhile stands in the roots, or nowhere.
        if self.targets.get(&target.pid).is_some_and(|held| place.is_none() || held.place == place) {
            return;
        }
        let before = self.first_reading(place.as_ref());
        self.forget(target.pid);
        self.targets.insert(target.pid, Held { place, before, request: None });
    }

    /// A target was asked to end. The first such moment of an incident counts.
    pub(super) fn requested(&mut self, pid: u32) {
        let Some(held) = self.targets.get_mut(&pid).filter(|held| held.request.is_none()) else { return };
        // It may have been moved since. One that is on its way out stands in the roots of version 1 already.
        if let Some(place) = self.hierarchies.place_of(pid) {
            held.place = Some(place);
        }
        held.request = Some(pressure::read(&self.hierarchies, held.place.as_ref(), Extent::Whole));
    }

    /// The incident of a target that ended at `ended_ts` (Unix seconds) has closed: what was read, and one more reading.
    pub(super) fn take(&mut self, target: &Process, ended_ts: f64) -> Pressure {
        let held = self.targets.get_mut(&target.pid);
        let place = held.as_ref().and_then(|held| held.place.as_ref());
        let end = pressure::read(&self.hierarchies, place, Extent::Whole);
        // Records may be taken in long after they were made: a first reading from after the end is none.
        let first = held.as_ref().map(|held| &held.before).filter(|reading| reading.ts <= ended_ts);
        let before = first.unwrap_or(&self.start);
        let before = Some(Reading::clone(before));
        Pressure { before, request: held.and_then(|held| held.request.take()), end: Some(end) }
    }

    /// A target is gone.
    pub(super) fn forget(&mut self, pid: u32) {
        let Some(Held { place, before, .. }) = self.targets.remove(&pid) else { return };
        drop(before);
        // The one that is left is the map's own.
        if self.first.get(&place).is_some_and(|(reading, _)| Arc::strong_count(reading) == 1) {
            self.first.remove(&place);
        }
    }

    fn first_reading(&mut self, place: Option<&Place>) -> Arc<Reading> {
        let place = place.cloned();
        match self.first.get(&place) {
            Some((reading, at)) if at.elapsed() < SHARED_FOR => Arc::clone(reading),
            _ => {
                let reading = pressure::read(&self.hierarchies, place.as_ref(), Extent::Counters);
                let reading = Arc::new(reading);
                self.first.insert(place, (Arc::clone(&reading), Instant::now()));
                reading
            }
        }
    }
}
