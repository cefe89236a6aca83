//! A machine with a real systemd: this one, where it was made for nothing but these tests (`cargo xtask vm`), or else a
//! container.
//!
//! The processes of a container have a pid namespace of their own, and kernel programs count pids in the initial one. So
//! commands are run in two ways: `inside`, as a user of that system runs them, and `beside`, with the files, buses and cgroups
//! of that system but the pids of the host, as an agent sees a host whose manager it can ask. On this very machine both are
//! the same.

mod container;

use std::ffi::OsStr;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use crate::process::{output_within, wait};
use crate::{Finished, PATIENCE, Skip, agent_program, needs_program, needs_root};
use container::Container;

/// Set to 1 where the tests may make units, users and mounts of the system that they run on: it is thrown away afterwards.
const EXPENDABLE: &str = "FORENSICS_TESTS_EXPENDABLE_MACHINE";
/// Where a container finds the programs that are tested.
const PROGRAMS: &str = "/programs";
/// Moves a command where nobody else is, in the hierarchies that systemd goes by. The root of a hierarchy would not do: there,
/// a process is taken for one whose place is not known.
const VISIT: &str = "for root in /sys/fs/cgroup /sys/fs/cgroup/unified /sys/fs/cgroup/systemd; do \
    [ ! -w $root/cgroup.procs ] || { mkdir -p $root/visitors && echo $$ > $root/visitors/cgroup.procs; } || exit 125; \
    done; exec \"$@\"";

/// A machine that runs.
#[derive(Debug)]
pub struct Machine {
    /// None when it is this one.
    container: Option<Container>,
    /// Where it has the programs that are tested.
    programs: PathBuf,
}

/// The machine of this test program, or why there is none.
static MACHINE: OnceLock<Result<Machine, String>> = OnceLock::new();

impl Machine {
    /// The machine of this test program, booted by whoever asks first.
    ///
    /// # Errors
    /// [`Skip`] when there is none and none can be booted here.
    pub fn get() -> Result<&'static Self> {
        needs_root()?;
        let make = if std::env::var_os(EXPENDABLE).is_some_and(|value| value == "1") {
            Self::this
        } else {
            needs_program("debootstrap")?;
            needs_program("systemd-nspawn")?;
            Self::booted
        };
        match MACHINE.get_or_init(|| make().map_err(|error| format!("{error:#}"))) {
            Ok(machine) => Ok(machine),
            Err(why) => bail!(Skip(format!("needs a machine with systemd: {why}"))),
        }
    }

    /// Shuts the machine down, if one was booted. To be called when all tests are done.
    pub fn power_off() {
        if let Some(Ok(Self { container: Some(container), .. })) = MACHINE.get() {
            container.power_off();
        }
    }

    fn this() -> Result<Self> {
        let first = std::fs::read_to_string("/proc/1/comm")?;
        ensure!(first.trim_end() == "systemd", "process 1 of this machine is {first:?}");
        let agent = agent_program()?;
        let programs = agent.parent().context("the agent is in no directory")?.to_owned();
        Ok(Self { container: None, programs })
    }

    fn booted() -> Result<Self> {
        Ok(Self { container: Some(Container::boot()?), programs: PROGRAMS.into() })
    }

    /// True when it is this very machine: its systemd is process 1, its kernel and its cgroups are nobody else's.
    pub fn is_this(&self) -> bool {
        self.container.is_none()
    }

    /// A command in the machine, by root, in a cgroup that is no unit's.
    pub fn inside(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = match &self.container {
            Some(container) => {
                let mut nsenter = Command::new("nsenter");
                nsenter.args(["--all", "--target", &container.leader.to_string(), "--", "sh"]);
                nsenter
            }
            None => Command::new("sh"),
        };
        command.args(["-c", VISIT, "sh"]).arg(program);
        command
    }

    /// Where the machine has a program that is tested, as `forensics-agent` or `victim`.
    pub fn program(&self, name: &str) -> PathBuf {
        self.programs.join(name)
    }

    /// The agent in the machine.
    pub fn agent_inside(&self) -> Command {
        self.inside(self.program("forensics-agent"))
    }

    /// The agent with everything of the machine but its pids.
    pub fn agent_beside(&self) -> Command {
        // A container has no tracing file system, by which system calls are seen.
        const SCRIPT: &str = "mount -t proc proc /proc; \
            test -e /sys/kernel/tracing/events || mount -t tracefs tracefs /sys/kernel/tracing; exec \"$@\"";
        let agent = self.program("forensics-agent");
        let Some(container) = &self.container else { return Command::new(agent) };
        let mut command = Command::new("nsenter");
        command.args(["--mount", "--cgroup", "--target", &container.leader.to_string(), "--"]);
        command.args(["unshare", "--mount", "sh", "-c", SCRIPT, "sh"]).arg(agent);
        command
    }

    /// Runs a script in the machine, as `inside`, and returns what it printed.
    ///
    /// # Errors
    /// When it fails.
    pub fn sh(&self, script: &str) -> Result<String> {
        self.sh_within(script, PATIENCE)
    }

    /// The same, for a script that an emulated machine takes its time for.
    ///
    /// # Errors
    /// When it fails, or is still running then.
    pub fn sh_within(&self, script: &str, patience: Duration) -> Result<String> {
        let mut command = self.inside("sh");
        let Finished { status, stdout, stderr } = output_within(command.args(["-c", script]), patience)?;
        ensure!(status.success(), "{script:?} in the machine: {status}, {stdout:?}, {stderr:?}");
        Ok(stdout.trim_end().to_owned())
    }

    /// Writes a file of the machine, and makes the directories above it.
    ///
    /// # Errors
    /// As the machine's shell.
    pub fn write(&self, path: &str, text: &str) -> Result<()> {
        let script = "mkdir -p \"$(dirname \"$0\")\" && cat > \"$0\"";
        let mut command = self.inside("sh");
        let mut child = command.args(["-c", script, path]).stdin(Stdio::piped()).spawn()?;
        child.stdin.take().context("a shell has no standard input")?.write_all(text.as_bytes())?;
        let status = wait(&mut child, PATIENCE)?;
        ensure!(status.success(), "cannot write {path}: {status}");
        Ok(())
    }

    /// Writes a service of the system manager: lines for its `[Unit]` section and for its `[Service]` section.
    ///
    /// # Errors
    /// When the manager does not read it.
    pub fn unit(&self, name: &str, unit: &str, lines: &[&str]) -> Result<()> {
        let text = format!("[Unit]\n{unit}\n[Service]\n{}\n", lines.join("\n"));
        self.write(&format!("/run/systemd/system/{name}.service"), &text)?;
        self.sh("systemctl daemon-reload").map(drop)
    }

    /// The directories at the root of the hierarchies that the machine's systemd goes by, the one that counts first.
    ///
    /// # Errors
    /// As the machine's shell.
    pub fn hierarchies(&self) -> Result<String> {
        self.sh("for root in /sys/fs/cgroup /sys/fs/cgroup/unified /sys/fs/cgroup/systemd; do \
                 test ! -d $root/init.scope || echo -n \"$root \"; done")
    }

    /// The directory of a unit's cgroup, in the machine.
    ///
    /// # Errors
    /// When the unit has none.
    pub fn cgroup(&self, unit: &str) -> Result<String> {
        let roots = self.hierarchies()?;
        let root = roots.split_whitespace().next().context("the machine's systemd has no cgroups")?;
        let path = self.sh(&format!("systemctl show --value -p ControlGroup {unit}"))?;
        ensure!(!path.is_empty(), "{unit} has no cgroup");
        Ok(format!("{root}{path}"))
    }

    /// Makes a service of the system manager of lines for its `[Service]` section, and starts it. Returns the pid of its
    /// main process, as the machine counts.
    ///
    /// # Errors
    /// When it does not start.
    pub fn service(&self, name: &str, lines: &[&str]) -> Result<u32> {
        self.unit(name, "", lines)?;
        self.sh(&format!("systemctl start {name}"))?;
        Ok(self.sh(&format!("systemctl show --value -p MainPID {name}"))?.parse()?)
    }

    /// The pid on the host of a process of the machine.
    ///
    /// # Errors
    /// When there is none.
    pub fn host_pid(&self, inner: u32) -> Result<u32> {
        let Some(container) = &self.container else { return Ok(inner) };
        let namespace = |pid: &str| std::fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
        let own = namespace(&container.leader.to_string());
        for entry in std::fs::read_dir("/proc")?.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let Ok(pid) = name.parse() else { continue };
            let status = std::fs::read_to_string(entry.path().join("status")).unwrap_or_default();
            let pids = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
            let innermost = pids.and_then(|pids| pids.split_whitespace().next_back()?.parse().ok());
            if innermost == Some(inner) && namespace(&name) == own {
                return Ok(pid);
            }
        }
        bail!("the machine has no process {inner}")
    }

    /// A file of the machine, as a path on the host.
    pub fn path(&self, path: &str) -> PathBuf {
        match &self.container {
            Some(container) => PathBuf::from(format!("/proc/{}/root{path}", container.leader)),
            None => path.into(),
        }
    }

    /// Makes a user, unless there is one of that name. Tests may do so at once.
    ///
    /// # Errors
    /// As `useradd`.
    pub fn user(&self, name: &str, uid: u32) -> Result<()> {
        let make = format!("id {name} || useradd --create-home --shell /bin/bash --uid {uid} {name}");
        self.sh(&format!("flock /run/users.lock sh -c '{make}'")).map(drop)
    }

    /// Waits until a script in the machine succeeds.
    ///
    /// # Errors
    /// When it does not in time.
    pub fn until(&self, script: &str) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while self.sh(script).is_err() {
            ensure!(Instant::now() < deadline, "{script:?} never succeeded in the machine");
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}
