//! The store, with real databases.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use forensics_incident::model::Incident;

use super::*;
use crate::report::samples;

/// A directory of its own, removed with the value.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name =
            format!("forensics-store-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).expect("a directory");
        Self(path)
    }

    fn database(&self) -> PathBuf {
        self.0.join("inner/incidents.db")
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// An incident of its own time and id.
fn incident(number: u32) -> Incident {
    let mut incident = samples::pkill();
    incident.facts.id = format!("01a20dc9-3049-7022-8180-{number:012x}");
    incident.facts.ts = 1_795_490_000.0 + f64::from(number) * 60.0;
    incident
}

fn store(path: &Path, all: &[Incident]) {
    let writer = Writer::start(path.to_owned(), Retention { age_s: f64::INFINITY, bytes: u64::MAX })
        .expect("a thread");
    for incident in all {
        writer.put(incident, State::Closed);
    }
    assert_eq!(writer.finish(), []);
}

#[test]
fn what_is_put_is_found() {
    let directory = Directory::new();
    let path = directory.database();
    let all: Vec<Incident> = (0..20).map(incident).collect();
    store(&path, &all);
    let mode = |path: &Path| std::fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    assert_eq!((mode(&path), mode(path.parent().expect("a parent"))), (0o600, 0o700));

    let store = Store::read(&path).expect("a store");
    let listed = store.list(&Filter::default(), 5).expect("a list");
    assert_eq!(listed.len(), 5);
    assert_eq!(listed[0].id, all[19].facts.id);
    assert_eq!(listed[0].cause, "pattern-kill");
    let Found::One { id, json } = store.find("last").expect("a look") else { panic!("no last one") };
    assert_eq!(id, all[19].facts.id);
    assert_eq!(serde_json::from_str::<Incident>(&json).expect("an incident"), all[19]);
    assert!(matches!(store.find("00000000000a"), Ok(Found::One { .. })));
    assert_eq!(store.find("01a2").expect("a look"), Found::Several(20));
    for nobody in ["ffff", "", "*", "last'; DROP TABLE incidents; --"] {
        assert_eq!(store.find(nobody).expect("a look"), Found::None, "{nobody}");
    }
}

#[test]
fn filters_add_up() {
    let directory = Directory::new();
    let path = directory.database();
    let mut all: Vec<Incident> = (0..6).map(incident).collect();
    all[2].facts.target.unit = Some("web@1.service".to_owned());
    all[3].facts.target.unit = Some("web[1].service".to_owned());
    store(&path, &all);
    let store = Store::read(&path).expect("a store");
    let count = |filter: Filter| store.list(&filter, 100).expect("a list").len();
    let text = |text: &str| Some(text.to_owned());
    let since = Some(all[4].facts.ts);
    assert_eq!(count(Filter { since, ..Filter::default() }), 2);
    assert_eq!(count(Filter { until: since, ..Filter::default() }), 5);
    assert_eq!(count(Filter { unit: text("web*"), ..Filter::default() }), 2);
    assert_eq!(count(Filter { unit: text("web@1"), ..Filter::default() }), 1);
    assert_eq!(count(Filter { unit: text("web[1]"), ..Filter::default() }), 1);
    assert_eq!(count(Filter { unit: text("web"), ..Filter::default() }), 0);
    assert_eq!(count(Filter { target: text("4242"), ..Filter::default() }), 6);
    assert_eq!(count(Filter { instigator: text("pkill"), since, ..Filter::default() }), 2);
    assert_eq!(count(Filter { cause: text("oom"), ..Filter::default() }), 0);
}

#[test]
fn an_incident_grows_and_closes() {
    let directory = Directory::new();
    let path = directory.database();
    let writer = Writer::start(path.clone(), Retention::default()).expect("a thread");
    let incident = Incident { facts: samples::pkill().facts, ..incident(1) };
    writer.put(&incident, State::Open);
    drop(writer);
    let open = Store::read(&path).expect("a store").open_incidents().expect("a list");
    assert_eq!(open, std::slice::from_ref(&incident));
    store(&path, std::slice::from_ref(&incident));
    let store = Store::read(&path).expect("a store");
    assert_eq!(store.open_incidents().expect("a list"), []);
    assert_eq!(store.list(&Filter::default(), 10).expect("a list").len(), 1);
}

#[test]
fn what_is_old_or_too_much_goes() {
    let directory = Directory::new();
    let path = directory.database();
    // Fewer at a time than may wait for a slow disk.
    (0..4).for_each(|n| store(&path, &(n * 500..(n + 1) * 500).map(incident).collect::<Vec<_>>()));
    let store = Store::open(&path).expect("a store");
    let now = incident(2000).facts.ts;
    assert_eq!(store.prune(now, Retention { age_s: 60.0 * 1500.0, bytes: u64::MAX }).expect("pruned"), 500);
    let before = std::fs::metadata(&path).expect("it is there").len();
    assert!(store.prune(now, Retention { age_s: f64::INFINITY, bytes: before / 2 }).expect("pruned") >= 500);
    let left = store.list(&Filter::default(), 5000).expect("a list");
    assert!(!left.is_empty() && left.len() <= 1000);
    assert_eq!(left[0].ts, incident(1999).facts.ts, "the newest stay");
}

#[test]
fn a_damaged_database_is_put_aside() {
    let directory = Directory::new();
    let path = directory.database();
    std::fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
    std::fs::write(&path, "this is no database, but it is long enough to be taken for one ".repeat(100))
        .expect("written");
    assert!(Store::read(&path).is_err_and(|why| why.is_damage()));
    store(&path, &[incident(1)]);
    assert_eq!(Store::read(&path).expect("a store").list(&Filter::default(), 9).expect("a list").len(), 1);
    let kept = std::fs::read_dir(path.parent().expect("a parent")).expect("listed");
    let names: Vec<String> =
        kept.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    assert!(names.iter().any(|name| name.starts_with("incidents.damaged-")), "{names:?}");
}

#[test]
fn what_cannot_be_stored_is_told() {
    let directory = Directory::new();
    // A directory stands where the database should be.
    let path = directory.0.join("incidents.db");
    std::fs::create_dir(&path).expect("a directory");
    let writer = Writer::start(path, Retention::default()).expect("a thread");
    writer.put(&incident(7), State::Closed);
    let failures = writer.finish();
    assert_eq!(failures.len(), 1);
    assert_eq!(failures[0].id, incident(7).facts.id);
    assert!(failures[0].why.contains("incidents.db"), "{failures:?}");
}

#[test]
fn newer_formats_are_refused() {
    let directory = Directory::new();
    let path = directory.database();
    drop(Store::open(&path).expect("a store"));
    let connection = Connection::open(&path).expect("a database");
    connection.pragma_update(None, "user_version", schema::VERSION + 1).expect("set");
    drop(connection);
    assert!(matches!(Store::open(&path), Err(StoreError::Newer { .. })));
    assert!(matches!(Store::read(&path), Err(StoreError::Newer { .. })));
    assert!(matches!(Store::read(&directory.0.join("none")), Err(StoreError::Missing { .. })));
}

/// The lines are some kilobytes each, and there may be a hundred thousand.
#[test]
fn a_search_does_not_lead_through_the_lines() {
    let directory = Directory::new();
    let path = directory.database();
    drop(Store::open(&path).expect("a store"));
    // As the formats before had it.
    let connection = Connection::open(&path).expect("a database");
    let before = "DROP INDEX incidents_for_search; CREATE INDEX incidents_by_time ON incidents (ts); PRAGMA user_version = 2";
    connection.execute_batch(before).expect("set back");
    drop(connection);
    let all: Vec<Incident> = (0..3).map(incident).collect();
    store(&path, &all);
    let connection = Connection::open(&path).expect("a database");
    let text = |text: &str| Some(text.to_owned());
    for filter in [
        Filter::default(),
        Filter { target: text("ngin"), cause: text("oom"), ..Filter::default() },
        Filter { instigator: text("pkill"), unit: text("nginx"), ..Filter::default() },
        Filter { unit: text("nginx*"), since: Some(1.0), ..Filter::default() },
    ] {
        let (condition, values) = filter.sql();
        let sql =
            format!("EXPLAIN QUERY PLAN SELECT id FROM incidents WHERE {condition} ORDER BY ts DESC LIMIT 9");
        let plan: String = connection
            .query_row(&sql, rusqlite::params_from_iter(values), |row| row.get("detail"))
            .expect("a plan");
        assert!(plan.contains("USING COVERING INDEX"), "{condition}: {plan}");
    }
    let wanted = Filter { target: text(&all[0].facts.target.name[1..]), ..Filter::default() };
    let found = Store::read(&path).expect("a store").list(&wanted, 2).expect("a list");
    let ids: Vec<&str> = found.iter().map(|row| row.id.as_str()).collect();
    assert_eq!(ids, [all[2].facts.id.as_str(), all[1].facts.id.as_str()], "the newest first");
}

#[test]
fn statistics() {
    let directory = Directory::new();
    let path = directory.database();
    let mut all: Vec<Incident> = (0..12).map(incident).collect();
    for other in all.iter_mut().skip(10) {
        other.facts.target.unit = Some("web.service".to_owned());
    }
    store(&path, &all);
    let stats = Store::read(&path).expect("a store").stats(&Filter::default()).expect("counted");
    assert_eq!(stats.incidents, 12);
    assert_eq!(stats.causes, [Tally { name: "pattern-kill".to_owned(), count: 12 }]);
    assert_eq!(stats.hours.iter().sum::<u64>(), 12);
    assert_eq!((stats.loops.len(), stats.loops[0].count), (1, 10));
    assert!(stats.killers[0].name.contains(" → "), "{:?}", stats.killers);
}
