//! What a process wrote to when nobody read it: the kernel sends it `SIGPIPE` from inside the call.

use forensics_common::{Outlet, OutletKind};

use crate::{
    files::File,
    globals::{offset, socket_offset},
    read::{bytes, field, pointer},
};

/// `AF_UNIX`, `AF_INET`, `AF_INET6` (`include/linux/socket.h`).
const AF_UNIX: u16 = 1;
const AF_INET: u16 = 2;
const AF_INET6: u16 = 10;

/// Describes what is behind a descriptor of the running process.
///
/// # Safety
///
/// `outlet` is writable memory.
#[inline(always)]
pub(crate) unsafe fn describe(descriptor: u32, outlet: *mut Outlet) {
    // SAFETY: the caller vouches for the pointer.
    let outlet = unsafe { &mut *outlet };
    *outlet = Outlet { descriptor, ..Outlet::NONE };
    let Some(file) = File::of(descriptor) else { return };
    if file.is_pipe() {
        outlet.kind = OutletKind::Pipe as u32;
        return;
    }
    let Some(sock) = file.sock() else { return };
    let family = field(sock, socket_offset!(sock_family)).unwrap_or(0);
    match family {
        AF_UNIX => {
            outlet.kind = OutletKind::Unix as u32;
            outlet.peer_pid = pointer(sock, socket_offset!(sock_peer_pid))
                .and_then(|pid| field(pid, offset!(pid_number)))
                .unwrap_or(0);
        }
        AF_INET => {
            outlet.kind = OutletKind::Inet as u32;
            outlet.port = field(sock, socket_offset!(sock_port)).unwrap_or(0);
            let address: [u8; 4] = field(sock, socket_offset!(sock_address)).unwrap_or([0; 4]);
            outlet.address[..4].copy_from_slice(&address);
        }
        AF_INET6 => {
            outlet.kind = OutletKind::Inet6 as u32;
            outlet.port = field(sock, socket_offset!(sock_port)).unwrap_or(0);
            // SAFETY: the destination is a field of the record.
            let _ = unsafe { bytes::<16>(sock, socket_offset!(sock_address6), &raw mut outlet.address) };
        }
        _ => {}
    }
}
