//! What systemd-logind was asked for and logged about a shutdown.

use crate::model::{Act, ManagerFacts, ManagerMessage, Recipient, Request};

/// It begins a shutdown (`systemd/sd-messages.h`).
pub(super) const SHUTDOWN: &str = "98268866d1d54a499c4e98921d93bc40";
/// Keys that it takes for the order to.
pub(super) const KEYS: [&str; 4] = [
    "b72ea4a2881545a0b50e200e55b9b071",
    "3e0117101eb243c1b9a50db3494ab10b",
    "9fa9d2c012134ec385451ffe316f97d0",
    "f1c59a58c9d943668965c337caec5975",
];
/// It does so this soon after the key, unless somebody delays it, seconds.
pub(super) const KEY_S: f64 = 10.0;
/// How long somebody may delay it, seconds: as long as `InhibitDelayMaxSec=` says, which is 5 s where nobody has set it.
pub(super) const DELAY_S: f64 = 300.0;

/// True for a request to it to shut down, at once or later.
pub(super) fn is_for_shutdown(request: &Request) -> bool {
    request.recipient == Recipient::Logind && matches!(request.act(), Act::Shutdown | Act::Schedule)
}

/// Its messages that a shutdown begins, oldest first.
pub(super) fn shutdowns(manager: &ManagerFacts) -> impl DoubleEndedIterator<Item = &ManagerMessage> {
    of_logind(manager, &[SHUTDOWN])
}

/// The last key that it saw in so many seconds before a moment.
pub(super) fn key_before(manager: &ManagerFacts, ts: f64, within_s: f64) -> Option<&ManagerMessage> {
    of_logind(manager, &KEYS).rfind(|message| (0.0..=within_s).contains(&(ts - message.ts)))
}

fn of_logind<'a>(
    manager: &'a ManagerFacts,
    ids: &'static [&'static str],
) -> impl DoubleEndedIterator<Item = &'a ManagerMessage> {
    manager.messages.iter().filter(move |message| {
        message.identifier == "systemd-logind"
            && message.message_id.as_deref().is_some_and(|id| ids.contains(&id))
    })
}

#[cfg(test)]
pub(super) mod tests {
    use crate::model::ManagerMessage;
    use crate::sample::BOOT;

    /// What it logs at `at` seconds since boot.
    pub(in crate::verdict) fn logged(at: f64, id: &str, text: &str) -> ManagerMessage {
        ManagerMessage {
            ts: BOOT + at,
            identifier: "systemd-logind".to_owned(),
            text: text.to_owned(),
            message_id: Some(id.to_owned()),
            ..ManagerMessage::default()
        }
    }
}
