//! Every program and every hook variant on the running kernel, and what its verifier spends on each.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail, ensure};
use forensics_agent::kernel::costs::EVERYTHING;
use forensics_agent::kernel::load::{Hook, Kernel, KernelTypes, VMLINUX_BTF};
use forensics_agent::kernel::requests::RequestHook;
use harness::{Skip, needs_root, test};

/// What each program may cost the verifier, by kernel.
const BUDGETS: &str = include_str!("budgets.toml");

/// Programs, and of each the verified instructions and the bytes of its translation.
type Sizes = BTreeMap<String, (u32, u32)>;

fn main() -> ExitCode {
    let hooks = Hook::ALL.map(|hook| test(hook.name(), move || loads(hook)));
    let request_hooks = RequestHook::ALL.map(|hook| test(hook.name(), move || records_requests(hook)));
    let mut tests = Vec::from(hooks);
    tests.extend(request_hooks);
    tests.push(test("verified_instructions", verified_instructions));
    harness::main(tests)
}

/// Loads and attaches everything with this variant.
fn loads(hook: Hook) -> Result<()> {
    let sizes = load(hook)?;
    // Those that every variant has, three of processes and three of cgroups, and its own.
    ensure!(sizes.len() >= 7, "only {sizes:?} were loaded");
    ensure!(sizes.values().all(|&(_, translated)| translated > 0), "nothing was translated: {sizes:?}");
    Ok(())
}

fn load(hook: Hook) -> Result<Sizes> {
    needs_root()?;
    let types = KernelTypes::read()?;
    Ok(sizes(&Kernel::load_with(&types, EVERYTHING, None, hook)?))
}

fn sizes(kernel: &Kernel) -> Sizes {
    let costs = kernel.program_costs().into_iter();
    costs.map(|cost| (cost.name, (cost.verified, cost.translated))).collect()
}

/// Loads and attaches what sees requests, where the kernel has the hook.
fn records_requests(hook: RequestHook) -> Result<()> {
    let loaded = load_for_requests(hook)?.len() - load(Hook::RawTracepoint)?.len();
    ensure!(loaded == 1, "{loaded} programs were loaded for it");
    Ok(())
}

fn load_for_requests(hook: RequestHook) -> Result<Sizes> {
    needs_root()?;
    needs(hook)?;
    let types = KernelTypes::read()?;
    let mut kernel = Kernel::load_with(&types, EVERYTHING, None, Hook::RawTracepoint)?;
    kernel.record_requests(hook)?;
    Ok(sizes(&kernel))
}

/// Skips where the kernel says that it has no such hook. The agent's own opinion is what is tested.
fn needs(hook: RequestHook) -> Result<()> {
    const TRACING: &str = "/sys/kernel/tracing";
    const TRACEPOINT: &[u8] = b"\0btf_trace_sock_send_length\0";
    let has = match hook {
        // It can be read where functions may be traced at all.
        RequestHook::Fentry => std::fs::read_to_string(format!("{TRACING}/available_filter_functions"))
            .is_ok_and(|functions| functions.lines().any(|line| line == "unix_stream_sendmsg")),
        RequestHook::Socket => std::fs::read(VMLINUX_BTF)?.windows(TRACEPOINT.len()).any(|w| w == TRACEPOINT),
        RequestHook::Syscalls => Path::new(TRACING).join("events/syscalls/sys_enter_sendmsg").exists(),
    };
    if !has {
        bail!(Skip(format!("needs a kernel that offers the hook {}", hook.name())));
    }
    Ok(())
}

fn verified_instructions() -> Result<()> {
    let mut sizes = Sizes::new();
    for hook in Hook::ALL {
        sizes.extend(load(hook)?);
    }
    for hook in RequestHook::ALL {
        match load_for_requests(hook) {
            Ok(more) => sizes.extend(more),
            Err(error) if error.is::<Skip>() => {}
            Err(error) => return Err(error),
        }
    }
    println!("verified instructions, translated bytes: {sizes:?}");
    if sizes.values().all(|&(verified, _)| verified == 0) {
        bail!(Skip(
            "before Linux 5.16 the kernel does not tell how many instructions it verified".to_owned()
        ));
    }
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let over: Vec<String> = sizes
        .iter()
        .map(|(program, &(verified, _))| Ok((program, verified, budget(program, release.trim())?)))
        .filter_map(|row: Result<_>| match row {
            Ok((program, verified, budget)) => {
                (verified > budget).then(|| format!("{program} takes {verified} of {budget}"))
            }
            Err(why) => Some(format!("{why:#}")),
        })
        .collect();
    ensure!(over.is_empty(), "on {}: {}; see tests/budgets.toml", release.trim(), over.join(", "));
    Ok(())
}

/// The budget of a program on a kernel of this release; on one that has none of its own, the largest.
fn budget(program: &str, release: &str) -> Result<u32> {
    let budgets: BTreeMap<String, BTreeMap<String, u32>> =
        toml::from_str(BUDGETS).context("cannot read the budgets")?;
    let of_program = budgets.get(program).with_context(|| format!("{program} has no budget"))?;
    let is_of = |series: &str| {
        let rest = release.strip_prefix(series);
        rest.is_some_and(|rest| rest.starts_with('.') || rest.starts_with('-'))
    };
    let own = of_program.iter().find(|(series, _)| is_of(series)).map(|(_, &budget)| budget);
    let largest = of_program.values().max().copied();
    own.or(largest).with_context(|| format!("{program} has no budget for any kernel"))
}
