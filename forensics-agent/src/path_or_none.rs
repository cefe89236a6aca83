//! A place that an option names, or that there is to be none.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// A path, or `none`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathOrNone(Option<PathBuf>);

impl PathOrNone {
    /// No place.
    pub const NONE: Self = Self(None);

    /// A place.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self(Some(path.into()))
    }

    /// The path, when there is to be one.
    pub fn path(&self) -> Option<PathBuf> {
        self.0.clone()
    }
}

impl fmt::Display for PathOrNone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(path) => path.display().fmt(f),
            None => f.write_str("none"),
        }
    }
}

impl FromStr for PathOrNone {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "" => Err("it is neither a path nor none".to_owned()),
            "none" => Ok(Self::NONE),
            path => Ok(Self::at(path)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_it_is_written() {
        assert_eq!("none".parse(), Ok(PathOrNone::NONE));
        assert_eq!("/run/x".parse(), Ok(PathOrNone::at("/run/x")));
        assert_eq!(PathOrNone::at("/run/x").to_string(), "/run/x");
        assert_eq!(PathOrNone::NONE.to_string(), "none");
        assert!("".parse::<PathOrNone>().is_err());
    }
}
