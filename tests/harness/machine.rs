//! A container with a real systemd: a Debian that is made once and booted afresh, with nothing kept, for each test program.
//!
//! Its processes have a pid namespace of their own, and kernel programs count pids in the initial one. So commands are run in
//! two ways: `inside`, as a user of that system runs them, and `beside`, with the files, buses and cgroups of that system but
//! the pids of the host, as an agent sees a host whose manager it can ask.

use std::io::Write as _;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::Signal;

use crate::process::{put_down, signal, wait};
use crate::{Finished, PATIENCE, Skip, WorkDir, agent_program, needs_program, needs_root, output};

/// What is in it beyond the smallest Debian.
const PACKAGES: &str = "systemd,systemd-sysv,dbus,dbus-user-session,libpam-systemd,procps";
/// Name of its root directory in Cargo's target directory; to be changed with what is in it.
const ROOT: &str = "bookworm-systemd";
/// Where it finds the programs that are tested.
const PROGRAMS: &str = "/programs";
/// How long Debian's servers may take.
const DOWNLOAD: Duration = Duration::from_secs(600);

/// A booted machine.
#[derive(Debug)]
pub struct Machine {
    /// systemd-nspawn and the directory that it was started with, until the machine is shut down.
    running: Mutex<Option<(Child, WorkDir)>>,
    /// Its pid 1, as the host counts.
    leader: u32,
}

/// The machine of this test program, or why there is none.
static MACHINE: OnceLock<Result<Machine, String>> = OnceLock::new();

impl Machine {
    /// The machine of this test program, booted by whoever asks first.
    ///
    /// # Errors
    /// [`Skip`] when none can be booted here.
    pub fn get() -> Result<&'static Self> {
        needs_root()?;
        needs_program("debootstrap")?;
        needs_program("systemd-nspawn")?;
        match MACHINE.get_or_init(|| Self::boot().map_err(|error| format!("{error:#}"))) {
            Ok(machine) => Ok(machine),
            Err(why) => bail!(Skip(format!("needs a container with systemd: {why}"))),
        }
    }

    /// Shuts the machine down, if one was booted. To be called when all tests are done.
    pub fn power_off() {
        let Some(Ok(machine)) = MACHINE.get() else { return };
        let running = machine.running.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some((mut nspawn, _directory)) = running else { return };
        // It tells its pid 1 to power off.
        if signal(&nspawn, Signal::TERM).is_err() || wait(&mut nspawn, PATIENCE).is_err() {
            put_down(&mut nspawn);
        }
    }

    fn boot() -> Result<Self> {
        let root = root()?;
        let directory = WorkDir::new()?;
        let notify = UnixDatagram::bind(directory.join("notify"))?;
        notify.set_read_timeout(Some(PATIENCE))?;
        let log = std::fs::File::create(directory.join("console"))?;
        let programs = agent_program()?;
        let programs = programs.parent().context("the agent is in no directory")?;

        // It ends with this test program, however that ends.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "TERM", "systemd-nspawn", "--quiet", "--boot", "--volatile=overlay"]);
        command.args(["--register=no", "--notify-ready=yes", "--link-journal=no", "--directory"]).arg(&root);
        command.arg(format!("--bind-ro={}:{PROGRAMS}", programs.display()));
        if !Path::new("/run/systemd/system").is_dir() {
            // No manager of the host gives it a unit.
            command.arg("--keep-unit");
        }
        command.env("NOTIFY_SOCKET", directory.join("notify"));
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let mut nspawn = spawn_by_a_lasting_thread(command)?;
        match leader(&notify) {
            Ok(leader) => Ok(Self { running: Mutex::new(Some((nspawn, directory))), leader }),
            Err(error) => {
                put_down(&mut nspawn);
                let console = std::fs::read(directory.join("console")).unwrap_or_default();
                let console = String::from_utf8_lossy(&console);
                let last: Vec<_> = console.lines().rev().take(3).collect();
                Err(error.context(format!("systemd-nspawn said {last:?}")))
            }
        }
    }

    /// A command in the machine, by root, outside of all units.
    pub fn inside(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--all", "--target", &self.leader.to_string(), "--"]).arg(program);
        command
    }

    /// The agent in the machine.
    pub fn agent_inside(&self) -> Command {
        self.inside(format!("{PROGRAMS}/forensics-agent"))
    }

    /// The agent with everything of the machine but its pids.
    pub fn agent_beside(&self) -> Command {
        const SCRIPT: &str = "mount -t proc proc /proc && exec \"$@\"";
        let mut command = Command::new("nsenter");
        command.args(["--mount", "--cgroup", "--target", &self.leader.to_string(), "--"]);
        command.args(["unshare", "--mount", "sh", "-c", SCRIPT, "sh"]);
        command.arg(format!("{PROGRAMS}/forensics-agent"));
        command
    }

    /// Runs a script in the machine, as `inside`, and returns what it printed.
    ///
    /// # Errors
    /// When it fails.
    pub fn sh(&self, script: &str) -> Result<String> {
        let Finished { status, stdout, stderr } = output(self.inside("sh").args(["-c", script]))?;
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

    /// Makes a service of the system manager of lines for its `[Service]` section, and starts it. Returns the pid of its
    /// main process, as the machine counts.
    ///
    /// # Errors
    /// When it does not start.
    pub fn service(&self, name: &str, lines: &[&str]) -> Result<u32> {
        self.write(
            &format!("/run/systemd/system/{name}.service"),
            &format!("[Service]\n{}\n", lines.join("\n")),
        )?;
        self.sh(&format!("systemctl daemon-reload && systemctl start {name}"))?;
        Ok(self.sh(&format!("systemctl show --value -p MainPID {name}"))?.parse()?)
    }

    /// The pid on the host of a process of the machine.
    ///
    /// # Errors
    /// When there is none.
    pub fn host_pid(&self, inner: u32) -> Result<u32> {
        let namespace = |pid: &str| std::fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
        let own = namespace(&self.leader.to_string());
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
        PathBuf::from(format!("/proc/{}/root{path}", self.leader))
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

/// Starts a command whose parent, for `PR_SET_PDEATHSIG`, is a thread that ends with this program only: that of a test ends
/// with the test.
fn spawn_by_a_lasting_thread(mut command: Command) -> Result<Child> {
    let (sender, receiver) = mpsc::channel();
    let keep = move || {
        // Nobody listens only when the test program is on its way out.
        let _ = sender.send(command.spawn());
        loop {
            std::thread::park();
        }
    };
    std::thread::Builder::new().name("keeper".to_owned()).spawn(keep)?;
    receiver.recv()?.context("cannot start systemd-nspawn")
}

/// Waits until systemd-nspawn says that its system is up, and yields the pid of that system's pid 1.
fn leader(notify: &UnixDatagram) -> Result<u32> {
    let mut leader = None;
    let mut buffer = [0; 4096];
    loop {
        let length = notify.recv(&mut buffer).context("it does not come up")?;
        let message = String::from_utf8_lossy(buffer.get(..length).unwrap_or_default()).into_owned();
        let pid = message.lines().find_map(|line| line.strip_prefix("X_NSPAWN_LEADER_PID="));
        leader = pid.and_then(|pid| pid.parse().ok()).or(leader);
        if let (Some(leader), true) = (leader, message.lines().any(|line| line == "READY=1")) {
            return Ok(leader);
        }
    }
}

/// The root directory, made when it is not there.
fn root() -> Result<PathBuf> {
    let agent = agent_program()?;
    let target = agent.ancestors().nth(2).context("the agent is in no target directory")?;
    let root = target.join(ROOT);
    if root.is_dir() {
        return Ok(root);
    }
    let unfinished = target.join(format!("{ROOT}.unfinished"));
    if unfinished.exists() {
        std::fs::remove_dir_all(&unfinished).context("cannot remove what an earlier run left")?;
    }
    let mut command = Command::new("debootstrap");
    command.args(["--variant=minbase", &format!("--include={PACKAGES}"), "bookworm"]).arg(&unfinished);
    let log = unfinished.with_extension("log");
    let file = std::fs::File::create(&log)?;
    let mut debootstrap = command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file).spawn()?;
    let status = wait(&mut debootstrap, DOWNLOAD);
    put_down(&mut debootstrap);
    let said = std::fs::read_to_string(&log).unwrap_or_default();
    let last = said.lines().next_back().unwrap_or_default();
    ensure!(status?.success(), "debootstrap cannot make it: {last}");
    // Each boot is a machine of its own.
    let _ = std::fs::remove_file(unfinished.join("etc/machine-id"));
    std::fs::rename(&unfinished, &root)?;
    Ok(root)
}
