//! The end of a build for one platform: keys for next time, what is kept, the record.

use anyhow::anyhow;
use jiff::Timestamp;

use super::naming::Named;
use super::{Build, BuildResult};
use crate::event::BuildFailure;
use crate::execute::Executed;
use crate::key::StepKey;
use crate::record::{BuildStatus, ResultRecord, StageStatus};
use crate::report::progress::Progress;
use crate::request::KeepStages;
use crate::store::{Nearest, RecordFile, StageNearest};
use crate::tip;
use crate::upkeep::Leftovers;

impl Build<'_> {
    pub(super) fn conclude(
        self,
        mut executed: Executed,
        named: Named,
        progress: &Progress,
        record: &RecordFile,
    ) -> anyhow::Result<BuildResult> {
        let engine = self.session.engine.as_ref();
        self.keep_nearest(&executed)?;
        if let Some(failure) = executed.failure.take() {
            if let Some(target) = executed.stages.get(&self.graph.target) {
                self.keep_target(target, &executed.listing);
            }
            let interrupted = matches!(failure, BuildFailure::Interrupted);
            self.hold_unfinished(&executed)?;
            record.finish(|r| r.fail(&failure.to_string(), interrupted))?;
            return Err(failure.into());
        }
        let target =
            executed.stages.get(&self.graph.target).ok_or_else(|| anyhow!("the target was not built"))?;
        let image = target.leaf.clone();
        let parked =
            self.parked.iter().cloned().map(|(stage, name)| (format!("{stage} (parked)"), name)).collect();
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
        let leftovers = Leftovers {
            names: self.retire(&kept)?,
            second_names: named.left,
            images: executed.passing.clone(),
        };
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
                names: named.wanted.clone(),
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
        let wrote = self.prepared.stages.values().flat_map(|stage| &stage.steps);
        let wrote = wrote.into_iter().any(|step| !step.host.writes.is_empty());
        Ok(BuildResult {
            image,
            platform: self.platform.to_string(),
            record,
            leftovers,
            log_trouble: None,
            wrote,
        })
    }

    /// The keys for next time; stages that were not reached keep those of last time.
    pub(super) fn keep_nearest(&self, executed: &Executed) -> anyhow::Result<()> {
        let mut nearest = Nearest::default();
        for (&index, stage) in &self.prepared.stages {
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
    ///
    /// A result that has no other name than ours stays, as it stays natively without any: whoever built it may only have
    /// its id. It goes with `prune`, or when the cache is held below its bound.
    pub(super) fn retire(&self, kept: &[(String, String)]) -> anyhow::Result<Vec<String>> {
        let keep = match self.request.keep_stages {
            KeepStages::All => usize::MAX,
            KeepStages::Last(n) => n,
        };
        let target = &self.graph.target_stage().name;
        let is_result = |(stage, _): &&(String, String)| self.request.names.is_empty() && stage == target;
        let (results, stages): (Vec<_>, Vec<_>) = kept.iter().partition(is_result);
        let own = |names: Vec<&(String, String)>| names.into_iter().cloned().collect::<Vec<_>>();
        self.session.store.keep_names(&self.identity, &own(results), usize::MAX)?;
        self.session.store.keep_names(&self.identity, &own(stages), keep)
    }
}
