//! The agent's ends of the maps of the kernel programs.

use aya::maps::{Array, HashMap, Map, MapData, MapError, PerCpuArray, RingBuf};
use forensics_common::{CgroupKey, ExecEntry, FoldKey, FoldValue, Reach, Target, TaskKey};

use super::{
    load::{Kernel, LoadError, Programs},
    watch_pages::WatchPages,
};

/// The maps, taken out of the object once the programs run.
pub struct Maps {
    /// Records.
    pub events: RingBuf<MapData>,
    /// The watched processes.
    pub targets: HashMap<MapData, u32, Target>,
    /// Who may be among them.
    pub watched: WatchPages,
    /// The cgroups whose processes are among them.
    pub cgroups: HashMap<MapData, CgroupKey, u32>,
    /// Counts of identical signals.
    pub folds: HashMap<MapData, FoldKey, FoldValue>,
    /// How many signals each sender made.
    pub reaches: Array<MapData, Reach>,
    /// What each process executed last.
    pub ledger: HashMap<MapData, TaskKey, ExecEntry>,
    /// From each process to its maker.
    pub lineage: HashMap<MapData, TaskKey, TaskKey>,
    /// Counters of the programs.
    pub counters: PerCpuArray<MapData, u64>,
}

impl Kernel {
    /// Takes the agent's ends of the maps; they can be taken once.
    ///
    /// # Errors
    ///
    /// The object lacks a map, or it was taken before.
    pub fn take_maps(&mut self) -> Result<Maps, LoadError> {
        if let Programs::Adopted(adopted) = &mut self.programs {
            return adopted.maps.take().ok_or_else(|| LoadError::Failed {
                what: "opening the maps that are pinned".to_owned(),
                reason: "they were taken before".to_owned(),
            });
        }
        Ok(Maps {
            events: self.take("EVENTS")?,
            targets: self.take("TARGETS")?,
            watched: self.watch_pages()?,
            cgroups: self.take("CGROUPS")?,
            folds: self.take("FOLDS")?,
            reaches: self.take("REACHES")?,
            ledger: self.take("LEDGER")?,
            lineage: self.take("LINEAGE")?,
            counters: self.take("COUNTERS")?,
        })
    }

    fn take<M: TryFrom<Map, Error = MapError>>(&mut self, name: &str) -> Result<M, LoadError> {
        let failed = |reason: String| LoadError::Failed { what: format!("opening the map {name}"), reason };
        let map = self.own().and_then(|ebpf| ebpf.take_map(name));
        let map = map.ok_or_else(|| failed("the object has no such map".to_owned()))?;
        M::try_from(map).map_err(|error| failed(error.to_string()))
    }

    fn watch_pages(&mut self) -> Result<WatchPages, LoadError> {
        let failed =
            |reason: String| LoadError::Failed { what: "mapping the map WATCHED".to_owned(), reason };
        let map = self.own().and_then(|ebpf| ebpf.map("WATCHED"));
        let map = map.ok_or_else(|| failed("the object has no such map".to_owned()))?;
        WatchPages::open(map).map_err(|error| failed(error.to_string()))
    }
}
