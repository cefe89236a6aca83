//! Compiling, linking and stripping the object so that the same sources give the same bytes everywhere.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use super::toolchain::Toolchain;
use crate::{command, workspace};

/// The profile of the root manifest.
pub(super) const PROFILE: &str = "ebpf";
/// Little-endian BPF: x86_64 and aarch64 both run it.
const TARGET: &str = "bpfel-unknown-none";
/// The package and its binary.
const PACKAGE: &str = "forensics-ebpf";

/// The architecture that `aya-ebpf` is told to build for. It decides the layout of `pt_regs` there, which the
/// object must not touch, so that it comes out the same for both.
#[derive(Clone, Copy)]
pub(super) enum Architecture {
    X86_64,
    Aarch64,
}

impl std::fmt::Display for Architecture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::X86_64 => "x86_64",
            Self::Aarch64 => "aarch64",
        })
    }
}

/// Compiler flags that do not depend on the machine; they are part of the source hash.
///
/// Debug information must come from here and not from the profile alone, since `core` needs it as well: the
/// kernel wants BTF for every function, <https://github.com/aya-rs/aya/issues/1649>.
pub(super) fn recipe() -> [&'static str; 2] {
    ["-Cdebuginfo=2", "-Clink-arg=--btf"]
}

/// Builds in `directory` and returns the stripped object.
pub(super) fn object(toolchain: &Toolchain, directory: &Path, architecture: Architecture) -> Result<Vec<u8>> {
    // First of all, so that the registry's directories exist when their names are to be remapped.
    command::run(toolchain.cargo().current_dir(workspace::root()).args(["fetch", "--locked", "--quiet"]))?;

    let mut cargo = toolchain.cargo();
    cargo.current_dir(workspace::root());
    cargo.args(["build", "--locked", "--package", PACKAGE, "--profile", PROFILE]);
    cargo.args(["--target", TARGET, "-Zbuild-std=core"]);
    cargo.env("CARGO_TARGET_DIR", directory);
    cargo.env("CARGO_ENCODED_RUSTFLAGS", flags(toolchain, architecture).join("\x1f"));
    cargo.env("CARGO_TARGET_BPFEL_UNKNOWN_NONE_LINKER", toolchain.linker());
    command::run(&mut cargo)?;

    let linked = directory.join(TARGET).join(PROFILE).join(PACKAGE);
    // DWARF goes; `.BTF` and `.BTF.ext` stay, which the kernel needs to load the programs.
    strip(toolchain, &linked, &["--strip-debug"])
}

/// What of an object runs: its programs, maps and symbols, without the types and source lines in its BTF.
pub(super) fn programs(toolchain: &Toolchain, directory: &Path, object: &[u8]) -> Result<Vec<u8>> {
    let path = directory.join("whole.o");
    std::fs::write(&path, object).with_context(|| format!("cannot write {}", path.display()))?;
    strip(toolchain, &path, &["--remove-section=.BTF", "--remove-section=.BTF.ext"])
}

fn strip(toolchain: &Toolchain, object: &Path, how: &[&str]) -> Result<Vec<u8>> {
    let stripped = object.with_extension("stripped");
    command::run(Command::new(toolchain.objcopy()).args(how).args([object, &stripped]))?;
    std::fs::read(&stripped).with_context(|| format!("cannot read {}", stripped.display()))
}

fn flags(toolchain: &Toolchain, architecture: Architecture) -> Vec<String> {
    let mut flags: Vec<String> = recipe().map(str::to_owned).into();
    flags.push(format!("--cfg=bpf_target_arch=\"{architecture}\""));
    let mut names = vec![
        (workspace::root().to_owned(), "/forensics-agent"),
        (workspace::cargo_home(), "/cargo"),
        (toolchain.library_source().to_owned(), "/rust"),
    ];
    // Named after the registry's address, so a mirror would show. The last prefix that fits wins.
    let registries = workspace::cargo_home().join("registry/src").read_dir().into_iter().flatten().flatten();
    names.extend(registries.map(|registry| (registry.path(), "/cargo/registry")));
    // Source paths stand in the line information of `.BTF.ext`.
    for (path, name) in names {
        for path in spellings(path) {
            flags.push(format!("--remap-path-prefix={}={name}", path.display()));
        }
    }
    flags
}

/// A path as it was given and without symbolic links: the compiler sees either.
fn spellings(path: PathBuf) -> Vec<PathBuf> {
    let real = path.canonicalize().ok().filter(|real| *real != path);
    std::iter::once(path).chain(real).collect()
}
