//! An empty program beside the agent's, and the kernel's statistics of both.

use std::ffi::CStr;
use std::fs;
use std::io::Error;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};
use std::path::PathBuf;

use anyhow::{Context as _, Result};

/// Commands of bpf(2), `enum bpf_cmd` of `include/uapi/linux/bpf.h`.
const BPF_PROG_LOAD: i32 = 5;
const BPF_RAW_TRACEPOINT_OPEN: i32 = 17;
const BPF_ENABLE_STATS: i32 = 32;
/// `enum bpf_prog_type`.
const BPF_PROG_TYPE_RAW_TRACEPOINT: u32 = 17;

/// The tracepoint that everything here is about.
const TRACEPOINT: &str = "signal_generate";

/// The head of `union bpf_attr` for each command; the kernel takes the rest for zeros.
#[repr(C)]
struct LoadAttr {
    kind: u32,
    instructions: u32,
    code: u64,
    license: u64,
}
#[repr(C)]
struct OpenAttr {
    name: u64,
    program: u32,
    pad: u32,
}
#[repr(C)]
struct StatsAttr {
    /// 0: `BPF_STATS_RUN_TIME`.
    kind: u32,
}

/// The statistics are on as long as it lives.
#[derive(Debug)]
pub(super) struct Statistics {
    _fd: OwnedFd,
}

impl Statistics {
    /// Lets the kernel take the time of every run of a program (Linux 5.8).
    pub(super) fn enable() -> Result<Self> {
        let fd = bpf(BPF_ENABLE_STATS, &StatsAttr { kind: 0 }).context("cannot enable BPF statistics")?;
        Ok(Self { _fd: fd })
    }
}

/// A program that does nothing, attached as a raw tracepoint as long as it lives.
#[derive(Debug)]
pub(super) struct EmptyProgram {
    program: OwnedFd,
    _link: OwnedFd,
}

impl EmptyProgram {
    /// Loads and attaches it.
    pub(super) fn attach() -> Result<Self> {
        // `struct bpf_insn`: `r0 = 0; exit`.
        let code: [[u8; 8]; 2] = [[0xb7, 0, 0, 0, 0, 0, 0, 0], [0x95, 0, 0, 0, 0, 0, 0, 0]];
        let license: &CStr = c"GPL";
        let load = LoadAttr {
            kind: BPF_PROG_TYPE_RAW_TRACEPOINT,
            instructions: code.len() as u32,
            code: code.as_ptr() as u64,
            license: license.as_ptr() as u64,
        };
        let program = bpf(BPF_PROG_LOAD, &load).context("cannot load an empty program")?;
        let name: &CStr = c"signal_generate";
        let open = OpenAttr { name: name.as_ptr() as u64, program: program.as_raw_fd() as u32, pad: 0 };
        let link = bpf(BPF_RAW_TRACEPOINT_OPEN, &open).context("cannot attach an empty program")?;
        Ok(Self { program, _link: link })
    }

    /// Its statistics.
    pub(super) fn program(&self) -> Program {
        Program { fdinfo: PathBuf::from(format!("/proc/self/fdinfo/{}", self.program.as_raw_fd())) }
    }
}

/// Makes a call that yields a descriptor.
fn bpf<A>(command: i32, attr: &A) -> Result<OwnedFd, Error> {
    // SAFETY: `attr` is as large as is said, and all that it points to lives until the call returns.
    let fd = unsafe { libc::syscall(libc::SYS_bpf, command, &raw const *attr, size_of::<A>()) };
    match RawFd::try_from(fd) {
        // SAFETY: a new descriptor, which nobody else has.
        Ok(fd @ 0..) => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
        _ => Err(Error::last_os_error()),
    }
}

/// A loaded program, of whatever process.
#[derive(Debug)]
pub(super) struct Program {
    fdinfo: PathBuf,
}

/// What a program has cost.
#[derive(Debug, Clone, Copy)]
pub(super) struct Usage {
    nanoseconds: f64,
    runs: f64,
}

impl Program {
    /// The program that a process has attached to the tracepoint.
    pub(super) fn of(pid: u32) -> Result<Self> {
        let infos = fdinfos(pid)?;
        let is_link =
            |text: &str| field(text, "link_type").is_some() && field(text, "tp_name") == Some(TRACEPOINT);
        let link = infos.iter().find(|(_, text)| is_link(text));
        let id = link.and_then(|(_, text)| field(text, "prog_id"));
        let id = id.with_context(|| format!("process {pid} has no raw tracepoint {TRACEPOINT}"))?;
        let is_program =
            |text: &str| field(text, "prog_type").is_some() && field(text, "prog_id") == Some(id);
        let program = infos.iter().find(|(_, text)| is_program(text));
        let (fdinfo, _) = program.with_context(|| format!("process {pid} does not keep program {id}"))?;
        Ok(Self { fdinfo: fdinfo.clone() })
    }

    /// What it has cost since it was loaded.
    pub(super) fn usage(&self) -> Result<Usage> {
        let path = self.fdinfo.display();
        let text = fs::read_to_string(&self.fdinfo).with_context(|| format!("cannot read {path}"))?;
        let number = |name: &str| {
            let number = field(&text, name).and_then(|value| value.parse().ok());
            number.with_context(|| format!("{path} has no {name}"))
        };
        Ok(Usage { nanoseconds: number("run_time_ns")?, runs: number("run_cnt")? })
    }
}

impl Usage {
    /// Nanoseconds of one run since an earlier reading.
    pub(super) fn per_run_since(self, earlier: Self) -> f64 {
        (self.nanoseconds - earlier.nanoseconds) / (self.runs - earlier.runs)
    }
}

/// What all programs of a process have run, nanoseconds.
pub(super) fn program_ns(pid: u32) -> Result<f64> {
    let infos = fdinfos(pid)?;
    // Several descriptors may be of one program.
    let programs: std::collections::BTreeMap<_, _> = infos
        .iter()
        .filter_map(|(_, text)| {
            field(text, "prog_type").and(Some((field(text, "prog_id")?, field(text, "run_time_ns")?)))
        })
        .collect();
    programs.values().map(|ns| ns.parse::<f64>().with_context(|| format!("{ns:?} is no time"))).sum()
}

/// Kernel memory of all maps that a process has, bytes.
pub(super) fn map_memory(pid: u32) -> Result<f64> {
    let infos = fdinfos(pid)?;
    let maps: std::collections::BTreeMap<_, _> = infos
        .iter()
        // Several descriptors may be of one map.
        .filter_map(|(_, text)| Some((field(text, "map_id")?, field(text, "memlock")?)))
        .collect();
    maps.values().map(|bytes| bytes.parse::<f64>().with_context(|| format!("{bytes:?} is no size"))).sum()
}

/// What the kernel says of each descriptor of a process.
fn fdinfos(pid: u32) -> Result<Vec<(PathBuf, String)>> {
    let directory = format!("/proc/{pid}/fdinfo");
    let entries = fs::read_dir(&directory).with_context(|| format!("cannot list {directory}"))?;
    // One that is closed meanwhile is none of those that are kept.
    let read = |path: PathBuf| fs::read_to_string(&path).ok().map(|text| (path, text));
    Ok(entries.flatten().filter_map(|entry| read(entry.path())).collect())
}

fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| Some(line.strip_prefix(name)?.strip_prefix(':')?.trim()))
}
