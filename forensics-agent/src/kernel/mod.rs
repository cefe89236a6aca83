//! The kernel programs: load, attach, decode their records, resolve their stacks.
