//! What answers are worth, on made-up incidents.

use anyhow::{Context as _, Result, ensure};
use harness::conformance::{Answer, Mark, SCENARIOS, Truth, score};
use serde_json::{Value, json};

const VICTIM: u32 = 100;
const SENDER: u32 = 7;
const OTHER: u32 = 8;

/// The marks of an incident of a scenario of which `sender` and `culprit` are true.
fn marks_of(name: &str, sender: u32, culprit: u32, incident: Option<&Value>) -> Result<Vec<Mark>> {
    let scenario = SCENARIOS.iter().find(|scenario| scenario.name == name).context("no such scenario")?;
    let known = |pid: u32| Some(pid).filter(|&pid| pid != 0);
    let truth = Truth { sender: known(sender), culprit: known(culprit), others: vec![OTHER] };
    Ok(score(scenario, &truth, VICTIM, incident).iter().map(|answer: &Answer| answer.mark).collect())
}

fn signal(number: i32, mechanism: &str, result: Value, sender: Value) -> Value {
    json!({"signal_num": number, "mechanism": mechanism, "result": result, "sender": sender})
}

fn by(pid: u32) -> Value {
    json!({ "pid": pid })
}

pub(super) fn marks() -> Result<()> {
    use Mark::{Right, Vague, Wrong};
    let (absent, delivered) = (|| Value::Null, || json!("delivered"));
    let killed = |signals: Value, cause: Value, culprit: Value| {
        let outcome = json!({"kind": "killed", "signal_num": 9});
        json!({"outcome": outcome, "signals": signals, "verdict": {"cause": cause, "culprit": culprit}})
    };
    let kill = |sender| json!([signal(9, "kill", delivered(), sender)]);
    let term = |result, sender| signal(15, "kill", result, sender);
    let cases = [
        ("kill", 7, 7, killed(kill(by(SENDER)), json!("external-kill"), by(SENDER)), [Right; 5]),
        // Another one is accused.
        (
            "kill",
            7,
            7,
            killed(kill(by(9)), json!("external-kill"), by(9)),
            [Right, Right, Wrong, Right, Wrong],
        ),
        // One of those who may be blamed as well.
        ("kill", 7, 7, killed(kill(by(SENDER)), json!("external-kill"), by(OTHER)), [Right; 5]),
        ("kill", 7, 7, json!({}), [Vague; 5]),
        ("pkill_part_of_a_word", 7, 7, killed(kill(absent()), json!("external-kill"), absent()), {
            [Right, Right, Vague, Vague, Vague]
        }),
        // Nobody did it, and that is what is said; whoever happened to run is another matter.
        (
            "out_of_memory",
            0,
            0,
            killed(json!([signal(9, "oom", delivered(), absent())]), json!("oom"), absent()),
            [Right; 5],
        ),
        (
            "out_of_memory",
            0,
            0,
            killed(json!([signal(9, "kill", delivered(), by(VICTIM))]), json!("crash"), by(VICTIM)),
            [Right, Wrong, Wrong, Wrong, Wrong],
        ),
        // Its own doing, told as if it had sent it to itself.
        (
            "broken_pipe",
            0,
            VICTIM,
            json!({"outcome": {"kind": "exited", "exit_code": 0},
                "signals": [signal(13, "unknown", absent(), by(VICTIM))],
                "verdict": {"cause": "broken-pipe", "culprit": by(VICTIM)}}),
            [Wrong, Vague, Vague, Right, Right],
        ),
        // What was only pending is not the one; a tool that cannot tell is vague.
        (
            "already_pending",
            7,
            7,
            json!({"signals": [term(delivered(), by(SENDER)), term(json!("already-pending"), by(9))]}),
            [Vague, Right, Right, Vague, Vague],
        ),
        (
            "already_pending",
            7,
            7,
            json!({"signals": [term(absent(), by(SENDER)), term(absent(), by(9))]}),
            [Vague, Right, Vague, Vague, Vague],
        ),
        // An exit that a request had nothing to do with.
        (
            "innocent",
            0,
            VICTIM,
            json!({"signals": [term(json!("ignored"), by(9))], "verdict": {"cause": "exit", "culprit": by(9)}}),
            [Vague, Right, Right, Right, Wrong],
        ),
        (
            "innocent",
            0,
            VICTIM,
            json!({"signals": [term(delivered(), by(9))], "verdict": {"cause": "exit", "culprit": absent()}}),
            [Vague, Wrong, Wrong, Right, Vague],
        ),
        // No event announces it.
        ("seccomp_strict", 0, VICTIM, killed(json!([]), json!("seccomp"), by(VICTIM)), [Right; 5]),
        (
            "seccomp_strict",
            0,
            VICTIM,
            killed(kill(by(9)), json!("silent-kill"), absent()),
            [Right, Wrong, Wrong, Vague, Vague],
        ),
    ];
    for (name, sender, culprit, incident, expected) in cases {
        let marks = marks_of(name, sender, culprit, Some(&incident))?;
        ensure!(marks == expected, "{name}: {marks:?}, not {expected:?}: {incident:#}");
    }
    ensure!(marks_of("kill", 7, 7, None)? == [Vague; 5], "no incident is no answer");
    Ok(())
}
