//! Reads a local containers/storage: which images there are, their manifests and configs.
//!
//! The engines' own listings cost 25 ms (buildah 1.28) and up to 74 s (podman 4.3, 375 images that share
//! layers); the index they are made from is one file, replaced atomically by its writers, and stable since
//! containers/storage 1.0: `<root>/<driver>-images/images.json`, and beside it a folder an image with the
//! manifest (`manifest`) and the config (`=` + base64 of `sha256:<id>`). Nothing is ever written here.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::Value;

use crate::image::{ImageId, StoredImage};
use crate::names;

/// One place where images lie: the graph root, or an additional image store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageStore {
    /// The graph root.
    pub root: PathBuf,
    /// The storage driver: `overlay`, `vfs`, ….
    pub driver: String,
}

impl ImageStore {
    fn images(&self) -> PathBuf {
        self.root.join(format!("{}-images", self.driver))
    }
}

/// An image of the listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedImage {
    /// The digest of its manifest.
    pub digest: String,
    /// Its names, as `registry/repository:tag`.
    pub names: Vec<String>,
    /// The storage's layer that is its topmost; empty for an image without layers.
    pub top_layer: String,
    /// Which of the stores holds it.
    pub store: usize,
}

/// What a storage holds at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    images: HashMap<ImageId, ListedImage>,
    names: HashMap<String, ImageId>,
}

impl Listing {
    /// Whether an image of that id is there.
    pub fn contains(&self, id: &ImageId) -> bool {
        self.images.contains_key(id)
    }

    /// The image of that id.
    pub fn get(&self, id: &ImageId) -> Option<&ListedImage> {
        self.images.get(id)
    }

    /// The image that bears exactly this full name.
    pub fn named(&self, name: &str) -> Option<&ImageId> {
        self.names.get(name)
    }

    /// The only image whose id starts with these hexadecimal digits.
    pub fn by_prefix(&self, prefix: &str) -> Option<&ImageId> {
        let mut found = self.images.keys().filter(|id| id.as_str().starts_with(prefix));
        let first = found.next()?;
        found.next().is_none().then_some(first)
    }

    /// All images.
    pub fn iter(&self) -> impl Iterator<Item = (&ImageId, &ListedImage)> {
        self.images.iter()
    }

    /// Notes an image that came in after the listing was made.
    pub fn add(&mut self, id: ImageId, image: ListedImage) {
        for name in &image.names {
            self.take_name(name);
            self.names.insert(name.clone(), id.clone());
        }
        self.images.insert(id, image);
    }

    /// Notes that an image got a name, which moves it away from the one that had it.
    pub fn name(&mut self, id: &ImageId, name: &str) {
        self.take_name(name);
        if let Some(image) = self.images.get_mut(id) {
            image.names.push(name.to_owned());
            self.names.insert(name.to_owned(), id.clone());
        }
    }

    fn take_name(&mut self, name: &str) {
        if let Some(old) = self.names.remove(name).and_then(|id| self.images.get_mut(&id)) {
            old.names.retain(|n| n != name);
        }
    }

    /// Names and ids of all images whose repository ends in this last component; tells whether the
    /// meaning of a short name can have changed.
    pub fn lookalikes(&self, last_component: &str) -> BTreeMap<&str, &str> {
        self.names
            .iter()
            .filter(|(name, _)| names::repository(name).rsplit('/').next() == Some(last_component))
            .map(|(name, id)| (name.as_str(), id.as_str()))
            .collect()
    }
}

#[derive(Deserialize)]
struct IndexedImage {
    id: String,
    #[serde(default)]
    digest: String,
    #[serde(default)]
    names: Option<Vec<String>>,
    #[serde(default)]
    layer: String,
}

/// Lists all images of these stores; the first store's wins where two have the same.
///
/// # Errors
/// When the first store's index is there but cannot be read.
pub fn list(stores: &[ImageStore]) -> anyhow::Result<Listing> {
    let mut listing = Listing::default();
    for (number, store) in stores.iter().enumerate() {
        // Transient storages keep a second index (containers/storage 1.45).
        for index in ["images.json", "volatile-images.json"] {
            let path = store.images().join(index);
            let bytes = match fs::read(&path) {
                Ok(bytes) if !bytes.is_empty() => bytes,
                Ok(_) => continue,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(_) if number > 0 => continue,
                Err(error) => {
                    return Err(error).with_context(|| format!("reading {}", path.display()));
                }
            };
            let images: Vec<IndexedImage> =
                serde_json::from_slice(&bytes).with_context(|| format!("reading {}", path.display()))?;
            for image in images {
                let Some(id) = ImageId::parse(&image.id) else { continue };
                if listing.contains(&id) {
                    continue;
                }
                let names = image.names.unwrap_or_default();
                for name in &names {
                    listing.names.entry(name.clone()).or_insert_with(|| id.clone());
                }
                let digest = image.digest;
                let top_layer = image.layer;
                listing.images.insert(id, ListedImage { digest, names, top_layer, store: number });
            }
        }
    }
    Ok(listing)
}

/// Reads manifest and config of an image.
///
/// # Errors
/// When the image is not there or its files cannot be read.
pub fn read(stores: &[ImageStore], id: &ImageId) -> anyhow::Result<StoredImage> {
    let config_name = format!("={}", STANDARD.encode(format!("sha256:{id}")));
    for store in stores {
        let folder = store.images().join(id.as_str());
        let Ok(config) = fs::read(folder.join(&config_name)) else { continue };
        let manifest =
            read_manifest(&folder).with_context(|| format!("reading the manifest of image {id}"))?;
        let digest =
            format!("sha256:{}", crate::image::hex(&<sha2::Sha256 as sha2::Digest>::digest(&manifest)));
        return Ok(StoredImage {
            id: id.clone(),
            digest,
            names: Vec::new(),
            manifest_size: manifest.len(),
            manifest: parse(&manifest, id)?,
            config: parse(&config, id)?,
            raw_config: config,
        });
    }
    Err(anyhow!("image {id} is not in the storage"))
}

#[derive(Deserialize)]
struct IndexedLayer {
    id: String,
    #[serde(default)]
    parent: String,
    #[serde(default, rename = "diff-digest")]
    diff_digest: String,
}

/// Whether these layers lie on each other in one of the stores, lowest first.
pub fn has_layers(stores: &[ImageStore], diff_ids: &[String]) -> bool {
    stores.iter().any(|store| {
        let index = store.root.join(format!("{}-layers/layers.json", store.driver));
        let layers: Vec<IndexedLayer> =
            fs::read(index).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
        let mut below: Vec<&str> = vec![""];
        for diff_id in diff_ids {
            // The same content can lie on the same layer more than once.
            below = layers
                .iter()
                .filter(|layer| layer.diff_digest == *diff_id && below.contains(&layer.parent.as_str()))
                .map(|layer| layer.id.as_str())
                .collect();
            if below.is_empty() {
                return false;
            }
        }
        true
    })
}

fn read_manifest(folder: &Path) -> io::Result<Vec<u8>> {
    fs::read(folder.join("manifest")).or_else(|error| {
        // Storages that only ever saw the image by digest.
        for entry in fs::read_dir(folder)?.flatten() {
            let name = entry.file_name();
            let key = name.to_str().and_then(|n| n.strip_prefix('=')).and_then(|n| STANDARD.decode(n).ok());
            if key.is_some_and(|key| key.starts_with(b"manifest-")) {
                return fs::read(entry.path());
            }
        }
        Err(error)
    })
}

fn parse(bytes: &[u8], id: &ImageId) -> anyhow::Result<Value> {
    serde_json::from_slice(bytes).with_context(|| format!("reading the JSON of image {id}"))
}

/// Where containers are listed; those that need not outlive the machine stand in an index of their own
/// (containers-storage 1.45).
pub const CONTAINER_INDEXES: [&str; 2] = ["containers.json", "volatile-containers.json"];

/// Where the containers of a storage lie.
pub fn containers_folder(stores: &[ImageStore]) -> Option<PathBuf> {
    stores.first().map(|store| store.root.join(format!("{}-containers", store.driver)))
}

#[derive(Deserialize)]
struct IndexedContainer {
    id: String,
}

/// Ids of the working containers that the call with this mark has left.
///
/// buildah names a container after the image's first name, so by name, image and time those of another's build cannot
/// be told from ours; the flags of a call stand in the container's `buildah.json` from its first moment on (1.28).
pub fn working_containers(stores: &[ImageStore], mark: &str) -> Vec<String> {
    let Some(folder) = containers_folder(stores) else { return Vec::new() };
    let indexes = CONTAINER_INDEXES.map(|name| folder.join(name));
    let listed = indexes
        .iter()
        .filter_map(|index| serde_json::from_slice::<Vec<IndexedContainer>>(&fs::read(index).ok()?).ok());
    let is_marked = |id: &String| {
        let text = fs::read(folder.join(id).join("userdata/buildah.json")).unwrap_or_default();
        text.windows(mark.len()).any(|window| window == mark.as_bytes())
    };
    listed.flatten().map(|container| container.id).filter(is_marked).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store_with(index: &str) -> (tempfile::TempDir, Vec<ImageStore>) {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("overlay-images")).unwrap();
        fs::write(dir.path().join("overlay-images/images.json"), index).unwrap();
        let stores = vec![ImageStore { root: dir.path().into(), driver: "overlay".into() }];
        (dir, stores)
    }

    #[test]
    fn images_are_found_by_id_and_by_full_name() {
        let id = "ab".repeat(32);
        let (_dir, stores) = store_with(&format!(
            r#"[{{"id":"{id}","digest":"sha256:d","names":["docker.io/library/alpine:3"],"layer":"l"}}]"#
        ));
        let listing = list(&stores).unwrap();
        let found = listing.named("docker.io/library/alpine:3").unwrap();
        assert_eq!(found.as_str(), id);
        assert_eq!(listing.get(found).unwrap().top_layer, "l");
        assert_eq!(listing.lookalikes("alpine").len(), 1);
        assert!(listing.named("alpine:3").is_none());
    }

    #[test]
    fn a_storage_that_was_never_used_is_empty_and_a_broken_one_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let stores = [ImageStore { root: dir.path().into(), driver: "overlay".into() }];
        assert_eq!(list(&stores).unwrap(), Listing::default());
        let (_dir, broken) = store_with("{");
        assert!(list(&broken).is_err());
    }

    #[test]
    fn a_name_moves_from_one_image_to_another() {
        let (a, b) = ("a".repeat(64), "b".repeat(64));
        let (_dir, stores) = store_with(&format!(r#"[{{"id":"{a}","names":["x:1"]}},{{"id":"{b}"}}]"#));
        let mut listing = list(&stores).unwrap();
        listing.name(&ImageId::parse(&b).unwrap(), "x:1");
        assert_eq!(listing.named("x:1").unwrap().as_str(), b);
        assert!(listing.get(&ImageId::parse(&a).unwrap()).unwrap().names.is_empty());
    }
}
