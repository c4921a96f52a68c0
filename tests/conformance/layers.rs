//! The layers of an image: read from the storage that holds it, or as the engine itself writes them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result, ensure};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::image::{Node, Storage, Tree, text};
use crate::servers::HexOf;

/// A layer: its entries in the archive's order, a hard link with the path it leads to.
pub type Layer = Vec<(String, Node)>;

pub fn sha256(reader: &mut dyn Read) -> Result<String> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match reader.read(&mut buffer)? {
            0 => return Ok(format!("{:x}", HexOf(&hasher.finalize()))),
            count => hasher.update(&buffer[..count]),
        }
    }
}

/// Reads a tar archive.
pub fn read_layer(archive: impl Read) -> Result<Layer> {
    let mut archive = tar::Archive::new(archive);
    let mut layer = Vec::new();
    for entry in archive.entries()? {
        let mut entry = entry?;
        let header = entry.header();
        let kind = match header.entry_type() {
            tar::EntryType::Regular | tar::EntryType::Continuous => "file",
            tar::EntryType::Directory => "dir",
            tar::EntryType::Symlink => "symlink",
            tar::EntryType::Link => "hardlink",
            tar::EntryType::Char => "char",
            tar::EntryType::Block => "block",
            tar::EntryType::Fifo => "fifo",
            _ => continue,
        };
        let mut node = Node {
            kind,
            mode: header.mode()? & 0o7777,
            owner: (header.uid()?, header.gid()?),
            size: header.size()?,
            content: String::new(),
            hardlink: None,
            xattrs: BTreeMap::new(),
            mtime: header.mtime()?,
        };
        let absolute = |bytes: &[u8]| {
            let path = String::from_utf8_lossy(bytes);
            format!("/{}", path.trim_start_matches("./").trim_matches('/'))
        };
        let name = absolute(&entry.path_bytes());
        node.content = match kind {
            "symlink" => {
                entry.link_name_bytes().map(|b| String::from_utf8_lossy(&b).into_owned()).unwrap_or_default()
            }
            "hardlink" => entry.link_name_bytes().map(|b| absolute(&b)).unwrap_or_default(),
            "char" | "block" => {
                let header = entry.header();
                format!("{}:{}", header.device_major()?.unwrap_or(0), header.device_minor()?.unwrap_or(0))
            }
            _ => String::new(),
        };
        if let Some(extensions) = entry.pax_extensions()? {
            for extension in extensions.flatten() {
                let key = extension.key().unwrap_or_default();
                let value = String::from_utf8_lossy(extension.value_bytes()).into_owned();
                match key {
                    "uid" => node.owner.0 = value.parse().unwrap_or(node.owner.0),
                    "gid" => node.owner.1 = value.parse().unwrap_or(node.owner.1),
                    "mtime" => {
                        node.mtime = value.split('.').next().unwrap_or("").parse().unwrap_or(node.mtime)
                    }
                    _ => {
                        if let Some(name) = key.strip_prefix("SCHILY.xattr.") {
                            node.xattrs.insert(name.to_owned(), value);
                        }
                    }
                }
            }
        }
        if kind == "file" {
            node.content = sha256(&mut entry)?;
        }
        layer.push((name, node));
    }
    Ok(layer)
}

/// Layers that were read already, by digest: all cases share the base images' layers.
#[derive(Default)]
pub struct LayerCache(Mutex<HashMap<String, Arc<Layer>>>);

impl LayerCache {
    /// The layers of an image that the engine wrote as a `dir:` folder.
    pub fn of_dir(&self, dir: &Path) -> Result<Vec<Arc<Layer>>> {
        let manifest: Value = serde_json::from_slice(&fs::read(dir.join("manifest.json"))?)?;
        let mut layers = Vec::new();
        for descriptor in manifest["layers"].as_array().context("a manifest without layers")? {
            let digest = text(&descriptor["digest"]).trim_start_matches("sha256:").to_owned();
            let known = self.0.lock().expect("no reader panics").get(&digest).cloned();
            let layer = match known {
                Some(layer) => layer,
                None => {
                    ensure!(
                        !text(&descriptor["mediaType"]).contains("zip"),
                        "the engine wrote a compressed layer"
                    );
                    let layer = Arc::new(read_layer(File::open(dir.join(&digest))?)?);
                    self.0.lock().expect("no reader panics").insert(digest, Arc::clone(&layer));
                    layer
                }
            };
            layers.push(layer);
        }
        Ok(layers)
    }

    /// The layers of an image straight from its storage, which keeps each layer's archive as headers and files; nothing
    /// where that cannot be read, or is not what the image says.
    pub fn of_storage(&self, storage: &Storage, id: &str) -> Option<Vec<Arc<Layer>>> {
        let config = storage.config(id).ok()?;
        let diff_ids: Vec<String> =
            config["rootfs"]["diff_ids"].as_array().into_iter().flatten().map(text).collect();
        let mut layer = storage.images().ok()?.into_iter().find(|record| record.id == id)?.layer;
        let known = storage.layers()?;
        let mut chain = Vec::new();
        while !layer.is_empty() {
            let record = known.get(&layer)?;
            chain.push((layer, text(&record["diff-digest"])));
            layer = text(&record["parent"]);
        }
        chain.reverse();
        if !chain.iter().map(|(_, digest)| digest).eq(&diff_ids) {
            return None;
        }
        let read = |(layer, digest): &(String, String)| {
            let digest = digest.trim_start_matches("sha256:");
            if let Some(layer) = self.0.lock().expect("no reader panics").get(digest) {
                return Some(Arc::clone(layer));
            }
            let archive = archive(storage, layer)?;
            if sha256(&mut archive.as_slice()).ok()? != digest {
                return None;
            }
            let layer = Arc::new(read_layer(archive.as_slice()).ok()?);
            self.0.lock().expect("no reader panics").insert(digest.to_owned(), Arc::clone(&layer));
            Some(layer)
        };
        chain.iter().map(read).collect()
    }
}

/// A layer's archive, put together from what the storage has kept of it (tar-split) and its files.
fn archive(storage: &Storage, layer: &str) -> Option<Vec<u8>> {
    let split = storage.root.join(format!("{}-layers/{layer}.tar-split.gz", storage.driver));
    let folder = match storage.driver.as_str() {
        "vfs" => storage.root.join("vfs/dir").join(layer),
        driver => storage.root.join(driver).join(layer).join("diff"),
    };
    let output = Command::new("gzip").arg("-dc").arg(split).stdin(Stdio::null()).output().ok()?;
    let mut archive = Vec::new();
    for line in output.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let entry: Value = serde_json::from_slice(line).ok()?;
        match entry["type"].as_u64()? {
            1 if entry["size"].as_u64().unwrap_or(0) > 0 => {
                archive.extend(fs::read(folder.join(entry["name"].as_str()?)).ok()?);
            }
            1 => {}
            _ => archive.extend(BASE64_STANDARD.decode(entry["payload"].as_str()?).ok()?),
        }
    }
    output.status.success().then_some(archive)
}

/// For each layer the paths it changes, and the tree that comes out.
pub fn merged(layers: &[Arc<Layer>], with_mtime: bool) -> (Value, Value) {
    let mut tree = Tree::default();
    let mut changes = Vec::new();
    for layer in layers {
        tree.apply(layer);
        // Which parent folders are repeated in a layer is the storage driver's affair.
        changes.push(
            layer.iter().filter(|(_, node)| node.kind != "dir").map(|(path, _)| path.clone()).collect(),
        );
    }
    let changes: Vec<BTreeSet<String>> = changes;
    (json!(changes), tree.json(with_mtime))
}
