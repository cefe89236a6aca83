//! Whether a user may run units without a session (`loginctl enable-linger`).

use super::unit::{Scope, UnitPath};

/// Where logind keeps it: an empty file for each user (`src/login/logind-user.c`).
const DIRECTORY: &str = "/var/lib/systemd/linger";

/// Whether the user of a unit may linger: that of a user's manager, or of a session. None when it is no user's.
pub fn of(place: &UnitPath) -> Option<bool> {
    let uid = match place.scope {
        Scope::User { uid } => uid,
        Scope::System => {
            place.slice.strip_prefix("user-")?.strip_suffix(".slice").and_then(|uid| uid.parse().ok())?
        }
    };
    let users = std::fs::read("/etc/passwd").ok()?;
    let name = name_of(&String::from_utf8_lossy(&users), uid)?;
    std::path::Path::new(DIRECTORY).join(name).try_exists().ok()
}

/// The name of a user in the text of `/etc/passwd` (passwd(5)).
fn name_of(passwd: &str, uid: u32) -> Option<String> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, _, number) = (fields.next()?, fields.next()?, fields.next()?);
        let is_file_name = !name.is_empty() && !name.contains('/') && !name.starts_with('.');
        (number.parse() == Ok(uid) && is_file_name).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_users() {
        let text = "root:x:0:0:root:/root:/bin/sh\njunk\n../x:x:7:7\nalice:x:1000:1000::/home/alice:\n";
        assert_eq!(name_of(text, 1000).as_deref(), Some("alice"));
        assert_eq!(name_of(text, 7), None);
        assert_eq!(name_of(text, 1), None);
    }

    #[test]
    fn a_service_of_the_system_is_no_users() {
        let place = UnitPath::named("gw", Scope::System).expect("a unit");
        assert_eq!(of(&place), None);
    }
}
