//! How much is measured.

/// How much is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    /// As much as it takes for figures that are worth writing down.
    Full,
    /// What an emulated machine can do in some minutes.
    Short,
}

impl Extent {
    /// The value for this extent.
    pub(super) fn pick<T>(self, full: T, short: T) -> T {
        match self {
            Self::Full => full,
            Self::Short => short,
        }
    }
}
