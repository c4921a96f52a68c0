//! States what came out of a build.
//!
//! What is stated is the same for both sides and free of what may differ between two runs of one engine: ids of this
//! run, times, paths and ports of this machine.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::corpus::{Case, Output, ResultName};
use crate::differences;
use crate::engine::{Engine, Kind};
use crate::image::{Record, Storage, Tree, text, without};
use crate::layers;
use crate::side::{Base, Place, Prepared, mounts_below};

/// What stands already where a build begins: other builds may have left it, and it is none of this one's.
pub struct Standing {
    containers: BTreeSet<String>,
    mounts: BTreeSet<String>,
}

impl Standing {
    pub fn now(place: &Place, storage: &Storage) -> Result<Standing> {
        Ok(Standing { containers: storage.containers(), mounts: mounts(place, storage)? })
    }

    fn mounts_since(&self, place: &Place, storage: &Storage) -> Result<usize> {
        Ok(mounts(place, storage)?.difference(&self.mounts).count())
    }
}

/// What is mounted below a worker's folder. The storage driver keeps a mount of its own.
fn mounts(place: &Place, storage: &Storage) -> Result<BTreeSet<String>> {
    let own = storage.root.join(&storage.driver);
    Ok(mounts_below(&place.dir)?.into_iter().filter(|point| Path::new(point) != own).collect())
}

/// One finished build that is looked at.
pub struct Facts<'a> {
    pub place: &'a Place,
    pub prepared: &'a Prepared,
    pub storage: &'a Storage,
    pub case: &'a Case,
    /// The engine's own result, which is forgiven what stagecache does better.
    pub as_native: bool,
    pub before: Vec<Record>,
    pub standing: &'a Standing,
    /// What another build left: it is none of this one's results.
    pub others: &'a [Record],
    /// What the case's builds before this one came to.
    pub earlier: &'a [Option<String>],
    /// The case's files before the build.
    pub files: &'a BTreeMap<String, String>,
    pub iidfile: PathBuf,
    /// Those of the builds at the same time: a name may stand for any of them.
    pub beside: &'a [PathBuf],
}

impl Facts<'_> {
    /// States everything that is compared, and the image's id.
    pub fn gather(&self, exit: i32, stdout: &str) -> Result<(Value, Option<String>)> {
        let mut facts = json!({
            "exit": exit,
            "containers": self.storage.containers().difference(&self.standing.containers).count(),
            "mounts": self.standing.mounts_since(self.place, self.storage)?,
            "volumes": entries_of(&self.storage.root.join("volumes")),
            "tmp": entries_of(&self.place.dir.join("tmp")),
            "written": self.written(),
        });
        let result = self.result(stdout)?;
        facts["names"] = self.names(result.as_deref())?;
        let mut files = json!({});
        for output in &self.case.outputs {
            let (path, value) = self.output(output, result.as_deref())?;
            files[path] = value;
        }
        if !self.case.outputs.is_empty() {
            facts["files"] = files;
        }
        if self.case.stdout {
            facts["stdout"] = json!(self.without_ids(stdout, result.as_deref())?);
        }
        match &result {
            Some(id) => facts["image"] = self.image_or_list(id)?,
            None if exit == 0 && self.case.result != ResultName::None => facts["image"] = json!("not found"),
            None => {}
        }
        Ok((facts, result))
    }

    /// What the build did to the case's own files; of a folder that came or went the folder alone.
    fn written(&self) -> Value {
        let after = self.place.snapshot();
        let change = |path: &str| match (self.files.get(path), after.get(path)) {
            (Some(before), Some(after)) if before == after => None,
            (Some(_), Some(_)) => Some("changed"),
            (Some(_), None) => Some("removed"),
            (None, Some(_)) => Some("added"),
            (None, None) => None,
        };
        let with_its_folder = |path: &str| {
            let folder = path.rsplit_once('/').and_then(|(folder, _)| change(folder));
            folder.is_some_and(|change| change != "changed")
        };
        let paths = self.files.keys().chain(after.keys()).filter(|path| !with_its_folder(path));
        paths.filter_map(|path| Some((path.clone(), json!(change(path)?)))).collect()
    }

    /// The id of the image that the build came to.
    fn result(&self, stdout: &str) -> Result<Option<String>> {
        let records = self.storage.images()?;
        let id = match &self.case.result {
            ResultName::Iid => id_in(&self.iidfile),
            ResultName::IidFile(path) => id_in(&self.place.case_dir().join("context").join(path)),
            ResultName::Name(name) => records
                .iter()
                .find(|record| record.names.contains(name) && !self.is_of_another_build(&record.id, name))
                .map(|record| record.id.clone()),
            ResultName::Stdout => stdout.lines().last().map(|line| line.trim().to_owned()),
            ResultName::None => None,
        };
        Ok(id.filter(|id| records.iter().any(|record| record.id == *id)))
    }

    /// How an image of this storage is called in what is compared.
    fn alias(&self, id: &str, result: Option<&str>) -> String {
        match self.prepared.bases.iter().find(|base| base.record.id == id) {
            Some(base) => format!("<{}>", base.name),
            None if Some(id) == result => "<the image>".to_owned(),
            None => "<another image>".to_owned(),
        }
    }

    /// The same for what a name stands for: of an image that the case came to, the numbers of the builds.
    fn alias_of_name(&self, id: &str, result: Option<&str>) -> String {
        let is_result =
            Some(id) == result || self.beside.iter().any(|file| id_in(file).as_deref() == Some(id));
        let results = self.earlier.iter().map(|earlier| earlier.as_deref() == Some(id)).chain([is_result]);
        let builds: Vec<String> = (1_usize..)
            .zip(results)
            .filter(|(_, is_it)| *is_it)
            .map(|(number, _)| number.to_string())
            .collect();
        let is_base = self.prepared.bases.iter().any(|base| base.record.id == id);
        match is_base || builds.is_empty() {
            true => self.alias(id, result),
            false if self.earlier.is_empty() => self.alias(id, Some(id)),
            false => format!("<of build {}>", builds.join(" ")),
        }
    }

    /// All names in the storage, except those that stagecache gives to stages.
    fn names(&self, result: Option<&str>) -> Result<Value> {
        let mut names = BTreeMap::new();
        for record in self.storage.images()? {
            for name in &record.names {
                if !name.starts_with("localhost/stagecache/") && !self.is_of_another_build(&record.id, name) {
                    names.insert(name.clone(), self.alias_of_name(&record.id, result));
                }
            }
        }
        // The base images' own names are only worth a word where they changed.
        for base in &self.prepared.bases {
            if names.get(&base.name) == Some(&self.alias(&base.record.id, result)) {
                names.remove(&base.name);
            }
        }
        Ok(json!(names))
    }

    fn is_of_another_build(&self, id: &str, name: &String) -> bool {
        let base = self.prepared.bases.iter().any(|base| base.record.id == id);
        !base && self.others.iter().any(|record| record.id == id && record.names.contains(name))
    }

    fn without_ids(&self, text: &str, result: Option<&str>) -> Result<String> {
        let mut text = self.place.redact(text);
        for record in self.storage.images()?.iter().chain(&self.before) {
            text = text.replace(&record.id, &self.alias(&record.id, result));
        }
        Ok(text)
    }

    fn output(&self, output: &Output, result: Option<&str>) -> Result<(String, Value)> {
        let at = |path: &str| self.place.case_dir().join(path);
        let missing = json!("missing");
        let with_mtime = self.has_flag(&["--timestamp", "--rewrite-timestamp"]);
        Ok(match output {
            Output::Dir(path) | Output::Tar(path) | Output::File(path) | Output::Contains(path, _)
                if !at(path).exists() =>
            {
                (path.clone(), missing)
            }
            Output::Dir(path) => {
                let mut tree = Tree::of_dir(&at(path))?.json(with_mtime);
                // The folder itself was made when the build ran.
                without(&mut tree["/"], |key| key == "mtime");
                (path.clone(), tree)
            }
            Output::Tar(path) => (path.clone(), Tree::of_tar(&at(path))?.json(with_mtime)),
            Output::File(path) => {
                let content = fs::read(at(path))?;
                (path.clone(), json!(self.without_ids(&String::from_utf8_lossy(&content), result)?))
            }
            Output::Contains(path, text) => {
                let content = String::from_utf8_lossy(&fs::read(at(path))?).into_owned();
                (format!("{path} contains {text}"), json!(content.contains(text)))
            }
        })
    }

    fn has_flag(&self, names: &[&str]) -> bool {
        self.case.flags.iter().any(|flag| names.iter().any(|name| flag.starts_with(name)))
    }

    fn image_or_list(&self, id: &str) -> Result<Value> {
        let manifest = self.storage.manifest(id)?;
        let Some(members) = manifest["manifests"].as_array() else {
            return self.image(id, manifest);
        };
        let ids = self.storage.members(id)?;
        let mut images = BTreeMap::new();
        for member in members {
            let platform = &member["platform"];
            let mut name = format!("{}/{}", text(&platform["os"]), text(&platform["architecture"]));
            if let Some(variant) = platform["variant"].as_str() {
                name = format!("{name}/{variant}");
            }
            let member_id =
                ids.get(&text(&member["digest"])).context("a manifest list with an unknown member")?;
            images.insert(name, self.image(member_id, self.storage.manifest(member_id)?)?);
        }
        Ok(json!({ "list": manifest["mediaType"], "images": images }))
    }

    fn image(&self, id: &str, manifest: Value) -> Result<Value> {
        let config = self.storage.config(id)?;
        let with_times = self.has_flag(&["--timestamp", "--source-date-epoch"]);
        let with_mtime = self.has_flag(&["--timestamp", "--rewrite-timestamp"]);
        let (layers, mut tree) = self.files(id, with_mtime)?;
        self.forget_what_varies(&mut tree);
        let media_types: Vec<&Value> =
            manifest["layers"].as_array().into_iter().flatten().map(|layer| &layer["mediaType"]).collect();
        let mut rest = config.clone();
        // The docker format also names the working container and the image before, which are this run's own.
        let elsewhere = ["config", "container_config", "history", "rootfs", "container", "parent"];
        without(&mut rest, |key| elsewhere.contains(&key) || key == "created" && !with_times);
        let mut image = json!({
            "id": if self.alias(id, None).contains("another") { "its own".to_owned() } else { self.alias(id, None) },
            "manifest": { "mediaType": manifest["mediaType"], "config": manifest["config"]["mediaType"], "layers": media_types },
            "annotations": self.annotations(&manifest["annotations"], &config["created"]),
            "config": self.settings(&config["config"]),
            "platform": rest,
            "history": self.history(&config["history"], with_times),
            "diff_ids": config["rootfs"]["diff_ids"].as_array().map_or(0, Vec::len),
            "layers": layers,
            "tree": tree,
        });
        if !config["container_config"].is_null() {
            image["container_config"] = self.settings(&config["container_config"]);
        }
        Ok(image)
    }

    fn forget_what_varies(&self, tree: &mut Value) {
        for (path, node) in tree.as_object_mut().into_iter().flatten() {
            if self.case.varies.iter().any(|pattern| differences::matches(pattern, path)) {
                without(node, |key| ["content", "size", "mtime"].contains(&key));
            }
        }
    }

    /// The layers' changes and the merged tree.
    fn files(&self, id: &str, with_mtime: bool) -> Result<(Value, Value)> {
        let engine = &self.prepared.engine;
        // A call of the engine less: without it the suite takes a quarter less time.
        if let Some(layers) = self.place.layers.of_storage(self.storage, id) {
            return Ok(layers::merged(&layers, with_mtime));
        }
        let dir = self.place.dir.join("out/layers");
        if dir.exists() {
            self.place.file_command(engine, "rm", &["-rf"], std::slice::from_ref(&dir))?;
        }
        let mut args = Engine::storage_args(self.storage);
        args.extend(["push", "-q"].map(str::to_owned));
        if engine.kind == Kind::Buildah {
            args.push("-D".to_owned());
        }
        args.extend([id.to_owned(), format!("dir:{}", dir.display())]);
        let command = self.place.command(engine, &engine.program, &args, self.case)?;
        let (exit, _, stderr) = self.place.run(command, None)?;
        ensure!(exit == 0, "reading the layers of {id}: {stderr}");
        Ok(layers::merged(&self.place.layers.of_dir(&dir)?, with_mtime))
    }

    fn settings(&self, config: &Value) -> Value {
        let mut config = config.clone();
        without(&mut config, |key| ["Hostname", "Image"].contains(&key));
        if let Some(labels) = config.get_mut("Labels").filter(|_| self.case.stage_labels) {
            without(labels, |key| key.starts_with("io.buildah.stage.") || key.starts_with("io.stagecache."));
        }
        config
    }

    /// `created_by`, `empty_layer` and whatever else stands in the history, without the notes that name intermediate images.
    fn history(&self, history: &Value, with_times: bool) -> Value {
        let mut entries = Vec::new();
        for entry in history.as_array().into_iter().flatten() {
            let created_by = text(&entry["created_by"]);
            if self.case.stage_labels && created_by.contains("LABEL \"io.buildah.stage.name\"=") {
                continue;
            }
            let mut entry = entry.clone();
            // `FROM <id of the step before>`: buildah 1.28 writes one into each step, later ones into the first.
            let comment = text(&entry["comment"]);
            without(&mut entry, |key| {
                key == "created" && !with_times || key == "comment" && comment.starts_with("FROM ")
            });
            let created_by = self.place.redact(&created_by);
            entry["created_by"] = match self.case.varies.iter().any(|name| name == "history-digests") {
                true => json!(without_digests(&created_by)),
                false => json!(created_by),
            };
            entries.push(entry);
        }
        json!(entries)
    }

    /// The base's digest is shown as the image it belongs to. Native builds often give the digest of an intermediate
    /// image there, of no use to anyone: what is right then follows from the base's name, and that is asked of stagecache.
    fn annotations(&self, annotations: &Value, created: &Value) -> Value {
        let mut annotations = annotations.clone();
        let time = "org.opencontainers.image.created";
        if annotations.get(time).is_some_and(|value| value == created) {
            annotations[time] = json!("the image's time");
        }
        let (name, digest) = ("org.opencontainers.image.base.name", "org.opencontainers.image.base.digest");
        // Of a base with many names the engines give any that has the last part of the one in the file.
        if let Some(named) = self.prepared.bases.iter().find(|base| base.name == text(&annotations[name]))
            && self.prepared.bases.iter().filter(|base| base.record.id == named.record.id).count() > 1
        {
            annotations[name] = json!(self.prepared.bases[0].name);
        }
        let value = text(&annotations[digest]);
        if value.is_empty() {
            return annotations;
        }
        let base = |wanted: &dyn Fn(&Base) -> bool| self.prepared.bases.iter().find(|base| wanted(base));
        let real = base(&|base| base.record.digest == value);
        let named = base(&|base| base.name == text(&annotations[name])).filter(|_| self.as_native);
        annotations[digest] = match real.or(named) {
            Some(base) => json!(format!("digest of {}", base.name)),
            // Nothing is the base of `scratch`.
            None if self.as_native && text(&annotations[name]).is_empty() => json!(""),
            None => json!("digest of another image"),
        };
        annotations
    }
}

/// The image id in a file.
fn id_in(file: &Path) -> Option<String> {
    fs::read_to_string(file).ok().map(|id| id.trim().trim_start_matches("sha256:").to_owned())
}

/// How many entries of each name a folder has; numbers that are drawn do not count.
fn entries_of(folder: &Path) -> Value {
    let number = regex::Regex::new("[0-9]{3,}").expect("a valid pattern");
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        *counts.entry(number.replace_all(&name, "N").into_owned()).or_default() += 1;
    }
    json!(counts)
}

/// The text with each run of 64 hexadecimal digits replaced.
fn without_digests(text: &str) -> String {
    let digest = regex::Regex::new("[0-9a-f]{64}").expect("a valid pattern");
    digest.replace_all(text, "<digest>").into_owned()
}
