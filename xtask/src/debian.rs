//! Installing Debian packages.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};

use crate::command;

/// True when packages can be installed: this is a Debian (or a child of it) and we are root.
pub(crate) fn can_install() -> bool {
    let root = command::output(Command::new("id").arg("-u")).is_ok_and(|uid| uid.trim() == "0");
    root && Path::new("/etc/debian_version").exists() && command::find("apt-get", &[]).is_some()
}

/// Those of `packages` that are not installed.
pub(crate) fn missing<'a>(packages: &[&'a str]) -> Vec<&'a str> {
    let installed = |package: &str| {
        let mut query = Command::new("dpkg-query");
        query.args(["--show", "--showformat=${db:Status-Status}", package]);
        command::output(&mut query).is_ok_and(|status| status == "installed")
    };
    packages.iter().copied().filter(|package| !installed(package)).collect()
}

/// Installs `packages`, and says so.
pub(crate) fn install(packages: &[&str]) -> Result<()> {
    let mut install = Command::new("apt-get");
    // Another installation may be under way, as of a second terminal.
    install.args(["install", "--yes", "--quiet=2", "--no-install-recommends"]);
    install.arg("--option=DPkg::Lock::Timeout=300").args(packages);
    install.env("DEBIAN_FRONTEND", "noninteractive");
    if !can_install() {
        bail!("install as root what is missing: {}", command::line(&install));
    }
    eprintln!("installing the Debian packages {}", packages.join(" "));
    let _started_by_none = Unstarted::new();
    command::run(Command::new("apt-get").args(["update", "--quiet=2"]))?;
    command::run(&mut install)
}

/// While it lives, no package that is installed starts a service: tests run their own, with their own configuration.
struct Unstarted(bool);

impl Unstarted {
    /// Who is asked by every package, <https://people.debian.org/~hmh/invokerc.d-policyrc.d-specification.txt>.
    const POLICY: &str = "/usr/sbin/policy-rc.d";

    /// Writes a policy that forbids it, unless the machine has one.
    fn new() -> Self {
        use std::os::unix::fs::PermissionsExt as _;
        if Path::new(Self::POLICY).exists() {
            return Self(false);
        }
        let written = fs::write(Self::POLICY, "#!/bin/sh\nexit 101\n")
            .and_then(|()| fs::set_permissions(Self::POLICY, fs::Permissions::from_mode(0o755)));
        if let Err(why) = written {
            eprintln!("warning: packages may start their services: {}: {why}", Self::POLICY);
        }
        Self(true)
    }
}

impl Drop for Unstarted {
    fn drop(&mut self) {
        if self.0 {
            let _ = fs::remove_file(Self::POLICY);
        }
    }
}
