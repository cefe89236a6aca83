//! The questions that BTF answers.

use super::{Btf, BtfError, Kind, MAX_CHAIN, Type};

/// Anonymous members nest; deeper than this is no kernel's.
const MAX_DEPTH: usize = 16;
/// Members that one question may visit. `task_struct` has some 270; shared anonymous members could multiply
/// in a hostile blob.
const MAX_VISITS: u32 = 100_000;

const RECORDS: &[Kind] = &[Kind::Struct, Kind::Union];
const ENUMS: &[Kind] = &[Kind::Enum, Kind::Enum64];

/// Where a member lies in its structure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// Bytes from the start of the outermost structure.
    pub offset: u32,
    /// Size of the member in bytes; 0 for a flexible array.
    pub size: u32,
}

/// A member as the record holds it, relative to the record.
struct Member {
    type_id: u32,
    bits: u32,
    /// Width of a bitfield, 0 for others.
    bitfield: u32,
}

impl Btf<'_> {
    /// Where a member lies in a structure or union. `path` may lead through embedded structures
    /// (`f_path.dentry`); members of anonymous structures and unions are found as in C. When several types
    /// have the name, all complete ones must agree.
    ///
    /// # Errors
    ///
    /// [`BtfError::MissingType`], [`BtfError::MissingMember`] (a path through a pointer or an array too),
    /// [`BtfError::Bitfield`], [`BtfError::Ambiguous`], or [`BtfError::Malformed`].
    pub fn offset_of(&self, structure: &str, path: &str) -> Result<Field, BtfError> {
        let question = || format!("where `{path}` lies");
        let field =
            self.agreed(structure, question, self.records(structure), |ty| self.field(&ty, structure, path))?;
        match field {
            Some(Some(field)) => Ok(field),
            Some(None) => Err(missing_member(structure, path)),
            None => Err(missing_type("structure", structure)),
        }
    }

    /// Where the first of these members that exists lies: names that a member had in different kernels.
    ///
    /// # Errors
    ///
    /// As [`Self::offset_of`]; the missing member is named with its alternatives.
    pub fn offset_of_any(&self, structure: &str, paths: &[&str]) -> Result<Field, BtfError> {
        for path in paths {
            match self.offset_of(structure, path) {
                Err(BtfError::MissingMember { .. }) => {}
                answer => return answer,
            }
        }
        Err(missing_member(structure, &paths.join(" or ")))
    }

    /// Size of a structure or union, in bytes.
    ///
    /// # Errors
    ///
    /// [`BtfError::MissingType`], or [`BtfError::Ambiguous`] when several have the name and differ in size.
    pub fn size_of(&self, structure: &str) -> Result<u32, BtfError> {
        let size = |ty: Type| Ok(ty.size_or_type);
        self.agreed(structure, || "size".to_owned(), self.records(structure), size)?
            .ok_or_else(|| missing_type("structure", structure))
    }

    /// The value of an enumerator, of 32 or 64 bits. An unsigned one above `i64::MAX` wraps.
    ///
    /// # Errors
    ///
    /// [`BtfError::MissingType`], [`BtfError::MissingMember`], [`BtfError::Ambiguous`], or
    /// [`BtfError::Malformed`].
    pub fn enum_value(&self, enumeration: &str, enumerator: &str) -> Result<i64, BtfError> {
        let candidates = self.named(enumeration, ENUMS).filter(|ty| ty.vlen > 0);
        let question = || format!("the value of `{enumerator}`");
        match self.agreed(enumeration, question, candidates, |ty| self.enumerator(&ty, enumerator))? {
            Some(Some(value)) => Ok(value),
            Some(None) => Err(missing_member(enumeration, enumerator)),
            None => Err(missing_type("enumeration", enumeration)),
        }
    }

    /// The parameters of a function, or of a typedef of a function pointer (`btf_trace_signal_generate`), by
    /// name where BTF has names: it has them for functions, and seldom for typedefs. The dots of a variadic
    /// function are not counted.
    ///
    /// # Errors
    ///
    /// [`BtfError::MissingType`] when neither a function nor such a typedef has the name;
    /// [`BtfError::Ambiguous`], [`BtfError::Malformed`].
    pub fn parameters(&self, function: &str) -> Result<Vec<Option<&str>>, BtfError> {
        let question = || "its parameters".to_owned();
        let typedefs = self.named(function, &[Kind::Typedef]);
        let answers = match self.agreed(function, question, typedefs, |ty| self.prototype(ty))? {
            Some(answers) => Some(answers),
            None => self.agreed(function, question, self.functions(function), |ty| self.prototype(ty))?,
        };
        answers.flatten().ok_or_else(|| missing_type("function", function))
    }

    /// How many arguments a tracepoint hands to a raw tracepoint program: what `TP_PROTO` lists.
    ///
    /// # Errors
    ///
    /// As [`Self::parameters`]: the kernel has no tracepoint of this name.
    pub fn tracepoint_arguments(&self, event: &str) -> Result<usize, BtfError> {
        // `typedef void (*btf_trace_##call)(void *__data, proto)` in include/trace/bpf_probe.h
        let parameters = self.parameters(&format!("btf_trace_{event}"))?;
        Ok(parameters.len().saturating_sub(1))
    }

    /// Structures and unions of this name that have members: forward declarations and empty stand-ins do not
    /// count.
    fn records(&self, name: &str) -> impl Iterator<Item = Type> {
        self.named(name, RECORDS).filter(|ty| ty.vlen > 0)
    }

    /// The one answer that all `candidates` give; none when there are none.
    fn agreed<T: PartialEq>(
        &self,
        name: &str,
        question: impl Fn() -> String,
        candidates: impl Iterator<Item = Type>,
        answer: impl Fn(Type) -> Result<T, BtfError>,
    ) -> Result<Option<T>, BtfError> {
        let mut agreed = None;
        for candidate in candidates {
            let next = answer(candidate)?;
            match &agreed {
                Some(known) if *known != next => {
                    return Err(BtfError::Ambiguous { name: name.to_owned(), what: question() });
                }
                _ => agreed = Some(next),
            }
        }
        Ok(agreed)
    }

    fn field(&self, record: &Type, structure: &str, path: &str) -> Result<Option<Field>, BtfError> {
        let mut visits = MAX_VISITS;
        let mut record = *record;
        let mut bits = 0_u64;
        let mut last = None;
        for name in path.split('.') {
            // A step of the path after the first goes into the member that the step before found.
            if let Some(Member { type_id, .. }) = last {
                record = self.resolve(type_id)?;
            }
            let found = self.member(&record, name.as_bytes(), MAX_DEPTH, &mut visits)?;
            let Some((member, base)) = found else { return Ok(None) };
            bits += base + u64::from(member.bits);
            last = Some(member);
        }
        let Some(member) = last else { return Ok(None) };
        if member.bitfield != 0 || !bits.is_multiple_of(8) || self.is_partial_int(member.type_id)? {
            return Err(BtfError::Bitfield { structure: structure.to_owned(), member: path.to_owned() });
        }
        let offset = u32::try_from(bits / 8)
            .map_err(|_| BtfError::Malformed { offset: record.offset, what: "a member lies beyond 4 GiB" })?;
        Ok(Some(Field { offset, size: self.size(member.type_id)? }))
    }

    /// Finds a member of this record or of the anonymous records in it, and the bits from this record to the
    /// one that holds it.
    fn member(
        &self,
        record: &Type,
        name: &[u8],
        depth: usize,
        visits: &mut u32,
    ) -> Result<Option<(Member, u64)>, BtfError> {
        if !RECORDS.contains(&record.kind) {
            return Ok(None);
        }
        let malformed = |what| BtfError::Malformed { offset: record.offset, what };
        let depth = depth.checked_sub(1).ok_or_else(|| malformed("anonymous members nest without end"))?;
        for index in 0..record.vlen as usize {
            *visits =
                visits.checked_sub(1).ok_or_else(|| malformed("anonymous members multiply without end"))?;
            let place = record.word(self.bytes, index * 3 + 2)?;
            let member = Member {
                type_id: record.word(self.bytes, index * 3 + 1)?,
                bits: if record.flag { place & 0x00ff_ffff } else { place },
                bitfield: if record.flag { place >> 24 } else { 0 },
            };
            let own_name = self.name(record.word(self.bytes, index * 3)?)?;
            if own_name == name && !name.is_empty() {
                return Ok(Some((member, 0)));
            }
            if own_name.is_empty() && member.type_id != 0 {
                let inner = self.resolve(member.type_id)?;
                if let Some((found, base)) = self.member(&inner, name, depth, visits)? {
                    return Ok(Some((found, base + u64::from(member.bits))));
                }
            }
        }
        Ok(None)
    }

    /// True for an integer that does not fill its bytes: how bitfields look without `kind_flag`.
    fn is_partial_int(&self, id: u32) -> Result<bool, BtfError> {
        let ty = self.resolve(id)?;
        if ty.kind != Kind::Int {
            return Ok(false);
        }
        let data = ty.word(self.bytes, 0)?;
        let (shift, bits) = (data >> 16 & 0xff, data & 0xff);
        Ok(shift != 0 || u64::from(bits) != u64::from(ty.size_or_type) * 8)
    }

    fn enumerator(&self, ty: &Type, name: &str) -> Result<Option<i64>, BtfError> {
        let words = if ty.kind == Kind::Enum64 { 3 } else { 2 };
        for index in 0..ty.vlen as usize {
            if self.name(ty.word(self.bytes, index * words)?)? != name.as_bytes() {
                continue;
            }
            let low = ty.word(self.bytes, index * words + 1)?;
            return Ok(Some(match ty.kind {
                Kind::Enum64 => i64::from(ty.word(self.bytes, index * words + 2)?) << 32 | i64::from(low),
                _ if ty.flag => i64::from(low.cast_signed()),
                _ => i64::from(low),
            }));
        }
        Ok(None)
    }

    /// The parameters of what a function or a typedef refers to; none when that is no prototype.
    fn prototype(&self, ty: Type) -> Result<Option<Vec<Option<&str>>>, BtfError> {
        let mut ty = ty;
        for _ in 0..MAX_CHAIN {
            match ty.kind {
                Kind::FuncProto => break,
                Kind::Func | Kind::Ptr | Kind::Typedef if ty.size_or_type != 0 => {
                    ty = self.resolve(ty.size_or_type)?;
                }
                _ => return Ok(None),
            }
        }
        if ty.kind != Kind::FuncProto {
            return Err(BtfError::Malformed { offset: ty.offset, what: "a pointer points to itself" });
        }
        let mut parameters = Vec::new();
        for index in 0..ty.vlen as usize {
            let name = self.name(ty.word(self.bytes, index * 2)?)?;
            let is_dots = ty.word(self.bytes, index * 2 + 1)? == 0;
            if !is_dots {
                parameters.push(std::str::from_utf8(name).ok().filter(|name| !name.is_empty()));
            }
        }
        Ok(Some(parameters))
    }
}

fn missing_type(kind: &'static str, name: &str) -> BtfError {
    BtfError::MissingType { kind, name: name.to_owned() }
}

fn missing_member(structure: &str, member: &str) -> BtfError {
    BtfError::MissingMember { structure: structure.to_owned(), member: member.to_owned() }
}
