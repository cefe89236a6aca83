//! Which processes are watched, and which of their signals count.

mod selectors;
mod signal_set;

pub use selectors::{Selectors, TargetArgs};
pub use signal_set::SignalSet;
