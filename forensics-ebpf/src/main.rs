//! The kernel side: one file per hook.
//!
//! A few tracepoints, each a small program:
//!
//! - [`signal`]: a signal is generated. The filter, the folding of identical signals, and the record of who
//!   sent it, captured before the sender is gone.
//! - [`exit`]: the last thread of a target ends; its true wait status.
//! - [`fork`]: who made whom, and children that are followed.
//! - [`exec`]: the ledger of command lines.
//! - [`cgroup_mkdir`], [`cgroup_attach`], [`cgroup_rmdir`]: who enters and leaves a cgroup whose processes are targets. They
//!   are loaded only when targets are selected by their unit or cgroup.
//!
//! And one of those of [`request`], for which kernels offer different hooks: what is asked of managers.
//!
//! No offset and no register layout is compiled in: the agent fills the tables of [`globals`] from the running
//! kernel's BTF, and the verifier sees them as constants. Every read may fail and then costs only its field.
#![no_std]
#![no_main]
#![feature(core_intrinsics)]
#![expect(
    internal_features,
    reason = "`atomic_xadd` is the one atomic addition that a kernel before 5.12 accepts"
)]

mod atomic;
mod caller;
mod cgroup_attach;
mod cgroup_mkdir;
mod cgroup_rmdir;
mod cgroups;
mod emit;
mod exec;
mod exit;
mod files;
mod fork;
mod globals;
mod maps;
mod outlet;
mod path;
mod reach;
mod read;
mod registers;
mod request;
mod signal;
mod targets;
mod task;

/// The kernel lets a program use its GPL-only helpers only under a licence that it knows.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

/// Unreachable: nothing in the programs panics, and the verifier would reject the endless loop.
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
