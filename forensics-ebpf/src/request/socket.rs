//! The far end of a socket: where it is bound, and who listens there.

use aya_ebpf::helpers::generated::bpf_probe_read_kernel;
use forensics_common::MAX_SOCKET_PATH;

use crate::{
    globals::{offset, socket_offset},
    read::{field, pointer},
};

/// `AF_UNIX`
const AF_UNIX: u16 = 1;
/// `sizeof(sa_family_t)`: where the path begins in a `sockaddr_un`.
const PATH: u32 = 2;

/// What is spoken at a socket.
pub(super) enum Protocol {
    /// To a manager, or to a message bus.
    Dbus,
    /// To a container engine.
    Http,
}

/// Eight bytes of a path as one number.
const fn word(bytes: &[u8; 8]) -> u64 {
    u64::from_ne_bytes(*bytes)
}

/// The far end of a socket that takes requests.
pub(super) struct Peer {
    pub(super) protocol: Protocol,
    /// Its `struct unix_address`.
    address: u64,
}

impl Peer {
    /// The far end of a socket, when it is of a kind that takes requests. The near end of a client is bound to no such path, so
    /// what a bus passes on is left out.
    #[inline(always)]
    pub(super) fn of(sock: u64) -> Option<Self> {
        if field::<u16>(sock, socket_offset!(sock_family)).ok()? != AF_UNIX {
            return None;
        }
        let peer = pointer(sock, socket_offset!(unix_peer)).ok()?;
        let address = pointer(peer, socket_offset!(unix_addr)).ok()?;
        let mut first: [u64; 2] = field(address, socket_offset!(address_path)).ok()?;
        // What an old configuration calls `/var/run` is `/run`.
        if first[0] == word(b"/var/run") {
            first = field(address + 4, socket_offset!(address_path)).ok()?;
        }
        let protocol = if first[0] == word(b"/run/sys") && first[1] == word(b"temd/pri") {
            Protocol::Dbus
        } else if first[0] == word(b"/run/dbu") {
            Protocol::Dbus
        } else if first[0] == word(b"/run/use") {
            of_user(address)
        } else if first[0] == word(b"/run/doc") || first[0] == word(b"/run/pod") {
            Protocol::Http
        } else {
            return None;
        };
        Some(Self { protocol, address })
    }

    /// Copies the path that it is bound to; returns its length.
    ///
    /// # Safety
    ///
    /// `into` is writable memory.
    #[inline(always)]
    pub(super) unsafe fn path(&self, into: *mut [u8; MAX_SOCKET_PATH]) -> u32 {
        let len: u32 = field(self.address, socket_offset!(address_len)).unwrap_or(0);
        // Masked where the verifier sees it.
        let len = core::hint::black_box(len.wrapping_sub(PATH)) & 0x7f;
        if len > MAX_SOCKET_PATH as u32 {
            return 0;
        }
        let from = self.address + u64::from(socket_offset!(address_path));
        // SAFETY: the helper checks the source; the destination has room for as many bytes.
        let failed = unsafe { bpf_probe_read_kernel(into.cast(), len, from as *const _) };
        if failed == 0 { len } else { 0 }
    }
}

/// What is spoken at a socket of a user: engines end in `.sock`.
#[inline(always)]
fn of_user(address: u64) -> Protocol {
    let len: u32 = field(address, socket_offset!(address_len)).unwrap_or(0);
    // The length counts the family and a NUL behind the path.
    let end = u64::from(len.wrapping_sub(PATH + 1 + 5) & 0x7f);
    match field::<[u8; 5]>(address + end, socket_offset!(address_path)) {
        Ok(last) if last == *b".sock" => Protocol::Http,
        _ => Protocol::Dbus,
    }
}

/// The process id of who listens at the far end of a client's socket (`SO_PEERCRED`); 0 when it is not known.
#[inline(always)]
pub(super) fn listener(sock: u64) -> u32 {
    pointer(sock, socket_offset!(sock_peer_pid)).and_then(|pid| field(pid, offset!(pid_number))).unwrap_or(0)
}
