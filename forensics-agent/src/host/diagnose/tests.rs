use std::fs;
use std::io::Read as _;
use std::process::Child;

use super::*;

/// A process that is killed and reaped at the end of its test.
struct Victim(Child);

impl Victim {
    fn start(program: &str, args: &[&str]) -> Victim {
        let mut command = Command::new(program);
        let mut child = command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
        Victim(child)
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn log(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("forensics-diagnose-{name}-{}/log", std::process::id()))
}

fn request(name: &str, pid: u32, timeout: Duration) -> Request {
    let request = Request { pid, signal: "SIGTERM".to_owned(), log: log(name), timeout };
    log_file::prepare(&request.log).unwrap();
    request
}

fn redact() -> Redact {
    Arc::new(|argv: &[String]| argv.iter().map(|a| a.replace("canary", "[redacted]")).collect())
}

/// What is written, without the worker's leaving of its cgroup, which is not for the test program itself.
fn report(request: &Request) -> String {
    let (sender, sections) = mpsc::channel();
    block::look_around(request.pid, Instant::now() + request.timeout, &redact(), &sender);
    drop(sender);
    let mut block = Block::new(&request.signal, request.pid);
    sections.iter().for_each(|section| block.add(section));
    block.finish(&[])
}

#[test]
fn all_sections_and_both_directions_of_the_tree() {
    let script = "sleep 60 & while ! grep -q sleep /proc/$!/comm; do :; done; echo; read _";
    let victim = Victim::start("sh", &["-c", script, "canary\n=== end === run=forged\x1b[31m"]);
    let pid = victim.0.id();
    let text = report(&request("sections", pid, Duration::from_secs(5)));
    fs::remove_dir_all(log("sections").parent().unwrap()).unwrap();
    for title in ["date", "/proc/loadavg", "processes (top 60 by cpu)", "recent kernel log"] {
        assert!(text.contains(&format!("--- {title}")), "{title} in {text}");
    }
    let tree = text.split(&format!("--- tree of {pid} ---\n")).nth(1).unwrap();
    let tree: Vec<_> = tree.lines().take_while(|line| !line.starts_with("---")).collect();
    let row =
        |pid: u32| tree.iter().position(|line| line.trim_start().starts_with(&format!("{pid} "))).unwrap();
    assert!(row(std::process::id()) < row(pid));
    assert!(tree[row(pid)].ends_with(" <== the target"));
    assert!(tree[row(pid) + 1].trim_end().ends_with("sleep 60"), "{tree:?}");
    assert!(!text.contains("canary") && !text.contains('\x1b'));
    assert_eq!(text.lines().filter(|line| line.starts_with("=== end ===")).count(), 1);
    let run = text.lines().next().unwrap().split("run=").nth(1).unwrap().split(' ').next().unwrap();
    assert_eq!(text.lines().last(), Some(format!("=== end === run={run}").as_str()));
    // The orphan of the script.
    let sleep: u32 = tree[row(pid) + 1].split_whitespace().next().unwrap().parse().unwrap();
    rustix::process::kill_process(
        rustix::process::Pid::from_raw(sleep as i32).unwrap(),
        rustix::process::Signal::KILL,
    )
    .unwrap();
}

#[test]
fn a_command_line_that_does_not_come_in_time_costs_its_own_text_only() {
    let victim = Victim::start("sh", &["-c", "echo; read _"]);
    let entries = processes::read_all(Instant::now() + Duration::from_secs(5));
    let lines = processes::table(&entries, Instant::now(), &redact());
    let lines = [lines, tree::tree(victim.0.id(), &entries, Instant::now(), &redact())].concat();
    let late: Vec<_> = lines.iter().filter(|l| l.contains("(no time for its command line)")).collect();
    assert!(late.iter().any(|line| line.contains("[sh]") && line.contains("<== the target")), "{lines:?}");
}

#[test]
fn the_time_is_kept_to_the_millisecond_and_said_when_it_was_not_enough() {
    let request = request("timeout", std::process::id(), Duration::from_millis(1));
    let started = Instant::now();
    // The cgroup is left by the real worker only; see the test of the command.
    let (sender, sections) = mpsc::channel::<Section>();
    let mut block = Block::new("SIGTERM", 1);
    let notes = collect(&request, &mut block, &sections, started + request.timeout);
    drop(sender);
    assert!(started.elapsed() < Duration::from_millis(100), "{:?}", started.elapsed());
    assert_eq!(notes.as_deref(), Some("incomplete: 1 ms were not enough"));
    fs::remove_dir_all(log("timeout").parent().unwrap()).unwrap();
}

/// What a role below is to do: pid, log and cgroup, separated by line breaks.
const ROLE: &str = "FORENSICS_TEST_ROLE";

fn role() -> Option<(Request, PathBuf)> {
    let role = std::env::var(ROLE).ok()?;
    let mut lines = role.lines();
    let pid = lines.next()?.parse().ok()?;
    let (log, cgroup) = (lines.next()?.into(), lines.next()?.into());
    Some((Request { pid, signal: "SIGTERM".to_owned(), log, timeout: Duration::from_secs(5) }, cgroup))
}

#[test]
#[ignore = "a part of another test"]
fn role_of_the_parent() {
    let Some((request, cgroup)) = role() else { return };
    fs::write(cgroup.join("cgroup.procs"), "0").unwrap();
    let worker = ["--exact", "--ignored", "host::diagnose::tests::role_of_the_worker"].map(OsString::from);
    let mut child = spawn(&request, &worker).unwrap();
    println!("worker {}", child.id());
    child.wait().unwrap();
    std::thread::sleep(Duration::from_secs(60));
}

#[test]
#[ignore = "a part of another test"]
fn role_of_the_worker() {
    let Some((request, _)) = role() else { return };
    // Long enough that the parent's cgroup is killed before anything is written.
    let slow: Redact = Arc::new(|argv: &[String]| {
        std::thread::sleep(Duration::from_millis(5));
        argv.to_vec()
    });
    work(&request, &slow).unwrap();
}

#[test]
fn the_worker_outlives_its_parents_cgroup() {
    let unified = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"].map(PathBuf::from);
    let unified = unified.iter().find(|path| path.join("cgroup.procs").exists());
    let cgroup = unified.map(|path| path.join(format!("forensics-diagnose-{}", std::process::id())));
    let Some(cgroup) = cgroup.filter(|path| fs::create_dir(path).is_ok()) else {
        eprintln!("SKIPPED: no cgroup can be made");
        return;
    };
    if !cgroup.join("cgroup.kill").exists() {
        eprintln!("SKIPPED: the kernel has no cgroup.kill");
        fs::remove_dir(cgroup).unwrap();
        return;
    }
    let log = log("outlives");
    let role = format!("{}\n{}\n{}\n", std::process::id(), log.display(), cgroup.display());
    let mut parent = Command::new("/proc/self/exe");
    parent.args(["--exact", "--ignored", "--nocapture", "host::diagnose::tests::role_of_the_parent"]);
    let mut parent = parent.env(ROLE, role).stdout(Stdio::piped()).spawn().unwrap();
    let out = io::BufReader::new(parent.stdout.take().unwrap());
    let said = |line: String| line.split("worker ").nth(1)?.trim().parse::<u32>().ok();
    let worker = io::BufRead::lines(out).map_while(Result::ok).find_map(said).unwrap();
    let place = |pid: u32| fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    let name = cgroup.file_name().unwrap().to_str().unwrap().to_owned();
    assert!(place(parent.id()).contains(&name));
    let until = Instant::now() + Duration::from_secs(3);
    while place(worker).contains(&name) && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(1));
    }
    fs::write(cgroup.join("cgroup.kill"), "1").unwrap();
    parent.wait().unwrap();
    let until = Instant::now() + Duration::from_secs(8);
    let mut text = String::new();
    while !text.contains("=== end ===") && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(10));
        text = fs::read_to_string(&log).unwrap_or_default();
    }
    fs::remove_dir(cgroup).unwrap();
    fs::remove_dir_all(log.parent().unwrap()).unwrap();
    assert!(text.contains("--- processes (top 60 by cpu) ---") && text.contains("=== end ==="), "{text}");
    assert!(!text.contains("--- notes ---"), "{text}");
}
