//! The files of the package, each where Debian wants it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};

use super::licences;
use crate::{command, workspace};

/// What is copied as it is: from the workspace, to the package.
const FILES: [(&str, &str); 5] = [
    ("packaging/forensics-agent.service", "usr/lib/systemd/system/forensics-agent.service"),
    ("packaging/forensics-agent.catalog", "usr/lib/systemd/catalog/forensics-agent.catalog"),
    ("packaging/config.toml", "etc/forensics-agent/config.toml"),
    ("clients/python/forensics_agent.py", "usr/lib/python3/dist-packages/forensics_agent.py"),
    ("packaging/copyright", "usr/share/doc/forensics-agent/copyright"),
];

/// Where completions go: from the directory that they were made in, to the package.
const COMPLETIONS: [(&str, &str); 3] = [
    ("bash/forensics-agent", "usr/share/bash-completion/completions/forensics-agent"),
    ("zsh/_forensics-agent", "usr/share/zsh/vendor-completions/_forensics-agent"),
    ("fish/forensics-agent.fish", "usr/share/fish/vendor_completions.d/forensics-agent.fish"),
];

/// Makes the tree anew.
pub(super) fn make(tree: &Path, agent: &Path) -> Result<()> {
    if tree.exists() {
        fs::remove_dir_all(tree)?;
    }
    copy(agent, &tree.join("usr/bin/forensics-agent"), 0o755)?;
    for (from, to) in FILES {
        copy(&workspace::root().join(from), &tree.join(to), 0o644)?;
    }
    let manual = tree.with_file_name("manual");
    let mut run = workspace::cargo();
    run.args(["run", "--quiet", "--package", "forensics-manual", "--"]).arg(&manual);
    command::run(&mut run)?;
    for (from, to) in COMPLETIONS {
        copy(&manual.join(from), &tree.join(to), 0o644)?;
    }
    let pages = fs::read_dir(manual.join("man")).context("there are no manual pages")?;
    for page in pages {
        let page = page?;
        let to = tree.join("usr/share/man/man1").join(page.file_name());
        copy(&page.path(), &to, 0o644)?;
        compress(&to)?;
    }
    let licences = tree.join("usr/share/doc/forensics-agent/licences");
    fs::write(&licences, licences::of_dependencies()?)?;
    fs::set_permissions(&licences, fs::Permissions::from_mode(0o644))?;
    compress(&licences)
}

fn copy(from: &Path, to: &Path, mode: u32) -> Result<()> {
    let parent = to.parent().context("a file is in no directory")?;
    fs::create_dir_all(parent)?;
    fs::copy(from, to).with_context(|| format!("cannot copy {}", from.display()))?;
    fs::set_permissions(to, fs::Permissions::from_mode(mode))?;
    Ok(())
}

/// Without name and time in it, which change from build to build.
fn compress(file: &Path) -> Result<()> {
    command::output(Command::new("gzip").args(["--best", "--no-name"]).arg(file)).map(drop)
}
