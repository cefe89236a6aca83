//! What a command must have asked for, from its arguments: where the request itself was not seen.
//!
//! Commands that run one of these (`service`, `invoke-rc.d`, `deb-systemd-invoke`, needrestart) are among its ancestors.

mod engine;
mod options;
mod power;
mod systemctl;

use forensics_incident::signals;

use super::Wish;

/// A request, and whether it went to the manager of the user who ran the command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ordered {
    /// The request.
    pub wish: Wish,
    /// To the user's own manager or engine rather than the system's.
    pub to_own: bool,
}

/// The requests that a command line stands for; none for other commands, and for those that ask another host.
pub fn of_command(argv: &[String]) -> Vec<Ordered> {
    let Some((program, arguments)) = argv.split_first() else { return Vec::new() };
    let program = program.rsplit('/').next().unwrap_or_default();
    match program {
        "systemctl" => systemctl::systemctl(arguments),
        "loginctl" => systemctl::loginctl(arguments),
        "reboot" | "poweroff" | "halt" | "shutdown" | "init" | "telinit" => {
            power::wish(program, arguments).map(|wish| Ordered { wish, to_own: false }).into_iter().collect()
        }
        "docker" | "podman" => engine::wishes(program, arguments),
        _ => Vec::new(),
    }
}

/// A signal as people name it: `TERM`, `SIGTERM`, `15`, `RTMIN+3`.
pub(super) fn signal(text: &str) -> Option<u32> {
    let text = text.to_ascii_uppercase();
    let name = if text.starts_with("SIG") { text.clone() } else { format!("SIG{text}") };
    let by_number = text.parse().ok().filter(|number| (1..=64).contains(number));
    by_number.or_else(|| (1..=64).find(|number| signals::name(*number) == name))
}
