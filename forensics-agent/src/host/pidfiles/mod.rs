//! Where a sender may have had a pid from: pidfiles that its command line or its script names, and those in `/run`.
//!
//! Whoever sends a signal may be hostile to root, and chooses these names. So files are opened through the root of the
//! sender's line without following links, must be plain files of the sender, the target or root, and are read by a
//! helper with a deadline. Of what they hold, only a number is kept.

mod read;
mod words;

use std::time::{Duration, Instant};

use forensics_incident::model::Process;

use super::deadline::run_within;
use super::markers::open_root;
use super::proc::{ProcDir, Stat, same_start};
use read::Place;

/// How long looking for pidfiles may take.
const DEADLINE: Duration = Duration::from_millis(100);
/// How long what was found in `/run` is not looked for again: a flood of signals must not read it each time.
const KNOWN_FOR: Duration = Duration::from_secs(1);
/// The sender, and those that it descends from, whose command lines are looked at.
const MAX_LINE: usize = 5;

/// A pidfile that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// Where, as its reader sees it.
    pub path: String,
    /// The number on its first line.
    pub pid: u32,
    /// Unix time of its last change, seconds.
    pub modified: f64,
    /// The user id that it belongs to, when that was not looked at yet.
    owner: Option<u32>,
}

/// A pidfile that somebody names.
#[derive(Debug, Clone, PartialEq)]
pub struct Named {
    /// The file.
    pub file: Found,
    /// Pid of who names it.
    pub by: u32,
    /// The script in which it stands, when that is not the command line.
    pub script: Option<String>,
}

/// What was found, and what was looked for.
#[derive(Debug, Default)]
pub struct Pidfiles {
    known: Option<(Instant, Vec<Found>)>,
}

impl Pidfiles {
    /// The pidfiles that the sender, or one that it descends from, names, and that can be read now. `owners` are the
    /// users whose files count.
    pub fn named(&self, sender: &Process, owners: &[u32]) -> Vec<Named> {
        let line: Vec<Process> = std::iter::once(sender)
            .chain(&sender.ancestors)
            .take(MAX_LINE)
            .take_while(|process| !process.is_service_manager())
            .map(|process| Process { ancestors: Vec::new(), ..process.clone() })
            .collect();
        let names_any = |process: &Process| {
            !words::in_arguments(process.args()).is_empty() || words::script_of(process.args()).is_some()
        };
        if !line.iter().any(names_any) {
            return Vec::new();
        }
        let (owners, is_outside) =
            (owners.to_vec(), sender.ns_pid.is_none() && sender.container_id.is_none());
        run_within(DEADLINE, move || look(&line, &owners, is_outside)).unwrap_or_default()
    }

    /// The pidfiles in `/run` that hold a number and belong to one of `owners`.
    pub fn known(&mut self, number: u32, owners: &[u32]) -> Vec<Found> {
        let is_recent = |(at, _): &(Instant, Vec<Found>)| at.elapsed() < KNOWN_FOR;
        if !self.known.as_ref().is_some_and(is_recent) {
            let found = run_within(DEADLINE, read::in_run).unwrap_or_default();
            self.known = Some((Instant::now(), found));
        }
        let counts =
            |file: &&Found| file.pid == number && file.owner.is_none_or(|owner| owners.contains(&owner));
        self.known.iter().flat_map(|(_, found)| found).filter(counts).cloned().collect()
    }
}

fn look(line: &[Process], owners: &[u32], is_outside: bool) -> Vec<Named> {
    let mut found = Vec::new();
    for (at, process) in line.iter().enumerate() {
        // Who has ended sees nothing any more; who runs it sees the same, as a rule.
        let present = line.iter().skip(at).find_map(place_of);
        let own = || read::own_root().ok().filter(|_| is_outside).map(|root| Place { root, cwd: None });
        let Some(place) = present.or_else(own) else { continue };
        let mut read = |name: &str, script: Option<&str>| {
            if let Some(file) = place.pidfile(name, owners) {
                found.push(Named { file, by: process.pid, script: script.map(str::to_owned) });
            }
        };
        for name in words::in_arguments(process.args()) {
            read(&name, None);
        }
        let script = words::script_of(process.args()).and_then(|name| place.script(name, owners));
        for name in script.iter().flat_map(|(_, names)| names) {
            read(name, script.as_ref().map(|(path, _)| path.as_str()));
        }
    }
    found
}

/// Where a process sees files, when it is still there.
fn place_of(process: &Process) -> Option<Place> {
    /// More than `/proc/PID/stat` ever holds.
    const STAT_CAP: usize = 4096;
    let dir = ProcDir::open(process.pid).ok()?;
    let mut buffer = Vec::new();
    dir.read(c"stat", &mut buffer, STAT_CAP).ok()?;
    let is_same =
        Stat::parse(&buffer).is_some_and(|stat| same_start(process.start_boot_ns, stat.start_ticks));
    if !is_same {
        return None;
    }
    let root = open_root(&dir, c"root").ok()?;
    // The path of the root itself, when that is not the agent's: the kernel prints paths as the agent sees them.
    let own = dir.link(c"root").ok()?;
    let cwd = dir.link(c"cwd").ok().and_then(|cwd| match own.as_slice() {
        b"/" => Some(cwd),
        own => cwd.strip_prefix(own).map(|rest| if rest.is_empty() { b"/".to_vec() } else { rest.to_vec() }),
    });
    Some(Place { root, cwd })
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};
    use std::process::{Child, Command, Stdio};

    use super::*;
    use crate::host::proc::read_process;

    struct Dir(PathBuf);

    impl Dir {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("pidfiles-{name}-{}", std::process::id()));
            std::fs::create_dir_all(&path).expect("create");
            Self(path)
        }

        fn write(&self, name: &str, text: &str) -> PathBuf {
            let path = self.0.join(name);
            std::fs::write(&path, text).expect("write");
            path
        }
    }

    impl Drop for Dir {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    /// A shell that waits; killed with the value.
    struct Shell(Child);

    impl Shell {
        fn start(arguments: &[&str], directory: &Path) -> Self {
            let child =
                Command::new("sh").args(arguments).current_dir(directory).stdin(Stdio::piped()).spawn();
            Self(child.expect("sh is there"))
        }

        fn named(&self) -> Vec<(String, Option<String>)> {
            // Until the exec is over it is a copy of this program, or has no arguments yet.
            let process = loop {
                let process = read_process(self.0.id()).expect("it waits");
                if process.name == "sh" && process.args().first().is_some_and(|name| name == "sh") {
                    break process;
                }
            };
            let own = rustix::process::getuid().as_raw();
            let named = Pidfiles::default().named(&process, &[own]);
            named
                .into_iter()
                .filter(|named| named.by == self.0.id())
                .map(|named| (named.file.path, named.script))
                .collect()
        }
    }

    impl Drop for Shell {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    #[test]
    fn files_that_a_command_line_or_a_script_names() {
        let dir = Dir::new("named");
        let file = dir.write("x.pid", "812\n").display().to_string();
        dir.write("other.pid", "not a pid");
        let script = dir.write("stop.sh", &format!("read go\nkill $(cat {file})\n")).display().to_string();
        let inline = format!("read go; kill $(cat {file} other.pid missing.pid)");
        assert_eq!(Shell::start(&["-c", &inline], &dir.0).named(), [(file.clone(), None)]);
        assert_eq!(
            Shell::start(&["-c", "read go; kill $(cat x.pid)"], &dir.0).named(),
            [(file.clone(), None)]
        );
        let by_script = vec![(file, Some(script.clone()))];
        assert_eq!(Shell::start(&[&script], &dir.0).named(), by_script);
        assert_eq!(Shell::start(&["-e", "stop.sh"], &dir.0).named(), by_script);
    }

    #[test]
    fn what_somebody_planted_is_not_read() {
        let dir = Dir::new("planted");
        let file = dir.write("real.pid", "812\n");
        std::os::unix::fs::symlink(&file, dir.0.join("link.pid")).expect("symlink");
        std::fs::hard_link(dir.write("hard", "812\n"), dir.0.join("hard.pid")).expect("link");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            dir.0.join("fifo.pid"),
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR,
            0,
        )
        .expect("mkfifo");
        let shell = Shell::start(&["-c", "read go; kill $(cat link.pid hard.pid fifo.pid)"], &dir.0);
        assert_eq!(shell.named(), []);
    }

    #[test]
    fn files_in_run_are_found_by_what_they_hold() {
        let mut pidfiles = Pidfiles { known: Some((Instant::now(), Vec::new())) };
        let file = Found { path: "/run/x.pid".to_owned(), pid: 812, modified: 1.0, owner: Some(0) };
        let other = Found { pid: 813, ..file.clone() };
        let foreign = Found { owner: Some(1000), ..file.clone() };
        pidfiles.known = Some((Instant::now(), vec![other, foreign, file.clone()]));
        assert_eq!(pidfiles.known(812, &[0, 33]), [file]);
        // Whatever this machine has there is read without an error, and each is a number.
        assert!(read::in_run().iter().all(|found| found.pid > 0 && found.path.starts_with("/run/")));
    }
}
