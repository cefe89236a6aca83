/// Per-CPU counters of the programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counter {
    /// Records that did not fit into the ring buffer.
    RingFull = 0,
    /// Targets that did not fit into the watch map.
    TargetsFull = 1,
    /// Requests that were not recorded, since their sender made too many.
    RequestsBeyondRate = 2,
}

impl Counter {
    /// How many there are.
    pub const COUNT: u32 = 3;
}
