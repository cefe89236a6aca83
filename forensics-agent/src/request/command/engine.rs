//! docker(1) and podman(1).

use forensics_incident::{model::Recipient, signals::SIGKILL};

use super::{Ordered, options::Parsed, signal};
use crate::request::Wish;

/// Options that take a value: those before the verb, and those of the verbs.
const VALUED: [&str; 12] =
    ["H", "host", "c", "context", "config", "l", "log-level", "t", "time", "timeout", "s", "signal"];

pub(super) fn wishes(program: &str, arguments: &[String]) -> Vec<Ordered> {
    let parsed = Parsed::new(arguments, &VALUED);
    let mut words = parsed.words.iter().copied().peekable();
    words.next_if(|word| matches!(*word, "container" | "pod"));
    let verb = match words.next() {
        Some(verb @ ("stop" | "kill" | "restart" | "pause" | "unpause")) => verb,
        Some("rm" | "remove") if parsed.has(&["f", "force"]) => "remove",
        _ => return Vec::new(),
    };
    let engine = if program == "podman" { Recipient::Podman } else { Recipient::Docker };
    let default = (verb == "kill").then_some(SIGKILL);
    let number = parsed.value(&["s", "signal"]).map_or(default, signal);
    let time = parsed.value(&["t", "time", "timeout"]).map(|seconds| format!("t={seconds}"));
    let how: Vec<&str> = time.iter().map(String::as_str).collect();
    let wish = |name: &str| Wish::new(engine, verb).about(Some(name.to_owned())).how(&how).with(number);
    words.map(|name| Ordered { wish: wish(name), to_own: false }).collect()
}
