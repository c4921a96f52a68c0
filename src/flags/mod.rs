//! The command line of `build`: every flag of `buildah build` and `podman build`, and ours.
//!
//! `table` says what each flag is and where it goes, `parse` reads a command line as the engines do,
//! `values` reads what stands behind the flags, `command` draws help, man page and completions. What a
//! build does with a flag is its reader's business; what an engine call looks like is `engine`'s.
//!
//! | role | to a step call | in the step's key | examples |
//! |---|---|---|---|
//! | [`Role::Key`] | yes | yes | `--network`, `--env`, `--format`, each flag that nobody knows |
//! | [`Role::Pass`] | yes | no | `--authfile`, `--tls-verify`, `--memory` |
//! | [`Role::Final`] | no, only where the final image is made | no | `--tag`, `--label`, `--squash` |
//! | [`Role::Ours`] | no | what they stand for has fields of its own | `--build-arg`, `--platform` |

mod check;
pub mod command;
#[cfg(test)]
mod engine_tests;
mod given;
mod globals;
pub mod go;
pub mod help;
mod once;
pub mod parse;
pub mod platform;
pub mod pull;
mod rows;
pub mod table;
pub mod values;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use check::check_engine;
pub use command::clap_command;
pub use given::{BuildFlags, Given};
pub use help::flags_in_help;
pub use once::KeptFiles;
pub use parse::{Leading, parse_build, parse_leading};
pub use platform::Platform;
pub use pull::{PullPolicy, pull_policy, unknown_pull_word};
pub use rows::PROGRESS;
pub use table::{Engines, FLAGS, FlagSpec, GLOBALS, Kind, Role, ValueType, Version};

/// Which of the two programs runs the build.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EngineKind {
    /// buildah.
    Buildah,
    /// podman.
    Podman,
}

impl EngineKind {
    /// The program's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Buildah => "buildah",
            Self::Podman => "podman",
        }
    }
}

impl fmt::Display for EngineKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How a flag that the table lacks takes its value, as the installed engine's help shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnknownKind {
    /// No type word: a switch.
    Bool,
    /// `type[="default"]`: a value behind `=` only.
    OptionalValue,
    /// A type word: a value.
    Value,
}

/// A command line that cannot be used: what is wrong, as the engines say it, and the way out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct UsageError {
    /// The fault, in the engines' words where they have some.
    pub message: String,
    /// What to write instead.
    pub way_out: Option<String>,
}

impl UsageError {
    /// A fault that explains itself.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), way_out: None }
    }

    /// The same fault with the way out.
    #[must_use]
    pub fn with_way_out(mut self, way_out: impl Into<String>) -> Self {
        self.way_out = Some(way_out.into());
        self
    }
}

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.way_out {
            Some(way_out) => write!(f, "\n{way_out}"),
            None => Ok(()),
        }
    }
}
