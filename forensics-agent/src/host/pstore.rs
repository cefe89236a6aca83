//! What a kernel that panicked left in the persistent store of the platform.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::Path;
use std::time::UNIX_EPOCH;

use forensics_incident::model::Panic;
use forensics_incident::text;

/// Where the kernel shows it, and where systemd-pstore(8) moves it to.
const DIRECTORIES: [&str; 2] = ["/sys/fs/pstore", "/var/lib/systemd/pstore"];
/// How deep systemd-pstore(8) sorts its files.
const DEPTH: usize = 3;
/// Files that are looked at.
const MAX_FILES: usize = 64;
/// What is read of one, bytes.
const CAP: u64 = 256 << 10;
/// Characters of the line that is told.
const MAX_TEXT: usize = 200;

/// The record of a panic at or after `since`, Unix seconds.
pub fn panic_since(since: f64) -> Option<Panic> {
    let mut left = MAX_FILES;
    DIRECTORIES.iter().find_map(|directory| search(Path::new(directory), since, DEPTH, &mut left))
}

fn search(directory: &Path, since: f64, depth: usize, left: &mut usize) -> Option<Panic> {
    let mut paths: Vec<_> = fs::read_dir(directory).ok()?.flatten().map(|entry| entry.path()).collect();
    // The first part of a dump is its end, where the panic stands.
    paths.sort();
    for path in paths {
        let Ok(file) = fs::symlink_metadata(&path) else { continue };
        let found = if file.is_dir() && depth > 0 {
            search(&path, since, depth - 1, left)
        } else if file.is_file() && *left > 0 {
            *left -= 1;
            let age = file.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
            let is_late = age.is_some_and(|at| at.as_secs_f64() >= since);
            if is_late { read(&path) } else { None }
        } else {
            None
        };
        if found.is_some() {
            return found;
        }
    }
    None
}

fn read(path: &Path) -> Option<Panic> {
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(CAP).read_to_end(&mut bytes).ok()?;
    let content = String::from_utf8_lossy(&bytes);
    let at = content.find("Kernel panic - not syncing")?;
    let line: String = content.get(at..)?.lines().next()?.chars().take(MAX_TEXT).collect();
    Some(Panic { file: text::escape(&path.to_string_lossy()), text: text::escape(line.trim_end()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_that_says_it() {
        let directory = std::env::temp_dir().join(format!("forensics-pstore-{}", std::process::id()));
        let inner = directory.join("1795000000/000");
        fs::create_dir_all(&inner).expect("a directory");
        fs::write(inner.join("console"), "all is well\n").expect("written");
        let dump =
            "Oops#1 Part1\n<0>[   12.345678] Kernel panic - not syncing: sysrq triggered crash\n<4>more\n";
        fs::write(inner.join("dmesg.txt"), dump).expect("written");
        let found = search(&directory, 0.0, DEPTH, &mut 10).expect("a panic");
        assert_eq!(found.text, "Kernel panic - not syncing: sysrq triggered crash");
        assert!(found.file.ends_with("dmesg.txt"));
        assert_eq!(search(&directory, f64::MAX, DEPTH, &mut 10), None, "of another boot");
        fs::remove_dir_all(&directory).expect("ours");
    }
}
