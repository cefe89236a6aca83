use thiserror::Error;

/// Why the kernel's type information did not answer.
#[derive(Debug, Error)]
pub enum BtfError {
    /// The bytes are not what `Documentation/bpf/btf.rst` describes.
    #[error("the type information is malformed at byte {offset}: {what}")]
    Malformed {
        /// Bytes from the start of the blob.
        offset: usize,
        /// What is wrong there.
        what: &'static str,
    },
    /// The blob was made for a machine of the other byte order.
    #[error("the type information is big-endian, and this program reads little-endian only")]
    BigEndian,
    /// A kind that this reader does not know: what follows it cannot be found, so that nothing after it is
    /// believed.
    #[error("the type information holds a type of the unknown kind {kind} at byte {offset}")]
    UnknownKind {
        /// Bytes from the start of the blob.
        offset: usize,
        /// The number of the kind.
        kind: u32,
    },
    /// No complete type has this name.
    #[error("this kernel has no {kind} `{name}`")]
    MissingType {
        /// What was looked for: `structure`, `enumeration`, …
        kind: &'static str,
        /// Its name.
        name: String,
    },
    /// The type is there, and has no such member.
    #[error("this kernel's `{structure}` has no member `{member}`")]
    MissingMember {
        /// The structure, union or enumeration.
        structure: String,
        /// The member, path or enumerator; alternatives are joined by ` or `.
        member: String,
    },
    /// The member is a bitfield, which has no byte offset.
    #[error("the member `{member}` of this kernel's `{structure}` is a bitfield")]
    Bitfield {
        /// The structure or union.
        structure: String,
        /// The member or path.
        member: String,
    },
    /// Several types share the name, and give different answers.
    #[error("this kernel has several types `{name}`, and they differ in {what}")]
    Ambiguous {
        /// The shared name.
        name: String,
        /// The question that they answer differently.
        what: String,
    },
}
