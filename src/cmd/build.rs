//! `build`: the pipeline.

mod around;
mod attempt;
mod conclude;
mod knowledge;
mod naming;
mod output;
mod rounds;
mod sources;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use jiff::Timestamp;

use self::around::{are_there, keep_small, sweep};
use self::attempt::Attempt;
use self::knowledge::StoredKnowledge;
use self::output::{finish, is_free_for_list, write_metadata};
pub use self::sources::{Contexts, Sources};
use self::sources::{Found, heading_scope, stage_graph};
use crate::address::masked_bytes;
use crate::bases::Bases;
use crate::containerfile::{PREDEFINED_ARGS, Scope};
use crate::context::CopiedTree;
use crate::engine::{self, EngineKind, KeptContainers, Listing, Version, ignore_file_to_name};
use crate::flags::{BuildFlags, Leading, Platform, check_engine, flags_in_help, parse_build};
use crate::graph::StageGraph;
use crate::image::ImageId;
use crate::key::title_of;
use crate::plan::{Plan, Rules};
use crate::prepare::{self, Common, Prepared, PreparedStage, prepare};
use crate::process;
use crate::record::{BuildRecord, BuildStatus};
use crate::recording;
use crate::remote;
use crate::report::progress::{Progress, Style};
use crate::report::say;
use crate::request::{BuildRequest, stage_version};
use crate::session::Session;
use crate::step;
use crate::step_text::{Labelling, Labels, containerfiles};
use crate::store::Nearest;
use crate::upkeep::{self, Lease, Leftovers};

/// Builds; the result is the process's exit code.
///
/// # Errors
/// When nothing could be built; a failing step is an error of type [`crate::event::BuildFailure`].
pub fn run(leading: Leading, args: &[OsString]) -> anyhow::Result<()> {
    let (session, flags) = open(leading, args)?;
    let request = BuildRequest::new(&flags, session.engine.probed())?;
    build(&session, &request).map(drop)
}

/// Builds what is asked for, for each platform, with the engine that the session has.
///
/// # Errors
/// As [`run`].
pub fn build(session: &Session, request: &BuildRequest) -> anyhow::Result<Vec<BuildResult>> {
    // The engine makes it anew in each call; there may be none (1.28, 1.39, 1.43).
    if let Some(path) = &request.rusage_file {
        fs::write(path, "").with_context(|| format!("writing --rusage-logfile {}", path.display()))?;
    }
    // Nothing is pruned from under a build.
    let waiting = || say("waiting for a prune that runs on this storage");
    let lock = session.store.lock_shared(upkeep::LOCK, waiting)?;
    let found = Found::new(request, session)?;
    sweep(session, request);
    let ids: Vec<String> = request.platforms.iter().map(|platform| request.build_id_for(platform)).collect();
    if let Some(used) = ids.iter().find(|id| session.store.has_record(id)) {
        bail!(
            "--build-id={used}: there is a record of a build of that id; give another one, or leave it out"
        );
    }
    if let Some(path) = &request.build_id_file {
        fs::write(path, ids.join("\n"))
            .with_context(|| format!("writing --build-id-file {}", path.display()))?;
    }
    let attempt = Attempt::new(session, request, &found);
    let lease = Lease::take(&session.store, &ids);
    let (engine, store) = (session.engine.as_ref(), &session.store);
    // What stays in spite of it, the next build removes.
    let last_act = || {
        if lease.clean_up_at_the_end(engine, store).is_ok() {
            lease.forget();
        }
    };
    let each = || build_each(session, request, (found, &attempt), ids, &lease);
    let (mut results, finished) = process::with_last_act(&last_act, each);
    let is_kept = request.kept_containers != KeptContainers::default() && !process::interrupted();
    if finished.is_err()
        && !is_kept
        && let Err(error) = lease.clean_up(engine, store)
    {
        say(&format!("warning: something of this build is left, which the next one removes: {error:#}"));
        lease.leave();
    }
    drop(lock);
    keep_small(session, request, &results)?;
    finished?;
    are_there(session, &results)?;
    // The image is there, and a log that was asked for is not.
    match results.iter_mut().find_map(|result| result.log_trouble.take()) {
        Some(trouble) => Err(trouble),
        None => Ok(results),
    }
}

/// Builds for each platform, and says what of it was finished.
fn build_each(
    session: &Session,
    request: &BuildRequest,
    (found, attempt): (Found, &Attempt),
    ids: Vec<String>,
    lease: &Lease,
) -> (Vec<BuildResult>, anyhow::Result<()>) {
    let mut results = Vec::new();
    let free = request.manifest.as_deref().map_or(Ok(()), |list| is_free_for_list(session, list));
    let sources = match free.and_then(|()| Sources::read(found, request, session)) {
        Ok(sources) => sources,
        Err(error) => {
            if let (Some(id), Some(platform)) = (ids.first(), request.platforms.first()) {
                attempt.failed(id, platform.to_string(), &error);
            }
            return (results, Err(error));
        }
    };
    let mut finished = Ok(());
    for (platform, id) in request.platforms.iter().zip(ids) {
        // What the builds before wrote into contexts, this one reads.
        let wrote = results.iter().any(|result: &BuildResult| result.wrote);
        let contexts = wrote.then(|| sources.contexts.again()).transpose();
        let build = contexts
            .map_err(anyhow::Error::from)
            .and_then(|contexts| Build::new(session, request, &sources, platform, id.clone(), contexts));
        match build.and_then(|build| build.run(lease)) {
            Ok(result) => results.push(result),
            Err(error) => {
                attempt.failed(&id, platform.to_string(), &error);
                finished = Err(error);
                break;
            }
        }
    }
    finished = finished.and_then(|()| finish(session, request, &results, lease));
    (results, finished)
}

fn log_file(options: &mut fs::OpenOptions, path: &Path) -> anyhow::Result<fs::File> {
    let file = options.create(true).mode(0o600).open(path);
    file.with_context(|| format!("opening --logfile {}", path.display()))
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

/// A finished build for one platform.
pub struct BuildResult {
    /// The target's image.
    pub image: ImageId,
    /// Its platform.
    pub platform: String,
    /// What was decided and done.
    pub record: BuildRecord,
    leftovers: Leftovers,
    /// Why not all of `--logfile` could be written.
    log_trouble: Option<anyhow::Error>,
    /// Whether a step may have written into a folder of this machine.
    wrote: bool,
}

/// One build for one platform, up to its plan.
pub struct Build<'a> {
    session: &'a Session,
    request: &'a BuildRequest,
    sources: &'a Sources,
    platform: &'a Platform,
    /// The contexts as they are by now, where steps have written to them.
    contexts: Option<Contexts>,
    heading: Scope,
    graph: StageGraph,
    prepared: Prepared,
    plan: Plan,
    bases: Bases<'a>,
    listing: Listing,
    identity: String,
    build_id: String,
    nearest: Nearest,
    rules: Rules,
    /// Names that labelled targets got because this build takes their last one, by stage.
    parked: Vec<(String, String)>,
    /// Whether somebody takes images away that this build needs.
    loses: bool,
}

impl<'a> Build<'a> {
    /// Parses, resolves, gathers and decides; runs nothing. `contexts` are those of `sources` as they are by now, where a
    /// build for another platform has written to them.
    ///
    /// # Errors
    /// When the file is not valid, an image cannot be had, or a source is missing.
    pub(super) fn new(
        session: &'a Session,
        request: &'a BuildRequest,
        sources: &'a Sources,
        platform: &'a Platform,
        build_id: String,
        contexts: Option<Contexts>,
    ) -> anyhow::Result<Self> {
        let engine = session.engine.as_ref();
        let heading = heading_scope(request, sources, platform, &Platform::host())?;
        let graph = stage_graph(request, sources, platform, &heading)?;
        let listing = engine.list()?;
        let bases =
            Bases::new(engine, &session.store, request.pull, request.pull_flags.clone(), sources.rules);
        let containerfile = match &sources.containerfile.real {
            Some(path) => sources.context.identity_of(path),
            None => blake3::hash(&sources.containerfile.bytes).to_hex().to_string(),
        };
        let context = sources.context.identity_of(&sources.context.folder);
        let identity = request.identity(&context, &containerfile, &platform.to_string());
        let nearest = session.store.nearest(&identity);
        let rules = Rules {
            no_cache: request.no_cache,
            no_cache_stages: request.no_cache_stages.clone(),
            time_to_live: request.time_to_live,
            now: Timestamp::now(),
            nonce: build_id.clone(),
            goes_on: false,
            over: BTreeMap::new(),
        };
        let mut build = Self {
            session,
            request,
            sources,
            platform,
            contexts,
            heading,
            graph,
            prepared: Prepared::default(),
            plan: Plan::default(),
            bases,
            listing,
            identity,
            build_id,
            nearest,
            rules,
            parked: Vec::new(),
            loses: false,
        };
        build.prepare()?;
        build.decide();
        Ok(build)
    }

    /// The folders that are copied from.
    fn contexts(&self) -> &Contexts {
        self.contexts.as_ref().unwrap_or(&self.sources.contexts)
    }

    /// Gathers what the steps that are not over hang on, from the world as it is now.
    fn prepare(&mut self) -> anyhow::Result<()> {
        let (request, sources, session) = (self.request, self.sources, self.session);
        let probed = session.engine.probed();
        let wanted = self.platform.to_string();
        let for_platform = request.platform_given.then_some(wanted.as_str());
        let mut listing = std::mem::take(&mut self.listing);
        for (name, own) in prepare::images_named(&self.graph) {
            // Errors are told where the name stands, by `prepare`.
            let _ = self.bases.resolve(&mut listing, &name, own.as_deref().or(for_platform));
        }
        let listed = std::cell::RefCell::new(listing);
        let image_of = |name: &str, own: Option<&str>| {
            self.bases.resolve(&mut listed.borrow_mut(), name, own.or(for_platform))
        };
        let read = sources.file.stages()?;
        let contexts = self.contexts();
        let common = Common {
            file: &sources.file,
            read: &read,
            heading: &self.heading,
            context: Some(&contexts.reader),
            named_contexts: &contexts.named,
            absent_contexts: &contexts.absent,
            image_format: request.format,
            layers: request.layers,
            stage_labels: request.stage_labels,
            target_in_one_call: request.target_in_one_call,
            platform: wanted.clone(),
            platform_given: request.platform_given,
            key_flags: request.key_flags.clone(),
            target_flags: request.target_flags_keyed.clone(),
            env_instruction: request.env_instruction.clone(),
            given_env: request.given_env.clone(),
            target_labels: target_labels(request, probed.buildah),
            labels_of_commits: if probed.buildah < Version(1, 30, 0) {
                request.labels.clone()
            } else {
                Vec::new()
            },
            remote: &remote::identity,
            secrets: &request.secrets,
            ssh: &request.ssh,
        };
        let keep_tree = |tree: &CopiedTree| -> anyhow::Result<String> {
            let digest = tree.digest().to_hex();
            session.store.put_tree(&digest, tree)?;
            Ok(digest)
        };
        let (before, over) = (&self.prepared.stages, &self.rules.over);
        let prepared = prepare(&self.graph, &common, &image_of, &keep_tree, before, over)?;
        contexts.save_indexes(session.store.shelf());
        if !contexts.reader.changed_while_read().is_empty() {
            self.rules.no_cache = true;
        }
        self.listing = listed.into_inner();
        self.prepared = prepared;
        Ok(())
    }

    /// Decides on each step that is not over.
    fn decide(&mut self) {
        self.plan = Plan::new(&self.prepared, &self.known(), &self.rules);
    }

    /// What is known of earlier builds.
    fn known(&self) -> StoredKnowledge<'_> {
        let (store, engine) = (&self.session.store, self.session.engine.as_ref());
        StoredKnowledge { store, listing: &self.listing, nearest: &self.nearest, engine }
    }

    /// Stages of which nothing can be told before others have run, and why.
    pub fn unknown(&self) -> impl Iterator<Item = (&crate::graph::Stage, &anyhow::Error)> {
        let unknown = self.prepared.unknown.iter();
        unknown.map(|(index, unknown)| (&self.graph.stages[*index], &unknown.problem))
    }

    /// The stages that are built, with their verdicts.
    pub fn planned(&self) -> impl Iterator<Item = (&PreparedStage, &crate::plan::StagePlan)> {
        self.prepared.stages.iter().map(|(index, stage)| (stage, &self.plan.stages[index]))
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
        masked_bytes(&containerfiles(&self.sources.file, &self.prepared.stages, &self.plan, &labels))
    }

    /// Runs what has to run, and writes down what came of it.
    ///
    /// # Errors
    /// When a step fails or something cannot be written.
    pub fn run(mut self, lease: &Lease) -> anyhow::Result<BuildResult> {
        let progress = self.progress()?;
        for warning in self
            .request
            .warnings
            .iter()
            .chain(&self.sources.containerfile.warnings)
            .chain(&self.not_consumed())
            .chain(&self.not_stages())
        {
            progress.warn(warning);
        }
        self.session.store.troubles().iter().for_each(|trouble| progress.warn(trouble));
        if self.request.print_containerfiles {
            progress.text(&self.containerfiles());
        }
        let record = recording::start(&self.recorded());
        let record = self.session.store.start_record(record)?;
        let (request, store) = (self.request, &self.session.store);
        let executed = self.execute_until_whole(&progress, &record, lease);
        let result =
            executed.and_then(|(executed, named)| self.conclude(executed, named, &progress, &record));
        store.troubles().iter().for_each(|trouble| progress.warn(trouble));
        let result = result.map(|mut built| {
            built.log_trouble = progress.written().err().map(|error| {
                let path = request.log_file.as_deref().unwrap_or(Path::new("")).display();
                anyhow!(
                    "image {} is built, but not all of --logfile {path} could be written: {error}",
                    built.image
                )
            });
            built
        });
        if let Err(error) = &result {
            let failed = record.finish(|r| {
                if r.status == BuildStatus::Running {
                    r.fail(&format!("{error:#}"), process::interrupted());
                }
            })?;
            write_metadata(request, &failed, None)?;
        }
        result
    }

    /// What is known of the build for its record.
    fn recorded(&self) -> recording::Start<'_> {
        recording::Start {
            build_id: &self.build_id,
            probed: self.session.engine.probed(),
            request: self.request,
            context: &self.sources.context.folder,
            containerfile: self.sources.containerfile.real.as_deref(),
            bytes: &self.sources.containerfile.bytes,
            ignore_file: self.sources.ignore_file.as_deref(),
            platform: self.platform.to_string(),
            graph: &self.graph,
            prepared: &self.prepared.stages,
            plan: &self.plan,
            veil: self.session.store.veil(),
        }
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

    /// What `--no-cache-filter` names and is no stage.
    fn not_stages(&self) -> Vec<String> {
        let stages = &self.graph.stages;
        let is_stage = |wanted: &str| {
            let is = |stage: &crate::graph::Stage| {
                stage.name.eq_ignore_ascii_case(wanted) || stage.position.to_string() == wanted
            };
            stages.iter().any(is)
        };
        let names: Vec<&str> = stages.iter().map(|stage| stage.name.as_str()).collect();
        let wrong = self.request.no_cache_stages.iter().filter(|wanted| !is_stage(wanted));
        wrong
            .map(|wanted| {
                format!(
                    "--no-cache-filter: there is no stage `{wanted}`; the stages are {}",
                    names.join(", ")
                )
            })
            .collect()
    }

    fn is_declared(&self, name: &str) -> bool {
        let scopes = self.prepared.stages.values().filter_map(|stage| stage.scopes.last());
        scopes.into_iter().any(|scope| scope.is_declared(name) || scope.heading().contains_key(name))
    }

    fn progress(&self) -> anyhow::Result<Progress> {
        let style = match self.request.progress.as_deref() {
            Some("quiet") => Style::Quiet,
            Some("rawjson") => Style::RawJson,
            _ if self.request.quiet => Style::Quiet,
            Some("plain") => Style::Plain,
            _ => Style::Live,
        };
        let log = match (&self.request.log_file, &self.request.log_split) {
            (Some(path), split) => {
                let whole = log_file(fs::File::options().append(true), path)?;
                // The build says all there, and nothing in the whole one.
                let part = split.as_ref().map(|split| split.path(path, self.platform));
                let part = part.map(|part| log_file(fs::File::options().write(true).truncate(true), &part));
                Some(part.transpose()?.unwrap_or(whole))
            }
            (None, _) => None,
        };
        let known = self.prepared.stages.iter().map(|(index, stage)| {
            let steps = stage.steps.iter().map(|step| step.title.clone()).collect();
            (*index, stage.stage.name.clone(), steps)
        });
        let unknown = self.unknown().map(|(stage, _)| {
            let steps = step::cut(&stage.body, self.request.layers).steps;
            let titles =
                steps.iter().filter_map(|items| Some(title_of(&stage.body[*items.last()?].original)));
            (stage.index, stage.name.clone(), titles.collect())
        });
        Ok(Progress::new(style, log, known.chain(unknown)))
    }

    /// The ignore file as calls name it; the engine cannot find it by itself, because a step's Containerfile lies elsewhere.
    fn ignore_file_to_name(&self, scratch: &Path) -> anyhow::Result<Option<PathBuf>> {
        let Some(found) = &self.sources.ignore_file else { return Ok(None) };
        let kind = self.session.engine.probed().kind;
        if self.request.ignore_file.is_some() || kind == EngineKind::Buildah {
            return Ok(Some(found.clone()));
        }
        let bytes = fs::read(found).with_context(|| format!("reading ignore file {}", found.display()))?;
        let named = scratch.join("ignore");
        fs::write(&named, ignore_file_to_name(kind, bytes))
            .context("writing the ignore file of the steps")?;
        Ok(Some(named))
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
}

/// `--label` as the LABEL instructions that the engine adds: one for each before 1.30, one for all from there on.
fn target_labels(request: &BuildRequest, buildah: Version) -> Vec<String> {
    let instruction = |pairs: &[(String, String)]| crate::render::label_instruction(pairs, b'\\');
    if buildah < Version(1, 30, 0) {
        return request.labels.chunks(1).map(instruction).collect();
    }
    if request.labels.is_empty() { Vec::new() } else { vec![instruction(&request.labels)] }
}
