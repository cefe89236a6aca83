//! Says when incidents are in a store: a line `PID NANOSECONDS` for each, by `CLOCK_MONOTONIC`.

use std::collections::HashSet;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use forensics_agent::store::{Filter, State, Store};
use rustix::time::{ClockId, clock_gettime};

/// From one look to the next.
const PAUSE: Duration = Duration::from_micros(250);

/// Looks until it is killed.
pub(super) fn run(mut words: impl Iterator<Item = String>) -> Result<()> {
    let path = words.next().context("no store")?;
    let store = Store::read(Path::new(&path))?;
    let mut seen = HashSet::new();
    loop {
        // The oldest first. One that is open yet is not the incident that was told.
        let mut present = store.list(&Filter::default(), 4)?;
        let now = clock_gettime(ClockId::Monotonic);
        present.reverse();
        for incident in present.into_iter().filter(|incident| incident.state == State::Closed) {
            if seen.insert(incident.id) {
                println!("{} {}", incident.target_pid, now.tv_sec * 1_000_000_000 + now.tv_nsec);
                std::io::stdout().flush()?;
            }
        }
        std::thread::sleep(PAUSE);
    }
}
