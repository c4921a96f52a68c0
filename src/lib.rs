//! podman-stagecache: stage caching, stage labels and build records for buildah and podman.

pub mod containerfile;
pub mod image_config;
