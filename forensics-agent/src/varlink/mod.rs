//! "Who is signalling me?": a socket on which a watched service asks, inside its own signal handler, for its shutdown
//! context and its killer.
//!
//! The protocol is varlink (<https://varlink.org>): JSON objects, each ended by a NUL byte, with a method and its
//! parameters one way, and its results or an error the other way. Peers are not trusted: whatever they do or leave undone
//! costs a bounded amount of memory and time, and never holds up the event loop.

mod admission;
mod connection;
mod interface;
mod message;
mod peer;
mod place;
mod server;
mod view;

use forensics_incident::model::ProcessKey;
use tokio::sync::oneshot;

use crate::cli::ShowCmdline;
use crate::host::markers::MarkerSpec;
pub use server::{Server, SocketError};
pub use view::{Brief, Killer, Shown, Told, Viewer};

/// Where the agent listens unless it is said otherwise.
pub const DEFAULT_PATH: &str = "/run/forensics-agent/agent.sock";

/// Incidents that are kept for those who ask.
pub const MAX_INCIDENTS: usize = 64;

/// What the run of the agent is asked, once it is known who asks.
#[derive(Debug)]
pub enum Ask {
    /// Who sent the last signal to a process.
    Killer {
        /// The process, its start in ticks.
        process: ProcessKey,
        /// Number of the signal; the last one of any number without it.
        signal: Option<u32>,
        /// Who asks.
        viewer: Viewer,
        /// Where the answer goes.
        reply: oneshot::Sender<Known>,
    },
    /// The last incidents, newest first.
    Incidents {
        /// At most so many.
        limit: usize,
        /// Who asks.
        viewer: Viewer,
        /// Where the answer goes.
        reply: oneshot::Sender<Vec<Told>>,
    },
}

/// What the run of the agent knows of a process.
#[derive(Debug)]
pub struct Known {
    /// The process is a target.
    pub watched: bool,
    /// Who signalled it.
    pub killer: Option<Killer>,
    /// How much of command lines is shown.
    pub show: ShowCmdline,
    /// The marker files to look for.
    pub markers: std::sync::Arc<[MarkerSpec]>,
}
