//! The ways in which requests are noticed, and which of them this kernel has.

use forensics_agent::kernel::load::{Hook, Kernel, KernelTypes};
use forensics_agent::kernel::requests::RequestHook;
use forensics_common::Config;
use harness::Skip;

/// As the option `--instigator` has them: three hooks at the sender, and what is executed.
pub(crate) const ALL: [&str; 4] = ["fentry", "socket", "syscalls", "exec"];

/// Why a mode cannot be tested here; none when it can, or when the tests are only listed.
pub(crate) fn why_not(mode: &str) -> Option<Skip> {
    let is_listing = std::env::args().any(|argument| argument == "--list");
    let hook = [RequestHook::Fentry, RequestHook::Socket, RequestHook::Syscalls]
        .into_iter()
        .find(|hook| hook.name() == mode && !is_listing)?;
    let recorded = || -> anyhow::Result<()> {
        let mut kernel =
            Kernel::load_with(&KernelTypes::read()?, Config::NOTHING, None, Hook::RawTracepoint)?;
        Ok(kernel.record_requests(hook)?)
    };
    recorded().err().map(|why| Skip(format!("needs a kernel with the hook {mode}: {why}")))
}
