//! The methods: what is asked, and what is answered to whom.

use std::sync::Arc;
use std::time::Duration;

use forensics_incident::model::{Context, ProcessKey};
use serde::Serialize;
use serde_json::{Map, Value, json};
use tokio::sync::{Semaphore, mpsc, oneshot};

use super::message::{Call, Error};
use super::peer::Peer;
use super::view::{Killer, Viewer};
use super::{Ask, Known, MAX_INCIDENTS};
use crate::host::proc::{ProcDir, Status, read_key};
use crate::host::redact::redact_text;
use crate::host::snapshot::{Surroundings, snapshot_shutdown_context, unit_by_invocation};

/// The agent's own interface.
pub(super) const AGENT: &str = "io.forensics-agent.Agent";
const SERVICE: &str = "org.varlink.service";

const AGENT_TEXT: &str = include_str!("io.forensics-agent.Agent.varlink");
const SERVICE_TEXT: &str = include_str!("org.varlink.service.varlink");

/// Contexts that are taken at once. Each needs a thread, since a peer may have made its files hang.
const SNAPSHOTS: usize = 4;
/// How long a context may take.
const SNAPSHOT_DEADLINE: Duration = Duration::from_secs(1);
/// More than the files of `/proc` that are read here ever hold.
const PROC_CAP: usize = 8192;
/// Largest pid (`PID_MAX_LIMIT`, `include/linux/threads.h`).
const PID_MAX: u64 = 1 << 22;
/// Largest number of a signal.
const SIGNAL_MAX: u64 = 64;

/// Answers calls.
#[derive(Debug, Clone)]
pub(super) struct Desk {
    asks: mpsc::Sender<Ask>,
    snapshots: Arc<Semaphore>,
}

#[derive(Serialize)]
struct ShutdownContext {
    context: Context,
    watched: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    killer: Option<Killer>,
}

impl Desk {
    /// One that passes questions on to the run of the agent.
    pub(super) fn new(asks: mpsc::Sender<Ask>) -> Self {
        Self { asks, snapshots: Arc::new(Semaphore::new(SNAPSHOTS)) }
    }

    /// Answers a call of a peer.
    pub(super) async fn answer(&self, peer: &Peer, call: Call) -> Result<Value, Error> {
        let (interface, name) = call.path();
        let known = [SERVICE, AGENT].contains(&interface);
        if !known && !interface.is_empty() {
            return Err(Error::interface_not_found(interface));
        }
        let mut parameters = Parameters(call.parameters.clone().unwrap_or_default());
        match (interface, name) {
            (SERVICE, "GetInfo") => {
                parameters.end()?;
                Ok(info())
            }
            (SERVICE, "GetInterfaceDescription") => {
                let interface = parameters.text("interface")?;
                parameters.end()?;
                description(&interface)
            }
            (AGENT, "GetShutdownContext") => {
                let pid = parameters.number("pid", 1..=PID_MAX)?;
                let signal = parameters.number("signal", 1..=SIGNAL_MAX)?;
                parameters.end()?;
                self.shutdown_context(peer, pid, signal).await
            }
            (AGENT, "ListIncidents") => {
                let limit = parameters.number("limit", 0..=u64::from(u32::MAX))?;
                parameters.end()?;
                self.incidents(peer, limit).await
            }
            _ => Err(Error::method_not_found(&call.method)),
        }
    }

    async fn shutdown_context(
        &self,
        peer: &Peer,
        pid: Option<u64>,
        signal: Option<u64>,
    ) -> Result<Value, Error> {
        let viewer = Viewer { uid: peer.uid };
        let pid = pid.and_then(|pid| u32::try_from(pid).ok()).unwrap_or(peer.pid);
        let gone = || Error::own("NoSuchProcess", json!({ "pid": pid }));
        let (process, uid, euid) = identify(pid).ok_or_else(gone)?;
        if pid == peer.pid && peer.has_ended() {
            return Err(gone());
        }
        if !viewer.owns(uid, euid) {
            return Err(Error::permission_denied());
        }
        let (reply, known) = oneshot::channel();
        let number = signal.and_then(|signal| u32::try_from(signal).ok());
        self.ask(Ask::Killer { process, signal: number, viewer, reply })?;
        let Known { watched, killer, show, markers } = known.await.map_err(|_| busy())?;

        let permit = Arc::clone(&self.snapshots).try_acquire_owned().map_err(|_| busy())?;
        let taken = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let shown = |argv: &[String]| show.shown(argv);
            let surroundings = Surroundings {
                redact: &shown,
                redact_text: &redact_text,
                unit: &unit_by_invocation,
                markers,
            };
            let snapshot =
                snapshot_shutdown_context(pid, signal.and_then(|n| i64::try_from(n).ok()), &surroundings);
            // Looked at afterwards: a pid does not change hands and change back.
            let same = identify(pid).is_some_and(|(now, uid, euid)| now == process && viewer.owns(uid, euid));
            snapshot.ok().filter(|_| same)
        });
        let snapshot = tokio::time::timeout(SNAPSHOT_DEADLINE, taken).await.map_err(|_| busy())?;
        let context = snapshot.map_err(|_| busy())?.ok_or_else(gone)?.context;
        serde_json::to_value(ShutdownContext { context, watched, killer }).map_err(|_| busy())
    }

    async fn incidents(&self, peer: &Peer, limit: Option<u64>) -> Result<Value, Error> {
        let limit = limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(MAX_INCIDENTS);
        let (reply, told) = oneshot::channel();
        self.ask(Ask::Incidents { limit, viewer: Viewer { uid: peer.uid }, reply })?;
        let told = told.await.map_err(|_| busy())?;
        Ok(json!({ "incidents": told }))
    }

    fn ask(&self, ask: Ask) -> Result<(), Error> {
        self.asks.try_send(ask).map_err(|_| busy())
    }
}

/// The agent has too much to do, or is about to end.
fn busy() -> Error {
    Error::own("Busy", json!({}))
}

fn info() -> Value {
    json!({
        "vendor": "forensics-agent",
        "product": "forensics-agent",
        "version": env!("CARGO_PKG_VERSION"),
        "url": "",
        "interfaces": [SERVICE, AGENT],
    })
}

fn description(interface: &str) -> Result<Value, Error> {
    let text = match interface {
        SERVICE => SERVICE_TEXT,
        AGENT => AGENT_TEXT,
        _ => return Err(Error::interface_not_found(interface)),
    };
    Ok(json!({ "description": text }))
}

/// A process that is there now: its key, real and effective user. None of these files waits for the process.
fn identify(pid: u32) -> Option<(ProcessKey, Option<u32>, Option<u32>)> {
    let key = read_key(pid)?;
    let mut buffer = Vec::new();
    ProcDir::open(pid).ok()?.read(c"status", &mut buffer, PROC_CAP).ok()?;
    let status = Status::parse(&buffer);
    // A thread has a directory too, which is not listed.
    (status.tgid == Some(pid)).then_some((key, status.uid, status.euid))
}

/// The parameters of a call that were not looked at yet.
struct Parameters(Map<String, Value>);

impl Parameters {
    /// A whole number within a range; null and absent are the same.
    fn number(&mut self, name: &str, range: std::ops::RangeInclusive<u64>) -> Result<Option<u64>, Error> {
        match self.0.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => match value.as_u64().filter(|number| range.contains(number)) {
                Some(number) => Ok(Some(number)),
                None => Err(Error::invalid_parameter(name)),
            },
        }
    }

    /// A text, which must be there.
    fn text(&mut self, name: &str) -> Result<String, Error> {
        match self.0.remove(name) {
            Some(Value::String(text)) => Ok(text),
            _ => Err(Error::invalid_parameter(name)),
        }
    }

    /// Refuses what nobody looked at.
    fn end(self) -> Result<(), Error> {
        self.0.keys().next().map_or(Ok(()), |name| Err(Error::invalid_parameter(name)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_taken_as_they_are_described() {
        let parameters = |value: Value| Parameters(value.as_object().cloned().expect("an object"));
        assert_eq!(parameters(json!({ "pid": 7 })).number("pid", 1..=9), Ok(Some(7)));
        assert_eq!(parameters(json!({ "pid": null })).number("pid", 1..=9), Ok(None));
        for bad in [json!(0), json!(10), json!(-1), json!(1.5), json!("7"), json!([7]), json!(u64::MAX)] {
            let refused = parameters(json!({ "pid": bad })).number("pid", 1..=9);
            assert_eq!(refused, Err(Error::invalid_parameter("pid")), "{bad}");
        }
        assert_eq!(parameters(json!({ "other": 1 })).end(), Err(Error::invalid_parameter("other")));
    }

    #[test]
    fn one_that_is_there_and_one_that_is_not() {
        let (key, uid, euid) = identify(std::process::id()).expect("this process");
        assert!(key.start_boot_ns > 0 && uid.is_some() && euid.is_some());
        assert!(identify(PID_MAX as u32 + 1).is_none());
    }

    #[test]
    fn names_are_those_of_the_descriptions() {
        for (name, text) in [(AGENT, AGENT_TEXT), (SERVICE, SERVICE_TEXT)] {
            assert!(text.contains(&format!("\ninterface {name}\n")), "{name}");
        }
    }
}
