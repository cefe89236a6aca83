//! Reads of kernel memory that cannot fault and cannot fail verification.

use aya_ebpf::helpers::{bpf_probe_read_kernel, generated};
use forensics_common::ABSENT;

/// A field could not be read, or this kernel does not have it.
pub(crate) struct Unreadable;

/// Reads a member of the structure at `base`.
#[inline(always)]
pub(crate) fn field<T: Copy>(base: u64, offset: u32) -> Result<T, Unreadable> {
    if offset == ABSENT || base == 0 {
        return Err(Unreadable);
    }
    // SAFETY: the helper checks the address.
    unsafe { bpf_probe_read_kernel((base + u64::from(offset)) as *const T) }.map_err(|_| Unreadable)
}

/// Reads a member of a structure whose type the verifier knows: a plain load instead of a call, which yields 0 where the
/// memory is gone.
///
/// # Safety
///
/// `base` comes from the kernel as a typed pointer, and `T` is the type of the member.
#[inline(always)]
pub(crate) unsafe fn typed<T: Copy>(base: *const u8, offset: u32) -> Result<T, Unreadable> {
    if offset == ABSENT {
        return Err(Unreadable);
    }
    // SAFETY: the caller vouches for the pointer, and the verifier checks that a `T` is there.
    Ok(unsafe { core::ptr::read_volatile(base.add(offset as usize).cast::<T>()) })
}

/// Follows a pointer that is a member of the structure at `base`; a null pointer is unreadable.
#[inline(always)]
pub(crate) fn pointer(base: u64, offset: u32) -> Result<u64, Unreadable> {
    match field::<u64>(base, offset) {
        Ok(0) | Err(_) => Err(Unreadable),
        Ok(address) => Ok(address),
    }
}

/// Copies `N` bytes of a member of the structure at `base`.
///
/// # Safety
///
/// `into` is writable memory of `N` bytes.
#[inline(always)]
pub(crate) unsafe fn bytes<const N: usize>(
    base: u64,
    offset: u32,
    into: *mut [u8; N],
) -> Result<(), Unreadable> {
    if offset == ABSENT || base == 0 {
        return Err(Unreadable);
    }
    // SAFETY: the helper checks the source, the caller vouches for the destination.
    let failed = unsafe {
        generated::bpf_probe_read_kernel(into.cast(), N as u32, (base + u64::from(offset)) as *const _)
    };
    if failed == 0 { Ok(()) } else { Err(Unreadable) }
}
