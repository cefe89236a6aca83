//! The agent as a service: what it tells its manager, and what it runs for an incident.

mod manager;
mod on_incident;

pub(crate) use manager::Manager;
pub use on_incident::OnIncident;
pub(crate) use on_incident::Runner;
