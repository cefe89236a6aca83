//! What the containers of targets are called.

use forensics_incident::model::Process;

/// The name of a new target's container: the one that it came with, from its maker, or that another target in the same
/// container has; else what its engine says to `read`, which takes files of some size.
pub(super) fn name_of<'a>(
    target: &Process,
    mut known: impl Iterator<Item = &'a Process>,
    read: impl FnOnce(&str) -> Option<String>,
) -> Option<String> {
    let id = target.container_id.as_deref()?;
    if target.container_name.is_some() {
        return target.container_name.clone();
    }
    // One without a name was looked for as well, in vain.
    match known.find(|other| other.container_id.as_deref() == Some(id)) {
        Some(other) => other.container_name.clone(),
        None => read(id),
    }
}

/// Reads the name anew: a container may have been renamed, and its name given to another one. That of a container which is gone
/// stays as it was.
pub(super) fn rename(target: &mut Process, read: impl FnOnce(&str) -> Option<String>) {
    if let Some(name) = target.container_id.as_deref().and_then(read) {
        target.container_name = Some(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn within(id: Option<&str>, name: Option<&str>) -> Process {
        Process {
            container_id: id.map(str::to_owned),
            container_name: name.map(str::to_owned),
            ..Process::default()
        }
    }

    #[test]
    fn a_name_that_is_known_is_not_read() {
        let known = [within(None, None), within(Some("b"), Some("db")), within(Some("c"), None)];
        let read = |id: &str| Some(format!("{id}, read"));
        for (target, name) in [
            (within(Some("a"), Some("web")), Some("web")),
            (within(Some("b"), None), Some("db")),
            (within(Some("c"), None), None),
            (within(Some("d"), None), Some("d, read")),
            (within(None, None), None),
        ] {
            assert_eq!(name_of(&target, known.iter(), read).as_deref(), name, "{target:?}");
        }
    }

    #[test]
    fn a_container_that_was_renamed() {
        let mut target = within(Some("a"), Some("web"));
        rename(&mut target, |_| None);
        assert_eq!(target.container_name.as_deref(), Some("web"));
        rename(&mut target, |_| Some("old-web".to_owned()));
        assert_eq!(target.container_name.as_deref(), Some("old-web"));
        let mut outside = within(None, None);
        rename(&mut outside, |_| Some("web".to_owned()));
        assert_eq!(outside.container_name, None);
    }
}
