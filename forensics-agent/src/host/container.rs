//! What engines call their containers.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use serde_json::Value;

/// Bytes of an engine's file that are read at most.
const MAX_BYTES: u64 = 4 << 20;
/// Digits of a container's id.
const ID_DIGITS: usize = 64;
/// Where Podman keeps the names of all containers of root (containers/storage, `containers.json`).
const OF_PODMAN: &str = "/var/lib/containers/storage/overlay-containers/containers.json";

/// The name of a container with this id; none when no engine that this host has keeps one.
///
/// Docker has it in the container's `config.v2.json`, Podman in its list of containers: both are root's, and regular files.
pub fn name(id: &str) -> Option<String> {
    let is_id = id.len() == ID_DIGITS && id.bytes().all(|digit| digit.is_ascii_hexdigit());
    if !is_id {
        return None;
    }
    let docker = Path::new("/var/lib/docker/containers").join(id).join("config.v2.json");
    json(&docker)
        .and_then(|config| of_docker(&config))
        .or_else(|| of_podman(&json(Path::new(OF_PODMAN))?, id))
}

fn of_docker(config: &Value) -> Option<String> {
    let name = config.get("Name")?.as_str()?;
    Some(name.strip_prefix('/').unwrap_or(name).to_owned())
}

fn of_podman(containers: &Value, id: &str) -> Option<String> {
    let is_it = |container: &&Value| container.get("id").and_then(Value::as_str) == Some(id);
    let container = containers.as_array()?.iter().find(is_it)?;
    Some(container.get("names")?.as_array()?.first()?.as_str()?.to_owned())
}

fn json(path: &Path) -> Option<Value> {
    let mut text = Vec::new();
    File::open(path).ok()?.take(MAX_BYTES).read_to_end(&mut text).ok()?;
    serde_json::from_slice(&text).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_that_engines_keep() {
        assert_eq!(of_docker(&json!({ "Name": "/web", "ID": "e3" })).as_deref(), Some("web"));
        assert_eq!(of_docker(&json!({ "Name": 7 })), None);
        let containers =
            json!([{ "id": "a", "names": ["db"] }, { "id": "b", "names": [] }, { "id": "c" }, 4]);
        assert_eq!(of_podman(&containers, "a").as_deref(), Some("db"));
        assert_eq!([of_podman(&containers, "b"), of_podman(&containers, "c")], [None, None]);
    }

    #[test]
    fn what_is_no_id_is_looked_for_nowhere() {
        assert_eq!(name("../../../../etc/shadow"), None);
        assert_eq!(name(&"a".repeat(ID_DIGITS)), None);
    }
}
