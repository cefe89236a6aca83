//! What an agent noted before it was killed, which takes others hours or a moment that cannot be met: it is written for it.

use std::process::Command;

use anyhow::{Result, ensure};
use forensics_agent::host::{clock, proc};
use harness::{Victim, needs_python};
use libc::{SIGKILL, SIGTERM};
use serde_json::json;

use crate::scene::{Scene, crash, kill};

/// Of two requests to end, the target survived the first one, and an agent had noted that.
pub(crate) fn what_came_after_a_request_that_was_survived() -> Result<()> {
    let scene = Scene::new()?;
    let script = "import signal, sys
def asked(*_):
    print('asked', flush=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
signal.signal(signal.SIGTERM, asked)
print('ready', flush=True)
sys.stdin.read()";
    let mut victim = Victim::spawn(Command::new(needs_python()?).args(["-c", script]))?;
    let agent = scene.agent_of(&victim)?;
    let first = kill(victim.pid(), SIGTERM)?;
    ensure!(victim.line()? == "asked");
    let open = scene.open(1)?;
    crash(agent)?;
    let (id, key) = (open.facts.id.clone(), open.facts.target.key());
    scene.note(&json!({"Closing": {"key": key, "id": id, "survived": true, "boot_ns": clock::boot_ns()}}))?;
    let second = kill(victim.pid(), SIGTERM)?;
    ensure!(victim.wait()?.success(), "it does not exit");
    let mut agent = scene.agent_of(&victim)?;
    let survived = agent.incident_of(victim.pid())?;
    survived.expect("id", id.as_str())?;
    survived.expect("outcome.kind", "survived")?;
    survived.expect("signals.0.sender.pid", first.pid)?;
    ensure!(survived.at("context.pid") == victim.pid(), survived.fault("the context is gone"));
    let ended = agent.incident_of(victim.pid())?;
    ended.expect_exited(0)?;
    ended.expect("signals.1.sender.pid", second.pid)?;
    ended.expect("verdict.culprit.pid", second.pid)?;
    ensure!(ended.at("id") != id.as_str(), ended.fault("it has the id of another"));
    agent.stop().map(drop)
}

/// An incident that was told and survived is noted, and what led to it is not known any more: the end is another one.
pub(crate) fn an_end_after_what_is_not_known_any_more() -> Result<()> {
    let scene = Scene::new()?;
    let mut victim = Victim::start(&["sleep"])?;
    let key = proc::read_key(victim.pid());
    crash(scene.agent_of(&victim)?)?;
    let boot_ns = clock::boot_ns();
    scene.note(&json!({"Closing": {"key": key, "id": "told", "survived": true, "boot_ns": boot_ns}}))?;
    scene.note(&json!({"Told": {"id": "told", "boot_ns": boot_ns, "dropped": true}}))?;
    let killer = kill(victim.pid(), SIGKILL)?;
    victim.wait()?;
    let mut agent = scene.agent_of(&victim)?;
    killer.expect_blamed(&agent.incident_of(victim.pid())?, "signals.0")?;
    agent.stop().map(drop)
}
