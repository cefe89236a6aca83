//! Containers of real engines, on a machine of its own: who asked the engine is named, and not what carried it out.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use harness::{Agent, Machine, Record, Skip, test};

/// How long an engine may take on an emulated machine.
const SLOWLY: Duration = Duration::from_secs(120);
/// An image with a program that does nothing, of what the machine itself has.
const IMAGE: &str = "root=$(mktemp --directory) && cd / && \
    cp --parents --dereference /bin/sleep $(ldd /bin/sleep | grep -o '/[^ ]*') $root && tar -C $root -c .";

fn main() -> ExitCode {
    harness::main(vec![
        test("docker_stop", docker_stop),
        test("docker_kill", docker_kill),
        test("podman_stop", podman_stop),
    ])
}

fn machine(engine: &str) -> Result<&'static Machine> {
    let machine = Machine::get()?;
    if !machine.is_this() {
        bail!(Skip("needs a machine of its own, as `cargo xtask vm` boots".to_owned()));
    }
    if machine.sh(&format!("command -v {engine}")).is_err() {
        bail!(Skip(format!("needs {engine}")));
    }
    Ok(machine)
}

/// A container that runs, and what is told when it is ended by a command that is given its name.
fn ended(engine: &str, name: &str, run: &str, command: &str) -> Result<Record> {
    let machine = machine(engine)?;
    machine.sh_within(&format!("{IMAGE} | {engine} import - sleeper-{name}"), SLOWLY)?;
    let run =
        format!("{engine} run --detach --name {name} --network none {run} sleeper-{name} /bin/sleep 1000");
    machine.sh_within(&run, SLOWLY)?;
    let pid: u32 = machine
        .sh_within(&format!("{engine} inspect --format '{{{{.State.Pid}}}}' {name}"), SLOWLY)?
        .parse()?;
    let mut agent = Agent::watch_pid(pid)?;
    machine.sh_within(&format!("{engine} {command}"), SLOWLY)?;
    let incident = agent.explained_incident_of(pid)?;
    agent.stop()?;
    incident.expect("target.container_name", name)?;
    incident.expect("target.ns_pid", 1)?;
    incident.expect("verdict.cause", "container-stop")?;
    let asker = incident.text("verdict.culprit.cmdline")?;
    ensure!(
        asker.ends_with(&format!("{engine} {command}")),
        incident.fault(format!("{asker:?} is to blame"))
    );
    Ok(incident)
}

fn docker_stop() -> Result<()> {
    machine("docker")?.sh_within("systemctl start docker", SLOWLY)?;
    let incident = ended("docker", "halted", "--security-opt apparmor=unconfined", "stop -t 1 halted")?;
    incident.expect_killed(9)?;
    incident.expect("verdict.instigator.request", "stop halted t=1")
}

fn docker_kill() -> Result<()> {
    machine("docker")?.sh_within("systemctl start docker", SLOWLY)?;
    let incident = ended("docker", "slain", "--security-opt apparmor=unconfined", "kill slain")?;
    incident.expect_killed(9)?;
    let request = incident.text("verdict.instigator.request")?;
    ensure!(request.starts_with("kill slain"), incident.fault("something else was asked for"));
    Ok(())
}

/// No daemon: the command itself runs the runtime.
fn podman_stop() -> Result<()> {
    ended("podman", "paused", "--security-opt apparmor=unconfined", "stop -t 1 paused")?.expect_killed(9)
}
