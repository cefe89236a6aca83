//! Who made the transient units in which those who ask may run.

use std::collections::VecDeque;
use std::sync::Arc;

use forensics_incident::model::{Act, Concern, Process, Recipient, Request};
use forensics_incident::transient::{is_made, is_maker};

/// Transient units whose makers are remembered.
const MAX_KEPT: usize = 256;
/// How many makers of units are followed back.
const MAX_STEPS: usize = 3;

/// What made such units, oldest first.
#[derive(Debug, Default)]
pub(super) struct Origins(VecDeque<Arc<Request>>);

impl Origins {
    /// Takes in a request to make a unit.
    pub(super) fn take(&mut self, request: Arc<Request>) {
        if !is_made(&request) {
            return;
        }
        if self.0.len() == MAX_KEPT {
            self.0.pop_front();
        }
        self.0.push_back(request);
    }

    /// A unit that somebody stops, or may have been let stop, is gone: one that runs under its name later is another one.
    pub(super) fn stop(&mut self, request: &Request) {
        if request.act() == Act::Stop && request.recipient == Recipient::Systemd {
            let is_same = |made: &Request| {
                // By way of a bus it is not known which manager it is.
                let by_one = made.manager.zip(request.manager).is_none_or(|(one, other)| one == other);
                made.object == request.object && made.of_user == request.of_user && by_one
            };
            self.0.retain(|made| !is_same(made));
        }
    }

    /// Who made the units in which those who asked ran, and so on.
    pub(super) fn behind(&self, requests: &[Request]) -> Vec<Request> {
        let mut origins: Vec<Request> = Vec::new();
        let mut askers: Vec<Process> = requests.iter().map(|request| request.process.clone()).collect();
        for _ in 0..MAX_STEPS {
            let made: Vec<Request> = askers.iter().filter_map(|asker| self.of(asker)).collect();
            askers = made.iter().map(|origin| origin.process.clone()).collect();
            for origin in made {
                let is_new =
                    |known: &Request| known.boot_ns != origin.boot_ns || known.object != origin.object;
                if origins.iter().all(is_new) {
                    origins.push(origin);
                }
            }
        }
        origins
    }

    fn of(&self, asker: &Process) -> Option<Request> {
        let made =
            |origin: &&Arc<Request>| origin.boot_ns <= asker.start_boot_ns.max(1) && is_maker(origin, asker);
        let origin = self.0.iter().rev().find(made)?;
        Some(Request { concerns: Concern::Origin, ..Request::clone(origin) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::requests::sample::by_root;

    fn request(at: f64, verb: &str, object: &str) -> Arc<Request> {
        Arc::new(by_root(at, Recipient::Systemd, verb, Some(object)))
    }

    fn asked_from(unit: &str) -> Request {
        let mut request = by_root(9.0, Recipient::Systemd, "StopUnit", Some("gw.service"));
        request.process =
            Process { start_boot_ns: 8_000_000_000, unit: Some(unit.to_owned()), ..request.process };
        request
    }

    #[test]
    fn only_units_that_are_there_have_makers() {
        let mut origins = Origins::default();
        origins.take(request(1.0, "StartTransientUnit", "backup.timer"));
        origins.take(request(2.0, "StartTransientUnit", "session-5.scope"));
        assert!(origins.behind(&[asked_from("session-5.scope")]).is_empty());
        assert_eq!(origins.behind(&[asked_from("backup.service")]).len(), 1);
        origins.stop(&request(3.0, "StopUnit", "other.timer"));
        assert_eq!(origins.behind(&[asked_from("backup.service")]).len(), 1);
        origins.stop(&request(4.0, "StopUnit", "backup.timer"));
        assert!(origins.behind(&[asked_from("backup.service")]).is_empty());
        origins.take(request(9.0, "StartTransientUnit", "backup.timer"));
        assert!(origins.behind(&[asked_from("backup.service")]).is_empty(), "it came later");
    }
}
