use forensics_incident::model::ProcessKey;

use super::dir::ProcDir;
use super::stat::Stat;
use super::time::boot_ns_of_ticks;

/// More than `/proc/PID/stat` ever holds.
const STAT_CAP: usize = 4096;

/// The key of a process that is alive now, its start in ticks; None when there is none, or only what is left of one until its
/// parent has waited for it. Waits for nothing that the process does.
pub fn read_key(pid: u32) -> Option<ProcessKey> {
    let stat = stat(pid)?;
    let is_alive = !matches!(stat.state, 'Z' | 'X');
    is_alive.then(|| key(pid, &stat))
}

/// True when this very process is alive now, and no other one has its pid.
pub fn is_alive(process: ProcessKey) -> bool {
    read_key(process.pid).is_some_and(|now| now.is(process))
}

/// What is left of a process that has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remains {
    /// Nothing: its parent has waited for it, or its pid is another one's by now.
    Nothing,
    /// What its parent has not asked for yet, as wait(2) has it; none where that may not be read, or where it exited with 0.
    Zombie(Option<u32>),
}

/// What is left of a process; none while a thread of it is alive. A process whose first thread alone has ended looks like a
/// zombie, but has more threads.
pub fn remains(process: ProcessKey) -> Option<Remains> {
    let Some(stat) = stat(process.pid).filter(|stat| key(process.pid, stat).is(process)) else {
        return Some(Remains::Nothing);
    };
    let has_ended = matches!(stat.state, 'Z' | 'X') && stat.threads <= 1;
    has_ended.then(|| Remains::Zombie(Some(stat.exit_code).filter(|code| *code != 0)))
}

/// True when nobody else has the pid of this process: it has it itself, be it as a zombie, or no process and no thread does.
pub fn is_alone_with_pid(process: ProcessKey) -> bool {
    match stat(process.pid) {
        Some(stat) => process.start_boot_ns != 0 && key(process.pid, &stat).is(process),
        None => !super::exists(process.pid),
    }
}

/// The state of a process, one letter as ps(1) has it; None when there is no such process.
pub fn state(pid: u32) -> Option<char> {
    stat(pid).map(|stat| stat.state)
}

fn key(pid: u32, stat: &Stat) -> ProcessKey {
    ProcessKey { pid, start_boot_ns: boot_ns_of_ticks(stat.start_ticks) }
}

fn stat(pid: u32) -> Option<Stat> {
    let mut buffer = Vec::new();
    ProcDir::open(pid).ok()?.read(c"stat", &mut buffer, STAT_CAP).ok()?;
    Stat::parse(&buffer)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEN_S: u64 = 10_000_000_000;

    #[test]
    fn alive_and_not() {
        let own = std::process::id();
        assert_eq!(read_key(own).map(|key| key.pid), Some(own));
        assert_eq!(read_key(own), read_key(own));
        let key = read_key(own).expect("this process");
        let another = ProcessKey { start_boot_ns: key.start_boot_ns + 5_000_000_000, ..key };
        assert!(is_alive(key) && !is_alive(another));
        assert!(is_alone_with_pid(key) && !is_alone_with_pid(another));
        assert!(!is_alone_with_pid(ProcessKey { start_boot_ns: 0, ..key }), "it may be another one");
        let mut child = std::process::Command::new("true").spawn().expect("a child");
        let born = stat(child.id()).map(|stat| super::key(child.id(), &stat)).expect("a process or a zombie");
        let is_gone = || read_key(child.id()).is_none();
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
        while !is_gone() && std::time::Instant::now() < deadline {
            std::thread::yield_now();
        }
        assert!(is_gone(), "a zombie is not alive");
        assert!(is_alone_with_pid(born), "a zombie keeps its pid");
        child.wait().expect("a child of ours");
        assert!(is_alone_with_pid(born), "nobody has the pid");
    }

    #[test]
    fn what_is_left() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().expect("a child");
        let born = read_key(child.id()).expect("a process");
        assert_eq!(remains(born), None, "it is alive");
        let another = ProcessKey { start_boot_ns: born.start_boot_ns - TEN_S, ..born };
        assert_eq!(remains(another), Some(Remains::Nothing), "its pid is another one's");
        child.kill().expect("a child of ours");
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
        while remains(born).is_none() && std::time::Instant::now() < deadline {
            std::thread::yield_now();
        }
        // Elsewhere the kernel says 0.
        let is_root = rustix::process::getuid().is_root();
        let status = remains(born).map(|remains| matches!(remains, Remains::Zombie(Some(9))));
        assert!(status == Some(true) || !is_root, "{:?}", remains(born));
        child.wait().expect("a child of ours");
        assert_eq!(remains(born), Some(Remains::Nothing));
    }
}
