//! Other names of units (`Alias=` in systemd.unit(5)): symbolic links in the directories of unit files, of which the first that
//! has the name decides. No manager is asked, since it may not run yet, or not have loaded the unit.

use std::path::{Path, PathBuf};

use super::unit::{Scope, UnitPath};

/// Where the system's manager looks, in its order (systemd.unit(5), "Unit File Load Path").
const OF_SYSTEM: [&str; 13] = [
    "/etc/systemd/system.control",
    "/run/systemd/system.control",
    "/run/systemd/transient",
    "/run/systemd/generator.early",
    "/etc/systemd/system",
    "/etc/systemd/system.attached",
    "/run/systemd/system",
    "/run/systemd/system.attached",
    "/run/systemd/generator",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
    "/run/systemd/generator.late",
];
/// Where those of users look after their own directories.
const OF_USERS: [&str; 4] =
    ["/etc/systemd/user", "/run/systemd/user", "/usr/local/lib/systemd/user", "/usr/lib/systemd/user"];
/// Links that are followed at most.
const MAX_LINKS: usize = 8;

/// The name under which a manager runs a unit, which is the given one unless that is an alias. Users' own directories are not
/// looked at: they are the users' to change. Whoever may send a message chooses the name, so that what is none of a unit, as a
/// path to elsewhere, is not looked up.
pub fn canonical(name: &str, scope: Scope) -> String {
    if UnitPath::named(name, scope).is_none_or(|named| named.unit != name) {
        return name.to_owned();
    }
    let directories: &[&str] = match scope {
        Scope::System => &OF_SYSTEM,
        Scope::User { .. } => &OF_USERS,
    };
    let directories: Vec<PathBuf> = directories.iter().map(PathBuf::from).collect();
    in_directories(name, &directories)
}

fn in_directories(name: &str, directories: &[PathBuf]) -> String {
    let mut name = name.to_owned();
    for _ in 0..MAX_LINKS {
        match link(&name, directories) {
            Some(next) if next != name => name = next,
            _ => break,
        }
    }
    name
}

/// What a name is linked to, by itself or as an instance of its template.
fn link(name: &str, directories: &[PathBuf]) -> Option<String> {
    let template = template_of(name);
    let file =
        |name: &str| directories.iter().map(|at| at.join(name)).find(|path| path.symlink_metadata().is_ok());
    let path = file(name).or_else(|| file(template.as_deref()?))?;
    let target = std::fs::read_link(path).ok()?;
    let target = Path::new(&target).file_name()?.to_str()?;
    match (UnitPath::is_template(target), name.split_once('@')) {
        (true, Some((_, instance))) => {
            let (prefix, kind) = target.split_once("@.")?;
            let instance = instance.strip_suffix(kind)?.strip_suffix('.')?;
            Some(format!("{prefix}@{instance}.{kind}"))
        }
        (true, None) => None,
        // A masked unit is linked to /dev/null.
        (false, _) => {
            UnitPath::named(target, Scope::System).map(|named| named.unit).filter(|unit| unit == target)
        }
    }
}

/// `a@.service` of `a@1.service`.
fn template_of(name: &str) -> Option<String> {
    let (prefix, rest) = name.split_once('@')?;
    let (_, kind) = rest.rsplit_once('.')?;
    Some(format!("{prefix}@.{kind}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn what_is_no_name_of_a_unit_is_not_looked_up() {
        let root = std::env::temp_dir().join(format!("forensics-no-alias-{}", std::process::id()));
        std::fs::create_dir_all(&root).expect("a directory");
        let link = root.join("other.service");
        symlink("real.service", &link).expect("a link");
        let name = link.display().to_string();
        assert_eq!(
            in_directories(&name, &[PathBuf::from("/etc/systemd/system")]),
            "real.service",
            "it could be"
        );
        assert_eq!(canonical(&name, Scope::System), name);
        let upwards = format!("../../..{name}");
        assert_eq!(canonical(&upwards, Scope::System), upwards);
        std::fs::remove_dir_all(&root).expect("it was made");
    }

    #[test]
    fn links_are_followed_in_the_order_of_the_directories() {
        let root = std::env::temp_dir().join(format!("forensics-alias-{}", std::process::id()));
        let directories = ["etc", "lib"].map(|name| root.join(name));
        for directory in &directories {
            std::fs::create_dir_all(directory).expect("a directory");
        }
        let [etc, lib] = &directories;
        for file in ["nginx.service", "own.service", "worker@.service"] {
            std::fs::write(lib.join(file), "").expect("a file");
        }
        std::fs::write(etc.join("own.service"), "").expect("a file");
        for (target, link) in [
            ("/lib/systemd/system/nginx.service", etc.join("www.service")),
            ("www.service", lib.join("web.service")),
            ("nginx.service", lib.join("hidden.service")),
            ("/dev/null", etc.join("hidden.service")),
            ("worker@.service", etc.join("job@.service")),
            ("/lib/systemd/system/worker@.service", etc.join("worker@2.service")),
            ("loop-b.service", etc.join("loop-a.service")),
            ("loop-a.service", etc.join("loop-b.service")),
        ] {
            symlink(target, link).expect("a link");
        }
        for (name, canonical) in [
            ("nginx.service", "nginx.service"),
            ("www.service", "nginx.service"),
            ("web.service", "nginx.service"),
            ("own.service", "own.service"),
            ("hidden.service", "hidden.service"),
            ("job@7.service", "worker@7.service"),
            ("worker@2.service", "worker@2.service"),
            ("absent.service", "absent.service"),
        ] {
            assert_eq!(in_directories(name, &directories), canonical, "{name}");
        }
        assert!(in_directories("loop-a.service", &directories).starts_with("loop-"));
        std::fs::remove_dir_all(root).expect("removed");
    }
}
