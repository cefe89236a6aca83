//! What a manager has said of an end.

use forensics_incident::model::{Facts, LogLine, ManagerFacts, Missing};
use forensics_incident::unit_result;

/// What is known of an end by its manager's word.
#[derive(Debug, Clone, Default)]
pub(super) struct Said {
    pub(super) manager: Option<ManagerFacts>,
    pub(super) log: Vec<LogLine>,
    /// The journal did not tell in time all that the manager or the unit logged.
    pub(super) is_late: bool,
    pub(super) missing: Vec<Missing>,
    /// What was still in the cgroup when the unit was down, by pid.
    pub(super) residual: Vec<u32>,
}

impl Said {
    /// Adds it to an incident, in the place of what was said before.
    pub(super) fn add_to(&self, facts: &mut Facts) {
        let Self { manager, log, is_late: _, missing, residual: _ } = self;
        // What was missing before may be there now.
        if let Some(manager) = manager {
            // A shutdown that came afterwards did not end it.
            let shutdown = facts.manager.take().map_or(manager.shutdown.clone(), |first| first.shutdown);
            facts.manager = Some(ManagerFacts { shutdown, ..manager.clone() });
            facts.missing.retain(|one| one.field.split('.').next() != Some("manager"));
        }
        if !log.is_empty() {
            facts.unit_log.clone_from(log);
            facts.missing.retain(|one| one.field != "unit_log");
        }
        for missing in missing {
            if !facts.missing.contains(missing) {
                facts.missing.push(missing.clone());
            }
        }
        if unit_result::is_settled(facts) {
            facts.unit_result = unit_result::of(facts);
        }
    }
}

pub(super) fn missing(field: &str, why: &str) -> Missing {
    Missing { field: field.to_owned(), why: why.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::samples;

    #[test]
    fn a_shutdown_that_came_afterwards_is_no_news() {
        let said = |shutdown: Option<&str>| Said {
            manager: Some(ManagerFacts { shutdown: shutdown.map(str::to_owned), ..ManagerFacts::default() }),
            ..Said::default()
        };
        let told = |first: Option<&str>, later: Option<&str>| {
            let mut facts = Facts { manager: None, ..samples::pkill().facts };
            said(first).add_to(&mut facts);
            said(later).add_to(&mut facts);
            facts.manager.and_then(|manager| manager.shutdown)
        };
        assert_eq!(told(None, Some("reboot.target")), None);
        assert_eq!(told(Some("reboot.target"), None).as_deref(), Some("reboot.target"));
    }
}
