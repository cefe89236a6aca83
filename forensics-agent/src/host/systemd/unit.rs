//! Which unit of which manager a cgroup belongs to, by the rules of systemd's `src/basic/cgroup-util.c`
//! (`cg_path_get_unit`, `cg_path_get_user_unit`, `cg_path_get_slice`).

use crate::host::cgroup;

/// The manager that a unit belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// The manager of the host, PID 1.
    System,
    /// The manager of one user.
    User {
        /// The user's id.
        uid: u32,
    },
}

impl Scope {
    /// `system` or `user`, as records have it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User { .. } => "user",
        }
    }
}

/// A unit and its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitPath {
    /// Unit name, as `gateway.service`.
    pub unit: String,
    /// The innermost slice that holds it, `-.slice` for none.
    pub slice: String,
    /// The manager that runs it.
    pub scope: Scope,
    /// The system unit in which the user manager runs, as `user@1000.service`.
    pub user_manager_unit: Option<String>,
}

impl UnitPath {
    /// The unit of a given name, outside of any cgroup. The suffix `.service` is added when there is none.
    pub fn named(unit: &str, scope: Scope) -> Option<Self> {
        let unit = if unit_type(unit).is_some() { unit.to_owned() } else { format!("{unit}.service") };
        let user_manager_unit = match scope {
            Scope::System => None,
            Scope::User { uid } => Some(format!("user@{uid}.service")),
        };
        is_unit_name(&unit).then(|| Self { unit, slice: ROOT_SLICE.to_owned(), scope, user_manager_unit })
    }

    /// True for the name of a template, which never runs: `a@.service`.
    pub fn is_template(name: &str) -> bool {
        let prefix = match unit_type(name) {
            Some(kind) => name.strip_suffix(kind).and_then(|rest| rest.strip_suffix('.')),
            None => Some(name),
        };
        prefix.is_some_and(|prefix| prefix.ends_with('@'))
    }

    /// True for a service: only those are stopped with a timeout of their own. A login session or an
    /// application's scope is none.
    pub fn is_service(&self) -> bool {
        unit_type(&self.unit) == Some("service")
    }
}

/// The slice at the root of each manager.
const ROOT_SLICE: &str = "-.slice";

/// Types of units (systemd.unit(5)).
const TYPES: [&str; 11] = [
    "service",
    "socket",
    "target",
    "device",
    "mount",
    "automount",
    "swap",
    "timer",
    "path",
    "slice",
    "scope",
];

/// Longest unit name, bytes (`UNIT_NAME_MAX`).
const MAX_NAME: usize = 255;

/// The unit that owns a process, from the text of its `/proc/PID/cgroup`. None when no unit does.
pub fn unit_of_cgroup(cgroup: &str) -> Option<UnitPath> {
    unit_of_path(cgroup::systemd_path(cgroup)?)
}

/// The unit that owns a cgroup path. What lies below the unit is its own affair (Delegate=), except in a user
/// manager, whose units are found by the same rules again.
pub fn unit_of_path(path: &str) -> Option<UnitPath> {
    let outer = first_unit(path)?;
    if let (Some(uid), Some(inner)) = (user_of_manager(&outer.unit), first_unit(outer.below)) {
        return Some(UnitPath {
            unit: inner.unit,
            slice: inner.slice,
            scope: Scope::User { uid },
            user_manager_unit: Some(outer.unit),
        });
    }
    Some(UnitPath { unit: outer.unit, slice: outer.slice, scope: Scope::System, user_manager_unit: None })
}

/// The cgroup of the unit that owns a cgroup path: the path as far as it is the manager's.
pub fn cgroup_of_unit(path: &str) -> Option<&str> {
    let outer = first_unit(path)?;
    let inner = user_of_manager(&outer.unit).and_then(|_| first_unit(outer.below));
    path.strip_suffix(inner.unwrap_or(outer).below)
}

/// All units that own a cgroup path, outermost first: the slices, the unit in them, and in the unit of a user manager those of
/// that manager. `-.slice`, which owns everything, is left out.
pub fn owners_of_path(path: &str) -> Vec<(String, Scope)> {
    let mut owners = Vec::new();
    let mut rest = path;
    let mut scope = Scope::System;
    while let Some((name, below)) = next_unit(rest) {
        owners.push((name.to_owned(), scope));
        rest = below;
        if unit_type(name) == Some("slice") {
            continue;
        }
        // Below any other unit is its own affair.
        match (scope, user_of_manager(name)) {
            (Scope::System, Some(uid)) => scope = Scope::User { uid },
            _ => break,
        }
    }
    owners
}

/// True for a cgroup path below which a manager may keep units: the root, slices, and units of user managers.
pub fn may_hold_units(path: &str) -> bool {
    let owners = owners_of_path(path);
    match owners.last() {
        None => path == "/",
        Some((name, scope)) => {
            let depth = path.split('/').filter(|part| !part.is_empty()).count();
            let is_manager = *scope == Scope::System && user_of_manager(name).is_some();
            // What is not a unit all the way is inside of one.
            owners.len() == depth && (is_manager || unit_type(name) == Some("slice"))
        }
    }
}

struct Found<'a> {
    unit: String,
    slice: String,
    below: &'a str,
}

/// The user whose manager runs in a unit, `user@UID.service`.
fn user_of_manager(unit: &str) -> Option<u32> {
    let digits = unit.strip_prefix("user@")?.strip_suffix(".service")?;
    // What systemd takes for a uid: digits without a leading zero.
    let is_uid = digits.bytes().all(|b| b.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'));
    if is_uid { digits.parse().ok() } else { None }
}

/// The unit that a path begins with, and what is below it.
fn next_unit(path: &str) -> Option<(&str, &str)> {
    let rest = path.trim_start_matches('/');
    let (part, below) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    // systemd puts `_` before a name that the kernel might claim for a file of its own (`cg_escape`).
    let name = part.strip_prefix('_').unwrap_or(part);
    is_unit_name(name).then_some((name, below))
}

/// Skips the slices, and takes what comes next when it is a unit.
fn first_unit(path: &str) -> Option<Found<'_>> {
    let mut slice = ROOT_SLICE.to_owned();
    let mut rest = path;
    loop {
        let (name, below) = next_unit(rest)?;
        if unit_type(name) != Some("slice") {
            return Some(Found { unit: name.to_owned(), slice, below });
        }
        slice = name.to_owned();
        rest = below;
    }
}

/// The type of a unit, by its suffix.
fn unit_type(name: &str) -> Option<&'static str> {
    let (prefix, suffix) = name.rsplit_once('.')?;
    TYPES.into_iter().find(|kind| *kind == suffix && !prefix.is_empty())
}

/// `unit_name_is_valid` for plain units and instances; a template (`a@.service`) never runs.
fn is_unit_name(name: &str) -> bool {
    let Some(prefix) = unit_type(name).and_then(|kind| name.strip_suffix(kind)?.strip_suffix('.')) else {
        return false;
    };
    let valid = |b: u8| b.is_ascii_alphanumeric() || b":-_.\\@".contains(&b);
    name.len() <= MAX_NAME && prefix.bytes().all(valid) && !prefix.starts_with('@') && !prefix.ends_with('@')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn place(path: &str) -> Option<(String, String, Scope)> {
        unit_of_path(path).map(|found| (found.unit, found.slice, found.scope))
    }

    #[test]
    fn units_of_paths() {
        let user = Scope::User { uid: 1000 };
        let manager = "/user.slice/user-1000.slice/user@1000.service";
        for (path, unit, slice, scope) in [
            ("/system.slice/gw.service", "gw.service", "system.slice", Scope::System),
            ("/system.slice/gw.service/workers/1", "gw.service", "system.slice", Scope::System),
            (
                "/system.slice/system-getty.slice/getty@tty1.service",
                "getty@tty1.service",
                "system-getty.slice",
                Scope::System,
            ),
            ("/system.slice/_cpu.service", "cpu.service", "system.slice", Scope::System),
            ("/init.scope", "init.scope", "-.slice", Scope::System),
            (
                "/user.slice/user-1000.slice/session-3.scope",
                "session-3.scope",
                "user-1000.slice",
                Scope::System,
            ),
            (manager, "user@1000.service", "user-1000.slice", Scope::System),
            (&format!("{manager}/init.scope"), "init.scope", "-.slice", user),
            (&format!("{manager}/app.slice/gw.service"), "gw.service", "app.slice", user),
            (&format!("{manager}/app.slice/app-x.scope"), "app-x.scope", "app.slice", user),
        ] {
            assert_eq!(place(path), Some((unit.into(), slice.into(), scope)), "{path}");
        }
    }

    #[test]
    fn cgroups_of_units() {
        let manager = "/user.slice/user-1000.slice/user@1000.service";
        let inner = format!("{manager}/app.slice/gw.service");
        for (path, cgroup) in [
            ("/system.slice/gw.service", "/system.slice/gw.service"),
            ("/system.slice/gw.service/supervisor", "/system.slice/gw.service"),
            ("/system.slice/gw.service/workers/3.slice", "/system.slice/gw.service"),
            ("/system.slice/_cpu.service/x", "/system.slice/_cpu.service"),
            (manager, manager),
            (&inner, &inner),
            (&format!("{inner}/workers/3"), &inner),
        ] {
            assert_eq!(cgroup_of_unit(path), Some(cgroup), "{path}");
        }
        assert_eq!(cgroup_of_unit("/docker/abc"), None);
    }

    #[test]
    fn owners() {
        let names =
            |path| owners_of_path(path).into_iter().map(|(name, _)| name).collect::<Vec<_>>().join(" ");
        for (path, owners, may_hold) in [
            ("/", "", true),
            ("/a.slice", "a.slice", true),
            ("/a.slice/gw.service", "a.slice gw.service", false),
            ("/a.slice/gw.service/b.slice", "a.slice gw.service", false),
            ("/user.slice/user@7.service", "user.slice user@7.service", true),
            ("/user@7.service/app.slice/x.scope/y", "user@7.service app.slice x.scope", false),
            ("/user@7.service/user@8.service/y.service", "user@7.service user@8.service", false),
            ("/docker/a.slice", "", false),
        ] {
            assert_eq!((names(path).as_str(), may_hold_units(path)), (owners, may_hold), "{path}");
        }
    }

    #[test]
    fn templates() {
        for (name, is) in
            [("a@", true), ("a@.service", true), ("a@b", false), ("a.service", false), ("", false)]
        {
            assert_eq!(UnitPath::is_template(name), is, "{name}");
        }
    }

    #[test]
    fn paths_without_units() {
        for path in
            ["/", "", "/docker/abc", "/system.slice", "/system.slice/a@.service", "/a b.service", "/.service"]
        {
            assert_eq!(place(path), None, "{path}");
        }
    }

    #[test]
    fn names_get_a_suffix() {
        assert_eq!(UnitPath::named("gw", Scope::System).unwrap().unit, "gw.service");
        assert_eq!(UnitPath::named("a.b", Scope::System).unwrap().unit, "a.b.service");
        assert!(!UnitPath::named("x.timer", Scope::System).unwrap().is_service());
        assert_eq!(UnitPath::named("a/../b", Scope::System), None);
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in any::<String>()) {
            let _ = unit_of_cgroup(&text);
            let _ = unit_of_path(&text);
            let _ = (owners_of_path(&text), may_hold_units(&text));
            let _ = cgroup::container_id(&text);
        }
    }
}
