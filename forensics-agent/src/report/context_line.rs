//! The shutdown context as one line of a log, to the byte as the Python function it grew from wrote it.

use std::fmt::Write as _;

use forensics_incident::model::Context;
use serde_json::{Map, Value};
use unicode_general_category::{GeneralCategory, get_general_category};

/// The line for a context: `signal=SIGTERM under_systemd=yes parent_pid=1 …`, without a newline. Every part
/// that comes from a process is quoted or comes from the kernel as a name of 15 bytes; escape those before
/// a terminal sees them.
pub fn context_line(context: &Context) -> String {
    match serde_json::to_value(context) {
        Ok(Value::Object(map)) => context_map_line(&map),
        _ => context_map_line(&Map::new()),
    }
}

/// The line for a context of which any part may be missing.
pub fn context_map_line(context: &Map<String, Value>) -> String {
    let empty = Map::new();
    let parent = context.get("parent").and_then(Value::as_object).unwrap_or(&empty);
    let truthy_or_unknown = |value: Option<&Value>| match value {
        Some(value) if truthy(value) => python_str(value),
        _ => "?".to_owned(),
    };
    let load = match context.get("loadavg_1m") {
        // Python's and Rust's `.2` round the exact binary value half to even alike.
        Some(Value::Number(load)) => {
            load.as_f64().map_or_else(|| "?".to_owned(), |load| format!("{load:.2}"))
        }
        Some(Value::Bool(flag)) => format!("{:.2}", f64::from(*flag)),
        _ => "?".to_owned(),
    };
    let set = |key: &str| context.get(key).is_some_and(|value| !value.is_null());
    let true_of = |key: &str| context.get(key).is_some_and(truthy);

    let mut line = format!(
        "signal={} under_systemd={} parent_pid={} parent_name={} loadavg_1m={load}",
        context.get("signal").map_or_else(|| "?".to_owned(), python_str),
        if true_of("under_systemd") { "yes" } else { "no" },
        truthy_or_unknown(parent.get("pid")),
        truthy_or_unknown(parent.get("name")),
    );
    if set("takeover_marker") {
        line.push_str(" takeover_marker_present=");
        line.push_str(if true_of("takeover_marker_for_self") { "self" } else { "other" });
    }
    if set("planned_stop_marker") {
        line.push_str(" planned_stop_marker_present=yes");
    }
    if let Some(tracer) = context.get("tracer_pid").filter(|pid| truthy(pid)) {
        line.push_str(" tracer_pid=");
        line.push_str(&python_str(tracer));
    }
    line.push_str(" parent_cmdline=");
    line.push_str(&match parent.get("cmdline") {
        None => python_repr("(unknown)"),
        Some(Value::String(cmdline)) => python_repr(cmdline),
        Some(other) => python_str(other),
    });
    line
}

/// Python's truth of a value.
fn truthy(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(flag) => *flag,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(map) => !map.is_empty(),
    }
}

/// Python's `str()` of the values that a context holds; JSON for those that it never does.
fn python_str(value: &Value) -> String {
    match value {
        Value::Null => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Python's `repr()` of a string: single quotes, or double ones when it holds only single ones; what
/// `str.isprintable` denies is escaped (`unicode_repr` in CPython's `Objects/unicodeobject.c`).
pub fn python_repr(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut out = String::with_capacity(text.len() + 2);
    out.push(quote);
    for c in text.chars() {
        let code = u32::from(c);
        // Writing to a String cannot fail.
        let _ = match c {
            '\n' => out.write_str("\\n"),
            '\r' => out.write_str("\\r"),
            '\t' => out.write_str("\\t"),
            '\\' => out.write_str("\\\\"),
            c if c == quote => write!(out, "\\{c}"),
            c if is_printable(c) => out.write_char(c),
            _ if code < 0x100 => write!(out, "\\x{code:02x}"),
            _ if code < 0x1_0000 => write!(out, "\\u{code:04x}"),
            _ => write!(out, "\\U{code:08x}"),
        };
    }
    out.push(quote);
    out
}

/// Python's `str.isprintable` of one character.
fn is_printable(c: char) -> bool {
    use GeneralCategory as Category;
    c == ' '
        || !matches!(
            get_general_category(c),
            Category::Control
                | Category::Format
                | Category::Surrogate
                | Category::PrivateUse
                | Category::Unassigned
                | Category::LineSeparator
                | Category::ParagraphSeparator
                | Category::SpaceSeparator
        )
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    use forensics_incident::model::ProcessSummary;
    use proptest::prelude::*;
    use proptest::strategy::ValueTree as _;
    use proptest::test_runner::TestRunner;

    use super::*;

    #[derive(serde::Deserialize)]
    struct Case {
        context: Map<String, Value>,
        line: String,
    }

    #[test]
    fn lines_to_the_byte() {
        let vectors: Value = serde_json::from_str(include_str!("../../tests/vectors/log_line.json")).unwrap();
        let cases: Vec<Case> = serde_json::from_value(vectors["cases"].clone()).unwrap();
        assert!(cases.len() >= 10);
        for Case { context, line } in cases {
            assert_eq!(context_map_line(&context), line);
        }
    }

    #[test]
    fn a_typed_context() {
        let parent = ProcessSummary { pid: 7, name: Some("sh".into()), ..ProcessSummary::default() };
        let context =
            Context { signal: "SIGINT".into(), parent, loadavg_1m: Some(0.5), ..Context::default() };
        assert_eq!(
            context_line(&context),
            "signal=SIGINT under_systemd=no parent_pid=7 parent_name=sh loadavg_1m=0.50 parent_cmdline='(unknown)'"
        );
    }

    /// Asks Python itself; characters that its Unicode tables do not know yet are left out, since the two may
    /// be of different ages.
    #[test]
    fn repr_is_pythons() {
        const SCRIPT: &str = "import json, sys, unicodedata\n\
            for text in json.load(sys.stdin):\n\
            \x20   known = all(unicodedata.category(c) != 'Cn' for c in text)\n\
            \x20   print(json.dumps(repr(text) if known else None))\n";
        let strategy =
            prop_oneof![any::<String>(), "['\"\\\\\\n\\r\\t a-z\u{0}-\u{a0}\u{2000}-\u{2100}]{0,12}"];
        let mut runner = TestRunner::deterministic();
        let mut texts: Vec<String> =
            (0..2000).map(|_| strategy.new_tree(&mut runner).unwrap().current()).collect();
        texts.extend((0..=0x10FFFF_u32).step_by(7).filter_map(char::from_u32).map(String::from));
        let python =
            Command::new("python3").args(["-c", SCRIPT]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let Ok(mut python) = python else {
            eprintln!("SKIPPED repr_is_pythons: there is no python3 here");
            return;
        };
        let input = serde_json::to_vec(&texts).unwrap();
        let mut stdin = python.stdin.take().unwrap();
        let feeder = std::thread::spawn(move || stdin.write_all(&input).unwrap());
        let output = python.wait_with_output().unwrap();
        feeder.join().unwrap();
        assert!(output.status.success());
        let reprs: Vec<Option<String>> = output
            .stdout
            .split(|b| *b == b'\n')
            .filter(|l| !l.is_empty())
            .map(|l| serde_json::from_slice(l).unwrap())
            .collect();
        assert_eq!(reprs.len(), texts.len());
        for (text, repr) in texts.iter().zip(reprs) {
            if let Some(repr) = repr {
                assert_eq!(python_repr(text), repr, "{text:?}");
            }
        }
    }
}
