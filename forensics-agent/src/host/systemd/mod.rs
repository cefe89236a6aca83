//! What the systemd managers know.

pub mod duration;
