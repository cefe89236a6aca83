//! wtmp(5): when the host was started and shut down.

use super::{Kind, Told, finding};
use crate::host::wtmp::{PATH, What, read};

/// The boots and shutdowns.
pub(super) fn findings() -> Told {
    let records = read().map_err(|why| match why.kind() {
        std::io::ErrorKind::NotFound => "it is not there".to_owned(),
        _ => why.to_string(),
    })?;
    let told = records.into_iter().map(|(ts, what)| match what {
        What::Boot => finding(ts, Kind::Boot, PATH, "the host started"),
        What::Shutdown => finding(ts, Kind::Shutdown, PATH, "the host was shut down"),
    });
    Ok(told.collect())
}
