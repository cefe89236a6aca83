/// What a process wrote to when nobody read it.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outlet {
    /// Number of the descriptor.
    pub descriptor: u32,
    /// An [`OutletKind`]; 0 when it is none of them or could not be read.
    pub kind: u32,
    /// Of a socket of AF_UNIX, who was at the other end when it was connected (`SO_PEERCRED`); 0 when it is not known.
    pub peer_pid: u32,
    /// Port of the other end, in network byte order.
    pub port: u16,
    /// Unused.
    pub reserved: u16,
    /// Address of the other end; of IPv4, the first four bytes.
    pub address: [u8; 16],
}

const _: () = assert!(size_of::<Outlet>() == 32);

impl Outlet {
    /// Nothing is known.
    pub const NONE: Self =
        Self { descriptor: 0, kind: 0, peer_pid: 0, port: 0, reserved: 0, address: [0; 16] };
}

/// The kinds of [`Outlet`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutletKind {
    /// A pipe, with a name or without.
    Pipe = 1,
    /// A socket of AF_UNIX.
    Unix = 2,
    /// A socket of IPv4.
    Inet = 3,
    /// A socket of IPv6.
    Inet6 = 4,
}

impl OutletKind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Pipe, Self::Unix, Self::Inet, Self::Inet6];

    /// The kind with a number.
    pub fn of(number: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u32 == number)
    }
}
