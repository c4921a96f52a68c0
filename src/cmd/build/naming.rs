//! The names that a build gives at its end, and those that it takes off again.

use std::collections::BTreeSet;
use std::slice;
use std::thread;
use std::time::Duration;

use anyhow::{anyhow, bail};

use super::Build;
use crate::engine::{EngineError, Listing};
use crate::event::BuildFailure;
use crate::execute::{Executed, StageOutcome};
use crate::image::{ImageId, StoredImage};
use crate::names;
use crate::tip;

/// What came of the names.
#[derive(Debug, Default)]
pub(super) struct Named {
    /// The user's names of the target's image.
    pub(super) wanted: Vec<String>,
    /// Names that are still to go, of images that have another one.
    pub(super) left: Vec<String>,
}

/// Longer than a prune takes from its look at the storage to the removal of what it found (podman 4.3 beside builds on two
/// busy cores: half of them less than 0.13 s, one 1.6 s).
const PRUNES: Duration = Duration::from_secs(2);

/// The target's image is not there when all is done.
#[derive(Debug, thiserror::Error)]
#[error("image {0} went from the storage while the build ended")]
pub(super) struct Gone(ImageId);

impl Gone {
    /// The image that is gone, where a build failed for that.
    pub(super) fn of(failure: &BuildFailure) -> Option<&ImageId> {
        let BuildFailure::Stage { error, .. } = failure else { return None };
        Some(&error.downcast_ref::<Gone>()?.0)
    }
}

impl Build<'_> {
    /// Names the target's image, which is committed with that where it is not there yet. Where the build has lost images
    /// before, somebody removes some just now.
    ///
    /// # Errors
    /// When the engine does not do it; it may be that what the image stands on has gone.
    pub(super) fn name_images(&mut self, executed: &Executed, has_lost: bool) -> anyhow::Result<Named> {
        let target =
            executed.stages.get(&self.graph.target).ok_or_else(|| anyhow!("the target was not built"))?;
        let image = &target.leaf;
        let wanted: Vec<String> = self.request.names.iter().map(|name| names::full(name)).collect();
        let missing: Vec<String> =
            wanted.iter().filter(|name| executed.listing.named(name) != Some(image)).cloned().collect();
        self.park(&executed.listing, &missing, image)?;
        // Removing an image's only name removes the image: names that are to go move to one that has a name to stay.
        let keeper = match (&wanted[..], &target.name) {
            ([_, ..], None) => Some(image),
            // The target first: the others' may have been removed since.
            _ => std::iter::once(target.as_ref())
                .chain(executed.stages.values().map(AsRef::as_ref))
                .find(|stage| stage.name.is_some())
                .map(|stage| &stage.named),
        };
        let unfinished = self.of_unfinished(executed);
        let mut left = Vec::new();
        if keeper.is_some() {
            let there = |name: &&String| executed.listing.named(name).is_some();
            left.extend(executed.leftover_names.iter().chain(&unfinished).filter(there).cloned());
        }
        if self.name_target(target, &missing, keeper, &left, &executed.listing)? {
            left.clear();
        }
        if !executed.made.is_empty() || !missing.is_empty() || target.to_commit.is_some() {
            if has_lost {
                // A prune removes what had no name when it began.
                thread::sleep(PRUNES);
            }
            self.check_named(image, &wanted)?;
        }
        if keeper.is_none() {
            self.hold_unfinished(executed)?;
        } else if !unfinished.is_empty() {
            self.session.store.forget_names(&unfinished)?;
        }
        Ok(Named { wanted, left })
    }

    /// Sees to it that the target's image is there, and the names; another build may have taken them to its own.
    fn check_named(&self, image: &ImageId, wanted: &[String]) -> anyhow::Result<()> {
        let now = self.session.engine.list()?;
        if !now.contains(image) && wanted.is_empty() {
            bail!(
                "image {} went from the storage before the build ended: a prune takes images without a name; give it one \
                 with --tag",
                image.short()
            );
        }
        if !now.contains(image) {
            return Err(Gone(image.clone()).into());
        }
        let gone = wanted.iter().filter(|name| now.named(name).is_none());
        Ok(self.session.engine.tag(image, &gone.cloned().collect::<Vec<_>>())?)
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
        let mut names: Vec<(&ImageId, Vec<String>)> = Vec::new();
        let mut add = |image, more: &[String]| match names.iter_mut().find(|(named, _)| *named == image) {
            Some((_, names)) => names.extend_from_slice(more),
            None => names.push((image, more.to_vec())),
        };
        if let Some(name) = unnamed(target, listing) {
            add(&target.named, slice::from_ref(name));
        }
        let mut missing = missing;
        if target.to_commit.is_none() {
            add(&target.leaf, missing);
            missing = &[];
        }
        // Last, for this takes them from the others.
        if let Some(keeper) = keeper {
            add(keeper, second_names);
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
    pub(super) fn keep_target(&self, target: &StageOutcome, listing: &Listing) {
        if let Some(image) = &target.to_commit {
            let engine = self.session.engine.as_ref();
            let named = unnamed(target, listing).map(|name| engine.tag(&target.named, slice::from_ref(name)));
            let _ = named.transpose().and_then(|_| engine.commit_config(image, None));
        }
    }

    /// Keeps the names that a build in progress gave: those of the newest steps of stages that were not finished, and
    /// those that were to be taken off at the end.
    pub(super) fn hold_unfinished(&self, executed: &Executed) -> anyhow::Result<()> {
        let listing = &executed.listing;
        let of_build = executed.leftover_names.iter().map(|name| (unfinished_of(""), name.clone()));
        let names: Vec<(String, String)> = self
            .prepared
            .stages
            .values()
            .map(|stage| {
                (unfinished_of(&stage.stage.name), names::building_name(&stage.stage.name, &self.build_id))
            })
            .chain(of_build)
            .filter(|(_, name)| listing.named(name).is_some())
            .collect();
        if !names.is_empty() {
            self.session.store.keep_names(&self.identity, &names, usize::MAX)?;
        }
        Ok(())
    }

    /// The names that earlier builds' unfinished stages hold, of the stages that are finished now.
    fn of_unfinished(&self, executed: &Executed) -> Vec<String> {
        let stages = executed.stages.keys().map(|index| self.graph.stages[*index].name.as_str()).chain([""]);
        stages.flat_map(|stage| self.session.store.names_of(&self.identity, &unfinished_of(stage))).collect()
    }

    /// Gives a name of ours to labelled targets that lose their last name to this build.
    fn park(&mut self, listing: &Listing, taken: &[String], image: &ImageId) -> anyhow::Result<()> {
        let losers: BTreeSet<ImageId> =
            taken.iter().filter_map(|name| listing.named(name)).filter(|id| *id != image).cloned().collect();
        for id in losers {
            let left = listing.get(&id).map_or(0, |i| i.names.iter().filter(|n| !taken.contains(n)).count());
            if left > 0 {
                continue;
            }
            let stored = self.session.engine.image(&id)?;
            let parked = self.named_as_parked(&stored)?;
            self.parked.extend(parked);
        }
        Ok(())
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
            parked.extend(self.named_as_parked(&stored)?);
        }
        Ok(parked)
    }

    /// Gives an image that has a stage's label a name of ours; the stage, and that name.
    fn named_as_parked(&self, image: &StoredImage) -> anyhow::Result<Option<(String, String)>> {
        let Some(stage) = image.label(tip::STAGE_NAME) else { return Ok(None) };
        let name = names::leaf_name(stage, &image.id, &[]);
        self.session.engine.tag(&image.id, slice::from_ref(&name))?;
        Ok(Some((stage.to_owned(), name)))
    }
}

/// The name that a target's image, or what it stands on, does not have yet.
fn unnamed<'a>(target: &'a StageOutcome, listing: &Listing) -> Option<&'a String> {
    target.name.as_ref().filter(|name| listing.named(name) != Some(&target.named))
}

/// Under what the names of a stage in progress are kept.
fn unfinished_of(stage: &str) -> String {
    format!("{stage} (unfinished)")
}
