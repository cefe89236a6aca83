//! Which processes are watched, and which of their signals count.

mod cgroup_selector;
mod selectors;
mod signal_set;
mod unit_selector;

pub use cgroup_selector::CgroupSelector;
pub use selectors::{Selectors, TargetArgs};
pub use signal_set::SignalSet;
pub use unit_selector::UnitSelector;
