//! Reads what a build left: manifest, config and names straight from the storage's folder, the files from layers as the
//! engine itself hands them out, merged here.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::{self, File};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};

use crate::layers::{Layer, read_layer, sha256};

/// An image record of a storage.
#[derive(Clone, Debug)]
pub struct Record {
    pub id: String,
    pub names: Vec<String>,
    pub digest: String,
    /// The uppermost layer in the storage; none where the image has no layers.
    pub layer: String,
}

/// A private storage on disk.
#[derive(Clone, Debug)]
pub struct Storage {
    pub root: PathBuf,
    pub runroot: PathBuf,
    pub driver: String,
}

impl Storage {
    fn images_dir(&self) -> PathBuf {
        self.root.join(format!("{}-images", self.driver))
    }

    pub fn images(&self) -> Result<Vec<Record>> {
        let path = self.images_dir().join("images.json");
        let Ok(bytes) = fs::read(&path) else {
            return Ok(Vec::new());
        };
        let list: Vec<Value> = serde_json::from_slice(&bytes).context("reading images.json")?;
        Ok(list
            .iter()
            .map(|image| Record {
                id: text(&image["id"]),
                names: image["names"].as_array().into_iter().flatten().map(text).collect(),
                digest: text(&image["digest"]),
                layer: text(&image["layer"]),
            })
            .collect())
    }

    /// Gives each image the names that `names` makes of its id and its names; nothing uses the storage meanwhile.
    pub fn rename(&self, names: impl Fn(&str, Vec<String>) -> Vec<String>) -> Result<()> {
        let path = self.images_dir().join("images.json");
        let mut list: Vec<Value> =
            serde_json::from_slice(&fs::read(&path)?).context("reading images.json")?;
        for image in &mut list {
            let old = image["names"].as_array().into_iter().flatten().map(text).collect();
            image["names"] = json!(names(&text(&image["id"]), old));
        }
        fs::write(&path, serde_json::to_vec(&list)?).with_context(|| format!("writing {}", path.display()))
    }

    /// The records of layers by id.
    pub fn layers(&self) -> Option<HashMap<String, Value>> {
        let dir = self.root.join(format!("{}-layers", self.driver));
        let mut layers = HashMap::new();
        for name in ["layers.json", "volatile-layers.json"] {
            let Ok(bytes) = fs::read(dir.join(name)) else { continue };
            let list: Vec<Value> = serde_json::from_slice(&bytes).ok()?;
            layers.extend(list.into_iter().map(|layer| (text(&layer["id"]), layer)));
        }
        Some(layers)
    }

    /// The working containers that are there, by id.
    pub fn containers(&self) -> BTreeSet<String> {
        let dir = self.root.join(format!("{}-containers", self.driver));
        let ids = |name: &str| {
            let bytes = fs::read(dir.join(name)).unwrap_or_default();
            let list: Vec<Value> = serde_json::from_slice(&bytes).unwrap_or_default();
            list.into_iter().filter_map(|one| Some(one["id"].as_str()?.to_owned())).collect::<Vec<_>>()
        };
        ["containers.json", "volatile-containers.json"].into_iter().flat_map(ids).collect()
    }

    pub fn manifest(&self, id: &str) -> Result<Value> {
        self.json(id, "manifest")
    }

    pub fn config(&self, id: &str) -> Result<Value> {
        self.json(id, &format!("={}", base64(&format!("sha256:{id}"))))
    }

    /// The image ids of a manifest list's members, by digest.
    pub fn members(&self, id: &str) -> Result<HashMap<String, String>> {
        let members: HashMap<String, String> = serde_json::from_value(self.json(id, "instances.json")?)?;
        let records = self.images()?;
        // An instance names an image by id or by one of its names.
        Ok(members
            .into_iter()
            .map(|(digest, image)| {
                let bare =
                    image.rsplit('@').next().unwrap_or(&image).trim_start_matches("sha256:").to_owned();
                let found =
                    records.iter().find(|r| r.id == bare || r.digest == digest || r.names.contains(&image));
                (digest, found.map_or(bare, |record| record.id.clone()))
            })
            .collect())
    }

    fn json(&self, id: &str, name: &str) -> Result<Value> {
        let path = self.images_dir().join(id).join(name);
        let bytes = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
        serde_json::from_slice(&bytes).with_context(|| format!("reading {}", path.display()))
    }
}

/// The string of a JSON value, nothing for any other kind.
pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn base64(text: &str) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in text.as_bytes().chunks(3) {
        let bits =
            chunk.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for index in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * index)) as usize & 63];
            out.push(if index <= chunk.len() { digit.into() } else { '=' });
        }
    }
    out
}

/// One file of a layer or of a merged tree.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    pub kind: &'static str,
    pub mode: u32,
    pub owner: (u64, u64),
    pub size: u64,
    /// The digest of a file's content, the target of a link, the numbers of a device.
    pub content: String,
    /// The path of the same layer that this one is another name of.
    pub hardlink: Option<String>,
    pub xattrs: BTreeMap<String, String>,
    pub mtime: u64,
}

impl Node {
    fn json(&self, with_mtime: bool) -> Value {
        let mut value = json!({
            "type": self.kind,
            "mode": format!("{:04o}", self.mode),
            "owner": format!("{}:{}", self.owner.0, self.owner.1),
        });
        if self.kind == "file" {
            value["size"] = json!(self.size);
        }
        if !self.content.is_empty() {
            value[if self.kind == "symlink" { "target" } else { "content" }] = json!(self.content);
        }
        if let Some(first) = &self.hardlink {
            value["hardlink"] = json!(first);
        }
        if !self.xattrs.is_empty() {
            value["xattrs"] = json!(self.xattrs);
        }
        if with_mtime {
            value["mtime"] = json!(self.mtime);
        }
        value
    }
}

/// A tree of files by absolute path.
#[derive(Debug, Default)]
pub struct Tree(BTreeMap<String, Node>);

impl Tree {
    /// Applies a layer: whiteouts first remove what stood below.
    pub fn apply(&mut self, layer: &Layer) {
        for (path, _) in layer {
            let (dir, name) = path.rsplit_once('/').unwrap_or(("", path));
            if name == ".wh..wh..opq" {
                self.remove_below(dir);
            } else if let Some(name) = name.strip_prefix(".wh.") {
                let gone = format!("{dir}/{name}");
                self.0.remove(&gone);
                self.remove_below(&gone);
            }
        }
        for (path, node) in layer {
            if path.rsplit('/').next().is_some_and(|name| name.starts_with(".wh.")) {
                continue;
            }
            if node.kind != "dir" && self.0.get(path).is_some_and(|old| old.kind == "dir") {
                self.remove_below(path);
            }
            let node = match node.kind {
                "hardlink" => match self.0.get(&node.content) {
                    Some(first) => Node { hardlink: Some(node.content.clone()), ..first.clone() },
                    None => node.clone(),
                },
                _ => node.clone(),
            };
            self.0.insert(path.clone(), node);
        }
    }

    fn remove_below(&mut self, dir: &str) {
        let prefix = format!("{dir}/");
        self.0.retain(|path, _| !path.starts_with(&prefix));
    }

    pub fn json(&self, with_mtime: bool) -> Value {
        Value::Object(self.0.iter().map(|(path, node)| (path.clone(), node.json(with_mtime))).collect())
    }

    /// The tree of a folder on disk.
    pub fn of_dir(dir: &Path) -> Result<Tree> {
        fn walk(path: &Path, name: &str, tree: &mut Tree) -> Result<()> {
            let meta = fs::symlink_metadata(path)?;
            let kind = meta.file_type();
            let (kind, content) = if kind.is_symlink() {
                ("symlink", fs::read_link(path)?.to_string_lossy().into_owned())
            } else if kind.is_dir() {
                ("dir", String::new())
            } else if kind.is_fifo() {
                ("fifo", String::new())
            } else if kind.is_file() {
                ("file", sha256(&mut File::open(path)?)?)
            } else {
                ("other", String::new())
            };
            let node = Node {
                kind,
                mode: if kind == "symlink" { 0o777 } else { meta.mode() & 0o7777 },
                owner: (meta.uid().into(), meta.gid().into()),
                size: if kind == "file" { meta.len() } else { 0 },
                content,
                hardlink: None,
                xattrs: BTreeMap::new(),
                mtime: meta.mtime() as u64,
            };
            tree.0.insert(if name.is_empty() { "/".to_owned() } else { name.to_owned() }, node);
            if kind == "dir" {
                for entry in fs::read_dir(path)? {
                    let entry = entry?;
                    walk(&entry.path(), &format!("{name}/{}", entry.file_name().to_string_lossy()), tree)?;
                }
            }
            Ok(())
        }
        let mut tree = Tree::default();
        walk(dir, "", &mut tree)?;
        Ok(tree)
    }

    /// The tree of a tar archive.
    pub fn of_tar(path: &Path) -> Result<Tree> {
        let mut tree = Tree::default();
        let archive = File::open(path).with_context(|| format!("opening {}", path.display()))?;
        tree.apply(&read_layer(archive).with_context(|| format!("reading {}", path.display()))?);
        Ok(tree)
    }
}

/// Removes the members of a JSON object that `drop` names.
pub fn without(value: &mut Value, drop: impl Fn(&str) -> bool) {
    if let Some(object) = value.as_object_mut() {
        let kept: Map<String, Value> =
            std::mem::take(object).into_iter().filter(|(key, _)| !drop(key)).collect();
        *object = kept;
    }
}
