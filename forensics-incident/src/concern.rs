//! What a request to a manager or a container runtime has to do with a process.

use crate::model::{Act, Concern, Process, Recipient, Request};

/// What `request` has to do with `target`, when `sender` is who signalled it; none when it cannot concern it. `names` are other
/// names of the target's unit or container.
pub fn concern(request: &Request, target: &Process, sender: &Process, names: &[String]) -> Option<Concern> {
    match request.recipient {
        Recipient::Systemd | Recipient::Logind => match addressee(request, target, sender)? {
            Addressee::Own(manager) => of_manager(request, target, manager, names),
            Addressee::Above(manager) => {
                of_manager(request, target, manager, names).filter(|concern| *concern != Concern::Elsewhere)
            }
        },
        Recipient::Docker | Recipient::Podman => of_engine(request, target, names),
    }
}

/// The manager that a sender is, or for which it acts when it is a command of the target's own unit, as one of `ExecStop=` is: a
/// process of that unit that descends from the manager and not from the target. A child of the service that was left to the
/// manager looks the same; what tells them apart is when they began.
pub(crate) fn manager_of<'a>(sender: &'a Process, target: &Process) -> Option<&'a Process> {
    if sender.is_service_manager() {
        return Some(sender);
    }
    let is_of_unit = sender.unit.is_some() && sender.unit == target.unit && sender.slice == target.slice;
    let manager = sender.ancestors.iter().find(|ancestor| ancestor.is_service_manager())?;
    (is_of_unit && !commands(sender).any(|process| process.is(target))).then_some(manager)
}

/// Who was asked, of those for whom a signal may have been sent.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Addressee<'a> {
    /// The manager that sent it, or had a command send it.
    Own(&'a Process),
    /// The manager that manages that one, as the system's those of users: what it ends, they end first.
    Above(&'a Process),
}

/// The manager that a request went to, when `sender` may have signalled `target` for it.
pub(crate) fn addressee<'a>(
    request: &Request,
    target: &Process,
    sender: &'a Process,
) -> Option<Addressee<'a>> {
    let manager = manager_of(sender, target)?;
    if is_of(request, manager) {
        return Some(Addressee::Own(manager));
    }
    let above = manager.ancestors.iter().find(|ancestor| ancestor.is_service_manager());
    above.filter(|above| is_of(request, above)).map(Addressee::Above)
}

/// A sender that acts for a manager, and what it descends from below that.
pub(crate) fn commands(sender: &Process) -> impl Iterator<Item = &Process> {
    std::iter::once(sender).chain(&sender.ancestors).take_while(|process| !process.is_service_manager())
}

/// True when the request went to this manager, as far as that is known.
fn is_of(request: &Request, manager: &Process) -> bool {
    match request.manager {
        Some(pid) => pid == manager.pid,
        None => request.of_user == user_of(manager),
    }
}

/// The user whose manager it is; none for the system's, that of a container included.
fn user_of(manager: &Process) -> Option<u32> {
    let is_system = manager.pid == 1 || manager.ns_pid == Some(1);
    if is_system { None } else { manager.uid }
}

fn of_manager(request: &Request, target: &Process, manager: &Process, names: &[String]) -> Option<Concern> {
    let act = request.act();
    let place = Place::of(target, manager);
    match (act, request.recipient, request.object.as_deref()) {
        (Act::Other | Act::Create | Act::Schedule, ..) => None,
        (Act::Isolate | Act::Shutdown, ..) | (_, Recipient::Systemd, None) => Some(Concern::Everything),
        (_, Recipient::Systemd, Some(object)) => {
            let is_it = place.unit == Some(object) || names.iter().any(|name| name == object);
            Some(if is_it && act != Act::Start {
                Concern::Target
            } else if (place.above.contains(&object) || place.is_bound_to(object)) && act != Act::Start {
                Concern::Above
            } else if is_it {
                // To start what runs does not end it.
                return None;
            } else {
                Concern::Elsewhere
            })
        }
        _ => of_login(request, &place),
    }
}

/// A request to logind about a session, a user or a seat.
fn of_login(request: &Request, place: &Place<'_>) -> Option<Concern> {
    /// A user who is none: the caller.
    const NOBODY: &str = "4294967295";
    let object = request.object.as_deref().unwrap_or_default();
    let by_session = request.verb.ends_with("Session");
    let is_meant = if request.verb.ends_with("Seat") {
        // Which sessions it has is not known.
        place.unit.is_some_and(|unit| unit.starts_with("session-"))
    } else if by_session {
        let own = || request.process.unit.as_deref().filter(|unit| unit.starts_with("session-"));
        match object {
            "" | "self" | "auto" => place.unit.is_some() && place.unit == own(),
            id => place.unit == Some(format!("session-{id}.scope").as_str()),
        }
    } else {
        let user = match object {
            NOBODY => request.process.uid?.to_string(),
            user => user.to_owned(),
        };
        place.above.contains(&format!("user-{user}.slice").as_str())
    };
    Some(match (is_meant, by_session) {
        (true, true) => Concern::Target,
        (true, false) => Concern::Above,
        (false, _) => Concern::Elsewhere,
    })
}

fn of_engine(request: &Request, target: &Process, names: &[String]) -> Option<Concern> {
    /// Digits of an id below which a match may be one of a name.
    const SHORTEST_ID: usize = 4;
    if matches!(request.act(), Act::Other) {
        return None;
    }
    let (id, object) = (target.container_id.as_deref()?, request.object.as_deref()?);
    let by_id = object.len() >= SHORTEST_ID && id.starts_with(object);
    let by_name = target.container_name.as_deref() == Some(object) || names.iter().any(|name| name == object);
    Some(if by_id || by_name { Concern::Target } else { Concern::Elsewhere })
}

/// Where a process stands, as its manager sees it.
struct Place<'a> {
    /// Its unit.
    unit: Option<&'a str>,
    /// The slices that the unit is in, and for a system's manager that manages a user's manager, what that is in.
    above: Vec<&'a str>,
}

impl<'a> Place<'a> {
    /// By the path of its cgroup below that of the manager, whose own is `init.scope` there.
    fn of(target: &'a Process, manager: &Process) -> Self {
        let path = target.cgroup.as_deref().unwrap_or_default();
        let base = manager.cgroup.as_deref().and_then(|cgroup| cgroup.strip_suffix("/init.scope"));
        let below = base.and_then(|base| path.strip_prefix(base)).filter(|rest| rest.starts_with('/'));
        // What is recorded of the manager may be seen from another root than what is read of the target.
        let below = below.unwrap_or_else(|| match user_of(manager) {
            Some(uid) => path.split_once(&format!("/user@{uid}.service")).map_or(path, |(_, rest)| rest),
            None => path,
        });
        let mut above = Vec::new();
        for part in below.split('/').filter(|part| !part.is_empty()) {
            let part = part.strip_prefix('_').unwrap_or(part);
            if part.ends_with(".slice") {
                above.push(part);
            } else {
                return Self { unit: Some(part), above };
            }
        }
        Self { unit: target.unit.as_deref(), above }
    }

    /// True when a user's manager, which the unit is, goes with that one: since version 255 logind stops only the runtime directory
    /// of a user (`user_stop_service()` in `src/login/logind-user.c`).
    fn is_bound_to(&self, object: &str) -> bool {
        let user = |unit: &'a str| unit.strip_prefix("user@");
        object.strip_prefix("user-runtime-dir@").is_some_and(|uid| self.unit.and_then(user) == Some(uid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{nginx, process, request, systemd, under};

    fn web() -> Process {
        Process {
            cgroup: Some("/system.slice/system-web.slice/nginx.service/workers".to_owned()),
            unit: Some("nginx.service".to_owned()),
            ..nginx()
        }
    }

    fn init() -> Process {
        Process { cgroup: Some("/init.scope".to_owned()), ..systemd() }
    }

    fn told(verb: &str, object: &str, mode: &str) -> Option<Concern> {
        concern(&request(99.0, process(77, "systemctl x"), verb, object, mode), &web(), &init(), &[])
    }

    #[test]
    fn requests_about_units() {
        for (verb, object, mode, expected) in [
            ("StopUnit", "nginx.service", "replace", Some(Concern::Target)),
            ("RestartUnit", "system-web.slice", "replace", Some(Concern::Above)),
            ("StopUnit", "cron.service", "replace", Some(Concern::Elsewhere)),
            ("StopUnit", "nginx", "replace", Some(Concern::Elsewhere)),
            ("StartUnit", "rescue.target", "isolate", Some(Concern::Everything)),
            ("StartUnit", "nginx.service", "replace", None),
            ("StartUnit", "other.service", "replace", Some(Concern::Elsewhere)),
            ("PowerOff", "", "", Some(Concern::Everything)),
            ("Reexecute", "", "", None),
            ("StartTransientUnit", "nginx.service", "fail", None),
        ] {
            assert_eq!(told(verb, object, mode), expected, "{verb} {object}");
        }
        let stop = request(99.0, process(77, "systemctl x"), "StopUnit", "www.service", "replace");
        let names = ["www.service".to_owned()];
        assert_eq!(concern(&stop, &web(), &init(), &names), Some(Concern::Target), "an alias");
    }

    #[test]
    fn each_manager_has_its_own() {
        let manager = "/user.slice/user-1000.slice/user@1000.service";
        let user = Process {
            exe: Some("/usr/lib/systemd/systemd".to_owned()),
            cgroup: Some(format!("{manager}/init.scope")),
            ..process(900, "/lib/systemd/systemd --user")
        };
        let target = Process {
            cgroup: Some(format!("{manager}/app.slice/gw.service")),
            unit: Some("gw.service".to_owned()),
            ..process(950, "gw")
        };
        let asked = |object: &str| request(99.0, process(77, "systemctl x"), "StopUnit", object, "replace");
        let own = |object| Request { of_user: Some(1000), ..asked(object) };
        assert_eq!(concern(&own("gw.service"), &target, &user, &[]), Some(Concern::Target));
        assert_eq!(concern(&asked("gw.service"), &target, &user, &[]), None, "the system's manager");
        assert_eq!(concern(&own("gw.service"), &target, &init(), &[]), None);
        assert_eq!(concern(&asked("gw.service"), &target, &init(), &[]), Some(Concern::Elsewhere));
        assert_eq!(concern(&asked("user@1000.service"), &target, &init(), &[]), Some(Concern::Target));
        assert_eq!(concern(&asked("user-1000.slice"), &target, &init(), &[]), Some(Concern::Above));
        let by_pid = Request { manager: Some(900), ..own("gw.service") };
        assert_eq!(concern(&by_pid, &target, &user, &[]), Some(Concern::Target));
        let other = Request { manager: Some(901), ..own("gw.service") };
        assert_eq!(concern(&other, &target, &user, &[]), None, "a manager in a container");
        // What PID 1 was asked for, the user's manager does first.
        let managed = under(user.clone(), &[init()]);
        for (object, expected) in [
            ("user@1000.service", Some(Concern::Target)),
            ("user.slice", Some(Concern::Above)),
            ("user-runtime-dir@1000.service", Some(Concern::Above)),
            ("user-runtime-dir@100.service", None),
            ("cron.service", None),
            ("gw.service", None),
        ] {
            assert_eq!(concern(&asked(object), &target, &managed, &[]), expected, "{object}");
        }
        // Where the manager's own place is seen from another root.
        let elsewhere = Process { cgroup: Some("/x/payload/init.scope".to_owned()), ..user };
        assert_eq!(concern(&own("gw.service"), &target, &elsewhere, &[]), Some(Concern::Target));
    }

    #[test]
    fn requests_to_logind() {
        let target = Process {
            cgroup: Some("/user.slice/user-1000.slice/session-3.scope".to_owned()),
            ..process(950, "vim")
        };
        let login = |verb: &str, object: &str| Request {
            recipient: Recipient::Logind,
            ..request(99.0, process(77, "loginctl x"), verb, object, "")
        };
        let told = |verb, object| concern(&login(verb, object), &target, &init(), &[]);
        assert_eq!(told("TerminateSession", "3"), Some(Concern::Target));
        assert_eq!(told("TerminateSession", "4"), Some(Concern::Elsewhere));
        assert_eq!(told("TerminateUser", "1000"), Some(Concern::Above));
        assert_eq!(told("TerminateUser", "3"), Some(Concern::Elsewhere));
        assert_eq!(told("Reboot", ""), Some(Concern::Everything));
        assert_eq!(told("TerminateSeat", "seat0"), Some(Concern::Above));
        let own = |unit: &str, verb, object| {
            let process =
                Process { unit: Some(unit.to_owned()), uid: Some(1000), ..process(77, "loginctl x") };
            concern(&Request { process, ..login(verb, object) }, &target, &init(), &[])
        };
        for object in ["", "self", "auto"] {
            assert_eq!(own("session-3.scope", "TerminateSession", object), Some(Concern::Target));
            assert_eq!(own("session-4.scope", "TerminateSession", object), Some(Concern::Elsewhere));
            assert_eq!(own("cron.service", "TerminateSession", object), Some(Concern::Elsewhere));
        }
        assert_eq!(own("cron.service", "TerminateUser", "4294967295"), Some(Concern::Above));
    }

    #[test]
    fn requests_to_engines() {
        let id = "0123456789abcdef".repeat(4);
        let target = Process { container_id: Some(id.clone()), ..nginx() };
        let runc = process(960, "/usr/bin/runc kill x 15");
        let docker = |object: &str| Request {
            recipient: Recipient::Docker,
            ..request(99.0, process(77, "docker stop x"), "stop", object, "")
        };
        let names = ["web".to_owned()];
        for (object, expected) in [
            ("web", Some(Concern::Target)),
            (&id[..12], Some(Concern::Target)),
            ("db", Some(Concern::Elsewhere)),
            ("012", Some(Concern::Elsewhere)),
        ] {
            assert_eq!(concern(&docker(object), &target, &runc, &names), expected, "{object}");
        }
        assert_eq!(concern(&docker("web"), &nginx(), &runc, &names), None, "in no container");
        let named = Process { container_name: Some("cache".to_owned()), ..target };
        assert_eq!(concern(&docker("cache"), &named, &runc, &[]), Some(Concern::Target));
    }
}
