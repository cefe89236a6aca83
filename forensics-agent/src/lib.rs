//! The agent: loads the kernel programs, joins their records with evidence from the host, and reports
//! each end of a target with a verdict.
//!
//! `kernel` speaks with the kernel programs, `host` gathers evidence, `report` prints, `commands` holds
//! one file per command. The model, the assembly of incidents and the verdict are `forensics-incident`.

pub mod commands;
pub mod host;
pub mod kernel;
pub mod report;
