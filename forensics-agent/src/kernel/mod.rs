//! The kernel programs: load, attach, decode their records, resolve their stacks.

mod beside;
pub mod btf;
pub mod cgroup_map;
pub mod costs;
mod hook;
pub mod kallsyms;
pub mod load;
mod load_error;
mod maps;
pub mod mechanism;
mod offsets;
pub mod pins;
pub mod reach_map;
pub mod records;
pub mod requests;
pub mod sequence;
mod types;
pub mod watch_map;
pub mod watch_pages;
