//! The agent's end of the rings that the kernel programs write to.

use std::{io, os::fd::AsRawFd};

use aya::maps::{MapData, PerCpuArray, RingBuf};
use forensics_common::Counter;
use tokio::io::{
    Interest,
    unix::{AsyncFd, AsyncFdReadyMutGuard},
};

use crate::kernel::{
    load::ProgramsLog,
    records::{self, Record},
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
    sequences: Sequences,
    /// Records missing in the sequences.
    gaps: u64,
}

impl Ring {
    /// Takes the ring and the counters of the programs.
    pub(super) fn new(events: RingBuf<MapData>, counters: PerCpuArray<MapData, u64>) -> io::Result<Self> {
        Ok(Self { events: waitable(events)?, counters, sequences: Sequences::default(), gaps: 0 })
    }

    /// Waits for records and takes up to a batch.
    pub(super) async fn next(&mut self) -> io::Result<Batch> {
        let mut ready = self.events.readable_mut().await?;
        let batch = take_batch(ready.get_inner_mut(), &mut self.sequences);
        if batch.drained {
            ready.clear_ready();
        }
        self.gaps += batch.gaps;
        Ok(batch)
    }

    /// Takes what is there, up to a batch, without waiting.
    pub(super) fn take(&mut self) -> Batch {
        let batch = take_batch(self.events.get_mut(), &mut self.sequences);
        self.gaps += batch.gaps;
        batch
    }

    /// Records that were lost since the start.
    pub(super) fn lost(&self) -> u64 {
        // A record that did not fit leaves a gap too, but only once a later one of its kind has come.
        self.counter(Counter::RingFull).max(self.gaps)
    }

    /// Requests that were not recorded since the start, since their sender made too many.
    pub(super) fn requests_beyond_rate(&self) -> u64 {
        self.counter(Counter::RequestsBeyondRate)
    }

    fn counter(&self, counter: Counter) -> u64 {
        self.counters.get(&(counter as u32), 0).map_or(0, |values| values.iter().sum())
    }
}

/// What cannot be decoded is logged and left out.
fn take_batch(ring: &mut RingBuf<MapData>, sequences: &mut Sequences) -> Batch {
    let mut batch = Batch::default();
    for _ in 0..BATCH {
        let Some(item) = ring.next() else {
            batch.drained = true;
            break;
        };
        match records::decode(&item) {
            Ok((position, record)) => {
                batch.gaps += sequences.take(position);
                batch.records.push(record);
            }
            Err(error) => log::warn!("{error}"),
        }
    }
    batch
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
