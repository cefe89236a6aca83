//! Pinning what this agent loaded, and going on with what an earlier one pinned.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use aya::maps::{Array, Map, MapData, MapError, PerCpuArray, RingBuf};
use forensics_common::Config;

use super::manifest::Shape;
use super::{CONFIG, Fit, MAPS, Manifest, Pins, Wanted};
use crate::kernel::{
    costs::recursion_misses,
    load::{CGROUP_PROGRAMS, Hook, Kernel, LoadError, Maps, PROCESS_PROGRAMS, Programs},
    requests::RequestHook,
    watch_pages::WatchPages,
};

/// Programs that an earlier agent loaded: they run as long as they are pinned.
pub struct Adopted {
    pub(in crate::kernel) config: Array<MapData, Config>,
    /// None once they were taken.
    pub(in crate::kernel) maps: Option<Maps>,
    /// By their names in the object.
    programs: Vec<(String, Program)>,
}

/// A program, for what the kernel counts of it.
struct Program(OwnedFd);

impl AsFd for Program {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Adopted {
    /// Runs that the kernel skipped of the programs with such names.
    pub(in crate::kernel) fn misses(&self, wanted: impl Fn(&str) -> bool) -> u64 {
        let programs = self.programs.iter().filter(|(name, _)| wanted(name));
        programs.map(|(_, program)| recursion_misses(program)).sum()
    }
}

/// What is pinned in a directory.
pub enum Found {
    /// Nothing, or the remains of an agent that died while it pinned.
    Nothing,
    /// Programs that can be gone on with.
    Running(Box<Kernel>),
    /// Programs that must be replaced.
    Replaced(Box<Earlier>),
}

/// Programs of an earlier agent that are to be replaced.
pub struct Earlier {
    /// Why.
    pub why: String,
    /// Its ring and counters, when the records in it can be read.
    pub ring: Option<(RingBuf<MapData>, PerCpuArray<MapData, u64>)>,
}

impl Pins {
    /// Looks at what is pinned.
    ///
    /// # Errors
    /// It looks right, and cannot be opened all the same.
    pub fn find(&self, wanted: Wanted<'_>) -> Result<Found, LoadError> {
        let Ok(data) = MapData::from_pin(self.manifest()) else { return Ok(Found::Nothing) };
        let manifest = Map::from_map_data(data)
            .and_then(Array::<MapData, Manifest>::try_from)
            .and_then(|map| map.get(&0, 0));
        let fit = match &manifest {
            Ok(manifest) => {
                let found: Vec<Shape> = MAPS
                    .iter()
                    .map_while(|name| self.open(name).ok()?.info().ok())
                    .map(|info| Shape::of(&info))
                    .collect();
                match (manifest.fit(wanted, &found), self.missing_link(manifest)) {
                    (Fit::Same, Some(name)) => {
                        Fit::Readable(format!("the link of its program {name} is gone"))
                    }
                    (fit, _) => fit,
                }
            }
            Err(_) => Fit::Foreign("its manifest is of another format".to_owned()),
        };
        match (fit, manifest) {
            (Fit::Same, Ok(manifest)) => Ok(Found::Running(Box::new(self.adopt(&manifest)?))),
            (Fit::Readable(why), _) => {
                let ring = (self.typed("EVENTS")?, self.typed("COUNTERS")?);
                Ok(Found::Replaced(Box::new(Earlier { why, ring: Some(ring) })))
            }
            (Fit::Foreign(why), _) => Ok(Found::Replaced(Box::new(Earlier { why, ring: None }))),
            (Fit::Same, Err(_)) => Ok(Found::Nothing),
        }
    }

    fn adopt(&self, manifest: &Manifest) -> Result<Kernel, LoadError> {
        let failed = |what: &str, why: &dyn std::fmt::Display| LoadError::Failed {
            what: format!("going on with {what} in {}", self.place().display()),
            reason: why.to_string(),
        };
        let pages = self.open("WATCHED").and_then(Map::from_map_data);
        let pages = pages.map_err(|error| failed("WATCHED", &error))?;
        let maps = Maps {
            events: self.typed("EVENTS")?,
            targets: self.typed("TARGETS")?,
            watched: WatchPages::open(&pages).map_err(|error| failed("WATCHED", &error))?,
            cgroups: self.typed("CGROUPS")?,
            folds: self.typed("FOLDS")?,
            reaches: self.typed("REACHES")?,
            ledger: self.typed("LEDGER")?,
            lineage: self.typed("LINEAGE")?,
            counters: self.typed("COUNTERS")?,
        };
        let programs = std::fs::read_dir(&self.directory).map_err(|error| failed("the programs", &error))?;
        let programs = programs.flatten().filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let program = name.strip_prefix("program_")?;
            let fd = object(&entry.path()).ok()?;
            Some((program.to_owned(), Program(fd)))
        });
        let adopted = Adopted { config: self.typed(CONFIG)?, maps: Some(maps), programs: programs.collect() };
        let hook = manifest.hook().ok_or_else(|| failed("the hook", &"it is not known"))?;
        Ok(Kernel {
            programs: Programs::Adopted(Box::new(adopted)),
            links: Vec::new(),
            load_times: Vec::new(),
            hook,
            sees_cgroups: true,
            requests: manifest.requests(),
            since_ns: manifest.since_ns,
        })
    }

    /// The kernel's number of the ring that is pinned, 0 where there is none.
    pub fn ring_id(&self) -> u32 {
        self.open("EVENTS").and_then(|map| map.info()).map_or(0, |info| info.id())
    }

    /// A program that is not attached any more, since somebody removed its link.
    fn missing_link(&self, manifest: &Manifest) -> Option<&'static str> {
        let always = PROCESS_PROGRAMS.iter().chain(&CGROUP_PROGRAMS).map(|(name, _)| *name);
        let of_hooks = [manifest.hook().map(Hook::program), manifest.requests().map(RequestHook::program)];
        always.chain(of_hooks.into_iter().flatten()).find(|name| !self.link(name).exists())
    }

    fn open(&self, name: &str) -> Result<MapData, MapError> {
        MapData::from_pin(self.map(name))
    }

    fn typed<M: TryFrom<Map, Error = MapError>>(&self, name: &str) -> Result<M, LoadError> {
        self.open(name).and_then(Map::from_map_data).and_then(M::try_from).map_err(|error| {
            LoadError::Failed {
                what: format!("opening {}", self.map(name).display()),
                reason: error.to_string(),
            }
        })
    }
}

impl Kernel {
    /// True for programs that an earlier agent pinned.
    pub fn is_adopted(&self) -> bool {
        matches!(self.programs, Programs::Adopted(_))
    }

    /// True while the agent itself holds its programs at their hooks.
    pub fn is_attached(&self) -> bool {
        !self.links.is_empty()
    }

    /// Attaches what may be of use to a later agent as well, and pins everything in an empty directory: from here on it runs
    /// whether the agent does or not. To be called before the maps are taken.
    ///
    /// # Errors
    /// The kernel refuses. Where [`Self::is_attached`] all the same, the agent can go on without pins.
    pub fn pin(&mut self, pins: &Pins, wanted: Wanted<'_>) -> Result<(), LoadError> {
        let failed = |name: &str, why: &dyn std::fmt::Display| LoadError::Failed {
            what: format!("pinning {name} in {}", pins.place().display()),
            reason: why.to_string(),
        };
        self.attach_to_cgroups()?;
        pins.make().map_err(|error| failed("programs", &error))?;
        let (hook, requests) = (self.hook, self.requests);
        let names: Vec<&'static str> = self.links.iter().map(|(name, _)| *name).collect();
        let Some(ebpf) = self.own() else { return Ok(()) };
        let mut shapes = [Shape::default(); MAPS.len()];
        for (name, shape) in MAPS.iter().zip(&mut shapes) {
            let map = ebpf.map(name).ok_or_else(|| failed(name, &"the object has no such map"))?;
            map.pin(pins.map(name)).map_err(|error| failed(name, &error))?;
            let info = MapData::from_pin(pins.map(name)).and_then(|data| data.info());
            *shape = Shape::of(&info.map_err(|error| failed(name, &error))?);
        }
        for name in names {
            let program =
                ebpf.program_mut(name).ok_or_else(|| failed(name, &"the object does not have it"))?;
            program.pin(pins.program(name)).map_err(|error| failed(name, &error))?;
        }
        for (name, link) in std::mem::take(&mut self.links) {
            link.pin(pins.link(name)).map_err(|error| failed(name, &error))?;
        }
        let manifest = Manifest::new(hook, requests, wanted.requests, shapes);
        let mut map =
            Array::<MapData, Manifest>::create(1, 0).map_err(|error| failed("the manifest", &error))?;
        map.set(0, manifest, 0).map_err(|error| failed("the manifest", &error))?;
        map.pin(pins.manifest()).map_err(|error| failed("the manifest", &error))
    }
}

/// Opens what is pinned at a path. aya asks for the programs' types by number as well, which needs CAP_SYS_ADMIN.
fn object(path: &Path) -> io::Result<OwnedFd> {
    /// `BPF_OBJ_GET` of `include/uapi/linux/bpf.h`.
    const OBJ_GET: libc::c_int = 7;
    #[repr(C)]
    struct Attributes {
        path: u64,
        fd: u32,
        flags: u32,
    }
    let path = CString::new(path.as_os_str().as_bytes())?;
    let attributes = Attributes { path: path.as_ptr() as u64, fd: 0, flags: 0 };
    // SAFETY: the structure and the path that it points to live as long as the call, which writes to neither.
    let fd = unsafe { libc::syscall(libc::SYS_bpf, OBJ_GET, &raw const attributes, size_of::<Attributes>()) };
    match i32::try_from(fd) {
        // SAFETY: the kernel has just made it for this process.
        Ok(fd) if fd >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
        _ => Err(io::Error::last_os_error()),
    }
}
