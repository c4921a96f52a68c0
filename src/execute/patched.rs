//! A COPY whose files changed in nothing but content, made without the engine's own copying where that can be: see `patch`.

use std::fs::{self, File};
use std::path::Path;

use jiff::Timestamp;

use super::shared::locked;
use super::stage::StageWorker;
use crate::containerfile::Keyword;
use crate::context::CopiedTree;
use crate::engine::StepCall;
use crate::engine::layer::HistoryDigest;
use crate::event::Event;
use crate::image::ImageId;
use crate::key::Content;
use crate::patch::{self, Patch};
use crate::plan::StepPlan;
use crate::prepare::PreparedStep;
use crate::process::OutputLine;

impl StageWorker<'_> {
    /// The step's image, made of the one of last time; nothing where the engine has to copy.
    pub(super) fn patched(
        &self,
        n: usize,
        step: &PreparedStep,
        planned: &StepPlan,
        from: Option<&ImageId>,
        call: &StepCall,
    ) -> Option<ImageId> {
        let execution = self.shared.execution;
        let alike = planned.alike.as_ref().filter(|_| execution.patch_layers && self.can_be_patched(step))?;
        let listed = locked(&self.shared.listing).get(&alike.image).cloned()?;
        let layer = execution.engine.top_layer(&listed)?;
        let [source] = planned.inputs.sources.as_slice() else { return None };
        let tree = |content: &Content| match content {
            Content::Files(digest) => execution.store.tree::<CopiedTree>(digest),
            _ => None,
        };
        let (before, after) = (tree(&alike.inputs.sources.first()?.content)?, tree(&source.content)?);
        let patch = Patch {
            layer: &layer,
            context: execution.context,
            sources: &source.paths,
            before: &before,
            after: &after,
            digest: HistoryDigest::of(execution.engine.probed().buildah),
            room: free_bytes(execution.scratch).unwrap_or_default(),
        };
        let archive = execution.scratch.join(format!("{}-{n}.layer", self.index));
        let image = self.patch(&patch, &archive, &alike.image, from, call, (self.index, n));
        // What is left of an attempt only takes room: the folder goes with the build's own.
        let _ = fs::remove_file(&archive);
        image
    }

    /// Whether a step is one COPY from the context without anything that could make a difference but its files.
    fn can_be_patched(&self, step: &PreparedStep) -> bool {
        let Some(instruction) = step.items.last().map(|&item| &self.stage.body[item].instruction) else {
            return false;
        };
        self.stage.layers
            && !step.in_layers
            && step.workdir.is_none()
            && step.variables.is_empty()
            && step.inputs.flags.is_empty()
            && instruction.keyword == Keyword::Copy
            && instruction.heredocs.is_empty()
            && instruction.flags.iter().all(|flag| matches!(flag.name.as_str(), "chown" | "chmod"))
    }

    fn patch(
        &self,
        patch: &Patch<'_>,
        archive: &Path,
        last_time: &ImageId,
        from: Option<&ImageId>,
        call: &StepCall,
        step: (usize, usize),
    ) -> Option<ImageId> {
        let execution = self.shared.execution;
        let patched = patch.write(&mut File::create(archive).ok()?).ok()??;
        let old = execution.engine.image(last_time).ok()?;
        let parent = from.map(|id| execution.engine.image(id)).transpose().ok()?;
        let image = patch::image(&old, parent.as_ref(), &patched, &Timestamp::now().to_string())?;
        let id = execution.engine.commit_layer(&image, archive).ok()?;
        execution.engine.tag(&id, &call.names).ok()?;
        let files =
            if patched.changed == 1 { "1 file".to_owned() } else { format!("{} files", patched.changed) };
        let line = format!("took over the layer of {}, with {files} anew", last_time.short());
        self.shared.send(Event::Output { step, line: OutputLine::Stdout(line.into_bytes()) });
        Some(id)
    }
}

/// How many bytes are free for a folder's files.
fn free_bytes(folder: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(folder).ok()?;
    Some(disk.f_bavail.saturating_mul(disk.f_frsize))
}
