//! The one binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    forensics_agent::commands::main(std::env::args_os())
}
