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
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;

use anyhow::anyhow;
use jiff::Timestamp;

use self::shared::{Progress, Shared, Stages};
use self::slots::Slots;
use self::stage::Standing;
use crate::bases::BaseImage;
use crate::containerfile::{Containerfile, Rules};
use crate::engine::{Engine, KeptContainers, Listing};
use crate::event::{BuildFailure, Event};
use crate::image::{ComposedImage, ImageFormat, ImageId, StoredImage};
use crate::key::StepKey;
use crate::plan::Plan;
use crate::prepare::{PreparedStage, PreparedStep};
use crate::process;
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
    /// The resolved images, by the name that they were asked for and the platform that the stage has of its own.
    pub images: &'a (dyn Fn(&str, Option<&str>) -> anyhow::Result<BaseImage> + Sync),
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
    /// Further flags for the call of a stage that is nothing but a FROM.
    pub base_flags: Vec<OsString>,
    /// `--env`, for the calls that get it.
    pub env_flags: Vec<OsString>,
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
    /// Whether a step waits for another build that runs the same one.
    pub waits: bool,
    /// Whether the layer of a COPY may be made of that of last time.
    pub patch_layers: bool,
    /// Which working containers stay.
    pub kept_containers: KeptContainers,
    /// What makes the mark of a call, by which its working container is known.
    pub mark_of_call: &'a (dyn Fn() -> String + Sync),
    /// Whether images went from the storage before, in this build.
    pub loses: bool,
    /// Where step Containerfiles lie.
    pub scratch: &'a Path,
}

/// What was done of a build before steps had to be decided again.
#[derive(Debug, Default)]
pub struct Done {
    /// The stages that are finished.
    pub stages: BTreeMap<usize, Arc<StageOutcome>>,
    /// Stages that go on behind their first steps.
    pub begun: BTreeMap<usize, Begun>,
}

/// A stage of which the first steps are over.
#[derive(Debug)]
pub struct Begun {
    /// How many.
    pub over: usize,
    standing: Standing,
    built: Vec<u8>,
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
    /// Images that were not there before.
    pub made: BTreeSet<ImageId>,
    /// Whether one of them went at once, and was made again.
    pub lost: bool,
    /// Whether layers went on which an image was to stand.
    pub gone: bool,
    /// Stages that stopped in front of a step that the plan leaves for later.
    pub begun: BTreeMap<usize, Begun>,
}

impl Executed {
    /// How many steps of each stage are over; of a finished one all that there can be.
    pub fn over(&self) -> BTreeMap<usize, usize> {
        let begun = self.begun.iter().map(|(index, begun)| (*index, begun.over));
        begun.chain(self.stages.keys().map(|index| (*index, usize::MAX))).collect()
    }
}

/// What a run of the plan leaves in the storage beside the stages, to be added to that of the next one.
#[derive(Debug)]
pub struct Traces {
    leftover_names: Vec<String>,
    passing: Vec<ImageId>,
    made: BTreeSet<ImageId>,
    lost: bool,
}

impl Traces {
    /// Takes them.
    pub fn of(executed: &mut Executed) -> Self {
        Self {
            leftover_names: std::mem::take(&mut executed.leftover_names),
            passing: std::mem::take(&mut executed.passing),
            made: std::mem::take(&mut executed.made),
            lost: executed.lost,
        }
    }

    /// Adds them to what came after.
    pub fn add_to(self, executed: &mut Executed) {
        executed.leftover_names.extend(self.leftover_names);
        executed.passing.extend(self.passing);
        executed.lost |= self.lost;
        // Of what is gone by now the second run made anew what it needed.
        executed.made.extend(self.made.into_iter().filter(|id| executed.listing.contains(id)));
    }
}

/// Runs the build, as far as the plan goes.
pub fn execute(
    execution: &Execution<'_>,
    mut done: Done,
    listing: Listing,
    events: SyncSender<Event>,
) -> Executed {
    process::steps_may_start();
    let is_done = |index: &usize| done.stages.contains_key(index);
    let progress = |&index: &usize| match done.stages.get(&index) {
        Some(outcome) => (index, Progress::Done(outcome.clone())),
        None => (index, Progress::Pending),
    };
    let shared = Shared {
        execution,
        events,
        slots: Slots::new(execution.jobs, ahead::ways(execution.prepared, execution.plan)),
        stages: Mutex::new(Stages {
            progress: execution.prepared.keys().map(progress).collect(),
            waiting: BTreeMap::new(),
        }),
        changed: Condvar::new(),
        turns: Mutex::new(turns(execution, &done)),
        turned: Condvar::new(),
        listing: Mutex::new(listing),
        stop: AtomicBool::new(false),
        failure: Mutex::new(None),
        leftover: Mutex::new(Vec::new()),
        passing: Mutex::new(Vec::new()),
        made: Mutex::new(BTreeSet::new()),
        lost: AtomicBool::new(execution.loses),
        gone: AtomicBool::new(false),
        begun: Mutex::new(BTreeMap::new()),
    };
    done.stages.keys().for_each(|&index| shared.slots.waits(index));
    thread::scope(|scope| {
        for (&index, stage) in execution.prepared.iter().filter(|(index, _)| !is_done(index)) {
            let shared = &shared;
            let begun = done.begun.remove(&index);
            let worker = move || shared.run_stage(index, stage, begun);
            let spawned = thread::Builder::new()
                .name(format!("stage {}", stage.stage.name.replace('\0', "?")))
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
        made: shared.made.into_inner().unwrap_or_else(PoisonError::into_inner),
        lost: shared.lost.into_inner(),
        gone: shared.gone.into_inner(),
        begun: shared.begun.into_inner().unwrap_or_else(PoisonError::into_inner),
    }
}

/// The locks that a step holds alone among the steps of this build: its own, and one for each step that it has to follow
/// or that has to follow it.
fn locks(execution: &Execution<'_>, step: (usize, usize)) -> BTreeSet<String> {
    let mut locks = execution.prepared[&step.0].steps[step.1].exclusive.clone();
    let pairs = execution.plan.order.pairs.iter();
    locks.extend(pairs.filter(|(a, b)| *a == step || *b == step).map(|pair| format!("order {pair:?}")));
    locks
}

/// Who has to wait for whom: the steps that may run, by the locks that they hold alone.
fn turns(execution: &Execution<'_>, done: &Done) -> BTreeMap<String, BTreeSet<(usize, usize)>> {
    let mut turns: BTreeMap<String, BTreeSet<(usize, usize)>> = BTreeMap::new();
    for (&index, stage) in execution.prepared {
        let over = match done.stages.contains_key(&index) {
            true => usize::MAX,
            false => done.begun.get(&index).map_or(0, |begun| begun.over),
        };
        for n in over..stage.steps.len() {
            if !execution.plan.stages[&index].steps[n].verdict.is_hit() {
                for lock in locks(execution, (index, n)) {
                    turns.entry(lock).or_default().insert((index, n));
                }
            }
        }
    }
    turns
}
