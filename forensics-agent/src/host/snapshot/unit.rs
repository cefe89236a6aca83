use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::Path;

/// The unit whose present run has that `INVOCATION_ID`, when the cgroup is its own. The id is inherited, by a terminal
/// that a service started for instance, so alone it proves nothing.
///
/// systemd keeps the id of each running unit in a symbolic link (`unit_export_invocation_id` in `src/core/unit.c`): in
/// `/run/systemd/units` for the system manager, in `/run/user/UID/systemd/units` for a user's.
pub fn unit_by_invocation(cgroup: &str, invocation_id: &str) -> Option<String> {
    let user = cgroup.split('/').find_map(|part| part.strip_prefix("user@")?.strip_suffix(".service"));
    let unit = cgroup.split('/').rev().find(|part| is_unit(part))?;
    let own_manager = format!("user@{}.service", user.unwrap_or_default());
    let directory = match user.and_then(|user| user.parse::<u32>().ok()) {
        Some(uid) if unit != own_manager => format!("/run/user/{uid}/systemd/units"),
        _ => "/run/systemd/units".to_owned(),
    };
    let link = Path::new(&directory).join(format!("invocation:{unit}"));
    let id = std::fs::read_link(link).ok()?.into_os_string();
    (id == OsString::from_vec(invocation_id.as_bytes().to_vec())).then(|| unit.to_owned())
}

/// True for the name of a unit that can hold processes of its own.
fn is_unit(part: &str) -> bool {
    [".service", ".scope", ".socket", ".mount", ".swap"].iter().any(|suffix| part.ends_with(suffix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_the_link_there_is_no_unit() {
        let id = "0123456789abcdef0123456789abcdef";
        assert_eq!(unit_by_invocation("/system.slice/no-such-unit.service", id), None);
        assert_eq!(
            unit_by_invocation("/user.slice/user-4000000000.slice/user@4000000000.service/x.scope", id),
            None
        );
        assert_eq!(unit_by_invocation("/", id), None);
    }
}
