//! The record of a build: what was asked, what was decided, what came out.
//!
//! A documented, versioned schema (`contrib/schema/build-record.schema.json`). Plain data; `store` keeps it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::address::masked;
use crate::image::ImageId;
use crate::key::StepKey;
use crate::verdict::Verdict;

/// The version of the schema: raised when a field changes its meaning or goes.
pub const SCHEMA: u32 = 1;

/// How a build stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BuildStatus {
    /// It runs, or its process died without a word.
    Running,
    /// It succeeded.
    Succeeded,
    /// It failed.
    Failed,
    /// The user stopped it.
    Interrupted,
}

impl BuildStatus {
    /// The word in records and tables.
    pub fn word(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Interrupted => "interrupted",
        }
    }
}

/// One build.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BuildRecord {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The build's UUID (version 7: sorts by time).
    pub build_id: String,
    /// How it stands.
    pub status: BuildStatus,
    /// When it started, RFC 3339.
    pub started: String,
    /// When it ended, RFC 3339.
    pub ended: Option<String>,
    /// The process that builds, while it runs.
    pub pid: u32,
    /// Why it failed.
    pub error: Option<String>,
    /// This program's version.
    pub tool: String,
    /// The engine.
    pub engine: EngineRecord,
    /// What was built from what.
    pub request: RequestRecord,
    /// The platform.
    pub platform: String,
    /// The target's image.
    pub result: Option<ResultRecord>,
    /// All stages of the file.
    pub stages: Vec<StageRecord>,
}

impl StageRecord {
    /// All images of the stage.
    pub fn images(&self) -> impl Iterator<Item = &ImageId> {
        let steps = self.steps.iter().filter_map(|step| step.image.as_ref());
        self.image.iter().chain(&self.tip).chain(steps)
    }
}

impl BuildRecord {
    /// The build has failed.
    pub fn fail(&mut self, error: &str, interrupted: bool) {
        self.status = if interrupted { BuildStatus::Interrupted } else { BuildStatus::Failed };
        self.ended = Some(Timestamp::now().to_string());
        self.error = Some(masked(error));
    }

    /// The last 12 digits of the id: the first ones are the time, which builds of one minute share.
    pub fn short_id(&self) -> &str {
        short_id(&self.build_id)
    }

    /// How long it took, in milliseconds, once it is over.
    pub fn duration_ms(&self) -> Option<u64> {
        let started: jiff::Timestamp = self.started.parse().ok()?;
        let ended: jiff::Timestamp = self.ended.as_ref()?.parse().ok()?;
        u64::try_from(ended.duration_since(started).as_millis()).ok()
    }

    /// Its stage of that name, else at that position.
    pub fn stage(&self, name: &str) -> Option<&StageRecord> {
        let named = self.stages.iter().rfind(|stage| stage.name == name);
        named.or_else(|| self.stages.get(name.parse::<usize>().ok()?))
    }
}

/// The last 12 digits of a build's id.
pub fn short_id(build_id: &str) -> &str {
    let from = build_id.len().saturating_sub(12);
    build_id.get(from..).unwrap_or(build_id)
}

/// The engine of a build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineRecord {
    /// `buildah` or `podman`.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The version of the buildah that builds.
    pub buildah: String,
    /// The storage driver.
    pub driver: String,
    /// The root of the storage.
    pub graph_root: String,
}

/// What the user asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestRecord {
    /// The Containerfile's path, absolute.
    pub containerfile: String,
    /// The digest of its bytes, `sha256:…`.
    pub containerfile_digest: String,
    /// The digest of what was really built: the steps' Containerfiles and the injected labels.
    pub built_digest: String,
    /// The context's path, absolute.
    pub context: String,
    /// The ignore file.
    pub ignore_file: Option<String>,
    /// `--target` as given.
    pub target: Option<String>,
    /// One layer an instruction, or one for a stage.
    pub layers: bool,
    /// Names of the target's image.
    pub names: Vec<String>,
    /// Build arguments by name, their values as digests under a key of the state folder, `blake3:…`.
    pub args: BTreeMap<String, String>,
    /// Values of those arguments that the user calls public.
    pub public_args: BTreeMap<String, String>,
}

/// The target's image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResultRecord {
    /// Its id.
    pub image: ImageId,
    /// The digest of its manifest.
    pub digest: String,
    /// The names it was given.
    pub names: Vec<String>,
    /// Its layers.
    pub diff_ids: Vec<String>,
}

/// How a stage came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StageStatus {
    /// The target does not need it.
    Skipped,
    /// Not begun, or not finished.
    Pending,
    /// At least one step ran.
    Built,
    /// Nothing ran.
    Cached,
    /// It is a FROM and nothing else.
    FromOnly,
    /// A step failed.
    Failed,
}

impl StageStatus {
    /// The word in records and tables.
    pub fn word(self) -> &'static str {
        match self {
            Self::Skipped => "skipped",
            Self::Pending => "pending",
            Self::Built => "built",
            Self::Cached => "cached",
            Self::FromOnly => "from-only",
            Self::Failed => "failed",
        }
    }
}

/// One stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StageRecord {
    /// Its position in the file, from 0.
    pub index: usize,
    /// What the label says: the alias, or the position.
    pub name: String,
    /// The alias as written.
    pub alias: Option<String>,
    /// First and last line.
    pub lines: (usize, usize),
    /// Its base.
    pub base: BaseRecord,
    /// How it came about.
    pub status: StageStatus,
    /// The key of its last step.
    pub key: Option<StepKey>,
    /// The labelled image.
    pub image: Option<ImageId>,
    /// The image before the label; what other stages stand on.
    pub tip: Option<ImageId>,
    /// The name that the labelled image has from us.
    pub image_name: Option<String>,
    /// The layers that the stage adds.
    pub diff_ids: Vec<String>,
    /// Its steps.
    pub steps: Vec<StepRecord>,
    /// Where its bytes come from.
    pub inputs: Vec<InputRecord>,
}

/// The base of a stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BaseRecord {
    /// `image`, `stage` or `scratch`.
    pub kind: String,
    /// As written.
    pub written: String,
    /// With ARGs expanded.
    pub expanded: String,
    /// `repository@digest` of an image.
    pub canonical: Option<String>,
    /// The image id.
    pub image: Option<ImageId>,
    /// The stage's position, for a stage.
    pub stage: Option<usize>,
    /// The image at the bottom of chained stages, `repository@digest` or `scratch`.
    pub root: Option<String>,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepRecord {
    /// Its position in the stage, from 0.
    pub index: usize,
    /// First and last line.
    pub lines: (usize, usize),
    /// Its last instruction, as in the history.
    pub instruction: String,
    /// Its key.
    pub key: Option<StepKey>,
    /// Why it ran, or that it did not.
    pub verdict: Option<Verdict>,
    /// When it started, RFC 3339; nothing for a hit.
    pub started: Option<String>,
    /// How long it ran, in milliseconds.
    pub duration_ms: Option<u64>,
    /// The image it left.
    pub image: Option<ImageId>,
    /// The file with what it printed, below the state folder of the storage; nothing for a hit.
    #[serde(default)]
    pub log: Option<String>,
}

/// A source of an instruction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputRecord {
    /// The instruction's line.
    pub line: usize,
    /// `COPY`, `ADD` or `mount`.
    pub kind: String,
    /// `context`, `stage <name>`, `image <name>`, or a URL.
    pub from: String,
    /// The sources, expanded.
    pub sources: Vec<String>,
    /// The destination, absolute.
    pub destination: String,
    /// What is known of the content.
    pub digest: Option<String>,
}

#[cfg(test)]
mod schema_tests;
