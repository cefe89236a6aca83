//! A real systemd: stop timeouts, stops that were announced, and the diagnostic as a transient unit.

mod announced;
mod asked;
mod diagnose;
mod explain;
mod journal;
mod reasons;
mod said;
mod session;
mod timing;
mod unprivileged;

use std::process::ExitCode;

use forensics_agent::kernel::requests::RequestHook;
use harness::{Machine, test};

fn main() -> ExitCode {
    // Each by itself: what a manager does or says about anything else is late meanwhile, or is disturbed.
    let alone = [
        test("flood_of_calls", asked::flood_of_calls),
        test("journal_that_is_late", reasons::journal_that_is_late),
        test("isolated_target", asked::isolated_target),
    ]
    .map(|test| harness::main(vec![test]));
    let others = harness::main(vec![
        test("aligned_mismatch_and_infinity", timing::aligned_mismatch_and_infinity),
        test("the_drop_in_puts_it_right", timing::the_drop_in_puts_it_right),
        test("units_that_are_not_loaded", timing::units_that_are_not_loaded),
        test("settings_that_change_the_answer", timing::settings_that_change_the_answer),
        test("what_systemd_does_with_them", timing::what_systemd_does_with_them),
        test("unit_of_another_user", timing::unit_of_another_user),
        test("without_a_bus", timing::without_a_bus),
        test("bus_that_does_not_answer", timing::bus_that_does_not_answer),
        test("without_a_manager", timing::without_a_manager),
        test("incident_with_timing", timing::incident_with_timing),
        test("stop_that_was_announced", announced::stop_that_was_announced),
        test("marker_of_exec_stop", announced::marker_of_exec_stop),
        test("exit_with_its_last_words", said::exit_with_its_last_words),
        test("unit_that_is_started_again", said::unit_that_is_started_again),
        test("unit_that_was_started_too_often", said::unit_that_was_started_too_often),
        test("kill_that_the_manager_learns_of", said::kill_that_the_manager_learns_of),
        test("incident_by_its_fields", journal::incident_by_its_fields),
        test("stop_that_took_too_long", reasons::stop_that_took_too_long),
        test("stop_that_hung_this_time", reasons::stop_that_hung_this_time),
        test("watchdog_that_was_not_fed", reasons::watchdog_that_was_not_fed),
        test("run_that_took_too_long", reasons::run_that_took_too_long),
        test("rest_of_a_unit_without_memory", reasons::rest_of_a_unit_without_memory),
        test("units_that_hang_together", reasons::units_that_hang_together),
        test("unit_whose_support_ended", reasons::unit_whose_support_ended),
        test("user_manager_that_ended", reasons::user_manager_that_ended),
        test("processes_of_a_session_that_ends", session::processes_of_a_session_that_ends),
        test("session_that_is_terminated", session::session_that_is_terminated),
        test("systemctl_by_root", asked::systemctl_by_root),
        test("script_four_shells_deep", asked::script_four_shells_deep),
        test("timer_that_was_scheduled", asked::timer_that_was_scheduled),
        test("timer_of_a_file", asked::timer_of_a_file),
        test("calls_over_the_bus", asked::calls_over_the_bus),
        test("client_in_python", asked::client_in_python),
        test("two_units_by_two_callers", asked::two_units_by_two_callers),
        test("request_that_polkit_allows", unprivileged::request_that_polkit_allows),
        test("request_that_polkit_refuses", unprivileged::request_that_polkit_refuses),
        test("unit_that_restarts_itself", unprivileged::unit_that_restarts_itself),
        test("by_commands_alone", asked::by_commands_alone),
        test("seen_by_fentry", || asked::seen_by(RequestHook::Fentry)),
        test("seen_by_socket", || asked::seen_by(RequestHook::Socket)),
        test("seen_by_syscalls", || asked::seen_by(RequestHook::Syscalls)),
        test("ends_that_nobody_watched", explain::ends_that_nobody_watched),
        test("worker_survives_its_cgroup", diagnose::worker_survives_its_cgroup),
        test("worker_that_cannot_leave_says_so", diagnose::worker_that_cannot_leave_says_so),
    ]);
    Machine::power_off();
    alone.into_iter().find(|code| *code != ExitCode::SUCCESS).unwrap_or(others)
}
