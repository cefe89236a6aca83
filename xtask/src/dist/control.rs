//! What the package manager wants to know.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::command;

/// Of the workspace, and so of the package.
pub(super) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// As Debian calls the machine that this was built for.
pub(super) fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// Writes `DEBIAN/control`, `conffiles` and `md5sums` of a tree that is complete but for them.
pub(super) fn write(tree: &Path) -> Result<()> {
    let directory = tree.join("DEBIAN");
    fs::create_dir_all(&directory)?;
    let libc = newest_libc(&tree.join("usr/bin/forensics-agent"))?;
    let size = command::output(Command::new("du").args(["--summarize", "--apparent-size", "-k"]).arg(tree))?;
    let size = size.split_whitespace().next().context("du said nothing")?;
    let control = format!(
        "Package: forensics-agent\n\
         Version: {VERSION}\n\
         Architecture: {}\n\
         Maintainer: forensics-agent developers <root@localhost>\n\
         Installed-Size: {size}\n\
         Depends: libc6 (>= {libc}), libgcc-s1, init-system-helpers (>= 1.54)\n\
         Recommends: systemd\n\
         Section: admin\n\
         Priority: optional\n\
         Description: explains who killed a process, how and why\n \
         A service dies with `code=killed, status=9` and nobody knows why. This agent records\n \
         the sender of every signal in the kernel, with eBPF, joins that with how the process\n \
         ended, and says who did it, on what evidence, and what to change. Its verdicts stand\n \
         in the journal, as `journalctl FORENSICS_CAUSE=oom` finds them.\n \
         .\n \
         It needs Linux 5.10 or newer with BTF (CONFIG_DEBUG_INFO_BTF=y).\n",
        architecture()
    );
    fs::write(directory.join("control"), control)?;
    fs::write(directory.join("conffiles"), "/etc/forensics-agent/config.toml\n")?;
    let script = "find usr -type f -print0 | LC_ALL=C sort --zero-terminated | xargs --null md5sum";
    let sums = command::output(Command::new("sh").args(["-c", script]).current_dir(tree))?;
    fs::write(directory.join("md5sums"), sums)?;
    Ok(())
}

/// The newest version of the C library that a program asks for.
fn newest_libc(program: &Path) -> Result<String> {
    let symbols = command::output(Command::new("objdump").arg("--dynamic-syms").arg(program))?;
    let newest = newest_version(&symbols).context("the agent is not linked with the C library of GNU")?;
    Ok(newest.iter().map(u32::to_string).collect::<Vec<_>>().join("."))
}

/// The newest of the versions `GLIBC_2.34` in a list of symbols.
fn newest_version(symbols: &str) -> Option<Vec<u32>> {
    let words = symbols.split(|c: char| c.is_whitespace() || c == '(' || c == ')');
    let versions = words.filter_map(|word| word.strip_prefix("GLIBC_"));
    versions.filter_map(|version| version.split('.').map(|part| part.parse().ok()).collect()).max()
}

#[cfg(test)]
mod tests {
    use super::newest_version;

    #[test]
    fn the_newest_version_counts_by_numbers() {
        let symbols = "0 DF *UND* 0 (GLIBC_2.9) a\n0 DF *UND* 0 (GLIBC_2.34) b\n0 DF *UND* 0 (GCC_3.0) c";
        assert_eq!(newest_version(symbols), Some(vec![2, 34]));
        assert_eq!(newest_version("nothing"), None);
    }
}
