use forensics_incident::model::{Process, Signal};
use forensics_incident::text::escape;
use serde::Serialize;

use super::style::Style;
use super::time::Zone;

/// What a line shows of a command line that it is about, characters.
pub(super) const LONG: usize = 100;
/// What a line shows of a command line next to other things, characters.
const SHORT: usize = 60;

/// Escapes foreign text and cuts it to so many characters, with `…` for what is gone.
pub(in crate::report) fn cut(text: &str, characters: usize) -> String {
    // Escaping only lengthens, so what is beyond the limit here is beyond it there: a hostile megabyte is not escaped.
    let head: String = text.chars().take(characters + 1).collect();
    let escaped = escape(&head);
    if escaped.chars().count() <= characters {
        return escaped;
    }
    let mut kept: String = escaped.chars().take(characters.saturating_sub(1)).collect();
    kept.push('…');
    kept
}

/// A process by its program: `` `pkill` (pid 4711)``.
pub(super) fn brief(process: &Process) -> String {
    format!("`{}` (pid {})", cut(process.program(), 40), process.pid)
}

/// A process by its command line, as far as it is known, cut to so many characters.
pub(super) fn command(process: &Process, characters: usize) -> String {
    let shown = match process.cmdline.as_deref() {
        Some(cmdline) if !cmdline.is_empty() => cmdline,
        _ => process.exe.as_deref().unwrap_or(&process.name),
    };
    cut(shown, characters)
}

/// The name of an enumeration's value as it is in JSON.
pub(in crate::report) fn slug(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(name)) => name,
        _ => String::new(),
    }
}

/// Who sent a signal: a process, or the kernel on its own. Who happened to be running is never named here.
pub(super) fn sender(signal: &Signal) -> String {
    match &signal.sender {
        Some(process) => {
            let uid = process.uid.map_or_else(String::new, |uid| format!(", uid {uid}"));
            format!("from `{}` (pid {}{uid})", command(process, SHORT), process.pid)
        }
        None => "from the kernel".to_owned(),
    }
}

/// `SIGTERM  kill  delivered`, with what is unusual about it.
pub(super) fn signal_columns(signal: &Signal) -> String {
    let repeated = match signal.repeated {
        0 => String::new(),
        more => format!("  ×{}", more.saturating_add(1)),
    };
    format!(
        "{:<9} {:<9} {}{repeated}",
        cut(&signal.signal, 12),
        slug(&signal.mechanism),
        slug(&signal.result)
    )
}

/// A signal as it comes, in one line.
pub(super) fn event(target: &Process, signal: &Signal, zone: Zone, style: Style) -> String {
    let clock = style.dim(&zone.clock(signal.ts));
    let columns = style.bold(&signal_columns(signal));
    format!("{clock}  {columns}  → {}  {}", brief(target), sender(signal))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_by_what_is_seen() {
        assert_eq!(cut("abcdef", 6), "abcdef");
        assert_eq!(cut("abcdefg", 6), "abcde…");
        assert_eq!(cut("äöüßxyz", 4), "äöü…");
        assert_eq!(cut("\x1b\x1b", 6), "\\x1b\\…");
        assert_eq!(cut(&"\n".repeat(1 << 20), 4), "\\n\\…");
    }
}
