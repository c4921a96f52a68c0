//! Steps by key, listings of files by digest, and the keys of last time.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::Store;
use crate::image::ImageId;
use crate::key::{StepInputs, StepKey};

/// A step that ran.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// What its result hangs on, by definition; as it is kept (see `veil`) where the entry comes from the store.
    pub inputs: StepInputs,
    /// The same with the bytes that were copied, where stages or images are among the sources.
    pub by_content: Option<StepKey>,
    /// The image it left.
    pub image: ImageId,
    /// When it was made, RFC 3339.
    pub created: String,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// The build that made it.
    pub build: String,
    /// Which of the results of this key it is.
    #[serde(default)]
    pub edition: Edition,
    /// The editions of what it is made of: of the step that it stands on, then of the stages that it takes bytes from.
    #[serde(default)]
    pub made_of: Vec<Edition>,
    /// For a step that may write to this machine: digests of what the steps behind it read of that when it had run, one for
    /// each file that it stands in, the newest last. Only where they would read the same now does its result stand for a run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left: Vec<String>,
}

impl Entry {
    /// How many states are remembered that a step has left: it may stand in several files, and twice in one.
    const LEFT: usize = 8;

    /// The same with another state that the step has left on this machine.
    #[must_use]
    pub fn with_left(mut self, digest: &str) -> Self {
        self.left.retain(|known| known != digest);
        self.left.push(digest.to_owned());
        self.left.drain(..self.left.len().saturating_sub(Self::LEFT));
        self
    }

    /// Whether it stands on this edition of the step before it.
    pub fn stands_on(&self, below: &Edition) -> bool {
        self.made_of.first().unwrap_or(&Edition::FIRST) == below
    }

    /// Whether it is made of just these editions.
    pub fn is_made_of(&self, editions: &[Edition]) -> bool {
        let own = self.made_of.iter().chain(std::iter::repeat(&Edition::FIRST));
        own.zip(editions).all(|(own, now)| own == now)
    }
}

/// An entry with the key that it is kept under, which does not follow from inputs as they are kept.
#[derive(Serialize, Deserialize)]
struct Kept {
    key: StepKey,
    #[serde(flatten)]
    entry: Entry,
}

/// Tells results of one key apart: a step that is run again although its result is known (`--no-cache`, `--cache-ttl`, an
/// image that is gone) may leave something else, and what was made of the earlier result is then out of date.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Edition(Option<String>);

impl Edition {
    /// That of a result that was run once and is made of such ones. Builds that run side by side share it.
    pub const FIRST: Edition = Edition(None);

    /// That of a result made of these; `again` is the build that ran it though there was one.
    pub fn new(again: Option<&str>, made_of: &[Edition]) -> Self {
        if again.is_none() && made_of.iter().all(|edition| *edition == Self::FIRST) {
            return Self::FIRST;
        }
        let mut hasher = blake3::Hasher::new();
        for part in [again].into_iter().chain(made_of.iter().map(|edition| edition.0.as_deref())) {
            let part = part.unwrap_or_default();
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        Self(Some(hasher.finalize().to_hex()[..16].to_owned()))
    }
}

/// How much the cache held when that was last measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Bytes of layers that stage images have and no other image of a name has.
    pub bytes: u64,
    /// When, RFC 3339.
    pub measured: String,
}

/// The keys of one stage, last time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageNearest {
    /// The stage's name.
    pub name: String,
    /// Keys of its steps in order, the tail included.
    pub steps: Vec<StepKey>,
}

/// The keys of a build identity's stages, last time, by position in the file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nearest {
    /// Stages by position.
    pub stages: BTreeMap<usize, StageNearest>,
}

impl Nearest {
    /// The stage of that name, else the one at that position.
    pub fn stage(&self, name: &str, index: usize) -> Option<&StageNearest> {
        self.stages.values().find(|s| s.name == name).or_else(|| self.stages.get(&index))
    }
}

impl Store {
    fn entry_path(&self, key: &StepKey) -> PathBuf {
        self.root.join("entries").join(&key.as_str()[..2]).join(format!("{key}.json"))
    }

    /// The step of that key.
    pub fn entry(&self, key: &StepKey) -> Option<Entry> {
        let path = self.entry_path(key);
        let kept: Kept = self.read(&path)?;
        if kept.key == *key {
            return Some(kept.entry);
        }
        self.put_aside(&path, "it is of another key");
        None
    }

    /// Keeps a step under its key by definition and, if it has one, by content.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    pub fn put_entry(&self, key: &StepKey, entry: &Entry) -> anyhow::Result<()> {
        let entry = Entry { inputs: entry.inputs.kept(self.veil()), ..entry.clone() };
        if let Some(by_content) = entry.by_content.clone().filter(|c| c != key) {
            let path = self.entry_path(&by_content);
            self.write_synced(&path, &Kept { key: by_content, entry: entry.clone() })?;
        }
        self.write_synced(&self.entry_path(key), &Kept { key: key.clone(), entry })
    }

    /// All steps with the keys they are kept under.
    pub fn entries(&self) -> Vec<(StepKey, Entry)> {
        let mut found = Vec::new();
        for folder in fs::read_dir(self.root.join("entries")).into_iter().flatten().flatten() {
            for file in fs::read_dir(folder.path()).into_iter().flatten().flatten() {
                let path = file.path();
                let key = path.file_stem().and_then(|s| s.to_str()).and_then(StepKey::parse);
                if let Some((key, entry)) = key.and_then(|key| Some((key.clone(), self.entry(&key)?))) {
                    found.push((key, entry));
                }
            }
        }
        found
    }

    /// Forgets a step.
    ///
    /// # Errors
    /// When the file is there and cannot be removed.
    pub fn forget_entry(&self, key: &StepKey) -> std::io::Result<()> {
        fs::remove_file(self.entry_path(key))
    }

    fn tree_path(&self, digest: &str) -> PathBuf {
        self.root.join("trees").join(digest.get(..2).unwrap_or_default()).join(format!("{digest}.json"))
    }

    /// A listing of files.
    pub fn tree<T: DeserializeOwned>(&self, digest: &str) -> Option<T> {
        // An absent folder has its path there, as a file has it.
        if !digest.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        self.read(&self.tree_path(digest))
    }

    /// Keeps a listing of files, if it is not there yet.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    pub fn put_tree<T: Serialize>(&self, digest: &str, tree: &T) -> anyhow::Result<()> {
        let path = self.tree_path(digest);
        if path.is_file() {
            return Ok(());
        }
        self.write(&path, tree)
    }

    /// The digests of all listings.
    pub fn trees(&self) -> Vec<String> {
        let mut found = Vec::new();
        for folder in fs::read_dir(self.root.join("trees")).into_iter().flatten().flatten() {
            for file in fs::read_dir(folder.path()).into_iter().flatten().flatten() {
                found.extend(file.path().file_stem().and_then(|s| s.to_str()).map(str::to_owned));
            }
        }
        found
    }

    /// Forgets a listing.
    ///
    /// # Errors
    /// When the file is there and cannot be removed.
    pub fn forget_tree(&self, digest: &str) -> std::io::Result<()> {
        fs::remove_file(self.tree_path(digest))
    }

    fn nearest_path(&self, identity: &str) -> PathBuf {
        self.root.join("nearest").join(format!("{identity}.json"))
    }

    /// The keys of last time.
    pub fn nearest(&self, identity: &str) -> Nearest {
        self.read(&self.nearest_path(identity)).unwrap_or_default()
    }

    /// Keeps the keys for next time.
    ///
    /// # Errors
    /// When they cannot be written as JSON.
    pub fn put_nearest(&self, identity: &str, nearest: &Nearest) -> anyhow::Result<()> {
        self.write(&self.nearest_path(identity), nearest)
    }

    /// The keys of last time of all build identities.
    pub fn all_nearest(&self) -> Vec<(String, Nearest)> {
        let files = fs::read_dir(self.root.join("nearest")).into_iter().flatten().flatten();
        let identities = files.filter_map(|file| Some(file.path().file_stem()?.to_str()?.to_owned()));
        identities.map(|identity| (identity.clone(), self.nearest(&identity))).collect()
    }

    /// Forgets the keys of last time.
    ///
    /// # Errors
    /// When the file is there and cannot be removed.
    pub fn forget_nearest(&self, identity: &str) -> std::io::Result<()> {
        fs::remove_file(self.nearest_path(identity))
    }

    /// How much the cache held when that was last measured.
    pub fn usage(&self) -> Option<Usage> {
        self.read(&self.root.join("usage.json"))
    }

    /// Keeps how much the cache holds.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    pub fn put_usage(&self, usage: &Usage) -> anyhow::Result<()> {
        self.write(&self.root.join("usage.json"), usage)
    }

    /// Forgets how much the cache held.
    ///
    /// # Errors
    /// When the file is there and cannot be removed.
    pub fn forget_usage(&self) -> std::io::Result<()> {
        self.forget_file(&self.root.join("usage.json"))?;
        self.forget_file(&self.root.join("swept"))
    }

    fn short_name_path(&self, name: &str) -> PathBuf {
        let digest = blake3::hash(name.as_bytes()).to_hex();
        self.root.join("short-names").join(format!("{}.json", &digest[..32]))
    }

    /// What a short name stood for last time.
    pub fn short_name<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        self.read(&self.short_name_path(name))
    }

    /// Keeps what a short name stands for.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    pub fn put_short_name<T: Serialize>(&self, name: &str, value: &T) -> anyhow::Result<()> {
        self.write(&self.short_name_path(name), value)
    }
}
