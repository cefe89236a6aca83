//! A machine that goes down while a target lives: what the agent says before it is ended must be on the disk afterwards.
//!
//! It takes two boots. Before the reboot, this program is run with [`STAGE`] set, by what runs the tests in a virtual machine;
//! the tests themselves are run after it.

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use harness::{Machine, PATIENCE, Record, Skip, needs_root, test};
use serde_json::Value;

/// Set in the first of the two boots.
const STAGE: &str = "FORENSICS_TESTS_BEFORE_SHUTDOWN";
/// What outlives the reboot.
const REMAINS: &str = "/var/lib/forensics-tests-shutdown";

fn main() -> ExitCode {
    if std::env::var_os(STAGE).is_none() {
        return harness::main(vec![test("reboot_with_a_live_target", reboot_with_a_live_target)]);
    }
    match go_down() {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            println!("== it cannot be rebooted: {why:#}");
            ExitCode::FAILURE
        }
    }
}

/// Starts a target and an agent that outlives it, and reboots.
fn go_down() -> Result<()> {
    let machine = Machine::get()?;
    std::fs::create_dir_all(REMAINS)?;
    std::fs::copy("/proc/sys/kernel/random/boot_id", Path::new(REMAINS).join("boot_id"))?;
    let target = machine.service("s-target", &["ExecStart=/bin/sleep 1000"])?;
    let said = Path::new(REMAINS).join("agent.json");
    let agent = machine.program("forensics-agent");
    // What is started before the other is stopped after it.
    let unit = format!(
        "[Unit]\nBefore=s-target.service\n[Service]\nExecStart={} -o json watch --pid {target} --store {REMAINS}/store.db\n\
         StandardOutput=append:{}\n",
        agent.display(),
        said.display()
    );
    machine.write("/run/systemd/system/s-agent.service", &unit)?;
    machine.sh("systemctl daemon-reload && systemctl start s-agent")?;
    let deadline = Instant::now() + PATIENCE;
    while !std::fs::read_to_string(&said).is_ok_and(|text| text.contains("ready/1")) {
        ensure!(Instant::now() < deadline, "the agent does not get ready");
        std::thread::sleep(Duration::from_millis(20));
    }
    machine.sh("systemctl reboot --no-block").map(drop)
}

fn reboot_with_a_live_target() -> Result<()> {
    needs_root()?;
    let remains = Path::new(REMAINS);
    let Ok(boot_id) = std::fs::read_to_string(remains.join("boot_id")) else {
        bail!(Skip("needs a machine that was rebooted for it, as `cargo xtask vm` does".to_owned()));
    };
    let boot_id = boot_id.trim().replace('-', "");
    ensure!(
        std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().replace('-', "") != boot_id,
        "the machine was not rebooted"
    );
    let said = std::fs::read_to_string(remains.join("agent.json"))?;
    let records = said.lines().map(Record::parse).collect::<Result<Vec<_>>>()?;
    let incident = records.iter().rev().find(|record| record.is("incident"));
    let incident = incident.with_context(|| format!("no incident outlived the reboot: {said}"))?;
    incident.expect("boot_id", boot_id)?;
    incident.expect("target.unit", "s-target.service")?;
    incident.expect_killed(libc::SIGTERM)?;
    incident.expect("signals.0.sender.name", "systemd")?;
    // Who asked is known or not; the manager that carried it out is not to blame.
    let culprit = incident.at("verdict.culprit.name");
    ensure!(*culprit == Value::Null || culprit == "systemctl", incident.fault("another one is blamed"));
    incident.expect_one_of("verdict.cause", &["external-kill", "systemd-stop", "host-shutdown"])
}
