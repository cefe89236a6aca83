/// How much of a command line is kept, bytes; as much as the kernel programs keep.
pub const CMDLINE_CAP: usize = 4096;

/// A command line as it stands in the memory of a process, which may have rewritten it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cmdline {
    /// One element per argument, bytes that are not UTF-8 replaced by U+FFFD.
    pub argv: Vec<String>,
    /// The tail was cut at [`CMDLINE_CAP`].
    pub truncated: bool,
}

impl Cmdline {
    /// Splits the bytes of `/proc/PID/cmdline`.
    ///
    /// Each argument ends with a NUL, an empty one included. A program that sets its own title (nginx, sshd, postgres)
    /// leaves one string and pads the rest of the area with NULs or spaces: that is one element without the padding,
    /// not an argument followed by hundreds of empty ones.
    pub fn parse(bytes: &[u8], truncated: bool) -> Cmdline {
        let end = bytes.iter().rposition(|&b| b != 0).map_or(0, |last| last + 1);
        let text = bytes.get(..end).unwrap_or_default();
        let is_title = !text.contains(&0);
        let argv = if text.is_empty() {
            Vec::new()
        } else if is_title {
            vec![lossy(text.trim_ascii_end())]
        } else {
            bytes.strip_suffix(&[0]).unwrap_or(bytes).split(|&b| b == 0).map(lossy).collect()
        };
        Cmdline { argv, truncated }
    }
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn argv(bytes: &[u8]) -> Vec<String> {
        Cmdline::parse(bytes, false).argv
    }

    #[test]
    fn arguments_end_with_nul() {
        assert_eq!(argv(b"sh\0-c\0echo hi\0"), ["sh", "-c", "echo hi"]);
        assert_eq!(argv(b"a\0\0b\0\0"), ["a", "", "b", ""]);
        assert_eq!(argv(b"a"), ["a"]);
        assert!(argv(b"").is_empty() && argv(b"\0\0").is_empty());
    }

    #[test]
    fn a_title_loses_its_padding() {
        assert_eq!(argv(b"nginx: worker process\0\0\0\0\0\0"), ["nginx: worker process"]);
        assert_eq!(argv(b"sshd: root@pts/0     "), ["sshd: root@pts/0"]);
    }

    #[test]
    fn bytes_of_any_encoding() {
        assert_eq!(argv(b"\xff\xfe\0\xe2\x82\0"), ["\u{fffd}\u{fffd}", "\u{fffd}"]);
    }

    proptest! {
        #[test]
        fn what_exec_was_given_comes_back(args in prop::collection::vec("[^\0]{1,8}", 2..9)) {
            let mut bytes = args.join("\0").into_bytes();
            bytes.push(0);
            prop_assert_eq!(argv(&bytes), args);
        }

        #[test]
        fn any_bytes_are_split(bytes in prop::collection::vec(any::<u8>(), 0..256)) {
            prop_assert!(argv(&bytes).len() <= bytes.len() + 1);
        }
    }
}
