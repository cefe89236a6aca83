//! Asks a systemd manager about a unit: over the bus, else through `systemctl show`.
//!
//! Only a bus that this process trusts is spoken to from here: the system's, or its own user's. What another user's
//! manager says may be anything, and a D-Bus library that panics on it (zbus 5 does, on a message whose sender
//! is no bus name, such as a private manager socket sends) would end the agent. That is left to a `systemctl` of its own,
//! which is cut off when it talks too long or too much.

use std::collections::HashMap;
use std::os::unix::fs::MetadataExt as _;
use std::time::Duration;

use thiserror::Error;
use tokio::net::UnixStream;
use zbus::zvariant::{Array, OwnedValue, Signature, Value};

use super::properties::{NAMES, Properties};
use super::unit::Scope;
use crate::host::tool;

/// How long all questions about one unit may take together while an incident waits for the answer.
pub const PATIENCE: Duration = Duration::from_secs(2);

/// What the bus gets of that at most, so that one that never answers leaves time for `systemctl`.
const PATIENCE_FOR_BUS: Duration = Duration::from_millis(800);

/// What `systemctl` says of a manager that reads its files anew: it drops its connections.
const DROPPED: [&str; 2] = ["Transport endpoint is not connected", "Connection reset by peer"];
/// How long that may take.
const PAUSE: Duration = Duration::from_millis(300);
/// What is read of `systemctl` at most, bytes.
const MAX_OUTPUT: u64 = 64 * 1024;

/// Why a manager did not answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ManagerError {
    /// No way of asking led to an answer.
    #[error("the {scope} manager of systemd does not answer about {unit}: {why}")]
    NoAnswer {
        /// The unit asked for.
        unit: String,
        /// `system` or `user`.
        scope: &'static str,
        /// What the last way of asking met.
        why: String,
    },
}

/// What the manager says of how a unit is stopped: the properties [`NAMES`]. It loads the unit when it has not yet, as
/// `systemctl show` does, and changes nothing else. Takes `patience` at most.
pub async fn properties(scope: Scope, unit: &str, patience: Duration) -> Result<Properties, ManagerError> {
    properties_of(scope, unit, &NAMES, patience).await
}

/// The same, of the properties with these names.
pub async fn properties_of(
    scope: Scope,
    unit: &str,
    names: &[&'static str],
    patience: Duration,
) -> Result<Properties, ManagerError> {
    let no_answer = |why: String| ManagerError::NoAnswer { unit: unit.to_owned(), scope: scope.name(), why };
    match tokio::time::timeout(patience, ask(scope, unit, names)).await {
        Ok(answer) => answer.map_err(no_answer),
        Err(_) => Err(no_answer(format!("it took longer than {} s", patience.as_secs()))),
    }
}

async fn ask(scope: Scope, unit: &str, names: &[&'static str]) -> Result<Properties, String> {
    if let Some(bus) = bus(scope) {
        match tokio::time::timeout(PATIENCE_FOR_BUS, ask_bus(&bus, unit, names)).await {
            Ok(Ok(properties)) => return Ok(properties),
            Ok(Err(error)) => log::debug!("{bus}: {error}"),
            Err(_) => log::debug!("{bus}: no answer"),
        }
    }
    match ask_systemctl(scope, unit, names).await {
        Err(why) if DROPPED.iter().any(|part| why.contains(part)) => {
            tokio::time::sleep(PAUSE).await;
            ask_systemctl(scope, unit, names).await
        }
        answer => answer,
    }
}

/// The bus on which the manager can be asked, when it is one to trust.
fn bus(scope: Scope) -> Option<String> {
    match scope {
        Scope::System => Some("/run/dbus/system_bus_socket".to_owned()),
        Scope::User { uid } => is_own(uid).then(|| format!("/run/user/{uid}/bus")),
    }
}

fn is_own(uid: u32) -> bool {
    uid == rustix::process::geteuid().as_raw()
}

async fn ask_bus(bus: &str, unit: &str, names: &[&'static str]) -> Result<Properties, zbus::Error> {
    let stream = UnixStream::connect(bus).await?;
    let connection = zbus::connection::Builder::unix_stream(stream).build().await?;
    let path = unit_object(unit);
    let mut pairs = Vec::new();
    // What else there is has no timeouts of its own.
    let special = match unit.rsplit_once('.') {
        Some((_, "service")) => Some("Service"),
        Some((_, "scope")) => Some("Scope"),
        _ => None,
    };
    for kind in ["Unit"].into_iter().chain(special) {
        let interface = format!("org.freedesktop.systemd1.{kind}");
        let reply = connection
            .call_method(
                Some("org.freedesktop.systemd1"),
                path.as_str(),
                Some("org.freedesktop.DBus.Properties"),
                "GetAll",
                &(interface,),
            )
            .await?;
        let all: HashMap<String, OwnedValue> = reply.body().deserialize()?;
        pairs.extend(names.iter().filter_map(|name| Some(((*name).to_owned(), shown(all.get(*name)?)?))));
    }
    Ok(Properties::of(names, pairs))
}

/// A value as `systemctl show` writes it; times stay microseconds.
fn shown(value: &Value<'_>) -> Option<String> {
    Some(match value {
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::I32(number) => number.to_string(),
        Value::U32(number) => number.to_string(),
        Value::U64(number) => number.to_string(),
        Value::Str(text) => text.to_string(),
        Value::Array(items) => list(items)?,
        // `Job`: its number and its object.
        Value::Structure(fields) => shown(fields.fields().first()?)?,
        _ => return None,
    })
}

/// A list of names, or the bytes of an id.
fn list(items: &Array<'_>) -> Option<String> {
    let parts = |separator| {
        let parts: Option<Vec<String>> = items
            .iter()
            .map(|item| match item {
                Value::Str(text) => Some(text.to_string()),
                Value::U8(byte) => Some(format!("{byte:02x}")),
                _ => None,
            })
            .collect();
        parts.map(|parts| parts.join(separator))
    };
    parts(if *items.element_signature() == Signature::U8 { "" } else { " " })
}

/// The object path of a unit: all but letters and digits as `_XX` (`bus_label_escape` in systemd's
/// `src/basic/bus-label.c`).
fn unit_object(unit: &str) -> String {
    let mut path = "/org/freedesktop/systemd1/unit/".to_owned();
    for (index, byte) in unit.bytes().enumerate() {
        if byte.is_ascii_alphabetic() || (index > 0 && byte.is_ascii_digit()) {
            path.push(char::from(byte));
        } else {
            path.push_str(&format!("_{byte:02x}"));
        }
    }
    path
}

async fn ask_systemctl(scope: Scope, unit: &str, names: &[&'static str]) -> Result<Properties, String> {
    let mut command = tool::command("systemctl");
    if let Scope::User { uid } = scope {
        let runtime = format!("/run/user/{uid}");
        command.arg("--user").env("XDG_RUNTIME_DIR", &runtime);
        if !is_own(uid) {
            if !is_own(0) {
                return Err(format!("only root and user {uid} may ask it"));
            }
            // A user manager rejects root on its sockets, and `--machine=UID@` would open a session for the user. So
            // the child becomes the user, with the group that the runtime directory has.
            let directory = std::fs::symlink_metadata(&runtime)
                .map_err(|_| format!("user {uid} has no running manager"))?;
            command.uid(uid).gid(directory.gid());
        }
    }
    command.args(["show", "--no-pager", &format!("--property={}", names.join(",")), "--", unit]);
    let said = tool::run(command, MAX_OUTPUT).await?;
    Ok(Properties::of_show(names, &String::from_utf8_lossy(&said.stdout)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn object_paths() {
        let escaped = |unit| unit_object(unit).rsplit('/').next().unwrap().to_owned();
        assert_eq!(escaped("a-b@1.service"), "a_2db_401_2eservice");
        assert_eq!(escaped("1x"), "_31x");
    }

    #[test]
    fn values_look_as_systemctl_shows_them() {
        assert_eq!(shown(&Value::Bool(false)).as_deref(), Some("no"));
        assert_eq!(shown(&Value::U64(90_000_000)).as_deref(), Some("90000000"));
        assert_eq!(shown(&Value::new("loaded")).as_deref(), Some("loaded"));
        assert_eq!(shown(&Value::new(vec!["a.service", "b.timer"])).as_deref(), Some("a.service b.timer"));
        assert_eq!(shown(&Value::new(vec![0x0a_u8, 0xff])).as_deref(), Some("0aff"));
        assert_eq!(shown(&Value::new(Vec::<u8>::new())).as_deref(), Some(""));
        assert_eq!(shown(&Value::new((7_u32, "/job/7"))).as_deref(), Some("7"));
        assert_eq!(shown(&Value::F64(1.0)), None);
    }

    #[test]
    fn only_trusted_buses() {
        let own = rustix::process::geteuid().as_raw();
        assert_eq!(bus(Scope::User { uid: own }), Some(format!("/run/user/{own}/bus")));
        assert_eq!(bus(Scope::User { uid: own.wrapping_add(1) }), None);
    }
}
