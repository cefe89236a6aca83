//! The agent in a container of its own: other mounts, network, names and root, and the pids of the host or not.

use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Result, ensure};
use harness::{Agent, Victim, WorkDir, agent_program, killer, needs_program, needs_root, output, test};

/// Makes a root of its own as container engines do for a privileged container, and runs the agent in it.
const CONTAINER: &str = r#"
set -e
root=$1 agent=$2; shift 2
mount -t tmpfs container "$root"
mkdir "$root/proc" "$root/sys" "$root/tmp" "$root/run" "$root/etc"
for directory in /usr /bin /lib /lib64 /sbin; do
    if [ -L $directory ]; then
        cp --archive $directory "$root/"
    elif [ -d $directory ]; then
        mkdir "$root$directory"
        mount --bind $directory "$root$directory"
    fi
done
mount -t proc proc "$root/proc"
mount --rbind /sys "$root/sys"
cp "$agent" "$root/agent"
exec chroot "$root" /agent "$@"
"#;

fn main() -> ExitCode {
    harness::main(vec![
        test("with_the_pids_of_the_host", with_the_pids_of_the_host),
        test("with_pids_of_its_own", with_pids_of_its_own),
        test("with_cgroups_of_its_own", with_cgroups_of_its_own),
    ])
}

/// The agent in a container, with further namespaces of its own.
fn contained(directory: &Path, namespaces: &[&str]) -> Result<Command> {
    needs_root()?;
    needs_program("unshare")?;
    let mut command = Command::new("unshare");
    command.args(["--mount", "--net", "--uts", "--ipc", "--propagation", "private"]).args(namespaces);
    command.args(["sh", "-c", CONTAINER, "sh"]).arg(directory).arg(agent_program()?);
    Ok(command)
}

fn with_the_pids_of_the_host() -> Result<()> {
    let directory = WorkDir::new()?;
    let victim = Victim::start(&["sleep"])?;
    let pid = victim.pid().to_string();
    let command = contained(&directory.join(""), &[])?;
    let mut agent = Agent::start(command, &["--pid", &pid, "--store", "/incidents.db"])?;
    let killer = killer(&["kill", &pid, "9", "from outside"])?;
    let incident = agent.incident_of(victim.pid())?;
    incident.expect_killed(9)?;
    killer.expect_blamed(&incident, &incident.expect_last_signal(9, "kill")?)?;
    ensure!(incident.list("target.ancestors")?.len() > 1, incident.fault("its ancestors are not known"));
    agent.stop().map(drop)
}

/// The pids there are not those that the kernel records; `doctor` says so, and what to do.
fn with_pids_of_its_own() -> Result<()> {
    let directory = WorkDir::new()?;
    let mut command = contained(&directory.join(""), &["--pid", "--fork"])?;
    let said = output(command.arg("doctor"))?;
    let told = said.stdout.contains("not the initial one") && said.stdout.contains("--pid=host");
    ensure!(told, "doctor does not tell: {said:?}");
    Ok(())
}

/// Units of the host are not seen there; `doctor` and `watch` say so, and what to do.
fn with_cgroups_of_its_own() -> Result<()> {
    let directory = WorkDir::new()?;
    let mut command = contained(&directory.join(""), &["--cgroup"])?;
    let said = output(command.arg("doctor"))?;
    let told = said.stdout.contains("a namespace of its own") && said.stdout.contains("--cgroupns=host");
    ensure!(told, "doctor does not tell: {said:?}");

    let directory = WorkDir::new()?;
    let command = contained(&directory.join(""), &["--cgroup"])?;
    let agent = Agent::start(command, &["-u", "no-such-unit"])?;
    let warning = "no-such-unit.service: nothing runs there yet; waiting for it; this container sees only its own cgroups";
    let said = agent.stderr();
    ensure!(said.contains(warning) && said.contains("--cgroupns=host"), "watch does not tell: {said:?}");
    agent.stop().map(drop)
}
