//! Markers that live for less than a millisecond, written by real Python.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::event::{PollFd, PollFlags, poll};

use super::*;

const NAME: &str = ".gateway-takeover.json";

struct Home(PathBuf);

impl Home {
    fn new() -> Home {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("forensics-watch-{}-{number}", std::process::id()));
        fs::create_dir(&path).unwrap();
        Home(path)
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn watch() -> Option<MarkerWatch> {
    match MarkerWatch::new() {
        Ok(watch) => Some(watch),
        Err(error) => {
            eprintln!("SKIPPED: {error}");
            assert!(!rustix::process::geteuid().is_root(), "{error}");
            None
        }
    }
}

/// Watches for the markers of this process as if it lived in `home`.
fn add(watch: &mut MarkerWatch, home: &Path) -> Drained {
    let dir = ProcDir::open(std::process::id()).unwrap();
    let mut target = MarkerTarget::read(&dir).unwrap();
    target.hermes_home = Some(home.as_os_str().as_bytes().to_vec());
    watch.add(dir, target, &MarkerSpec::builtin().into())
}

/// Drains until nothing happens for 200 ms, or `count` events are there.
fn collect(watch: &mut MarkerWatch, count: usize) -> Drained {
    let mut all = Drained::default();
    let timeout = rustix::time::Timespec { tv_sec: 0, tv_nsec: 200_000_000 };
    while all.events.len() < count {
        let ready = poll(&mut [PollFd::new(&*watch, PollFlags::IN)], Some(&timeout)).unwrap();
        if ready == 0 {
            break;
        }
        let drained = watch.drain();
        all.events.extend(drained.events);
        all.missing.extend(drained.missing);
        all.lost |= drained.lost;
    }
    all
}

/// A Python program that does `body` with the path of the marker in `path`, once for each line that it is sent.
struct Python(Child, BufReader<std::process::ChildStdout>);

impl Python {
    fn start(home: &Path, body: &str) -> Python {
        let script = format!(
            "import os, sys, tempfile\nhome = sys.argv[1]\npath = os.path.join(home, '{NAME}')\nprint(flush=True)\n\
             for n, line in enumerate(sys.stdin):\n    text = '{{\"n\": %d}}' % n\n{body}\n    print(flush=True)\n"
        );
        let mut command = Command::new("python3");
        command.arg("-c").arg(script).arg(home).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        out.read_line(&mut String::new()).unwrap();
        Python(child, out)
    }

    fn go(&mut self, times: usize) {
        self.0.stdin.as_mut().unwrap().write_all(&b"\n".repeat(times)).unwrap();
    }

    fn wait(&mut self, times: usize) {
        for _ in 0..times {
            self.1.read_line(&mut String::new()).unwrap();
        }
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

const WRITE_AND_UNLINK: &str = "    with open(path, 'w') as f: f.write(text)\n    os.unlink(path)";
const REPLACE_AND_UNLINK: &str = "    fd, temporary = tempfile.mkstemp(dir=home)\n    os.write(fd, text.encode())\n    os.close(fd)\n    os.replace(temporary, path)\n    os.unlink(path)";

/// One hundred markers, the reader awake all the time: each is caught with its content and its writer.
fn a_hundred(body: &str) {
    let Some(mut watch) = watch() else { return };
    let home = Home::new();
    assert_eq!(add(&mut watch, &home.0), Drained::default());
    let mut python = Python::start(&home.0, body);
    for n in 0..100 {
        python.go(1);
        let mut drained = collect(&mut watch, 1);
        python.wait(1);
        // The kernel may tell of the rename first, now and then: the marker is found then, and its writer told afterwards.
        if drained.events.iter().all(|event| event.writer.is_none()) {
            drained = collect(&mut watch, 1);
        }
        let [event] = drained.events.as_slice() else { panic!("{n}: {drained:?}") };
        assert_eq!(event.file.image.bytes, format!("{{\"n\": {n}}}").as_bytes());
        assert_eq!(event.writer, Some(python.0.id()));
        assert_eq!(event.target, std::process::id());
        assert_eq!(event.file.spec.name, "takeover_marker");
        assert_eq!((drained.missing, drained.lost), (vec![], false));
    }
    assert_eq!(collect(&mut watch, 1).events, []);
}

#[test]
fn written_and_unlinked_within_a_millisecond() {
    a_hundred(WRITE_AND_UNLINK);
}

#[test]
fn renamed_into_place_and_unlinked_within_a_millisecond() {
    a_hundred(REPLACE_AND_UNLINK);
}

/// As above, and nobody looks before all hundred are written and gone, and the writer as well.
#[test]
fn all_of_them_at_once_when_the_reader_was_asleep() {
    for body in [WRITE_AND_UNLINK, REPLACE_AND_UNLINK] {
        let Some(mut watch) = watch() else { return };
        let home = Home::new();
        add(&mut watch, &home.0);
        let mut python = Python::start(&home.0, body);
        let pid = python.0.id();
        python.go(100);
        python.wait(100);
        drop(python);
        let drained = collect(&mut watch, 1000);
        let texts: Vec<_> =
            drained.events.iter().map(|e| String::from_utf8(e.file.image.bytes.clone()).unwrap()).collect();
        let expected: Vec<_> = (0..100).map(|n| format!("{{\"n\": {n}}}")).collect();
        assert_eq!(texts, expected);
        assert!(drained.events.iter().all(|event| event.writer == Some(pid)));
        assert_eq!((drained.missing, drained.lost), (vec![], false));
    }
}

#[test]
fn slow_renames_and_renames_from_elsewhere() {
    let Some(mut watch) = watch() else { return };
    let (home, other) = (Home::new(), Home::new());
    add(&mut watch, &home.0);
    let marker = home.0.join(NAME);
    // The temporary file is drained before it is renamed.
    fs::write(home.0.join("temporary"), "slow").unwrap();
    assert_eq!(collect(&mut watch, 1).events, []);
    assert!(watch.next_expiry().is_some());
    fs::rename(home.0.join("temporary"), &marker).unwrap();
    fs::remove_file(&marker).unwrap();
    let drained = collect(&mut watch, 1);
    assert_eq!(drained.events.first().map(|e| e.file.image.bytes.as_slice()), Some(b"slow".as_slice()));
    assert_eq!(drained.events.first().and_then(|e| e.writer), Some(std::process::id()));
    assert_eq!(watch.next_expiry(), None);
    // It was written where nobody watches: known while it is there, its writer is not.
    fs::write(other.0.join("x"), "elsewhere").unwrap();
    fs::rename(other.0.join("x"), &marker).unwrap();
    let drained = collect(&mut watch, 1);
    assert_eq!(drained.events.first().map(|e| e.file.image.bytes.as_slice()), Some(b"elsewhere".as_slice()));
    assert_eq!(drained.events.first().and_then(|e| e.writer), None);
}

#[test]
fn a_marker_that_was_there_before() {
    let Some(mut watch) = watch() else { return };
    let home = Home::new();
    fs::write(home.0.join(NAME), "before").unwrap();
    let added = add(&mut watch, &home.0);
    assert_eq!(added.events.first().map(|e| e.file.image.bytes.as_slice()), Some(b"before".as_slice()));
    assert_eq!(collect(&mut watch, 1).events, []);
}

#[test]
fn a_directory_that_comes_later_and_comes_again() {
    let Some(mut watch) = watch() else { return };
    let home = Home::new();
    let inner = home.0.join("a/b");
    assert_eq!(add(&mut watch, &inner), Drained::default());
    for text in ["first", "second"] {
        fs::create_dir_all(&inner).unwrap();
        // Right after the directory, before anybody watches it.
        fs::write(inner.join(NAME), text).unwrap();
        let drained = collect(&mut watch, 1);
        assert_eq!(drained.events.first().map(|e| e.file.image.bytes.as_slice()), Some(text.as_bytes()));
        fs::write(inner.join(NAME), "watched").unwrap();
        fs::remove_file(inner.join(NAME)).unwrap();
        let drained = collect(&mut watch, 1);
        assert_eq!(drained.events.last().and_then(|e| e.writer), Some(std::process::id()));
        fs::remove_dir_all(home.0.join("a")).unwrap();
        assert_eq!(collect(&mut watch, 1).events, []);
    }
}

#[test]
fn hostile_markers_are_refused_and_removed_targets_are_silent() {
    let Some(mut watch) = watch() else { return };
    let home = Home::new();
    add(&mut watch, &home.0);
    fs::write(home.0.join(NAME), vec![b' '; 70_000]).unwrap();
    let drained = collect(&mut watch, 1);
    assert_eq!(drained.events, []);
    let why = drained.missing.first().map(|(pid, missing)| (*pid, missing.why.clone())).unwrap();
    assert_eq!(why.0, std::process::id());
    assert!(why.1.ends_with("holds 70000 bytes, more than 65536"), "{}", why.1);
    watch.remove(std::process::id());
    fs::write(home.0.join(NAME), "{}").unwrap();
    assert_eq!(collect(&mut watch, 1), Drained::default());
    assert!(watch.directories.is_empty() && watch.pending.is_empty());
}

#[test]
fn two_homes_are_told_apart_and_one_home_may_be_shared() {
    let Some(mut watch) = watch() else { return };
    let homes = [Home::new(), Home::new()];
    let mut sleepers = Vec::new();
    for home in [&homes[0], &homes[1], &homes[1]] {
        let sleeper = Python::start(&home.0, "    pass");
        let dir = ProcDir::open(sleeper.0.id()).unwrap();
        let mut target = MarkerTarget::read(&dir).unwrap();
        target.hermes_home = Some(home.0.as_os_str().as_bytes().to_vec());
        watch.add(dir, target, &MarkerSpec::builtin().into());
        sleepers.push(sleeper);
    }
    let mut python = Python::start(&homes[1].0, REPLACE_AND_UNLINK);
    python.go(1);
    python.wait(1);
    let mut targets: Vec<_> = collect(&mut watch, 10).events.iter().map(|e| e.target).collect();
    targets.sort_unstable();
    let mut expected = [sleepers[1].0.id(), sleepers[2].0.id()];
    expected.sort_unstable();
    assert_eq!(targets, expected);
}
