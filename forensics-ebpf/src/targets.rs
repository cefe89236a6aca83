//! Who is watched: a byte for each process id says who is not, the map of targets who is.

use forensics_common::{Counter, Target, watch_place};

use crate::maps::{TARGETS, WATCHED, count};

/// False when the process is not watched: almost always, and for the price of three instructions.
#[inline(always)]
pub(crate) fn may_be(tgid: u32) -> bool {
    let (page, at) = watch_place(tgid);
    match WATCHED.get_ptr(page) {
        // SAFETY: `at` is below the length of a page. A byte is read as a whole.
        Some(page) => unsafe { core::ptr::read_volatile(page.cast::<u8>().add(at)) != 0 },
        None => true,
    }
}

/// The entry of a watched process.
#[inline(always)]
pub(crate) fn find(tgid: u32) -> Option<*mut Target> {
    if may_be(tgid) { TARGETS.get_ptr_mut(tgid) } else { None }
}

/// Watches a process; false, and counted, when there is no room.
#[inline(always)]
pub(crate) fn insert(tgid: u32, target: &Target) -> bool {
    // First, so that nobody takes it for unwatched once it is there.
    mark(tgid, 1);
    let inserted = TARGETS.insert(tgid, target, 0).is_ok();
    if !inserted {
        mark(tgid, 0);
        count(Counter::TargetsFull);
    }
    inserted
}

/// Stops watching a process; false when somebody else did it first.
#[inline(always)]
pub(crate) fn remove(tgid: u32) -> bool {
    let removed = TARGETS.remove(tgid).is_ok();
    if removed {
        mark(tgid, 0);
    }
    removed
}

#[inline(always)]
fn mark(tgid: u32, value: u8) {
    let (page, at) = watch_place(tgid);
    if let Some(page) = WATCHED.get_ptr_mut(page) {
        // SAFETY: as above; a byte is written as a whole.
        unsafe { core::ptr::write_volatile(page.cast::<u8>().add(at), value) };
    }
}
