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
//!     copied.json             digests of bytes copied from images
//!     usage.json              how much the cache holds
//!     names.json              stage images that are kept by name, by build identity and stage
//!     names-copy.json         the same, for when the other one is damaged
//!     locks/                  advisory locks
//!     logs/<uuid>/            what the steps of a build printed, `STAGE-STEP`
//!     running/                builds that run, and what is theirs (see upkeep::lease)
//!     secret.json             the key of digests that stand for values
//!     unreadable/             what was put aside
//!     short-names/            what short names stood for
//!     swept                   when it was last swept
//! ```
//!
//! Every file is written whole and renamed, for this user alone (or the group that shares the folder). All but the records
//! and the index are sealed: see `shelf` for what becomes of one that is not what it was written as, and `trust` for whose
//! folder is taken at all. Nothing here decides anything.

mod aged;
mod copied;
mod entries;
mod images;
mod lock;
mod logs;
mod names;
mod records;
mod secret;

use std::env;
use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};

use anyhow::{Context, bail};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::atomic::Durability;
use crate::sealed::Sealed;
use crate::shelf::Shelf;
use crate::trust;
use crate::veil::Veil;
pub use aged::{Aged, LONG};
pub use entries::{Edition, Entry, Nearest, StageNearest, Usage};
pub use lock::Lock;
pub use logs::StepLog;
pub use records::RecordFile;

/// The state folder of all storages: `STAGECACHE_HOME`, `/var/lib/stagecache` for root, else
/// `$XDG_STATE_HOME/stagecache`. It need not be there yet.
///
/// # Errors
/// When neither variable nor `HOME` is set for an ordinary user, or somebody else can decide what is in it.
pub fn state_folder() -> anyhow::Result<PathBuf> {
    trust::folder(&wanted_folder()?)
}

fn wanted_folder() -> anyhow::Result<PathBuf> {
    if let Some(home) = env::var_os("STAGECACHE_HOME").filter(|v| !v.is_empty()) {
        return std::path::absolute(PathBuf::from(home)).context("reading STAGECACHE_HOME");
    }
    if nix::unistd::geteuid().is_root() && env::var_os("_CONTAINERS_ROOTLESS_UID").is_none() {
        return Ok("/var/lib/stagecache".into());
    }
    // A relative one is to be ignored, as its specification has it.
    let set = |name: &str| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    if let Some(state) = set("XDG_STATE_HOME") {
        return Ok(state.join("stagecache"));
    }
    match set("HOME") {
        Some(home) => Ok(home.join(".local/state/stagecache")),
        None => bail!("no state folder: set STAGECACHE_HOME, XDG_STATE_HOME or HOME"),
    }
}

/// Makes the state folder where it is not there; one that cannot be made is told of when something is to be written.
///
/// # Errors
/// When somebody else was faster, and can decide what is in it.
pub fn make_state_folder(path: &Path) -> anyhow::Result<()> {
    if !path.exists() {
        let _ = fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
        trust::folder(path)?;
    }
    Ok(())
}

/// What is kept for one storage.
#[derive(Debug, Clone)]
pub struct Store {
    root: PathBuf,
    shelf: Shelf,
    veil: Arc<OnceLock<Veil>>,
    /// Digests of copied bytes, once they were asked for.
    copied: Arc<Mutex<Option<copied::Copied>>>,
}

impl Store {
    /// Opens, and where needed creates, the folder for the storage at this graph root. Where it cannot be made nothing is
    /// kept, which is told.
    pub fn open(state: &Path, graph_root: &Path, driver: &str) -> Self {
        let identity = format!("{}\n{driver}", graph_root.display());
        let digest = blake3::hash(identity.as_bytes()).to_hex();
        let root = state.join("storages").join(&digest[..16]);
        let store =
            Self { shelf: Shelf::new(root.clone()), root, veil: Arc::default(), copied: Arc::default() };
        let about = store.root.join("storage.json");
        if !about.is_file() {
            let text = serde_json::json!({"graph_root": graph_root, "driver": driver}).to_string();
            let write = |path: &Path| crate::atomic::keep(path, text.as_bytes(), Durability::Passing);
            let _ = store.shelf.kept(&about, write);
        }
        store
    }

    /// The stores of all storages that the state folder knows, to look at.
    pub fn all(state: &Path) -> Vec<Self> {
        let folders = fs::read_dir(state.join("storages")).into_iter().flatten().flatten();
        let roots = folders.map(|folder| folder.path());
        let store = |root: PathBuf| Self {
            shelf: Shelf::to_look_at(root.clone()),
            root,
            veil: Arc::default(),
            copied: Arc::default(),
        };
        roots.map(store).collect()
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The folder of the file index.
    pub fn index_folder(&self) -> PathBuf {
        self.root.join("index")
    }

    /// The files, for who has to tell of one.
    pub fn shelf(&self) -> &Shelf {
        &self.shelf
    }

    /// What is to be told since this was last asked: files that cannot be used, and that nothing can be kept.
    pub fn troubles(&self) -> Vec<String> {
        self.shelf.troubles()
    }

    /// What is in a sealed file; one that cannot be read is put aside.
    fn read<T: DeserializeOwned>(&self, path: &Path) -> Option<T> {
        self.read_sealed(path).present()
    }

    fn read_sealed<T: DeserializeOwned>(&self, path: &Path) -> Sealed<T> {
        self.shelf.read(path, &self.shelf.is(path))
    }

    fn put_aside(&self, path: &Path, why: &str) {
        self.shelf.put_aside(path, why);
    }

    /// Writes what may get lost when the machine crashes; what cannot be written is told of.
    fn write<T: Serialize>(&self, path: &Path, value: &T) -> anyhow::Result<()> {
        self.shelf.write(path, &self.shelf.is(path), value, Durability::Passing).context("writing JSON")
    }

    /// Writes what others rely on.
    fn write_synced<T: Serialize>(&self, path: &Path, value: &T) -> anyhow::Result<()> {
        self.shelf.write(path, &self.shelf.is(path), value, Durability::Synced).context("writing JSON")
    }
}
