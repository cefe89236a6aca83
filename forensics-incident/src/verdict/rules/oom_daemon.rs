use crate::model::{Cause, Confidence, Intent, ManagerMessage, Mechanism, Signal, Verdict};

use super::super::case::{Case, quote, verdict};
use super::super::evidence;
use super::super::lineage::chain;
use super::super::word::quoted;

/// The daemon logs what it did within this time, seconds: it kills process by process before.
const WORD_S: f64 = 5.0;
/// Daemons that end processes when memory runs short.
const OOM_DAEMONS: [&str; 4] = ["earlyoom", "nohang", "oomd", "systemd-oomd"];

/// An out-of-memory daemon in user space chose the target.
///
/// Evidence: the sender is one by its executable or, for one that is a script, by what its interpreter runs. A name that
/// anyone can give himself makes it likely at most. Must not match a program that only has such a word among its
/// arguments.
pub(super) fn oom_daemon(case: &Case<'_>) -> Option<Verdict> {
    let signal = case.decisive.filter(|signal| signal.mechanism.is_user_sent())?;
    let sender = signal.sender.as_ref()?;
    let script = || sender.args().get(1).filter(|_| sender.program().starts_with("python"));
    let script = script().and_then(|path| path.rsplit('/').next());
    let name = OOM_DAEMONS.into_iter().find(|name| sender.program() == *name || script == Some(*name))?;
    let by_path = sender
        .exe
        .as_deref()
        .is_some_and(|exe| ["/usr/", "/lib/", "/opt/"].iter().any(|d| exe.starts_with(d)));
    let end = match (case.was_killed(), signal.mechanism) {
        (true, Mechanism::CgroupKill) => "was killed with its whole cgroup".to_owned(),
        (true, _) => format!("was killed with {}", signal.signal),
        (false, _) => case.ended_by(signal),
    };
    let summary = format!(
        "{} {end}: {} (pid {}), a daemon that frees memory before the kernel must, chose it.",
        case.target_name(),
        quote(name),
        sender.pid
    );
    let confidence = if by_path { case.confidence() } else { Confidence::Likely };
    let mut verdict = verdict(Cause::OomDaemon, Intent::Automatic, confidence, summary);
    verdict.culprit = Some(sender.clone());
    verdict.chain = chain(case, sender, signal);
    verdict.evidence = evidence::of_signal(case, signal);
    verdict.evidence.extend(own_word(case, signal));
    verdict.evidence.extend(evidence::of_sender(case, sender));
    verdict.ruled_out = evidence::ruled_out(signal, false);
    verdict.advice = Some(format!(
        "Its own log says which limit was reached; see `journalctl -u {name}` and its thresholds."
    ));
    Some(verdict)
}

/// What the daemon logged about it: which limit was passed, and by how much, or how large the target was.
fn own_word(case: &Case<'_>, signal: &Signal) -> Option<String> {
    let messages = case.facts.manager.as_ref().map_or(&[][..], |manager| manager.messages.as_slice());
    let target = case.target();
    let names = |text: &str| {
        [Some(target.pid), target.ns_pid].into_iter().flatten().any(|pid| {
            // earlyoom: "sending SIGTERM to process 1234 uid 0 …"
            text.split_once(" to process ")
                .is_some_and(|(_, rest)| rest.split(' ').next() == Some(&pid.to_string()))
        })
    };
    let fits = |message: &&ManagerMessage| {
        let is_about_it = match message.identifier.as_str() {
            "systemd-oomd" => message.text.starts_with("Killed "),
            "earlyoom" | "nohang" => names(&message.text),
            _ => false,
        };
        is_about_it && (message.ts - signal.ts).abs() <= WORD_S
    };
    messages.iter().rfind(fits).map(|message| quoted(message, signal))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Process;
    use crate::sample::{kill, killed, nginx, process, signal};
    use crate::signals::{SIGKILL, SIGTERM};
    use crate::verdict::word::tests::{said, with_word};
    use crate::verdict::{Show, judge};

    fn by(sender: Process) -> Verdict {
        judge(&killed(nginx(), 100.0, SIGTERM, vec![kill(99.9, SIGTERM, sender)]), Show::Cmdline)
    }

    #[test]
    fn daemons_that_free_memory() {
        let earlyoom = Process {
            exe: Some("/usr/bin/earlyoom".to_owned()),
            ..process(500, "/usr/bin/earlyoom -r 3600")
        };
        let verdict = by(earlyoom.clone());
        assert_eq!((verdict.cause, verdict.confidence), (Cause::OomDaemon, Confidence::Certain));
        assert_eq!((verdict.intent, verdict.culprit), (Intent::Automatic, Some(earlyoom)));
        let nohang = Process {
            exe: Some("/usr/bin/python3.11".to_owned()),
            ..process(500, "python3 /usr/sbin/nohang --monitor")
        };
        assert_eq!(by(nohang).cause, Cause::OomDaemon);
        let oomd = Process {
            exe: Some("/usr/lib/systemd/systemd-oomd".to_owned()),
            ..process(500, "/lib/systemd/systemd-oomd")
        };
        let written = signal(99.9, SIGKILL, Mechanism::CgroupKill, Some(oomd));
        let text = "Killed /system.slice/nginx.service due to memory pressure for /system.slice being 65.00% > 60.00% for > 30s";
        let word = ManagerMessage {
            identifier: "systemd-oomd".to_owned(),
            text: text.to_owned(),
            ..said(99.95, "")
        };
        let facts = with_word(killed(nginx(), 100.0, SIGKILL, vec![written]), vec![word]);
        let verdict = judge(&facts, Show::Cmdline);
        assert_eq!(verdict.cause, Cause::OomDaemon);
        assert!(
            verdict.evidence.iter().any(|said| said.contains("65.00% > 60.00%")),
            "{:?}",
            verdict.evidence
        );
        assert!(verdict.summary.contains("was killed with its whole cgroup"), "{}", verdict.summary);
    }

    #[test]
    fn earlyoom_says_whom_it_meant() {
        let told = |pid: u32| {
            let earlyoom = Process {
                exe: Some("/usr/bin/earlyoom".to_owned()),
                ..process(500, "/usr/bin/earlyoom -m 5")
            };
            let text =
                format!("sending SIGTERM to process {pid} uid 0 \"nginx\": oom_score 900, VmRSS 99 MiB");
            let word = ManagerMessage { identifier: "earlyoom".to_owned(), text, ..said(99.8, "") };
            let facts = killed(nginx(), 100.0, SIGTERM, vec![kill(99.9, SIGTERM, earlyoom)]);
            let said = judge(&with_word(facts, vec![word]), Show::Cmdline).evidence;
            said.iter().any(|said| said.contains("VmRSS 99 MiB"))
        };
        assert!(told(812));
        assert!(!told(81), "another process");
    }

    #[test]
    fn a_name_alone_is_likely_and_an_argument_nothing() {
        let named = Process { exe: Some("/tmp/earlyoom".to_owned()), ..process(500, "earlyoom") };
        assert_eq!(by(named).confidence, Confidence::Likely);
        assert_eq!(by(process(500, "pkill earlyoom")).cause, Cause::ExternalKill);
        assert_eq!(by(process(500, "grep earlyoom")).cause, Cause::ExternalKill);
    }
}
