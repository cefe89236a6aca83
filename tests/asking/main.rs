//! "Who is signalling me?", asked by real services in Python inside their own signal handlers, and by peers that mean no good.

mod scene;

use std::io::{Read as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, ensure};
use harness::{Victim, killer, needs_program, output, test};
use libc::{SIGKILL, SIGTERM, SIGUSR1};
use serde_json::{Value, json};

use scene::{Scene, message, reply, signalled};

/// A user without rights.
const NOBODY: u32 = 65534;
const AGENT: &str = "io.forensics-agent.Agent";

fn main() -> ExitCode {
    harness::main(vec![
        test("each_signal_has_its_killer", each_signal_has_its_killer),
        test("another_user_sees_who_and_no_more", another_user_sees_who_and_no_more),
        test("an_agent_that_is_not_there", an_agent_that_is_not_there),
        test("what_is_not_watched_has_no_killer", what_is_not_watched_has_no_killer),
        test("the_protocol", the_protocol),
        test("by_varlinkctl", by_varlinkctl),
        test("peers_that_mean_no_good", peers_that_mean_no_good),
        test("incidents_of_ones_own", incidents_of_ones_own),
        test("one_agent_for_one_socket", one_agent_for_one_socket),
    ])
}

fn each_signal_has_its_killer() -> Result<()> {
    let scene = Scene::new()?;
    let service = scene.service(0)?;
    let agent = scene.agent(&["--pid", &service.pid().to_string()])?;
    for round in 0..40 {
        let number = if round % 4 == 3 { SIGUSR1 } else { SIGTERM };
        let (killer, context) = signalled(&service, number)?;
        context.expect("killer.pid", killer.pid)?;
        context.expect("killer.signal_num", number)?;
        context.expect("killer.mechanism", "kill")?;
        context.expect("killer.cause", "external-kill")?;
        context.expect("killer.cmdline", killer.argv.join(" "))?;
        context.expect("killer.ancestors.0.pid", std::process::id())?;
        context.expect_part("killer.summary", &format!("(pid {}, root)", killer.pid))?;
        context
            .expect_part("log", &format!(" killer_pid={} killer_name=killer killer_uid=0 ", killer.pid))?;
        context.expect("self.pid", service.pid())?;
    }
    agent.stop()?;
    ensure!(!scene.socket().exists(), "the socket stays when the agent is gone");
    Ok(())
}

fn another_user_sees_who_and_no_more() -> Result<()> {
    let scene = Scene::new()?;
    let (service, foreign) = (scene.service(NOBODY)?, Victim::start(&["sleep"])?);
    let (pid, other) = (service.pid().to_string(), foreign.pid());
    let agent = scene.agent(&["--pid", &pid, "--pid", &other.to_string()])?;
    let (killer, context) = signalled(&service, SIGTERM)?;
    context.expect("killer.pid", killer.pid)?;
    context.expect("killer.name", "killer")?;
    context.expect("killer.uid", 0)?;
    for hidden in ["exe", "cmdline", "ancestors", "summary", "loginuid"] {
        context.expect(&format!("killer.{hidden}"), Value::Null)?;
    }
    let method = format!("{AGENT}.GetShutdownContext");
    let refused = scene.call_as(NOBODY, &method, &json!({ "pid": other }))?;
    refused.expect("error", "org.varlink.service.PermissionDenied")?;
    refused.expect("parameters", json!({}))?;
    let by_root = scene.call(&method, json!({ "pid": service.pid(), "signal": SIGTERM }))?;
    by_root.expect("parameters.killer.pid", killer.pid)?;
    by_root.expect("parameters.killer.cmdline", killer.argv.join(" "))?;
    agent.stop().map(drop)
}

fn an_agent_that_is_not_there() -> Result<()> {
    let scene = Scene::new()?;
    let service = scene.service(0)?;
    let (_, without) = signalled(&service, SIGTERM)?;
    without.expect("killer", Value::Null)?;
    without.expect("signal", "SIGTERM")?;
    without.expect("self.pid", service.pid())?;
    without.expect("parent.pid", std::process::id())?;
    // One that is killed leaves its socket behind.
    let agent = scene.agent(&["--pid", &service.pid().to_string()])?;
    let (_, with) = signalled(&service, SIGTERM)?;
    ensure!(with.at("killer").is_object(), with.fault("no killer"));
    killer(&["kill", &agent.pid().to_string(), &SIGKILL.to_string()])?;
    drop(agent);
    ensure!(scene.socket().exists(), "there is nothing to find dead");
    let (_, dead) = signalled(&service, SIGTERM)?;
    dead.expect("killer", Value::Null)?;
    ensure!(dead.keys() == without.keys(), "other keys: {dead}, {without}");
    // The next one takes its place.
    let agent = scene.agent(&["--pid", &service.pid().to_string()])?;
    let (killer, again) = signalled(&service, SIGTERM)?;
    again.expect("killer.pid", killer.pid)?;
    agent.stop().map(drop)
}

fn what_is_not_watched_has_no_killer() -> Result<()> {
    let scene = Scene::new()?;
    let (service, watched) = (scene.service(0)?, Victim::start(&["sleep"])?);
    let agent = scene.agent(&["--pid", &watched.pid().to_string()])?;
    let (_, context) = signalled(&service, SIGTERM)?;
    context.expect("killer", Value::Null)?;
    // One that is, and that nobody has signalled.
    let method = format!("{AGENT}.GetShutdownContext");
    let quiet = scene.call(&method, json!({ "pid": watched.pid(), "signal": SIGTERM }))?;
    quiet.expect("parameters.watched", true)?;
    quiet.expect("parameters.killer", Value::Null)?;
    quiet.expect("parameters.context.pid", watched.pid())?;
    agent.stop().map(drop)
}

fn the_protocol() -> Result<()> {
    let scene = Scene::new()?;
    let victim = Victim::start(&["sleep"])?;
    let agent = scene.agent(&["--pid", &victim.pid().to_string()])?;
    let info = scene.call("org.varlink.service.GetInfo", json!({}))?;
    info.expect("parameters.interfaces", json!(["org.varlink.service", AGENT]))?;
    let asked = json!({ "interface": AGENT });
    let description = scene.call("org.varlink.service.GetInterfaceDescription", asked)?;
    description.expect_part("parameters.description", &format!("interface {AGENT}\n"))?;
    let method = format!("{AGENT}.GetShutdownContext");
    for (method, parameters, error, about) in [
        (
            "org.varlink.service.Nope",
            json!({}),
            "MethodNotFound",
            json!({ "method": "org.varlink.service.Nope" }),
        ),
        ("no.such.Method", json!({}), "InterfaceNotFound", json!({ "interface": "no.such" })),
        (&method, json!({ "pid": "1" }), "InvalidParameter", json!({ "parameter": "pid" })),
        (&method, json!({ "signal": 65 }), "InvalidParameter", json!({ "parameter": "signal" })),
        (&method, json!({ "what": 1 }), "InvalidParameter", json!({ "parameter": "what" })),
    ] {
        let refused = scene.call(method, parameters)?;
        refused.expect("error", format!("org.varlink.service.{error}"))?;
        refused.expect("parameters", about)?;
    }
    let nobody = scene.call(&method, json!({ "pid": 4_194_304 }))?;
    nobody.expect("error", format!("{AGENT}.NoSuchProcess"))?;
    // Several calls at once are answered in their order; one that wants no answer gets none.
    let mut stream = scene.connect()?;
    let silent = json!({ "method": "org.varlink.service.GetInfo", "oneway": true }).to_string();
    let calls = [message(&method, json!({ "pid": victim.pid() })), message("a.b.C", json!({}))];
    stream.write_all(&[&calls[0][..], silent.as_bytes(), b"\0", &calls[1]].concat())?;
    reply(&mut stream)?.expect("parameters.context.pid", victim.pid())?;
    reply(&mut stream)?.expect("error", "org.varlink.service.InterfaceNotFound")?;
    agent.stop().map(drop)
}

/// Whatever they do, the agent answers others, reports what it sees, and stays as small as it was.
/// What systemd 257 has for it.
fn by_varlinkctl() -> Result<()> {
    needs_program("varlinkctl")?;
    let scene = Scene::new()?;
    let victim = Victim::start(&["sleep"])?;
    let agent = scene.agent(&["--pid", &victim.pid().to_string()])?;
    let varlinkctl = |arguments: &[&str]| -> Result<String> {
        let (verb, rest) = arguments.split_first().context("no verb")?;
        let said =
            output(Command::new("varlinkctl").args(["--json=short", verb]).arg(scene.socket()).args(rest))?;
        ensure!(said.status.success(), "{arguments:?}: {said:?}");
        Ok(said.stdout)
    };
    let info = varlinkctl(&["info"])?;
    ensure!(info.contains(AGENT), "{info}");
    let described = varlinkctl(&["introspect", AGENT])?;
    ensure!(described.contains("GetShutdownContext") && described.contains("ListIncidents"), "{described}");
    let method = format!("{AGENT}.GetShutdownContext");
    let asked = varlinkctl(&["call", &method, &format!("{{\"pid\":{}}}", victim.pid())])?;
    harness::Record::parse(asked.trim())?.expect("context.pid", victim.pid())?;
    agent.stop().map(drop)
}

fn peers_that_mean_no_good() -> Result<()> {
    let scene = Scene::new()?;
    let (service, mut victim) = (scene.service(NOBODY)?, Victim::start(&["sleep"])?);
    let pids = [service.pid().to_string(), victim.pid().to_string()];
    let mut agent = scene.agent(&["--pid", &pids[0], "--pid", &pids[1]])?;
    // Garbage, and what is too long, end the connection.
    for bad in [b"\xff\xfe\0".as_slice(), b"{}\0", b"[[[[\0", &[b' '; 40_000]] {
        let mut stream = scene.connect()?;
        // The agent may have hung up before all of it was written.
        let _ = stream.write_all(bad);
        let mut rest = Vec::new();
        let closed = stream.read_to_end(&mut rest).is_err() || rest.is_empty();
        ensure!(closed, "{:?} was answered: {:?}", bad.get(..4), String::from_utf8_lossy(&rest));
    }
    // One that asks without end and never reads.
    let script = "import socket, sys, time
peers = []
for _ in range(200):
    peer = socket.socket(socket.AF_UNIX)
    peer.connect(sys.argv[1])
    peer.setblocking(False)
    peers.append(peer)
call = b'{\"method\":\"org.varlink.service.GetInterfaceDescription\",\"parameters\":{\"interface\":\"org.varlink.service\"}}\\0' * 100
for peer in peers:
    try:
        for _ in range(1000):
            peer.send(call)
    except OSError:
        pass
print('ready', flush=True)
sys.stdin.readline()";
    let mut command = Command::new("/usr/bin/python3");
    let hostile = Victim::spawn(command.args(["-c", script]).arg(scene.socket()).uid(NOBODY - 1))?;
    for _ in 0..5 {
        let (killer, context) = signalled(&service, SIGTERM)?;
        context.expect("killer.pid", killer.pid)?;
    }
    let killer = killer(&["kill", &pids[1], "9"])?;
    let incident = agent.incident_of(victim.pid())?;
    incident.expect_killed(SIGKILL)?;
    incident.expect("verdict.culprit.pid", killer.pid)?;
    victim.wait()?;
    let status = std::fs::read_to_string(format!("/proc/{}/status", agent.pid()))?;
    let resident = status.lines().find_map(|line| line.strip_prefix("RssAnon:")?.split_whitespace().next());
    let resident: u64 = resident.context("no RssAnon")?.parse()?;
    ensure!(resident < 64 << 10, "{resident} KiB of memory");
    let sockets = std::fs::read_dir(format!("/proc/{}/fd", agent.pid()))?.flatten().filter(|entry| {
        std::fs::read_link(entry.path()).is_ok_and(|link| link.to_string_lossy().starts_with("socket:"))
    });
    ensure!(sockets.count() < 40, "every connection was let in");
    drop(hostile);
    agent.stop().map(drop)
}

fn incidents_of_ones_own() -> Result<()> {
    let scene = Scene::new()?;
    let mut own = scene.service(NOBODY)?;
    let mut foreign = Victim::start(&["sleep"])?;
    let pids = [own.pid().to_string(), foreign.pid().to_string()];
    let mut agent = scene.agent(&["--pid", &pids[0], "--pid", &pids[1]])?;
    for pid in &pids {
        killer(&["kill", pid, "9"])?;
    }
    agent.incident_of(own.pid())?;
    agent.incident_of(foreign.pid())?;
    own.wait()?;
    foreign.wait()?;
    let method = format!("{AGENT}.ListIncidents");
    let seen = scene.call_as(NOBODY, &method, &json!({}))?;
    ensure!(seen.list("parameters.incidents")?.len() == 1, seen.fault("not its own alone"));
    seen.expect("parameters.incidents.0.pid", own.pid())?;
    seen.expect("parameters.incidents.0.cause", "external-kill")?;
    seen.expect("parameters.incidents.0.sender.name", "killer")?;
    seen.expect("parameters.incidents.0.sender.cmdline", Value::Null)?;
    let all = scene.call(&method, json!({}))?;
    ensure!(all.list("parameters.incidents")?.len() == 2, all.fault("not all"));
    let one = scene.call(&method, json!({ "limit": 1 }))?;
    ensure!(one.list("parameters.incidents")?.len() == 1, one.fault("not one"));
    agent.stop().map(drop)
}

/// The second says so, and does all else.
fn one_agent_for_one_socket() -> Result<()> {
    let scene = Scene::new()?;
    let service = scene.service(0)?;
    let pid = service.pid().to_string();
    let first = scene.agent(&["--pid", &pid])?;
    let second = scene.agent(&["--pid", &pid])?;
    ensure!(second.stderr().contains("belongs to another agent"), "{:?}", second.stderr());
    second.stop()?;
    let (killer, context) = signalled(&service, SIGTERM)?;
    context.expect("killer.pid", killer.pid)?;
    first.stop().map(drop)
}
