//! The second program at the ends of processes, for kernels that skip the first one in a crowd.

use std::time::Instant;

use aya::programs::{TracePoint, links::FdLink};

use super::load::{Kernel, LoadError};

/// The program that is always attached.
pub(super) const FIRST: &str = "process_exit";

/// The one that stands in for it.
pub(super) const AGAIN: &str = "process_exit_again";

impl Kernel {
    /// Attaches the second program where the first one may be preempted. Without it, the first one does what it can: what is
    /// skipped is counted.
    pub(super) fn attach_to_exits_again(&mut self) {
        if !can_preempt_tracepoints(&rustix::system::uname().release().to_string_lossy()) {
            return;
        }
        match self.try_to_attach_again() {
            Ok(()) => self.sees_exits_again = true,
            Err(why) => log::debug!("ends may be skipped: {why}"),
        }
    }

    fn try_to_attach_again(&mut self) -> Result<(), LoadError> {
        let program: &mut TracePoint = self.program(AGAIN)?;
        let began = Instant::now();
        program.load().map_err(|error| LoadError::of_program(AGAIN, &error))?;
        let took = began.elapsed();
        let link = program.attach("sched", "sched_process_exit").and_then(|id| program.take_link(id));
        let link = link.map_err(|error| LoadError::of_program(AGAIN, &error))?;
        let link: FdLink = link.try_into().map_err(|error: aya::programs::links::LinkError| {
            LoadError::Failed { what: format!("keeping the link of {AGAIN}"), reason: error.to_string() }
        })?;
        self.attached(AGAIN, took, link);
        Ok(())
    }
}

/// Whether a kernel of this release runs programs at raw tracepoints with preemption enabled, as Linux 7.0 and later do
/// (kernel/trace/trace_events.c and include/linux/tracepoint.h guard them with SRCU since).
fn can_preempt_tracepoints(release: &str) -> bool {
    let major = release.split(|c: char| !c.is_ascii_digit()).next();
    major.and_then(|major| major.parse::<u32>().ok()).is_some_and(|major| major >= 7)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases() {
        for release in ["7.0", "7.2.13+deb14-cloud-amd64", "10.1-rc1"] {
            assert!(can_preempt_tracepoints(release), "{release}");
        }
        for release in ["5.10.0-35-cloud-amd64", "6.18.44-fc", "6.1", "", "x"] {
            assert!(!can_preempt_tracepoints(release), "{release}");
        }
    }
}
