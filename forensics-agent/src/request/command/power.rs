//! Commands that end everything: shutdown(8), reboot(8), telinit(8).

use forensics_incident::model::Recipient;

use super::options::Parsed;
use crate::request::Wish;

/// The manager's method for a verb of systemctl.
pub(super) fn method(verb: &str) -> Option<&'static str> {
    Some(match verb {
        "poweroff" => "PowerOff",
        "reboot" => "Reboot",
        "soft-reboot" => "SoftReboot",
        "halt" => "Halt",
        "kexec" => "KExec",
        _ => return None,
    })
}

/// What one of these commands asks for.
pub(super) fn wish(program: &str, arguments: &[String]) -> Option<Wish> {
    let parsed = Parsed::new(arguments, &[]);
    let asked = match program {
        // `-w` and `--wtmp-only` only write a log.
        "reboot" | "poweroff" | "halt" => {
            (!parsed.has(&["w", "wtmp-only", "help"])).then(|| method(program)).flatten()?
        }
        "shutdown" if parsed.has(&["c", "k", "show", "help"]) => return None,
        "shutdown" if parsed.has(&["r", "reboot"]) => "Reboot",
        "shutdown" if parsed.has(&["H", "halt"]) => "Halt",
        "shutdown" => "PowerOff",
        _ => match *parsed.words.first()? {
            "0" => "PowerOff",
            "6" => "Reboot",
            _ => return None,
        },
    };
    Some(Wish::new(Recipient::Systemd, asked))
}
