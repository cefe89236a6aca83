//! The agent's end of the rings that the kernel programs write to.

use std::{io, os::fd::AsRawFd};

use aya::maps::{MapData, PerCpuArray, RingBuf};
use forensics_common::Counter;
use tokio::io::{
    Interest,
    unix::{AsyncFd, AsyncFdReadyMutGuard},
};

use super::persist::Log;
use crate::kernel::{
    load::ProgramsLog,
    records::{self, Position, Record},
    sequence::Sequences,
};

/// Records that are taken in before anything else gets its turn: a flood must not starve the rest.
const BATCH: usize = 256;

/// Records off the ring.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// In the order in which the kernel wrote them.
    pub(super) records: Vec<Record>,
    /// The ring was found empty.
    pub(super) drained: bool,
    /// Records missing in the sequences between these.
    gaps: u64,
}

/// The kernel's records, with an eye on those that are missing.
pub(super) struct Ring {
    events: AsyncFd<RingBuf<MapData>>,
    counters: PerCpuArray<MapData, u64>,
    taking: Taking,
    /// Records missing in the sequences.
    gaps: u64,
}

/// What is done with each record as it is taken off the ring.
#[derive(Default)]
struct Taking {
    sequences: Sequences,
    /// Where it is written before, when the programs outlive the agent.
    log: Option<Log>,
    /// The last of those, which may still be in the ring as well.
    logged: Option<Position>,
    /// What was made up to this moment is left out, `CLOCK_BOOTTIME` nanoseconds: other programs recorded it too.
    until_ns: u64,
}

impl Ring {
    /// Takes the ring and the counters of the programs.
    pub(super) fn new(events: RingBuf<MapData>, counters: PerCpuArray<MapData, u64>) -> io::Result<Self> {
        Ok(Self { events: waitable(events)?, counters, taking: Taking::default(), gaps: 0 })
    }

    /// Waits for records and takes up to a batch.
    pub(super) async fn next(&mut self) -> io::Result<Batch> {
        let mut ready = self.events.readable_mut().await?;
        let batch = self.taking.batch(ready.get_inner_mut());
        if batch.drained {
            ready.clear_ready();
        }
        self.gaps += batch.gaps;
        Ok(batch)
    }

    /// Takes what is there, up to a batch, without waiting.
    pub(super) fn take(&mut self) -> Batch {
        let batch = self.taking.batch(self.events.get_mut());
        self.gaps += batch.gaps;
        batch
    }

    /// Writes each record to a log from now on, before it is taken off the ring.
    pub(super) fn keep(&mut self, log: Log) {
        self.taking.log = Some(log);
    }

    /// The log, when there is one.
    pub(super) fn log(&mut self) -> Option<&mut Log> {
        self.taking.log.as_mut()
    }

    /// Goes on with a ring from which an earlier agent took these records, the last of each sequence. It may have died before
    /// the very last one was off the ring.
    pub(super) fn go_on(&mut self, sequences: &[(u32, u32, u64)], logged: Option<Position>) {
        self.taking.sequences.go_on(sequences);
        self.taking.logged = logged;
    }

    /// CPU, program and number of the last record of each sequence.
    pub(super) fn sequences(&self) -> Vec<(u32, u32, u64)> {
        self.taking.sequences.last()
    }

    /// Leaves out what was made up to a moment, `CLOCK_BOOTTIME` nanoseconds.
    pub(super) fn leave_out(&mut self, until_ns: u64) {
        self.taking.until_ns = until_ns;
    }

    /// A record that an earlier agent took off the ring.
    pub(super) fn took(&mut self, position: Position) {
        self.taking.sequences.take(position);
    }

    /// Takes every record that is in the ring of an earlier agent, up to a moment.
    pub(super) fn take_earlier(&mut self, events: &mut RingBuf<MapData>, until_ns: u64) -> Vec<Record> {
        let mut records = Vec::new();
        while let Some(item) = events.next() {
            match records::decode(&item) {
                Ok((position, record)) if position.boot_ns <= until_ns => {
                    if let Some(log) = &mut self.taking.log {
                        log.record(&item);
                    }
                    records.push(record);
                }
                Ok(_) => {}
                Err(error) => log::warn!("{error}"),
            }
        }
        records
    }

    /// Records that were lost since the programs run.
    pub(super) fn lost(&self) -> u64 {
        // A record that did not fit leaves a gap too, but only once a later one of its kind has come.
        self.counter(Counter::RingFull).max(self.gaps)
    }

    /// Requests that were not recorded since the programs run, since their sender made too many.
    pub(super) fn requests_beyond_rate(&self) -> u64 {
        self.counter(Counter::RequestsBeyondRate)
    }

    fn counter(&self, counter: Counter) -> u64 {
        sum(&self.counters, counter)
    }
}

/// Records that did not fit into a ring, by the counters that belong to it.
pub(super) fn ring_full(counters: &PerCpuArray<MapData, u64>) -> u64 {
    sum(counters, Counter::RingFull)
}

fn sum(counters: &PerCpuArray<MapData, u64>, counter: Counter) -> u64 {
    counters.get(&(counter as u32), 0).map_or(0, |values| values.iter().sum())
}

impl Taking {
    /// What cannot be decoded is logged and left out.
    fn batch(&mut self, ring: &mut RingBuf<MapData>) -> Batch {
        let mut batch = Batch::default();
        for _ in 0..BATCH {
            let Some(item) = ring.next() else {
                batch.drained = true;
                break;
            };
            let (position, record) = match records::decode(&item) {
                Ok(decoded) => decoded,
                Err(error) => {
                    log::warn!("{error}");
                    continue;
                }
            };
            if self.logged.take() == Some(position) {
                continue;
            }
            batch.gaps += self.sequences.take(position);
            if position.boot_ns <= self.until_ns {
                continue;
            }
            // Before it is let go of, which takes it off the ring.
            if let Some(log) = &mut self.log {
                log.record(&item);
            }
            batch.records.push(record);
        }
        batch
    }
}

/// What the kernel programs log, when they were asked to.
pub(super) struct Diagnostics(Option<AsyncFd<ProgramsLog>>);

impl Diagnostics {
    /// Takes the log, if there is one.
    pub(super) fn new(log: Option<ProgramsLog>) -> io::Result<Self> {
        Ok(Self(log.map(waitable).transpose()?))
    }

    /// Waits for lines and passes them on to the agent's own diagnostics; for ever when there is no log.
    pub(super) async fn pass_on(&mut self) -> io::Result<()> {
        let Some(log) = &mut self.0 else { return std::future::pending().await };
        let mut ready: AsyncFdReadyMutGuard<'_, ProgramsLog> = log.readable_mut().await?;
        ready.get_inner_mut().flush();
        ready.clear_ready();
        Ok(())
    }
}

/// Lets the event loop wait for a ring buffer.
pub(super) fn waitable<T: AsRawFd>(ring: T) -> io::Result<AsyncFd<T>> {
    // SAFETY: both kinds of ring own their descriptor, return it always, and close it only when they are dropped,
    // which the `AsyncFd` does after it has let go of it.
    unsafe { AsyncFd::register_with_interest(ring, Interest::READABLE) }.map_err(io::Error::from)
}
