//! Sends signals, each by the system call that it is named after.
//!
//! `killer MODE ARGUMENTS… [WORDS…]`: further words are ignored, and make its command line what a test wants.

use std::process::ExitCode;
use std::str::FromStr;

use anyhow::{Context as _, Result, bail};

fn main() -> ExitCode {
    match kill() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("killer: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn kill() -> Result<()> {
    // Words may be any bytes.
    let mut words = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned());
    let mode = words.next().context("no mode")?;
    match mode.as_str() {
        "kill" => call(libc::SYS_kill, [number(&mut words)?, number(&mut words)?, 0, 0]),
        // Negative: the process group.
        "pgrp" => call(libc::SYS_kill, [-number::<i64>(&mut words)?, number(&mut words)?, 0, 0]),
        "tkill" => call(libc::SYS_tkill, [number(&mut words)?, number(&mut words)?, 0, 0]),
        "tgkill" => {
            call(libc::SYS_tgkill, [number(&mut words)?, number(&mut words)?, number(&mut words)?, 0])
        }
        "sigqueue" => sigqueue(number(&mut words)?, number(&mut words)?, number(&mut words)?),
        "tgsigqueue" => tgsigqueue(number(&mut words)?, number(&mut words)?, number(&mut words)?),
        "pidfd" => pidfd(number(&mut words)?, number(&mut words)?),
        "storm" => storm(number(&mut words)?, number(&mut words)?, number(&mut words)?, number(&mut words)?),
        _ => bail!("no such mode: {mode}"),
    }
}

fn number<T: FromStr<Err: std::error::Error + Send + Sync + 'static>>(
    words: &mut impl Iterator<Item = String>,
) -> Result<T> {
    let word = words.next().context("a number is missing")?;
    word.parse().with_context(|| format!("not a number: {word}"))
}

/// A system call that takes numbers and returns nothing of use.
fn call(syscall: i64, arguments: [i64; 4]) -> Result<()> {
    let [a, b, c, d] = arguments;
    // SAFETY: the calls made through here take numbers only, or a pointer that its caller answers for.
    let result = unsafe { libc::syscall(syscall, a, b, c, d) };
    if result < 0 {
        Err(std::io::Error::last_os_error()).with_context(|| format!("system call {syscall}"))
    } else {
        Ok(())
    }
}

/// `siginfo_t` of a queued signal, 128 bytes, see `include/uapi/asm-generic/siginfo.h`.
#[repr(C)]
struct QueuedInfo {
    signo: i32,
    errno: i32,
    code: i32,
    pad: i32,
    pid: i32,
    uid: u32,
    value: u64,
    rest: [u64; 12],
}
const _: () = assert!(size_of::<QueuedInfo>() == 128);

impl QueuedInfo {
    /// What sigqueue(3) would say, but from process `pid`.
    fn new(signal: i32, pid: i32) -> Self {
        let code = libc::SI_QUEUE;
        Self { signo: signal, errno: 0, code, pad: 0, pid, uid: 0, value: 0, rest: [0; 12] }
    }
}

/// Queues a signal for one thread.
fn tgsigqueue(tgid: i64, tid: i64, signal: i32) -> Result<()> {
    let info = QueuedInfo::new(signal, std::process::id() as i32);
    // As in `sigqueue`.
    call(libc::SYS_rt_tgsigqueueinfo, [tgid, tid, signal.into(), (&raw const info) as i64])
}

/// Queues a signal that claims to come from process `forged`.
fn sigqueue(pid: i64, signal: i32, forged: i32) -> Result<()> {
    let info = QueuedInfo::new(signal, forged);
    // The kernel reads the 128 bytes of `info`, which lives until the call returns.
    call(libc::SYS_rt_sigqueueinfo, [pid, signal.into(), (&raw const info) as i64, 0])
}

fn pidfd(pid: i64, signal: i64) -> Result<()> {
    // SAFETY: takes numbers only.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    if fd < 0 {
        return Err(std::io::Error::last_os_error()).context("pidfd_open");
    }
    // A null pointer: the kernel makes the siginfo.
    call(libc::SYS_pidfd_send_signal, [fd, signal, 0, 0])
}

/// `count` times one signal as fast as it goes, then another one.
fn storm(pid: i64, signal: i64, count: u64, last: i64) -> Result<()> {
    for _ in 0..count {
        call(libc::SYS_kill, [pid, signal, 0, 0])?;
    }
    call(libc::SYS_kill, [pid, last, 0, 0])
}
