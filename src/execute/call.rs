//! One engine call for one step.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use jiff::Timestamp;

use super::shared::{Ended, locked};
use super::stage::{StageWorker, Standing};
use crate::address::masked_bytes;
use crate::engine::{EngineError, KeptContainers, ListedImage, StepCall, temporary};
use crate::event::{BuildFailure, Event};
use crate::graph::Origin;
use crate::image::ImageId;
use crate::plan::StepPlan;
use crate::prepare::{OF_EVERY_STAGE, PreparedStep};
use crate::process::OutputLine;
use crate::step_text::{Labels, step_text};
use crate::{heredoc, names, tip};

/// How often what the engine made is made again because it went from the storage at once.
pub(super) const ATTEMPTS: usize = 10;

/// Within this time a prune removes, as a rule, what had no name when it looked (podman 4.3 beside builds on two busy cores:
/// half of them take less than 0.13 s, one took 1.6 s).
const PRUNES: Duration = Duration::from_millis(500);

impl StageWorker<'_> {
    /// The call, and once more where its image is gone again.
    ///
    /// The engines give an image its name after it is in the storage (1.28 to 1.43): a prune that looks just then takes it,
    /// name and all.
    pub(super) fn call_until_there(
        &mut self,
        n: usize,
        step: &PreparedStep,
        planned: &StepPlan,
        from: Option<&ImageId>,
    ) -> Result<(ImageId, u64), Ended> {
        let built = self.built.len();
        for left in (0..ATTEMPTS).rev() {
            let called = self.call(n, step, planned, from, left == 0)?;
            if let Some(done) = called.filter(|(image, _)| self.stays(image)) {
                return Ok(done);
            }
            if left > 0 {
                self.built.truncate(built);
                self.shared.send(Event::Warning(format!(
                    "stage {}: {}: its image went from the storage at once: the step runs again",
                    self.stage.stage.name, step.title
                )));
            }
        }
        Err(self.failure(anyhow!("{}: its image went from the storage {ATTEMPTS} times", step.title)))
    }

    /// Whether an image that was made just now stays. Where some went before, somebody prunes again and again: then it is
    /// looked at when such a prune is over, for what is lost later costs more.
    pub(super) fn stays(&self, image: &ImageId) -> bool {
        let since = Instant::now();
        while self.is_still_there(image) {
            let watched = self.shared.lost.load(Ordering::SeqCst) && !self.shared.stopped();
            if !watched || since.elapsed() > PRUNES {
                return true;
            }
            thread::sleep(PRUNES / 10);
        }
        false
    }

    /// Whether an image is in the storage.
    fn is_still_there(&self, image: &ImageId) -> bool {
        let there = self.shared.execution.engine.image(image).is_ok();
        if !there {
            self.shared.lost.store(true, Ordering::SeqCst);
        }
        there
    }

    /// The image and how long it took; nothing where the image went before the call was over, unless that is not to be
    /// borne any more.
    fn call(
        &mut self,
        n: usize,
        step: &PreparedStep,
        planned: &StepPlan,
        from: Option<&ImageId>,
        is_last: bool,
    ) -> Result<Option<(ImageId, u64)>, Ended> {
        let execution = self.shared.execution;
        let id = (self.index, n);
        let folder = execution.scratch.join(format!("{}-{n}", self.index));
        let stages = self.stages_in_front(step)?;
        let text = self.text(step, from, stages);
        self.built.extend_from_slice(&text);
        // In one commit the engine keeps none.
        let mut kept = if self.stage.layers { execution.kept_containers } else { KeptContainers::default() };
        let keeps_failed = kept.of_last;
        // The last instruction of a call is the last of its stage in the last call alone.
        kept.of_last |= kept.of_all && (n + 1 < self.stage.steps.len() || !self.stage.tail.is_empty());
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
            let texts: Vec<_> = step.without_heredocs.values().flat_map(|plain| &plain.files).collect();
            if !texts.is_empty() {
                let heredocs = folder.join("heredocs");
                write_texts(&heredocs, &texts).context("writing the texts of heredocs")?;
                build_contexts.push((heredoc::CONTEXT.to_owned(), heredocs.to_string_lossy().into_owned()));
            }
            let mut flags = execution.flags.clone();
            if !self.stage.layers || self.stage.body.is_empty() {
                let counts = |flag: &&OsString| self.index == execution.target || is_of_every_stage(flag);
                // Those come without an instruction.
                let labels = |flag: &&OsString| flag.as_encoded_bytes().starts_with(b"--label=");
                let set_otherwise = |flag: &&OsString| !self.stage.labels.is_empty() && labels(flag);
                let own = execution.target_flags.iter().filter(counts);
                flags.extend(own.filter(|flag| !set_otherwise(flag)).cloned());
            }
            if self.stage.body.is_empty() {
                flags.extend(execution.base_flags.iter().cloned());
            }
            if step.gets_env {
                flags.extend(self.env_flags());
            }
            if !self.stage.layers && self.stage_labels().is_some_and(|labels| names_engine(&labels)) {
                // The engine's own label would take the place of the one in the text.
                flags.push("--identity-label=false".into());
            }
            Ok(StepCall {
                containerfile,
                context: if step.uses_context { execution.context.to_owned() } else { empty },
                ignore_file: execution.ignore_file.clone().filter(|_| step.uses_context),
                layers: step.in_layers || kept != KeptContainers::default(),
                names: self.building_names(),
                build_contexts,
                build_args: step.build_args.clone(),
                flags,
                iidfile: folder.join("iid"),
                temporary: temporary::can_lie_elsewhere(step.mounts_cache)
                    .then(|| execution.scratch.to_owned()),
                kept,
                mark: (execution.mark_of_call)(),
                stdin: execution.stdin.then_some(()),
            })
        };
        let call = prepare().map_err(|e| self.failure(e))?;
        let since = Timestamp::now();
        self.shared.send(Event::Started { step: id, at: since.to_string() });
        let started = Instant::now();
        let result = match self.patched(n, step, planned, from, &call) {
            Some(image) => Ok(image),
            None => {
                // What a command prints is the user's; of the rest an engine may name an address.
                let shown = |line| if step.runs { line } else { without_credentials(line) };
                execution
                    .engine
                    .build(&call, &mut |line| self.shared.send(Event::Output { step: id, line: shown(line) }))
            }
        };
        let duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        // Only saves room: the folder goes with the build's own.
        let _ = fs::remove_dir_all(&folder);
        match result {
            Ok(image) => {
                self.note_image(&image, call.names);
                Ok(Some((image, duration_ms)))
            }
            Err(error)
                if !is_last && error.tells_a_loss() && from.is_none_or(|id| self.is_still_there(id)) =>
            {
                self.shared.lost.store(true, Ordering::SeqCst);
                Ok(None)
            }
            Err(error) => {
                let stopped = self.shared.stopped() || matches!(error, EngineError::Interrupted);
                let stays = keeps_failed && !stopped;
                let swept = if stays { Ok(()) } else { execution.engine.sweep(&call.mark) };
                if let Err(problem) = swept {
                    self.shared.send(Event::Warning(format!("a working container may be left: {problem}")));
                }
                self.shared.send(Event::Failed { step: id });
                if stopped {
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

    pub(super) fn building_name(&self) -> String {
        names::building_name(&self.stage.stage.name, &self.shared.execution.build_id)
    }

    /// What the image of a step is called while its stage is being built.
    ///
    /// With `--save-stages` an image that has to stay without a name never gets one: buildah has no `untag`. But the engine
    /// gives `--layer-label`s to an image without a name (1.33), so with such labels the one that will have a name has one.
    fn building_names(&self) -> Vec<String> {
        let execution = self.shared.execution;
        let counts = self.index == execution.target
            && execution.labelling.target_is_named
            && !execution.tip_flags.layer_labels.is_empty();
        if execution.labelling.save_stages && !counts { Vec::new() } else { vec![self.building_name()] }
    }

    /// What an image that is made for others to stand on is called until the build ends, so that no prune takes it.
    pub(super) fn holding_name(&self, image: &ImageId) -> Option<String> {
        let execution = self.shared.execution;
        let name = || names::holding_name(&self.stage.stage.name, &execution.build_id, image);
        (!execution.labelling.save_stages).then(name)
    }

    pub(super) fn note_image(&self, id: &ImageId, names: Vec<String>) {
        let image = ListedImage { digest: String::new(), names, top_layer: String::new(), store: 0 };
        locked(&self.shared.listing).add(id.clone(), image);
        locked(&self.shared.made).insert(id.clone());
    }

    /// `--env` for a call; in layers `--unsetenv` takes away at once what a commit sets, and steps go without it.
    fn env_flags(&self) -> impl Iterator<Item = OsString> {
        let execution = self.shared.execution;
        let unset = move |flag: &OsString| {
            let flag = flag.to_string_lossy();
            let name = flag.strip_prefix("--env=").and_then(|entry| entry.split('=').next());
            name.is_some_and(|name| execution.tip_flags.unset_env.iter().any(|unset| unset == name))
        };
        execution.env_flags.iter().filter(move |flag| !(self.stage.layers && unset(flag))).cloned()
    }

    /// The image that the step's FROM names.
    pub(super) fn from(&self, step: &PreparedStep, standing: &Standing) -> Result<Option<ImageId>, Ended> {
        let Some(id) = &standing.image else { return Ok(None) };
        if step.workdir.is_none() && step.variables.is_empty() {
            return Ok(Some(id.clone()));
        }
        let found = tip::as_found(&self.read(id)?, step.workdir.as_deref(), &step.variables);
        self.commit_passing(&found.map_err(|e| self.failure(e))?).map(Some)
    }

    pub(super) fn stages_in_front(&self, step: &PreparedStep) -> Result<Vec<(String, String)>, Ended> {
        let mut stages = Vec::new();
        for named in step.named.iter().filter(|named| named.as_stage) {
            if let Some(image) = self.image_of(&named.origin)? {
                stages.push((named.context.clone(), image.to_string()));
            }
        }
        Ok(stages)
    }

    pub(super) fn text(
        &self,
        step: &PreparedStep,
        from: Option<&ImageId>,
        stages: Vec<(String, String)>,
    ) -> Vec<u8> {
        let from = from.map_or("scratch", ImageId::as_str);
        step_text(self.shared.execution.file, self.stage, step, from, stages, self.stage_labels().as_deref())
    }

    /// The labels that the stage's image gets; nothing with `--stage-labels=false`.
    pub(super) fn stage_labels(&self) -> Option<Vec<(String, String)>> {
        let execution = self.shared.execution;
        let base = match self.stage.stage.base {
            Origin::Stage(index) => Some(self.outcome(index).ok()?.leaf.clone()),
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
}

fn without_credentials(line: OutputLine) -> OutputLine {
    match line {
        OutputLine::Stdout(line) => OutputLine::Stdout(masked_bytes(&line)),
        OutputLine::Stderr(line) => OutputLine::Stderr(masked_bytes(&line)),
    }
}

fn is_of_every_stage(flag: &OsStr) -> bool {
    let flag = flag.to_string_lossy();
    let name = flag.trim_start_matches('-').split('=').next().unwrap_or_default();
    OF_EVERY_STAGE.contains(&name)
}

fn names_engine(labels: &[(String, String)]) -> bool {
    labels.iter().any(|(key, _)| key == tip::ENGINE_VERSION)
}

/// Writes files with the mode that the engines give the texts of heredocs, whatever the umask.
fn write_texts(folder: &Path, texts: &[&(String, Vec<u8>)]) -> io::Result<()> {
    for (path, text) in texts {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap_or(folder))?;
        fs::write(&path, text)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644))?;
    }
    Ok(())
}
