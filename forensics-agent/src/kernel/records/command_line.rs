//! The arguments of a process, as they lie in its memory.

/// The memory that holds a process's arguments.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CommandLine {
    /// The arguments, each NUL-terminated.
    pub bytes: Vec<u8>,
    /// The tail is missing.
    pub truncated: bool,
}

impl CommandLine {
    /// The arguments. Bytes that are not UTF-8 become replacement characters.
    ///
    /// A process may write its own title over its arguments, padded with NULs: what follows the title is empty
    /// and falls away.
    pub fn argv(&self) -> Vec<String> {
        let text = match self.bytes.iter().rposition(|&byte| byte != 0) {
            Some(last) => self.bytes.get(..=last).unwrap_or_default(),
            None => return Vec::new(),
        };
        // Trailing empty arguments are real only as far as their NULs are: `sh -c ''`. A title's padding is
        // longer than that, so at most one is kept.
        let mut argv: Vec<String> =
            text.split(|&byte| byte == 0).map(|word| String::from_utf8_lossy(word).into_owned()).collect();
        if !self.truncated && self.bytes.len() == text.len() + 2 {
            argv.push(String::new());
        }
        argv
    }
}

#[cfg(test)]
mod tests {
    use super::CommandLine;

    fn argv(bytes: &[u8], truncated: bool) -> Vec<String> {
        CommandLine { bytes: bytes.to_vec(), truncated }.argv()
    }

    #[test]
    fn arguments_end_with_nul() {
        assert_eq!(argv(b"sh\0-c\0exit 3\0", false), ["sh", "-c", "exit 3"]);
        assert_eq!(argv(b"", false), [""; 0]);
        assert_eq!(argv(b"\0\0\0", false), [""; 0]);
    }

    #[test]
    fn the_last_argument_may_be_empty_or_cut_off() {
        assert_eq!(argv(b"sh\0-c\0\0", false), ["sh", "-c", ""]);
        assert_eq!(argv(b"sh\0-c\0exi", true), ["sh", "-c", "exi"]);
    }

    #[test]
    fn a_title_is_one_argument_and_its_padding_none() {
        assert_eq!(argv(b"nginx: worker process\0\0\0\0\0\0", false), ["nginx: worker process"]);
    }

    #[test]
    fn foreign_bytes_are_replaced() {
        assert_eq!(argv(b"a\xff\0b\0", false), ["a\u{fffd}", "b"]);
    }
}
