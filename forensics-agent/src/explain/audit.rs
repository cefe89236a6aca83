//! The audit log, where auditd(8) writes one: ends that the kernel found abnormal, and signals where a rule asks for them.

use super::{Finding, Kind, Subject, Told, finding, tail};
use crate::host::systemd::unit::Scope;

const PATH: &str = "/var/log/audit/audit.log";
/// What is read of its end, bytes.
const CAP: u64 = 8 << 20;

/// What it tells of the subject.
pub(super) fn findings(subject: &Subject) -> Told {
    Ok(of_text(&tail(PATH, CAP)?, subject))
}

fn of_text(text: &str, subject: &Subject) -> Vec<Finding> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for line in &lines {
        let Some((ts, event)) = stamp(line) else { continue };
        let of = |name: &str| value(line, name);
        match (of("type"), subject) {
            (Some("ANOM_ABEND"), Subject::Process(pid)) if of("pid") == Some(&pid.to_string()) => {
                found.push(finding(ts, Kind::Crash, PATH, line));
            }
            (Some("OBJ_PID"), Subject::Process(pid)) if of("opid") == Some(&pid.to_string()) => {
                // The system call that sent it has a record of the same event.
                let call = lines.iter().find(|other| {
                    value(other, "type") == Some("SYSCALL") && stamp(other).is_some_and(|(_, id)| id == event)
                });
                found.push(finding(ts, Kind::Signal, PATH, call.unwrap_or(line)));
            }
            (Some("SERVICE_STOP"), Subject::Unit(place)) if matches!(place.scope, Scope::System) => {
                let unit = place.unit.strip_suffix(".service").unwrap_or(&place.unit);
                if line.split_once("unit=").is_some_and(|(_, rest)| rest.split(' ').next() == Some(unit)) {
                    found.push(finding(ts, Kind::Line, PATH, line));
                }
            }
            _ => {}
        }
    }
    found
}

/// Time and identity of `msg=audit(1795490225.123:456):`.
fn stamp(line: &str) -> Option<(f64, &str)> {
    let event = line.split_once("msg=audit(")?.1.split_once(')')?.0;
    let ts: f64 = event.split_once(':')?.0.parse().ok()?;
    ts.is_finite().then_some((ts, event))
}

fn value<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    line.split(' ').find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::systemd::unit::UnitPath;

    const LOG: &str = "type=SYSCALL msg=audit(100.5:7): arch=c000003e syscall=62 success=yes pid=99 auid=1000 comm=\"kill\" exe=\"/usr/bin/kill\"
type=OBJ_PID msg=audit(100.5:7): opid=812 oauid=-1 ouid=0 ocomm=\"gw\"
type=ANOM_ABEND msg=audit(101.0:8): auid=1 uid=0 pid=813 comm=\"gw\" sig=11 res=1
type=SERVICE_STOP msg=audit(102.0:9): pid=1 uid=0 msg='unit=gw comm=\"systemd\" res=failed'
junk msg=audit(nan:1)";

    #[test]
    fn what_it_tells_of_whom() {
        let [signal] = &of_text(LOG, &Subject::Process(812))[..] else { panic!("not one") };
        assert_eq!((signal.ts, signal.kind), (100.5, Kind::Signal));
        assert!(signal.text.contains("comm=\"kill\""), "{}", signal.text);
        assert_eq!(of_text(LOG, &Subject::Process(813))[0].kind, Kind::Crash);
        let unit = |name: &str| Subject::Unit(UnitPath::named(name, Scope::System).expect("a unit"));
        assert_eq!(of_text(LOG, &unit("gw")).len(), 1);
        assert!(of_text(LOG, &unit("g")).is_empty());
    }
}
