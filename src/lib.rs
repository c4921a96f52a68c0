//! podman-stagecache: stage caching, stage labels and build records for buildah and podman.

pub mod atomic;
pub mod bases;
pub mod containerfile;
pub mod engine;
pub mod flags;
pub mod graph;
pub mod image;
pub mod key;
pub mod process;
pub mod record;
pub mod render;
pub mod step;
pub mod store;
pub mod verdict;
