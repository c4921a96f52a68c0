//! Runs what the plan says has to run: steps as soon as what they stand on is there, independent ones at once.
//!
//! A thread a stage, a limited number of engine calls at a time. A stage waits for another one only in front of
//! the step that needs it. What an engine call left is kept before anything stands on it, so a build that
//! fails loses nothing that was finished. Decides nothing but what `plan` had to leave open, and sends
//! [`Event`]s; who shows or records them is the caller's business.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

use anyhow::{Context, anyhow};
use jiff::Timestamp;

use crate::bases::BaseImage;
use crate::containerfile::{Containerfile, Rules};
use crate::engine::{CopiedRequest, Engine, EngineError, ListedImage, Listing, StepCall};
use crate::event::{BuildFailure, Event};
use crate::graph::Origin;
use crate::image::{ComposedImage, ImageFormat, ImageId, StoredImage};
use crate::key::{Parent, StepKey};
use crate::names;
use crate::plan::{Plan, StepPlan, content_inputs};
use crate::prepare::{PreparedStage, PreparedStep};
use crate::process;
use crate::render::label_instruction;
use crate::step_text::{Labelling, Labels, step_text};
use crate::store::{Entry, Store};
use crate::tip::{self, Ground, TipFlags};
use crate::verdict::{FoundBy, Reason, Verdict};

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
    /// Whether step calls read our standard input.
    pub stdin: bool,
    /// Where step Containerfiles lie.
    pub scratch: &'a Path,
}

/// What a finished stage leaves.
#[derive(Debug, Clone)]
pub struct StageOutcome {
    /// What other stages stand on.
    pub tip: Arc<StoredImage>,
    /// The labelled image.
    pub leaf: ImageId,
    /// The name of leaf or tip.
    pub name: Option<String>,
    /// The image that has that name.
    pub named: ImageId,
    /// The key of the stage by content.
    pub content_key: Option<StepKey>,
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
    /// Names that a stage in progress had and that are to go.
    pub leftover_names: Vec<String>,
    /// Images that were made for a step to stand on and that nobody looks for again.
    pub passing: Vec<ImageId>,
}

enum Slot {
    Pending,
    Done(Arc<StageOutcome>),
    Failed,
}

struct Shared<'a> {
    execution: &'a Execution<'a>,
    events: Sender<Event>,
    slots: Mutex<BTreeMap<usize, Slot>>,
    changed: Condvar,
    free: Mutex<usize>,
    freed: Condvar,
    /// Steps that hold a lock alone, in the file's order, that are not over yet.
    turns: Mutex<BTreeMap<String, BTreeSet<(usize, usize)>>>,
    turned: Condvar,
    listing: Mutex<Listing>,
    stop: AtomicBool,
    failure: Mutex<Option<BuildFailure>>,
    leftover: Mutex<Vec<String>>,
    passing: Mutex<Vec<ImageId>>,
}

/// Why a stage ended early.
enum Ended {
    /// Another one failed.
    Stopped,
    /// It failed.
    Failure(Box<BuildFailure>),
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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
        slots: Mutex::new(execution.prepared.keys().map(|&index| (index, Slot::Pending)).collect()),
        changed: Condvar::new(),
        free: Mutex::new(execution.jobs.max(1)),
        freed: Condvar::new(),
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
                shared.publish(index, Slot::Failed);
            }
        }
    });
    let stages = shared
        .slots
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner)
        .into_iter()
        .filter_map(
            |(index, slot)| if let Slot::Done(outcome) = slot { Some((index, outcome)) } else { None },
        )
        .collect();
    Executed {
        stages,
        listing: shared.listing.into_inner().unwrap_or_else(PoisonError::into_inner),
        failure: shared.failure.into_inner().unwrap_or_else(PoisonError::into_inner),
        leftover_names: shared.leftover.into_inner().unwrap_or_else(PoisonError::into_inner),
        passing: shared.passing.into_inner().unwrap_or_else(PoisonError::into_inner),
    }
}

/// A slot for one engine call; free again when dropped.
struct CallSlot<'a>(&'a Shared<'a>);

impl Drop for CallSlot<'_> {
    fn drop(&mut self) {
        *locked(&self.0.free) += 1;
        self.0.freed.notify_one();
    }
}

/// A stage whose thread panics has failed: others must not wait for it.
struct PanicGuard<'a> {
    shared: &'a Shared<'a>,
    index: usize,
}

impl Drop for PanicGuard<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.shared.stop.store(true, Ordering::SeqCst);
            self.shared.publish(self.index, Slot::Failed);
            self.shared.freed.notify_all();
            self.shared.turned.notify_all();
        }
    }
}

/// A step's turn at the locks that it holds alone; over when dropped.
struct Turn<'a> {
    shared: &'a Shared<'a>,
    step: (usize, usize),
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        for waiting in locked(&self.shared.turns).values_mut() {
            waiting.remove(&self.step);
        }
        self.shared.turned.notify_all();
    }
}

impl<'a> Shared<'a> {
    fn send(&self, event: Event) {
        // The receiver lives as long as the build.
        let _ = self.events.send(event);
    }

    fn publish(&self, index: usize, slot: Slot) {
        locked(&self.slots).insert(index, slot);
        self.changed.notify_all();
    }

    fn fail(&self, failure: BuildFailure) {
        let mut first = locked(&self.failure);
        if first.is_none() {
            *first = Some(failure);
        }
        drop(first);
        if !self.stop.swap(true, Ordering::SeqCst) {
            process::end_children();
        }
        self.freed.notify_all();
        self.turned.notify_all();
        self.changed.notify_all();
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::SeqCst) || process::interrupted()
    }

    fn run_stage(&self, index: usize, stage: &PreparedStage) {
        let _guard = PanicGuard { shared: self, index };
        let mut worker = StageWorker { shared: self, index, stage, built: Vec::new(), label_key: None };
        match worker.run() {
            Ok(outcome) => self.publish(index, Slot::Done(Arc::new(outcome))),
            Err(ended) => {
                match ended {
                    Ended::Failure(failure) => self.fail(*failure),
                    Ended::Stopped if process::interrupted() => self.fail(BuildFailure::Interrupted),
                    Ended::Stopped => {}
                }
                self.publish(index, Slot::Failed);
            }
        }
        // Steps that were not reached do not keep others waiting.
        for n in 0..stage.steps.len() {
            drop(Turn { shared: self, step: (index, n) });
        }
    }

    fn outcome(&self, index: usize) -> Result<Arc<StageOutcome>, Ended> {
        let mut slots = locked(&self.slots);
        loop {
            match slots.get(&index) {
                Some(Slot::Done(outcome)) => return Ok(outcome.clone()),
                Some(Slot::Pending) => {
                    slots = self.changed.wait(slots).unwrap_or_else(PoisonError::into_inner);
                }
                Some(Slot::Failed) | None => return Err(Ended::Stopped),
            }
        }
    }

    fn call_slot(&'a self) -> Result<CallSlot<'a>, Ended> {
        let mut free = locked(&self.free);
        loop {
            if self.stopped() {
                return Err(Ended::Stopped);
            }
            if *free > 0 {
                *free -= 1;
                return Ok(CallSlot(self));
            }
            free = self.freed.wait(free).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn turn(&'a self, step: (usize, usize), locks: &BTreeSet<String>) -> Result<Turn<'a>, Ended> {
        let mut turns = locked(&self.turns);
        loop {
            if self.stopped() {
                return Err(Ended::Stopped);
            }
            let first =
                |lock: &String| turns.get(lock).and_then(BTreeSet::first).is_none_or(|first| *first >= step);
            if locks.iter().all(first) {
                return Ok(Turn { shared: self, step });
            }
            turns = self.turned.wait(turns).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn has_image(&self, id: &ImageId) -> bool {
        locked(&self.listing).contains(id)
    }
}

struct StageWorker<'a> {
    shared: &'a Shared<'a>,
    index: usize,
    stage: &'a PreparedStage,
    built: Vec<u8>,
    /// The key for the label: by content where it is known, so that other sources of the same bytes change nothing.
    label_key: Option<StepKey>,
}

/// What a step stands on.
struct Standing {
    /// The image; nothing for scratch.
    image: Option<ImageId>,
    /// The key by content of what made it.
    content: Option<Parent>,
    /// Whether it was made just now: what it holds may differ from what its keys held before.
    ran: bool,
    /// Whether no key by definition says what it holds, because files changed under the build.
    unkeyed: bool,
}

impl<'a> StageWorker<'a> {
    fn failure(&self, error: anyhow::Error) -> Ended {
        if matches!(error.downcast_ref::<EngineError>(), Some(EngineError::Interrupted))
            || self.shared.stopped()
        {
            return Ended::Stopped;
        }
        Ended::Failure(Box::new(BuildFailure::Stage { stage: self.stage.stage.name.clone(), error }))
    }

    fn run(&mut self) -> Result<StageOutcome, Ended> {
        let execution = self.shared.execution;
        let planned = &execution.plan.stages[&self.index];
        let below = match self.stage.stage.base {
            Origin::Stage(index) => Some(self.shared.outcome(index)?),
            _ => None,
        };
        let ground: Option<Arc<StoredImage>> = match (&below, &self.stage.base) {
            (Some(below), _) => Some(below.tip.clone()),
            (None, Some(base)) => Some(base.image.clone()),
            (None, None) => None,
        };
        let root = match (&below, &self.stage.base) {
            (Some(below), _) => below.root.clone(),
            (None, base) => base.clone(),
        };
        let mut standing = Standing {
            image: ground.as_ref().map(|image| image.id.clone()),
            content: match (&below, &self.stage.base) {
                (Some(below), _) => below.content_key.clone().map(Parent::Step),
                (None, Some(base)) => Some(Parent::Image(base.image.id.clone())),
                (None, None) => Some(Parent::Scratch),
            },
            ran: below.as_ref().is_some_and(|below| below.ran),
            unkeyed: below.as_ref().is_some_and(|below| below.unkeyed),
        };
        let mut prepared_base = false;
        for (n, (step, planned)) in self.stage.steps.iter().zip(&planned.steps).enumerate() {
            if let (Verdict::Hit { .. }, Some(entry)) = (&planned.verdict, &planned.found) {
                self.hit(n, planned, planned.verdict.clone(), entry, &mut standing);
                drop(Turn { shared: self.shared, step: (self.index, n) });
                prepared_base = true;
                continue;
            }
            if let Verdict::Hit { .. } = planned.verdict {
                // Covered by a later step whose image is there.
                self.shared.send(Event::Decided {
                    step: (self.index, n),
                    verdict: planned.verdict.clone(),
                    key: planned.key.clone(),
                    image: None,
                });
                standing.content = Some(Parent::Step(planned.key.clone()));
                continue;
            }
            if !prepared_base
                && self.stage.layers
                && let Some(image) = &ground
            {
                standing.image = Some(self.plain_base(image)?);
            }
            prepared_base = true;
            self.step(n, step, planned, &mut standing)?;
        }
        self.finish(&ground, root, below.as_deref(), &standing)
    }

    /// The image that the first step's FROM names: no triggers that would fire, no labels of an earlier build.
    fn plain_base(&self, base: &StoredImage) -> Result<ImageId, Ended> {
        match tip::plain_base(base).map_err(|e| self.failure(e))? {
            Some(plain) => self.commit_passing(&plain),
            None => Ok(base.id.clone()),
        }
    }

    fn hit(&self, n: usize, planned: &StepPlan, verdict: Verdict, entry: &Entry, standing: &mut Standing) {
        self.shared.send(Event::Decided {
            step: (self.index, n),
            verdict,
            key: planned.key.clone(),
            image: Some(entry.image.clone()),
        });
        standing.image = Some(entry.image.clone());
        let content = entry.by_content.clone().unwrap_or_else(|| planned.key.clone());
        standing.content = Some(Parent::Step(content));
    }

    /// Runs a step, unless the bytes that it takes from other stages turn out to be those of an earlier one.
    fn step(
        &mut self,
        n: usize,
        step: &PreparedStep,
        planned: &StepPlan,
        standing: &mut Standing,
    ) -> Result<(), Ended> {
        let execution = self.shared.execution;
        let id = (self.index, n);
        let mut bytes = BTreeMap::new();
        for foreign in &step.foreign {
            let image = self.image_of(&foreign.origin)?;
            if let Some(image) = image {
                let request = CopiedRequest { image, sources: foreign.paths.clone() };
                if let Some(digest) = execution.engine.copied(&request) {
                    bytes.insert(foreign.source, digest);
                }
            }
        }
        let content_key = standing
            .content
            .as_ref()
            .map(|parent| content_inputs(&planned.inputs, parent, &bytes).key())
            .filter(|_| step.always.is_none());
        if matches!(planned.verdict, Verdict::Open { .. }) && !standing.ran {
            let found = content_key.as_ref().and_then(|key| execution.store.entry(key));
            if let Some(entry) = found.filter(|entry| self.is_there(&entry.image)) {
                standing.unkeyed |= self.takes_unkeyed(step)?;
                if !standing.unkeyed {
                    // Next time it is found by definition.
                    self.keep(&planned.key, &Entry { inputs: planned.inputs.clone(), ..entry.clone() })?;
                }
                self.hit(n, planned, Verdict::Hit { by: FoundBy::Content }, &entry, standing);
                drop(Turn { shared: self.shared, step: id });
                return Ok(());
            }
        }
        let mut reasons = planned.verdict.reasons().to_vec();
        if !standing.ran && reasons.len() > 1 {
            reasons.retain(|reason| *reason != Reason::StepBefore);
        }
        let verdict = Verdict::Miss { reasons };
        self.shared.send(Event::Decided { step: id, verdict, key: planned.key.clone(), image: None });

        let turn = self.shared.turn(id, &step.exclusive)?;
        let mut locks = Vec::new();
        for name in &step.exclusive {
            let waiting = || {
                self.shared.send(Event::Waiting { step: id, what: format!("another build that uses {name}") })
            };
            locks.push(
                execution.store.lock(&format!("exclusive {name}"), waiting).map_err(|e| self.failure(e))?,
            );
        }
        if let Some(image) = &standing.image {
            self.revive(image)?;
        }
        if !self.stage.layers {
            self.label_key = self.content_key(content_key.clone().map(Parent::Step).as_ref());
        }
        let from = self.from(step, standing)?;
        let slot = self.shared.call_slot()?;
        let (image, duration_ms) = self.call(n, step, from.as_ref())?;
        drop(slot);
        drop(locks);
        drop(turn);

        let stored = execution.engine.image(&image).map_err(|e| self.failure(e))?;
        let again = ComposedImage::again(&stored).map_err(|e| self.failure(e))?;
        execution.store.put_image(&again).map_err(|e| self.failure(e))?;
        // The engine reads context and servers when it comes to the step, which may be long after the key was made.
        let moved = !(execution.is_as_read)(step);
        if moved {
            let stage = &self.stage.stage.name;
            self.shared.send(Event::Warning(format!(
                "stage {stage}: {}: its files changed while the build ran; what it made is not kept for later builds",
                step.title
            )));
        }
        standing.unkeyed |= moved || self.takes_unkeyed(step)?;
        let entry = Entry {
            inputs: planned.inputs.clone(),
            by_content: content_key.clone().filter(|_| !moved),
            image: image.clone(),
            created: Timestamp::now().to_string(),
            duration_ms,
            build: execution.build_id.clone(),
        };
        let content = if moved {
            let mut inputs = planned.inputs.clone();
            inputs.flags.insert("build".into(), vec![execution.build_id.clone()]);
            inputs.key()
        } else {
            content_key.unwrap_or_else(|| planned.key.clone())
        };
        if !standing.unkeyed {
            self.keep(&planned.key, &entry)?;
        } else if let Some(by_content) = &entry.by_content {
            self.keep(by_content, &entry)?;
        }
        self.shared.send(Event::Ran { step: id, image: image.clone(), duration_ms });
        standing.image = Some(image);
        standing.content = Some(Parent::Step(content));
        standing.ran = true;
        Ok(())
    }

    /// Whether a step copies from a stage of which no key by definition says what is in it.
    fn takes_unkeyed(&self, step: &PreparedStep) -> Result<bool, Ended> {
        for foreign in &step.foreign {
            if let Origin::Stage(index) = foreign.origin
                && self.shared.outcome(index)?.unkeyed
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether an image is in the storage, or can be had again without running anything.
    fn is_there(&self, id: &ImageId) -> bool {
        if self.shared.has_image(id) {
            return true;
        }
        let execution = self.shared.execution;
        let kept = execution.store.image(id).and_then(|kept| kept.stored().ok());
        kept.is_some_and(|image| execution.engine.has_layers(&image.diff_ids()))
    }

    /// An image of the storage, or of the store where only the layers are left.
    fn read(&self, id: &ImageId) -> Result<StoredImage, Ended> {
        let execution = self.shared.execution;
        if !self.shared.has_image(id)
            && let Some(image) = execution.store.image(id).and_then(|kept| kept.stored().ok())
        {
            return Ok(image);
        }
        execution.engine.image(id).map_err(|e| self.failure(e))
    }

    /// Sees to it that a pruned image is in the storage again.
    fn revive(&self, id: &ImageId) -> Result<(), Ended> {
        if self.shared.has_image(id) {
            return Ok(());
        }
        match self.shared.execution.store.image(id) {
            Some(kept) => self.commit(&kept).map(drop),
            None => Ok(()),
        }
    }

    fn keep(&self, key: &StepKey, entry: &Entry) -> Result<(), Ended> {
        self.shared.execution.store.put_entry(key, entry).map_err(|e| self.failure(e))
    }

    fn image_of(&self, origin: &Origin) -> Result<Option<ImageId>, Ended> {
        Ok(match origin {
            Origin::Stage(index) => Some(self.shared.outcome(*index)?.tip.id.clone()),
            Origin::Image(name) => {
                let base = (self.shared.execution.images)(name).map_err(|e| self.failure(e))?;
                Some(base.image.id.clone())
            }
            _ => None,
        })
    }

    fn call(
        &mut self,
        n: usize,
        step: &PreparedStep,
        from: Option<&ImageId>,
    ) -> Result<(ImageId, u64), Ended> {
        let execution = self.shared.execution;
        let id = (self.index, n);
        let folder = execution.scratch.join(format!("{}-{n}", self.index));
        let stages = self.stages_in_front(step)?;
        let text = self.text(step, from, stages);
        self.built.extend_from_slice(&text);
        let prepare = || -> anyhow::Result<StepCall> {
            let empty = folder.join("context");
            fs::create_dir_all(&empty).context("making a folder for a step")?;
            let containerfile = folder.join("Containerfile");
            fs::write(&containerfile, &text).context("writing a step's Containerfile")?;
            let mut build_contexts = Vec::new();
            for named in step.named.iter().filter(|named| !named.as_stage) {
                let value = match &named.origin {
                    Origin::Named(name) => execution
                        .named_contexts
                        .get(name)
                        .cloned()
                        .ok_or_else(|| anyhow!("build context {name} is not given"))?,
                    origin => match self.image_of(origin).map_err(|_| anyhow!("stopped"))? {
                        Some(image) => format!("container-image://{image}"),
                        None => continue,
                    },
                };
                build_contexts.push((named.context.clone(), value));
            }
            let mut flags = execution.flags.clone();
            if self.index == execution.target && !self.stage.layers {
                flags.extend(execution.target_flags.iter().cloned());
            }
            Ok(StepCall {
                containerfile,
                context: if step.uses_context { execution.context.to_owned() } else { empty },
                ignore_file: execution.ignore_file.clone().filter(|_| step.uses_context),
                layers: step.in_layers,
                names: self.building_names(),
                build_contexts,
                build_args: step.build_args.clone(),
                flags,
                iidfile: folder.join("iid"),
                temporary: Some(execution.scratch.to_owned()),
                mark: format!("stagecache-{}", uuid::Uuid::now_v7()),
                stdin: execution.stdin.then_some(()),
            })
        };
        let call = prepare().map_err(|e| self.failure(e))?;
        let since = Timestamp::now();
        self.shared.send(Event::Started { step: id, at: since.to_string() });
        let started = Instant::now();
        let result =
            execution.engine.build(&call, &mut |line| self.shared.send(Event::Output { step: id, line }));
        let duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        // Only saves room: the folder goes with the build's own.
        let _ = fs::remove_dir_all(&folder);
        match result {
            Ok(image) => {
                self.note_image(&image, self.building_names());
                Ok((image, duration_ms))
            }
            Err(error) => {
                let swept = execution.engine.sweep(&call.mark);
                if let Err(problem) = swept {
                    self.shared.send(Event::Warning(format!("a working container may be left: {problem}")));
                }
                self.shared.send(Event::Failed { step: id });
                if self.shared.stopped() || matches!(error, EngineError::Interrupted) {
                    return Err(Ended::Stopped);
                }
                let (first, last) = step.lines;
                let place =
                    if first == last { format!("line {first}") } else { format!("lines {first}-{last}") };
                Err(Ended::Failure(Box::new(BuildFailure::Step {
                    stage: self.stage.stage.name.clone(),
                    place,
                    title: step.title.clone(),
                    error,
                })))
            }
        }
    }

    fn building_name(&self) -> String {
        names::building_name(&self.stage.stage.name, &self.shared.execution.build_id)
    }

    /// With `--save-stages` an image that has to stay without a name never gets one: buildah has no `untag`.
    fn building_names(&self) -> Vec<String> {
        if self.shared.execution.labelling.save_stages { Vec::new() } else { vec![self.building_name()] }
    }

    fn note_image(&self, id: &ImageId, names: Vec<String>) {
        let image = ListedImage { digest: String::new(), names, top_layer: String::new(), store: 0 };
        locked(&self.shared.listing).add(id.clone(), image);
    }

    /// The image that the step's FROM names.
    fn from(&self, step: &PreparedStep, standing: &Standing) -> Result<Option<ImageId>, Ended> {
        match (&standing.image, &step.workdir) {
            (Some(id), Some(workdir)) => {
                let image = self.read(id)?;
                let composed = tip::in_workdir(&image, workdir).map_err(|e| self.failure(e))?;
                self.commit_passing(&composed).map(Some)
            }
            (image, _) => Ok(image.clone()),
        }
    }

    fn stages_in_front(&self, step: &PreparedStep) -> Result<Vec<(String, String)>, Ended> {
        let mut stages = Vec::new();
        for named in step.named.iter().filter(|named| named.as_stage) {
            if let Some(image) = self.image_of(&named.origin)? {
                stages.push((named.context.clone(), image.to_string()));
            }
        }
        Ok(stages)
    }

    fn text(&self, step: &PreparedStep, from: Option<&ImageId>, stages: Vec<(String, String)>) -> Vec<u8> {
        let from = from.map_or("scratch", ImageId::as_str);
        step_text(self.shared.execution.file, self.stage, step, from, stages, self.stage_labels().as_deref())
    }

    /// The labels that the stage's image gets; nothing with `--stage-labels=false`.
    fn stage_labels(&self) -> Option<Vec<(String, String)>> {
        let execution = self.shared.execution;
        let base = match self.stage.stage.base {
            Origin::Stage(index) => Some(self.shared.outcome(index).ok()?.leaf.clone()),
            _ => None,
        };
        let labels = Labels {
            labelling: &execution.labelling,
            unset: &execution.tip_flags.unset_labels,
            target: execution.target,
        };
        let key = self.label_key.as_ref().unwrap_or(&execution.plan.stages[&self.index].key);
        labels.of(self.stage, key, base.as_ref().map(ImageId::as_str))
    }

    /// The stage's key by content, where it is known.
    fn content_key(&self, content: Option<&Parent>) -> Option<StepKey> {
        let planned = &self.shared.execution.plan.stages[&self.index];
        content.cloned().map(|parent| {
            let mut inputs = planned.tail_inputs.clone();
            inputs.parent = parent;
            inputs.key()
        })
    }

    /// Tip, leaf and names.
    fn finish(
        &mut self,
        ground: &Option<Arc<StoredImage>>,
        root: Option<BaseImage>,
        below: Option<&StageOutcome>,
        standing: &Standing,
    ) -> Result<StageOutcome, Ended> {
        let execution = self.shared.execution;
        if self.shared.stopped() {
            return Err(Ended::Stopped);
        }
        let content_key = self.content_key(standing.content.as_ref());
        self.label_key.clone_from(&content_key);
        let labels = self.stage_labels();
        let tip: Arc<StoredImage> = if let (true, Some(ground)) = (self.stage.body.is_empty(), ground) {
            ground.clone()
        } else if let (true, Some(id)) = (self.stage.body.is_empty(), &standing.image) {
            self.revive(id)?;
            Arc::new(self.read(id)?)
        } else if self.stage.layers {
            self.tip(ground, root.as_ref(), standing)?
        } else {
            let id = standing.image.as_ref().expect("a squashed stage with instructions has an image");
            self.revive(id)?;
            let image = self.read(id)?;
            let image = self.annotated(image, ground.as_deref(), root.as_ref())?;
            let image = match labels.as_ref().filter(|labels| !carries(&image, labels)) {
                Some(labels) => {
                    let relabelled = match image.label(tip::STAGE_NAME) {
                        Some(_) => tip::relabelled(&image, labels),
                        None => tip::leaf(&image, labels, None),
                    };
                    self.commit(&relabelled.map_err(|e| self.failure(e))?)?
                }
                None => image,
            };
            if self.must_lose_its_name(&image.id) {
                let twin = tip::twin(&image, &self.build_comment()).map_err(|e| self.failure(e))?;
                Arc::new(self.commit(&twin)?)
            } else {
                Arc::new(image)
            }
        };
        let leaf: Arc<StoredImage> = match &labels {
            Some(labels) if !carries(&tip, labels) || (self.stage.body.is_empty() && below.is_some()) => {
                Arc::new(self.leaf(&tip, labels)?)
            }
            _ => tip.clone(),
        };
        if let Some(labels) = &labels {
            self.built.extend_from_slice(label_instruction(labels, b'\\').as_bytes());
        }
        let name = self.name_images(&tip, &leaf, labels.as_deref().unwrap_or_default())?;
        let before = ground.as_ref().map_or(0, |image| image.diff_ids().len());
        self.shared.send(Event::StageDone {
            stage: self.index,
            tip: tip.id.clone(),
            leaf: leaf.id.clone(),
            name: name.clone(),
            diff_ids: tip.diff_ids().into_iter().skip(before).collect(),
        });
        let unnamed_leaf = execution.labelling.save_stages || self.index == execution.target;
        let named = if unnamed_leaf { tip.id.clone() } else { leaf.id.clone() };
        Ok(StageOutcome {
            tip,
            leaf: leaf.id.clone(),
            named,
            name,
            content_key,
            ran: standing.ran,
            unkeyed: standing.unkeyed,
            root,
            built: std::mem::take(&mut self.built),
        })
    }

    /// The leaf; with `--save-stages` one that has no name, for buildah has no `untag`.
    fn leaf(&self, tip: &StoredImage, labels: &[(String, String)]) -> Result<StoredImage, Ended> {
        let plain = tip::leaf(tip, labels, None).map_err(|e| self.failure(e))?;
        if !self.must_lose_its_name(&plain.id) {
            return self.commit(&plain);
        }
        let fresh = tip::leaf(tip, labels, Some(&self.build_comment())).map_err(|e| self.failure(e))?;
        self.commit(&fresh)
    }

    fn must_lose_its_name(&self, id: &ImageId) -> bool {
        let execution = self.shared.execution;
        let named = locked(&self.shared.listing).get(id).is_some_and(|listed| !listed.names.is_empty());
        named && execution.labelling.save_stages && self.index != execution.target
    }

    fn build_comment(&self) -> String {
        format!("stagecache build {}", self.shared.execution.build_id)
    }

    /// A squashed stage's image with the annotations of its real base: the engine writes the name that the image in
    /// its FROM happens to have (1.28).
    fn annotated(
        &self,
        image: StoredImage,
        ground: Option<&StoredImage>,
        root: Option<&BaseImage>,
    ) -> Result<StoredImage, Ended> {
        let has = |key: &str| image.annotation(key).unwrap_or_default().to_owned();
        if image.format() == ImageFormat::Docker || ground.is_none() {
            return Ok(image);
        }
        let flags = TipFlags::default();
        let mut wanted = tip::annotations(&image, &Ground { image: ground, root }, &flags);
        // What the engine wrote for flags stays.
        for (key, value) in
            image.manifest.get("annotations").and_then(|a| a.as_object()).into_iter().flatten()
        {
            if key != crate::image::BASE_NAME && key != crate::image::BASE_DIGEST {
                wanted.insert(key.clone(), value.clone());
            }
        }
        let same = [crate::image::BASE_NAME, crate::image::BASE_DIGEST]
            .iter()
            .all(|key| wanted.get(*key).and_then(|v| v.as_str()).unwrap_or_default() == has(key));
        if same {
            return Ok(image);
        }
        let composed = ComposedImage::annotated(&image, wanted).map_err(|e| self.failure(e))?;
        self.commit(&composed)
    }

    fn tip(
        &self,
        ground: &Option<Arc<StoredImage>>,
        root: Option<&BaseImage>,
        standing: &Standing,
    ) -> Result<Arc<StoredImage>, Ended> {
        let execution = self.shared.execution;
        let planned = &execution.plan.stages[&self.index];
        // The time of a tip that has no layer of its own is that of its first commit.
        let kept = execution.store.entry(&planned.key).filter(|_| self.stage.steps.is_empty());
        if let Some(entry) = kept.filter(|entry| self.shared.has_image(&entry.image)) {
            let tip = execution.engine.image(&entry.image).map_err(|e| self.failure(e))?;
            // The stage below may have run again and left other bytes.
            if tip.diff_ids() == ground.as_ref().map(|image| image.diff_ids()).unwrap_or_default() {
                return Ok(Arc::new(tip));
            }
        }
        let last = match (&standing.image, self.stage.steps.is_empty()) {
            (Some(id), false) => Some(self.read(id)?),
            _ => None,
        };
        let flags =
            if self.index == execution.target { &execution.target_tip_flags } else { &execution.tip_flags };
        let composed = tip::tip(
            self.stage,
            &Ground { image: ground.as_deref(), root },
            last.as_ref(),
            execution.format,
            execution.rules,
            flags,
            &Timestamp::now().to_string(),
        )
        .map_err(|e| self.failure(e))?;
        let tip = self.commit(&composed)?;
        // Known as ours when the stage goes.
        execution.store.put_image(&composed).map_err(|e| self.failure(e))?;
        if self.stage.steps.is_empty() && !standing.unkeyed {
            let entry = Entry {
                inputs: planned.tail_inputs.clone(),
                by_content: None,
                image: tip.id.clone(),
                created: Timestamp::now().to_string(),
                duration_ms: 0,
                build: execution.build_id.clone(),
            };
            self.keep(&planned.key, &entry)?;
        }
        Ok(Arc::new(tip))
    }

    /// Commits a composed image unless the storage has it, with the same annotations.
    fn commit(&self, composed: &ComposedImage) -> Result<StoredImage, Ended> {
        let stored = composed.stored().map_err(|e| self.failure(e))?;
        let there =
            self.shared.has_image(&composed.id)
                && self.shared.execution.engine.image(&composed.id).is_ok_and(|image| {
                    image.manifest.get("annotations") == stored.manifest.get("annotations")
                });
        if !there {
            let _slot = self.shared.call_slot()?;
            self.shared.execution.engine.commit_config(composed).map_err(|e| self.failure(e.into()))?;
            if !self.shared.has_image(&composed.id) {
                self.note_image(&composed.id, Vec::new());
            }
        }
        Ok(stored)
    }

    /// Commits an image that only the next call stands on.
    fn commit_passing(&self, composed: &ComposedImage) -> Result<ImageId, Ended> {
        let was_there = self.shared.has_image(&composed.id);
        let image = self.commit(composed)?;
        if !was_there {
            locked(&self.shared.passing).push(image.id.clone());
        }
        Ok(image.id)
    }

    /// Names what is to stay: the leaf; the tip where the leaf has no name of ours.
    fn name_images(
        &self,
        tip: &StoredImage,
        leaf: &StoredImage,
        labels: &[(String, String)],
    ) -> Result<Option<String>, Ended> {
        let execution = self.shared.execution;
        let is_target = self.index == execution.target;
        let labelling = &execution.labelling;
        let own = &self.stage.stage.name;
        let building = self.building_name();
        let unnamed_leaf = labelling.save_stages || is_target;
        if self.stage.body.is_empty() && leaf.id == tip.id {
            // A FROM and nothing else, without a label: it is its base.
            return Ok(None);
        }
        let (kept, name) = if unnamed_leaf {
            if leaf.id == tip.id && labelling.save_stages {
                return Ok(None);
            }
            if leaf.id == tip.id && labelling.target_is_named {
                return self.release(&building, &tip.id).map(|()| None);
            }
            (tip, names::leaf_name(own, &tip.id, &[]))
        } else {
            (leaf, names::leaf_name(own, &tip.id, labels))
        };
        let (has_name, has_building) = {
            let listing = locked(&self.shared.listing);
            (listing.named(&name) == Some(&kept.id), listing.named(&building).is_some())
        };
        let mut wanted = Vec::new();
        if !has_name {
            wanted.push(name.clone());
        }
        if has_building {
            // The name moves off the step before it is removed: removing an image's only name removes the image.
            wanted.push(building.clone());
        }
        if !wanted.is_empty() {
            execution.engine.tag(&kept.id, &wanted).map_err(|e| self.failure(e.into()))?;
            let mut listing = locked(&self.shared.listing);
            for name in &wanted {
                listing.name(&kept.id, name);
            }
        }
        if has_building {
            locked(&self.shared.leftover).push(building);
        }
        Ok(Some(name))
    }

    /// The stage's image has, or gets, a name from the user, or must have none: the name of the build in progress is
    /// all that is to go.
    fn release(&self, building: &str, id: &ImageId) -> Result<(), Ended> {
        let held = locked(&self.shared.listing).named(building).cloned();
        if held.is_some() {
            if held.as_ref() != Some(id) {
                let names = [building.to_owned()];
                self.shared.execution.engine.tag(id, &names).map_err(|e| self.failure(e.into()))?;
                locked(&self.shared.listing).name(id, building);
            }
            locked(&self.shared.leftover).push(building.to_owned());
        }
        Ok(())
    }
}

/// Whether an image has all these labels.
fn carries(image: &StoredImage, labels: &[(String, String)]) -> bool {
    labels.iter().all(|(key, value)| image.label(key) == Some(value))
}
