//! An engine whose files are a pure function of what it is given.
//!
//! It reads the Containerfiles of its calls, keeps images in memory, and forgets as the engines do: an image that
//! loses its last name goes with every untagged image below it.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use jiff::Timestamp;
use podman_stagecache::engine::{
    CopiedRequest, Engine, EngineError, EngineKind, ImageRequest, Layers, ListedImage, Listing, Probed,
    StepCall, Version,
};
use podman_stagecache::image::{ComposedImage, ImageFormat, ImageId, StoredImage, scratch};
use podman_stagecache::process::OutputLine;
use serde_json::{Value, json};

use crate::language::{File, Files, Instruction, Place, State, picked};
use crate::world::digest;

#[derive(Default)]
struct Storage {
    images: BTreeMap<ImageId, StoredImage>,
    names: BTreeMap<String, ImageId>,
    /// Images that no build made.
    bases: BTreeSet<ImageId>,
    /// Files by the layers that make them.
    layers: BTreeMap<Vec<String>, Files>,
    calls: usize,
    /// How many more calls succeed.
    fails_after: Option<usize>,
    /// So many calls later the image goes that the next one stands on.
    loses_after: Option<usize>,
    /// What a roll gives.
    die: String,
}

/// A handle: clones share one storage.
#[derive(Clone)]
pub struct ModelEngine {
    probed: Arc<Probed>,
    storage: Arc<Mutex<Storage>>,
}

fn failed(verb: &'static str, why: impl Into<String>) -> EngineError {
    EngineError::Failed { program: "model".into(), verb, code: 125, stderr: why.into() }
}

impl ModelEngine {
    pub fn new(root: &Path) -> Self {
        let probed = Probed {
            kind: EngineKind::Buildah,
            program: "model".into(),
            version: "1.28.2".into(),
            buildah: Version(1, 28, 2),
            buildah_version: "1.28.2".into(),
            graph_root: root.to_owned(),
            driver: "model".into(),
            additional: Vec::new(),
            platform: podman_stagecache::flags::Platform::host().to_string(),
            build_help: None,
        };
        Self { probed: Arc::new(probed), storage: Arc::default() }
    }

    fn storage(&self) -> MutexGuard<'_, Storage> {
        self.storage.lock().unwrap()
    }

    /// Puts a base there under a name, which moves away from what had it.
    pub fn put_base(&self, name: &str, files: &Files) {
        let platform = podman_stagecache::flags::Platform::host();
        let variant = (!platform.variant.is_empty()).then_some(platform.variant.as_str());
        let start =
            scratch(ImageFormat::Oci, (&platform.os, &platform.arch, variant), "1970-01-01T00:00:00Z");
        let mut state = State { files: files.clone(), ..State::default() };
        state.env.insert("PATH".into(), "/bin".into());
        let image = committed(&start, &state, files, "COPY rootfs /", "1970-01-01T00:00:00Z");
        let mut storage = self.storage();
        storage.layers.insert(image.diff_ids(), files.clone());
        storage.names.insert(name.to_owned(), image.id.clone());
        storage.bases.insert(image.id.clone());
        storage.images.insert(image.id.clone(), image);
    }

    /// Forgets all images but those of these names.
    pub fn empty(&self, bases: &[&str]) {
        let mut storage = self.storage();
        storage.names.retain(|name, _| bases.contains(&name.as_str()));
        let kept: BTreeSet<ImageId> = storage.names.values().cloned().collect();
        storage.images.retain(|id, _| kept.contains(id));
        storage.forget_layers();
    }

    /// How often it was asked to build.
    pub fn calls(&self) -> usize {
        self.storage().calls
    }

    pub fn fail_after(&self, calls: Option<usize>) {
        self.storage().fails_after = calls;
    }

    pub fn lose_after(&self, calls: Option<usize>) {
        self.storage().loses_after = calls;
    }

    pub fn set_die(&self, die: &str) {
        self.storage().die = die.to_owned();
    }

    /// Removes what has no name and nothing on top of it.
    pub fn prune(&self) {
        let mut storage = self.storage();
        loop {
            let dangling = storage.images.values().find(|image| {
                !storage.has_name(&image.id)
                    && !storage.bases.contains(&image.id)
                    && !storage.images.values().any(|other| storage.stands_on(other, image))
            });
            let Some(id) = dangling.map(|image| image.id.clone()) else { break };
            storage.images.remove(&id);
        }
        storage.forget_layers();
    }

    /// Ids of all images that no name of the user's holds.
    pub fn removable(&self, bases: &[&str]) -> Vec<ImageId> {
        let storage = self.storage();
        let held: BTreeSet<&ImageId> = storage
            .names
            .iter()
            .filter(|(name, _)| bases.contains(&name.as_str()))
            .map(|(_, id)| id)
            .collect();
        storage.images.keys().filter(|id| !held.contains(id)).cloned().collect()
    }

    /// Files and config of an image.
    pub fn look(&self, id: &ImageId) -> (Files, StoredImage) {
        let storage = self.storage();
        let image = storage.images[id].clone();
        (storage.layers[&image.diff_ids()].clone(), image)
    }

    /// Images that no named image has the layers of.
    pub fn loose(&self) -> Vec<ImageId> {
        let storage = self.storage();
        let named: Vec<Vec<String>> =
            storage.names.values().map(|id| storage.images[id].diff_ids()).collect();
        let stands = |image: &&StoredImage| !named.iter().any(|above| above.starts_with(&image.diff_ids()));
        let made = storage.images.values().filter(|image| !storage.bases.contains(&image.id));
        made.filter(stands).map(|image| image.id.clone()).collect()
    }

    /// How many images there are.
    pub fn images(&self) -> usize {
        self.storage().images.len()
    }
}

impl Storage {
    fn forget_layers(&mut self) {
        let used: Vec<Vec<String>> = self.images.values().map(StoredImage::diff_ids).collect();
        self.layers.retain(|layers, _| used.iter().any(|above| above.starts_with(layers)));
    }

    fn resolve(&self, name: &str) -> Option<ImageId> {
        let id = ImageId::parse(name).filter(|id| self.images.contains_key(id));
        id.or_else(|| self.names.get(name).cloned())
    }

    fn has_name(&self, id: &ImageId) -> bool {
        self.names.values().any(|named| named == id)
    }

    /// Whether the history and the layers of the one begin with those of the other.
    fn stands_on(&self, above: &StoredImage, below: &StoredImage) -> bool {
        above.id != below.id
            && above.history().len() > below.history().len()
            && above.history().starts_with(below.history())
            && above.diff_ids().starts_with(&below.diff_ids())
    }

    fn remove(&mut self, what: &str) -> Result<(), EngineError> {
        let id = self.resolve(what).ok_or_else(|| failed("rmi", format!("{what}: image not known")))?;
        self.names.remove(what);
        if ImageId::parse(what).is_some() {
            self.names.retain(|_, named| *named != id);
        }
        if self.has_name(&id) {
            return Ok(());
        }
        let Some(mut gone) = self.images.remove(&id) else { return Ok(()) };
        loop {
            let parent = self
                .images
                .values()
                .filter(|image| self.stands_on(&gone, image))
                .max_by_key(|image| image.history().len())
                .filter(|image| !self.has_name(&image.id))
                .filter(|image| !self.images.values().any(|other| self.stands_on(other, image)))
                .map(|image| image.id.clone());
            match parent.and_then(|id| self.images.remove(&id)) {
                Some(parent) => gone = parent,
                None => break,
            }
        }
        self.forget_layers();
        Ok(())
    }
}

/// The image that one more layer and the state's metadata make of `below`.
fn committed(
    below: &StoredImage,
    state: &State,
    files: &Files,
    created_by: &str,
    created: &str,
) -> StoredImage {
    let mut config = below.config.clone();
    let env: Vec<String> = state.env.iter().map(|(name, value)| format!("{name}={value}")).collect();
    config["created"] = created.into();
    config["config"]["Env"] = json!(env);
    config["config"]["Labels"] = json!(state.labels);
    if !state.workdir.is_empty() {
        config["config"]["WorkingDir"] = state.workdir.as_str().into();
    }
    let layer = digest(&format!("{:?} {files:?}", below.diff_ids()));
    config["rootfs"]["diff_ids"].as_array_mut().unwrap().push(json!(format!("sha256:{layer}")));
    config["history"].as_array_mut().unwrap().push(json!({"created": created, "created_by": created_by}));
    let mut image = below.clone();
    image.manifest["layers"].as_array_mut().unwrap().push(json!({
        "mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": layer, "size": 1,
    }));
    image.config = config.clone();
    ComposedImage::new(&image, &config, serde_json::Map::new()).unwrap().stored().unwrap()
}

/// The state that an image hands on.
fn state_of(image: &StoredImage, files: &Files) -> State {
    let pairs = |value: &Value| -> BTreeMap<String, String> {
        let labels = value.as_object().into_iter().flatten();
        labels.map(|(k, v)| (k.clone(), v.as_str().unwrap().to_owned())).collect()
    };
    let env = image.env().into_iter().filter_map(|e| e.split_once('=').map(|(n, v)| (n.into(), v.into())));
    State {
        files: files.clone(),
        env: env.collect(),
        args: BTreeMap::new(),
        labels: pairs(&image.config["config"]["Labels"]),
        workdir: image.config["config"]["WorkingDir"].as_str().unwrap_or_default().to_owned(),
    }
}

/// The pairs of a LABEL whose keys and values are quoted.
fn quoted_pairs(line: &str) -> Option<Vec<(String, String)>> {
    let rest = line.strip_prefix("LABEL \"")?;
    let words: Vec<&str> = rest.trim_end_matches('"').split("\" \"").collect();
    Some(words.iter().filter_map(|w| w.split_once("\"=\"")).map(|(k, v)| (k.into(), v.into())).collect())
}

/// The files of a folder of this machine.
fn files_below(folder: &Path) -> Files {
    use std::os::unix::fs::PermissionsExt as _;
    let mut files = Files::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
                let mode = path.metadata().unwrap().permissions().mode() & 0o777;
                files.insert(name, File { mode, text: fs::read_to_string(&path).unwrap() });
            }
        }
    }
    files
}

impl Engine for ModelEngine {
    fn probed(&self) -> &Probed {
        &self.probed
    }

    fn build(&self, call: &StepCall, _: &mut dyn FnMut(OutputLine)) -> Result<ImageId, EngineError> {
        {
            let mut storage = self.storage();
            if storage.fails_after == Some(0) {
                let stderr = "this call was to fail".to_owned();
                return Err(EngineError::Failed { program: "model".into(), verb: "build", code: 1, stderr });
            }
            storage.fails_after = storage.fails_after.map(|left| left - 1);
            storage.calls += 1;
        }
        assert!(!call.layers, "a step is one layer");
        let text = fs::read_to_string(&call.containerfile).unwrap();
        let build_args: BTreeMap<String, String> = call.build_args.iter().cloned().collect();
        let context = files_below(&call.context);
        let ignored = call.ignore_file.as_ref().map(|path| fs::read_to_string(path).unwrap());
        let ignored: BTreeSet<&str> = ignored.iter().flat_map(|text| text.lines()).collect();
        let mut storage = self.storage();
        let mut lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
        let from = lines.next().and_then(|line| line.strip_prefix("FROM ")).expect("a FROM comes first");
        let (below, files) = match from {
            "scratch" => {
                let platform = podman_stagecache::flags::Platform::host();
                let variant = (!platform.variant.is_empty()).then_some(platform.variant.as_str());
                (scratch(ImageFormat::Oci, (&platform.os, &platform.arch, variant), ""), Files::new())
            }
            id => {
                let bottom = ImageId::parse(id).is_none_or(|id| storage.bases.contains(&id));
                match storage.loses_after {
                    Some(0) if !bottom => {
                        storage.loses_after = None;
                        storage.remove(id)?;
                    }
                    left => storage.loses_after = left.map(|left| left.saturating_sub(1)),
                }
                let id = storage.resolve(id).ok_or_else(|| failed("build", format!("no image {id}")))?;
                let image = storage.images[&id].clone();
                let files = storage.layers[&image.diff_ids()].clone();
                (image, files)
            }
        };
        let mut state = state_of(&below, &files);
        let files_of = |place: Place<'_>| -> Result<Files, String> {
            let name = match place {
                Place::Copied => {
                    let left = context.iter().filter(|(name, _)| !ignored.contains(name.as_str()));
                    return Ok(left.map(|(name, file)| (name.clone(), file.clone())).collect());
                }
                Place::Mounted => return Ok(context.clone()),
                Place::Stage(name) => name,
            };
            let given = call.build_contexts.iter().find(|(context, _)| context == name);
            let id = given.and_then(|(_, value)| value.strip_prefix("container-image://"));
            let id = id.and_then(|id| storage.resolve(id)).ok_or_else(|| format!("no context {name}"))?;
            Ok(storage.layers[&storage.images[&id].diff_ids()].clone())
        };
        let mut last = String::new();
        for line in lines {
            if let Some(pairs) = quoted_pairs(line) {
                state.labels.extend(pairs);
                continue;
            }
            let (mut instruction, default) = Instruction::parse(line);
            if let Instruction::Arg { name, .. } = &instruction
                && default.is_none()
            {
                let value = build_args.get(name).expect("an ARG without a default has a value").clone();
                instruction = Instruction::Arg { name: name.clone(), default: value };
            }
            let sources = state.sources(&instruction, &files_of).map_err(|why| failed("build", why))?;
            state.apply(&instruction, &sources, &build_args, &storage.die.clone());
            last = instruction.to_string();
        }
        let created = Timestamp::now().to_string();
        let image = committed(&below, &state, &state.files, &last, &created);
        storage.layers.insert(image.diff_ids(), state.files);
        for name in &call.names {
            storage.names.insert(name.clone(), image.id.clone());
        }
        let id = image.id.clone();
        storage.images.insert(id.clone(), image);
        Ok(id)
    }

    fn list(&self) -> anyhow::Result<Listing> {
        let storage = self.storage();
        let mut listing = Listing::default();
        for (id, image) in &storage.images {
            let named = storage.names.iter().filter(|(_, named)| *named == id);
            let names = named.map(|(name, _)| name.clone()).collect();
            let top_layer = image.diff_ids().join(",");
            listing.add(id.clone(), ListedImage { digest: image.digest.clone(), names, top_layer, store: 0 });
        }
        Ok(listing)
    }

    fn layers(&self) -> anyhow::Result<Layers> {
        let storage = self.storage();
        let mut layers = Vec::new();
        for chain in storage.layers.keys() {
            for n in 1..=chain.len() {
                layers.push((chain[..n].join(","), chain[..n - 1].join(","), 1));
            }
        }
        let layers: Vec<(&str, &str, u64)> =
            layers.iter().map(|(id, parent, size)| (id.as_str(), parent.as_str(), *size)).collect();
        Ok(Layers::of(&layers))
    }

    fn image(&self, id: &ImageId) -> anyhow::Result<StoredImage> {
        let found = self.storage().images.get(id).cloned();
        found.ok_or_else(|| anyhow::anyhow!("image {id} is not in the storage"))
    }

    fn has_layers(&self, diff_ids: &[String]) -> bool {
        self.storage().layers.contains_key(diff_ids)
    }

    fn resolve_local(&self, name: &str) -> Result<Result<ImageId, String>, EngineError> {
        Ok(self.storage().resolve(name).ok_or_else(|| format!("{name}: image not known")))
    }

    fn pull(&self, request: &ImageRequest) -> Result<ImageId, EngineError> {
        Err(failed("pull", format!("{}: nothing can be pulled", request.name)))
    }

    fn commit_layer(&self, _image: &ComposedImage, _layer: &Path) -> Result<ImageId, EngineError> {
        Err(failed("pull", "there is no layer to be taken over"))
    }

    fn commit_config(&self, image: &ComposedImage, name: Option<&str>) -> Result<ImageId, EngineError> {
        let stored = image.stored().unwrap();
        let mut storage = self.storage();
        let layers = stored.diff_ids();
        if layers.is_empty() {
            storage.layers.insert(Vec::new(), Files::new());
        } else if !storage.layers.contains_key(&layers) {
            return Err(failed("pull", "a layer is missing"));
        }
        storage.images.insert(stored.id.clone(), stored);
        storage.names.extend(name.map(|name| (name.to_owned(), image.id.clone())));
        Ok(image.id.clone())
    }

    fn tag(&self, id: &ImageId, names: &[String]) -> Result<(), EngineError> {
        let mut storage = self.storage();
        if !storage.images.contains_key(id) {
            return Err(failed("tag", format!("{id}: image not known")));
        }
        for name in names {
            storage.names.insert(name.clone(), id.clone());
        }
        Ok(())
    }

    fn remove(&self, names: &[String]) -> Result<(), EngineError> {
        let mut storage = self.storage();
        names.iter().try_for_each(|name| storage.remove(name))
    }

    fn copied(&self, request: &CopiedRequest) -> Option<String> {
        let storage = self.storage();
        let files = &storage.layers[&storage.images.get(&request.image)?.diff_ids()];
        let found: Vec<_> = request.sources.iter().map(|source| picked(files, source)).collect();
        Some(digest(&format!("{found:?}")))
    }

    fn quietly(&self, verb: &'static str, _: &[OsString]) -> Result<String, EngineError> {
        Err(failed(verb, "the model does not do this"))
    }

    fn sweep(&self, _: &str) -> Result<(), EngineError> {
        Ok(())
    }
}
