//! What people and programs get to see: text and JSON.
