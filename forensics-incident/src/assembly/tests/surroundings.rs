//! Contexts and markers, and what could not be read.

use super::*;

#[test]
fn a_context_in_time_is_kept_and_a_late_one_is_dropped() {
    let context = |pid| Input::Context {
        target: nginx().key(),
        context: Box::new(Context { pid, ..Context::default() }),
        missing: Vec::new(),
    };
    let mut drive = Drive::watching(&nginx());
    drive.signal(&nginx(), kill(100.0, SIGTERM, killer()));
    drive.assembler.push(ns(100.0), context(1));
    drive.assembler.push(ns(100.0), context(2));
    let in_time = closed(drive.exit(&nginx(), 101.0, 15));
    assert_eq!(in_time.context.map(|context| context.pid), Some(1), "that of the first request");
    assert!(in_time.missing.is_empty());

    let mut drive = Drive::watching(&nginx());
    drive.signal(&nginx(), kill(100.0, SIGTERM, killer()));
    let late = closed(drive.exit(&nginx(), 101.0, 15));
    assert!(drive.assembler.push(ns(101.0), context(1)).is_empty());
    assert!(late.context.is_none());
    assert_eq!(late.missing[0].field, "context");
}

#[test]
fn a_later_marker_of_the_same_path_replaces_the_earlier() {
    let marker = |path: &str, raw: &str| Input::Marker {
        target: nginx().key(),
        marker: crate::model::Marker {
            kind: MarkerKind::Takeover,
            path: path.to_owned(),
            names_target: true,
            fresh: true,
            age_s: None,
            content: None,
            raw: raw.to_owned(),
            writer: None,
        },
    };
    let mut drive = Drive::watching(&nginx());
    for (path, raw) in [("a", "1"), ("b", "1"), ("a", "2")] {
        drive.assembler.push(ns(100.0), marker(path, raw));
    }
    for index in 0..100 {
        drive.assembler.push(ns(100.0), marker(&format!("m{index}"), ""));
    }
    let closed = closed(drive.exit(&nginx(), 101.0, 0));
    assert_eq!((closed.markers[0].raw.as_str(), closed.markers.len()), ("2", 16));
}

#[test]
fn what_could_not_be_read_is_named_by_its_path() {
    let mut drive = Drive::watching(&nginx());
    drive.signal(&nginx(), kill(99.0, SIGUSR1, killer()));
    let record = SignalRecord {
        target: nginx(),
        fold_id: 77,
        folded_before: 0,
        signal: kill(100.0, SIGUSR2, killer()),
        missing: vec![Missing { field: "sender.exe".to_owned(), why: "gone".to_owned() }],
    };
    drive.assembler.push(ns(100.0), Input::Signal(record));
    let closed = closed(drive.exit(&nginx(), 101.0, 0));
    assert_eq!(
        closed.missing,
        [Missing { field: "signals[1].sender.exe".to_owned(), why: "gone".to_owned() }]
    );
}

/// A planned-stop marker of nginx that is `age_s` old and names it.
fn planned_stop(age_s: f64) -> crate::model::Marker {
    crate::model::Marker {
        kind: MarkerKind::PlannedStop,
        path: "/home/h/.hermes/.gateway-planned-stop.json".to_owned(),
        names_target: true,
        fresh: true,
        age_s: Some(age_s),
        content: None,
        raw: "{}".to_owned(),
        writer: None,
    }
}

/// The end of nginx in the 116th second, by a signal of the 115th, with these markers of the hundredth.
fn stopped_with(markers: Vec<crate::model::Marker>) -> Closed {
    let mut drive = Drive::watching(&nginx());
    for marker in markers {
        drive.assembler.push(ns(100.0), Input::Marker { target: nginx().key(), marker });
    }
    drive.signal(&nginx(), kill(115.0, SIGTERM, process(5, "kill 812")));
    let context = Box::new(Context { pid: 812, ..Context::default() });
    drive.assembler.push(ns(115.0), Input::Context { target: nginx().key(), context, missing: Vec::new() });
    closed(drive.exit(&nginx(), 116.0, 0))
}

#[test]
fn the_age_of_a_marker_is_that_at_the_signal() {
    for (seen, told, fresh) in
        [(1.0, 16.0, true), (44.9, 59.9, true), (46.0, 61.0, false), (-17.0, -2.0, false)]
    {
        let closed = stopped_with(vec![planned_stop(seen)]);
        let marker = &closed.markers[0];
        assert!((marker.age_s.unwrap() - told).abs() < 1e-6, "{seen}: {marker:?}");
        assert_eq!(marker.fresh, fresh, "{seen}");
        // A stale one was removed by somebody, and did not stand there when the signal came.
        assert_eq!(closed.context.unwrap().planned_stop_marker.is_some(), fresh, "{seen}");
    }
}

#[test]
fn a_second_look_keeps_the_writer() {
    let writer = Some(process(5, "stop"));
    let seen = crate::model::Marker { writer: writer.clone(), ..planned_stop(0.0) };
    let closed = stopped_with(vec![seen.clone(), planned_stop(0.1)]);
    assert_eq!((closed.markers.len(), &closed.markers[0].writer), (1, &writer));
    let another = crate::model::Marker { raw: "[]".to_owned(), ..planned_stop(0.1) };
    assert_eq!(stopped_with(vec![seen, another]).markers[0].writer, None);
}

#[test]
fn a_marker_for_the_next_one_does_not_hide_the_one_for_this() {
    let next = crate::model::Marker { names_target: false, raw: "next".to_owned(), ..planned_stop(0.0) };
    let closed = stopped_with(vec![planned_stop(0.0), next]);
    assert_eq!(closed.markers.len(), 2);
    assert_eq!(closed.context.unwrap().planned_stop_marker.as_deref(), Some("{}"));
}

#[test]
fn the_context_has_room_for_the_markers_of_its_keys_only() {
    let path = "/run/other/stop.json".to_owned();
    let closed = stopped_with(vec![crate::model::Marker { path, ..planned_stop(0.0) }]);
    let context = closed.context.unwrap();
    assert_eq!((context.planned_stop_marker, context.takeover_marker_for_self), (None, None));
}
