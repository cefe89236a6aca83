//! Requests for tests.

use forensics_incident::model::{Concern, Process, Recipient, Request};

/// Root asks for something at so many seconds since boot, which began at the epoch.
pub(super) fn by_root(at: f64, recipient: Recipient, verb: &str, object: Option<&str>) -> Request {
    Request {
        ts: at,
        boot_ns: (at * 1e9) as u64,
        process: Process { uid: Some(0), ..Process::default() },
        recipient,
        of_user: None,
        via: None,
        manager: None,
        verb: verb.to_owned(),
        object: object.map(str::to_owned),
        mode: None,
        signal_num: None,
        due: None,
        seen: true,
        late: false,
        concerns: Concern::Elsewhere,
    }
}
