//! How many signals a sender made.

use aya::maps::{Array, MapData};
use forensics_common::{Reach, reach_id, reach_place};
use forensics_incident::model::ProcessKey;

/// The agent's end of the map.
pub struct ReachMap(Array<MapData, Reach>);

impl ReachMap {
    /// Takes the map.
    pub fn new(map: Array<MapData, Reach>) -> Self {
        Self(map)
    }

    /// How many signals of this number the main thread of a process has made, one after the other, up to now; none when that was
    /// not counted, or another process has taken its place.
    pub fn of(&self, sender: ProcessKey, signal: u32) -> Option<u64> {
        let reach = self.0.get(&reach_place(sender.start_boot_ns), 0).ok()?;
        (reach.id == reach_id(sender.start_boot_ns, signal)).then_some(reach.count)
    }
}
