//! What the manager still knows of the last run of a unit, and whether a process is still there.

use std::fmt::Write as _;

use super::Subject;
use crate::host::proc;
use crate::host::systemd::state::state;

/// `CLD_EXITED` of `include/uapi/asm-generic/siginfo.h`.
const CLD_EXITED: u32 = 1;

/// How the subject is now, one sentence.
pub(super) async fn now(subject: &Subject) -> Result<String, String> {
    let place = match subject {
        Subject::Process(pid) if proc::read_key(*pid).is_some() => {
            return Ok(format!(
                "There is a process {pid} now, says /proc; what is told may be of an earlier one."
            ));
        }
        Subject::Process(pid) => return Ok(format!("There is no process {pid} any more, says /proc.")),
        Subject::Unit(place) => place,
    };
    let state = state(place).await.map_err(|why| why.to_string())?;
    if state.load_state.as_deref() == Some("not-found") {
        return Err(format!("it knows no {}", place.unit));
    }
    let active = state.active_state.as_deref().unwrap_or("in an unknown state");
    let mut said = format!("{} is {active} now, says its manager", place.unit);
    // Writing to a String cannot fail.
    if let Some(result) = &state.result {
        let _ = write!(said, "; the result of its last run is {result}");
    }
    if let Some((code, status)) = state.exec_main_code.filter(|&code| code != 0).zip(state.exec_main_status) {
        let how = if code == CLD_EXITED { "exited with status" } else { "ended by signal" };
        let _ = write!(said, ", its main process {how} {status}");
    }
    if let Some(restarts) = state.n_restarts.filter(|&restarts| restarts > 0) {
        let _ = write!(said, ", restarts: {restarts}");
    }
    said.push('.');
    Ok(said)
}
