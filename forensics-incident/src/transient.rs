//! Transient units: who made the one in which a process runs.

use crate::model::{Act, Process, Request};

/// True for a request that made a unit which a manager runs by itself, as `systemd-run` makes timers and services. A scope only
/// takes in what somebody else started, as logind's does of a login session; and what polkit may have refused made nothing, as
/// far as is known.
pub fn is_made(request: &Request) -> bool {
    let is_scope = request.verb == "StartAuxiliaryScope"
        || request.object.as_deref().is_some_and(|object| object.ends_with(".scope"));
    request.act() == Act::Create && !is_scope && request.cannot_be_refused()
}

/// True for such a request when the process runs in that unit, or in the service of that name, which a timer starts.
pub fn is_maker(request: &Request, process: &Process) -> bool {
    let of_unit = || Some(stem(process.unit.as_deref()?)? == stem(request.object.as_deref()?)?);
    is_made(request) && of_unit() == Some(true) && request.of_user == process.unit_user()
}

/// The name of a unit without its type.
fn stem(unit: &str) -> Option<&str> {
    unit.rsplit_once('.').map(|(stem, _)| stem)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{process, request};

    const USERS: &str = "/user.slice/user-1000.slice/user@1000.service/app.slice";

    fn made(verb: &str, object: &str) -> Request {
        let root = Process { uid: Some(0), ..process(50, "systemd-run x") };
        request(90.0, root, verb, object, "fail")
    }

    fn in_unit(unit: &str, slice: &str) -> Process {
        let cgroup = Some(format!("{slice}/{unit}"));
        Process { unit: Some(unit.to_owned()), cgroup, ..process(77, "systemctl stop nginx") }
    }

    #[test]
    fn units_that_managers_run() {
        let service = in_unit("run-u7.service", "/system.slice");
        assert!(is_maker(&made("StartTransientUnit", "run-u7.timer"), &service));
        assert!(is_maker(&made("StartTransientUnit", "run-u7.service"), &service));
        assert!(!is_maker(&made("StartTransientUnit", "run-u8.timer"), &service));
        assert!(!is_maker(&made("StartUnit", "run-u7.timer"), &service));
        let session = in_unit("session-5.scope", "/user.slice/user-1000.slice");
        assert!(!is_maker(&made("StartTransientUnit", "session-5.scope"), &session), "its logins made that");
        let moved = in_unit("app-x.scope", USERS);
        let auxiliary = Request { of_user: Some(1000), ..made("StartAuxiliaryScope", "app-x.scope") };
        assert!(!is_maker(&auxiliary, &moved));
    }

    #[test]
    fn each_manager_has_its_own() {
        let of_mallory = |of_user| Request {
            of_user,
            process: process(50, "systemd-run --unit=backup --on-active=1h true"),
            ..made("StartTransientUnit", "backup.timer")
        };
        let of_system = in_unit("backup.service", "/system.slice");
        let of_user = in_unit("backup.service", USERS);
        assert!(!is_maker(&of_mallory(Some(1000)), &of_system));
        assert!(!is_maker(&of_mallory(None), &of_system), "polkit may have refused it");
        assert!(is_maker(&of_mallory(Some(1000)), &of_user));
        assert!(!is_maker(&made("StartTransientUnit", "backup.timer"), &of_user));
    }
}
