//! Loaded BPF programs that can send a signal, and who holds them: when one did, the kernel does not record which.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Error};
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::time::Duration;

use forensics_incident::model::BpfProgram;

use super::deadline::run_within;
use super::proc::list_pids;

/// How long the search may take: it looks at every open file of the machine.
const DEADLINE: Duration = Duration::from_millis(1500);
/// Programs that are looked at, and instructions of each.
const MAX_PROGRAMS: usize = 4096;
const MAX_INSTRUCTIONS: u32 = 1 << 20;

/// Commands of bpf(2), `enum bpf_cmd` of `include/uapi/linux/bpf.h`.
const BPF_PROG_GET_NEXT_ID: i32 = 11;
const BPF_PROG_GET_FD_BY_ID: i32 = 13;
const BPF_OBJ_GET_INFO_BY_FD: i32 = 15;

/// The functions of the kernel that send a signal for a program (`kernel/trace/bpf_trace.c`).
const SENDING: [&str; 3] = ["bpf_send_signal", "bpf_send_signal_thread", "bpf_send_signal_task"];

/// The head of `union bpf_attr` for the commands that take an id, or yield the next one.
#[repr(C)]
struct IdAttr {
    id: u32,
    next_id: u32,
    open_flags: u32,
}

/// The same for `BPF_OBJ_GET_INFO_BY_FD`.
#[repr(C)]
struct InfoAttr {
    fd: u32,
    length: u32,
    info: u64,
}

/// The head of `struct bpf_prog_info`.
#[repr(C)]
#[derive(Default)]
struct ProgramInfo {
    kind: u32,
    id: u32,
    tag: [u8; 8],
    jited_length: u32,
    translated_length: u32,
    jited: u64,
    translated: u64,
    load_time: u64,
    created_by_uid: u32,
    maps: u32,
    map_ids: u64,
    name: [u8; 16],
}
const _: () = assert!(size_of::<ProgramInfo>() == 80);

/// The programs that can send a signal, each with the pids of those who hold it open.
///
/// # Errors
/// One sentence that says why it cannot be told.
pub fn that_send_signals() -> Result<Vec<(BpfProgram, Vec<u32>)>, String> {
    run_within(DEADLINE, search)
        .unwrap_or_else(|overdue| Err(format!("the search for BPF programs {overdue}")))
}

/// A tracer leaves when its work is done, and takes its programs along: so they are held first, then it is asked who else
/// holds them, and only then what they do.
fn search() -> Result<Vec<(BpfProgram, Vec<u32>)>, String> {
    let programs = open_all().map_err(|error| format!("the BPF programs cannot be listed: {error}"))?;
    if programs.is_empty() {
        return Ok(Vec::new());
    }
    let mut holders = holders();
    let functions = sending_functions()?;
    let sends = |(id, program): (u32, OwnedFd)| read(id, &program, &functions).ok().flatten();
    let with_holders = |program: BpfProgram| {
        let pids = holders.remove(&program.id).unwrap_or_default();
        (program, pids)
    };
    Ok(programs.into_iter().filter_map(sends).map(with_holders).collect())
}

/// All programs, by id.
fn open_all() -> Result<Vec<(u32, OwnedFd)>, Error> {
    let mut programs = Vec::new();
    let mut id = 0;
    while programs.len() < MAX_PROGRAMS {
        let mut next = IdAttr { id, next_id: 0, open_flags: 0 };
        match bpf(BPF_PROG_GET_NEXT_ID, &mut next) {
            Ok(_) => id = next.next_id,
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => break,
            Err(error) => return Err(error),
        }
        // One that is gone by now was seen too late.
        if let Ok(fd) = bpf(BPF_PROG_GET_FD_BY_ID, &mut IdAttr { id, next_id: 0, open_flags: 0 }) {
            // SAFETY: a new descriptor, which nobody else has.
            programs.push((id, unsafe { OwnedFd::from_raw_fd(fd) }));
        }
    }
    Ok(programs)
}

/// A program, when it calls one of these functions.
fn read(id: u32, program: &OwnedFd, functions: &[u64]) -> Result<Option<BpfProgram>, Error> {
    let size = info(program, &mut ProgramInfo::default())?.translated_length;
    let mut code = vec![[0u8; 8]; (size / 8).min(MAX_INSTRUCTIONS) as usize];
    let length = (code.len() * 8) as u32;
    let mut asked = ProgramInfo {
        translated_length: length,
        translated: code.as_mut_ptr() as u64,
        ..ProgramInfo::default()
    };
    // The kernel writes at most `translated_length` bytes to `code`, which lives until the call returns.
    let ProgramInfo { kind, load_time, name, .. } = *info(program, &mut asked)?;
    if !code.iter().any(|instruction| functions.contains(&called(instruction))) {
        return Ok(None);
    }
    let end = name.iter().position(|&byte| byte == 0).unwrap_or(name.len());
    Ok(Some(BpfProgram {
        id,
        name: String::from_utf8_lossy(name.get(..end).unwrap_or_default()).into_owned(),
        kind: kind_name(kind),
        loaded_boot_ns: load_time,
        holders: Vec::new(),
    }))
}

fn info<'a>(program: &OwnedFd, into: &'a mut ProgramInfo) -> Result<&'a ProgramInfo, Error> {
    let info = &raw mut *into;
    let mut attr = InfoAttr {
        fd: program.as_raw_fd() as u32,
        length: size_of::<ProgramInfo>() as u32,
        info: info as u64,
    };
    bpf(BPF_OBJ_GET_INFO_BY_FD, &mut attr)?;
    Ok(into)
}

/// How far from `__bpf_call_base` the function lies that an instruction calls, as the kernel shows translated programs to
/// those who may know its addresses (`bpf_insn_prepare_dump()`, kernel/bpf/syscall.c); 0 for any other instruction.
fn called(instruction: &[u8; 8]) -> u64 {
    /// `BPF_JMP | BPF_CALL`
    const CALL: u8 = 0x85;
    /// `BPF_PSEUDO_CALL`: a function of the program itself.
    const OWN: u8 = 1;
    let [code, registers, _, _, a, b, c, d] = *instruction;
    if code != CALL || registers >> 4 == OWN {
        return 0;
    }
    i64::from(i32::from_ne_bytes([a, b, c, d])).cast_unsigned()
}

/// How far from `__bpf_call_base` the functions lie that send a signal.
fn sending_functions() -> Result<Vec<u64>, String> {
    let failed = |error: Error| format!("the kernel's symbols cannot be read: {error}");
    let mut symbols = BufReader::with_capacity(64 << 10, File::open("/proc/kallsyms").map_err(failed)?);
    let (mut base, mut functions) = (0u64, Vec::new());
    let mut line = Vec::with_capacity(256);
    // Some 200,000 lines: they are compared as bytes, and none is kept.
    while symbols.read_until(b'\n', &mut line).map_err(failed)? > 0 {
        let mut fields = line.trim_ascii_end().split(|&byte| byte == b' ');
        if let (Some(address), Some(_), Some(name)) = (fields.next(), fields.next(), fields.next()) {
            let is_base = name == b"__bpf_call_base";
            if is_base || SENDING.iter().any(|sending| name == sending.as_bytes()) {
                let address =
                    std::str::from_utf8(address).ok().and_then(|hex| u64::from_str_radix(hex, 16).ok());
                match address.unwrap_or(0) {
                    0 => {}
                    address if is_base => base = address,
                    address => functions.push(address),
                }
            }
        }
        line.clear();
    }
    if base == 0 || functions.is_empty() {
        return Err("the kernel hides the addresses of its symbols".to_owned());
    }
    Ok(functions.into_iter().map(|function| function.wrapping_sub(base)).collect())
}

/// Who has a program or a link to it open, by the id of the program.
fn holders() -> HashMap<u32, Vec<u32>> {
    let mut holders: HashMap<u32, Vec<u32>> = HashMap::new();
    // The agent holds them all just now.
    let own = std::process::id();
    for pid in list_pids().unwrap_or_default().into_iter().filter(|&pid| pid != own) {
        let Ok(files) = std::fs::read_dir(format!("/proc/{pid}/fd")) else { continue };
        for file in files.flatten() {
            // `anon_inode:bpf-prog` and `anon_inode:bpf_link`; to ask what a link leads to is cheaper than to read on.
            let is_bpf = std::fs::read_link(file.path())
                .is_ok_and(|link| link.as_os_str().as_encoded_bytes().starts_with(b"anon_inode:bpf"));
            if !is_bpf {
                continue;
            }
            let path = format!("/proc/{pid}/fdinfo/{}", file.file_name().to_string_lossy());
            let Ok(text) = std::fs::read_to_string(path) else { continue };
            let id = text.lines().find_map(|line| line.strip_prefix("prog_id:")?.trim().parse().ok());
            if let Some(id) = id {
                let pids = holders.entry(id).or_default();
                if !pids.contains(&pid) {
                    pids.push(pid);
                }
            }
        }
    }
    holders
}

/// `enum bpf_prog_type` of `include/uapi/linux/bpf.h`: those that may call the helper, and some that people know.
fn kind_name(kind: u32) -> String {
    match kind {
        2 => "kprobe".to_owned(),
        5 => "tracepoint".to_owned(),
        7 => "perf_event".to_owned(),
        17 => "raw_tracepoint".to_owned(),
        24 => "raw_tracepoint_writable".to_owned(),
        26 => "tracing".to_owned(),
        29 => "lsm".to_owned(),
        31 => "syscall".to_owned(),
        kind => format!("type {kind}"),
    }
}

fn bpf<T>(command: i32, attr: &mut T) -> Result<i32, Error> {
    // SAFETY: the attribute is as long as is said, and what it points to outlives the call.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, &raw mut *attr, size_of::<T>()) };
    if result < 0 { Err(Error::last_os_error()) } else { Ok(result as i32) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_of_functions() {
        let call = |registers: u8, imm: i32| {
            let [a, b, c, d] = imm.to_ne_bytes();
            [0x85, registers, 0, 0, a, b, c, d]
        };
        assert_eq!(called(&call(0, 4096)), 4096);
        assert_eq!(called(&call(0, -4096)), (-4096i64).cast_unsigned());
        assert_eq!(called(&call(0x20, 7)), 7, "a function of the kernel by its type");
        assert_eq!(called(&call(0x10, 7)), 0, "one of its own");
        assert_eq!(called(&[0xb7, 0, 0, 0, 7, 0, 0, 0]), 0);
    }

    /// The agent's own programs, and those of this machine's tools, send none.
    #[test]
    fn the_search_ends() {
        match that_send_signals() {
            Ok(found) => assert!(found.iter().all(|(program, _)| program.id > 0)),
            Err(why) => assert!(!why.is_empty()),
        }
    }
}
