//! Where the bytes of a step come from: context, stages, images, servers; for COPY, ADD and the mounts of RUN.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::anyhow;

use super::stage::Preparer;
use super::{BodyItem, FolderRead, Foreign, NamedInput, Place, PreparedStage, PreparedStep, Unread};
use crate::address::masked;
use crate::containerfile::{Instruction, Keyword, Rules};
use crate::context::{ContextError, ContextPart, ContextReader, CopyKind, CopyRequest, is_remote_source};
use crate::graph::{Origin, mount_fields};
use crate::host;
use crate::key::{self, Content, Source};
use crate::record::InputRecord;
use crate::remote;
use crate::render::Rename;

impl Preparer<'_> {
    pub(super) fn copy_sources(
        &self,
        stage: &PreparedStage,
        number: usize,
        position: usize,
        step: &mut PreparedStep,
    ) -> anyhow::Result<()> {
        let item = &stage.body[number];
        let instruction = &item.instruction;
        let expanded = stage.scopes[number]
            .expanded(instruction)
            .map_err(|problem| self.wrong(item, &problem.to_string()))?;
        let Some((destination, sources)) = expanded.words.split_last() else { return Ok(()) };
        let flag =
            |name: &str| expanded.flags.iter().rev().find(|f| f.name == name).and_then(|f| f.value.clone());
        let sources: Vec<String> = sources.iter().filter(|s| !is_heredoc(s, instruction)).cloned().collect();
        let add = instruction.keyword == Keyword::Add;
        let kind = if add { "ADD" } else { "COPY" };
        let destination = absolute(destination, stage.scopes[number].workdir());
        // As the engine reads it: an octal number. What else there may be takes something of the modes there are.
        let octal = |mode: &str| !mode.is_empty() && mode.bytes().all(|byte| (b'0'..=b'7').contains(&byte));
        let modes_given = flag("chmod").is_some_and(|mode| octal(&mode));
        let note = |from: &str, sources: &[String], content: &Content| InputRecord {
            line: instruction.line,
            kind: kind.into(),
            from: from.into(),
            sources: sources.to_vec(),
            destination: destination.clone(),
            digest: shown_content(content),
        };
        if let Some(name) = flag("from").filter(|name| !name.is_empty()) {
            let origin = self.origin(stage, item, &name)?;
            let (from, content) = self.foreign_content(stage, item, step, &origin, &name)?;
            step.record.push(note(&from, &sources, &content));
            let request = CopyRequest {
                sources: sources.clone(),
                kind: CopyKind::Copy,
                exclude: Vec::new(),
                parents: false,
                modes_given,
            };
            self.add_foreign(
                stage,
                step,
                position,
                &name,
                origin,
                from,
                sources,
                ContextPart::Copied(request),
                content,
                flag_written(instruction, "from"),
            );
            return Ok(());
        }
        let (addresses, local): (Vec<String>, Vec<String>) =
            sources.into_iter().partition(|source| add && is_remote_source(source));
        for url in addresses {
            // Also the engine must not come to see it.
            remote::repository(&url).map_err(|refused| self.wrong(item, &refused.to_string()))?;
            let content = match flag("checksum").filter(|c| !c.is_empty()) {
                Some(checksum) => Content::Remote(checksum),
                None => match (self.common.remote)(&url) {
                    Ok(identity) => {
                        step.remotes.push((url.clone(), identity.clone()));
                        Content::Remote(identity)
                    }
                    Err(error) => {
                        let shown = masked(&url);
                        step.always = Some(format!(
                            "ADD {shown} has no --checksum, and cannot be asked for: {error:#}"
                        ));
                        Content::Remote(String::new())
                    }
                },
            };
            let url = masked(&url);
            step.record.push(note(&url, std::slice::from_ref(&url), &content));
            step.inputs.sources.push(Source {
                instruction: position,
                from: url.clone(),
                paths: vec![url],
                content,
            });
        }
        if !local.is_empty() {
            step.uses_context = true;
            let request = CopyRequest {
                sources: local.clone(),
                kind: if add { CopyKind::Add } else { CopyKind::Copy },
                exclude: expanded
                    .flags
                    .iter()
                    .filter(|f| f.name == "exclude")
                    .filter_map(|f| f.value.clone())
                    .collect(),
                parents: expanded
                    .flags
                    .iter()
                    .any(|f| f.name == "parents" && f.value.as_deref() != Some("false")),
                modes_given,
            };
            let context = self.context(item)?;
            let reads = host::paths_below(context.root(), local.iter().map(String::as_str));
            let digest = match context.copied(&request) {
                Ok(tree) => Some((self.keep_tree)(&tree)?),
                Err(error) => {
                    let problem = self.missing(item, &local, &error.to_string());
                    self.unread(stage, step, item, &reads, problem)?;
                    None
                }
            };
            step.host.reads.extend(reads);
            let part = ContextPart::Copied(request);
            let root = context.root().to_owned();
            step.reads.push(FolderRead { named: None, root, part, digest: digest.clone() });
            let content = Content::Files(digest.unwrap_or_default());
            step.record.push(note("context", &local, &content));
            step.inputs.sources.push(Source {
                instruction: position,
                from: "context".into(),
                paths: local,
                content,
            });
        }
        Ok(())
    }

    /// Notes that what a step takes is not there yet, where it may still be written; else that is an error.
    fn unread(
        &self,
        stage: &PreparedStage,
        step: &mut PreparedStep,
        item: &BodyItem,
        reads: &BTreeSet<PathBuf>,
        problem: anyhow::Error,
    ) -> anyhow::Result<()> {
        let title = key::title_of(&item.instruction.original);
        if self.is_written_before(stage, reads) {
            let problem = Some(format!("{problem:#}"));
            step.unread.get_or_insert(Unread { title, problem });
            return Ok(());
        }
        if host::overlap(&step.host.writes, reads) {
            step.always = Some(format!("{title} takes what is not there before the step runs"));
            return Ok(());
        }
        Err(problem)
    }

    /// Whether what is read here may be written by a step before.
    fn is_written_before(&self, stage: &PreparedStage, reads: &BTreeSet<PathBuf>) -> bool {
        let own = stage.steps.iter().flat_map(|step| step.host.writes.clone()).collect();
        self.may_be_written(reads, &own)
    }

    pub(super) fn missing(&self, item: &BodyItem, sources: &[String], problem: &str) -> anyhow::Error {
        let word = sources.iter().find(|source| problem.contains(source.as_str()));
        match item.place {
            Place::File(_) => anyhow!(self.common.file.point_at(
                &item.instruction,
                word.map_or("", String::as_str),
                problem.to_owned(),
                String::new()
            )),
            _ => self.wrong(item, problem),
        }
    }

    pub(super) fn context(&self, item: &BodyItem) -> anyhow::Result<&ContextReader> {
        self.common.context.ok_or_else(|| self.wrong(item, "there is no build context to copy from"))
    }

    pub(super) fn run_sources(
        &self,
        stage: &PreparedStage,
        number: usize,
        position: usize,
        step: &mut PreparedStep,
    ) -> anyhow::Result<()> {
        let item = &stage.body[number];
        let expanded = stage.scopes[number]
            .expanded(&item.instruction)
            .map_err(|problem| self.wrong(item, &problem.to_string()))?;
        let volumes = self.common.key_flags.get("volume").into_iter().flatten();
        step.host.writes.extend(volumes.filter_map(|volume| host::written_by_volume(volume)));
        // Later engines throw away what is written to a bind mount (1.39, 1.43).
        let writes_through = stage.scopes[number].rules() < Rules::Buildah39;
        for (flag, written) in expanded.flags.iter().zip(&item.instruction.flags) {
            let Some(value) = flag.value.as_deref().filter(|_| flag.name == "mount") else { continue };
            let fields = mount_fields(value);
            let field = |names: &[&str]| {
                fields.iter().find(|(n, _)| names.contains(&n.as_str())).map(|(_, v)| v.clone())
            };
            let kind = field(&["type"]).unwrap_or_else(|| "bind".into());
            let target = field(&["target", "dst", "destination"]).unwrap_or_default();
            let from = field(&["from"]).filter(|name| !name.is_empty());
            let source = field(&["source", "src"]);
            note_cache(&fields, step);
            let id = field(&["id"]);
            let given = match kind.as_str() {
                "secret" => {
                    let id = id.unwrap_or_else(|| target.rsplit('/').next().unwrap_or_default().to_owned());
                    self.common.secrets.get(&id)
                }
                "ssh" => self.common.ssh.get(id.as_deref().unwrap_or("default")),
                _ => None,
            };
            // Without what is asked for a command goes on, unless it is required, and does something else.
            if let Some(id) = given {
                step.inputs.flags.entry(kind.clone()).or_default().push(id.clone());
            }
            if !matches!(kind.as_str(), "bind" | "cache") {
                continue;
            }
            let paths = vec![source.clone().unwrap_or_else(|| "/".into())];
            let destination = absolute(&target, stage.scopes[number].workdir());
            let is_written = writes_through && kind == "bind" && host::is_writable(value);
            let (from_shown, content) = match &from {
                Some(name) => {
                    let origin = self.origin(stage, item, name)?;
                    if kind == "bind" {
                        let is_stage = matches!(origin, Origin::Stage(_));
                        step.mounts_of_stages.entry(number).or_default().push(is_stage);
                    }
                    if let (true, Origin::Named(name)) = (is_written, &origin) {
                        let root = self.common.named_contexts.get(name).map(ContextReader::root);
                        step.host.writes.extend(root.map(host::real));
                    }
                    let (shown, content) = self.foreign_content(stage, item, step, &origin, name)?;
                    let written =
                        written.value.as_deref().and_then(|v| crate::graph::mount_field(v, &["from"]));
                    self.add_foreign(
                        stage,
                        step,
                        position,
                        name,
                        origin,
                        shown.clone(),
                        paths.clone(),
                        ContextPart::Mounted(paths[0].clone()),
                        content.clone(),
                        written,
                    );
                    if kind == "cache"
                        && let Some(named) = step.named.last_mut()
                    {
                        named.as_stage = matches!(named.origin, Origin::Stage(_));
                    }
                    (shown, content)
                }
                None if kind == "cache" => continue,
                None => {
                    step.uses_context = true;
                    step.mounts_of_stages.entry(number).or_default().push(false);
                    let path = source.unwrap_or_else(|| ".".into());
                    let context = self.context(item)?;
                    let read = |digest| FolderRead {
                        named: None,
                        root: context.root().to_owned(),
                        part: ContextPart::Mounted(path.clone()),
                        digest,
                    };
                    let reads = host::paths_below(context.root(), [path.as_str()]);
                    if is_written {
                        step.host.writes.extend(reads.clone());
                    }
                    let content = match context.tree(&path) {
                        Ok(tree) => {
                            let digest = (self.keep_tree)(&tree)?;
                            step.reads.push(read(Some(digest.clone())));
                            Content::Files(digest)
                        }
                        // 1.28 mounts an empty folder there, later ones fail: theirs to say.
                        Err(ContextError::NoMatch { .. }) => {
                            step.reads.push(read(None));
                            if self.is_written_before(stage, &reads) {
                                let title = key::title_of(&item.instruction.original);
                                step.unread.get_or_insert(Unread { title, problem: None });
                            }
                            Content::Files(format!("absent {path}"))
                        }
                        Err(error) => {
                            step.always =
                                Some(format!("the files of mount source {path} cannot be told: {error}"));
                            Content::Files(String::new())
                        }
                    };
                    step.host.reads.extend(reads);
                    step.inputs.sources.push(Source {
                        instruction: position,
                        from: "context".into(),
                        paths: paths.clone(),
                        content: content.clone(),
                    });
                    ("context".into(), content)
                }
            };
            step.record.push(InputRecord {
                line: item.instruction.line,
                kind: "mount".into(),
                from: from_shown,
                sources: paths,
                destination,
                digest: shown_content(&content),
            });
        }
        Ok(())
    }

    pub(super) fn origin(
        &self,
        stage: &PreparedStage,
        item: &BodyItem,
        name: &str,
    ) -> anyhow::Result<Origin> {
        let known = match item.place {
            Place::File(number) => stage.stage.origin_of(number, name).cloned(),
            _ => None,
        };
        // A trigger's names are not in the graph: they stand for stages further up that are built, or images.
        Ok(known.unwrap_or_else(|| {
            let above = self.graph.stages[..stage.stage.index].iter();
            let found = above.clone().rfind(|s| s.name == name || name.parse() == Ok(s.position));
            match found.filter(|s| self.graph.needed.contains(&s.index)) {
                Some(stage) => Origin::Stage(stage.index),
                None => Origin::Image(name.to_owned()),
            }
        }))
    }

    /// What is known, before anything runs, of bytes that lie elsewhere.
    pub(super) fn foreign_content(
        &self,
        stage: &PreparedStage,
        item: &BodyItem,
        step: &mut PreparedStep,
        origin: &Origin,
        name: &str,
    ) -> anyhow::Result<(String, Content)> {
        Ok(match origin {
            Origin::Stage(index) => {
                // The key is filled in by `plan`.
                let placeholder = Content::Bytes(String::new());
                (format!("stage {}", self.graph.stages[*index].name), placeholder)
            }
            Origin::Image(image) => {
                let shown = format!("image {image}");
                let found = (self.image_of)(image, stage.stage.platform.as_deref()).map_err(|error| {
                    let hint = match self.graph.later_stage(name, 0) {
                        Some(line) if line > item.instruction.line => format!(
                            "`{name}`: the stage of that name starts further down, in line {line}: a stage can only use those above it"
                        ),
                        _ => format!("no stage or image found with the name `{name}`"),
                    };
                    error.context(self.wrong(item, &hint).to_string())
                });
                let reads: BTreeSet<PathBuf> = host::image_path(image).into_iter().collect();
                let content = match found {
                    Ok(base) => Content::Image(base.image.id.clone()),
                    Err(problem) => {
                        self.unread(stage, step, item, &reads, problem)?;
                        Content::Files(String::new())
                    }
                };
                step.host.reads.extend(reads);
                (shown, content)
            }
            Origin::Named(context) => {
                if let Some(folder) = self.common.absent_contexts.get(context) {
                    let problem =
                        format!("the folder {} of --build-context {context} is not there", folder.display());
                    let reads = BTreeSet::from([host::real(folder)]);
                    self.unread(stage, step, item, &reads, self.wrong(item, &problem))?;
                    step.host.reads.extend(reads);
                }
                (format!("context {context}"), Content::Files(String::new()))
            }
            Origin::Scratch | Origin::Context => (String::new(), Content::Files(String::new())),
        })
    }

    #[allow(
        clippy::too_many_arguments,
        reason = "one place that files a source, called for COPY and for mounts"
    )]
    pub(super) fn add_foreign(
        &self,
        stage: &PreparedStage,
        step: &mut PreparedStep,
        position: usize,
        name: &str,
        origin: Origin,
        from: String,
        paths: Vec<String>,
        part: ContextPart,
        mut content: Content,
        written: Option<String>,
    ) {
        let source = step.inputs.sources.len();
        let mut context = name.to_owned();
        if name.parse::<usize>().is_ok() {
            // 1.28 and 1.39 panic on a number that is no stage of the file at hand, also with a context of that name.
            context = format!("stagecache-{name}");
            step.renames.push(Rename {
                written: written.unwrap_or_else(|| name.to_owned()),
                context: context.clone(),
            });
        }
        if let Origin::Named(named) = &origin {
            if let Some(reader) = self.common.named_contexts.get(named) {
                let reads = host::paths_below(reader.root(), paths.iter().map(String::as_str));
                let tree = reader.part(&part).map_err(anyhow::Error::from);
                content = match tree.and_then(|tree| (self.keep_tree)(&tree)) {
                    Ok(digest) => {
                        let (named, root) = (Some(named.clone()), reader.root().to_owned());
                        step.reads.push(FolderRead { named, root, part, digest: Some(digest.clone()) });
                        Content::Files(digest)
                    }
                    Err(error) => {
                        let why = format!("the files of context {named} cannot be told: {error:#}");
                        if self.is_written_before(stage, &reads) {
                            // The engine says what is wrong with it, should nothing write it.
                            step.unread.get_or_insert(Unread { title: step.title.clone(), problem: None });
                        }
                        step.always = Some(why);
                        Content::Files(String::new())
                    }
                };
                step.host.reads.extend(reads);
            } else if !self.common.absent_contexts.contains_key(named) {
                step.always = Some(format!("the build context {named} is fetched anew each time"));
            }
        } else {
            step.foreign.push(Foreign { source, origin: origin.clone(), paths: paths.clone() });
        }
        if !step.named.iter().any(|named| named.context == context) {
            step.named.push(NamedInput { context, origin, as_stage: false });
        }
        step.inputs.sources.push(Source { instruction: position, from, paths, content });
    }
}

pub(super) fn flag_written(instruction: &Instruction, name: &str) -> Option<String> {
    instruction.flag(name).and_then(|flag| flag.value.clone())
}

pub(super) fn shown_content(content: &Content) -> Option<String> {
    match content {
        Content::Files(digest) | Content::Bytes(digest) if !digest.is_empty() => {
            Some(format!("blake3:{digest}"))
        }
        Content::Image(id) => Some(format!("sha256:{id}")),
        Content::Remote(text) if !text.is_empty() => Some(text.clone()),
        _ => None,
    }
}

/// Notes a mount of what the engine keeps between builds, and whether others have to wait meanwhile.
pub(super) fn note_cache(fields: &[(String, String)], step: &mut PreparedStep) {
    let field = |names: &[&str]| fields.iter().find(|(n, _)| names.contains(&n.as_str())).map(|(_, v)| v);
    // Which of two types counts is the engine's to say.
    if !fields.iter().any(|(name, value)| name == "type" && value == "cache") {
        return;
    }
    step.mounts_cache = true;
    if field(&["sharing"]).is_none_or(|sharing| sharing != "shared") {
        let id = field(&["id"]).or_else(|| field(&["target", "dst", "destination"]));
        step.exclusive.insert(format!("cache {}", id.map_or("", String::as_str)));
    }
}

pub(super) fn is_heredoc(word: &str, instruction: &Instruction) -> bool {
    !instruction.heredocs.is_empty() && word.starts_with("<<")
}

/// A path against the working directory.
pub fn absolute(path: &str, workdir: &str) -> String {
    let joined: Cow<'_, str> = if path.starts_with('/') {
        path.into()
    } else {
        format!("{}/{path}", workdir.trim_end_matches('/')).into()
    };
    let mut clean = crate::containerfile::clean_path(&joined);
    if path.ends_with('/') && !clean.ends_with('/') {
        clean.push('/');
    }
    clean
}
