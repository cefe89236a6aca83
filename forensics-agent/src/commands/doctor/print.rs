use forensics_incident::text::escape;

use super::checks::Status;
use super::{HookTrial, Report};

/// The report as a table: what is lost stands below what is not there.
pub(super) fn text(report: &Report<'_>, colour: bool) -> String {
    let Report { schema: _, agent_version, hostname, kernel, machine, works, checks, hooks } = report;
    let mut out = format!(
        "forensics-agent {agent_version} on {}, Linux {} {}\n\n",
        escape(hostname),
        escape(kernel),
        escape(machine)
    );
    let width = checks.iter().map(|check| check.name.len()).max().unwrap_or(0);
    let indent = " ".repeat(12 + width);
    for check in *checks {
        let found = escape(&check.found);
        out.push_str(&format!("  {} {:width$} {found}\n", mark(check.status, colour), check.name));
        for (label, sentence) in [("lost", check.lost), ("fix", check.fix)] {
            if let Some(sentence) = sentence {
                out.push_str(&format!("{indent}{label}: {sentence}\n"));
            }
        }
    }
    out.push_str("\n  signal:signal_generate, loaded and attached as\n");
    if hooks.is_empty() {
        out.push_str("  none was tried\n");
    }
    for HookTrial { name, ok, error } in *hooks {
        let status = if *ok { Status::Ok } else { Status::Limited };
        let error = error.as_deref().map(escape).unwrap_or_default();
        out.push_str(format!("  {} {:width$} {error}", mark(status, colour), escape(name)).trim_end());
        out.push('\n');
    }
    out.push_str(if *works { "\nThe agent can work here.\n" } else { "\nThe agent cannot work here.\n" });
    out
}

/// The status in a column of its own, coloured.
fn mark(status: Status, colour: bool) -> String {
    let (word, code) = match status {
        Status::Ok => ("ok", "32"),
        Status::Note => ("note", "2"),
        Status::Limited => ("limited", "33"),
        Status::Missing => ("missing", "1;31"),
    };
    if colour { format!("\x1b[{code}m{word:<8}\x1b[0m") } else { format!("{word:<8}") }
}

#[cfg(test)]
mod tests {
    use super::super::checks::Check;
    use super::*;

    #[test]
    fn a_table_for_people() {
        let checks = [
            Check {
                name: "lockdown",
                status: Status::Ok,
                found: "integrity".to_owned(),
                lost: None,
                fix: None,
            },
            Check {
                name: "cgroups",
                status: Status::Limited,
                found: "not\x1b[2J mounted".to_owned(),
                lost: Some("units"),
                fix: Some("mount them"),
            },
        ];
        let hooks = [
            HookTrial { name: "raw_tracepoint".to_owned(), ok: true, error: None },
            HookTrial { name: "tp_btf".to_owned(), ok: false, error: Some("refused: EPERM".to_owned()) },
        ];
        let mut report = Report {
            schema: "forensics-agent/doctor/1",
            agent_version: "0.1.0",
            hostname: "db-7",
            kernel: "6.18.44",
            machine: "x86_64",
            works: true,
            checks: &checks,
            hooks: &hooks,
        };
        assert_eq!(
            text(&report, false),
            "\
forensics-agent 0.1.0 on db-7, Linux 6.18.44 x86_64

  ok       lockdown integrity
  limited  cgroups  not\\x1b[2J mounted
                    lost: units
                    fix: mount them

  signal:signal_generate, loaded and attached as
  ok       raw_tracepoint
  limited  tp_btf   refused: EPERM

The agent can work here.
"
        );
        report.works = false;
        assert!(text(&report, true).ends_with("\nThe agent cannot work here.\n"));
        assert!(text(&report, true).contains("\x1b[32mok      \x1b[0m"));
    }
}
