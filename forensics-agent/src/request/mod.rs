//! What somebody asked a manager or a container runtime for, read from the bytes that they sent there, or from a command
//! line that must have led to such a request.
//!
//! The bytes are those of any user of the host, cut off at some length: whatever they are, reading them neither panics nor
//! takes long. Only verb, object and mode are taken out of them.

mod command;
mod dbus;
mod http;
mod logind;
mod mode;
mod socket;
mod systemd;

#[cfg(test)]
mod tests;

use forensics_incident::model::Recipient;

pub use command::{Ordered, of_command};
pub(crate) use logind::CANCEL;
pub use mode::Mode;
pub use socket::{Protocol, Socket};

/// Messages that are read out of one send at most.
const MAX_MESSAGES: usize = 8;
/// Longest object that is kept, characters: a unit name has 255 bytes at most (`UNIT_NAME_MAX`).
const MAX_OBJECT: usize = 255;
/// Longest word of a mode.
const MAX_WORD: usize = 32;

/// One request, without who made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// Who was asked.
    pub recipient: Recipient,
    /// The method, as `RestartUnit`, or what a container is to do, as `stop`.
    pub verb: String,
    /// Whom it is about.
    pub object: Option<String>,
    /// How.
    pub mode: Option<String>,
    /// The signal that is to be sent.
    pub signal_num: Option<u32>,
    /// When it is to be done, Unix time, microseconds; none when at once.
    pub due_us: Option<u64>,
}

impl Wish {
    fn new(recipient: Recipient, verb: &str) -> Self {
        Self { recipient, verb: verb.to_owned(), object: None, mode: None, signal_num: None, due_us: None }
    }

    fn about(self, object: Option<String>) -> Self {
        Self { object: object.map(clipped), ..self }
    }

    fn how(self, words: &[&str]) -> Self {
        let plain = |word: &&&str| {
            let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.=".contains(c);
            (1..=MAX_WORD).contains(&word.len()) && word.chars().all(is_plain)
        };
        let words: Vec<&str> = words.iter().filter(plain).copied().collect();
        Self { mode: (!words.is_empty()).then(|| words.join(" ")), ..self }
    }

    fn at(self, due_us: Option<u64>) -> Self {
        Self { due_us, ..self }
    }

    fn with(self, signal_num: Option<u32>) -> Self {
        Self { signal_num: signal_num.filter(|number| (1..=64).contains(number)), ..self }
    }
}

/// The requests of one send to a socket. What is no request for what can end a process is left out.
pub fn of_bytes(socket: &Socket, bytes: &[u8]) -> Vec<Wish> {
    match socket.protocol {
        Protocol::Dbus => dbus::calls(bytes).take(MAX_MESSAGES).filter_map(|call| of_call(&call)).collect(),
        Protocol::Http(engine) => http::wish(engine, bytes).into_iter().collect(),
    }
}

fn of_call(call: &dbus::Call<'_>) -> Option<Wish> {
    systemd::wish(call).or_else(|| logind::wish(call))
}

/// The first characters of foreign text.
fn clipped(text: String) -> String {
    match text.char_indices().nth(MAX_OBJECT) {
        Some((end, _)) => text.get(..end).unwrap_or_default().to_owned(),
        None => text,
    }
}
