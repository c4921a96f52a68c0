//! Gathers what each step of each stage hangs on: expansion, files of the context, flags.
//!
//! Reads the context and the configs of base images; runs nothing. What is known of earlier builds, and so
//! whether a step runs, is `plan`'s work.

mod sources;
mod stage;
mod step;

pub use step::OF_EVERY_STAGE;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use anyhow::anyhow;

use self::stage::Preparer;
use crate::bases::BaseImage;
use crate::containerfile::{BuildArgs, Containerfile, FileStages, Instruction, Scope};
use crate::context::{ContextPart, ContextReader, CopiedTree};
use crate::graph::{Origin, ReferenceKind, Stage, StageGraph};
use crate::heredoc::WithoutHeredocs;
use crate::host::HostAccess;
use crate::image::{ImageFormat, ImageId};
use crate::key::{Parent, StepInputs};
use crate::record::InputRecord;
use crate::render::{Rename, ScopedArg};

/// One instruction of a stage as it is built.
#[derive(Debug, Clone)]
pub struct BodyItem {
    /// The instruction.
    pub instruction: Instruction,
    /// Its bytes.
    pub text: Vec<u8>,
    /// Where it stands.
    pub place: Place,
}

/// Where an instruction of a stage comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The file, by its index in the stage's body.
    File(usize),
    /// An ONBUILD trigger of the base.
    Trigger,
    /// A flag of the command line (`--label`, `--env`).
    Flag,
}

/// A source of a step that lies in another stage or in an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Foreign {
    /// Which of the step's sources.
    pub source: usize,
    /// Where it lies.
    pub origin: Origin,
    /// The paths.
    pub paths: Vec<String>,
}

/// A name that a step refers to, and how the engine gets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedInput {
    /// The name of the build context.
    pub context: String,
    /// What it stands for.
    pub origin: Origin,
    /// It has to be a stage of the step's own file.
    pub as_stage: bool,
}

/// A part of a folder on this machine that a step takes: the step's key holds only as long as it stays as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FolderRead {
    /// The build context of that name; nothing for the build's own.
    pub named: Option<String>,
    /// The folder.
    pub root: PathBuf,
    /// What the step takes of it.
    pub part: ContextPart,
    /// The digest in the step's key; nothing where nothing was there.
    pub digest: Option<String>,
}

/// One step, ready to be keyed and called.
#[derive(Debug, Clone)]
pub struct PreparedStep {
    /// Its instructions, by index into the stage's body.
    pub items: Vec<usize>,
    /// First and last line.
    pub lines: (usize, usize),
    /// Its last instruction, as the history has it.
    pub title: String,
    /// What it hangs on; the parent is filled in by `plan`.
    pub inputs: StepInputs,
    /// Sources outside the context.
    pub foreign: Vec<Foreign>,
    /// Names that the engine needs contexts for.
    pub named: Vec<NamedInput>,
    /// Names to be rewritten.
    pub renames: Vec<Rename>,
    /// Its instructions with heredocs, by index into the stage's body, as an engine gets them that has none.
    pub without_heredocs: BTreeMap<usize, WithoutHeredocs>,
    /// Why it cannot be keyed.
    pub always: Option<String>,
    /// What it reads of this machine, and what it may write there.
    pub host: HostAccess,
    /// What it takes and what is not there yet, though a step before it may still write it.
    pub unread: Option<Unread>,
    /// Locks that it holds alone while it runs.
    pub exclusive: BTreeSet<String>,
    /// Whether it reads the build context.
    pub uses_context: bool,
    /// What it takes of folders on this machine.
    pub reads: Vec<FolderRead>,
    /// What it takes of servers, with what told those bytes from others when the step was keyed.
    pub remotes: Vec<(String, String)>,
    /// Whether it has a RUN.
    pub runs: bool,
    /// Whether a RUN mounts what the engine keeps between builds (`type=cache`).
    pub mounts_cache: bool,
    /// The working directory that the image has to bring, because the engine must not carry out the WORKDIRs.
    pub workdir: Option<String>,
    /// Whether each of its instructions is committed by itself.
    pub in_layers: bool,
    /// Whether `--env` is for its call.
    pub gets_env: bool,
    /// Variables that the image has to bring, or to lack, because the call before was to leave another value.
    pub variables: BTreeMap<String, Option<String>>,
    /// ARGs to be declared again.
    pub args: Vec<ScopedArg>,
    /// Values that travel with the call.
    pub build_args: Vec<(String, String)>,
    /// The SHELL to be declared again.
    pub shell: Option<Vec<String>>,
    /// For each bind mount of a RUN, in order, whether it comes from a stage; by index into the stage's body.
    pub mounts_of_stages: BTreeMap<usize, Vec<bool>>,
    /// Where its bytes come from, for the record.
    pub record: Vec<InputRecord>,
}

/// A source that is not there when a build is planned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unread {
    /// The instruction that takes it.
    pub title: String,
    /// What is wrong where nothing writes it; nothing where the engine goes on without it.
    pub problem: Option<String>,
}

/// One stage, ready to be planned.
#[derive(Debug, Clone)]
pub struct PreparedStage {
    /// The stage as the graph has it.
    pub stage: Stage,
    /// All its instructions: the base's triggers, the file's, those of flags.
    pub body: Vec<BodyItem>,
    /// The base, where it is an image.
    pub base: Option<BaseImage>,
    /// The folder or archive that the base is read from.
    pub base_reads: BTreeSet<PathBuf>,
    /// The ONBUILD triggers of the base.
    pub triggers: usize,
    /// The variables in front of each instruction, and behind the last.
    pub scopes: Vec<Scope>,
    /// The names that each instruction declares as ARGs.
    pub arg_names: Vec<Vec<String>>,
    /// One layer an instruction; else the stage is one call.
    pub layers: bool,
    /// What `--label` leaves in its image without an instruction.
    pub labels: Vec<(String, String)>,
    /// What `--env` leaves in its image, where the engine sets it when it commits.
    pub given_env: Vec<(String, String)>,
    /// The steps.
    pub steps: Vec<PreparedStep>,
    /// The tail: its instructions, by index into the body.
    pub tail: Vec<usize>,
    /// What the tail hangs on.
    pub tail_inputs: StepInputs,
    /// Whether the user names the platform that the build's images are for.
    pub platform_given: bool,
}

/// What all stages of a build share.
pub struct Common<'a> {
    /// The file.
    pub file: &'a Containerfile,
    /// Its stages as read.
    pub read: &'a FileStages<'a>,
    /// The heading's scope.
    pub heading: &'a Scope,
    /// The build context; nothing where there is none.
    pub context: Option<&'a ContextReader>,
    /// Contexts by name that are folders.
    pub named_contexts: &'a BTreeMap<String, ContextReader>,
    /// Contexts by name whose folder is not there.
    pub absent_contexts: &'a BTreeMap<String, PathBuf>,
    /// OCI or docker.
    pub image_format: ImageFormat,
    /// `--layers`.
    pub layers: bool,
    /// Build the target in one call by itself, because a flag asks for what only the engine can do with a stage.
    pub target_in_one_call: bool,
    /// The platform, for the key.
    pub platform: String,
    /// Whether the user names it.
    pub platform_given: bool,
    /// Flags that can change a result.
    pub key_flags: BTreeMap<String, Vec<String>>,
    /// Flags that concern the target alone.
    pub target_flags: BTreeMap<String, Vec<String>>,
    /// `--stage-labels`: a stage that is one call is built with its labels in it.
    pub stage_labels: bool,
    /// `--env` as an ENV instruction, which stands first in each stage.
    pub env_instruction: Option<String>,
    /// `--env` as `NAME=value`, where the engine sets the variables when it commits.
    pub given_env: Vec<String>,
    /// `--label` of the target, as LABEL instructions.
    pub target_labels: Vec<String>,
    /// `--label` where the engine adds the instructions to the file's last stage, and sets the labels when it commits
    /// (before 1.30).
    pub labels_of_commits: Vec<(String, String)>,
    /// What tells the bytes behind an address from other bytes.
    pub remote: &'a dyn Fn(&str) -> anyhow::Result<String>,
    /// The ids that `--secret` gives.
    pub secrets: &'a BTreeSet<String>,
    /// The ids that `--ssh` gives.
    pub ssh: &'a BTreeSet<String>,
}

/// Stages that are ready to be planned, and those that cannot be told yet.
#[derive(Debug, Default)]
pub struct Prepared {
    /// By index.
    pub stages: BTreeMap<usize, PreparedStage>,
    /// Stages whose base, or the stage that they need, may still be made by a step before them.
    pub unknown: BTreeMap<usize, Unknown>,
}

/// A stage that cannot be told yet.
#[derive(Debug)]
pub struct Unknown {
    /// What is wrong, where nothing makes its base.
    pub problem: anyhow::Error,
    /// The folder or archive that its base is read from.
    pub reads: BTreeSet<PathBuf>,
}

/// Prepares all stages that are built, in the order of the file.
///
/// `base_of` gives the image of a stage's base and of other names. Of `before`, what was prepared earlier in this build,
/// the steps that are `over` stay as they are, with the keys of the world in which they ran.
///
/// # Errors
/// When something cannot be expanded, a source matches nothing, or a file cannot be read.
pub fn prepare(
    graph: &StageGraph,
    common: &Common<'_>,
    image_of: &dyn Fn(&str, Option<&str>) -> anyhow::Result<BaseImage>,
    keep_tree: &dyn Fn(&CopiedTree) -> anyhow::Result<String>,
    before: &BTreeMap<usize, PreparedStage>,
    over: &BTreeMap<usize, usize>,
) -> anyhow::Result<Prepared> {
    let mut prepared = Prepared::default();
    let mut declarations: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    let mut written = BTreeSet::new();
    for stage in graph.built() {
        let file_stage = &common.read.stages[stage.index];
        let inherited = match stage.base {
            Origin::Stage(index) => declarations.get(&index).cloned().unwrap_or_default(),
            _ => Vec::new(),
        };
        let own = common
            .heading
            .inheritable(file_stage, &inherited)
            .map_err(|e| anyhow!("stage {}: {e}", stage.name))?;
        declarations.insert(stage.index, own);
        let needed = stage.needs();
        if let Some(other) = needed.iter().find(|index| prepared.unknown.contains_key(index)) {
            let problem = anyhow!("it needs stage {}", graph.stages[*other].name);
            prepared.unknown.insert(stage.index, Unknown { problem, reads: BTreeSet::new() });
            continue;
        }
        let over = over.get(&stage.index).copied().unwrap_or_default();
        let kept = before.get(&stage.index).filter(|_| over > 0);
        let preparer = Preparer {
            graph,
            common,
            image_of,
            keep_tree,
            done: &prepared.stages,
            inherited: &inherited,
            written: &written,
            anything_may_be_written: !prepared.unknown.is_empty(),
        };
        match preparer.stage(stage, kept.map(|stage| (stage, over))) {
            Ok(result) => {
                written.extend(result.steps.iter().flat_map(|step| step.host.writes.clone()));
                prepared.stages.insert(stage.index, result);
            }
            Err(problem) if preparer.base_may_be_written(stage) => {
                let reads = stage::base_path(stage).into_iter().collect();
                prepared.unknown.insert(stage.index, Unknown { problem, reads });
            }
            Err(error) => return Err(error),
        }
    }
    Ok(prepared)
}

/// The platform arguments of a build.
pub fn build_args(
    values: BTreeMap<String, String>,
    target: &str,
    explicit: bool,
    host: &str,
) -> Option<BuildArgs> {
    Some(BuildArgs {
        values,
        target: crate::containerfile::Platform::parse(target)?,
        target_is_explicit: explicit,
        build: crate::containerfile::Platform::parse(host)?,
    })
}

/// The images that the stages' instructions name, beside the bases.
pub fn images_named(graph: &StageGraph) -> BTreeSet<(String, Option<String>)> {
    let mut names = BTreeSet::new();
    for stage in graph.built() {
        let references =
            stage.references.iter().filter(|r| matches!(r.kind, ReferenceKind::Copy | ReferenceKind::Mount));
        for origin in references.map(|reference| &reference.origin).chain([&stage.base]) {
            if let Origin::Image(name) = origin {
                // `FROM --platform` counts for all images that the stage names (1.28, 1.39, 1.43).
                names.insert((name.clone(), stage.platform.clone()));
            }
        }
    }
    names
}

/// The id that stands for an image in a key.
pub fn parent_of_image(id: &ImageId) -> Parent {
    Parent::Image(id.clone())
}
