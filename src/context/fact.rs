//! What is known of a file that a step takes from the context, and how two states of many of them differ.
//!
//! Plain data, serializable: `look` fills it, keys and records keep it.

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

impl FileFact {
    /// Appends a path and its fact so that no two of them make the same bytes.
    pub(super) fn write(&self, path: &str, line: &mut Vec<u8>) {
        text(line, path);
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
