//! What outlives the agent: it is killed, replaced, stopped, and nothing is forgotten.

use std::collections::HashSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, ExitCode, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail, ensure};
use aya::maps::{Array, Map, MapData};
use forensics_agent::store::{Filter, Store};
use harness::{
    Agent, Finished, Killer, PATIENCE, Record, Skip, Victim, WorkDir, agent_program, killer, needs_python,
    needs_root, output, test, unique, victim_program,
};
use libc::{SIGKILL, SIGTERM};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

fn main() -> ExitCode {
    harness::main(vec![
        test("a_death_between_two_agents", a_death_between_two_agents),
        test("what_was_open_goes_on", what_was_open_goes_on),
        test("an_orderly_stop_keeps_the_programs", an_orderly_stop_keeps_the_programs),
        test(
            "a_hundred_deaths_around_a_hundred_of_the_agent",
            a_hundred_deaths_around_a_hundred_of_the_agent,
        ),
        test("another_build_takes_over", another_build_takes_over),
        test("records_of_another_version_are_not_read", records_of_another_version_are_not_read),
        test("the_remains_of_a_start_are_cleared", the_remains_of_a_start_are_cleared),
        test("the_second_agent", the_second_agent),
        test("detach_removes_everything", detach_removes_everything),
        test("without_a_bpf_file_system", without_a_bpf_file_system),
        test("what_does_not_go_together", what_does_not_go_together),
    ])
}

/// A bpf file system of its own, and a store.
struct Scene {
    work: WorkDir,
    mounted: PathBuf,
    directory: PathBuf,
    store: PathBuf,
}

impl Scene {
    fn new() -> Result<Self> {
        needs_root()?;
        let work = WorkDir::new()?;
        let mounted = work.join("bpf");
        std::fs::create_dir(&mounted)?;
        mount("bpf", &mounted, "bpf", MountFlags::empty(), None)
            .map_err(|why| Skip(format!("cannot mount a bpf file system: {why}")))?;
        let directory = mounted.join(format!("forensics-{}", unique()));
        let store = work.join("kept.db");
        Ok(Self { work, mounted, directory, store })
    }

    fn options(&self) -> [String; 3] {
        let persist = format!("--persist={}", self.directory.display());
        [persist, "--store".to_owned(), self.store.display().to_string()]
    }

    fn agent(&self, targets: &[&str]) -> Result<Agent> {
        let options = self.options();
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        Agent::watch(&[targets, &options].concat())
    }

    fn agent_of(&self, victim: &Victim) -> Result<Agent> {
        self.agent(&["--pid", &victim.pid().to_string()])
    }

    fn detach(&self) -> Result<Finished> {
        output(Command::new(agent_program()?).arg("detach").arg(&self.directory))
    }

    /// The incidents of a target that are stored.
    fn stored(&self, pid: u32) -> Result<Vec<Record>> {
        let lines = Store::read(&self.store)?.lines(&Filter::default(), 10_000)?;
        let records = lines.iter().map(|line| Record::parse(line)).collect::<Result<Vec<_>>>()?;
        Ok(records.into_iter().filter(|record| record.at("target.pid") == pid).collect())
    }

    /// Writes something else into the manifest of what is pinned.
    fn doctor(&self, at: usize, byte: u8) -> Result<()> {
        const SIZE: usize = forensics_agent::kernel::pins::MANIFEST_SIZE;
        let map = Map::from_map_data(MapData::from_pin(self.directory.join("manifest"))?)?;
        let mut map = Array::<MapData, [u8; SIZE]>::try_from(map)?;
        let mut manifest = map.get(&0, 0)?;
        *manifest.get_mut(at).context("beyond the manifest")? = byte;
        Ok(map.set(0, manifest, 0)?)
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        // Also the records that were kept beside it.
        let _ = self.detach();
        let _ = unmount(&self.mounted, UnmountFlags::DETACH);
        let _ = &self.work;
    }
}

fn kill(pid: u32, signal: i32) -> Result<Killer> {
    killer(&["kill", &pid.to_string(), &signal.to_string()])
}

/// Ends an agent as a crash would, and says who did it.
fn crash(agent: Agent) -> Result<(u32, Killer)> {
    let pid = agent.pid();
    let killer = kill(pid, SIGKILL)?;
    drop(agent);
    Ok((pid, killer))
}

fn a_death_between_two_agents() -> Result<()> {
    let scene = Scene::new()?;
    let mut victim = Victim::start(&["sleep"])?;
    let agent = scene.agent_of(&victim)?;
    agent.ready().expect("persist", "new")?;
    let (first, by) = crash(agent)?;
    let killer = kill(victim.pid(), SIGKILL)?;
    victim.wait()?;
    let mut agent = scene.agent_of(&victim)?;
    agent.ready().expect("persist", "adopted")?;
    let incident = agent.incident_of(victim.pid())?;
    killer.expect_blamed(&incident, "signals.0")?;
    incident.expect("verdict.cause", "external-kill")?;
    incident.expect("verdict.confidence", "certain")?;
    incident.expect("target.name", "victim")?;
    incident.expect("lost.records", 0)?;
    // The agent is a process like any other.
    by.expect_blamed(&agent.incident_of(first)?, "signals.0")?;
    let second = agent.pid();
    let rest = agent.stop()?;
    ensure!(!rest.iter().any(|record| record.is("incident") || record.is("loss")), "{rest:?}");
    let [stored] = &scene.stored(victim.pid())?[..] else { bail!("not stored once") };
    stored.expect("id", incident.text("id")?)?;

    // What was told is not told again, neither by records nor as a gap; the stop of the agent is.
    let mut agent = scene.agent(&["--comm", "nobody-has-this"])?;
    let stopped = agent.incident_of(second)?;
    stopped.expect("outcome.exit_code", 0)?;
    let rest = agent.stop()?;
    ensure!(!rest.iter().any(|record| record.is("incident")), "{rest:?}");
    Ok(())
}

/// A request to end that one agent recorded, the end in nobody's time: one incident with both signals.
fn what_was_open_goes_on() -> Result<()> {
    let scene = Scene::new()?;
    let script = "import signal, sys
signal.signal(signal.SIGTERM, lambda *_: print('asked', flush=True))
print('ready', flush=True)
sys.stdin.read()";
    let mut victim = Victim::spawn(Command::new(needs_python()?).args(["-c", script]))?;
    let agent = scene.agent_of(&victim)?;
    let asked = kill(victim.pid(), SIGTERM)?;
    ensure!(victim.line()? == "asked");
    let deadline = Instant::now() + PATIENCE;
    let open = loop {
        let open = Store::read(&scene.store).and_then(|store| store.open_incidents()).unwrap_or_default();
        if let Some(open) = open.into_iter().next() {
            break open;
        }
        ensure!(Instant::now() < deadline, "no open incident is stored");
        std::thread::sleep(Duration::from_millis(10));
    };
    crash(agent)?;
    // One that has nothing to do with it takes up the thread, and is killed as well.
    crash(scene.agent_of(&victim)?)?;
    let killer = kill(victim.pid(), SIGKILL)?;
    victim.wait()?;
    let mut agent = scene.agent_of(&victim)?;
    let incident = agent.incident_of(victim.pid())?;
    incident.expect("id", open.facts.id)?;
    killer.expect_blamed(&incident, "signals.1")?;
    let signals = incident.list("signals")?;
    ensure!(signals.len() == 2, incident.fault("not both signals"));
    incident.expect("signals.0.signal", "SIGTERM")?;
    incident.expect("signals.0.sender.pid", asked.pid)?;
    incident.expect("lost.records", 0)?;
    ensure!(incident.at("context.pid") == victim.pid(), incident.fault("the context is gone"));
    agent.stop()?;
    ensure!(scene.stored(victim.pid())?.len() == 1, "stored more than once");
    Ok(())
}

fn an_orderly_stop_keeps_the_programs() -> Result<()> {
    let scene = Scene::new()?;
    let mut victim = Victim::start(&["sleep"])?;
    scene.agent_of(&victim)?.stop()?;
    let killer = kill(victim.pid(), SIGKILL)?;
    victim.wait()?;
    let mut agent = scene.agent_of(&victim)?;
    killer.expect_blamed(&agent.incident_of(victim.pid())?, "signals.0")?;
    agent.stop().map(drop)
}

/// Numbers that look random, from a seed that is told when the test fails.
struct Random(u64);

impl Random {
    fn new() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(now.as_nanos() as u64 | 1)
    }

    /// A time below so many milliseconds.
    fn below(&mut self, milliseconds: u64) -> Duration {
        // xorshift64: https://www.jstatsoft.org/article/view/v008i14
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        Duration::from_micros(self.0 % (milliseconds * 1000))
    }
}

/// Makes victims, so that they are watched from their first moment on, whether there is an agent or not.
struct Maker {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Maker {
    fn start() -> Result<Self> {
        let script = r#"while read word; do "$0" sleep & done"#;
        let mut command = Command::new("sh");
        command.args(["-c", script]).arg(victim_program()?).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().context("cannot start sh")?;
        let lines = BufReader::new(child.stdout.take().context("no standard output")?);
        Ok(Self { child, lines })
    }

    /// The pid of a new victim.
    fn make(&mut self) -> Result<u32> {
        let mut line = String::new();
        self.child.stdin.as_mut().context("no standard input")?.write_all(b"one\n")?;
        self.lines.read_line(&mut line)?;
        let pid = line.trim().strip_prefix("ready ").with_context(|| format!("it said {line:?}"))?;
        Ok(pid.parse()?)
    }
}

impl Drop for Maker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Agents one after the other, each of which is killed wherever it is at that moment.
fn a_hundred_deaths_around_a_hundred_of_the_agent() -> Result<()> {
    const ROUNDS: usize = 100;
    /// Within this time an agent gets ready, and tells what the ones before it left.
    const LIFE_MS: u64 = 700;
    let scene = Scene::new()?;
    let mut random = Random::new();
    let seed = random.0;
    let mut maker = Maker::start()?;
    let maker_pid = maker.child.id().to_string();
    let targets = ["--follow-children", "--pid", maker_pid.as_str()];
    let lines = scene.work.join("lines");
    let start = || -> Result<Child> {
        let out = std::fs::File::options().append(true).create(true).open(&lines)?;
        let mut command = Command::new(agent_program()?);
        command.args(["-o", "json", "watch", "--socket", "none"]).args(targets).args(scene.options());
        command.stdin(Stdio::null()).stdout(out).stderr(Stdio::null());
        command.spawn().context("cannot start the agent")
    };
    crash(scene.agent(&targets)?)?;
    let mut deaths = Vec::new();
    for _ in 0..ROUNDS {
        let pid = maker.make()?;
        let (death, end) = (random.below(LIFE_MS), random.below(LIFE_MS));
        let mut agent = start()?;
        let killing = std::thread::spawn(move || {
            std::thread::sleep(death);
            kill(pid, SIGKILL)
        });
        std::thread::sleep(end);
        agent.kill()?;
        agent.wait()?;
        let Ok(killer) = killing.join() else { bail!("the thread that kills panicked") };
        deaths.push((pid, killer?));
    }
    let mut agent = scene.agent(&targets)?;
    // Unless one of those before has told of it.
    let last = deaths.last().and_then(|(last, _)| agent.incident_of(*last).ok());
    let rest = agent.stop()?;
    let printed = std::fs::read_to_string(&lines)?;
    let mut missing = Vec::new();
    for (pid, killer) in &deaths {
        let stored = scene.stored(*pid)?;
        let [incident] = &stored[..] else {
            missing.push(format!("{pid}: {} incidents", stored.len()));
            continue;
        };
        if let Err(why) = incident
            .expect("verdict.culprit.pid", killer.pid)
            .and_then(|()| incident.expect("verdict.cause", "external-kill"))
            .and_then(|()| incident.expect("target.name", "victim"))
            .and_then(|()| incident.expect("lost.records", 0))
        {
            missing.push(format!("{pid}: {}", why.to_string().lines().next().unwrap_or_default()));
        }
    }
    let losses = rest.iter().filter(|record| record.is("loss")).count();
    ensure!(missing.is_empty() && losses == 0, "seed {seed}: {missing:?}, {losses} losses");
    // A line may be printed twice, by an agent that was killed before it had noted that: under the same id.
    let printed = printed.lines().filter_map(|line| Record::parse(line).ok()).chain(rest).chain(last);
    let ids: HashSet<String> = printed
        .filter(|record| record.is("incident") && record.at("target.name") == "victim")
        .filter_map(|record| record.text("id").ok().map(str::to_owned))
        .collect();
    ensure!(ids.len() == ROUNDS, "seed {seed}: incidents of {} ids were printed", ids.len());
    Ok(())
}

/// As if another build had pinned the programs: their records are read, and then they are replaced.
fn another_build_takes_over() -> Result<()> {
    /// Within the digest of the object.
    const OBJECT: usize = 30;
    let scene = Scene::new()?;
    let (mut before, mut after) = (Victim::start(&["sleep"])?, Victim::start(&["sleep"])?);
    let (a, b) = (before.pid().to_string(), after.pid().to_string());
    let targets = ["--pid", a.as_str(), "--pid", b.as_str()];
    crash(scene.agent(&targets)?)?;
    let killer = kill(before.pid(), SIGKILL)?;
    before.wait()?;
    scene.doctor(OBJECT, b'?')?;
    let mut agent = scene.agent(&targets)?;
    agent.ready().expect("persist", "replaced")?;
    killer.expect_blamed(&agent.incident_of(before.pid())?, "signals.0")?;
    let said = agent.stderr();
    ensure!(said.contains("another build") && !said.contains("lost"), "{said:?}");
    let next = PathBuf::from(format!("{}-next", scene.directory.display()));
    let deadline = Instant::now() + PATIENCE;
    while next.exists() {
        ensure!(Instant::now() < deadline, "the new programs do not take the place of the old ones");
        std::thread::sleep(Duration::from_millis(10));
    }
    crash(agent)?;

    // The new ones are pinned in the place of the old ones.
    let killer = kill(after.pid(), SIGKILL)?;
    after.wait()?;
    let mut agent = scene.agent(&targets)?;
    agent.ready().expect("persist", "adopted")?;
    killer.expect_blamed(&agent.incident_of(after.pid())?, "signals.0")?;
    agent.stop().map(drop)
}

/// As if an agent of another version had pinned the programs: what they recorded is lost, and that is said.
fn records_of_another_version_are_not_read() -> Result<()> {
    /// The version of the records.
    const ABI: usize = 12;
    let scene = Scene::new()?;
    let mut victim = Victim::start(&["sleep"])?;
    let agent = scene.agent_of(&victim)?;
    let noted = |pid: u32| {
        let runs = Store::read(&scene.store).and_then(|store| store.runs()).unwrap_or_default();
        runs.iter().any(|(_, targets)| targets.iter().any(|target| target.pid == pid))
    };
    let deadline = Instant::now() + PATIENCE;
    while !noted(victim.pid()) {
        ensure!(Instant::now() < deadline, "it is not noted");
        std::thread::sleep(Duration::from_millis(20));
    }
    crash(agent)?;
    kill(victim.pid(), SIGKILL)?;
    victim.wait()?;
    scene.doctor(ABI, 77)?;
    let mut agent = scene.agent(&["--comm", "nobody-has-this"])?;
    agent.ready().expect("persist", "replaced")?;
    let incident = agent.incident_of(victim.pid())?;
    incident.expect("verdict.cause", "agent-gap")?;
    let said = agent.stderr();
    ensure!(said.contains("is lost") && said.contains("records of version 77"), "{said:?}");
    agent.stop().map(drop)
}

/// An agent that died while it pinned has left programs without a manifest.
fn the_remains_of_a_start_are_cleared() -> Result<()> {
    let scene = Scene::new()?;
    let mut victim = Victim::start(&["sleep"])?;
    crash(scene.agent_of(&victim)?)?;
    std::fs::remove_file(scene.directory.join("manifest"))?;
    let mut agent = scene.agent_of(&victim)?;
    agent.ready().expect("persist", "new")?;
    let killer = kill(victim.pid(), SIGKILL)?;
    victim.wait()?;
    killer.expect_blamed(&agent.incident_of(victim.pid())?, "signals.0")?;
    agent.stop().map(drop)
}

fn the_second_agent() -> Result<()> {
    let scene = Scene::new()?;
    let mut victim = Victim::start(&["sleep"])?;
    let mut first = scene.agent_of(&victim)?;
    let holder = format!("belongs to the agent with pid {}", first.pid());
    let mut second = scene.agent_of(&victim)?;
    let said = second.stderr();
    ensure!(said.contains(&holder), "{said:?}");
    ensure!(second.ready().at("persist").is_null(), "it says that it outlives itself");
    let refused = scene.detach()?;
    ensure!(refused.status.code() == Some(1) && refused.stderr.contains(&holder), "{refused:?}");
    let killer = kill(victim.pid(), SIGKILL)?;
    victim.wait()?;
    for agent in [&mut first, &mut second] {
        killer.expect_blamed(&agent.incident_of(victim.pid())?, "signals.0")?;
    }
    second.stop()?;
    first.stop().map(drop)
}

fn detach_removes_everything() -> Result<()> {
    let scene = Scene::new()?;
    let victim = Victim::start(&["sleep"])?;
    scene.agent_of(&victim)?.stop()?;
    let name = scene.directory.file_name().and_then(|name| name.to_str()).context("no name")?.to_owned();
    let beside = || -> Result<usize> {
        let entries = std::fs::read_dir("/run/forensics-agent")?;
        let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        Ok(names.filter(|found| found.starts_with(&name)).count())
    };
    ensure!(scene.directory.is_dir() && beside()? > 0, "nothing is pinned");
    let removed = scene.detach()?;
    ensure!(removed.status.success() && removed.stdout.starts_with("removed "), "{removed:?}");
    ensure!(!scene.directory.exists() && beside()? == 0, "something stays");
    let again = scene.detach()?;
    ensure!(again.status.success() && again.stdout.starts_with("nothing is pinned in "), "{again:?}");
    let nowhere = output(Command::new(agent_program()?).args(["detach", "/nowhere/at/all"]))?;
    ensure!(nowhere.status.success() && nowhere.stdout.starts_with("nothing is pinned"), "{nowhere:?}");
    Ok(())
}

fn without_a_bpf_file_system() -> Result<()> {
    needs_root()?;
    let directory = WorkDir::new()?;
    let mut victim = Victim::start(&["sleep"])?;
    let persist = format!("--persist={}", directory.join("pins").display());
    let mut agent = Agent::watch(&["--pid", &victim.pid().to_string(), &persist])?;
    let said = agent.stderr();
    ensure!(said.contains("mount -t bpf bpf /sys/fs/bpf"), "{said:?}");
    let killer = kill(victim.pid(), SIGKILL)?;
    victim.wait()?;
    killer.expect_blamed(&agent.incident_of(victim.pid())?, "signals.0")?;
    agent.stop().map(drop)
}

fn what_does_not_go_together() -> Result<()> {
    needs_root()?;
    for (options, word) in [
        (["--store", "none"], "needs a store"),
        (["--instigator", "syscalls"], "system calls"),
        (["--ebpf-log", "debug"], "--ebpf-log"),
        (["--once", "--quiet"], "--once"),
    ] {
        let mut command = Command::new(agent_program()?);
        command.args(["watch", "--comm", "nobody-has-this", "--persist"]).args(options);
        let said = output(&mut command)?;
        ensure!(said.status.code() == Some(2) && said.stderr.contains(word), "{said:?}");
        ensure!(said.stderr.lines().count() == 1, "{said:?}");
    }
    Ok(())
}
