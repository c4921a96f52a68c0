//! Draws worlds, and changes of them.

use std::collections::{BTreeMap, BTreeSet};

use crate::language::{Command, File, Files, Instruction, Mount};
use crate::random::Random;
use crate::world::{BUSYBOX, Base, MOVING, Stage, World, is_there};

const FILES: &[&str] = &["f0", "f1", "f2"];
const FOLDERS: &[&str] = &["d0", "d1"];
const ARGS: &[&str] = &["A0", "A1"];
const VARIABLES: &[&str] = &["E0", "E1"];

/// A world that can be built; `small` ones for engines that take their time.
pub fn world(random: &mut Random, small: bool) -> World {
    loop {
        let world = attempt(random, small);
        if world.clean().is_ok() && !world.clean().unwrap()[&world.target].steps.is_empty() {
            return world;
        }
    }
}

fn attempt(random: &mut Random, small: bool) -> World {
    let mut context = Files::new();
    for name in FILES {
        context.insert((*name).into(), file(random));
    }
    for folder in FOLDERS {
        for n in 0..1 + random.below(3) {
            context.insert(format!("{folder}/x{n}"), file(random));
        }
    }
    let mut world = World {
        stages: Vec::new(),
        target: 0,
        context,
        moving: "1\n".into(),
        build_args: BTreeMap::new(),
        ignored: BTreeSet::new(),
        die: "1\n".into(),
        layers: random.percent(75),
        comments: 0,
    };
    let (stages, instructions) = if small { (3, 4) } else { (5, 6) };
    for n in 0..1 + random.below(stages) {
        push_stage(random, &mut world, format!("s{n}"), instructions);
    }
    world.target = world.stages.len() - 1;
    world
}

fn push_stage(random: &mut Random, world: &mut World, name: String, instructions: usize) {
    let n = world.stages.len();
    let base = match random.below(10) {
        0 => Base::Scratch,
        1 | 2 => Base::Image(MOVING),
        3..=5 if n > 0 => Base::Stage(random.below(n)),
        _ => Base::Image(BUSYBOX),
    };
    world.stages.push(Stage { name, base, body: Vec::new() });
    let least = usize::from(world.stages[n].base == Base::Scratch);
    for k in 0..least + random.below(instructions) {
        let instruction = instruction(random, world, n, k < least);
        world.stages[n].body.push(instruction);
    }
}

fn file(random: &mut Random) -> File {
    let mode = if random.percent(20) { 0o755 } else { 0o644 };
    File { mode, text: text(random) }
}

/// Two lines: a command may read the first alone.
fn text(random: &mut Random) -> String {
    format!("first {}\nsecond {}\n", random.below(3), random.below(4))
}

/// A path that commands write to or copies go to.
fn own_path(random: &mut Random) -> String {
    format!("/o{}", random.below(4))
}

fn instruction(random: &mut Random, world: &World, stage: usize, copy: bool) -> Instruction {
    if !copy && random.percent(35) {
        return metadata(random);
    }
    if !copy && world.has_shell(stage) && random.percent(55) {
        if random.percent(20) {
            let command = Command::Roll { to: format!("/o{}", 4 + random.below(3)) };
            return Instruction::Run { mount: None, command };
        }
        return Instruction::Run { mount: mount(random, world, stage), command: command(random) };
    }
    let chmod = random.percent(15).then_some(*random.pick(&[0o600, 0o755]));
    if stage > 0 && random.percent(60) {
        let other = random.below(stage);
        let paths = world.paths(other);
        if !paths.is_empty() {
            let source = random.pick(&paths).clone();
            let is_folder = FOLDERS.iter().chain(&["e"]).any(|folder| source == format!("/{folder}"));
            let to = if is_folder { source.clone() } else { own_path(random) };
            let name = if random.percent(20) { other.to_string() } else { world.stages[other].name.clone() };
            return Instruction::Copy { from: Some(name), chmod, sources: vec![source], to };
        }
    }
    if random.percent(8) {
        let to = own_path(random);
        return Instruction::Copy { from: Some(MOVING.into()), chmod, sources: vec!["/b".into()], to };
    }
    match random.below(4) {
        0 => {
            let folder = *random.pick(FOLDERS);
            Instruction::Copy { from: None, chmod, sources: vec![folder.into()], to: format!("/{folder}") }
        }
        1 => Instruction::Copy {
            from: None,
            chmod,
            sources: vec!["f0".into(), (*random.pick(&["f1", "f2"])).into()],
            to: "/e/".into(),
        },
        2 => {
            let to = own_path(random);
            Instruction::Copy { from: None, chmod, sources: vec![format!("f${}", random.pick(ARGS))], to }
        }
        _ => {
            let to = own_path(random);
            Instruction::Copy { from: None, chmod, sources: vec![(*random.pick(FILES)).into()], to }
        }
    }
}

fn metadata(random: &mut Random) -> Instruction {
    match random.below(7) {
        0 | 1 => Instruction::Arg { name: (*random.pick(ARGS)).into(), default: random.below(3).to_string() },
        2 | 3 => {
            let value = if random.percent(30) {
                format!("x${}", random.pick(ARGS))
            } else {
                random.below(3).to_string()
            };
            Instruction::Env { name: (*random.pick(VARIABLES)).into(), value }
        }
        4 => Instruction::Label { name: "l".into(), value: random.below(3).to_string() },
        5 => Instruction::Expose(8080 + random.below(3)),
        _ => Instruction::Workdir((*random.pick(&["/w", "/v"])).into()),
    }
}

fn mount(random: &mut Random, world: &World, stage: usize) -> Option<Mount> {
    match random.below(6) {
        0 => Some(Mount { from: None, source: (*random.pick(FOLDERS)).into() }),
        1 if stage > 0 => {
            let other = random.below(stage);
            let source = format!("/{}", random.pick(FOLDERS));
            let there = world.paths(other).contains(&source);
            there.then(|| Mount { from: Some(world.stages[other].name.clone()), source })
        }
        _ => None,
    }
}

fn command(random: &mut Random) -> Command {
    let written = 4 + random.below(3);
    let read = |random: &mut Random| match random.below(7) {
        0 => "/d0/x0".to_owned(),
        1 => "/m/x0".to_owned(),
        2 => "/b".to_owned(),
        3 => "/e/f0".to_owned(),
        // A shell empties the file that it writes to before the command reads.
        4 => format!("/o{}", 4 + (written - 4 + 1 + random.below(2)) % 3),
        _ => format!("/o{}", random.below(4)),
    };
    let to = format!("/o{written}");
    match random.below(8) {
        0 | 1 => Command::Join { files: vec![read(random), read(random)], to },
        2 | 3 => Command::First { file: read(random), to },
        4 => Command::Say { text: format!("v ${{{}}}", random.pick(ARGS)), to },
        5 => Command::Say { text: format!("w ${{{}}} {}", random.pick(VARIABLES), random.below(2)), to },
        6 => match random.below(2) {
            0 => Command::Mode { file: read(random), to },
            _ => Command::Folder { to },
        },
        _ => Command::Remove { file: read(random).replace("/m/", "/o") },
    }
}

/// What happens between two builds, beside the world itself changing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    Nothing,
    /// Times, inodes and owners change, what is in the files does not.
    Touched,
    /// The storage has its bases and nothing else.
    Emptied,
    /// One image is removed as `rmi` does it.
    ImageRemoved,
    /// The next build is broken off by an engine call that fails.
    Fails,
    /// What has no name and nothing on top of it goes, as `image prune` does it.
    Pruned,
    /// While the next build runs, an image goes that a step stands on.
    Loses,
    /// The next build is told not to use the cache.
    NoCache,
    /// It is told so of one stage.
    NoCacheOf(usize),
}

/// Changes a world a little; the result can be built.
pub fn edit(random: &mut Random, world: &World) -> (World, Event) {
    let event = match random.below(50) {
        0 => Event::Emptied,
        1 | 2 => Event::ImageRemoved,
        3..6 => Event::Touched,
        6..10 => Event::Fails,
        10..13 => Event::Pruned,
        13 => Event::Loses,
        14 | 15 => Event::NoCache,
        16..20 => Event::NoCacheOf(random.below(world.stages.len())),
        _ => Event::Nothing,
    };
    if !matches!(event, Event::Nothing | Event::Fails) && random.percent(50) {
        let mut rolled = world.clone();
        rolled.die = format!("{}\n", random.below(6));
        if random.percent(40) {
            rolled.target = random.below(rolled.stages.len());
        }
        if rolled.clean().is_ok_and(|clean| !clean[&rolled.target].steps.is_empty()) {
            return (rolled, event);
        }
        return (world.clone(), event);
    }
    loop {
        let mut edited = world.clone();
        for _ in 0..1 + random.below(2) {
            change(random, &mut edited);
        }
        if !(in_order(&edited) && one_name_each(&edited)) {
            continue;
        }
        let buildable = edited.clean().is_ok_and(|clean| !clean[&edited.target].steps.is_empty());
        let shell = (0..edited.stages.len()).all(|stage| {
            edited.has_shell(stage)
                || !edited.stages[stage].body.iter().any(|i| matches!(i, Instruction::Run { .. }))
        });
        let lone = edited.stages.iter().any(|stage| stage.base == Base::Scratch && !any_copy(stage));
        if buildable && shell && !lone {
            return (edited, event);
        }
    }
}

/// Whether all that stages stand on and copy from is above them.
fn in_order(world: &World) -> bool {
    world.stages.iter().enumerate().all(|(n, stage)| {
        let above = |name: &str| {
            let number = name.parse::<usize>().is_ok_and(|number| number < n);
            number || name == MOVING || world.stages[..n].iter().any(|stage| stage.name == name)
        };
        let based = match stage.base {
            Base::Stage(below) => below < n,
            _ => true,
        };
        based
            && stage.body.iter().all(|instruction| match instruction {
                Instruction::Copy { from: Some(from), .. } => above(from),
                Instruction::Run { mount: Some(Mount { from: Some(from), .. }), .. } => above(from),
                _ => true,
            })
    })
}

fn one_name_each(world: &World) -> bool {
    let names: BTreeSet<&str> = world.stages.iter().map(|stage| stage.name.as_str()).collect();
    names.len() == world.stages.len()
}

fn any_copy(stage: &Stage) -> bool {
    stage.body.iter().any(Instruction::has_layer)
}

fn change(random: &mut Random, world: &mut World) {
    let stage = random.below(world.stages.len());
    let length = world.stages[stage].body.len();
    match random.below(23) {
        0..5 => {
            let names: Vec<String> = world.context.keys().cloned().collect();
            let name = random.pick(&names);
            let text = text(random);
            world.context.get_mut(name).unwrap().text = text;
        }
        5 => {
            let names: Vec<String> = world.context.keys().cloned().collect();
            let file = world.context.get_mut(random.pick(&names)).unwrap();
            file.mode = if file.mode == 0o644 { 0o755 } else { 0o644 };
        }
        6 => {
            let name = format!("{}/x{}", random.pick(FOLDERS), random.below(4));
            let folder = name.split('/').next().unwrap().to_owned();
            match world.context.remove(&name) {
                Some(removed) if !is_there(&world.context, &folder) => {
                    drop(world.context.insert(name, removed))
                }
                Some(_) => {}
                None => drop(world.context.insert(name, file(random))),
            }
        }
        7 if length > 0 => {
            let removed = random.below(length);
            world.stages[stage].body.remove(removed);
        }
        8 | 9 => {
            let at = random.below(length + 1);
            let added = instruction(random, world, stage, false);
            world.stages[stage].body.insert(at, added);
        }
        10 if length > 0 => {
            let at = random.below(length);
            let other = instruction(random, world, stage, false);
            world.stages[stage].body[at] = other;
        }
        11 if length > 1 => {
            let at = random.below(length - 1);
            world.stages[stage].body.swap(at, at + 1);
        }
        12 => {
            let name = (*random.pick(ARGS)).to_owned();
            match random.below(3) {
                0 => drop(world.build_args.remove(&name)),
                _ => drop(world.build_args.insert(name, random.below(3).to_string())),
            }
        }
        13 => rename(random, world, stage),
        14 => world.target = stage,
        15 => world.moving = format!("{}\n", random.below(3)),
        16 => world.layers = !world.layers,
        17 => {
            let names: Vec<String> = world.context.keys().cloned().collect();
            let name = random.pick(&names).clone();
            if !world.ignored.remove(&name) {
                world.ignored.insert(name);
            }
        }
        18 => {
            let name = format!("t{}", random.below(100));
            push_stage(random, world, name, 4);
            if random.percent(50) {
                world.target = world.stages.len() - 1;
            }
        }
        19 => {
            let at = random.below(world.stages.len());
            move_to_front(world, at);
        }
        20 => remove_stage(world, stage),
        21 => world.die = format!("{}\n", random.below(6)),
        _ => world.comments = random.below(4),
    }
}

/// The places of all stages change: `new` tells the new one of each.
fn rearrange(world: &mut World, new: &dyn Fn(usize) -> usize) {
    for at in 0..world.stages.len() {
        if let Base::Stage(below) = &mut world.stages[at].base {
            *below = new(*below);
        }
        for instruction in &mut world.stages[at].body {
            let from = match instruction {
                Instruction::Copy { from: Some(from), .. } => from,
                Instruction::Run { mount: Some(Mount { from: Some(from), .. }), .. } => from,
                _ => continue,
            };
            if let Ok(number) = from.parse() {
                *from = new(number).to_string();
            }
        }
    }
    world.target = new(world.target);
}

/// Stages on which it stands make the result one that cannot be built; that is drawn again.
fn move_to_front(world: &mut World, at: usize) {
    rearrange(world, &|old| match old {
        old if old == at => 0,
        old if old < at => old + 1,
        old => old,
    });
    let stage = world.stages.remove(at);
    world.stages.insert(0, stage);
}

fn remove_stage(world: &mut World, at: usize) {
    let name = world.stages[at].name.clone();
    let used = world.target == at
        || world.stages.iter().any(|stage| {
            let sources = stage.body.iter().filter_map(|instruction| match instruction {
                Instruction::Copy { from, .. } => from.as_deref(),
                Instruction::Run { mount: Some(mount), .. } => mount.from.as_deref(),
                _ => None,
            });
            stage.base == Base::Stage(at)
                || sources.into_iter().any(|from| from == name || from == at.to_string())
        });
    if !used {
        world.stages.remove(at);
        rearrange(world, &|old| old - usize::from(old > at));
    }
}

fn rename(random: &mut Random, world: &mut World, stage: usize) {
    let new = format!("r{}-{stage}", random.below(3));
    let old = std::mem::replace(&mut world.stages[stage].name, new.clone());
    for other in &mut world.stages {
        for instruction in &mut other.body {
            let from = match instruction {
                Instruction::Copy { from, .. } => from,
                Instruction::Run { mount: Some(mount), .. } => &mut mount.from,
                _ => continue,
            };
            if from.as_deref() == Some(&old) {
                *from = Some(new.clone());
            }
        }
    }
}
