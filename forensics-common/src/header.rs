/// What every record in the ring buffer begins with.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Header {
    /// A [`Kind`].
    pub kind: u32,
    /// Bytes of the whole record, this header included.
    pub len: u32,
    /// The CPU that wrote it.
    pub cpu: u32,
    /// The [`Stream`] that `seq` counts in.
    pub stream: u32,
    /// Number of the record in its stream on its CPU, from 1, without gaps unless records were lost.
    pub seq: u64,
    /// `CLOCK_BOOTTIME`, nanoseconds.
    pub boot_ns: u64,
}

const _: () = assert!(size_of::<Header>() == 32);

/// The kinds of record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// [`SignalRecord`](crate::SignalRecord)
    Signal = 1,
    /// [`ExitRecord`](crate::ExitRecord)
    Exit = 2,
    /// [`ForkRecord`](crate::ForkRecord)
    Fork = 3,
    /// [`ExecRecord`](crate::ExecRecord)
    Exec = 4,
    /// [`RequestRecord`](crate::RequestRecord)
    Request = 5,
    /// [`CgroupRecord`](crate::CgroupRecord)
    Cgroup = 6,
}

/// A number that is no [`Kind`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownKind(pub u32);

impl TryFrom<u32> for Kind {
    type Error = UnknownKind;

    fn try_from(value: u32) -> Result<Self, UnknownKind> {
        match value {
            1 => Ok(Self::Signal),
            2 => Ok(Self::Exit),
            3 => Ok(Self::Fork),
            4 => Ok(Self::Exec),
            5 => Ok(Self::Request),
            6 => Ok(Self::Cgroup),
            other => Err(UnknownKind(other)),
        }
    }
}

/// The programs that number their records: one sequence per program and CPU, since `signal_generate`
/// interrupts the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// `signal_generate`
    Signal = 0,
    /// `sched_process_exit`
    Exit = 1,
    /// `sched_process_fork`
    Fork = 2,
    /// `sched_process_exec`
    Exec = 3,
    /// The program that sees requests, whichever it is.
    Request = 4,
    /// `cgroup_mkdir`, `cgroup_rmdir` and `cgroup_attach_task`
    Cgroup = 5,
    /// `signal_generate`, for ends that the program at `sched_process_exit` was skipped for.
    StandIn = 6,
}

impl Stream {
    /// How many there are.
    pub const COUNT: u32 = 7;
}
