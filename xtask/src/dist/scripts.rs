//! What happens at installation and removal: what Debian's `dh_installsystemd` does for any service.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::Result;

/// Enables and starts the service, unless the administrator does not want it; restarts it after an upgrade.
const POSTINST: &str = "\
case \"$1\" in
configure | abort-upgrade | abort-deconfigure | abort-remove)
    deb-systemd-helper unmask forensics-agent.service >/dev/null || true
    if deb-systemd-helper --quiet was-enabled forensics-agent.service; then
        deb-systemd-helper enable forensics-agent.service >/dev/null || true
    else
        deb-systemd-helper update-state forensics-agent.service >/dev/null || true
    fi
    if [ -d /run/systemd/system ]; then
        systemctl --system daemon-reload >/dev/null || true
        if [ -n \"$2\" ]; then action=restart; else action=start; fi
        deb-systemd-invoke \"$action\" forensics-agent.service >/dev/null || true
    fi
    ;;
esac
";

/// Stops the service, and removes what it has in the kernel, which outlives it. After an upgrade the new one goes on with that.
const PRERM: &str = "\
if [ \"$1\" = remove ] && [ -d /run/systemd/system ]; then
    deb-systemd-invoke stop forensics-agent.service >/dev/null || true
fi
if [ \"$1\" = remove ]; then
    forensics-agent detach >/dev/null || true
fi
";

/// Forgets that the service was enabled, and what it stored, when nothing is to stay.
const POSTRM: &str = "\
if [ \"$1\" = remove ] && [ -d /run/systemd/system ]; then
    systemctl --system daemon-reload >/dev/null || true
fi
if [ \"$1\" = purge ]; then
    if [ -x /usr/bin/deb-systemd-helper ]; then
        deb-systemd-helper purge forensics-agent.service >/dev/null || true
        deb-systemd-helper unmask forensics-agent.service >/dev/null || true
    fi
    rm -rf /var/lib/forensics-agent /run/forensics-agent
fi
";

/// Writes them.
pub(super) fn write(tree: &Path) -> Result<()> {
    for (name, body) in [("postinst", POSTINST), ("prerm", PRERM), ("postrm", POSTRM)] {
        let path = tree.join("DEBIAN").join(name);
        fs::write(&path, format!("#!/bin/sh\nset -e\n{body}"))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}
