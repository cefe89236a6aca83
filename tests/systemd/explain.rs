//! What a real journal and a real manager tell of ends that nobody watched.

use anyhow::{Result, ensure};
use harness::{Machine, Record, output};

fn explained(machine: &Machine, arguments: &[&str]) -> Result<Record> {
    machine.sh("journalctl --sync")?;
    let said = output(machine.agent_inside().args(["-o", "json", "explain"]).args(arguments))?;
    Record::parse(said.stdout.trim()).map_err(|why| why.context(format!("{said:?}")))
}

/// Asserts what is said of the last end, and that it is not said with certainty, nor without a source.
fn expect_last(explanation: &Record, confidence: &str, words: &str) -> Result<()> {
    let count = explanation.list("deaths")?.len();
    ensure!(count > 0, explanation.fault("no end"));
    let last = format!("deaths.{}", count - 1);
    explanation.expect(&format!("{last}.confidence"), confidence)?;
    explanation.expect_part(&format!("{last}.explanation"), words)?;
    for (index, _) in explanation.list(&format!("{last}.findings"))?.iter().enumerate() {
        ensure!(!explanation.text(&format!("{last}.findings.{index}.source"))?.is_empty());
    }
    Ok(())
}

pub(crate) fn ends_that_nobody_watched() -> Result<()> {
    let machine = Machine::get()?;
    let gone = "while systemctl -q is-active x-killed; do sleep 0.1; done";
    let pid = machine.service("x-killed", &["ExecStart=/bin/sleep 1000"])?;
    machine.sh(&format!("kill -9 {pid}; {gone}"))?;
    let mut killed = explained(machine, &["x-killed", "--since", "-10min"])?;
    // A busy manager does not say in time how it is now.
    for _ in 0..3 {
        if killed.at("now").is_null() {
            killed = explained(machine, &["x-killed", "--since", "-10min"])?;
        }
    }
    expect_last(&killed, "possible", "no record says who")?;
    machine.sh(&format!("systemctl start x-killed && systemctl kill --signal=KILL x-killed; {gone}"))?;
    expect_last(&explained(machine, &["x-killed"])?, "likely", "a signal to it")?;
    killed.expect_part("now", "the result of its last run is signal")?;

    machine.service("x-stopped", &["ExecStart=/bin/sleep 1000"])?;
    machine.sh("systemctl stop x-stopped")?;
    let stopped = explained(machine, &["x-stopped"])?;
    ensure!(
        stopped.list("deaths")?.is_empty() || expect_last(&stopped, "likely", "told to stop it").is_ok(),
        stopped.fault("an orderly stop is something else")
    );

    let slow = ["ExecStart=/bin/sh -c 'trap \"\" TERM; while :; do sleep 1; done'", "TimeoutStopSec=1"];
    machine.service("x-slow", &slow)?;
    machine.sh("systemctl stop x-slow || true")?;
    expect_last(&explained(machine, &["x-slow"])?, "likely", "took longer to stop than its manager allows")?;

    machine.service("x-exits", &["ExecStart=/bin/sh -c 'sleep 0.3; exit 3'"])?;
    machine.sh("while systemctl -q is-active x-exits; do sleep 0.1; done")?;
    expect_last(&explained(machine, &["x-exits"])?, "likely", "exited by itself")?;

    let nothing = output(machine.agent_inside().args(["explain", "x-nobody"]))?;
    ensure!(
        nothing.status.code() == Some(3) && nothing.stdout.contains("no source tells of an end"),
        "{nothing:?}"
    );
    let wrong = output(machine.agent_inside().args(["explain", "a/b"]))?;
    ensure!(wrong.status.code() == Some(2) && wrong.stderr.contains("'a/b'"), "{wrong:?}");
    Ok(())
}
