//! What the console's log says of a machine that failed.

use std::path::Path;

use anyhow::Error;

/// What is looked for, and what it means, the gravest first.
const SIGNS: [(&str, &str); 6] = [
    ("Kernel panic - not syncing", "the guest's kernel panicked"),
    ("Oops: ", "the guest's kernel tripped"),
    ("kernel BUG at ", "the guest's kernel found a bug"),
    ("rcu: INFO: rcu_", "the guest's kernel was stalled"),
    ("Out of memory: Killed process", "the guest ran out of memory"),
    ("blocked for more than", "a process of the guest hung"),
];

/// Adds what the console says to why a machine failed, and where the log is.
pub(super) fn explain(why: Error, console: &Path) -> Error {
    let log = std::fs::read(console).unwrap_or_default();
    let log = String::from_utf8_lossy(&log);
    match sign(&log) {
        Some(sign) => why.context(format!("{sign}; its console: {}", console.display())),
        None => why.context(format!("its console: {}", console.display())),
    }
}

fn sign(log: &str) -> Option<String> {
    SIGNS.iter().find_map(|(sign, meaning)| {
        let line = log.lines().find(|line| line.contains(sign))?;
        Some(format!("{meaning} ({})", line.trim()))
    })
}

#[cfg(test)]
mod tests {
    use super::sign;

    #[test]
    fn the_gravest_sign_is_told() {
        let log = "[    9.1] Out of memory: Killed process 77 (hog)\n\
                   [   10.2] Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000009\n";
        let told = sign(log).unwrap_or_default();
        assert!(told.starts_with("the guest's kernel panicked (") && told.contains("Attempted to kill init"));
        assert_eq!(sign("[    0.0] Linux version 6.1.0\n"), None);
    }
}
