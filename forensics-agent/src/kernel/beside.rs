//! Two things at once.

use std::thread::{Builder, scope};

/// Does one thing in a thread of this name and another one here, and waits for both; one after the other where there can be no
/// thread.
pub(super) fn beside<A: Send, B>(
    name: &str,
    there: impl Fn() -> A + Send + Sync,
    here: impl FnOnce() -> B,
) -> (A, B) {
    scope(|scope| {
        let there = &there;
        let thread = Builder::new().name(name.to_owned()).spawn_scoped(scope, there);
        let here = here();
        let there = match thread {
            Ok(thread) => thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
            Err(_) => there(),
        };
        (there, here)
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::mpsc::channel;

    use super::beside;

    #[test]
    fn neither_waits_for_the_other() {
        let ((to_there, at_there), (to_here, at_here)) = (channel(), channel());
        let at_there = Mutex::new(at_there);
        let there = || {
            to_here.send(1).unwrap();
            at_there.lock().unwrap().recv().unwrap()
        };
        let here = || {
            to_there.send(2).unwrap();
            at_here.recv().unwrap()
        };
        assert_eq!(beside("there", there, here), (2, 1));
    }
}
