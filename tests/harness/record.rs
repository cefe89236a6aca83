//! Records, and assertions on them that show the whole record when they fail.

use std::fmt;

use anyhow::{Context as _, Error, Result, anyhow, ensure};
use serde_json::Value;

/// One JSON line of the agent.
#[derive(Debug, Clone)]
pub struct Record(Value);

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#}", self.0)
    }
}

impl Record {
    /// Reads a line.
    ///
    /// # Errors
    /// When it is not a JSON object.
    pub fn parse(line: &str) -> Result<Self> {
        let value: Value = serde_json::from_str(line).with_context(|| format!("not JSON: {line}"))?;
        ensure!(value.is_object(), "not an object: {line}");
        Ok(Self(value))
    }

    /// The value at a path as `signals.0.sender.pid`; null when it is absent.
    pub fn at(&self, path: &str) -> &Value {
        let pointer = format!("/{}", path.replace('.', "/"));
        self.0.pointer(&pointer).unwrap_or(&Value::Null)
    }

    /// Its keys, in the order of their names.
    pub fn keys(&self) -> Vec<String> {
        let mut keys: Vec<String> =
            self.0.as_object().into_iter().flat_map(|map| map.keys().cloned()).collect();
        keys.sort();
        keys
    }

    /// True when the record is of this schema, as `incident`.
    pub fn is(&self, schema: &str) -> bool {
        self.at("schema") == &Value::from(format!("forensics-agent/{schema}/1"))
    }

    /// True when the process at a path has this pid in its own pid namespace.
    pub fn is_pid(&self, path: &str, pid: u64) -> bool {
        let own = self.at(&format!("{path}.ns_pid")).as_u64();
        own.or_else(|| self.at(&format!("{path}.pid")).as_u64()) == Some(pid)
    }

    /// Asserts the value at a path. Null stands for absent as well.
    ///
    /// # Errors
    /// When it is another one.
    pub fn expect(&self, path: &str, expected: impl Into<Value>) -> Result<()> {
        let expected = expected.into();
        let found = self.at(path);
        if *found == expected {
            return Ok(());
        }
        Err(self.fault(format!("{path} is {found}, not {expected}")))
    }

    /// Asserts that the value at a path is one of several.
    ///
    /// # Errors
    /// When it is another one.
    pub fn expect_one_of(&self, path: &str, expected: &[&str]) -> Result<()> {
        let found = self.at(path);
        if expected.iter().any(|expected| found == expected) {
            return Ok(());
        }
        Err(self.fault(format!("{path} is {found}, not one of {expected:?}")))
    }

    /// Asserts that the text at a path has a part.
    ///
    /// # Errors
    /// When it is not text, or lacks it.
    pub fn expect_part(&self, path: &str, part: &str) -> Result<()> {
        let found = self.text(path)?;
        if found.contains(part) {
            return Ok(());
        }
        Err(self.fault(format!("{path} is {found:?}, which lacks {part:?}")))
    }

    /// Asserts that a sentence of the verdict's evidence has a part.
    ///
    /// # Errors
    /// When none has.
    pub fn expect_evidence(&self, part: &str) -> Result<()> {
        let told = |sentence: &Value| sentence.as_str().is_some_and(|text| text.contains(part));
        if self.list("verdict.evidence")?.iter().any(told) {
            return Ok(());
        }
        Err(self.fault(format!("no evidence says {part:?}")))
    }

    /// The text at a path.
    ///
    /// # Errors
    /// When there is none.
    pub fn text(&self, path: &str) -> Result<&str> {
        self.at(path).as_str().ok_or_else(|| self.fault(format!("{path} is {}, not text", self.at(path))))
    }

    /// The number at a path.
    ///
    /// # Errors
    /// When there is no whole number of 0 or more.
    pub fn number(&self, path: &str) -> Result<u64> {
        self.at(path).as_u64().ok_or_else(|| self.fault(format!("{path} is {}, not a number", self.at(path))))
    }

    /// The list at a path.
    ///
    /// # Errors
    /// When there is none.
    pub fn list(&self, path: &str) -> Result<&[Value]> {
        let list = self.at(path).as_array();
        list.map(Vec::as_slice).ok_or_else(|| self.fault(format!("{path} is {}, not a list", self.at(path))))
    }

    /// The command line at a path, as a list of arguments.
    ///
    /// # Errors
    /// When it is not a list of strings.
    pub fn argv(&self, path: &str) -> Result<Vec<&str>> {
        let argument =
            |value| Value::as_str(value).ok_or_else(|| self.fault(format!("{path} has {value} in it")));
        self.list(path)?.iter().map(argument).collect()
    }

    /// Asserts that the last signal is of this number and mechanism, and returns its path.
    ///
    /// # Errors
    /// When there is no signal, or it is another one.
    pub fn expect_last_signal(&self, signal: i32, mechanism: &str) -> Result<String> {
        let count = self.list("signals")?.len();
        let last = count.checked_sub(1).ok_or_else(|| self.fault("there is no signal"))?;
        let path = format!("signals.{last}");
        self.expect(&format!("{path}.signal_num"), signal)?;
        self.expect(&format!("{path}.mechanism"), mechanism)?;
        Ok(path)
    }

    /// Asserts that the target was killed by this signal and that nothing was lost.
    ///
    /// # Errors
    /// When it ended otherwise.
    pub fn expect_killed(&self, signal: i32) -> Result<()> {
        self.expect("outcome.kind", "killed")?;
        self.expect("outcome.signal_num", signal)?;
        self.expect("lost.records", 0)
    }

    /// Asserts that the target exited with this status and that nothing was lost.
    ///
    /// # Errors
    /// When it ended otherwise.
    pub fn expect_exited(&self, code: i32) -> Result<()> {
        self.expect("outcome.kind", "exited")?;
        self.expect("outcome.exit_code", code)?;
        self.expect("lost.records", 0)
    }

    /// An error that shows the whole record.
    pub fn fault(&self, what: impl fmt::Display) -> Error {
        anyhow!("{what}, in {self}")
    }
}
