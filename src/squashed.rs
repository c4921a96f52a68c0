//! Composes what becomes of the image of a stage that one engine call made.
//!
//! Pure. Such an image has the files and the config of a native build, but also what the call was given beside the
//! Containerfile's own lines: ARGs, stages as images, RUNs in place of heredocs, another order of labels.

use anyhow::Context;
use serde_json::Value;

use crate::containerfile::{Keyword, Rules};
use crate::image::{ComposedImage, StoredImage};
use crate::image_config::completed_in_stage;
use crate::prepare::PreparedStage;
use crate::render::renamed_back;
use crate::tip::{STAGE_NAME, TipFlags, label_history, set_labels};

/// The image with the history of a native build, with an engine that knows heredocs and has its stages as stages;
/// nothing where it has it.
///
/// # Errors
/// When the image's manifest and config do not fit each other.
pub fn with_native_history(
    image: &StoredImage,
    stage: &PreparedStage,
    ground: Option<&StoredImage>,
    flags: &TipFlags,
    rules: Rules,
) -> anyhow::Result<Option<ComposedImage>> {
    let of_base = ground.map_or(0, |base| base.history().len());
    let mut config = image.config.clone();
    if let Some(history) = config.get_mut("history").and_then(Value::as_array_mut)
        && history.len() >= of_base
    {
        let mut own = history.split_off(of_base);
        merge_runs_in_two(&mut own, stage);
        remove_inherited_args(&mut own, stage);
        let renames: Vec<_> = stage.steps.iter().flat_map(|step| step.renames.clone()).collect();
        let mut told: Vec<String> = own.iter().map(|entry| created_by(entry).to_owned()).collect();
        for plain in stage.steps.iter().flat_map(|step| step.without_heredocs.values()) {
            told.iter_mut().for_each(|text| *text = plain.created_by(text));
        }
        if rules >= Rules::Buildah39 {
            remove_digests(&mut told, stage, flags, rules);
        }
        for (entry, native) in own.iter_mut().zip(told) {
            let native = renamed_back(&native, &renames);
            if native != created_by(entry) {
                entry["created_by"] = native.into();
            }
        }
        history.append(&mut own);
    }
    if !stage.labels.is_empty() {
        set_labels(&mut config, &stage.labels)?;
    }
    if config == image.config {
        return Ok(None);
    }
    ComposedImage::new(image, &config, image.annotations()).map(Some)
}

fn created_by(entry: &Value) -> &str {
    entry["created_by"].as_str().unwrap_or_default()
}

/// A RUN that needs two in place of its heredocs leaves one entry.
fn merge_runs_in_two(history: &mut Vec<Value>, stage: &PreparedStage) {
    let plain = stage.steps.iter().flat_map(|step| step.without_heredocs.values());
    for two in plain.filter(|plain| plain.is_two()) {
        let first = history.windows(2).position(|pair| pair.iter().all(|entry| two.is_of(created_by(entry))));
        if let Some(first) = first {
            history.remove(first);
        }
    }
}

/// ARGs that the stages below declared (1.43) stand in the text, which a native build has no need of.
fn remove_inherited_args(history: &mut Vec<Value>, stage: &PreparedStage) {
    for arg in stage.steps.iter().flat_map(|step| &step.args) {
        let declares = |entry: &Value| {
            let declared = created_by(entry).split_once("#(nop) ARG ").map(|(_, words)| words);
            declared.is_some_and(|words| words.split(['=', ' ', '|']).next() == Some(&arg.name))
        };
        if let Some(place) = history.iter().position(declares) {
            history.remove(place);
        }
    }
}

/// The digests of mounted stages, which are images to the engine. Nothing is done where the history does not tell of
/// the stage's RUNs one by one.
fn remove_digests(told: &mut [String], stage: &PreparedStage, flags: &TipFlags, rules: Rules) {
    let notes = flags.notes(rules);
    let runs = stage.body.iter().enumerate().filter(|(_, item)| item.instruction.keyword == Keyword::Run);
    let runs: Vec<usize> = runs.map(|(number, _)| number).collect();
    let mut written: Vec<&mut String> =
        told.iter_mut().filter(|text| !text.starts_with("/bin/sh -c #(nop) ")).collect();
    if written.len() != runs.len() {
        return;
    }
    for (text, number) in written.iter_mut().zip(runs) {
        let mounts = stage.steps.iter().find_map(|step| step.mounts_of_stages.get(&number));
        if let Some(mounts) = mounts {
            **text = completed_in_stage(text, notes.as_ref(), mounts);
        }
    }
}

/// The image with the `--layer-label`s that the engine gives to images without a name: to it, each image of ours has
/// one. `None` where nothing is missing.
///
/// # Errors
/// When the image's manifest and config do not fit each other.
pub fn layer_labelled(image: &StoredImage, flags: &TipFlags) -> anyhow::Result<Option<ComposedImage>> {
    let missing: Vec<_> =
        flags.layer_labels.iter().filter(|(key, _)| image.label(key).is_none()).cloned().collect();
    if flags.last_is_named || missing.is_empty() {
        return Ok(None);
    }
    let mut config = image.config.clone();
    set_labels(&mut config, &missing)?;
    ComposedImage::new(image, &config, image.annotations()).map(Some)
}

/// The image with other labels in place of those that were injected when it was built.
///
/// # Errors
/// When the image's manifest and config do not fit each other.
pub fn relabelled(image: &StoredImage, labels: &[(String, String)]) -> anyhow::Result<ComposedImage> {
    let mut config = image.config.clone();
    set_labels(&mut config, labels).context("writing a stage's labels")?;
    let marker = format!("\"{STAGE_NAME}\"=");
    if let Some(history) = config.get_mut("history").and_then(Value::as_array_mut) {
        let injected = history.iter_mut().rfind(|entry| created_by(entry).contains(&marker));
        if let Some(entry) = injected {
            entry["created_by"] = label_history(labels).into();
        }
    }
    ComposedImage::new(image, &config, image.annotations())
}
