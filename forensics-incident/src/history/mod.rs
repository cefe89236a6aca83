//! What the earlier ends of the same service say about this one: how often, how regularly, in turn with whom.

mod service;

use serde::{Deserialize, Serialize};

use crate::model::Process;
use crate::text::{clip, quote, span};
use service::Service;

/// Ends further apart than this belong to different troubles, seconds.
const GAP_S: f64 = 900.0;
/// Characters of a command line that a sentence can bear.
const MAX_SHOWN: usize = 60;
/// Fewer ends than this are no pattern.
const FEW: usize = 3;
/// Characters of a command line that tell services apart.
const MAX_WHO: usize = 200;
/// So many of the last intervals must agree.
const INTERVALS: usize = 8;
/// How far an interval may be from their mean, as a part of it.
const JITTER: f64 = 0.1;
/// Regular means slower than this, seconds: restarts at full speed are no clock.
const SHORTEST_PERIOD_S: f64 = 2.0;

/// An end that was reported before.
#[derive(Debug, Clone, PartialEq)]
pub struct PastEnd {
    /// Id of the incident.
    pub id: String,
    /// Unix time, seconds.
    pub ts: f64,
    /// See [`History::who`].
    pub who: String,
    /// The act that it belongs to: those that died by one act died once.
    pub group_id: Option<String>,
}

/// The earlier ends of the same service, as far as the agent knows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// See [`History::who`].
    pub who: String,
    /// Which end of an unbroken row this one is, from 1; a row breaks after 15 minutes without one.
    pub count: u64,
    /// Seconds from the first of the row to this one.
    pub within_s: f64,
    /// Seconds from one to the next, when the last ones are equally far apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub period_s: Option<f64>,
    /// Another service that ended once between each two of the last ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_turn_with: Option<String>,
}

impl History {
    /// What counts as the same service: the unit of its manager, and what of it one of its processes is where the manager did not
    /// start that one; else the whole command line, since all that an interpreter runs is one program. See [`Service`].
    pub fn who(process: &Process) -> String {
        let whole = || match &process.cmdline {
            Some(cmdline) if !cmdline.is_empty() => cmdline.clone(),
            _ => process.exe.clone().unwrap_or_else(|| process.name.clone()),
        };
        let who = Service::of(process).map_or_else(whole, Service::key);
        who.chars().take(MAX_WHO).collect()
    }

    /// [`History::who`] as people write it.
    pub fn name(who: &str) -> String {
        let Some(Service { user, unit, process }) = Service::read(who) else { return who.to_owned() };
        let process = process.map_or_else(String::new, |process| format!("{process} of "));
        let user = user.map_or_else(String::new, |user| format!(" of user {user}"));
        format!("{process}{unit}{user}")
    }

    /// What `past` (oldest first) says of an end of `who` at `ts`; none when it is the first one.
    pub fn of(past: &[PastEnd], who: &str, ts: f64, group_id: Option<&str>) -> Option<Self> {
        let same_act = |end: &PastEnd| group_id.is_some() && end.group_id.as_deref() == group_id;
        let mut row = vec![ts];
        let mut acts: Vec<&str> = Vec::new();
        for end in past.iter().rev().filter(|end| end.who == who && end.ts <= ts && !same_act(end)) {
            let next = row.last().copied().unwrap_or(ts);
            if next - end.ts > GAP_S {
                break;
            }
            if let Some(act) = end.group_id.as_deref() {
                if acts.contains(&act) {
                    continue;
                }
                acts.push(act);
            }
            row.push(end.ts);
        }
        if row.len() < 2 {
            return None;
        }
        row.reverse();
        let first = row.first().copied().unwrap_or(ts);
        Some(Self {
            who: who.to_owned(),
            count: row.len() as u64,
            within_s: ts - first,
            period_s: period(&row),
            in_turn_with: in_turn_with(past, who, &row),
        })
    }

    /// The sentence, as "It is the 97th end of gateway.service within 15 min, every 9 s, in turn with hermes.service."
    pub fn sentence(&self) -> String {
        let Self { who, count, within_s, period_s, in_turn_with } = self;
        let every = period_s.map_or_else(String::new, |period| format!(", every {}", span(period)));
        let turn = in_turn_with
            .as_ref()
            .map_or_else(String::new, |other| format!(", in turn with {}", shown(other)));
        format!(
            "It is the {} end of {} within {}{every}{turn}.",
            ordinal(*count),
            shown(who),
            span(*within_s)
        )
    }
}

/// A service as a sentence names it.
fn shown(who: &str) -> String {
    let named = |name: &str| quote(&clip(name, MAX_SHOWN));
    match Service::read(who) {
        Some(Service { unit, process: None, .. }) => named(unit),
        Some(Service { unit, process: Some(_), .. }) => format!("a process of {}", named(unit)),
        None => named(who),
    }
}

/// The mean of the last intervals, when each is near it.
fn period(row: &[f64]) -> Option<f64> {
    let last = row.get(row.len().saturating_sub(INTERVALS + 1)..)?;
    if last.len() <= FEW {
        return None;
    }
    let intervals: Vec<f64> = last.windows(2).filter_map(|pair| Some(pair.get(1)? - pair.first()?)).collect();
    let mean = intervals.iter().sum::<f64>() / intervals.len() as f64;
    let regular = intervals.iter().all(|interval| (interval - mean).abs() <= mean * JITTER);
    (regular && mean >= SHORTEST_PERIOD_S).then_some(mean)
}

/// Who else ended exactly once between each two of the last ends.
fn in_turn_with(past: &[PastEnd], who: &str, row: &[f64]) -> Option<String> {
    let last = row.get(row.len().checked_sub(FEW + 1)?..)?;
    let between = |from: f64, to: f64| {
        let ends = past.iter().filter(move |end| end.ts > from && end.ts < to && end.who != who);
        let mut others: Vec<&PastEnd> = Vec::new();
        for end in ends {
            let same_act = |held: &&PastEnd| {
                held.who == end.who && held.group_id.is_some() && held.group_id == end.group_id
            };
            if !others.iter().any(same_act) {
                others.push(end);
            }
        }
        others
    };
    let first = between(*last.first()?, *last.get(1)?);
    let once = |others: &[&PastEnd], name: &str| others.iter().filter(|end| end.who == name).count() == 1;
    let mut candidates = first.iter().map(|end| end.who.as_str()).filter(|name| once(&first, name));
    let in_turn = |name: &&str| {
        last.windows(2).all(|pair| match pair {
            &[from, to] => once(&between(from, to), name),
            _ => false,
        })
    };
    candidates.find(in_turn).map(str::to_owned)
}

/// 1st, 2nd, 3rd, 11th, 97th
fn ordinal(number: u64) -> String {
    let ending = match (number % 10, number % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    };
    format!("{number}{ending}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(ts: f64, who: &str) -> PastEnd {
        PastEnd { id: format!("{ts}-{who}"), ts, who: who.to_owned(), group_id: None }
    }

    fn of(past: &[PastEnd], ts: f64) -> Option<History> {
        History::of(past, "a.service", ts, None)
    }

    #[test]
    fn a_first_end_has_none() {
        assert_eq!(of(&[], 100.0), None);
        assert_eq!(of(&[end(90.0, "b.service")], 100.0), None);
        // Long ago, and later than this one.
        assert_eq!(of(&[end(90.0, "a.service"), end(2000.0, "a.service")], 1000.0), None);
    }

    #[test]
    fn a_clock_in_turn_with_another() {
        let past: Vec<PastEnd> = (0..96)
            .flat_map(|n| {
                [end(f64::from(n) * 180.0, "a.service"), end(f64::from(n) * 180.0 + 90.0, "b.service")]
            })
            .collect();
        let history = of(&past, 96.0 * 180.0).expect("a row");
        assert_eq!(history.count, 97);
        assert_eq!(
            history.sentence(),
            "It is the 97th end of `a.service` within 4 h 48 min, every 3 min, in turn with `b.service`."
        );
    }

    #[test]
    fn irregular_ends_are_counted_only() {
        let past =
            [end(0.0, "a.service"), end(10.0, "a.service"), end(15.0, "a.service"), end(90.0, "a.service")];
        let history = of(&past, 95.0).expect("a row");
        assert_eq!((history.count, history.period_s, history.in_turn_with), (5, None, None));
    }

    #[test]
    fn who_ended_twice_in_between_is_not_in_turn() {
        let mut past: Vec<PastEnd> = (0..4)
            .flat_map(|n| {
                [end(f64::from(n) * 60.0, "a.service"), end(f64::from(n) * 60.0 + 30.0, "b.service")]
            })
            .collect();
        past.push(end(200.0, "b.service"));
        assert_eq!(of(&past, 240.0).and_then(|history| history.in_turn_with), None);
    }

    #[test]
    fn one_act_is_one_end() {
        let worker = |ts| PastEnd { group_id: Some("g".to_owned()), ..end(ts, "a.service") };
        let past = [end(0.0, "a.service"), worker(50.0), worker(50.1), worker(50.2)];
        assert_eq!(of(&past, 100.0).map(|history| history.count), Some(3));
        // Another worker of the same act.
        let same = History::of(&past, "a.service", 50.3, Some("g"));
        assert_eq!(same.map(|history| history.count), Some(2));
    }

    #[test]
    fn workers_are_not_the_unit() {
        let past =
            [end(90.0, "system/gw.service#fpm"), end(91.0, "system/gw.service#fpm"), end(92.0, "gw.service")];
        let of = |who| History::of(&past, who, 95.0, None).map(|history| history.sentence());
        let said = "It is the 3rd end of a process of `gw.service` within 5 s.";
        assert_eq!(of("system/gw.service#fpm").as_deref(), Some(said));
        // Neither those of the unit nor what an older agent stored.
        assert_eq!([of("system/gw.service"), of("user@1000/gw.service")], [None, None]);
    }

    #[test]
    fn ordinals() {
        let all: Vec<String> = [1, 2, 3, 4, 11, 12, 13, 21, 97, 101, 111].map(ordinal).into();
        assert_eq!(all.join(" "), "1st 2nd 3rd 4th 11th 12th 13th 21st 97th 101st 111th");
    }
}
