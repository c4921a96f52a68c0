//! `prune`: removes stage images and what is kept of builds, and says what that frees.

use anyhow::{Context, anyhow};
use jiff::Timestamp;
use serde::Serialize;

use super::Format;
use crate::cli::PruneArgs;
use crate::flags::Leading;
use crate::report::filter::age;
use crate::report::steps::counted;
use crate::report::table::{ago, bytes, table};
use crate::report::{print, print_json};
use crate::store::Usage;
use crate::upkeep::{self, Bound, Census, LOCK, Removal, Wish};

/// Prunes.
///
/// # Errors
/// When a choice is not valid, or something cannot be removed.
pub fn run(leading: Leading, args: &PruneArgs) -> anyhow::Result<()> {
    let session = super::session(leading, &args.engine)?;
    let json = Format::json(args.format.as_deref())?;
    let engine = session.engine.as_ref();
    let store = &session.store;
    let wish = wish(args, &engine.probed().graph_root)?;
    let lock = match args.dry_run {
        true => None,
        false => Some(store.lock(LOCK, || eprintln!("waiting for the builds that run on this storage"))?),
    };
    let killed_builds = if args.dry_run { upkeep::left_behind(store) } else { upkeep::sweep(engine, store)? };
    let census = Census::new(engine, store)?;
    let removal = upkeep::choose(&census, &wish);
    let mut refused = Vec::new();
    if !args.dry_run {
        refused = upkeep::carry_out(engine, store, &removal)?.refused;
        let held = upkeep::usage(&engine.list()?, &engine.layers()?);
        store.put_usage(&Usage { bytes: held, measured: Timestamp::now().to_string() })?;
    }
    drop(lock);
    let report = Report {
        schema: 1,
        dry_run: args.dry_run,
        killed_builds,
        removal: &removal,
        refused: refused.iter().map(|(what, why)| Refused { what, why }).collect(),
    };
    if json {
        print_json(&report)?
    } else {
        print(&text(&report))?
    }
    match refused.first() {
        None => Ok(()),
        Some((what, why)) => Err(anyhow!("{} not removed: {what}: {why}", counted(refused.len(), "image"))),
    }
}

/// What went, as JSON. Fields are added, and none changes its meaning, within one `schema`.
#[derive(Serialize)]
struct Report<'a> {
    schema: u32,
    dry_run: bool,
    /// Builds that were killed, of which everything went that they had left beside images.
    killed_builds: usize,
    #[serde(flatten)]
    removal: &'a Removal,
    refused: Vec<Refused<'a>>,
}

#[derive(Serialize)]
struct Refused<'a> {
    what: &'a str,
    why: &'a str,
}

fn wish(args: &PruneArgs, graph_root: &std::path::Path) -> anyhow::Result<Wish> {
    let unused_since = match &args.older_than {
        None => None,
        Some(text) => {
            let age = age(text)
                .ok_or_else(|| anyhow!("--older-than={text}: write an age such as 90m, 24h, 14d or 2w"))?;
            Some(Timestamp::now().checked_sub(age).context("reading --older-than")?)
        }
    };
    let bound = args.keep_storage.as_deref().map(Bound::parse).transpose()?;
    Ok(Wish {
        all: args.all,
        unused_since,
        keep_stages: args.keep_stages,
        stages: args.stage.clone(),
        keep_bytes: bound.and_then(|bound| bound.bytes(graph_root)),
        spared: Default::default(),
        records: args.records,
    })
}

fn text(report: &Report<'_>) -> String {
    let removal = report.removal;
    let verb = if report.dry_run { "would remove" } else { "removed" };
    let mut out = String::new();
    if report.killed_builds > 0 {
        out.push_str(&format!(
            "{verb} what killed builds left: {}\n",
            counted(report.killed_builds, "build")
        ));
    }
    if removal.is_empty() {
        return if out.is_empty() { "nothing to remove\n".into() } else { out };
    }
    if !removal.names.is_empty() {
        let now = Timestamp::now();
        let rows: Vec<Vec<String>> = removal
            .names
            .iter()
            .map(|going| vec![going.name.clone(), going.image.short().to_owned(), ago(&going.last_used, now)])
            .collect();
        out.push_str(&table(&["STAGE IMAGE", "IMAGE ID", "LAST USED"], &rows));
    }
    let counts = [
        (removal.images.len(), "image"),
        (removal.entries.len(), "step"),
        (removal.trees.len(), "file listing"),
        (removal.records.len(), "record"),
    ];
    let parts: Vec<String> =
        counts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| counted(*count, what)).collect();
    match parts.is_empty() {
        true => out.push_str(&format!(
            "{verb} {} that no image bears\n",
            counted(removal.stale_names.len(), "name")
        )),
        false => out.push_str(&format!("{verb} {}; {} of layers\n", parts.join(", "), bytes(removal.bytes))),
    }
    out
}
