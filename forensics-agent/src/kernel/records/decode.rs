//! From bytes to records.

use forensics_common::{
    CgroupEvent, CgroupRecord, ExecEntry, ExecRecord, ExitRecord, ForkRecord, Header, Kind, MAX_ANCESTORS,
    MAX_CGROUP_PATH, MAX_CGROUP_PATH_TEXT, MAX_CMDLINE, MAX_EXIT_FRAMES, MAX_FRAMES, MAX_LEDGER_CMDLINE,
    MAX_LEDGER_PATH, MAX_MESSAGE, MAX_SOCKET_PATH, RequestRecord, SignalRecord, Stream, TaskKey, exec_flags,
    request_flags, signal_flags,
};
use forensics_incident::model::ProcessKey;

use super::{
    CgroupChange, CommandLine, ExecEvent, ExitEvent, ForkEvent, Position, Program, Record, RequestEvent,
    SignalEvent,
};

/// Why bytes are no record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Fewer bytes than the kind needs, or than the header says.
    #[error("a kernel record of {len} bytes is too short")]
    Truncated {
        /// Bytes that there are.
        len: usize,
    },
    /// A kind that this agent does not know.
    #[error("a kernel record is of the unknown kind {0}")]
    UnknownKind(u32),
    /// Something happened to a cgroup that this agent does not know.
    #[error("a kernel record is of the unknown event {0} of cgroups")]
    UnknownEvent(u32),
    /// A count or length that exceeds its array.
    #[error("a kernel record says that its {field} has {value} entries, more than fit")]
    OutOfRange {
        /// Which.
        field: &'static str,
        /// What it says.
        value: u32,
    },
}

/// Decodes one record.
///
/// # Errors
///
/// The bytes are no record of this version.
pub fn decode(bytes: &[u8]) -> Result<(Position, Record), DecodeError> {
    let header: Header = prefix(bytes, size_of::<Header>())?;
    if header.len as usize > bytes.len() || header.stream >= Stream::COUNT {
        return Err(DecodeError::Truncated { len: bytes.len() });
    }
    let Header { cpu, stream, seq, boot_ns, .. } = header;
    let position = Position { cpu, stream, seq, boot_ns };
    let kind = Kind::try_from(header.kind).map_err(|unknown| DecodeError::UnknownKind(unknown.0))?;
    let record = match kind {
        Kind::Signal => Record::Signal(Box::new(signal(bytes)?)),
        Kind::Exit => Record::Exit(exit(bytes)?),
        Kind::Fork => Record::Fork(fork(bytes)?),
        Kind::Exec => Record::Exec(exec(bytes)?),
        Kind::Request => Record::Request(Box::new(request(bytes)?)),
        Kind::Cgroup => Record::Cgroup(cgroup(bytes)?),
    };
    Ok((position, record))
}

/// Plain data: any bytes are a value of it, and it has no padding.
///
/// # Safety
///
/// `repr(C)`, integers and arrays of integers only.
unsafe trait Plain: Copy {}
// SAFETY: see `forensics_common`, which asserts the sizes.
unsafe impl Plain for Header {}
// SAFETY: as above.
unsafe impl Plain for SignalRecord {}
// SAFETY: as above.
unsafe impl Plain for ExitRecord {}
// SAFETY: as above.
unsafe impl Plain for ForkRecord {}
// SAFETY: as above.
unsafe impl Plain for ExecRecord {}
// SAFETY: as above.
unsafe impl Plain for RequestRecord {}
// SAFETY: as above.
unsafe impl Plain for CgroupRecord {}

/// Reads a structure of which at least the first `least` bytes must be there; what is not there is zero.
fn prefix<T: Plain>(bytes: &[u8], least: usize) -> Result<T, DecodeError> {
    if bytes.len() < least {
        return Err(DecodeError::Truncated { len: bytes.len() });
    }
    let mut value = core::mem::MaybeUninit::<T>::zeroed();
    let len = bytes.len().min(size_of::<T>());
    // SAFETY: both regions are `len` bytes long and distinct; zeroes and any bytes are a value of plain data.
    unsafe {
        std::ptr::copy_nonoverlapping(bytes.as_ptr(), value.as_mut_ptr().cast::<u8>(), len);
        Ok(value.assume_init())
    }
}

/// The first `count` elements of an array of a record.
fn taken<'a, T>(field: &'static str, array: &'a [T], count: u32) -> Result<&'a [T], DecodeError> {
    array.get(..count as usize).ok_or(DecodeError::OutOfRange { field, value: count })
}

fn signal(bytes: &[u8]) -> Result<SignalEvent, DecodeError> {
    let head = core::mem::offset_of!(SignalRecord, cmdline);
    let record: SignalRecord = prefix(bytes, head)?;
    let cmdline = taken::<u8>(
        "cmdline",
        record.cmdline.first_chunk::<MAX_CMDLINE>().map_or(&[], |c| c),
        record.cmdline_len,
    )?;
    if bytes.len() < head + cmdline.len() {
        return Err(DecodeError::Truncated { len: bytes.len() });
    }
    let has = |flag| record.flags & flag != 0;
    let cgroup = taken("cgroup path", &record.cgroup_path[..MAX_CGROUP_PATH], record.cgroup_path_len)?;
    Ok(SignalEvent {
        boot_ns: record.header.boot_ns,
        fold: record.fold,
        folded: record.folded,
        siginfo: has(signal_flags::HAVE_SIGINFO).then_some(record.siginfo),
        syscall: has(signal_flags::HAVE_REGS).then_some((record.syscall_nr, record.syscall_args)),
        user_ip: has(signal_flags::HAVE_REGS).then_some(record.user_ip),
        user_sp: has(signal_flags::HAVE_REGS).then_some(record.user_sp),
        trap: has(signal_flags::HAVE_TRAP).then_some((record.trap, record.trap_error)),
        outlet: (record.outlet.kind != 0).then_some(record.outlet),
        target: record.target,
        current: record.current,
        signal: record.signal,
        code: record.code,
        group: record.group != 0,
        result: record.result,
        flags: record.flags,
        ancestors: taken("ancestry", &record.ancestors[..MAX_ANCESTORS], record.ancestor_count)?.to_vec(),
        stack: taken("stack", &record.stack[..MAX_FRAMES], record.frame_count)?.to_vec(),
        cgroup: has(signal_flags::CGROUP_COMPLETE).then(|| inside_out(cgroup)),
        cmdline: (!cmdline.is_empty()).then(|| CommandLine {
            bytes: cmdline.to_vec(),
            truncated: record.cmdline_full_len > record.cmdline_len,
        }),
    })
}

fn exit(bytes: &[u8]) -> Result<ExitEvent, DecodeError> {
    let record: ExitRecord = prefix(bytes, size_of::<ExitRecord>())?;
    Ok(ExitEvent {
        boot_ns: record.header.boot_ns,
        task: record.task,
        signals: (record.signals != u64::MAX).then_some(record.signals),
        wait_status: (record.status_missing == 0).then_some(record.wait_status),
        target_flags: record.target_flags,
        caller: (record.caller.tid != 0).then(|| (record.caller.tid, text(&record.caller.comm))),
        stack: taken("stack", &record.stack[..MAX_EXIT_FRAMES], record.frame_count)?.to_vec(),
    })
}

fn fork(bytes: &[u8]) -> Result<ForkEvent, DecodeError> {
    let record: ForkRecord = prefix(bytes, size_of::<ForkRecord>())?;
    Ok(ForkEvent {
        parent: process_key(record.parent),
        child: process_key(record.child),
        cgroup_id: record.cgroup_id,
        comm: text(&record.comm),
        flags: record.flags,
    })
}

fn cgroup(bytes: &[u8]) -> Result<CgroupChange, DecodeError> {
    let record: CgroupRecord = prefix(bytes, core::mem::offset_of!(CgroupRecord, path))?;
    let path = taken("path", &record.path[..MAX_CGROUP_PATH_TEXT], record.path_len)?;
    // Longer ones fill the record to its end.
    let is_whole = !path.is_empty() && path.len() < MAX_CGROUP_PATH_TEXT;
    Ok(CgroupChange {
        event: CgroupEvent::try_from(record.event).map_err(|unknown| DecodeError::UnknownEvent(unknown.0))?,
        cgroup: record.cgroup,
        process: (record.process.tgid != 0).then(|| process_key(record.process)),
        comm: text(&record.comm),
        flags: record.target_flags,
        path: is_whole.then(|| text(path)),
    })
}

fn exec(bytes: &[u8]) -> Result<ExecEvent, DecodeError> {
    let head = core::mem::offset_of!(ExecRecord, entry) + core::mem::offset_of!(ExecEntry, cmdline);
    let record: ExecRecord = prefix(bytes, head)?;
    if bytes.len() < head + record.entry.cmdline_len as usize {
        return Err(DecodeError::Truncated { len: bytes.len() });
    }
    Ok(ExecEvent {
        process: process_key(record.process),
        target_flags: record.target_flags,
        program: program(&record.entry)?,
    })
}

fn request(bytes: &[u8]) -> Result<RequestEvent, DecodeError> {
    let head = core::mem::offset_of!(RequestRecord, cmdline);
    let record: RequestRecord = prefix(bytes, head)?;
    let cmdline = taken("cmdline", &record.cmdline[..MAX_CMDLINE], record.cmdline_len)?;
    if bytes.len() < head + cmdline.len() {
        return Err(DecodeError::Truncated { len: bytes.len() });
    }
    let has = |flag| record.flags & flag != 0;
    let cgroup = taken("cgroup path", &record.cgroup_path[..MAX_CGROUP_PATH], record.cgroup_path_len)?;
    let socket = taken("socket path", &record.socket_path[..MAX_SOCKET_PATH], record.socket_path_len)?;
    Ok(RequestEvent {
        boot_ns: record.header.boot_ns,
        sender: record.sender,
        listener: (record.listener != 0).then_some(record.listener),
        afterwards: has(request_flags::AFTERWARDS),
        socket: text(socket),
        message: taken("message", &record.message[..MAX_MESSAGE], record.message_len)?.to_vec(),
        ancestors: taken("ancestry", &record.ancestors[..MAX_ANCESTORS], record.ancestor_count)?.to_vec(),
        cgroup: has(request_flags::CGROUP_COMPLETE).then(|| inside_out(cgroup)),
        cmdline: (!cmdline.is_empty()).then(|| CommandLine {
            bytes: cmdline.to_vec(),
            truncated: record.cmdline_full_len > record.cmdline_len,
        }),
    })
}

/// Decodes an entry of the ledger.
///
/// # Errors
///
/// A length exceeds its array.
pub fn program(entry: &ExecEntry) -> Result<Program, DecodeError> {
    let path = taken("path", &entry.path[..MAX_LEDGER_PATH], entry.path_len)?;
    let cmdline = taken("cmdline", &entry.cmdline[..MAX_LEDGER_CMDLINE], entry.cmdline_len)?;
    Ok(Program {
        comm: text(&entry.comm),
        path: (entry.flags & exec_flags::PATH_COMPLETE != 0).then(|| inside_out(path)),
        cmdline: (entry.flags & exec_flags::CMDLINE_FAULT == 0).then(|| CommandLine {
            bytes: cmdline.to_vec(),
            truncated: entry.cmdline_full_len > entry.cmdline_len,
        }),
        uid: entry.uid,
        parent: (entry.parent.tgid != 0).then(|| process_key(entry.parent)),
        cgroup_id: entry.cgroup_id,
        ns_pid: (entry.ns_level > 0).then_some(entry.ns_tgid),
        exec_boot_ns: entry.exec_boot_ns,
    })
}

/// The key in the model's terms.
pub fn process_key(key: TaskKey) -> ProcessKey {
    ProcessKey { pid: key.tgid, start_boot_ns: key.start_boot_ns }
}

/// The key in the kernel's terms.
pub fn task_key(key: ProcessKey) -> TaskKey {
    TaskKey { start_boot_ns: key.start_boot_ns, tgid: key.pid, reserved: 0 }
}

/// A NUL-terminated name of the kernel's.
pub fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(bytes.get(..end).unwrap_or_default()).into_owned()
}

/// A path from its names, innermost first, each NUL-terminated.
fn inside_out(names: &[u8]) -> String {
    let mut path = String::with_capacity(names.len() + 1);
    for name in names.split(|&byte| byte == 0).rev().filter(|name| !name.is_empty()) {
        path.push('/');
        path.push_str(&String::from_utf8_lossy(name));
    }
    if path.is_empty() {
        path.push('/');
    }
    path
}
