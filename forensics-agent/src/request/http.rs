//! Requests to container engines: the first line of HTTP/1.1. Docker's and Podman's interfaces have the same form
//! (Docker Engine API v1.24 and later, Podman's libpod API v4 and v5).

use forensics_incident::model::Recipient;

use super::Wish;

/// Longest request line that is read.
const MAX_LINE: usize = 1024;

/// What the request asks for; none for what has no part in the end of a container.
pub(super) fn wish(engine: Recipient, bytes: &[u8]) -> Option<Wish> {
    let line =
        bytes.get(..bytes.len().min(MAX_LINE))?.split(|byte| *byte == b'\r' || *byte == b'\n').next()?;
    let line = std::str::from_utf8(line).ok()?;
    let mut words = line.split(' ');
    let (method, target) = (words.next()?, words.next()?);
    // Behind the target stands the version; without it the target was cut off.
    if !words.next()?.starts_with("HTTP/1") {
        return None;
    }
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut parts = path.split('/').filter(|part| !part.is_empty()).peekable();
    parts.next_if(|part| is_version(part));
    parts.next_if(|part| *part == "libpod");
    if !matches!(parts.next()?, "containers" | "pods") {
        return None;
    }
    let name = decoded(parts.next()?)?;
    let verb = match (method, parts.next()) {
        ("POST", Some(verb @ ("stop" | "kill" | "restart" | "pause" | "unpause"))) => verb,
        ("DELETE", None) => "remove",
        _ => return None,
    };
    let value = |names: &[&str]| {
        let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find(|(name, _)| names.contains(name)).and_then(|(_, value)| decoded(value))
    };
    let time = value(&["t", "timeout"]).map(|seconds| format!("t={seconds}"));
    let force = value(&["force"]);
    // What runs is only removed by force.
    if verb == "remove"
        && !force.as_deref().is_some_and(|force| matches!(force, "1" | "true" | "True" | "TRUE" | "t" | "T"))
    {
        return None;
    }
    let force = force.map(|force| format!("force={force}"));
    let signal = value(&["signal"]).and_then(|signal| super::command::signal(&signal));
    let how: Vec<&str> = [&time, &force].into_iter().flatten().map(String::as_str).collect();
    let wish = Wish::new(engine, verb).about(Some(name)).how(&how);
    // Without a signal, `kill` means SIGKILL.
    let default = (verb == "kill").then_some(forensics_incident::signals::SIGKILL);
    Some(wish.with(signal.or(default)))
}

/// `v1.43`
fn is_version(part: &str) -> bool {
    let number = part.strip_prefix('v').unwrap_or_default();
    !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
}

/// Undoes percent-encoding; none when the result is no text.
fn decoded(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        if let [b'%', high, low, tail @ ..] = rest
            && let (Some(high), Some(low)) = (char::from(*high).to_digit(16), char::from(*low).to_digit(16))
        {
            out.push(u8::try_from(high << 4 | low).ok()?);
            rest = tail;
        } else {
            out.push(*first);
            rest = tail;
        }
    }
    String::from_utf8(out).ok()
}
