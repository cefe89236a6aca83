//! The stamp beside the object: what it was made from, and by what.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use super::{object_path, sources};
use crate::ebpf::toolchain::{Toolchain, Versions};

/// From which sources and by which tools the object was made.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Stamp {
    /// SHA-256 of the object, hexadecimal.
    pub(super) object_sha256: String,
    /// SHA-256 of its sources, hexadecimal; see [`sources::hash`].
    pub(super) source_sha256: String,
    /// The tools.
    pub(super) toolchain: Versions,
}

impl Stamp {
    pub(super) fn new(toolchain: &Toolchain, source_sha256: String, object: &[u8]) -> Self {
        Self {
            object_sha256: sources::sha256(object),
            source_sha256,
            toolchain: toolchain.versions().clone(),
        }
    }

    fn path() -> PathBuf {
        object_path().with_extension("json")
    }

    pub(super) fn read() -> Result<Self> {
        let path = Self::path();
        let text =
            std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        serde_json::from_str(&text).with_context(|| format!("{} is not a stamp", path.display()))
    }

    pub(super) fn write(&self) -> Result<()> {
        let path = Self::path();
        let text = serde_json::to_string_pretty(self)? + "\n";
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    }
}
