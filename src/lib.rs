//! podman-stagecache: stage caching, stage labels and build records for buildah and podman.

pub mod atomic;
pub mod bases;
pub mod containerfile;
pub mod context;
pub mod engine;
pub mod event;
pub mod execute;
pub mod flags;
pub mod graph;
pub mod image;
pub mod image_config;
pub mod key;
pub mod names;
pub mod plan;
pub mod prepare;
pub mod process;
pub mod record;
pub mod render;
pub mod step;
pub mod store;
pub mod tip;
pub mod verdict;
