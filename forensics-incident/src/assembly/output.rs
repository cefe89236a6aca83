//! What comes out of the assembly.

use crate::model::{
    Context, Facts, INCIDENT_SCHEMA, Kill, Lost, Marker, Missing, Outcome, Process, ProcessKey, Signal,
};

/// What the caller has to do next.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// Somebody else asked a target to end. The moment to take a snapshot of it and to push it as
    /// [`super::Input::Context`], before any later input of that target. Once per incident and signal.
    TerminationRequested {
        /// Whose.
        target: ProcessKey,
        /// Number of the signal.
        signal: u32,
        /// When it was sent, `CLOCK_BOOTTIME` nanoseconds.
        boot_ns: u64,
    },
    /// An incident is complete.
    Closed(Box<Closed>),
}

/// A complete incident, without what only the host knows; see [`Facts::new`].
#[derive(Debug, Clone, PartialEq)]
pub struct Closed {
    /// Shared by targets that were hit by one act; see [`Facts::group_id`].
    pub group_id: Option<String>,
    /// Who ended.
    pub target: Process,
    /// How it ended.
    pub outcome: Outcome,
    /// Its signals, oldest first.
    pub signals: Vec<Signal>,
    /// Index in `signals` of the one that the end is attributed to.
    pub decisive: Option<usize>,
    /// The snapshot that was taken at the request to end.
    pub context: Option<Context>,
    /// Its marker files.
    pub markers: Vec<Marker>,
    /// What was lost on the way.
    pub lost: Lost,
    /// What could not be read.
    pub missing: Vec<Missing>,
}

/// What is the same for all incidents of one run of the agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostFacts {
    /// The kernel's boot id, 32 hexadecimal digits.
    pub boot_id: String,
    /// Name of the host.
    pub hostname: String,
    /// Release of the kernel.
    pub kernel: String,
    /// Version of the agent.
    pub agent_version: String,
}

impl Facts {
    /// The facts of a complete incident. `id` is a UUID version 7; what the host adds is left to the caller.
    pub fn new(host: &HostFacts, id: String, closed: Closed) -> Self {
        let HostFacts { boot_id, hostname, kernel, agent_version } = host.clone();
        let Closed { group_id, target, outcome, signals, decisive: _, context, markers, lost, missing } =
            closed;
        Self {
            schema: INCIDENT_SCHEMA.to_owned(),
            id,
            update: None,
            group_id,
            ts: outcome.ts,
            boot_id,
            hostname,
            kernel,
            agent_version,
            target,
            outcome,
            signals,
            context,
            timing: None,
            observed_drain: None,
            manager: None,
            unit_result: None,
            unit_log: Vec::new(),
            kernel_log: None,
            limits: None,
            history: None,
            requests: Vec::new(),
            pressure: None,
            aftermath: None,
            kill: Kill::default(),
            markers,
            lost,
            missing,
        }
    }
}
