//! The map of cgroups whose processes are targets.

use aya::maps::{HashMap, MapData, MapError};
use forensics_common::CgroupKey;

/// The agent's end of the map.
pub struct CgroupMap(HashMap<MapData, CgroupKey, u32>);

impl CgroupMap {
    /// Takes the map.
    pub fn new(map: HashMap<MapData, CgroupKey, u32>) -> Self {
        Self(map)
    }

    /// Makes whoever enters a cgroup a target from now on.
    ///
    /// # Errors
    ///
    /// The map is full.
    pub fn insert(&mut self, key: CgroupKey) -> Result<(), MapError> {
        self.0.insert(key, 1, 0)
    }

    /// Lets all of them be.
    pub fn clear(&mut self) {
        let keys: Vec<CgroupKey> = self.0.keys().filter_map(Result::ok).collect();
        for key in keys {
            self.remove(key);
        }
    }

    /// Lets them be.
    pub fn remove(&mut self, key: CgroupKey) {
        // The kernel may have removed it together with the cgroup.
        let _ = self.0.remove(&key);
    }
}
