//! A container with a real systemd: a Debian that is made once and booted afresh, with nothing kept, for each test program.

use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;

use super::PROGRAMS;
use crate::process::{put_down, signal, wait};
use crate::{PATIENCE, WorkDir, agent_program, unique};

/// What is in it beyond the smallest Debian.
const PACKAGES: &str =
    "systemd,systemd-sysv,dbus,dbus-user-session,libpam-systemd,polkitd,procps,python3,python3-dbus";
/// Name of its root directory in Cargo's target directory; to be changed with what is in it.
const ROOT: &str = "bookworm-systemd-polkit";
/// How long Debian's servers may take.
const DOWNLOAD: Duration = Duration::from_secs(600);

/// A booted container.
#[derive(Debug)]
pub(super) struct Container {
    /// systemd-nspawn, and what was made for it, until the container is shut down.
    running: Mutex<Option<(Child, WorkDir, Option<Cgroups>)>>,
    /// Its pid 1, as the host counts.
    pub(super) leader: u32,
}

impl Container {
    /// Boots it.
    ///
    /// # Errors
    /// It cannot be made or does not come up.
    pub(super) fn boot() -> Result<Self> {
        let root = root()?;
        let directory = WorkDir::new()?;
        let notify = UnixDatagram::bind(directory.join("notify"))?;
        notify.set_read_timeout(Some(PATIENCE))?;
        let log = std::fs::File::create(directory.join("console"))?;
        let programs = agent_program()?;
        let programs = programs.parent().context("the agent is in no directory")?;

        let managed = Path::new("/run/systemd/system").is_dir();
        let cgroups = if managed { None } else { Some(Cgroups::new()?) };
        let mut command = Command::new("sh");
        command.args(["-c", "for procs in $0; do echo $$ > $procs || exit; done; exec \"$@\""]);
        command.arg(cgroups.as_ref().map(Cgroups::procs).unwrap_or_default());
        // It ends with this test program, however that ends.
        command.args([
            "setpriv",
            "--pdeathsig",
            "TERM",
            "systemd-nspawn",
            "--quiet",
            "--boot",
            "--volatile=overlay",
        ]);
        command.args(["--register=no", "--notify-ready=yes", "--link-journal=no", "--directory"]).arg(&root);
        command.arg(format!("--bind-ro={}:{PROGRAMS}", programs.display()));
        if !managed {
            // No manager of the host gives it a unit.
            command.arg("--keep-unit");
        }
        command.env("NOTIFY_SOCKET", directory.join("notify"));
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let mut nspawn = spawn_by_a_lasting_thread(command)?;
        match leader(&notify) {
            Ok(leader) => Ok(Self { running: Mutex::new(Some((nspawn, directory, cgroups))), leader }),
            Err(error) => {
                put_down(&mut nspawn);
                let console = std::fs::read(directory.join("console")).unwrap_or_default();
                let console = String::from_utf8_lossy(&console);
                let last: Vec<_> = console.lines().rev().take(3).collect();
                Err(error.context(format!("systemd-nspawn said {last:?}")))
            }
        }
    }

    /// Shuts it down.
    pub(super) fn power_off(&self) {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some((mut nspawn, _directory, _cgroups)) = running else { return };
        // It tells its pid 1 to power off.
        if signal(&nspawn, Signal::TERM).is_err() || wait(&mut nspawn, PATIENCE).is_err() {
            put_down(&mut nspawn);
        }
    }
}

/// Cgroups of its own for a container, where no manager makes them. Otherwise all containers of the host would share those that
/// systemd-nspawn makes below its own, and the system of one would kill the units of another.
#[derive(Debug)]
struct Cgroups(Vec<PathBuf>);

impl Cgroups {
    /// Makes one in each hierarchy that systemd goes by.
    fn new() -> Result<Self> {
        let name = format!("forensics-tests-{}", unique());
        let hierarchies =
            ["/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/systemd"].map(Path::new);
        let hierarchies = hierarchies.into_iter().filter(|root| root.join("cgroup.procs").exists());
        let cgroups = Self(hierarchies.map(|root| root.join(&name)).collect());
        for path in &cgroups.0 {
            std::fs::create_dir(path).with_context(|| format!("cannot create {}", path.display()))?;
        }
        Ok(cgroups)
    }

    /// The files by which a process enters them.
    fn procs(&self) -> String {
        let files = self.0.iter().map(|path| path.join("cgroup.procs").display().to_string());
        files.collect::<Vec<_>>().join(" ")
    }
}

impl Drop for Cgroups {
    fn drop(&mut self) {
        // The last processes of the container may not be waited for yet.
        let deadline = Instant::now() + PATIENCE;
        for path in &self.0 {
            while remove(path).is_err() && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    }
}

/// Removes a cgroup and those below it.
fn remove(cgroup: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(cgroup)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove(&entry.path())?;
        }
    }
    std::fs::remove_dir(cgroup)
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
