//! Incidents as the agent builds them, for the tests of both reports.

use forensics_incident::model::*;

pub(crate) fn process(pid: u32, line: &str) -> Process {
    let argv: Vec<String> = line.split(' ').map(str::to_owned).collect();
    Process {
        pid,
        start_boot_ns: u64::from(pid) * 1_000_000_000,
        name: argv[0].clone(),
        exe: Some(format!("/usr/bin/{}", argv[0])),
        cmdline: Some(line.to_owned()),
        argv: Some(argv),
        uid: Some(1000),
        ..Process::default()
    }
}

pub(crate) fn signal(number: u32, mechanism: Mechanism, sender: Option<Process>) -> Signal {
    Signal {
        ts: 1_795_490_225.123,
        boot_ns: 5_000_000_000_000,
        signal: forensics_incident::signals::name(number),
        signal_num: number,
        si_code: SiCode("SI_USER".to_owned()),
        mechanism,
        scope: Scope::Process,
        target_tid: 4242,
        result: SendResult::Delivered,
        syscall: None,
        syscall_args: None,
        sender,
        current: None,
        kernel_stack: Vec::new(),
        fault_address: None,
        fault_access: None,
        stack_pointer: None,
        code_location: None,
        instruction_pointer: None,
        forbidden_syscall: None,
        outlet: None,
        claimed_pid: None,
        relayed: None,
        repeated: 0,
        last_boot_ns: None,
    }
}

fn link(actor: &str, action: &str, object: &str) -> Link {
    Link { actor: actor.to_owned(), action: action.to_owned(), object: object.to_owned() }
}

fn incident(target: Process, signals: Vec<Signal>, verdict: Verdict) -> Incident {
    let last = signals.last().cloned();
    Incident {
        facts: Facts {
            schema: INCIDENT_SCHEMA.to_owned(),
            id: "0192f5e0-7c1a-7d11-8a3f-0123456789ab".to_owned(),
            update: None,
            group_id: None,
            ts: 1_795_490_225.124,
            boot_id: "0123456789abcdef0123456789abcdef".to_owned(),
            hostname: "db-7".to_owned(),
            kernel: "6.18.44".to_owned(),
            agent_version: "0.1.0".to_owned(),
            target,
            outcome: Outcome {
                kind: OutcomeKind::Killed,
                signal: last.as_ref().map(|signal| signal.signal.clone()),
                signal_num: last.map(|signal| signal.signal_num),
                exit_code: None,
                core_dumped: false,
                exit_tid: None,
                tracer: None,
                exit_thread: None,
                exit_called: false,
                kernel_stack: Vec::new(),
                ts: 1_795_490_225.124,
                lived_s: None,
                after_s: Some(0.000_085),
            },
            signals,
            context: None,
            timing: None,
            observed_drain: None,
            manager: None,
            unit_result: None,
            unit_log: Vec::new(),
            kernel_log: None,
            limits: None,
            history: None,
            requests: Vec::new(),
            pressure: None,
            aftermath: None,
            kill: Default::default(),
            markers: Vec::new(),
            lost: Lost::default(),
            missing: Vec::new(),
        },
        verdict,
    }
}

fn verdict(cause: Cause, intent: Intent, summary: &str) -> Verdict {
    Verdict {
        cause,
        intent,
        confidence: Confidence::Certain,
        summary: summary.to_owned(),
        culprit: None,
        instigator: None,
        chain: Vec::new(),
        evidence: Vec::new(),
        ruled_out: Vec::new(),
        advice: None,
    }
}

/// A pkill from a login shell, refused first and final then.
pub(crate) fn pkill() -> Incident {
    let sender = process(4711, "pkill -f port");
    let mut term = signal(15, Mechanism::Kill, Some(sender.clone()));
    term.ts -= 5.0;
    let kill = signal(9, Mechanism::Kill, Some(sender.clone()));
    let mut target = process(4242, "gateway --port 9999");
    target.unit = Some("gateway.service".to_owned());
    let mut verdict = verdict(
        Cause::PatternKill,
        Intent::Deliberate,
        "`gateway` (pid 4242) was killed with SIGKILL by `pkill -f port` (pid 4711), which uid 1000 ran from an ssh login.",
    );
    verdict.culprit = Some(sender);
    verdict.chain = vec![
        link("`sshd` (pid 812)", "started", "`bash` (pid 900)"),
        link("`bash` (pid 900)", "started", "`pkill -f port` (pid 4711)"),
        link("`pkill -f port` (pid 4711)", "sent SIGKILL to", "`gateway --port 9999` (pid 4242)"),
    ];
    verdict.evidence = vec![
        "The kernel recorded kill(4242, SIGKILL) by pid 4711 85 µs before the end.".to_owned(),
        "The pattern `port` matches `--port` in the command line of the target.".to_owned(),
    ];
    verdict.ruled_out = vec![RuledOut {
        cause: Cause::Oom,
        because: "the signal came from a system call, not from the out-of-memory killer".to_owned(),
    }];
    verdict.advice =
        Some("Use `pkill -x` or a pidfile: `-f` matches every command line with `port` in it.".to_owned());
    incident(target, vec![term, kill], verdict)
}

/// A target and a sender that want to take over the terminal.
pub(crate) fn hostile() -> Incident {
    let mut sender = process(4711, "sh");
    sender.name = "\x1b[2J\x1b[1;1H".to_owned();
    sender.exe = Some("/tmp/\x1b]0;owned\x07".to_owned());
    sender.cmdline = Some(format!("'evil\n  advice   run rm -rf /\r' {}", "A".repeat(4000)));
    let mut target = process(4242, "x");
    target.cmdline = Some("svc \u{202e}gnp.exe \u{9b}31m".to_owned());
    target.unit = Some("a\nb.service".to_owned());
    let mut verdict =
        verdict(Cause::ExternalKill, Intent::Deliberate, "`x` was killed by `evil\n● all is well\x1b[8m`");
    verdict.chain = vec![link("`\x1b[31m`", "sent\nSIGKILL to", "`x\u{200b}`")];
    verdict.evidence = vec!["a\nb\x1b[0m".to_owned(), "B".repeat(500)];
    verdict.ruled_out = vec![RuledOut { cause: Cause::Oom, because: "c\nd".to_owned() }];
    verdict.advice = Some("e\nf".to_owned());
    let mut incident = incident(target, vec![signal(9, Mechanism::Kill, Some(sender))], verdict);
    incident.facts.missing = vec![Missing { field: "target.exe".to_owned(), why: "g\nh".to_owned() }];
    incident.facts.id = "id\x1b[2J".to_owned();
    incident
}

/// A timer that nobody handled: the idle task was running, and is not to blame.
pub(crate) fn timer() -> Incident {
    let mut alarm = signal(14, Mechanism::Timer, None);
    alarm.current = Some(Process { name: "swapper/0".to_owned(), ..Process::default() });
    let mut verdict = verdict(
        Cause::Timer,
        Intent::Automatic,
        "`sleep` (pid 4242) died of SIGALRM: a timer that it did not handle.",
    );
    verdict.evidence = vec!["The kernel raised the signal from a timer interrupt.".to_owned()];
    incident(process(4242, "sleep 99"), vec![alarm], verdict)
}

/// Asked to end, and still there.
pub(crate) fn survivor() -> Incident {
    let mut term = signal(15, Mechanism::Pidfd, Some(process(77, "init-helper stop")));
    term.result = SendResult::Ignored;
    term.repeated = 49_999;
    let verdict = verdict(
        Cause::Survived,
        Intent::Unknown,
        "`stubborn` (pid 4242) ignored SIGTERM and is still alive.",
    );
    let mut incident = incident(process(4242, "stubborn"), vec![term], verdict);
    let outcome = &mut incident.facts.outcome;
    (outcome.kind, outcome.signal, outcome.signal_num, outcome.after_s) =
        (OutcomeKind::Survived, None, None, Some(300.0));
    incident.facts.lost.records = 3;
    incident
}

/// More of everything than a screen holds.
pub(crate) fn overlong() -> Incident {
    let mut incident = pkill();
    let Incident { facts, verdict } = &mut incident;
    facts.signals =
        (0..40).map(|n| signal(1 + n % 31, Mechanism::Tgkill, Some(process(9000 + n, "worker")))).collect();
    verdict.chain = (0..30)
        .map(|n| {
            link(
                &format!("`sh -c level-{n}` (pid {n})"),
                "started",
                &format!("`sh -c level-{}` (pid {})", n + 1, n + 1),
            )
        })
        .collect();
    verdict.evidence = (0..12).map(|n| format!("Sentence {n}.")).collect();
    verdict.ruled_out =
        (0..9).map(|n| RuledOut { cause: Cause::Oom, because: format!("reason {n}") }).collect();
    facts.missing =
        (0..9).map(|n| Missing { field: format!("field{n}"), why: "denied".to_owned() }).collect();
    facts.lost.records = 1;
    facts.timing = Some(Timing {
        unit: "gateway.service".to_owned(),
        timeout_stop_sec: Some(90.0),
        drain_timeout: 180.0,
        expected_min: 210.0,
        mismatch: true,
        scope: "system".to_owned(),
        load_state: "loaded".to_owned(),
        parent: None,
    });
    incident
}
