//! `cgroup:cgroup_rmdir`: a cgroup is removed.

use aya_ebpf::{macros::raw_tracepoint, programs::RawTracePointContext};
use forensics_common::CgroupEvent;

use crate::{cgroups, maps::CGROUPS};

/// Its id is never another's, so the entry only takes room.
///
/// match-proto: `trace_cgroup_rmdir(struct cgroup *cgrp, const char *path)`
#[raw_tracepoint(tracepoint = "cgroup_rmdir")]
fn cgroup_removed(ctx: RawTracePointContext) -> i32 {
    let (cgroup, path): (u64, u64) = (ctx.arg(0), ctx.arg(1));
    let Some((key, _)) = cgroups::key_of(cgroup) else { return 0 };
    if CGROUPS.remove(key).is_ok() {
        cgroups::tell(&ctx, CgroupEvent::Removed, key, path, None);
    }
    0
}
