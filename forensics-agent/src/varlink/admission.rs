//! Who may connect, and how often each may ask: no user keeps out another.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::bucket::Bucket;

/// Connections of one user at most.
const PER_USER: usize = 16;
/// Connections of all users but root, who is always let in.
const OF_OTHERS: usize = 64;
/// Calls of one user at once, before they are slowed down.
const BURST: u32 = 64;
/// Calls of one user in the long run, an hour: 100 a second.
const PER_HOUR: u32 = 360_000;
/// Users that are remembered beyond those that are connected.
const REMEMBERED: usize = 256;

/// The count of all connections.
#[derive(Debug, Clone, Default)]
pub(super) struct Admission(Arc<Mutex<HashMap<u32, User>>>);

#[derive(Debug)]
struct User {
    connections: usize,
    calls: Bucket,
}

/// A connection that counts as long as this lives.
#[derive(Debug)]
pub(super) struct Ticket {
    admission: Admission,
    uid: u32,
}

impl Admission {
    /// Lets a peer in, unless there are too many.
    pub(super) fn admit(&self, uid: u32, now: Instant) -> Option<Ticket> {
        let mut users = self.users();
        let others: usize =
            users.iter().filter(|(uid, _)| **uid != 0).map(|(_, user)| user.connections).sum();
        if uid != 0 && others >= OF_OTHERS {
            return None;
        }
        if users.len() >= REMEMBERED {
            users.retain(|_, user| user.connections > 0);
        }
        let fresh = || User { connections: 0, calls: Bucket::new(BURST, PER_HOUR, now) };
        let user = users.entry(uid).or_insert_with(fresh);
        if user.connections >= PER_USER {
            return None;
        }
        user.connections += 1;
        Some(Ticket { admission: self.clone(), uid })
    }

    fn users(&self) -> MutexGuard<'_, HashMap<u32, User>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ticket {
    /// True when the user may ask once more now, and then it counts.
    pub(super) fn may_call(&self, now: Instant) -> bool {
        let mut users = self.admission.users();
        self.uid == 0 || users.get_mut(&self.uid).is_none_or(|user| user.calls.take(now))
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if let Some(user) = self.admission.users().get_mut(&self.uid) {
            user.connections = user.connections.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_keeps_out_another() {
        let (admission, now) = (Admission::default(), Instant::now());
        let mut tickets = Vec::new();
        for uid in 1..=10 {
            tickets.extend((0..100).filter_map(|_| admission.admit(uid, now)));
        }
        assert_eq!(tickets.len(), OF_OTHERS);
        assert!(admission.admit(11, now).is_none());
        assert!(admission.admit(0, now).is_some());
        tickets.truncate(PER_USER);
        assert!(admission.admit(1, now).is_none());
        assert!(admission.admit(11, now).is_some());
    }

    #[test]
    fn calls_are_counted_by_user_and_not_by_connection() {
        let (admission, now) = (Admission::default(), Instant::now());
        let calls = |uid| {
            let ticket = admission.admit(uid, now).expect("a connection");
            (0..1000).filter(|_| ticket.may_call(now)).count()
        };
        assert_eq!(calls(1), BURST as usize);
        assert_eq!(calls(1), 0, "by another connection");
        assert_eq!(calls(2), BURST as usize);
        assert_eq!(calls(0), 1000);
    }
}
