use serde::{Deserialize, Serialize};

use super::Process;

/// What a process wrote to when nobody read it any more.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outlet {
    /// Number of the descriptor.
    pub descriptor: u32,
    /// What it was.
    pub kind: OutletKind,
    /// Who had been at the other end of a socket of AF_UNIX (`SO_PEERCRED`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<Process>,
    /// The other end of a socket of IP: address and port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
}

/// The kinds of [`Outlet`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OutletKind {
    /// A pipe, with a name or without.
    Pipe,
    /// A socket of AF_UNIX.
    Unix,
    /// A socket of IPv4 or IPv6.
    Inet,
}

impl Outlet {
    /// "its standard output, a pipe"
    pub(crate) fn name(&self, peer: impl Fn(&Process) -> String) -> String {
        let what = match self.kind {
            OutletKind::Pipe => "a pipe".to_owned(),
            OutletKind::Unix => match &self.peer {
                Some(process) => format!("a socket to {}", peer(process)),
                None => "a socket of AF_UNIX".to_owned(),
            },
            OutletKind::Inet => match &self.address {
                Some(address) => format!("a connection to {address}"),
                None => "a connection".to_owned(),
            },
        };
        match self.descriptor {
            1 => format!("its standard output, {what}"),
            2 => format!("its standard error, {what}"),
            number => format!("descriptor {number}, {what}"),
        }
    }
}
