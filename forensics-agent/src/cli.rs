//! The command line: what is common to all commands. Each command's own options stand in its file.

use std::ffi::OsString;
use std::io::IsTerminal as _;

use clap::{CommandFactory as _, Parser, Subcommand, ValueEnum};
use forensics_incident::text::escape;
use serde::Deserialize;

use crate::commands::{
    check_timing, detach, diagnose, doctor, explain, failure::Failure, judge, list, run, show, snapshot,
    stats, watch,
};
use crate::host::redact::redact;

/// What the help ends with.
const EXAMPLES: &str = "\
Examples:
  forensics-agent watch --pid 4242          say who kills process 4242
  forensics-agent watch --comm nginx -f     watch every nginx, and the processes they start
  forensics-agent watch --match 'java .*gateway' --once
                                            wait for one end, explain it, leave
  forensics-agent run -- ./server --port 80 start a server; explain how it ended; exit as it did
  forensics-agent list --since yesterday    what was killed, and by whom
  forensics-agent doctor                    what this host allows, and what is lost without it

Exit status: 0 fine, 1 a check found a problem, 2 wrong usage or no such process, 3 cannot tell,
4 the kernel or the privileges do not allow it. `run` exits as its command did, 128+N for signal N,
and with 125, 126 or 127 for failures of its own, as timeout(1) does.";

/// Explains phantom kills: who killed a process, how, why, and on whose behalf.
#[derive(Debug, Parser)]
#[command(name = "forensics-agent", version, max_term_width = 100, after_help = EXAMPLES)]
pub struct Cli {
    /// What every command understands.
    #[command(flatten, next_help_heading = "Common options")]
    pub globals: Globals,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Watch processes and report every one that is killed or ends
    Watch(watch::Args),
    /// Start a command, watch it, and explain how it ended
    Run(run::Args),
    /// Print the shutdown context of a process: what it is, who is around it, who announced its end
    Snapshot(snapshot::Args),
    /// Say whether systemd leaves a service the time that it needs to stop
    CheckTiming(check_timing::Args),
    /// Write what the host looks like to a log, by a worker that outlives its caller
    Diagnose(diagnose::Args),
    /// Judge stored incidents anew: JSON lines in, JSON lines out
    Judge(judge::Args),
    /// List stored incidents
    List(list::Args),
    /// Tell one stored incident in full
    Show(show::Args),
    /// Count stored incidents: who kills what, how often, at what hours, and what dies again and again
    Stats(stats::Args),
    /// Tell what logs know of ends that nobody watched
    Explain(explain::Args),
    /// Remove the kernel programs that `watch --persist` left behind
    Detach(detach::Args),
    /// Say what this host offers to the agent, and what is lost without each
    Doctor(doctor::Args),
}

/// What every command understands.
#[derive(Debug, Clone, clap::Args)]
pub struct Globals {
    /// Print text for people, or JSON with one object per line
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value_t, global = true)]
    pub output: Format,
    /// Print no warnings and no progress, only results and errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Print more about what the agent itself does (twice: everything)
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Use colours; auto means on a terminal, unless NO_COLOR is set
    #[arg(long, value_enum, value_name = "WHEN", default_value_t, global = true)]
    pub color: ColorChoice,
    /// How much of command lines to show: without secrets (the default), all, or the program only
    #[arg(long, value_enum, value_name = "HOW", global = true)]
    pub show_cmdline: Option<ShowCmdline>,
}

impl Globals {
    /// How much of command lines to show, where no configuration has a say.
    pub fn shown(&self) -> ShowCmdline {
        self.show_cmdline.unwrap_or_default()
    }
}

/// The forms of output.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs: one object per line, each with its `schema`.
    Json,
}

/// When to use colours.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum ColorChoice {
    /// On a terminal, unless `NO_COLOR` is set or `TERM` is `dumb`.
    #[default]
    Auto,
    /// Everywhere.
    Always,
    /// Nowhere.
    Never,
}

/// How much of a command line is stored and shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ShowCmdline {
    /// With what looks like a secret replaced.
    #[default]
    Redacted,
    /// As it is.
    Full,
    /// The executable only.
    Exe,
}

impl ShowCmdline {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Redacted => "redacted",
            Self::Full => "full",
            Self::Exe => "exe",
        }
    }

    /// What is kept of a command line.
    pub fn shown(self, argv: &[String]) -> Vec<String> {
        match self {
            Self::Redacted => redact(argv),
            Self::Full => argv.to_vec(),
            Self::Exe => argv.first().cloned().into_iter().collect(),
        }
    }
}

impl ColorChoice {
    /// Whether to colour what goes to `stream`.
    pub fn wanted(self, stream: &impl std::io::IsTerminal) -> bool {
        let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        match self {
            Self::Always => true,
            Self::Never => false,
            // https://no-color.org: any value but the empty one.
            Self::Auto => {
                stream.is_terminal()
                    && !set("NO_COLOR")
                    && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
            }
        }
    }
}

/// Reads the command line. What is wrong with it becomes one sentence; what was asked to be shown
/// (`--help`, `--version`) is printed.
///
/// # Errors
/// Usage: 2, or 125 when it is `run`'s, as with timeout(1).
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Option<Cli>, Failure> {
    use clap::error::ErrorKind as Kind;

    let args: Vec<OsString> = args.into_iter().collect();
    let error = match Cli::try_parse_from(&args) {
        Ok(cli) => return cli.check().map(Some),
        Err(error) => error,
    };
    match error.kind() {
        Kind::DisplayHelp | Kind::DisplayVersion => {
            // A reader that has gone away does not want the help.
            let _ = error.print();
            Ok(None)
        }
        Kind::DisplayHelpOnMissingArgumentOrSubcommand if !std::io::stderr().is_terminal() => {
            Err(Failure::usage("no command given; try 'forensics-agent --help'"))
        }
        Kind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let _ = error.print();
            Err(Failure { code: 2, message: String::new() })
        }
        _ => {
            let command = subcommand(&args);
            let help = command.as_deref().map_or_else(String::new, |name| format!("{name} "));
            let sentence = sentence(&error.render().to_string());
            let failure = Failure::usage(format!("{sentence}; try 'forensics-agent {help}--help'"));
            Err(if command.as_deref() == Some("run") { failure.of_run() } else { failure })
        }
    }
}

impl Cli {
    /// What clap cannot express.
    fn check(self) -> Result<Self, Failure> {
        match &self.command {
            Command::Watch(args) => args.check()?,
            Command::Run(_) if self.globals.output == Format::Json => {
                let message =
                    "run leaves its output to the command, so -o json does not apply; use --report FILE";
                return Err(Failure::usage(message).of_run());
            }
            Command::Run(_)
            | Command::Snapshot(_)
            | Command::CheckTiming(_)
            | Command::Diagnose(_)
            | Command::Judge(_)
            | Command::List(_)
            | Command::Show(_)
            | Command::Stats(_)
            | Command::Explain(_)
            | Command::Detach(_)
            | Command::Doctor(_) => {}
        }
        Ok(self)
    }
}

/// Which command was meant, though the line as a whole is wrong.
fn subcommand(args: &[OsString]) -> Option<String> {
    let matches = Cli::command().ignore_errors(true).try_get_matches_from(args).ok()?;
    matches.subcommand_name().map(str::to_owned)
}

/// clap's paragraphs as one sentence: the error, its details in the same line, without usage and hints at help.
fn sentence(rendered: &str) -> String {
    let body = rendered.split("\n\nUsage:").next().unwrap_or(rendered);
    let body = body.split("\n\nFor more information").next().unwrap_or(body);
    let body = body.strip_prefix("error: ").unwrap_or(body);
    let (main, tips) = body.split_once("\n\n  tip: ").unwrap_or((body, ""));
    let main: Vec<&str> = main.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let tips = tips.replace("\n  tip: ", ", ");
    let tips = if tips.is_empty() { String::new() } else { format!(" ({})", tips.trim()) };
    escape(&format!("{}{tips}", main.join(" ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Result<Option<Cli>, Failure> {
        parse(std::iter::once("forensics-agent").chain(text.split_whitespace()).map(OsString::from))
    }

    fn failure(text: &str) -> Failure {
        line(text).expect_err("should be refused")
    }

    #[test]
    fn definitions_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn globals_stand_anywhere() {
        for text in ["-o json watch --pid 1 --quiet", "watch --pid 1 -o json -q"] {
            let cli = line(text).expect("valid").expect("a command");
            assert_eq!(cli.globals.output, Format::Json);
            assert!(cli.globals.quiet);
        }
    }

    #[test]
    fn the_command_of_run_keeps_its_options() {
        for text in ["run -f -- server -o json --color x", "run -f server -o json --color x"] {
            let Some(Cli { command: Command::Run(args), globals }) = line(text).expect("valid") else {
                panic!("not run")
            };
            assert_eq!(args.command, ["server", "-o", "json", "--color", "x"]);
            assert_eq!(globals.output, Format::Text);
            assert!(args.follow_children);
        }
    }

    #[test]
    fn wrong_usage_is_one_sentence_with_its_code() {
        for (text, code, message) in [
            (
                "watch",
                2,
                "watch needs to know which processes: --pid, --unit, --user-unit, --cgroup, --pidfile, --comm, --exe, --match, --all or --config",
            ),
            (
                "watch -f",
                2,
                "watch needs to know which processes: --pid, --unit, --user-unit, --cgroup, --pidfile, --comm, --exe, --match, --all or --config",
            ),
            (
                "watch --pidfil 3",
                2,
                "unexpected argument '--pidfil' found (a similar argument exists: '--pidfile'); try 'forensics-agent watch --help'",
            ),
            (
                "watch --pid 0",
                2,
                "invalid value '0' for '--pid <PID>': 0 is not in 1..=4194304; try 'forensics-agent watch --help'",
            ),
            (
                "-o xml watch",
                2,
                "invalid value 'xml' for '--output <FORMAT>' [possible values: text, json]; try 'forensics-agent watch --help'",
            ),
            (
                "run",
                125,
                "the following required arguments were not provided: <CMD>...; try 'forensics-agent run --help'",
            ),
            (
                "run -o json true",
                125,
                "run leaves its output to the command, so -o json does not apply; use --report FILE",
            ),
            (
                "run --bogus true",
                125,
                "unexpected argument '--bogus' found (to pass '--bogus' as a value, use '-- --bogus'); try 'forensics-agent run --help'",
            ),
        ] {
            assert_eq!(failure(text), Failure { code, message: message.to_owned() }, "{text}");
        }
    }

    #[test]
    fn foreign_arguments_are_escaped() {
        let failure = failure("watch \x1b[31mred");
        assert!(!failure.message.contains('\x1b'), "{failure:?}");
    }

    #[test]
    fn colours_by_request() {
        let file = std::fs::File::open("/dev/null").expect("/dev/null");
        assert!(ColorChoice::Always.wanted(&file));
        assert!(!ColorChoice::Auto.wanted(&file));
        assert!(!ColorChoice::Never.wanted(&file));
    }
}
