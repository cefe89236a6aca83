//! Asks the managers about a unit and compares what they say with what its service wants.

use std::time::Duration;

use thiserror::Error;

use super::manager::{self, ManagerError};
use super::properties::Properties;
use super::timing::{Alignment, CannotTell, Wanted, align};
use super::unit::{Scope, UnitPath};

/// Why there is no answer.
#[derive(Debug, Error)]
pub enum CheckError {
    /// The unit's properties do not tell.
    #[error(transparent)]
    CannotTell(#[from] CannotTell),
    /// The manager does not answer.
    #[error(transparent)]
    Manager(#[from] ManagerError),
}

/// Asks and compares; takes `patience` at most. `pid` is the process that wants to drain, when it is known.
///
/// # Errors
/// [`CheckError`]
pub async fn check(
    place: &UnitPath,
    pid: Option<u32>,
    wanted: Wanted,
    patience: Duration,
) -> Result<(Alignment, Properties), CheckError> {
    if !place.is_service() {
        return Err(CannotTell::NotAService(place.unit.clone()).into());
    }
    // Both at once, so that one that does not answer costs no more than the patience for one.
    let manager_unit = async {
        match &place.user_manager_unit {
            Some(unit) => {
                let said = manager::properties(Scope::System, unit, patience).await;
                said.inspect_err(|why| log::warn!("{why}")).ok()
            }
            None => None,
        }
    };
    let own = manager::properties(place.scope, &place.unit, patience);
    let (properties, manager) = tokio::join!(own, manager_unit);
    let properties = properties?;
    let alignment = align(place, &properties, manager.as_ref(), pid, wanted)?;
    Ok((alignment, properties))
}
