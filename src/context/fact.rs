//! What is known of the files that a step takes from the context, and how two states of them differ.
//!
//! Plain data, serializable: `reader` fills it, keys and records keep it.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::Digest;

/// The part of a file that can reach an image.
///
/// No owner (the engines make it root's, or `--chown`'s, which is in the instruction), no time, no absolute path.
/// Modes are the permission bits with setuid, setgid and sticky. Hard links are files like others.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum FileFact {
    /// A regular file.
    File {
        /// Permission bits.
        mode: u32,
        /// The digest of its bytes.
        digest: Digest,
        /// `user.*`, `security.capability` and `security.ima`, which the engines copy, with the digests of the values.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        xattrs: BTreeMap<String, Digest>,
    },
    /// A directory; what is in it has entries of its own.
    Dir {
        /// Permission bits.
        mode: u32,
        /// As for a file.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        xattrs: BTreeMap<String, Digest>,
    },
    /// A symbolic link that is copied as a link.
    Symlink {
        /// Where it points, as written, escaped as paths are.
        target: String,
    },
    /// A named pipe.
    Fifo {
        /// Permission bits.
        mode: u32,
    },
    /// A socket: copied by no engine, but there in a bind mount.
    Socket {
        /// Permission bits.
        mode: u32,
    },
    /// A device.
    Device {
        /// Permission bits.
        mode: u32,
        /// A block device, else a character device.
        block: bool,
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
}

/// The files of one COPY, ADD or bind mount.
///
/// Each file has its path in the context. Bytes that are not UTF-8 stand as `\xNN` and a backslash as two, so no two files
/// share a name. The folder of a bind mount's source itself is in, as `.` where it is the context; that of a COPY is not,
/// for its mode goes nowhere.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopiedTree {
    /// Sorted by path. A list, for a tree may have some hundred thousand files and is mostly only hashed.
    #[serde(with = "as_map")]
    files: Vec<(String, FileFact)>,
}

impl CopiedTree {
    /// Raise when the meaning of the listing changes.
    const FORMAT: u8 = 1; // 1: first.

    /// BLAKE3 is several times faster with enough bytes for all lanes.
    const HASHED_AT_ONCE: usize = 64 * 1024;

    /// Of what was found, in any order. What was found twice counts once, unless it is a link here and what it leads
    /// to there.
    pub(super) fn of(mut found: Vec<(String, FileFact)>) -> Self {
        found.sort_by(|(a, _), (b, _)| a.cmp(b)); // finds the runs that are sorted already
        found.dedup();
        Self { files: found }
    }

    /// The files, sorted by path.
    pub fn files(&self) -> impl Iterator<Item = (&str, &FileFact)> {
        self.files.iter().map(|(path, fact)| (path.as_str(), fact))
    }

    /// The file at a path.
    pub fn file(&self, path: &str) -> Option<&FileFact> {
        let place = self.files.binary_search_by(|(other, _)| other.as_str().cmp(path)).ok()?;
        Some(&self.files[place].1)
    }

    /// One digest for the whole listing.
    pub fn digest(&self) -> Digest {
        let mut hasher = blake3::Hasher::new();
        let mut lines = vec![Self::FORMAT];
        for (path, fact) in &self.files {
            text(&mut lines, path);
            fact.write(&mut lines);
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

/// A list of paths and facts, written as a map.
mod as_map {
    use super::{BTreeMap, Deserialize, FileFact};
    use serde::{Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(
        files: &[(String, FileFact)],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_map(files.iter().map(|(path, fact)| (path, fact)))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<(String, FileFact)>, D::Error> {
        Ok(BTreeMap::deserialize(deserializer)?.into_iter().collect())
    }
}

impl FileFact {
    /// Appends the fact so that no two facts make the same bytes.
    fn write(&self, line: &mut Vec<u8>) {
        match self {
            FileFact::File { mode, digest, xattrs } => {
                number(line, b'f', *mode);
                line.extend(digest.as_bytes());
                attributes(line, xattrs);
            }
            FileFact::Dir { mode, xattrs } => {
                number(line, b'd', *mode);
                attributes(line, xattrs);
            }
            FileFact::Symlink { target } => {
                line.push(b'l');
                text(line, target);
            }
            FileFact::Fifo { mode } => number(line, b'p', *mode),
            FileFact::Socket { mode } => number(line, b's', *mode),
            FileFact::Device { mode, block, major, minor } => {
                number(line, if *block { b'b' } else { b'c' }, *mode);
                line.extend(major.to_le_bytes());
                line.extend(minor.to_le_bytes());
            }
        }
    }
}

fn number(line: &mut Vec<u8>, kind: u8, mode: u32) {
    line.push(kind);
    line.extend(mode.to_le_bytes());
}

fn text(line: &mut Vec<u8>, text: &str) {
    line.extend((text.len() as u64).to_le_bytes());
    line.extend(text.as_bytes());
}

fn attributes(line: &mut Vec<u8>, xattrs: &BTreeMap<String, Digest>) {
    line.extend((xattrs.len() as u64).to_le_bytes());
    for (name, value) in xattrs {
        text(line, name);
        line.extend(value.as_bytes());
    }
}

/// The difference of two trees, each list sorted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TreeDiff {
    /// Only in the newer one.
    pub added: Vec<String>,
    /// Only in the older one.
    pub removed: Vec<String>,
    /// In both, but not the same.
    pub changed: Vec<String>,
}

impl TreeDiff {
    /// As many paths are named; the others are counted.
    const SHOWN: usize = 3;

    /// Whether both trees are the same.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many paths differ.
    pub fn len(&self) -> usize {
        self.added.len() + self.removed.len() + self.changed.len()
    }
}

/// `src/main.rs modified, src/lib.rs added and 12 more`.
impl fmt::Display for TreeDiff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds = [(&self.changed, "modified"), (&self.added, "added"), (&self.removed, "removed")];
        let all = kinds.iter().flat_map(|(paths, verb)| paths.iter().map(move |path| (path, verb)));
        for (index, (path, verb)) in all.take(Self::SHOWN).enumerate() {
            write!(f, "{}{path} {verb}", if index == 0 { "" } else { ", " })?;
        }
        match self.len().saturating_sub(Self::SHOWN) {
            0 if self.is_empty() => f.write_str("no files changed"),
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(content: &str, mode: u32) -> FileFact {
        FileFact::File { mode, digest: Digest::of(content.as_bytes()), xattrs: BTreeMap::new() }
    }

    fn tree(files: &[(&str, FileFact)]) -> CopiedTree {
        CopiedTree::of(files.iter().map(|(path, fact)| (path.to_string(), fact.clone())).collect())
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
        assert!(json.contains(r#""l":{"type":"symlink","target":"a"}"#), "{json}");
        assert_eq!(serde_json::from_str::<CopiedTree>(&json).unwrap(), tree);
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
