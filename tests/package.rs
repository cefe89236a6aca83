//! The Debian package on a machine of its own: installed, reloaded, upgraded, removed, with the service at work all the time.

use std::process::{ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use harness::{Machine, PATIENCE, Record, Skip, test, wait};

/// What the service may do, in the order of their numbers, see `packaging/forensics-agent.service`.
const CAPABILITIES: [u8; 7] = [2, 6, 7, 19, 34, 38, 39];
/// How long the package manager may take.
const SLOWLY: Duration = Duration::from_secs(300);
/// How long the agent may take to look at a process that has begun, in a machine that is emulated.
const LOOK: Duration = Duration::from_secs(2);
const CONFIG: &str = "/etc/forensics-agent/config.toml";

fn main() -> ExitCode {
    harness::main(vec![test("from_installation_to_removal", from_installation_to_removal)])
}

/// The machine, when it may be changed for good, and the package in it.
fn machine() -> Result<(&'static Machine, String)> {
    let machine = Machine::get()?;
    if !machine.is_this() {
        bail!(Skip(
            "needs a machine of its own with systemd as process 1, as `cargo xtask vm` boots".to_owned()
        ));
    }
    let package = machine.program("forensics-agent.deb");
    ensure!(package.is_file(), "{} is not there", package.display());
    Ok((machine, package.display().to_string()))
}

/// The main process of a service, which is called as the service is.
fn main_process(name: &str) -> String {
    format!("ExecStart=@/bin/sleep {name} 1000")
}

/// A configuration that names services by their command lines.
fn watching(names: &[&str]) -> String {
    let patterns: Vec<String> = names.iter().map(|name| format!("'^{name} 1000$'")).collect();
    format!("journald = true\npersist = true\n[targets]\nmatch = [{}]\n", patterns.join(", "))
}

struct Scene {
    machine: &'static Machine,
}

impl Scene {
    fn sh(&self, script: &str) -> Result<String> {
        self.machine.sh(script)
    }

    /// Runs the package manager, which an emulated machine takes its time for.
    fn dpkg(&self, script: &str) -> Result<()> {
        let mut child = self.machine.inside("sh").args(["-c", script]).stdin(Stdio::null()).spawn()?;
        let status = wait(&mut child, SLOWLY)?;
        ensure!(status.success(), "{script:?}: {status}");
        Ok(())
    }

    /// Makes the service read another configuration, and waits until it says what came of it.
    fn reload(&self, config: &str) -> Result<()> {
        self.machine.write(CONFIG, config)?;
        let said = format!(
            "journalctl -q --sync; journalctl -q -o cat _PID={} | grep -cE '^watching |stays as it was'",
            self.main_pid()?
        );
        let before = self.sh(&format!("{said} || true"))?;
        self.sh("systemctl reload forensics-agent")?;
        self.machine.until(&format!("test \"$({said})\" != {before}"))
    }

    /// Kills a service's process and waits for the entry in the journal.
    fn expect_explained(&self, name: &str) -> Result<Record> {
        let pid = self.machine.service(name, &[&main_process(name)])?;
        // Only when it has been looked at, so that its unit is known.
        self.machine.until(&format!("systemctl is-active {name}"))?;
        std::thread::sleep(LOOK);
        self.expect_kill_explained(name, pid)
    }

    /// The entry about a process that was killed.
    fn told(&self, pid: u32) -> Result<Record> {
        let matches = format!("FORENSICS_CAUSE=external-kill FORENSICS_TARGET_PID={pid}");
        self.machine.until(&format!("journalctl -q --sync; journalctl -q -o json {matches} | grep -q ."))?;
        Record::parse(&self.sh(&format!("journalctl -q -n 1 -o json {matches}"))?)
    }

    /// The same of a service that runs.
    fn expect_kill_explained(&self, name: &str, pid: u32) -> Result<Record> {
        self.sh(&format!("bash -c 'exec -a phantom bash -c \"kill -9 {pid}; :\"'"))?;
        let entry = self.told(pid)?;
        for (field, value) in [
            ("FORENSICS_INTENT", "deliberate"),
            ("FORENSICS_OUTCOME", "killed"),
            ("FORENSICS_SIGNAL", "SIGKILL"),
            ("FORENSICS_TARGET_UNIT", &format!("{name}.service")),
            ("FORENSICS_TARGET_CMDLINE", &format!("{name} 1000")),
            ("OBJECT_SYSTEMD_UNIT", &format!("{name}.service")),
            ("MESSAGE_ID", "0e8295d7567d47f2917f8348fd3ffbd0"),
            ("_SYSTEMD_UNIT", "forensics-agent.service"),
        ] {
            entry.expect(field, value)?;
        }
        entry.expect_part("FORENSICS_CULPRIT_CMDLINE", "kill -9")?;
        // As an operator finds it: beside what the service itself said.
        let shown = self.sh(&format!("journalctl -q -u {name} -o cat"))?;
        ensure!(shown.contains(entry.text("MESSAGE")?), "journalctl -u {name} shows {shown:?}");
        Ok(entry)
    }

    fn main_pid(&self) -> Result<u32> {
        Ok(self.sh("systemctl show --value -p MainPID forensics-agent")?.parse()?)
    }

    /// What the agent printed since it was started: warnings.
    fn complaints(&self) -> Result<String> {
        self.sh(&format!("journalctl -q -o cat _PID={} _TRANSPORT=stdout", self.main_pid()?))
    }
}

/// What a manager's executor makes and ends while it sets a service up is nobody's concern.
fn starts_are_no_ends(scene: &Scene) -> Result<()> {
    let told = scene.sh("forensics-agent list")?;
    ensure!(!told.contains("'("), "an executor is blamed: {told}");
    Ok(())
}

fn from_installation_to_removal() -> Result<()> {
    let (machine, package) = machine()?;
    let scene = Scene { machine };
    let programs = loaded_programs()?;
    install(&scene, &package)?;
    explained_reloaded_restarted(&scene)?;
    killed(&scene)?;
    upgraded(&scene, &package)?;
    wrong_configuration(&scene)?;
    starts_are_no_ends(&scene)?;
    removed(&scene)?;
    ensure!(loaded_programs()? == programs, "it left {:?} in the kernel", loaded_programs()?);
    Ok(())
}

fn install(scene: &Scene, package: &str) -> Result<()> {
    let earlier = scene.machine.service("p-earlier", &[&main_process("p-earlier")])?;
    scene.dpkg(&format!("DEBIAN_FRONTEND=noninteractive dpkg --install {package}"))?;
    scene.sh("systemctl is-active forensics-agent && systemctl is-enabled forensics-agent")?;
    let status = scene.sh("systemctl show --value -p StatusText forensics-agent")?;
    ensure!(status.starts_with("watching "), "its status is {status:?}");
    let pid = scene.main_pid()?;
    let proc = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = |name: &str| proc.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let expected = CAPABILITIES.iter().fold(0u64, |mask, number| mask | 1 << number);
    let effective = line("CapEff:").and_then(|digits| u64::from_str_radix(digits, 16).ok());
    ensure!(effective == Some(expected), "its capabilities are {effective:x?}, not {expected:x}");
    ensure!(line("NoNewPrivs:") == Some("1") && line("Seccomp:") == Some("2"), "{proc}");
    let files = scene.sh("dpkg --listfiles forensics-agent")?;
    for file in [
        "/usr/share/man/man1/forensics-agent-watch.1.gz",
        "/usr/share/bash-completion/completions/forensics-agent",
        "/usr/share/zsh/vendor-completions/_forensics-agent",
        "/usr/share/fish/vendor_completions.d/forensics-agent.fish",
        CONFIG,
    ] {
        ensure!(files.lines().any(|listed| listed == file), "{file} is not among {files}");
    }
    scene.sh("dpkg --verify forensics-agent")?;
    // Nobody has configured anything.
    scene.expect_kill_explained("p-earlier", earlier)?;
    scene.expect_explained("p-later").map(drop)
}

fn explained_reloaded_restarted(scene: &Scene) -> Result<()> {
    scene.reload(&watching(&["p-first"]))?;
    let pid = scene.main_pid()?;
    scene.expect_explained("p-first")?;
    scene.reload(&watching(&["p-first", "p-second"]))?;
    scene.expect_explained("p-second")?;
    scene.expect_explained("p-first")?;
    ensure!(scene.main_pid()? == pid, "it was not reloaded, but started anew");
    let complaints = scene.complaints()?;
    let unexpected: Vec<&str> =
        complaints.lines().filter(|line| line.contains("warn") && !line.contains("markers")).collect();
    ensure!(unexpected.is_empty(), "it complains: {unexpected:?}");
    scene.sh("systemctl restart forensics-agent")?;
    ensure!(scene.main_pid()? != pid, "it was not restarted");
    scene.expect_explained("p-second").map(drop)
}

/// In its sandbox the service pins its kernel programs, so that what happens while it is dead is told, and its own death too.
fn killed(scene: &Scene) -> Result<()> {
    scene.sh("test -d /sys/fs/bpf/forensics-agent")?;
    let pid = scene.main_pid()?;
    let victim = scene.machine.service("p-first", &[&main_process("p-first")])?;
    scene.reload(&watching(&["p-first", "p-second"]))?;
    // Nobody is there to see the second one, until the manager starts the agent again.
    scene.sh(&format!("kill -9 {pid}; kill -9 {victim}"))?;
    let deadline = Instant::now() + PATIENCE;
    while [0, pid].contains(&scene.main_pid()?) {
        ensure!(Instant::now() < deadline, "it was not started again");
        std::thread::sleep(Duration::from_millis(100));
    }
    for killed in [victim, pid] {
        let entry = scene.told(killed)?;
        entry.expect("FORENSICS_SIGNAL", "SIGKILL")?;
        entry.expect_part("FORENSICS_CULPRIT_CMDLINE", "kill -9")?;
    }
    let complaints = scene.complaints()?;
    ensure!(!complaints.contains("replaced") && !complaints.contains("pinned"), "it complains: {complaints}");
    Ok(())
}

/// The same, called newer. What the administrator has changed stays.
fn upgraded(scene: &Scene, package: &str) -> Result<()> {
    let pid = scene.main_pid()?;
    scene.dpkg(&format!(
        "rm -rf /tmp/newer && dpkg-deb --raw-extract {package} /tmp/newer && \
         sed -i 's/^Version: .*/&+newer/' /tmp/newer/DEBIAN/control && \
         dpkg-deb -Znone --root-owner-group --build /tmp/newer /tmp/newer.deb && \
         DEBIAN_FRONTEND=noninteractive dpkg --install /tmp/newer.deb"
    ))?;
    let version = scene.sh("dpkg-query --show --showformat '${Version}' forensics-agent")?;
    ensure!(version.ends_with("+newer"), "it is still {version}");
    scene.sh("systemctl is-active forensics-agent")?;
    ensure!(scene.main_pid()? != pid, "the old one still runs");
    ensure!(
        std::fs::read_to_string(CONFIG)? == watching(&["p-first", "p-second"]),
        "its configuration changed"
    );
    scene.expect_explained("p-first").map(drop)
}

/// Read again, it changes nothing; at a start, it ends the service once and for all.
fn wrong_configuration(scene: &Scene) -> Result<()> {
    let pid = scene.main_pid()?;
    scene.reload("[targets]\ncom = ['x']\n")?;
    ensure!(scene.main_pid()? == pid, "it was started anew");
    let complaints = scene.complaints()?;
    let last = complaints.lines().next_back().context("it says nothing")?;
    ensure!(
        last.contains("the configuration stays as it was") && last.contains("line 2, key \"com\""),
        "{last:?}"
    );
    scene.expect_explained("p-second")?;
    ensure!(scene.sh("systemctl restart forensics-agent").is_err(), "it starts with a wrong configuration");
    let state = scene.sh("systemctl show -p Result,ExecMainStatus,NRestarts forensics-agent")?;
    for expected in ["Result=exit-code", "ExecMainStatus=2", "NRestarts=0"] {
        ensure!(state.contains(expected), "{state} lacks {expected}");
    }
    scene.machine.write(CONFIG, &watching(&["p-first"]))?;
    scene.sh("systemctl reset-failed forensics-agent; systemctl start forensics-agent")?;
    scene.expect_explained("p-first").map(drop)
}

fn removed(scene: &Scene) -> Result<()> {
    scene.dpkg("dpkg --remove forensics-agent")?;
    scene.sh("! systemctl is-active forensics-agent && test -e /etc/forensics-agent/config.toml")?;
    scene.dpkg("dpkg --purge forensics-agent")?;
    scene.sh("! test -e /etc/forensics-agent && ! test -e /var/lib/forensics-agent")?;
    let left = scene.sh("systemctl list-unit-files --no-legend 'forensics-agent*' | wc -l")?;
    ensure!(left == "0", "{left} unit files are left");
    Ok(())
}

/// Names of the eBPF programs in the kernel that are ours.
fn loaded_programs() -> Result<Vec<String>> {
    let mut names = Vec::new();
    for program in aya::programs::loaded_programs() {
        let name = program?.name_as_str().unwrap_or_default().to_owned();
        if name.starts_with("process_") || name.starts_with("signal_") {
            names.push(name);
        }
    }
    Ok(names)
}
