//! What is kept between builds, as files below the state folder of one storage.
//!
//! ```text
//! <state>/engines/            answers of engines (see engine::probe)
//! <state>/storages/<digest>/  one storage, by graph root and driver
//!     storage.json            which one
//!     builds/<uuid>.json      records
//!     entries/<2>/<key>.json  steps: inputs and image
//!     images/<2>/<id>.json    manifests and configs of step images
//!     trees/<2>/<digest>.json listings of files, to tell which ones differ
//!     nearest/<identity>.json the keys of a build identity's stages, last time
//!     index/                  digests of context files
//!     usage.json              how much the cache holds
//!     names.json              stage images that are kept by name, by build identity and stage
//!     locks/                  advisory locks
//!     running/                builds that run, and what is theirs (see upkeep::lease)
//!     unreadable/             what was put aside
//! ```
//!
//! Every file is written whole and renamed. All but the records and the index are sealed: one that is not what it was
//! written as is told of, put aside and counts as not there. Nothing here decides anything.

mod entries;
mod images;
mod lock;
mod names;
mod records;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, bail};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::sealed::{self, Sealed};
pub use entries::{Edition, Entry, Nearest, StageNearest, Usage};
pub use lock::Lock;
pub use records::RecordFile;

/// The state folder of all storages: `STAGECACHE_HOME`, `/var/lib/stagecache` for root, else
/// `$XDG_STATE_HOME/stagecache`.
///
/// # Errors
/// When neither variable nor `HOME` is set for an ordinary user.
pub fn state_folder() -> anyhow::Result<PathBuf> {
    if let Some(home) = env::var_os("STAGECACHE_HOME").filter(|v| !v.is_empty()) {
        return std::path::absolute(PathBuf::from(home)).context("reading STAGECACHE_HOME");
    }
    if nix::unistd::geteuid().is_root() && env::var_os("_CONTAINERS_ROOTLESS_UID").is_none() {
        return Ok("/var/lib/stagecache".into());
    }
    if let Some(state) = env::var_os("XDG_STATE_HOME").filter(|v| !v.is_empty()) {
        return Ok(PathBuf::from(state).join("stagecache"));
    }
    match env::var_os("HOME") {
        Some(home) => Ok(PathBuf::from(home).join(".local/state/stagecache")),
        None => bail!("no state folder: set STAGECACHE_HOME, XDG_STATE_HOME or HOME"),
    }
}

/// What is kept for one storage.
#[derive(Debug, Clone)]
pub struct Store {
    root: PathBuf,
    /// What was found unreadable, for people.
    troubles: Arc<Mutex<Vec<String>>>,
}

impl Store {
    /// Opens, and where needed creates, the folder for the storage at this graph root.
    ///
    /// # Errors
    /// When the folder cannot be made or written.
    pub fn open(state: &Path, graph_root: &Path, driver: &str) -> anyhow::Result<Self> {
        let identity = format!("{}\n{driver}", graph_root.display());
        let digest = blake3::hash(identity.as_bytes()).to_hex();
        let root = state.join("storages").join(&digest[..16]);
        let about = root.join("storage.json");
        if !about.exists() {
            let text = serde_json::json!({"graph_root": graph_root, "driver": driver});
            crate::atomic::write(&about, text.to_string().as_bytes()).with_context(|| {
                format!(
                    "writing the state folder {} (free some space, or set STAGECACHE_HOME to a folder that can be written)",
                    root.display()
                )
            })?;
        }
        Ok(Self { root, troubles: Arc::default() })
    }

    /// The stores of all storages that the state folder knows.
    pub fn all(state: &Path) -> Vec<Self> {
        let folders = fs::read_dir(state.join("storages")).into_iter().flatten().flatten();
        folders.map(|folder| Self { root: folder.path(), troubles: Arc::default() }).collect()
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The folder of the file index.
    pub fn index_folder(&self) -> PathBuf {
        self.root.join("index")
    }

    /// Files that were put aside since this was last asked, with what is wrong with them.
    pub fn troubles(&self) -> Vec<String> {
        std::mem::take(&mut self.troubles.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What a file is: its path in this folder.
    fn is(&self, path: &Path) -> String {
        path.strip_prefix(&self.root).unwrap_or(path).to_string_lossy().into_owned()
    }

    /// What is in a sealed file; one that cannot be read is put aside.
    fn read<T: DeserializeOwned>(&self, path: &Path) -> Option<T> {
        match sealed::read(path, &self.is(path)) {
            Sealed::Present(value) => Some(value),
            Sealed::Absent => None,
            Sealed::Unreadable(why) => {
                self.put_aside(path, &why);
                None
            }
        }
    }

    /// Moves a file away that is not what it should be, and remembers to tell of it.
    fn put_aside(&self, path: &Path, why: &str) {
        let folder = self.root.join("unreadable");
        let name = path.file_name().unwrap_or_default();
        // Another process may have been faster, or nothing may be written here: then it is only told of.
        let moved = fs::create_dir_all(&folder).and_then(|()| fs::rename(path, folder.join(name)));
        let what = if moved.is_ok() { ", it was put aside into unreadable/" } else { "" };
        let told = format!("{} cannot be used: {why}{what}", path.display());
        let mut troubles = self.troubles.lock().unwrap_or_else(PoisonError::into_inner);
        if !troubles.contains(&told) {
            troubles.push(told);
        }
    }

    fn write<T: Serialize>(&self, path: &Path, value: &T) -> anyhow::Result<()> {
        let bytes = sealed::seal(&self.is(path), value).context("writing JSON")?;
        crate::atomic::write(path, &bytes).with_context(|| {
            format!(
                "writing {} (free some space, or set STAGECACHE_HOME to a folder that can be written)",
                path.display()
            )
        })
    }
}
