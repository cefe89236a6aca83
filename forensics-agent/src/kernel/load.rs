//! Loading and attaching the kernel programs.

use std::os::fd::{AsFd, AsRawFd as _};
use std::path::Path;

use aya::{
    Btf as AyaBtf, Ebpf, EbpfLoader,
    maps::{Array, HashMap, MapData, MapError, PerCpuArray, RingBuf},
    programs::{BtfTracePoint, Program, ProgramError, RawTracePoint, links::FdLink},
};
use forensics_common::{
    CgroupKey, Config, ExecEntry, FoldKey, FoldValue, Offsets, Reach, SocketOffsets, Target, TaskKey,
};

use super::{
    btf::Btf,
    load_error::describe_object,
    offsets,
    pins::Adopted,
    requests::RequestHook,
    watch_pages::{self, WatchPages},
};
use crate::{host::clock, memory};

pub use super::load_error::LoadError;

/// The stripped kernel object. It is committed, so that a build needs only stable Rust; `cargo xtask ebpf`
/// makes it anew from `forensics-ebpf/`.
static OBJECT: &[u8] = aya::include_bytes_aligned!("../../../forensics-ebpf/prebuilt/forensics-ebpf.o");

/// Where the kernel publishes its type information.
pub const VMLINUX_BTF: &str = "/sys/kernel/btf/vmlinux";

/// What is always attached beside `signal_generate`: names of programs, each with its tracepoint.
pub(super) const PROCESS_PROGRAMS: [(&str, &str); 3] = [
    ("process_fork", "sched_process_fork"),
    ("process_exec", "sched_process_exec"),
    ("process_exit", "sched_process_exit"),
];

/// What is attached when targets are selected by their unit or cgroup.
pub(super) const CGROUP_PROGRAMS: [(&str, &str); 3] = [
    ("cgroup_made", "cgroup_mkdir"),
    ("cgroup_removed", "cgroup_rmdir"),
    ("cgroup_entered", "cgroup_attach_task"),
];

/// The ways of hooking `signal_generate`, in the order in which they are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hook {
    /// A BTF tracepoint: the verifier knows the type of the target, so that the way out for unwatched processes is a
    /// few plain loads, a tenth of what the raw tracepoint's calls cost. It takes 16 ms more to load.
    TpBtf,
    /// A raw tracepoint: needs nothing of the kernel's types.
    RawTracepoint,
}

impl Hook {
    /// All of them, the preferred one first.
    pub const ALL: [Self; 2] = [Self::TpBtf, Self::RawTracepoint];

    /// Its name in the ready line.
    pub fn name(self) -> &'static str {
        match self {
            Self::RawTracepoint => "raw_tracepoint",
            Self::TpBtf => "tp_btf",
        }
    }

    /// Name of the program in the object.
    pub(super) fn program(self) -> &'static str {
        match self {
            Self::RawTracepoint => "signal_raw",
            Self::TpBtf => "signal_btf",
        }
    }
}

/// The agent's end of what the kernel programs log.
pub type ProgramsLog = aya_log::EbpfLogger<&'static dyn log::Log>;

/// What one hook variant answered when it was really loaded and attached.
#[derive(Debug)]
pub struct HookTrial {
    /// Which.
    pub hook: Hook,
    /// Whether it works, or why not.
    pub result: Result<(), LoadError>,
}

/// The running kernel programs and the agent's ends of their maps. Dropping it detaches everything that is not pinned.
pub struct Kernel {
    pub(super) programs: Programs,
    /// What holds programs at their hooks, by their names.
    pub(super) links: Vec<(&'static str, FdLink)>,
    pub(super) hook: Hook,
    /// The programs of cgroups are attached as well.
    pub(super) sees_cgroups: bool,
    /// The hook for requests that is attached.
    pub(super) requests: Option<RequestHook>,
    /// Since when they run, `CLOCK_BOOTTIME` nanoseconds.
    pub(super) since_ns: u64,
}

/// Where the programs come from.
pub(super) enum Programs {
    /// This agent loaded them.
    Own(Box<Ebpf>),
    /// An earlier one did, and pinned them.
    Adopted(Box<Adopted>),
}

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

/// The kernel's type information, read once: the offsets for the programs.
#[derive(Debug, Clone, Copy)]
pub struct KernelTypes {
    /// The offset table.
    pub offsets: Offsets,
    /// That of the programs which see requests.
    pub sockets: SocketOffsets,
    /// The helper `bpf_task_pt_regs()` exists.
    pub have_task_pt_regs: bool,
}

impl KernelTypes {
    /// Reads the running kernel's.
    ///
    /// # Errors
    ///
    /// There is none, or it lacks what the programs cannot do without.
    pub fn read() -> Result<Self, LoadError> {
        let bytes = std::fs::read(Path::new(VMLINUX_BTF)).map_err(LoadError::NoBtf)?;
        let btf = Btf::parse(&bytes)?;
        Ok(Self {
            offsets: offsets::resolve(&btf)?,
            sockets: offsets::resolve_sockets(&btf)?,
            have_task_pt_regs: btf.has_function("bpf_task_pt_regs"),
        })
    }
}

impl Kernel {
    /// Loads and attaches everything, with the first hook variant that this kernel really takes.
    ///
    /// # Errors
    ///
    /// One sentence that says what is missing.
    pub fn load(types: &KernelTypes, config: Config, log: Option<aya_log::Level>) -> Result<Self, LoadError> {
        let mut last = None;
        for hook in Hook::ALL {
            match Self::load_with(types, config, log, hook) {
                Ok(kernel) => return Ok(kernel),
                // What another hook cannot mend ends the search.
                Err(error @ LoadError::NoBtf(_)) => return Err(error),
                Err(error) => last = last.or(Some(error)),
            }
        }
        Err(last.unwrap_or_else(|| LoadError::Failed {
            what: "attaching to signal_generate".to_owned(),
            reason: "no hook variant is known".to_owned(),
        }))
    }

    /// Loads and attaches everything with one hook variant.
    ///
    /// # Errors
    ///
    /// One sentence that says what is missing.
    pub fn load_with(
        types: &KernelTypes,
        config: Config,
        log: Option<aya_log::Level>,
        hook: Hook,
    ) -> Result<Self, LoadError> {
        Self::load_object(OBJECT, types, config, log, hook)
    }

    fn load_object(
        object: &[u8],
        types: &KernelTypes,
        config: Config,
        log: Option<aya_log::Level>,
        hook: Hook,
    ) -> Result<Self, LoadError> {
        let have_task_pt_regs = u64::from(types.have_task_pt_regs);
        let exit_group = libc::SYS_exit_group;
        let log_level = log.map_or(0, |level| level as u8);
        let ebpf = EbpfLoader::new()
            .btf(None)
            .override_global("OFFSETS", &types.offsets, true)
            .override_global("HAVE_TASK_PT_REGS", &have_task_pt_regs, true)
            .override_global("EXIT_GROUP", &exit_group, true)
            .override_global("SOCKET_OFFSETS", &types.sockets, true)
            .override_global("CONFIG", &config, true)
            .override_global(aya_log::LEVEL, &log_level, false)
            .map_max_entries("WATCHED", watch_pages::needed())
            .load(object)
            .map_err(|error| describe_object(&error))?;
        let programs = Programs::Own(Box::new(ebpf));
        let mut kernel = Self {
            programs,
            links: Vec::new(),
            hook,
            sees_cgroups: false,
            requests: None,
            since_ns: clock::boot_ns(),
        };
        for (program, tracepoint) in PROCESS_PROGRAMS {
            kernel.attach_raw(program, tracepoint)?;
        }
        match hook {
            Hook::RawTracepoint => kernel.attach_raw(hook.program(), "signal_generate")?,
            Hook::TpBtf => kernel.attach_btf(hook.program(), "signal_generate")?,
        }
        // aya's own reading of the kernel's BTF took 20 MB that nobody needs again.
        memory::trim();
        if config.watch_new_cgroups != 0 {
            kernel.attach_to_cgroups()?;
        }
        Ok(kernel)
    }

    /// Tries each hook variant for real, and detaches it again.
    pub fn try_hooks(types: &KernelTypes) -> Vec<HookTrial> {
        let trial =
            |hook| HookTrial { hook, result: Self::load_with(types, Config::NOTHING, None, hook).map(drop) };
        Hook::ALL.into_iter().map(trial).collect()
    }

    /// Attaches what is needed to select by cgroups, once it is needed.
    pub(super) fn attach_to_cgroups(&mut self) -> Result<(), LoadError> {
        if !self.sees_cgroups {
            for (program, tracepoint) in CGROUP_PROGRAMS {
                self.attach_raw(program, tracepoint)?;
            }
            self.sees_cgroups = true;
        }
        Ok(())
    }

    /// Changes what the programs record, from now on.
    ///
    /// # Errors
    ///
    /// The kernel does not take it.
    pub fn reconfigure(&mut self, config: Config) -> Result<(), LoadError> {
        if config.watch_new_cgroups != 0 {
            self.attach_to_cgroups()?;
        }
        let failed = |reason: String| LoadError::Failed { what: "writing the map .data".to_owned(), reason };
        let set = match &mut self.programs {
            Programs::Own(ebpf) => {
                let map =
                    ebpf.map_mut(".data").ok_or_else(|| failed("the object has no such map".to_owned()))?;
                let mut data =
                    Array::<_, Config>::try_from(map).map_err(|error| failed(error.to_string()))?;
                data.set(0, config, 0)
            }
            Programs::Adopted(adopted) => adopted.config.set(0, config, 0),
        };
        set.map_err(|error| failed(error.to_string()))
    }

    /// The hook variant in use.
    pub fn hook(&self) -> Hook {
        self.hook
    }

    /// Since when the programs run, `CLOCK_BOOTTIME` nanoseconds; longer than the agent, where an earlier one pinned them.
    pub fn since_ns(&self) -> u64 {
        self.since_ns
    }

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

    fn take<M: TryFrom<aya::maps::Map, Error = MapError>>(&mut self, name: &str) -> Result<M, LoadError> {
        let failed = |reason: String| LoadError::Failed { what: format!("opening the map {name}"), reason };
        let map = self.own().and_then(|ebpf| ebpf.take_map(name));
        let map = map.ok_or_else(|| failed("the object has no such map".to_owned()))?;
        M::try_from(map).map_err(|error| failed(error.to_string()))
    }

    /// The object, where this agent loaded it.
    pub(super) fn own(&mut self) -> Option<&mut Ebpf> {
        match &mut self.programs {
            Programs::Own(ebpf) => Some(ebpf),
            Programs::Adopted(_) => None,
        }
    }

    fn watch_pages(&mut self) -> Result<WatchPages, LoadError> {
        let failed =
            |reason: String| LoadError::Failed { what: "mapping the map WATCHED".to_owned(), reason };
        let map = self.own().and_then(|ebpf| ebpf.map("WATCHED"));
        let map = map.ok_or_else(|| failed("the object has no such map".to_owned()))?;
        WatchPages::open(map).map_err(|error| failed(error.to_string()))
    }

    pub(super) fn attach_raw(&mut self, name: &'static str, tracepoint: &str) -> Result<(), LoadError> {
        let program: &mut RawTracePoint = self.program(name)?;
        program.load().map_err(|error| LoadError::of_program(name, &error))?;
        let link = program.attach(tracepoint).and_then(|id| program.take_link(id));
        let link = link.map_err(|error| LoadError::of_program(name, &error))?;
        self.links.push((name, link.into()));
        Ok(())
    }

    fn attach_btf(&mut self, name: &'static str, tracepoint: &str) -> Result<(), LoadError> {
        let btf = types_for_aya()?;
        let program: &mut BtfTracePoint = self.program(name)?;
        program.load(tracepoint, &btf).map_err(|error| LoadError::of_program(name, &error))?;
        let link = program.attach().and_then(|id| program.take_link(id));
        let link = link.map_err(|error| LoadError::of_program(name, &error))?;
        self.links.push((name, link.into()));
        Ok(())
    }

    pub(super) fn program<'a, P>(&'a mut self, name: &'static str) -> Result<&'a mut P, LoadError>
    where
        &'a mut P: TryFrom<&'a mut Program, Error = ProgramError>,
    {
        let failed =
            |reason: String| LoadError::Failed { what: format!("finding the program {name}"), reason };
        let program = self.own().and_then(|ebpf| ebpf.program_mut(name));
        let program = program.ok_or_else(|| failed("it is not among those that are loaded".to_owned()))?;
        program.try_into().map_err(|error: ProgramError| failed(error.to_string()))
    }

    /// Starts passing on what the programs log. Only of use when they were loaded with a level.
    ///
    /// # Errors
    ///
    /// The object has no log statements. None where another agent loaded the programs.
    pub fn logger(&mut self) -> Option<Result<ProgramsLog, aya_log::Error>> {
        self.own().map(aya_log::EbpfLogger::init)
    }

    /// Runs of programs that the kernel skipped because the program was running already, since loading.
    pub fn recursion_misses(&self) -> u64 {
        let ebpf = match &self.programs {
            Programs::Own(ebpf) => ebpf,
            Programs::Adopted(adopted) => return adopted.recursion_misses(),
        };
        // Those that see requests run where they can be preempted: what they miss then is nearly always no request.
        ebpf.programs()
            .filter(|(name, _)| !RequestHook::is_program(name))
            .filter_map(|(_, program)| program.fd().ok())
            .map(recursion_misses)
            .sum()
    }

    /// Name, verified instructions and translated size of each loaded program.
    pub fn program_sizes(&self) -> Vec<(String, u32, u32)> {
        let Programs::Own(ebpf) = &self.programs else { return Vec::new() };
        ebpf.programs()
            .filter_map(|(name, program)| {
                let info = program.info().ok()?;
                let verified = info.verified_instruction_count().unwrap_or(0);
                Some((name.to_owned(), verified, info.size_translated().unwrap_or(0)))
            })
            .collect()
    }
}

/// What the kernel says of one program, 0 where it says nothing.
pub(super) fn recursion_misses(program: &impl AsFd) -> u64 {
    let path = format!("/proc/self/fdinfo/{}", program.as_fd().as_raw_fd());
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("recursion_misses:"));
    line.and_then(|count| count.trim().parse().ok()).unwrap_or(0)
}

/// The kernel's types as aya reads them: 20 MB, until they are dropped.
pub(super) fn types_for_aya() -> Result<AyaBtf, LoadError> {
    AyaBtf::from_sys_fs().map_err(|error| LoadError::Failed {
        what: format!("reading {VMLINUX_BTF}"),
        reason: error.to_string(),
    })
}
