//! Paths, collected name by name from the inside out.
//!
//! There is no `bpf_d_path()` at these hooks, so the names are read from the kernel's own structures, each
//! NUL-terminated behind the other; the agent turns them round.

use aya_ebpf::helpers::generated::bpf_probe_read_kernel_str;

use crate::{
    globals::offset,
    read::{field, pointer},
};

/// Bytes kept of one name, NUL included. Longer names make the path incomplete.
const MAX_NAME: u32 = 128;
/// Levels of a cgroup path.
const CGROUP_LEVELS: u32 = 16;
/// Names and mount points on the path of an executable.
const PATH_STEPS: u32 = 28;

/// What became of a walk.
pub(crate) struct Walk {
    /// Bytes written.
    pub(crate) len: u32,
    /// The root was reached and no name was cut.
    pub(crate) complete: bool,
}

/// Appends one name. False when it does not fit.
///
/// # Safety
///
/// `into` is writable memory of `N` bytes.
#[inline(always)]
unsafe fn append<const N: usize>(into: *mut [u8; N], len: &mut u32, name: u64) -> bool {
    let at = *len;
    if at > N as u32 - MAX_NAME {
        return false;
    }
    // SAFETY: `at + MAX_NAME <= N`, and the helper checks the source.
    let written = unsafe {
        bpf_probe_read_kernel_str(into.cast::<u8>().add(at as usize).cast(), MAX_NAME, name as *const _)
    };
    if written <= 0 || written >= i64::from(MAX_NAME) {
        return false;
    }
    *len = at + (written as u32 & (MAX_NAME - 1));
    true
}

/// The path of a kernfs node (a cgroup) up to the root of its hierarchy.
///
/// # Safety
///
/// `into` is writable memory of `N` bytes.
#[inline(always)]
pub(crate) unsafe fn of_kernfs<const N: usize>(node: u64, into: *mut [u8; N]) -> Walk {
    let mut walk = Walk { len: 0, complete: false };
    let mut node = node;
    for _ in 0..CGROUP_LEVELS {
        let Ok(parent) = field::<u64>(node, offset!(kernfs_parent)) else { break };
        if parent == 0 {
            walk.complete = true;
            break;
        }
        let Ok(name) = pointer(node, offset!(kernfs_name)) else { break };
        // SAFETY: the caller vouches for the destination.
        if !unsafe { append(into, &mut walk.len, name) } {
            break;
        }
        node = parent;
    }
    walk
}

/// A path that the kernel holds ready as text. Returns its length, the NUL included; 0 when it cannot be read.
///
/// # Safety
///
/// `into` is writable memory of `N` bytes.
#[inline(always)]
pub(crate) unsafe fn of_text<const N: usize>(text: u64, into: *mut [u8; N]) -> u32 {
    // SAFETY: the caller vouches for the destination, the helper checks the source.
    let written = unsafe { bpf_probe_read_kernel_str(into.cast(), N as u32, text as *const _) };
    if written > 0 { written as u32 } else { 0 }
}

/// The path of an open file up to the root of its mount namespace, across mount points.
///
/// # Safety
///
/// `into` is writable memory of `N` bytes.
#[inline(always)]
pub(crate) unsafe fn of_file<const N: usize>(file: u64, into: *mut [u8; N]) -> Walk {
    let mut walk = Walk { len: 0, complete: false };
    let Ok(vfsmount) = pointer(file, offset!(file_mnt)) else { return walk };
    let Ok(mut dentry) = pointer(file, offset!(file_dentry)) else { return walk };
    let mut mount = vfsmount - u64::from(offset!(mount_vfsmount));
    let Ok(mut root) = pointer(mount, offset!(mount_root)) else { return walk };
    for _ in 0..PATH_STEPS {
        if dentry == root {
            // Cross over to the directory that this file system is mounted on (fs/d_path.c, prepend_path).
            let Ok(parent) = pointer(mount, offset!(mount_parent)) else { break };
            if parent == mount {
                walk.complete = true;
                break;
            }
            let Ok(mountpoint) = pointer(mount, offset!(mount_mountpoint)) else { break };
            let Ok(parent_root) = pointer(parent, offset!(mount_root)) else { break };
            dentry = mountpoint;
            mount = parent;
            root = parent_root;
            continue;
        }
        let Ok(name) = pointer(dentry, offset!(dentry_name)) else { break };
        let Ok(parent) = pointer(dentry, offset!(dentry_parent)) else { break };
        // A root that is no mount's: a file without a name in the tree, such as a memfd.
        if parent == dentry {
            break;
        }
        // SAFETY: the caller vouches for the destination.
        if !unsafe { append(into, &mut walk.len, name) } {
            break;
        }
        dentry = parent;
    }
    walk
}
