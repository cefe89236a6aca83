//! Records become incidents: `push(now, input)` in, incidents out, deadlines included.

mod input;

pub use input::{ExitRecord, Fold, Input, SignalRecord};
