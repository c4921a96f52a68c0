//! Composes the images that no engine call makes: the tip of a stage, its leaf, and a base without triggers.
//!
//! Pure. A stage is built step by step, and what lives only in an engine's memory during a build is lost at
//! each step's FROM: that CMD was set in this stage, pending ONBUILDs, SHELL in OCI format, the base's name.
//! The tip puts it back: the layers are those of the last step, config, history and annotations are those
//! that one native build of the whole stage would have written. The leaf is the tip with the stage's labels.

use std::collections::BTreeMap;

use anyhow::{Context, anyhow, bail, ensure};
use serde_json::{Map, Value, json};

use crate::bases::BaseImage;
use crate::containerfile::{Keyword, Platform, Rules};
use crate::given_env;
use crate::image::{BASE_DIGEST, BASE_NAME, CREATED, ComposedImage, ImageFormat, StoredImage};
use crate::image_config::{FlagNotes, HistoryNote, ImageConfig, completed, linked};
use crate::prepare::PreparedStage;
use crate::render::{label_instruction, renamed_back};

/// The label with the stage's name.
pub const STAGE_NAME: &str = "io.buildah.stage.name";
/// The label with the stage's base.
pub const STAGE_BASE: &str = "io.buildah.stage.base";
/// The label with the engine's version.
pub const ENGINE_VERSION: &str = "io.buildah.version";
/// The label with the build's UUID.
pub const BUILD_ID: &str = "io.stagecache.build.id";
/// The label with the stage's key.
pub const STAGE_KEY: &str = "io.stagecache.key";

/// Labels that one stage's image may have brought along from an earlier build of ours or upstream's.
pub const STAGE_LABELS: &[&str] = &[STAGE_NAME, STAGE_BASE, BUILD_ID, STAGE_KEY];

/// What becomes of the annotation `org.opencontainers.image.created`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CreatedAnnotation {
    /// The base's comes along as any other does (before 1.41).
    #[default]
    Inherited,
    /// It is the time in the image's config (1.41 and later).
    Written,
    /// There is none, the base's neither (`--created-annotation=false`, measured on 1.43).
    LeftOut,
}

/// What flags say of the images of stages.
#[derive(Debug, Clone, Default)]
pub struct TipFlags {
    /// The value of `io.buildah.version`; nothing with `--identity-label=false`.
    pub engine_version: Option<String>,
    /// What becomes of the times of files, as the history notes it.
    pub file_times: Option<String>,
    /// `--annotation`.
    pub annotations: Vec<(String, String)>,
    /// `--unsetannotation`.
    pub unset_annotations: Vec<String>,
    /// What becomes of the annotation with the image's time.
    pub created_annotation: CreatedAnnotation,
    /// `--unsetlabel`.
    pub unset_labels: Vec<String>,
    /// `--os-version`; empty where it is not given.
    pub os_version: String,
    /// `--os-feature`; one that ends in `-` takes away.
    pub os_features: Vec<String>,
    /// `--unsetenv`.
    pub unset_env: Vec<String>,
    /// `--timestamp`, RFC 3339.
    pub timestamp: Option<String>,
    /// `--omit-history`.
    pub omit_history: bool,
    /// `--inherit-labels=false`.
    pub drop_inherited_labels: bool,
    /// `--layer-label`, for each image that an engine would leave without a name.
    pub layer_labels: Vec<(String, String)>,
    /// Whether the last image gets a name: then it has these labels only from an instruction before.
    pub last_is_named: bool,
}

impl TipFlags {
    /// What the engine notes of these flags in the history.
    pub(crate) fn notes(&self, rules: Rules) -> Option<FlagNotes> {
        (rules >= Rules::Buildah43).then(|| FlagNotes {
            unset_labels: self.unset_labels.clone(),
            drops_inherited_labels: self.drop_inherited_labels,
            unset_annotations: self.unset_annotations.clone(),
            annotations: self.annotations.iter().map(|(name, value)| format!("{name}={value}")).collect(),
            file_times: self.file_times.clone(),
        })
    }
}

/// What a stage stands on.
#[derive(Debug, Clone)]
pub struct Ground<'a> {
    /// The base image or the tip of the base stage; nothing for scratch.
    pub image: Option<&'a StoredImage>,
    /// The image at the bottom, for the annotations.
    pub root: Option<&'a BaseImage>,
}

/// The tip of a stage built in layers; `last` is the image of its last step, `now` the time for metadata that
/// stands on nothing else.
///
/// # Errors
/// When an instruction of the tail is not valid, or the last step's image is not what the steps should have made.
pub fn tip(
    stage: &PreparedStage,
    ground: &Ground<'_>,
    last: Option<&StoredImage>,
    format: ImageFormat,
    rules: Rules,
    flags: &TipFlags,
    now: &str,
) -> anyhow::Result<ComposedImage> {
    let platform = platform(stage, ground.image, last);
    let mut config = match ground.image {
        Some(base) => {
            let raw = serde_json::to_vec(&base.config).context("writing a base's config")?;
            ImageConfig::from_base(&raw, format, rules)
                .with_context(|| format!("reading image {}", base.id))?
        }
        None => ImageConfig::scratch(&platform, format, rules),
    };
    config.set_platform(&platform);
    if flags.drop_inherited_labels {
        config.clear_labels();
    }
    if stage.body.len() > 1 || !flags.last_is_named {
        for (key, value) in &flags.layer_labels {
            config.set_label_unless_set(key, value);
        }
    }
    let notes = flags.notes(rules);
    let mut layers = new_layers(stage, ground.image, last)?.into_iter().peekable();
    let created_now = flags.timestamp.as_deref().unwrap_or(now).to_owned();
    let mut created = match (last, layers.peek()) {
        (Some(image), None) => image.created().to_owned(),
        _ => created_now,
    };
    for (number, item) in stage.body.iter().enumerate() {
        let mut scope = stage.scopes[number].clone();
        let is_last = number + 1 == stage.body.len();
        if item.instruction.is_filesystem() {
            let layer =
                layers.next().ok_or_else(|| anyhow!("a layer of stage {} is missing", stage.stage.name))?;
            created.clone_from(&layer.created);
            let step = stage.steps.iter().find(|step| step.items.contains(&number));
            let created_by = renamed_back(&layer.created_by, step.map_or(&[], |s| s.renames.as_slice()));
            let plain = step.and_then(|step| step.without_heredocs.get(&number));
            let mut created_by = plain.map_or(created_by.clone(), |plain| plain.created_by(&created_by));
            if rules >= Rules::Buildah39 {
                let copies = item.instruction.keyword != Keyword::Run;
                let mounts = step.and_then(|step| step.mounts_of_stages.get(&number));
                let mounts = mounts.map_or(&[][..], Vec::as_slice);
                created_by = completed(&created_by, notes.as_ref(), copies, is_last, mounts);
            }
            let link = item.instruction.flag("link").map(|flag| flag.value.as_deref().unwrap_or("true"));
            if rules >= Rules::Buildah43 && link == Some("true") {
                created_by = linked(&created_by, item.instruction.keyword.as_str());
            }
            config.add_layer(&layer.diff_id, &layer.created, &created_by, None);
        } else {
            if let Some(next) = layers.peek() {
                created.clone_from(&next.created);
            }
            let suffix = notes.as_ref().map(|notes| notes.text(false, is_last)).unwrap_or_default();
            let note = HistoryNote { created: &created, comment: None, suffix: &suffix };
            config
                .apply(&item.instruction, &mut scope, &note)
                .map_err(|problem| anyhow!("line {}: {problem}", item.instruction.line))?;
        }
    }
    if let Some(version) = &flags.engine_version {
        config.set_label(ENGINE_VERSION, version);
    }
    for (key, value) in &stage.labels {
        config.set_label(key, value);
    }
    for label in &flags.unset_labels {
        config.remove_label(label);
    }
    config.set_os(&flags.os_version, &flags.os_features);
    let mut config = config.to_value();
    adjust(&mut config, stage, flags);
    let like = last.or(ground.image).cloned().unwrap_or_else(|| {
        let variant = (!platform.variant.is_empty()).then_some(platform.variant.as_str());
        crate::image::scratch(format, (&platform.os, &platform.architecture, variant), &created)
    });
    let like = like.in_format(format);
    let written = config.get("created").and_then(Value::as_str).unwrap_or(&created);
    let annotations = annotations(&like, ground, flags, written);
    ComposedImage::new(&like, &config, annotations)
}

/// The platform that a stage's image says it is for: that of its last step; without one the base's, with system and
/// architecture of the platform that the user names (1.28, 1.39, 1.43).
fn platform(stage: &PreparedStage, base: Option<&StoredImage>, last: Option<&StoredImage>) -> Platform {
    let args = stage.scopes[0].build_args();
    let own = || stage.stage.platform.as_deref().and_then(Platform::parse);
    let mut platform = match last.or(base) {
        Some(image) => {
            let part = |key| image.config.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
            Platform { os: part("os"), architecture: part("architecture"), variant: part("variant") }
        }
        None => own().unwrap_or_else(|| args.target.clone()),
    };
    if last.is_none() && stage.platform_given {
        platform.os.clone_from(&args.target.os);
        platform.architecture.clone_from(&args.target.architecture);
    }
    platform
}

struct NewLayer {
    diff_id: String,
    created: String,
    created_by: String,
}

/// The layers that the steps added, with what the engine wrote of them.
fn new_layers(
    stage: &PreparedStage,
    base: Option<&StoredImage>,
    last: Option<&StoredImage>,
) -> anyhow::Result<Vec<NewLayer>> {
    let Some(last) = last else { return Ok(Vec::new()) };
    let below = base.map_or(0, |base| base.diff_ids().len());
    let diff_ids = last.diff_ids();
    let written: Vec<&Value> = last
        .history()
        .iter()
        .filter(|entry| entry.get("empty_layer").and_then(Value::as_bool) != Some(true))
        .collect();
    let wanted = stage.body.iter().filter(|item| item.instruction.is_filesystem()).count();
    if diff_ids.len() != below + wanted {
        bail!(
            "image {} has {} layers over a base of {below}, not the {wanted} of stage {}",
            last.id,
            diff_ids.len(),
            stage.stage.name
        );
    }
    let text = |entry: Option<&&Value>, key: &str| {
        entry.and_then(|e| e.get(key)).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    // From the top: a base may have layers that its history does not tell of.
    Ok((0..wanted)
        .map(|n| {
            let entry = (written.len() + n).checked_sub(wanted).and_then(|at| written.get(at));
            NewLayer {
                diff_id: diff_ids[below + n].clone(),
                created: text(entry, "created"),
                created_by: text(entry, "created_by"),
            }
        })
        .collect())
}

fn adjust(config: &mut Value, stage: &PreparedStage, flags: &TipFlags) {
    let in_docker_format = config.get("container_config").is_some();
    // A docker config says it twice.
    for section in ["config", "container_config"] {
        let Some(settings) = config.get_mut(section).and_then(Value::as_object_mut) else { continue };
        if stage.given_env.is_empty() && flags.unset_env.is_empty() {
            continue;
        }
        let env = settings.get("Env").and_then(|env| serde_json::from_value(env.clone()).ok());
        let mut env: Vec<String> = env.unwrap_or_default();
        given_env::put_into(&mut env, &stage.given_env);
        env.retain(|entry| !flags.unset_env.iter().any(|unset| entry.split('=').next() == Some(unset)));
        // An OCI config leaves out what is empty.
        if env.is_empty() && !in_docker_format {
            settings.shift_remove("Env");
        } else {
            settings.insert("Env".into(), json!(env));
        }
    }
    if flags.omit_history {
        config["history"] = json!([]);
    }
}

/// The annotations of a stage's image: those of what it stands on, those of flags, the image's time, and the real base's.
fn annotations(
    image: &StoredImage,
    ground: &Ground<'_>,
    flags: &TipFlags,
    created: &str,
) -> Map<String, Value> {
    // Those of the base come along; the base's own base is no longer true.
    let mut annotations: Map<String, Value> = ground.image.unwrap_or(image).annotations();
    annotations.shift_remove(BASE_DIGEST);
    annotations.shift_remove(BASE_NAME);
    match flags.created_annotation {
        CreatedAnnotation::Inherited => {}
        CreatedAnnotation::Written => {
            annotations.insert(CREATED.into(), created.into());
        }
        CreatedAnnotation::LeftOut => {
            annotations.shift_remove(CREATED);
        }
    }
    for name in &flags.unset_annotations {
        annotations.shift_remove(name);
    }
    for (name, value) in &flags.annotations {
        annotations.insert(name.clone(), value.as_str().into());
    }
    name_base(&mut annotations, ground.root);
    annotations
}

/// Writes which image a stage really stands on into the annotations.
pub fn name_base(annotations: &mut Map<String, Value>, root: Option<&BaseImage>) {
    let (name, digest) = match root {
        Some(root) => (root.canonical_name.clone(), root.image.digest.clone()),
        None => (String::new(), String::new()),
    };
    annotations.insert(BASE_DIGEST.into(), digest.into());
    annotations.insert(BASE_NAME.into(), name.into());
    annotations.sort_keys();
}

/// The labels of a stage's leaf, as the design's table has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StageLabels {
    /// The alias, or the position.
    pub name: String,
    /// The base as written, expanded; the id of the labelled image when it is a stage.
    pub base: String,
    /// `io.buildah.version`, on stages other than the target.
    pub engine_version: Option<String>,
    /// The build's UUID, with `--build-id-label`.
    pub build_id: Option<String>,
    /// The stage's key.
    pub key: String,
}

impl StageLabels {
    /// Keys and values in the order in which they are written; those that the user sets are left out.
    pub fn pairs(&self, set_by_user: &[String]) -> Vec<(String, String)> {
        let mut pairs = vec![(STAGE_NAME, self.name.clone()), (STAGE_BASE, self.base.clone())];
        pairs.extend(self.engine_version.clone().map(|v| (ENGINE_VERSION, v)));
        pairs.extend(self.build_id.clone().map(|v| (BUILD_ID, v)));
        pairs.push((STAGE_KEY, self.key.clone()));
        pairs
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value))
            .filter(|(key, _)| !set_by_user.contains(key))
            .collect()
    }
}

/// Whether a step comes out the same on the image of a stage's last step as on its tip: nothing differs that the
/// engine hands on but what every tip has of its own, history, annotations and the engine's version.
pub fn stands_for(last: &StoredImage, tip: &StoredImage) -> bool {
    let handed_on = |image: &StoredImage| {
        let mut config = image.config.clone();
        if let Some(fields) = config.as_object_mut() {
            for own in ["created", "history"] {
                fields.shift_remove(own);
            }
        }
        for section in ["config", "container_config"] {
            let labels = config.get_mut(section).and_then(|s| s.get_mut("Labels"));
            if let Some(labels) = labels.and_then(Value::as_object_mut) {
                labels.shift_remove(ENGINE_VERSION);
            }
        }
        config
    };
    handed_on(last) == handed_on(tip)
}

/// An image with another working directory and other variables (nothing: without one), for a step that must not see
/// those of the image, or whose WORKDIRs the engine must not carry out: in one call with the RUN behind them it makes
/// their folders, as the USER in force, where a native build in layers makes the last one alone, as root (1.28).
///
/// # Errors
/// When the image's manifest and config do not fit each other.
pub fn as_found(
    image: &StoredImage,
    workdir: Option<&str>,
    variables: &BTreeMap<String, Option<String>>,
) -> anyhow::Result<ComposedImage> {
    let mut config = image.config.clone();
    for section in ["config", "container_config"] {
        let Some(settings) = config.get_mut(section).and_then(Value::as_object_mut) else { continue };
        if let Some(workdir) = workdir {
            settings.insert("WorkingDir".into(), workdir.into());
        }
        if let Some(Value::Array(env)) = settings.get_mut("Env") {
            let name_of = |entry: &Value| entry.as_str().and_then(|e| e.split('=').next().map(str::to_owned));
            env.retain(|entry| name_of(entry).is_none_or(|name| !variables.contains_key(&name)));
            let values = variables.iter().filter_map(|(name, value)| Some((name, value.as_ref()?)));
            env.extend(values.map(|(name, value)| json!(format!("{name}={value}"))));
        }
    }
    let annotations = image.annotations();
    ComposedImage::new(image, &config, annotations)
}

/// What the history says of the LABEL with these.
pub(crate) fn label_history(labels: &[(String, String)]) -> String {
    format!("/bin/sh -c #(nop) {}", label_instruction(labels, b'\\'))
}

/// Writes labels into an image's config, also into what docker's format has of them besides.
pub(crate) fn set_labels<'a>(
    config: &mut Value,
    labels: impl IntoIterator<Item = &'a (String, String)> + Clone,
) -> anyhow::Result<()> {
    for section in ["config", "container_config"] {
        let Some(settings) = config.get_mut(section).and_then(Value::as_object_mut) else {
            ensure!(section != "config", "an image config without a `config` object");
            continue;
        };
        let all = settings.entry("Labels").or_insert_with(|| json!({}));
        if all.is_null() {
            *all = json!({});
        }
        let all = all.as_object_mut().context("labels that are no object")?;
        for (key, value) in labels.clone() {
            all.insert(key.clone(), value.as_str().into());
        }
        all.sort_keys();
    }
    Ok(())
}

/// The leaf: the tip with these labels, as a LABEL instruction would leave it. A comment in the history makes it
/// another image than the one without.
///
/// # Errors
/// When the tip's manifest and config do not fit each other.
pub fn leaf(
    tip: &StoredImage,
    labels: &[(String, String)],
    comment: Option<&str>,
) -> anyhow::Result<ComposedImage> {
    let mut config = tip.config.clone();
    let created = config.get("created").cloned().unwrap_or_default();
    set_labels(&mut config, labels)?;
    let text = label_history(labels);
    if let Some(history) = config.get_mut("history").and_then(Value::as_array_mut)
        && !history.is_empty()
    {
        let mut entry = json!({"created": created, "created_by": text});
        if let Some(comment) = comment {
            entry["comment"] = comment.into();
        }
        entry["empty_layer"] = true.into();
        history.push(entry);
    }
    let annotations = tip.annotations();
    ComposedImage::new(tip, &config, annotations)
}

/// An image that differs from this one in a comment of its last history entry alone.
///
/// # Errors
/// When the image's manifest and config do not fit each other.
pub fn twin(image: &StoredImage, comment: &str) -> anyhow::Result<ComposedImage> {
    let mut config = image.config.clone();
    if let Some(entry) = config.get_mut("history").and_then(Value::as_array_mut).and_then(|h| h.last_mut()) {
        entry["comment"] = comment.into();
    }
    let annotations = image.annotations();
    ComposedImage::new(image, &config, annotations)
}

/// A base without pending ONBUILD triggers and without the stage labels of an earlier build, for the first step to
/// stand on; `None` where it has neither.
///
/// # Errors
/// When the image's manifest and config do not fit each other.
pub fn plain_base(base: &StoredImage) -> anyhow::Result<Option<ComposedImage>> {
    let labelled = STAGE_LABELS.iter().any(|label| base.label(label).is_some());
    if base.triggers().is_empty() && !labelled {
        return Ok(None);
    }
    let mut config = base.config.clone();
    for section in ["config", "container_config"] {
        let Some(settings) = config.get_mut(section).and_then(Value::as_object_mut) else { continue };
        if settings.contains_key("OnBuild") {
            settings.insert("OnBuild".into(), json!([]));
        }
        if let Some(labels) = settings.get_mut("Labels").and_then(Value::as_object_mut) {
            for label in STAGE_LABELS {
                labels.shift_remove(*label);
            }
        }
    }
    let annotations = base.annotations();
    ComposedImage::new(base, &config, annotations).map(Some)
}

/// An image with these files on which no ONBUILD trigger fires; `None` where the image has none.
///
/// It has no history, so that the engine takes it for no other image's parent, and no other image for its: it can be
/// removed by itself. The mark makes it no other call's image.
///
/// # Errors
/// When the image's manifest and config do not fit each other.
pub fn without_triggers(image: &StoredImage, mark: &str) -> anyhow::Result<Option<ComposedImage>> {
    if image.triggers().is_empty() {
        return Ok(None);
    }
    let mut config = image.config.clone();
    config["history"] = json!([]);
    config["author"] = json!(mark);
    for section in ["config", "container_config"] {
        if let Some(settings) = config.get_mut(section).and_then(Value::as_object_mut) {
            settings.insert("OnBuild".into(), json!([]));
        }
    }
    ComposedImage::new(image, &config, image.annotations()).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::scratch;

    #[test]
    fn a_last_step_stands_for_its_tip_while_nothing_differs_that_a_step_would_see() {
        let image = |config: Value, history: &str| {
            let mut image = scratch(ImageFormat::Oci, ("linux", "amd64", None), "2020-01-01T00:00:00Z");
            image.config["config"] = config;
            image.config["history"] = json!([{"created_by": history}]);
            image
        };
        let last =
            image(json!({"Env": ["A=1"], "Labels": {"io.buildah.version": "1.28.2", "a": "b"}}), "RUN");
        let labels = json!({"io.buildah.version": "1.28.2-stagecache.1", "a": "b"});
        let tip = |changed: Value| {
            let mut config = json!({"Env": ["A=1"], "Labels": labels.clone()});
            for (key, value) in changed.as_object().into_iter().flatten() {
                config[key] = value.clone();
            }
            image(config, "other")
        };
        assert!(stands_for(&last, &tip(json!({}))));
        for changed in [
            json!({"Env": ["A=2"]}),
            json!({"User": "nobody"}),
            json!({"WorkingDir": "/src"}),
            json!({"OnBuild": ["RUN true"]}),
            json!({"Cmd": ["sh"]}),
            json!({"Labels": {"a": "c"}}),
        ] {
            assert!(!stands_for(&last, &tip(changed.clone())), "{changed}");
        }
        let mut other = tip(json!({}));
        other.config["author"] = "me".into();
        assert!(!stands_for(&last, &other));
    }
}
