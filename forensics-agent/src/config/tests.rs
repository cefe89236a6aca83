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
    assert_eq!(Config::parse("").unwrap(), Config::default());
}

#[test]
fn the_sample_is_valid() {
    let sample = include_str!("../../../packaging/config.toml");
    assert_eq!(Config::parse(sample).unwrap(), Config::default(), "the sample sets nothing");
    let uncommented: String = sample
        .lines()
        .filter_map(|line| line.strip_prefix("#"))
        .filter(|line| !line.starts_with(' '))
        .fold(String::new(), |all, line| all + line + "\n");
    assert_eq!(Config::parse(&uncommented).unwrap().markers.len(), 1, "{uncommented}");
}

/// Each names the file, the line and the key, and is one sentence.
#[test]
fn faults() {
    let with = |from: &str, to: &str| message(&GOOD.replace(from, to));
    for (said, expected) in [
        (
            message("marcer = 1\n"),
            "c.toml, line 1, key \"marcer\": unknown field `marcer`, expected `marker`",
        ),
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
