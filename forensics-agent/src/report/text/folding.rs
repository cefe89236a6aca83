//! What of an incident still needs to be printed: who ends by the same act as others, or again and again in the same way, takes
//! a line where the first one took a page.

use std::collections::VecDeque;

use forensics_incident::history::History;
use forensics_incident::model::{Cause, Facts, Incident, OutcomeKind, Verdict};

/// How many incidents are remembered.
const REMEMBERED: usize = 1024;
/// Of those that one act ended, so many get a line of their own.
const ALSO: usize = 3;
/// What goes on in the same way is told in full again after this, seconds.
const IN_FULL_EVERY_S: f64 = 3600.0;

/// How an incident is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// As a page.
    Full,
    /// As a page, since what was printed of it does not hold any more.
    Anew,
    /// As one more of a row of ends that are alike.
    Again,
    /// As one more that the same act ended.
    Also,
    /// As the first of those that are not told one by one.
    AlsoMore,
    /// By what its manager made of it.
    Settled,
    /// Not at all.
    Nothing,
}

/// The incidents that were printed.
#[derive(Debug, Default)]
pub(super) struct Folding {
    shown: VecDeque<Shown>,
}

#[derive(Debug)]
struct Shown {
    id: String,
    group_id: Option<String>,
    likeness: Likeness,
    ts: f64,
    form: Form,
}

/// What makes two ends of a service alike.
#[derive(Debug, PartialEq)]
struct Likeness {
    who: String,
    cause: Cause,
    kind: OutcomeKind,
    exit_code: Option<i32>,
    signal_num: Option<u32>,
    culprit: Option<String>,
}

impl Likeness {
    fn of(facts: &Facts, verdict: &Verdict) -> Self {
        let by_itself = |culprit: &&forensics_incident::model::Process| culprit.is(&facts.target);
        let culprit = verdict.culprit.as_ref().filter(|culprit| !by_itself(culprit));
        Self {
            who: History::who(&facts.target),
            cause: verdict.cause,
            kind: facts.outcome.kind,
            exit_code: facts.outcome.exit_code,
            signal_num: facts.outcome.signal_num,
            culprit: culprit.map(|culprit| culprit.program().to_owned()),
        }
    }
}

impl Folding {
    /// How an incident is printed now, which is remembered.
    pub(super) fn form(&mut self, incident: &Incident) -> Form {
        let Incident { facts, verdict } = incident;
        let likeness = Likeness::of(facts, verdict);
        if let Some(shown) = self.shown.iter_mut().find(|shown| shown.id == facts.id) {
            let form = shown.update(facts, verdict.cause);
            if form == Form::Anew {
                (shown.form, shown.likeness, shown.ts) = (Form::Full, likeness, facts.ts);
            }
            return form;
        }
        let form = self.first_form(facts, &likeness);
        if self.shown.len() == REMEMBERED {
            self.shown.pop_front();
        }
        let (id, group_id) = (facts.id.clone(), facts.group_id.clone());
        self.shown.push_back(Shown { id, group_id, likeness, ts: facts.ts, form });
        form
    }

    fn first_form(&self, facts: &Facts, likeness: &Likeness) -> Form {
        let group = || self.shown.iter().filter(|shown| shown.group_id == facts.group_id);
        let stands = |shown: &Shown| {
            matches!(shown.form, Form::Full | Form::Again) && shown.likeness.cause == likeness.cause
        };
        if facts.group_id.is_some() && group().any(stands) {
            return match group().filter(|shown| shown.form == Form::Also).count() {
                ..ALSO => Form::Also,
                ALSO if !group().any(|shown| shown.form == Form::AlsoMore) => Form::AlsoMore,
                _ => Form::Nothing,
            };
        }
        let is_like = |shown: &&Shown| {
            shown.form == Form::Full && shown.likeness == *likeness && facts.ts - shown.ts < IN_FULL_EVERY_S
        };
        let goes_on = facts.history.is_some() && self.shown.iter().rev().any(|shown| is_like(&shown));
        if goes_on { Form::Again } else { Form::Full }
    }
}

impl Shown {
    /// How an update of it is printed.
    fn update(&self, facts: &Facts, cause: Cause) -> Form {
        let result = facts.unit_result.as_ref();
        match self.form {
            _ if self.likeness.cause != cause => Form::Anew,
            // The page of another one stands for it.
            Form::Also | Form::AlsoMore | Form::Nothing => Form::Nothing,
            // A loop goes on as long as it is started again.
            Form::Again if result.is_none_or(|result| result.restarted) => Form::Nothing,
            _ if facts.update.is_some() && result.is_some() => Form::Settled,
            _ => Form::Anew,
        }
    }
}

#[cfg(test)]
mod tests {
    use forensics_incident::model::UnitResult;

    use super::super::samples::pkill;
    use super::*;

    fn numbered(id: &str, change: impl Fn(&mut Incident)) -> Incident {
        let mut incident = pkill();
        incident.facts.id = id.to_owned();
        change(&mut incident);
        incident
    }

    fn history(incident: &mut Incident) {
        incident.facts.history = Some(History {
            who: "gateway.service".to_owned(),
            count: 2,
            within_s: 9.0,
            period_s: None,
            in_turn_with: None,
        });
    }

    #[test]
    fn of_forty_workers_some_are_named() {
        let mut folding = Folding::default();
        let worker = |id: usize| numbered(&id.to_string(), |one| one.facts.group_id = Some("g".to_owned()));
        let forms: Vec<Form> = (0..40).map(|id| folding.form(&worker(id))).collect();
        assert_eq!(forms[..5], [Form::Full, Form::Also, Form::Also, Form::Also, Form::AlsoMore]);
        assert!(forms[5..].iter().all(|form| *form == Form::Nothing));
        // Another cause is another verdict.
        let other = numbered("x", |one| {
            one.facts.group_id = Some("g".to_owned());
            one.verdict.cause = Cause::Oom;
        });
        assert_eq!(folding.form(&other), Form::Full);
    }

    #[test]
    fn a_loop_takes_a_line_for_each_time() {
        let mut folding = Folding::default();
        assert_eq!(folding.form(&numbered("1", |_| ())), Form::Full);
        assert_eq!(folding.form(&numbered("2", history)), Form::Again);
        // What is started again is no news; what is given up is.
        let settled = |restarted| {
            numbered("2", |one| {
                history(one);
                one.facts.update = Some(1);
                one.facts.unit_result = Some(UnitResult { restarted, ..UnitResult::default() });
            })
        };
        assert_eq!(folding.form(&settled(true)), Form::Nothing);
        assert_eq!(folding.form(&settled(false)), Form::Settled);
        // It ends in another way, or another hour has passed.
        let other = numbered("3", |one| {
            history(one);
            one.facts.outcome.signal_num = Some(15);
        });
        assert_eq!(folding.form(&other), Form::Full);
        let later = numbered("4", |one| {
            history(one);
            one.facts.ts += 3601.0;
        });
        assert_eq!(folding.form(&later), Form::Full);
    }

    #[test]
    fn another_verdict_is_told_anew() {
        let mut folding = Folding::default();
        folding.form(&numbered("1", |_| ()));
        let changed = numbered("1", |one| one.verdict.cause = Cause::Oom);
        assert_eq!(folding.form(&changed), Form::Anew);
        let updated = numbered("1", |one| {
            one.verdict.cause = Cause::Oom;
            one.facts.update = Some(1);
            one.facts.unit_result = Some(UnitResult::default());
        });
        assert_eq!(folding.form(&updated), Form::Settled);
    }
}
