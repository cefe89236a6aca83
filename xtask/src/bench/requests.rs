//! What a busy server on a socket of AF_UNIX pays for seeing requests to managers.

use std::io::{Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Instant;

use anyhow::{Context as _, Result};

use super::agent::Agent;
use super::extent::Extent;
use super::report::{Measure, Section, Unit};
use super::samples::Samples;
use super::victim::Victim;

/// Bytes of each.
const BYTES: usize = 64;
/// The modes, and nothing. Where the kernel does not have a hook, the agent says so and the mode is left out.
const MODES: [&str; 5] = ["off", "exec", "fentry", "socket", "syscalls"];

const METHOD: &str = "A client sends 64 bytes over a socket of AF_UNIX to a server in another thread and waits for as many, 40,000 \
    times (2,000 in an emulated machine), without the agent and with it in each mode of `--instigator` that the kernel has, in turn.";

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
    let (rounds, calls) = (extent.pick(7, 5), extent.pick(40_000, 2_000));
    for _ in 0..rounds {
        bare.push(call_ns(calls)?);
        for (mode, times) in modes.iter().zip(&mut with) {
            let agent = start(&pid, mode)?;
            agent.settle();
            times.push(call_ns(calls)?);
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
    Ok(Section::new("requests", METHOD, measures).with_notes(notes))
}

fn start(pid: &str, mode: &str) -> Result<Agent> {
    Agent::watch(["--pid", pid, "--instigator", mode])
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
