//! What steps read of this machine and may write to it, and what follows for the order in which they are decided and run.
//!
//! Verdicts are decided from the world as it is. A step that runs may change that world: it has the context mounted
//! writable, or a folder that a later base or context is read from. What reads that later in the file is decided when all
//! before it that runs is over, from the world as it is then; and who writes waits for those before it that read.
//! In a native build the instructions come one after the other in the order of the file, so that order is the right one.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use crate::event::StepId;
use crate::graph::{Origin, mount_fields};
use crate::prepare::{PreparedStage, PreparedStep};
use crate::verdict::Verdict;

/// Files and folders of this machine, by real path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostAccess {
    /// What is read, all below included.
    pub reads: BTreeSet<PathBuf>,
    /// What may be written, all below included.
    pub writes: BTreeSet<PathBuf>,
}

impl HostAccess {
    /// Whether what this one writes may be what the other one reads.
    pub fn may_change(&self, other: &Self) -> bool {
        overlap(&self.writes, &other.reads)
    }

    /// Whether it makes a difference which of the two goes first.
    fn meets(&self, other: &Self) -> bool {
        self.may_change(other) || other.may_change(self) || overlap(&self.writes, &other.writes)
    }
}

/// Whether one of these lies in one of those, or the other way round.
pub fn overlap(these: &BTreeSet<PathBuf>, those: &BTreeSet<PathBuf>) -> bool {
    these.iter().any(|a| those.iter().any(|b| a.starts_with(b) || b.starts_with(a)))
}

/// The real path of what may not be there yet: links are followed as far as it is.
pub fn real(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    for ancestor in path.ancestors() {
        if let Ok(found) = std::fs::canonicalize(ancestor) {
            let rest = path.strip_prefix(ancestor).unwrap_or(Path::new(""));
            return if rest.as_os_str().is_empty() { found } else { found.join(rest) };
        }
    }
    path
}

/// The folder of this machine that a `--volume` lets a command write to.
pub fn written_by_volume(value: &str) -> Option<PathBuf> {
    let mut parts = value.split(':');
    let folder = parts.next().filter(|folder| folder.starts_with('/'))?;
    let read_only = parts.skip(1).flat_map(|options| options.split(',')).any(|o| matches!(o, "ro" | "O"));
    (!read_only).then(|| real(Path::new(folder)))
}

/// Whether a mount of a RUN asks to be writable.
pub fn is_writable(mount: &str) -> bool {
    mount_fields(mount).iter().any(|(name, value)| {
        matches!(name.as_str(), "rw" | "readwrite") && value != "false"
            || matches!(name.as_str(), "ro" | "readonly") && value == "false"
    })
}

/// The file or folder that an image of this name is read from; nothing for one of a storage or registry
/// (containers-transports(5)).
pub fn image_path(name: &str) -> Option<PathBuf> {
    let path = ["dir:", "oci:", "oci-archive:", "docker-archive:", "sif:"]
        .iter()
        .find_map(|transport| name.strip_prefix(transport))?;
    let path = path.split(':').next().unwrap_or(path);
    Some(real(Path::new(path)))
}

/// Where below `root` these sources are read: up to the first wildcard, links followed. One that leads elsewhere may be
/// anything in there.
pub fn paths_below<'a>(root: &Path, sources: impl IntoIterator<Item = &'a str>) -> BTreeSet<PathBuf> {
    let root = real(root);
    let path = |source: &str| {
        let components = Path::new(source).components();
        if components.clone().any(|component| component == Component::ParentDir) {
            return root.clone();
        }
        let names = components.filter_map(|component| match component {
            Component::Normal(name) => Some(name),
            _ => None,
        });
        let plain = names.take_while(|name| !name.to_string_lossy().contains(['*', '?', '[', '\\']));
        let found = real(&plain.fold(root.clone(), |path, name| path.join(name)));
        if found.starts_with(&root) { found } else { root.clone() }
    };
    sources.into_iter().map(path).collect()
}

/// Why a step cannot be told before another one is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unsettled {
    /// The other one.
    pub writer: StepId,
    /// Whether it may only write over what this one wrote when it ran.
    pub what_it_wrote: bool,
}

/// What a build's steps have to wait for, as far as it is planned.
#[derive(Debug, Clone, Default)]
pub struct Order {
    /// By stage the first step that is decided when the steps before it in the file are over; its number of steps where
    /// only its end is.
    pub later: BTreeMap<usize, usize>,
    /// Steps of which the first goes before the second.
    pub pairs: Vec<(StepId, StepId)>,
    /// Steps that run, with what they touch.
    running: Vec<(StepId, HostAccess)>,
    /// Steps that are decided later, with what they touch and the locks that they hold alone.
    waiting: Vec<(HostAccess, BTreeSet<String>)>,
    /// Whether there are stages before of which nothing is known yet.
    unknown: bool,
}

impl Order {
    /// A stage of which nothing can be told yet: its base may still be made.
    pub(crate) fn add_unknown(&mut self, stage: usize) {
        self.later.insert(stage, 0);
        self.unknown = true;
    }

    /// The step that runs before and may write what this one reads.
    fn writer(&self, reads: &HostAccess) -> Option<StepId> {
        self.running.iter().find(|(_, running)| running.may_change(reads)).map(|(step, _)| *step)
    }

    /// For each step of a stage from `over` on to which an earlier stage may write, that step, and whether it concerns only
    /// what the one before may have to write again; the base counts for the first.
    pub(crate) fn unsettled(&self, stage: &PreparedStage, over: usize) -> BTreeMap<usize, Unsettled> {
        if self.running.is_empty() {
            return BTreeMap::new();
        }
        let base = HostAccess { reads: stage.base_reads.clone(), writes: BTreeSet::new() };
        let mut found = BTreeMap::new();
        if let Some(writer) = self.writer(&base).filter(|_| over == 0) {
            found.insert(0, Unsettled { writer, what_it_wrote: false });
        }
        for (n, step) in stage.steps.iter().enumerate().skip(over) {
            let reads = self.writer(&step.host).map(|writer| Unsettled { writer, what_it_wrote: false });
            let wrote =
                || self.overwriter(&step.host).map(|writer| Unsettled { writer, what_it_wrote: true });
            if let Some(unsettled) = reads.or_else(wrote) {
                found.entry(n).or_insert(unsettled);
            }
        }
        found
    }

    /// The step that runs before and may write over what this one has written.
    fn overwriter(&self, host: &HostAccess) -> Option<StepId> {
        let mut running = self.running.iter();
        running.find(|(_, running)| overlap(&running.writes, &host.writes)).map(|(step, _)| *step)
    }

    /// Adds a stage with the verdicts on its steps, of which so many are over.
    pub(crate) fn add(&mut self, stage: &PreparedStage, over: usize, verdict: &dyn Fn(usize) -> Verdict) {
        let index = stage.stage.index;
        let base = HostAccess { reads: stage.base_reads.clone(), writes: BTreeSet::new() };
        let base_waits = matches!(stage.stage.base, Origin::Stage(below) if self.later.contains_key(&below))
            || self.writer(&base).is_some();
        let mut later = base_waits && over == 0;
        if later {
            self.later.insert(index, 0);
        }
        for (n, step) in stage.steps.iter().enumerate().skip(over) {
            let verdict = verdict(n);
            if !later && self.waits(step, &verdict) {
                self.later.insert(index, n);
                later = true;
            }
            if later {
                self.waiting.push((step.host.clone(), step.exclusive.clone()));
            } else if !verdict.is_hit() {
                let id = (index, n);
                let before = self.running.iter().filter(|(_, before)| before.meets(&step.host));
                self.pairs.extend(before.map(|(before, _)| (*before, id)));
                if step.host != HostAccess::default() {
                    self.running.push((id, step.host.clone()));
                }
            }
        }
    }

    fn waits(&self, step: &PreparedStep, verdict: &Verdict) -> bool {
        let takes_later = step
            .foreign
            .iter()
            .any(|f| matches!(f.origin, Origin::Stage(index) if self.later.contains_key(&index)));
        if takes_later || self.writer(&step.host).is_some() {
            return true;
        }
        match verdict {
            Verdict::Hit { .. } => return false,
            // It runs only if what it wrote is written over.
            Verdict::Open { .. } if self.overwriter(&step.host).is_some() => return true,
            Verdict::Open { .. } | Verdict::Miss { .. } => {}
        }
        let alone = !step.host.writes.is_empty() || !step.exclusive.is_empty();
        let behind = |(host, locks): &(HostAccess, BTreeSet<String>)| {
            host.meets(&step.host) || !locks.is_disjoint(&step.exclusive)
        };
        (self.unknown && alone) || self.waiting.iter().any(behind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(paths: &[&str]) -> BTreeSet<PathBuf> {
        paths.iter().map(PathBuf::from).collect()
    }

    #[test]
    fn a_folder_is_met_by_what_lies_in_it_and_by_what_it_lies_in() {
        for (these, those, expected) in [
            (&["/a/b"][..], &["/a"][..], true),
            (&["/a"], &["/a/b"], true),
            (&["/a"], &["/ab"], false),
            (&["/x", "/a"], &["/a"], true),
            (&[], &["/a"], false),
        ] {
            assert_eq!(overlap(&paths(these), &paths(those)), expected, "{these:?} {those:?}");
        }
    }

    #[test]
    fn a_volume_writes_to_its_folder_unless_it_is_read_only() {
        for (value, expected) in [
            ("/nowhere:/v", Some("/nowhere")),
            ("/nowhere:/v:z", Some("/nowhere")),
            ("/nowhere:/v:z,ro", None),
            ("/nowhere:/v:O", None),
            ("/nowhere:/ro", Some("/nowhere")),
            ("name:/v", None),
        ] {
            assert_eq!(written_by_volume(value), expected.map(PathBuf::from), "{value}");
        }
    }

    #[test]
    fn a_mount_is_writable_where_it_says_so() {
        for (value, expected) in [
            ("type=bind,target=/m", false),
            ("type=bind,rw,target=/m", true),
            ("type=bind,readwrite=true,target=/m", true),
            ("type=bind,rw=false,target=/m", false),
            ("type=bind,ro=false,target=/m", true),
        ] {
            assert_eq!(is_writable(value), expected, "{value}");
        }
    }

    #[test]
    fn images_in_files_are_known_by_their_transport() {
        for (name, expected) in [
            ("oci:/nowhere/a:tag", Some("/nowhere/a")),
            ("docker-archive:/nowhere/a.tar", Some("/nowhere/a.tar")),
            ("docker.io/library/oci:latest", None),
            ("busybox", None),
        ] {
            assert_eq!(image_path(name), expected.map(PathBuf::from), "{name}");
        }
    }

    #[test]
    fn sources_are_read_up_to_their_first_wildcard() {
        let dir = tempfile::tempdir().unwrap();
        let root = std::fs::canonicalize(dir.path()).unwrap();
        std::fs::create_dir_all(root.join("a/b")).unwrap();
        std::os::unix::fs::symlink("a", root.join("link")).unwrap();
        std::os::unix::fs::symlink("/", root.join("out")).unwrap();
        for (source, expected) in [
            ("a/b", "a/b"),
            ("/a/b/", "a/b"),
            ("a/*/c", "a"),
            ("*", ""),
            (".", ""),
            ("gone/file", "gone/file"),
            ("link/b", "a/b"),
            ("out/etc", ""),
            ("a/../x", ""),
        ] {
            let found = paths_below(&root, [source]);
            assert_eq!(found, BTreeSet::from([real(&root.join(expected))]), "{source}");
        }
    }
}
