use serde::{Deserialize, Serialize};

/// What a faulting instruction did with the memory at its address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FaultAccess {
    /// It read.
    Read,
    /// It wrote.
    Write,
    /// The instruction itself was to be fetched from there.
    Execute,
}

/// Where in a program an instruction is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeLocation {
    /// The file that is mapped there, as the target sees it. From the kernel log it is the name without the path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Bytes from the start of the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<u64>,
    /// Memory of no file, as the kernel names it (`[vdso]`, `[heap]`), or plain memory, in which programs keep the code
    /// that they make at run time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<String>,
}
