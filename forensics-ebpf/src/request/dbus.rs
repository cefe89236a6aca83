//! D-Bus messages, as far as the kernel has to know them to tell requests from all that is said on a bus (D-Bus
//! Specification, "Message Protocol").

use forensics_common::MAX_MESSAGE;

/// `METHOD_CALL`
const METHOD_CALL: u8 = 1;
/// Fields of a header that are looked at; libraries write seven at most.
const MAX_FIELDS: u32 = 9;
/// Where the fields begin.
const FIELDS: u32 = 16;
/// Code of the field with the object that is called.
const PATH: u8 = 1;
/// Code of the field with the method.
const MEMBER: u8 = 3;

/// True for the beginning of a method call.
#[inline(always)]
pub(super) fn is_call(first: [u64; 2]) -> bool {
    let order = first[0] as u8;
    let kind = (first[0] >> 8) as u8;
    (order == b'l' || order == b'B') && kind == METHOD_CALL
}

/// Eight bytes of a text as one number.
const fn word(bytes: &[u8; 8]) -> u64 {
    u64::from_ne_bytes(*bytes)
}

/// True for a call of systemd's manager, of a unit, or of logind, of a method that may end a process: what begins like one
/// of those, that is. The agent looks closer.
///
/// # Safety
///
/// `message` is readable memory.
#[inline(always)]
pub(super) unsafe fn is_of_interest(message: *const [u8; MAX_MESSAGE]) -> bool {
    let message = message.cast::<u8>();
    // SAFETY: within the message, for this and all that follows: a place is a multiple of eight, and at most 1008.
    let big_endian = unsafe { *message } == b'B';
    let (mut path, mut member) = (false, false);
    let mut at = FIELDS;
    for _ in 0..MAX_FIELDS {
        let place = (core::hint::black_box(at) & (MAX_MESSAGE as u32 - 8)) as usize;
        if at >= MAX_MESSAGE as u32 - 64 || place > MAX_MESSAGE - 64 {
            break;
        }
        // SAFETY: as above. A field is aligned to eight bytes: code, signature of one letter, and the value.
        let field = unsafe { message.add(place) };
        // SAFETY: as above.
        let (code, letters, kind) = unsafe { (*field, *field.add(1), *field.add(2)) };
        if letters != 1 {
            break;
        }
        let len = if kind == b'g' {
            // SAFETY: as above.
            u32::from(unsafe { *field.add(4) }) + 6
        } else if kind == b'u' {
            8
        } else {
            // SAFETY: as above.
            let len = unsafe { field.add(4).cast::<u32>().read_volatile() };
            let len = if big_endian { len.swap_bytes() } else { len };
            if code == PATH {
                // SAFETY: as above; the text is aligned as the field is.
                path = unsafe { is_of_systemd(field.add(8).cast()) };
            } else if code == MEMBER {
                // SAFETY: as above.
                member = is_verb(unsafe { field.add(8).cast::<u32>().read_volatile() });
            }
            if len > MAX_MESSAGE as u32 {
                break;
            }
            len + 9
        };
        if path && member {
            return true;
        }
        at += (len + 7) & !7;
    }
    false
}

/// True for `/org/freedesktop/systemd1…` and `/org/freedesktop/login1…`.
///
/// # Safety
///
/// `text` is aligned and readable memory.
#[inline(always)]
unsafe fn is_of_systemd(text: *const u64) -> bool {
    // SAFETY: the caller vouches for the text.
    let words = unsafe { [text.read_volatile(), text.add(1).read_volatile(), text.add(2).read_volatile()] };
    /// All but the last byte.
    const SEVEN: u64 = u64::MAX >> 8;
    words[0] == word(b"/org/fre")
        && words[1] == word(b"edesktop")
        && (words[2] == word(b"/systemd") || words[2] & SEVEN == word(b"/login1\0"))
}

/// True for the first four bytes of a method that matters.
#[inline(always)]
fn is_verb(first: u32) -> bool {
    const VERBS: [&[u8; 4]; 20] = [
        b"Star", b"Stop", b"Rest", b"TryR", b"Relo", b"Kill", b"Queu", b"Enqu", b"Free", b"Thaw", b"Reex",
        b"Exit", b"Rebo", b"Soft", b"Powe", b"Halt", b"KExe", b"Swit", b"Term", b"Sche",
    ];
    let mut found = false;
    for verb in VERBS {
        found |= first == u32::from_ne_bytes(*verb);
    }
    found
}
