//! Which of the engines' changing rules for evaluating instructions are in force.

use super::ast::Dialect;

/// The rules of a range of engine versions.
///
/// Read in the sources of imagebuilder 1.2.3 (buildah 1.28.2), 1.2.15 (1.39.3) and 1.2.22 (1.43.2); a
/// version between two of them counts as the older, but for heredocs, which came with 1.33.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rules {
    /// buildah 1.28 to 1.32.
    Buildah28,
    /// buildah 1.33 to 1.42.
    Buildah39,
    /// buildah 1.43 and later.
    Buildah43,
}

impl Rules {
    /// The rules of buildah `1.minor`.
    pub fn of_buildah(minor: u64) -> Self {
        match minor {
            ..33 => Self::Buildah28,
            33..43 => Self::Buildah39,
            43.. => Self::Buildah43,
        }
    }

    /// How a file is read under these rules.
    pub fn dialect(self) -> Dialect {
        match self {
            Self::Buildah28 => Dialect::BeforeHeredocs,
            _ => Dialect::Heredocs,
        }
    }
}
