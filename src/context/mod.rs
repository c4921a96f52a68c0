//! The build context: which files a step takes from it, and digests of them without reading what did not change.
//!
//! [`IgnoreRules`] finds and compiles the ignore file, [`ContextReader`] lists what a COPY, an ADD or a bind mount
//! takes as a [`CopiedTree`], [`FileIndex`] remembers digests between builds. What is remote is the caller's.
//!
//! What buildah copies of a file, measured on 1.28.2 and 1.43.2: content, permission bits with sticky but without
//! setuid and setgid, `user.*` and `security.capability`; a link in a folder as a link; fifos and devices as such;
//! sockets in a folder not at all, and a socket as a source fails. Hard links within one folder stay hard links;
//! here they are two files, for the content is the same.

mod digest;
mod fact;
mod fs;
mod glob;
mod ignore;
mod index;
mod look;
mod names;
mod pattern;
mod reader;
mod record;
mod resolve;
mod tree;
mod walk;

#[cfg(test)]
mod reader_tests;

use std::path::PathBuf;

pub use digest::Digest;
pub use fact::{FileFact, TreeDiff};
pub use ignore::IgnoreRules;
pub use index::FileIndex;
pub use reader::{ContextPart, ContextReader, CopyKind, CopyRequest, ReadOptions};
pub use resolve::is_remote_source;
pub use tree::CopiedTree;

use crate::visible::visible;

/// Why the inputs of a step cannot be told. In all cases but [`ContextError::Io`] the engines fail too.
#[derive(Debug, thiserror::Error)]
pub enum ContextError {
    /// A source that matches nothing.
    #[error("no files match \"{wanted}\" in the context")]
    NoMatch {
        /// The source as written.
        wanted: String,
    },
    /// A source of which the ignore file leaves nothing.
    #[error("all {filtered} files that match \"{wanted}\" are excluded{}", using(.ignore_file))]
    AllExcluded {
        /// The source as written.
        wanted: String,
        /// How many paths it matched.
        filtered: usize,
        /// The ignore file, if there is one.
        ignore_file: Option<PathBuf>,
    },
    /// A line of the ignore file or an `--exclude` that the engines refuse.
    #[error("ignore pattern \"{pattern}\": {complaint}{}", using(.ignore_file))]
    Pattern {
        /// The pattern as written.
        pattern: String,
        /// The engines' complaint.
        complaint: &'static str,
        /// The ignore file, if there is one.
        ignore_file: Option<PathBuf>,
    },
    /// A link that cannot be followed within the context.
    #[error("link \"{}\" {problem}", visible(path))]
    Link {
        /// The path in the context.
        path: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A source that is a socket.
    #[error("\"{}\" is a socket, which cannot be copied", visible(path))]
    Socket {
        /// The path in the context.
        path: String,
    },
    /// The context or the ignore file could not be read.
    #[error("{doing} {}", visible(&path.to_string_lossy()))]
    Io {
        /// What failed.
        doing: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

fn using(ignore_file: &Option<PathBuf>) -> String {
    ignore_file.as_ref().map(|path| format!(" by {}", path.display())).unwrap_or_default()
}
