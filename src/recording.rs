//! Turns a build, as it goes, into its record.

use std::collections::BTreeMap;
use std::path::Path;

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use crate::engine::Probed;
use crate::event::Event;
use crate::graph::{Origin, Stage, StageGraph};
use crate::image::hex;
use crate::key::Content;
use crate::plan::Plan;
use crate::prepare::PreparedStage;
use crate::record::{
    BaseRecord, BuildRecord, BuildStatus, EngineRecord, RequestRecord, SCHEMA, StageRecord, StageStatus,
    StepRecord,
};
use crate::request::BuildRequest;
use crate::store::RecordFile;
use crate::veil::Veil;

/// What is known when a build starts.
pub struct Start<'a> {
    /// The build's UUID.
    pub build_id: &'a str,
    /// The engine.
    pub probed: &'a Probed,
    /// What is asked for.
    pub request: &'a BuildRequest,
    /// The context folder.
    pub context: &'a Path,
    /// The Containerfile's real path.
    pub containerfile: Option<&'a Path>,
    /// Its bytes.
    pub bytes: &'a [u8],
    /// The ignore file.
    pub ignore_file: Option<&'a Path>,
    /// The platform.
    pub platform: String,
    /// The stages.
    pub graph: &'a StageGraph,
    /// Those that are built.
    pub prepared: &'a BTreeMap<usize, PreparedStage>,
    /// The decisions.
    pub plan: &'a Plan,
    /// What is kept of values.
    pub veil: &'a Veil,
}

/// The record of a build that starts.
pub fn start(start: &Start<'_>) -> BuildRecord {
    let probed = start.probed;
    let request = start.request;
    let digest = |value: &str| format!("blake3:{}", start.veil.digest(value));
    let args = &request.build_args;
    BuildRecord {
        schema: SCHEMA,
        build_id: start.build_id.to_owned(),
        status: BuildStatus::Running,
        started: Timestamp::now().to_string(),
        ended: None,
        pid: std::process::id(),
        error: None,
        tool: format!("{} {}", env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION")),
        engine: EngineRecord {
            name: probed.kind.name().to_owned(),
            version: probed.version.clone(),
            buildah: probed.buildah_version.clone(),
            driver: probed.driver.clone(),
            graph_root: probed.graph_root.display().to_string(),
        },
        request: RequestRecord {
            containerfile: start.containerfile.map_or("-".into(), |path| path.display().to_string()),
            containerfile_digest: format!("sha256:{}", hex(&Sha256::digest(start.bytes))),
            built_digest: String::new(),
            context: start.context.display().to_string(),
            ignore_file: start.ignore_file.map(|path| path.display().to_string()),
            target: request.target.clone(),
            layers: request.layers,
            names: request.names.clone(),
            args: args.iter().map(|(name, value)| (name.clone(), digest(value))).collect(),
            public_args: args
                .iter()
                .filter(|(name, _)| request.public_args.contains(*name))
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
        },
        platform: start.platform.clone(),
        result: None,
        stages: start.graph.stages.iter().map(|stage| stage_record(stage, start)).collect(),
    }
}

/// Puts what was decided again in the place of what was planned before; what is over of each stage stays.
pub fn decided_again(record: &mut BuildRecord, start: &Start<'_>, over: &BTreeMap<usize, usize>) {
    for stage in &start.graph.stages {
        let over = over.get(&stage.index).copied().unwrap_or_default();
        if over == usize::MAX {
            continue;
        }
        let old = &mut record.stages[stage.index];
        let new = stage_record(stage, start);
        let done = old.steps.drain(..over.min(old.steps.len()));
        let steps = done.chain(new.steps.into_iter().skip(over)).collect();
        let status = if old.status == StageStatus::Pending { new.status } else { old.status };
        *old = StageRecord { steps, status, ..new };
    }
}

fn stage_record(stage: &Stage, start: &Start<'_>) -> StageRecord {
    let prepared = start.prepared.get(&stage.index);
    let plan = start.plan.stages.get(&stage.index);
    let status = match prepared {
        None if start.graph.needed.contains(&stage.index) => StageStatus::Pending,
        None => StageStatus::Skipped,
        Some(prepared) if prepared.body.is_empty() => StageStatus::FromOnly,
        Some(_) => StageStatus::Pending,
    };
    let steps = prepared.into_iter().flat_map(|p| &p.steps).enumerate();
    StageRecord {
        index: stage.index,
        name: stage.name.clone(),
        alias: stage.alias.clone(),
        lines: stage.lines,
        base: base_record(stage, start),
        status,
        key: plan.map(|plan| plan.key.clone()),
        image: None,
        tip: None,
        image_name: None,
        diff_ids: Vec::new(),
        steps: steps
            .map(|(index, step)| StepRecord {
                index,
                lines: step.lines,
                instruction: step.title.clone(),
                key: plan.map(|plan| plan.steps[index].key.clone()),
                verdict: None,
                started: None,
                duration_ms: None,
                log: None,
                image: None,
            })
            .collect(),
        inputs: prepared
            .into_iter()
            .flat_map(|p| &p.steps)
            .enumerate()
            .flat_map(|(n, step)| {
                let planned = plan.map(|plan| &plan.steps[n].inputs.sources);
                step.record.iter().enumerate().map(move |(k, input)| {
                    let mut input = input.clone();
                    if input.digest.is_none() {
                        // The key of the stage that the bytes come from, which is known now.
                        input.digest =
                            planned.and_then(|sources| sources.get(k)).and_then(|s| match &s.content {
                                Content::Stage(key) => Some(format!("key:{key}")),
                                Content::Image(id) => Some(format!("sha256:{id}")),
                                Content::Bytes(digest) | Content::Files(digest) => {
                                    Some(format!("blake3:{digest}"))
                                }
                                Content::Remote(_) => None,
                            });
                    }
                    input
                })
            })
            .collect(),
    }
}

fn base_record(stage: &Stage, start: &Start<'_>) -> BaseRecord {
    let image = start.prepared.get(&stage.index).and_then(|p| p.base.as_ref());
    let (kind, index) = match &stage.base {
        Origin::Scratch => ("scratch", None),
        Origin::Stage(index) => ("stage", Some(*index)),
        _ => ("image", None),
    };
    BaseRecord {
        kind: kind.into(),
        written: stage.base_written.clone(),
        expanded: stage.base_expanded.clone(),
        canonical: image.map(crate::bases::BaseImage::pinned),
        image: image.map(|base| base.image.id.clone()),
        stage: index,
        root: root_of(stage, start),
    }
}

fn root_of(stage: &Stage, start: &Start<'_>) -> Option<String> {
    match &stage.base {
        Origin::Scratch => Some("scratch".into()),
        Origin::Stage(index) => root_of(&start.graph.stages[*index], start),
        _ => start.prepared.get(&stage.index)?.base.as_ref().map(crate::bases::BaseImage::pinned),
    }
}

/// Notes an event. What ran is on the disk when this returns; hits are written with the next change.
///
/// # Errors
/// When the record cannot be written.
pub fn note(file: &RecordFile, event: &Event) -> anyhow::Result<()> {
    match event {
        Event::Decided { step: (stage, step), verdict, key, image } => file.change(|record| {
            let step = &mut record.stages[*stage].steps[*step];
            step.key = Some(key.clone());
            step.image.clone_from(image);
            // It ran in this build, and is found again because an image that stands elsewhere was lost.
            if !(verdict.is_hit() && step.duration_ms.is_some()) {
                step.verdict = Some(verdict.clone());
            }
        }),
        Event::Started { step: (stage, step), at } => {
            file.change(|record| record.stages[*stage].steps[*step].started = Some(at.clone()));
        }
        Event::Ran { step: (stage, step), image, duration_ms } => {
            return file.update(|record| {
                let stage = &mut record.stages[*stage];
                stage.status = StageStatus::Built;
                stage.steps[*step].image = Some(image.clone());
                stage.steps[*step].duration_ms = Some(*duration_ms);
            });
        }
        Event::StageDone { stage, tip, leaf, name, diff_ids } => file.change(|record| {
            let stage = &mut record.stages[*stage];
            let ran = stage.steps.iter().any(|step| step.duration_ms.is_some());
            match stage.status {
                StageStatus::Pending | StageStatus::Failed if ran => stage.status = StageStatus::Built,
                StageStatus::Pending | StageStatus::Failed => stage.status = StageStatus::Cached,
                _ => {}
            }
            stage.image = Some(leaf.clone());
            stage.tip = Some(tip.clone());
            stage.image_name.clone_from(name);
            stage.diff_ids.clone_from(diff_ids);
        }),
        Event::Failed { step: (stage, _) } => {
            return file.update(|record| record.stages[*stage].status = StageStatus::Failed);
        }
        Event::Output { .. } | Event::Waiting { .. } | Event::Warning(_) => {}
    }
    Ok(())
}
