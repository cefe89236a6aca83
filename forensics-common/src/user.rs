//! Leave for the agent to copy these types to and from the kernel as plain bytes.

use aya::Pod;

use crate::{
    CgroupKey, Config, ExecEntry, FoldKey, FoldValue, Offsets, Reach, SocketOffsets, Target, TaskKey,
};

// SAFETY: all are `repr(C)`, `Copy` and made of integers and byte arrays without padding, so that every byte is
// initialised and every pattern of bytes is a value.
unsafe impl Pod for CgroupKey {}
// SAFETY: as above.
unsafe impl Pod for Config {}
// SAFETY: as above.
unsafe impl Pod for ExecEntry {}
// SAFETY: as above.
unsafe impl Pod for FoldKey {}
// SAFETY: as above.
unsafe impl Pod for FoldValue {}
// SAFETY: as above.
unsafe impl Pod for Offsets {}
// SAFETY: as above.
unsafe impl Pod for Reach {}
// SAFETY: as above.
unsafe impl Pod for SocketOffsets {}
// SAFETY: as above.
unsafe impl Pod for Target {}
// SAFETY: as above.
unsafe impl Pod for TaskKey {}
