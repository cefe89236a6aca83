//! The harness of the real-kernel tests.
