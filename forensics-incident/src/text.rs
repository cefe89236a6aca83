//! Text that is safe to print: foreign bytes never reach a terminal unescaped.

use std::fmt::Write as _;

/// Escapes everything that could move a cursor, break a line or hide text: control characters (C0, DEL, C1),
/// line and paragraph separators, bidirectional overrides and other invisible format characters.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if is_hazardous(c) && u32::from(c) < 0x100 => {
                let _ = write!(out, "\\x{:02x}", u32::from(c));
            }
            c if is_hazardous(c) => {
                let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out
}

/// True for characters that a terminal acts on, or shows as nothing.
fn is_hazardous(c: char) -> bool {
    c.is_control()
        || matches!(u32::from(c),
            0xAD | 0x061C | 0x180E | 0x200B..=0x200F | 0x2028..=0x202E | 0x2060..=0x206F | 0xFEFF | 0xFFF9..=0xFFFB
            | 0xE0000..=0xE007F)
}

/// Quotes an argument for a POSIX shell, only where it needs it.
pub fn shell_quote(argument: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "@%+=:,./-_".contains(c) || (c as u32) >= 0x80;
    if !argument.is_empty() && argument.chars().all(plain) {
        return argument.to_owned();
    }
    format!("'{}'", argument.replace('\'', "'\\''"))
}

/// A command line quoted for a shell.
pub fn shell_join<S: AsRef<str>>(argv: &[S]) -> String {
    argv.iter().map(|a| shell_quote(a.as_ref())).collect::<Vec<_>>().join(" ")
}

/// A command line quoted for a shell. Where it would be longer than wanted, directories are left out: first that of the program,
/// then those of its arguments from the left, as far as is needed; the last name of a path says most.
pub fn command_line(argv: &[String], longest: usize) -> String {
    let mut words: Vec<String> = argv.iter().map(|word| shell_quote(word)).collect();
    let length =
        |words: &[String]| words.iter().map(|word| word.chars().count() + 1).sum::<usize>().saturating_sub(1);
    for at in 0..words.len() {
        if length(&words) <= longest {
            break;
        }
        let (Some(word), Some(argument)) = (words.get_mut(at), argv.get(at)) else { break };
        let Some((directory, name)) = argument.rsplit_once('/') else { continue };
        let is_path = argument.starts_with(['/', '.']) && !directory.is_empty() && !name.is_empty();
        if is_path {
            *word = if at == 0 { shell_quote(name) } else { format!("…/{}", shell_quote(name)) };
        }
    }
    words.join(" ")
}

/// The first characters of a text, with an ellipsis when there is more.
pub fn clip(text: &str, longest: usize) -> String {
    match text.char_indices().nth(longest) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default().trim_end()),
        None => text.to_owned(),
    }
}

/// Sets foreign text apart from the sentence; it must not end the quotation by itself.
pub fn quote(text: &str) -> String {
    let text = if text.is_empty() { "?" } else { text };
    format!("`{}`", text.replace('`', "\\x60"))
}

/// A span of time in the shortest form that loses nothing a person cares about: `85 µs`, `1.20 s`, `2 min 3 s`.
pub fn span(seconds: f64) -> String {
    let seconds = seconds.max(0.0);
    if seconds < 0.001 {
        format!("{:.0} µs", seconds * 1e6)
    } else if seconds < 1.0 {
        format!("{:.0} ms", seconds * 1e3)
    } else if seconds < 60.0 {
        let text = format!("{seconds:.2}");
        format!("{} s", text.trim_end_matches('0').trim_end_matches('.'))
    } else if seconds < 3600.0 {
        parts((seconds / 60.0, "min"), (seconds % 60.0, "s"))
    } else if seconds < 86400.0 {
        parts((seconds / 3600.0, "h"), (seconds % 3600.0 / 60.0, "min"))
    } else {
        parts((seconds / 86400.0, "d"), (seconds % 86400.0 / 3600.0, "h"))
    }
}

/// Whole units and whole smaller ones, where there are any.
fn parts((large, of_large): (f64, &str), (small, of_small): (f64, &str)) -> String {
    match small.floor() {
        0.0 => format!("{:.0} {of_large}", large.floor()),
        small => format!("{:.0} {of_large} {small:.0} {of_small}", large.floor()),
    }
}

/// A size as people say it: `32 MiB`, `1.5 GiB`.
pub fn size(bytes: u64) -> String {
    let units = [("GiB", 1u64 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    let unit = units.into_iter().find(|&(_, unit)| bytes >= unit);
    unit.map_or_else(
        || format!("{bytes} bytes"),
        |(name, unit)| {
            let text = format!("{:.1}", bytes as f64 / unit as f64);
            format!("{} {name}", text.strip_suffix(".0").unwrap_or(&text))
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_what_a_terminal_would_act_on() {
        assert_eq!(escape("a\n\x1b[31mb\x7f\u{9b}\u{202e}é"), "a\\n\\x1b[31mb\\x7f\\x9b\\u{202e}é");
    }

    #[test]
    fn quotes_only_where_needed() {
        assert_eq!(shell_join(&["sh", "-c", "it's $x", ""]), "sh -c 'it'\\''s $x' ''");
    }

    #[test]
    fn directories_give_way() {
        let argv = ["/usr/lib/jvm/bin/java", "-jar", "/opt/gateway/lib/gateway.jar", "--port", "80"]
            .map(str::to_owned);
        for (longest, expected) in [
            (80, "/usr/lib/jvm/bin/java -jar /opt/gateway/lib/gateway.jar --port 80"),
            (50, "java -jar /opt/gateway/lib/gateway.jar --port 80"),
            (30, "java -jar …/gateway.jar --port 80"),
        ] {
            assert_eq!(command_line(&argv, longest), expected);
        }
        let script = ["sh", "-c", "rm -rf /var/tmp/x"].map(str::to_owned);
        assert_eq!(command_line(&script, 10), "sh -c 'rm -rf /var/tmp/x'");
        assert_eq!(command_line(&["/bin/sh".to_owned(), "/tmp/a b.sh".to_owned()], 4), "sh …/'a b.sh'");
    }

    #[test]
    fn spans() {
        for (seconds, text) in [
            (0.000_085, "85 µs"),
            (0.25, "250 ms"),
            (1.2, "1.2 s"),
            (5.0, "5 s"),
            (123.0, "2 min 3 s"),
            (180.0, "3 min"),
            (7260.0, "2 h 1 min"),
        ] {
            assert_eq!(span(seconds), text);
        }
    }

    #[test]
    fn sizes() {
        assert_eq!([size(12), size(32 << 20), size(3 << 29)], ["12 bytes", "32 MiB", "1.5 GiB"]);
    }
}
