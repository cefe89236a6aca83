//! Cgroups whose processes are targets.
//!
//! A process belongs to such a cgroup from the moment it is moved there or born there until it is moved out, so nothing has to
//! be looked up when a signal comes: who enters becomes a target, who leaves is one no longer. In the unified hierarchy a
//! process may be born in another cgroup than its parent's (`CLONE_INTO_CGROUP`); in the others it is born where its parent is.

use aya_ebpf::{EbpfContext, helpers::generated::bpf_ktime_get_boot_ns};
use forensics_common::{
    CgroupEvent, CgroupKey, CgroupRecord, Config, Kind, MAX_CGROUP_PATH_TEXT, MAX_HIERARCHIES, Stream,
    TaskKey, UNIFIED_SLOT, target_flags,
};

use crate::{
    emit,
    globals::{config, config_at, offset},
    maps::{CGROUP_SCRATCH, CGROUPS},
    path,
    read::{Unreadable, bytes, field, pointer},
    task,
};

/// The slot of a hierarchy, when the agent looks at it.
#[inline(always)]
fn slot_of(hierarchy: u32) -> Option<u32> {
    for slot in 0..MAX_HIERARCHIES {
        let wanted = config_at(core::mem::offset_of!(Config, hierarchies) + slot * size_of::<u64>());
        if wanted == u64::from(hierarchy) {
            return Some(slot as u32);
        }
    }
    None
}

/// A `struct cgroup`, when it is of a hierarchy that the agent looks at; and its node.
#[inline(always)]
pub(crate) fn key_of(cgroup: u64) -> Option<(CgroupKey, u64)> {
    let root = pointer(cgroup, offset!(cgroup_root)).ok()?;
    let slot = slot_of(field(root, offset!(cgroup_root_hierarchy)).ok()?)?;
    let node = pointer(cgroup, offset!(cgroup_kn)).ok()?;
    Some((CgroupKey { id: field(node, offset!(kernfs_id)).ok()?, slot, reserved: 0 }, node))
}

/// The cgroup above one.
#[inline(always)]
pub(crate) fn parent_of(key: CgroupKey, node: u64) -> Result<CgroupKey, Unreadable> {
    let parent = pointer(node, offset!(kernfs_parent))?;
    Ok(CgroupKey { id: field(parent, offset!(kernfs_id))?, ..key })
}

/// True when the processes of a cgroup are targets.
#[inline(always)]
pub(crate) fn are_targets(key: CgroupKey) -> bool {
    CGROUPS.get_ptr(key).is_some()
}

/// What a process is as a target by the cgroup of the unified hierarchy that it was born in, apart from what it is
/// otherwise; and the id of that cgroup.
#[inline(always)]
pub(crate) fn by_birth(child: u64, flags: u32) -> (u32, u64) {
    let bit = target_flags::member(UNIFIED_SLOT);
    if config_at(core::mem::offset_of!(Config, hierarchies)) == forensics_common::NO_HIERARCHY {
        return (flags, 0);
    }
    let id = task::cgroup_of(child).and_then(|node| field(node, offset!(kernfs_id)));
    match id {
        Ok(id) if are_targets(CgroupKey { id, slot: UNIFIED_SLOT, reserved: 0 }) => {
            (flags | bit | config!(member_flags) as u32, id)
        }
        Ok(id) => (flags & !bit, id),
        Err(Unreadable) => (flags, 0),
    }
}

/// Somebody was moved.
pub(crate) struct Moved {
    /// The group leader.
    pub(crate) task: u64,
    pub(crate) process: TaskKey,
    /// [`target_flags`] bits.
    pub(crate) flags: u32,
}

/// Tells the agent.
#[inline(always)]
pub(crate) fn tell(
    ctx: &impl EbpfContext,
    event: CgroupEvent,
    cgroup: CgroupKey,
    path: u64,
    moved: Option<Moved>,
) {
    let Some(record) = CGROUP_SCRATCH.get_ptr_mut(0) else { return };
    // SAFETY: the scratch record of this CPU. Its three programs share it: the kernel runs them under one lock, with interrupts
    // off (`TRACE_CGROUP_PATH` in kernel/cgroup/cgroup-internal.h).
    unsafe {
        let record = &mut *record;
        record.cgroup = cgroup;
        record.event = event as u32;
        record.process = TaskKey { start_boot_ns: 0, tgid: 0, reserved: 0 };
        record.target_flags = 0;
        record.comm = [0; forensics_common::COMM_LEN];
        record.reserved = 0;
        if let Some(Moved { task, process, flags }) = moved {
            record.process = process;
            record.target_flags = flags;
            let _ = bytes(task, offset!(task_comm), &raw mut record.comm);
        }
        record.path_len = path::of_text(path, &raw mut record.path);
        emit::begin(&raw mut record.header, Kind::Cgroup, Stream::Cgroup, bpf_ktime_get_boot_ns());
        let path_len = record.path_len.min(MAX_CGROUP_PATH_TEXT as u32);
        let len = core::mem::offset_of!(CgroupRecord, path) as u32 + path_len;
        emit::send(ctx, (&raw mut *record).cast(), len);
    }
}
