//! `inspect`: a build, a stage or a step, as it stands in the record.

use anyhow::{Context, anyhow, bail};
use serde_json::Value;

use super::Format;
use crate::cli::InspectArgs;
use crate::engine::Listing;
use crate::flags::Leading;
use crate::image::ImageId;
use crate::names;
use crate::record::{BuildRecord, StageRecord};
use crate::report::{print, print_json};
use crate::session::Session;
use crate::store::Store;

/// Shows.
///
/// # Errors
/// When a target is not known.
pub fn run(leading: Leading, args: &InspectArgs) -> anyhow::Result<()> {
    let session = super::session(leading, &args.engine)?;
    let latest = ["latest".to_owned()];
    let targets = if args.targets.is_empty() { &latest[..] } else { &args.targets };
    let found =
        targets.iter().map(|target| find(&session, target)).collect::<anyhow::Result<Vec<Value>>>()?;
    match args.format.as_deref() {
        // As the engines: on one line each.
        Some("json") => print(&found.iter().map(|value| format!("{value}\n")).collect::<String>()),
        format => match Format::parse(format)? {
            Format::Template(template) => print(&template.rows(&found, true)?),
            Format::Text | Format::Json => print_json(&found),
        },
    }
}

fn find(session: &Session, target: &str) -> anyhow::Result<Value> {
    let mut parts = target.splitn(2, '/');
    let (build, rest) = (parts.next().unwrap_or_default(), parts.next());
    match session.store.find_build(build) {
        Ok(id) => pick(&session.store.record(&id)?, rest).with_context(|| format!("inspecting {target}")),
        // Several builds are meant, or none has ever run.
        Err(error) if build == "latest" || is_prefix_of_builds(&session.store, build) => Err(error),
        Err(_) => made_image(session, target),
    }
}

fn is_prefix_of_builds(store: &Store, prefix: &str) -> bool {
    !prefix.is_empty() && store.build_ids().iter().any(|id| id.starts_with(prefix) || id.ends_with(prefix))
}

/// The record, or the stage or step of it that `STAGE[/STEP]` names.
fn pick(record: &BuildRecord, path: Option<&str>) -> anyhow::Result<Value> {
    let Some(path) = path.filter(|path| !path.is_empty()) else { return Ok(serde_json::to_value(record)?) };
    // A stage's name has no slash: the last part is the step.
    let (name, step) = path.split_once('/').map_or((path, None), |(name, step)| (name, Some(step)));
    let stage = record.stage(name).ok_or_else(|| {
        let names: Vec<&str> = record.stages.iter().map(|stage| stage.name.as_str()).collect();
        anyhow!("build {} has no stage `{name}`; it has {}", record.short_id(), names.join(", "))
    })?;
    let Some(number) = step.filter(|step| !step.is_empty()) else { return Ok(serde_json::to_value(stage)?) };
    let step = number.parse::<usize>().ok().and_then(|n| stage.steps.get(n.checked_sub(1)?));
    let step = step.ok_or_else(|| match stage.steps.len() {
        0 => anyhow!("stage {} has no steps", stage.name),
        last => anyhow!("stage {} has no step `{number}`; its steps are 1 to {last}", stage.name),
    })?;
    Ok(serde_json::to_value(step)?)
}

/// The stage that made an image, by the newest record that has it, with the build's id.
fn made_image(session: &Session, target: &str) -> anyhow::Result<Value> {
    let listing = session.engine.list()?;
    let records = session.store.records();
    let id = match image(&listing, target) {
        Some(id) => Some(id),
        None => session.engine.resolve_local(target).ok().and_then(Result::ok),
    };
    let matches = |candidate: &ImageId| match &id {
        Some(id) => candidate == id,
        // An image that is gone is still in the records.
        None => target.len() >= 6 && candidate.as_str().starts_with(target),
    };
    for record in records.iter().rev() {
        if let Some(stage) = record.stages.iter().find(|stage| made(stage, &matches)) {
            let mut value = serde_json::to_value(stage)?;
            if let Some(fields) = value.as_object_mut() {
                fields.insert("build_id".into(), record.build_id.as_str().into());
            }
            return Ok(value);
        }
    }
    match id {
        Some(id) => bail!("no recorded build made image {} ({target})", id.short()),
        None => bail!("`{target}` is neither a build nor an image; `podman-stagecache ls` lists the builds"),
    }
}

fn made(stage: &StageRecord, matches: &impl Fn(&ImageId) -> bool) -> bool {
    let of_steps = stage.steps.iter().filter_map(|step| step.image.as_ref());
    stage.image.iter().chain(&stage.tip).chain(of_steps).any(matches)
}

fn image(listing: &Listing, target: &str) -> Option<ImageId> {
    let by_name = listing.named(target).or_else(|| listing.named(&names::full(target)));
    let bare = target.strip_prefix("sha256:").unwrap_or(target);
    let is_id = bare.len() >= 3 && bare.bytes().all(|b| b.is_ascii_hexdigit());
    by_name.or_else(|| if is_id { listing.by_prefix(bare) } else { None }).cloned()
}
