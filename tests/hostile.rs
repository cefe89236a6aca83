//! Senders that want to deceive whoever reads the report, and processes that want to hold up whoever looks.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::process::{Command, ExitCode};

use anyhow::{Result, ensure};
use harness::{
    Agent, Killer, Record, Run, Victim, WorkDir, agent_program, killer, killer_program, needs_root, output,
    test, victim_program,
};
use libc::SIGTERM;

fn main() -> ExitCode {
    harness::main(vec![
        test("wedged_process_stops_nobody", wedged_process_stops_nobody),
        test("escape_sequences_in_name_and_arguments", escape_sequences_in_name_and_arguments),
        test("command_line_of_100_kilobytes", command_line_of_100_kilobytes),
        test("sender_that_looks_like_init", sender_that_looks_like_init),
    ])
}

/// The JSON has the name and the arguments as they are, the text nothing that a terminal would act on.
fn escape_sequences_in_name_and_arguments() -> Result<()> {
    let directory = WorkDir::new()?;
    let name = "a\n\x1b[2Jb";
    let evil = directory.copy(&killer_program()?, name)?;
    let victim = victim_program()?;
    let run = Run::start(&[&victim.to_string_lossy(), "sleep"])?;
    let ready = run.line()?;
    let pid = ready.strip_prefix("ready ").unwrap_or_default();
    let words: [&[u8]; 4] = [b"\x1b]0;owned\x07", b"two\nlines\r", b"\xff\xfe", "\u{202e}gnp".as_bytes()];
    let mut command = Command::new(&evil);
    command.args(["kill", pid, "15"]).args(words.map(OsStr::from_bytes));
    let killer = Killer::run(&mut command)?;

    let ran = run.finish()?;
    ensure!(ran.status.code() == Some(128 + SIGTERM), "run ended with {}: {}", ran.status, ran.stderr);
    let incident = ran.incident()?;
    incident.expect_killed(SIGTERM)?;
    let signal = incident.expect_last_signal(SIGTERM, "kill")?;
    incident.expect(&format!("{signal}.sender.name"), name)?;
    killer.expect_blamed(incident, &signal)?;

    let hazard = |c: char| (c.is_control() && c != '\n') || ('\u{202a}'..='\u{202e}').contains(&c);
    ensure!(!ran.stderr.contains(hazard), "the text would move a terminal: {:?}", ran.stderr);
    ensure!(ran.stderr.contains("\\x1b"), "the text does not show what was escaped: {:?}", ran.stderr);
    // A line feed of a name must not begin a line of the report.
    ensure!(!ran.stderr.lines().any(|line| line.starts_with("lines")), "a forged line: {:?}", ran.stderr);
    Ok(())
}

/// 4 KiB are kept, and that something is missing is told.
fn command_line_of_100_kilobytes() -> Result<()> {
    let victim = Victim::start(&["sleep"])?;
    let mut agent = Agent::watch_pid(victim.pid())?;
    let pid = victim.pid().to_string();
    let long = "all work and no play ".repeat(5000);
    let killer = killer(&["kill", &pid, "15", &long])?;
    let incident = agent.incident_of(victim.pid())?;
    incident.expect_killed(SIGTERM)?;
    let signal = incident.expect_last_signal(SIGTERM, "kill")?;
    let sender = format!("{signal}.sender");
    incident.expect(&format!("{sender}.pid"), killer.pid)?;
    incident.expect(&format!("{sender}.cmdline_truncated"), true)?;
    let argv = incident.argv(&format!("{sender}.argv"))?;
    let whole: Vec<&str> = killer.argv.iter().map(String::as_str).collect();
    let (kept, given) = (argv.join("\0"), whole.join("\0"));
    ensure!(
        given.starts_with(&kept),
        incident.fault("the command line that was kept is not a part of the true one")
    );
    ensure!((4000..=4096).contains(&kept.len()), incident.fault(format!("{} bytes were kept", kept.len())));
    incident.expect("verdict.cause", "external-kill")?;
    agent.stop()?;
    Ok(())
}

/// Its name and `argv[0]` say systemd; its executable does not.
fn sender_that_looks_like_init() -> Result<()> {
    use std::os::unix::process::CommandExt as _;

    let directory = WorkDir::new()?;
    let fake = directory.copy(&killer_program()?, "systemd")?;
    let victim = Victim::start(&["sleep"])?;
    let mut agent = Agent::watch_pid(victim.pid())?;
    let mut command = Command::new(&fake);
    let killer = Killer::run(command.arg0("/sbin/init").args(["kill", &victim.pid().to_string(), "15"]))?;
    let incident = agent.incident_of(victim.pid())?;
    incident.expect_killed(SIGTERM)?;
    let signal = incident.expect_last_signal(SIGTERM, "kill")?;
    incident.expect(&format!("{signal}.sender.pid"), killer.pid)?;
    incident.expect(&format!("{signal}.sender.exe"), fake.to_string_lossy())?;
    incident.expect("verdict.cause", "external-kill")?;
    incident.expect("verdict.culprit.pid", killer.pid)?;
    agent.stop()?;
    Ok(())
}

/// Its command line cannot be read, by an agent that looks at all processes when it starts, or at this very one.
fn wedged_process_stops_nobody() -> Result<()> {
    needs_root()?;
    let directory = WorkDir::new()?;
    let (_server, wedged) = Victim::wedged(&directory)?;
    ensure!(Run::command(&["true"])?.status.success(), "the agent failed");
    let mut snapshot = Command::new(agent_program()?);
    let taken = output(snapshot.args(["snapshot", "-p", &wedged.to_string()]))?;
    let context = Record::parse(&taken.stdout)?;
    context.expect("self.name", "wedged")?;
    context.expect("self.cmdline", serde_json::Value::Null)
}
