//! The conformance suite: each case of the corpus is built by an engine and by podman-stagecache, each in a storage of
//! its own, and what comes out must be the same. `tests/conformance/README.md` says how to run it and write cases.
//!
//! `corpus` reads the cases, `mutations` and `pairs` make more of them, `layout` puts their files on disk, `engine` knows the programs, `side` builds, `facts`, `image`
//! and `layers` read what was built, `compare` and `differences` judge, `native` keeps the engines' results, `report` draws; here they are put together.

mod compare;
mod corpus;
mod differences;
mod engine;
mod facts;
mod foreign;
mod image;
mod layers;
mod layout;
mod mutations;
mod native;
mod options;
mod pairs;
mod planted;
mod report;
mod servers;
mod side;

use std::collections::{BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use sha2::{Digest, Sha256};

use compare::Difference;
use corpus::{Case, Mode};
use differences::Documented;
use engine::{Engine, Kind, User};
use layers::LayerCache;
use native::Natives;
use options::{CacheState, Format, Options, Source};
use report::Checked;
use side::{Outcome, Place, Prepared, Side};

fn main() -> ExitCode {
    match suite(&Options::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("conformance: {error:#}");
            ExitCode::from(125)
        }
    }
}

/// The folder that holds corpus, documented differences and planted errors.
fn home() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance")
}

fn suite(options: &Options) -> Result<ExitCode> {
    let (bases, corpus) = corpus()?;
    let list = if options.contexts.is_empty() { "differences.txt" } else { "differences-elsewhere.txt" };
    let documented = differences::read(&home().join(list))?;
    let seed = options.seed.clone().unwrap_or_else(|| {
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis().to_string()
    });
    let (cases, images) = match options.contexts.as_slice() {
        [] => (cases(options, corpus, &seed)?, BTreeSet::new()),
        folders => {
            let (mut cases, images) = foreign::cases(folders)?;
            cases.retain(|case| wanted(options, case));
            if let Some(count) = options.draw {
                draw(&mut cases, count, &seed);
            }
            (cases, images)
        }
    };
    if options.list {
        for case in &cases {
            println!("{}", case.id());
        }
        return Ok(ExitCode::SUCCESS);
    }
    if !options.from.is_empty() {
        let rows = report::saved_rows(&report::read(&options.from)?);
        let draw = if options.format == Format::Markdown { report::markdown } else { report::table };
        print!("{}", draw(&rows));
        return Ok(ExitCode::SUCCESS);
    }
    if options.engine.is_empty() {
        let modes: usize =
            cases.iter().map(|case| Mode::ALL.iter().filter(|m| case.limits.in_mode(**m)).count()).sum();
        println!("{} cases read, {modes} to build; `--engine buildah` builds them, see --help", cases.len());
        println!("{} passed, 0 failed", cases.len());
        return Ok(ExitCode::SUCCESS);
    }
    let run = Run::new(options, &bases, &images, documented)?;
    let checked =
        if options.planted { planted::check(&run, options, &cases)? } else { run.check(options, &cases)? };
    let interrupted = run.stop.load(Ordering::Relaxed);
    ensure!(interrupted || !checked.is_empty(), "no case is for these engines and this filter");
    let failed = checked.iter().filter(|one| !one.wrong.is_empty()).count();
    if let Some(path) = &options.save {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(path, format!("{:#}\n", report::json(&checked)))?;
    }
    ensure!(!interrupted, "interrupted: {} cases were compared", checked.len());
    let rows = report::checked_rows(&checked);
    match options.format {
        Format::Json => println!("{:#}", report::json(&checked)),
        Format::Markdown => print!("{}", report::markdown(&rows)),
        Format::Text => {
            println!("{}", report::table(&rows));
            let builds = run.builds.load(Ordering::Relaxed);
            eprintln!("{builds} builds compared, {:.0} s", run.started.elapsed().as_secs_f64());
            println!("{} passed, {failed} failed", checked.len() - failed);
        }
    }
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The base images, and the cases that stand on them.
fn corpus() -> Result<(Vec<Case>, Vec<Case>)> {
    let cases = corpus::read_corpus(&home().join("corpus"))?;
    Ok(cases.into_iter().partition(|case| case.subject == "bases"))
}

/// The cases that are asked for: those of the corpus, their mutations, pairs of flags.
fn cases(options: &Options, corpus: Vec<Case>, seed: &str) -> Result<Vec<Case>> {
    let kinds = if options.of.is_empty() { &[Source::Corpus][..] } else { &options.of };
    let named = options.filter.iter().any(|pattern| pattern.contains('~'));
    let values = home().join("pairs.txt");
    let flags = pairs::plain_flags(&values)?;
    let mut all = Vec::new();
    for (index, kind) in kinds.iter().enumerate() {
        let mut cases: Vec<Case> = match kind {
            Source::Corpus => corpus.clone(),
            Source::Pairs => pairs::cases(&values, seed)?,
            Source::Mutations if named => {
                corpus.iter().flat_map(|case| mutations::all(case, &flags)).collect()
            }
            Source::Mutations => {
                corpus.iter().filter_map(|case| mutations::one(case, &flags, seed)).collect()
            }
        };
        cases.retain(|case| wanted(options, case));
        if let Some(count) = options.draw {
            // As many of each kind.
            draw(&mut cases, (count + index) / kinds.len(), seed);
        }
        all.extend(cases);
    }
    if options.draw.is_some() || options.of.iter().any(|kind| *kind != Source::Corpus) {
        eprintln!("{} cases, drawn with --seed {seed}", all.len());
    }
    Ok(all)
}

/// Leaves `count` cases, drawn with the seed.
fn draw(cases: &mut Vec<Case>, count: usize, seed: &str) {
    cases.sort_by_cached_key(|case| Sha256::digest(format!("{seed} {}", case.id())));
    cases.truncate(count);
    cases.sort_by_key(Case::id);
}

fn wanted(options: &Options, case: &Case) -> bool {
    let id = case.id();
    options.filter.is_empty() || options.filter.iter().any(|pattern| differences::matches(pattern, &id))
}

/// One case in one mode with one engine.
struct Task<'a> {
    prepared: &'a Prepared,
    case: &'a Case,
    mode: Mode,
}

/// Whether the case says what the engine itself makes of it.
fn describes(task: &Task) -> bool {
    task.case.native_from.is_none_or(|since| task.prepared.engine.buildah >= since)
}

/// Everything that the workers share.
struct Run {
    keep: bool,
    documented: Vec<Documented>,
    natives: Natives,
    engines: Vec<Prepared>,
    layers: Arc<LayerCache>,
    stop: Arc<AtomicBool>,
    dir: PathBuf,
    /// The podman-stagecache to use, where whoever builds can run it.
    stagecache: String,
    started: Instant,
    /// How many builds of the subject were compared.
    builds: AtomicUsize,
}

impl Run {
    fn new(
        options: &Options,
        bases: &[Case],
        images: &BTreeSet<String>,
        documented: Vec<Documented>,
    ) -> Result<Run> {
        let started = Instant::now();
        let stop = Arc::new(AtomicBool::new(false));
        for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
            signal_hook::flag::register(signal, Arc::clone(&stop))?;
        }
        let dir = tempfile::Builder::new().prefix("conformance-").tempdir_in(&options.dir)?.keep();
        // An ordinary user must be able to get to the storage.
        std::fs::set_permissions(&dir, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
        let user = options.rootless.as_deref().filter(|name| !name.is_empty());
        let stagecache = match user {
            // The folder that it was built in may be below root's own.
            Some(_) => {
                let copy = dir.join("podman-stagecache");
                std::fs::copy(&options.stagecache, &copy)
                    .with_context(|| format!("copying {}", options.stagecache))?;
                copy.to_string_lossy().into_owned()
            }
            None => options.stagecache.clone(),
        };
        let mut run = Run {
            keep: options.keep,
            documented,
            natives: Natives::new(!options.no_native_cache, bases, images),
            engines: Vec::new(),
            layers: Arc::default(),
            stop,
            dir,
            stagecache,
            started,
            builds: AtomicUsize::new(0),
        };
        let prefix = corpus::split_words(&options.engine_command)?;
        let user = user.map(|name| User::named(name, &prefix)).transpose()?;
        let place = run.place("bases")?;
        for (index, program) in options.engine.iter().enumerate() {
            let engine = Engine::probe(program, &prefix, user.clone())?;
            ensure!(
                options.rootless.is_none() || engine.rootless,
                "--rootless needs a user's name when root calls"
            );
            let to = run.dir.join(format!("engine{index}"));
            let beside = match engine.kind {
                Kind::Buildah => Kind::Podman,
                Kind::Podman => Kind::Buildah,
            };
            let other = Engine::probe(beside.name(), &prefix, user.clone()).ok();
            run.engines.push(place.prepare(engine, other, bases, images, options.driver.as_deref(), &to)?);
        }
        Ok(run)
    }

    fn place(&self, name: &str) -> Result<Place> {
        Place::new(self.dir.join(name), Arc::clone(&self.layers), Arc::clone(&self.stop))
    }

    /// Builds and compares all cases, some at a time; those that are done where it is interrupted.
    fn check(&self, options: &Options, cases: &[Case]) -> Result<Vec<Checked>> {
        let mut tasks = VecDeque::new();
        for prepared in &self.engines {
            for case in cases.iter().filter(|case| prepared.takes(case)) {
                for mode in Mode::ALL.into_iter().filter(|mode| case.limits.in_mode(*mode)) {
                    if options.mode.is_none_or(|only| only == mode) {
                        tasks.push_back(Task { prepared, case, mode });
                    }
                }
            }
        }
        let (tasks, done) = (Mutex::new(tasks), Mutex::new(Vec::new()));
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..options.jobs.max(1))
                .map(|index| {
                    let (tasks, done) = (&tasks, &done);
                    scope.spawn(move || self.work(options, index, tasks, done))
                })
                .collect();
            workers.into_iter().try_for_each(|worker| worker.join().expect("no worker panics"))
        })?;
        let mut done = done.into_inner().expect("no worker panics");
        done.sort_by(|a, b| {
            (&a.engine, &a.subject, &a.name, a.mode, a.cache)
                .cmp(&(&b.engine, &b.subject, &b.name, b.mode, b.cache))
        });
        Ok(done)
    }

    fn work(
        &self,
        options: &Options,
        index: usize,
        tasks: &Mutex<VecDeque<Task>>,
        done: &Mutex<Vec<Checked>>,
    ) -> Result<()> {
        let place = self.place(&format!("w{index}"))?;
        // Where builds stand one after the other in one storage.
        let among: Vec<Place> = (0..self.engines.len())
            .map(|engine| self.place(&format!("a{index}-{engine}")))
            .collect::<Result<_>>()?;
        loop {
            let task = tasks.lock().expect("no worker panics").pop_front();
            let Some(task) = task.filter(|_| !self.stop.load(Ordering::Relaxed)) else {
                return Ok(());
            };
            let engine = self.engines.iter().position(|one| std::ptr::eq(one, task.prepared));
            let among = &among[engine.expect("an engine of this run")];
            let rows = self.judge(options, &place, among, &task);
            // What was cut off says nothing of the case.
            if self.stop.load(Ordering::Relaxed) {
                return Ok(());
            }
            for checked in rows {
                if !options.quiet && (!checked.wrong.is_empty() || options.verbose) {
                    eprintln!("{}", checked.text());
                }
                if !checked.wrong.is_empty() && options.keep {
                    let name = format!("{}-{}-{}", checked.subject, checked.name, checked.mode);
                    eprintln!("       kept: {}", place.keep(&self.dir, &name)?.display());
                }
                done.lock().expect("no worker panics").push(checked);
            }
        }
    }

    /// One case in one mode: the engine's result, ours from each state of the cache, and what differs.
    fn judge(&self, options: &Options, place: &Place, among: &Place, task: &Task) -> Vec<Checked> {
        let mut row = Checked {
            engine: task.prepared.engine.label(),
            subject: task.case.subject.clone(),
            name: task.case.name.clone(),
            mode: task.mode.name(),
            cache: "cold",
            documented: 0,
            wrong: Vec::new(),
            differences: Vec::new(),
            native_seconds: 0.0,
            subject_seconds: 0.0,
        };
        let native = match self.native(place, task) {
            Ok(native) => native,
            Err(error) => {
                row.wrong.push(format!("the engine itself: {error:#}"));
                return vec![row];
            }
        };
        row.native_seconds = native.iter().map(|one| one.seconds).sum();
        if describes(task) {
            let builds: Vec<&Case> = task.case.builds().collect();
            for outcome in &native {
                let build = builds[outcome.build - 1];
                let broken = compare::broken_expectations(build, outcome);
                if !broken.is_empty() {
                    let of = of_build(task.case, outcome);
                    row.wrong.extend(broken.into_iter().map(|line| format!("the engine itself: {of}{line}")));
                    row.wrong.extend(last_lines(&outcome.said));
                }
            }
        }
        if !row.wrong.is_empty() {
            return vec![row];
        }
        let is_pair = task.case.subject == pairs::SUBJECT;
        let states = match options.cache.as_slice() {
            [] if is_pair => &[CacheState::Cold, CacheState::Among][..],
            [] => &[CacheState::Cold],
            states => states,
        };
        let mut rows = Vec::new();
        for state in states {
            let mut row = Checked { cache: state.name(), ..row.clone() };
            let place = if *state == CacheState::Among { among } else { place };
            if let Err(error) = self.judge_subject(options, place, task, *state, &native, &mut row) {
                row.wrong.push(format!("{error:#}"));
            }
            rows.push(row);
        }
        rows
    }

    /// What the engine makes of it, from disk where that is known.
    fn native(&self, place: &Place, task: &Task) -> Result<Vec<Outcome>> {
        let Task { prepared, case, mode } = *task;
        if let Some(outcomes) = self.natives.get(prepared, case, mode) {
            return Ok(outcomes);
        }
        let outcomes = place.build(prepared, &Side::Native, case, mode, false)?;
        self.natives.put(prepared, case, mode, &outcomes)?;
        Ok(outcomes)
    }

    fn judge_subject(
        &self,
        options: &Options,
        place: &Place,
        task: &Task,
        state: CacheState,
        native: &[Outcome],
        row: &mut Checked,
    ) -> Result<()> {
        let Task { prepared, case, mode } = *task;
        let side = match options.subject.as_str() {
            "stagecache" => Side::Stagecache(self.stagecache.clone()),
            "engine" => Side::LikeEngine(prepared.engine.program.clone()),
            program => Side::LikeEngine(program.to_owned()),
        };
        // They are differences of stagecache, not of an engine from itself.
        let documented: Vec<&Documented> = self
            .documented
            .iter()
            .filter(|entry| {
                matches!(side, Side::Stagecache(_))
                    && entry.applies(&prepared.engine, case, mode)
                    && entry.said.as_ref().is_none_or(|text| native.iter().any(|one| one.said.contains(text)))
            })
            .collect();
        let subject = match (state, &case.after) {
            (CacheState::Cold, None) => place.build(prepared, &side, case, mode, false)?,
            (CacheState::Cold, Some(first)) => {
                place.build_after(prepared, &side, (&first.case, first.mode.unwrap_or(mode)), case, mode)?
            }
            (CacheState::Full, _) => place.build(prepared, &side, case, mode, true)?,
            (CacheState::Half, _) => place.build_half_cached(prepared, &side, case, mode)?,
            (CacheState::Among, _) => place.build_among(prepared, &side, case, mode)?,
        };
        self.builds.fetch_add(subject.len(), Ordering::Relaxed);
        row.subject_seconds = subject.iter().map(|one| one.seconds).sum();
        let builds: Vec<&Case> = case.builds().collect();
        let mut found = Vec::new();
        for outcome in &subject {
            let (of, build) = (of_build(case, outcome), builds[outcome.build - 1]);
            if !describes(task) {
                row.wrong.extend(compare::broken_expectations(build, outcome));
            }
            let same = |one: &&Outcome| (one.build, one.number) == (outcome.build, outcome.number);
            let first = |one: &&Outcome| (one.build, one.number) == (outcome.build, 0);
            let other = native.iter().find(same).or_else(|| native.iter().find(first));
            let other = other.context("the engine has not built that")?;
            for difference in compare::compare(build, other, outcome, describes(task)) {
                found.push(Difference { field: format!("{of}{}", difference.field), ..difference });
            }
            if let (Some((layers, squashed)), Some(ran), CacheState::Cold) = (build.runs, &outcome.ran, state)
            {
                let expected = if mode == Mode::Layers { layers } else { squashed };
                if ran.len() != expected {
                    row.wrong.push(format!("{of}runs: {expected} -> {}", ran.len()));
                    row.wrong.extend(ran.iter().map(|step| format!("  | {step}")));
                }
            }
        }
        let all = found.len();
        let (left, mut absent) = differences::settle(found, &documented);
        if case.after.is_some() || case.subject == pairs::SUBJECT || case.seconds.is_some() {
            // What is left of its case's differences depends on the change, and on the flags beside it; and others' files
            // are of any version.
            absent.clear();
        }
        row.documented = all - left.len();
        row.wrong.extend(left.iter().map(ToString::to_string).chain(absent));
        for outcome in &subject {
            let of = of_build(case, outcome);
            if ["exit", "message"]
                .iter()
                .any(|name| left.iter().any(|one| one.field == format!("{of}{name}")))
            {
                row.wrong.extend(last_lines(&outcome.said));
            }
        }
        row.differences = left;
        Ok(())
    }
}

/// What stands before a line that is about one build of several.
fn of_build(case: &Case, outcome: &Outcome) -> String {
    match case.then.is_empty() {
        true => String::new(),
        false => format!("build {}: ", outcome.build),
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let Some(prepared) = self.engines.first() else {
            return;
        };
        if self.keep {
            eprintln!("kept: {}", self.dir.display());
        } else if let Err(error) =
            self.place("bases").and_then(|place| place.wipe(&prepared.engine, &self.dir))
        {
            eprintln!("conformance: {error:#}");
        }
    }
}

/// The end of what a build said, for a reader who wants to know why.
fn last_lines(said: &str) -> Vec<String> {
    let lines: Vec<&str> = said.lines().collect();
    lines[lines.len().saturating_sub(6)..].iter().map(|line| format!("  | {line}")).collect()
}
