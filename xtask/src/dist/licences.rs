//! The licences of the libraries that are linked into the agent, which ask to be passed on with it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Deserialize;

use crate::{command, workspace};

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    version: String,
    license: Option<String>,
    manifest_path: String,
    source: Option<String>,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    pkg: String,
    dep_kinds: Vec<Kind>,
}

#[derive(Deserialize)]
struct Kind {
    /// None for what is linked; `build` and `dev` otherwise.
    kind: Option<String>,
}

/// A text with each library and its licence, and each licence once with the libraries that it is for.
pub(super) fn of_dependencies() -> Result<String> {
    let mut metadata = workspace::cargo();
    let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    metadata.args(["metadata", "--format-version=1", "--locked", "--filter-platform", &target]);
    let metadata: Metadata = serde_json::from_str(&command::output(&mut metadata)?)?;
    let linked = linked(&metadata)?;
    let mut text = "Libraries in forensics-agent, and their licences.\n\n".to_owned();
    let mut texts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for package in metadata.packages.iter().filter(|package| linked.contains(package.id.as_str())) {
        let Package { name, version, license, manifest_path, source, .. } = package;
        if source.is_none() {
            continue;
        }
        let called = format!("{name} {version}");
        writeln!(text, "{called}: {}", license.as_deref().unwrap_or("see below"))?;
        let directory = Path::new(manifest_path).parent().context("a manifest is in no directory")?;
        for licence in licence_files(directory)? {
            texts.entry(licence).or_default().push(called.clone());
        }
    }
    for (licence, packages) in texts {
        write!(text, "\n\n{}\n{}\n\n{}\n", "-".repeat(80), packages.join(", "), licence.trim_end())?;
    }
    Ok(text)
}

/// The ids of what is linked into the agent.
fn linked(metadata: &Metadata) -> Result<BTreeSet<&str>> {
    let agent = metadata.packages.iter().find(|package| package.name == "forensics-agent");
    let mut waiting = vec![agent.context("the workspace has no agent")?.id.as_str()];
    let mut linked = BTreeSet::new();
    while let Some(id) = waiting.pop() {
        if !linked.insert(id) {
            continue;
        }
        let node = metadata.resolve.nodes.iter().find(|node| node.id == id);
        let dependencies = node.into_iter().flat_map(|node| &node.deps);
        let normal =
            dependencies.filter(|dependency| dependency.dep_kinds.iter().any(|kind| kind.kind.is_none()));
        waiting.extend(normal.map(|dependency| dependency.pkg.as_str()));
    }
    Ok(linked)
}

/// The texts that a library comes with, in the order of their names.
fn licence_files(directory: &Path) -> Result<Vec<String>> {
    let mut paths: Vec<_> = fs::read_dir(directory)?.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    let is_licence = |path: &Path| {
        let name = path.file_name().map(|name| name.to_string_lossy().to_uppercase()).unwrap_or_default();
        ["LICENSE", "LICENCE", "COPYING", "COPYRIGHT", "NOTICE", "UNLICENSE"]
            .iter()
            .any(|start| name.starts_with(start))
    };
    let texts = paths.iter().filter(|path| path.is_file() && is_licence(path)).map(fs::read);
    texts.map(|text| Ok(String::from_utf8_lossy(&text?).into_owned())).collect()
}
