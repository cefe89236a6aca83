//! The harness of the real-kernel tests.
//!
//! A test starts a [`Victim`], lets the [`Agent`] watch it, has a [`killer`] do its work, and looks at the
//! [`Record`] of the incident. Nothing sleeps: victims and the agent say when they are ready, and whatever is
//! waited for has a deadline.

#[path = "../conformance/mod.rs"]
pub mod conformance;

mod agent;
mod cgroup;
mod killer;
mod lines;
mod machine;
mod needs;
mod process;
mod programs;
mod record;
mod run;
mod trial;
mod victim;
mod workdir;

pub use agent::Agent;
pub use cgroup::{MemoryCgroup, ProcessorCgroup};
pub use killer::{Killer, killer};
pub use machine::Machine;
pub use needs::{Skip, needs_program, needs_python, needs_root};
pub use process::{Finished, PATIENCE, find_process, output, wait};
pub use programs::{agent_command, agent_program, killer_program, victim_program};
pub use record::Record;
pub use run::{Ran, Run};
pub use trial::{main, test};
pub use victim::Victim;
pub use workdir::{WorkDir, unique};
