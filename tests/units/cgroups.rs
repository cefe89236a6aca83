//! Cgroups by path, and names that are none.

use anyhow::{Result, ensure};
use harness::{Agent, Machine, Record, output};

pub(crate) fn that_are_there_and_later() -> Result<()> {
    let machine = Machine::get()?;
    let root = machine.hierarchies()?;
    let root = root.split_whitespace().next().unwrap_or_default();
    let start = |cgroup: &str, seconds: &str| -> Result<(u32, u32)> {
        let script = format!(
            "mkdir -p {root}/{cgroup} && echo $$ > {root}/{cgroup}/cgroup.procs && \
             {{ sleep {seconds} > /dev/null 2>&1 & }} && echo $!"
        );
        let inner = machine.sh(&script)?.parse()?;
        Ok((inner, machine.host_pid(inner)?))
    };
    let (there, pid_there) = start("t-there/below", "1031")?;
    // By the path of the directory, and by the path in the hierarchy.
    let directory = format!("{root}/t-there");
    let mut agent = Agent::start(machine.agent_beside(), &["--cgroup", &directory, "--cgroup", "/t-later"])?;
    agent.ready().expect("targets.0.pid", pid_there)?;
    agent.ready().expect("waiting", serde_json::json!(["--cgroup /t-later"]))?;
    let (later, pid_later) = start("t-later/x/y", "1032")?;
    let (other, _) = start("t-later-not", "1033")?;
    machine.sh(&format!("kill -9 {there} {other} {later}"))?;
    for (pid, cgroup) in [(pid_there, "/t-there/below"), (pid_later, "/t-later/x/y")] {
        let incident = agent.incident_of(pid)?;
        incident.expect_killed(9)?;
        incident.expect("target.cgroup", cgroup)?;
    }
    // The shells that came in, and went.
    let rest = agent.stop()?;
    let is_expected = |record: &Record| {
        record.at("outcome.exit_code") == 0
            || [pid_there, pid_later].iter().any(|&pid| record.at("target.pid") == pid)
    };
    ensure!(rest.iter().all(is_expected), "there is more: {rest:?}");
    Ok(())
}

pub(crate) fn names_that_are_none() -> Result<()> {
    let machine = Machine::get()?;
    for (arguments, part) in [
        (["-u", "a b"], "no unit can have this name"),
        (["-u", "gw@.service"], "a template never runs"),
        (["--unit", "gw*;"], "a pattern of unit names"),
        (["--user-unit", ""], "no unit can have this name"),
        (["--cgroup", "a/b"], "must begin with /"),
        (["--cgroup", "/a/../b"], "no cgroup has such a path"),
        (["--cgroup", "/sys/fs/cgroup"], "say --all"),
    ] {
        let refused = output(machine.agent_beside().arg("watch").args(arguments))?;
        ensure!(
            refused.status.code() == Some(2)
                && refused.stderr.lines().count() == 1
                && refused.stderr.contains(part),
            "{arguments:?}: {refused:?}"
        );
    }
    Ok(())
}
