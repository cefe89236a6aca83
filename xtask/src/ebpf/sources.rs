//! The hash over everything that decides what the object is, except the tools.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use sha2::{Digest as _, Sha256};
use toml::{Table, Value};

use super::build;
use crate::workspace;

/// The crates that are compiled into the object.
const CRATES: [&str; 2] = ["forensics-ebpf", "forensics-common"];

/// SHA-256, hexadecimal.
pub(super) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// SHA-256 over the files of the crates, the locked dependencies, the profile and the build flags.
pub(super) fn hash() -> Result<String> {
    let root = workspace::root();
    let mut digest = Sha256::new();
    let mut add = |name: &str, content: &[u8]| {
        for part in [name.as_bytes(), content] {
            // Lengths first, so that no two lists of parts read alike.
            digest.update((part.len() as u64).to_le_bytes());
            digest.update(part);
        }
    };
    for file in files(root)? {
        let content =
            std::fs::read(root.join(&file)).with_context(|| format!("cannot read {}", file.display()))?;
        add(&file.to_string_lossy(), &content);
    }
    let lock = locked(&read_toml(&root.join("Cargo.lock"))?, CRATES[0]);
    let manifest = read_toml(&root.join("Cargo.toml"))?;
    add("Cargo.lock", lock.iter().map(|package| package.line.as_str()).collect::<String>().as_bytes());
    add("[workspace]", shared(&manifest, &lock).to_string().as_bytes());
    add("[profile]", profile(&manifest, build::PROFILE).to_string().as_bytes());
    add("flags", build::recipe().join("\n").as_bytes());
    Ok(digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The files of the crates, relative to the root, sorted.
fn files(root: &Path) -> Result<BTreeSet<PathBuf>> {
    let mut files = BTreeSet::new();
    let mut directories = Vec::new();
    for name in CRATES {
        files.insert(Path::new(name).join("Cargo.toml"));
        directories.push(Path::new(name).join("src"));
    }
    while let Some(directory) = directories.pop() {
        let entries = root.join(&directory);
        let entries = entries.read_dir().with_context(|| format!("cannot list {}", entries.display()))?;
        for entry in entries {
            let entry = entry?;
            let path = directory.join(entry.file_name());
            if entry.file_type()?.is_dir() {
                directories.push(path);
            } else {
                files.insert(path);
            }
        }
    }
    Ok(files)
}

fn read_toml(path: &Path) -> Result<Table> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    text.parse().with_context(|| format!("{} is not TOML", path.display()))
}

/// A package of the lock file.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Locked {
    name: String,
    line: String,
}

/// `name` and all that it depends on, with versions and checksums.
fn locked(lock: &Table, name: &str) -> BTreeSet<Locked> {
    let text =
        |table: &Table, key: &str| table.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let packages: Vec<&Table> = lock
        .get("package")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_table)
        .collect();
    let mut reached = BTreeSet::new();
    // A dependency reads `name`, or `name version` where several versions are locked.
    let mut queue = vec![name.to_owned()];
    while let Some(wanted) = queue.pop() {
        let mut words = wanted.split(' ');
        let (name, version) = (words.next().unwrap_or_default(), words.next());
        for package in &packages {
            let found = text(package, "version");
            if text(package, "name") != name || version.is_some_and(|version| version != found) {
                continue;
            }
            let line = format!("{name} {found} {}\n", text(package, "checksum"));
            if reached.insert(Locked { name: name.to_owned(), line }) {
                let more = package.get("dependencies").and_then(Value::as_array).into_iter().flatten();
                queue.extend(more.filter_map(Value::as_str).map(str::to_owned));
            }
        }
    }
    reached
}

/// What the crates inherit from the workspace: its package table, and the features of their dependencies.
fn shared(manifest: &Table, lock: &BTreeSet<Locked>) -> Table {
    let workspace = manifest.get("workspace").and_then(Value::as_table);
    let get = |key: &str| workspace.and_then(|table| table.get(key)).and_then(Value::as_table).cloned();
    let mut dependencies = get("dependencies").unwrap_or_default();
    dependencies.retain(|name, _| lock.iter().any(|package| package.name == *name));
    let mut shared = get("package").unwrap_or_default();
    shared.insert("dependencies".to_owned(), Value::Table(dependencies));
    shared
}

/// A profile with all that it inherits.
fn profile(manifest: &Table, name: &str) -> Table {
    let own = manifest.get("profile").and_then(Value::as_table).and_then(|profiles| profiles.get(name));
    let mut own = own.and_then(Value::as_table).cloned().unwrap_or_default();
    let Some(Value::String(parent)) = own.remove("inherits") else { return own };
    let mut merged = profile(manifest, &parent);
    merged.extend(own);
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_takes_what_it_does_not_set_from_its_parent() {
        let manifest: Table = "[profile.release]\nlto = true\nstrip = true\n[profile.ebpf]\ninherits = \"release\"\nlto = false"
            .parse()
            .unwrap();
        let expected: Table = "lto = false\nstrip = true".parse().unwrap();
        assert_eq!(profile(&manifest, "ebpf"), expected);
    }

    #[test]
    fn the_lock_counts_as_far_as_it_is_reached() {
        let lock: Table = r#"
            [[package]]
            name = "top"
            version = "1.0.0"
            dependencies = ["mid 2.0.0"]
            [[package]]
            name = "mid"
            version = "1.0.0"
            checksum = "old"
            [[package]]
            name = "mid"
            version = "2.0.0"
            checksum = "new"
            dependencies = ["top"]
            [[package]]
            name = "other"
            version = "1.0.0"
        "#
        .parse()
        .unwrap();
        let lines: Vec<String> = locked(&lock, "top").into_iter().map(|package| package.line).collect();
        assert_eq!(lines, ["mid 2.0.0 new\n", "top 1.0.0 \n"]);
    }
}
