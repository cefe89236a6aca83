//! auditd with a rule for kill(2), configured as Debian does but for the rotation of its log.

use std::fs;
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;

use super::running::end;
use crate::command;

/// The system calls that send signals, as a rule of auditctl(8).
const RULE: [&str; 8] =
    ["-a", "always,exit", "-F", "arch=b64", "-S", "kill,tkill,tgkill", "-k", "forensics-bench"];
/// What the kernel keeps for auditd: the rules that Debian installs.
const LIMITS: [&str; 6] = ["-b", "8192", "--backlog_wait_time", "60000", "-f", "1"];

/// Whether it may and can be run here.
///
/// Once the audit system was enabled, the kernel makes an audit context for every new process until the next boot, which slows
/// each of their system calls: not to be done to a machine that is still of use.
pub(super) fn is_possible() -> Result<()> {
    ensure!(
        std::env::var_os("FORENSICS_TESTS_EXPENDABLE_MACHINE").is_some(),
        "it slows system calls until the next boot, so it runs in virtual machines only (--vm)"
    );
    let sbin = [PathBuf::from("/usr/sbin")];
    ensure!(command::find("auditd", &sbin).is_some(), "it is not installed");
    Ok(())
}

/// The daemon with the rule, and a reader of its log. All of it ends with the value.
#[derive(Debug)]
pub(super) struct Auditd {
    daemon: Child,
    tail: Child,
    directory: PathBuf,
}

impl Auditd {
    /// Starts it. See [`is_possible`].
    pub(super) fn start() -> Result<(Self, ChildStdout)> {
        is_possible()?;
        let directory = std::env::temp_dir().join(format!("forensics-bench-audit-{}", std::process::id()));
        fs::create_dir_all(&directory).with_context(|| format!("cannot make {}", directory.display()))?;
        let log = directory.join("audit.log");
        // It does not write to one that others may read.
        let made = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&log);
        made.with_context(|| format!("cannot make {}", log.display()))?;
        let configuration = directory.join("auditd.conf");
        fs::write(&configuration, configured(&log.display().to_string()))?;
        let mut tail = Command::new("tail");
        tail.args(["--lines=+1", "--follow=name"]).arg(&log);
        let mut tail = start(&mut tail)?;
        let lines = tail.stdout.take().context("tail has no standard output")?;
        let daemon = start(Command::new("auditd").arg("-n").arg("-c").arg(&directory))?;
        let auditd = Self { daemon, tail, directory };
        for arguments in [&["-D"][..], &LIMITS, &["-e", "1"], &RULE] {
            command::output(Command::new("auditctl").args(arguments))?;
        }
        Ok((auditd, lines))
    }

    pub(super) fn pid(&self) -> u32 {
        self.daemon.id()
    }
}

fn start(command: &mut Command) -> Result<Child> {
    let line = command::line(command);
    let command = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    // A signal at the group of the benchmark is none at them.
    command.process_group(0).spawn().with_context(|| format!("cannot start `{line}`"))
}

fn configured(log: &str) -> String {
    let settings = [
        ("local_events", "yes"),
        ("log_file", log),
        ("log_group", "root"),
        ("log_format", "ENRICHED"),
        ("flush", "INCREMENTAL_ASYNC"),
        ("freq", "50"),
        ("priority_boost", "4"),
        // What is rotated away cannot be counted.
        ("max_log_file_action", "IGNORE"),
        ("space_left", "75"),
        ("space_left_action", "IGNORE"),
        ("admin_space_left", "50"),
        ("admin_space_left_action", "IGNORE"),
        ("disk_full_action", "IGNORE"),
        ("disk_error_action", "IGNORE"),
        ("name_format", "NONE"),
    ];
    settings.map(|(name, value)| format!("{name} = {value}\n")).concat()
}

impl Drop for Auditd {
    fn drop(&mut self) {
        for arguments in [["-D", ""], ["-e", "0"]] {
            let arguments = arguments.into_iter().filter(|word| !word.is_empty());
            let _ = Command::new("auditctl").args(arguments).stdout(Stdio::null()).status();
        }
        end(&mut self.daemon, Signal::TERM);
        end(&mut self.tail, Signal::TERM);
        let _ = fs::remove_dir_all(&self.directory);
    }
}
