//! What is built from: context, Containerfile, ignore file, named contexts; and the graph of stages that they make.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};

use crate::containerfile::{Containerfile, Rules as Dialect, Scope, expand_word, read_several};
use crate::context::{ContextError, ContextReader, FileIndex, IgnoreRules, ReadOptions};
use crate::engine::EngineKind;
use crate::flags::values::BuildContext;
use crate::flags::{Platform, UsageError};
use crate::graph::{StageGraph, Surroundings};
use crate::prepare::{self, PreparedStep};
use crate::remote;
use crate::request::BuildRequest;
use crate::session::Session;
use crate::shelf::Shelf;
use crate::source::{self, ContainerfileSource, ContextRules, ContextSource};

/// The files that are built from.
pub struct Sources {
    pub(super) context: ContextSource,
    pub(super) containerfile: ContainerfileSource,
    pub(super) file: Containerfile,
    pub(super) rules: Dialect,
    pub(super) contexts: Contexts,
    pub(super) ignore_file: Option<PathBuf>,
}

/// The folders that are copied from, each file of them looked at once.
#[derive(Debug)]
pub struct Contexts {
    pub(super) reader: ContextReader,
    pub(super) named: BTreeMap<String, ContextReader>,
    /// Folders of named contexts that are not there.
    pub(super) absent: BTreeMap<String, PathBuf>,
    index_folder: PathBuf,
    options: ReadOptions,
}

impl Contexts {
    fn open_named(&mut self, name: &str, folder: &Path) -> Result<(), ContextError> {
        // One that is not there may not be needed, and the engines do not look either (1.28).
        let Ok(found) = fs::canonicalize(folder) else {
            self.absent.insert(name.to_owned(), folder.to_owned());
            return Ok(());
        };
        let index = FileIndex::open(&self.index_folder, &found);
        // buildah applies no ignore file to additional contexts (1.28).
        let reader = ContextReader::new(&found, IgnoreRules::default(), Some(index), self.options)?;
        self.named.insert(name.to_owned(), reader);
        Ok(())
    }

    /// The same folders as they are by now.
    ///
    /// # Errors
    /// When one of them is gone.
    pub(super) fn again(&self) -> Result<Self, ContextError> {
        let named = self.named.iter().map(|(name, reader)| Ok((name.clone(), reader.again()?)));
        let mut contexts = Self {
            reader: self.reader.again()?,
            named: named.collect::<Result<_, ContextError>>()?,
            absent: BTreeMap::new(),
            index_folder: self.index_folder.clone(),
            options: self.options,
        };
        for (name, folder) in &self.absent {
            contexts.open_named(name, folder)?;
        }
        Ok(contexts)
    }

    /// Keeps what was read for the next build; that only saves time.
    pub(super) fn save_indexes(&self, shelf: &Shelf) {
        let readers = std::iter::once(&self.reader).chain(self.named.values());
        for index in readers.filter_map(ContextReader::index) {
            if index.is_later() {
                shelf.leave(index.path());
            }
            if let Some(why) = index.unreadable() {
                shelf.put_aside(index.path(), &why);
            }
            let _ = shelf.kept(index.path(), |_| index.save());
        }
    }
}

/// Context and Containerfile as they were found, not read yet.
pub(super) struct Found {
    pub(super) context: ContextSource,
    pub(super) containerfile: ContainerfileSource,
}

impl Found {
    /// Finds what is named.
    ///
    /// # Errors
    /// When one of them is not there or cannot be read.
    pub(super) fn new(request: &BuildRequest, session: &Session) -> anyhow::Result<Self> {
        let files: Vec<_> = request.files.iter().map(OsString::as_os_str).collect();
        let probed = session.engine.probed();
        let of_contexts =
            ContextRules { engine: probed.kind, hands_on_gits_code: probed.hands_on_gits_code() };
        let (context, from_stdin) = source::context(request.context.as_deref(), &files, of_contexts)?;
        let containerfile = source::containerfile(&files, &context, from_stdin, &request.cpp_flags)?;
        Ok(Self { context, containerfile })
    }
}

impl Sources {
    /// Opens context and Containerfile.
    ///
    /// # Errors
    /// When one of them is not there, cannot be read, or is not a Containerfile.
    pub fn open(request: &BuildRequest, session: &Session) -> anyhow::Result<Self> {
        Self::read(Found::new(request, session)?, request, session)
    }

    /// Reads what was found.
    ///
    /// # Errors
    /// When it is not a Containerfile, or its ignore file or a folder cannot be read.
    pub(super) fn read(found: Found, request: &BuildRequest, session: &Session) -> anyhow::Result<Self> {
        let Found { context, containerfile } = found;
        let probed = session.engine.probed();
        let rules = Dialect::of_buildah(u64::from(probed.buildah.1));
        let bytes = containerfile.bytes.clone();
        let file = read_several(bytes, &containerfile.starts, &containerfile.path, rules)?;
        let names = containerfile.names.iter().map(PathBuf::as_path);
        // podman takes the lines of a named file as they stand (4.3).
        let as_it_stands = probed.kind == EngineKind::Podman;
        let ignore = IgnoreRules::find(&context.folder, names, request.ignore_file.as_deref(), as_it_stands)?;
        let ignore_file =
            ignore.path().map(std::path::absolute).transpose().context("finding the ignore file")?;
        let options = ReadOptions { ignore_file_mode: request.ignore_file_mode };
        let index_folder = session.store.index_folder();
        let index = FileIndex::open(&index_folder, &context.folder);
        let reader = ContextReader::new(&context.folder, ignore, Some(index), options)?;
        let (named, absent) = (BTreeMap::new(), BTreeMap::new());
        let mut contexts = Contexts { reader, named, absent, index_folder, options };
        for (name, value) in &request.contexts {
            if let BuildContext::Url(address) = value {
                remote::repository(address).with_context(|| format!("--build-context {name}"))?;
            }
            if let BuildContext::Dir(folder) = value {
                if folder.to_str().is_none() {
                    bail!(
                        "--build-context {name}={}: the folder's name is not UTF-8; rename it, or link to it",
                        folder.display()
                    );
                }
                contexts.open_named(name, folder)?;
            }
        }
        Ok(Self { context, containerfile, file, rules, contexts, ignore_file })
    }
}

pub(super) fn heading_scope(
    request: &BuildRequest,
    sources: &Sources,
    platform: &Platform,
    host: &Platform,
) -> anyhow::Result<Scope> {
    let args = prepare::build_args(
        request.build_args.clone(),
        &platform.to_string(),
        request.platform_is_arg,
        &host.to_string(),
    )
    .ok_or_else(|| anyhow!("{platform} is not a platform"))?;
    let read = sources.file.stages()?;
    Scope::new(sources.rules, args, &read.heading).map_err(|problem| {
        let place = read.heading.first().map_or(1, |i| i.line);
        anyhow!("{}:{place}: {problem}", sources.containerfile.path.display())
    })
}

pub(super) fn stage_graph(
    request: &BuildRequest,
    sources: &Sources,
    platform: &Platform,
    heading: &Scope,
) -> anyhow::Result<StageGraph> {
    let contexts: BTreeMap<String, Option<String>> = request
        .contexts
        .iter()
        .map(|(name, value)| match value {
            BuildContext::Image(image) => (name.clone(), Some(image.clone())),
            _ => (name.clone(), None),
        })
        .collect();
    let read = sources.file.stages()?;
    // The words of each FROM, expanded as the engine expands them.
    let mut froms: BTreeMap<String, String> = BTreeMap::new();
    for stage in &read.stages {
        let expanded = heading.expanded(stage.from).map_err(|problem| {
            anyhow!(sources.file.point_at(stage.from, &stage.base, problem.to_string(), String::new()))
        })?;
        let words = stage.from.words();
        froms.extend(words.into_iter().zip(expanded.words));
        for (flag, value) in stage.from.flags.iter().zip(&expanded.flags) {
            if let (Some(written), Some(value)) = (&flag.value, &value.value) {
                froms.insert(written.clone(), value.clone());
            }
        }
    }
    let expand_from = |word: &str| Ok(froms.get(word).cloned().unwrap_or_else(|| word.to_owned()));
    let expand_in = |stage: &crate::containerfile::FileStage<'_>, number: usize, word: &str| {
        if !word.contains('$') {
            return Ok(word.to_owned());
        }
        // A name sees the stage's arguments only; what the base sets is not known yet, and the engine does not ask.
        let mut scope = heading.enter_stage(Default::default()).map_err(|e| e.to_string())?;
        for instruction in &stage.body[..number] {
            scope.apply(instruction).map_err(|e| e.to_string())?;
        }
        expand_word(word, &scope.args_in_scope(), sources.rules).map_err(|e| e.to_string())
    };
    let mut graph = StageGraph::new(
        &sources.file,
        &Surroundings {
            expand_from: &expand_from,
            expand_in: &expand_in,
            contexts: &contexts,
            first_base: request.first_base.as_deref(),
            target: request.target.as_deref(),
            skip_unused: request.skip_unused,
        },
    )?;
    for &index in &graph.needed {
        let stage = &mut graph.stages[index];
        let Some(written) = &stage.platform else { continue };
        let own = own_platform(written, sources.rules, platform);
        stage.platform = own.map_err(|problem| {
            let flag = stage.from.flag("platform").and_then(|flag| flag.value.clone()).unwrap_or_default();
            anyhow!(sources.file.point_at(
                &stage.from,
                &flag,
                problem.message,
                problem.way_out.unwrap_or_default()
            ))
        })?;
    }
    Ok(graph)
}

/// The platform that FROM names; to 1.28, which knows no `BUILDARCH` there, what is missing is the build's, and a word
/// alone is nothing.
fn own_platform(written: &str, rules: Dialect, of_build: &Platform) -> Result<Option<String>, UsageError> {
    if rules >= Dialect::Buildah39 {
        if written.is_empty() {
            return Err(UsageError::new("no value specified for --platform="));
        }
        return written.parse().map(|platform: Platform| Some(platform.to_string()));
    }
    if written.is_empty() {
        return Ok(None);
    }
    if !written.contains('/') && written != "local" {
        let fault = format!("invalid platform syntax for --platform={written:?}");
        return Err(
            UsageError::new(fault).with_way_out("write os/arch or os/arch/variant, for example linux/arm64")
        );
    }
    let (os, rest) = written.split_once('/').unwrap_or((written, ""));
    let parts = match (os, rest) {
        (_, "") | ("", _) if written != "local" => {
            let or =
                |part: &str, other: &str| if part.is_empty() { other.to_owned() } else { part.to_owned() };
            let variant = if rest.is_empty() { of_build.variant.as_str() } else { "" };
            let whole = format!("{}/{}/{variant}", or(os, &of_build.os), or(rest, &of_build.arch));
            whole.trim_end_matches('/').to_owned()
        }
        _ => written.to_owned(),
    };
    parts.parse().map(|platform: Platform| Some(platform.to_string()))
}

pub(super) fn named_values(request: &BuildRequest) -> BTreeMap<String, String> {
    request
        .contexts
        .iter()
        .filter_map(|(name, value)| {
            let value = match value {
                BuildContext::Image(_) => return None,
                BuildContext::Url(url) => url.clone(),
                BuildContext::Dir(folder) => {
                    fs::canonicalize(folder).unwrap_or_else(|_| folder.clone()).to_string_lossy().into_owned()
                }
            };
            Some((name.clone(), value))
        })
        .collect()
}

impl Contexts {
    /// Whether what a step takes of contexts and servers is still what was read of it.
    pub(super) fn are_as_read(&self, step: &PreparedStep) -> bool {
        let same =
            |(url, identity): &(String, String)| remote::identity(url).is_ok_and(|now| now == *identity);
        let folders = step.reads.iter().all(|read| {
            let reader = match &read.named {
                Some(name) => self.named.get(name),
                None => Some(&self.reader),
            };
            reader.is_some_and(|reader| reader.is_as_read(&read.part, read.digest.as_deref()))
        });
        folders && step.remotes.iter().all(same)
    }
}
