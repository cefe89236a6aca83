//! What an incident is, how it is put together, and what it means.
//!
//! This crate is pure: it has no clock, no I/O and no operating system, so that every race in the
//! [`assembly`] and every rule of the [`verdict`] is a unit test, and a stored incident can be judged
//! again years later.
//!
//! Data flows one way: the agent decodes kernel records and turns them into [`assembly::Input`]s, the
//! assembly yields [`model::Incident`]s, and [`verdict::judge`] explains each.

pub mod assembly;
mod attribution;
pub mod concern;
pub mod drain;
pub mod history;
pub mod model;
#[cfg(test)]
mod sample;
pub mod shortage;
pub mod signals;
pub mod stop;
pub mod text;
pub mod transient;
pub mod unit_result;
pub mod verdict;
