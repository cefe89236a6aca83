//! Comparing what a tool says with what is true.

use serde_json::Value;

use super::{End, Scenario, Truth};

/// What is asked of every incident.
pub const FACETS: [&str; 5] = ["outcome", "mechanism", "sender", "cause", "culprit"];

/// Signals that people end processes with.
const ENDING: [i32; 2] = [libc::SIGTERM, libc::SIGKILL];

/// What an answer is worth. Wrong is worse than vague.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mark {
    /// What is true, an honest "nobody" included.
    Right,
    /// Nothing, "unknown", or true and less than could be known.
    Vague,
    /// Something that is not true.
    Wrong,
}

impl Mark {
    /// As it stands in the report.
    pub fn word(self) -> &'static str {
        match self {
            Self::Right => "right",
            Self::Vague => "vague",
            Self::Wrong => "WRONG",
        }
    }
}

/// An answer of a tool.
#[derive(Debug, Clone)]
pub struct Answer {
    /// One of [`FACETS`].
    pub facet: &'static str,
    /// What it is worth.
    pub mark: Mark,
    /// What the tool said.
    pub said: String,
    /// What is true.
    pub truth: String,
}

/// Answers of an incident, or of none.
pub fn score(scenario: &Scenario, truth: &Truth, victim: u32, incident: Option<&Value>) -> Vec<Answer> {
    let Some(incident) = incident else {
        let nothing = |facet| Answer {
            facet,
            mark: Mark::Vague,
            said: "no incident".to_owned(),
            truth: "an incident".to_owned(),
        };
        return FACETS.map(nothing).to_vec();
    };
    let case = Case { scenario, truth, victim, incident };
    vec![case.outcome(), case.mechanism(), case.sender(), case.cause(), case.culprit()]
}

struct Case<'a> {
    scenario: &'a Scenario,
    truth: &'a Truth,
    victim: u32,
    incident: &'a Value,
}

impl<'a> Case<'a> {
    fn at(&self, pointer: &str) -> &'a Value {
        self.incident.pointer(pointer).unwrap_or(&Value::Null)
    }

    fn outcome(&self) -> Answer {
        let number = |pointer| self.at(pointer).as_i64().and_then(|number| i32::try_from(number).ok());
        let said = match self.at("/outcome/kind").as_str() {
            Some("killed") => number("/outcome/signal_num").map(End::Killed),
            Some("exited") => number("/outcome/exit_code").map(End::Exited),
            _ => None,
        };
        let mark = match said {
            Some(end) if end == self.scenario.end => Mark::Right,
            Some(_) => Mark::Wrong,
            None if matches!(self.at("/outcome/kind").as_str(), None | Some("unknown")) => Mark::Vague,
            None => Mark::Wrong,
        };
        let said = said.map_or_else(|| self.at("/outcome/kind").to_string(), |end| end.to_string());
        Answer { facet: "outcome", mark, said, truth: self.scenario.end.to_string() }
    }

    /// The signals that arrived, by what the tool says, and could have brought the end about.
    fn arrived(&self) -> Vec<&'a Value> {
        let arrived = |signal: &&Value| matches!(result(signal), None | Some("delivered"));
        let fits = |signal: &&Value| match self.scenario.signal {
            // Nothing brought it about: then whatever is said to have arrived is not it.
            0 => number(signal).is_some_and(|number| ENDING.contains(&number)),
            wanted => number(signal) == Some(wanted),
        };
        let signals = self.at("/signals").as_array().map(Vec::as_slice).unwrap_or_default();
        signals.iter().filter(arrived).filter(fits).collect()
    }

    fn mechanism(&self) -> Answer {
        let expected = self.scenario.mechanisms;
        let silent = expected.is_empty() || self.scenario.may_be_silent;
        let said = self
            .arrived()
            .last()
            .map(|signal| signal.get("mechanism").and_then(Value::as_str).unwrap_or("unknown").to_owned());
        let mark = match said.as_deref() {
            None if silent => Mark::Right,
            None | Some("unknown") => Mark::Vague,
            Some(mechanism) if expected.contains(&mechanism) => Mark::Right,
            Some(_) => Mark::Wrong,
        };
        let truth = if expected.is_empty() { "no signal".to_owned() } else { expected.join(" or ") };
        Answer { facet: "mechanism", mark, said: said.unwrap_or_else(|| "no signal".to_owned()), truth }
    }

    fn sender(&self) -> Answer {
        let arrived = self.arrived();
        let of = |signal: &&Value| signal.pointer("/sender/pid").and_then(pid);
        let last = arrived.last();
        let (said, truth) = (last.and_then(of), self.truth.sender);
        // A tool that does not know what became of a signal does not say that this was the one.
        let undecided = last.is_some_and(|signal| result(signal).is_none())
            && (self.scenario.signal == 0 || arrived.iter().any(|signal| of(signal) == truth));
        let is_own_doing = truth.is_none() && self.truth.culprit == Some(self.victim);
        let mark = match said {
            said if said == truth => Mark::Right,
            None => Mark::Vague,
            _ if undecided => Mark::Vague,
            // The kernel sent it, for what the victim did: not wrong about who, only about how.
            Some(said) if said == self.victim && is_own_doing => Mark::Vague,
            Some(_) => Mark::Wrong,
        };
        Answer { facet: "sender", mark, said: nobody_or(said), truth: nobody_or(truth) }
    }

    fn cause(&self) -> Answer {
        let said = self.at("/verdict/cause").as_str();
        let mark = match said {
            Some(cause) if self.scenario.causes.contains(&cause) => Mark::Right,
            None | Some("unknown") => Mark::Vague,
            Some(cause) if self.scenario.plainer.contains(&cause) => Mark::Vague,
            Some(_) => Mark::Wrong,
        };
        let said = said.unwrap_or("nothing").to_owned();
        Answer { facet: "cause", mark, said, truth: self.scenario.causes.join(" or ") }
    }

    /// Whoever is named as one who asked is accused as well.
    fn culprit(&self) -> Answer {
        let accused = |pointer| self.at(pointer).pointer("/pid").and_then(pid);
        let culprit = accused("/verdict/culprit");
        let asked = accused("/verdict/instigator/process");
        let answered = self.incident.pointer("/verdict").is_some_and(|verdict| !verdict.is_null());
        let is_true = |pid: u32| self.truth.culprit == Some(pid) || self.truth.others.contains(&pid);
        let wrong = [culprit, asked].into_iter().flatten().find(|&pid| !is_true(pid));
        let mark = match (culprit, self.truth.culprit) {
            _ if wrong.is_some() => Mark::Wrong,
            (Some(_), _) => Mark::Right,
            (None, None) if answered => Mark::Right,
            (None, _) => Mark::Vague,
        };
        let said = if answered { nobody_or(wrong.or(culprit)) } else { "nothing".to_owned() };
        Answer { facet: "culprit", mark, said, truth: nobody_or(self.truth.culprit) }
    }
}

/// What became of a signal.
fn result(signal: &Value) -> Option<&str> {
    signal.get("result")?.as_str()
}

fn number(signal: &Value) -> Option<i32> {
    signal.get("signal_num")?.as_i64().and_then(|number| i32::try_from(number).ok())
}

fn pid(value: &Value) -> Option<u32> {
    value.as_u64().and_then(|pid| u32::try_from(pid).ok())
}

fn nobody_or(pid: Option<u32>) -> String {
    pid.map_or_else(|| "nobody".to_owned(), |pid| format!("pid {pid}"))
}
