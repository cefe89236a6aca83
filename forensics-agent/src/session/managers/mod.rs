//! What the managers of the targets' units say: of a unit when a target in it comes, and of an end when it has come.
//!
//! An incident waits for a manager only when that must speak: when it sent a signal, or when nothing but the unit's log
//! can tell what a process was at. What a manager makes of other ends comes in an update.

mod came;
mod need;
mod question;
mod said;

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use forensics_incident::model::{Facts, Process};
use forensics_incident::unit_result;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::host::systemd::{
    state::state,
    unit::{UnitPath, unit_of_path},
};
use came::Came;
use need::{Need, need};
use question::Question;
use said::{Said, missing};

/// Questions that are under way at most.
const MAX_QUESTIONS: usize = 128;
/// Those of them that look at the journal at the same time, each with a process of its own.
const MAX_LOOKS: usize = 4;
/// A manager that is too busy is asked again after these pauses, and so is one that is still starting the unit.
const RETRY_AFTER: [Duration; 3] = [Duration::from_millis(500), Duration::from_secs(3), Duration::ZERO];
/// Incidents that wait for an update at most, each with all that is known of it.
const MAX_FOLLOWED: usize = 64;

/// What managers said and are still asked.
pub(super) struct Managers {
    /// Whether what comes of an end is waited for as well.
    follows: bool,
    /// By pid of the target.
    targets: HashMap<u32, Arc<Came>>,
    /// By cgroup path: what the last of its targets was told.
    units: HashMap<String, Arc<Came>>,
    tasks: JoinSet<Answer>,
    looks: Arc<Semaphore>,
    /// Incidents that wait for an answer.
    pending: HashSet<String>,
    /// Runs of the units of incidents that wait to learn which process is the main one.
    deciding: HashMap<String, (Arc<Came>, bool)>,
    /// Runs of the units of incidents that are to be told.
    told: HashMap<String, Arc<Came>>,
    /// Answers, by incident.
    said: HashMap<String, Said>,
    /// Incidents that were completed without all that their manager or their unit logged, since the journal was busy.
    owed_words: HashSet<String>,
    /// Incidents that were told, and of which more is to come.
    followed: VecDeque<Facts>,
    settled: Vec<(Facts, Vec<u32>)>,
}

/// What a task brought.
enum Answer {
    /// A unit was looked at: a target in it is new, or has gone.
    Came,
    /// An incident that waits can be told.
    Spoke { id: String, said: Box<Said> },
    /// The unit has settled after an incident, or never will.
    Settled { id: String, said: Option<Box<Said>> },
}

impl Managers {
    pub(super) fn new(follows: bool) -> Self {
        Self {
            follows,
            targets: HashMap::new(),
            units: HashMap::new(),
            tasks: JoinSet::new(),
            looks: Arc::new(Semaphore::new(MAX_LOOKS)),
            pending: HashSet::new(),
            deciding: HashMap::new(),
            told: HashMap::new(),
            said: HashMap::new(),
            owed_words: HashSet::new(),
            followed: VecDeque::new(),
            settled: Vec::new(),
        }
    }

    /// True when the manager has said that a target is the main process of its unit.
    pub(super) fn is_main(&self, target: &Process) -> bool {
        self.targets.get(&target.pid).and_then(|came| came.is_main(target)) == Some(true)
    }

    /// True as long as the manager may still say that a target is the main process of its unit.
    pub(super) fn is_undecided(&self, target: &Process) -> bool {
        self.targets.get(&target.pid).is_some_and(|came| came.is_undecided(target))
    }

    /// Whether the end of a member is to be told, when only main processes are meant; none while its manager may still say which
    /// that is, which [`Self::is_pending`] waits for. Where it never says, `otherwise` holds.
    pub(super) fn is_meant(&mut self, facts: &Facts, otherwise: bool) -> Option<bool> {
        let Some(came) = self.targets.get(&facts.target.pid).cloned() else { return Some(otherwise) };
        if came.is_undecided(&facts.target) {
            self.deciding.insert(facts.id.clone(), (came, otherwise));
            return None;
        }
        Some(came.is_main(&facts.target).unwrap_or(otherwise))
    }

    /// The same of one that was waited for; true when nothing was to be decided.
    pub(super) fn was_meant(&mut self, facts: &Facts) -> bool {
        let decided = self.deciding.remove(&facts.id);
        let is_meant =
            decided.is_none_or(|(came, otherwise)| came.is_main(&facts.target).unwrap_or(otherwise));
        if !is_meant {
            self.told.remove(&facts.id);
            self.said.remove(&facts.id);
        }
        is_meant
    }

    /// A target has come, with this `INVOCATION_ID`: its unit is looked at, once for each run of it. One that an `earlier` agent
    /// knew may be of a run before the present one. To be called within the event loop.
    pub(super) fn came(&mut self, target: &Process, invocation_id: Option<String>, earlier: bool) {
        let Some((path, place)) = place_of(target) else { return };
        let is_new_run = target.parent().is_some_and(Process::is_service_manager);
        let is_of = |known: &Came| !(earlier && known.is_other_than(invocation_id.as_ref()));
        if let Some(known) = self.units.get(path).filter(|known| !is_new_run && is_of(known)) {
            self.targets.insert(target.pid, Arc::clone(known));
            return;
        }
        if self.tasks.len() >= MAX_QUESTIONS {
            return;
        }
        let came = Arc::new(Came::new(target, &place, invocation_id));
        self.units.insert(path.to_owned(), Arc::clone(&came));
        self.targets.insert(target.pid, Arc::clone(&came));
        self.look(place, vec![came]);
    }

    /// A target has executed a program, with this `INVOCATION_ID`.
    pub(super) fn executed(&self, pid: u32, invocation_id: Option<String>) {
        if let Some(came) = self.targets.get(&pid) {
            came.executed(pid, invocation_id);
        }
    }

    /// A target is gone, and its incident was asked about. When it led its unit, another one may lead it from now on.
    pub(super) fn forget(&mut self, pid: u32) {
        let Some(came) = self.targets.remove(&pid) else { return };
        // The unit is known as long as one of its targets is.
        if !self.targets.values().any(|other| Arc::ptr_eq(other, &came)) {
            self.units.retain(|_, known| !Arc::ptr_eq(known, &came));
        }
        let Some(service) = came.led_by(pid).cloned() else { return };
        let mut left: Vec<Arc<Came>> = Vec::new();
        for other in self.targets.values().filter(|other| other.is_of(&service)) {
            if !left.iter().any(|one| Arc::ptr_eq(one, other)) {
                left.push(Arc::clone(other));
            }
        }
        if left.is_empty() || self.tasks.len() >= MAX_QUESTIONS {
            return;
        }
        self.look(service, left);
    }

    /// Looks at a unit, for runs of it to learn.
    fn look(&mut self, place: UnitPath, runs: Vec<Arc<Came>>) {
        runs.iter().for_each(|came| came.begin_question());
        self.tasks.spawn(async move {
            tell(&place, &runs).await;
            runs.iter().for_each(|came| came.end_question());
            Answer::Came
        });
    }

    /// Asks about an end, when the manager must speak before it can be told.
    pub(super) fn ask(&mut self, facts: &mut Facts) {
        let Some((_, place)) = place_of(&facts.target) else { return };
        // What is not decided yet must be known if it is to be told.
        let may_lead = self.is_main(&facts.target) || self.deciding.contains_key(&facts.id);
        let need = need(facts, &place, self.follows, may_lead);
        if need == Need::Nothing {
            return;
        }
        // By the time that it is told, its target may be forgotten.
        let came = self.of(facts.target.pid);
        self.told.insert(facts.id.clone(), Arc::clone(&came));
        if need != Need::Now {
            return;
        }
        if self.tasks.len() >= MAX_QUESTIONS {
            facts.missing.push(missing("manager", "too many ends at once to ask about each"));
            return;
        }
        let question = Question::new(facts, place, came, Arc::clone(&self.looks));
        self.pending.insert(facts.id.clone());
        let id = facts.id.clone();
        self.tasks.spawn(async move { Answer::Spoke { id, said: Box::new(question.spoken().await) } });
    }

    fn of(&self, pid: u32) -> Arc<Came> {
        self.targets.get(&pid).map(Arc::clone).unwrap_or_default()
    }

    /// True while an incident waits for its manager: for some 2 s at most, or as long as that starts a unit and is asked.
    pub(super) fn is_pending(&self, facts: &Facts) -> bool {
        self.pending.contains(&facts.id)
            || self.deciding.get(&facts.id).is_some_and(|(came, _)| came.is_undecided(&facts.target))
    }

    /// Waits for an answer.
    pub(super) async fn answer(&mut self) {
        match self.tasks.join_next().await {
            Some(Ok(Answer::Came)) => {}
            Some(Ok(Answer::Spoke { id, said })) => {
                self.pending.remove(&id);
                self.said.insert(id, *said);
            }
            Some(Ok(Answer::Settled { id, said })) => {
                let at = self.followed.iter().position(|facts| facts.id == id);
                let facts = at.and_then(|at| self.followed.remove(at));
                if let (Some(mut facts), Some(said)) = (facts, said) {
                    said.add_to(&mut facts);
                    self.settled.push((facts, said.residual));
                }
            }
            // It panicked, and its incident is lost with it: nobody may wait for that.
            Some(Err(_)) => self.pending.clear(),
            None => std::future::pending().await,
        }
    }

    /// Adds what was said of an end.
    pub(super) fn complete(&mut self, facts: &mut Facts) {
        self.pending.remove(&facts.id);
        if let Some(said) = self.said.remove(&facts.id) {
            said.add_to(facts);
            if said.is_late {
                self.owed_words.insert(facts.id.clone());
            }
        }
    }

    /// An incident was told: what its manager makes of it is waited for, unless that is known.
    pub(super) fn follow(&mut self, facts: &Facts) {
        let told = self.told.remove(&facts.id);
        let is_owed_words = self.owed_words.remove(&facts.id);
        let Some((_, place)) = place_of(&facts.target) else { return };
        let came = told.unwrap_or_else(|| self.of(facts.target.pid));
        let is_main = came.is_main(&facts.target) == Some(true);
        if need(facts, &place, self.follows, is_main) == Need::Nothing || !self.follows {
            return;
        }
        let has_settled = facts.unit_result.is_some() || unit_result::is_settled(facts);
        let is_told = has_settled && !is_owed_words;
        if is_told || self.followed.len() >= MAX_FOLLOWED || self.tasks.len() >= MAX_QUESTIONS {
            return;
        }
        let question = Question::new(facts, place, came, Arc::clone(&self.looks));
        let id = facts.id.clone();
        self.followed.push_back(facts.clone());
        self.tasks.spawn(async move {
            let said = question.settled(is_owed_words).await.map(Box::new);
            Answer::Settled { id, said }
        });
    }

    /// Incidents of which the manager has made something since they were told, each with the pids that were left in the
    /// cgroup.
    pub(super) fn take_settled(&mut self) -> Vec<(Facts, Vec<u32>)> {
        std::mem::take(&mut self.settled)
    }
}

/// Tells runs of a service what its manager says of it, anew as long as it is starting: which process is the main one may not be
/// settled yet.
async fn tell(place: &UnitPath, runs: &[Arc<Came>]) {
    for pause in RETRY_AFTER {
        match state(place).await {
            Ok(state) => {
                let is_starting = state.active_state.as_deref() == Some("activating");
                runs.iter().for_each(|came| came.tell(state.clone()));
                if !is_starting {
                    break;
                }
            }
            Err(error) => log::debug!("{error}"),
        }
        sleep(pause).await;
    }
}

/// The unit of a process, when it is one that a manager starts and stops.
fn place_of(process: &Process) -> Option<(&str, UnitPath)> {
    let path = process.cgroup.as_deref()?;
    let place = unit_of_path(path)?;
    let is_stopped = place.is_service() || place.unit.ends_with(".scope");
    (is_stopped && place.unit != "init.scope").then_some((path, place))
}
