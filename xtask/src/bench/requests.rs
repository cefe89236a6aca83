//! What a busy server on a socket of AF_UNIX pays for seeing requests to managers.

use std::io::{Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Instant;

use anyhow::{Context as _, Result};

use super::agent::Agent;
use super::bpf::{self, Statistics};
use super::extent::Extent;
use super::report::{Measure, Section, Unit};
use super::samples::Samples;
use super::victim::Victim;

/// Bytes of each.
const BYTES: usize = 64;
/// The modes, and nothing. Where the kernel does not have a hook, the agent says so and the mode is left out.
const MODES: [&str; 5] = ["off", "exec", "fentry", "socket", "syscalls"];

const METHOD: &str = "A client sends 64 bytes over a socket of AF_UNIX to a server in another thread and waits for as many, 40,000 \
    times (2,000 in an emulated machine), without the agent and with it in each mode of `--instigator` that the kernel has, in turn. A wakeup takes longer than any of \
    the hooks, so that the kernel's statistics tell more: what the programs take of both sends together, its clock included.";

/// Runs the benchmark.
pub(super) fn run(extent: Extent) -> Result<Section> {
    let victim = Victim::sleeping()?;
    let pid = victim.pid().as_raw_nonzero().to_string();
    let (mut modes, mut notes) = (Vec::new(), Vec::new());
    for mode in MODES {
        match start(&pid, mode).and_then(Agent::stop) {
            Ok(()) => modes.push(mode),
            Err(_) => notes.push(format!("This kernel does not have what --instigator {mode} needs.")),
        }
    }
    let mut bare = Vec::new();
    let mut with = vec![Vec::new(); modes.len()];
    let mut programs = with.clone();
    let (rounds, calls) = (extent.pick(7, 3), extent.pick(40_000, 2_000));
    for _ in 0..rounds {
        bare.push(call_ns(calls)?);
        for ((mode, times), programs) in modes.iter().zip(&mut with).zip(&mut programs) {
            let agent = start(&pid, mode)?;
            agent.settle();
            times.push(call_ns(calls)?);
            programs.push(program_ns(&agent, calls)?);
            agent.stop()?;
        }
    }
    let mut measures = vec![Measure::new(
        "request and answer, no agent",
        Unit::Nanoseconds,
        &bare.iter().copied().collect(),
    )];
    for (mode, times) in modes.iter().zip(&with) {
        let ratio: Samples = times.iter().zip(&bare).map(|(with, without)| with / without).collect();
        measures.push(Measure::new(format!("--instigator {mode}, to no agent"), Unit::Ratio, &ratio));
    }
    for (mode, times) in modes.iter().zip(&programs) {
        let what = format!("programs, --instigator {mode}, both sends");
        measures.push(Measure::new(what, Unit::Nanoseconds, &times.iter().copied().collect()));
    }
    Ok(Section::new("requests", METHOD, measures).with_notes(notes))
}

fn start(pid: &str, mode: &str) -> Result<Agent> {
    Agent::watch(["--pid", pid, "--instigator", mode])
}

/// What the agent's programs take of one request with its answer, by the kernel's statistics.
fn program_ns(agent: &Agent, calls: u32) -> Result<f64> {
    let _statistics = Statistics::enable()?;
    let before = bpf::program_ns(agent.pid())?;
    call_ns(calls)?;
    Ok((bpf::program_ns(agent.pid())? - before) / f64::from(calls))
}

/// Nanoseconds of one request with its answer.
fn call_ns(calls: u32) -> Result<f64> {
    let directory = std::env::temp_dir().join(format!("forensics-bench-{}", std::process::id()));
    // One that an earlier run left is in the way.
    let _ = std::fs::remove_file(&directory);
    let listener = UnixListener::bind(&directory).context("cannot make a socket")?;
    let server = std::thread::spawn(move || -> std::io::Result<()> {
        let (mut stream, _) = listener.accept()?;
        let mut bytes = [0; BYTES];
        while stream.read_exact(&mut bytes).is_ok() {
            stream.write_all(&bytes)?;
        }
        Ok(())
    });
    let mut client = UnixStream::connect(&directory).context("cannot connect to a socket")?;
    let mut bytes = [b'x'; BYTES];
    let began = Instant::now();
    for _ in 0..calls {
        client.write_all(&bytes)?;
        client.read_exact(&mut bytes)?;
    }
    let took = began.elapsed();
    drop(client);
    let _ = std::fs::remove_file(&directory);
    server.join().ok().context("the server panicked")??;
    Ok(took.as_nanos() as f64 / f64::from(calls))
}
