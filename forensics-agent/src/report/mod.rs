//! What people and programs get to see: text and JSON.

pub mod context_line;
pub mod timing;
