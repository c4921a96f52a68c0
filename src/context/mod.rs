//! The build context: which files a step takes from it.

mod digest;
mod fact;

pub use digest::Digest;
pub use fact::{CopiedTree, FileFact, TreeDiff};
