//! The diagnostic, while systemd kills the unit that asked for it.

use anyhow::{Result, ensure};
use harness::{Machine, output};

/// The worker reads this pipe in the place of the load average, so it looks around no sooner than the test wants.
const GATE: &str = "/run/gate";

pub(crate) fn worker_survives_its_cgroup() -> Result<()> {
    let machine = Machine::get()?;
    let program = machine.program("forensics-agent").display().to_string();
    let log = "/run/diagnose/log";
    let script = format!(
        "{program} diagnose -p $$$$ --signal TERM --log {log} --timeout 60 > /run/worker; exec sleep 1000"
    );
    machine.sh(&format!("mkfifo {GATE}"))?;
    let pid = machine.service(
        "d-survives",
        &[&format!("ExecStart=/bin/sh -c '{script}'"), &format!("BindPaths={GATE}:/proc/loadavg")],
    )?;
    // It does not wait for a busy manager, and leaves by itself then.
    let left = "grep -q -e /forensics-agent-diagnose- -e '^0::/$' /proc/$(cat /run/worker)/cgroup";
    machine.until(&format!("test -s /run/worker && {left}"))?;
    if machine.sh("cat /proc/$(cat /run/worker)/cgroup")?.contains("/forensics-agent-diagnose-") {
        let scope =
            machine.sh("systemctl list-units --plain --no-legend 'forensics-agent-diagnose-*.scope'")?;
        ensure!(scope.contains("running"), "no scope: {scope:?}");
    }
    machine.sh("systemctl kill --kill-whom=all -s KILL d-survives")?;
    machine.until("! systemctl is-active d-survives")?;
    ensure!(machine.sh(&format!("test -e /proc/{pid}")).is_err(), "the unit is still there");

    machine.write(GATE, "0.42 the gate is open\n")?;
    machine.until(&format!("grep -q '=== end ===' {log}"))?;
    let report = machine.sh(&format!("cat {log}; stat -c 'mode %a' {log}"))?;
    for part in
        ["--- /proc/loadavg ---\n0.42 the gate is open", &format!("--- tree of {pid} ---"), "mode 600"]
    {
        ensure!(report.contains(part), "{part:?} is not in {report}");
    }
    ensure!(!report.contains("cut off"), "{report}");
    // The scope goes with its last process.
    machine.until("! systemctl list-units --plain --no-legend 'forensics-agent-diagnose-*.scope' | grep .")
}

pub(crate) fn worker_that_cannot_leave_says_so() -> Result<()> {
    let machine = Machine::get()?;
    let mut command = machine.inside("setpriv");
    command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups", "--"]);
    command.arg(machine.program("forensics-agent"));
    let log = "/tmp/diagnose-of-nobody/log";
    let started = output(command.args(["diagnose", "-p", "1", "--signal", "TERM", "--log", log]))?;
    ensure!(started.status.success(), "{started:?}");
    machine.until(&format!("grep -q '=== end ===' {log}"))?;
    let report = machine.sh(&format!("cat {log}"))?;
    ensure!(report.contains("this report may be cut off when its own cgroup is killed: "), "{report}");
    Ok(())
}
