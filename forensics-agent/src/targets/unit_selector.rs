//! Units as targets: by name or by pattern, as `journalctl --unit` takes them.

use std::ffi::CString;
use std::fmt;

use crate::commands::failure::Failure;
use crate::host::systemd::alias::canonical;
use crate::host::systemd::unit::{Scope, UnitPath, owners_of_path};

/// Units of one manager whose name matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitSelector {
    /// A name with its suffix, or a pattern.
    pub name: String,
    /// Under which name the manager runs it, where the given one is an alias.
    alias_of: Option<String>,
    /// Whose units.
    pub scope: Scope,
    pattern: Option<CString>,
}

impl UnitSelector {
    /// Reads a name as it was given: `gateway`, `gateway.service`, `worker@*`. A name without a suffix is a service's; a pattern
    /// must match the whole name, suffix included.
    ///
    /// # Errors
    /// Usage, when no unit can have such a name.
    pub fn parse(option: &str, text: &str, scope: Scope) -> Result<Self, Failure> {
        let refuse = |why: &str| Err(Failure::usage(format!("{option} {text:?}: {why}")));
        if text.contains(['*', '?', '[']) {
            let valid = |b: u8| b.is_ascii_alphanumeric() || b":-_.\\@[]!*?".contains(&b);
            return match CString::new(text) {
                Ok(pattern) if text.bytes().all(valid) => {
                    Ok(Self { name: text.to_owned(), alias_of: None, scope, pattern: Some(pattern) })
                }
                _ => refuse("a pattern of unit names has letters, digits and :-_.\\@[]!*? only"),
            };
        }
        if text.starts_with('.') {
            return refuse("no unit can have this name");
        }
        if UnitPath::is_template(text) {
            return refuse(
                "a template never runs; name an instance, or all of them by putting * after the @",
            );
        }
        match UnitPath::named(text, scope) {
            Some(named) => Ok(Self { name: named.unit, alias_of: None, scope, pattern: None }),
            None => refuse("no unit can have this name"),
        }
    }

    /// Looks up whether the name is an alias, as the files of units say now.
    pub fn resolve_alias(&mut self) {
        if self.is_plain() {
            let name = canonical(&self.name, self.scope);
            self.alias_of = Some(name).filter(|name| *name != self.name);
        }
    }

    /// True when a cgroup, by its path, belongs to such a unit, be it through a unit inside: a slice has its services.
    pub fn selects(&self, path: &str) -> bool {
        owners_of_path(path).iter().any(|(unit, scope)| *scope == self.scope && self.names(unit))
    }

    /// True for the name of a unit that is meant.
    pub fn names(&self, unit: &str) -> bool {
        let Some(pattern) = &self.pattern else {
            return self.name == unit || self.alias_of.as_deref() == Some(unit);
        };
        let Ok(unit) = CString::new(unit) else { return false };
        // As systemd does (`unit_match` in src/shared/bus-unit-util.c).
        // SAFETY: both are NUL-terminated and live until the call returns.
        unsafe { libc::fnmatch(pattern.as_ptr(), unit.as_ptr(), libc::FNM_NOESCAPE) == 0 }
    }

    /// True when it names one unit.
    pub fn is_plain(&self) -> bool {
        self.pattern.is_none()
    }
}

/// The option that it was given by, and what it stands for.
impl fmt::Display for UnitSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.scope {
            Scope::System => write!(f, "--unit {}", self.name),
            Scope::User { uid } => write!(f, "--user-unit {} --uid {uid}", self.name),
        }?;
        self.alias_of.as_ref().map_or(Ok(()), |name| write!(f, " (an alias of {name})"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selector(text: &str) -> UnitSelector {
        UnitSelector::parse("-u", text, Scope::System).expect(text)
    }

    #[test]
    fn names_and_patterns() {
        for (given, path, selected) in [
            ("gw", "/system.slice/gw.service", true),
            ("gw.service", "/system.slice/gw.service/workers/1", true),
            ("gw", "/system.slice/gw2.service", false),
            ("gw*", "/system.slice/gw2.service", true),
            ("gw*", "/system.slice/system-gw.slice/x.service", false),
            ("gw@*.service", "/system.slice/system-gw.slice/gw@3.service", true),
            ("gw@3", "/system.slice/system-gw.slice/gw@3.service", true),
            ("system-gw.slice", "/system.slice/system-gw.slice/gw@3.service", true),
            ("[a-h]w.service", "/system.slice/gw.service", true),
            ("gw", "/user.slice/user-1000.slice/user@1000.service/app.slice/gw.service", false),
            ("user@1000", "/user.slice/user-1000.slice/user@1000.service/app.slice/gw.service", true),
            ("gw", "/machine.slice/a.scope/payload/system.slice/gw.service", false),
            ("*", "/", false),
        ] {
            assert_eq!(selector(given).selects(path), selected, "{given} {path}");
        }
    }

    #[test]
    fn units_of_users() {
        let path = "/user.slice/user-1000.slice/user@1000.service/app.slice/gw.service";
        let of = |uid| UnitSelector::parse("--user-unit", "gw", Scope::User { uid }).expect("valid");
        assert!(of(1000).selects(path) && !of(1001).selects(path));
        assert!(!of(1000).selects("/system.slice/gw.service"));
    }

    #[test]
    fn what_no_unit_is_called() {
        for bad in ["", "a b", "a/b", "gw@", "gw@.service", ".service", "a\nb", "gw*;", "gw*/x"] {
            let failure = UnitSelector::parse("-u", bad, Scope::System).expect_err(bad);
            assert_eq!((failure.code, failure.message.lines().count()), (2, 1), "{failure:?}");
        }
    }
}
