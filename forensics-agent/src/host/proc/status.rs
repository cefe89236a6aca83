/// The lines of `/proc/PID/status` that the agent uses, see `proc_pid_status(5)`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Status {
    /// The name, with backslash and line break escaped by the kernel.
    pub name: Option<String>,
    /// As `S (sleeping)`.
    pub state: Option<String>,
    /// The process that the thread belongs to.
    pub tgid: Option<u32>,
    /// The parent.
    pub ppid: Option<u32>,
    /// Who traces it; none when nobody does.
    pub tracer_pid: Option<u32>,
    /// Real user id.
    pub uid: Option<u32>,
    /// Effective user id.
    pub euid: Option<u32>,
    /// Its pid in the innermost pid namespace, when it lives in a nested one.
    pub ns_pid: Option<u32>,
}

impl Status {
    /// True for a process that waits uninterruptibly, see [`super::ProcDir::read_memory`].
    pub fn waits(&self) -> bool {
        self.state.as_ref().is_some_and(|state| state.starts_with('D'))
    }

    /// Reads the file; a line that is absent or not understood leaves its field empty.
    pub fn parse(text: &[u8]) -> Status {
        let mut status = Status::default();
        for line in text.split(|&b| b == b'\n') {
            let Some(colon) = line.iter().position(|&b| b == b':') else { continue };
            let (key, value) = line.split_at(colon);
            let value = value.get(1..).unwrap_or_default().trim_ascii();
            match key {
                b"Name" => status.name = Some(lossy(value)),
                b"State" => status.state = Some(lossy(value)),
                b"Tgid" => status.tgid = numbers(value).next(),
                b"PPid" => status.ppid = numbers(value).next(),
                b"TracerPid" => status.tracer_pid = numbers(value).next().filter(|&pid| pid != 0),
                b"Uid" => {
                    let mut ids = numbers(value);
                    (status.uid, status.euid) = (ids.next(), ids.next());
                }
                // From the namespace of the /proc mount inwards.
                b"NSpid" => {
                    status.ns_pid = numbers(value).skip(1).last();
                    // Nothing of use follows the namespace lines.
                    break;
                }
                _ => {}
            }
        }
        status
    }
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The numbers of a line, up to the first that is none.
fn numbers(value: &[u8]) -> impl Iterator<Item = u32> {
    value
        .split(u8::is_ascii_whitespace)
        .filter(|word| !word.is_empty())
        .map_while(|word| std::str::from_utf8(word).ok()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_what_it_needs() {
        let text = b"Name:\tx\\n\xff\nUmask:\t0022\nState:\tS (sleeping)\nTgid:\t7\nNgid:\t0\nPid:\t7\nPPid:\t1\nTracerPid:\t9\nUid:\t1000\t0\t0\t0\nGroups:\t4 \nNStgid:\t7\t1\nNSpid:\t7\t3\t1\n";
        let expected = Status {
            name: Some("x\\n\u{fffd}".to_owned()),
            state: Some("S (sleeping)".to_owned()),
            tgid: Some(7),
            ppid: Some(1),
            tracer_pid: Some(9),
            uid: Some(1000),
            euid: Some(0),
            ns_pid: Some(1),
        };
        assert_eq!(Status::parse(text), expected);
    }

    #[test]
    fn one_namespace_means_no_inner_pid() {
        assert_eq!(Status::parse(b"TracerPid:\t0\nNSpid:\t7\n"), Status::default());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(text in prop::collection::vec(any::<u8>(), 0..256)) {
            let _ = Status::parse(&text);
        }
    }
}
