//! Processes, signals and incidents for table tests. Times are seconds since boot.

use crate::model::{
    Concern, Facts, INCIDENT_SCHEMA, Kill, Lost, Mechanism, Outcome, OutcomeKind, Process, Recipient,
    Request, Scope, SendResult, SiCode, Signal,
};
use crate::signals;

/// Unix time of the boot, seconds.
pub(crate) const BOOT: f64 = 1_700_000_000.0;

/// Nanoseconds of so many seconds.
pub(crate) fn ns(seconds: f64) -> u64 {
    (seconds * 1e9) as u64
}

/// A process that started in the tenth second, from its command line.
pub(crate) fn process(pid: u32, cmdline: &str) -> Process {
    let argv = cmdline.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let name = argv[0].rsplit('/').next().unwrap().chars().take(15).collect();
    Process {
        pid,
        start_boot_ns: ns(10.0) + u64::from(pid),
        name,
        argv: Some(argv),
        cmdline: Some(cmdline.to_owned()),
        uid: Some(1000),
        ..Process::default()
    }
}

/// The process under its ancestors, nearest first.
pub(crate) fn under(process: Process, ancestors: &[Process]) -> Process {
    let ppid = ancestors.first().map(|parent| parent.pid);
    Process { ppid, ancestors: ancestors.to_vec(), ..process }
}

/// `nginx`, the usual victim.
pub(crate) fn nginx() -> Process {
    Process { ppid: Some(1), uid: Some(33), ..process(812, "nginx -g daemon") }
}

/// systemd, as pid 1.
pub(crate) fn systemd() -> Process {
    let mut systemd = process(1, "/sbin/init");
    systemd.name = "systemd".to_owned();
    systemd.exe = Some("/usr/lib/systemd/systemd".to_owned());
    systemd
}

/// systemd-logind, which PID 1 does as it asks.
pub(crate) fn logind() -> Process {
    let exe = "/usr/lib/systemd/systemd-logind";
    Process { exe: Some(exe.to_owned()), uid: Some(0), ..process(300, exe) }
}

/// A delivered signal at `at` seconds since boot.
pub(crate) fn signal(at: f64, number: u32, mechanism: Mechanism, sender: Option<Process>) -> Signal {
    let target_pid = 812;
    let args = (mechanism == Mechanism::Kill).then(|| vec![target_pid, i64::from(number)]);
    Signal {
        ts: BOOT + at,
        boot_ns: ns(at),
        signal: signals::name(number),
        signal_num: number,
        si_code: SiCode("SI_USER".to_owned()),
        mechanism,
        scope: Scope::Process,
        target_tid: 812,
        result: SendResult::Delivered,
        syscall: (mechanism == Mechanism::Kill).then(|| "kill".to_owned()),
        syscall_args: args,
        sender,
        current: None,
        kernel_stack: vec!["kill_pid_info".to_owned(), "__x64_sys_kill".to_owned()],
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

/// A delivered signal by `kill(2)`.
pub(crate) fn kill(at: f64, number: u32, sender: Process) -> Signal {
    signal(at, number, Mechanism::Kill, Some(sender))
}

/// A request to the system's manager at `at` seconds since boot, which was seen.
pub(crate) fn request(at: f64, process: Process, verb: &str, object: &str, mode: &str) -> Request {
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    Request {
        ts: BOOT + at,
        boot_ns: ns(at),
        process,
        recipient: Recipient::Systemd,
        of_user: None,
        via: Some("/run/systemd/private".to_owned()),
        manager: None,
        verb: verb.to_owned(),
        object: some(object),
        mode: some(mode),
        signal_num: None,
        due: None,
        seen: true,
        late: false,
        concerns: Concern::Target,
    }
}

/// The same signal, ignored.
pub(crate) fn ignored(signal: Signal) -> Signal {
    Signal { result: SendResult::Ignored, ..signal }
}

/// An incident without an end yet, at `at` seconds since boot.
pub(crate) fn incident(target: Process, at: f64, signals: Vec<Signal>) -> Facts {
    Facts {
        schema: INCIDENT_SCHEMA.to_owned(),
        id: "0190b2d4-0000-7000-8000-000000000000".to_owned(),
        update: None,
        group_id: None,
        ts: BOOT + at,
        boot_id: "0".repeat(32),
        hostname: "host".to_owned(),
        kernel: "6.18".to_owned(),
        agent_version: "0.1.0".to_owned(),
        target,
        outcome: Outcome {
            kind: OutcomeKind::Unknown,
            signal: None,
            signal_num: None,
            exit_code: None,
            core_dumped: false,
            exit_tid: None,
            tracer: None,
            exit_thread: None,
            exit_called: false,
            kernel_stack: Vec::new(),
            ts: BOOT + at,
            lived_s: None,
            after_s: None,
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
        kill: Kill::default(),
        markers: Vec::new(),
        lost: Lost::default(),
        missing: Vec::new(),
    }
}

/// A death by a signal; `after_s` as the assembly sets it.
pub(crate) fn killed(target: Process, at: f64, number: u32, signals: Vec<Signal>) -> Facts {
    let mut facts = incident(target, at, signals);
    facts.outcome.kind = OutcomeKind::Killed;
    facts.outcome.signal = Some(signals::name(number));
    facts.outcome.signal_num = Some(number);
    let cause = facts.signals.iter().find(|s| s.signal_num == number);
    facts.outcome.after_s = cause.map(|cause| facts.outcome.ts - cause.ts);
    facts
}

/// An exit; `after_s` seconds after the signal that it is attributed to.
pub(crate) fn exited(
    target: Process,
    at: f64,
    code: i32,
    after_s: Option<f64>,
    signals: Vec<Signal>,
) -> Facts {
    let mut facts = incident(target, at, signals);
    facts.outcome.kind = OutcomeKind::Exited;
    facts.outcome.exit_code = Some(code);
    facts.outcome.after_s = after_s;
    facts
}
