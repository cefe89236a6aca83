//! Units and cgroups as targets, on a real systemd.

mod cgroups;
mod daemons;
mod lifetimes;
mod members;

use std::process::ExitCode;

use harness::{Machine, test};

fn main() -> ExitCode {
    let code = harness::main(vec![
        test("a_unit_as_a_whole", members::a_unit_as_a_whole),
        test("a_unit_stopped_in_two_steps", members::a_unit_stopped_in_two_steps),
        test("a_unit_by_its_main_process", members::a_unit_by_its_main_process),
        test("a_daemon_by_its_main_process", daemons::a_daemon_by_its_main_process),
        test("a_daemon_that_fails", daemons::a_daemon_that_fails),
        test("a_daemon_that_failed_before", daemons::a_daemon_that_failed_before),
        test("a_unit_killed_by_its_cgroup", members::a_unit_killed_by_its_cgroup),
        test("moved_in_and_out_by_hand", members::moved_in_and_out_by_hand),
        test("workers_that_have_done_their_work", members::workers_that_have_done_their_work),
        test("units_by_pattern", members::units_by_pattern),
        test("unit_of_a_user", members::unit_of_a_user),
        test("twenty_restarts_in_a_row", lifetimes::twenty_restarts_in_a_row),
        test("a_restart_loop_without_a_pause", lifetimes::a_restart_loop_without_a_pause),
        test("a_restart_while_no_agent_was_there", lifetimes::a_restart_while_no_agent_was_there),
        test("a_unit_by_its_alias", lifetimes::a_unit_by_its_alias),
        test("a_unit_that_appears_later", lifetimes::a_unit_that_appears_later),
        test("cgroups_that_are_there_and_later", cgroups::that_are_there_and_later),
        test("names_that_are_none", cgroups::names_that_are_none),
    ]);
    Machine::power_off();
    code
}
