//! What outlives the agent: its kernel programs, and what it knows and has not told yet.

mod entry;
mod log;
mod of_use;
mod recover;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet, VecDeque};
use std::path::Path;

use forensics_common::{ABI_VERSION, Config};
use forensics_incident::model::{Facts, Process, ProcessKey, Signal};

use super::Settings;
use super::processes::in_ticks;
use crate::kernel::{
    load::{Kernel, KernelTypes, LoadError},
    pins::{Earlier, Found, Pins, Wanted},
};
use crate::store::Store;
pub(super) use entry::{Begin, Entry, Note};
pub(super) use log::Log;

/// The state of what is pinned, and what an earlier agent left.
#[derive(Default)]
pub(super) struct Persist {
    /// None where nothing is pinned.
    pins: Option<Pins>,
    how: Option<&'static str>,
    earlier: Option<Box<Earlier>>,
    entries: Vec<Entry>,
    /// Targets as an earlier agent knew them, by key in ticks.
    identities: HashMap<ProcessKey, Identity>,
    /// Ids under which their incidents were closed, in that order, and whether the target lived on.
    ids: HashMap<ProcessKey, VecDeque<(String, bool)>>,
    /// Incidents that are done with.
    told: HashSet<String>,
    /// What was stored of those that were open.
    open: HashMap<ProcessKey, Facts>,
    /// What is taken in now happened before this agent was there.
    is_recovering: bool,
    /// An earlier agent took it off the ring.
    is_replaying: bool,
}

/// A target as an earlier agent knew it.
#[derive(Debug, Clone)]
pub(super) struct Identity {
    pub(super) process: Process,
    /// `INVOCATION_ID` of its environment.
    pub(super) invocation_id: Option<String>,
}

impl Persist {
    /// Takes the directory that is asked for, when one is. Where that cannot be, the agent does without, and says why.
    pub(super) fn start(directory: Option<&Path>) -> Self {
        let taken = directory.map(Pins::take).transpose();
        let pins = taken.unwrap_or_else(|why| {
            ::log::warn!("{why}; the kernel programs of this agent end with it");
            None
        });
        Self { pins, ..Self::default() }
    }

    /// The programs: those that an earlier agent pinned, or new ones.
    pub(super) fn kernel(
        &mut self,
        settings: &Settings,
        types: &KernelTypes,
        config: Config,
        level: Option<aya_log::Level>,
    ) -> Result<Kernel, LoadError> {
        let load = || match settings.hook {
            Some(hook) => Kernel::load_with(types, config, level, hook),
            None => Kernel::load(types, config, level),
        };
        let Some(pins) = &self.pins else { return load() };
        if let Err(why) = pins.settle() {
            ::log::warn!("{why}");
        }
        let found = match pins.find(wanted(settings)) {
            Ok(found) => found,
            Err(why) => {
                ::log::warn!("{why}; the kernel programs of this agent end with it");
                *self = Self::default();
                return load();
            }
        };
        match found {
            Found::Running(mut kernel) => {
                kernel.reconfigure(config)?;
                self.how = Some("adopted");
                return Ok(*kernel);
            }
            Found::Replaced(earlier) => {
                let lost = if earlier.ring.is_some() { "" } else { ", and what they recorded is lost" };
                ::log::warn!(
                    "the programs in {} are replaced{lost}: {}",
                    pins.place().display(),
                    earlier.why
                );
                self.earlier = Some(earlier);
                self.how = Some("replaced");
            }
            Found::Nothing => {
                // What an agent that died while it pinned has left.
                if let Err(why) = pins.remove() {
                    ::log::warn!("{why}");
                }
                self.how = Some("new");
            }
        }
        load()
    }

    /// Pins new programs, before their maps are taken. Where that cannot be, the agent does without, and says why: false
    /// when they are not attached any more then, and must be loaded anew.
    pub(super) fn pin(&mut self, kernel: &mut Kernel, settings: &Settings) -> bool {
        let Some(pins) = self.pins.as_ref().filter(|_| !kernel.is_adopted()) else { return true };
        let next = if self.earlier.is_some() { pins.next() } else { pins.clone() };
        let Err(why) = kernel.pin(&next, wanted(settings)) else { return true };
        ::log::warn!("{why}; the kernel programs of this agent end with it");
        // Nothing of it is of use to anybody.
        if let Err(why) = next.remove() {
            ::log::warn!("{why}");
        }
        *self = Self::default();
        kernel.is_attached()
    }

    /// True where the programs outlive the agent.
    pub(super) fn is_on(&self) -> bool {
        self.pins.is_some()
    }

    /// What became of the programs of an earlier agent: `new`, `adopted`, `replaced`; none where nothing is pinned.
    pub(super) fn how(&self) -> Option<&'static str> {
        self.how
    }

    /// Reads what an earlier agent left in this boot, and opens the log in which this one goes on.
    pub(super) fn read(&mut self, boot_id: &str, store: Option<&Path>) -> Option<Log> {
        let pins = self.pins.as_ref()?;
        let opened = pins.journal().map_err(std::io::Error::other).and_then(|path| Log::open(&path));
        let (mut log, entries) = match opened {
            Ok(opened) => opened,
            Err(why) => {
                ::log::warn!("{why}; what the agent knows when it is killed is lost");
                return None;
            }
        };
        match entries.first() {
            Some(Entry::Note(Note::Begin(begin))) if begin.abi == ABI_VERSION && begin.boot_id == boot_id => {
            }
            _ => {
                log.begin(Begin {
                    abi: ABI_VERSION,
                    boot_id: boot_id.to_owned(),
                    ring: pins.ring_id(),
                    ..Begin::default()
                });
                return Some(log);
            }
        }
        let mut told = Vec::new();
        for entry in &entries {
            match entry {
                Entry::Note(Note::Target { process, invocation_id, .. }) => {
                    let (process, invocation_id) = (Process::clone(process), invocation_id.clone());
                    self.identities.insert(in_ticks(process.key()), Identity { process, invocation_id });
                }
                Entry::Note(Note::Closing { key, id, survived, .. }) => {
                    self.ids.entry(in_ticks(*key)).or_default().push_back((id.clone(), *survived));
                }
                Entry::Note(Note::Told { id, dropped: true, .. }) => drop(self.told.insert(id.clone())),
                Entry::Note(Note::Told { id, dropped: false, .. }) => told.push(id.clone()),
                Entry::Note(Note::Begin(_) | Note::Lost(_)) | Entry::Record(_) => {}
            }
        }
        self.entries = entries;
        let store = store.and_then(|path| Store::read(path).ok());
        // What was told and is not stored is told once more, under the same id.
        let stored = store.as_ref().and_then(|store| store.closed_among(told.iter().cloned()).ok());
        self.told.extend(stored.unwrap_or_else(|| told.into_iter().collect()));
        let open = store.and_then(|store| store.open_incidents().ok()).unwrap_or_default();
        for incident in open.into_iter().filter(|incident| incident.facts.boot_id == boot_id) {
            let key = in_ticks(incident.facts.target.key());
            if self.identities.contains_key(&key) {
                self.open.insert(key, incident.facts);
            }
        }
        Some(log)
    }

    /// True for a process that an earlier agent watched, whether it is there or not.
    pub(super) fn knew(&self, pid: u32) -> bool {
        self.identities.keys().any(|key| key.pid == pid)
    }

    /// A target as an earlier agent knew it.
    pub(super) fn identity(&self, key: ProcessKey) -> Option<Identity> {
        self.identities.get(&in_ticks(key)).filter(|_| self.is_recovering).cloned()
    }

    /// What was stored of the incident that a request at this moment opens, `CLOCK_BOOTTIME` nanoseconds, when it was open as
    /// an earlier agent ended. Those before it, which the target survived, have other ids.
    pub(super) fn take_open(&mut self, key: ProcessKey, asked_ns: u64) -> Option<Facts> {
        let key = in_ticks(key);
        let facts = self.open.get(&key)?;
        let asked = |signal: &Signal| (signal.boot_ns..=signal.last_ns()).contains(&asked_ns);
        let closes_as = self.ids.get(&key).and_then(VecDeque::front);
        let is_this = facts.signals.iter().any(asked) && closes_as.is_none_or(|(id, _)| *id == facts.id);
        if is_this { self.open.remove(&key) } else { None }
    }

    /// The id under which an earlier agent closed an incident that closes now.
    pub(super) fn id(&mut self, key: ProcessKey, survived: bool) -> Option<String> {
        let ids = self.ids.get_mut(&in_ticks(key))?;
        let at = ids.iter().position(|(_, lived_on)| *lived_on == survived)?;
        ids.remove(at).map(|(id, _)| id)
    }

    /// That id is used, or of no use.
    pub(super) fn forget_id(&mut self, key: ProcessKey, id: &str) {
        if let Some(ids) = self.ids.get_mut(&in_ticks(key)) {
            ids.retain(|(kept, _)| kept != id);
        }
    }

    /// Lets go of all that is known of an earlier agent.
    pub(super) fn forget(&mut self) {
        self.identities = HashMap::new();
        self.ids = HashMap::new();
        self.told = HashSet::new();
        self.open = HashMap::new();
    }

    /// True for an incident that an earlier agent told of.
    pub(super) fn has_told(&self, id: &str) -> bool {
        self.told.contains(id)
    }

    /// True while what is taken in happened before this agent was there.
    pub(super) fn is_recovering(&self) -> bool {
        self.is_recovering
    }

    /// True while what is taken in was printed by an earlier agent as it came.
    pub(super) fn is_replaying(&self) -> bool {
        self.is_replaying
    }

    /// True for a target whose end this agent accounts for, since the programs that recorded it were there all the time.
    pub(super) fn accounts_for(&self, key: ProcessKey) -> bool {
        self.identities.contains_key(&in_ticks(key))
    }
}

fn wanted(settings: &Settings) -> Wanted<'_> {
    Wanted { hook: settings.hook, requests: settings.instigator.hooks() }
}
