use serde::{Deserialize, Serialize};

/// How long a unit took to stop when its manager asked it to, as earlier incidents of the same store have it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ObservedDrain {
    /// So many stops of its main process which that answered by ending, before its manager lost its patience.
    pub stops: u64,
    /// The longest of them, seconds from the request to the end.
    pub longest_s: f64,
}
