//! The kernel's type information.

use std::path::Path;

use aya::{Btf as AyaBtf, Endianness};
use forensics_common::{Offsets, SocketOffsets};

use super::{
    btf::{Blob, Btf},
    load_error::LoadError,
    offsets,
};

/// Where the kernel publishes its type information.
pub const VMLINUX_BTF: &str = "/sys/kernel/btf/vmlinux";

/// The kernel's type information, read once: the offsets for the programs.
#[derive(Debug, Clone, Copy)]
pub struct KernelTypes {
    /// The offset table.
    pub offsets: Offsets,
    /// That of the programs which see requests.
    pub sockets: SocketOffsets,
    /// The helper `bpf_task_pt_regs()` exists.
    pub have_task_pt_regs: bool,
}

impl KernelTypes {
    /// Reads the running kernel's.
    ///
    /// # Errors
    ///
    /// There is none, or it lacks what the programs cannot do without.
    pub fn read() -> Result<Self, LoadError> {
        let blob = Blob::load(Path::new(VMLINUX_BTF)).map_err(LoadError::NoBtf)?;
        let btf = Btf::parse(&blob)?;
        Ok(Self {
            offsets: offsets::resolve(&btf)?,
            sockets: offsets::resolve_sockets(&btf)?,
            have_task_pt_regs: btf.has_function("bpf_task_pt_regs"),
        })
    }
}

/// The kernel's types as aya reads them: 15 MB, until they are dropped.
pub(super) fn types_for_aya() -> Result<AyaBtf, LoadError> {
    let blob = Blob::load(Path::new(VMLINUX_BTF)).map_err(LoadError::NoBtf)?;
    AyaBtf::parse(&blob, Endianness::default()).map_err(|error| LoadError::Failed {
        what: format!("reading {VMLINUX_BTF}"),
        reason: error.to_string(),
    })
}
