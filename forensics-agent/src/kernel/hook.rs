//! The ways of hooking the tracepoint of signals.

/// The ways of hooking `signal_generate`, in the order in which they are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hook {
    /// A BTF tracepoint: the verifier knows the type of the target, so that the way out for unwatched processes is a
    /// few plain loads, a tenth of what the raw tracepoint's calls cost. It takes some 15 ms more to load.
    TpBtf,
    /// A raw tracepoint: needs nothing of the kernel's types.
    RawTracepoint,
}

impl Hook {
    /// All of them, the preferred one first.
    pub const ALL: [Self; 2] = [Self::TpBtf, Self::RawTracepoint];

    /// Its name in the ready line.
    pub fn name(self) -> &'static str {
        match self {
            Self::RawTracepoint => "raw_tracepoint",
            Self::TpBtf => "tp_btf",
        }
    }

    /// Name of the program in the object.
    pub(super) fn program(self) -> &'static str {
        match self {
            Self::RawTracepoint => "signal_raw",
            Self::TpBtf => "signal_btf",
        }
    }
}
