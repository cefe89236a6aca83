//! What the kernel says of the loaded programs.

use std::os::fd::{AsFd, AsRawFd as _};
use std::time::Duration;

use aya::programs::Program;
use forensics_common::Config;

use super::{
    load::{Kernel, PROCESS_EXIT, Programs},
    requests::RequestHook,
};

/// Asks everything of the programs that they can do, so that nothing is folded away before it is verified.
pub const EVERYTHING: Config = Config {
    record_mask: u64::MAX,
    unhandled_mask: u64::MAX,
    all: 1,
    watch_execs: 1,
    watch_new_cgroups: 1,
    ..Config::NOTHING
};

/// What a program cost the kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProgramCost {
    /// Its name in the object.
    pub name: String,
    /// Instructions that the verifier looked at; 0 before Linux 5.16, which does not tell.
    pub verified: u32,
    /// Bytes of what the kernel runs before it is compiled.
    pub translated: u32,
    /// How long loading took.
    pub load_time: Option<Duration>,
}

impl Kernel {
    /// Runs of programs that the kernel skipped because the program was running already, since loading: of those whose
    /// records are lost with that.
    pub fn recursion_misses(&self) -> u64 {
        // Those that see requests run where they can be preempted: what they miss then is nearly always no request.
        self.misses(|name| !RequestHook::is_program(name) && name != PROCESS_EXIT)
    }

    /// Ends that were skipped, of whomever. Those of targets are recorded all the same when their parents are told, unless
    /// these do not want to know.
    pub fn skipped_ends(&self) -> u64 {
        self.misses(|name| name == PROCESS_EXIT)
    }

    /// Whether the kernel may have skipped a run of a program that sees requests, and a request with it.
    pub fn may_miss_requests(&self) -> bool {
        self.misses(RequestHook::is_program) > 0
    }

    /// What the kernel says of the programs that are loaded and have such names.
    fn misses(&self, wanted: impl Fn(&str) -> bool) -> u64 {
        let ebpf = match &self.programs {
            Programs::Own(ebpf) => ebpf,
            Programs::Adopted(adopted) => return adopted.misses(wanted),
        };
        let programs = ebpf.programs().filter(|(name, _)| wanted(name));
        programs.filter_map(|(_, program)| program.fd().ok()).map(recursion_misses).sum()
    }

    /// What each program cost that this agent loaded.
    pub fn program_costs(&self) -> Vec<ProgramCost> {
        let Programs::Own(ebpf) = &self.programs else { return Vec::new() };
        let loaded = |(name, program): (&str, &Program)| {
            let info = program.info().ok()?;
            let time = self.load_times.iter().find(|(loaded, _)| *loaded == name);
            Some(ProgramCost {
                name: name.to_owned(),
                verified: info.verified_instruction_count().unwrap_or(0),
                translated: info.size_translated().unwrap_or(0),
                load_time: time.map(|(_, time)| *time),
            })
        };
        ebpf.programs().filter_map(loaded).collect()
    }
}

/// What the kernel says of one program, 0 where it says nothing.
pub(super) fn recursion_misses(program: &impl AsFd) -> u64 {
    let path = format!("/proc/self/fdinfo/{}", program.as_fd().as_raw_fd());
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("recursion_misses:"));
    line.and_then(|count| count.trim().parse().ok()).unwrap_or(0)
}
