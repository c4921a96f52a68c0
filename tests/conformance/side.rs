//! Builds a case on one side, the engine's own or the subject's, in a storage made for it, all its builds in a row.
//! `facts` states what came out of each.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::corpus::{self, Case, Mode, ResultName};
use crate::engine::Engine;
use crate::facts::{Facts, Standing};
use crate::image::{Record, Storage};
use crate::layers::{self, LayerCache};
use crate::layout::own;
use crate::pairs;
use crate::servers;

/// What stands for a build's number among those at the same time.
const NUMBER: &str = "@N@";

/// No build of the corpus takes longer than this.
const LIMIT: Duration = Duration::from_secs(180);

/// Who builds.
#[derive(Clone, Debug)]
pub enum Side {
    /// The engine itself.
    Native,
    /// A program that is called exactly as the engine is.
    LikeEngine(String),
    /// podman-stagecache, which is told the engine.
    Stagecache(String),
}

/// What a build came to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// Everything that is compared, as a tree of values.
    pub facts: Value,
    /// What the build said on both streams.
    pub said: String,
    /// Seconds of the build alone.
    pub seconds: f64,
    /// Which build of the case it is, from one.
    pub build: usize,
    /// Which of those at the same time, from zero.
    #[serde(default)]
    pub number: usize,
    /// The id of the image, where there is one.
    pub result: Option<String>,
    /// The steps that podman-stagecache ran, each with its reason.
    #[serde(skip)]
    pub ran: Option<Vec<String>>,
}

/// A base image as all storages of a run have it.
#[derive(Clone, Debug)]
pub struct Base {
    pub name: String,
    pub record: Record,
}

/// An engine with the storage that all its cases start from.
pub struct Prepared {
    pub engine: Engine,
    /// The other one of buildah and podman, where it is installed beside.
    pub other: Option<Engine>,
    pub storage: Storage,
    pub bases: Vec<Base>,
}

impl Prepared {
    /// The engine that a build asks for.
    pub fn engine_of(&self, build: &Case) -> Result<&Engine> {
        match build.by.as_deref() {
            None => Ok(&self.engine),
            Some("other") => self.other.as_ref().context("the other engine is not installed"),
            Some(name) => bail!("by: {name}, where only `other` is known"),
        }
    }

    /// Gives the first base more names, also those that others of the bases have.
    fn name_base(&mut self, more: &BTreeSet<String>) -> Result<()> {
        let Some(first) = self.bases.first().map(|base| base.record.clone()).filter(|_| !more.is_empty())
        else {
            return Ok(());
        };
        self.storage.rename(|id, mut names| {
            names.retain(|name| id == first.id || !more.contains(name));
            if id == first.id {
                names.extend(more.iter().cloned());
            }
            names
        })?;
        self.bases.retain(|base| !more.contains(&base.name));
        self.bases.extend(more.iter().map(|name| Base { name: name.clone(), record: first.clone() }));
        Ok(())
    }

    /// Whether all builds of a case can be done here.
    pub fn takes(&self, case: &Case) -> bool {
        self.engine.takes(&case.limits) && case.builds().all(|build| self.engine_of(build).is_ok())
    }
}

/// What a build of a case stands on.
struct Before<'a> {
    /// The results of the case's earlier builds.
    results: Vec<Option<String>>,
    /// Images of a build that is none of the case's.
    shorter: &'a [Record],
    files: BTreeMap<String, String>,
    /// Whether the engine is told not to use its cache, where the case does not say otherwise.
    no_cache: bool,
}

/// One worker's folder: the case, the storage, and what belongs to a build beside them.
pub struct Place {
    pub dir: PathBuf,
    web: String,
    git: String,
    pub layers: Arc<LayerCache>,
    stop: Arc<AtomicBool>,
}

impl Place {
    pub fn new(dir: PathBuf, layers: Arc<LayerCache>, stop: Arc<AtomicBool>) -> Result<Place> {
        fs::create_dir_all(dir.join("case"))?;
        let (web, git) = (servers::web(dir.join("case/http"))?, servers::git(dir.join("case/git"))?);
        Ok(Place { dir, web, git, layers, stop })
    }

    /// Makes the base images once, with the engine itself, in a storage that is copied afterwards.
    pub fn prepare(
        &self,
        engine: Engine,
        other: Option<Engine>,
        bases: &[Case],
        images: &BTreeSet<String>,
        wanted_driver: Option<&str>,
        to: &Path,
    ) -> Result<Prepared> {
        let drivers = wanted_driver.map_or(vec!["overlay", "vfs"], |driver| vec![driver]);
        let mut last = String::new();
        for driver in drivers {
            let template = Storage {
                root: to.join(driver).join("root"),
                runroot: to.join(driver).join("run"),
                driver: driver.to_owned(),
            };
            self.make_dir(&engine, to)?;
            let mut prepared = Prepared {
                engine: engine.clone(),
                other: other.clone(),
                storage: template,
                bases: Vec::new(),
            };
            match self.make_bases(&mut prepared, bases).and_then(|()| prepared.name_base(images)) {
                Ok(()) => {
                    // podman's own database holds the storage's path, which is another one in each copy.
                    let own = ["libpod", "db.sql"].map(|name| prepared.storage.root.join(name));
                    self.file_command(&prepared.engine, "rm", &["-rf"], &own)?;
                    return Ok(prepared);
                }
                Err(error) => last = format!("{error:#}"),
            }
        }
        bail!("no base images with {}: {last}", engine.label())
    }

    fn make_bases(&self, prepared: &mut Prepared, bases: &[Case]) -> Result<()> {
        for base in bases {
            self.lay_out(&prepared.engine, base)?;
            let mut args = Engine::storage_args(&prepared.storage);
            args.extend(["build", "--layers=false", "--timestamp=0", "--pull=never"].map(str::to_owned));
            args.extend(base.flags.iter().cloned());
            args.push(".".to_owned());
            let command = self.command(&prepared.engine, &prepared.engine.program, &args, base)?;
            let (exit, _, stderr) = self.run(command, None)?;
            ensure!(exit == 0, "building {}: {stderr}", base.name);
            let name =
                base.flags.iter().skip_while(|flag| *flag != "-t").nth(1).context("a base without -t")?;
            let records = prepared.storage.images()?;
            let record =
                records.into_iter().find(|record| record.names.contains(name)).context("a base got lost")?;
            prepared.bases.push(Base { name: name.clone(), record });
        }
        Ok(())
    }

    /// Builds the case as this side and states what came out; with `again` each of its builds twice, the second counts.
    pub fn build(
        &self,
        prepared: &Prepared,
        side: &Side,
        case: &Case,
        mode: Mode,
        again: bool,
    ) -> Result<Vec<Outcome>> {
        let storage = self.fresh_storage(prepared)?;
        self.builds(prepared, &storage, side, case, mode, again, &[])
    }

    /// Builds the case from a cache that holds the first half of it: the same files, the Containerfile cut in the middle.
    pub fn build_half_cached(
        &self,
        prepared: &Prepared,
        side: &Side,
        case: &Case,
        mode: Mode,
    ) -> Result<Vec<Outcome>> {
        self.build_after(prepared, side, (&cut_in_half(case), mode), case, mode)
    }

    /// Builds one case where another was built before: nothing of that one may show.
    pub fn build_after(
        &self,
        prepared: &Prepared,
        side: &Side,
        (first, first_mode): (&Case, Mode),
        case: &Case,
        mode: Mode,
    ) -> Result<Vec<Outcome>> {
        let storage = self.fresh_storage(prepared)?;
        self.builds(prepared, &storage, side, first, first_mode, false, &[])?;
        // The cache is to stay, not what the build before came to.
        self.forget_outcomes(prepared)?;
        self.builds(prepared, &storage, side, case, mode, false, &storage.images()?)
    }

    /// Removes what the builds before came to beside the storage.
    fn forget_outcomes(&self, prepared: &Prepared) -> Result<()> {
        let scratch = [self.dir.join("out"), self.dir.join("tmp")];
        self.file_command(&prepared.engine, "rm", &["-rf"], &scratch)
    }

    /// Builds a case in the storage of the case before, as people do who build one thing after the other.
    pub fn build_among(
        &self,
        prepared: &Prepared,
        side: &Side,
        case: &Case,
        mode: Mode,
    ) -> Result<Vec<Outcome>> {
        let storage = self.storage(prepared);
        if !storage.root.exists() {
            self.fresh_storage(prepared)?;
        }
        self.forget_outcomes(prepared)?;
        // The cache is to stay, not the names that builds before have given.
        storage.rename(|id, mut names| {
            names.retain(|name| name.starts_with("localhost/stagecache/"));
            names.extend(
                prepared.bases.iter().filter(|base| base.record.id == id).map(|base| base.name.clone()),
            );
            names
        })?;
        self.builds(prepared, &storage, side, case, mode, false, &[])
    }

    #[allow(clippy::too_many_arguments)]
    fn builds(
        &self,
        prepared: &Prepared,
        storage: &Storage,
        side: &Side,
        case: &Case,
        mode: Mode,
        again: bool,
        shorter: &[Record],
    ) -> Result<Vec<Outcome>> {
        let owner = prepared.engine.user.as_ref().map(|user| (user.uid, user.gid));
        let mut outcomes: Vec<Outcome> = Vec::new();
        let mut results = Vec::new();
        for (index, build) in case.builds().enumerate() {
            if index == 0 || build.changes.afresh {
                self.lay_out(&prepared.engine, build)?;
            } else {
                build
                    .change(&self.case_dir(), &|text| self.filled(text), owner)
                    .with_context(|| format!("changing the files for build {}", index + 1))?;
            }
            for call in &build.changes.calls {
                let args = Engine::storage_args(storage)
                    .into_iter()
                    .chain(call.iter().map(|word| self.filled(word)));
                let engine = prepared.engine_of(build)?;
                let command = self.command(engine, &engine.program, &args.collect::<Vec<_>>(), build)?;
                let (exit, _, stderr) = self.run(command, None)?;
                // What others' tests call may need what is not there.
                ensure!(exit == 0 || build.seconds.is_some(), "{call:?}: {stderr}");
            }
            // A case alone finds nothing but what it has made itself, and is built as people build.
            let alone = case.then.is_empty() && case.after.is_none() && case.subject != pairs::SUBJECT;
            let no_cache = !alone && !build.native_cache;
            let before = Before { results: results.clone(), shorter, files: self.snapshot(), no_cache };
            if again {
                self.once(prepared, storage, side, build, mode, &before)?;
                if case.then.is_empty() {
                    self.lay_out(&prepared.engine, build)?;
                }
            }
            let built = self.once(prepared, storage, side, build, mode, &before)?;
            results.push(built[0].result.clone());
            outcomes.extend(built);
        }
        Ok(outcomes)
    }

    /// One build, or as many at a time as it asks for.
    fn once(
        &self,
        prepared: &Prepared,
        storage: &Storage,
        side: &Side,
        case: &Case,
        mode: Mode,
        before: &Before,
    ) -> Result<Vec<Outcome>> {
        let (images, standing) = (storage.images()?, Standing::now(self, storage)?);
        let engine = prepared.engine_of(case)?;
        let program = match side {
            Side::LikeEngine(program) if case.by.is_none() => program,
            Side::Native | Side::LikeEngine(_) => &engine.program,
            Side::Stagecache(program) => program,
        };
        let as_native = !matches!(side, Side::Stagecache(_));
        // The engine builds them one after the other, and one where all are the same.
        let differ = case.flags.iter().any(|flag| flag.contains(NUMBER));
        let count = if as_native && !differ { 1 } else { case.at_once.max(1) };
        let records = self.records();
        let run = |number: usize| {
            let iidfile = self.iidfile(number);
            // What an earlier build has written there says nothing of this one.
            let _ = fs::remove_file(&iidfile);
            let mut args = self.arguments(engine, storage, side, case, mode, &iidfile, before.no_cache);
            args.iter_mut().for_each(|arg| *arg = arg.replace(NUMBER, &number.to_string()));
            let command = self.command(engine, program, &args, case)?;
            let started = Instant::now();
            let stdin = case.stdin.as_ref().map(|path| self.case_dir().join(path));
            let done = self.run_as(command, stdin, &number.to_string(), case.seconds)?;
            Ok((done, started.elapsed().as_secs_f64()))
        };
        let done: Vec<Result<_>> = match as_native {
            true => (0..count).map(run).collect(),
            false => std::thread::scope(|scope| {
                let run = &run;
                let threads: Vec<_> = (0..count).map(|number| scope.spawn(move || run(number))).collect();
                threads.into_iter().map(|thread| thread.join().expect("a build does not panic")).collect()
            }),
        };
        let mut ran = match side {
            Side::Stagecache(_) => Some(self.steps_that_ran(&records)?),
            _ => None,
        };
        let beside: Vec<PathBuf> = (0..count).map(|number| self.iidfile(number)).collect();
        let mut outcomes = Vec::new();
        for (number, done) in done.into_iter().enumerate() {
            let ((exit, stdout, stderr), seconds) = done?;
            // A build that fails leaves the names where they were.
            let others = if exit == 0 { &[] } else { before.shorter };
            let facts = Facts {
                place: self,
                prepared,
                storage,
                case,
                as_native,
                before: images.clone(),
                standing: &standing,
                others,
                earlier: &before.results,
                files: &before.files,
                iidfile: self.iidfile(number),
                beside: &beside,
            };
            let said = self.redact(&format!("{stdout}{stderr}"));
            let (facts, result) = facts.gather(exit, &stdout)?;
            let build = before.results.len() + 1;
            outcomes.push(Outcome { facts, said, seconds, build, number, result, ran: ran.take() });
        }
        Ok(outcomes)
    }

    /// The build records that podman-stagecache has written here.
    fn records(&self) -> BTreeSet<PathBuf> {
        let below =
            |dir: PathBuf| fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path());
        below(self.dir.join("state/storages")).flat_map(|storage| below(storage.join("builds"))).collect()
    }

    /// The steps of the builds that have no record in `known`, as far as they were no hits.
    fn steps_that_ran(&self, known: &BTreeSet<PathBuf>) -> Result<Vec<String>> {
        let mut steps = Vec::new();
        for path in
            self.records().difference(known).filter(|path| path.extension().is_some_and(|e| e == "json"))
        {
            let record: Value = serde_json::from_slice(&fs::read(path)?)?;
            let stages = record["stages"].as_array().into_iter().flatten();
            for step in stages.flat_map(|stage| stage["steps"].as_array().into_iter().flatten()) {
                if step["verdict"]["verdict"] == "miss" {
                    let instruction = step["instruction"].as_str().unwrap_or_default();
                    steps.push(self.redact(&format!("{instruction}: {}", step["verdict"])));
                }
            }
        }
        Ok(steps)
    }

    /// Every file of the case, as far as a build may change it: what it is, its mode and its content.
    pub fn snapshot(&self) -> BTreeMap<String, String> {
        let (mut files, mut folders) = (BTreeMap::new(), vec![self.case_dir()]);
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                let path = entry.path();
                let Ok(found) = fs::symlink_metadata(&path) else { continue };
                let content = match found.file_type() {
                    kind if kind.is_symlink() => format!("{:?}", fs::read_link(&path).ok()),
                    kind if kind.is_file() => {
                        let read = File::open(&path).map(|mut file| layers::sha256(&mut file).ok());
                        format!("{read:?}")
                    }
                    _ => String::new(),
                };
                if found.is_dir() {
                    folders.push(path.clone());
                }
                let name = path.strip_prefix(self.case_dir()).unwrap_or(&path).to_string_lossy().into_owned();
                files.insert(name, format!("{:o} {content}", found.mode()));
            }
        }
        files
    }

    pub fn case_dir(&self) -> PathBuf {
        self.dir.join("case")
    }

    fn storage(&self, prepared: &Prepared) -> Storage {
        Storage {
            root: self.dir.join("root"),
            runroot: self.dir.join("run"),
            driver: prepared.storage.driver.clone(),
        }
    }

    /// The base images and nothing else: no case finds anything of another one.
    fn fresh_storage(&self, prepared: &Prepared) -> Result<Storage> {
        let storage = self.storage(prepared);
        let scratch = ["root", "run", "state", "home", "tmp", "out"];
        let paths: Vec<PathBuf> = scratch.iter().map(|name| self.dir.join(name)).collect();
        let lasting = self.keep_what_lasts()?;
        unmount_below(&self.dir)?;
        self.file_command(&prepared.engine, "rm", &["-rf"], &paths)?;
        for name in ["run", "state", "home", "tmp", "out"] {
            self.make_dir(&prepared.engine, &self.dir.join(name))?;
        }
        for (kept, path) in lasting {
            let folder = path.parent().context("a path below the state folder")?;
            for folder in
                folder.ancestors().take_while(|above| *above != self.dir).collect::<Vec<_>>().iter().rev()
            {
                self.make_dir(&prepared.engine, folder)?;
            }
            fs::rename(kept, path)?;
        }
        let roots = [prepared.storage.root.clone(), storage.root.clone()];
        self.file_command(&prepared.engine, "cp", &["-a", "--reflink=auto"], &roots)?;
        Ok(storage)
    }

    /// Moves out of the way what holds for all cases, for they have one storage and the same base images: what the engine
    /// said of itself, and which image it takes for a short name. Each with the place where it belongs.
    fn keep_what_lasts(&self) -> Result<Vec<(PathBuf, PathBuf)>> {
        let state = self.dir.join("state");
        let storages = fs::read_dir(state.join("storages")).into_iter().flatten().flatten();
        let names = storages.map(|storage| storage.path().join("short-names"));
        let mut lasting = Vec::new();
        for path in std::iter::once(state.join("engines")).chain(names).filter(|path| path.exists()) {
            let kept = self.dir.join(format!("lasting-{}", lasting.len()));
            fs::rename(&path, &kept)?;
            lasting.push((kept, path));
        }
        Ok(lasting)
    }

    fn make_dir(&self, engine: &Engine, path: &Path) -> Result<()> {
        fs::create_dir_all(path)?;
        if let Some(user) = &engine.user {
            own(path, (user.uid, user.gid))?;
        }
        Ok(())
    }

    /// Files in a storage belong to subordinate users: without root they are handled in the engine's user namespace.
    pub fn file_command(
        &self,
        engine: &Engine,
        program: &str,
        flags: &[&str],
        paths: &[PathBuf],
    ) -> Result<()> {
        let mut command = if nix::unistd::geteuid().is_root() {
            Command::new(program)
        } else {
            let mut command = engine.command(&engine.program, &[], &self.dir);
            command.args(["unshare", program]);
            command
        };
        let output = command.args(flags).args(paths).stdin(Stdio::null()).output()?;
        ensure!(output.status.success(), "{program} {paths:?}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }

    /// Moves what a case left out of the way of the next one.
    pub fn keep(&self, to: &Path, name: &str) -> Result<PathBuf> {
        let to = to.join("wrong").join(name);
        fs::create_dir_all(&to)?;
        for name in ["case", "root", "run", "state", "out", "tmp", "stdout0", "stderr0"] {
            // A build that failed early has not made all of them.
            let _ = fs::rename(self.dir.join(name), to.join(name));
        }
        Ok(to)
    }

    /// Removes everything that a case left, also what is not the caller's own.
    pub fn wipe(&self, engine: &Engine, path: &Path) -> Result<()> {
        unmount_below(path)?;
        self.file_command(engine, "rm", &["-rf"], &[path.to_owned()])
    }

    fn lay_out(&self, engine: &Engine, case: &Case) -> Result<()> {
        let dir = self.case_dir();
        if dir.exists() {
            self.file_command(engine, "rm", &["-rf"], std::slice::from_ref(&dir))?;
        }
        let owner = engine.user.as_ref().map(|user| (user.uid, user.gid));
        case.lay_out(&dir, &|text| self.filled(text), owner)
    }

    fn filled(&self, text: &str) -> String {
        let case = self.case_dir();
        text.replace("@CASE@", &case.to_string_lossy())
            .replace("@CONTEXT@", &case.join("context").to_string_lossy())
            .replace("@HTTP@", &self.web)
            .replace("@GIT@", &self.git)
    }

    /// The reverse of `filled`, for what the builds say and write.
    pub fn redact(&self, text: &str) -> String {
        text.replace(&*self.case_dir().to_string_lossy(), "@CASE@")
            .replace(&self.web, "@HTTP@")
            .replace(&self.git, "@GIT@")
            .replace(&*self.dir.to_string_lossy(), "@PLACE@")
    }

    #[allow(clippy::too_many_arguments)]
    fn arguments(
        &self,
        engine: &Engine,
        storage: &Storage,
        side: &Side,
        case: &Case,
        mode: Mode,
        iidfile: &Path,
        no_cache: bool,
    ) -> Vec<String> {
        let mut args = Engine::storage_args(storage);
        args.push("build".to_owned());
        if let Side::Stagecache(_) = side {
            args.extend(["--engine".to_owned(), engine.program.clone()]);
            if !case.stage_labels {
                args.push("--stage-labels=false".to_owned());
            }
        } else if no_cache && !case.flags.iter().any(|flag| flag.starts_with("--no-cache")) {
            // What the engine's own cache says is not always true.
            args.push("--no-cache".to_owned());
        }
        if !case.no_mode_flag {
            args.push(mode.flag().to_owned());
        }
        if !case.flags.iter().any(|flag| flag.starts_with("--pull")) {
            args.push("--pull=never".to_owned());
        }
        if case.result == ResultName::Iid {
            args.push(format!("--iidfile={}", iidfile.display()));
        }
        args.extend(case.flags.iter().map(|flag| self.filled(flag)));
        args.extend(case.context.iter().map(|context| self.filled(context)));
        args
    }

    /// Where the build of that number, of those at a time, writes the image's id.
    fn iidfile(&self, number: usize) -> PathBuf {
        self.dir.join(if number == 0 { "out/iid".to_owned() } else { format!("out/iid{number}") })
    }

    pub fn command(&self, engine: &Engine, program: &str, args: &[String], case: &Case) -> Result<Command> {
        let at = |name: &str| self.dir.join(name).to_string_lossy().into_owned();
        for name in ["home", "tmp", "state", "out", "xdg"] {
            self.make_dir(engine, &self.dir.join(name))?;
        }
        let config = self.dir.join("containers.conf");
        if !config.exists() {
            fs::write(&config, containers_conf())?;
        }
        let isolation = std::env::var("BUILDAH_ISOLATION").unwrap_or_else(|_| "chroot".to_owned());
        let user = engine.user.as_ref().map_or("root", |user| &user.name);
        let mut variables: Vec<(String, String)> = [
            ("PATH", std::env::var("PATH").unwrap_or_default()),
            ("HOME", at("home")),
            ("USER", user.to_owned()),
            ("LOGNAME", user.to_owned()),
            ("LC_ALL", "C".to_owned()),
            ("TMPDIR", at("tmp")),
            ("XDG_RUNTIME_DIR", at("xdg")),
            ("BUILDAH_ISOLATION", isolation),
            ("CONTAINERS_CONF", config.to_string_lossy().into_owned()),
            ("STAGECACHE_HOME", at("state")),
            // For a subject that is a wrapper around the engine.
            ("CONFORMANCE_ENGINE", engine.program.clone()),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
        for assignment in &case.env {
            let (name, value) = assignment.split_once('=').context("env: NAME=value")?;
            variables.push((name.to_owned(), self.filled(value)));
        }
        let mut command = engine.command(program, &variables, &self.case_dir().join(&case.cwd));
        command.args(args);
        Ok(command)
    }

    /// Runs a build to its end or to the limit; gives exit code and both streams.
    pub fn run(&self, command: Command, stdin: Option<PathBuf>) -> Result<(i32, String, String)> {
        self.run_as(command, stdin, "", None)
    }

    /// The same with files of its own for the streams, for builds at a time.
    fn run_as(
        &self,
        mut command: Command,
        stdin: Option<PathBuf>,
        name: &str,
        seconds: Option<u64>,
    ) -> Result<(i32, String, String)> {
        let limit = seconds.map_or(LIMIT, Duration::from_secs);
        let (out, err) = (self.dir.join(format!("stdout{name}")), self.dir.join(format!("stderr{name}")));
        command.stdout(File::create(&out)?).stderr(File::create(&err)?);
        command.stdin(match stdin {
            Some(path) => {
                Stdio::from(File::open(&path).with_context(|| format!("opening {}", path.display()))?)
            }
            None => Stdio::null(),
        });
        // A group of its own, so that nothing is left of a build that takes too long.
        let mut child = command.process_group(0).spawn().with_context(|| format!("running {command:?}"))?;
        let started = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait()? {
                break status;
            }
            if started.elapsed() > limit || self.stop.load(Ordering::Relaxed) {
                killpg(Pid::from_raw(child.id().cast_signed()), Signal::SIGKILL)?;
                let status = child.wait()?;
                if seconds.is_some() {
                    break status;
                }
                bail!("{command:?} was stopped after {} s", started.elapsed().as_secs());
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        let exit = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(-1);
        let read =
            |path: &Path| Ok::<_, std::io::Error>(String::from_utf8_lossy(&fs::read(path)?).into_owned());
        Ok((exit, read(&out)?, read(&err)?))
    }
}

/// What is mounted below a folder, the last one first.
pub fn mounts_below(dir: &Path) -> Result<Vec<String>> {
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    let points = mounts.lines().filter_map(|line| line.split(' ').nth(4));
    let mut points: Vec<String> =
        points.filter(|point| Path::new(point).starts_with(dir)).map(str::to_owned).collect();
    points.reverse();
    Ok(points)
}

/// Ends the mounts below a folder: root's builds that fail in a RUN leave their working container mounted.
fn unmount_below(dir: &Path) -> Result<()> {
    if !nix::unistd::geteuid().is_root() {
        return Ok(());
    }
    for point in mounts_below(dir)? {
        Command::new("umount").args(["-l", &point]).status()?;
    }
    Ok(())
}

/// What engines need in small machines: no systemd, and limits that this process may set.
fn containers_conf() -> String {
    let limit =
        |resource| nix::sys::resource::getrlimit(resource).map_or(20_000, |(_, hard)| hard.min(20_000));
    let files = limit(nix::sys::resource::Resource::RLIMIT_NOFILE);
    let processes = limit(nix::sys::resource::Resource::RLIMIT_NPROC);
    format!(
        "[containers]\ndefault_ulimits = [\"nofile={files}:{files}\", \"nproc={processes}:{processes}\"]\n\
         [engine]\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"none\"\n"
    )
}

/// The same case with the second half of its Containerfile's lines away, as far as whole instructions go.
fn cut_in_half(case: &Case) -> Case {
    let mut half = case.clone();
    for entry in &mut half.entries {
        let name = entry.path.file_name().unwrap_or_default().to_string_lossy();
        if let corpus::EntryKind::File(bytes) = &mut entry.kind
            && (name.starts_with("Containerfile") || name.starts_with("Dockerfile"))
            && !name.ends_with("ignore")
        {
            let content = String::from_utf8_lossy(bytes).into_owned();
            let lines: Vec<&str> = content.lines().collect();
            *bytes = lines[..lines.len().div_ceil(2)]
                .iter()
                .flat_map(|line| [line, "\n"])
                .collect::<String>()
                .into();
        }
    }
    half
}
