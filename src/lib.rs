//! podman-stagecache: stage caching, stage labels and build records for buildah and podman.

pub mod atomic;
pub mod bases;
pub mod cli;
pub mod cmd;
pub mod completion;
pub mod containerfile;
pub mod context;
pub mod destination;
pub mod engine;
pub mod event;
pub mod execute;
pub mod flags;
pub mod given_env;
pub mod graph;
pub mod heredoc;
pub mod host;
pub mod image;
pub mod image_config;
pub mod key;
pub mod names;
pub mod order;
pub mod patch;
pub mod plan;
pub mod prepare;
pub mod process;
pub mod record;
pub mod recording;
pub mod remote;
pub mod render;
pub mod report;
pub mod request;
pub mod sealed;
pub mod session;
pub mod source;
pub mod squashed;
pub mod step;
pub mod step_text;
pub mod store;
pub mod tip;
pub mod upkeep;
pub mod verdict;

#[cfg(test)]
#[path = "../tests/support/schema.rs"]
pub(crate) mod schema;
