//! systemctl(1) and loginctl(1).

use forensics_incident::{model::Recipient, signals::SIGTERM};

use super::{Ordered, options::Parsed, power, signal};
use crate::{host::systemd::unit::UnitPath, request::Wish};

/// Options of either that take a value.
const VALUED: [&str; 35] = [
    "H",
    "M",
    "t",
    "p",
    "P",
    "s",
    "n",
    "o",
    "host",
    "machine",
    "type",
    "state",
    "property",
    "root",
    "image",
    "job-mode",
    "kill-who",
    "kill-whom",
    "signal",
    "kill-value",
    "kill-subgroup",
    "what",
    "lines",
    "output",
    "preset-mode",
    "timestamp",
    "message",
    "reboot-argument",
    "drop-in",
    "when",
    "boot-loader-menu",
    "boot-loader-entry",
    "check-inhibitors",
    "value",
    "legend",
];

/// Where it is not this host's manager that is asked.
const ELSEWHERE: [&str; 6] = ["H", "host", "M", "machine", "root", "image"];

pub(super) fn systemctl(arguments: &[String]) -> Vec<Ordered> {
    let parsed = Parsed::new(arguments, &VALUED);
    let Some((verb, units)) = parsed.words.split_first() else { return Vec::new() };
    if parsed.has(&ELSEWHERE) {
        return Vec::new();
    }
    let to_own = parsed.has(&["user"]) && !parsed.has(&["system"]);
    let mode = parsed.value(&["job-mode"]).unwrap_or("replace");
    let ask = |method: &str| Wish::new(Recipient::Systemd, method);
    let job = |method: &str, mode: &str| -> Vec<Wish> {
        units.iter().map(|unit| ask(method).about(Some(with_type(unit))).how(&[mode])).collect()
    };
    let one =
        |method: &str, unit: &str, mode: &str| vec![ask(method).about(Some(unit.to_owned())).how(&[mode])];
    let wishes = match *verb {
        "start" => job("StartUnit", mode),
        "stop" => job("StopUnit", mode),
        "restart" => job("RestartUnit", mode),
        "try-restart" | "condrestart" => job("TryRestartUnit", mode),
        "reload" => job("ReloadUnit", mode),
        "reload-or-restart" => job("ReloadOrRestartUnit", mode),
        "try-reload-or-restart" | "reload-or-try-restart" | "force-reload" | "condreload" => {
            job("ReloadOrTryRestartUnit", mode)
        }
        "isolate" => job("StartUnit", "isolate"),
        "kill" => {
            let whom = parsed.value(&["kill-whom", "kill-who"]).unwrap_or("all");
            let number = parsed.value(&["s", "signal"]).map_or(Some(SIGTERM), signal);
            job("KillUnit", whom).into_iter().map(|wish| wish.with(number)).collect()
        }
        "freeze" => job("FreezeUnit", ""),
        "thaw" => job("ThawUnit", ""),
        "daemon-reexec" => vec![ask("Reexecute")],
        "rescue" => one("StartUnit", "rescue.target", "isolate"),
        "emergency" => one("StartUnit", "emergency.target", "isolate"),
        "default" => one("StartUnit", "default.target", "isolate"),
        "exit" if to_own => vec![ask("Exit")],
        power => power::method(power).map(ask).into_iter().collect(),
    };
    wishes.into_iter().map(|wish| Ordered { wish, to_own }).collect()
}

pub(super) fn loginctl(arguments: &[String]) -> Vec<Ordered> {
    let parsed = Parsed::new(arguments, &VALUED);
    let Some((verb, objects)) = parsed.words.split_first() else { return Vec::new() };
    let method = match *verb {
        "terminate-session" => "TerminateSession",
        "terminate-user" => "TerminateUser",
        "terminate-seat" => "TerminateSeat",
        "kill-session" => "KillSession",
        "kill-user" => "KillUser",
        _ => return Vec::new(),
    };
    if parsed.has(&ELSEWHERE) {
        return Vec::new();
    }
    let kills = method.starts_with("Kill");
    let number = parsed.value(&["s", "signal"]).map_or(Some(SIGTERM), signal).filter(|_| kills);
    let whom = parsed.value(&["kill-whom", "kill-who"]).unwrap_or("all");
    let how = if method == "KillSession" { whom } else { "" };
    let wish = |object: &&str| {
        Wish::new(Recipient::Logind, method).about(Some((*object).to_owned())).how(&[how]).with(number)
    };
    objects.iter().map(|object| Ordered { wish: wish(object), to_own: false }).collect()
}

/// A unit as systemctl names it to the manager: what has no type is a service.
fn with_type(unit: &str) -> String {
    UnitPath::named(unit, crate::host::systemd::unit::Scope::System)
        .map_or_else(|| unit.to_owned(), |place| place.unit)
}
