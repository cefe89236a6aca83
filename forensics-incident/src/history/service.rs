//! What counts as one service.

use crate::model::Process;

/// A unit, and what ends of it. Its key is `system/UNIT` or `user@UID/UNIT`, with `#NAME` behind it for a process of that name.
/// Stores of agents that did not tell managers apart have the unit alone, which is the key of nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Service<'a> {
    pub(super) user: Option<u32>,
    pub(super) unit: &'a str,
    /// None where it is the unit itself that ends, with the process that its manager started.
    pub(super) process: Option<&'a str>,
}

impl<'a> Service<'a> {
    /// That of a process; none where it is in no unit.
    pub(super) fn of(process: &'a Process) -> Option<Self> {
        let unit = process.unit.as_deref()?;
        let worker = (!is_of_manager(process, unit)).then_some(process.name.as_str());
        Some(Self { user: process.unit_user(), unit, process: worker })
    }

    /// See [`Service`].
    pub(super) fn key(self) -> String {
        let manager = self.user.map_or_else(|| "system".to_owned(), |user| format!("user@{user}"));
        let process = self.process.map_or_else(String::new, |process| format!("#{process}"));
        format!("{manager}/{}{process}", self.unit)
    }

    /// The service of a key; none when it is the key of something else.
    pub(super) fn read(key: &'a str) -> Option<Self> {
        let (manager, rest) = key.split_once('/')?;
        let user = match manager {
            "system" => None,
            _ => Some(manager.strip_prefix("user@")?.parse().ok()?),
        };
        let (unit, process) =
            rest.split_once('#').map_or((rest, None), |(unit, process)| (unit, Some(process)));
        // Of the characters of units there are none that separate the words of a command line.
        let is_unit = unit.contains('.') && !unit.contains(|c: char| c == '/' || c.is_whitespace());
        is_unit.then_some(Self { user, unit, process })
    }
}

/// True for a process that the manager of the unit started, or that has no other parent any more, as a daemon. Who is in a scope
/// or a container was started by somebody else, and a manager in a container is that of other units.
fn is_of_manager(process: &Process, unit: &str) -> bool {
    let is_parent = |ancestor: &&Process| process.ppid == Some(ancestor.pid);
    let maker = process.parent().into_iter();
    let started = maker.chain(process.ancestors.iter().filter(is_parent)).any(Process::is_service_manager);
    let is_elsewhere = process.container_id.is_some() || unit.ends_with(".scope");
    (started || process.ppid == Some(1)) && !is_elsewhere
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{History, shown};
    use crate::sample::{process, systemd, under};

    fn unit_process(name: &str, cgroup: &str, parent: &Process) -> Process {
        let target = Process {
            unit: Some("gw.service".to_owned()),
            cgroup: Some(cgroup.to_owned()),
            ..process(4711, name)
        };
        under(target, std::slice::from_ref(parent))
    }

    #[test]
    fn units_of_several_managers_and_their_workers() {
        let of_user = |uid: u32| format!("/user.slice/user-{uid}.slice/user@{uid}.service");
        let manager = |uid| Process {
            exe: Some("/usr/lib/systemd/systemd".to_owned()),
            cgroup: Some(format!("{}/init.scope", of_user(uid))),
            ..process(900, "systemd")
        };
        let below = |uid| format!("{}/app.slice/gw.service", of_user(uid));
        let main = unit_process("gw", "/system.slice/gw.service", &systemd());
        let worker = unit_process("fpm", "/system.slice/gw.service", &main);
        let daemon = Process { ppid: Some(1), ..worker.clone() };
        let contained = Process { container_id: Some("web".to_owned()), ..main.clone() };
        let session = Process { unit: Some("session-3.scope".to_owned()), ..daemon.clone() };
        for (target, key, name, shown_as) in [
            (&main, "system/gw.service", "gw.service", "`gw.service`"),
            (&daemon, "system/gw.service", "gw.service", "`gw.service`"),
            (&worker, "system/gw.service#fpm", "fpm of gw.service", "a process of `gw.service`"),
            (
                &unit_process("gw", &below(1000), &manager(1000)),
                "user@1000/gw.service",
                "gw.service of user 1000",
                "`gw.service`",
            ),
            (
                &unit_process("fpm", &below(1001), &unit_process("gw", &below(1001), &manager(1001))),
                "user@1001/gw.service#fpm",
                "fpm of gw.service of user 1001",
                "a process of `gw.service`",
            ),
            (&contained, "system/gw.service#gw", "gw of gw.service", "a process of `gw.service`"),
            (
                &session,
                "system/session-3.scope#fpm",
                "fpm of session-3.scope",
                "a process of `session-3.scope`",
            ),
            (
                &process(7, "a/b system/x.service"),
                "a/b system/x.service",
                "a/b system/x.service",
                "`a/b system/x.service`",
            ),
        ] {
            let who = History::who(target);
            assert_eq!(
                (who.as_str(), History::name(&who).as_str(), shown(&who).as_str()),
                (key, name, shown_as)
            );
        }
    }
}
