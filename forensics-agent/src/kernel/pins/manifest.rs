//! What is pinned, by whom and of what shape: the last thing that is written and the first that is read.
//!
//! Nothing is taken over by its name alone. A ring that was opened with another size than it was made with gives garbage, and
//! spoils the position of its consumer for everybody else.

use aya::{Pod, maps::MapInfo};
use forensics_common::ABI_VERSION;

use super::MAPS;
use crate::host::clock;
use crate::kernel::{load::Hook, requests::RequestHook};

/// `forensic` in ASCII.
const MAGIC: u64 = u64::from_be_bytes(*b"forensic");
/// Version of [`Manifest`] itself.
const LAYOUT: u32 = 1;
/// The record that `cargo xtask ebpf` leaves of what it built.
const BUILT: &str = include_str!("../../../../forensics-ebpf/prebuilt/forensics-ebpf.json");

/// The shape and identity of a map.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Shape {
    /// The kernel's number of the map, which is never another's.
    pub(super) id: u32,
    /// `BPF_MAP_TYPE_*`.
    kind: u32,
    /// Bytes of a key.
    key: u32,
    /// Bytes of a value.
    value: u32,
    /// Entries, or bytes of a ring.
    entries: u32,
}

impl Shape {
    /// What the kernel says of a map.
    pub(super) fn of(info: &MapInfo) -> Self {
        Self {
            id: info.id(),
            kind: info.map_type().map_or(0, |kind| kind as u32),
            key: info.key_size(),
            value: info.value_size(),
            entries: info.max_entries(),
        }
    }
}

/// What one agent pinned.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Manifest {
    magic: u64,
    layout: u32,
    /// [`ABI_VERSION`] of the records in the ring.
    abi: u32,
    /// When it was pinned, `CLOCK_BOOTTIME` nanoseconds.
    pub(super) since_ns: u64,
    /// SHA-256 of the object, in hexadecimal digits.
    object: [u8; 64],
    /// Version of the agent, padded with zeroes.
    version: [u8; 24],
    /// Index in [`Hook::ALL`].
    hook: u32,
    /// 1 and the index in [`RequestHook::ALL`]; 0 where requests are not seen.
    requests: u32,
    /// The hooks for requests that were tried: a bit for each index.
    tried: u32,
    reserved: u32,
    /// In the order of [`MAPS`].
    pub(super) maps: [Shape; MAPS.len()],
}

// SAFETY: `repr(C)`, `Copy` and made of integers without padding, which the size asserts.
unsafe impl Pod for Manifest {}
/// Bytes of a [`Manifest`].
pub const MANIFEST_SIZE: usize = size_of::<Manifest>();
const _: () = assert!(MANIFEST_SIZE == 128 + size_of::<Shape>() * MAPS.len());

/// Whether what is pinned can be gone on with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fit {
    /// As it is.
    Same,
    /// It must be replaced, and the records in its ring are readable.
    Readable(String),
    /// It must be replaced, and the records in its ring are not readable.
    Foreign(String),
}

/// What an agent wants of the programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted<'a> {
    /// The hook variant, when it is not to be the first that works.
    pub hook: Option<Hook>,
    /// The hooks for requests, one of which is to be attached where there is one.
    pub requests: &'a [RequestHook],
}

impl Manifest {
    /// Of programs of this agent.
    pub(super) fn new(
        hook: Hook,
        requests: Option<RequestHook>,
        tried: &[RequestHook],
        maps: [Shape; MAPS.len()],
    ) -> Self {
        let index_of = |wanted: Hook| Hook::ALL.iter().position(|hook| *hook == wanted).unwrap_or_default();
        let mut version = [0; 24];
        for (to, from) in version.iter_mut().zip(env!("CARGO_PKG_VERSION").bytes()) {
            *to = from;
        }
        Self {
            magic: MAGIC,
            layout: LAYOUT,
            abi: ABI_VERSION,
            since_ns: clock::boot_ns(),
            object: own_object(),
            version,
            hook: index_of(hook) as u32,
            requests: requests.and_then(index_of_request).map_or(0, |index| index + 1),
            tried: bits(tried),
            reserved: 0,
            maps,
        }
    }

    /// Whether this agent can go on with it. `found` is what the maps that are pinned look like now.
    pub(super) fn fit(&self, wanted: Wanted<'_>, found: &[Shape]) -> Fit {
        if self.magic != MAGIC || self.layout != LAYOUT {
            return Fit::Foreign("its manifest is of another format".to_owned());
        }
        let by = self.version();
        if let Some((name, _)) = MAPS.iter().zip(self.maps.iter().zip(found)).find(|(_, (a, b))| a != b) {
            return Fit::Foreign(format!("its map {name} is not the one that forensics-agent {by} pinned"));
        }
        if found.len() != self.maps.len() {
            return Fit::Foreign("maps are missing".to_owned());
        }
        if self.abi != ABI_VERSION {
            let why =
                format!("forensics-agent {by} wrote records of version {}, not {ABI_VERSION}", self.abi);
            return Fit::Foreign(why);
        }
        if self.object != own_object() {
            return Fit::Readable(format!("its programs are those of another build, {by}"));
        }
        match (self.hook(), wanted.hook) {
            (None, _) => return Fit::Readable("its hook is not known".to_owned()),
            (Some(is), Some(wanted)) if is != wanted => {
                return Fit::Readable(format!("it hooks by {}, not {}", is.name(), wanted.name()));
            }
            _ => {}
        }
        match self.requests() {
            Some(hook) if !wanted.requests.contains(&hook) => {
                Fit::Readable(format!("it sees requests by {}", hook.name()))
            }
            None if bits(wanted.requests) & !self.tried != 0 => {
                Fit::Readable("it does not see requests".to_owned())
            }
            _ => Fit::Same,
        }
    }

    /// The hook variant, when it is known here.
    pub(super) fn hook(&self) -> Option<Hook> {
        Hook::ALL.get(self.hook as usize).copied()
    }

    /// The hook for requests.
    pub(super) fn requests(&self) -> Option<RequestHook> {
        RequestHook::ALL.get((self.requests as usize).checked_sub(1)?).copied()
    }

    /// The version of the agent that pinned it.
    pub(super) fn version(&self) -> String {
        let text: Vec<u8> = self.version.iter().copied().take_while(|&byte| byte != 0).collect();
        forensics_incident::text::escape(&String::from_utf8_lossy(&text))
    }
}

fn index_of_request(wanted: RequestHook) -> Option<u32> {
    RequestHook::ALL.iter().position(|hook| *hook == wanted)?.try_into().ok()
}

fn bits(hooks: &[RequestHook]) -> u32 {
    hooks.iter().filter_map(|hook| index_of_request(*hook)).fold(0, |bits, index| bits | 1 << index)
}

/// The digest of the object that is built in; zeroes where the record does not tell, which is another build's then.
fn own_object() -> [u8; 64] {
    let digest = serde_json::from_str::<serde_json::Value>(BUILT).ok();
    let digest = digest.as_ref().and_then(|built| built.get("object_sha256")?.as_str());
    digest.and_then(|digits| digits.as_bytes().try_into().ok()).unwrap_or([0; 64])
}

#[cfg(test)]
mod tests {
    use super::*;

    const WANTED: Wanted<'static> =
        Wanted { hook: None, requests: &[RequestHook::Fentry, RequestHook::Socket] };

    fn shapes() -> [Shape; MAPS.len()] {
        std::array::from_fn(|index| Shape { id: index as u32 + 7, kind: 1, key: 4, value: 8, entries: 64 })
    }

    fn manifest() -> Manifest {
        Manifest::new(Hook::TpBtf, Some(RequestHook::Socket), WANTED.requests, shapes())
    }

    #[test]
    fn what_this_agent_pinned_fits() {
        let manifest = manifest();
        assert_ne!(manifest.object, [0; 64]);
        assert_eq!(manifest.fit(WANTED, &shapes()), Fit::Same);
        assert_eq!((manifest.hook(), manifest.requests()), (Some(Hook::TpBtf), Some(RequestHook::Socket)));
        assert_eq!(manifest.version(), env!("CARGO_PKG_VERSION"));
    }

    #[test]
    fn a_map_that_is_another_is_never_read() {
        let mut found = shapes();
        found[0].entries *= 2;
        let Fit::Foreign(why) = manifest().fit(WANTED, &found) else { panic!("it fits") };
        assert!(why.contains("EVENTS"), "{why}");
        let mut found = shapes();
        found[3].id += 100;
        assert!(matches!(manifest().fit(WANTED, &found), Fit::Foreign(_)), "another map of the same shape");
        assert!(matches!(manifest().fit(WANTED, &found[..2]), Fit::Foreign(_)), "some are missing");
    }

    #[test]
    fn records_of_another_version_are_not_read() {
        let other = Manifest { abi: ABI_VERSION + 1, ..manifest() };
        let Fit::Foreign(why) = other.fit(WANTED, &shapes()) else { panic!("it fits") };
        assert!(why.contains(&format!("version {}, not {ABI_VERSION}", ABI_VERSION + 1)), "{why}");
        assert!(matches!(Manifest { magic: 1, ..manifest() }.fit(WANTED, &shapes()), Fit::Foreign(_)));
        assert!(matches!(Manifest { layout: 9, ..manifest() }.fit(WANTED, &shapes()), Fit::Foreign(_)));
    }

    #[test]
    fn other_programs_are_replaced_and_their_records_are_read() {
        let other = Manifest { object: [b'0'; 64], ..manifest() };
        assert!(matches!(other.fit(WANTED, &shapes()), Fit::Readable(_)));
        let raw = Wanted { hook: Some(Hook::RawTracepoint), ..WANTED };
        assert!(matches!(manifest().fit(raw, &shapes()), Fit::Readable(_)));
        let none = Wanted { requests: &[], ..WANTED };
        assert!(matches!(manifest().fit(none, &shapes()), Fit::Readable(_)));
        let blind = Manifest::new(Hook::TpBtf, None, &[], shapes());
        assert!(matches!(blind.fit(WANTED, &shapes()), Fit::Readable(_)));
        let in_vain = Manifest::new(Hook::TpBtf, None, WANTED.requests, shapes());
        assert_eq!(in_vain.fit(WANTED, &shapes()), Fit::Same, "the kernel has none");
        assert!(matches!(Manifest { hook: 9, ..manifest() }.fit(WANTED, &shapes()), Fit::Readable(_)));
    }
}
