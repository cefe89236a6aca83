//! Messages as the libraries write them, and bytes of no sense at all.

use forensics_incident::model::Recipient;
use proptest::prelude::*;
use zbus::zvariant::DynamicType;

use super::*;

const SYSTEM: &str = "/run/systemd/private";

/// A method call, by zbus.
fn call(
    path: &str,
    interface: Option<&str>,
    member: &str,
    body: &(impl serde::Serialize + DynamicType),
) -> Vec<u8> {
    let mut message = zbus::message::Message::method_call(path, member).expect("valid");
    if let Some(interface) = interface {
        message = message.interface(interface).expect("valid");
    }
    message.build(body).expect("it can be written").data().bytes().to_vec()
}

fn manager(member: &str, body: &(impl serde::Serialize + DynamicType)) -> Vec<u8> {
    call("/org/freedesktop/systemd1", Some("org.freedesktop.systemd1.Manager"), member, body)
}

fn read(path: &str, bytes: &[u8]) -> Vec<Wish> {
    of_bytes(&Socket::of_path(path).expect("a socket that takes requests"), bytes)
}

/// As people write it: `RestartUnit cron.service replace 15`.
fn told(bytes: &[u8]) -> Vec<String> {
    let tell = |wish: Wish| {
        let signal = wish.signal_num.map(|number| number.to_string());
        let parts = [Some(wish.verb), wish.object, wish.mode, signal];
        parts.into_iter().flatten().collect::<Vec<_>>().join(" ")
    };
    read(SYSTEM, bytes).into_iter().map(tell).collect()
}

#[test]
fn calls_of_the_manager() {
    let restart = manager("RestartUnit", &("cron.service", "replace"));
    assert_eq!(
        read(SYSTEM, &restart),
        [Wish {
            recipient: Recipient::Systemd,
            verb: "RestartUnit".to_owned(),
            object: Some("cron.service".to_owned()),
            mode: Some("replace".to_owned()),
            signal_num: None,
            due_us: None,
        }]
    );
    for (bytes, text) in [
        (manager("StopUnit", &("a.service", "fail")), "StopUnit a.service fail"),
        (manager("StartUnit", &("rescue.target", "isolate")), "StartUnit rescue.target isolate"),
        (
            manager("StartUnitReplace", &("old.service", "a.service", "fail")),
            "StartUnitReplace a.service fail",
        ),
        (
            manager("EnqueueUnitJob", &("a.service", "restart", "fail")),
            "EnqueueUnitJob a.service restart fail",
        ),
        (manager("KillUnit", &("a.service", "main", 9)), "KillUnit a.service main 9"),
        (manager("QueueSignalUnit", &("a.service", "all", 10, 7)), "QueueSignalUnit a.service all 10"),
        (
            manager("KillUnitSubgroup", &("a.service", "cgroup", "/x", 15)),
            "KillUnitSubgroup a.service cgroup 15",
        ),
        (manager("FreezeUnit", &("a.service",)), "FreezeUnit a.service"),
        (manager("Reexecute", &()), "Reexecute"),
        (manager("SoftReboot", &("/run/nextroot",)), "SoftReboot"),
    ] {
        assert_eq!(told(&bytes), [text]);
    }
}

#[test]
fn calls_of_a_units_object() {
    let path = "/org/freedesktop/systemd1/unit/cron_2dx_40_31_2eservice";
    let unit =
        |member: &str, body: &(&str, &str)| call(path, Some("org.freedesktop.systemd1.Unit"), member, body);
    assert_eq!(
        told(&unit("EnqueueJob", &("restart", "replace"))),
        ["EnqueueJob cron-x@1.service restart replace"]
    );
    let bytes = call(path, Some("org.freedesktop.systemd1.Unit"), "Stop", &("replace",));
    assert_eq!(told(&bytes), ["Stop cron-x@1.service replace"]);
    let bytes = call(path, None, "Kill", &("main", 15));
    assert_eq!(told(&bytes), ["Kill cron-x@1.service main 15"]);
    let bytes = call(path, Some("org.freedesktop.DBus.Properties"), "Stop", &("replace",));
    assert!(told(&bytes).is_empty(), "another interface");
}

#[test]
fn calls_of_logind() {
    let login = |path: &str, member: &str, body: &(&str,)| call(path, None, member, body);
    let root = "/org/freedesktop/login1";
    assert_eq!(told(&login(root, "TerminateSession", &("3",))), ["TerminateSession 3"]);
    assert_eq!(told(&call(root, None, "KillSession", &("3", "leader", 9))), ["KillSession 3 leader 9"]);
    assert_eq!(told(&call(root, None, "KillUser", &(1000_u32, 15))), ["KillUser 1000 15"]);
    assert_eq!(told(&call(root, None, "RebootWithFlags", &(0_u64,))), ["RebootWithFlags"]);
    assert_eq!(
        told(&call(root, None, "ScheduleShutdown", &("poweroff", 7_u64))),
        ["ScheduleShutdown poweroff"]
    );
    assert!(told(&call(root, None, "ScheduleShutdown", &("dry-reboot", 7_u64))).is_empty());
    assert_eq!(told(&call(root, None, "CancelScheduledShutdown", &())), ["CancelScheduledShutdown"]);
    assert_eq!(told(&call(&format!("{root}/session/_33"), None, "Terminate", &())), ["TerminateSession 3"]);
    assert_eq!(told(&call(&format!("{root}/user/_1000"), None, "Kill", &(9,))), ["KillUser 1000 9"]);
    assert_eq!(told(&call(&format!("{root}/seat/seat0"), None, "Terminate", &())), ["TerminateSeat seat0"]);
}

#[test]
fn what_is_no_request() {
    assert!(told(&manager("GetUnit", &("a.service",))).is_empty());
    assert!(told(&manager("StopUnit", &(7_u32,))).is_empty(), "another signature");
    assert!(told(&call("/org/example", None, "StopUnit", &("a.service", "fail"))).is_empty());
    let mut reply = manager("StopUnit", &("a.service", "fail"));
    reply[1] = 2;
    assert!(told(&reply).is_empty(), "a method return");
    let message =
        zbus::message::Message::method_call("/org/freedesktop/systemd1", "StopUnit").expect("valid");
    let message = message.destination("org.example.Other").expect("valid").build(&("a.service", "fail"));
    assert!(told(message.expect("it can be written").data()).is_empty(), "for somebody else");
}

#[test]
fn several_messages_in_one_send() {
    let hello = call("/org/freedesktop/DBus", Some("org.freedesktop.DBus"), "Hello", &());
    let bytes = [hello, manager("StopUnit", &("a.service", "fail")), manager("Reexecute", &())].concat();
    assert_eq!(told(&bytes), ["StopUnit a.service fail", "Reexecute"]);
    let flood = manager("Reexecute", &()).repeat(100);
    assert_eq!(told(&flood).len(), MAX_MESSAGES);
}

#[test]
fn messages_that_were_cut_off() {
    let bytes = manager("StopUnit", &("a.service", "replace"));
    // The mode, or the end of it, is missing.
    assert_eq!(told(&bytes[..bytes.len() - 3]), ["StopUnit a.service"]);
    for len in 0..bytes.len() - 16 {
        assert!(told(&bytes[..len]).len() <= 1);
    }
    let properties: Vec<(&str, zbus::zvariant::Value<'_>)> = vec![("Description", "x".repeat(2000).into())];
    let aux: Vec<(&str, Vec<(&str, zbus::zvariant::Value<'_>)>)> = Vec::new();
    let transient = manager("StartTransientUnit", &("run-u7.timer", "fail", properties, aux));
    assert_eq!(told(&transient[..512]), ["StartTransientUnit run-u7.timer fail"]);
}

/// As sd-bus of systemd 252 writes `systemctl restart cron`, on a big-endian machine too.
#[test]
fn a_message_byte_by_byte() {
    let string = |text: &str, number: fn(u32) -> [u8; 4]| {
        [&number(text.len() as u32)[..], text.as_bytes(), &[0]].concat()
    };
    for (order, number) in [(b'l', u32::to_le_bytes as fn(u32) -> [u8; 4]), (b'B', u32::to_be_bytes)] {
        let padded = |mut bytes: Vec<u8>, to: usize| {
            bytes.resize(bytes.len().next_multiple_of(to), 0);
            bytes
        };
        let field =
            |code: u8, kind: u8, text: &str| [&[code, 1, kind, 0][..], &string(text, number)].concat();
        let fields = [
            padded(field(1, b'o', "/org/freedesktop/systemd1"), 8),
            padded(field(3, b's', "RestartUnit"), 8),
            padded(field(2, b's', "org.freedesktop.systemd1.Manager"), 8),
            vec![8, 1, b'g', 0, 2, b's', b's', 0],
        ]
        .concat();
        let body = [padded(string("cron.service", number), 4), string("replace", number)].concat();
        let fixed =
            [&[order, 1, 0, 1][..], &number(body.len() as u32), &number(2), &number(fields.len() as u32)]
                .concat();
        assert_eq!(told(&[fixed, padded(fields, 8), body].concat()), ["RestartUnit cron.service replace"]);
    }
}

#[test]
fn requests_to_engines() {
    let read = |line: &str| {
        let bytes = format!("{line}\r\nHost: docker\r\nX-Registry-Auth: c2VjcmV0\r\n\r\n");
        let wishes = read("/run/docker.sock", bytes.as_bytes());
        let tell =
            |wish: &Wish| format!("{} {:?} {:?} {:?}", wish.verb, wish.object, wish.mode, wish.signal_num);
        wishes.first().map(tell)
    };
    for (line, told) in [
        ("POST /v1.43/containers/web/stop?t=5 HTTP/1.1", r#"stop Some("web") Some("t=5") None"#),
        ("POST /containers/web/kill?signal=SIGTERM HTTP/1.1", r#"kill Some("web") None Some(15)"#),
        ("POST /v1.43/containers/web/kill HTTP/1.1", r#"kill Some("web") None Some(9)"#),
        ("POST /v4.9.3/libpod/pods/a%2Db/restart HTTP/1.1", r#"restart Some("a-b") None None"#),
        ("DELETE /v1.43/containers/web?force=1&v=1 HTTP/1.1", r#"remove Some("web") Some("force=1") None"#),
    ] {
        assert_eq!(read(line).as_deref(), Some(told), "{line}");
    }
    for line in [
        "GET /v1.43/containers/web/stop HTTP/1.1",
        "POST /v1.43/containers/create?name=x HTTP/1.1",
        "POST /v1.43/containers/web/stop",
        "POST /v1.43/containers/web/exec HTTP/1.1",
        // What runs is not removed so.
        "DELETE /v1.43/containers/web HTTP/1.1",
        "DELETE /v1.43/containers/web?force=0&v=1 HTTP/1.1",
        "PRI * HTTP/2.0",
    ] {
        assert_eq!(read(line), None, "{line}");
    }
}

#[test]
fn sockets() {
    let user = |path: &str| Socket::of_path(path).map(|socket| socket.of_user);
    assert_eq!(user("/run/systemd/private"), Some(None));
    assert_eq!(user("/var/run/dbus/system_bus_socket"), Some(None));
    assert_eq!(user("/run/user/1000/bus"), Some(Some(1000)));
    assert_eq!(user("/run/user/1000/systemd/private"), Some(Some(1000)));
    assert_eq!(user("/run/user/1000/podman/podman.sock"), Some(Some(1000)));
    for path in
        ["/run/bus", "/run/user/x/bus", "/run/user/1000/pulse/native", "/tmp/run/systemd/private", "", "/run"]
    {
        assert_eq!(user(path), None, "{path}");
    }
}

fn ordered(line: &str) -> Vec<String> {
    let argv: Vec<String> = line.split(' ').map(str::to_owned).collect();
    let tell = |Ordered { wish, to_own }: Ordered| {
        let own = to_own.then(|| "own".to_owned());
        let signal = wish.signal_num.map(|number| number.to_string());
        [Some(wish.verb), wish.object, wish.mode, signal, own]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join(" ")
    };
    of_command(&argv).into_iter().map(tell).collect()
}

#[test]
fn commands() {
    for (line, told) in [
        ("systemctl stop cron", &["StopUnit cron.service replace"][..]),
        (
            "/bin/systemctl --no-block restart a b.socket",
            &["RestartUnit a.service replace", "RestartUnit b.socket replace"],
        ),
        ("systemctl restart --user gw", &["RestartUnit gw.service replace own"]),
        ("systemctl --job-mode=fail -q stop -- -x", &["StopUnit -x.service fail"]),
        ("systemctl kill -s9 --kill-whom main cron", &["KillUnit cron.service main 9"]),
        ("systemctl kill --signal=SIGHUP cron", &["KillUnit cron.service all 1"]),
        ("systemctl isolate rescue.target", &["StartUnit rescue.target isolate"]),
        ("systemctl rescue", &["StartUnit rescue.target isolate"]),
        ("systemctl reboot", &["Reboot"]),
        ("systemctl -H other stop cron", &[]),
        ("systemctl --machine=m stop cron", &[]),
        ("systemctl status cron", &[]),
        ("systemctl -p stop show cron", &[]),
        ("systemctl", &[]),
        ("loginctl terminate-session 3 4", &["TerminateSession 3", "TerminateSession 4"]),
        ("loginctl kill-session -s KILL 3", &["KillSession 3 all 9"]),
        ("loginctl kill-user alice", &["KillUser alice 15"]),
        ("loginctl list-sessions", &[]),
        ("shutdown -r now", &["Reboot"]),
        ("shutdown -c", &[]),
        ("/sbin/poweroff", &["PowerOff"]),
        ("init 6", &["Reboot"]),
        ("/sbin/init", &[]),
        ("docker stop -t 3 web db", &["stop web t=3", "stop db t=3"]),
        ("docker --context x container kill web", &["kill web 9"]),
        ("docker rm web", &[]),
        ("docker rm -f web", &["remove web"]),
        ("podman pod stop p", &["stop p"]),
        ("podman kill -s TERM web", &["kill web 15"]),
        ("vim systemctl stop", &[]),
    ] {
        assert_eq!(ordered(line), told, "{line}");
    }
    assert!(of_command(&[]).is_empty());
}

/// Something to break: a few messages as they are.
fn messages() -> impl Strategy<Value = Vec<u8>> {
    prop::sample::select(vec![
        manager("RestartUnit", &("cron.service", "replace")),
        manager("KillUnit", &("a.service", "main", 9)),
        call("/org/freedesktop/login1/session/_33", None, "Kill", &("leader", 9)),
        manager("Reexecute", &()).repeat(3),
        b"POST /v1.43/containers/w%65b/stop?t=5&signal=RTMIN+3 HTTP/1.1\r\n\r\n".to_vec(),
    ])
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..600), big in any::<bool>()) {
        for path in [SYSTEM, "/run/docker.sock"] {
            let _ = read(path, &bytes);
        }
        // Past the first check.
        for (at, byte) in [(0, if big { b'B' } else { b'l' }), (1, 1), (3, 1)] {
            if let Some(place) = bytes.get_mut(at) {
                *place = byte;
            }
        }
        let _ = read(SYSTEM, &bytes);
    }

    /// Messages that are right but for some bytes, and cut off.
    #[test]
    fn no_change_makes_it_panic(
        mut bytes in messages(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        keep in any::<prop::sample::Index>(),
    ) {
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes.truncate(keep.index(bytes.len()) + 1);
        for wish in read(SYSTEM, &bytes).into_iter().chain(read("/run/podman/podman.sock", &bytes)) {
            prop_assert!(wish.object.is_none_or(|object| object.chars().count() <= MAX_OBJECT));
        }
    }

    #[test]
    fn no_arguments_make_it_panic(
        program in prop::sample::select(vec!["systemctl", "loginctl", "docker", "shutdown", "init"]),
        arguments in prop::collection::vec("(-|--|)(s|signal|H|é|stop|kill|)(=|)[a-z0-9é]{0,3}", 0..6),
    ) {
        let argv: Vec<String> = std::iter::once(program.to_owned()).chain(arguments).collect();
        let _ = of_command(&argv);
    }
}
