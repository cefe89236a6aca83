use super::*;
use crate::model::{Facts, Kill, Verdict};
use crate::sample::{kill, killed, nginx, process, systemd, under};
use crate::signals::SIGKILL;
use crate::verdict::{Show, judge};

fn by(sender: Process) -> Verdict {
    of(nginx(), sender, Kill::default())
}

fn of(target: Process, sender: Process, act: Kill) -> Verdict {
    let facts = killed(target, 100.0, SIGKILL, vec![kill(99.9, SIGKILL, sender)]);
    judge(&Facts { kill: act, ..facts }, Show::Cmdline)
}

fn running(exe: &str, cmdline: &str) -> Process {
    Process { exe: Some(exe.to_owned()), ..process(700, cmdline) }
}

fn below(ancestor: Process) -> Process {
    under(process(4431, "kill -9 812"), &[process(4402, "sh -c x"), ancestor, systemd()])
}

/// One process for each row of the table, in its order, as the real ones look.
fn real() -> Vec<Process> {
    let titled =
        |exe: &str, title: &str| Process { argv: Some(vec![title.to_owned()]), ..running(exe, title) };
    vec![
        running(
            "/home/r/actions-runner/bin/Runner.Worker",
            "/home/r/actions-runner/bin/Runner.Worker spawnclient 1 2",
        ),
        running("/usr/lib/jvm/java-17/bin/java", "java -jar /home/jenkins/agent.jar -url http://ci"),
        running("/usr/bin/gitlab-runner", "/usr/bin/gitlab-runner run --config /etc/x"),
        running("/usr/bin/buildkite-agent", "buildkite-agent start"),
        running("/var/ossec/bin/wazuh-execd", "/var/ossec/bin/wazuh-execd"),
        running("/usr/sbin/logrotate", "/usr/sbin/logrotate /etc/logrotate.conf"),
        running("/usr/bin/perl", "/usr/bin/perl /usr/sbin/needrestart"),
        running("/usr/bin/python3.11", "/usr/bin/python3 /root/.ansible/tmp/1/AnsiballZ_command.py"),
        running("/usr/sbin/cron", "/usr/sbin/cron -f"),
        running("/usr/sbin/atd", "/usr/sbin/atd"),
        titled("/usr/bin/node", "claude"),
        running("/usr/bin/ssm-session-worker", "/usr/bin/ssm-session-worker x"),
        running(
            "/home/joe/.vscode-server/bin/1/node",
            "/home/joe/.vscode-server/bin/1/node out/server-main.js",
        ),
        running("/usr/bin/tmux", "tmux new -d"),
        titled("/usr/sbin/sshd", "sshd: joe@pts/0"),
    ]
}

#[test]
fn every_place_is_known_by_its_programs() {
    let real = real();
    assert_eq!(real.len(), ORIGINS.len());
    for (origin, ancestor) in ORIGINS.iter().zip(&real) {
        let verdict = by(below(ancestor.clone()));
        let told =
            verdict.evidence.iter().any(|said| said.starts_with(origin.above) && said.contains("(pid 700)"));
        assert!(told, "{}: {:?}", origin.above, verdict.evidence);
        let intent = if origin.automatic { Intent::Automatic } else { Intent::Deliberate };
        assert_eq!(verdict.intent, intent, "{}", origin.above);
        let culprit = verdict.culprit.map(|culprit| culprit.pid);
        assert_eq!(culprit, Some(4431), "{}: whoever signals is to blame, not what ran it", origin.above);
        if !origin.itself.is_empty() {
            let verdict = by(ancestor.clone());
            assert!(
                verdict.evidence.iter().any(|said| said == origin.itself),
                "{}: {:?}",
                origin.above,
                verdict.evidence
            );
        }
    }
}

#[test]
fn units_are_known_by_their_names() {
    let at = |unit: &str| Process { unit: Some(unit.to_owned()), ..process(4431, "kill 812") };
    for unit in ORIGINS.iter().flat_map(|origin| origin.units) {
        let verdict = by(at(unit));
        assert!(
            verdict.evidence.iter().any(|said| said.ends_with(&format!(": it ran in {unit}."))),
            "{unit}"
        );
        let own = Process { unit: Some((*unit).to_owned()), ..nginx() };
        assert_eq!(
            of(own, at(unit), Kill::default()).intent,
            Intent::Deliberate,
            "{unit} is the target's own"
        );
    }
    assert_eq!(by(at("my-cron.service")).intent, Intent::Deliberate);
}

#[test]
fn near_misses() {
    for cmdline in [
        "vimdiff cron",
        "grep cron",
        "crontab -e",
        "/usr/bin/dpkg-query -l",
        "aptly serve",
        "java -jar shop.jar agent.jar",
        "java -cp /x/agent.jar Main",
        "ssh host",
        "ssh-agent",
        "screenkey",
        "codec --x",
        "tail -f claude",
        "Runner.Workers",
        "./at",
    ] {
        let verdict = by(below(process(700, cmdline)));
        let plain = by(below(process(700, "make")));
        let said = |verdict: &Verdict| verdict.evidence.len();
        assert_eq!(
            (verdict.intent, said(&verdict)),
            (Intent::Deliberate, said(&plain)),
            "{cmdline}: {:?}",
            verdict.evidence
        );
    }
    // Everything that runs at all was started by something that cron or a login started: but not by way of the target.
    let target = under(nginx(), &[process(700, "cron")]);
    let child = under(process(4431, "kill -9 812"), &[target.clone(), process(700, "cron")]);
    let verdict = of(target, child, Kill::default());
    assert!(!verdict.evidence.iter().any(|said| said.contains("scheduled")), "{:?}", verdict.evidence);
}

#[test]
fn names_in_the_environment_lead_a_runner_to_the_target() {
    let cookies = |names: &[&str]| Kill {
        job_cookies: names.iter().map(|&n| n.to_owned()).collect(),
        ..Kill::default()
    };
    let jenkins = running("/usr/lib/jvm/java-17/bin/java", "java -jar agent.jar");
    let verdict =
        of(nginx(), jenkins.clone(), cookies(&["BUILD_ID", "JENKINS_NODE_COOKIE", "RUNNER_TRACKING_ID"]));
    assert_eq!(verdict.intent, Intent::Automatic);
    assert!(
        verdict.evidence.iter().any(|said| said.contains("has BUILD_ID and JENKINS_NODE_COOKIE, by which")),
        "{:?}",
        verdict.evidence
    );
    assert!(verdict.advice.expect("advice").contains("dontKillMe"));
    let foreign = of(nginx(), jenkins, cookies(&["RUNNER_TRACKING_ID"]));
    assert!(
        !foreign.evidence.iter().any(|said| said.contains("RUNNER_TRACKING_ID")),
        "{:?}",
        foreign.evidence
    );
    let person = of(nginx(), process(4431, "kill -9 812"), cookies(&["BUILD_ID"]));
    assert!(!person.evidence.iter().any(|said| said.contains("BUILD_ID")) && person.advice.is_none());
}

#[test]
fn a_command_inside_the_container() {
    let shim = process(600, "/usr/bin/containerd-shim-runc-v2 -id 5");
    let in_it = |process: Process| Process { container_id: Some("5".repeat(64)), ..process };
    let main = under(in_it(nginx()), &[shim.clone(), systemd()]);
    let exec = process(4402, "sh");
    let told = |target: Process, sender: Process| {
        let verdict = of(target, sender, Kill::default());
        verdict.evidence.iter().any(|said| said.contains("(exec)"))
    };
    let kill = || in_it(process(4431, "kill -9 1"));
    assert!(told(main.clone(), under(kill(), &[exec.clone(), shim.clone()])));
    assert!(told(main.clone(), under(kill(), std::slice::from_ref(&shim))));
    assert!(!told(main.clone(), under(kill(), &[main.clone(), shim.clone()])), "started by the main process");
    assert!(
        !told(main.clone(), under(process(4431, "kill 812"), &[exec.clone(), shim])),
        "of another container"
    );
    assert!(!told(main, under(kill(), &[exec, process(601, "/usr/bin/containerd-shim-runc-v2 -id 6")])));
}
