//! `prune`: removes stage images and what is kept of builds, and says what that frees.

use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use jiff::Timestamp;
use serde::Serialize;

use super::Format;
use crate::cli::PruneArgs;
use crate::flags::Leading;
use crate::names;
use crate::report::filter::age;
use crate::report::steps::counted;
use crate::report::table::{ago, bytes, table};
use crate::report::{print, print_json, say};
use crate::store::Usage;
use crate::upkeep::{self, Bound, Census, LOCK, Refused, Removal, Wish};

/// Younger leavings may be those of a build that starts just now.
const A_DAY: Duration = Duration::from_secs(24 * 60 * 60);

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
        false => Some(store.lock(LOCK, || say("waiting for the builds that run on this storage"))?),
    };
    if lock.as_ref().is_some_and(|lock| !lock.is_held()) {
        bail!(
            "nothing is removed: {} cannot be written, so no build could be kept waiting meanwhile; free some space, or set \
             STAGECACHE_HOME to a folder that can be written",
            store.root().display()
        );
    }
    let killed_builds = if args.dry_run { upkeep::left_behind(store) } else { upkeep::sweep(engine, store)? };
    let census = Census::new(engine, store)?;
    known_stages(&census, &args.stage)?;
    let mut removal = upkeep::choose(&census, &wish);
    let mut refused = Vec::new();
    if !args.dry_run {
        refused = upkeep::carry_out(engine, store, &mut removal)?.refused;
        removal.bytes = census.bytes_of(&removal.images.iter().collect());
        let held = upkeep::usage(&engine.list()?, &engine.layers()?);
        if wish.is_for_all() {
            store.forget_usage()?;
            store.tidy(Duration::ZERO);
        } else {
            store.put_usage(&Usage { bytes: held, measured: Timestamp::now().to_string() })?;
            store.tidy(A_DAY);
            store.note_sweep();
        }
    }
    drop(lock);
    let report =
        Report { schema: 1, dry_run: args.dry_run, killed_builds, removal: &removal, refused: &refused };
    if json {
        print_json(&report)?
    } else {
        print(&text(&report))?
    }
    // As with the engines' own prune, an image that a container uses is no failure.
    let mut failed = refused.iter().filter(|refused| !refused.in_use).peekable();
    match failed.peek() {
        None => Ok(()),
        Some(Refused { what, why, .. }) => {
            let (what, why) = (what.clone(), why.clone());
            Err(anyhow!("{} not removed: {what}: {why}", counted(failed.count(), "image")))
        }
    }
}

/// An unknown stage is a mistake, and what it would leave out another's.
fn known_stages(census: &Census, wanted: &[String]) -> anyhow::Result<()> {
    let known = census.stage_names();
    let is_known = |stage: &String| known.iter().any(|name| names::slug(name) == names::slug(stage));
    match wanted.iter().find(|stage| !is_known(stage)) {
        None => Ok(()),
        Some(stage) if known.is_empty() => bail!("--stage={stage}: no build has left a stage here"),
        Some(stage) => {
            let known: Vec<&str> = known.into_iter().collect();
            bail!("--stage={stage}: no build has left such a stage; there are {}", known.join(", "))
        }
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
    refused: &'a [Refused],
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
        // With all of it, and nothing held back, what tells of it goes too.
        records: args.records
            || args.all && unused_since.is_none() && args.keep_stages.is_none() && args.stage.is_empty(),
        files_alone: false,
    })
}

fn text(report: &Report<'_>) -> String {
    let removal = report.removal;
    let verb = if report.dry_run { "would remove" } else { "removed" };
    let stays = |refused: &Refused| format!("{} stays: a container uses it\n", refused.what);
    let mut out: String = report.refused.iter().filter(|refused| refused.in_use).map(stays).collect();
    if report.killed_builds > 0 {
        let builds = counted(report.killed_builds, "build");
        out.push_str(&format!("{verb} what killed builds left: {builds}\n"));
    }
    if removal.is_empty() {
        return if report.killed_builds > 0 { out } else { out + "nothing to remove\n" };
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
        (removal.configs.len() + removal.files.len() + removal.nearest.len(), "other file"),
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
