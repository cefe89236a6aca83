//! Who asked systemd, by whatever way the request comes and by whatever hook it is seen.

mod asked;
mod mode;
mod unprivileged;

use std::process::ExitCode;

use anyhow::Result;
use harness::{Machine, test};

type Body = fn(&'static str) -> Result<()>;

/// What is run in every mode that the kernel has.
const IN_EVERY_MODE: [(&str, Body); 13] = [
    ("systemctl_by_root", asked::systemctl_by_root),
    ("command_of_the_unit", asked::command_of_the_unit),
    ("script_four_shells_deep", asked::script_four_shells_deep),
    ("timer_that_was_scheduled", asked::timer_that_was_scheduled),
    ("command_in_a_scope", asked::command_in_a_scope),
    ("reload_before_a_crash", asked::reload_before_a_crash),
    ("timer_of_a_file", asked::timer_of_a_file),
    ("calls_over_the_bus", asked::calls_over_the_bus),
    ("client_in_python", asked::client_in_python),
    ("two_units_by_two_callers", asked::two_units_by_two_callers),
    ("request_that_polkit_allows", unprivileged::request_that_polkit_allows),
    ("request_that_polkit_refuses", unprivileged::request_that_polkit_refuses),
    ("unit_that_restarts_itself", unprivileged::unit_that_restarts_itself),
];

/// One group after the other: they take the same units, and what concerns all units disturbs the others.
fn main() -> ExitCode {
    let in_mode = |mode: &'static str| match mode::why_not(mode) {
        Some(skip) => vec![test(&format!("{mode}::all"), move || Err(skip.into()))],
        None => IN_EVERY_MODE
            .into_iter()
            .map(|(name, body)| test(&format!("{mode}::{name}"), move || body(mode)))
            .collect(),
    };
    let mut codes: Vec<ExitCode> = mode::ALL.into_iter().map(|mode| harness::main(in_mode(mode))).collect();
    codes.push(harness::main(vec![test("flood_of_calls", asked::flood_of_calls)]));
    codes.push(harness::main(vec![test("isolated_target", asked::isolated_target)]));
    Machine::power_off();
    codes.into_iter().find(|code| *code != ExitCode::SUCCESS).unwrap_or(ExitCode::SUCCESS)
}
