//! The targets as they are now, for whoever looks at them.

use std::cmp::Reverse;
use std::io::Write;

use forensics_incident::model::{Process, Signal};

use super::Session;

/// The targets as they are now.
#[derive(Debug, Clone, Default)]
pub struct Overview {
    /// How many there are.
    pub count: usize,
    /// Some of them, those that were signalled last first, each with its last signal.
    pub targets: Vec<(Process, Option<Signal>)>,
}

impl<W: Write> Session<W> {
    /// So many of the targets, with their last signals.
    pub fn overview(&self, limit: usize) -> Overview {
        let mut order: Vec<(Reverse<u64>, u32)> = self
            .targets
            .values()
            .map(|target| {
                let last = self.assembler.last_signal(target.key());
                (Reverse(last.map_or(0, Signal::last_ns)), target.pid)
            })
            .collect();
        order.sort_unstable();
        let shown = order.iter().take(limit).filter_map(|(_, pid)| self.targets.get(pid));
        let with_last =
            |target: &Process| (target.clone(), self.assembler.last_signal(target.key()).cloned());
        Overview { count: order.len(), targets: shown.map(with_last).collect() }
    }
}
