use forensics_incident::model::{
    Cause, CgroupReading, Incident, Mechanism, MemoryLimit, Pressure, Reading, RuledOut,
};

use super::samples::{hostile, overlong, pkill, process, signal, survivor, timer};
use super::{Loss, Ready, TextReporter, Zone};

fn reporter(colour: bool) -> TextReporter<Vec<u8>> {
    TextReporter::new(Vec::new(), colour, Zone::Utc, false)
}

fn text(reporter: TextReporter<Vec<u8>>) -> String {
    String::from_utf8(reporter.out).expect("UTF-8")
}

fn printed(incident: &Incident) -> String {
    let mut reporter = reporter(false);
    reporter.incident(incident).expect("a Vec takes all");
    text(reporter)
}

#[test]
fn a_kill_by_pattern() {
    assert_eq!(
        printed(&pkill()),
        "\
● `gateway` (pid 4242) was killed with SIGKILL by `pkill -f port` (pid 4711), which uid 1000 ran from an ssh login.
  cause      pattern-kill, deliberate, certain
  target     `gateway --port 9999` (pid 4242, uid 1000) in gateway.service
  outcome    2026-11-24 03:17:05.124 UTC, killed by SIGKILL, 85 µs after the signal
  chain      `sshd` (pid 812) started `bash` (pid 900) → started `pkill -f port` (pid 4711)
             → sent SIGKILL to `gateway --port 9999` (pid 4242)
  signals    03:17:00.123  SIGTERM   kill      delivered  from `pkill -f port` (pid 4711, uid 1000)
             03:17:05.123  SIGKILL   kill      delivered  from `pkill -f port` (pid 4711, uid 1000)
  evidence   The kernel recorded kill(4242, SIGKILL) by pid 4711 85 µs before the end.
             The pattern `port` matches `--port` in the command line of the target.
  ruled out  oom: the signal came from a system call, not from the out-of-memory killer
  advice     Use `pkill -x` or a pidfile: `-f` matches every command line with `port` in it.
  incident   0192f5e0-7c1a-7d11-8a3f-0123456789ab
"
    );
}

#[test]
fn a_timer_names_nobody() {
    let shown = printed(&timer());
    assert!(!shown.contains("swapper"), "{shown}");
    assert_eq!(
        shown,
        "\
● `sleep` (pid 4242) died of SIGALRM: a timer that it did not handle.
  cause      timer, automatic, certain
  target     `sleep 99` (pid 4242, uid 1000)
  outcome    2026-11-24 03:17:05.124 UTC, killed by SIGALRM, 85 µs after the signal
  signals    03:17:05.123  SIGALRM   timer     delivered  from the kernel
  evidence   The kernel raised the signal from a timer interrupt.
  incident   0192f5e0-7c1a-7d11-8a3f-0123456789ab
"
    );
}

#[test]
fn a_survivor() {
    assert_eq!(
        printed(&survivor()),
        "\
● `stubborn` (pid 4242) ignored SIGTERM and is still alive.
  cause      survived, certain
  target     `stubborn` (pid 4242, uid 1000)
  outcome    2026-11-24 03:17:05.124 UTC, still alive, 5 min after the signal
  signals    03:17:05.123  SIGTERM   pidfd     ignored  ×50000  from `init-helper stop` (pid 77, uid 1000)
  gaps       3 kernel records were lost
  incident   0192f5e0-7c1a-7d11-8a3f-0123456789ab
"
    );
}

#[test]
fn foreign_bytes_stay_in_their_line() {
    let shown = printed(&hostile());
    assert!(!shown.chars().any(|c| c.is_control() && c != '\n'), "{shown:?}");
    assert!(!shown.contains(['\u{202e}', '\u{200b}', '\u{9b}']), "{shown:?}");
    assert_eq!(shown, "\
● `x` was killed by `evil\\n● all is well\\x1b[8m`
  cause      external-kill, deliberate, certain
  target     `svc \\u{202e}gnp.exe \\x9b31m` (pid 4242, uid 1000) in a\\nb.service
  outcome    2026-11-24 03:17:05.124 UTC, killed by SIGKILL, 85 µs after the signal
  chain      `\\x1b[31m` sent\\nSIGKILL to `x\\u{200b}`
  signals    03:17:05.123  SIGKILL   kill      delivered  from `'evil\\n  advice   run rm -rf /\\r' AAAAAAAAAAAAAAAAAAAAAAAAA…` (pid 4711, uid 1000)
  evidence   a\\nb\\x1b[0m
             BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB…
  ruled out  oom: c\\nd
  advice     e\\nf
  gaps       target.exe: g\\nh
  incident   id\\x1b[2J
");
}

#[test]
fn never_more_than_a_screen() {
    let shown = printed(&overlong());
    assert!(shown.lines().count() < 25, "{} lines:\n{shown}", shown.lines().count());
    assert_eq!(shown, "\
● `gateway` (pid 4242) was killed with SIGKILL by `pkill -f port` (pid 4711), which uid 1000 ran from an ssh login.
  cause      pattern-kill, deliberate, certain
  target     `gateway --port 9999` (pid 4242, uid 1000) in gateway.service
  outcome    2026-11-24 03:17:05.124 UTC, killed by SIGKILL, 85 µs after the signal
  chain      `sh -c level-0` (pid 0) started `sh -c level-1` (pid 1) → started `sh -c level-2` (pid 2)
             … 8 lines more …
             → started `sh -c level-27` (pid 27) → started `sh -c level-28` (pid 28) → started `sh -c level-29` (pid 29)
             → started `sh -c level-30` (pid 30)
  signals    … 37 earlier ones …
             03:17:05.123  SIGBUS    tgkill    delivered  from `worker` (pid 9037, uid 1000)
             03:17:05.123  SIGFPE    tgkill    delivered  from `worker` (pid 9038, uid 1000)
             03:17:05.123  SIGKILL   tgkill    delivered  from `worker` (pid 9039, uid 1000)
  evidence   Sentence 0.
             Sentence 1.
             Sentence 2.
             Sentence 3.
             … 8 more in JSON
  ruled out  oom: reason 0
             oom: reason 1
             … 7 more in JSON
  timing     gateway.service is given 1 min 30 s to stop and drains for 3 min: too little
  advice     Use `pkill -x` or a pidfile: `-f` matches every command line with `port` in it.
  gaps       1 kernel record was lost; field0: denied; field1: denied; field2: denied; field3: denied; field4: denied; field5: denied; field6: denied; field7: denied; field…
  incident   0192f5e0-7c1a-7d11-8a3f-0123456789ab
");
}

#[test]
fn reasons_that_exclude_several_causes_stand_once() {
    let mut incident = pkill();
    let other = |cause, because: &str| RuledOut { cause, because: because.to_owned() };
    incident.verdict.ruled_out = vec![
        other(Cause::SystemdStopTimeout, "its sender is no manager"),
        other(Cause::Oom, "nothing was short"),
        other(Cause::SystemdWatchdog, "its sender is no manager"),
    ];
    let shown = printed(&incident);
    let lines = "ruled out  systemd-stop-timeout, systemd-watchdog: its sender is no manager
             oom: nothing was short
";
    assert!(shown.contains(lines), "{shown}");
}

#[test]
fn what_was_short() {
    let mut incident = pkill();
    let limit = |path: &str| MemoryLimit { cgroup: path.to_owned(), current: 32 << 20, max: 32 << 20 };
    let cgroup = CgroupReading { memory_limits: vec![limit("/we\nb")], ..CgroupReading::default() };
    let end = Some(Reading { cgroup: Some(cgroup), ..Reading::default() });
    incident.facts.pressure = Some(Pressure { end, ..Pressure::default() });
    let shown = printed(&incident);
    let line = "  pressure   /we\\nb used 32 MiB of the 32 MiB of memory that it may use\n";
    assert!(shown.contains(line), "{shown}");
    incident.facts.pressure = Some(Pressure::default());
    assert!(!printed(&incident).contains("  pressure "));
}

#[test]
fn one_verdict_for_a_group() {
    let mut first = pkill();
    first.facts.group_id = Some("g".to_owned());
    let mut second = first.clone();
    second.facts.id = "second".to_owned();
    second.facts.target = process(12, "worker --fast");
    let mut other = pkill();
    other.facts.id = "third".to_owned();
    other.facts.group_id = Some("h".to_owned());

    let mut reporter = reporter(false);
    for incident in [&first, &second, &other] {
        reporter.incident(incident).expect("a Vec takes all");
    }
    let shown = text(reporter);
    assert_eq!(shown.matches("● ").count(), 2, "{shown}");
    let line = "also ended by the same act: `worker` (pid 12), killed by SIGKILL, 85 µs after the signal\n";
    assert!(shown.contains(&format!("89ab\n{line}\n●")), "{shown}");
}

#[test]
fn an_update_of_one_in_a_group_is_told_when_it_differs() {
    let mut first = pkill();
    first.facts.group_id = Some("g".to_owned());
    let mut second = first.clone();
    second.facts.id = "second".to_owned();
    let mut reporter = reporter(false);
    for incident in [&first, &second, &second] {
        reporter.incident(incident).expect("a Vec takes all");
    }
    second.verdict.cause = Cause::Takeover;
    reporter.incident(&second).expect("a Vec takes all");
    let shown = text(reporter);
    assert_eq!(shown.matches("also ended").count(), 1, "{shown}");
    assert!(shown.contains("cause      takeover"), "{shown}");
}

#[test]
fn another_cause_in_a_group_is_told_in_full() {
    let mut first = pkill();
    first.facts.group_id = Some("g".to_owned());
    let mut second = survivor();
    second.facts.id = "second".to_owned();
    second.facts.group_id = Some("g".to_owned());
    let mut reporter = reporter(false);
    reporter.incident(&first).expect("a Vec takes all");
    reporter.incident(&second).expect("a Vec takes all");
    assert_eq!(text(reporter).matches("● ").count(), 2);
}

#[test]
fn an_update_is_marked() {
    let mut reporter = reporter(false);
    reporter.incident(&pkill()).expect("a Vec takes all");
    reporter.incident(&pkill()).expect("a Vec takes all");
    assert_eq!(text(reporter).matches("(updated)").count(), 1);
}

#[test]
fn colours_only_when_wanted() {
    assert!(!printed(&pkill()).contains('\x1b'));
    let mut coloured = reporter(true);
    coloured.incident(&pkill()).expect("a Vec takes all");
    assert!(text(coloured).starts_with("\x1b[1;33m● "));
}

#[test]
fn lines_between_the_incidents() {
    let target = process(4242, "gateway --port 9999");
    let mut reporter = reporter(false);
    let targets = [target.clone(), process(5, "b"), process(6, "c")];
    reporter
        .ready(&Ready {
            hook: "raw_tracepoint",
            instigator: "exec",
            targets: &targets,
            waiting: &[],
            persist: None,
        })
        .expect("a Vec takes all");
    let waiting = ["--unit gw\n.service".to_owned()];
    reporter
        .ready(&Ready {
            hook: "raw_tracepoint",
            instigator: "exec",
            targets: &[],
            waiting: &waiting,
            persist: None,
        })
        .expect("a Vec takes all");
    reporter
        .signal(&target, &signal(15, Mechanism::Kill, Some(process(4711, "pkill gate"))))
        .expect("a Vec takes all");
    reporter.signal(&target, &signal(14, Mechanism::Timer, None)).expect("a Vec takes all");
    reporter.loss(&Loss { ts: 0.0, records: 3, total: 7, skipped: 0 }).expect("a Vec takes all");
    assert_eq!(
        text(reporter),
        "\
watching `gateway` (pid 4242) and 2 more (hook raw_tracepoint)
watching nothing yet; waiting for --unit gw\\n.service (hook raw_tracepoint)
03:17:05.123  SIGTERM   kill      delivered  → `gateway` (pid 4242)  from `pkill gate` (pid 4711, uid 1000)
03:17:05.123  SIGALRM   timer     delivered  → `gateway` (pid 4242)  from the kernel
00:00:00.000  3 kernel records were lost (7 so far); verdicts may be incomplete
"
    );
}

#[test]
fn quiet_hides_progress_only() {
    let mut reporter = TextReporter::new(Vec::new(), false, Zone::Utc, true);
    reporter
        .ready(&Ready {
            hook: "raw_tracepoint",
            instigator: "exec",
            targets: &[],
            waiting: &[],
            persist: None,
        })
        .expect("a Vec takes all");
    assert!(reporter.out.is_empty());
    reporter.incident(&pkill()).expect("a Vec takes all");
    assert!(!reporter.out.is_empty());
}

#[test]
fn what_a_manager_made_of_an_end_is_one_line() {
    let mut reporter = reporter(false);
    let mut incident = pkill();
    reporter.incident(&incident).expect("a Vec takes all");
    incident.facts.update = Some(1);
    incident.facts.unit_result = Some(forensics_incident::model::UnitResult {
        result: "signal\u{1b}[2J".to_owned(),
        n_restarts: Some(3),
        restarted: true,
        ..Default::default()
    });
    reporter.incident(&incident).expect("a Vec takes all");
    let shown = text(reporter);
    let last = shown.lines().last().unwrap_or_default();
    assert!(
        last.starts_with("its unit: result signal\\x1b[2J, started again; 3 automatic restarts"),
        "{shown}"
    );
    assert!(last.contains(&incident.facts.id), "{shown}");
    assert_eq!(shown.matches("● ").count(), 1, "{shown}");
}
