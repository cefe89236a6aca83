//! Finding the tools: a compiler that may use unstable features, its library sources, `bpf-linker`, `llvm-objcopy`.

use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use serde::{Deserialize, Serialize};

use super::stamp::Stamp;
use crate::{command, workspace};

/// Where the compiler comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Kind {
    /// Debian's rustc-web and cargo-web in /usr/bin, with rust-web-src
    Debian,
    /// rustup's nightly, with rust-src
    Nightly,
}

/// What identifies a toolchain: bytes are comparable only between equal ones.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Versions {
    /// As `rustc --version` says it.
    pub(super) rustc: String,
    /// The LLVM inside the compiler.
    pub(super) rustc_llvm: String,
    /// As `bpf-linker --version` says it.
    pub(super) bpf_linker: String,
    /// The LLVM library that `bpf-linker` loads, or `static`.
    pub(super) bpf_linker_llvm: String,
    /// The LLVM that `llvm-objcopy` is part of; on Debian also the version of that library.
    pub(super) objcopy_llvm: String,
}

impl fmt::Display for Versions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rustc, rustc_llvm, bpf_linker, bpf_linker_llvm, objcopy_llvm } = self;
        write!(
            f,
            "{rustc} on LLVM {rustc_llvm}, {bpf_linker} on {bpf_linker_llvm}, llvm-objcopy {objcopy_llvm}"
        )
    }
}

/// A complete set of tools.
pub(super) struct Toolchain {
    kind: Kind,
    rustc: PathBuf,
    cargo: PathBuf,
    library_source: PathBuf,
    linker: PathBuf,
    objcopy: PathBuf,
    versions: Versions,
}

impl fmt::Display for Toolchain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            Kind::Debian => "Debian's toolchain",
            Kind::Nightly => "rustup's nightly toolchain",
        };
        write!(f, "{kind}: {}", self.versions)
    }
}

impl Toolchain {
    pub(super) fn versions(&self) -> &Versions {
        &self.versions
    }

    pub(super) fn linker(&self) -> &Path {
        &self.linker
    }

    pub(super) fn objcopy(&self) -> &Path {
        &self.objcopy
    }

    /// The sources of `core`, as a directory above `library`.
    pub(super) fn library_source(&self) -> &Path {
        &self.library_source
    }

    /// Its Cargo, undisturbed by the toolchain that runs this task.
    pub(super) fn cargo(&self) -> Command {
        let mut cargo = Command::new(&self.cargo);
        clean(&mut cargo);
        cargo.env("RUSTC", &self.rustc).env("RUSTC_BOOTSTRAP", "1");
        cargo
    }
}

/// Takes away what the Cargo around us set, and what would change the object.
pub(super) fn clean(command: &mut Command) {
    const KEEP: [&str; 7] = [
        "CARGO_HOME",
        "CARGO_HTTP_",
        "CARGO_NET_",
        "CARGO_REGISTRIES_",
        "CARGO_REGISTRY_",
        "CARGO_TERM_",
        "CARGO_BUILD_JOBS",
    ];
    for (name, _) in std::env::vars_os() {
        let Some(text) = name.to_str() else { continue };
        let cargo = text.starts_with("CARGO") && !KEEP.iter().any(|kept| text.starts_with(kept));
        let rust = text.starts_with("RUST") && text != "RUSTUP_HOME";
        // Cargo points it at its own toolchain's libraries.
        if cargo || rust || text == "LD_LIBRARY_PATH" {
            command.env_remove(name);
        }
    }
}

/// The first complete toolchain; the error says what each lacks.
pub(super) fn find(wanted: Option<Kind>) -> Result<Toolchain> {
    let mut lacking = Vec::new();
    for kind in [Kind::Debian, Kind::Nightly] {
        if wanted.is_some_and(|wanted| wanted != kind) {
            continue;
        }
        match probe(kind) {
            Ok(toolchain) => return Ok(toolchain),
            Err(why) => lacking.push(format!("  {}: {why:#}", format!("{kind:?}").to_lowercase())),
        }
    }
    bail!("no toolchain can build the kernel object:\n{}", lacking.join("\n"))
}

/// The toolchain with which a stamped object was made, if it is installed.
pub(super) fn matching(stamp: &Stamp) -> Option<Toolchain> {
    let found = [Kind::Debian, Kind::Nightly].into_iter().filter_map(|kind| probe(kind).ok());
    found.into_iter().find(|toolchain| toolchain.versions == stamp.toolchain)
}

fn probe(kind: Kind) -> Result<Toolchain> {
    let (rustc, cargo) = match kind {
        // By their full paths: rustup's proxies are usually first in PATH.
        Kind::Debian => (PathBuf::from("/usr/bin/rustc"), PathBuf::from("/usr/bin/cargo")),
        Kind::Nightly => (rustup_which("rustc")?, rustup_which("cargo")?),
    };
    for program in [&rustc, &cargo] {
        ensure!(program.exists(), "{} is missing", program.display());
    }
    let verbose = command::output(plain(&rustc).arg("-vV"))?;
    let field = |key: &str| verbose.lines().find_map(|line| line.strip_prefix(key)).map(str::to_owned);
    let rustc_llvm = field("LLVM version: ").context("the compiler names no LLVM")?;
    let release = field("release: ").context("the compiler names no release")?;
    ensure!(
        minor(&release) >= Some(OLDEST_RUST),
        "{} is {release}, older than 1.{OLDEST_RUST}",
        rustc.display()
    );

    let sysroot = PathBuf::from(command::output(plain(&rustc).args(["--print", "sysroot"]))?.trim());
    let library_source = sysroot.join("lib/rustlib/src/rust");
    ensure!(
        library_source.join("library/core/Cargo.toml").exists(),
        "the library sources are missing ({})",
        library_source.join("library").display()
    );

    let linker = command::find("bpf-linker", &[workspace::cargo_home().join("bin")])
        .context("bpf-linker is missing")?;
    let bpf_linker = command::output(plain(&linker).arg("--version"))?.trim().to_owned();
    let bpf_linker_llvm = loaded_llvm(&linker)?;
    let (ours, theirs) = (major(&bpf_linker_llvm), major(&rustc_llvm));
    ensure!(
        ours.is_none() || ours >= theirs,
        "{} is built on {bpf_linker_llvm}, which cannot read what a compiler on LLVM {rustc_llvm} writes",
        linker.display()
    );

    let host = field("host: ").unwrap_or_default();
    let objcopy = find_objcopy(&sysroot, &host, theirs).context("llvm-objcopy is missing")?;
    let objcopy_llvm = command::output(plain(&objcopy).arg("--version"))?;
    let objcopy_llvm = objcopy_llvm
        .lines()
        .find_map(|line| line.split_once("LLVM version "))
        .map(|(_, version)| version.trim().to_owned())
        .with_context(|| format!("{} names no LLVM", objcopy.display()))?;

    let rustc_version = verbose.lines().next().unwrap_or_default().to_owned();
    let versions = Versions { rustc: rustc_version, rustc_llvm, bpf_linker, bpf_linker_llvm, objcopy_llvm };
    Ok(Toolchain { kind, rustc, cargo, library_source, linker, objcopy, versions })
}

/// The `rust-version` of the workspace, minor part.
const OLDEST_RUST: u32 = 89;

fn plain(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    clean(&mut command);
    command
}

fn rustup_which(tool: &str) -> Result<PathBuf> {
    let rustup =
        command::find("rustup", &[workspace::cargo_home().join("bin")]).context("rustup is missing")?;
    let path = command::output(plain(rustup).args(["which", "--toolchain", "nightly", tool]))
        .map_err(|why| anyhow!("rustup has no nightly toolchain ({why:#})"))?;
    Ok(PathBuf::from(path.trim()))
}

/// The LLVM library that a program asks the dynamic linker for.
fn loaded_llvm(program: &Path) -> Result<String> {
    let bytes = std::fs::read(program).with_context(|| format!("cannot read {}", program.display()))?;
    let mut names = bytes.split(|&byte| byte == 0).filter_map(|name| std::str::from_utf8(name).ok());
    let name = names.find(|name| name.starts_with("libLLVM") && name.contains(".so"));
    Ok(name.unwrap_or("static").to_owned())
}

/// Debian's by version, rustup's `llvm-tools`, or whatever is in PATH.
fn find_objcopy(sysroot: &Path, host: &str, llvm: Option<u32>) -> Option<PathBuf> {
    let mut candidates = Vec::new();
    if let Some(llvm) = llvm {
        candidates.push(PathBuf::from(format!("/usr/lib/llvm-{llvm}/bin/llvm-objcopy")));
    }
    candidates.push(sysroot.join("lib/rustlib").join(host).join("bin/llvm-objcopy"));
    candidates.into_iter().find(|path| path.exists()).or_else(|| command::find("llvm-objcopy", &[]))
}

/// 22 of `22.1.8` and of `libLLVM.so.22.1`.
fn major(version: &str) -> Option<u32> {
    let digits = version.trim_start_matches(|c: char| !c.is_ascii_digit());
    digits.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// 96 of `1.96.0-nightly`.
fn minor(release: &str) -> Option<u32> {
    release.split('.').nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_what_the_tools_say() {
        assert_eq!(major("22.1.8"), Some(22));
        assert_eq!(major("libLLVM.so.22.1"), Some(22));
        assert_eq!(major("libLLVM-19.so.1"), Some(19));
        assert_eq!(major("static"), None);
        assert_eq!(minor("1.97.0-nightly"), Some(97));
    }
}
