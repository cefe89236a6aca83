//! The markers of the targets: watched for as long as the targets are, since a marker may live for a millisecond.

use std::{collections::HashMap, io, sync::Arc};

use forensics_incident::model::{Context, Marker, Missing, Process};
use tokio::io::unix::AsyncFd;

use crate::{
    host::{
        clock,
        markers::{Drained, MarkerEvent, MarkerSpec, MarkerTarget, MarkerWatch, judge},
        proc::{Environ, ProcDir},
        redact::redact_text,
        systemd::executor,
    },
    session::ring::waitable,
};

/// Rounds of reading in one turn, so that a flood of writes in a watched directory does not starve the rest.
const MAX_ROUNDS: usize = 16;

/// A marker that was seen.
pub(super) struct Seen {
    /// Pid of the target.
    pub(super) target: u32,
    /// The marker, without its writer.
    pub(super) marker: Marker,
    /// Pid of who wrote it, when that was seen.
    pub(super) writer: Option<u32>,
}

/// What was seen, and what could not be read, by pid of the target.
#[derive(Default)]
pub(super) struct News {
    pub(super) seen: Vec<Seen>,
    pub(super) missing: Vec<(u32, Missing)>,
}

/// What is known of a target before anything happens to it.
struct Known {
    target: MarkerTarget,
    /// None when it could not be read.
    environ: Option<Environ>,
    /// `INVOCATION_ID` of its environment, when it came; none as long as that is its manager's.
    invocation_id: Option<String>,
}

/// The markers of all targets.
pub(super) struct Markers {
    specs: Arc<[MarkerSpec]>,
    watch: Option<AsyncFd<MarkerWatch>>,
    targets: HashMap<u32, Known>,
    /// The last turn left something behind.
    more: bool,
}

impl Markers {
    /// Starts to watch. Without fanotify, markers are only seen while they exist, which is said once.
    pub(super) fn start(specs: Arc<[MarkerSpec]>) -> Self {
        let watch = match MarkerWatch::new() {
            Ok(watch) => {
                waitable(watch).map_err(|error| log::warn!("markers cannot be waited for: {error}")).ok()
            }
            Err(error) => {
                log::warn!("{error}");
                None
            }
        };
        Self { specs, watch, targets: HashMap::new(), more: false }
    }

    /// Looks for these from now on. To be followed by [`Self::add`] of each target.
    pub(super) fn look_for(&mut self, specs: Arc<[MarkerSpec]>) {
        self.specs = specs;
    }

    /// The marker files to look for.
    pub(super) fn specs(&self) -> &Arc<[MarkerSpec]> {
        &self.specs
    }

    /// Watches for the markers of a target, and yields those that exist. To be called again when it has executed
    /// another program: its environment may name another home. `noted` is the `INVOCATION_ID` that an earlier agent read there.
    pub(super) fn add(&mut self, target: &Process, noted: Option<String>) -> News {
        // A target that is gone by now has no markers, whoever has its number.
        let Ok(dir) = ProcDir::open(target.pid) else { return News::default() };
        let Ok(mut marker_target) = MarkerTarget::read(&dir) else { return News::default() };
        if !marker_target.key().is(target.key()) {
            return News::default();
        }
        // Before its environment is read: what is none by now has its own from here on.
        let is_manager = executor::is_manager_yet(&dir);
        // Of an environment that cannot be read, the user's home is the best guess.
        let environ = Environ::read(&dir, &mut Vec::new(), true).ok();
        marker_target.hermes_home = environ.as_ref().and_then(|environ| environ.hermes_home.clone());
        let own = environ.as_ref().filter(|_| !is_manager);
        let invocation_id = noted.or_else(|| own.and_then(|environ| environ.invocation_id.clone()));
        self.targets.insert(target.pid, Known { target: marker_target.clone(), environ, invocation_id });
        let Some(watch) = &mut self.watch else { return News::default() };
        let drained = watch.get_mut().add(dir, marker_target, &self.specs);
        self.news(drained)
    }

    /// What was kept of the environment of a target when it came, or executed its program.
    pub(super) fn environ(&self, pid: u32) -> Option<Environ> {
        self.targets.get(&pid)?.environ.clone()
    }

    /// `INVOCATION_ID` in the environment of a target, as it was when it came.
    pub(super) fn invocation_id(&self, pid: u32) -> Option<String> {
        self.targets.get(&pid)?.invocation_id.clone()
    }

    /// Names in the environment of the target by which CI systems find it.
    pub(super) fn job_cookies(&self, pid: u32) -> Vec<&'static str> {
        let environ = self.targets.get(&pid).and_then(|known| known.environ.as_ref());
        environ.map(|environ| environ.job_cookies.clone()).unwrap_or_default()
    }

    /// True for a note about markers of a target that had ended when it was looked at, which were watched all the time.
    pub(super) fn are_seen(&self, note: &Missing, context: &Context) -> bool {
        let has_ended = context.own.state.as_ref().is_none_or(|state| state.starts_with(['Z', 'X']));
        self.watch.is_some() && has_ended && note.field.starts_with("markers.")
    }

    /// Watches for a target no more.
    pub(super) fn remove(&mut self, pid: u32) {
        if self.targets.remove(&pid).is_some()
            && let Some(watch) = &mut self.watch
        {
            watch.get_mut().remove(pid);
        }
    }

    /// Waits until there may be something to take.
    pub(super) async fn readable(&mut self) -> io::Result<()> {
        let Some(watch) = &mut self.watch else { return std::future::pending().await };
        if self.more {
            return Ok(());
        }
        let expiry = watch.get_ref().next_expiry();
        tokio::select! {
            // Cleared before it is emptied: what comes in between makes it ready anew.
            ready = watch.readable_mut() => ready?.clear_ready(),
            () = async { tokio::time::sleep_until(expiry.map_or_else(tokio::time::Instant::now, Into::into)).await },
                if expiry.is_some() => {}
        }
        Ok(())
    }

    /// Takes what was seen. Never blocks.
    pub(super) fn take(&mut self) -> News {
        let mut news = News::default();
        for _ in 0..MAX_ROUNDS {
            let Some(watch) = &mut self.watch else { return news };
            let drained = watch.get_mut().drain();
            self.more = drained.more;
            let News { seen, missing } = self.news(drained);
            news.seen.extend(seen);
            news.missing.extend(missing);
            if !self.more {
                break;
            }
        }
        news
    }

    fn news(&self, drained: Drained) -> News {
        let Drained { events, missing, lost, more: _ } = drained;
        if lost {
            log::warn!(
                "more was written in the directories of markers than could be read; a marker may be missing"
            );
        }
        let mut news = News { seen: Vec::new(), missing };
        for MarkerEvent { target, file, writer } in events {
            let Some(known) = self.targets.get(&target) else { continue };
            let mut notes = Vec::new();
            let marker = judge(&file, &known.target, clock::unix_s(), &redact_text, &mut notes);
            news.missing.extend(notes.into_iter().map(|note| (target, note)));
            news.seen.push(Seen { target, marker, writer });
        }
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::proc;

    #[tokio::test]
    async fn another_process_with_the_number_of_a_target_is_not_read() {
        let own = proc::read_process_alone(std::process::id()).unwrap();
        let mut markers = Markers::start(Arc::from([]));
        markers.add(&Process { start_boot_ns: own.start_boot_ns + 20_000_000, ..own.clone() }, None);
        assert!(markers.environ(own.pid).is_none());
        markers.add(&own, Some("noted".to_owned()));
        assert!(markers.environ(own.pid).is_some());
        assert_eq!(markers.invocation_id(own.pid).as_deref(), Some("noted"));
    }
}
