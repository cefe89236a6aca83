use std::io::Read as _;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use super::*;

/// A shell with a given environment, killed and reaped at the end of its test.
struct Victim(Child);

impl Victim {
    fn start(args: &[&str], environ: &[(&str, &str)]) -> Victim {
        let mut command = Command::new("sh");
        command.args(["-c", "echo; read _"]).args(args).env_clear().envs(environ.iter().copied());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
        Victim(child)
    }

    fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn snapshot_with(pid: u32, signal: Option<i64>, unit: &dyn Fn(&str, &str) -> Option<String>) -> Snapshot {
    let redact = |argv: &[String]| argv.iter().map(|a| a.replace("canary", "[redacted]")).collect();
    let redact_text = |text: &str| text.replace("canary", "[redacted]");
    let markers = MarkerSpec::builtin().into();
    let surroundings = Surroundings { redact: &redact, redact_text: &redact_text, unit, markers };
    snapshot_shutdown_context(pid, signal, &surroundings).unwrap()
}

fn snapshot(pid: u32, signal: Option<i64>) -> Snapshot {
    snapshot_with(pid, signal, &|_, _| None)
}

fn temp_dir(name: &str) -> std::path::PathBuf {
    let dir = std::env::temp_dir().join(format!("forensics-snapshot-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    dir
}

#[test]
fn keys_and_types_are_the_seeds() {
    let victim =
        Victim::start(&[], &[("INVOCATION_ID", "abc"), ("JOURNAL_STREAM", "8:1"), ("TOKEN", "canary")]);
    let taken = snapshot(victim.pid(), Some(15));
    let json = serde_json::to_value(&taken.context).unwrap();
    assert!(json["ts"].is_f64() && json["ts_monotonic"].is_f64() && json["loadavg_1m"].is_f64());
    assert_eq!(json["signal"], "SIGTERM");
    assert_eq!(json["signal_num"], 15);
    assert_eq!(json["pid"], victim.pid());
    assert_eq!(json["ppid"], std::process::id());
    assert_eq!(json["self"]["cmdline"], "sh -c echo; read _");
    assert_eq!(json["self"]["name"], "sh");
    assert_eq!(json["self"]["uid"], rustix::process::getuid().as_raw().to_string());
    let state = json["self"]["state"].as_str().unwrap();
    assert!(["S (sleeping)", "R (running)"].contains(&state), "{state}");
    assert_eq!(json["parent"]["pid"], std::process::id());
    assert_eq!(json["systemd_invocation_id"], "abc");
    assert_eq!(json["systemd_journal_stream"], "8:1");
    assert_eq!(json["under_systemd"], true);
    for absent in ["tracer", "tracer_pid", "takeover_marker", "planned_stop_marker", "systemd_unit"] {
        assert_eq!(json.get(absent), None);
    }
    assert!(!json.to_string().contains("canary"));
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&json["self"]), ["cmdline", "name", "pid", "ppid", "state", "uid"]);
}

#[test]
fn signals_are_named_as_the_seed_names_them() {
    let named =
        [(None, "UNKNOWN"), (Some(9), "signal#9"), (Some(9999), "signal#9999"), (Some(-1), "signal#-1")];
    for (signal, name) in named {
        assert_eq!(signal_name(signal), name);
    }
    let six = [1, 2, 3, 10, 12, 15].map(|number| signal_name(Some(number)));
    assert_eq!(six, ["SIGHUP", "SIGINT", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGTERM"]);
    let none = serde_json::to_value(snapshot(std::process::id(), None).context).unwrap();
    assert_eq!(none["signal_num"], Value::Null);
}

#[test]
fn an_inherited_invocation_id_is_not_enough_for_a_unit() {
    let victim = Victim::start(&[], &[("INVOCATION_ID", "abc")]);
    let agrees = |_: &str, id: &str| (id == "abc").then(|| "x.service".to_owned());
    assert_eq!(snapshot_with(victim.pid(), None, &agrees).context.systemd_unit.as_deref(), Some("x.service"));
    let plain = snapshot_with(victim.pid(), None, &unit_by_invocation).context;
    assert_eq!((plain.under_systemd, plain.systemd_unit), (true, None));
}

#[test]
fn command_lines_are_redacted_before_they_are_cut() {
    let long = format!("{}canary", "é".repeat(280));
    let victim = Victim::start(&["--token=canary", &long], &[]);
    let cmdline = snapshot(victim.pid(), None).context.own.cmdline.unwrap();
    assert_eq!(cmdline.chars().count(), 300);
    assert!(cmdline.contains("--token=[redacted]") && !cmdline.contains("canary"), "{cmdline}");
}

#[test]
fn markers_of_the_target_are_in_it() {
    let home = temp_dir("markers");
    let victim = Victim::start(&[], &[("HERMES_HOME", home.to_str().unwrap())]);
    let takeover = format!("{{\"target_pid\": {}}}", victim.pid());
    std::fs::write(home.join(".gateway-takeover.json"), &takeover).unwrap();
    std::fs::write(home.join(".gateway-planned-stop.json"), "{\"by\": \"canary\"}").unwrap();
    let taken = snapshot(victim.pid(), Some(15));
    std::fs::remove_dir_all(&home).unwrap();
    assert_eq!(taken.context.takeover_marker.as_deref(), Some(takeover.as_str()));
    assert_eq!(taken.context.takeover_marker_for_self, Some(true));
    assert_eq!(taken.context.planned_stop_marker.as_deref(), Some("{\"by\":\"[redacted]\"}"));
    assert_eq!(taken.markers.len(), 2);
    assert!(taken.markers.iter().all(|marker| marker.fresh));
    assert_eq!(taken.missing, []);
}

#[test]
fn the_default_home_is_that_of_the_targets_user() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED: another root directory needs root");
        return;
    }
    // A root of its own, with a passwd of its own.
    let root = temp_dir("root");
    for dir in ["etc", "home/u/.hermes", "bin", "lib", "lib64", "usr", "proc"] {
        std::fs::create_dir_all(root.join(dir)).unwrap();
    }
    let uid = rustix::process::getuid().as_raw();
    std::fs::write(root.join("etc/passwd"), format!("u:x:{uid}:0::/home/u:/bin/sh\n")).unwrap();
    let marker = root.join("home/u/.hermes/.gateway-takeover.json");
    std::fs::write(&marker, "{\"target_pid\": 1}").unwrap();
    let script = "mount --rbind /usr $0/usr; for d in bin lib lib64; do mount --rbind /$d $0/$d; done
        exec chroot $0 /bin/sh -c 'echo; read _'";
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-c", script]).arg(&root).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
    let victim = Victim(child);
    let taken = snapshot(victim.pid(), None);
    drop(victim);
    std::fs::remove_dir_all(&root).unwrap();
    assert_eq!(taken.missing, []);
    assert_eq!(taken.context.takeover_marker.as_deref(), Some("{\"target_pid\": 1}"));
    assert_eq!(taken.context.takeover_marker_for_self, Some(false));
    assert_eq!(
        taken.markers.first().map(|m| m.path.as_str()),
        Some("/home/u/.hermes/.gateway-takeover.json")
    );
}

#[test]
fn a_process_that_is_gone_is_told_from_memory() {
    let victim = Victim::start(&["canary"], &[]);
    let known = crate::host::proc::read_process(victim.pid()).unwrap();
    drop(victim);
    let redact = |argv: &[String]| argv.iter().map(|a| a.replace("canary", "[redacted]")).collect();
    let surroundings = Surroundings {
        redact: &redact,
        redact_text: &str::to_owned,
        unit: &|_, _| None,
        markers: Arc::new([]),
    };
    let gone = snapshot_shutdown_context(known.pid, Some(15), &surroundings);
    assert_eq!(gone, Err(ProcError::NotFound { pid: known.pid }));
    let environ = Environ { invocation_id: Some("abc".to_owned()), ..Environ::default() };
    let context = context_of_known(&known, environ, Some(15), &surroundings);
    assert_eq!((context.systemd_invocation_id.as_deref(), context.under_systemd), (Some("abc"), true));
    assert_eq!(context.own.cmdline.as_deref(), Some("sh -c echo; read _ [redacted]"));
    assert_eq!(context.parent.pid, std::process::id());
    assert!(context.parent.cmdline.is_some());
    assert_eq!(context.own.state, None);
}

#[test]
fn a_tracer_is_named() {
    let victim = Victim::start(&[], &[]);
    let pid = libc::pid_t::try_from(victim.pid()).unwrap();
    // SAFETY: PTRACE_SEIZE takes no memory of ours; the victim is our child, and is killed before this thread ends.
    let seized = unsafe { libc::ptrace(libc::PTRACE_SEIZE, pid, 0, 0) };
    assert_eq!(seized, 0, "{}", std::io::Error::last_os_error());
    let context = snapshot(victim.pid(), Some(9)).context;
    // What traces is a thread, and that is what the kernel names.
    let thread = u32::try_from(rustix::thread::gettid().as_raw_pid()).unwrap();
    assert_eq!(context.tracer_pid, Some(thread));
    let tracer = context.tracer.unwrap();
    assert_eq!((tracer.pid, tracer.ppid), (thread, Some(std::os::unix::process::parent_id())));
    assert!(tracer.cmdline.is_some() && tracer.uid.is_some() && tracer.state.is_some());
}
