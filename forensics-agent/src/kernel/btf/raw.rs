//! The bytes of BTF: header, type records and what trails them, as `include/uapi/linux/btf.h` lays them out.

use super::BtfError;

/// `BTF_MAGIC`
const MAGIC: u16 = 0xeb9f;
/// `struct btf_header` as it was first; later ones are longer and say so in `hdr_len`.
const HEADER_LEN: usize = 24;
/// `struct btf_type`
const TYPE_LEN: usize = 12;

/// `BTF_KIND_*`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Int,
    Ptr,
    Array,
    Struct,
    Union,
    Enum,
    Fwd,
    Typedef,
    Volatile,
    Const,
    Restrict,
    Func,
    FuncProto,
    Var,
    Datasec,
    Float,
    DeclTag,
    TypeTag,
    Enum64,
}

impl Kind {
    fn from_number(number: u32) -> Option<Self> {
        Some(match number {
            1 => Self::Int,
            2 => Self::Ptr,
            3 => Self::Array,
            4 => Self::Struct,
            5 => Self::Union,
            6 => Self::Enum,
            7 => Self::Fwd,
            8 => Self::Typedef,
            9 => Self::Volatile,
            10 => Self::Const,
            11 => Self::Restrict,
            12 => Self::Func,
            13 => Self::FuncProto,
            14 => Self::Var,
            15 => Self::Datasec,
            16 => Self::Float,
            17 => Self::DeclTag,
            18 => Self::TypeTag,
            19 => Self::Enum64,
            _ => return None,
        })
    }

    /// Bytes of each of the `vlen` entries after the type, and bytes that come once.
    fn trailing(self) -> (usize, usize) {
        match self {
            Self::Int | Self::Var | Self::DeclTag => (0, 4),
            Self::Array => (0, 12),
            Self::Struct | Self::Union | Self::Datasec | Self::Enum64 => (12, 0),
            Self::Enum | Self::FuncProto => (8, 0),
            Self::Ptr
            | Self::Fwd
            | Self::Typedef
            | Self::Volatile
            | Self::Const
            | Self::Restrict
            | Self::Func
            | Self::Float
            | Self::TypeTag => (0, 0),
        }
    }
}

/// One `struct btf_type`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Type {
    /// Bytes from the start of the blob.
    pub(super) offset: usize,
    /// Bytes from the start of the string section.
    pub(super) name: u32,
    pub(super) kind: Kind,
    /// Number of members, enumerators or parameters.
    pub(super) vlen: u32,
    /// For structures: members carry bitfield sizes. For enumerations: the values are signed.
    pub(super) flag: bool,
    /// Size in bytes or type id, as the kind has it.
    pub(super) size_or_type: u32,
}

impl Type {
    /// Reads the record at `offset`.
    pub(super) fn read(bytes: &[u8], offset: usize) -> Result<Self, BtfError> {
        let info = u32_at(bytes, offset + 4)?;
        // vlen has 16 bits and the kind 5; what lies between is reserved as zero. Read wide, a larger value is
        // taken for what it is instead of being cut to a smaller one.
        let number = info >> 24 & 0x7f;
        let kind = Kind::from_number(number).ok_or(BtfError::UnknownKind { offset, kind: number })?;
        Ok(Self {
            offset,
            name: u32_at(bytes, offset)?,
            kind,
            vlen: info & 0x00ff_ffff,
            flag: info >> 31 == 1,
            size_or_type: u32_at(bytes, offset + 8)?,
        })
    }

    /// Bytes of the record with all that trails it.
    pub(super) fn len(&self) -> usize {
        let (each, once) = self.kind.trailing();
        TYPE_LEN + once + each.saturating_mul(self.vlen as usize)
    }

    /// The `index`th word that trails the record.
    pub(super) fn word(&self, bytes: &[u8], index: usize) -> Result<u32, BtfError> {
        u32_at(bytes, self.offset + TYPE_LEN + index * 4)
    }
}

/// Where the two sections lie, in bytes from the start of the blob.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sections {
    pub(super) types: (usize, usize),
    pub(super) strings: (usize, usize),
}

impl Sections {
    /// Reads the header and checks that both sections are inside the blob.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, BtfError> {
        match bytes.get(..2).and_then(|magic| <[u8; 2]>::try_from(magic).ok()) {
            Some(magic) if u16::from_le_bytes(magic) == MAGIC => {}
            Some(magic) if u16::from_be_bytes(magic) == MAGIC => return Err(BtfError::BigEndian),
            _ => return Err(BtfError::Malformed { offset: 0, what: "it does not begin with the BTF magic" }),
        }
        if bytes.get(2) != Some(&1) {
            return Err(BtfError::Malformed { offset: 2, what: "its version is not 1" });
        }
        let header = u32_at(bytes, 4)? as usize;
        if header < HEADER_LEN {
            return Err(BtfError::Malformed { offset: 4, what: "its header is too short" });
        }
        let section = |at: usize| -> Result<(usize, usize), BtfError> {
            let outside = BtfError::Malformed { offset: at, what: "a section reaches beyond the end" };
            let start = header.checked_add(u32_at(bytes, at)? as usize);
            match start
                .and_then(|start| Some((start, start.checked_add(u32_at(bytes, at + 4).ok()? as usize)?)))
            {
                Some((start, end)) if end <= bytes.len() => Ok((start, end)),
                _ => Err(outside),
            }
        };
        Ok(Self { types: section(8)?, strings: section(16)? })
    }
}

/// The little-endian word at `offset`.
fn u32_at(bytes: &[u8], offset: usize) -> Result<u32, BtfError> {
    offset
        .checked_add(4)
        .and_then(|end| bytes.get(offset..end))
        .and_then(|word| word.try_into().ok())
        .map(u32::from_le_bytes)
        .ok_or(BtfError::Malformed { offset, what: "it ends in the middle of a word" })
}
