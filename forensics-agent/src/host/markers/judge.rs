use std::borrow::Cow;

use forensics_incident::model::{Marker, Missing, ProcessKey};
use serde_json::Value;

use super::read::{MarkerFile, missing};
use super::timestamp::parse_iso;
use crate::host::proc::{ProcDir, ProcError, Stat, Status, boot_ns_of_ticks};

/// Characters of a marker that are kept as they stand.
const RAW_CHARS: usize = 300;

/// What takes the secrets out of one string of foreign text.
pub type Redact<'a> = &'a dyn Fn(&str) -> String;

/// Whom a marker may name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MarkerTarget {
    /// Its pid.
    pub pid: u32,
    /// Its pid in its own pid namespace, when that is a nested one.
    pub ns_pid: Option<u32>,
    /// Field 22 of `/proc/PID/stat`.
    pub start_ticks: u64,
    /// Its real user id.
    pub uid: u32,
    /// Its effective user id.
    pub euid: u32,
    /// `HERMES_HOME` of its environment.
    pub hermes_home: Option<Vec<u8>>,
}

impl MarkerTarget {
    /// Reads whom a marker may name; `hermes_home` is left to whoever reads the environment.
    ///
    /// # Errors
    /// [`ProcError`]
    pub fn read(dir: &ProcDir) -> Result<MarkerTarget, ProcError> {
        let pid = dir.pid();
        let mut buffer = Vec::new();
        let error = |file| move |errno| ProcError::from_errno(pid, file, errno);
        dir.read(c"stat", &mut buffer, 4096).map_err(error("stat"))?;
        let stat = Stat::parse(&buffer).ok_or(ProcError::Malformed { pid, file: "stat" })?;
        dir.read(c"status", &mut buffer, 1 << 20).map_err(error("status"))?;
        let status = Status::parse(&buffer);
        let (Some(uid), Some(euid)) = (status.uid, status.euid) else {
            return Err(ProcError::Malformed { pid, file: "status" });
        };
        Ok(MarkerTarget {
            pid,
            ns_pid: status.ns_pid,
            start_ticks: stat.start_ticks,
            uid,
            euid,
            hermes_home: None,
        })
    }

    /// The process that was read.
    pub fn key(&self) -> ProcessKey {
        ProcessKey { pid: self.pid, start_boot_ns: boot_ns_of_ticks(self.start_ticks) }
    }

    /// Who may write a marker for it.
    pub(super) fn owners(&self) -> [u32; 3] {
        [self.uid, self.euid, 0]
    }
}

/// Says what a marker file means for a target at the Unix time `now`.
///
/// What is wrong with the file is added to `notes`; a marker that cannot be understood names nobody.
pub fn judge(
    file: &MarkerFile,
    target: &MarkerTarget,
    now: f64,
    redact: Redact<'_>,
    notes: &mut Vec<Missing>,
) -> Marker {
    let text = String::from_utf8_lossy(&file.image.bytes);
    if matches!(text, Cow::Owned(_)) {
        let path = String::from_utf8_lossy(&file.path);
        notes.push(missing(&file.spec, format!("{path} is not UTF-8: what is not was replaced")));
    }
    let content: Option<Value> = match serde_json::from_str(&text) {
        Ok(content) => Some(content),
        Err(error) => {
            let path = String::from_utf8_lossy(&file.path);
            notes.push(missing(&file.spec, format!("{path} is not JSON: {error}")));
            None
        }
    };
    let field = |name: &str| content.as_ref().and_then(|content| content.get(name)).filter(|v| !v.is_null());

    let pid = content.as_ref().and_then(|content| content.pointer(&file.spec.pointer));
    let names_target = names(pid, field("target_start_time"), target)
        && is_home(field("target_hermes_home"), file.hermes_home.as_deref());

    let written_at = match field("written_at") {
        None => Some(file.image.modified),
        Some(Value::String(text)) => parse_iso(text),
        Some(value) => value.as_f64(),
    };
    let age_s = written_at.map(|written_at| now - written_at);

    let redacted = content.as_ref().map(|content| redact_value(None, content, redact));
    let raw = match &redacted {
        // The rules that know the names of secrets have seen more of it than those for flat text.
        Some(redacted) if content.as_ref() != Some(redacted) => redacted.to_string(),
        _ => redact(&text),
    };
    Marker {
        kind: file.spec.kind,
        path: String::from_utf8_lossy(&file.path).into_owned(),
        names_target,
        fresh: Marker::is_fresh_at(age_s),
        age_s,
        content: redacted,
        raw: raw.chars().take(RAW_CHARS).collect(),
        writer: None,
    }
}

/// True when both numbers are the target's. In a nested pid namespace the writer may live inside or outside of it: the
/// number seen from outside counts only with a start time, since inside it may be somebody else's.
fn names(pid: Option<&Value>, start: Option<&Value>, target: &MarkerTarget) -> bool {
    let Some(pid) = pid.and_then(whole) else { return false };
    let is_pid = match target.ns_pid {
        None => pid == u64::from(target.pid),
        Some(ns_pid) => pid == u64::from(ns_pid) || (start.is_some() && pid == u64::from(target.pid)),
    };
    is_pid && start.is_none_or(|start| whole(start) == Some(target.start_ticks))
}

/// A JSON number without a fraction, as `7` or `7.0`; a string of digits is not a number.
fn whole(value: &Value) -> Option<u64> {
    let exact = |number: f64| number.fract() == 0.0 && (0.0..9e15).contains(&number);
    value.as_u64().or_else(|| value.as_f64().filter(|&number| exact(number)).map(|number| number as u64))
}

/// True when no home is given, or the target's.
fn is_home(given: Option<&Value>, own: Option<&[u8]>) -> bool {
    let Some(given) = given else { return true };
    let parts = |path: &[u8]| -> Vec<Vec<u8>> {
        let part = |part: &&[u8]| !part.is_empty() && *part != b".";
        path.split(|&b| b == b'/').filter(part).map(<[u8]>::to_vec).collect()
    };
    match (given.as_str(), own) {
        // Lossy on both sides, as the marker's text was.
        (Some(given), Some(own)) => parts(given.as_bytes()) == parts(String::from_utf8_lossy(own).as_bytes()),
        _ => false,
    }
}

/// The value with secrets taken out of its strings. A string is shown to the rules as `name=value`, so that they
/// know a password by its name. The depth is bounded by the parser's, 128.
fn redact_value(name: Option<&str>, value: &Value, redact: Redact<'_>) -> Value {
    match value {
        Value::String(text) => Value::String(match name {
            Some(name) => {
                let pair = format!("{name}={text}");
                let redacted = redact(&pair);
                if redacted == pair { redact(text) } else { tail(&redacted, name) }
            }
            None => redact(text),
        }),
        Value::Array(items) => items.iter().map(|item| redact_value(name, item, redact)).collect(),
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| (redact(name), redact_value(Some(name), value, redact)))
            .collect(),
        other => other.clone(),
    }
}

/// What follows `name=`, or all of it when the rules changed that as well.
fn tail(redacted: &str, name: &str) -> String {
    redacted.strip_prefix(name).and_then(|rest| rest.strip_prefix('=')).unwrap_or(redacted).to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::{FileImage, MarkerSpec};
    use super::*;

    const NOW: f64 = 1_777_638_900.0;

    fn target() -> MarkerTarget {
        MarkerTarget { pid: 123, start_ticks: 4567, ..MarkerTarget::default() }
    }

    fn marker_for(text: &str, target: &MarkerTarget) -> Marker {
        let spec = MarkerSpec::builtin().remove(0);
        let image = FileImage { bytes: text.as_bytes().to_vec(), modified: NOW - 3.0 };
        let path = b"/h/.gateway-takeover.json".to_vec();
        let file = MarkerFile { spec, path, hermes_home: Some(b"/h".to_vec()), image };
        judge(&file, target, NOW, &str::to_owned, &mut Vec::new())
    }

    fn marker(text: &str) -> Marker {
        marker_for(text, &target())
    }

    #[test]
    fn the_pid_is_a_number_and_not_a_substring() {
        for (text, names) in [
            (r#"{"target_pid": 123}"#, true),
            (r#"{"target_pid":123}"#, true),
            (r#"{"target_pid": 123.0}"#, true),
            (r#"{"target_pid": 1234}"#, false),
            (r#"{"target_pid": 12}"#, false),
            (r#"{"target_pid": "123"}"#, false),
            (r#"{"target_pid": null}"#, false),
            (r#"{"note": "\"target_pid\": 123"}"#, false),
            (r#"{"target_pid": 123.5}"#, false),
            (r#"{"target_pid": -123}"#, false),
            (r#"[123]"#, false),
            ("", false),
        ] {
            assert_eq!(marker(text).names_target, names, "{text}");
        }
    }

    #[test]
    fn start_time_and_home_must_agree_when_given() {
        for (rest, names) in [
            (r#""target_start_time": 4567"#, true),
            (r#""target_start_time": null"#, true),
            (r#""target_start_time": 4568"#, false),
            (r#""target_start_time": "4567""#, false),
            (r#""target_hermes_home": "/h/""#, true),
            (r#""target_hermes_home": "/other""#, false),
            (r#""target_hermes_home": 7"#, false),
            (r#""replacer_hermes_home": "/other""#, true),
        ] {
            let text = format!("{{\"target_pid\": 123, {rest}}}");
            assert_eq!(marker(&text).names_target, names, "{rest}");
        }
    }

    #[test]
    fn in_a_nested_namespace_the_inner_pid_counts() {
        let nested = MarkerTarget { ns_pid: Some(7), ..target() };
        for (text, names) in [
            (r#"{"target_pid": 7}"#, true),
            (r#"{"target_pid": 123}"#, false),
            (r#"{"target_pid": 123, "target_start_time": 4567}"#, true),
            (r#"{"target_pid": 7, "target_start_time": 1}"#, false),
        ] {
            assert_eq!(marker_for(text, &nested).names_target, names, "{text}");
        }
    }

    #[test]
    fn fresh_for_a_minute_from_written_at() {
        for (written_at, fresh) in [
            (r#""2026-05-01T12:34:50+00:00""#, true),
            (r#""2026-05-01T12:33:59+00:00""#, false),
            (r#""2026-05-01T12:40:00+00:00""#, false),
            ("1777638899.5", true),
            ("1777638800", false),
            (r#""yesterday""#, false),
            ("true", false),
        ] {
            let text = format!("{{\"target_pid\": 123, \"written_at\": {written_at}}}");
            assert_eq!(marker(&text).fresh, fresh, "{written_at}");
        }
        let by_file_time = marker(r#"{"target_pid": 123}"#);
        assert!(by_file_time.fresh);
        assert_eq!(by_file_time.age_s, Some(3.0));
    }

    #[test]
    fn hostile_content_is_bounded_and_reported() {
        let deep = "[".repeat(60_000);
        for text in [deep.as_str(), "{\"target_pid\": NaN}", "{\"target_pid\": 1e999}", "\u{fffd}"] {
            let spec = MarkerSpec::builtin().remove(0);
            let image = FileImage { bytes: text.as_bytes().to_vec(), modified: NOW };
            let file = MarkerFile { spec, path: b"/h/m".to_vec(), hermes_home: None, image };
            let mut notes = Vec::new();
            let marker = judge(&file, &target(), NOW, &str::to_owned, &mut notes);
            assert!(marker.content.is_none() && !marker.names_target);
            assert!(marker.raw.chars().count() <= 300);
            assert_eq!(notes.len(), 1, "{text:.20}");
        }
    }

    #[test]
    fn bytes_that_are_not_utf8_do_not_hide_the_pid() {
        let spec = MarkerSpec::builtin().remove(0);
        let image = FileImage { bytes: b"{\"target_pid\": 123, \"by\": \"\xff\"}".to_vec(), modified: NOW };
        let file = MarkerFile { spec, path: b"/h/\xff".to_vec(), hermes_home: None, image };
        let mut notes = Vec::new();
        let marker = judge(&file, &target(), NOW, &str::to_owned, &mut notes);
        assert!(marker.names_target);
        assert_eq!(marker.path, "/h/\u{fffd}");
        let [note] = notes.as_slice() else { panic!("{notes:?}") };
        assert_eq!(note.why, "/h/\u{fffd} is not UTF-8: what is not was replaced");
    }

    #[test]
    fn secrets_are_known_by_their_names() {
        let redact = |text: &str| match text.strip_prefix("token=") {
            Some(_) => "token=[redacted]".to_owned(),
            None => text.to_owned(),
        };
        let spec = MarkerSpec::builtin().remove(0);
        let bytes = br#"{"target_pid": 123, "token": "canary", "list": [{"token": "canary"}]}"#.to_vec();
        let file = MarkerFile {
            spec,
            path: b"/h/m".to_vec(),
            hermes_home: None,
            image: FileImage { bytes, modified: NOW },
        };
        let marker = judge(&file, &target(), NOW, &redact, &mut Vec::new());
        let shown = format!("{}{:?}", marker.raw, marker.content);
        assert!(!shown.contains("canary") && shown.contains("[redacted]"), "{shown}");
        assert!(marker.names_target);
    }
}
