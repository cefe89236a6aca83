//! What this process may do.

use std::io;

/// A capability of capabilities(7), as far as the agent has use for it; the value is its number in
/// `include/uapi/linux/capability.h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Capability {
    /// Reads files of others.
    DacReadSearch = 2,
    /// Changes the user of the command that `run` starts.
    SetUid = 7,
    /// Reads `/proc/PID` of others.
    SysPtrace = 19,
    /// Everything, and on kernels before 5.8 the only one that loads kernel programs.
    SysAdmin = 21,
    /// Raises resource limits.
    SysResource = 24,
    /// Reads kernel addresses and the kernel log.
    Syslog = 34,
    /// Lets kernel programs read memory and attach to tracepoints.
    Perfmon = 38,
    /// Loads kernel programs.
    Bpf = 39,
}

impl Capability {
    /// Its name in capabilities(7).
    pub fn name(self) -> &'static str {
        match self {
            Self::DacReadSearch => "CAP_DAC_READ_SEARCH",
            Self::SetUid => "CAP_SETUID",
            Self::SysPtrace => "CAP_SYS_PTRACE",
            Self::SysAdmin => "CAP_SYS_ADMIN",
            Self::SysResource => "CAP_SYS_RESOURCE",
            Self::Syslog => "CAP_SYSLOG",
            Self::Perfmon => "CAP_PERFMON",
            Self::Bpf => "CAP_BPF",
        }
    }
}

/// What this process may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Privileges {
    /// The effective capabilities, one bit for each.
    effective: u64,
    /// They hold for the kernel as a whole: this is the initial user namespace.
    pub initial_user_namespace: bool,
}

/// What is missing to load kernel programs.
#[derive(Debug, thiserror::Error)]
pub enum PrivilegeError {
    /// Capabilities are not held.
    #[error(
        "{} missing, without which the kernel loads no program of ours: run as root (sudo), or in a service with \
         AmbientCapabilities=CAP_BPF CAP_PERFMON CAP_SYS_PTRACE CAP_SYSLOG CAP_DAC_READ_SEARCH",
        missing(.0)
    )]
    Missing(Vec<Capability>),
    /// Capabilities are held in a user namespace, where they do not count for this.
    #[error(
        "CAP_BPF counts only in the initial user namespace, and this process is in another one: run as root of the \
         host, or in a container without user namespaces"
    )]
    UserNamespace,
    /// It cannot be known.
    #[error("cannot read the capabilities of this process from /proc/self: {0}")]
    Unreadable(io::Error),
}

/// `CAP_BPF is`, `CAP_BPF and CAP_PERFMON are`.
fn missing(capabilities: &[Capability]) -> String {
    let names: Vec<&str> = capabilities.iter().map(|capability| capability.name()).collect();
    format!("{} {}", names.join(" and "), if names.len() == 1 { "is" } else { "are" })
}

/// Whether this process may load and attach kernel programs.
///
/// # Errors
/// One sentence with the missing capability and the fix.
pub fn check() -> Result<(), PrivilegeError> {
    Privileges::read().map_err(PrivilegeError::Unreadable)?.check()
}

impl Privileges {
    /// Reads those of this process.
    ///
    /// # Errors
    /// When `/proc/self` cannot be read.
    pub fn read() -> io::Result<Self> {
        let status = std::fs::read_to_string("/proc/self/status")?;
        let effective = parse_effective(&status)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "status has no CapEff"))?;
        let namespace = std::fs::read_link("/proc/self/ns/user");
        // PROC_USER_INIT_INO, include/linux/proc_ns.h. A kernel without user namespaces has no such file.
        let initial_user_namespace = namespace.map_or(true, |link| link.as_os_str() == "user:[4026531837]");
        Ok(Self { effective, initial_user_namespace })
    }

    /// Whether a capability is effective, in whatever user namespace this is.
    pub fn has(self, capability: Capability) -> bool {
        self.effective & (1 << capability as u8) != 0
    }

    /// Whether they suffice to load and attach kernel programs (`bpf_capable()` and `perfmon_capable()` in
    /// `include/linux/capability.h`).
    ///
    /// # Errors
    /// One sentence with the missing capability and the fix.
    pub fn check(self) -> Result<(), PrivilegeError> {
        let needed = [Capability::Bpf, Capability::Perfmon];
        let missing: Vec<_> = needed.into_iter().filter(|&capability| !self.has(capability)).collect();
        if !missing.is_empty() && !self.has(Capability::SysAdmin) {
            return Err(PrivilegeError::Missing(missing));
        }
        if !self.initial_user_namespace {
            return Err(PrivilegeError::UserNamespace);
        }
        Ok(())
    }
}

#[cfg(test)]
impl Privileges {
    pub(crate) fn of_root() -> Self {
        Self { effective: u64::MAX, initial_user_namespace: true }
    }

    pub(crate) fn of_nobody() -> Self {
        Self { effective: 0, initial_user_namespace: true }
    }
}

fn parse_effective(status: &str) -> Option<u64> {
    let digits = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(digits.trim(), 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(capabilities: &[Capability]) -> Privileges {
        let effective = capabilities.iter().fold(0, |mask, &c| mask | 1 << c as u8);
        Privileges { effective, initial_user_namespace: true }
    }

    #[test]
    fn status_is_read() {
        assert_eq!(parse_effective("CapPrm:\t0\nCapEff:\t000001fffeffffff\n"), Some(0x1ff_feff_ffff));
        assert_eq!(parse_effective("CapEff:\tjunk\n"), None);
        assert_eq!(parse_effective(""), None);
        assert!(Privileges::read().is_ok());
    }

    #[test]
    fn either_of_two_ways_suffices() {
        assert!(with(&[Capability::Bpf, Capability::Perfmon]).check().is_ok());
        assert!(with(&[Capability::SysAdmin]).check().is_ok());
        let half = with(&[Capability::Bpf]).check().expect_err("half").to_string();
        assert!(half.starts_with("CAP_PERFMON is missing, without which"), "{half}");
        let none = with(&[]).check().expect_err("none").to_string();
        assert!(none.starts_with("CAP_BPF and CAP_PERFMON are missing, without which"), "{none}");
    }

    #[test]
    fn root_of_a_user_namespace_is_not_root() {
        let inside = Privileges { effective: u64::MAX, initial_user_namespace: false };
        assert!(matches!(inside.check(), Err(PrivilegeError::UserNamespace)));
    }
}
