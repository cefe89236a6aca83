//! What is the same for all incidents of one run.

use std::io;

use forensics_incident::assembly::HostFacts;

use crate::host::identity;

/// Reads it.
///
/// # Errors
///
/// `/proc` is not there.
pub(super) fn facts() -> io::Result<HostFacts> {
    let identity::Identity { hostname, boot_id, kernel, machine: _ } = identity::read()?;
    Ok(HostFacts { boot_id, hostname, kernel, agent_version: env!("CARGO_PKG_VERSION").to_owned() })
}

/// An id for an incident or a group: a UUID of version 7, so that ids sort by time.
pub(super) fn new_id() -> String {
    uuid::Uuid::now_v7().to_string()
}
