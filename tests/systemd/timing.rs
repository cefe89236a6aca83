//! `check-timing`, and what systemd then does.

use std::os::unix::net::UnixListener;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use harness::{Agent, Finished, Machine, PATIENCE, Record, output};
use serde_json::{Value, json};

/// Ends when it is asked to.
const PLAIN: &str = "ExecStart=/bin/sleep 1000";
/// Does not.
const STUBBORN: &str = "ExecStart=/bin/sh -c 'trap \"\" TERM; while :; do sleep 1000; done'";

/// Runs `check-timing` in the machine.
fn check(machine: &Machine, arguments: &[&str]) -> Result<Finished> {
    output(machine.agent_inside().args(["-o", "json", "check-timing"]).args(arguments))
}

/// The same, and expects a status and an answer.
fn answer(machine: &Machine, arguments: &[&str], status: i32) -> Result<Record> {
    const LATE: &str = "it took longer than";
    let mut finished = check(machine, arguments)?;
    // The manager of an emulated machine has much to do, and is given up in time.
    for _ in 0..5 {
        if !finished.stderr.contains(LATE) {
            break;
        }
        finished = check(machine, arguments)?;
    }
    ensure!(finished.status.code() == Some(status), "{arguments:?}: {finished:?}");
    Record::parse(&finished.stdout)
}

/// The same, and expects no answer, but a sentence with this part.
fn no_answer(machine: &Machine, arguments: &[&str], part: &str) -> Result<()> {
    let finished = check(machine, arguments)?;
    let is_one_sentence = finished.stdout.is_empty() && finished.stderr.lines().count() == 1;
    ensure!(finished.status.code() == Some(3) && is_one_sentence, "{arguments:?}: {finished:?}");
    ensure!(finished.stderr.contains(part), "{arguments:?}: {part:?} is not in {finished:?}");
    Ok(())
}

pub(crate) fn aligned_mismatch_and_infinity() -> Result<()> {
    let machine = Machine::get()?;
    for (unit, setting, drain, status, seconds) in [
        ("t-long", "TimeoutStopSec=200", "60", 0, json!(200.0)),
        ("t-exact", "TimeoutStopSec=1min 30s", "60", 0, json!(90.0)),
        ("t-short", "TimeoutStopSec=89.5", "60", 1, json!(89.5)),
        ("t-infinity", "TimeoutStopSec=infinity", "100000", 0, Value::Null),
        ("t-zero", "TimeoutStopSec=0", "100000", 0, Value::Null),
        ("t-default", "", "60", 0, json!(90.0)),
    ] {
        let pid = machine.service(unit, &[PLAIN, setting])?;
        for selector in [["-u", unit], ["-p", &pid.to_string()]] {
            let said = answer(machine, &[["--drain-timeout", drain], selector].concat(), status)?;
            said.expect("unit", format!("{unit}.service"))?;
            said.expect("scope", "system")?;
            said.expect("load_state", "loaded")?;
            said.expect("timeout_stop_sec", seconds.clone())?;
            said.expect("mismatch", status == 1)?;
        }
    }
    Ok(())
}

pub(crate) fn the_drop_in_puts_it_right() -> Result<()> {
    let machine = Machine::get()?;
    machine.service("t-fix", &[PLAIN, "TimeoutStopSec=5", "KillSignal=SIGTERM"])?;
    machine.service("t-fix-kill", &[PLAIN, "KillSignal=SIGKILL"])?;
    for unit in ["t-fix", "t-fix-kill"] {
        let arguments = ["--drain-timeout", "60.5", "-u", unit];
        let said = answer(machine, &arguments, 1)?;
        apply(machine, &said)?;
        answer(machine, &arguments, 0)?;
    }
    Ok(())
}

/// Does what the answer advises.
fn apply(machine: &Machine, said: &Record) -> Result<()> {
    let drop_ins = said.list("drop_ins")?;
    ensure!(!drop_ins.is_empty(), said.fault("there is no advice"));
    for drop_in in drop_ins {
        let text = |key: &str| drop_in[key].as_str().with_context(|| said.fault(format!("no {key}")));
        machine.write(text("path")?, text("content")?)?;
        machine.sh(text("reload")?)?;
    }
    Ok(())
}

pub(crate) fn units_that_are_not_loaded() -> Result<()> {
    let machine = Machine::get()?;
    no_answer(machine, &["--drain-timeout", "60", "-u", "t-unknown"], "LoadState=not-found")?;
    machine.sh("systemctl mask --runtime t-masked.service")?;
    no_answer(machine, &["--drain-timeout", "60", "-u", "t-masked"], "LoadState=masked")?;
    no_answer(machine, &["--drain-timeout", "60", "-p", "1"], "init.scope is not a service")
}

pub(crate) fn settings_that_change_the_answer() -> Result<()> {
    let machine = Machine::get()?;
    let short = "TimeoutStopSec=5";
    for (unit, settings, status, said) in [
        ("t-no-kill", &[short, "SendSIGKILL=no"][..], 0, "(SendSIGKILL=no)"),
        ("t-kill-none", &[short, "KillMode=none"], 0, "(KillMode=none)"),
        ("t-mixed", &[short, "KillMode=mixed"], 1, "systemd sends SIGKILL 5s after"),
        ("t-final", &[short, "FinalKillSignal=SIGQUIT"], 1, "systemd sends SIGQUIT 5s after"),
        ("t-at-once", &["TimeoutStopSec=infinity", "KillSignal=SIGKILL"], 1, "gets no time to drain"),
        // These decide why a stop begins, or what follows a watchdog, not how long a stop may take.
        ("t-abort", &["TimeoutStopSec=200", "TimeoutAbortSec=5"], 0, "systemd waits 3min 20s"),
        ("t-runtime", &["TimeoutStopSec=200", "RuntimeMaxSec=3600"], 0, "systemd waits 3min 20s"),
    ] {
        machine.service(unit, &[&[PLAIN], settings].concat())?;
        let answer = answer(machine, &["--drain-timeout", "60", "-u", unit], status)?;
        answer.expect_part("summary", said)?;
    }
    // Only the main process of such a unit is killed.
    let script = "ExecStart=/bin/sh -c 'sleep 1000 & wait'";
    let main = machine.service("t-process", &[script, short, "KillMode=process"])?;
    let child = machine.sh(&format!("pgrep -P {main}"))?;
    answer(machine, &["--drain-timeout", "60", "-p", &main.to_string()], 1)?;
    answer(machine, &["--drain-timeout", "60", "-p", &child], 0)?
        .expect_part("summary", "KillMode=process, and this is not the main process")
}

/// The answers above are about what really happens.
pub(crate) fn what_systemd_does_with_them() -> Result<()> {
    let machine = Machine::get()?;
    let short = "TimeoutStopSec=300ms";
    let lives = |pid: u32| machine.sh(&format!("test -e /proc/{pid}")).is_ok();
    let stop = |unit: &str| machine.sh(&format!("systemctl stop {unit}"));

    let pid = machine.service("w-killed", &[STUBBORN, short, "TimeoutAbortSec=1h"])?;
    stop("w-killed")?;
    ensure!(!lives(pid), "TimeoutAbortSec= spared it");
    ensure!(
        machine.sh("systemctl show --value -p Result w-killed")? == "timeout",
        "it was not killed by the timeout"
    );

    let pid = machine.service("w-spared", &[STUBBORN, short, "SendSIGKILL=no"])?;
    stop("w-spared")?;
    ensure!(lives(pid), "SendSIGKILL=no did not spare it");

    let script = "ExecStart=/bin/sh -c 'trap \"\" TERM; (while :; do sleep 1000; done) & while :; do sleep 1000; done'";
    let main = machine.service("w-process", &[script, short, "KillMode=process"])?;
    let children = machine.sh(&format!("pgrep -o -P {main}"))?.parse()?;
    stop("w-process")?;
    ensure!(
        !lives(main) && lives(children),
        "KillMode=process spared the main process, or killed another one"
    );
    machine.sh("systemctl kill --kill-whom=all -s KILL w-spared w-process; true").map(drop)
}

pub(crate) fn unit_of_another_user() -> Result<()> {
    let machine = Machine::get()?;
    machine.user("alice", 1000)?;
    machine.sh("loginctl enable-linger alice")?;
    machine.until("systemctl is-active user@1000.service")?;
    let unit = |seconds: &str| {
        let path = "/home/alice/.config/systemd/user/gw.service";
        machine.write(path, &format!("[Service]\n{PLAIN}\nTimeoutStopSec={seconds}\n"))?;
        machine.sh("systemctl --user --machine=alice@ daemon-reload || runuser -u alice -- env XDG_RUNTIME_DIR=/run/user/1000 systemctl --user daemon-reload")
    };
    let arguments = |drain| ["--drain-timeout", drain, "--user-unit", "gw", "--uid", "1000"];

    unit("20")?;
    let said = answer(machine, &arguments("60"), 1)?;
    said.expect("scope", "user")?;
    said.expect("timeout_stop_sec", 20.0)?;
    said.expect_part("drop_ins.0.reload", "--user")?;

    // Long enough for itself, and longer than its manager is given at logout and shutdown.
    unit("200")?;
    let said = answer(machine, &arguments("150"), 1)?;
    said.expect("timeout_stop_sec", 200.0)?;
    said.expect("parent.unit", "user@1000.service")?;
    said.expect("parent.timeout_stop_sec", 120.0)?;
    apply(machine, &said)?;
    answer(machine, &arguments("150"), 0)?;

    // A process of it says all that by itself.
    machine.sh("runuser -u alice -- env XDG_RUNTIME_DIR=/run/user/1000 systemctl --user start gw")?;
    let pid = machine.sh(
        "runuser -u alice -- env XDG_RUNTIME_DIR=/run/user/1000 systemctl --user show --value -p MainPID gw",
    )?;
    let said = answer(machine, &["--drain-timeout", "150", "-p", &pid], 0)?;
    said.expect("scope", "user")?;
    said.expect("unit", "gw.service")?;

    // A user without a manager, and a user who asks for another one.
    no_answer(
        machine,
        &["--drain-timeout", "6", "--user-unit", "gw", "--uid", "4242"],
        "no running manager",
    )?;
    let mut command = machine.inside("runuser");
    command.args(["-u", "alice", "--"]).arg(machine.program("forensics-agent"));
    command.args(["check-timing", "--drain-timeout", "6", "--user-unit", "gw", "--uid", "0"]);
    let refused = output(&mut command)?;
    ensure!(
        refused.status.code() == Some(3) && refused.stderr.contains("only root and user 0"),
        "{refused:?}"
    );
    Ok(())
}

/// Runs `check-timing` where something of the machine was hidden before.
fn check_without(machine: &Machine, hide: &str, unit: &str) -> Result<(Finished, Duration)> {
    let program = machine.program("forensics-agent");
    let program = program.display();
    let script = format!("{hide} && exec {program} -o json check-timing --drain-timeout 60 -u {unit}");
    let started = Instant::now();
    let finished = output(machine.inside("unshare").args(["--mount", "sh", "-c", &script]))?;
    Ok((finished, started.elapsed()))
}

pub(crate) fn without_a_bus() -> Result<()> {
    let machine = Machine::get()?;
    machine.service("b-none", &[PLAIN, "TimeoutStopSec=200"])?;
    let (finished, _) = check_without(machine, "mount -t tmpfs none /run/dbus", "b-none")?;
    ensure!(finished.status.code() == Some(0), "{finished:?}");
    let said = Record::parse(&finished.stdout)?;
    said.expect("timeout_stop_sec", 200.0)?;
    // As systemctl words it; over the bus it is microseconds.
    said.expect("properties.TimeoutStopUSec", "3min 20s")?;
    // The bus of a slow machine may not answer in time.
    let said = answer(machine, &["--drain-timeout", "60", "-u", "b-none"], 0)?;
    said.expect_one_of("properties.TimeoutStopUSec", &["200000000", "3min 20s"])
}

pub(crate) fn bus_that_does_not_answer() -> Result<()> {
    let machine = Machine::get()?;
    machine.service("b-mute", &[PLAIN, "TimeoutStopSec=200"])?;
    // Nobody ever accepts.
    let _listener = UnixListener::bind(machine.path("/run/mute.socket"))?;
    let bus = "mount --bind /run/mute.socket /run/dbus/system_bus_socket";
    let (finished, took) = check_without(machine, bus, "b-mute")?;
    ensure!(finished.status.code() == Some(0), "{finished:?}");
    Record::parse(&finished.stdout)?.expect("properties.TimeoutStopUSec", "3min 20s")?;

    let manager = "mount --bind /run/mute.socket /run/systemd/private";
    let (finished, both) = check_without(machine, &format!("{bus} && {manager}"), "b-mute")?;
    ensure!(finished.status.code() == Some(3) && finished.stderr.lines().count() == 1, "{finished:?}");
    // The rest is for a busy machine.
    let limit = Duration::from_secs(15);
    ensure!(took < limit && both < limit && limit < PATIENCE, "it took {took:?} and {both:?}");
    Ok(())
}

pub(crate) fn without_a_manager() -> Result<()> {
    let machine = Machine::get()?;
    let hide = "mount -t tmpfs none /run/dbus && mount -t tmpfs none /run/systemd";
    let (finished, _) = check_without(machine, hide, "b-none")?;
    ensure!(finished.status.code() == Some(3) && finished.stderr.lines().count() == 1, "{finished:?}");
    Ok(())
}

pub(crate) fn incident_with_timing() -> Result<()> {
    let machine = Machine::get()?;
    // A busy manager tells it too late: nothing waits for that. The target lives longer each time.
    let mut attempt = 0;
    let incident = loop {
        attempt += 1;
        let pid = machine.host_pid(machine.service("i-timing", &[PLAIN, "TimeoutStopSec=20"])?)?;
        let mut agent =
            Agent::start(machine.agent_beside(), &["--pid", &pid.to_string(), "--drain-timeout", "60"])?;
        std::thread::sleep(Duration::from_secs(attempt - 1));
        machine.sh("systemctl stop i-timing")?;
        let incident = agent.incident_of(pid)?;
        agent.stop()?;
        if attempt == 5 || !incident.at("timing").is_null() {
            break incident;
        }
    };
    incident.expect("target.unit", "i-timing.service")?;
    incident.expect("context.systemd_unit", "i-timing.service")?;
    // It is gone before anybody can look; what was known of it is told.
    incident.expect("context.under_systemd", true)?;
    ensure!(incident.text("context.systemd_invocation_id")?.len() == 32, incident.fault("no INVOCATION_ID"));
    for (key, value) in [
        ("unit", json!("i-timing.service")),
        ("timeout_stop_sec", json!(20.0)),
        ("drain_timeout", json!(60.0)),
        ("expected_min", json!(90.0)),
        ("mismatch", json!(true)),
        ("scope", json!("system")),
        ("load_state", json!("loaded")),
    ] {
        incident.expect(&format!("timing.{key}"), value)?;
    }
    Ok(())
}
