use proptest::prelude::*;

use super::*;

#[derive(serde::Deserialize)]
struct Vectors {
    canary: String,
    must_redact: Vec<String>,
    must_keep: Vec<String>,
}

fn vectors() -> Vectors {
    serde_json::from_str(include_str!("../../../tests/vectors/secrets.json")).unwrap()
}

/// The text as a shell hands it to a program.
fn split(text: &str) -> Vec<String> {
    let mut words = words::Words::new(text);
    std::iter::from_fn(|| words.next_word()).map(|word| word.value).collect()
}

#[test]
fn no_canary_survives() {
    let Vectors { canary, must_redact, .. } = vectors();
    for line in must_redact {
        let flat = redact_text(&line);
        assert!(!flat.contains(&canary) && flat.contains(REDACTED), "{line} → {flat}");
        let argv = redact(&split(&line));
        assert!(!argv.concat().contains(&canary) && argv.concat().contains(REDACTED), "{line} → {argv:?}");
        let script = redact(&["sh", "-c", &line].map(str::to_owned));
        assert!(!script.concat().contains(&canary), "{line} → {script:?}");
    }
}

#[test]
fn what_is_no_secret_stays() {
    let more = [
        "pkill -f 'port 99'",
        "pkill -f \"gateway --port 99\"",
        "docker run -p 8080:80 --name mysql -e TZ=UTC mysql:8",
        "git checkout da39a3ee5e6b4b0d3255bfef95601890afd80709",
        "kill -s TERM 4711",
        "vllm serve --max-tokens 4096 --tokenizer gpt2",
        "/usr/bin/containerd-shim-runc-v2 -namespace moby -id e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "curl -su user https://h/p",
        "mysql -p -u root",
        "cat /run/secrets/db_password",
        "can't open file: it's gone",
        "git config user.name x",
        "sudo -u postgres psql -p 5432",
        "app --password-file /run/pw --private-key /etc/ssl/key.pem",
    ];
    for line in vectors().must_keep.iter().map(String::as_str).chain(more) {
        assert_eq!(redact_text(line), line);
        assert_eq!(redact(&split(line)), split(line));
    }
}

#[test]
fn only_the_secret_goes() {
    for (line, redacted) in [
        ("curl -u user:pw https://h/", "curl -u user:[redacted] https://h/"),
        ("curl -sSu user:pw https://h/", "curl -sSu user:[redacted] https://h/"),
        (
            "curl -H 'Authorization: Bearer abc' https://x",
            "curl -H 'Authorization: Bearer [redacted]' https://x",
        ),
        (
            "git -c http.extraheader=\"AUTHORIZATION: basic abc\" fetch",
            "git -c http.extraheader=\"AUTHORIZATION: basic [redacted]\" fetch",
        ),
        ("htpasswd -bc file user pw", "htpasswd -bc file user [redacted]"),
        ("curl -d '{\"a\": 1, \"password\": \"x\"}' h", "curl -d '{\"a\": 1, \"password\": [redacted]' h"),
        ("curl -H 'Cookie: a=b; c=d'", "curl -H 'Cookie: [redacted]'"),
        ("curl --header='X-Api-Key: abc'", "curl --header='X-Api-Key: [redacted]'"),
        ("psql postgres://user:pw@db/x", "psql postgres://user:[redacted]@db/x"),
        ("sh -c 'PGPASSWORD=x pg_dump db'", "sh -c 'PGPASSWORD=[redacted] pg_dump db'"),
        ("env 'PASSWORD=a b' run", "env 'PASSWORD=[redacted]' run"),
        ("sudo mysql -p'a b' -u root", "sudo mysql -p'[redacted]' -u root"),
        ("sshpass -p x ssh -p 2222 h", "sshpass -p [redacted] ssh -p 2222 h"),
        ("docker login -u u -p x reg", "docker login -u u -p [redacted] reg"),
        ("docker exec db redis-cli -a x ping", "docker exec db redis-cli -a [redacted] ping"),
        ("kubectl exec pod -- mysql -px", "kubectl exec pod -- mysql -p[redacted]"),
        ("mount -o username=u,password=x,ro //h/s /m", "mount -o username=u,password=[redacted],ro //h/s /m"),
        ("api '{\"user\":\"u\",\"password\":\"x\"}'", "api '{\"user\":\"u\",\"password\":\"[redacted]\"}'"),
        ("npm config set //r/:_authToken=x", "npm config set //r/:_authToken=[redacted]"),
        (
            "vault login -method=userpass username=u password=p",
            "vault login -method=userpass username=u password=[redacted]",
        ),
        ("gw: token = abc, retrying", "gw: token = [redacted] retrying"),
        ("run --password --verbose", "run --password --verbose"),
        ("x 'y -----BEGIN PRIVATE KEY-----\nabc\n-----END PRIVATE KEY----- z'", "x 'y [redacted] z'"),
        ("a && curl -u u:p h; mysql -px", "a && curl -u u:[redacted] h; mysql -p[redacted]"),
        ("bash -c \"sh -c 'mysql -px'\"", "bash -c \"sh -c 'mysql -p[redacted]'\""),
    ] {
        assert_eq!(redact_text(line), redacted);
    }
}

#[test]
fn depth_is_bounded() {
    let mut line = "mysql -pCANARY".to_owned();
    for _ in 0..8 {
        line = forensics_incident::text::shell_join(&["sh", "-c", &line]);
    }
    assert!(!redact_text(&line).contains("CANARY"));
}

#[test]
fn time_is_linear() {
    for unit in
        ["'\\\"", "a=", "\"", "://a@", "x'y ", "--password ", "-----BEGIN ", "eyJ-", "{\"token\":\"", "é:"]
    {
        let start = std::time::Instant::now();
        redact_text(&unit.repeat(50_000));
        assert!(start.elapsed().as_secs() < 10, "{unit}");
    }
}

/// Lines made of what the rules look for.
fn lines() -> impl Strategy<Value = String> {
    let pieces = [
        "mysql",
        "curl",
        "-p",
        "-u",
        "--password",
        "=",
        ":",
        " ",
        " ",
        " ",
        "'",
        "\"",
        "\\",
        "://",
        "@",
        "sh -c ",
        "token",
        "Authorization: ",
        "Bearer ",
        "ghp_abcdefghijklmnopqrstuvwxyz01",
        "eyJhbGciOiJIUzI1NiJ9.abc",
        "-----BEGIN A-----",
        "-----END A-----",
        "x",
        "Q7",
        "q7Xz9LmP2vBn4KtR8wYc",
        "&",
        ";",
        "{",
        "}",
        ",",
        "[redacted]",
        "vault login ",
        "set ",
        "aws ",
        "é",
        "\n",
        "$",
        "secret",
        "--",
        "/",
        "?",
        "api_key",
        "wJalrXUtnFEMI+K7MDENG/bPxRfiCYEX",
    ];
    let mixed =
        prop::collection::vec(prop::sample::select(Vec::from(pieces)), 0..24).prop_map(|p| p.concat());
    prop_oneof![3 => mixed, 1 => any::<String>()]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn redacts_once_and_for_all(line in lines()) {
        let once = redact_text(&line);
        prop_assert!(once.len() <= line.len() * (REDACTED.len() + 1));
        prop_assert_eq!(redact_text(&once), once);
    }

    #[test]
    fn redacts_arguments_once_and_for_all(argv in prop::collection::vec(lines(), 0..6)) {
        let once = redact(&argv);
        prop_assert_eq!(once.len(), argv.len());
        prop_assert_eq!(redact(&once), once);
    }

    #[test]
    fn a_password_never_survives(password in "[a-zA-Z0-9/+!?]{6,20}", template in prop::sample::select(Vec::from([
        "mysql -pXX db", "app --password=XX", "app --password XX", "sh -c 'curl -u u:XX h'", "DB_PASSWORD=XX run",
        "psql postgres://u:XX@h/d", "curl -H 'Authorization: Basic XX' h", "sshpass -pXX ssh h",
    ]))) {
        prop_assume!(!template.contains(&password) && !REDACTED.contains(&password));
        prop_assume!(!["true", "false"].contains(&password.as_str()));
        let line = template.replace("XX", &password);
        let flat = redact_text(&line);
        prop_assert!(!flat.contains(&password), "{}", flat);
        prop_assert!(!redact(&split(&line)).concat().contains(&password));
    }
}
