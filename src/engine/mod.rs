//! The installed buildah or podman: what it can do, and the few things we ask of it.
//!
//! Everything engine-specific lives below this module. Nothing that an engine prints is parsed for meaning:
//! ids come from `--iidfile`, images from the storage's index. What to build is decided elsewhere.

mod argv;
mod cli;
mod commit;
mod copied;
pub mod layer;
pub mod layers;
mod own_lines;
mod probe;
mod remains;
pub mod steering;
pub mod storage;
pub mod temporary;

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use argv::{flag, ignore_file_to_name, marked, new_mark};
pub use cli::CliEngine;
pub use commit::policy_for;
pub use layer::LayerSource;
pub use layers::Layers;
pub use probe::{Probed, build_help, find, is_remote, probe};
pub use storage::{ListedImage, Listing};

pub use crate::flags::EngineKind;
use crate::image::{ComposedImage, ImageId, StoredImage};
use crate::process::OutputLine;

/// A version, its three numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Version(pub u32, pub u32, pub u32);

impl Version {
    /// Reads `1.28.2`, `1.39.3-dev`, `v5.4`.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim().trim_start_matches('v');
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let mut numbers = text[..end].split('.').map(str::parse);
        let mut next = || numbers.next().map_or(Some(0), Result::ok);
        let version = Self(next()?, next()?, next()?);
        (version != Self(0, 0, 0)).then_some(version)
    }
}

impl Version {
    /// The release, as flags are dated.
    pub fn release(self) -> crate::flags::Version {
        crate::flags::Version::new(self.0, self.1)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

/// Which working containers stay, as the user asks for with `--rm=false` and `--force-rm=false`. The engines keep them in
/// layers alone: a stage that is one commit leaves none (1.28, 1.39, 1.43, podman 4.3, 5.4, 5.8).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct KeptContainers {
    /// Those of instructions that succeed, but for the last of each stage.
    pub of_all: bool,
    /// That of the last instruction of each stage that ran: where all are kept, or where it failed.
    pub of_last: bool,
}

/// One `build` call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepCall {
    /// The Containerfile of this call.
    pub containerfile: PathBuf,
    /// The build context (an empty folder when the call needs none).
    pub context: PathBuf,
    /// The ignore file that holds for the context.
    pub ignore_file: Option<PathBuf>,
    /// `--layers`: a commit an instruction; else one layer for all.
    pub layers: bool,
    /// Names for the result.
    pub names: Vec<String>,
    /// `NAME=VALUE` of `--build-context`, in order.
    pub build_contexts: Vec<(String, String)>,
    /// Values of ARGs.
    pub build_args: Vec<(String, String)>,
    /// The user's flags that belong on this call, each as one token.
    pub flags: Vec<OsString>,
    /// Where the engine writes the id of the result.
    pub iidfile: PathBuf,
    /// Where the engine puts its temporary files: gone with the build, also when a call is ended early. Nothing where they
    /// belong where the user has them ([`temporary::can_lie_elsewhere`]).
    pub temporary: Option<PathBuf>,
    /// Which of its working containers stay.
    pub kept: KeptContainers,
    /// By what the call's working container is known, should it leave one: no other call's.
    pub mark: String,
    /// What the call reads from standard input (`--stdin` hands ours on).
    pub stdin: Option<()>,
}

/// An image asked for by name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ImageRequest {
    /// The name as the Containerfile has it, expanded.
    pub name: String,
    /// `os/arch[/variant]` where the user asks for one.
    pub platform: Option<String>,
    /// Registry flags (`--authfile=…`), each as one token.
    pub flags: Vec<OsString>,
}

/// What copied sources of an image amount to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopiedRequest {
    /// The image they come from.
    pub image: ImageId,
    /// Paths and globs, expanded, relative to the image's root.
    pub sources: Vec<String>,
}

/// Why an engine call failed.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The program could not be started.
    #[error("cannot run `{program}`: {source}")]
    Start {
        /// The program.
        program: String,
        /// The system's reason.
        source: std::io::Error,
    },
    /// It ran and failed.
    #[error("`{program} {verb}` failed with exit status {code}{}", if stderr.is_empty() { String::new() } else { format!(": {stderr}") })]
    Failed {
        /// The program.
        program: String,
        /// What was asked of it.
        verb: &'static str,
        /// Its exit code; 128 + n for signal n.
        code: i32,
        /// The end of what it said.
        stderr: String,
    },
    /// The user stopped the build.
    #[error("interrupted")]
    Interrupted,
    /// It succeeded and left something that cannot be used.
    #[error("`{program} {verb}`: {problem}")]
    Result {
        /// The program.
        program: String,
        /// What was asked of it.
        verb: &'static str,
        /// What is wrong with the result.
        problem: String,
    },
}

/// What the storage library says where an image, layer or container is gone that it has just made or found (errors.go of
/// containers/storage, the same in 1.28 to 1.43).
const GONE: [&str; 4] = ["image not known", "layer not known", "container not known", "identifier is not a"];

impl EngineError {
    /// Whether a call may have failed because somebody took an image away that it was at work on: worth another attempt, and
    /// nothing else hangs on it.
    pub fn tells_a_loss(&self) -> bool {
        matches!(self, Self::Failed { code: 125, stderr, .. } if GONE.iter().any(|text| stderr.contains(text)))
    }
}

/// The engine, as the rest of the program sees it.
pub trait Engine: Send + Sync {
    /// Who it is and where its storage lies.
    fn probed(&self) -> &Probed;

    /// The global flags (`--root=…`) that each call gets.
    fn globals(&self) -> &[OsString] {
        &[]
    }

    /// Runs one `build` call; each line of its output goes to `output`.
    ///
    /// # Errors
    /// When the call fails; its exit code is in the error.
    fn build(&self, call: &StepCall, output: &mut dyn FnMut(OutputLine)) -> Result<ImageId, EngineError>;

    /// Lists the storage.
    ///
    /// # Errors
    /// When its index cannot be read.
    fn list(&self) -> anyhow::Result<Listing>;

    /// The layers of the storage with their sizes; none where the engine cannot tell.
    ///
    /// # Errors
    /// When the storage's index of layers cannot be read.
    fn layers(&self) -> anyhow::Result<Layers> {
        Ok(Layers::default())
    }

    /// Manifest and config of an image.
    ///
    /// # Errors
    /// When it is not there.
    fn image(&self, id: &ImageId) -> anyhow::Result<StoredImage>;

    /// Whether the storage has these layers on each other, lowest first.
    fn has_layers(&self, diff_ids: &[String]) -> bool;

    /// The image that a name stands for in the storage, short names resolved as the engine does; else what the engine
    /// says of it.
    ///
    /// # Errors
    /// When the engine cannot be run.
    fn resolve_local(&self, name: &str) -> Result<Result<ImageId, String>, EngineError>;

    /// Pulls an image.
    ///
    /// # Errors
    /// When it cannot be had.
    fn pull(&self, request: &ImageRequest) -> Result<ImageId, EngineError>;

    /// Commits a config over layers that are in the storage, under a name where one is given.
    ///
    /// # Errors
    /// When the engine refuses it (a policy, layers that are gone).
    fn commit_config(&self, image: &ComposedImage, name: Option<&str>) -> Result<ImageId, EngineError>;

    /// The topmost layer of an image; nothing where it cannot be read as it lies in the storage.
    fn top_layer(&self, _image: &ListedImage) -> Option<LayerSource> {
        None
    }

    /// Commits an image of which the storage has all layers but the last, which is this file (it may be moved).
    ///
    /// # Errors
    /// When the engine refuses it (a policy, layers that are gone).
    fn commit_layer(&self, image: &ComposedImage, layer: &Path) -> Result<ImageId, EngineError>;

    /// Gives an image names.
    ///
    /// # Errors
    /// When the image is gone or a name is not valid.
    fn tag(&self, id: &ImageId, names: &[String]) -> Result<(), EngineError>;

    /// Removes names or images (see the warning in `argv::remove`).
    ///
    /// # Errors
    /// When one of them cannot be removed.
    fn remove(&self, names: &[String]) -> Result<(), EngineError>;

    /// The digest of the bytes that these sources of an image amount to; `None` where it cannot be had cheaply
    /// and surely.
    fn copied(&self, request: &CopiedRequest) -> Option<String>;

    /// Hands a whole command line to the engine, shows nothing of what it prints, and gives its standard output.
    ///
    /// # Errors
    /// When it cannot be run or fails.
    fn quietly(&self, verb: &'static str, args: &[OsString]) -> Result<String, EngineError>;

    /// Removes the working containers that the call with this mark left behind, or all calls whose mark begins with it.
    ///
    /// # Errors
    /// When the engine cannot be run.
    fn sweep(&self, mark: &str) -> Result<(), EngineError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_with_and_without_their_decorations() {
        for (text, expected) in [
            ("1.28.2", Some(Version(1, 28, 2))),
            ("v5.4", Some(Version(5, 4, 0))),
            ("1.45.0-dev", Some(Version(1, 45, 0))),
            ("", None),
            ("dev", None),
        ] {
            assert_eq!(Version::parse(text), expected, "{text}");
        }
        assert!(Version(1, 28, 2) < Version(1, 33, 0));
    }
}
