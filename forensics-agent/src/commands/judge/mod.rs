//! `judge`: stored incidents are judged anew, so that a better rule can be run over old evidence.

mod values;

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::PathBuf;

use forensics_incident::model::{Facts, INCIDENT_SCHEMA};
use forensics_incident::verdict::{self, Show};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::cli::{Globals, ShowCmdline};

use super::failure::Failure;
use values::{Found, Values, in_one_line};

const DETAILS: &str = "\
Examples:
  forensics-agent judge incidents.jsonl
  journalctl -u forensics-agent -o cat | forensics-agent judge

Each incident comes out as it went in, with a new verdict, in a line of its own; records of other schemas come out
unchanged. They may be one in each line, spread over several lines, or in a list. What is no such object is named on
stderr and left out, and the exit status is then 2.";

/// Options of `judge`.
#[derive(Debug, clap::Args)]
#[command(after_help = DETAILS)]
pub struct Args {
    /// Objects of JSON, as `watch -o json` prints them [default: standard input]
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,
}

/// What is read of a line before it is known to be an incident.
#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    schema: Option<std::borrow::Cow<'a, str>>,
    #[serde(borrow)]
    verdict: Option<&'a RawValue>,
}

/// Judges a file, or standard input, to standard output, and yields the exit status.
///
/// # Errors
/// The file cannot be read, or the output not be written.
pub fn run(globals: &Globals, args: &Args) -> Result<u8, Failure> {
    let show = match globals.shown() {
        ShowCmdline::Full | ShowCmdline::Redacted => Show::Cmdline,
        ShowCmdline::Exe => Show::ExeOnly,
    };
    let (name, input): (String, Box<dyn BufRead>) = match &args.file {
        Some(path) => {
            let name = path.display().to_string();
            let file = File::open(path).map_err(|error| Failure::usage(format!("{name}: {error}")))?;
            (name, Box::new(BufReader::new(file)))
        }
        None => ("standard input".to_owned(), Box::new(io::stdin().lock())),
    };
    let mut code = 0;
    judge(&name, input, &mut io::stdout().lock(), show, &mut |failure| code = code.max(failure.print()))?;
    Ok(code)
}

/// Judges one object after the other. What is wrong with one is told to `complain`, and the next one is read.
fn judge(
    name: &str,
    input: impl BufRead,
    out: &mut impl Write,
    show: Show,
    complain: &mut dyn FnMut(Failure),
) -> Result<(), Failure> {
    let mut values = Values::new(input);
    while let Some(found) = values.next().map_err(|error| Failure::usage(format!("{name}: {error}")))? {
        let (line, result) = match found {
            Found::Object { line, text } => (line, judged(&in_one_line(text), show)),
            Found::Bad { line, why } => (line, Err(why)),
        };
        match result {
            Ok(mut judged) => {
                // One write for each line, so that a reader of a shared pipe never sees half of one.
                judged.push(b'\n');
                out.write_all(&judged).map_err(|error| Failure::output(&error))?;
            }
            Err(why) => complain(Failure::usage(format!("{name}, line {line}: {why}"))),
        }
    }
    out.flush().map_err(|error| Failure::output(&error))
}

/// A record with a new verdict in the place of the old one. All else stays as it is, byte for byte, fields that
/// this version does not know included.
fn judged(text: &[u8], show: Show) -> Result<Vec<u8>, String> {
    let Line { schema, verdict } = serde_json::from_slice(text).map_err(|error| what_is_wrong(&error))?;
    if schema.as_deref() != Some(INCIDENT_SCHEMA) {
        return Ok(text.to_vec());
    }
    let facts: Facts = serde_json::from_slice(text).map_err(|error| {
        format!("the incident that begins here cannot be judged: {}", what_is_wrong(&error))
    })?;
    let judged = serde_json::to_vec(&verdict::judge(&facts, show)).map_err(|error| what_is_wrong(&error))?;
    // serde_json borrows a raw value from its input, so where it stands is known.
    let old = verdict.and_then(|old| {
        let start = old.get().as_ptr().addr().checked_sub(text.as_ptr().addr())?;
        Some(start..start + old.get().len())
    });
    let (before, name, after) = match old {
        Some(old) => (text.get(..old.start), &b""[..], text.get(old.end..)),
        // Facts that nobody has judged yet: an object that is not empty, since it has a schema.
        None => (text.strip_suffix(b"}"), &b",\"verdict\":"[..], Some(&b"}"[..])),
    };
    Ok([before.unwrap_or_default(), name, &judged, after.unwrap_or_default()].concat())
}

/// The error without its place, which is that in the object and not in the file.
fn what_is_wrong(error: &serde_json::Error) -> String {
    let place = format!(" at line {} column {}", error.line(), error.column());
    let text = error.to_string();
    text.strip_suffix(&place).unwrap_or(&text).to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::report::samples;

    fn all(input: &str) -> (Vec<String>, Vec<String>) {
        let (mut out, mut complaints) = (Vec::new(), Vec::new());
        judge("x", input.as_bytes(), &mut out, Show::Cmdline, &mut |failure| {
            assert_eq!(failure.code, 2);
            complaints.push(failure.message);
        })
        .expect("a Vec takes all");
        let out = String::from_utf8(out).expect("UTF-8");
        (out.lines().map(str::to_owned).collect(), complaints)
    }

    #[test]
    fn a_stored_verdict_is_replaced_and_nothing_else() {
        let incident = samples::pkill();
        let mut stored = serde_json::to_value(&incident).expect("JSON");
        stored["verdict"] = json!({"cause": "of another version"});
        stored["of a later version"] = json!({"verdict": [1.50, null]});
        stored["target"]["new"] = json!(true);
        let (lines, complaints) = all(&stored.to_string());
        assert_eq!(complaints, Vec::<String>::new());
        let mut judged: Value = serde_json::from_str(&lines[0]).expect("JSON");
        let expected = verdict::judge(&incident.facts, Show::Cmdline);
        assert_eq!(judged["verdict"], serde_json::to_value(expected).expect("JSON"));
        judged["verdict"] = stored["verdict"].clone();
        assert_eq!(judged, stored);
    }

    #[test]
    fn facts_alone_get_a_verdict() {
        for verdict in [None, Some(Value::Null)] {
            let mut stored = serde_json::to_value(samples::timer().facts).expect("JSON");
            if let Some(verdict) = verdict {
                stored["verdict"] = verdict;
            }
            let (lines, _) = all(&stored.to_string());
            let judged: Value = serde_json::from_str(&lines[0]).expect("JSON");
            assert!(judged["verdict"]["summary"].is_string(), "{judged}");
        }
    }

    #[test]
    fn other_lines_pass_and_broken_ones_are_named() {
        let incident = serde_json::to_string(&samples::pkill()).expect("JSON");
        let ready = r#"{ "schema":"forensics-agent/ready/1", "n": 1.50 }"#;
        let broken = r#"{"schema":"forensics-agent/incident/1","id":3}"#;
        let (lines, complaints) = all(&format!("{ready}\n\nnot json\n{broken}\n[1]\n{incident}"));
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert_eq!(lines[0], ready);
        assert!(lines[1].contains("\"verdict\":{\"cause\""), "{lines:?}");
        let starts = ["x, line 3: ", "x, line 4: ", "x, line 5: "];
        assert_eq!(complaints.len(), starts.len(), "{complaints:?}");
        for (complaint, start) in complaints.iter().zip(starts) {
            assert!(complaint.starts_with(start), "{complaint}");
            assert!(!complaint.contains("column") && !complaint.contains('\n'), "{complaint}");
        }
    }

    #[test]
    fn a_list_and_pretty_printed_incidents_lose_nothing() {
        let incident = serde_json::to_value(samples::pkill()).expect("JSON");
        let list = json!([incident, {"schema": "forensics-agent/ready/1", "x": [1]}, incident]);
        let (flat, complaints) = all(&incident.to_string());
        assert_eq!((flat.len(), complaints.len()), (1, 0));
        for text in [list.to_string(), format!("{list:#}"), format!("{incident:#}\n\n{incident:#}")] {
            let (lines, complaints) = all(&text);
            assert_eq!(complaints, Vec::<String>::new());
            let judged = |line: &&String| line.contains("/incident/1");
            assert_eq!(lines.iter().filter(judged).count(), 2, "{lines:?}");
            for line in lines.iter().filter(judged) {
                let line: Value = serde_json::from_str(line).expect("JSON");
                assert_eq!(line, serde_json::from_str::<Value>(&flat[0]).expect("JSON"));
            }
        }
    }
}
