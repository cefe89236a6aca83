//! `cargo xtask ebpf`: rebuilds the kernel object that the agent embeds.
//!
//! The object is committed, so that building the agent needs stable Rust alone. A stamp beside it says from
//! which sources and by which tools it was made; `--check` holds both against the working tree.

mod build;
mod install;
mod sources;
mod stamp;
mod toolchain;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail, ensure};

use build::Architecture;
use stamp::Stamp;
use toolchain::{Kind, Toolchain};

use crate::{debian, workspace};

/// Arguments of `cargo xtask ebpf`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Replace nothing: fail when the object and its sources disagree. Where the tools of the stamp are
    /// installed, the object is rebuilt and compared byte by byte; elsewhere only the hashes are.
    #[arg(long)]
    check: bool,
    /// Install missing tools before the check too (a build always does, as root on Debian)
    #[arg(long, requires = "check")]
    install: bool,
    /// The toolchain to use; by default the first that is complete
    #[arg(long, value_enum)]
    toolchain: Option<Kind>,
}

/// Runs the task.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    if args.check { check(args) } else { rebuild(args) }?;
    Ok(ExitCode::SUCCESS)
}

/// The committed object.
fn object_path() -> PathBuf {
    workspace::root().join("forensics-ebpf/prebuilt/forensics-ebpf.o")
}

fn rebuild(args: &Args) -> Result<()> {
    let toolchain = match toolchain::find(args.toolchain) {
        Ok(toolchain) => toolchain,
        Err(_) if debian::can_install() && args.toolchain != Some(Kind::Nightly) => {
            install::debian_toolchain()?;
            toolchain::find(args.toolchain)?
        }
        Err(why) => bail!("{why:#}\n{}", install::instructions()),
    };
    println!("building the kernel object with {toolchain}");
    let object = build::object(&toolchain, &workspace::target().join("ebpf"), Architecture::X86_64)?;
    let stamp = Stamp::new(&toolchain, sources::hash()?, &object);
    let path = object_path();
    let directory = path.parent().context("the object has no directory")?;
    std::fs::create_dir_all(directory).with_context(|| format!("cannot create {}", directory.display()))?;
    std::fs::write(&path, &object).with_context(|| format!("cannot write {}", path.display()))?;
    stamp.write()?;
    println!("wrote {}: {} bytes, sha256 {}", path.display(), object.len(), stamp.object_sha256);
    Ok(())
}

fn check(args: &Args) -> Result<()> {
    let stamp = Stamp::read()?;
    let path = object_path();
    let object = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let found = sources::sha256(&object);
    ensure!(
        found == stamp.object_sha256,
        "{} is not the object of its stamp: its sha256 is {found}, the stamp says {}; run `cargo xtask ebpf`",
        path.display(),
        stamp.object_sha256
    );
    let sources = sources::hash()?;
    ensure!(
        sources == stamp.source_sha256,
        "the sources of the kernel object changed since it was built (sha256 {sources}, the stamp says {}); run \
         `cargo xtask ebpf`",
        stamp.source_sha256
    );
    println!("the hashes of the kernel object and of its sources match the stamp");

    if args.install && toolchain::matching(&stamp).is_none() {
        // What cannot be installed says nothing about the object: the hashes were compared.
        if let Err(why) = install::debian_toolchain() {
            println!("warning: the tools of the stamp could not be installed: {why:#}");
        }
    }
    match toolchain::matching(&stamp) {
        Some(toolchain) => compare(&toolchain, &object),
        None => {
            println!(
                "compared hashes only: the tools of the stamp ({}) are not installed, so nothing was rebuilt",
                stamp.toolchain
            );
            Ok(())
        }
    }
}

/// Rebuilds from nothing and compares bytes; then compiles for the other architecture and compares programs.
fn compare(toolchain: &Toolchain, committed: &[u8]) -> Result<()> {
    println!("rebuilding the kernel object with {toolchain}");
    let directory = workspace::target().join("ebpf-check");
    if directory.exists() {
        std::fs::remove_dir_all(&directory)
            .with_context(|| format!("cannot clear {}", directory.display()))?;
    }
    let object = build::object(toolchain, &directory, Architecture::X86_64)?;
    ensure!(
        object == committed,
        "the rebuilt object differs from {} although sources and tools are those of its stamp; what was rebuilt \
         is in {}",
        object_path().display(),
        directory.display()
    );
    println!("rebuilt: identical, byte by byte");

    let other = build::object(toolchain, &directory, Architecture::Aarch64)?;
    // `aya-ebpf` has a file of helpers for each architecture, whose name stands in the BTF.
    ensure!(
        build::programs(toolchain, &directory, &other)? == build::programs(toolchain, &directory, &object)?,
        "compiled for aarch64 the programs differ: something in them depends on the architecture, but one object \
         has to serve both"
    );
    println!("compiled for aarch64: the same programs");
    Ok(())
}
