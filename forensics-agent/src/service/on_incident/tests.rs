use std::path::PathBuf;

use super::*;
use crate::report::samples;

/// A file that no other test uses.
fn file(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("forensics-on-incident-{name}-{}", std::process::id()));
    let _ = std::fs::remove_file(&path);
    path
}

fn shell(script: &str, argument: &std::path::Path) -> OnIncident {
    let argument = argument.to_string_lossy().into_owned();
    OnIncident {
        command: ["/bin/sh", "-c", script, "sh", &argument].map(str::to_owned).to_vec(),
        causes: Vec::new(),
        intents: Vec::new(),
        burst: 2,
        per_hour: 1,
        timeout: Duration::from_secs(60),
    }
}

/// An incident that was not seen before.
fn new_incident(number: u32) -> Incident {
    let mut incident = samples::pkill();
    incident.facts.id = format!("id-{number}");
    incident
}

const APPEND: &str = "cat >> \"$1\"; echo \"skipped $FORENSICS_SKIPPED $NOTIFY_SOCKET\" >> \"$1\"";

#[tokio::test]
async fn gets_the_incident_once_and_not_too_often() {
    let path = file("often");
    let mut runner = Runner::new(shell(APPEND, &path));
    for number in [1, 1, 2, 3, 4] {
        runner.incident(&new_incident(number));
        while runner.running.join_next().await.is_some() {}
    }
    assert_eq!(runner.skipped, 2);
    // More may be run now, and hears of those for which it was not.
    runner.configure(OnIncident { burst: 3, ..shell(APPEND, &path) });
    runner.incident(&new_incident(5));
    runner.finish(Duration::from_secs(60)).await;
    let written = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = written.lines().collect();
    assert_eq!([lines[1], lines[3], lines[5]], ["skipped 0 ", "skipped 0 ", "skipped 2 "]);
    let ids =
        [lines[0], lines[2], lines[4]].map(|json| serde_json::from_str::<Incident>(json).unwrap().facts.id);
    assert_eq!(ids, ["id-1", "id-2", "id-5"]);
    assert_eq!(lines.len(), 6);
    std::fs::remove_file(path).unwrap();
}

#[tokio::test]
async fn only_for_what_was_asked_for_and_never_for_itself() {
    let path = file("filter");
    let filters = |causes: &[Cause], intents: &[Intent]| OnIncident {
        causes: causes.to_vec(),
        intents: intents.to_vec(),
        ..shell(APPEND, &path)
    };
    let incident = samples::pkill();
    let (cause, intent) = (incident.verdict.cause, incident.verdict.intent);
    for (config, expected) in [
        (filters(&[], &[]), true),
        (filters(&[Cause::Oom, cause], &[]), true),
        (filters(&[Cause::Oom], &[]), false),
        (filters(&[cause], &[intent]), true),
        (filters(&[cause], &[Intent::Fault]), false),
    ] {
        assert_eq!(Runner::new(config.clone()).is_meant(&incident), expected, "{config:?}");
    }
    let mut own = incident;
    own.facts.target.ancestors.push(Process { pid: std::process::id(), ..Process::default() });
    assert!(!Runner::new(filters(&[], &[])).is_meant(&own));
}

/// What a command starts is ended with it, and one that reads nothing or cannot be run harms nobody.
#[tokio::test]
async fn what_takes_too_long_is_ended() {
    let path = file("slow");
    let script = "sleep 1000 & echo $! > \"$1\"; wait";
    let mut runner = Runner::new(OnIncident { timeout: Duration::from_secs(5), ..shell(script, &path) });
    runner.incident(&new_incident(1));
    runner.finish(Duration::from_secs(60)).await;
    assert!(runner.running.is_empty());
    let child = std::fs::read_to_string(&path).unwrap();
    // It is a zombie of whoever adopted it, or gone.
    let stat = || std::fs::read_to_string(format!("/proc/{}/stat", child.trim())).unwrap_or_default();
    let is_ended = || stat().is_empty() || stat().contains(") Z ");
    // On a busy host it dies some time after its SIGKILL.
    for _ in 0..500 {
        if is_ended() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(is_ended(), "{}", stat());

    runner.configure(OnIncident { command: vec!["/no/such/program".to_owned()], ..shell("", &path) });
    runner.incident(&new_incident(2));
    assert!(runner.running.is_empty());
    std::fs::remove_file(path).unwrap();
}

#[tokio::test]
async fn an_agent_that_ends_ends_its_commands() {
    let path = file("end");
    let mut runner = Runner::new(shell("exec sleep 1000", &path));
    runner.incident(&new_incident(1));
    runner.finish(Duration::from_millis(1)).await;
    assert!(runner.running.is_empty());
}
