//! The cgroups that units and paths select: which there are, and which of those that are made are among them.

use std::collections::HashMap;

use forensics_common::{CgroupKey, MAX_HIERARCHIES, NO_HIERARCHY, UNIFIED_SLOT};

use crate::host::hierarchy::{self, Hierarchy, Kind};
use crate::host::systemd::unit::may_hold_units;
use crate::kernel::cgroup_map::CgroupMap;
use crate::targets::{CgroupSelector, UnitSelector};

/// Which hierarchies are looked at: at most as many as there are slots, the unified one in its own.
#[derive(Debug, Default)]
pub(super) struct Slots(Vec<Option<Hierarchy>>);

impl Slots {
    /// Those that the selectors need; none when nothing is selected by its cgroup.
    pub(super) fn for_selectors(units: &[UnitSelector], cgroups: &[CgroupSelector]) -> Self {
        if units.is_empty() && cgroups.is_empty() {
            return Self::default();
        }
        let mounted = hierarchy::mounted().unwrap_or_default();
        let is_needed = |hierarchy: &Hierarchy| {
            matches!(hierarchy.kind, Kind::Unified | Kind::Systemd)
                || cgroups.iter().any(|selector| selector.is_directory_of(hierarchy))
        };
        let mut slots = vec![None];
        for hierarchy in mounted.into_iter().filter(is_needed) {
            if hierarchy.kind == Kind::Unified {
                slots = vec![Some(hierarchy)];
            } else if slots.len() < MAX_HIERARCHIES {
                slots.push(Some(hierarchy));
            } else {
                log::warn!("cgroups in {} are not watched: too many hierarchies", hierarchy.mount.display());
            }
        }
        Self(slots)
    }

    /// Adds those that are not there yet, as far as there is room.
    fn keep_and_add(&mut self, others: Vec<Option<Hierarchy>>) {
        if self.0.is_empty() {
            self.0 = others;
            return;
        }
        for other in others.into_iter().flatten() {
            let is_known = self.iter().any(|(_, known)| known.id == other.id);
            if is_known {
                continue;
            }
            if other.kind == Kind::Unified {
                if let Some(unified) = self.0.first_mut() {
                    *unified = Some(other);
                }
            } else if self.0.len() < MAX_HIERARCHIES {
                self.0.push(Some(other));
            } else {
                log::warn!("cgroups in {} are not watched: too many hierarchies", other.mount.display());
            }
        }
    }

    /// For the kernel programs.
    pub(super) fn numbers(&self) -> [u64; MAX_HIERARCHIES] {
        let mut numbers = [NO_HIERARCHY; MAX_HIERARCHIES];
        for (number, hierarchy) in numbers.iter_mut().zip(&self.0) {
            *number = hierarchy.as_ref().map_or(NO_HIERARCHY, |hierarchy| u64::from(hierarchy.id));
        }
        numbers
    }

    fn get(&self, slot: u32) -> Option<&Hierarchy> {
        self.0.get(slot as usize)?.as_ref()
    }

    fn iter(&self) -> impl Iterator<Item = (u32, &Hierarchy)> {
        (0..).zip(&self.0).filter_map(|(slot, hierarchy)| Some((slot, hierarchy.as_ref()?)))
    }
}

/// The cgroups whose processes are targets.
pub(super) struct Places {
    slots: Slots,
    units: Vec<UnitSelector>,
    cgroups: Vec<CgroupSelector>,
    map: CgroupMap,
    /// With the path as this process sees it.
    selected: HashMap<CgroupKey, String>,
    /// What the kernel's paths begin with in front of those that this process sees, by slot, where that is known.
    prefixes: Vec<Option<String>>,
}

impl Places {
    /// Takes the map; nothing is selected yet.
    pub(super) fn new(
        slots: Slots,
        mut units: Vec<UnitSelector>,
        cgroups: Vec<CgroupSelector>,
        map: CgroupMap,
    ) -> Self {
        units.iter_mut().for_each(UnitSelector::resolve_alias);
        let prefixes = prefixes(&slots);
        Self { slots, units, cgroups, map, selected: HashMap::new(), prefixes }
    }

    /// Selects others. A hierarchy keeps its slot, by which the kernel programs know it.
    pub(super) fn select(&mut self, mut units: Vec<UnitSelector>, cgroups: Vec<CgroupSelector>) {
        units.iter_mut().for_each(UnitSelector::resolve_alias);
        let Slots(needed) = Slots::for_selectors(&units, &cgroups);
        self.slots.keep_and_add(needed);
        (self.units, self.cgroups) = (units, cgroups);
        self.prefixes = prefixes(&self.slots);
        for (key, _) in std::mem::take(&mut self.selected) {
            self.map.remove(key);
        }
    }

    /// The numbers of the hierarchies, for the kernel programs.
    pub(super) fn hierarchies(&self) -> [u64; MAX_HIERARCHIES] {
        self.slots.numbers()
    }

    /// True when nothing is selected by its cgroup.
    pub(super) fn is_empty(&self) -> bool {
        self.units.is_empty() && self.cgroups.is_empty()
    }

    /// Units that are selected.
    pub(super) fn units(&self) -> &[UnitSelector] {
        &self.units
    }

    /// Cgroups that are selected by path.
    pub(super) fn cgroups(&self) -> &[CgroupSelector] {
        &self.cgroups
    }

    /// True when it is not by a pattern alone that the processes of a cgroup are targets.
    pub(super) fn are_named(&self, path: &str) -> bool {
        let by_path = |hierarchy| self.cgroups.iter().any(|selector| selector.selects(hierarchy, path));
        self.units.iter().any(|unit| unit.is_plain() && unit.selects(path))
            || self.slots.iter().any(|(_, hierarchy)| by_path(hierarchy))
    }

    /// Looks for the cgroups that are there now.
    pub(super) fn search(&mut self) {
        for (slot, hierarchy) in self.slots.iter() {
            let wanted = |path: &str| wants(&self.units, &self.cgroups, hierarchy, path);
            let enter = |path: &str| {
                may_hold_units(path) || self.cgroups.iter().any(|selector| selector.is_below(hierarchy, path))
            };
            for found in hierarchy.search(wanted, enter) {
                let key = CgroupKey { id: found.id, slot, reserved: 0 };
                if let Err(error) = self.map.insert(key) {
                    log::warn!("processes that enter {} will not be watched: {error}", found.path);
                }
                self.selected.insert(key, found.path);
            }
        }
    }

    /// The processes in the selected cgroups, with the cgroup that each is in.
    pub(super) fn processes(&self) -> Vec<(u32, CgroupKey)> {
        let in_cgroup = |(key, path): (&CgroupKey, &String)| {
            let pids = self.slots.get(key.slot).map(|hierarchy| hierarchy.processes(path));
            let key = *key;
            pids.unwrap_or_default().into_iter().map(move |pid| (pid, key))
        };
        self.selected.iter().flat_map(in_cgroup).collect()
    }

    /// Decides about a cgroup that the kernel has told of: the path of one that is selected, as this process sees it.
    pub(super) fn decide(&mut self, key: CgroupKey, kernel_path: Option<&str>) -> Option<&str> {
        if !self.selected.contains_key(&key) {
            let hierarchy = self.slots.get(key.slot)?;
            let prefix = self.prefixes.get(key.slot as usize).and_then(Option::as_deref);
            let path = seen_path(hierarchy, prefix, key.id, kernel_path)?;
            if !wants(&self.units, &self.cgroups, hierarchy, &path) {
                return None;
            }
            self.selected.insert(key, path);
        }
        self.selected.get(&key).map(String::as_str)
    }

    /// The path of a cgroup of the unified hierarchy, when it is selected.
    pub(super) fn unified(&mut self, id: u64) -> Option<String> {
        self.decide(CgroupKey { id, slot: UNIFIED_SLOT, reserved: 0 }, None).map(str::to_owned)
    }

    /// True for a hierarchy whose paths say which unit a process belongs to.
    pub(super) fn tells_units(&self, key: CgroupKey) -> bool {
        self.slots.get(key.slot).is_some_and(|found| matches!(found.kind, Kind::Unified | Kind::Systemd))
    }

    /// Lets the processes of a cgroup be that the kernel took for selected.
    pub(super) fn dismiss(&mut self, key: CgroupKey) {
        self.map.remove(key);
    }

    /// A cgroup was removed.
    pub(super) fn forget(&mut self, key: CgroupKey) {
        self.selected.remove(&key);
    }

    /// True when a process is in a cgroup that this selects.
    pub(super) fn has_processes(&self, selector: &CgroupSelector) -> bool {
        self.selected.iter().any(|(key, path)| {
            self.slots.get(key.slot).is_some_and(|hierarchy| {
                selector.selects(hierarchy, path) && !hierarchy.processes(path).is_empty()
            })
        })
    }
}

/// What the kernel's paths begin with in front of those that this process sees, by slot.
fn prefixes(slots: &Slots) -> Vec<Option<String>> {
    let global = hierarchy::are_paths_global();
    let prefix = |hierarchy: &Hierarchy| if global { Some(String::new()) } else { hierarchy.prefix() };
    slots.0.iter().map(|slot| slot.as_ref().and_then(prefix)).collect()
}

/// Whether a cgroup is selected.
fn wants(units: &[UnitSelector], cgroups: &[CgroupSelector], hierarchy: &Hierarchy, path: &str) -> bool {
    let tells_units = matches!(hierarchy.kind, Kind::Unified | Kind::Systemd);
    (tells_units && units.iter().any(|unit| unit.selects(path)))
        || cgroups.iter().any(|cgroup| cgroup.selects(hierarchy, path))
}

/// The path of a cgroup as this process sees it; none for one that it does not see.
fn seen_path(
    hierarchy: &Hierarchy,
    prefix: Option<&str>,
    id: u64,
    kernel_path: Option<&str>,
) -> Option<String> {
    match (prefix, kernel_path) {
        (Some(prefix), Some(whole)) => {
            whole.strip_prefix(prefix).filter(|path| path.starts_with('/')).map(str::to_owned)
        }
        // One that is gone already cannot be told.
        _ => hierarchy.find_by_id(id).map(|found| found.path),
    }
}
