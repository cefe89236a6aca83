//! `cgroup:cgroup_mkdir`: a cgroup is made, and nobody can have entered it yet.

use aya_ebpf::{macros::raw_tracepoint, programs::RawTracePointContext};
use forensics_common::{CgroupEvent, Counter};

use crate::{
    cgroups,
    globals::config,
    maps::{CGROUPS, count},
};

/// A cgroup below one whose processes are targets is one itself. While units are selected by name, any other is one until the
/// agent has looked at its path, so that nothing is missed in between.
///
/// match-proto: `trace_cgroup_mkdir(struct cgroup *cgrp, const char *path)`
#[raw_tracepoint(tracepoint = "cgroup_mkdir")]
fn cgroup_made(ctx: RawTracePointContext) -> i32 {
    let (cgroup, path): (u64, u64) = (ctx.arg(0), ctx.arg(1));
    let Some((key, node)) = cgroups::key_of(cgroup) else { return 0 };
    let inherits = cgroups::parent_of(key, node).is_ok_and(cgroups::are_targets);
    if !inherits && config!(watch_new_cgroups) == 0 {
        return 0;
    }
    if CGROUPS.insert(key, 1, 0).is_err() {
        count(Counter::TargetsFull);
        return 0;
    }
    cgroups::tell(&ctx, CgroupEvent::Made, key, path, None);
    0
}
