//! The sockets at which managers and container engines take requests, by the path that they are bound to.

use forensics_incident::model::Recipient;

/// A socket that takes requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Socket {
    /// Its path, as it was bound.
    pub path: String,
    /// What is spoken there.
    pub protocol: Protocol,
    /// The user whose manager, bus or engine it is; none for those of the system.
    pub of_user: Option<u32>,
}

/// What is spoken at a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// D-Bus: a manager's own socket, or a message bus.
    Dbus,
    /// HTTP, to this engine.
    Http(Recipient),
}

impl Socket {
    /// The socket of this path; none when nobody takes requests there.
    pub fn of_path(path: &str) -> Option<Self> {
        let run = path.strip_prefix("/var").filter(|rest| rest.starts_with("/run/")).unwrap_or(path);
        let below = run.strip_prefix("/run/")?;
        let (of_user, name) = match below.strip_prefix("user/") {
            Some(rest) => {
                let (uid, name) = rest.split_once('/')?;
                (Some(uid.parse().ok()?), name)
            }
            None => (None, below),
        };
        let protocol = match (name, of_user) {
            ("systemd/private", _) | ("dbus/system_bus_socket", None) | ("bus", Some(_)) => Protocol::Dbus,
            ("docker.sock", _) => Protocol::Http(Recipient::Docker),
            ("podman/podman.sock", _) => Protocol::Http(Recipient::Podman),
            _ => return None,
        };
        Some(Self { path: path.to_owned(), protocol, of_user })
    }
}
