//! The answer of `check-timing`: one sentence, then the drop-in that puts it right.

use std::io::{self, Write};

use forensics_incident::model::Timing;
use serde::Serialize;

use crate::host::systemd::duration::Span;
use crate::host::systemd::properties::Properties;
use crate::host::systemd::timing::{Alignment, Obstacle, Spared};
use crate::host::systemd::unit::{Scope, UnitPath};

/// Schema of the JSON form.
pub const TIMING_SCHEMA: &str = "forensics-agent/timing/1";

/// The answer in the form in which it is printed; as JSON, the record `timing` with these details beside it.
#[derive(Debug, Clone, Serialize)]
pub struct TimingReport<'a> {
    /// [`TIMING_SCHEMA`].
    schema: &'static str,
    #[serde(flatten)]
    timing: &'a Timing,
    /// One sentence.
    summary: String,
    /// What else one should know.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    remarks: Vec<String>,
    /// What puts it right.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    drop_ins: Vec<DropIn>,
    /// What the manager said.
    properties: &'a Properties,
}

/// A file that changes a unit's settings (systemd.unit(5)).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct DropIn {
    path: String,
    content: String,
    /// The command after which it is in force.
    reload: String,
}

impl<'a> TimingReport<'a> {
    /// Puts the answer into words.
    pub fn new(place: &'a UnitPath, alignment: &'a Alignment, properties: &'a Properties) -> Self {
        Self {
            schema: TIMING_SCHEMA,
            timing: &alignment.timing,
            summary: summary(alignment),
            remarks: remarks(alignment),
            drop_ins: drop_ins(place, alignment),
            properties,
        }
    }

    /// Writes it as one line of JSON.
    pub fn write_json(&self, out: &mut dyn Write) -> io::Result<()> {
        serde_json::to_writer(&mut *out, self)?;
        out.write_all(b"\n")
    }

    /// Writes it for people.
    pub fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "{}", self.summary)?;
        for remark in &self.remarks {
            writeln!(out, "{remark}")?;
        }
        for (index, DropIn { path, content, reload }) in self.drop_ins.iter().enumerate() {
            let lead = if index == 0 { "To fix it, write this to" } else { "Then, as root, write this to" };
            writeln!(out, "\n{lead} {path}\n")?;
            for line in content.lines() {
                writeln!(out, "    {line}")?;
            }
            writeln!(out, "\nand run: {reload}")?;
        }
        Ok(())
    }
}

/// Seconds as systemd writes them, None being infinity.
fn span(seconds: Option<f64>) -> String {
    seconds.map_or(Span::INFINITY, Span::from_secs_round).to_string()
}

fn summary(alignment: &Alignment) -> String {
    let Alignment { timing, obstacles, spared, final_signal, stale: _ } = alignment;
    let unit = &timing.unit;
    let needed = format!(
        "it needs {} ({} to drain and {} of headroom)",
        span(Some(timing.expected_min)),
        span(Some(timing.drain_timeout)),
        span(Some(timing.expected_min - timing.drain_timeout)),
    );
    match (obstacles.first(), spared) {
        (Some(Obstacle::KilledAtOnce), _) => {
            format!("{unit} gets no time to drain: it is stopped with KillSignal=SIGKILL.")
        }
        (Some(Obstacle::OwnTimeout), _) => format!(
            "{unit} will be killed while it drains: systemd sends {final_signal} {} after it asked it to stop, and {needed}.",
            span(timing.timeout_stop_sec),
        ),
        (Some(Obstacle::ManagerTimeout), _) => {
            let parent = timing.parent.as_ref();
            format!(
                "{unit} will be killed while it drains at logout and shutdown: {} is given {} to stop, and {needed}.",
                parent.map_or("its manager", |parent| parent.unit.as_str()),
                span(parent.and_then(|parent| parent.timeout_stop_sec)),
            )
        }
        (None, Some(why)) => {
            let why = match why {
                Spared::NoSigkill => "SendSIGKILL=no",
                Spared::KillModeNone => "KillMode=none",
                Spared::NotMainProcess => "KillMode=process, and this is not the main process",
            };
            format!("{unit} has time to drain: systemd does not kill it for taking its time ({why}).")
        }
        (None, None) if timing.timeout_stop_sec.is_none() => {
            format!("{unit} has time to drain: systemd waits for it without limit.")
        }
        (None, None) => format!(
            "{unit} has time to drain: systemd waits {} before it sends {final_signal}, and {needed}.",
            span(timing.timeout_stop_sec),
        ),
    }
}

fn remarks(alignment: &Alignment) -> Vec<String> {
    let Alignment { timing, obstacles, stale, .. } = alignment;
    let mut remarks = Vec::new();
    if let (Some(parent), true) = (&timing.parent, obstacles.contains(&Obstacle::OwnTimeout)) {
        remarks.push(format!(
            "At logout and shutdown {} is given {} to stop.",
            parent.unit,
            span(parent.timeout_stop_sec)
        ));
    }
    if *stale {
        remarks.push(
            "Its unit file has changed since systemd read it: this is what holds until a daemon-reload."
                .to_owned(),
        );
    }
    remarks
}

fn drop_ins(place: &UnitPath, alignment: &Alignment) -> Vec<DropIn> {
    let Alignment { timing, obstacles, .. } = alignment;
    let enough = span(Some(timing.expected_min));
    let mut settings = String::new();
    if obstacles.contains(&Obstacle::KilledAtOnce) {
        settings.push_str("KillSignal=SIGTERM\n");
    }
    if obstacles.contains(&Obstacle::OwnTimeout) {
        settings.push_str(&format!("TimeoutStopSec={enough}\n"));
    }
    let mut drop_ins = Vec::new();
    if !settings.is_empty() {
        let (directory, reload) = match place.scope {
            Scope::System => ("/etc/systemd/system", "systemctl daemon-reload".to_owned()),
            Scope::User { uid } if uid == rustix::process::getuid().as_raw() => {
                ("~/.config/systemd/user", "systemctl --user daemon-reload".to_owned())
            }
            Scope::User { uid } => {
                ("/etc/systemd/user", format!("systemctl --user --machine={uid}@.host daemon-reload"))
            }
        };
        drop_ins.push(drop_in(directory, &place.unit, &settings, reload));
    }
    if let (Some(unit), true) = (&place.user_manager_unit, obstacles.contains(&Obstacle::ManagerTimeout)) {
        let reload = "systemctl daemon-reload".to_owned();
        drop_ins.push(drop_in("/etc/systemd/system", unit, &format!("TimeoutStopSec={enough}\n"), reload));
    }
    drop_ins
}

/// Drop-ins are read in the order of their names: this one comes after the `override.conf` of
/// `systemctl edit`, which would win otherwise.
fn drop_in(directory: &str, unit: &str, settings: &str, reload: String) -> DropIn {
    let path = format!("{directory}/{unit}.d/zz-stop-timeout.conf");
    DropIn { path, content: format!("[Service]\n{settings}"), reload }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::systemd::timing::{Wanted, align};

    fn text(unit: &str, scope: Scope, said: &str, manager: Option<&str>) -> String {
        let place = UnitPath::named(unit, scope).unwrap();
        let properties =
            Properties::from_show(&format!("LoadState=loaded\nTimeoutStopUSec=1min 30s\n{said}"));
        let manager = manager.map(Properties::from_show);
        let wanted = Wanted { drain: 120.0, headroom: 30.0 };
        let alignment = align(&place, &properties, manager.as_ref(), None, wanted).unwrap();
        let mut out = Vec::new();
        TimingReport::new(&place, &alignment, &properties).write_text(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_drop_in_that_fixes_it() {
        assert_eq!(
            text("gw", Scope::System, "", None),
            "gw.service will be killed while it drains: systemd sends SIGKILL 1min 30s after it asked it to stop, and \
             it needs 2min 30s (2min to drain and 30s of headroom).\n\
             \nTo fix it, write this to /etc/systemd/system/gw.service.d/zz-stop-timeout.conf\n\
             \n    [Service]\n    TimeoutStopSec=2min 30s\n\
             \nand run: systemctl daemon-reload\n"
        );
    }

    #[test]
    fn aligned_needs_no_advice() {
        for (said, expected) in [
            (
                "TimeoutStopUSec=infinity",
                "gw.service has time to drain: systemd waits for it without limit.\n",
            ),
            (
                "TimeoutStopUSec=5min",
                "gw.service has time to drain: systemd waits 5min before it sends SIGKILL, and it needs 2min 30s (2min to drain \
                 and 30s of headroom).\n",
            ),
            (
                "SendSIGKILL=no",
                "gw.service has time to drain: systemd does not kill it for taking its time (SendSIGKILL=no).\n",
            ),
        ] {
            assert_eq!(text("gw", Scope::System, said, None), expected);
        }
    }

    #[test]
    fn the_user_manager_gets_a_drop_in_of_its_own() {
        let manager = Some("LoadState=loaded\nTimeoutStopUSec=2min");
        let uid = rustix::process::getuid().as_raw().wrapping_add(1);
        let said = text("gw", Scope::User { uid }, "TimeoutStopUSec=1h", manager);
        assert!(said.contains(&format!("shutdown: user@{uid}.service is given 2min")), "{said}");
        assert!(said.contains(&format!("/etc/systemd/system/user@{uid}.service.d/zz-")), "{said}");
        assert!(!said.contains("gw.service.d"), "{said}");
    }

    #[test]
    fn json_is_the_record_with_details() {
        let place = UnitPath::named("gw", Scope::System).unwrap();
        let properties = Properties::from_show(
            "LoadState=loaded\nTimeoutStopUSec=infinity\nKillSignal=9\nNeedDaemonReload=yes",
        );
        let alignment = align(&place, &properties, None, None, Wanted { drain: 1.0, headroom: 2.0 }).unwrap();
        let mut out = Vec::new();
        TimingReport::new(&place, &alignment, &properties).write_json(&mut out).unwrap();
        let json: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(json["schema"], TIMING_SCHEMA);
        assert_eq!(json["timeout_stop_sec"], serde_json::Value::Null);
        assert_eq!(json["mismatch"], true);
        assert_eq!(json["drop_ins"][0]["content"], "[Service]\nKillSignal=SIGTERM\n");
        assert_eq!(json["remarks"].as_array().unwrap().len(), 1);
        assert_eq!(json["properties"]["KillSignal"], "9");
    }
}
