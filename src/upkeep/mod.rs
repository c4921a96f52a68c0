//! What of the cache may go: which stage images, and with them which steps and files.
//!
//! A stage image is held by a name of ours; the engines remove an image's last name together with the image and with
//! every untagged image below that nothing else stands on. So names are what is chosen, and this works out what
//! falls with them: images that no kept name stands on, entries whose image goes, listings that no entry uses.
//! `carry_out` does it; [`enforce`] keeps the cache below a bound after a build.
//!
//! No build runs meanwhile: each holds the lock [`LOCK`] shared, and who removes holds it alone.

mod bound;
mod carry_out;
mod census;
mod dead;
mod lease;
mod leftovers;
mod watcher;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

pub use bound::Bound;
pub use carry_out::{Done, Refused, carry_out};
pub use census::{Census, usage};
pub use dead::{left_behind, sweep};
pub use lease::Lease;
pub use leftovers::{Leftovers, clear_away};
pub use watcher::{WATCHER, allow_watcher, watch};

use crate::engine::Engine;
use crate::image::ImageId;
use crate::key::{Content, StepKey};
use crate::names;
use crate::record::{BuildRecord, BuildStatus, StageRecord};
use crate::store::{LONG, Store, Usage};

/// The lock that builds share and that upkeep holds alone.
pub const LOCK: &str = "builds";

/// So many records stay whatever their age; older ones while they are not older than [`LONG`], or an image is left.
pub const RECORDS: usize = 1000;

/// So long nothing is swept after a sweep.
const PAUSE: Duration = Duration::from_secs(24 * 60 * 60);

/// What is asked to go. Choices hold together: what is older, and beyond the last so many.
#[derive(Debug, Clone, Default)]
pub struct Wish {
    /// Every stage image that the other choices do not hold back.
    pub all: bool,
    /// Those that no build has used since then.
    pub unused_since: Option<Timestamp>,
    /// All but the last so many of each stage of each build.
    pub keep_stages: Option<usize>,
    /// Of these stages alone.
    pub stages: Vec<String>,
    /// The oldest until so many bytes are left.
    pub keep_bytes: Option<u64>,
    /// Names that stay whatever else is asked.
    pub spared: BTreeSet<String>,
    /// Records and the keys of last time too.
    pub records: bool,
    /// No image, only files that nothing needs.
    pub files_alone: bool,
}

impl Wish {
    /// Whether nothing is to be left.
    pub fn is_for_all(&self) -> bool {
        self.all
            && self.records
            && self.unused_since.is_none()
            && self.keep_stages.is_none()
            && self.stages.is_empty()
    }
}

/// A stage image's name that goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NameGoing {
    /// The name.
    pub name: String,
    /// The image.
    pub image: ImageId,
    /// When a build last used it, RFC 3339.
    pub last_used: String,
}

/// What goes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Removal {
    /// Names of stage images.
    pub names: Vec<NameGoing>,
    /// Images that go, those of the names included, topmost first.
    pub images: Vec<ImageId>,
    /// What their layers hold that no other image has.
    pub bytes: u64,
    /// Steps whose image is gone or goes.
    pub entries: Vec<StepKey>,
    /// Listings of files that no step uses.
    pub trees: Vec<String>,
    /// Records of builds.
    pub records: Vec<String>,
    /// Build identities whose keys of last time are forgotten.
    pub nearest: Vec<String>,
    /// Names that are noted as kept and that no image bears.
    pub stale_names: Vec<String>,
    /// Images whose manifest and config are kept for nothing.
    pub configs: Vec<ImageId>,
    /// Files that only save time, and have not for long.
    pub files: Vec<PathBuf>,
}

impl Removal {
    /// Whether nothing goes.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Works out what goes.
pub fn choose(census: &Census, wish: &Wish) -> Removal {
    let names = chosen_names(census, wish);
    let gone: BTreeSet<&str> = names.iter().map(|going| going.name.as_str()).collect();
    let kept = census.still_named(&gone);
    let needed = census.needed(&kept);
    let slugs: Vec<String> = wish.stages.iter().map(|stage| names::slug(stage)).collect();
    let of_stages = (!slugs.is_empty()).then(|| census.of_stages(&slugs));
    let may_go = |id: &&ImageId| !wish.files_alone && of_stages.as_ref().is_none_or(|own| own.contains(id));
    let unneeded = census.ours().filter(|id| !kept.contains(*id) && !needed.contains(id));
    let mut images: Vec<ImageId> = unneeded.filter(may_go).cloned().collect();
    census.topmost_first(&mut images);
    let going: BTreeSet<&ImageId> = images.iter().collect();
    let is_for_all = wish.is_for_all();
    let can_be_had = |id: &ImageId| !is_for_all && census.revivable.contains(id);
    let there = |id: &ImageId| census.listing.contains(id) && !going.contains(id) || can_be_had(id);
    let bytes = census.bytes_of(&going);

    let records = chosen_records(census, wish, &there);
    let nearest: Vec<String> = census
        .nearest
        .iter()
        .filter(|(identity, nearest)| {
            let mut keys = nearest.stages.values().flat_map(|stage| &stage.steps);
            let alive = keys.any(|key| census.entries.get(key).is_some_and(|entry| there(&entry.image)));
            let asked = wish.records && (wish.all && wish.unused_since.is_none() || !alive);
            asked || !alive && census.old_nearest.contains(identity)
        })
        .map(|(identity, _)| identity.clone())
        .collect();
    // What a build hung on last time is kept without its image, so that the next one can say what changed.
    let explaining: BTreeSet<&StepKey> = census
        .nearest
        .iter()
        .filter(|(identity, _)| !nearest.contains(identity))
        .flat_map(|(_, nearest)| nearest.stages.values().flat_map(|stage| &stage.steps))
        .collect();
    let (stay, go): (Vec<_>, Vec<_>) =
        census.entries.iter().partition(|(key, entry)| there(&entry.image) || explaining.contains(key));
    let used: BTreeSet<&str> = stay
        .iter()
        .flat_map(|(_, entry)| &entry.inputs.sources)
        .filter_map(|source| match &source.content {
            Content::Files(digest) => Some(digest.as_str()),
            _ => None,
        })
        .collect();
    let stale = census.kept.values().flatten().filter(|name| census.listing.named(name).is_none());
    let stale: BTreeSet<String> = stale.cloned().collect();
    let gone_records: BTreeSet<&str> = records.iter().map(String::as_str).collect();
    let left = census.records.iter().filter(|record| !gone_records.contains(record.build_id.as_str()));
    let named = left.flat_map(|record| &record.stages).flat_map(StageRecord::images);
    let referred: BTreeSet<&ImageId> = stay.iter().map(|(_, entry)| &entry.image).chain(named).collect();
    let needless = |id: &&ImageId| !there(id) && (is_for_all || !referred.contains(id));
    let configs: Vec<ImageId> = census.configs.iter().filter(needless).cloned().collect();
    let old = census.passing.iter().filter(|file| is_for_all || file.age > LONG);
    let files: Vec<PathBuf> = old.map(|file| file.path.clone()).collect();
    Removal {
        names,
        images,
        bytes,
        entries: go.iter().map(|(key, _)| (*key).clone()).collect(),
        trees: census.trees.iter().filter(|tree| !used.contains(tree.as_str())).cloned().collect(),
        records,
        nearest,
        stale_names: stale.into_iter().collect(),
        configs,
        files,
    }
}

fn chosen_names(census: &Census, wish: &Wish) -> Vec<NameGoing> {
    let held: Option<BTreeSet<&String>> = wish.keep_stages.map(|keep| {
        // One image can be that of several builds: it stays while it is among the last of any.
        census.kept.values().flat_map(|list| list.iter().rev().take(keep)).collect()
    });
    let of_stage = |name: &str| {
        let slugs = wish.stages.iter().map(|stage| format!("{}/{}:", names::REPOSITORY, names::slug(stage)));
        wish.stages.is_empty() || slugs.into_iter().any(|start| name.starts_with(&start))
    };
    let mut candidates: Vec<NameGoing> = census
        .our_names()
        .filter(|(name, _)| of_stage(name) && !wish.spared.contains(*name))
        .map(|(name, image)| NameGoing {
            name: name.to_owned(),
            image: image.clone(),
            last_used: census.last_used(image),
        })
        .collect();
    candidates.sort_by(|a, b| (&a.last_used, &a.name).cmp(&(&b.last_used, &b.name)));
    let asked = wish.all || wish.unused_since.is_some() || wish.keep_stages.is_some();
    let goes = |going: &NameGoing| {
        let used: Option<Timestamp> = going.last_used.parse().ok();
        let old = wish.unused_since.is_none_or(|since| used.is_none_or(|used| used < since));
        let beyond = held.as_ref().is_none_or(|held| {
            !held.contains(&going.name) && census.kept.values().flatten().any(|name| *name == going.name)
        });
        asked && old && beyond
    };
    let (mut chosen, rest): (Vec<_>, Vec<_>) = candidates.into_iter().partition(goes);
    if let Some(bound) = wish.keep_bytes {
        let mut gone: BTreeSet<String> = chosen.iter().map(|going| going.name.clone()).collect();
        let mut tally = census.tally(&gone);
        for going in rest {
            if tally.bytes() <= bound {
                break;
            }
            gone.insert(going.name.clone());
            tally.remove(census, &going.image, &gone);
            chosen.push(going);
        }
    }
    chosen
}

fn chosen_records(census: &Census, wish: &Wish, there: &dyn Fn(&ImageId) -> bool) -> Vec<String> {
    // As many as stay whatever their age.
    let mut started: Vec<&str> = census.records.iter().map(|record| record.started.as_str()).collect();
    started.sort_unstable();
    let last = started.len().checked_sub(RECORDS).and_then(|first| started.get(first)).copied();
    let long_ago = Timestamp::now().checked_sub(SignedDuration::try_from(LONG).unwrap_or_default()).ok();
    let goes = |record: &&BuildRecord| {
        let runs = record.status == BuildStatus::Running && record.ended.is_none() && alive(record.pid);
        let images = record.stages.iter().flat_map(|stage| stage.image.iter().chain(&stage.tip));
        let of_target = record.result.as_ref().map(|result| &result.image);
        let left = images.chain(of_target).any(there);
        let started: Option<Timestamp> = record.started.parse().ok();
        let is_beyond = last.is_some_and(|last| record.started.as_str() < last)
            && long_ago.is_some_and(|long_ago| started.is_none_or(|started| started < long_ago));
        let asked = match wish.unused_since {
            _ if !wish.records => is_beyond && !left,
            Some(since) => started.is_none_or(|started| started < since),
            None => wish.all || !left,
        };
        !runs && asked
    };
    census.records.iter().filter(goes).map(|record| record.build_id.clone()).collect()
}

/// Whether a process is there; signal 0 asks, and "not permitted" means that it is.
pub fn alive(pid: u32) -> bool {
    let Ok(pid) = i32::try_from(pid) else { return false };
    !matches!(nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), None), Err(nix::errno::Errno::ESRCH))
}

/// Takes away the files that nothing needs any more, after a build that made something, and not each time.
///
/// # Errors
/// When the storage cannot be read, or a file cannot be removed.
pub fn tidy(engine: &dyn Engine, store: &Store) -> anyhow::Result<()> {
    if !store.not_swept_for(PAUSE) {
        return Ok(());
    }
    let Some(_lock) = store.try_lock(LOCK)? else { return Ok(()) };
    let census = Census::new(engine, store).context("looking through the cache")?;
    let mut removal = choose(&census, &Wish { files_alone: true, ..Wish::default() });
    carry_out(engine, store, &mut removal)?;
    store.tidy(PAUSE);
    store.note_sweep();
    Ok(())
}

/// Keeps the cache below the bound, after a build that made something; the names in `spared` are that build's.
///
/// Reads the storage's two indexes and calls no engine while the cache is small enough. While other builds run
/// nothing is removed: the last of them does it.
///
/// # Errors
/// When the storage cannot be read, or an image cannot be removed.
pub fn enforce(
    engine: &dyn Engine,
    store: &Store,
    bound: Bound,
    spared: &[String],
) -> anyhow::Result<Option<Removal>> {
    let graph_root = &engine.probed().graph_root;
    let Some(bytes) = bound.bytes(graph_root) else { return Ok(None) };
    let (listing, layers) = (engine.list()?, engine.layers()?);
    let held = usage(&listing, &layers);
    store.put_usage(&Usage { bytes: held, measured: Timestamp::now().to_string() })?;
    if held <= bytes {
        return Ok(None);
    }
    let Some(_lock) = store.try_lock(LOCK)? else { return Ok(None) };
    let census = Census::new(engine, store).context("looking through the cache")?;
    let wish = Wish { keep_bytes: Some(bytes), spared: spared.iter().cloned().collect(), ..Wish::default() };
    let mut removal = choose(&census, &wish);
    carry_out(engine, store, &mut removal)?;
    Ok(Some(removal))
}

#[cfg(test)]
mod tests;
