use clap::ValueEnum;
use serde::Deserialize;

use crate::kernel::requests::RequestHook;

/// How requests are found out (`--instigator`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// The cheapest hook that this kernel has and that not every process pays for; without one, as `exec`.
    #[default]
    Auto,
    /// A hook at the entry of `unix_stream_sendmsg()`.
    Fentry,
    /// The tracepoint `sock_send_length`.
    Socket,
    /// Tracepoints of the system calls that send; every system call on the host costs more then.
    Syscalls,
    /// From the commands that are executed, which tells less and never for certain.
    Exec,
    /// Not at all.
    Off,
}

impl Mode {
    /// The hooks to try, in this order.
    pub fn hooks(self) -> &'static [RequestHook] {
        match self {
            Self::Auto => &[RequestHook::Fentry, RequestHook::Socket],
            Self::Fentry => &[RequestHook::Fentry],
            Self::Socket => &[RequestHook::Socket],
            Self::Syscalls => &[RequestHook::Syscalls],
            Self::Exec | Self::Off => &[],
        }
    }

    /// True when the hook that is named must work.
    pub fn is_hook(self) -> bool {
        matches!(self, Self::Fentry | Self::Socket | Self::Syscalls)
    }
}
