//! Installing the tools on Debian, and saying how elsewhere.

use std::process::Command;

use anyhow::Result;

use super::toolchain;
use crate::{command, debian, workspace};

/// The LLVM of Debian's compiler, and the `bpf-linker` that goes with it.
///
/// `bpf-linker` must be built on the compiler's LLVM or a newer one: its default feature follows upstream's nightly.
const LLVM: &str = "22";
const BPF_LINKER: &str = "0.13.0";

/// `libpolly`, `zlib1g` and `libzstd` are what `llvm-config --libs` names besides.
const PACKAGES: [&str; 8] = [
    "rustc-web",
    "cargo-web",
    "rust-web-src",
    "llvm-22",
    "llvm-22-dev",
    "libpolly-22-dev",
    "zlib1g-dev",
    "libzstd-dev",
];

/// The exact lines to type.
pub(super) fn instructions() -> String {
    format!(
        "Either install Debian's:\n  \
         apt-get install {}\n  \
         LLVM_PREFIX=/usr/lib/llvm-{LLVM} cargo install bpf-linker --version {BPF_LINKER} --locked --no-default-features --features llvm-{LLVM}\n\
         or upstream's:\n  \
         rustup toolchain install nightly --component rust-src,llvm-tools\n  \
         cargo install bpf-linker",
        PACKAGES.join(" ")
    )
}

/// Installs what is missing of Debian's toolchain, and says so.
pub(super) fn debian_toolchain() -> Result<()> {
    let missing = debian::missing(&PACKAGES);
    if !missing.is_empty() {
        debian::install(&missing)?;
    }
    if command::find("bpf-linker", &[workspace::cargo_home().join("bin")]).is_some() {
        return Ok(());
    }
    println!(
        "installing bpf-linker {BPF_LINKER} on LLVM {LLVM} in {}",
        workspace::cargo_home().join("bin").display()
    );
    let mut cargo = Command::new("/usr/bin/cargo");
    toolchain::clean(&mut cargo);
    cargo.args(["install", "bpf-linker", "--version", BPF_LINKER, "--locked", "--no-default-features"]);
    cargo.args(["--features", &format!("llvm-{LLVM}")]);
    cargo.env("RUSTC", "/usr/bin/rustc").env("LLVM_PREFIX", format!("/usr/lib/llvm-{LLVM}"));
    command::run(&mut cargo)
}
