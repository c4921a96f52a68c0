//! Randomly drawn stage graphs, built, changed and built again: the files of the final image are always those of a
//! clean build, and exactly those steps run whose inputs were not there before.
//!
//! The model's engine (see `engine`) goes through the whole pipeline, in memory. `make test-random` does the same
//! with the engine that is installed. A failure names its seed: `SEED=… make test-random` draws that one again.

mod draw;
mod engine;
mod host;
mod language;
mod random;
#[path = "../support/mod.rs"]
mod support;
mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use podman_stagecache::cmd::build::build;
use podman_stagecache::engine::Engine as _;
use podman_stagecache::flags::parse_build;
use podman_stagecache::record::BuildRecord;
use podman_stagecache::request::BuildRequest;
use podman_stagecache::session::Session;
use podman_stagecache::store::Store;
use podman_stagecache::verdict::Verdict;

use draw::Event;
use engine::ModelEngine;
use language::{File, Files, State};
use random::Random;
use support::Scenario;
use world::{BUSYBOX, CleanStage, MOVING, Memory, Step, World};

/// Puts the world's context where a build finds it; files that are as they should be are left alone.
fn write_context(world: &World, folder: &Path, touched: bool) {
    let mut wanted: BTreeSet<String> = world.context.keys().cloned().collect();
    for (name, file) in &world.context {
        let path = folder.join(name);
        if fs::read_to_string(&path).ok().as_ref() != Some(&file.text) || touched {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            if touched {
                let _ = fs::remove_file(&path);
            }
            fs::write(&path, &file.text).unwrap();
        }
        if path.metadata().unwrap().permissions().mode() & 0o777 != file.mode {
            fs::set_permissions(&path, fs::Permissions::from_mode(file.mode)).unwrap();
        }
    }
    wanted.insert("Containerfile".into());
    let rules: Vec<&str> = world.ignored.iter().map(String::as_str).collect();
    let ignore_file = folder.join(".containerignore");
    match rules.as_slice() {
        [] => drop(fs::remove_file(ignore_file)),
        rules => fs::write(ignore_file, rules.join("\n")).unwrap(),
    }
    for folder_name in ["d0", "d1"] {
        for entry in fs::read_dir(folder.join(folder_name)).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(folder).unwrap().to_str().unwrap();
            if !wanted.contains(name) {
                fs::remove_file(&path).unwrap();
            }
        }
    }
    fs::write(folder.join("Containerfile"), world.containerfile()).unwrap();
}

fn flags(world: &World, keep_stages: &str) -> Vec<String> {
    let mut flags = vec![
        "--pull=never".to_owned(),
        "--format=oci".into(),
        format!("--layers={}", world.layers),
        format!("--keep-stages={keep_stages}"),
        "--keep-storage=all".into(),
    ];
    if keep_stages != "all" {
        flags.push("--tag=localhost/app:1".into());
    }
    flags.extend(world.build_args.iter().map(|(name, value)| format!("--build-arg={name}={value}")));
    if world.target + 1 < world.stages.len() {
        flags.push(format!("--target={}", world.stages[world.target].name));
    }
    flags
}

/// The steps that ran, by stage and place; they are the ones with an image in the record.
fn ran(record: &BuildRecord) -> BTreeSet<(usize, usize)> {
    let mut ran = BTreeSet::new();
    for stage in &record.stages {
        for step in &stage.steps {
            if matches!(step.verdict, Some(Verdict::Miss { .. })) && step.image.is_some() {
                ran.insert((stage.index, step.index));
            }
        }
    }
    ran
}

/// What a build is told of the cache.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Told {
    Nothing,
    NoCache,
    NoCacheOf(usize),
}

impl Told {
    fn of(event: Event, world: &World) -> Self {
        match event {
            Event::NoCache => Self::NoCache,
            Event::NoCacheOf(stage) => Self::NoCacheOf(stage % world.stages.len()),
            _ => Self::Nothing,
        }
    }

    fn flags(self, world: &World) -> Vec<String> {
        match self {
            Self::Nothing => Vec::new(),
            Self::NoCache => vec!["--no-cache".into()],
            Self::NoCacheOf(stage) => vec![format!("--no-cache-filter={}", world.stages[stage].name)],
        }
    }

    fn passes_over(self, stage: usize) -> bool {
        self == Self::NoCache || self == Self::NoCacheOf(stage)
    }
}

/// What the builds so far have come to, and whether what runs can be told.
#[derive(Default)]
struct Account {
    memory: Memory,
    /// Steps that were there before the storage was emptied: one comes back when another one makes the same layer.
    gone: BTreeSet<String>,
    /// Something was removed from the storage: what runs cannot be told any more.
    torn: bool,
}

impl Account {
    /// Follows a build that ran these steps; tells what it should have left, and the steps that are wrong.
    fn follow(
        &mut self,
        world: &World,
        told: Told,
        ran: &BTreeSet<(usize, usize)>,
    ) -> (BTreeMap<usize, CleanStage>, Vec<String>) {
        let (known, mut wrong) = (self.memory.known.clone(), Vec::new());
        // What one stage has made another one takes, should it come behind.
        let (mut made, mut not_run) = (BTreeSet::new(), Vec::new());
        let built = world.built(&mut self.memory, &mut |step: &Step<'_>| {
            let did = ran.contains(&(step.stage, step.step));
            if did {
                made.insert(step.digest.to_owned());
            }
            let has_to = told.passes_over(step.stage)
                || !known.contains(step.digest) && !self.gone.contains(step.digest);
            let may = has_to || self.gone.contains(step.digest);
            let name = || format!("{} step {}", world.stages[step.stage].name, step.step);
            if has_to && !did {
                let taken = (!told.passes_over(step.stage)).then(|| step.digest.to_owned());
                not_run.push((taken, format!("{} did not run", name())));
            }
            if did && !may {
                wrong.push(format!("{} ran in vain", name()));
            }
            did
        });
        let nobody = |taken: &Option<String>| taken.as_ref().is_none_or(|digest| !made.contains(digest));
        wrong.extend(not_run.into_iter().filter(|(taken, _)| nobody(taken)).map(|(_, wrong)| wrong));
        if self.torn {
            wrong.clear();
        }
        (built.unwrap(), wrong)
    }

    fn succeeded(&mut self, built: &BTreeMap<usize, CleanStage>) {
        self.memory.known.extend(built.values().flat_map(|stage| stage.steps.iter().cloned()));
    }

    fn emptied(&mut self) {
        let known = std::mem::take(&mut self.memory.known);
        self.gone.extend(known);
    }
}

struct Model {
    folder: tempfile::TempDir,
    engine: ModelEngine,
    session: Session,
    account: Account,
    /// Images were removed that come back when they are needed.
    thinned: bool,
    /// Something was left in the storage that no build knows of.
    loose: bool,
    keep_stages: &'static str,
}

impl Model {
    fn new(world: &World, keep_stages: &'static str) -> Self {
        let folder = tempfile::Builder::new().prefix("stagecache-model-").tempdir().unwrap();
        fs::create_dir(folder.path().join("context")).unwrap();
        let engine = ModelEngine::new(folder.path());
        engine.put_base(BUSYBOX, &world.base(BUSYBOX).unwrap());
        let store = Store::open(&folder.path().join("state"), folder.path(), "model");
        let session = Session { engine: Box::new(engine.clone()), store };
        Self {
            folder,
            engine,
            session,
            account: Account { torn: keep_stages != "all", ..Account::default() },
            thinned: false,
            loose: false,
            keep_stages,
        }
    }

    fn try_build(&self, world: &World, told: Told, jobs: usize) -> anyhow::Result<BuildRecord> {
        self.engine.put_base(MOVING, &world.base(MOVING).unwrap());
        self.engine.set_die(&world.die);
        let flags = flags(world, self.keep_stages).into_iter().chain(told.flags(world));
        let mut args: Vec<OsString> = flags.map(OsString::from).collect();
        args.push(format!("--iidfile={}", self.folder.path().join("iid").display()).into());
        args.push(format!("--logfile={}", self.folder.path().join("log").display()).into());
        args.push(format!("--jobs={jobs}").into());
        args.push(self.folder.path().join("context").into());
        let flags = parse_build(&args, &|_| None).unwrap();
        let request = BuildRequest::new(&flags, self.session.engine.probed())?;
        build(&self.session, &request).map(|mut results| results.remove(0).record)
    }

    /// Builds and checks everything.
    fn build(&mut self, world: &World, told: Told, jobs: usize) {
        self.engine.put_base(MOVING, &world.base(MOVING).unwrap());
        let (before, images) = (self.engine.calls(), self.engine.images());
        let record = self.try_build(world, told, jobs).unwrap();
        let ran = ran(&record);
        let (built, wrong) = self.account.follow(world, told, &ran);
        assert_eq!(wrong, [""; 0], "other steps ran: {record:#?}");
        let target = &built[&world.target].state;
        let image = record.result.as_ref().unwrap().image.clone();
        let (files, image) = self.engine.look(&image);
        assert_eq!(files, target.files, "the final image has other files: {record:#?}");
        same_config(target, &image);
        let calls = self.engine.calls() - before;
        assert!(calls >= ran.len(), "{} steps ran in {calls} calls", ran.len());
        assert!(calls == 0 || !ran.is_empty(), "nothing ran, and the engine was called");
        let without_layer = self.engine.images().saturating_sub(images + calls);
        // What was removed comes back as images on layers that are there.
        assert!(
            self.account.torn || self.thinned || without_layer <= 2 * built.len(),
            "{} stages left {without_layer} images without a layer of their own",
            built.len()
        );
        if self.keep_stages != "all" && !self.loose {
            assert_eq!(self.engine.loose(), [], "images are left that nothing stands on");
        }
        self.account.succeeded(&built);
    }

    fn fail(&mut self, world: &World, after: usize) {
        self.engine.fail_after(Some(after));
        let result = self.try_build(world, Told::Nothing, 2);
        self.engine.fail_after(None);
        let record = match result {
            Ok(record) => record,
            Err(_) => self.session.store.records().pop().unwrap(),
        };
        self.account.follow(world, Told::Nothing, &ran(&record));
    }
}

fn same_config(state: &State, image: &podman_stagecache::image::StoredImage) {
    let env: Vec<String> = image
        .env()
        .into_iter()
        .filter(|entry| !entry.starts_with("PATH="))
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect();
    let wanted: Vec<String> = state.env.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(env, wanted, "the final image has another environment");
    assert_eq!(image.label("l"), state.labels.get("l").map(String::as_str), "another label");
    let workdir = image.config["config"]["WorkingDir"].as_str().unwrap_or_default();
    assert_eq!(workdir.trim_start_matches('/'), state.workdir.trim_start_matches('/'), "another folder");
}

fn one_in_the_model(seed: u64) {
    let mut random = Random::new(seed);
    let mut world = draw::world(&mut random, false);
    let keep_stages = if random.percent(30) { "1" } else { "all" };
    let mut model = Model::new(&world, keep_stages);
    let context = model.folder.path().join("context");
    write_context(&world, &context, false);
    model.build(&world, Told::Nothing, 1 + random.below(3));
    for _ in 0..1 + random.below(8) {
        let (edited, event) = draw::edit(&mut random, &world);
        world = edited;
        write_context(&world, &context, event == Event::Touched);
        match event {
            Event::Emptied => {
                model.engine.empty(&[BUSYBOX]);
                model.account.emptied();
                model.thinned = true;
                model.account.torn = keep_stages != "all";
            }
            Event::ImageRemoved => {
                let images = model.engine.removable(&[BUSYBOX, MOVING]);
                if !images.is_empty() {
                    model.engine.remove(&[random.pick(&images).to_string()]).unwrap();
                    (model.account.torn, model.loose) = (true, true);
                }
            }
            Event::Fails => {
                model.fail(&world, random.below(4));
                model.loose = true;
            }
            Event::Loses => {
                model.engine.lose_after(Some(random.below(3)));
                (model.account.torn, model.loose) = (true, true);
            }
            Event::Pruned => {
                model.engine.prune();
                model.thinned = true;
            }
            Event::Nothing | Event::Touched | Event::NoCache | Event::NoCacheOf(_) => {}
        }
        model.build(&world, Told::of(event, &world), 1 + random.below(3));
        model.engine.lose_after(None);
        if random.percent(20) {
            let calls = model.engine.calls();
            model.build(&world, Told::Nothing, 1);
            assert_eq!(model.engine.calls(), calls, "nothing changed, and the engine was called");
        }
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

/// Draws so many worlds; the seed of each that fails is told.
fn all(count: u64, start: u64, one: fn(u64)) {
    let (start, count) = number("SEED").map_or((start, count), |seed| (seed, 1));
    let count = number("GRAPHS").unwrap_or(count);
    println!("{count} graphs from seed {start} on");
    let next = AtomicU64::new(0);
    let wrong = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= count || wrong.lock().unwrap().len() >= 5 {
                        break;
                    }
                    let seed = start.wrapping_add(n);
                    if catch_unwind(AssertUnwindSafe(|| one(seed))).is_err() {
                        eprintln!("SEED={seed} failed");
                        wrong.lock().unwrap().push(seed);
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "graphs of these seeds are wrong, draw them again with SEED=…: {wrong:?}");
}

fn clock() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    now.as_secs() * 1000 + u64::from(now.subsec_millis())
}

#[test]
fn a_thousand_random_graphs_are_built_right_and_nothing_runs_in_vain() {
    all(1000, 1, one_in_the_model);
}

/// What of an image's files the model knows of.
fn files_of_the_model(files: &support::Files) -> Files {
    let known = |path: &str| {
        let first = path.split('/').next().unwrap();
        path == "b" || ["d0", "d1", "e"].contains(&first) || (path.len() == 2 && path.starts_with('o'))
    };
    let mut found = Files::new();
    for (path, what) in files.iter().filter(|(path, _)| known(path)) {
        let mut words = what.splitn(4, ' ');
        if words.next() == Some("file") {
            let mode = u32::from_str_radix(words.next().unwrap(), 8).unwrap();
            let text = words.nth(1).unwrap_or_default().to_owned();
            found.insert(path.clone(), File { mode, text });
        }
    }
    found
}

fn put_moving_base(scenario: &Scenario, world: &World) {
    let folder = scenario.folder().join("base");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("b"), &world.moving).unwrap();
    fs::write(folder.join("Containerfile"), format!("FROM {BUSYBOX}\nCOPY b /b\n")).unwrap();
    let tag = format!("--tag={MOVING}");
    let folder = folder.display().to_string();
    scenario.engine(&["build", "--quiet", "--pull=never", "--timestamp=0", "--layers=false", &tag, &folder]);
}

fn one_on_the_engine(seed: u64) {
    let mut random = Random::new(seed);
    let kind = *random.pick(&support::BOTH);
    let mut world = draw::world(&mut random, true);
    let die = "--secret=id=die,src=die";
    let scenario = Scenario::on(kind, &world.containerfile()).flags(&[die]);
    let mut account = Account::default();
    let mut moving = String::new();
    let mut event = Event::Nothing;
    for build in 0..3 {
        if build > 0 {
            (world, event) = draw::edit(&mut random, &world);
        }
        write_context(&world, &scenario.context(), event == Event::Touched);
        fs::write(scenario.folder().join("die"), &world.die).unwrap();
        if event == Event::Pruned {
            assert!(
                scenario
                    .engine_output(support::Kind::Podman, &["image", "prune", "--force"])
                    .status
                    .success()
            );
        }
        if moving != world.moving {
            put_moving_base(&scenario, &world);
            moving.clone_from(&world.moving);
        }
        let told = Told::of(event, &world);
        let flags: Vec<String> = flags(&world, "all").into_iter().chain(told.flags(&world)).collect();
        let built = scenario.build(&flags.iter().map(String::as_str).collect::<Vec<_>>()).ok();
        let record: BuildRecord = serde_json::from_value(built.record.clone()).unwrap();
        let ran = ran(&record);
        let (expected, wrong) = account.follow(&world, told, &ran);
        assert_eq!(wrong, [""; 0], "{}", built.stderr);
        let files = scenario.files(&scenario.image(&built.image()));
        assert_eq!(files_of_the_model(&files), expected[&world.target].state.files, "{}", built.stderr);
        let made = built.builds() + built.taken_over();
        assert_eq!(made, ran.len(), "a call a step, and none for what hits");
        account.succeeded(&expected);
    }
    scenario.assert_clean();
}

/// Other ones each time.
#[test]
#[ignore = "minutes long: `make test-random` runs it"]
fn sixty_random_graphs_are_built_right_on_the_engine() {
    all(60, clock(), one_on_the_engine);
}

#[test]
fn three_random_graphs_of_steps_that_write_to_the_context_are_built_right() {
    all(3, 1, host::one);
}

#[test]
#[ignore = "minutes long: `make test-random` runs it"]
fn sixty_random_graphs_of_steps_that_write_to_the_context_are_built_right() {
    all(60, clock(), host::one);
}
