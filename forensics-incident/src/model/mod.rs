//! The records that the agent prints: the JSON contract, one file per concept.
//!
//! A field that is unknown is absent, never zero; a field that could not be read is named in
//! [`Facts::missing`]. Times are Unix seconds (`ts`) or `CLOCK_BOOTTIME` nanoseconds (`boot_ns`).

mod aftermath;
mod context;
mod drain;
mod fault;
mod incident;
mod kernel_log;
mod kill;
mod limits;
mod log_line;
mod manager;
mod marker;
mod outcome;
mod outlet;
mod pressure;
mod process;
mod request;
mod signal;
mod timing;
mod unit_result;
mod verdict;

pub use aftermath::{Aftermath, Gap, JournalEnd, Panic};
pub use context::{Context, ProcessSummary};
pub use drain::ObservedDrain;
pub use fault::{CodeLocation, FaultAccess};
pub use incident::{Facts, INCIDENT_SCHEMA, Incident, Lost, Missing};
pub use kernel_log::{Chosen, Consumer, KernelLog, OomReport, SeccompReport};
pub use kill::{BpfProgram, EarlierHolder, Kill, Pidfile, ProcessGroup, SuspendedBy, Suspension};
pub use limits::{Limit, Limits};
pub use log_line::LogLine;
pub use manager::{Infinity, ManagerFacts, ManagerMessage, ParentUnit, Timeout, UnitState};
pub use marker::{FRESH_S, Marker, MarkerKind};
pub use outcome::{Outcome, OutcomeKind};
pub use outlet::{Outlet, OutletKind};
pub use pressure::{CgroupReading, MemoryEvents, MemoryLimit, Pressure, Reading, Stall, Stalls, Throttling};
pub use process::{Process, ProcessKey};
pub use request::{Act, Concern, Recipient, Request};
pub use signal::{Mechanism, Scope, SendResult, SiCode, Signal};
pub use timing::{ParentTiming, Timing};
pub use unit_result::UnitResult;
pub use verdict::{Cause, Confidence, Instigator, Intent, Link, RuledOut, Verdict};
