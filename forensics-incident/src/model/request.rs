use serde::{Deserialize, Serialize};

use super::Process;

/// What somebody asked a manager or a container runtime for: the message as it was sent, or what a command that was
/// executed must have sent. Of the message only verb, object and mode are kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// Unix time, seconds.
    pub ts: f64,
    /// `CLOCK_BOOTTIME`, nanoseconds.
    pub boot_ns: u64,
    /// Who asked.
    pub process: Process,
    /// Who was asked.
    pub recipient: Recipient,
    /// The user whose manager or runtime was asked; absent for that of the system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of_user: Option<u32>,
    /// The socket that it was sent to; absent when it was not seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<String>,
    /// Pid of the manager that listens there, in the initial pid namespace; absent when a message bus does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manager: Option<u32>,
    /// The method, as `RestartUnit`, or what a container is to do, as `stop`.
    pub verb: String,
    /// Whom it is about: a unit, session, user or container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// How: the mode of a job (`replace`), whom of a unit a signal is for, a time to stop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// The signal that is to be sent, where that is what was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal_num: Option<u32>,
    /// When it is to be done, Unix time, seconds; absent when at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<f64>,
    /// True when the message itself was seen, false when it is inferred from a command that was executed.
    pub seen: bool,
    /// True when it was recorded just after it was sent, so that what came of it may have been recorded before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub late: bool,
    /// What it has to do with the target.
    pub concerns: Concern,
}

/// Who can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Recipient {
    /// systemd, as PID 1 or as a user's manager.
    Systemd,
    /// systemd-logind, which passes on to systemd what it decides.
    Logind,
    /// dockerd.
    Docker,
    /// podman.
    Podman,
}

impl Recipient {
    /// What to call it in a sentence.
    pub fn name(self) -> &'static str {
        match self {
            Self::Systemd => "systemd",
            Self::Logind => "systemd-logind",
            Self::Docker => "Docker",
            Self::Podman => "Podman",
        }
    }
}

/// What a request has to do with the target of an incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Concern {
    /// It names the target's own unit, session or container.
    Target,
    /// It names what holds the target's unit: its slice, its user's manager, its user, its seat.
    Above,
    /// It is about everything that the manager runs: an isolation, a shutdown.
    Everything,
    /// It is about another unit of the same manager, whose job may have pulled the target along.
    Elsewhere,
    /// It made the unit in which one who asked runs, or had one ask at this time.
    Origin,
}

/// The kinds of request, by what they can do to a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// Ends it: a stop job, the stop of a container.
    Stop,
    /// Ends it and starts another one.
    Restart,
    /// Asks it to read its configuration again.
    Reload,
    /// Sends it a signal.
    Signal,
    /// Suspends it, or lets it run again.
    Freeze,
    /// Starts a unit and stops all others.
    Isolate,
    /// Ends everything that the manager runs.
    Shutdown,
    /// The same at a later time, unless that is cancelled.
    Schedule,
    /// Ends a login session, or all of a user or seat.
    EndSession,
    /// Starts a unit, which may conflict with others.
    Start,
    /// Makes a transient unit and starts it.
    Create,
    /// None of these.
    Other,
}

/// Targets that end everything else when they are started (systemd.special(7)).
const ENDS: [&str; 8] = [
    "poweroff.target",
    "reboot.target",
    "halt.target",
    "kexec.target",
    "soft-reboot.target",
    "exit.target",
    "shutdown.target",
    "ctrl-alt-del.target",
];

impl Request {
    /// Verb, object and mode: `RestartUnit cron.service replace`.
    pub fn sentence(&self) -> String {
        let signal = self.signal_num.map(crate::signals::name);
        let parts = [Some(&self.verb), self.object.as_ref(), self.mode.as_ref(), signal.as_ref()];
        parts.into_iter().flatten().map(String::as_str).collect::<Vec<_>>().join(" ")
    }

    /// True when nobody is asked whether it may be done: the request is root's, the manager is the asker's own, or whoever reaches
    /// the socket may do everything, as with container engines. systemd and logind let polkit judge all others.
    pub fn cannot_be_refused(&self) -> bool {
        let by = self.process.euid.or(self.process.uid);
        match self.recipient {
            Recipient::Systemd | Recipient::Logind => by == Some(0) || (by.is_some() && self.of_user == by),
            Recipient::Docker | Recipient::Podman => true,
        }
    }

    /// What it can do to a process.
    pub fn act(&self) -> Act {
        match self.recipient {
            Recipient::Systemd => self.act_of_manager(),
            Recipient::Logind => act_of_logind(&self.verb),
            Recipient::Docker | Recipient::Podman => act_of_runtime(&self.verb),
        }
    }

    /// Methods of `org.freedesktop.systemd1.Manager` and `.Unit` (org.freedesktop.systemd1(5)).
    fn act_of_manager(&self) -> Act {
        let verb = self.verb.strip_suffix("Unit").unwrap_or(&self.verb);
        match verb {
            "Start" | "StartUnitWithFlags" | "StartUnitReplace" => self.act_of_start(),
            // The last word of an enqueued job is its mode, the first its type.
            "Enqueue" | "EnqueueUnitJob" | "EnqueueJob" => match self.job_type() {
                Some("stop") => Act::Stop,
                Some("restart" | "try-restart" | "reload-or-restart" | "reload-or-try-restart") => {
                    Act::Restart
                }
                Some("reload") => Act::Reload,
                Some("start") => self.act_of_start(),
                _ => Act::Other,
            },
            "Stop" => Act::Stop,
            "Restart" | "TryRestart" | "ReloadOrRestart" | "ReloadOrTryRestart" | "EnqueueMarkedJobs" => {
                Act::Restart
            }
            "Reload" if self.object.is_some() => Act::Reload,
            "Kill" | "QueueSignal" | "KillUnitSubgroup" | "KillSubgroup" => Act::Signal,
            "Freeze" | "Thaw" => Act::Freeze,
            "StartTransient" | "StartAuxiliaryScope" => Act::Create,
            "PowerOff" | "Reboot" | "SoftReboot" | "Halt" | "KExec" | "Exit" | "SwitchRoot" => Act::Shutdown,
            _ => Act::Other,
        }
    }

    fn act_of_start(&self) -> Act {
        let object = self.object.as_deref().unwrap_or_default();
        if ENDS.contains(&object) {
            Act::Shutdown
        } else if self.mode.as_deref().is_some_and(|mode| mode.split(' ').any(|word| word == "isolate")) {
            Act::Isolate
        } else {
            Act::Start
        }
    }

    fn job_type(&self) -> Option<&str> {
        self.mode.as_deref()?.split(' ').next()
    }
}

/// Methods of `org.freedesktop.login1` (org.freedesktop.login1(5)).
fn act_of_logind(verb: &str) -> Act {
    match verb {
        "TerminateSession" | "TerminateUser" | "TerminateSeat" => Act::EndSession,
        "KillSession" | "KillUser" => Act::Signal,
        "ScheduleShutdown" => Act::Schedule,
        "PowerOff" | "PowerOffWithFlags" | "Reboot" | "RebootWithFlags" | "Halt" | "HaltWithFlags" => {
            Act::Shutdown
        }
        _ => Act::Other,
    }
}

/// What the engines' HTTP interfaces call it.
fn act_of_runtime(verb: &str) -> Act {
    match verb {
        "stop" | "remove" => Act::Stop,
        "restart" => Act::Restart,
        "kill" => Act::Signal,
        "pause" | "unpause" => Act::Freeze,
        _ => Act::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(recipient: Recipient, verb: &str, object: &str, mode: &str) -> Request {
        Request { recipient, ..crate::sample::request(1.0, Process::default(), verb, object, mode) }
    }

    #[test]
    fn what_each_verb_can_do() {
        for (verb, object, mode, act) in [
            ("StopUnit", "a.service", "replace", Act::Stop),
            ("Stop", "a.service", "replace", Act::Stop),
            ("RestartUnit", "a.service", "replace", Act::Restart),
            ("TryRestartUnit", "a.service", "replace", Act::Restart),
            ("ReloadOrTryRestartUnit", "a.service", "replace", Act::Restart),
            ("EnqueueUnitJob", "a.service", "restart replace", Act::Restart),
            ("EnqueueJob", "a.service", "stop replace", Act::Stop),
            ("EnqueueUnitJob", "a.service", "verify-active replace", Act::Other),
            ("EnqueueMarkedJobs", "", "", Act::Restart),
            ("ReloadUnit", "a.service", "replace", Act::Reload),
            ("Reload", "a.service", "replace", Act::Reload),
            ("Reload", "", "", Act::Other),
            ("Reexecute", "", "", Act::Other),
            ("KillUnit", "a.service", "main", Act::Signal),
            ("QueueSignalUnit", "a.service", "all", Act::Signal),
            ("FreezeUnit", "a.service", "", Act::Freeze),
            ("StartUnit", "a.service", "replace", Act::Start),
            ("StartUnit", "rescue.target", "isolate", Act::Isolate),
            ("StartUnit", "reboot.target", "replace-irreversibly", Act::Shutdown),
            ("StartTransientUnit", "run-1.timer", "fail", Act::Create),
            ("PowerOff", "", "", Act::Shutdown),
        ] {
            assert_eq!(request(Recipient::Systemd, verb, object, mode).act(), act, "{verb} {object} {mode}");
        }
        let act = |recipient, verb| request(recipient, verb, "x", "").act();
        assert_eq!(act(Recipient::Logind, "TerminateSession"), Act::EndSession);
        assert_eq!(act(Recipient::Logind, "RebootWithFlags"), Act::Shutdown);
        assert_eq!(act(Recipient::Logind, "Suspend"), Act::Other);
        assert_eq!(act(Recipient::Logind, "ScheduleShutdown"), Act::Schedule, "not yet, and perhaps never");
        assert_eq!(act(Recipient::Docker, "kill"), Act::Signal);
        assert_eq!(act(Recipient::Podman, "stop"), Act::Stop);
    }

    #[test]
    fn sentences() {
        assert_eq!(
            request(Recipient::Systemd, "RestartUnit", "cron.service", "replace").sentence(),
            "RestartUnit cron.service replace"
        );
        let kill = Request {
            signal_num: Some(9),
            ..request(Recipient::Systemd, "KillUnit", "cron.service", "main")
        };
        assert_eq!(kill.sentence(), "KillUnit cron.service main SIGKILL");
        assert_eq!(request(Recipient::Systemd, "Reexecute", "", "").sentence(), "Reexecute");
    }
}
