//! What a finished stage leaves in the storage: tip, leaf and their names.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;

use jiff::Timestamp;

use super::StageOutcome;
use super::call::ATTEMPTS;
use super::shared::{Ended, Progress, locked};
use super::slots::Urgency;
use super::stage::{StageWorker, Standing};
use crate::event::Event;
use crate::graph::Origin;
use crate::image::{BASE_DIGEST, BASE_NAME, ComposedImage, ImageFormat, ImageId, StoredImage};
use crate::key::{Parent, StepKey};
use crate::render::label_instruction;
use crate::store::{Edition, Entry};
use crate::tip::{Ground, TipFlags};
use crate::{names, process, squashed, tip};

impl StageWorker<'_> {
    /// The stage's key by content, where it is known.
    pub(super) fn content_key(&self, content: Option<&Parent>) -> Option<StepKey> {
        let planned = &self.shared.execution.plan.stages[&self.index];
        content.cloned().map(|parent| {
            let mut inputs = planned.tail_inputs.clone();
            inputs.parent = parent;
            inputs.key()
        })
    }

    /// The tip, which other stages wait for: they go on while the leaf is made.
    pub(super) fn finish(
        &mut self,
        below: Option<&StageOutcome>,
        standing: &Standing,
    ) -> Result<StageOutcome, Ended> {
        if self.shared.stopped() {
            return Err(Ended::Stopped);
        }
        let content_key = self.content_key(standing.content.as_ref());
        self.label_key.clone_from(&content_key);
        let labels = self.stage_labels();
        let mut stands_for_tip = false;
        let is_from_alone = self.stage.body.is_empty();
        let tip: Arc<StoredImage> =
            if let (true, true, Some(ground)) = (is_from_alone, self.stage.steps.is_empty(), &self.ground) {
                ground.clone()
            } else if let (true, Some(id)) = (is_from_alone, &standing.image) {
                self.revive(id)?;
                Arc::new(self.squashed(self.read(id)?, None)?)
            } else if self.stage.layers {
                let last = self.last_step(standing)?;
                let tip = self.tip(last.as_ref(), standing)?;
                stands_for_tip = last.is_some_and(|last| tip::stands_for(&last, &tip));
                Arc::new(tip)
            } else {
                let id = standing.image.as_ref().expect("a squashed stage with instructions has an image");
                self.revive(id)?;
                Arc::new(self.squashed(self.read(id)?, labels.as_deref())?)
            };
        let leaf = match &labels {
            Some(labels) if !carries(&tip, labels) || (self.stage.body.is_empty() && below.is_some()) => {
                Some(self.leaf(&tip, labels)?)
            }
            _ => None,
        };
        if let Some(labels) = &labels {
            self.built.extend_from_slice(label_instruction(labels, b'\\').as_bytes());
        }
        let leaf_id = leaf.as_ref().map_or(&tip.id, |leaf| &leaf.id).clone();
        let (named, name) = self.name_to_be(&tip.id, &leaf_id, labels.as_deref().unwrap_or_default());
        let must_be_there = leaf.is_none()
            || standing.files.is_none()
            || self.stage.steps.is_empty()
            || (!stands_for_tip && self.is_stood_on());
        if must_be_there {
            self.commit(&ComposedImage::again(&tip).map_err(|e| self.failure(e))?)?;
        }
        let files = if must_be_there { Some(tip.id.clone()) } else { standing.files.clone() };
        // A name on the last step holds as much as one on the tip, which need not be there then.
        let named = if named == leaf_id { named } else { files.clone().unwrap_or(named) };
        let execution = self.shared.execution;
        let with_names = self.index == execution.target && execution.labelling.target_is_named;
        let (leaf, to_commit) = match leaf {
            Some(leaf) if with_names && !self.is_there_as(&self.stored(&leaf)?) => (None, Some(leaf)),
            leaf => (leaf, None),
        };
        let outcome = StageOutcome {
            files,
            stands_for_tip,
            tip,
            leaf: leaf_id,
            to_commit,
            named,
            name,
            content_key,
            edition: standing.edition.clone(),
            ran: standing.ran,
            unkeyed: standing.unkeyed,
            root: self.root.clone(),
            built: std::mem::take(&mut self.built),
        };
        self.shared.publish(self.index, Progress::Done(Arc::new(outcome.clone())));
        let settled = self.settle(&outcome, leaf.as_ref());
        if matches!(settled, Err(Ended::Stopped)) && !process::interrupted() {
            // The stage is done: that another one failed does not take its image away.
            self.settle(&outcome, leaf.as_ref())?;
        } else {
            settled?;
        }
        let before = self.ground.as_ref().map_or(0, |image| image.diff_ids().len());
        self.shared.send(Event::StageDone {
            stage: self.index,
            tip: outcome.tip.id.clone(),
            leaf: outcome.leaf.clone(),
            name: outcome.name.clone(),
            diff_ids: outcome.tip.diff_ids().into_iter().skip(before).collect(),
        });
        Ok(outcome)
    }

    /// Leaf and names, which no other stage waits for.
    fn settle(&self, outcome: &StageOutcome, leaf: Option<&ComposedImage>) -> Result<(), Ended> {
        let commit = |name: Option<&str>| {
            leaf.map_or(Ok(()), |leaf| self.commit_when(leaf, name, Urgency::CanWait).map(drop))
        };
        if outcome.to_commit.is_some() {
            self.revive(&outcome.named)?;
            self.leave_building_name();
            return Ok(());
        }
        if outcome.named == outcome.leaf {
            commit(outcome.name.as_deref())?;
            return self.name_images(outcome);
        }
        thread::scope(|scope| {
            let named = scope.spawn(|| {
                self.revive(&outcome.named)?;
                self.name_images(outcome)
            });
            let made = commit(None);
            named.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)).and(made)
        })
    }

    /// Whether a step of another stage that may run stands on this one.
    fn is_stood_on(&self) -> bool {
        let execution = self.shared.execution;
        let may_run =
            |index: &usize| execution.plan.stages[index].steps.iter().any(|step| !step.verdict.is_hit());
        let bases = execution.prepared.iter().map(|(index, stage)| (index, &stage.stage.base));
        bases.filter(|(_, base)| **base == Origin::Stage(self.index)).any(|(index, _)| may_run(index))
    }

    /// What a stage that is one call leaves instead of that call's image, which goes at the end of the build.
    pub(super) fn finished(&self, made: ImageId) -> Result<ImageId, Ended> {
        // Those of a FROM alone are on its leaf.
        let labels = self.stage_labels().filter(|_| !self.stage.body.is_empty());
        let image = self.squashed(self.read(&made)?, labels.as_deref())?.id;
        if image != made {
            locked(&self.shared.passing).push(made);
        }
        Ok(image)
    }

    /// The image of a stage that one call made, as it is to be, with its labels.
    fn squashed(
        &self,
        image: StoredImage,
        labels: Option<&[(String, String)]>,
    ) -> Result<StoredImage, Ended> {
        let (ground, flags) = (self.ground.as_deref(), self.tip_flags());
        if ground.is_some_and(|ground| ground.id == image.id) {
            // The engine took the base as it is.
            return Ok(image);
        }
        let image = self.annotated(image)?;
        let rules = self.shared.execution.rules;
        let mended = squashed::with_native_history(&image, self.stage, ground, flags, rules)
            .map_err(|e| self.failure(e))?;
        let image = mended.map(|mended| self.commit(&mended)).transpose()?.unwrap_or(image);
        let labelled = squashed::layer_labelled(&image, flags).map_err(|e| self.failure(e))?;
        let image = labelled.map(|labelled| self.commit(&labelled)).transpose()?.unwrap_or(image);
        let image = match labels.filter(|labels| !carries(&image, labels)) {
            Some(labels) => {
                let relabelled = match image.label(tip::STAGE_NAME) {
                    Some(_) => squashed::relabelled(&image, labels),
                    None => tip::leaf(&image, labels, None),
                };
                self.commit(&relabelled.map_err(|e| self.failure(e))?)?
            }
            None => image,
        };
        if !self.must_lose_its_name(&image.id) {
            return Ok(image);
        }
        self.commit(&tip::twin(&image, &self.build_comment()).map_err(|e| self.failure(e))?)
    }

    fn tip_flags(&self) -> &TipFlags {
        let execution = self.shared.execution;
        if self.index == execution.target { &execution.target_tip_flags } else { &execution.tip_flags }
    }

    /// The leaf; with `--save-stages` one that has no name, for buildah has no `untag`.
    fn leaf(&self, tip: &StoredImage, labels: &[(String, String)]) -> Result<ComposedImage, Ended> {
        let plain = tip::leaf(tip, labels, None).map_err(|e| self.failure(e))?;
        if !self.must_lose_its_name(&plain.id) {
            return Ok(plain);
        }
        tip::leaf(tip, labels, Some(&self.build_comment())).map_err(|e| self.failure(e))
    }

    pub(super) fn must_lose_its_name(&self, id: &ImageId) -> bool {
        let execution = self.shared.execution;
        let named = locked(&self.shared.listing).get(id).is_some_and(|listed| !listed.names.is_empty());
        named && execution.labelling.save_stages && self.index != execution.target
    }

    pub(super) fn build_comment(&self) -> String {
        format!("stagecache build {}", self.shared.execution.build_id)
    }

    /// An image with the annotations of its real base: the engine writes the name that the image in a squashed stage's
    /// FROM happens to have (1.28).
    fn annotated(&self, image: StoredImage) -> Result<StoredImage, Ended> {
        // With --inherit-annotations=false there is nothing of the base.
        let unnamed = image.annotation(BASE_NAME).is_none() && image.annotation(BASE_DIGEST).is_none();
        if image.format() == ImageFormat::Docker || self.ground.is_none() || unnamed {
            return Ok(image);
        }
        let mut wanted = image.annotations();
        tip::name_base(&mut wanted, self.root.as_ref());
        let same = [BASE_NAME, BASE_DIGEST].iter().all(|key| {
            wanted[*key].as_str().unwrap_or_default() == image.annotation(key).unwrap_or_default()
        });
        if same {
            return Ok(image);
        }
        let composed = ComposedImage::annotated(&image, wanted).map_err(|e| self.failure(e))?;
        self.commit(&composed)
    }

    /// The image of the stage's last step.
    fn last_step(&self, standing: &Standing) -> Result<Option<StoredImage>, Ended> {
        match (&standing.image, self.stage.steps.is_empty()) {
            (Some(id), false) => self.read(id).map(Some),
            _ => Ok(None),
        }
    }

    /// The tip, as it would be: who needs it in the storage commits it.
    fn tip(&self, last: Option<&StoredImage>, standing: &Standing) -> Result<StoredImage, Ended> {
        let execution = self.shared.execution;
        let planned = &execution.plan.stages[&self.index];
        // The time of a tip that has no layer of its own is that of its first commit.
        let kept = execution.store.entry(&planned.key).filter(|_| self.stage.steps.is_empty());
        if let Some(entry) = kept.filter(|entry| self.shared.has_image(&entry.image)) {
            let tip = execution.engine.image(&entry.image).map_err(|e| self.failure(e))?;
            // The stage below may have run again and left other bytes.
            if tip.diff_ids() == self.ground.as_ref().map(|image| image.diff_ids()).unwrap_or_default() {
                // The base may go by another name than at that time.
                return self.annotated(tip);
            }
        }
        let flags = self.tip_flags();
        let composed = tip::tip(
            self.stage,
            &Ground { image: self.ground.as_deref(), root: self.root.as_ref() },
            last,
            execution.format,
            execution.rules,
            flags,
            &Timestamp::now().to_string(),
        )
        .map_err(|e| self.failure(e))?;
        // Known as ours when the stage goes, and at hand when a step has to stand on it.
        execution.store.put_image(&composed).map_err(|e| self.failure(e))?;
        if self.stage.steps.is_empty() {
            self.commit(&composed)?;
            if !standing.unkeyed {
                let entry = Entry {
                    inputs: planned.tail_inputs.clone(),
                    by_content: None,
                    image: composed.id.clone(),
                    created: Timestamp::now().to_string(),
                    duration_ms: 0,
                    build: execution.build_id.clone(),
                    edition: Edition::FIRST,
                    made_of: Vec::new(),
                    left: Vec::new(),
                };
                self.keep(&planned.key, &entry)?;
            }
        }
        self.stored(&composed)
    }

    /// Commits a composed image unless the storage has it, with the same annotations.
    pub(super) fn commit(&self, composed: &ComposedImage) -> Result<StoredImage, Ended> {
        self.commit_when(composed, None, Urgency::Now)
    }

    /// The name is given to an image that is committed; one that is there keeps those that it has. Without one it is held by
    /// a name that goes when the build ends.
    fn commit_when(
        &self,
        composed: &ComposedImage,
        name: Option<&str>,
        urgency: Urgency,
    ) -> Result<StoredImage, Ended> {
        let stored = self.stored(composed)?;
        if !self.is_there_as(&stored) {
            let _slot = self.shared.call_slot(urgency)?;
            let engine = self.shared.execution.engine;
            let held = if name.is_none() { self.holding_name(&composed.id) } else { None };
            let name = name.or(held.as_deref());
            for attempt in 1..=ATTEMPTS {
                match engine.commit_config(composed, name) {
                    Err(error) if error.tells_a_loss() && attempt < ATTEMPTS => {
                        self.shared.lost.store(true, Ordering::SeqCst);
                    }
                    Err(error) => {
                        if !engine.has_layers(&stored.diff_ids()) {
                            self.shared.gone.store(true, Ordering::SeqCst);
                        }
                        return Err(self.failure(error.into()));
                    }
                    // A prune takes it where it looks before the name is there.
                    Ok(_) if self.stays(&composed.id) => break,
                    Ok(_) => {}
                }
            }
            if !self.shared.has_image(&composed.id) {
                self.note_image(&composed.id, Vec::new());
            }
            if let Some(name) = name {
                locked(&self.shared.listing).name(&composed.id, name);
            }
            locked(&self.shared.leftover).extend(held);
        }
        Ok(stored)
    }

    fn stored(&self, composed: &ComposedImage) -> Result<StoredImage, Ended> {
        composed.stored().map_err(|e| self.failure(e))
    }

    /// Whether the storage has an image, with the same annotations.
    fn is_there_as(&self, wanted: &StoredImage) -> bool {
        let is_same =
            |image: StoredImage| image.manifest.get("annotations") == wanted.manifest.get("annotations");
        self.shared.has_image(&wanted.id) && self.shared.execution.engine.image(&wanted.id).is_ok_and(is_same)
    }

    /// Commits an image that only the next call stands on.
    pub(super) fn commit_passing(&self, composed: &ComposedImage) -> Result<ImageId, Ended> {
        let was_there = self.shared.has_image(&composed.id);
        let image = self.commit(composed)?;
        if !was_there {
            locked(&self.shared.passing).push(image.id.clone());
        }
        Ok(image.id)
    }

    /// What is to have a name so that it stays, and the name: the leaf; the tip where the leaf has no name of ours.
    fn name_to_be(
        &self,
        tip: &ImageId,
        leaf: &ImageId,
        labels: &[(String, String)],
    ) -> (ImageId, Option<String>) {
        let labelling = &self.shared.execution.labelling;
        let own = &self.stage.stage.name;
        let is_target = self.index == self.shared.execution.target;
        if !labelling.save_stages && !is_target {
            // A FROM and nothing else, without a label, is its base.
            let named = !self.stage.body.is_empty() || leaf != tip;
            return (leaf.clone(), named.then(|| names::leaf_name(own, tip, labels)));
        }
        let base_alone = self.stage.body.is_empty() && leaf == tip;
        let named_by_user = leaf == tip && (labelling.save_stages || labelling.target_is_named);
        let named = !base_alone && !named_by_user;
        (tip.clone(), named.then(|| names::leaf_name(own, tip, &[])))
    }

    /// Names what is to stay.
    fn name_images(&self, outcome: &StageOutcome) -> Result<(), Ended> {
        let execution = self.shared.execution;
        if let Some(name) = &outcome.name
            && locked(&self.shared.listing).named(name) != Some(&outcome.named)
        {
            let names = std::slice::from_ref(name);
            execution.engine.tag(&outcome.named, names).map_err(|e| self.failure(e.into()))?;
            locked(&self.shared.listing).name(&outcome.named, name);
        }
        self.leave_building_name();
        Ok(())
    }

    /// The name of the build in progress is left to the end, where all of them go at once.
    fn leave_building_name(&self) {
        let building = self.building_name();
        if locked(&self.shared.listing).named(&building).is_some() {
            locked(&self.shared.leftover).push(building);
        }
    }
}

/// Whether an image has all these labels.
pub(super) fn carries(image: &StoredImage, labels: &[(String, String)]) -> bool {
    labels.iter().all(|(key, value)| image.label(key) == Some(value))
}
