/// `/proc/PID/stat`, see `proc_pid_stat(5)`; the fields that tell who a process is and what it costs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stat {
    /// The thread or process id, as seen from the pid namespace of the `/proc` mount.
    pub pid: u32,
    /// The kernel's name of it, in whatever bytes its owner chose.
    pub comm: Vec<u8>,
    /// One letter: `R`, `S`, `D`, `Z`, `T`, `t`, `X`, `I`.
    pub state: char,
    /// Pid of the parent, 0 when it is outside the pid namespace.
    pub ppid: u32,
    /// Process group id.
    pub pgrp: u32,
    /// Session id.
    pub session: u32,
    /// Controlling terminal as an encoded device number, 0 without one; see [`super::tty_name`].
    pub tty_nr: u32,
    /// `PF_*` flags of the kernel.
    pub flags: u64,
    /// Time in user mode, clock ticks.
    pub utime_ticks: u64,
    /// Time in kernel mode, clock ticks.
    pub stime_ticks: u64,
    /// Number of threads.
    pub threads: u32,
    /// Start after boot, clock ticks (field 22).
    pub start_ticks: u64,
    /// Virtual memory, bytes.
    pub vsize: u64,
    /// Resident memory, pages.
    pub rss_pages: i64,
    /// Of a zombie, what its parent will be told, as wait(2) has it (field 52); 0 as well where that may not be read.
    pub exit_code: u32,
}

/// `PF_KTHREAD` of `include/linux/sched.h`.
const PF_KTHREAD: u64 = 0x0020_0000;

impl Stat {
    /// Reads the one line of the file. The name stands in parentheses, is not escaped and may hold spaces, line breaks
    /// and parentheses itself, so it ends at the last `)`: what follows is numbers only.
    pub fn parse(text: &[u8]) -> Option<Stat> {
        let open = text.iter().position(|&b| b == b'(')?;
        let close = text.iter().rposition(|&b| b == b')')?;
        let comm = text.get(open + 1..close)?.to_vec();
        let pid = std::str::from_utf8(text.get(..open)?).ok()?.trim().parse().ok()?;
        let rest = std::str::from_utf8(text.get(close + 1..)?).ok()?;
        // The first field after the name is number 3, the state.
        let mut fields = Fields(rest.split_ascii_whitespace());
        let mut state = fields.0.next()?.chars();
        let stat = Stat {
            pid,
            comm,
            state: state.next()?,
            ppid: fields.next()?,
            pgrp: fields.next()?,
            session: fields.next()?,
            // Printed with `%d`; every major number above 2047 makes it negative.
            tty_nr: fields.next::<i32>()?.cast_unsigned(),
            flags: fields.nth(1)?,
            utime_ticks: fields.nth(4)?,
            stime_ticks: fields.next()?,
            threads: fields.nth(4)?,
            start_ticks: fields.nth(1)?,
            vsize: fields.next()?,
            rss_pages: fields.next()?,
            exit_code: fields.nth(27).unwrap_or(0),
        };
        state.next().is_none().then_some(stat)
    }

    /// True for a thread of the kernel, which no signal ends.
    pub fn is_kernel_thread(&self) -> bool {
        self.flags & PF_KTHREAD != 0
    }
}

/// The numbers after the name.
struct Fields<'a>(std::str::SplitAsciiWhitespace<'a>);

impl Fields<'_> {
    fn next<T: std::str::FromStr>(&mut self) -> Option<T> {
        self.nth(0)
    }

    /// Leaves out `skip` fields and reads the one after them.
    fn nth<T: std::str::FromStr>(&mut self, skip: usize) -> Option<T> {
        self.0.nth(skip)?.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TAIL: &str = "S 1 20 30 34816 20 4194560 7 8 9 10 11 12 13 14 20 0 3 0 987654 4096000 250 1844 1 1 0 0 0 0 0 \
                        0 0 0 0 0 17 1 0 0 0 0 0 0 0 0 0 0 0 0 137";

    #[test]
    fn fields_stand_where_the_manual_says() {
        let stat = Stat::parse(format!("42 (sh) {TAIL}\n").as_bytes()).unwrap();
        let expected = Stat {
            pid: 42,
            comm: b"sh".to_vec(),
            state: 'S',
            ppid: 1,
            pgrp: 20,
            session: 30,
            tty_nr: 34816,
            flags: 4_194_560,
            utime_ticks: 11,
            stime_ticks: 12,
            threads: 3,
            start_ticks: 987_654,
            vsize: 4_096_000,
            rss_pages: 250,
            exit_code: 137,
        };
        assert_eq!(stat, expected);
    }

    #[test]
    fn reads_itself() {
        let stat = Stat::parse(&std::fs::read("/proc/self/stat").unwrap()).unwrap();
        assert_eq!(stat.pid, std::process::id());
        assert_eq!(stat.ppid, std::os::unix::process::parent_id());
        assert!(!stat.is_kernel_thread());
    }

    proptest! {
        #[test]
        fn any_name_is_kept(comm in prop::collection::vec(any::<u8>(), 0..16)) {
            let mut text = b"7 (".to_vec();
            text.extend_from_slice(&comm);
            text.extend_from_slice(format!(") {TAIL}\n").as_bytes());
            let stat = Stat::parse(&text).unwrap();
            prop_assert_eq!(stat.comm, comm);
            prop_assert_eq!(stat.start_ticks, 987_654);
        }

        #[test]
        fn any_bytes_are_refused_or_read(text in prop::collection::vec(any::<u8>(), 0..256)) {
            let _ = Stat::parse(&text);
        }

        #[test]
        fn a_cut_line_never_yields_a_start(cut in 0..70_usize) {
            let text = format!("42 (sh) {TAIL}\n");
            let start = text.find("987654").unwrap();
            prop_assert_eq!(Stat::parse(text.get(..cut.min(start)).unwrap().as_bytes()), None);
        }
    }
}
