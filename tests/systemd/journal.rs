//! Incidents in a real journal, found by their fields.

use anyhow::{Result, ensure};
use harness::{Agent, Machine, Record};

/// The entries of the journal that match, oldest first.
fn entries(machine: &Machine, matches: &str) -> Result<Vec<Record>> {
    machine
        .sh(&format!("journalctl --sync && journalctl --no-pager --all -o json {matches}"))?
        .lines()
        .map(Record::parse)
        .collect()
}

pub(crate) fn incident_by_its_fields() -> Result<()> {
    let machine = Machine::get()?;
    let settings = ["ExecStart=/bin/sleep 1000", "Environment=TOKEN=x"];
    let pid = machine.host_pid(machine.service("j-fields", &settings)?)?;
    machine.write("/run/j-fields.toml", "journald = true\n")?;
    let arguments = ["--config", "/run/j-fields.toml", "--pid", &pid.to_string()];
    let mut agent = Agent::start(machine.agent_beside(), &arguments)?;
    machine.sh("systemctl kill --signal=KILL j-fields")?;
    // It goes to standard output as well, which is not the journal's here.
    let incident = agent.incident_of(pid)?;
    agent.stop()?;

    let id = incident.text("id")?;
    let found = entries(machine, &format!("FORENSICS_INCIDENT_ID={id}"))?;
    let [entry] = found.as_slice() else { anyhow::bail!("not one entry: {found:?}") };
    let verdict = |key: &str| incident.text(&format!("verdict.{key}")).map(str::to_owned);
    for (field, value) in [
        ("MESSAGE", verdict("summary")?),
        ("MESSAGE_ID", "0e8295d7567d47f2917f8348fd3ffbd0".to_owned()),
        ("SYSLOG_IDENTIFIER", "forensics-agent".to_owned()),
        ("FORENSICS_CAUSE", verdict("cause")?),
        ("FORENSICS_INTENT", verdict("intent")?),
        ("FORENSICS_CONFIDENCE", verdict("confidence")?),
        ("FORENSICS_OUTCOME", "killed".to_owned()),
        ("FORENSICS_SIGNAL", "SIGKILL".to_owned()),
        ("FORENSICS_TARGET_PID", pid.to_string()),
        ("FORENSICS_TARGET_UNIT", "j-fields.service".to_owned()),
        ("FORENSICS_TARGET_CMDLINE", "/bin/sleep 1000".to_owned()),
        ("OBJECT_PID", pid.to_string()),
        ("OBJECT_SYSTEMD_UNIT", "j-fields.service".to_owned()),
    ] {
        entry.expect(field, value)?;
    }
    let whole = Record::parse(entry.text("FORENSICS_INCIDENT")?)?;
    whole.expect("id", id)?;
    whole.expect("target.pid", pid)?;
    // As an operator looks for it.
    let by_cause = entries(machine, &format!("FORENSICS_CAUSE={}", verdict("cause")?))?;
    ensure!(by_cause.iter().any(|entry| entry.at("FORENSICS_INCIDENT_ID") == id), "not by its cause");
    if machine.sh("journalctl -q -n 1 _UID=0 -t forensics-agent -o cat").is_ok_and(|found| !found.is_empty())
    {
        let by_unit = entries(machine, "-u j-fields.service")?;
        ensure!(by_unit.iter().any(|entry| entry.at("FORENSICS_INCIDENT_ID") == id), "not by its unit");
    }
    Ok(())
}
