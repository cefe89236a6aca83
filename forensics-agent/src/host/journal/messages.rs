//! What managers log about the jobs and ends of units.

use std::ops::Range;

use forensics_incident::model::{ManagerMessage, UnitState};
use forensics_incident::text;

use super::entry::SENT;
use super::{Entry, JournalError, Query, read};
use crate::host::{
    clock,
    systemd::unit::{Scope, UnitPath},
};

/// Kinds of messages about any unit that are asked for (`systemd/sd-messages.h`): a job starts or ends, a unit has
/// ended well or not.
const ABOUT_JOBS: [&str; 7] = [
    "7d4958e842da4a758f6c1cdc7b36dcc5",
    "39f53479d3a045ac8e11786248231fbf",
    "be02cf6855d2428ba40df7e9d022f03d",
    "de5b426a63be47a7b6ac3eaac82e2f6f",
    "9d1aaa27d60140bd96365438aad20286",
    "7ad2d189f7e94e70a38c781354912448",
    "d9b373ed55a64feb8242e02dbe79a49c",
];
/// Services whose messages tell why a manager acts.
const ADVISERS: [&str; 4] =
    ["systemd-logind.service", "systemd-oomd.service", "earlyoom.service", "nohang.service"];
/// What earlyoom says from here on of a process that it kills is nobody's business.
const CMDLINE: &str = ", cmdline \"";
/// What of an entry is asked for.
const FIELDS: &[&str] = &[
    SENT,
    "MESSAGE",
    "MESSAGE_ID",
    "UNIT",
    "USER_UNIT",
    "INVOCATION_ID",
    "USER_INVOCATION_ID",
    "JOB_ID",
    "JOB_TYPE",
    "JOB_RESULT",
    "UNIT_RESULT",
    "SYSLOG_IDENTIFIER",
];
/// Entries that are read at most, the latest.
const MAX_READ: usize = 1000;
/// Messages that a record holds.
const MAX_KEPT: usize = 48;
/// Jobs of one request have numbers this near to each other; those of larger requests are known by their relation.
const NEAR_JOBS: u32 = 32;
/// Messages this long before it began belong to the same events, seconds.
const NEAR_S: f64 = 10.0;
/// Characters of a message.
const MAX_TEXT: usize = 300;

/// Reads the messages of the manager of a unit in this boot: all about the unit, and of others what may be the reason for what
/// began at the end of the span, Unix seconds.
///
/// # Errors
/// The journal does not tell.
pub async fn messages(
    place: &UnitPath,
    span: Range<f64>,
    state: Option<&UnitState>,
) -> Result<Vec<ManagerMessage>, JournalError> {
    let query = Query {
        any_of: groups(place),
        // A host that was just booted has the reasons of its last shutdown in the journal.
        since: Some(span.start.max(clock::unix_minus_boot_s())),
        until: None,
        lines: MAX_READ,
        fields: FIELDS,
    };
    let messages = read(&query).await?.iter().filter_map(message).collect();
    Ok(selected(messages, place, span.end, state))
}

fn groups(place: &UnitPath) -> Vec<Vec<String>> {
    let UnitPath { unit, scope, user_manager_unit, .. } = place;
    let pid_1 = || vec!["_PID=1".to_owned()];
    let jobs = ABOUT_JOBS.map(|id| format!("MESSAGE_ID={id}"));
    let mut groups = vec![[pid_1(), jobs.to_vec()].concat()];
    match scope {
        Scope::System => groups.push([pid_1(), vec![format!("UNIT={unit}")]].concat()),
        Scope::User { .. } => {
            let outer = user_manager_unit.as_deref().unwrap_or_default();
            groups.push([pid_1(), vec![format!("UNIT={outer}")]].concat());
            // Everything of the user runs in that unit, but only the manager itself in its `init.scope`.
            let manager = vec![format!("_SYSTEMD_UNIT={outer}"), "_SYSTEMD_USER_UNIT=init.scope".to_owned()];
            groups.push([manager.clone(), jobs.to_vec()].concat());
            groups.push([manager, vec![format!("USER_UNIT={unit}")]].concat());
        }
    }
    groups.push(ADVISERS.map(|unit| format!("_SYSTEMD_UNIT={unit}")).to_vec());
    groups
}

fn message(entry: &Entry) -> Option<ManagerMessage> {
    Some(ManagerMessage {
        ts: entry.unix_s()?,
        identifier: entry.text("SYSLOG_IDENTIFIER")?,
        text: text::clip(entry.text("MESSAGE")?.split(CMDLINE).next().unwrap_or_default(), MAX_TEXT),
        message_id: entry.text("MESSAGE_ID"),
        unit: entry.text("UNIT").or_else(|| entry.text("USER_UNIT")),
        invocation_id: entry.text("INVOCATION_ID").or_else(|| entry.text("USER_INVOCATION_ID")),
        job_id: entry.number("JOB_ID"),
        job_type: entry.text("JOB_TYPE"),
        job_result: entry.text("JOB_RESULT"),
        unit_result: entry.text("UNIT_RESULT"),
    })
}

/// Those about the unit, about its relations, about targets, and about jobs of the same request.
fn selected(
    messages: Vec<ManagerMessage>,
    place: &UnitPath,
    begun: f64,
    state: Option<&UnitState>,
) -> Vec<ManagerMessage> {
    let is_own = |message: &ManagerMessage| message.unit.as_deref() == Some(place.unit.as_str());
    let is_near = |message: &ManagerMessage| message.ts >= begun - NEAR_S;
    let stops = |message: &&ManagerMessage| is_own(message) && message.job_type.as_deref() != Some("start");
    let jobs: Vec<u32> =
        messages.iter().filter(stops).filter(|m| is_near(m)).filter_map(|m| m.job_id).collect();
    let matters = |message: &ManagerMessage| {
        let Some(unit) = &message.unit else { return true };
        let of_request =
            || message.job_id.is_some_and(|job| jobs.iter().any(|own| own.abs_diff(job) <= NEAR_JOBS));
        let related = || state.is_some_and(|state| is_related(state, unit));
        (unit.ends_with(".target") && is_near(message))
            || Some(unit) == place.user_manager_unit.as_ref()
            || related()
            || of_request()
    };
    let (own, others): (Vec<_>, Vec<_>) =
        messages.into_iter().filter(|m| is_own(m) || matters(m)).partition(is_own);
    let (of_units, advice): (Vec<_>, Vec<_>) = others.into_iter().partition(|m| m.unit.is_some());
    // What comes late tells how it ended, and what comes first why.
    let mut kept = ends(own, MAX_KEPT / 3);
    kept.extend(ends(of_units, MAX_KEPT / 3));
    kept.extend(nearest(advice, begun, MAX_KEPT / 3));
    kept.sort_by(|a, b| a.ts.total_cmp(&b.ts));
    kept
}

/// Those nearest to a moment.
fn nearest(mut messages: Vec<ManagerMessage>, ts: f64, longest: usize) -> Vec<ManagerMessage> {
    messages.sort_by(|a, b| (a.ts - ts).abs().total_cmp(&(b.ts - ts).abs()));
    messages.truncate(longest);
    messages
}

fn is_related(state: &UnitState, unit: &str) -> bool {
    let UnitState { part_of, binds_to, requires, conflicts, conflicted_by, triggered_by, .. } = state;
    let lists = [part_of, binds_to, requires, conflicts, conflicted_by, triggered_by];
    lists.into_iter().flatten().any(|name| name == unit)
}

/// The first and the last of a list, when it is too long.
fn ends<T>(mut list: Vec<T>, longest: usize) -> Vec<T> {
    if list.len() > longest {
        let first = longest / 2;
        list.drain(first..list.len() - (longest - first));
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    fn about(unit: &str, job_id: Option<u32>, ts: f64) -> ManagerMessage {
        ManagerMessage { ts, unit: Some(unit.to_owned()), job_id, ..ManagerMessage::default() }
    }

    fn place(unit: &str) -> UnitPath {
        UnitPath::named(unit, Scope::System).expect("a unit")
    }

    #[test]
    fn an_entry_becomes_a_message() {
        let line = br#"{"__REALTIME_TIMESTAMP":"1795490225500000","SYSLOG_IDENTIFIER":"systemd","MESSAGE":
            "Stopping gw.service...","MESSAGE_ID":"de5b426a63be47a7b6ac3eaac82e2f6f","USER_UNIT":"gw.service",
            "USER_INVOCATION_ID":"ab","JOB_ID":"893","JOB_TYPE":"stop"}"#;
        let message = Entry::parse(line).and_then(|entry| message(&entry)).expect("a message");
        assert_eq!((message.unit.as_deref(), message.job_id), (Some("gw.service"), Some(893)));
        assert_eq!(
            (message.invocation_id.as_deref(), message.job_type.as_deref()),
            (Some("ab"), Some("stop"))
        );
    }

    #[test]
    fn command_lines_are_left_out() {
        let line = br#"{"__REALTIME_TIMESTAMP":"1795490225500000","SYSLOG_IDENTIFIER":"earlyoom","MESSAGE":
            "sending SIGTERM to process 7 uid 0 \"hog\": oom_score 900, VmRSS 99 MiB, cmdline \"hog --token s\""}"#;
        let message = Entry::parse(line).and_then(|entry| message(&entry)).expect("a message");
        assert_eq!(message.text, "sending SIGTERM to process 7 uid 0 \"hog\": oom_score 900, VmRSS 99 MiB");
    }

    #[test]
    fn only_the_manager_speaks_of_units() {
        let all = groups(&place("gw"));
        let claims = |group: &Vec<String>| {
            group.iter().any(|field| field.starts_with("UNIT=") || field.starts_with("MESSAGE_ID="))
        };
        assert!(all.iter().filter(|group| claims(group)).all(|group| group.contains(&"_PID=1".to_owned())));
        let user = UnitPath::named("gw", Scope::User { uid: 1000 }).expect("a unit");
        let all = groups(&user);
        let of_user = all.iter().find(|group| group.contains(&"USER_UNIT=gw.service".to_owned()));
        let of_user = of_user.expect("it is asked for");
        assert!(of_user.contains(&"_SYSTEMD_UNIT=user@1000.service".to_owned()));
        assert!(of_user.contains(&"_SYSTEMD_USER_UNIT=init.scope".to_owned()));
    }

    fn stop(unit: &str, job_id: u32, ts: f64) -> ManagerMessage {
        ManagerMessage { job_type: Some("stop".to_owned()), ..about(unit, Some(job_id), ts) }
    }

    #[test]
    fn what_may_be_the_reason_is_kept() {
        let state = UnitState { part_of: vec!["base.service".to_owned()], ..UnitState::default() };
        let messages = vec![
            about("base.service", Some(200), 1.0),
            about("boot.target", Some(7), 1.0),
            about("gw.service", Some(5), 1.1),
            about("early.service", Some(6), 1.0),
            about("other.service", Some(300), 99.1),
            about("near.service", Some(901), 99.2),
            about("multi-user.target", Some(7), 99.3),
            stop("gw.service", 890, 99.4),
        ];
        let kept = selected(messages, &place("gw"), 100.0, Some(&state));
        let units: Vec<_> = kept.iter().filter_map(|message| message.unit.as_deref()).collect();
        assert_eq!(units, ["base.service", "gw.service", "near.service", "multi-user.target", "gw.service"]);
    }

    #[test]
    fn many_logins_leave_room_for_the_reason() {
        let of_logind = |text: &str, ts: f64| ManagerMessage {
            ts,
            identifier: "systemd-logind".to_owned(),
            text: text.to_owned(),
            ..ManagerMessage::default()
        };
        let mut messages: Vec<_> = (0..90).map(|n| of_logind("New session.", f64::from(n))).collect();
        messages.push(of_logind("Power key pressed short.", 99.0));
        messages.extend((0..90).map(|n| of_logind("Removed session.", 101.0 + f64::from(n))));
        let kept = selected(messages, &place("gw"), 100.0, None);
        assert_eq!(kept.len(), MAX_KEPT / 3);
        assert!(kept.iter().any(|message| message.text.starts_with("Power key")));
    }

    #[test]
    fn a_loop_of_restarts_leaves_room_for_others() {
        let mut messages: Vec<_> = (0..500).map(|n| about("gw.service", Some(n), f64::from(n))).collect();
        messages.push(about("base.target", None, 100.5));
        let kept = selected(messages, &place("gw"), 100.0, None);
        assert_eq!(kept.len(), MAX_KEPT / 3 + 1);
        assert_eq!((kept[0].ts, kept[kept.len() - 1].ts), (0.0, 499.0));
    }
}
