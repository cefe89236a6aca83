//! Programs that act for others, by name: who runs them is more to blame than they are.

use crate::model::Process;

/// Why a sender is not to blame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// systemd, as pid 1 or for a user.
    Manager,
    /// A container runtime or one of its helpers.
    Runtime,
    /// Keeps services running, and stops them when told to.
    Supervisor,
    /// Passes signals on to its child.
    Relay,
}

impl Role {
    /// What to call it in a sentence.
    pub(super) fn noun(self) -> &'static str {
        match self {
            Self::Manager => "the service manager",
            Self::Runtime => "a container runtime",
            Self::Supervisor => "a supervisor",
            Self::Relay => "a relay",
        }
    }
}

const RUNTIMES: [&str; 12] = [
    "dockerd",
    "containerd",
    "docker-containerd-shim",
    "runc",
    "docker-runc",
    "crun",
    "youki",
    "conmon",
    "crio",
    "kubelet",
    "k3s",
    "lxc-monitord",
];
const SUPERVISORS: [&str; 13] = [
    "supervisord",
    "s6-supervise",
    "s6-svscan",
    "runsv",
    "runsvdir",
    "monit",
    "circusd",
    "procd",
    "init",
    "nodemon",
    "foreman",
    "overmind",
    "honcho",
];
const RELAYS: [&str; 7] = ["tini", "dumb-init", "docker-init", "catatonit", "sudo", "su", "doas"];
const WRAPPERS: [&str; 17] = [
    "sudo", "doas", "su", "env", "xargs", "nohup", "nice", "ionice", "chrt", "taskset", "setsid", "stdbuf",
    "time", "timeout", "parallel", "find", "runuser",
];
const SHELLS: [&str; 7] = ["sh", "bash", "dash", "ash", "zsh", "ksh", "fish"];

/// The role of a sender of a signal at `target`; none when it acts of its own will.
pub(super) fn role(sender: &Process, target: &Process) -> Option<Role> {
    let program = sender.program();
    if sender.is_service_manager() {
        return Some(Role::Manager);
    }
    // The shims carry their version: containerd-shim-runc-v2.
    if RUNTIMES.contains(&program) || program.starts_with("containerd-shim") {
        return Some(Role::Runtime);
    }
    // Both signal what they started, and nobody else. A program may call itself what it likes.
    let started_it =
        target.ppid == Some(sender.pid) || target.ancestors.iter().any(|ancestor| ancestor.is(sender));
    if !started_it {
        return None;
    }
    if is_supervisor(sender) {
        return Some(Role::Supervisor);
    }
    (RELAYS.contains(&program) || is_timeout(sender)).then_some(Role::Relay)
}

/// True for systemd-logind, which has its manager do what it is asked for.
pub(super) fn is_login_manager(process: &Process) -> bool {
    process.program() == "systemd-logind" && process.uid.is_none_or(|uid| uid == 0)
}

/// True for a supervisor, as a program of its own or as what an interpreter runs.
fn is_supervisor(process: &Process) -> bool {
    let base = |path: &String| path.rsplit('/').next().is_some_and(|name| SUPERVISORS.contains(&name));
    let interpreted =
        ["python", "node", "ruby", "perl"].iter().any(|name| process.program().starts_with(name));
    // pm2 writes a title over its arguments.
    let titled = process.args().first().is_some_and(|title| title.starts_with("PM2 v"));
    SUPERVISORS.contains(&process.program())
        || titled
        || (interpreted && process.args().get(1).is_some_and(base))
}

/// True for a program that only runs another one as it was told.
pub(super) fn is_wrapper(process: &Process) -> bool {
    let shell_with_command = SHELLS.contains(&process.program())
        && process.args().get(1).is_some_and(|arg| arg.starts_with('-') && arg.ends_with('c'));
    shell_with_command || WRAPPERS.contains(&process.program())
}

/// True for `timeout(1)`, that of busybox and other many-in-one programs included.
pub(super) fn is_timeout(process: &Process) -> bool {
    let base = |arg: &String| arg.rsplit('/').next() == Some("timeout");
    match process.program() {
        "timeout" => true,
        "busybox" | "toybox" | "coreutils" => process.args().iter().take(2).any(base),
        _ => false,
    }
}

/// True for a kernel thread: a child of kthreadd, or the idle task.
pub(super) fn is_kernel_thread(process: &Process) -> bool {
    matches!(process.pid, 0 | 2)
        || process.ppid == Some(2)
        || process.parent().is_some_and(|parent| parent.pid == 2)
        || (process.name.starts_with("kworker/") && process.args().is_empty())
}
