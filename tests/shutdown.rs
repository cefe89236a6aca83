//! A machine that goes down while targets live: what the agents noted must be on the disk afterwards, and the next ones say how
//! it ended.
//!
//! It takes five boots. In the first four, this program is run with [`STAGE`] set, by what runs the tests in a virtual machine:
//! the first ends with a shutdown that somebody asks for, the second without a warning, the third by the power button, the fourth
//! at a time that was set before. The tests themselves are run in the fifth.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use forensics_agent::store::{Filter, Store};
use harness::{Agent, Machine, PATIENCE, Record, Skip, needs_root, test};
use serde_json::Value;

/// Set in all of the boots but the last, to the number of the boot.
const STAGE: &str = "FORENSICS_TESTS_BEFORE_SHUTDOWN";
/// Says to what runs the machine that it is to be switched on again when it has switched itself off.
const OFF_AND_ON: &str = "== to be switched on again";
/// Says to what runs the machine that it is to be cut off now, and switched on again.
const PULL_THE_PLUG: &str = "== to be cut off";
/// Says to what runs the machine that its power button is to be pressed, and it is to be switched on again.
const PRESS_THE_BUTTON: &str = "== the power button is to be pressed";
/// What outlives the boots.
const REMAINS: &str = "/var/lib/forensics-tests-shutdown";
/// The store of the agents that are ended after their targets.
const STORE: &str = "store.db";
/// The store of an agent that is ended before its target.
const STORE_OF_EARLY: &str = "early.db";
/// The store of the agents after the machine was cut off, which leave alone what that left.
const STORE_OF_LATER: &str = "later.db";
/// Has logind watch the power button, which it learns of from udev.
const WATCH_THE_BUTTON: &str = "modprobe -a button evdev
    systemctl unmask systemd-udevd.service systemd-udevd-control.socket systemd-udevd-kernel.socket
    systemctl start systemd-udevd.service
    udevadm trigger --action=add --subsystem-match=input
    udevadm settle
    systemctl restart systemd-logind";

fn main() -> ExitCode {
    let gone_down = match std::env::var(STAGE).as_deref() {
        Ok("1") => be_shut_down(),
        Ok("2") => be_cut_off(),
        Ok("3") => be_switched_off(),
        Ok(_) => be_shut_down_later(),
        Err(_) => {
            return harness::main(vec![
                test("poweroff_that_somebody_asked_for", poweroff_that_somebody_asked_for),
                test("agent_that_was_stopped_first", agent_that_was_stopped_first),
                test("machine_that_was_cut_off", machine_that_was_cut_off),
                test("power_button", power_button),
                test("shutdown_at_a_time", shutdown_at_a_time),
            ]);
        }
    };
    match gone_down {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            println!("== it does not go down: {why:#}");
            ExitCode::FAILURE
        }
    }
}

fn remains(name: &str) -> PathBuf {
    Path::new(REMAINS).join(name)
}

fn boot_id() -> Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().replace('-', ""))
}

/// Keeps a text over the end of the machine.
fn keep(name: &str, text: &str) -> Result<()> {
    fs::create_dir_all(REMAINS)?;
    fs::write(remains(name), text)?;
    File::open(remains(name))?.sync_all()?;
    Ok(File::open(REMAINS)?.sync_all()?)
}

/// Starts an agent as a service, whose order to the target at the end of the machine is given, until it has noted its target.
fn start_agent(machine: &Machine, name: &str, order: &str, target: u32, store: &str) -> Result<()> {
    let boot_id = boot_id()?;
    let unit = format!(
        "[Unit]\n{order}\n[Service]\nExecStart={} -o json watch --pid {target} --store {} --socket none\nStandardOutput=append:{}\n",
        machine.program("forensics-agent").display(),
        remains(store).display(),
        remains(&format!("{name}-{boot_id}.json")).display(),
    );
    machine.write(&format!("/run/systemd/system/{name}.service"), &unit)?;
    machine.sh(&format!("systemctl daemon-reload && systemctl start {name}"))?;
    let deadline = Instant::now() + PATIENCE;
    let is_noted = || {
        let runs = Store::read(&remains(store)).and_then(|store| store.runs()).unwrap_or_default();
        runs.iter().any(|(run, targets)| {
            run.boot_id == boot_id && targets.iter().any(|process| process.pid == target)
        })
    };
    while !is_noted() {
        ensure!(Instant::now() < deadline, "{name} does not note its target");
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

/// A machine in one of the boots, with a target and an agent that is stopped after it: what is started before another unit is
/// stopped after it.
fn watched(boot: &str, store: &str) -> Result<&'static Machine> {
    let machine = Machine::get()?;
    keep(boot, &boot_id()?)?;
    let target = machine.service("s-target", &["ExecStart=/bin/sleep 1000"])?;
    start_agent(machine, "s-late", "Before=s-target.service", target, store)?;
    Ok(machine)
}

/// Beside the other one there is an agent that is stopped before its target.
fn be_shut_down() -> Result<()> {
    let machine = watched("boot-1", STORE)?;
    let slow = "ExecStart=/bin/sh -c 'trap \"\" TERM; while :; do sleep 0.1; done'";
    let other = machine.service("s-other", &[slow, "TimeoutStopSec=2"])?;
    start_agent(machine, "s-early", "After=s-other.service", other, STORE_OF_EARLY)?;
    println!("{OFF_AND_ON}");
    machine.sh("systemctl poweroff").map(drop)
}

/// Nothing is written out but what the agent itself has written out.
fn be_cut_off() -> Result<()> {
    watched("boot-2", STORE)?;
    println!("{PULL_THE_PLUG}");
    Ok(())
}

fn be_switched_off() -> Result<()> {
    let machine = watched("boot-3", STORE_OF_LATER)?;
    machine.sh(WATCH_THE_BUTTON)?;
    machine
        .until("journalctl -q --sync; journalctl -q -b -u systemd-logind | grep -q 'buttons on .*Power'")?;
    println!("{PRESS_THE_BUTTON}");
    Ok(())
}

/// One shutdown is taken back, then another one is left to come.
fn be_shut_down_later() -> Result<()> {
    let machine = watched("boot-4", STORE_OF_LATER)?;
    println!("{OFF_AND_ON}");
    machine.sh("shutdown --no-wall +1 && shutdown --no-wall -c")?;
    let schedule = "busctl call org.freedesktop.login1 /org/freedesktop/login1 org.freedesktop.login1.Manager ScheduleShutdown";
    machine.sh(&format!("{schedule} st poweroff $(($(date +%s) + 8))000000")).map(drop)
}

/// The id of one of the boots before this one.
fn earlier(boot: &str) -> Result<String> {
    needs_root()?;
    let Ok(earlier) = fs::read_to_string(remains(boot)) else {
        bail!(Skip("needs a machine that was switched off for it, as `cargo xtask vm` does".to_owned()));
    };
    ensure!(boot_id()? != earlier, "the machine was not switched off");
    Ok(earlier)
}

/// What an agent said of its target when the machine went down.
fn said_by_late(boot: &str) -> Result<Record> {
    let boot_id = earlier(boot)?;
    let said = fs::read_to_string(remains(&format!("s-late-{boot_id}.json")))?;
    let mut records = said.lines().map(Record::parse).collect::<Result<Vec<_>>>()?;
    records.retain(|record| record.is("incident"));
    ensure!(!records.is_empty(), "no incident outlived the machine: {said}");
    let incident = records.remove(0);
    incident.expect("boot_id", boot_id)?;
    incident.expect("target.unit", "s-target.service")?;
    incident.expect_killed(libc::SIGTERM)?;
    incident.expect("signals.0.sender.name", "systemd")?;
    incident.expect("verdict.cause", "host-shutdown")?;
    Ok(incident)
}

fn poweroff_that_somebody_asked_for() -> Result<()> {
    let incident = said_by_late("boot-1")?;
    incident.expect_part("verdict.instigator.process.cmdline", "systemctl poweroff")?;
    incident.expect_part("verdict.culprit.cmdline", "systemctl poweroff")?;
    let stored = Store::read(&remains(STORE))?.list(&Filter::default(), 10)?;
    let id = incident.text("id")?;
    ensure!(
        stored.iter().any(|row| row.id == id && row.cause == "host-shutdown"),
        "it is not stored: {stored:?}"
    );
    Ok(())
}

/// The incidents of targets that earlier agents left.
fn left(store: &str) -> Result<Vec<Record>> {
    let boot_id = boot_id()?;
    let path = remains(store).display().to_string();
    let agent = Agent::watch(&["--comm", "nobody-has-this", "--store", &path])?;
    let deadline = Instant::now() + PATIENCE;
    while Store::read(&remains(store))?.runs()?.iter().any(|(run, _)| run.boot_id != boot_id) {
        ensure!(Instant::now() < deadline, "the earlier runs stay: {}", agent.stderr());
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(agent.stop()?.into_iter().filter(|record| record.is("incident")).collect())
}

fn agent_that_was_stopped_first() -> Result<()> {
    let boot_id = earlier("boot-1")?;
    let told = left(STORE_OF_EARLY)?;
    let [incident] = &told[..] else { bail!("{told:?}") };
    incident.expect("boot_id", boot_id)?;
    incident.expect("target.unit", "s-other.service")?;
    incident.expect("verdict.cause", "host-shutdown")?;
    incident.expect("verdict.culprit", Value::Null)?;
    ensure!(incident.at("verdict.confidence") != "certain", incident.fault("nobody saw it"));
    Ok(())
}

/// It is told once, and nothing else is: the shutdown before it was in order.
fn machine_that_was_cut_off() -> Result<()> {
    let boot_id = earlier("boot-2")?;
    let told = left(STORE)?;
    let [incident] = &told[..] else { bail!("{told:?}") };
    incident.expect("boot_id", boot_id)?;
    incident.expect("target.unit", "s-target.service")?;
    incident.expect("outcome.kind", "unknown")?;
    incident.expect("verdict.cause", "host-crash")?;
    incident.expect("verdict.culprit", Value::Null)?;
    let again = left(STORE)?;
    ensure!(again.is_empty(), "it is told twice: {again:?}");
    Ok(())
}

/// It is pressed from outside of the machine, so that no process of it is to blame.
fn power_button() -> Result<()> {
    let incident = said_by_late("boot-3")?;
    incident.expect("verdict.culprit", Value::Null)?;
    incident.expect("verdict.intent", "automatic")?;
    incident.expect_part(
        "verdict.summary",
        "because the host powers off; systemd-logind says: `Power key pressed",
    )?;
    incident.expect_evidence("by way of ACPI")?;
    // The journal has the shutdown before as well, less than two minutes ago.
    let messages = serde_json::to_string(incident.list("manager.messages")?)?;
    ensure!(!messages.contains("s-early"), incident.fault("another boot speaks"));
    Ok(())
}

fn shutdown_at_a_time() -> Result<()> {
    let incident = said_by_late("boot-4")?;
    incident.expect_part("verdict.culprit.cmdline", "busctl call")?;
    incident.expect_part("verdict.instigator.request", "ScheduleShutdown poweroff")?;
    incident.expect_part("verdict.summary", " ahead to (ScheduleShutdown poweroff)")?;
    incident.expect("verdict.confidence", "certain")
}
