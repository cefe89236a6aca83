use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ffi::CStr;

use forensics_incident::model::{Missing, Process};
use forensics_incident::text::shell_join;
use rustix::io::Errno;

use super::cgroup::{cgroup_path, container_id};
use super::cmdline::{CMDLINE_CAP, Cmdline};
use super::dir::{ProcDir, ProcError};
use super::stat::Stat;
use super::status::Status;
use super::time::boot_ns_of_ticks;
use super::tty::tty_name;

/// How many ancestors are read, as many as the kernel programs record.
pub const ANCESTORS_MAX: usize = 16;

/// More than `status` holds with the 65,536 supplementary groups that Linux allows.
const STATUS_CAP: usize = 1 << 20;
/// `PATH_MAX` for each of a dozen hierarchies.
const CGROUP_CAP: usize = 64 << 10;
/// Login uid of a process that nobody logged in for.
const LOGINUID_UNSET: u32 = u32::MAX;

/// The whole identity of a process, ancestors included, as far as it may be read. `unit` and `slice` are left to
/// those who know managers; `start_boot_ns` has the resolution of a clock tick,
/// compare with [`super::same_start`]. Command lines are as they stand, secrets included.
///
/// Reading a command line waits for the process's memory lock, as `ps` does, and so can last while the process is
/// in the kernel with it (a page fault on a dead file server): call it where a pause harms nobody, or under a deadline.
///
/// # Errors
/// [`ProcError::NotFound`] when it does not exist or ends meanwhile, [`ProcError::Thread`] for a thread that does not
/// lead its group, [`ProcError::Io`] when even `stat` or `status` cannot be read.
pub fn read_process(pid: u32) -> Result<Process, ProcError> {
    read_process_noting(pid, &mut Vec::new())
}

/// As [`read_process`], and lists in `missing` which fields of the process itself could not be read, and why.
///
/// # Errors
/// As [`read_process`].
pub fn read_process_noting(pid: u32, missing: &mut Vec<Missing>) -> Result<Process, ProcError> {
    read(pid, &mut Forebears::default(), missing)
}

/// Processes that others descend from, so that what many have in common is read once. They are as they were when they
/// were read first: for the length of one scan.
#[derive(Debug, Default)]
pub struct Forebears {
    /// Each with its start in clock ticks.
    read: HashMap<u32, (Process, u64)>,
}

/// As [`read_process`], with ancestors that may have been read for another process before.
///
/// # Errors
/// As [`read_process`].
pub fn read_process_among(pid: u32, forebears: &mut Forebears) -> Result<Process, ProcError> {
    read(pid, forebears, &mut Vec::new())
}

/// As [`read_process`], without the ancestors.
///
/// # Errors
/// As [`read_process`].
pub fn read_process_alone(pid: u32) -> Result<Process, ProcError> {
    let mut buffer = Vec::with_capacity(CMDLINE_CAP + 1);
    read_alone(pid, &mut buffer, &mut Vec::new()).map(|(process, _)| process)
}

fn read(pid: u32, forebears: &mut Forebears, missing: &mut Vec<Missing>) -> Result<Process, ProcError> {
    let mut buffer = Vec::with_capacity(CMDLINE_CAP + 1);
    let (mut process, mut start_ticks) = read_alone(pid, &mut buffer, missing)?;
    let mut ppid = process.ppid;
    while let Some(parent_pid) = ppid.filter(|_| process.ancestors.len() < ANCESTORS_MAX) {
        let (parent, parent_ticks) = match forebears.read.entry(parent_pid) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => match read_alone(parent_pid, &mut buffer, &mut Vec::new()) {
                Ok(parent) => new.insert(parent),
                Err(_) => break,
            },
        };
        // Younger than its child: the parent ended meanwhile and somebody else got its pid.
        if *parent_ticks > start_ticks {
            break;
        }
        (ppid, start_ticks) = (parent.ppid, *parent_ticks);
        process.ancestors.push(parent.clone());
    }
    Ok(process)
}

/// A process without its ancestors, and its start in clock ticks.
fn read_alone(
    pid: u32,
    buffer: &mut Vec<u8>,
    missing: &mut Vec<Missing>,
) -> Result<(Process, u64), ProcError> {
    let dir = ProcDir::open(pid)?;
    let error = |file| move |errno| ProcError::from_errno(pid, file, errno);
    dir.read(c"stat", buffer, CMDLINE_CAP).map_err(error("stat"))?;
    let stat = Stat::parse(buffer).ok_or(ProcError::Malformed { pid, file: "stat" })?;
    dir.read(c"status", buffer, STATUS_CAP).map_err(error("status"))?;
    let status = Status::parse(buffer);
    if let Some(tgid) = status.tgid.filter(|&tgid| tgid != pid) {
        return Err(ProcError::Thread { tid: pid, tgid });
    }

    let mut reader = Reader { dir: &dir, buffer, missing };
    let loginuid = reader.read("loginuid", c"loginuid", 64).and_then(|(bytes, _)| login_uid(bytes));
    let places = reader.read("cgroup", c"cgroup", CGROUP_CAP);
    let (cgroup, container_id) =
        places.map_or((None, None), |(bytes, _)| (cgroup_path(bytes), container_id(bytes)));
    let exe = reader.exe();
    let cmdline = reader.cmdline(status.waits());
    let cmdline = cmdline.filter(|cmdline| !cmdline.argv.is_empty());

    let process = Process {
        pid,
        tid: None,
        ppid: Some(stat.ppid).filter(|&ppid| ppid != 0),
        pgid: Some(stat.pgrp).filter(|&pgrp| pgrp != 0),
        start_boot_ns: boot_ns_of_ticks(stat.start_ticks),
        name: String::from_utf8_lossy(&stat.comm).into_owned(),
        exe,
        cmdline: cmdline.as_ref().map(|cmdline| shell_join(&cmdline.argv)),
        cmdline_truncated: cmdline.as_ref().and_then(|cmdline| cmdline.truncated.then_some(true)),
        argv: cmdline.map(|cmdline| cmdline.argv),
        uid: status.uid,
        euid: status.euid,
        loginuid,
        session: Some(stat.session).filter(|&session| session != 0),
        tty: tty_name(stat.tty_nr),
        cgroup,
        unit: None,
        slice: None,
        container_id,
        container_name: None,
        ns_pid: status.ns_pid,
        ancestors: Vec::new(),
    };
    Ok((process, stat.start_ticks))
}

fn login_uid(bytes: &[u8]) -> Option<u32> {
    std::str::from_utf8(bytes).ok()?.trim().parse().ok().filter(|&uid| uid != LOGINUID_UNSET)
}

/// Reads what may fail one by one.
struct Reader<'a> {
    dir: &'a ProcDir,
    buffer: &'a mut Vec<u8>,
    missing: &'a mut Vec<Missing>,
}

impl Reader<'_> {
    fn cmdline(&mut self, waits: bool) -> Option<Cmdline> {
        let read = self.dir.read_memory(c"cmdline", self.buffer, CMDLINE_CAP, waits);
        self.keep("argv", c"cmdline", read).map(|(bytes, cut)| Cmdline::parse(bytes, cut))
    }

    fn read(&mut self, field: &str, file: &CStr, cap: usize) -> Option<(&[u8], bool)> {
        let read = self.dir.read(file, self.buffer, cap);
        self.keep(field, file, read)
    }

    /// What was read, and a note of why it was not.
    fn keep(&mut self, field: &str, file: &CStr, read: Result<bool, Errno>) -> Option<(&[u8], bool)> {
        match read {
            Ok(more) => Some((self.buffer.as_slice(), more)),
            // The file does not exist in every kernel (loginuid needs auditing); the process may be a zombie.
            Err(Errno::NOENT | Errno::SRCH) => None,
            Err(errno) => self.note(field, file, errno),
        }
    }

    fn exe(&mut self) -> Option<String> {
        match self.dir.link(c"exe") {
            Ok(path) => Some(String::from_utf8_lossy(&path).into_owned()),
            // Kernel threads and zombies have none.
            Err(Errno::NOENT | Errno::SRCH) => None,
            Err(errno) => self.note("exe", c"exe", errno),
        }
    }

    fn note<T>(&mut self, field: &str, file: &CStr, errno: Errno) -> Option<T> {
        let path = format!("/proc/{}/{}", self.dir.pid(), file.to_string_lossy());
        self.missing.push(Missing { field: field.to_owned(), why: format!("cannot read {path}: {errno}") });
        None
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::os::unix::ffi::OsStrExt as _;
    use std::os::unix::process::CommandExt as _;
    use std::process::{Child, Command, Stdio};

    use super::*;

    /// A child that is killed and reaped at the end of its test.
    struct Victim(Child);

    impl Victim {
        /// Starts the command, which prints a line when it is ready.
        fn start(command: &mut Command) -> Victim {
            let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
            let mut byte = [0];
            child.stdout.as_mut().unwrap().read_exact(&mut byte).unwrap();
            Victim(child)
        }
    }

    impl Drop for Victim {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    fn is_root() -> bool {
        rustix::process::geteuid().is_root()
    }

    #[test]
    fn a_child_is_read_whole() {
        let mut command = Command::new("sh");
        let victim = Victim::start(command.args(["-c", "echo; read _", "it's me", ""]));
        let mut missing = Vec::new();
        let process = read_process_noting(victim.0.id(), &mut missing).unwrap();
        assert_eq!(missing, []);
        assert_eq!(process.pid, victim.0.id());
        assert_eq!(process.ppid, Some(std::process::id()));
        assert_eq!(process.name, "sh");
        assert_eq!(process.args(), ["sh", "-c", "echo; read _", "it's me", ""]);
        assert_eq!(process.cmdline.as_deref(), Some("sh -c 'echo; read _' 'it'\\''s me' ''"));
        assert_eq!(process.cmdline_truncated, None);
        assert_eq!(process.uid, Some(rustix::process::getuid().as_raw()));
        assert!(process.exe.is_some() && process.cgroup.is_some() && process.pgid.is_some());
        let parent = process.parent().unwrap();
        assert_eq!(parent.pid, std::process::id());
        assert!(parent.start_boot_ns <= process.start_boot_ns);
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let started = process.start_boot_ns / 1_000_000_000;
        assert!((0..5).contains(&(now.tv_sec.cast_unsigned() - started)), "started {started}, now {now:?}");
    }

    #[test]
    fn a_long_command_line_loses_its_tail_only() {
        let mut command = Command::new("sh");
        let victim = Victim::start(command.args(["-c", "echo; read _", "x", &"é".repeat(50_000)]));
        let process = read_process(victim.0.id()).unwrap();
        assert_eq!(process.cmdline_truncated, Some(true));
        let bytes: usize = process.args().iter().map(|a| a.len() + 1).sum();
        assert!((CMDLINE_CAP - 1..=CMDLINE_CAP + 3).contains(&bytes), "{bytes}");
    }

    #[test]
    fn names_and_arguments_of_any_bytes() {
        let mut command = Command::new("sh");
        command.arg0(std::ffi::OsStr::from_bytes(b"\xff) R 1 (x\n"));
        let victim =
            Victim::start(command.arg("-c").arg("printf '\\377) R 1 (' > /proc/$$/comm; echo; read _"));
        let process = read_process(victim.0.id()).unwrap();
        assert_eq!(process.name, "\u{fffd}) R 1 (");
        assert_eq!(process.args().first().map(String::as_str), Some("\u{fffd}) R 1 (x\n"));
        assert_eq!(process.ppid, Some(std::process::id()));
    }

    #[test]
    fn a_zombie_keeps_its_name() {
        let mut child = Command::new("true").spawn().unwrap();
        let stat = || Stat::parse(&std::fs::read(format!("/proc/{}/stat", child.id())).unwrap()).unwrap();
        while stat().state != 'Z' {
            std::thread::yield_now();
        }
        let process = read_process(child.id()).unwrap();
        assert_eq!(process.name, "true");
        assert_eq!((process.argv, process.exe), (None, None));
        child.wait().unwrap();
        assert_eq!(read_process(child.id()), Err(ProcError::NotFound { pid: child.id() }));
    }

    #[test]
    fn a_thread_is_not_a_process() {
        let (tid, stop) = (std::sync::mpsc::channel(), std::sync::mpsc::channel::<()>());
        let thread = std::thread::spawn(move || {
            tid.0.send(rustix::thread::gettid().as_raw_nonzero().get().cast_unsigned()).unwrap();
            let _ = stop.1.recv();
        });
        let id = tid.1.recv().unwrap();
        assert_eq!(read_process(id), Err(ProcError::Thread { tid: id, tgid: std::process::id() }));
        drop(stop.0);
        thread.join().unwrap();
    }

    #[test]
    fn the_inner_pid_of_a_nested_namespace() {
        if !is_root() {
            eprintln!("SKIPPED: making a pid namespace needs root");
            return;
        }
        let mut command = Command::new("unshare");
        let victim = Victim::start(command.args(["-fp", "--kill-child", "sh", "-c", "echo; read _"]));
        let inner = list_children(victim.0.id());
        let process = read_process(*inner.first().unwrap()).unwrap();
        assert_eq!(process.ns_pid, Some(1));
        assert_eq!(process.parent().unwrap().pid, victim.0.id());
    }

    fn list_children(pid: u32) -> Vec<u32> {
        let of = |child: &u32| read_process(*child).is_ok_and(|process| process.ppid == Some(pid));
        super::super::list_pids().unwrap().into_iter().filter(of).collect()
    }
}
