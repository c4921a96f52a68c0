//! Reads which layers a local containers/storage has, what they stand on, and how large they are.
//!
//! `<root>/<driver>-layers/layers.json`, one file, replaced atomically by its writers; sizes are those that the
//! engines' own listings add up. Nothing is ever written here.

use std::collections::HashMap;
use std::fs;
use std::io;

use anyhow::Context;
use serde::Deserialize;

use super::storage::ImageStore;

/// One layer.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Layer {
    parent: String,
    bytes: u64,
}

/// The layers of a storage.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Layers {
    layers: HashMap<String, Layer>,
}

impl Layers {
    /// Layers by id, with what each stands on and its size.
    pub fn of(layers: &[(&str, &str, u64)]) -> Self {
        let layers =
            layers.iter().map(|&(id, parent, bytes)| (id.into(), Layer { parent: parent.into(), bytes }));
        Self { layers: layers.collect() }
    }

    /// A layer and all that it stands on, the topmost first; nothing for an image without layers.
    pub fn chain<'a>(&'a self, top: &'a str) -> impl Iterator<Item = &'a str> {
        let mut next = Some(top).filter(|id| !id.is_empty());
        std::iter::from_fn(move || {
            let id = next?;
            next = self.layers.get(id).map(|layer| layer.parent.as_str()).filter(|id| !id.is_empty());
            Some(id)
        })
    }

    /// How many bytes a layer adds.
    pub fn bytes(&self, id: &str) -> u64 {
        self.layers.get(id).map_or(0, |layer| layer.bytes)
    }

    /// How many bytes an image has whose topmost layer this is.
    pub fn total(&self, top: &str) -> u64 {
        self.chain(top).map(|id| self.bytes(id)).sum()
    }
}

#[derive(Deserialize)]
struct IndexedLayer {
    id: String,
    #[serde(default)]
    parent: String,
    // -1 where the storage does not know it.
    #[serde(default, rename = "diff-size")]
    bytes: i64,
}

/// Reads the layers of these stores; the first store's wins where two have the same.
///
/// # Errors
/// When the first store's index is there but cannot be read.
pub fn read(stores: &[ImageStore]) -> anyhow::Result<Layers> {
    let mut found = Layers::default();
    for (number, store) in stores.iter().enumerate() {
        for index in ["layers.json", "volatile-layers.json"] {
            let path = store.root.join(format!("{}-layers", store.driver)).join(index);
            let bytes = match fs::read(&path) {
                Ok(bytes) if !bytes.is_empty() => bytes,
                Err(error) if number == 0 && error.kind() != io::ErrorKind::NotFound => {
                    return Err(error).with_context(|| format!("reading {}", path.display()));
                }
                _ => continue,
            };
            let layers: Vec<IndexedLayer> =
                serde_json::from_slice(&bytes).with_context(|| format!("reading {}", path.display()))?;
            for layer in layers {
                let bytes = u64::try_from(layer.bytes).unwrap_or(0);
                found.layers.entry(layer.id).or_insert(Layer { parent: layer.parent, bytes });
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_as_large_as_all_layers_below_its_topmost() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("vfs-layers")).unwrap();
        let index = r#"[{"id":"a","diff-size":5},{"id":"b","parent":"a","diff-size":7},{"id":"c","parent":"a","diff-size":-1}]"#;
        fs::write(folder.path().join("vfs-layers/layers.json"), index).unwrap();
        let layers = read(&[ImageStore { root: folder.path().into(), driver: "vfs".into() }]).unwrap();
        assert_eq!(layers.chain("b").collect::<Vec<_>>(), ["b", "a"]);
        assert_eq!(["a", "b", "c", ""].map(|top| layers.total(top)), [5, 12, 5, 0]);
    }
}
