//! The config of an image, and what metadata instructions make of it.
//!
//! Written as buildah writes it when it commits: the same fields in the same order, the same ones left
//! out when empty (`createConfigsAndManifests` in buildah's `image.go`, `commit` in `stage_executor.go`,
//! the dispatchers of imagebuilder). What only a native build can know is left out of docker's format:
//! the id of the working container, and a host name that the engine makes up.
//!
//! What the instructions see is kept by [`Scope`]; the layers come from whoever ran the steps.

mod base;
mod go_json;
mod health;
mod notes;
mod signal;
mod write;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::containerfile::{
    DEFAULT_PATH, Environment, Instruction, InstructionError, Keyword, Platform, Rules, Scope,
};

use crate::image::ImageFormat;
pub use base::ConfigError;
use health::HealthCheck;
pub use notes::{FlagNotes, completed, completed_in_stage, linked};

/// How one instruction is recorded in the history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HistoryNote<'a> {
    /// The time, RFC 3339.
    pub created: &'a str,
    /// `FROM <image before>` with buildah 1.28, nothing later.
    pub comment: Option<&'a str>,
    /// What later engines append to the instruction for flags like `--timestamp`; mostly empty.
    pub suffix: &'a str,
}

/// The config of an image that a stage is on its way to.
#[derive(Debug, Clone)]
pub struct ImageConfig {
    format: ImageFormat,
    rules: Rules,
    created: String,
    author: String,
    os: String,
    architecture: String,
    variant: String,
    /// `comment`, `os.version` and `os.features` of the base.
    other_fields: Map<String, Value>,
    /// Fields of docker's config that no instruction sets.
    docker_fields: Map<String, Value>,
    parent: Option<String>,
    user: String,
    exposed_ports: BTreeSet<String>,
    base_env: Vec<String>,
    stage_env: Environment,
    entrypoint: Vec<String>,
    /// Nothing where no instruction has set it, which is not the same as an empty list.
    cmd: Option<Vec<String>>,
    /// Whether a CMD of this stage has set `cmd`: then ENTRYPOINT leaves it alone.
    cmd_is_set: bool,
    volumes: BTreeSet<String>,
    workdir: String,
    labels: BTreeMap<String, String>,
    stop_signal: String,
    health_check: Option<HealthCheck>,
    on_build: Vec<String>,
    shell: Vec<String>,
    /// The base's ONBUILD instructions, which the stage runs first.
    triggers: Vec<String>,
    diff_ids: Vec<String>,
    history: Vec<Value>,
}

impl ImageConfig {
    /// The config at the start of a stage `FROM scratch`.
    pub fn scratch(platform: &Platform, format: ImageFormat, rules: Rules) -> Self {
        let mut stage_env = Environment::default();
        stage_env.set(DEFAULT_PATH.to_owned());
        Self {
            format,
            rules,
            created: String::new(),
            author: String::new(),
            os: platform.os.clone(),
            architecture: platform.architecture.clone(),
            variant: platform.variant.clone(),
            other_fields: Map::new(),
            docker_fields: Map::new(),
            parent: None,
            user: String::new(),
            exposed_ports: BTreeSet::new(),
            base_env: Vec::new(),
            stage_env,
            entrypoint: Vec::new(),
            cmd: None,
            cmd_is_set: false,
            volumes: BTreeSet::new(),
            // Of scratch alone: a base without one stays without (1.39, 1.43; 1.28 writes none).
            workdir: if rules >= Rules::Buildah39 { "/".to_owned() } else { String::new() },
            labels: BTreeMap::new(),
            stop_signal: String::new(),
            health_check: None,
            on_build: Vec::new(),
            shell: Vec::new(),
            triggers: Vec::new(),
            diff_ids: Vec::new(),
            history: Vec::new(),
        }
    }

    /// Says what platform the image is for.
    pub fn set_platform(&mut self, platform: &Platform) {
        self.os.clone_from(&platform.os);
        self.architecture.clone_from(&platform.architecture);
        self.variant.clone_from(&platform.variant);
    }

    /// Applies a metadata instruction to the config and to the scope, and records it in the history.
    ///
    /// RUN, COPY and ADD change the scope at most; their layer and history come with
    /// [`ImageConfig::add_layer`].
    pub fn apply(
        &mut self,
        instruction: &Instruction,
        scope: &mut Scope,
        note: &HistoryNote<'_>,
    ) -> Result<(), InstructionError> {
        let words = scope.expanded(instruction)?.words;
        self.change(instruction, words, scope)?;
        scope.apply(instruction)?;
        if instruction.keyword == Keyword::Workdir {
            scope.workdir().clone_into(&mut self.workdir);
        }
        if !instruction.is_filesystem() && instruction.keyword != Keyword::From {
            note.created.clone_into(&mut self.created);
            let created_by = format!("{}{}", created_by(instruction, scope), note.suffix);
            let entry = self.history_entry(note.created, &created_by, note.comment, true);
            self.history.push(entry);
        }
        Ok(())
    }

    /// Takes over the layer of a RUN, COPY or ADD and its entry in the history.
    pub fn add_layer(&mut self, diff_id: &str, created: &str, created_by: &str, comment: Option<&str>) {
        self.diff_ids.push(diff_id.to_owned());
        created.clone_into(&mut self.created);
        let entry = self.history_entry(created, created_by, comment, false);
        self.history.push(entry);
    }

    /// Forgets the labels of the base.
    pub fn clear_labels(&mut self) {
        self.labels.clear();
    }

    /// Sets a label that gives way to one that is there.
    pub fn set_label_unless_set(&mut self, key: &str, value: &str) {
        self.labels.entry(key.to_owned()).or_insert_with(|| value.to_owned());
    }

    /// Sets a label that no instruction sets: `--label`, or the engine's own.
    pub fn set_label(&mut self, key: &str, value: &str) {
        self.labels.insert(key.to_owned(), value.to_owned());
    }

    /// Takes a label away.
    pub fn remove_label(&mut self, key: &str) {
        self.labels.remove(key);
    }

    /// Sets the version of the operating system where one is given, and its features: one that ends in `-` goes.
    pub fn set_os(&mut self, version: &str, features: &[String]) {
        if !version.is_empty() {
            self.other_fields.insert("os.version".into(), version.into());
        }
        if features.is_empty() {
            return;
        }
        let mut all = base::list(&self.other_fields, "os.features");
        for feature in features {
            match feature.strip_suffix('-') {
                Some(gone) => all.retain(|other| other != gone),
                None if all.contains(feature) => {}
                None => all.push(feature.clone()),
            }
        }
        if all.is_empty() {
            self.other_fields.shift_remove("os.features");
        } else {
            self.other_fields.insert("os.features".into(), all.into());
        }
    }

    /// Sets `created`, which otherwise is the time of the last instruction.
    pub fn set_created(&mut self, created: &str) {
        created.clone_into(&mut self.created);
    }

    /// Sets docker's `parent`, the id (`sha256:...`) of the image before.
    pub fn set_parent(&mut self, id: Option<String>) {
        self.parent = id;
    }

    /// The base's ONBUILD instructions: the stage runs them before its own, and its image does not have
    /// them any more.
    pub fn triggers(&self) -> &[String] {
        &self.triggers
    }

    /// The layers, as digests of their uncompressed bytes.
    pub fn diff_ids(&self) -> &[String] {
        &self.diff_ids
    }

    fn change(
        &mut self,
        instruction: &Instruction,
        words: Vec<String>,
        scope: &Scope,
    ) -> Result<(), InstructionError> {
        let is_json = instruction.json.is_some();
        match &instruction.keyword {
            Keyword::Env => {
                at_least_one("ENV", &words)?;
                words.chunks_exact(2).for_each(|pair| self.stage_env.set(pair.join("=")));
            }
            Keyword::Label => {
                at_least_one("LABEL", &words)?;
                for pair in words.chunks_exact(2) {
                    self.labels.insert(pair[0].clone(), pair[1].clone());
                }
            }
            // buildah 1.28 crashes on it.
            Keyword::Arg => at_least_one("ARG", &words)?,
            Keyword::Cmd => {
                self.cmd_is_set |= !words.is_empty();
                self.cmd = Some(if is_json { words } else { in_shell(words) });
            }
            Keyword::Entrypoint => {
                self.entrypoint = if is_json || words.is_empty() { words } else { in_shell(words) };
                if !self.cmd_is_set {
                    self.cmd = None;
                }
            }
            Keyword::Expose => {
                at_least_one("EXPOSE", &words)?;
                self.expose(&words);
            }
            Keyword::Volume => {
                at_least_one("VOLUME", &words)?;
                for volume in words {
                    let volume = volume.trim();
                    if volume.is_empty() {
                        return Err(InstructionError::EmptyVolume);
                    }
                    self.volumes.insert(volume.to_owned());
                }
            }
            Keyword::User => self.user = exactly_one("USER", words)?,
            Keyword::Workdir => drop(exactly_one("WORKDIR", words)?),
            Keyword::Maintainer => self.author = exactly_one("MAINTAINER", words)?,
            Keyword::Stopsignal => {
                let name = exactly_one("STOPSIGNAL", words)?;
                if !signal::is_signal(&name) {
                    return Err(InstructionError::Signal(name));
                }
                self.stop_signal = name;
            }
            Keyword::Shell => {
                at_least_one("SHELL", &words)?;
                if !is_json {
                    return Err(InstructionError::NotJson("SHELL"));
                }
                self.shell = words;
            }
            Keyword::Healthcheck => {
                self.health_check = Some(HealthCheck::new(instruction, words, scope.rules())?)
            }
            Keyword::Onbuild => self.on_build.push(trigger(instruction)?),
            Keyword::Unknown(word) => return Err(InstructionError::Unknown(word.clone())),
            Keyword::Add | Keyword::Copy | Keyword::From | Keyword::Run => {}
        }
        Ok(())
    }

    /// Adds ports, but none that the image has already: up to buildah 1.39 with any protocol.
    fn expose(&mut self, ports: &[String]) {
        let parts = |port: &str| {
            let mut parts = port.split('/');
            let number = parts.next().unwrap_or_default().to_owned();
            (number, parts.next().unwrap_or("tcp").to_owned())
        };
        let known = |(number, protocol): (String, String)| match self.rules {
            Rules::Buildah43 => (number, protocol),
            _ => (number, String::new()),
        };
        let existing: BTreeSet<_> = self.exposed_ports.iter().map(|port| known(parts(port))).collect();
        for port in ports {
            let (number, protocol) = parts(port);
            if !existing.contains(&known((number.clone(), protocol.clone()))) {
                self.exposed_ports.insert(format!("{number}/{protocol}"));
            }
        }
    }

    /// The environment as successive commits leave it: what the stage set stands behind the rest.
    fn env(&self) -> Vec<String> {
        let of_stage = self.stage_env.entries();
        let names: BTreeSet<&str> =
            of_stage.iter().filter_map(|entry| Some(entry.split_once('=')?.0)).collect();
        let is_kept = |entry: &&String| !entry.split_once('=').is_some_and(|(name, _)| names.contains(name));
        self.base_env.iter().filter(is_kept).chain(&of_stage).cloned().collect()
    }
}

/// The text of a metadata instruction in the history; the scope is the one behind it.
pub fn created_by(instruction: &Instruction, scope: &Scope) -> String {
    if instruction.keyword == Keyword::Arg {
        let names: Vec<String> = scope.args_in_scope().into_keys().collect();
        return format!("/bin/sh -c #(nop) ARG {}", names.join(" "));
    }
    format!("/bin/sh -c #(nop) {}", instruction.original_text())
}

/// The shell form of CMD and ENTRYPOINT, whatever SHELL says.
fn in_shell(words: Vec<String>) -> Vec<String> {
    ["/bin/sh", "-c"].map(str::to_owned).into_iter().chain(words).collect()
}

/// The text that ONBUILD leaves for a later build.
fn trigger(instruction: &Instruction) -> Result<String, InstructionError> {
    match instruction.trigger().map(|trigger| trigger.keyword) {
        None => Err(InstructionError::AtLeastOne("ONBUILD")),
        Some(Keyword::Onbuild) => Err(InstructionError::ChainedTrigger),
        Some(Keyword::From) => Err(InstructionError::Trigger("FROM")),
        Some(Keyword::Maintainer) => Err(InstructionError::Trigger("MAINTAINER")),
        Some(_) => {
            let text = instruction.original_text();
            let behind = text.get("ONBUILD".len()..).unwrap_or_default();
            Ok(behind.trim_start_matches(['\t', '\n', '\x0c', '\r', ' ']).to_owned())
        }
    }
}

fn at_least_one(keyword: &'static str, words: &[String]) -> Result<(), InstructionError> {
    if words.is_empty() { Err(InstructionError::AtLeastOne(keyword)) } else { Ok(()) }
}

fn exactly_one(keyword: &'static str, words: Vec<String>) -> Result<String, InstructionError> {
    <[String; 1]>::try_from(words).map(|[only]| only).map_err(|_| InstructionError::ExactlyOne(keyword))
}

#[cfg(test)]
mod tests;
