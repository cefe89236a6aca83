use forensics_incident::model::MarkerKind;

use super::*;

const GOOD: &str = r#"
[[marker]]
name = "deploy"
path = "%h/.deploy/stop.json"
pid_pointer = "/service/pid"
kind = "planned-stop"
"#;

/// What `Config::read` says of a file with this text.
fn message(text: &str) -> String {
    match Config::parse(text) {
        Ok(config) => format!("{config:?}"),
        Err(fault) => fault.in_file(Path::new("c.toml"), text).to_string(),
    }
}

#[test]
fn a_marker_of_another_service() {
    let config = Config::parse(GOOD).unwrap();
    let [marker] = config.markers.as_slice() else { panic!("{config:?}") };
    assert_eq!((marker.name.as_str(), marker.kind), ("deploy", MarkerKind::PlannedStop));
    assert_eq!((marker.path.as_str(), marker.pointer.as_str()), ("%h/.deploy/stop.json", "/service/pid"));
    let names: Vec<_> = config.marker_specs().into_iter().map(|spec| spec.name).collect();
    assert_eq!(names, ["takeover_marker", "planned_stop_marker", "deploy"]);
    assert!(Config::parse("").unwrap().targets.select_nothing());
}

/// What is commented out there, without a space behind the `#`, is valid as well, and sets every key that there is.
#[test]
fn the_sample_is_valid_and_complete() {
    let sample = include_str!("../../../packaging/config.toml");
    Config::parse(sample).unwrap();
    let uncommented: String = sample
        .lines()
        .map(|line| line.strip_prefix('#').filter(|rest| !rest.starts_with(' ')).unwrap_or(line))
        .fold(String::new(), |all, line| all + line + "\n");
    assert_eq!(Config::parse(&uncommented).unwrap().markers.len(), 1, "{uncommented}");
    // Serde knows all keys, and tells them when one is wrong.
    for (text, table) in [
        ("", ""),
        ("[targets]", "[targets]"),
        ("[on_incident_limits]", "[on_incident_limits]"),
        ("[[marker]]", "[[marker]]"),
    ] {
        let said = message(&format!("{text}\nnone = 1"));
        let keys = said.split_once(", expected").unwrap().1;
        for key in keys.split('`').skip(1).step_by(2) {
            let is_table =
                [format!("\n[{key}]\n"), format!("\n[[{key}]]\n")].iter().any(|t| uncommented.contains(t));
            let is_set = uncommented.lines().any(|line| line.split(" = ").next() == Some(key));
            assert!(is_table || is_set, "the sample lacks {key} {table}");
        }
    }
}

const TARGETS: &str = r#"
signals = "+WINCH"
drain_timeout = 60
show_cmdline = "exe"

[targets]
pidfile = ["/run/gw.pid"]
comm = ["nginx", "redis"]
exe = ["/usr/bin/python3"]
match = ["java .*gateway"]
follow_children = true
main = true
"#;

#[test]
fn targets_add_up_and_the_command_line_comes_first() {
    let config = Config::parse(TARGETS).unwrap();
    assert!(config.signals.unwrap().contains(forensics_incident::signals::SIGWINCH));
    assert_eq!((config.drain_timeout, config.show_cmdline), (Some(60.0), Some(ShowCmdline::Exe)));
    let options = TargetArgs { pids: vec![7], comms: vec!["sshd".to_owned()], ..TargetArgs::default() };
    let targets = options.selectors().unwrap().and(config.targets.selectors().unwrap());
    assert_eq!(targets.comms, ["sshd", "nginx", "redis"]);
    assert_eq!((targets.pids.as_slice(), targets.pidfiles.len()), ([7].as_slice(), 1));
    assert!(targets.matches("x", None, &["java".to_owned(), "gateway".to_owned()]));
    assert!(targets.matches("x", Some("/usr/bin/python3"), &[]));
    assert!(targets.follow_children && targets.main_only && !targets.all);
}

#[test]
fn a_command_for_incidents() {
    use forensics_incident::model::{Cause, Intent};
    let limits = "[on_incident_limits]\ncauses = [\"oom\"]\nintents = [\"fault\"]\nburst = 1\nper_hour = 2\ntimeout = 0.5\n";
    let config = Config::parse(&format!("on_incident = [\"/bin/page\", \"x y\"]\n{limits}")).unwrap();
    let found = config.on_incident.unwrap();
    assert_eq!(found.command, ["/bin/page", "x y"]);
    assert_eq!((found.causes, found.intents), (vec![Cause::Oom], vec![Intent::Fault]));
    assert_eq!((found.burst, found.per_hour, found.timeout.as_millis()), (1, 2, 500));
    assert!(Config::parse(limits).unwrap().on_incident.is_none());
    assert!(Config::parse("on_incident = []").unwrap().on_incident.is_none());
    for (said, expected) in [
        (
            message("on_incident = [\"page\"]"),
            "line 1, key \"on_incident\": \"page\" must be the absolute path",
        ),
        (
            message("on_incident = [\"/a\", \"\\u0000\"]"),
            "line 1, key \"on_incident\": \"\\0\" must not contain a NUL",
        ),
        (message("on_incident = \"/a\""), "line 1, key \"on_incident\": invalid type: string"),
        (
            message(&limits.replace("\"oom\"", "\"boredom\"")),
            "line 2, key \"causes\": unknown variant `boredom`",
        ),
        (message(&limits.replace("burst = 1", "burst = 0")), "line 4, key \"burst\": must be 1 or more"),
        (
            message(&limits.replace("per_hour = 2", "per_hour = -2")),
            "line 5, key \"per_hour\": invalid value",
        ),
        (message(&limits.replace("0.5", "0")), "line 6, key \"timeout\": 0 is not a number of seconds"),
    ] {
        assert!(said.contains(expected), "{said:?} lacks {expected:?}");
    }
}

#[test]
fn faults_of_targets() {
    let with = |from: &str, to: &str| message(&TARGETS.replace(from, to));
    for (said, expected) in [
        (
            with("main = true", "uid = 1000"),
            "line 12, key \"uid\": says whose units user_unit names, and there is no user_unit",
        ),
        (with("+WINCH", "+WINK"), "line 2, key \"signals\": no signal is called 'WINK'"),
        (with("60", "-1"), "line 3, key \"drain_timeout\": -1 is not a number of seconds"),
        (with("60", "nan"), "line 3, key \"drain_timeout\": NaN is not a number of seconds"),
        (
            with("\"exe\"", "\"none\""),
            "line 4, key \"show_cmdline\": unknown variant `none`, expected one of",
        ),
        (with("pidfile =", "pid ="), "line 7, key \"pid\": unknown field `pid`, expected one of"),
        (with("/run/gw.pid", "gw.pid"), "line 7, key \"pidfile\": \"gw.pid\" is no absolute path"),
        (with("\"redis\"", "\"\""), "line 8, key \"comm\": \"\" is the name of no process"),
        (with("[\"nginx\"", "[3"), "line 8, key \"comm\": invalid type: integer `3`, expected a string"),
        (
            with("java .*", "java ("),
            "line 10, key \"match\": \"java (gateway\" is no regular expression: unclosed group",
        ),
    ] {
        assert!(said.contains(expected), "{said:?} lacks {expected:?}");
        assert!(said.starts_with("the configuration c.toml, line ") && !said.contains('\n'), "{said:?}");
    }
}

/// Each names the file, the line and the key, and is one sentence.
#[test]
fn faults() {
    let with = |from: &str, to: &str| message(&GOOD.replace(from, to));
    for (said, expected) in [
        (message("marcer = 1\n"), "c.toml, line 1, key \"marcer\": unknown field `marcer`, expected one of"),
        (with("kind =", "knd ="), "c.toml, line 6, key \"knd\": unknown field `knd`, expected one of"),
        (with("kind = \"planned-stop\"\n", ""), "c.toml, line 2, key \"marker\": missing field `kind`"),
        (with("\"planned-stop\"", "\"stop\""), "line 6, key \"kind\": unknown variant `stop`, expected"),
        (with("\"deploy\"", "3"), "line 3, key \"name\": invalid type: integer `3`, expected a string"),
        (with("\"deploy\"", "\"a b\""), "line 3, key \"name\": \"a b\" must be of letters"),
        (
            with("\"deploy\"", "\"takeover_marker\""),
            "line 3, key \"name\": \"takeover_marker\" is the name of",
        ),
        (with("%h/", ""), "line 4, key \"path\": \".deploy/stop.json\" must begin with /"),
        (with("stop.json", ""), "line 4, key \"path\": \"%h/.deploy/\" must name a file"),
        (with("stop.json", "%s"), "line 4, key \"path\": \"%h/.deploy/%s\" has a %"),
        (with("/service/pid", "service"), "line 5, key \"pid_pointer\": \"service\" is no JSON pointer"),
        (with("/service/pid", "/a~2"), "line 5, key \"pid_pointer\": \"/a~2\" is no JSON pointer"),
        (with("[[marker]]", "[[marker]"), "c.toml, line 2"),
        (with("\"deploy\"", "\"de"), "c.toml, line 3, key \"name\""),
        (message(&format!("{GOOD}{GOOD}")), "line 9, key \"name\": \"deploy\" is the name of another marker"),
    ] {
        assert!(said.contains(expected), "{said:?} lacks {expected:?}");
        assert!(said.starts_with("the configuration c.toml, line ") && !said.contains('\n'), "{said:?}");
    }
}

#[test]
fn files_that_cannot_be_read() {
    let missing = Config::read(Path::new("/no/such/config")).unwrap_err().to_string();
    assert!(
        missing.starts_with("the configuration /no/such/config cannot be read: No such file"),
        "{missing}"
    );
    assert!(Config::read(Path::new("/")).is_err());
    let path = std::env::temp_dir().join(format!("forensics-config-{}", std::process::id()));
    std::fs::write(&path, b"# x\n# \xff\n").unwrap();
    let said = Config::read(&path).unwrap_err().to_string();
    std::fs::write(&path, vec![b'#'; 2 << 20]).unwrap();
    let large = Config::read(&path).unwrap_err().to_string();
    std::fs::remove_file(&path).unwrap();
    assert!(said.ends_with(", line 2: it is not UTF-8"), "{said}");
    assert!(large.ends_with("it is larger than 1048576 bytes"), "{large}");
}

proptest::proptest! {
    #[test]
    fn any_text_is_read_or_refused_on_one_line(text in "[ -~\\n\\[\\]=\"#]{0,80}") {
        if let Err(fault) = Config::parse(&text) {
            proptest::prop_assert!(!fault.in_file(Path::new("x"), &text).to_string().contains('\n'));
        }
    }
}
