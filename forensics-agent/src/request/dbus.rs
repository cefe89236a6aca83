//! Method calls of D-Bus, out of the bytes of a send (D-Bus Specification, "Message Protocol").

use serde::de::DeserializeOwned;
use zbus::zvariant::{
    Endian, Type, Value,
    serialized::{Context, Data},
};

/// `METHOD_CALL`.
const METHOD_CALL: u8 = 1;
/// Where the body begins, counted from the message: a multiple of this.
const ALIGNMENT: usize = 8;

/// The fixed part of a header and its fields: byte order, type, flags, version, length of the body, serial.
type Header<'a> = (u8, u8, u8, u8, u32, u32, Vec<(u8, Value<'a>)>);

/// A method call. The end of its body may be missing.
#[derive(Debug)]
pub(super) struct Call<'a> {
    pub(super) path: String,
    pub(super) interface: Option<String>,
    pub(super) member: String,
    destination: Option<String>,
    signature: String,
    body: &'a [u8],
    endian: Endian,
}

impl<'a> Call<'a> {
    /// True when the service of this name gets it: the name is that, or that of a connection, or missing, as on a private
    /// socket.
    pub(super) fn is_for(&self, service: &str) -> bool {
        self.destination.as_deref().is_none_or(|name| name == service || name.starts_with(':'))
    }

    /// Its arguments.
    pub(super) fn arguments(&self) -> Arguments<'a, '_> {
        Arguments { types: self.signature.as_bytes(), body: self.body, at: 0, endian: self.endian }
    }
}

/// The arguments of a call, one after the other. The first one that is missing or of another type ends them.
#[derive(Debug)]
pub(super) struct Arguments<'a, 'c> {
    types: &'c [u8],
    body: &'a [u8],
    at: usize,
    endian: Endian,
}

impl Arguments<'_, '_> {
    /// The next one, a string.
    pub(super) fn text(&mut self) -> Option<String> {
        self.next(b's')
    }

    /// The next one, an unsigned number of 32 bits.
    pub(super) fn unsigned(&mut self) -> Option<u32> {
        self.next(b'u')
    }

    /// The next one, an unsigned number of 64 bits.
    pub(super) fn unsigned_long(&mut self) -> Option<u64> {
        self.next(b't')
    }

    /// The next one, a signed number of 32 bits.
    pub(super) fn signed(&mut self) -> Option<i32> {
        self.next(b'i')
    }

    fn next<T: DeserializeOwned + Type>(&mut self, wanted: u8) -> Option<T> {
        let (kind, rest) = std::mem::take(&mut self.types).split_first()?;
        let bytes = self.body.get(self.at..).filter(|_| *kind == wanted)?;
        let data = Data::new(bytes, Context::new_dbus(self.endian, self.at));
        let (value, len) = data.deserialize().ok()?;
        self.at = self.at.checked_add(len)?;
        self.types = rest;
        Some(value)
    }
}

/// The calls in what was sent at once, up to the first bytes that are no message.
pub(super) fn calls(bytes: &[u8]) -> impl Iterator<Item = Call<'_>> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let (call, len) = message(rest)?;
        rest = rest.get(len..).unwrap_or_default();
        Some(call)
    })
    .flatten()
}

/// The message at the beginning, if it is a call, and its length.
fn message(bytes: &[u8]) -> Option<(Option<Call<'_>>, usize)> {
    let endian = match bytes.first()? {
        b'l' => Endian::Little,
        b'B' => Endian::Big,
        _ => return None,
    };
    let data = Data::new(bytes, Context::new_dbus(endian, 0));
    let (header, len) = data.deserialize::<Header<'_>>().ok()?;
    let (_, kind, _, _, body_len, _, fields) = header;
    let start = len.checked_next_multiple_of(ALIGNMENT)?;
    let end = start.checked_add(usize::try_from(body_len).ok()?)?;
    let body = bytes.get(start.min(bytes.len())..end.min(bytes.len()))?;
    Some(((kind == METHOD_CALL).then(|| call(&fields, body, endian)).flatten(), end))
}

fn call<'a>(fields: &[(u8, Value<'_>)], body: &'a [u8], endian: Endian) -> Option<Call<'a>> {
    let field = |code: u8| {
        let value = fields.iter().find(|(found, _)| *found == code).map(|(_, value)| value)?;
        match value {
            Value::Str(text) => Some(text.to_string()),
            Value::ObjectPath(path) => Some(path.to_string()),
            Value::Signature(signature) => Some(signature.to_string_no_parens()),
            _ => None,
        }
    };
    Some(Call {
        path: field(1)?,
        interface: field(2),
        member: field(3)?,
        destination: field(6),
        signature: field(8).unwrap_or_default(),
        body,
        endian,
    })
}
