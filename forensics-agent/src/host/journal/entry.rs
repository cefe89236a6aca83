//! One entry of the journal, from the JSON that `journalctl` prints.

use serde_json::{Map, Value};

/// The field of the kernel's stamp.
pub(super) const SENT: &str = "_SOURCE_REALTIME_TIMESTAMP";

/// Fields of one entry. Of a field that occurs more than once, the first counts.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry(Map<String, Value>);

impl Entry {
    /// Reads a line of `journalctl --output=json`; None when it is not one.
    pub fn parse(line: &[u8]) -> Option<Self> {
        match serde_json::from_slice(line).ok()? {
            Value::Object(fields) => Some(Self(fields)),
            _ => None,
        }
    }

    /// The text of a field, whatever bytes it had; None when it is absent, or too long to be printed.
    pub fn text(&self, field: &str) -> Option<String> {
        text(self.0.get(field)?)
    }

    /// A field that is a whole number.
    pub fn number<T: std::str::FromStr>(&self, field: &str) -> Option<T> {
        self.text(field)?.parse().ok()
    }

    /// True when the field is there and too long to be printed (4 KiB, `JSON_THRESHOLD` in systemd's
    /// `src/shared/logs-show.c`).
    pub fn is_too_long(&self, field: &str) -> bool {
        self.0.get(field).is_some_and(Value::is_null)
    }

    /// When it was sent, Unix seconds: by the kernel's stamp on the message where there is one, else by the time at which
    /// a busy journald came to read it. The stamp must be asked for.
    pub fn unix_s(&self) -> Option<f64> {
        let stamp = self.number::<u64>(SENT).or_else(|| self.number("__REALTIME_TIMESTAMP"));
        stamp.map(|microseconds| microseconds as f64 / 1e6)
    }
}

/// A string; an array of numbers, the bytes of what is no plain text; or an array of those, of a field that
/// occurs more than once.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Array(items) => match items.first()? {
            Value::Number(_) => {
                let byte = |item: &Value| u8::try_from(item.as_u64()?).ok();
                let bytes: Option<Vec<u8>> = items.iter().map(byte).collect();
                Some(String::from_utf8_lossy(&bytes?).into_owned())
            }
            Value::Array(nested) if nested.first().is_some_and(Value::is_number) => text(items.first()?),
            Value::String(first) => Some(first.clone()),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry(json: &str) -> Entry {
        Entry::parse(json.as_bytes()).expect("an entry")
    }

    #[test]
    fn fields_in_every_form() {
        for (json, text) in [
            (r#"{"MESSAGE":"plain"}"#, Some("plain")),
            (r#"{"MESSAGE":[97,27,91,255]}"#, Some("a\u{1b}[\u{fffd}")),
            (r#"{"MESSAGE":["first","second"]}"#, Some("first")),
            (r#"{"MESSAGE":[[97,10],[98]]}"#, Some("a\n")),
            (r#"{"MESSAGE":["first",[98]]}"#, Some("first")),
            (r#"{"MESSAGE":null}"#, None),
            (r#"{"MESSAGE":[97,256]}"#, None),
            (r#"{"MESSAGE":[97,-1]}"#, None),
            (r#"{"MESSAGE":[]}"#, None),
            (r#"{"MESSAGE":{"a":1}}"#, None),
            (r#"{}"#, None),
        ] {
            assert_eq!(entry(json).text("MESSAGE").as_deref(), text, "{json}");
        }
    }

    #[test]
    fn numbers_and_times() {
        let entry =
            entry(r#"{"_PID":"812","JOB_ID":"x","__REALTIME_TIMESTAMP":"1795490225500000","LONG":null}"#);
        assert_eq!(entry.number::<u32>("_PID"), Some(812));
        assert_eq!(entry.number::<u32>("JOB_ID"), None);
        assert_eq!(entry.unix_s(), Some(1_795_490_225.5));
        let sent =
            Entry::parse(br#"{"_SOURCE_REALTIME_TIMESTAMP":"2000000","__REALTIME_TIMESTAMP":"3000000"}"#);
        assert_eq!(sent.and_then(|entry| entry.unix_s()), Some(2.0));
        assert!(entry.is_too_long("LONG") && !entry.is_too_long("_PID") && !entry.is_too_long("NONE"));
    }

    proptest! {
        #[test]
        fn any_line_is_read_or_refused(line in prop_oneof![
            any::<Vec<u8>>(),
            "\\{\"MESSAGE\":[\\[\\]0-9a\",{}-]{0,40}\\}".prop_map(String::into_bytes),
        ]) {
            if let Some(entry) = Entry::parse(&line) {
                let _ = (entry.text("MESSAGE"), entry.number::<u32>("MESSAGE"), entry.unix_s());
            }
        }
    }
}
