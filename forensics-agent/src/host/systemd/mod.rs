//! What the systemd managers know: which unit a process belongs to, how that unit is stopped, and whether
//! that leaves it time to drain.

pub mod alias;
pub mod check;
pub mod duration;
pub mod executor;
pub mod linger;
pub mod manager;
pub mod properties;
pub mod state;
pub mod timing;
pub mod unit;
