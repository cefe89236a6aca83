//! Is killed, or ends in another way that it is told.
//!
//! `victim MODE [ARGUMENT] [WORDS…]`: it sets up the mode and prints `ready PID…`. Modes that end by themselves wait
//! for a line on standard input first, so that nobody misses it. A victim whose test is gone ends after five minutes.

use std::io::Read as _;
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

/// How long a victim stays without being killed.
const LIFE: Duration = Duration::from_secs(300);

fn main() -> ExitCode {
    match live() {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("victim: {error:#}");
            ExitCode::from(99)
        }
    }
}

fn live() -> Result<u8> {
    let mut words = std::env::args().skip(1);
    let mode = words.next().context("no mode")?;
    let mut number = || -> Result<i32> {
        let word = words.next().context("a number is missing")?;
        word.parse().with_context(|| format!("not a number: {word}"))
    };
    match mode.as_str() {
        // Waits to be killed.
        "sleep" => ready(),
        // Ignores a signal.
        "ignore" => {
            handle(number()?, libc::SIG_IGN)?;
            ready();
        }
        // Has a handler for a signal, which does nothing.
        "handle" => {
            handle(number()?, nothing as *const () as libc::sighandler_t)?;
            ready();
        }
        // Exits with a status when it is asked to end, as services do.
        "drain" => {
            STATUS.store(number()?, Ordering::Relaxed);
            handle(libc::SIGTERM, drain as *const () as libc::sighandler_t)?;
            ready();
        }
        // Has further threads, and prints the ids of all, its own first.
        "threads" => threads(number()?)?,
        // Starts another victim when told, which prints its own line.
        "spawn" => {
            wait_for_go();
            Command::new(std::env::current_exe()?).arg("sleep").spawn().context("cannot start a child")?;
        }
        "exit" => {
            let status = u8::try_from(number()?).context("not an exit status")?;
            wait_for_go();
            return Ok(status);
        }
        // A thread of it exits with a status, for all.
        "quit" => {
            let status = number()?;
            wait_for_go();
            let quitter = std::thread::Builder::new().name("quitter".to_owned());
            quitter.spawn(move || std::process::exit(status)).context("cannot start a thread")?;
        }
        // Works for as long as it lives.
        "burn" => {
            wait_for_go();
            loop {
                std::hint::spin_loop();
            }
        }
        "abort" => {
            wait_for_go();
            std::process::abort();
        }
        // Calls itself until its stack is used up, beyond what the language's own check looks at.
        "recurse" => {
            handle(libc::SIGSEGV, libc::SIG_DFL)?;
            wait_for_go();
            bail!("{} calls did not kill it", recurse(1));
        }
        "segv" => {
            wait_for_go();
            // SAFETY: none; the fault is what is wanted, and page 0 is never mapped.
            unsafe { std::ptr::without_provenance_mut::<u8>(8).write_volatile(1) };
        }
        "raise" => {
            let signal = number()?;
            wait_for_go();
            // SAFETY: takes a number only.
            unsafe { libc::raise(signal) };
        }
        // Is killed by the timer that it set.
        "alarm" => {
            wait_for_go();
            // SAFETY: takes a number only.
            unsafe { libc::alarm(1) };
        }
        // Writes to a pipe that nobody reads.
        "pipe" => {
            handle(libc::SIGPIPE, libc::SIG_DFL)?;
            wait_for_go();
            let (reader, writer) = rustix::pipe::pipe()?;
            drop(reader);
            rustix::io::write(&writer, b"x")?;
        }
        // Uses ever more memory, up to a gigabyte.
        "allocate" => {
            wait_for_go();
            let blocks: Vec<Vec<u8>> = (0..1024).map(|_| vec![1; 1 << 20]).collect();
            bail!("{} MiB did not kill it", blocks.len());
        }
        // Enters seccomp's strict mode and makes a call that it forbids: the kernel ends it without any signal.
        "strict" => {
            wait_for_go();
            // SAFETY: takes numbers only.
            unsafe {
                libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_STRICT);
                libc::getppid();
            }
        }
        _ => bail!("no such mode: {mode}"),
    }
    std::thread::sleep(LIFE);
    bail!("nobody killed it")
}

fn ready() {
    println!("ready {}", std::process::id());
}

/// Tells that it is ready and waits for a line. Without anybody who could send one it ends.
fn wait_for_go() {
    ready();
    let mut byte = [0];
    if !matches!(std::io::stdin().read(&mut byte), Ok(1)) {
        std::process::exit(98);
    }
}

fn threads(count: i32) -> Result<()> {
    let (sender, receiver) = std::sync::mpsc::channel();
    for _ in 0..count {
        let sender = sender.clone();
        std::thread::spawn(move || {
            let _ = sender.send(rustix::thread::gettid().as_raw_nonzero());
            std::thread::sleep(LIFE);
        });
    }
    let mut ids = vec![std::process::id().to_string()];
    for _ in 0..count {
        ids.push(receiver.recv().context("a thread is gone")?.to_string());
    }
    println!("ready {}", ids.join(" "));
    Ok(())
}

fn recurse(depth: u64) -> u64 {
    let frame = std::hint::black_box([depth; 64]);
    if depth == 0 { 0 } else { recurse(depth + 1) + frame.iter().sum::<u64>() }
}

fn handle(signal: i32, handler: libc::sighandler_t) -> Result<()> {
    // SAFETY: the handlers of this program only do what signal-safety(7) allows.
    if unsafe { libc::signal(signal, handler) } == libc::SIG_ERR {
        return Err(std::io::Error::last_os_error())
            .with_context(|| format!("cannot handle signal {signal}"));
    }
    Ok(())
}

extern "C" fn nothing(_signal: i32) {}

/// The status of a drained victim.
static STATUS: AtomicI32 = AtomicI32::new(0);

extern "C" fn drain(_signal: i32) {
    // SAFETY: `_exit` may be called in a signal handler, signal-safety(7).
    unsafe { libc::_exit(STATUS.load(Ordering::Relaxed)) };
}
