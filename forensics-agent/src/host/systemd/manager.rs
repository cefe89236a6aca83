//! Asks a systemd manager about a unit: over the bus, else through `systemctl show`.
//!
//! Only a bus that this process trusts is spoken to from here: the system's, or its own user's. What another user's
//! manager says may be anything, and a D-Bus library that panics on it (zbus 5 does, on a message whose sender
//! is no bus name, such as a private manager socket sends) would end the agent. That is left to a `systemctl` of its own,
//! which is cut off when it talks too long or too much.

use std::collections::HashMap;
use std::os::unix::fs::MetadataExt as _;
use std::process::Stdio;
use std::time::Duration;

use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::net::UnixStream;
use zbus::zvariant::{OwnedValue, Value};

use super::properties::{NAMES, Properties};
use super::unit::Scope;

/// How long all questions about one unit may take together.
pub const PATIENCE: Duration = Duration::from_secs(2);

/// What the bus gets of that at most, so that one that never answers leaves time for `systemctl`.
const PATIENCE_FOR_BUS: Duration = Duration::from_millis(800);

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

/// What the manager says of a unit. It loads the unit when it has not yet, as `systemctl show` does, and changes
/// nothing else. Takes [`PATIENCE`] at most.
pub async fn properties(scope: Scope, unit: &str) -> Result<Properties, ManagerError> {
    let no_answer = |why: String| ManagerError::NoAnswer { unit: unit.to_owned(), scope: scope.name(), why };
    match tokio::time::timeout(PATIENCE, ask(scope, unit)).await {
        Ok(answer) => answer.map_err(no_answer),
        Err(_) => Err(no_answer(format!("it took longer than {} s", PATIENCE.as_secs()))),
    }
}

async fn ask(scope: Scope, unit: &str) -> Result<Properties, String> {
    if let Some(bus) = bus(scope) {
        match tokio::time::timeout(PATIENCE_FOR_BUS, ask_bus(&bus, unit)).await {
            Ok(Ok(properties)) => return Ok(properties),
            Ok(Err(error)) => log::debug!("{bus}: {error}"),
            Err(_) => log::debug!("{bus}: no answer"),
        }
    }
    ask_systemctl(scope, unit).await
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

async fn ask_bus(bus: &str, unit: &str) -> Result<Properties, zbus::Error> {
    let stream = UnixStream::connect(bus).await?;
    let connection = zbus::connection::Builder::unix_stream(stream).build().await?;
    let path = unit_object(unit);
    let mut pairs = Vec::new();
    for interface in ["org.freedesktop.systemd1.Unit", "org.freedesktop.systemd1.Service"] {
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
        pairs.extend(NAMES.iter().filter_map(|name| Some(((*name).to_owned(), shown(all.get(*name)?)?))));
    }
    Ok(Properties::new(pairs))
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
        _ => return None,
    })
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

async fn ask_systemctl(scope: Scope, unit: &str) -> Result<Properties, String> {
    let mut command = tokio::process::Command::new("systemctl");
    // Nothing of the agent's environment: the child may run as a user who can read it there.
    command
        .env_clear()
        .env("LC_ALL", "C")
        .env("PATH", "/usr/local/bin:/usr/bin:/bin:/run/current-system/sw/bin");
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
    let mut child = command
        .args(["show", "--no-pager", &format!("--property={}", NAMES.join(",")), "--", unit])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("systemctl cannot be run: {error}"))?;
    let (stdout, stderr) = tokio::join!(read(child.stdout.take()), read(child.stderr.take()));
    let status = child.wait().await.map_err(|error| format!("systemctl was lost: {error}"))?;
    if !status.success() {
        let first = stderr.lines().next().unwrap_or("systemctl failed without a word");
        return Err(forensics_incident::text::escape(first.trim_end_matches('.')));
    }
    Ok(Properties::from_show(&stdout))
}

/// Reads a pipe to its end or to [`MAX_OUTPUT`], and closes it.
async fn read(pipe: Option<impl AsyncRead + Unpin>) -> String {
    let mut bytes = Vec::new();
    if let Some(pipe) = pipe {
        // What came before an error is as good as what there is.
        let _ = pipe.take(MAX_OUTPUT).read_to_end(&mut bytes).await;
    }
    String::from_utf8_lossy(&bytes).into_owned()
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
        assert_eq!(shown(&Value::F64(1.0)), None);
    }

    #[test]
    fn only_trusted_buses() {
        let own = rustix::process::geteuid().as_raw();
        assert_eq!(bus(Scope::User { uid: own }), Some(format!("/run/user/{own}/bus")));
        assert_eq!(bus(Scope::User { uid: own.wrapping_add(1) }), None);
    }

    #[tokio::test]
    async fn pipes_are_read_up_to_a_limit() {
        assert_eq!(read(Some(&b"a=b\n"[..])).await, "a=b\n");
        assert_eq!(read(Some(tokio::io::repeat(b'x'))).await.len() as u64, MAX_OUTPUT);
    }
}
