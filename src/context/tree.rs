//! The files of one COPY, ADD or bind mount, sorted, with one digest.
//!
//! There may be some hundred thousand of them, which are mostly only hashed: they stay in the runs in which a walk finds
//! them, the paths of each in one text.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Digest, FileFact, TreeDiff};

/// Files in the order in which they were found.
#[derive(Debug, Clone, Default)]
pub(super) struct Run {
    paths: String,
    /// Where each path ends in `paths`, and what is there.
    files: Vec<(usize, FileFact)>,
}

impl Run {
    pub(super) fn with_capacity(files: usize, bytes: usize) -> Self {
        Self { paths: String::with_capacity(bytes), files: Vec::with_capacity(files) }
    }

    pub(super) fn of(path: &str, fact: FileFact) -> Self {
        let mut run = Self::with_capacity(1, path.len());
        run.push("", path, fact);
        run
    }

    /// Adds the file of that name in `dir`; an empty `dir` is the top.
    pub(super) fn push(&mut self, dir: &str, name: &str, fact: FileFact) {
        if !dir.is_empty() {
            self.paths.push_str(dir);
            self.paths.push('/');
        }
        self.paths.push_str(name);
        self.files.push((self.paths.len(), fact));
    }

    /// For files that get other modes than they have.
    pub(super) fn leave_out_modes(&mut self) {
        for (_, fact) in &mut self.files {
            if let FileFact::File { mode, .. } | FileFact::Dir { mode, .. } = fact {
                *mode = 0;
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.files.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    fn path(&self, index: usize) -> &str {
        let start = index.checked_sub(1).map_or(0, |before| self.files[before].0);
        &self.paths[start..self.files[index].0]
    }

    fn last(&self) -> &str {
        self.path(self.len() - 1)
    }

    fn is_sorted(&self) -> bool {
        (1..self.len()).all(|index| self.path(index - 1) < self.path(index))
    }

    fn files(&self) -> impl Iterator<Item = (&str, &FileFact)> {
        self.files.iter().enumerate().map(|(index, (_, fact))| (self.path(index), fact))
    }

    fn file(&self, path: &str) -> Option<&FileFact> {
        let (mut from, mut to) = (0, self.len());
        while from < to {
            let middle = from + (to - from) / 2;
            match self.path(middle).cmp(path) {
                Ordering::Less => from = middle + 1,
                Ordering::Greater => to = middle,
                Ordering::Equal => return Some(&self.files[middle].1),
            }
        }
        None
    }
}

/// The files of one COPY, ADD or bind mount.
///
/// Each file has its path in the context. Bytes that are not UTF-8 stand as `\xNN` and a backslash as two, so no two files
/// share a name. The folder of a bind mount's source itself is in, as `.` where it is the context; that of a COPY is not,
/// for its mode goes nowhere.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct CopiedTree {
    /// Each sorted, and none reaching into another one.
    #[serde(rename = "files", with = "as_map")]
    runs: Vec<Run>,
}

impl PartialEq for CopiedTree {
    fn eq(&self, other: &Self) -> bool {
        self.files().eq(other.files())
    }
}

impl Eq for CopiedTree {}

impl CopiedTree {
    /// Raise when the meaning of the listing changes.
    const FORMAT: u8 = 1; // 1: first.

    /// BLAKE3 is several times faster with enough bytes for all lanes.
    const HASHED_AT_ONCE: usize = 64 * 1024;

    /// Of what was found, in any order. What was found twice counts once, unless it is a link here and what it leads
    /// to there.
    pub(super) fn of(mut found: Vec<Run>) -> Self {
        found.retain(|run| !run.is_empty());
        let mut order: Vec<&Run> = found.iter().collect();
        order.sort_by_key(|run| run.path(0));
        let apart = order.windows(2).all(|pair| pair[0].last() < pair[1].path(0));
        if apart && found.iter().all(Run::is_sorted) {
            found.sort_by(|a, b| a.path(0).cmp(b.path(0)));
            return Self { runs: found };
        }
        let mut files: Vec<(&str, &FileFact)> = found.iter().flat_map(Run::files).collect();
        files.sort_by_key(|(path, _)| *path); // finds the runs that are sorted already
        files.dedup();
        let mut whole = Run::with_capacity(files.len(), found.iter().map(|run| run.paths.len()).sum());
        files.into_iter().for_each(|(path, fact)| whole.push("", path, fact.clone()));
        Self { runs: vec![whole] }
    }

    /// The files, sorted by path.
    pub fn files(&self) -> impl Iterator<Item = (&str, &FileFact)> {
        self.runs.iter().flat_map(Run::files)
    }

    /// The file at a path.
    pub fn file(&self, path: &str) -> Option<&FileFact> {
        let behind = self.runs.partition_point(|run| run.path(0) <= path);
        self.runs[behind.checked_sub(1)?].file(path)
    }

    /// Those of the files that are chosen.
    #[must_use]
    pub fn only(&self, chosen: &dyn Fn(&str) -> bool) -> Self {
        let files = self.files().filter(|(path, _)| chosen(path));
        Self::of(files.map(|(path, fact)| Run::of(path, fact.clone())).collect())
    }

    /// Whether there are no files.
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// One digest for the whole listing.
    pub fn digest(&self) -> Digest {
        let mut hasher = blake3::Hasher::new();
        let mut lines = Vec::with_capacity(Self::HASHED_AT_ONCE + 1024);
        lines.push(Self::FORMAT);
        for (path, fact) in self.files() {
            fact.write(path, &mut lines);
            if lines.len() > Self::HASHED_AT_ONCE {
                hasher.update(&lines);
                lines.clear();
            }
        }
        hasher.update(&lines);
        hasher.finalize().into()
    }

    /// What it takes to get from `before` to `after`.
    pub fn diff(before: &Self, after: &Self) -> TreeDiff {
        let changes =
            |from: &Self, to: &Self, differs: fn(&FileFact, Option<&FileFact>) -> bool| -> Vec<String> {
                let listed = to.files().filter(|(path, fact)| differs(fact, from.file(path)));
                listed.map(|(path, _)| path.to_owned()).collect()
            };
        TreeDiff {
            added: changes(before, after, |_, before| before.is_none()),
            removed: changes(after, before, |_, after| after.is_none()),
            changed: changes(before, after, |after, before| before.is_some_and(|before| before != after)),
        }
    }
}

/// Runs, written as one map of paths and facts.
mod as_map {
    use super::{BTreeMap, CopiedTree, Deserialize, FileFact, Run};
    use serde::{Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(runs: &[Run], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(runs.iter().flat_map(Run::files))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Run>, D::Error> {
        let files = BTreeMap::<String, FileFact>::deserialize(deserializer)?;
        let mut run = Run::default();
        files.into_iter().for_each(|(path, fact)| run.push("", &path, fact));
        Ok(CopiedTree::of(vec![run]).runs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(content: &str, mode: u32) -> FileFact {
        FileFact::File { mode, digest: Digest::of(content.as_bytes()), xattrs: BTreeMap::new() }
    }

    fn run(paths: &[&str]) -> Run {
        let mut run = Run::default();
        paths.iter().for_each(|path| run.push("", path, file(path, 0o644)));
        run
    }

    fn tree(files: &[(&str, FileFact)]) -> CopiedTree {
        CopiedTree::of(files.iter().map(|(path, fact)| Run::of(path, fact.clone())).collect())
    }

    #[test]
    fn however_the_files_were_found_the_tree_is_the_same() {
        let sorted = ["a-b/x", "a.txt", "a/x", "a/y", "b"];
        let whole = CopiedTree::of(vec![run(&sorted)]);
        assert_eq!(whole.runs.len(), 1);
        let apart = CopiedTree::of(vec![run(&sorted[3..]), Run::default(), run(&sorted[..3])]);
        assert_eq!(apart.runs.len(), 2, "runs that are apart stay as they are");
        for found in [
            vec![run(&["a/x", "a/y"]), run(&["a.txt", "b"]), run(&["a-b/x"])],
            vec![run(&["b", "a/y", "a/x"]), run(&["a.txt", "a-b/x"])],
            vec![run(&sorted), run(&["a/x"]), run(&["b"])],
        ] {
            let tree = CopiedTree::of(found);
            assert_eq!(tree.runs.len(), 1);
            assert!(tree == whole && tree == apart);
            assert_eq!((tree.digest(), apart.digest()), (whole.digest(), whole.digest()));
        }
        for tree in [&whole, &apart] {
            let paths: Vec<&str> = tree.files().map(|(path, _)| path).collect();
            assert_eq!(paths, sorted);
            for path in sorted {
                assert_eq!(tree.file(path), Some(&file(path, 0o644)), "{path}");
            }
            for path in ["", "a", "a/z", "b/x", "c"] {
                assert_eq!(tree.file(path), None, "{path}");
            }
        }
        assert_eq!(CopiedTree::default().file("a"), None);
    }

    #[test]
    fn a_link_and_what_it_leads_to_both_count() {
        let link = FileFact::Symlink { target: "b".into() };
        let found = |first: &FileFact, second: &FileFact| {
            CopiedTree::of(vec![Run::of("a", first.clone()), Run::of("a", second.clone())])
        };
        let both = found(&link, &file("1", 0o644));
        assert_eq!(both.files().count(), 2);
        assert_eq!(found(&link, &link).files().count(), 1);
        assert_ne!(both, found(&link, &link));
    }

    #[test]
    fn every_part_of_a_fact_changes_the_digest() {
        let with_xattr = FileFact::File {
            mode: 0o644,
            digest: Digest::of(b"1"),
            xattrs: [("user.a".to_owned(), Digest::of(b"v"))].into(),
        };
        let trees = [
            tree(&[]),
            tree(&[("a", file("1", 0o644))]),
            tree(&[("b", file("1", 0o644))]),
            tree(&[("a", file("2", 0o644))]),
            tree(&[("a", file("1", 0o755))]),
            tree(&[("a", with_xattr)]),
            tree(&[("a", FileFact::Dir { mode: 0o644, xattrs: BTreeMap::new() })]),
            tree(&[("a", FileFact::Symlink { target: "b".into() })]),
            tree(&[("a", FileFact::Symlink { target: "c".into() })]),
            tree(&[("a", FileFact::Fifo { mode: 0o644 })]),
            tree(&[("a", FileFact::Device { mode: 0o644, block: false, major: 1, minor: 3 })]),
            tree(&[("a", FileFact::Device { mode: 0o644, block: true, major: 1, minor: 3 })]),
            tree(&[("a", file("1", 0o644)), ("b", file("1", 0o644))]),
        ];
        let digests: std::collections::BTreeSet<_> = trees.iter().map(CopiedTree::digest).collect();
        assert_eq!(digests.len(), trees.len());
    }

    #[test]
    fn a_tree_survives_json() {
        let tree = tree(&[("a", file("1", 0o644)), ("l", FileFact::Symlink { target: "a".into() })]);
        let json = serde_json::to_string(&tree).unwrap();
        assert!(json.starts_with(r#"{"files":{"a":"#), "{json}");
        assert!(json.contains(r#""l":{"type":"symlink","target":"a"}"#), "{json}");
        assert_eq!(serde_json::from_str::<CopiedTree>(&json).unwrap(), tree);
        let empty = serde_json::to_string(&CopiedTree::default()).unwrap();
        assert_eq!(serde_json::from_str::<CopiedTree>(&empty).unwrap(), CopiedTree::default());
    }

    #[test]
    fn a_difference_names_the_first_files_and_counts_the_rest() {
        let before = tree(&[("a", file("1", 0o644)), ("b", file("1", 0o644)), ("c", file("1", 0o644))]);
        let after = tree(&[("a", file("2", 0o644)), ("b", file("1", 0o755)), ("d", file("1", 0o644))]);
        let diff = CopiedTree::diff(&before, &after);
        assert_eq!(diff.to_string(), "a modified, b modified, d added and 1 more");
        assert_eq!(CopiedTree::diff(&after, &after).to_string(), "no files changed");
        let one = CopiedTree::diff(&tree(&[]), &tree(&[("x", file("", 0))]));
        assert_eq!(one.to_string(), "x added");
    }
}
