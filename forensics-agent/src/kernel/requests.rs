//! The programs that see what is asked of managers and container engines: one of them, where the kernel has a hook for it.

use std::time::Instant;

use aya::programs::{FEntry, TracePoint};

use super::load::{Kernel, LoadError, Programs};
use super::types::types_for_aya;

/// The hooks, the cheapest one first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestHook {
    /// The entry of `unix_stream_sendmsg()`: only sends over stream sockets of AF_UNIX pay for it.
    Fentry,
    /// The tracepoint `sock_send_length` (6.4): every send over any socket pays for it.
    Socket,
    /// The system calls that send: every system call of every process pays for it.
    Syscalls,
}

/// The system calls that [`RequestHook::Syscalls`] attaches to.
const CALLS: [&str; 4] = ["sys_enter_sendmsg", "sys_enter_sendto", "sys_enter_write", "sys_enter_writev"];

impl RequestHook {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Fentry, Self::Socket, Self::Syscalls];

    /// Its name, as `--instigator` takes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fentry => "fentry",
            Self::Socket => "socket",
            Self::Syscalls => "syscalls",
        }
    }

    /// Name of the program in the object.
    pub(super) fn program(self) -> &'static str {
        match self {
            Self::Fentry => "request_entry",
            Self::Socket => "request_sent",
            Self::Syscalls => "request_call",
        }
    }

    /// True for a program of one of these hooks.
    pub(super) fn is_program(name: &str) -> bool {
        Self::ALL.iter().any(|hook| hook.program() == name)
    }
}

impl Kernel {
    /// Starts to record requests. At most one hook is to be attached.
    ///
    /// # Errors
    ///
    /// The kernel does not have the hook, or refuses it.
    pub fn record_requests(&mut self, hook: RequestHook) -> Result<(), LoadError> {
        if matches!(self.programs, Programs::Adopted(_)) && self.requests == Some(hook) {
            return Ok(());
        }
        let name = hook.program();
        match hook {
            RequestHook::Socket => self.attach_raw(name, "sock_send_length")?,
            RequestHook::Fentry => {
                let btf = types_for_aya()?;
                let program: &mut FEntry = self.program(name)?;
                let began = Instant::now();
                program
                    .load("unix_stream_sendmsg", &btf)
                    .map_err(|error| LoadError::of_program(name, &error))?;
                let took = began.elapsed();
                let link = program.attach().and_then(|id| program.take_link(id));
                let link = link.map_err(|error| LoadError::of_program(name, &error));
                drop(btf);
                crate::memory::trim();
                self.attached(name, took, link?.into());
            }
            RequestHook::Syscalls => {
                let program: &mut TracePoint = self.program(name)?;
                let began = Instant::now();
                program.load().map_err(|error| LoadError::of_program(name, &error))?;
                let took = began.elapsed();
                CALLS.into_iter().try_for_each(|call| {
                    program
                        .attach("syscalls", call)
                        .map(drop)
                        .map_err(|error| LoadError::of_program(name, &error))
                })?;
                self.load_times.push((name, took));
            }
        }
        self.requests = Some(hook);
        Ok(())
    }
}
