//! `build`: the pipeline.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::thread;

use anyhow::{Context, anyhow};
use jiff::Timestamp;

use crate::bases::{BaseImage, Bases};
use crate::containerfile::{Containerfile, PREDEFINED_ARGS, Rules as Dialect, Scope, expand_word, parse};
use crate::context::{ContextReader, CopiedTree, FileIndex, IgnoreRules, ReadOptions};
use crate::engine::{self, CopiedRequest, Engine, Listing, Version};
use crate::event::BuildFailure;
use crate::execute::{Executed, Execution, StageOutcome, execute};
use crate::flags::values::BuildContext;
use crate::flags::{BuildFlags, Leading, Platform, check_engine, flags_in_help, parse_build};
use crate::graph::{StageGraph, Surroundings};
use crate::image::ImageId;
use crate::key::{StepInputs, StepKey};
use crate::names;
use crate::plan::{Known, Plan, Rules};
use crate::prepare::{self, Common, PreparedStage, PreparedStep, prepare};
use crate::process;
use crate::record::{BuildRecord, BuildStatus, ResultRecord, StageStatus};
use crate::recording;
use crate::remote;
use crate::report::progress::{Progress, Style};
use crate::request::{BuildRequest, KeepStages, stage_version};
use crate::session::Session;
use crate::source::{self, ContainerfileSource, ContextSource};
use crate::step_text::{Labelling, Labels, containerfiles};
use crate::store::{Entry, Nearest, RecordFile, StageNearest, Store};
use crate::tip;
use crate::upkeep::{self, Leftovers};

/// Builds; the result is the process's exit code.
///
/// # Errors
/// When nothing could be built; a failing step is an error of type [`BuildFailure`].
pub fn run(leading: Leading, args: &[OsString]) -> anyhow::Result<()> {
    let (session, flags) = open(leading, args)?;
    let request = BuildRequest::new(&flags, session.engine.probed())?;
    process::watch_signals().context("listening for signals")?;
    build(&session, &request).map(drop)
}

/// Builds what is asked for, for each platform, with the engine that the session has.
///
/// # Errors
/// As [`run`].
pub fn build(session: &Session, request: &BuildRequest) -> anyhow::Result<Vec<BuildResult>> {
    let mut results = Vec::new();
    // Nothing is pruned from under a build.
    let lock = session.store.lock_shared(upkeep::LOCK)?;
    let sources = Sources::open(request, session)?;
    for platform in &request.platforms {
        let build = Build::new(session, request, &sources, platform)?;
        results.push(build.run()?);
    }
    finish(session, request, &results)?;
    drop(lock);
    keep_small(session, request, &results)?;
    Ok(results)
}

/// Removes what the builds have no use for any more, and holds the cache below its bound where something was built.
fn keep_small(session: &Session, request: &BuildRequest, results: &[BuildResult]) -> anyhow::Result<()> {
    let stages = || results.iter().flat_map(|result| &result.record.stages);
    let in_use: BTreeSet<&ImageId> = stages().flat_map(recording::images).collect();
    for result in results {
        if let Err(error) =
            upkeep::clear_away(session.engine.as_ref(), &session.store, &result.leftovers, &in_use)
        {
            eprintln!("warning: images of earlier builds are not removed: {error:#}");
        }
    }
    if !stages().any(|stage| stage.status == StageStatus::Built) {
        return Ok(());
    }
    let own: Vec<String> = stages().filter_map(|stage| stage.image_name.clone()).collect();
    match upkeep::enforce(session.engine.as_ref(), &session.store, request.keep_storage, &own) {
        // The build is done and its image is there: what is too much is removed another time.
        Err(error) => eprintln!("warning: the cache is not kept small: {error:#}"),
        Ok(Some(removal)) if !request.quiet => {
            let freed = crate::report::table::bytes(removal.bytes);
            eprintln!(
                "removed {} stage images, {freed}, to keep the cache small (--keep-storage)",
                removal.names.len()
            );
        }
        Ok(_) => {}
    }
    Ok(())
}

/// Reads the command line for the engine that it asks for.
///
/// # Errors
/// When there is no such engine, or it lacks a flag.
pub fn open(leading: Leading, args: &[OsString]) -> anyhow::Result<(Session, BuildFlags)> {
    // The engine is known only when all flags are read, and what an unknown flag is only the engine knows.
    let help = std::cell::OnceCell::new();
    let known = |name: &str| {
        let flags = help.get_or_init(|| {
            let wanted =
                args.iter().find_map(|arg| arg.to_str()?.strip_prefix("--engine=").map(str::to_owned));
            let (_, program) = engine::find(wanted.as_deref().unwrap_or("auto")).ok()?;
            engine::build_help(&program).ok().map(|text| flags_in_help(&text))
        });
        flags.as_ref().and_then(|flags| flags.get(name).copied())
    };
    let flags = parse_build(args, &known)?.after(leading);
    let session = Session::open(flags.value("engine"), flags.globals())?;
    let probed = session.engine.probed();
    check_engine(&flags, probed.kind, probed.buildah.release())?;
    Ok((session, flags))
}

/// The files that are built from.
pub struct Sources {
    context: ContextSource,
    containerfile: ContainerfileSource,
    file: Containerfile,
    rules: Dialect,
    reader: ContextReader,
    ignore_file: Option<PathBuf>,
    named: BTreeMap<String, ContextReader>,
}

impl Sources {
    /// Opens context and Containerfile.
    ///
    /// # Errors
    /// When one of them is not there, cannot be read, or is not a Containerfile.
    pub fn open(request: &BuildRequest, session: &Session) -> anyhow::Result<Self> {
        let (context, from_stdin) =
            source::context(request.context.as_deref(), session.engine.probed().kind)?;
        let files: Vec<_> = request.files.iter().map(OsString::as_os_str).collect();
        let containerfile = source::containerfile(&files, &context, from_stdin, &request.cpp_flags)?;
        let rules = Dialect::of_buildah(u64::from(session.engine.probed().buildah.1));
        let file = parse(containerfile.bytes.clone(), &containerfile.path, rules.dialect())?;
        let names = containerfile.names.iter().map(PathBuf::as_path);
        let ignore = IgnoreRules::find(&context.folder, names, request.ignore_file.as_deref())?;
        let ignore_file =
            ignore.path().map(std::path::absolute).transpose().context("finding the ignore file")?;
        let options = ReadOptions { ignore_file_mode: request.ignore_file_mode };
        let index = FileIndex::open(&session.store.index_folder(), &context.folder);
        let reader = ContextReader::new(&context.folder, ignore, Some(index), options)?;
        let mut named = BTreeMap::new();
        for (name, value) in &request.contexts {
            if let BuildContext::Dir(folder) = value {
                // One that is not there may not be needed; a step that does ask for it fails.
                let Ok(folder) = fs::canonicalize(folder) else { continue };
                let index = FileIndex::open(&session.store.index_folder(), &folder);
                // buildah applies no ignore file to additional contexts (1.28).
                named.insert(
                    name.clone(),
                    ContextReader::new(&folder, IgnoreRules::default(), Some(index), options)?,
                );
            }
        }
        Ok(Self { context, containerfile, file, rules, reader, ignore_file, named })
    }
}

impl Sources {
    /// Whether what a step takes of contexts and servers is still what was read of it.
    fn are_as_read(&self, step: &PreparedStep) -> bool {
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

/// A finished build for one platform.
pub struct BuildResult {
    /// The target's image.
    pub image: ImageId,
    /// Its platform.
    pub platform: String,
    /// What was decided and done.
    pub record: BuildRecord,
    leftovers: Leftovers,
}

/// One build for one platform, up to its plan.
pub struct Build<'a> {
    session: &'a Session,
    request: &'a BuildRequest,
    sources: &'a Sources,
    platform: &'a Platform,
    graph: StageGraph,
    prepared: BTreeMap<usize, PreparedStage>,
    plan: Plan,
    bases: Bases<'a>,
    listing: Listing,
    identity: String,
    build_id: String,
    nearest: Nearest,
}

impl<'a> Build<'a> {
    /// Parses, resolves, gathers and decides; runs nothing.
    ///
    /// # Errors
    /// When the file is not valid, an image cannot be had, or a source is missing.
    pub fn new(
        session: &'a Session,
        request: &'a BuildRequest,
        sources: &'a Sources,
        platform: &'a Platform,
    ) -> anyhow::Result<Self> {
        let engine = session.engine.as_ref();
        let host = Platform::host();
        let heading = heading_scope(request, sources, platform, &host)?;
        let graph = stage_graph(request, sources, &heading)?;
        let mut listing = engine.list()?;
        let bases = Bases::new(engine, &session.store, request.pull, request.pull_flags.clone());
        let wanted = platform.to_string();
        let for_platform = request.platform_given.then_some(wanted.as_str());
        for name in prepare::images_named(&graph) {
            // Errors are told where the name stands, by `prepare`.
            let _ = bases.resolve(&mut listing, &name, for_platform);
        }
        let listed = std::cell::RefCell::new(listing);
        let image_of = |name: &str| bases.resolve(&mut listed.borrow_mut(), name, for_platform);
        let read = sources.file.stages()?;
        let common = Common {
            file: &sources.file,
            read: &read,
            heading: &heading,
            context: Some(&sources.reader),
            named_contexts: &sources.named,
            image_format: request.format,
            layers: request.layers,
            target_in_one_call: request.target_in_one_call,
            platform: wanted.clone(),
            key_flags: request.key_flags.clone(),
            target_flags: request.target_flags_keyed.clone(),
            target_labels: target_labels(request, session.engine.probed().buildah),
            remote: &remote::identity,
            secrets: Vec::new(),
        };
        let keep_tree = |tree: &CopiedTree| -> anyhow::Result<String> {
            let digest = tree.digest().to_hex();
            session.store.put_tree(&digest, tree)?;
            Ok(digest)
        };
        let prepared = prepare(&graph, &common, &image_of, &keep_tree)?;
        let _ = sources.reader.save_index();
        for reader in sources.named.values() {
            let _ = reader.save_index();
        }
        let listing = listed.into_inner();
        let containerfile = match &sources.containerfile.real {
            Some(path) => sources.context.identity_of(path),
            None => blake3::hash(&sources.containerfile.bytes).to_hex().to_string(),
        };
        let context = sources.context.identity_of(&sources.context.folder);
        let identity = request.identity(&context, &containerfile, &wanted);
        let nearest = session.store.nearest(&identity);
        let build_id = request.build_id.clone().unwrap_or_else(|| uuid::Uuid::now_v7().to_string());
        let changed = sources.reader.changed_while_read();
        let rules = Rules {
            no_cache: request.no_cache || !changed.is_empty(),
            no_cache_stages: request.no_cache_stages.clone(),
            time_to_live: request.time_to_live,
            now: Timestamp::now(),
            nonce: build_id.clone(),
        };
        let known = StoredKnowledge { store: &session.store, listing: &listing, nearest: &nearest, engine };
        let plan = Plan::new(&prepared, &known, &rules);
        Ok(Self {
            session,
            request,
            sources,
            platform,
            graph,
            prepared,
            plan,
            bases,
            listing,
            identity,
            build_id,
            nearest,
        })
    }

    /// The stages that are built, with their verdicts.
    pub fn planned(&self) -> impl Iterator<Item = (&PreparedStage, &crate::plan::StagePlan)> {
        self.prepared.iter().map(|(index, stage)| (stage, &self.plan.stages[index]))
    }

    /// All stages of the file.
    pub fn graph(&self) -> &StageGraph {
        &self.graph
    }

    /// The platform.
    pub fn platform(&self) -> &Platform {
        self.platform
    }

    /// Every stage as it is really built.
    pub fn containerfiles(&self) -> Vec<u8> {
        let labelling = self.labelling();
        let unset = &self.request.tip_flags.unset_labels;
        let labels = Labels { labelling: &labelling, unset, target: self.graph.target };
        containerfiles(&self.sources.file, &self.prepared, &self.plan, &labels)
    }

    /// Runs what has to run, and writes down what came of it.
    ///
    /// # Errors
    /// When a step fails or something cannot be written.
    pub fn run(mut self) -> anyhow::Result<BuildResult> {
        let progress = self.progress()?;
        for warning in self
            .request
            .warnings
            .iter()
            .chain(&self.sources.containerfile.warnings)
            .chain(&self.not_consumed())
        {
            progress.warn(warning);
        }
        if self.request.print_containerfiles {
            progress.text(&self.containerfiles());
        }
        if let Some(path) = &self.request.build_id_file {
            fs::write(path, &self.build_id)
                .with_context(|| format!("writing --build-id-file {}", path.display()))?;
        }
        let record = recording::start(&recording::Start {
            build_id: &self.build_id,
            probed: self.session.engine.probed(),
            request: self.request,
            context: &self.sources.context.folder,
            containerfile: self.sources.containerfile.real.as_deref(),
            bytes: &self.sources.containerfile.bytes,
            ignore_file: self.sources.ignore_file.as_deref(),
            platform: &self.platform.to_string(),
            graph: &self.graph,
            prepared: &self.prepared,
            plan: &self.plan,
        });
        let record = self.session.store.start_record(record)?;
        let request = self.request;
        let executed = self.execute(&progress, &record);
        let result = executed.and_then(|executed| self.conclude(executed, &progress, &record));
        if let Err(error) = &result {
            let failed = record.finish(|r| {
                if r.status == BuildStatus::Running {
                    recording::failed(r, &format!("{error:#}"), process::interrupted());
                }
            })?;
            write_metadata(request, &failed)?;
        }
        result
    }

    /// Build arguments that no ARG of the file takes.
    fn not_consumed(&self) -> Vec<String> {
        let given = self.request.build_args.keys();
        let left: Vec<&str> = given
            .filter(|name| !PREDEFINED_ARGS.contains(&name.as_str()) && !self.is_declared(name))
            .map(String::as_str)
            .collect();
        if left.is_empty() {
            return Vec::new();
        }
        vec![format!("one or more build args were not consumed: [{}]", left.join(" "))]
    }

    fn is_declared(&self, name: &str) -> bool {
        let scopes = self.prepared.values().filter_map(|stage| stage.scopes.last());
        scopes.into_iter().any(|scope| scope.is_declared(name) || scope.heading().contains_key(name))
    }

    fn progress(&self) -> anyhow::Result<Progress> {
        let style = match self.request.progress.as_deref() {
            Some("quiet") => Style::Quiet,
            Some("rawjson") => Style::RawJson,
            _ if self.request.quiet => Style::Quiet,
            _ => Style::Plain,
        };
        let log = match &self.request.log_file {
            Some(path) => Some(
                fs::File::options()
                    .create(true)
                    .append(true)
                    .open(path)
                    .with_context(|| format!("opening --logfile {}", path.display()))?,
            ),
            None => None,
        };
        let mut progress = Progress::new(style, log);
        progress.stages(self.prepared.iter().map(|(index, stage)| (*index, stage)));
        Ok(progress)
    }

    fn execute(&mut self, progress: &Progress, record: &RecordFile) -> anyhow::Result<Executed> {
        // As the engines: their temporary files can be as large as layers.
        let temporary = std::env::var_os("TMPDIR").map_or_else(|| "/var/tmp".into(), PathBuf::from);
        let scratch = tempfile::Builder::new()
            .prefix("stagecache-build-")
            .tempdir_in(temporary)
            .context("making a folder for the build (free some space, or set TMPDIR)")?;
        let images = ResolvedImages(self.bases.all().into_iter().collect());
        let resolve = |name: &str| images.get(name);
        let mut step_flags = self.request.step_flags.clone();
        if self.request.platform_given && self.request.platforms.len() > 1 || self.has_platform_flag() {
            step_flags.push(format!("--platform={}", self.platform).into());
        }
        let execution = Execution {
            engine: self.session.engine.as_ref(),
            store: &self.session.store,
            file: &self.sources.file,
            prepared: &self.prepared,
            plan: &self.plan,
            target: self.graph.target,
            images: &resolve,
            jobs: self.request.jobs,
            context: &self.sources.context.folder,
            is_as_read: &|step| self.sources.are_as_read(step),
            ignore_file: self.sources.ignore_file.clone(),
            named_contexts: named_values(self.request),
            flags: step_flags,
            target_flags: self.request.target_flags.clone(),
            format: self.request.format,
            rules: self.sources.rules,
            tip_flags: self.request.tip_flags.clone(),
            target_tip_flags: self.request.target_tip_flags.clone(),
            labelling: self.labelling(),
            build_id: self.build_id.clone(),
            stdin: self.request.stdin,
            scratch: scratch.path(),
        };
        let listing = std::mem::take(&mut self.listing);
        let (sender, events) = mpsc::channel();
        let executed = thread::scope(|scope| {
            let running = scope.spawn(|| execute(&execution, listing, sender));
            let mut trouble = None;
            for event in events {
                progress.show(&event);
                if let Err(error) = recording::note(record, &event) {
                    trouble.get_or_insert(error);
                }
            }
            let executed = running.join().map_err(|_| anyhow!("a stage's thread panicked"))?;
            match trouble {
                Some(error) if executed.failure.is_none() => Err(error),
                _ => Ok(executed),
            }
        })?;
        Ok(executed)
    }

    fn labelling(&self) -> Labelling {
        let probed = self.session.engine.probed();
        Labelling {
            stage_labels: self.request.stage_labels,
            build_id: self.request.build_id_label.then(|| self.build_id.clone()),
            save_stages: self.request.save_stages,
            engine_version: stage_version(probed.buildah, &probed.buildah_version),
            target_is_named: !self.request.names.is_empty(),
            user_labels: self.request.labels.iter().map(|(key, _)| key.clone()).collect(),
        }
    }

    fn has_platform_flag(&self) -> bool {
        self.request.platform_given
            && !self.request.step_flags.iter().any(|f| f.to_string_lossy().starts_with("--arch="))
            && !self.request.step_flags.iter().any(|f| f.to_string_lossy().starts_with("--os="))
            && !self.request.step_flags.iter().any(|f| f.to_string_lossy().starts_with("--variant="))
    }

    fn conclude(
        self,
        executed: Executed,
        progress: &Progress,
        record: &RecordFile,
    ) -> anyhow::Result<BuildResult> {
        let engine = self.session.engine.as_ref();
        self.keep_nearest(&executed)?;
        if let Some(failure) = executed.failure {
            let interrupted = matches!(failure, BuildFailure::Interrupted);
            self.hold_unfinished(&executed.listing, &executed.stages)?;
            record.finish(|r| recording::failed(r, &failure.to_string(), interrupted))?;
            return Err(failure.into());
        }
        let target =
            executed.stages.get(&self.graph.target).ok_or_else(|| anyhow!("the target was not built"))?;
        let image = target.leaf.clone();
        let wanted: Vec<String> = self.request.names.iter().map(|name| names::full(name)).collect();
        let missing: Vec<String> =
            wanted.iter().filter(|name| executed.listing.named(name) != Some(&image)).cloned().collect();
        let parked = self.park(&executed.listing, &missing, &image)?;
        if !missing.is_empty() {
            engine.tag(&image, &missing)?;
        }
        // Each has been moved to an image that has another name, so only the name goes.
        let mut leftover = executed.leftover_names.clone();
        leftover.extend(self.release_unfinished(&executed)?);
        if !leftover.is_empty()
            && let Err(error) = engine.remove(&leftover)
        {
            progress.warn(&format!("names of the build in progress are not removed: {error}"));
        }
        let parked = parked.into_iter().map(|(stage, name)| (format!("{stage} (parked)"), name)).collect();
        // What is parked is older than what this build made: the last of a list are kept longest.
        let mut kept: Vec<(String, String)> = parked;
        kept.extend(executed.stages.iter().filter_map(|(index, outcome)| {
            Some((self.graph.stages[*index].name.clone(), outcome.name.clone()?))
        }));
        if self.request.save_stages {
            let unnamed = self.park_unnamed(&executed)?;
            kept.extend(unnamed.into_iter().map(|(stage, name)| (format!("{stage} (parked)"), name)));
        }
        self.check_saved(&executed)?;
        let leftovers = Leftovers { names: self.retire(&kept)?, images: executed.passing.clone() };
        let stored = engine.image(&image)?;
        let mut built = blake3::Hasher::new();
        for outcome in executed.stages.values() {
            built.update(&outcome.built);
        }
        let record = record.finish(|r| {
            r.status = BuildStatus::Succeeded;
            r.ended = Some(Timestamp::now().to_string());
            r.request.built_digest = format!("blake3:{}", built.finalize().to_hex());
            r.result = Some(ResultRecord {
                image: image.clone(),
                digest: stored.digest.clone(),
                names: wanted.clone(),
                diff_ids: stored.diff_ids(),
            });
        })?;
        let ran = record.stages.iter().filter(|s| s.status == StageStatus::Built).count();
        progress.note(&format!(
            "built {} ({} of {} stages ran), build {}",
            image.short(),
            ran,
            record.stages.iter().filter(|s| s.status != StageStatus::Skipped).count(),
            self.build_id
        ));
        Ok(BuildResult { image, platform: self.platform.to_string(), record, leftovers })
    }

    /// Keeps the names of the newest steps of stages that were not finished.
    fn hold_unfinished(
        &self,
        listing: &Listing,
        finished: &BTreeMap<usize, Arc<StageOutcome>>,
    ) -> anyhow::Result<()> {
        let unfinished = self.prepared.iter().filter(|(index, _)| !finished.contains_key(index));
        let names: Vec<(String, String)> = unfinished
            .map(|(_, stage)| {
                (unfinished_of(&stage.stage.name), names::building_name(&stage.stage.name, &self.build_id))
            })
            .filter(|(_, name)| listing.named(name).is_some())
            .collect();
        if !names.is_empty() {
            self.session.store.keep_names(&self.identity, &names, usize::MAX)?;
        }
        Ok(())
    }

    /// Moves the names that earlier builds' unfinished stages hold to the stages that are finished now, and returns them:
    /// they can be removed then without removing an image.
    fn release_unfinished(&self, executed: &Executed) -> anyhow::Result<Vec<String>> {
        let mut released = Vec::new();
        for (index, outcome) in &executed.stages {
            let stage = &self.graph.stages[*index].name;
            let held = self.session.store.names_of(&self.identity, &unfinished_of(stage));
            let there: Vec<String> =
                held.iter().filter(|name| executed.listing.named(name).is_some()).cloned().collect();
            if outcome.name.is_some() && !there.is_empty() {
                self.session.engine.tag(&outcome.named, &there)?;
                released.extend(there);
            }
            if !held.is_empty() {
                self.session.store.forget_names(&held)?;
            }
        }
        Ok(released)
    }

    /// The keys for next time; stages that were not reached keep those of last time.
    fn keep_nearest(&self, executed: &Executed) -> anyhow::Result<()> {
        let mut nearest = Nearest::default();
        for (&index, stage) in &self.prepared {
            let name = &stage.stage.name;
            let plan = &self.plan.stages[&index];
            let all =
                || plan.steps.iter().map(|s| s.key.clone()).chain([plan.key.clone()]).collect::<Vec<_>>();
            let steps: Vec<StepKey> = if executed.stages.contains_key(&index) {
                all()
            } else {
                let done: Vec<StepKey> =
                    all().into_iter().take_while(|key| self.session.store.entry(key).is_some()).collect();
                let before = self.nearest.stage(name, index).map(|s| s.steps.clone()).unwrap_or_default();
                done.iter().cloned().chain(before.into_iter().skip(done.len())).collect()
            };
            nearest.stages.insert(index, StageNearest { name: name.clone(), steps });
        }
        if nearest != self.nearest {
            self.session.store.put_nearest(&self.identity, &nearest)?;
        }
        Ok(())
    }

    /// Gives a name of ours to labelled targets that lose their last name to this build.
    fn park(
        &self,
        listing: &Listing,
        taken: &[String],
        image: &ImageId,
    ) -> anyhow::Result<Vec<(String, String)>> {
        let mut parked = Vec::new();
        let losers: BTreeSet<ImageId> =
            taken.iter().filter_map(|name| listing.named(name)).filter(|id| *id != image).cloned().collect();
        for id in losers {
            let left = listing.get(&id).map_or(0, |i| i.names.iter().filter(|n| !taken.contains(n)).count());
            if left > 0 {
                continue;
            }
            let stored = self.session.engine.image(&id)?;
            if let Some(stage) = stored.label(tip::STAGE_NAME) {
                let name = names::leaf_name(stage, &id, &[]);
                self.session.engine.tag(&id, std::slice::from_ref(&name))?;
                parked.push((stage.to_owned(), name));
            }
        }
        Ok(parked)
    }

    /// With `--save-stages`: unnamed labelled images of earlier builds get names, so that the unnamed ones are this
    /// build's alone; SBOM tools take the first that they find.
    fn park_unnamed(&self, executed: &Executed) -> anyhow::Result<Vec<(String, String)>> {
        let engine = self.session.engine.as_ref();
        let current: BTreeSet<&ImageId> = executed.stages.values().map(|outcome| &outcome.leaf).collect();
        let mut parked = Vec::new();
        for (id, listed) in executed.listing.iter() {
            if !listed.names.is_empty() || current.contains(id) {
                continue;
            }
            // One that vanished meanwhile is in nobody's way.
            let Ok(stored) = engine.image(id) else { continue };
            if let Some(stage) = stored.label(tip::STAGE_NAME) {
                let name = names::leaf_name(stage, id, &[]);
                engine.tag(id, std::slice::from_ref(&name))?;
                parked.push((stage.to_owned(), name));
            }
        }
        Ok(parked)
    }

    /// With `--save-stages`: exactly one unnamed image for each stage, or the build fails loudly.
    fn check_saved(&self, executed: &Executed) -> anyhow::Result<()> {
        if !(self.request.save_stages && self.request.stage_labels) {
            return Ok(());
        }
        let engine = self.session.engine.as_ref();
        let listing = engine.list()?;
        for (index, outcome) in &executed.stages {
            let stage = &self.graph.stages[*index].name;
            let named = listing.get(&outcome.leaf).is_some_and(|listed| !listed.names.is_empty());
            if named && *index != self.graph.target {
                anyhow::bail!(
                    "--save-stages: the image {} of stage {stage} has a name, and SBOM tools pass over it; \
                     remove the name, or build with --no-cache",
                    outcome.leaf.short()
                );
            }
            let others = listing.iter().filter(|(id, listed)| {
                listed.names.is_empty()
                    && **id != outcome.leaf
                    && engine.image(id).is_ok_and(|i| i.label(tip::STAGE_NAME) == Some(stage))
            });
            if let Some((id, _)) = others.into_iter().next() {
                anyhow::bail!(
                    "--save-stages: image {} has no name and the label of stage {stage} too, and SBOM tools could pick it; \
                     remove it, or give it a name",
                    id.short()
                );
            }
        }
        Ok(())
    }

    /// Adds this build's names to those that are kept, and returns the ones that fall out.
    fn retire(&self, kept: &[(String, String)]) -> anyhow::Result<Vec<String>> {
        let keep = match self.request.keep_stages {
            KeepStages::All => usize::MAX,
            KeepStages::Last(n) => n,
        };
        self.session.store.keep_names(&self.identity, kept, keep)
    }
}

fn finish(session: &Session, request: &BuildRequest, results: &[BuildResult]) -> anyhow::Result<()> {
    if let Some(list) = &request.manifest {
        manifest(session, list, results)?;
    }
    for result in results {
        export(session, request, &result.image)?;
    }
    let Some(last) = results.last() else { return Ok(()) };
    write_metadata(request, &last.record)?;
    if let Some(path) = &request.iid_file {
        fs::write(path, format!("sha256:{}", last.image))
            .with_context(|| format!("writing --iidfile {}", path.display()))?;
    }
    if let Some(path) = &request.iid_file_raw {
        fs::write(path, last.image.as_str())
            .with_context(|| format!("writing --iidfile-raw {}", path.display()))?;
    }
    if request.iid_file.is_none() && request.iid_file_raw.is_none() {
        for result in results {
            crate::report::print(&format!("{}\n", result.image))?;
        }
    }
    Ok(())
}

/// Writes the record where `--metadata-file` says, of a failed build as well: why it failed stands in it.
fn write_metadata(request: &BuildRequest, record: &BuildRecord) -> anyhow::Result<()> {
    let Some(path) = &request.metadata_file else { return Ok(()) };
    let bytes = serde_json::to_vec_pretty(record).context("writing the record")?;
    crate::atomic::write(path, &bytes).with_context(|| format!("writing --metadata-file {}", path.display()))
}

/// Writes the image's files where `--output` says.
fn export(session: &Session, request: &BuildRequest, image: &ImageId) -> anyhow::Result<()> {
    if request.outputs.is_empty() {
        return Ok(());
    }
    let folder =
        tempfile::Builder::new().prefix("stagecache-output-").tempdir().context("making a folder")?;
    let containerfile = folder.path().join("Containerfile");
    fs::write(&containerfile, format!("FROM {image}\n")).context("writing a Containerfile")?;
    for output in &request.outputs {
        let mark = format!("stagecache-{}", uuid::Uuid::now_v7());
        let mut args: Vec<OsString> = [
            "build",
            "--quiet",
            "--no-cache",
            "--pull=never",
            "--rm=true",
            "--force-rm=true",
            "--layers=false",
        ]
        .map(OsString::from)
        .to_vec();
        args.push(engine_flag("output", output));
        args.push(engine::marked(&mark));
        args.push(engine_flag("iidfile", folder.path().join("iid").as_os_str()));
        args.push(engine_flag("file", containerfile.as_os_str()));
        args.push(folder.path().into());
        session.engine.pass_through("build --output", &args)?;
        session.engine.sweep(&mark)?;
    }
    Ok(())
}

fn engine_flag(name: &str, value: &std::ffi::OsStr) -> OsString {
    let mut flag = OsString::from(format!("--{name}="));
    flag.push(value);
    flag
}

/// Adds the images to a manifest list, which is made where it is not there.
fn manifest(session: &Session, list: &str, results: &[BuildResult]) -> anyhow::Result<()> {
    let create: Vec<OsString> = ["manifest", "create", list].map(OsString::from).to_vec();
    if session.engine.quietly("manifest create", &create).is_err() {
        let inspect: Vec<OsString> = ["manifest", "inspect", list].map(OsString::from).to_vec();
        session
            .engine
            .quietly("manifest inspect", &inspect)
            .with_context(|| format!("--manifest={list}: it is there and is no manifest list"))?;
    }
    for result in results {
        let image = format!("containers-storage:{}", result.image);
        let add: Vec<OsString> = ["manifest", "add", list, &image].map(OsString::from).to_vec();
        session
            .engine
            .quietly("manifest add", &add)
            .with_context(|| format!("adding {} to {list}", result.platform))?;
    }
    Ok(())
}

fn heading_scope(
    request: &BuildRequest,
    sources: &Sources,
    platform: &Platform,
    host: &Platform,
) -> anyhow::Result<Scope> {
    let args = prepare::build_args(
        request.build_args.clone(),
        &platform.to_string(),
        request.platform_given,
        &host.to_string(),
    )
    .ok_or_else(|| anyhow!("{platform} is not a platform"))?;
    let read = sources.file.stages()?;
    Scope::new(sources.rules, args, &read.heading).map_err(|problem| {
        let place = read.heading.first().map_or(1, |i| i.line);
        anyhow!("{}:{place}: {problem}", sources.containerfile.path.display())
    })
}

fn stage_graph(request: &BuildRequest, sources: &Sources, heading: &Scope) -> anyhow::Result<StageGraph> {
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
    Ok(StageGraph::new(
        &sources.file,
        &Surroundings {
            expand_from: &expand_from,
            expand_in: &expand_in,
            contexts: &contexts,
            first_base: request.first_base.as_deref(),
            target: request.target.as_deref(),
            skip_unused: request.skip_unused,
        },
    )?)
}

/// Under what the names of a stage in progress are kept.
fn unfinished_of(stage: &str) -> String {
    format!("{stage} (unfinished)")
}

/// `--label` as the LABEL instructions that the engine adds: one for each before 1.30, one for all from there on.
fn target_labels(request: &BuildRequest, buildah: Version) -> Vec<String> {
    let instruction = |pairs: &[(String, String)]| crate::render::label_instruction(pairs, b'\\');
    if buildah < Version(1, 30, 0) {
        return request.labels.chunks(1).map(instruction).collect();
    }
    if request.labels.is_empty() { Vec::new() } else { vec![instruction(&request.labels)] }
}

fn named_values(request: &BuildRequest) -> BTreeMap<String, String> {
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

struct ResolvedImages(BTreeMap<String, BaseImage>);

impl ResolvedImages {
    fn get(&self, name: &str) -> anyhow::Result<BaseImage> {
        self.0.get(name).cloned().ok_or_else(|| anyhow!("image {name} was not resolved"))
    }
}

/// What `plan` asks about earlier builds, answered from the store and the listing.
struct StoredKnowledge<'a> {
    store: &'a Store,
    listing: &'a Listing,
    nearest: &'a Nearest,
    engine: &'a dyn Engine,
}

impl Known for StoredKnowledge<'_> {
    fn entry(&self, key: &StepKey) -> Option<Entry> {
        self.store.entry(key)
    }

    fn has_image(&self, id: &ImageId) -> bool {
        if self.listing.contains(id) {
            return true;
        }
        // Pruned, but its layers may lie below an image that was not.
        let kept = self.store.image(id).and_then(|kept| kept.stored().ok());
        kept.is_some_and(|image| self.engine.has_layers(&image.diff_ids()))
    }

    fn nearest(&self, stage: &str, index: usize, step: usize) -> Option<StepInputs> {
        let key = self.nearest.stage(stage, index)?.steps.get(step)?;
        self.store.entry(key).map(|entry| entry.inputs)
    }

    fn files(&self, old: &str, new: &str) -> Option<String> {
        let old: CopiedTree = self.store.tree(old)?;
        let new: CopiedTree = self.store.tree(new)?;
        Some(CopiedTree::diff(&old, &new).to_string())
    }

    fn copied(&self, request: &CopiedRequest) -> Option<String> {
        self.engine.copied(request)
    }
}
