//! Loading and attaching the kernel programs.

use std::time::{Duration, Instant};

use aya::{
    Btf, Ebpf, EbpfLoader,
    maps::Array,
    programs::{BtfTracePoint, Program, ProgramError, RawTracePoint, links::FdLink},
};
use forensics_common::Config;

use super::{
    beside::beside, load_error::describe_object, pins::Adopted, requests::RequestHook, types::types_for_aya,
    watch_pages,
};
use crate::{host::clock, huge_pages::HugePages, memory};

pub use super::hook::Hook;
pub use super::load_error::LoadError;
pub use super::maps::Maps;
pub use super::types::{KernelTypes, VMLINUX_BTF};

/// The stripped kernel object. It is committed, so that a build needs only stable Rust; `cargo xtask ebpf`
/// makes it anew from `forensics-ebpf/`.
static OBJECT: &[u8] = aya::include_bytes_aligned!("../../../forensics-ebpf/prebuilt/forensics-ebpf.o");

/// What aya's reading of the kernel's types takes, bytes: 22 MB of Linux 6.18.
const NEEDED_BY_AYA: usize = 28 << 20;

/// What is always attached beside `signal_generate`: names of programs, each with its tracepoint.
pub(super) const PROCESS_PROGRAMS: [(&str, &str); 3] = [
    ("process_fork", "sched_process_fork"),
    ("process_exec", "sched_process_exec"),
    (PROCESS_EXIT, "sched_process_exit"),
];

/// The program that sees ends.
pub(super) const PROCESS_EXIT: &str = "process_exit";

/// What is attached when targets are selected by their unit or cgroup.
pub(super) const CGROUP_PROGRAMS: [(&str, &str); 3] = [
    ("cgroup_made", "cgroup_mkdir"),
    ("cgroup_removed", "cgroup_rmdir"),
    ("cgroup_entered", "cgroup_attach_task"),
];

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
    /// How long the kernel took to verify and translate each program.
    pub(super) load_times: Vec<(&'static str, Duration)>,
}

/// Where the programs come from.
pub(super) enum Programs {
    /// This agent loaded them.
    Own(Box<Ebpf>),
    /// An earlier one did, and pinned them.
    Adopted(Box<Adopted>),
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
        let have_task_pt_regs = u64::from(types.have_task_pt_regs);
        let exit_group = libc::SYS_exit_group;
        let log_level = log.map_or(0, |level| level as u8);
        // aya reads the kernel's types twice: when it makes a loader, where they are not needed, and for the BTF tracepoint.
        let huge_pages = HugePages::for_next(NEEDED_BY_AYA);
        let ebpf = EbpfLoader::new()
            .btf(None)
            .override_global("OFFSETS", &types.offsets, true)
            .override_global("HAVE_TASK_PT_REGS", &have_task_pt_regs, true)
            .override_global("EXIT_GROUP", &exit_group, true)
            .override_global("SOCKET_OFFSETS", &types.sockets, true)
            .override_global("CONFIG", &config, true)
            .override_global(aya_log::LEVEL, &log_level, false)
            .map_max_entries("WATCHED", watch_pages::needed())
            .load(OBJECT)
            .map_err(|error| describe_object(&error))?;
        let programs = Programs::Own(Box::new(ebpf));
        let mut kernel = Self {
            programs,
            links: Vec::new(),
            hook,
            sees_cgroups: false,
            requests: None,
            since_ns: clock::boot_ns(),
            load_times: Vec::new(),
        };
        let mut attach_to_processes = || {
            PROCESS_PROGRAMS
                .into_iter()
                .try_for_each(|(name, tracepoint)| kernel.attach_raw(name, tracepoint))
        };
        match hook {
            Hook::RawTracepoint => {
                attach_to_processes()?;
                kernel.attach_raw(hook.program(), "signal_generate")?;
            }
            Hook::TpBtf => {
                let (btf, attached) = beside("types", types_for_aya, attach_to_processes);
                attached?;
                kernel.attach_btf(hook.program(), "signal_generate", &btf?)?;
            }
        }
        // Nobody needs that memory again.
        drop(huge_pages);
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

    /// The object, where this agent loaded it.
    pub(super) fn own(&mut self) -> Option<&mut Ebpf> {
        match &mut self.programs {
            Programs::Own(ebpf) => Some(ebpf),
            Programs::Adopted(_) => None,
        }
    }

    pub(super) fn attach_raw(&mut self, name: &'static str, tracepoint: &str) -> Result<(), LoadError> {
        let program: &mut RawTracePoint = self.program(name)?;
        let began = Instant::now();
        program.load().map_err(|error| LoadError::of_program(name, &error))?;
        let took = began.elapsed();
        let link = program.attach(tracepoint).and_then(|id| program.take_link(id));
        let link = link.map_err(|error| LoadError::of_program(name, &error))?;
        self.attached(name, took, link.into());
        Ok(())
    }

    fn attach_btf(&mut self, name: &'static str, tracepoint: &str, btf: &Btf) -> Result<(), LoadError> {
        let program: &mut BtfTracePoint = self.program(name)?;
        let began = Instant::now();
        program.load(tracepoint, btf).map_err(|error| LoadError::of_program(name, &error))?;
        let took = began.elapsed();
        let link = program.attach().and_then(|id| program.take_link(id));
        let link = link.map_err(|error| LoadError::of_program(name, &error))?;
        self.attached(name, took, link.into());
        Ok(())
    }

    /// Keeps what holds a program at its hook, and how long the program took to load.
    pub(super) fn attached(&mut self, name: &'static str, load_time: Duration, link: FdLink) {
        self.load_times.push((name, load_time));
        self.links.push((name, link));
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
}
