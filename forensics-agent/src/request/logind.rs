//! Calls of systemd-logind: org.freedesktop.login1(5).

use forensics_incident::model::Recipient;

use super::{
    Wish,
    dbus::{Arguments, Call},
    systemd::unescape_label,
};

const SERVICE: &str = "org.freedesktop.login1";
const MANAGER: &str = "/org/freedesktop/login1";
const MANAGER_INTERFACE: &str = "org.freedesktop.login1.Manager";

/// The call that takes a scheduled shutdown back.
pub(crate) const CANCEL: &str = "CancelScheduledShutdown";

/// What a call asks logind for; none for what has no part in the end of a process.
pub(super) fn wish(call: &Call<'_>) -> Option<Wish> {
    if !call.is_for(SERVICE) {
        return None;
    }
    let below = call.path.strip_prefix(MANAGER)?;
    let interface = call.interface.as_deref();
    if below.is_empty() {
        return interface
            .is_none_or(|interface| interface == MANAGER_INTERFACE)
            .then(|| of_manager(call))
            .flatten();
    }
    // `/session/_31`, `/user/_1000`, `/seat/seat0`
    let (kind, label) = below.strip_prefix('/')?.split_once('/')?;
    of_object(call, kind, unescape_label(label)?)
}

fn of_manager(call: &Call<'_>) -> Option<Wish> {
    let verb = call.member.as_str();
    let wish = Wish::new(Recipient::Logind, verb);
    let mut arguments = call.arguments();
    Some(match verb {
        "TerminateSession" | "TerminateSeat" => wish.about(Some(arguments.text()?)),
        "TerminateUser" => wish.about(Some(arguments.unsigned()?.to_string())),
        "KillSession" => {
            let (session, whom) = (arguments.text()?, arguments.text()?);
            wish.about(Some(session)).how(&[&whom]).with(signal(&mut arguments))
        }
        "KillUser" => wish.about(Some(arguments.unsigned()?.to_string())).with(signal(&mut arguments)),
        "ScheduleShutdown" => {
            let kind = arguments.text()?;
            // `dry-reboot` and the like only tell the users.
            if kind.starts_with("dry-") {
                return None;
            }
            wish.how(&[&kind]).at(Some(arguments.unsigned_long()?))
        }
        CANCEL | "PowerOff" | "PowerOffWithFlags" | "Reboot" | "RebootWithFlags" | "Halt"
        | "HaltWithFlags" => wish,
        _ => return None,
    })
}

/// A call of the object of a session, a user or a seat; told as that of the manager which does the same.
fn of_object(call: &Call<'_>, kind: &str, name: String) -> Option<Wish> {
    let verb = match (call.member.as_str(), kind) {
        ("Terminate", "session") => "TerminateSession",
        ("Terminate", "user") => "TerminateUser",
        ("Terminate", "seat") => "TerminateSeat",
        ("Kill", "session") => "KillSession",
        ("Kill", "user") => "KillUser",
        _ => return None,
    };
    // The path of a user is that of its number with an underscore before it, whatever an escape would be.
    let name = if kind == "user" { call.path.rsplit("/_").next()?.to_owned() } else { name };
    let wish = Wish::new(Recipient::Logind, verb).about(Some(name));
    let mut arguments = call.arguments();
    Some(match verb {
        "KillSession" => {
            let whom = arguments.text()?;
            wish.how(&[&whom]).with(signal(&mut arguments))
        }
        "KillUser" => wish.with(signal(&mut arguments)),
        _ => wish,
    })
}

fn signal(arguments: &mut Arguments<'_, '_>) -> Option<u32> {
    arguments.signed()?.try_into().ok()
}
