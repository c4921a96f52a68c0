//! Runs what the plan says has to run: steps as soon as what they stand on is there, independent ones at once.
//!
//! A thread a stage, a limited number of engine calls at a time. A stage waits for another one only in front of
//! the step that needs it. What an engine call left is kept before anything stands on it, so a build that
//! fails loses nothing that was finished. Decides nothing but what `plan` had to leave open, and sends
//! [`Event`]s; who shows or records them is the caller's business.

mod ahead;
mod call;
mod images;
mod patched;
mod shared;
mod slots;
mod stage;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;

use anyhow::anyhow;
use jiff::Timestamp;

use self::shared::{Progress, Shared, Stages};
use self::slots::Slots;
use crate::bases::BaseImage;
use crate::containerfile::{Containerfile, Rules};
use crate::engine::{Engine, Listing};
use crate::event::{BuildFailure, Event};
use crate::image::{ComposedImage, ImageFormat, ImageId, StoredImage};
use crate::key::StepKey;
use crate::plan::Plan;
use crate::prepare::{PreparedStage, PreparedStep};
use crate::step_text::Labelling;
use crate::store::{Edition, Store};
use crate::tip::TipFlags;

/// Everything that a build's stages share while they run.
pub struct Execution<'a> {
    /// The engine.
    pub engine: &'a dyn Engine,
    /// What is kept between builds.
    pub store: &'a Store,
    /// The file.
    pub file: &'a Containerfile,
    /// The stages.
    pub prepared: &'a BTreeMap<usize, PreparedStage>,
    /// The decisions.
    pub plan: &'a Plan,
    /// The target's index.
    pub target: usize,
    /// The resolved images, by the name they were asked for.
    pub images: &'a (dyn Fn(&str) -> anyhow::Result<BaseImage> + Sync),
    /// How many engine calls at a time.
    pub jobs: usize,
    /// The build context.
    pub context: &'a Path,
    /// Whether what a step took of folders and servers is still what its key was made of.
    pub is_as_read: &'a (dyn Fn(&PreparedStep) -> bool + Sync),
    /// The ignore file that holds for it.
    pub ignore_file: Option<PathBuf>,
    /// `--build-context` values that are no images, by name.
    pub named_contexts: BTreeMap<String, String>,
    /// Flags for each step call.
    pub flags: Vec<OsString>,
    /// Further flags for the target's call, where that is one call.
    pub target_flags: Vec<OsString>,
    /// OCI or docker.
    pub format: ImageFormat,
    /// The engine's rules.
    pub rules: Rules,
    /// What flags say of the images of stages.
    pub tip_flags: TipFlags,
    /// What flags say of the target's image.
    pub target_tip_flags: TipFlags,
    /// Labels and names.
    pub labelling: Labelling,
    /// The build's UUID.
    pub build_id: String,
    /// When it was planned.
    pub started: Timestamp,
    /// Whether step calls read our standard input.
    pub stdin: bool,
    /// Whether the layer of a COPY may be made of that of last time.
    pub patch_layers: bool,
    /// Where step Containerfiles lie.
    pub scratch: &'a Path,
}

/// What a finished stage leaves.
#[derive(Debug, Clone)]
pub struct StageOutcome {
    /// What other stages stand on; in the storage when one of their steps runs, or when it has a name.
    pub tip: Arc<StoredImage>,
    /// An image with the tip's files: what other stages copy from.
    pub files: Option<ImageId>,
    /// Whether a step that stands on that image comes out as on the tip.
    pub stands_for_tip: bool,
    /// The labelled image.
    pub leaf: ImageId,
    /// The labelled image where it is still to be committed: the target's, which gets the user's names with it.
    pub to_commit: Option<ComposedImage>,
    /// The name of the leaf, or of what it stands on.
    pub name: Option<String>,
    /// The image that has that name.
    pub named: ImageId,
    /// The key of the stage by content.
    pub content_key: Option<StepKey>,
    /// The edition of its last step.
    pub edition: Edition,
    /// Whether a step of the stage, or of one below it, ran.
    pub ran: bool,
    /// Whether files changed under the build, so that no key by definition says what is in the stage.
    pub unkeyed: bool,
    /// The image at the bottom of the stage.
    pub root: Option<BaseImage>,
    /// The text of each step that was rendered, and of the label: what was really built.
    pub built: Vec<u8>,
}

/// What a build leaves.
#[derive(Debug)]
pub struct Executed {
    /// The stages that were finished.
    pub stages: BTreeMap<usize, Arc<StageOutcome>>,
    /// The storage's listing at the end.
    pub listing: Listing,
    /// The first failure.
    pub failure: Option<BuildFailure>,
    /// Names that finished stages had while they were in progress, which are to go: still on their last steps.
    pub leftover_names: Vec<String>,
    /// Images that nobody looks for again: made for a step to stand on, or replaced by the one that a stage leaves.
    pub passing: Vec<ImageId>,
}

/// Runs the build.
pub fn execute(execution: &Execution<'_>, listing: Listing, events: Sender<Event>) -> Executed {
    let mut turns: BTreeMap<String, BTreeSet<(usize, usize)>> = BTreeMap::new();
    for (&index, stage) in execution.prepared {
        for (n, step) in stage.steps.iter().enumerate() {
            if !execution.plan.stages[&index].steps[n].verdict.is_hit() {
                for lock in &step.exclusive {
                    turns.entry(lock.clone()).or_default().insert((index, n));
                }
            }
        }
    }
    let shared = Shared {
        execution,
        events,
        slots: Slots::new(execution.jobs, ahead::ways(execution.prepared, execution.plan)),
        stages: Mutex::new(Stages {
            progress: execution.prepared.keys().map(|&index| (index, Progress::Pending)).collect(),
            waiting: BTreeMap::new(),
        }),
        changed: Condvar::new(),
        turns: Mutex::new(turns),
        turned: Condvar::new(),
        listing: Mutex::new(listing),
        stop: AtomicBool::new(false),
        failure: Mutex::new(None),
        leftover: Mutex::new(Vec::new()),
        passing: Mutex::new(Vec::new()),
    };
    thread::scope(|scope| {
        for (&index, stage) in execution.prepared {
            let shared = &shared;
            let worker = move || shared.run_stage(index, stage);
            let spawned = thread::Builder::new()
                .name(format!("stage {}", stage.stage.name))
                .stack_size(1024 * 1024)
                .spawn_scoped(scope, worker);
            if let Err(error) = spawned {
                let stage = stage.stage.name.clone();
                shared
                    .fail(BuildFailure::Stage { stage, error: anyhow!(error).context("starting a thread") });
                shared.publish(index, Progress::Failed);
            }
        }
    });
    let stages = shared.stages.into_inner().unwrap_or_else(PoisonError::into_inner).progress;
    let stages = stages
        .into_iter()
        .filter_map(|(index, progress)| match progress {
            Progress::Done(outcome) => Some((index, outcome)),
            _ => None,
        })
        .collect();
    Executed {
        stages,
        listing: shared.listing.into_inner().unwrap_or_else(PoisonError::into_inner),
        failure: shared.failure.into_inner().unwrap_or_else(PoisonError::into_inner),
        leftover_names: shared.leftover.into_inner().unwrap_or_else(PoisonError::into_inner),
        passing: shared.passing.into_inner().unwrap_or_else(PoisonError::into_inner),
    }
}
