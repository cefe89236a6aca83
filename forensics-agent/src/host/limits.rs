//! Resource limits of a process: `/proc/PID/limits`, which a zombie still has.

use forensics_incident::model::{Limit, Limits};

use super::proc::ProcDir;

/// More than the file ever holds: sixteen lines of 79 characters.
const CAP: usize = 4096;

/// Reads them; `at_the_signal` is the caller's to say. None when there is no such process any more.
pub fn read(pid: u32, at_the_signal: bool) -> Option<Limits> {
    let mut buffer = Vec::new();
    ProcDir::open(pid).ok()?.read(c"limits", &mut buffer, CAP).ok()?;
    parse(&String::from_utf8_lossy(&buffer), at_the_signal)
}

/// Names and columns of `fs/proc/base.c` `proc_pid_limits()`.
fn parse(text: &str, at_the_signal: bool) -> Option<Limits> {
    let limit = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        let mut columns = line.split_ascii_whitespace().map(|word| word.parse().ok());
        Some(Limit { soft: columns.next()?, hard: columns.next()? })
    };
    Some(Limits {
        at_the_signal,
        cpu: limit("Max cpu time")?,
        rttime: limit("Max realtime timeout")?,
        fsize: limit("Max file size")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns() {
        let text = "Limit                     Soft Limit           Hard Limit           Units     \n\
                    Max cpu time              1                    2                    seconds   \n\
                    Max file size             unlimited            unlimited            bytes     \n\
                    Max realtime timeout      200000               unlimited            us        \n";
        let limits = parse(text, true).unwrap();
        assert_eq!(limits.cpu, Limit { soft: Some(1), hard: Some(2) });
        assert_eq!(limits.fsize, Limit::default());
        assert_eq!(limits.rttime, Limit { soft: Some(200_000), hard: None });
        assert_eq!(parse("", false), None);
    }
}
