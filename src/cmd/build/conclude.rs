//! The end of a build for one platform: names, keys for next time, the record.

use std::collections::{BTreeMap, BTreeSet};
use std::slice;
use std::thread;

use anyhow::anyhow;
use jiff::Timestamp;

use super::{Build, BuildResult};
use crate::engine::{EngineError, Listing};
use crate::event::BuildFailure;
use crate::execute::{Executed, StageOutcome};
use crate::image::ImageId;
use crate::key::StepKey;
use crate::names;
use crate::record::{BuildStatus, ResultRecord, StageStatus};
use crate::recording;
use crate::report::progress::Progress;
use crate::request::KeepStages;
use crate::store::{Nearest, RecordFile, StageNearest};
use crate::tip;
use crate::upkeep::Leftovers;

impl Build<'_> {
    pub(super) fn conclude(
        self,
        executed: Executed,
        progress: &Progress,
        record: &RecordFile,
    ) -> anyhow::Result<BuildResult> {
        let engine = self.session.engine.as_ref();
        self.keep_nearest(&executed)?;
        if let Some(failure) = executed.failure {
            if let Some(target) = executed.stages.get(&self.graph.target) {
                self.keep_target(target, &executed.listing);
            }
            let interrupted = matches!(failure, BuildFailure::Interrupted);
            self.hold_unfinished(&executed.listing)?;
            record.finish(|r| recording::failed(r, &failure.to_string(), interrupted))?;
            return Err(failure.into());
        }
        let target =
            executed.stages.get(&self.graph.target).ok_or_else(|| anyhow!("the target was not built"))?;
        let image = target.leaf.clone();
        let wanted: Vec<String> = self.request.names.iter().map(|name| names::full(name)).collect();
        let missing: Vec<String> =
            wanted.iter().filter(|name| executed.listing.named(name) != Some(&image)).cloned().collect();
        let parked = self.park(&executed.listing, &missing, &image)?;
        // Removing an image's only name removes the image: names that are to go move to one that has a name to stay.
        let keeper = match (&wanted[..], &target.name) {
            ([_, ..], None) => Some(&image),
            // The target first: the others' may have been removed since.
            _ => std::iter::once(target.as_ref())
                .chain(executed.stages.values().map(AsRef::as_ref))
                .find(|stage| stage.name.is_some())
                .map(|stage| &stage.named),
        };
        let mut second_names = Vec::new();
        let unfinished = self.of_unfinished(&executed);
        if keeper.is_some() {
            let there = |name: &&String| executed.listing.named(name).is_some();
            second_names.extend(executed.leftover_names.iter().chain(&unfinished).filter(there).cloned());
        }
        if self.name_target(target, &missing, keeper, &second_names, &executed.listing)? {
            second_names.clear();
        }
        if keeper.is_none() {
            self.hold_unfinished(&executed.listing)?;
        } else if !unfinished.is_empty() {
            self.session.store.forget_names(&unfinished)?;
        }
        let parked = parked.into_iter().map(|(stage, name)| (format!("{stage} (parked)"), name)).collect();
        // What is parked is older than what this build made: the last of a list are kept longest.
        let mut kept: Vec<(String, String)> = parked;
        kept.extend(executed.stages.iter().filter_map(|(index, outcome)| {
            Some((self.graph.stages[*index].name.clone(), outcome.name.clone()?))
        }));
        if self.request.save_stages {
            let unnamed = self.park_unnamed(&executed)?;
            kept.extend(unnamed.into_iter().map(|(stage, name)| (format!("{stage} (parked)"), name)));
        }
        self.check_saved(&executed)?;
        let leftovers =
            Leftovers { names: self.retire(&kept)?, second_names, images: executed.passing.clone() };
        let stored = engine.image(&image)?;
        let mut built = blake3::Hasher::new();
        for outcome in executed.stages.values() {
            built.update(&outcome.built);
        }
        let record = record.finish(|r| {
            r.status = BuildStatus::Succeeded;
            r.ended = Some(Timestamp::now().to_string());
            r.request.built_digest = format!("blake3:{}", built.finalize().to_hex());
            r.result = Some(ResultRecord {
                image: image.clone(),
                digest: stored.digest.clone(),
                names: wanted.clone(),
                diff_ids: stored.diff_ids(),
            });
        })?;
        let ran = record.stages.iter().filter(|s| s.status == StageStatus::Built).count();
        progress.note(&format!(
            "built {} ({} of {} stages ran), build {}",
            image.short(),
            ran,
            record.stages.iter().filter(|s| s.status != StageStatus::Skipped).count(),
            self.build_id
        ));
        Ok(BuildResult { image, platform: self.platform.to_string(), record, leftovers })
    }

    /// Gives the target's image the user's names, and what it stands on its own; names that are to go move to the keeper.
    /// Tells whether they are gone: they go while the image is committed, and are left to the end where it is there.
    fn name_target(
        &self,
        target: &StageOutcome,
        missing: &[String],
        keeper: Option<&ImageId>,
        second_names: &[String],
        listing: &Listing,
    ) -> anyhow::Result<bool> {
        let engine = self.session.engine.as_ref();
        let mut names: BTreeMap<&ImageId, Vec<String>> = BTreeMap::new();
        if let Some(name) = unnamed(target, listing) {
            names.entry(&target.named).or_default().push(name.clone());
        }
        if let Some(keeper) = keeper {
            names.entry(keeper).or_default().extend_from_slice(second_names);
        }
        let mut missing = missing;
        if target.to_commit.is_none() {
            names.entry(&target.leaf).or_default().extend_from_slice(missing);
            missing = &[];
        }
        let tag = || {
            names.iter().try_for_each(|(image, names)| engine.tag(image, names))?;
            // What could not be removed is looked at again at the end.
            Ok::<_, EngineError>(target.to_commit.is_some() && engine.remove(second_names).is_ok())
        };
        thread::scope(|scope| {
            let tagged = scope.spawn(tag);
            // The first name comes with the image.
            let made = target.to_commit.as_ref().map(|image| {
                let (first, others) = missing.split_first().map_or((None, missing), |(a, b)| (Some(a), b));
                engine.commit_config(image, first.map(String::as_str))?;
                engine.tag(&image.id, others)
            });
            let gone = tagged.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
            made.transpose()?;
            Ok(gone)
        })
    }

    /// The image of a target that was finished in a build that failed; what is told is the failure of the build.
    fn keep_target(&self, target: &StageOutcome, listing: &Listing) {
        if let Some(image) = &target.to_commit {
            let engine = self.session.engine.as_ref();
            let named = unnamed(target, listing).map(|name| engine.tag(&target.named, slice::from_ref(name)));
            let _ = named.transpose().and_then(|_| engine.commit_config(image, None));
        }
    }

    /// Keeps the names that a build in progress gave: those of the newest steps of stages that were not finished, and
    /// those that were to be taken off at the end.
    pub(super) fn hold_unfinished(&self, listing: &Listing) -> anyhow::Result<()> {
        let names: Vec<(String, String)> = self
            .prepared
            .values()
            .map(|stage| {
                (unfinished_of(&stage.stage.name), names::building_name(&stage.stage.name, &self.build_id))
            })
            .filter(|(_, name)| listing.named(name).is_some())
            .collect();
        if !names.is_empty() {
            self.session.store.keep_names(&self.identity, &names, usize::MAX)?;
        }
        Ok(())
    }

    /// The names that earlier builds' unfinished stages hold, of the stages that are finished now.
    fn of_unfinished(&self, executed: &Executed) -> Vec<String> {
        let stages = executed.stages.keys().map(|index| &self.graph.stages[*index].name);
        stages.flat_map(|stage| self.session.store.names_of(&self.identity, &unfinished_of(stage))).collect()
    }

    /// The keys for next time; stages that were not reached keep those of last time.
    pub(super) fn keep_nearest(&self, executed: &Executed) -> anyhow::Result<()> {
        let mut nearest = Nearest::default();
        for (&index, stage) in &self.prepared {
            let name = &stage.stage.name;
            let plan = &self.plan.stages[&index];
            let all =
                || plan.steps.iter().map(|s| s.key.clone()).chain([plan.key.clone()]).collect::<Vec<_>>();
            let steps: Vec<StepKey> = if executed.stages.contains_key(&index) {
                all()
            } else {
                let done: Vec<StepKey> =
                    all().into_iter().take_while(|key| self.session.store.entry(key).is_some()).collect();
                let before = self.nearest.stage(name, index).map(|s| s.steps.clone()).unwrap_or_default();
                done.iter().cloned().chain(before.into_iter().skip(done.len())).collect()
            };
            nearest.stages.insert(index, StageNearest { name: name.clone(), steps });
        }
        if nearest != self.nearest {
            self.session.store.put_nearest(&self.identity, &nearest)?;
        }
        Ok(())
    }

    /// Gives a name of ours to labelled targets that lose their last name to this build.
    pub(super) fn park(
        &self,
        listing: &Listing,
        taken: &[String],
        image: &ImageId,
    ) -> anyhow::Result<Vec<(String, String)>> {
        let mut parked = Vec::new();
        let losers: BTreeSet<ImageId> =
            taken.iter().filter_map(|name| listing.named(name)).filter(|id| *id != image).cloned().collect();
        for id in losers {
            let left = listing.get(&id).map_or(0, |i| i.names.iter().filter(|n| !taken.contains(n)).count());
            if left > 0 {
                continue;
            }
            let stored = self.session.engine.image(&id)?;
            if let Some(stage) = stored.label(tip::STAGE_NAME) {
                let name = names::leaf_name(stage, &id, &[]);
                self.session.engine.tag(&id, slice::from_ref(&name))?;
                parked.push((stage.to_owned(), name));
            }
        }
        Ok(parked)
    }

    /// With `--save-stages`: unnamed labelled images of earlier builds get names, so that the unnamed ones are this
    /// build's alone; SBOM tools take the first that they find.
    pub(super) fn park_unnamed(&self, executed: &Executed) -> anyhow::Result<Vec<(String, String)>> {
        let engine = self.session.engine.as_ref();
        let current: BTreeSet<&ImageId> = executed.stages.values().map(|outcome| &outcome.leaf).collect();
        let mut parked = Vec::new();
        for (id, listed) in executed.listing.iter() {
            if !listed.names.is_empty() || current.contains(id) {
                continue;
            }
            // One that vanished meanwhile is in nobody's way.
            let Ok(stored) = engine.image(id) else { continue };
            if let Some(stage) = stored.label(tip::STAGE_NAME) {
                let name = names::leaf_name(stage, id, &[]);
                engine.tag(id, slice::from_ref(&name))?;
                parked.push((stage.to_owned(), name));
            }
        }
        Ok(parked)
    }

    /// With `--save-stages`: exactly one unnamed image for each stage, or the build fails loudly.
    pub(super) fn check_saved(&self, executed: &Executed) -> anyhow::Result<()> {
        if !(self.request.save_stages && self.request.stage_labels) {
            return Ok(());
        }
        let engine = self.session.engine.as_ref();
        let listing = engine.list()?;
        for (index, outcome) in &executed.stages {
            let stage = &self.graph.stages[*index].name;
            let named = listing.get(&outcome.leaf).is_some_and(|listed| !listed.names.is_empty());
            if named && *index != self.graph.target {
                anyhow::bail!(
                    "--save-stages: the image {} of stage {stage} has a name, and SBOM tools pass over it; \
                     remove the name, or build with --no-cache",
                    outcome.leaf.short()
                );
            }
            let others = listing.iter().filter(|(id, listed)| {
                listed.names.is_empty()
                    && **id != outcome.leaf
                    && engine.image(id).is_ok_and(|i| i.label(tip::STAGE_NAME) == Some(stage))
            });
            if let Some((id, _)) = others.into_iter().next() {
                anyhow::bail!(
                    "--save-stages: image {} has no name and the label of stage {stage} too, and SBOM tools could pick it; \
                     remove it, or give it a name",
                    id.short()
                );
            }
        }
        Ok(())
    }

    /// Adds this build's names to those that are kept, and returns the ones that fall out.
    pub(super) fn retire(&self, kept: &[(String, String)]) -> anyhow::Result<Vec<String>> {
        let keep = match self.request.keep_stages {
            KeepStages::All => usize::MAX,
            KeepStages::Last(n) => n,
        };
        self.session.store.keep_names(&self.identity, kept, keep)
    }
}

/// The name that a target's image, or what it stands on, does not have yet.
fn unnamed<'a>(target: &'a StageOutcome, listing: &Listing) -> Option<&'a String> {
    target.name.as_ref().filter(|name| listing.named(name) != Some(&target.named))
}

/// Under what the names of a stage in progress are kept.
pub(super) fn unfinished_of(stage: &str) -> String {
    format!("{stage} (unfinished)")
}
