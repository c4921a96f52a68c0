//! Randomly drawn stages of which some write into a folder of the context, or make a layout that a later stage is based on.
//!
//! What comes out is always what a clean build of that moment would make, all steps one after the other in the order of the
//! file. Each step runs whose inputs were not there before; of those that were, only one that writes may run again, and
//! only where what is read behind it is no longer what it was.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde_json::Value;

use crate::random::Random;
use crate::support::{BOTH, Built, Kind, Scenario};
use crate::world::digest;

/// Files of the context by path; those in `w/` can be written by steps.
type Context = BTreeMap<String, String>;

#[derive(Debug, Clone)]
enum Stage {
    /// Writes a file: from an argument, or from a file of the context that it mounts.
    Writes { file: usize, argument: usize, from: Option<usize> },
    /// Makes the layout in `w/base` one of two.
    MakesBase { argument: usize },
    /// Takes files, and lists what it has.
    Reads { on_made_base: bool, takes: Vec<Take> },
}

#[derive(Debug, Clone)]
enum Take {
    Written(usize),
    Source(usize),
    Folder,
    Of(usize),
}

/// A graph with the values that a build gets.
#[derive(Debug, Clone)]
struct Graph {
    stages: Vec<Stage>,
    arguments: [usize; 2],
}

/// A step of a clean build.
struct Step {
    stage: usize,
    step: usize,
    key: String,
    /// Whether it writes.
    writes: bool,
    /// Whether it reads the file that it writes: nobody can tell what it would make now.
    reads_itself: bool,
    /// What it reads of the folder that steps write to.
    read: Vec<String>,
}

/// What a clean build makes.
struct Clean {
    out: String,
    base: Option<usize>,
    steps: Vec<Step>,
}

impl Graph {
    fn draw(random: &mut Random, context: &Context) -> Self {
        loop {
            let mut stages = Vec::new();
            let count = 2 + random.below(4);
            let with_base = random.percent(40);
            for n in 0..count {
                stages.push(match random.below(10) {
                    0..4 => Stage::Writes {
                        file: random.below(3),
                        argument: random.below(2),
                        from: random.percent(30).then(|| random.below(3)),
                    },
                    4 if with_base => Stage::MakesBase { argument: random.below(2) },
                    _ => Self::reader(random, n, with_base),
                });
            }
            let mut last = vec![Take::Written(random.below(3))];
            last.extend((0..count).map(Take::Of));
            stages.push(Stage::Reads { on_made_base: with_base && random.percent(50), takes: last });
            let graph = Self { stages, arguments: [random.below(2), random.below(2)] };
            let writes = graph.stages.iter().any(|stage| !matches!(stage, Stage::Reads { .. }));
            if writes && graph.clean(context, None).is_some() {
                return graph;
            }
        }
    }

    fn reader(random: &mut Random, above: usize, with_base: bool) -> Stage {
        let takes = (0..1 + random.below(3)).map(|_| match random.below(5) {
            0 | 1 => Take::Written(random.below(3)),
            2 => Take::Source(random.below(2)),
            3 if above > 0 => Take::Of(random.below(above)),
            _ => Take::Folder,
        });
        Stage::Reads { takes: takes.collect(), on_made_base: with_base && random.percent(30) }
    }

    fn containerfile(&self) -> String {
        let mut text = String::new();
        for (n, stage) in self.stages.iter().enumerate() {
            match stage {
                Stage::Writes { file, argument, from } => {
                    text.push_str(&format!("FROM docker.io/library/busybox AS s{n}\nARG A{argument}\n"));
                    let (mount, input) = match from {
                        Some(from) => (format!("--mount=type=bind,source=w/g{from},target=/r "), "cat /r; "),
                        None => (String::new(), ""),
                    };
                    text.push_str(&format!(
                        "RUN {mount}({input}echo w$A{argument}) >/new && cp /new /v/g{file}\n"
                    ));
                }
                Stage::MakesBase { argument } => text.push_str(&format!(
                    "FROM docker.io/library/busybox AS s{n}\nARG A{argument}\n\
                     RUN rm -rf /v/base && cp -r /layouts/$A{argument} /v/base && echo made >/new\n"
                )),
                Stage::Reads { on_made_base, takes } => {
                    let base = if *on_made_base { "oci:w/base" } else { "docker.io/library/busybox" };
                    text.push_str(&format!("FROM {base} AS s{n}\n"));
                    for (k, take) in takes.iter().enumerate() {
                        text.push_str(&match take {
                            Take::Written(file) => format!("COPY w/g{file} /in/{k}\n"),
                            Take::Source(file) => format!("COPY f{file} /in/{k}\n"),
                            Take::Folder => format!("COPY w/g* /in/{k}/\n"),
                            Take::Of(stage) => {
                                format!("COPY --from=s{stage} {} /in/{k}\n", self.made_by(*stage))
                            }
                        });
                    }
                    text.push_str(
                        "RUN for f in /which /in/* /in/*/*; do test -f $f && echo \"$f:\" && cat $f; done >/out; true\n",
                    );
                }
            }
        }
        text
    }

    fn made_by(&self, stage: usize) -> &'static str {
        if matches!(self.stages[stage], Stage::Reads { .. }) { "/out" } else { "/new" }
    }

    /// A clean build from this context; nothing where it would fail. `base` is what lies in `w/base`.
    fn clean(&self, context: &Context, base: Option<usize>) -> Option<Clean> {
        let (mut context, mut base) = (context.clone(), base);
        let mut made: Vec<String> = Vec::new();
        let mut steps = Vec::new();
        for (n, stage) in self.stages.iter().enumerate() {
            match stage {
                Stage::Writes { file, argument, from } => {
                    let mounted = match from {
                        Some(from) => Some(context.get(&format!("w/g{from}"))?.clone()),
                        None => None,
                    };
                    let value = self.arguments[*argument];
                    let text = format!("{}w{value}\n", mounted.clone().unwrap_or_default());
                    let key = digest(&format!("write {file} {argument} {from:?} {value} {mounted:?}"));
                    let read =
                        from.iter().flat_map(|from| Self::reads(&Take::Written(*from), &context)).collect();
                    steps.push(Step {
                        stage: n,
                        step: 0,
                        key,
                        writes: true,
                        reads_itself: *from == Some(*file),
                        read,
                    });
                    context.insert(format!("w/g{file}"), text.clone());
                    made.push(text);
                }
                Stage::MakesBase { argument } => {
                    let value = self.arguments[*argument];
                    let key = digest(&format!("base {argument} {value}"));
                    steps.push(Step {
                        stage: n,
                        step: 0,
                        key,
                        writes: true,
                        reads_itself: false,
                        read: Vec::new(),
                    });
                    base = Some(value);
                    made.push("made\n".to_owned());
                }
                Stage::Reads { on_made_base, takes } => {
                    let mut files: BTreeMap<String, String> = BTreeMap::new();
                    let mut below = "busybox".to_owned();
                    let mut base_read = Vec::new();
                    if *on_made_base {
                        let value = base?;
                        below = format!("made {value}");
                        base_read.push(format!("base {base:?}"));
                        files.insert("/which".into(), format!("base {value}\n"));
                    }
                    for (k, take) in takes.iter().enumerate() {
                        let mut read = std::mem::take(&mut base_read);
                        let taken: Vec<(String, String)> = match take {
                            Take::Written(file) => {
                                vec![(format!("/in/{k}"), context.get(&format!("w/g{file}"))?.clone())]
                            }
                            Take::Source(file) => {
                                vec![(format!("/in/{k}"), context[&format!("f{file}")].clone())]
                            }
                            Take::Of(stage) => vec![(format!("/in/{k}"), made[*stage].clone())],
                            Take::Folder => context
                                .iter()
                                .filter(|(path, _)| path.starts_with("w/g"))
                                .map(|(path, text)| (format!("/in/{k}/{}", &path[2..]), text.clone()))
                                .collect(),
                        };
                        if taken.is_empty() {
                            return None;
                        }
                        read.extend(Self::reads(take, &context));
                        below = digest(&format!("{below}\ncopy {take:?} {taken:?}"));
                        steps.push(Step {
                            stage: n,
                            step: k,
                            key: below.clone(),
                            writes: false,
                            reads_itself: false,
                            read,
                        });
                        files.extend(taken);
                    }
                    below = digest(&format!("{below}\nlist"));
                    // Each command has the folder mounted, so each may write to it.
                    let step = takes.len();
                    steps.push(Step {
                        stage: n,
                        step,
                        key: below,
                        writes: true,
                        reads_itself: false,
                        read: Vec::new(),
                    });
                    // As the shell lists them.
                    let (deep, mut flat): (Vec<_>, Vec<_>) =
                        files.iter().partition(|(path, _)| path.matches('/').count() > 2);
                    flat.sort_by_key(|(path, _)| *path != "/which");
                    let listed = flat.into_iter().chain(deep);
                    made.push(listed.map(|(path, text)| format!("{path}:\n{text}")).collect());
                }
            }
        }
        Some(Clean { out: made.pop()?, base, steps })
    }

    /// What an instruction reads of the folder that steps write to.
    fn reads(take: &Take, context: &Context) -> Vec<String> {
        let of = |(path, text): (&String, &String)| format!("{path} {text}");
        let written = context.iter().filter(|(path, _)| path.starts_with("w/g"));
        match take {
            Take::Written(file) => {
                let wanted = format!("w/g{file}");
                vec![context.get_key_value(&wanted).map_or_else(|| format!("no {wanted}"), of)]
            }
            Take::Folder => written.map(of).collect(),
            Take::Source(_) | Take::Of(_) => Vec::new(),
        }
    }

    /// What the steps behind each one that writes read, were it all as it lies there now.
    fn as_it_lies(&self, context: &Context, base: Option<usize>) -> Behind {
        let mut steps = Vec::new();
        for (n, stage) in self.stages.iter().enumerate() {
            let read: Vec<Vec<String>> = match stage {
                Stage::Writes { from, .. } => {
                    vec![from.iter().flat_map(|from| Self::reads(&Take::Written(*from), context)).collect()]
                }
                Stage::MakesBase { .. } => vec![Vec::new()],
                Stage::Reads { on_made_base, takes } => {
                    let mut read: Vec<_> = takes.iter().map(|take| Self::reads(take, context)).collect();
                    if *on_made_base {
                        read[0].insert(0, format!("base {base:?}"));
                    }
                    read
                }
            };
            let mut read: Vec<_> =
                read.into_iter().enumerate().map(|(k, read)| ((n, k), false, read)).collect();
            match stage {
                Stage::Reads { takes, .. } => read.push(((n, takes.len()), true, Vec::new())),
                _ => read[0].1 = true,
            }
            steps.extend(read);
        }
        behind(steps.iter().map(|(id, writes, read)| (*id, *writes, read)))
    }
}

/// For each step that writes, what the steps behind it read.
type Behind = BTreeMap<(usize, usize), Vec<String>>;

fn behind<'a>(steps: impl Iterator<Item = ((usize, usize), bool, &'a Vec<String>)>) -> Behind {
    let steps: Vec<_> = steps.collect();
    let writers = steps.iter().enumerate().filter(|(_, (_, writes, _))| *writes);
    writers
        .map(|(at, (id, ..))| (*id, steps[at + 1..].iter().flat_map(|(.., read)| (*read).clone()).collect()))
        .collect()
}

/// Changes something between two builds.
fn change(random: &mut Random, graph: &mut Graph, context: &mut Context) {
    match random.below(6) {
        0 | 1 => {
            let argument = random.below(2);
            graph.arguments[argument] = 1 - graph.arguments[argument];
        }
        2 => drop(context.insert(format!("w/g{}", random.below(3)), format!("edited {}\n", random.below(3)))),
        3 => drop(context.insert(format!("f{}", random.below(2)), format!("source {}\n", random.below(3)))),
        4 => drop(context.remove(&format!("w/g{}", random.below(3)))),
        _ => {}
    }
}

fn put(scenario: &Scenario, context: &Context) {
    for n in 0..3 {
        let path = format!("w/g{n}");
        match context.get(&path) {
            Some(text) if fs::read_to_string(scenario.context().join(&path)).ok().as_ref() == Some(text) => {}
            Some(text) => drop(scenario.write(&path, text)),
            None => drop(fs::remove_file(scenario.context().join(&path))),
        }
    }
    for n in 0..2 {
        let path = format!("f{n}");
        scenario.write(&path, &context[&path]);
    }
}

/// The context as it is after a build.
fn found(scenario: &Scenario, before: &Context) -> Context {
    let mut context: Context = before
        .iter()
        .filter(|(path, _)| path.starts_with('f'))
        .map(|(a, b)| (a.clone(), b.clone()))
        .collect();
    for n in 0..3 {
        let path = format!("w/g{n}");
        if let Ok(text) = fs::read_to_string(scenario.context().join(&path)) {
            context.insert(path, text);
        }
    }
    context
}

fn ran(built: &Built) -> BTreeSet<(usize, usize)> {
    let stages = built.record["stages"].as_array().into_iter().flatten();
    let index = |value: &Value| usize::try_from(value["index"].as_u64().unwrap()).unwrap();
    stages
        .flat_map(|stage| {
            let steps = stage["steps"].as_array().into_iter().flatten();
            let ran = steps.filter(|step| step["verdict"]["verdict"] == "miss" && !step["image"].is_null());
            ran.map(move |step| (index(stage), index(step))).collect::<Vec<_>>()
        })
        .collect()
}

/// A base that brings the layouts which steps can put into the context.
fn with_layouts(kind: Kind) -> Scenario {
    let scenario = Scenario::on(kind, "FROM scratch\n");
    let folder = scenario.folder().join("layouts");
    fs::create_dir(&folder).unwrap();
    for n in 0..2 {
        let base = scenario.folder().join(format!("base{n}"));
        fs::create_dir(&base).unwrap();
        let text = "FROM docker.io/library/busybox\nCOPY which /which\n";
        fs::write(base.join("Containerfile"), text).unwrap();
        fs::write(base.join("which"), format!("base {n}\n")).unwrap();
        let name = format!("localhost/layout:{n}");
        scenario.engine(&["build", "--pull=never", "--quiet", "--tag", &name, base.to_str().unwrap()]);
        scenario.engine(&["push", "--quiet", &name, &format!("oci:{}/{n}", folder.display())]);
    }
    scenario
}

/// Draws one graph, and builds it on the engine after each of some changes.
pub fn one(seed: u64) {
    let mut random = Random::new(seed);
    let kind = *random.pick(&BOTH);
    let scenario = with_layouts(kind);
    let mut context: Context = [("f0", "source 0\n"), ("f1", "source 1\n"), ("w/g0", "first\n")]
        .map(|(path, text)| (path.to_owned(), text.to_owned()))
        .into();
    let mut graph = Graph::draw(&mut random, &context);
    scenario.containerfile(&graph.containerfile());
    fs::create_dir(scenario.context().join("w")).unwrap();
    let mut base = None;
    let mut known: BTreeSet<String> = BTreeSet::new();
    // What was read behind a step that writes when it last ran, where all of it lay there in the end.
    let mut left: BTreeMap<((usize, usize), String), Vec<String>> = BTreeMap::new();
    for build in 0..5 {
        if build > 0 {
            let (before, was) = (graph.clone(), context.clone());
            for _ in 0..random.below(3) {
                change(&mut random, &mut graph, &mut context);
            }
            if graph.clean(&context, base).is_none() {
                (graph, context) = (before, was);
            }
        }
        put(&scenario, &context);
        let clean = graph.clean(&context, base).unwrap();
        let now = graph.as_it_lies(&context, base);
        let mut flags = vec![
            "--pull=missing".to_owned(),
            "--keep-stages=all".into(),
            "--keep-storage=all".into(),
            format!("--jobs={}", 1 + random.below(3)),
            format!("--volume={}/w:/v", scenario.context().display()),
            format!("--volume={}/layouts:/layouts:ro", scenario.folder().display()),
        ];
        flags.extend((0..2).map(|n| format!("--build-arg=A{n}={}", graph.arguments[n])));
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        let mut command = scenario.build_command(&flags);
        command.current_dir(scenario.context()).arg(".");
        let built = scenario.ended(command).ok();
        let about =
            || format!("seed {seed}, build {build}, {kind:?}\n{}\n{}", graph.containerfile(), built.stderr);
        let files = scenario.files(&scenario.image(&built.image()));
        let out = files["out"].splitn(4, ' ').nth(3).unwrap();
        if out.len() == clean.out.len() || !out.contains(" bytes, ") {
            assert_eq!(out, clean.out, "{}", about());
        } else {
            let expected = format!("{} bytes, {}", clean.out.len(), blake3::hash(clean.out.as_bytes()));
            assert!(files["out"].ends_with(&expected), "{}\nexpected:\n{}", about(), clean.out);
        }
        let did = ran(&built);
        let mut wrote = false;
        for step in &clean.steps {
            let id = (step.stage, step.step);
            // The same step may stand in several stages.
            let is_known = !known.insert(step.key.clone());
            let wrote_before = wrote;
            wrote |= step.writes && did.contains(&id);
            // Of equal steps in two stages one runs, and the other takes its result.
            let mut equal = clean.steps.iter().filter(|other| other.key == step.key);
            let has_run = equal.any(|other| did.contains(&(other.stage, other.step)));
            assert!(is_known || has_run, "{id:?} did not run: {}", about());
            if !is_known || !did.contains(&id) {
                continue;
            }
            let in_vain = left.get(&(id, step.key.clone())).is_some_and(|was| was == &now[&id]);
            // One that wrote before it has changed what was left.
            assert!(
                step.writes && (step.reads_itself || wrote_before || !in_vain),
                "{id:?} ran in vain: {}",
                about()
            );
        }
        context = found(&scenario, &context);
        base = clean.base.or(base);
        let after = graph.as_it_lies(&context, base);
        let as_read =
            behind(clean.steps.iter().map(|step| ((step.stage, step.step), step.writes, &step.read)));
        for step in clean.steps.iter().filter(|step| step.writes) {
            let (id, key) = ((step.stage, step.step), step.key.clone());
            if after[&id] == as_read[&id] {
                left.insert((id, key), after[&id].clone());
            } else {
                left.remove(&(id, key));
            }
        }
    }
    scenario.assert_clean();
}
