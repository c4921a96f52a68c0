//! `version` and `info`: this program, the engine, the storage.

use anyhow::Context;
use serde::Serialize;
use serde_json::{Value, json};

use super::Format;
use crate::cli::FormatArgs;
use crate::engine::Probed;
use crate::flags::Leading;
use crate::key;
use crate::record;
use crate::report::steps::counted;
use crate::report::table::bytes;
use crate::report::{print, print_json};
use crate::store::state_folder;
use crate::upkeep;
use crate::visible::visible_lines;

/// What `version --format` has.
#[derive(Debug, Serialize)]
struct Versions {
    version: &'static str,
    record_schema: u32,
    key_format: u32,
    engine: Option<EngineVersions>,
}

#[derive(Debug, Serialize)]
struct EngineVersions {
    name: String,
    version: String,
    buildah: String,
    program: String,
}

impl EngineVersions {
    fn new(probed: &Probed) -> Self {
        Self {
            name: probed.kind.name().to_owned(),
            version: probed.version.clone(),
            buildah: probed.buildah_version.clone(),
            program: probed.program.display().to_string(),
        }
    }
}

/// Shows versions; without an engine, this program's alone.
///
/// # Errors
/// When the format is not valid.
pub fn version(leading: Leading, args: &FormatArgs) -> anyhow::Result<()> {
    let session = super::session(leading, &args.engine);
    let versions = Versions {
        version: env!("CARGO_PKG_VERSION"),
        record_schema: record::SCHEMA,
        key_format: key::FORMAT,
        engine: session.as_ref().ok().map(|session| EngineVersions::new(session.engine.probed())),
    };
    let lines = || {
        let mut lines = vec![("podman-stagecache", versions.version.to_owned())];
        match (&versions.engine, &session) {
            (Some(engine), _) => {
                lines.push(("engine", format!("{} {} ({})", engine.name, engine.version, engine.program)));
                if engine.name != "buildah" {
                    lines.push(("builds with", format!("buildah {}", engine.buildah)));
                }
            }
            (None, Err(error)) => lines.push(("engine", format!("none: {error:#}"))),
            (None, Ok(_)) => {}
        }
        lines.push(("record schema", versions.record_schema.to_string()));
        lines
    };
    show(&serde_json::to_value(&versions)?, args, lines)
}

/// Shows engine, storage and state.
///
/// # Errors
/// When there is no engine, or the format is not valid.
pub fn info(leading: Leading, args: &FormatArgs) -> anyhow::Result<()> {
    let session = super::session(leading, &args.engine)?;
    let probed = session.engine.probed();
    let store = &session.store;
    let listing = session.engine.list()?;
    let mut names = store.kept_names();
    names.sort();
    names.dedup();
    let state = state_folder().context("finding the state folder")?;
    let additional: Vec<String> = probed.additional.iter().map(|path| path.display().to_string()).collect();
    let held = upkeep::usage(&listing, &session.engine.layers()?);
    let killed = upkeep::left_behind(store);
    let (builds, steps) = (store.build_ids().len(), store.entries().len());
    let value = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "engine": EngineVersions::new(probed),
        "platform": probed.platform,
        "storage": {
            "graph_root": probed.graph_root,
            "driver": probed.driver,
            "additional": additional,
            "images": listing.iter().count(),
        },
        "state": {
            "folder": state,
            "storage_folder": store.root(),
            "builds": builds,
            "steps": steps,
            "stage_images": names.len(),
            "bytes": held,
            "killed_builds": killed,
        },
    });
    let lines = || {
        let engine = EngineVersions::new(probed);
        let mut lines = vec![
            ("podman-stagecache", env!("CARGO_PKG_VERSION").to_owned()),
            ("engine", format!("{} {} ({})", engine.name, engine.version, engine.program)),
            ("builds with", format!("buildah {}", engine.buildah)),
            ("platform", probed.platform.clone()),
            ("storage", format!("{} ({})", probed.graph_root.display(), probed.driver)),
        ];
        if !additional.is_empty() {
            lines.push(("more stores", additional.join(", ")));
        }
        lines.extend([
            ("images", listing.iter().count().to_string()),
            ("stage images", format!("{} ({} of their own)", names.len(), bytes(held))),
            ("builds", builds.to_string()),
            ("steps", steps.to_string()),
            ("state", store.root().display().to_string()),
        ]);
        if killed > 0 {
            let left = format!("by {}; the next build or prune removes it", counted(killed, "killed build"));
            lines.push(("left behind", left));
        }
        lines
    };
    show(&value, args, lines)
}

fn show(
    value: &Value,
    args: &FormatArgs,
    lines: impl FnOnce() -> Vec<(&'static str, String)>,
) -> anyhow::Result<()> {
    match Format::parse(args.format.as_deref())? {
        Format::Json => print_json(value),
        Format::Template(template) => print(&format!("{}\n", template.fill(value)?)),
        Format::Text => {
            let lines = lines();
            let width = lines.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
            let line =
                |(name, text): &(&str, String)| format!("{name:width$}  {}\n", visible_lines(text, "    "));
            print(&lines.iter().map(line).collect::<String>())
        }
    }
}
