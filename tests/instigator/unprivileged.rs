//! Requests of users who are not root: to the system's manager, which lets polkit judge them, and to their own.

use anyhow::Result;
use harness::Machine;

use crate::asked::{Scene, expect_asker};

const AS_ALICE: &str = "runuser -u alice -- env XDG_RUNTIME_DIR=/run/user/1000";
/// Lets alice manage one unit, in the language of polkit.
const RULE: &str = "polkit.addRule(function(action, subject) {
    if (action.id == 'org.freedesktop.systemd1.manage-units' && subject.user == 'alice'
        && action.lookup('unit') == 'q-allowed.service') { return polkit.Result.YES; }
});
";

fn with_alice() -> Result<&'static Machine> {
    let machine = Machine::get()?;
    machine.user("alice", 1000)?;
    Ok(machine)
}

/// It was carried out, which the agent does not see.
pub(crate) fn request_that_polkit_allows(mode: &str) -> Result<()> {
    let machine = with_alice()?;
    machine.write("/etc/polkit-1/rules.d/10-q-allowed.rules", RULE)?;
    machine.sh("chmod 755 /etc/polkit-1/rules.d; systemctl restart polkit")?;
    let scene = Scene::new(mode, "q-allowed")?;
    machine.sh(&format!("{AS_ALICE} systemctl stop q-allowed"))?;
    let incident = scene.told()?;
    expect_asker(&incident, "systemctl stop q-allowed", "StopUnit q-allowed.service replace")?;
    incident.expect("verdict.instigator.process.uid", 1000)?;
    incident.expect("verdict.confidence", "likely")
}

/// Who was refused did nothing, however soon after it the unit is stopped.
pub(crate) fn request_that_polkit_refuses(mode: &str) -> Result<()> {
    let machine = with_alice()?;
    let scene = Scene::new(mode, "q-refused")?;
    scene.needs_sight()?;
    machine.sh(&format!(
        "systemd-run --no-block --on-active=1 --timer-property=AccuracySec=10ms systemctl stop q-refused; \
         while systemctl is-active q-refused; do {AS_ALICE} systemctl --no-ask-password stop q-refused && exit 1; done; true"
    ))?;
    let incident = scene.told()?;
    expect_asker(&incident, "systemctl stop q-refused", "StopUnit q-refused.service replace")?;
    incident.expect("verdict.instigator.process.uid", 0)?;
    incident.expect("verdict.confidence", "certain")?;
    incident.expect_evidence("asked for StopUnit q-refused.service replace")
}

/// A service of a user that restarts itself.
pub(crate) fn unit_that_restarts_itself(mode: &str) -> Result<()> {
    let machine = with_alice()?;
    machine.sh("loginctl enable-linger alice")?;
    machine.until("systemctl is-active user@1000.service")?;
    // Once only: the next run of it would do the same.
    let script = "until rm ~/again; do sleep 0.05; done; systemctl --user restart q-self; sleep 1000";
    machine.write(
        "/home/alice/.config/systemd/user/q-self.service",
        &format!("[Service]\nExecStart=/bin/sh -c '{script}'\n"),
    )?;
    machine.sh(&format!(
        "{AS_ALICE} systemctl --user daemon-reload && {AS_ALICE} systemctl --user start q-self"
    ))?;
    let inner =
        machine.sh(&format!("{AS_ALICE} systemctl --user show --value -p MainPID q-self"))?.parse()?;
    let scene = Scene::of(machine, inner, mode)?;
    let seen = scene.sees();
    machine.sh("touch /home/alice/again")?;
    let incident = scene.told()?;
    expect_asker(&incident, "systemctl --user restart q-self", "RestartUnit q-self.service replace")?;
    incident.expect("verdict.instigator.inside_target", true)?;
    incident.expect("verdict.confidence", if seen { "certain" } else { "likely" })?;
    incident.expect_part("verdict.summary", "inside the very unit")
}
