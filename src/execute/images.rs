//! What a finished stage leaves in the storage: tip, leaf and their names.

use std::sync::Arc;

use jiff::Timestamp;

use super::StageOutcome;
use super::shared::{Ended, locked};
use super::stage::{StageWorker, Standing};
use crate::bases::BaseImage;
use crate::event::Event;
use crate::image::{ComposedImage, ImageFormat, ImageId, StoredImage};
use crate::key::{Parent, StepKey};
use crate::render::label_instruction;
use crate::store::{Edition, Entry};
use crate::tip::{Ground, TipFlags};
use crate::{names, tip};

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

    /// Tip, leaf and names.
    pub(super) fn finish(
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
            let mended = tip::with_heredocs(&image, self.stage).map_err(|e| self.failure(e))?;
            let image = mended.map(|mended| self.commit(&mended)).transpose()?.unwrap_or(image);
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
            edition: standing.edition.clone(),
            ran: standing.ran,
            unkeyed: standing.unkeyed,
            root,
            built: std::mem::take(&mut self.built),
        })
    }

    /// The leaf; with `--save-stages` one that has no name, for buildah has no `untag`.
    pub(super) fn leaf(&self, tip: &StoredImage, labels: &[(String, String)]) -> Result<StoredImage, Ended> {
        let plain = tip::leaf(tip, labels, None).map_err(|e| self.failure(e))?;
        if !self.must_lose_its_name(&plain.id) {
            return self.commit(&plain);
        }
        let fresh = tip::leaf(tip, labels, Some(&self.build_comment())).map_err(|e| self.failure(e))?;
        self.commit(&fresh)
    }

    pub(super) fn must_lose_its_name(&self, id: &ImageId) -> bool {
        let execution = self.shared.execution;
        let named = locked(&self.shared.listing).get(id).is_some_and(|listed| !listed.names.is_empty());
        named && execution.labelling.save_stages && self.index != execution.target
    }

    pub(super) fn build_comment(&self) -> String {
        format!("stagecache build {}", self.shared.execution.build_id)
    }

    /// A squashed stage's image with the annotations of its real base: the engine writes the name that the image in
    /// its FROM happens to have (1.28).
    pub(super) fn annotated(
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

    pub(super) fn tip(
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
                edition: Edition::FIRST,
                made_of: Vec::new(),
            };
            self.keep(&planned.key, &entry)?;
        }
        Ok(Arc::new(tip))
    }

    /// Commits a composed image unless the storage has it, with the same annotations.
    pub(super) fn commit(&self, composed: &ComposedImage) -> Result<StoredImage, Ended> {
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
    pub(super) fn commit_passing(&self, composed: &ComposedImage) -> Result<ImageId, Ended> {
        let was_there = self.shared.has_image(&composed.id);
        let image = self.commit(composed)?;
        if !was_there {
            locked(&self.shared.passing).push(image.id.clone());
        }
        Ok(image.id)
    }

    /// Names what is to stay: the leaf; the tip where the leaf has no name of ours.
    pub(super) fn name_images(
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
    pub(super) fn release(&self, building: &str, id: &ImageId) -> Result<(), Ended> {
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
pub(super) fn carries(image: &StoredImage, labels: &[(String, String)]) -> bool {
    labels.iter().all(|(key, value)| image.label(key) == Some(value))
}
