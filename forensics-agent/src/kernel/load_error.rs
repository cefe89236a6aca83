//! Why the kernel programs cannot be loaded, in one sentence.

use std::io;

use aya::{EbpfError, programs::ProgramError};

use super::{btf::BtfError, load::VMLINUX_BTF};

/// Why the agent cannot work on this host.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// No type information: the layout of the kernel's structures is unknown.
    #[error(
        "the kernel offers no type information: {VMLINUX_BTF} cannot be read ({0}); a kernel built with \
         CONFIG_DEBUG_INFO_BTF=y is needed, and /sys must be mounted"
    )]
    NoBtf(io::Error),
    /// The type information lacks something that every supported kernel has.
    #[error("the kernel's type information in {VMLINUX_BTF} is of no use: {0}")]
    Btf(#[from] BtfError),
    /// Not allowed.
    #[error("{what} is not permitted: run as root, or with CAP_BPF, CAP_PERFMON and CAP_SYS_PTRACE ({hint})")]
    NotPermitted {
        /// What was tried.
        what: String,
        /// What may stand in the way.
        hint: String,
    },
    /// The verifier would not have a program.
    #[error("the kernel's verifier rejected the program {program}: {reason}")]
    Rejected {
        /// The program.
        program: &'static str,
        /// The last line that the verifier wrote.
        reason: String,
    },
    /// A map or a program could not be made.
    #[error("{what} failed: {reason}")]
    Failed {
        /// What was tried.
        what: String,
        /// The kernel's answer.
        reason: String,
    },
}

impl LoadError {
    /// What the kernel says to a program.
    pub(super) fn of_program(program: &'static str, error: &ProgramError) -> Self {
        match error {
            ProgramError::LoadError { io_error, verifier_log } => {
                let log = verifier_log.to_string();
                let said = verifiers_reason(&log);
                match (io_error.raw_os_error(), said) {
                    (Some(libc::EPERM), None) => not_permitted(format!("loading the program {program}")),
                    (_, Some(said)) => LoadError::Rejected { program, reason: said.to_owned() },
                    (_, None) => LoadError::Rejected { program, reason: io_error.to_string() },
                }
            }
            error => {
                let what = format!("attaching the program {program}");
                match system_error(error) {
                    Some(io) if io.raw_os_error() == Some(libc::EPERM) => not_permitted(what),
                    _ => LoadError::Failed { what, reason: with_remedy(in_one_line(error)) },
                }
            }
        }
    }
}

/// A reason with what to do about it, where that is known. aya looks for tracepoints in the tracing file system.
fn with_remedy(reason: String) -> String {
    if reason.contains("tracefs not found") {
        format!("{reason}; mount it with `mount -t tracefs tracefs /sys/kernel/tracing`")
    } else {
        reason
    }
}

/// Finds the system error at the bottom of a chain of errors.
fn system_error<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a io::Error> {
    let mut error = Some(error);
    while let Some(current) = error {
        if let Some(io) = current.downcast_ref::<io::Error>() {
            return Some(io);
        }
        error = current.source();
    }
    None
}

/// The chain of errors in one line.
fn in_one_line(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text.lines().next().unwrap_or_default().to_owned()
}

fn not_permitted(what: String) -> LoadError {
    let hint = std::fs::read_to_string("/sys/kernel/security/lockdown")
        .ok()
        .filter(|text| text.contains("[confidentiality]"))
        .map_or_else(
            || "a container may withhold them".to_owned(),
            |_| {
                "the kernel is locked down to confidentiality, which forbids reading kernel memory".to_owned()
            },
        );
    LoadError::NotPermitted { what, hint }
}

/// What the kernel says to the maps.
pub(super) fn describe_object(error: &EbpfError) -> LoadError {
    let what = "creating the eBPF maps".to_owned();
    match system_error(error) {
        Some(io) if io.raw_os_error() == Some(libc::EPERM) => not_permitted(what),
        // A map type that the kernel does not know; the ring buffer is the newest of ours.
        Some(io) if io.raw_os_error() == Some(libc::EINVAL) => LoadError::Failed {
            what,
            reason: format!("{}; Linux 5.8 or newer is needed", in_one_line(error)),
        },
        _ => LoadError::Failed { what, reason: in_one_line(error) },
    }
}

/// The verifier's last word on a program: what it says after the last instruction that it looked at. Behind that come
/// statistics, which differ from kernel to kernel.
fn verifiers_reason(log: &str) -> Option<&str> {
    let is_instruction = |line: &str| {
        let number = line.split_once(": (").map_or("", |(number, _)| number);
        !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
    };
    let is_statistic =
        |line: &str| ["processed ", "verification time ", "stack depth "].iter().any(|s| line.starts_with(s));
    let lines: Vec<&str> = log.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let from = lines.iter().rposition(|line| is_instruction(line)).map_or(0, |last| last + 1);
    lines.into_iter().skip(from).find(|line| !is_statistic(line))
}

#[cfg(test)]
mod tests {
    use super::verifiers_reason;

    #[test]
    fn the_reason_stands_after_the_last_instruction() {
        let log = "0: R1=ctx() R10=fp0\n; int x @ a.rs:1\n4: (79) r2 = *(u64 *)(r1 +16)   ; R2=ptr_task_struct()\n\
                   5: (61) r1 = *(u32 *)(r2 +3)\naccess beyond the end of member tgid\n\
                   verification time 12 usec\nstack depth 120+0\ninsns processed 28\nprocessed 6 insns (limit 1000000)\n";
        assert_eq!(verifiers_reason(log), Some("access beyond the end of member tgid"));
        assert_eq!(verifiers_reason("unknown opcode 8d\nprocessed 0 insns\n"), Some("unknown opcode 8d"));
        assert_eq!(verifiers_reason("processed 0 insns\n"), None);
        assert_eq!(verifiers_reason(""), None);
    }
}
