//! How long earlier stops of a unit took, by the store.

use std::path::Path;

use forensics_incident::drain;
use forensics_incident::model::{Facts, Incident, ObservedDrain};

use crate::store::{Filter, Store};

/// Earlier incidents of the unit that are looked at, the latest.
const MAX_EARLIER: u32 = 64;
/// Those of the same moment belong to the same stop, seconds.
const MOMENT_S: f64 = 1.0;

/// What the store has of earlier stops of a target's unit, when its manager lost its patience with it.
pub(super) fn observed(store: Option<&Path>, facts: &Facts) -> Option<ObservedDrain> {
    let (store, unit) = (store?, facts.target.unit.clone()?);
    if !drain::matters_to(facts) {
        return None;
    }
    let filter = Filter { unit: Some(unit), until: Some(facts.ts - MOMENT_S), ..Filter::default() };
    let lines = Store::read(store).and_then(|store| store.lines(&filter, MAX_EARLIER));
    let lines = lines.inspect_err(|why| log::debug!("earlier stops are not known: {why}")).ok()?;
    let earlier: Vec<Facts> = lines
        .iter()
        .filter_map(|line| serde_json::from_str::<Incident>(line).ok())
        .map(|incident| incident.facts)
        .collect();
    drain::observed(facts, &earlier)
}
