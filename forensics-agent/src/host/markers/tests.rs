//! Hostile homes: nothing blocks, nothing leaks, everything unreadable is reported.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use super::*;
use crate::host::proc::ProcDir;

const NAME: &str = ".gateway-takeover.json";
/// A user that is neither the target's nor root.
const STRANGER: u32 = 65_533;

/// A home that is removed at the end of its test.
struct Home(PathBuf);

impl Home {
    fn new() -> Home {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("forensics-home-{}-{number}", std::process::id()));
        fs::create_dir(&path).unwrap();
        Home(path)
    }

    fn marker(&self) -> PathBuf {
        self.0.join(NAME)
    }

    /// Reads the markers of this process as if it lived here, which must be quick.
    fn read(&self) -> Found {
        read_at(&self.0)
    }

    /// The one reason why the takeover marker was not read.
    fn refusal(&self) -> String {
        let found = self.read();
        assert_eq!(found.files, []);
        let [missing] = found.missing.as_slice() else { panic!("{:?}", found.missing) };
        assert_eq!(missing.field, "markers.takeover_marker");
        missing.why.clone()
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn read_at(home: &Path) -> Found {
    let dir = ProcDir::open(std::process::id()).unwrap();
    let mut target = MarkerTarget::read(&dir).unwrap();
    target.hermes_home = Some(home.as_os_str().as_bytes().to_vec());
    let started = Instant::now();
    let found = read_files(&dir, &target, &MarkerSpec::builtin().into());
    assert!(started.elapsed() < Duration::from_secs(2), "took {:?}", started.elapsed());
    found
}

fn is_root() -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        eprintln!("SKIPPED: needs root");
    }
    is_root
}

fn mknod(args: &[&str], path: &Path) {
    assert!(Command::new("mknod").arg(path).args(args).status().unwrap().success());
}

#[test]
fn an_empty_home_and_one_that_is_not_there() {
    let home = Home::new();
    for _ in 0..2 {
        assert_eq!((home.read().files, home.read().missing), (vec![], vec![]));
    }
    assert_eq!(read_at(Path::new("/no/such/home")).missing, []);
    assert_eq!(read_at(Path::new("/etc/passwd")).missing, []);
}

#[test]
fn a_plain_marker_is_read_even_right_after_it_was_known_absent() {
    let home = Home::new();
    assert_eq!(home.read().files, []);
    fs::write(home.marker(), "{}").unwrap();
    let found = home.read();
    let [file] = found.files.as_slice() else { panic!("{found:?}") };
    assert_eq!(file.image.bytes, b"{}");
    assert_eq!(file.path, home.marker().as_os_str().as_bytes());
    assert!(file.image.modified > 1.7e9);
    assert!(home.marker().exists(), "markers are never deleted");
}

#[test]
fn a_fifo_neither_blocks_nor_lets_its_writer_go() {
    let home = Home::new();
    mknod(&["p"], &home.marker());
    let (path, opened) = (home.marker(), Arc::new(AtomicBool::new(false)));
    let writer = {
        let opened = Arc::clone(&opened);
        std::thread::spawn(move || {
            let file = fs::OpenOptions::new().write(true).open(path);
            opened.store(true, Ordering::SeqCst);
            file
        })
    };
    std::thread::sleep(Duration::from_millis(20));
    assert!(home.refusal().ends_with("is a FIFO, not a regular file"));
    std::thread::sleep(Duration::from_millis(20));
    assert!(!opened.load(Ordering::SeqCst), "the FIFO was opened");
    // Lets the writer end.
    drop(fs::File::open(home.marker()).unwrap());
    writer.join().unwrap().unwrap();
}

#[test]
fn a_directory_a_socket_and_a_device() {
    let home = Home::new();
    fs::create_dir(home.marker()).unwrap();
    assert!(home.refusal().ends_with("is a directory, not a regular file"));
    fs::remove_dir(home.marker()).unwrap();
    let _listener = std::os::unix::net::UnixListener::bind(home.marker()).unwrap();
    assert!(home.refusal().ends_with("is a socket, not a regular file"));
    if is_root() {
        fs::remove_file(home.marker()).unwrap();
        mknod(&["c", "1", "5"], &home.marker());
        assert!(home.refusal().ends_with("is a character device, not a regular file"));
    }
}

#[test]
fn a_symbolic_link_is_not_followed_anywhere_in_the_path() {
    let home = Home::new();
    let secret = home.0.join("secret");
    fs::write(&secret, "canary").unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    symlink(&secret, home.marker()).unwrap();
    let why = home.refusal();
    assert!(why.ends_with("is reached by a symbolic link, which is not followed"), "{why}");
    assert!(!why.contains("canary"));

    let outer = Home::new();
    fs::remove_file(home.marker()).unwrap();
    fs::write(home.marker(), "{}").unwrap();
    symlink(&home.0, outer.0.join("link")).unwrap();
    let found = read_at(&outer.0.join("link"));
    assert_eq!(found.files, []);
    assert!(found.missing.iter().any(|m| m.why.contains("symbolic link")), "{found:?}");
    // A magic link of /proc is one as well.
    let found = read_at(Path::new("/proc/self/root/etc"));
    assert!(found.missing.iter().all(|m| m.why.contains("symbolic link")), "{found:?}");
}

#[test]
fn a_second_name_is_refused() {
    let home = Home::new();
    fs::write(home.0.join("shadow"), "canary").unwrap();
    fs::hard_link(home.0.join("shadow"), home.marker()).unwrap();
    assert!(home.refusal().ends_with("has more than one name"));
}

#[test]
fn a_file_of_somebody_else_is_refused() {
    if !is_root() {
        return;
    }
    let home = Home::new();
    fs::write(home.marker(), "{}").unwrap();
    chown(home.marker(), Some(STRANGER), None).unwrap();
    assert!(home.refusal().contains("belongs to uid 65533, which is neither the target's user nor root"));
}

#[test]
fn a_gigabyte_is_not_read() {
    let home = Home::new();
    fs::File::create(home.marker()).unwrap().set_len(1 << 30).unwrap();
    assert!(home.refusal().ends_with("holds 1073741824 bytes, more than 65536"));
    fs::File::create(home.marker()).unwrap().set_len(MARKER_CAP as u64).unwrap();
    assert_eq!(home.read().files.first().map(|file| file.image.bytes.len()), Some(MARKER_CAP));
}

#[test]
fn a_name_of_any_bytes() {
    let home = Home::new();
    let inner = home.0.join(OsStr::from_bytes(b"\xff\n\x1b[31m"));
    fs::create_dir(&inner).unwrap();
    fs::write(inner.join(NAME), b"\xff\xfe").unwrap();
    let found = read_at(&inner);
    assert_eq!(found.files.first().map(|file| file.image.bytes.as_slice()), Some(b"\xff\xfe".as_slice()));
}

#[test]
fn a_relative_home_is_reported() {
    let found = read_at(Path::new("relative"));
    assert!(found.missing.iter().all(|m| m.why == "relative is not an absolute path"), "{found:?}");
    assert_eq!(found.missing.len(), 2);
}

#[test]
fn a_file_that_is_replaced_or_rewritten_meanwhile_is_read_whole_or_not_at_all() {
    let home = Home::new();
    let stop = Arc::new(AtomicBool::new(false));
    let (one, two) = ("1".repeat(9000), "2".repeat(30_000));
    fs::write(home.marker(), &one).unwrap();
    let writer = {
        let (stop, marker, one, two) = (Arc::clone(&stop), home.marker(), one.clone(), two.clone());
        let temporary = home.0.join("new");
        std::thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                for text in [&two, &one] {
                    fs::write(&temporary, text).unwrap();
                    fs::rename(&temporary, &marker).unwrap();
                }
            }
        })
    };
    for _ in 0..300 {
        let found = home.read();
        for file in found.files {
            let text = String::from_utf8(file.image.bytes).unwrap();
            assert!(text == one || text == two, "{} bytes", text.len());
        }
    }
    stop.store(true, Ordering::Relaxed);
    writer.join().unwrap();
}

#[test]
fn a_dead_file_server_costs_the_deadline_and_no_more() {
    if !is_root() {
        return;
    }
    // A FUSE file system that nobody serves answers nothing, just as a dead file server.
    let Ok(device) = fs::OpenOptions::new().read(true).write(true).open("/dev/fuse") else {
        eprintln!("SKIPPED: no /dev/fuse");
        return;
    };
    let home = Home::new();
    let options =
        format!("fd={},rootmode=40000,user_id=0,group_id=0", std::os::fd::AsRawFd::as_raw_fd(&device));
    let flags = rustix::mount::MountFlags::empty();
    let options = std::ffi::CString::new(options).unwrap();
    if let Err(errno) = rustix::mount::mount("none", &home.0, "fuse", flags, options.as_c_str()) {
        eprintln!("SKIPPED: cannot mount FUSE: {errno}");
        return;
    }
    let started = Instant::now();
    let found = home.read();
    let took = started.elapsed();
    // Lets the helper thread go.
    drop(device);
    rustix::mount::unmount(&home.0, rustix::mount::UnmountFlags::DETACH).unwrap();
    assert!(took >= Duration::from_millis(190), "{took:?}: {found:?}");
    assert_eq!(found.missing.len(), 2);
    assert!(found.missing.iter().all(|m| m.why.contains("did not answer within 200 ms")), "{found:?}");
}

#[test]
fn passwd_is_subject_to_the_same_rules() {
    let home = Home::new();
    let owner = fs::metadata(&home.0).unwrap().uid();
    fs::create_dir(home.0.join("etc")).unwrap();
    symlink("/etc/passwd", home.0.join("etc/passwd")).unwrap();
    let root = fs::File::open(&home.0).unwrap();
    let read = read_file(std::os::fd::AsFd::as_fd(&root), b"/etc/passwd", &[owner], 1 << 20);
    assert_eq!(read, Err(FileError::SymbolicLink));
}
