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
    let uid = outer.unit.strip_prefix("user@").and_then(|rest| rest.strip_suffix(".service"));
    // What systemd takes for a uid: digits without a leading zero.
    let uid = uid.filter(|digits| {
        digits.bytes().all(|b| b.is_ascii_digit()) && (*digits == "0" || !digits.starts_with('0'))
    });
    if let (Some(uid), Some(inner)) = (uid.and_then(|digits| digits.parse().ok()), first_unit(outer.below)) {
        return Some(UnitPath {
            unit: inner.unit,
            slice: inner.slice,
            scope: Scope::User { uid },
            user_manager_unit: Some(outer.unit),
        });
    }
    Some(UnitPath { unit: outer.unit, slice: outer.slice, scope: Scope::System, user_manager_unit: None })
}

struct Found<'a> {
    unit: String,
    slice: String,
    below: &'a str,
}

/// Skips the slices, and takes what comes next when it is a unit.
fn first_unit(path: &str) -> Option<Found<'_>> {
    let mut slice = ROOT_SLICE.to_owned();
    let mut rest = path;
    loop {
        rest = rest.trim_start_matches('/');
        let (part, below) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        // systemd puts `_` before a name that the kernel might claim for a file of its own (`cg_escape`).
        let name = part.strip_prefix('_').unwrap_or(part);
        if !is_unit_name(name) {
            return None;
        }
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
            let _ = cgroup::container_id(&text);
        }
    }
}
