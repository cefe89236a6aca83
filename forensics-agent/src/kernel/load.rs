//! Loading and attaching the kernel programs.

use std::{io, path::Path};

use aya::{
    Btf as AyaBtf, Ebpf, EbpfError, EbpfLoader,
    maps::{Array, HashMap, MapData, MapError, PerCpuArray, RingBuf},
    programs::{BtfTracePoint, Program, ProgramError, RawTracePoint},
};
use forensics_common::{
    CgroupKey, Config, ExecEntry, FoldKey, FoldValue, Offsets, Reach, SocketOffsets, Target, TaskKey,
};

use super::{
    btf::{Btf, BtfError},
    offsets,
    requests::RequestHook,
    watch_pages::{self, WatchPages},
};
use crate::memory;

/// The stripped kernel object. It is committed, so that a build needs only stable Rust; `cargo xtask ebpf`
/// makes it anew from `forensics-ebpf/`.
static OBJECT: &[u8] = aya::include_bytes_aligned!("../../../forensics-ebpf/prebuilt/forensics-ebpf.o");

/// Where the kernel publishes its type information.
pub const VMLINUX_BTF: &str = "/sys/kernel/btf/vmlinux";

/// What is always attached beside `signal_generate`: names of programs, each with its tracepoint.
const PROCESS_PROGRAMS: [(&str, &str); 3] = [
    ("process_fork", "sched_process_fork"),
    ("process_exec", "sched_process_exec"),
    ("process_exit", "sched_process_exit"),
];

/// What is attached when targets are selected by their unit or cgroup.
const CGROUP_PROGRAMS: [(&str, &str); 3] = [
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
    fn program(self) -> &'static str {
        match self {
            Self::RawTracepoint => "signal_raw",
            Self::TpBtf => "signal_btf",
        }
    }
}

/// Why the agent cannot work on this host.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// No type information: the layout of the kernel's structures is unknown.
    #[error(
        "the kernel offers no type information: {VMLINUX_BTF} cannot be read ({0}); a kernel built with \
         CONFIG_DEBUG_INFO_BTF=y is needed, and /sys must be mounted"
    )]
    NoBtf(io::Error),
    /// The type information lacks something that every supported kernel has.
    #[error("the kernel's type information in {VMLINUX_BTF} is of no use: {0}")]
    Btf(#[from] BtfError),
    /// Not allowed.
    #[error("{what} is not permitted: run as root, or with CAP_BPF, CAP_PERFMON and CAP_SYS_PTRACE ({hint})")]
    NotPermitted {
        /// What was tried.
        what: String,
        /// What may stand in the way.
        hint: String,
    },
    /// The verifier would not have a program.
    #[error("the kernel's verifier rejected the program {program}: {reason}")]
    Rejected {
        /// The program.
        program: &'static str,
        /// The last line that the verifier wrote.
        reason: String,
    },
    /// A map or a program could not be made.
    #[error("{what} failed: {reason}")]
    Failed {
        /// What was tried.
        what: String,
        /// The kernel's answer.
        reason: String,
    },
}

impl LoadError {
    /// What the kernel says to a program.
    pub(super) fn of_program(program: &'static str, error: &ProgramError) -> Self {
        match error {
            ProgramError::LoadError { io_error, verifier_log } => {
                let log = verifier_log.to_string();
                let said = verifiers_reason(&log);
                match (io_error.raw_os_error(), said) {
                    (Some(libc::EPERM), None) => not_permitted(format!("loading the program {program}")),
                    (_, Some(said)) => LoadError::Rejected { program, reason: said.to_owned() },
                    (_, None) => LoadError::Rejected { program, reason: io_error.to_string() },
                }
            }
            error => {
                let what = format!("attaching the program {program}");
                match system_error(error) {
                    Some(io) if io.raw_os_error() == Some(libc::EPERM) => not_permitted(what),
                    _ => LoadError::Failed { what, reason: in_one_line(error) },
                }
            }
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

/// The running kernel programs and the agent's ends of their maps. Dropping it detaches everything.
pub struct Kernel {
    ebpf: Ebpf,
    hook: Hook,
    /// The programs of cgroups are attached as well.
    sees_cgroups: bool,
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
        let mut kernel = Self { ebpf, hook, sees_cgroups: false };
        for (program, tracepoint) in PROCESS_PROGRAMS {
            kernel.attach_raw(program, tracepoint)?;
        }
        match hook {
            Hook::RawTracepoint => kernel.attach_raw(hook.program(), "signal_generate")?,
            Hook::TpBtf => kernel.attach_btf(hook.program(), "signal_generate")?,
        }
        // aya's own reading of the kernel's BTF took 20 MB that nobody needs again.
        memory::trim();
        kernel.attach_to_cgroups(config)?;
        Ok(kernel)
    }

    /// Tries each hook variant for real, and detaches it again.
    pub fn try_hooks(types: &KernelTypes) -> Vec<HookTrial> {
        let trial =
            |hook| HookTrial { hook, result: Self::load_with(types, Config::NOTHING, None, hook).map(drop) };
        Hook::ALL.into_iter().map(trial).collect()
    }

    /// Attaches what is needed to select by cgroups, once it is needed.
    fn attach_to_cgroups(&mut self, config: Config) -> Result<(), LoadError> {
        if config.watch_new_cgroups != 0 && !self.sees_cgroups {
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
        self.attach_to_cgroups(config)?;
        let failed = |reason: String| LoadError::Failed { what: "writing the map .data".to_owned(), reason };
        let map =
            self.ebpf.map_mut(".data").ok_or_else(|| failed("the object has no such map".to_owned()))?;
        let mut data = Array::<_, Config>::try_from(map).map_err(|error| failed(error.to_string()))?;
        data.set(0, config, 0).map_err(|error| failed(error.to_string()))
    }

    /// The hook variant in use.
    pub fn hook(&self) -> Hook {
        self.hook
    }

    /// Takes the agent's ends of the maps; they can be taken once.
    ///
    /// # Errors
    ///
    /// The object lacks a map, or it was taken before.
    pub fn take_maps(&mut self) -> Result<Maps, LoadError> {
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
        let map = self.ebpf.take_map(name).ok_or_else(|| failed("the object has no such map".to_owned()))?;
        M::try_from(map).map_err(|error| failed(error.to_string()))
    }

    fn watch_pages(&mut self) -> Result<WatchPages, LoadError> {
        let failed =
            |reason: String| LoadError::Failed { what: "mapping the map WATCHED".to_owned(), reason };
        let map = self.ebpf.map("WATCHED").ok_or_else(|| failed("the object has no such map".to_owned()))?;
        WatchPages::open(map).map_err(|error| failed(error.to_string()))
    }

    pub(super) fn attach_raw(&mut self, name: &'static str, tracepoint: &str) -> Result<(), LoadError> {
        let program: &mut RawTracePoint = self.program(name)?;
        program.load().map_err(|error| LoadError::of_program(name, &error))?;
        program.attach(tracepoint).map(drop).map_err(|error| LoadError::of_program(name, &error))
    }

    fn attach_btf(&mut self, name: &'static str, tracepoint: &str) -> Result<(), LoadError> {
        let btf = types_for_aya()?;
        let program: &mut BtfTracePoint = self.program(name)?;
        program.load(tracepoint, &btf).map_err(|error| LoadError::of_program(name, &error))?;
        program.attach().map(drop).map_err(|error| LoadError::of_program(name, &error))
    }

    pub(super) fn program<'a, P>(&'a mut self, name: &'static str) -> Result<&'a mut P, LoadError>
    where
        &'a mut P: TryFrom<&'a mut Program, Error = ProgramError>,
    {
        let failed =
            |reason: String| LoadError::Failed { what: format!("finding the program {name}"), reason };
        let program =
            self.ebpf.program_mut(name).ok_or_else(|| failed("the object does not have it".to_owned()))?;
        program.try_into().map_err(|error: ProgramError| failed(error.to_string()))
    }

    /// Starts passing on what the programs log. Only of use when they were loaded with a level.
    ///
    /// # Errors
    ///
    /// The object has no log statements.
    pub fn logger(&mut self) -> Result<ProgramsLog, aya_log::Error> {
        aya_log::EbpfLogger::init(&mut self.ebpf)
    }

    /// Runs of programs that the kernel skipped because the program was running already, since loading.
    pub fn recursion_misses(&self) -> u64 {
        // Those that see requests run where they can be preempted: what they miss then is nearly always no request.
        self.ebpf
            .programs()
            .filter(|(name, _)| !RequestHook::is_program(name))
            .filter_map(|(_, program)| program.fd().ok())
            .filter_map(|fd| {
                use std::os::fd::{AsFd as _, AsRawFd as _};
                let path = format!("/proc/self/fdinfo/{}", fd.as_fd().as_raw_fd());
                let text = std::fs::read_to_string(path).ok()?;
                let line = text.lines().find_map(|line| line.strip_prefix("recursion_misses:"))?;
                line.trim().parse::<u64>().ok()
            })
            .sum()
    }

    /// Name, verified instructions and translated size of each loaded program.
    pub fn program_sizes(&self) -> Vec<(String, u32, u32)> {
        self.ebpf
            .programs()
            .filter_map(|(name, program)| {
                let info = program.info().ok()?;
                let verified = info.verified_instruction_count().unwrap_or(0);
                Some((name.to_owned(), verified, info.size_translated().unwrap_or(0)))
            })
            .collect()
    }
}

/// The kernel's types as aya reads them: 20 MB, until they are dropped.
pub(super) fn types_for_aya() -> Result<AyaBtf, LoadError> {
    AyaBtf::from_sys_fs().map_err(|error| LoadError::Failed {
        what: format!("reading {VMLINUX_BTF}"),
        reason: error.to_string(),
    })
}

/// Finds the system error at the bottom of a chain of errors.
fn system_error<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a io::Error> {
    let mut error = Some(error);
    while let Some(current) = error {
        if let Some(io) = current.downcast_ref::<io::Error>() {
            return Some(io);
        }
        error = current.source();
    }
    None
}

/// The chain of errors in one line.
fn in_one_line(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text.lines().next().unwrap_or_default().to_owned()
}

fn not_permitted(what: String) -> LoadError {
    let hint = std::fs::read_to_string("/sys/kernel/security/lockdown")
        .ok()
        .filter(|text| text.contains("[confidentiality]"))
        .map_or_else(
            || "a container may withhold them".to_owned(),
            |_| {
                "the kernel is locked down to confidentiality, which forbids reading kernel memory".to_owned()
            },
        );
    LoadError::NotPermitted { what, hint }
}

fn describe_object(error: &EbpfError) -> LoadError {
    let what = "creating the eBPF maps".to_owned();
    match system_error(error) {
        Some(io) if io.raw_os_error() == Some(libc::EPERM) => not_permitted(what),
        // A map type that the kernel does not know; the ring buffer is the newest of ours.
        Some(io) if io.raw_os_error() == Some(libc::EINVAL) => LoadError::Failed {
            what,
            reason: format!("{}; Linux 5.8 or newer is needed", in_one_line(error)),
        },
        _ => LoadError::Failed { what, reason: in_one_line(error) },
    }
}

/// The verifier's last word on a program: what it says after the last instruction that it looked at. Behind that come
/// statistics, which differ from kernel to kernel.
fn verifiers_reason(log: &str) -> Option<&str> {
    let is_instruction = |line: &str| {
        let number = line.split_once(": (").map_or("", |(number, _)| number);
        !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
    };
    let is_statistic =
        |line: &str| ["processed ", "verification time ", "stack depth "].iter().any(|s| line.starts_with(s));
    let lines: Vec<&str> = log.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let from = lines.iter().rposition(|line| is_instruction(line)).map_or(0, |last| last + 1);
    lines.into_iter().skip(from).find(|line| !is_statistic(line))
}

#[cfg(test)]
mod tests {
    use super::verifiers_reason;

    #[test]
    fn the_reason_stands_after_the_last_instruction() {
        let log = "0: R1=ctx() R10=fp0\n; int x @ a.rs:1\n4: (79) r2 = *(u64 *)(r1 +16)   ; R2=ptr_task_struct()\n\
                   5: (61) r1 = *(u32 *)(r2 +3)\naccess beyond the end of member tgid\n\
                   verification time 12 usec\nstack depth 120+0\ninsns processed 28\nprocessed 6 insns (limit 1000000)\n";
        assert_eq!(verifiers_reason(log), Some("access beyond the end of member tgid"));
        assert_eq!(verifiers_reason("unknown opcode 8d\nprocessed 0 insns\n"), Some("unknown opcode 8d"));
        assert_eq!(verifiers_reason("processed 0 insns\n"), None);
        assert_eq!(verifiers_reason(""), None);
    }
}
