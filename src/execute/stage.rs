//! One stage, on a thread of its own: its steps in order, each found or run.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::anyhow;
use jiff::Timestamp;

use super::shared::{Ended, Shared, Turn, locked};
use super::{Begun, StageOutcome, locks};
use crate::bases::BaseImage;
use crate::engine::{CopiedRequest, EngineError};
use crate::event::{BuildFailure, Event, StepId};
use crate::graph::Origin;
use crate::image::{ComposedImage, ImageId, StoredImage};
use crate::key::{Parent, StepKey};
use crate::plan::{StepPlan, content_inputs, editions};
use crate::prepare::{PreparedStage, PreparedStep};
use crate::store::{Edition, Entry, Lock};
use crate::tip;
use crate::verdict::{FoundBy, Reason, Verdict};

pub(super) struct StageWorker<'a> {
    pub(super) shared: &'a Shared<'a>,
    pub(super) index: usize,
    pub(super) stage: &'a PreparedStage,
    pub(super) built: Vec<u8>,
    /// The key for the label: by content where it is known, so that other sources of the same bytes change nothing.
    pub(super) label_key: Option<StepKey>,
    /// The image that the stage stands on; nothing for scratch.
    pub(super) ground: Option<Arc<StoredImage>>,
    /// The image at the bottom.
    pub(super) root: Option<BaseImage>,
}

/// What a step stands on.
#[derive(Debug)]
pub(super) struct Standing {
    /// The image; nothing for scratch.
    pub(super) image: Option<ImageId>,
    /// An image with its files, to copy from.
    pub(super) files: Option<ImageId>,
    /// The key by content of what made it.
    pub(super) content: Option<Parent>,
    /// Its edition.
    pub(super) edition: Edition,
    /// Whether it was made just now: what it holds may differ from what its keys held before.
    pub(super) ran: bool,
    /// Whether no key by definition says what it holds, because files changed under the build.
    pub(super) unkeyed: bool,
}

impl<'a> StageWorker<'a> {
    pub(super) fn failure(&self, error: anyhow::Error) -> Ended {
        if matches!(error.downcast_ref::<EngineError>(), Some(EngineError::Interrupted))
            || self.shared.stopped()
        {
            return Ended::Stopped;
        }
        Ended::Failure(Box::new(BuildFailure::Stage { stage: self.stage.stage.name.clone(), error }))
    }

    /// What another stage leaves.
    pub(super) fn outcome(&self, index: usize) -> Result<Arc<StageOutcome>, Ended> {
        self.shared.outcome(index, self.index)
    }

    /// Runs the stage; where the first steps are over, the rest of it.
    pub(super) fn run(&mut self, begun: Option<Begun>) -> Result<StageOutcome, Ended> {
        let execution = self.shared.execution;
        let planned = &execution.plan.stages[&self.index];
        let later = execution.plan.order.later.get(&self.index).copied();
        if later == Some(0) {
            return Err(Ended::Later);
        }
        let below = match self.stage.stage.base {
            Origin::Stage(index) => Some(self.outcome(index)?),
            _ => None,
        };
        self.ground = match (&below, &self.stage.base) {
            (Some(below), _) => Some(below.tip.clone()),
            (None, Some(base)) => Some(base.image.clone()),
            (None, None) => None,
        };
        self.root = match (&below, &self.stage.base) {
            (Some(below), _) => below.root.clone(),
            (None, base) => base.clone(),
        };
        let mut standing = Standing {
            image: self.ground.as_ref().map(|image| image.id.clone()),
            files: match (&below, &self.stage.base) {
                (Some(below), _) => below.files.clone(),
                (None, base) => base.as_ref().map(|base| base.image.id.clone()),
            },
            content: match (&below, &self.stage.base) {
                (Some(below), _) => below.content_key.clone().map(Parent::Step),
                (None, Some(base)) => Some(Parent::Image(base.image.id.clone())),
                (None, None) => Some(Parent::Scratch),
            },
            edition: below.as_ref().map(|below| below.edition.clone()).unwrap_or_default(),
            ran: below.as_ref().is_some_and(|below| below.ran),
            unkeyed: below.as_ref().is_some_and(|below| below.unkeyed),
        };
        let over = begun.as_ref().map_or(0, |begun| begun.over);
        if let Some(begun) = begun {
            (standing, self.built) = (begun.standing, begun.built);
        }
        let mut prepared_base = over > 0;
        for (n, (step, planned)) in self.stage.steps.iter().zip(&planned.steps).enumerate().skip(over) {
            if later == Some(n) {
                let begun = Begun { over: n, standing, built: std::mem::take(&mut self.built) };
                locked(&self.shared.begun).insert(self.index, begun);
                return Err(Ended::Later);
            }
            if let (Verdict::Hit { by }, Some(entry)) = (&planned.verdict, &planned.found) {
                if *by == FoundBy::Content && !standing.unkeyed {
                    self.keep_as_defined(step, planned, entry, &standing)?;
                }
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
                && !self.stage.body.is_empty()
                && let Some(image) = &self.ground
            {
                standing.image = Some(self.plain_base(image, below.as_deref())?);
            }
            prepared_base = true;
            self.step(n, step, planned, &mut standing)?;
        }
        self.finish(below.as_deref(), &standing)
    }

    /// The image that the first step's FROM names: no triggers that would fire, no labels of an earlier build.
    fn plain_base(&self, base: &StoredImage, below: Option<&StageOutcome>) -> Result<ImageId, Ended> {
        if let Some(plain) = tip::plain_base(base).map_err(|e| self.failure(e))? {
            return self.commit_passing(&plain);
        }
        // The tip need not be made where the step below does as well.
        let files = below.filter(|below| below.stands_for_tip).and_then(|below| below.files.clone());
        Ok(files.unwrap_or_else(|| base.id.clone()))
    }

    pub(super) fn hit(
        &self,
        n: usize,
        planned: &StepPlan,
        verdict: Verdict,
        entry: &Entry,
        standing: &mut Standing,
    ) {
        self.shared.send(Event::Decided {
            step: (self.index, n),
            verdict,
            key: planned.key.clone(),
            image: Some(entry.image.clone()),
        });
        standing.image = Some(entry.image.clone());
        standing.files.clone_from(&standing.image);
        standing.edition = entry.edition.clone();
        let content = entry.by_content.clone().unwrap_or_else(|| planned.key.clone());
        standing.content = Some(Parent::Step(content));
    }

    /// Runs a step, unless the bytes that it takes from other stages turn out to be those of an earlier one.
    pub(super) fn step(
        &mut self,
        n: usize,
        step: &PreparedStep,
        planned: &StepPlan,
        standing: &mut Standing,
    ) -> Result<(), Ended> {
        let execution = self.shared.execution;
        let id = (self.index, n);
        if let Some(problem) = step.unread.as_ref().and_then(|unread| unread.problem.clone()) {
            let verdict = Verdict::Miss { reasons: planned.verdict.reasons().to_vec() };
            self.shared.send(Event::Decided { step: id, verdict, key: planned.key.clone(), image: None });
            self.shared.send(Event::Failed { step: id });
            return Err(self.failure(anyhow!(problem)));
        }
        let mut bytes = BTreeMap::new();
        for foreign in &step.foreign {
            let image = self.image_of(&foreign.origin)?;
            if let Some(image) = image {
                let request = CopiedRequest { image, sources: foreign.paths.clone() };
                let read = || execution.engine.copied(&request);
                if let Some(digest) = execution.store.copied(&request.image, &request.sources, read) {
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
            let current = |entry: &Entry| {
                entry.stands_on(&standing.edition)
                    && self.is_there(&entry.image)
                    && execution.plan.is_left(id, entry)
            };
            if let Some(entry) = found.filter(current) {
                standing.unkeyed |= self.takes_unkeyed(step)?;
                if !standing.unkeyed {
                    self.keep_as_defined(step, planned, &entry, standing)?;
                }
                self.hit(n, planned, Verdict::Hit { by: FoundBy::Content }, &entry, standing);
                drop(Turn { shared: self.shared, step: id });
                return Ok(());
            }
        }
        let turn = self.shared.turn(id, &locks(execution, id))?;
        let shared_key = content_key.as_ref().unwrap_or(&planned.key);
        let own = self.alone_with(id, step, planned, shared_key)?;
        if own.is_some()
            && let Some(entry) = self.made_beside(id, shared_key, standing)
        {
            standing.unkeyed |= self.takes_unkeyed(step)?;
            self.hit(n, planned, Verdict::Hit { by: FoundBy::Content }, &entry, standing);
            return Ok(());
        }
        let mut reasons = planned.verdict.reasons().to_vec();
        if !standing.ran && reasons.len() > 1 {
            reasons.retain(|reason| *reason != Reason::StepBefore);
        }
        let verdict = Verdict::Miss { reasons };
        self.shared.send(Event::Decided { step: id, verdict, key: planned.key.clone(), image: None });

        let mut locks = Vec::new();
        for name in &step.exclusive {
            let what = format!("another build that uses {name}");
            locks.push(self.lock(id, &format!("exclusive {name}"), what)?);
        }
        if let Some(image) = &standing.image {
            self.revive(image)?;
        }
        if !self.stage.layers {
            self.label_key = self.content_key(content_key.clone().map(Parent::Step).as_ref());
        }
        let from = self.from(step, standing)?;
        let slot = self.shared.step_slot(id)?;
        let (image, duration_ms) = self.call_until_there(n, step, planned, from.as_ref())?;
        drop(slot);
        drop(locks);
        // The engine reads context and servers when it comes to the step, which may be long after the key was made.
        let moved = !(execution.is_as_read)(step);
        drop(turn);
        let in_layers = self.stage.layers && !self.stage.body.is_empty();
        let image = if in_layers { image } else { self.finished(image)? };

        let stored = execution.engine.image(&image).map_err(|e| self.failure(e))?;
        let again = ComposedImage::again(&stored).map_err(|e| self.failure(e))?;
        execution.store.put_image(&again).map_err(|e| self.failure(e))?;
        if moved {
            let stage = &self.stage.stage.name;
            let why = match step.host.may_change(&step.host) {
                true => "the step changes files that it reads",
                false => "its files changed while the build ran",
            };
            self.shared.send(Event::Warning(format!(
                "stage {stage}: {}: {why}; what it made is not kept for later builds",
                step.title
            )));
        }
        standing.unkeyed |= moved || self.takes_unkeyed(step)?;
        let made_of = self.editions(step, standing)?;
        let again = planned.known || content_key.as_ref().is_some_and(|key| self.was_known(key));
        let again = again.then_some(execution.build_id.as_str());
        let entry = Entry {
            inputs: planned.inputs.clone(),
            by_content: content_key.clone().filter(|_| !moved),
            image: image.clone(),
            created: Timestamp::now().to_string(),
            duration_ms,
            build: execution.build_id.clone(),
            edition: Edition::new(again, &made_of),
            made_of,
            left: Vec::new(),
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
        drop(own);
        self.shared.send(Event::Ran { step: id, image: image.clone(), duration_ms });
        standing.files = Some(image.clone());
        standing.image = Some(image);
        standing.content = Some(Parent::Step(content));
        standing.edition = entry.edition;
        standing.ran = true;
        Ok(())
    }

    /// A lock that is waited for, and what for is told.
    fn lock(&self, step: StepId, name: &str, what: String) -> Result<Lock, Ended> {
        let waiting = || {
            self.shared.slots.waits(self.index);
            self.shared.send(Event::Waiting { step, what });
        };
        let lock = self.shared.execution.store.lock_passing(name, waiting, &|| self.shared.stopped());
        let lock = lock.map_err(|e| self.failure(e))?.ok_or(Ended::Stopped);
        self.shared.slots.go_on([self.index]);
        lock
    }

    /// Waits until no other build, and no other stage of this one, runs the same step. Nothing for a step that runs whatever
    /// the others make.
    fn alone_with(
        &self,
        id: StepId,
        step: &PreparedStep,
        planned: &StepPlan,
        key: &StepKey,
    ) -> Result<Option<Lock>, Ended> {
        let told = |reason: &Reason| {
            matches!(reason, Reason::NoCache | Reason::NoCacheFilter | Reason::Wanted { .. })
        };
        let runs_anyway = step.always.is_some() || planned.verdict.reasons().iter().any(told);
        if runs_anyway || !self.shared.execution.waits {
            return Ok(None);
        }
        self.lock(id, &format!("step {key}"), "who runs the same step just now".to_owned()).map(Some)
    }

    /// What another build, or another stage, has made of the same step since this build was planned, if it can take the
    /// place of a run.
    fn made_beside(&self, id: StepId, key: &StepKey, standing: &Standing) -> Option<Entry> {
        let execution = self.shared.execution;
        let entry = execution.store.entry(key)?;
        let created: Timestamp = entry.created.parse().ok()?;
        let counts = created >= execution.started
            && !standing.unkeyed
            && entry.stands_on(&standing.edition)
            && execution.plan.is_left(id, &entry);
        // It may have come behind the listing.
        let image = execution.engine.image(&entry.image).ok().filter(|_| counts)?;
        // Two runs of the step before may have left different layers.
        let below = match &standing.image {
            Some(id) => self.read(id).ok()?.diff_ids(),
            None => Vec::new(),
        };
        if !image.diff_ids().starts_with(&below) {
            return None;
        }
        if !self.shared.has_image(&image.id) {
            self.note_image(&image.id, Vec::new());
        }
        Some(entry)
    }

    /// Whether there was a result of this key before the build; one that ran beside it does not count.
    fn was_known(&self, key: &StepKey) -> bool {
        let execution = self.shared.execution;
        let created = execution.store.entry(key).and_then(|entry| entry.created.parse::<Timestamp>().ok());
        created.is_some_and(|created| created < execution.started)
    }

    /// Keeps what was found by content under the key by definition, so that it is found by that next time.
    fn keep_as_defined(
        &self,
        step: &PreparedStep,
        planned: &StepPlan,
        found: &Entry,
        standing: &Standing,
    ) -> Result<(), Ended> {
        let (inputs, made_of) = (planned.inputs.clone(), self.editions(step, standing)?);
        self.keep(&planned.key, &Entry { inputs, made_of, ..found.clone() })
    }

    /// The editions that a step is made of.
    fn editions(&self, step: &PreparedStep, standing: &Standing) -> Result<Vec<Edition>, Ended> {
        let mut of_stages = BTreeMap::new();
        for foreign in &step.foreign {
            if let Origin::Stage(index) = foreign.origin {
                of_stages.insert(index, self.outcome(index)?.edition.clone());
            }
        }
        Ok(editions(step, standing.edition.clone(), &|index| of_stages[&index].clone()))
    }

    /// Whether a step copies from a stage of which no key by definition says what is in it.
    pub(super) fn takes_unkeyed(&self, step: &PreparedStep) -> Result<bool, Ended> {
        for foreign in &step.foreign {
            if let Origin::Stage(index) = foreign.origin
                && self.outcome(index)?.unkeyed
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether an image is in the storage, or can be had again without running anything.
    pub(super) fn is_there(&self, id: &ImageId) -> bool {
        if self.shared.has_image(id) {
            return true;
        }
        let execution = self.shared.execution;
        let kept = execution.store.image(id).and_then(|kept| kept.stored().ok());
        kept.is_some_and(|image| execution.engine.has_layers(&image.diff_ids()))
    }

    /// An image of the storage, or of the store where only the layers are left.
    pub(super) fn read(&self, id: &ImageId) -> Result<StoredImage, Ended> {
        let execution = self.shared.execution;
        if !self.shared.has_image(id)
            && let Some(image) = execution.store.image(id).and_then(|kept| kept.stored().ok())
        {
            return Ok(image);
        }
        execution.engine.image(id).map_err(|e| self.failure(e))
    }

    /// Sees to it that a pruned image is in the storage again.
    pub(super) fn revive(&self, id: &ImageId) -> Result<(), Ended> {
        if self.shared.has_image(id) {
            return Ok(());
        }
        match self.shared.execution.store.image(id) {
            Some(kept) => self.commit(&kept).map(drop),
            None => Ok(()),
        }
    }

    pub(super) fn keep(&self, key: &StepKey, entry: &Entry) -> Result<(), Ended> {
        self.shared.execution.store.put_entry(key, entry).map_err(|e| self.failure(e))
    }

    /// The image in the storage that files of a stage or an image are taken from.
    pub(super) fn image_of(&self, origin: &Origin) -> Result<Option<ImageId>, Ended> {
        match origin {
            Origin::Stage(index) => {
                let outcome = self.outcome(*index)?;
                let image = outcome.files.as_ref().unwrap_or(&outcome.tip.id);
                self.revive(image)?;
                Ok(Some(image.clone()))
            }
            Origin::Image(name) => {
                let own = self.stage.stage.platform.as_deref();
                let base = (self.shared.execution.images)(name, own).map_err(|e| self.failure(e))?;
                Ok(Some(base.image.id.clone()))
            }
            _ => Ok(None),
        }
    }
}
