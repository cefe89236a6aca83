//! Shutdowns that logind was asked to do later.

use std::collections::VecDeque;
use std::sync::Arc;

use forensics_incident::model::{Act, Concern, Recipient, Request};

use crate::request::CANCEL;

/// Of these at most one is logind's: it forgets one for the next, and which it refused is not seen.
const MAX_KEPT: usize = 16;
/// How long before its time a shutdown may be for it, seconds; the verdict looks closer.
const EARLY_S: f64 = 60.0;
/// How long after its time: logind waits for those who delay it (`InhibitDelayMaxSec=`), seconds.
const LATE_S: f64 = 300.0;

/// Those that were not taken back, oldest first.
#[derive(Debug, Default)]
pub(super) struct Scheduled(VecDeque<Arc<Request>>);

impl Scheduled {
    /// True when a request belongs here.
    pub(super) fn is_of(request: &Request) -> bool {
        request.act() == Act::Schedule || is_cancel(request)
    }

    /// Takes in what [`Self::is_of`] it.
    pub(super) fn take(&mut self, request: Arc<Request>) {
        if !is_cancel(&request) {
            if self.0.len() == MAX_KEPT {
                self.0.pop_front();
            }
            self.0.push_back(request);
        } else if request.cannot_be_refused() {
            self.0.clear();
        }
    }

    /// Those whose time had come when one of `requests` asked for a shutdown.
    pub(super) fn behind(&self, requests: &[Request]) -> Vec<Request> {
        let came = |scheduled: &&Arc<Request>| {
            let is_near =
                |ts: f64| scheduled.due.is_some_and(|due| (due - EARLY_S..=due + LATE_S).contains(&ts));
            let ends_all = |request: &&Request| request.act() == Act::Shutdown;
            requests.iter().filter(ends_all).any(|request| is_near(request.ts))
        };
        let of_time = self.0.iter().filter(came);
        of_time.map(|request| Request { concerns: Concern::Origin, ..Request::clone(request) }).collect()
    }
}

fn is_cancel(request: &Request) -> bool {
    request.recipient == Recipient::Logind && request.verb == CANCEL
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::requests::sample::by_root;

    #[test]
    fn one_that_somebody_delays_comes_late() {
        let mut scheduled = Scheduled::default();
        let schedule = by_root(10.0, Recipient::Logind, "ScheduleShutdown", None);
        scheduled.take(Arc::new(Request { due: Some(1000.0), ..schedule }));
        let behind = |ts: f64| scheduled.behind(&[by_root(ts, Recipient::Systemd, "Reboot", None)]).len();
        assert_eq!([930.0, 1000.1, 1290.0, 1310.0].map(behind), [0, 1, 1, 0]);
    }
}
