//! The agent: loads the kernel programs, joins their records with evidence from the host, and reports
//! each end of a target with a verdict.
//!
//! `explain` reads what logs tell of ends that nobody watched.
//!
//! `kernel` speaks with the kernel programs, `host` gathers evidence, `targets` says which processes are
//! watched, `session` is one run around the event loop, `store` keeps incidents, `varlink` answers those who ask over a socket,
//! `report` prints, `service` is what a service
//! manager and whoever is on call want of the agent, `commands` holds one file per command, `config` is the configuration file,
//! and `cli` the command line. The model, the assembly of incidents and the verdict are
//! `forensics-incident`.

mod bucket;
mod child;
pub mod cli;
pub mod commands;
pub mod config;
pub mod diagnostics;
pub mod explain;
mod forward;
pub mod host;
mod huge_pages;
pub mod kernel;
mod memory;
mod moment;
pub mod path_or_none;
pub mod report;
pub mod request;
pub mod service;
pub mod session;
pub mod store;
pub mod targets;
pub mod varlink;
