//! A benchmark in a machine, where kprobes, `fentry` and auditd work.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::kernel::Series;
use super::machine::Hardware;
use super::root::Root;
use super::{guest, headers, image, lock, locked, payload, run_machine, scratch};
use crate::{command, debian, workspace};

/// How long a machine may measure.
const LIMIT: Duration = Duration::from_secs(3600);
/// The beginning of the line that is the report.
const REPORT: &str = r#"{"schema":"forensics-agent/bench/"#;
/// Where a program expects what `cargo build --release` makes, on the disk.
const PRODUCTS: &str = "target/release";

/// What the machine does. BCC looks for the headers beside the modules.
const SCRIPT: &str = r#"
export CARGO_TARGET_DIR=/opt/forensics/target PATH=$PATH:/usr/sbin
if [ -e /opt/forensics/headers ]; then
    modules=/usr/lib/modules/$(uname -r)
    mount --bind /opt/forensics/headers /usr/src
    mount -o remount,rw /usr/lib/modules
    ln -sfn /usr/src/linux-headers-$(uname -r) $modules/build
    ln -sfn /usr/src/linux-headers-*-common $modules/source
fi
/opt/forensics/xtask bench --prebuilt --json "#;

/// Runs this program's `bench` with these arguments on a kernel. What is measured must have been built. Yields the report, one
/// line of JSON.
pub(crate) fn run(series: Series, arguments: &[String]) -> Result<String> {
    let missing = debian::missing(&super::PACKAGES);
    if !missing.is_empty() {
        debian::install(&missing)?;
    }
    let _alone = locked(&scratch()?)?;
    let (kernel, root, headers) = {
        let _alone = lock()?;
        let headers = |why| eprintln!("BCC will have no headers: {why:#}");
        (series.fetch()?, Root::Peers.image(series.release())?, headers::fetch(series).map_err(headers).ok())
    };
    let payload = pack(series, headers.as_deref(), arguments)?;
    let hardware = Hardware { root: &root, payload: &payload, modules: &kernel.modules, root_lasts: false };
    let mut report = None;
    run_machine(series, &kernel.image, &hardware, LIMIT, |line| match line {
        Some(line) if line.starts_with(REPORT) => report = Some(line.to_owned()),
        Some(line) => eprintln!("{series}: {line}"),
        None => {}
    })?;
    report.context("the machine ended without a report")
}

/// The disk with what is measured, and with this program, which measures it.
fn pack(series: Series, headers: Option<&Path>, arguments: &[String]) -> Result<PathBuf> {
    let scratch = scratch()?;
    let tree = scratch.join(format!("bench-{series}"));
    if tree.exists() {
        fs::remove_dir_all(&tree)?;
    }
    guest::prepare(&tree, Some(&format!("{SCRIPT}{}", arguments.join(" "))))?;
    let products = workspace::target().join("release");
    for program in ["forensics-agent", "examples/bench_probe"] {
        let to = tree.join(PRODUCTS).join(program);
        fs::create_dir_all(to.parent().unwrap_or(&tree))?;
        payload::install(&products.join(program), &to)?;
    }
    let this = std::env::current_exe().context("cannot find this program")?;
    payload::install(&this, &tree.join("xtask"))?;
    payload::copy_scripts(&workspace::root().join("xtask/src/bench"), &tree.join(guest::LATE))?;
    if let Some(headers) = headers {
        command::output(Command::new("cp").arg("--archive").arg(headers).arg(tree.join("headers")))?;
    }
    let image = scratch.join(format!("bench-{series}.ext4"));
    image::of_tree(&tree, &image, guest::TESTS_LABEL, payload::SIZE)?;
    fs::remove_dir_all(&tree)?;
    Ok(image)
}
