//! What the agent tells the service manager that started it, by sd_notify(3). Without one, nothing.

use std::time::Duration;

use forensics_incident::text::escape;
use sd_notify::NotifyState;
use tokio::time::{Interval, MissedTickBehavior, interval};

/// Longest status line, characters.
const STATUS_MAX: usize = 200;

/// The service manager, if there is one.
#[derive(Debug)]
pub(crate) struct Manager {
    /// When the watchdog wants to hear of us: twice as often as it must.
    keep_alive: Option<Interval>,
    status: String,
}

impl Manager {
    /// The one that the environment names. To be called within the event loop.
    pub(crate) fn of_environment() -> Self {
        let keep_alive = sd_notify::watchdog_enabled().map(|allowed| {
            let mut interval = interval((allowed / 2).max(Duration::from_millis(1)));
            interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
            interval
        });
        Self { keep_alive, status: String::new() }
    }

    /// Everything is attached, at the start or after a reload.
    pub(crate) fn ready(&mut self, status: &str) {
        self.status = shown(status);
        notify(&[NotifyState::Ready, NotifyState::Status(&self.status)]);
    }

    /// The configuration is being read again.
    pub(crate) fn reloading(&self) {
        let Ok(now) = NotifyState::monotonic_usec_now() else { return };
        notify(&[NotifyState::Reloading, now]);
    }

    /// The agent ends.
    pub(crate) fn stopping(&self) {
        notify(&[NotifyState::Stopping]);
    }

    /// Tells what `systemctl status` shows, when that has changed.
    pub(crate) fn status(&mut self, status: &str) {
        let status = shown(status);
        if status != self.status {
            self.status = status;
            notify(&[NotifyState::Status(&self.status)]);
        }
    }

    /// Waits until the watchdog wants to hear that the event loop still turns, and tells it; for ever without one.
    pub(crate) async fn keep_alive(&mut self) {
        let Some(interval) = &mut self.keep_alive else { return std::future::pending().await };
        interval.tick().await;
        notify(&[NotifyState::Watchdog]);
    }
}

/// One line, of no more than is good to read.
fn shown(status: &str) -> String {
    escape(status).chars().take(STATUS_MAX).collect()
}

/// A manager that does not listen is no reason to stop watching.
fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        log::debug!("the service manager cannot be told {states:?}: {error}");
    }
}
