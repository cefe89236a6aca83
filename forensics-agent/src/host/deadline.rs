//! Work that may hang in the kernel (a dead file server, a wedged process), done with a deadline.
//!
//! A system call that waits for a dead server cannot be interrupted, so it is made by a helper thread, and whoever
//! asked stops waiting. A helper that hangs is lost until the kernel lets it go; only a few may be lost at a time, so
//! that a hostile target costs a bounded amount of memory. Helpers that are idle are used again.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Helper threads at most, hanging ones included.
const HELPERS_MAX: usize = 8;

/// Why there is no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Overdue {
    /// The deadline passed.
    #[error("did not answer within {} ms", .0.as_millis())]
    Deadline(Duration),
    /// Every helper thread hangs.
    #[error("not tried, {HELPERS_MAX} earlier reads still hang")]
    Busy,
    /// No thread could be started, or the work panicked.
    #[error("no helper thread could do it")]
    NoHelper,
}

type Job = Box<dyn FnOnce() + Send>;

/// Helpers that wait for work.
static IDLE: Mutex<Vec<Sender<Job>>> = Mutex::new(Vec::new());
/// Helpers that exist.
static HELPERS: AtomicUsize = AtomicUsize::new(0);

/// Does `work` on a helper thread and waits for its result, no longer than `deadline`.
///
/// # Errors
/// [`Overdue`], whereupon the work may still be under way; it must not matter when it ends.
pub fn run_within<T: Send + 'static>(
    deadline: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Overdue> {
    let (sender, receiver) = mpsc::sync_channel(1);
    submit(Box::new(move || {
        // Nobody listens any more when the deadline has passed.
        let _ = sender.send(work());
    }))?;
    receiver.recv_timeout(deadline).map_err(|error| match error {
        RecvTimeoutError::Timeout => Overdue::Deadline(deadline),
        RecvTimeoutError::Disconnected => Overdue::NoHelper,
    })
}

fn submit(mut job: Job) -> Result<(), Overdue> {
    loop {
        let idle = IDLE.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let Some(helper) = idle else { break };
        match helper.send(job) {
            Ok(()) => return Ok(()),
            // It ended; the next one, then.
            Err(returned) => job = returned.0,
        }
    }
    let is_room = |count: usize| (count < HELPERS_MAX).then_some(count + 1);
    if HELPERS.fetch_update(Ordering::Relaxed, Ordering::Relaxed, is_room).is_err() {
        return Err(Overdue::Busy);
    }
    let thread = std::thread::Builder::new().name("forensics-read".to_owned());
    let started = thread.stack_size(256 << 10).spawn(move || {
        let _counted = Counted;
        help(job);
    });
    started.map(drop).map_err(|_| {
        HELPERS.fetch_sub(1, Ordering::Relaxed);
        Overdue::NoHelper
    })
}

/// Does one job after the other.
fn help(first: Job) {
    let (sender, receiver) = mpsc::channel::<Job>();
    let mut job = first;
    loop {
        job();
        IDLE.lock().unwrap_or_else(PoisonError::into_inner).push(sender.clone());
        match receiver.recv() {
            Ok(next) => job = next,
            Err(_) => return,
        }
    }
}

/// Takes the helper off the count, also when its work panics.
struct Counted;

impl Drop for Counted {
    fn drop(&mut self) {
        HELPERS.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn a_result_or_the_deadline() {
        assert_eq!(run_within(Duration::from_secs(5), || 42), Ok(42));
        let started = Instant::now();
        let deadline = Duration::from_millis(30);
        let (release, gate) = mpsc::channel::<()>();
        let hung = run_within(deadline, move || gate.recv().is_ok());
        assert_eq!(hung, Err(Overdue::Deadline(deadline)));
        assert!(started.elapsed() < Duration::from_secs(2));
        drop(release);
    }

    #[test]
    fn a_panic_is_no_result_and_costs_no_helper() {
        for _ in 0..2 * HELPERS_MAX {
            let result = run_within(Duration::from_secs(5), || panic!("on purpose"));
            assert!(matches!(result, Err(Overdue::NoHelper)), "{result:?}");
        }
        assert_eq!(run_within(Duration::from_secs(5), || 1), Ok(1));
    }
}
