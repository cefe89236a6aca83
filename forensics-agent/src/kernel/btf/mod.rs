//! Where the running kernel keeps its members: a reader of BTF, the kernel's own type information.
//!
//! The programs read kernel structures at offsets that differ from kernel to kernel; this answers
//! "where is `signal` in `task_struct`" from `/sys/kernel/btf/vmlinux`. The layout is that of
//! `Documentation/bpf/btf.rst`. One pass over the 5.5 MB of a 6.18 kernel (126,572 types) notes where each
//! type is and indexes the names of structures, unions, enumerations and typedefs; nothing else is kept.
//!
//! The blob is foreign bytes all the same: no input makes this panic, recurse without end or take more than
//! a bounded number of steps per question.

mod blob;
mod error;
mod lookup;
mod raw;

#[cfg(test)]
mod tests;

pub use blob::Blob;
pub use error::BtfError;
pub use lookup::Field;
use raw::{Kind, Sections, Type};

/// Types refer to types by modifiers, typedefs and arrays; more steps than this are a cycle.
const MAX_CHAIN: usize = 64;

/// The kernel's type information, indexed by name.
#[derive(Debug)]
pub struct Btf<'a> {
    bytes: &'a [u8],
    sections: Sections,
    /// Offset of each type, by id from 1.
    types: Vec<u32>,
    /// Hash of name and id of each type that is looked up by name, in order.
    names: Vec<(u32, u32)>,
}

impl<'a> Btf<'a> {
    /// Indexes a BTF blob.
    ///
    /// # Errors
    ///
    /// The blob is truncated, of the other byte order, of another version, or holds a type of a kind that
    /// this reader does not know.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, BtfError> {
        let sections = Sections::read(bytes)?;
        let (mut offset, end) = sections.types;
        let mut btf = Self {
            bytes,
            sections,
            // 28 bytes are what a type takes on average in a kernel; a guess, never more than a seventh of the blob.
            types: Vec::with_capacity((end - offset) / 28),
            names: Vec::new(),
        };
        while offset < end {
            let ty = Type::read(bytes, offset)?;
            let next = offset
                .checked_add(ty.len())
                .filter(|next| *next <= end)
                .ok_or(BtfError::Malformed { offset, what: "a type reaches beyond the type section" })?;
            let at = u32::try_from(offset)
                .map_err(|_| BtfError::Malformed { offset, what: "it is larger than 4 GiB" })?;
            btf.types.push(at);
            let by_name =
                matches!(ty.kind, Kind::Struct | Kind::Union | Kind::Enum | Kind::Enum64 | Kind::Typedef);
            if by_name && ty.name != 0 {
                // Fits: there are fewer types than bytes.
                btf.names.push((hash(btf.name(ty.name)?), btf.types.len() as u32));
            }
            offset = next;
        }
        btf.names.sort_unstable();
        Ok(btf)
    }

    /// True when the kernel has a function of this name, kfuncs and helpers included.
    pub fn has_function(&self, name: &str) -> bool {
        self.functions(name).next().is_some()
    }

    /// All functions of this name, by a scan over all types (a millisecond: there are 56,000 of them and few
    /// are asked for, so that they are not worth an index).
    fn functions(&self, name: &str) -> impl Iterator<Item = Type> {
        self.types
            .iter()
            .filter_map(|&at| Type::read(self.bytes, at as usize).ok())
            .filter(move |ty| ty.kind == Kind::Func && self.has_name(ty, name))
    }

    /// All types of this name and of one of these kinds, in the order of their ids.
    fn named(&self, name: &str, kinds: &'static [Kind]) -> impl Iterator<Item = Type> {
        let wanted = hash(name.as_bytes());
        let start = self.names.partition_point(|(hash, _)| *hash < wanted);
        self.names
            .iter()
            .skip(start)
            .take_while(move |(hash, _)| *hash == wanted)
            .filter_map(|(_, id)| self.type_by_id(*id).ok())
            .filter(move |ty| kinds.contains(&ty.kind) && self.has_name(ty, name))
    }

    /// Compares without looking for the end of the type's name.
    fn has_name(&self, ty: &Type, name: &str) -> bool {
        let (start, end) = self.sections.strings;
        let own = self.bytes.get(start.saturating_add(ty.name as usize)..end).unwrap_or_default();
        own.strip_prefix(name.as_bytes()).is_some_and(|rest| rest.first() == Some(&0))
    }

    /// The type of this id; id 0 is `void`, which has no record.
    fn type_by_id(&self, id: u32) -> Result<Type, BtfError> {
        let at = (id as usize).checked_sub(1).and_then(|index| self.types.get(index));
        let at =
            at.ok_or(BtfError::Malformed { offset: self.sections.types.0, what: "a type id leads nowhere" })?;
        Type::read(self.bytes, *at as usize)
    }

    /// Follows typedefs, qualifiers and tags to what a type really is.
    fn resolve(&self, id: u32) -> Result<Type, BtfError> {
        let mut ty = self.type_by_id(id)?;
        for _ in 0..MAX_CHAIN {
            match ty.kind {
                Kind::Typedef
                | Kind::Const
                | Kind::Volatile
                | Kind::Restrict
                | Kind::TypeTag
                | Kind::DeclTag
                | Kind::Var => ty = self.type_by_id(ty.size_or_type)?,
                _ => return Ok(ty),
            }
        }
        Err(BtfError::Malformed { offset: ty.offset, what: "a type refers to itself" })
    }

    /// The size of a type in bytes.
    fn size(&self, id: u32) -> Result<u32, BtfError> {
        let mut count = 1_u32;
        let mut ty = self.resolve(id)?;
        for _ in 0..MAX_CHAIN {
            let too_large = BtfError::Malformed { offset: ty.offset, what: "a type is larger than 4 GiB" };
            let one = match ty.kind {
                Kind::Int
                | Kind::Struct
                | Kind::Union
                | Kind::Enum
                | Kind::Enum64
                | Kind::Float
                | Kind::Datasec => ty.size_or_type,
                // Both architectures that the agent runs on have 64-bit pointers.
                Kind::Ptr => 8,
                Kind::Array => {
                    count = count.checked_mul(ty.word(self.bytes, 2)?).ok_or(too_large)?;
                    ty = self.resolve(ty.word(self.bytes, 0)?)?;
                    continue;
                }
                _ => {
                    return Err(BtfError::Malformed {
                        offset: ty.offset,
                        what: "a member's type has no size",
                    });
                }
            };
            return count.checked_mul(one).ok_or(too_large);
        }
        Err(BtfError::Malformed { offset: ty.offset, what: "an array holds itself" })
    }

    /// The string at `offset` of the string section, without its zero.
    fn name(&self, offset: u32) -> Result<&'a [u8], BtfError> {
        let (start, end) = self.sections.strings;
        let at = start.saturating_add(offset as usize);
        let malformed =
            || BtfError::Malformed { offset: at, what: "a name is not inside the string section" };
        let rest = self.bytes.get(at..end).ok_or_else(malformed)?;
        let len = rest.iter().position(|byte| *byte == 0).ok_or_else(malformed)?;
        rest.get(..len).ok_or_else(malformed)
    }
}

/// FNV-1a, 32 bits: spreads names well, and names are compared anyway.
fn hash(name: &[u8]) -> u32 {
    name.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}
