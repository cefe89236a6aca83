use forensics_incident::text::escape;

/// An entry in the making, in the form of <https://systemd.io/JOURNAL_NATIVE_PROTOCOL/>.
#[derive(Debug, Default)]
pub(super) struct Entry(Vec<u8>);

impl Entry {
    /// Adds a field. Its value is escaped, so that it is one line, does not begin another field, and can be shown by any
    /// terminal.
    ///
    /// `name` is of upper-case letters, digits and `_`, begins with a letter, and is no longer than 64 bytes: journald
    /// drops others.
    pub(super) fn field(&mut self, name: &str, value: &str) {
        for part in [name, "=", &escape(value), "\n"] {
            self.0.extend_from_slice(part.as_bytes());
        }
    }

    /// Adds a field whose value may be unknown.
    pub(super) fn optional(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.field(name, value);
        }
    }

    /// The bytes to send.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}
