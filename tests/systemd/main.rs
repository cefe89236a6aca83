//! A real systemd: stop timeouts, stops that were announced, and the diagnostic as a transient unit.

mod announced;
mod diagnose;
mod explain;
mod journal;
mod reasons;
mod said;
mod session;
mod timing;

use std::process::ExitCode;

use harness::{Machine, test};

fn main() -> ExitCode {
    // By itself: what a manager says of anything else is late meanwhile.
    let alone = harness::main(vec![test("journal_that_is_late", reasons::journal_that_is_late)]);
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
        test("ends_that_nobody_watched", explain::ends_that_nobody_watched),
        test("worker_survives_its_cgroup", diagnose::worker_survives_its_cgroup),
        test("worker_that_cannot_leave_says_so", diagnose::worker_that_cannot_leave_says_so),
    ]);
    Machine::power_off();
    if alone == ExitCode::SUCCESS { others } else { alone }
}
