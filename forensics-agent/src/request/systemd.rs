//! Calls of systemd's managers: org.freedesktop.systemd1(5).

use forensics_incident::model::Recipient;

use super::{Wish, dbus::Call};

const SERVICE: &str = "org.freedesktop.systemd1";
const MANAGER: &str = "/org/freedesktop/systemd1";
const MANAGER_INTERFACE: &str = "org.freedesktop.systemd1.Manager";
/// What begins the interfaces of units, as `.Unit`, `.Service`, `.Scope`.
const INTERFACES: &str = "org.freedesktop.systemd1.";
const UNITS: &str = "/org/freedesktop/systemd1/unit/";

/// What a call asks a manager for; none for what has no part in the end of a process.
pub(super) fn wish(call: &Call<'_>) -> Option<Wish> {
    if !call.is_for(SERVICE) {
        return None;
    }
    let interface = call.interface.as_deref();
    if call.path == MANAGER && interface.is_none_or(|interface| interface == MANAGER_INTERFACE) {
        return of_manager(call);
    }
    let unit = unescape_label(call.path.strip_prefix(UNITS)?)?;
    let of_unit = interface.is_none_or(|interface| interface.starts_with(INTERFACES));
    of_unit.then(|| of_unit_object(call, unit)).flatten()
}

fn of_manager(call: &Call<'_>) -> Option<Wish> {
    let verb = call.member.as_str();
    let wish = Wish::new(Recipient::Systemd, verb);
    let mut arguments = call.arguments();
    Some(match verb {
        "StartUnit"
        | "StartUnitWithFlags"
        | "StopUnit"
        | "ReloadUnit"
        | "RestartUnit"
        | "TryRestartUnit"
        | "ReloadOrRestartUnit"
        | "ReloadOrTryRestartUnit"
        | "StartTransientUnit" => {
            let unit = arguments.text()?;
            let mode = arguments.text().unwrap_or_default();
            wish.about(Some(unit)).how(&[&mode])
        }
        "StartUnitReplace" => {
            let (_, unit) = (arguments.text()?, arguments.text()?);
            let mode = arguments.text().unwrap_or_default();
            wish.about(Some(unit)).how(&[&mode])
        }
        "EnqueueUnitJob" => {
            let (unit, job) = (arguments.text()?, arguments.text()?);
            let mode = arguments.text().unwrap_or_default();
            wish.about(Some(unit)).how(&[&job, &mode])
        }
        "KillUnit" | "QueueSignalUnit" => {
            let (unit, whom) = (arguments.text()?, arguments.text()?);
            let signal = arguments.signed();
            wish.about(Some(unit)).how(&[&whom]).with(signal.and_then(|signal| signal.try_into().ok()))
        }
        "KillUnitSubgroup" => {
            let (unit, whom, _) = (arguments.text()?, arguments.text()?, arguments.text()?);
            let signal = arguments.signed();
            wish.about(Some(unit)).how(&[&whom]).with(signal.and_then(|signal| signal.try_into().ok()))
        }
        "FreezeUnit" | "ThawUnit" | "StartAuxiliaryScope" => wish.about(Some(arguments.text()?)),
        "EnqueueMarkedJobs" | "Reload" | "Reexecute" | "Exit" | "Reboot" | "SoftReboot" | "PowerOff"
        | "Halt" | "KExec" | "SwitchRoot" => wish,
        _ => return None,
    })
}

/// A call of the object of one unit.
fn of_unit_object(call: &Call<'_>, unit: String) -> Option<Wish> {
    let verb = call.member.as_str();
    let wish = Wish::new(Recipient::Systemd, verb).about(Some(unit));
    let mut arguments = call.arguments();
    Some(match verb {
        "Start" | "Stop" | "Reload" | "Restart" | "TryRestart" | "ReloadOrRestart" | "ReloadOrTryRestart" => {
            let mode = arguments.text().unwrap_or_default();
            wish.how(&[&mode])
        }
        "EnqueueJob" => {
            let (job, mode) = (arguments.text()?, arguments.text().unwrap_or_default());
            wish.how(&[&job, &mode])
        }
        "Kill" | "QueueSignal" => {
            let (whom, signal) = (arguments.text()?, arguments.signed());
            wish.how(&[&whom]).with(signal.and_then(|signal| signal.try_into().ok()))
        }
        "KillSubgroup" => {
            let (_, whom) = (arguments.text()?, arguments.text()?);
            let signal = arguments.signed();
            wish.how(&[&whom]).with(signal.and_then(|signal| signal.try_into().ok()))
        }
        "Freeze" | "Thaw" => wish,
        _ => return None,
    })
}

/// The last part of an object path back to what it was made of (`bus_label_unescape` in systemd's `src/basic/bus-label.c`);
/// none when that is no text.
pub(super) fn unescape_label(label: &str) -> Option<String> {
    if label == "_" {
        return Some(String::new());
    }
    let mut out = Vec::with_capacity(label.len());
    let mut rest = label.as_bytes();
    while let [first, tail @ ..] = rest {
        let code = match rest {
            [b'_', high, low, ..] => {
                let digit =
                    |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
                digit(*high).zip(digit(*low)).map(|(high, low)| high << 4 | low)
            }
            _ => None,
        };
        out.push(code.unwrap_or(*first));
        rest = if code.is_some() { rest.get(3..).unwrap_or_default() } else { tail };
    }
    String::from_utf8(out).ok()
}
