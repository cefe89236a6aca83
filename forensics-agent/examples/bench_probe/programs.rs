//! Loads every program, and says what each cost: a line `NAME INSTRUCTIONS NANOSECONDS`.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use forensics_agent::kernel::costs::{EVERYTHING, ProgramCost};
use forensics_agent::kernel::load::{Hook, Kernel, KernelTypes};
use forensics_agent::kernel::requests::RequestHook;

/// Loads them with each hook that the kernel has.
pub(super) fn run() -> Result<()> {
    let types = KernelTypes::read()?;
    let mut costs = BTreeMap::new();
    let mut note = |kernel: &Kernel| {
        costs.extend(kernel.program_costs().into_iter().map(|cost| (cost.name.clone(), cost)));
    };
    for hook in Hook::ALL {
        // A kernel that lacks one has the other.
        if let Ok(kernel) = Kernel::load_with(&types, EVERYTHING, None, hook) {
            note(&kernel);
        }
    }
    for hook in RequestHook::ALL {
        let mut kernel = Kernel::load_with(&types, EVERYTHING, None, Hook::RawTracepoint)?;
        if kernel.record_requests(hook).is_ok() {
            note(&kernel);
        }
    }
    for ProgramCost { name, verified, translated: _, load_time } in costs.into_values() {
        let time = load_time.with_context(|| format!("{name} was not timed"))?;
        println!("{name} {verified} {}", time.as_nanos());
    }
    Ok(())
}
