//! What is built: stages, context, bases, flags; and what a clean build of it has to give.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use crate::language::{File, Files, Instruction, Picked, Place, State, picked};

/// The base of every storage.
pub const BUSYBOX: &str = "docker.io/library/busybox:latest";
/// A base that moves.
pub const MOVING: &str = "localhost/base:1";

/// What a stage stands on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Base {
    Scratch,
    Image(&'static str),
    Stage(usize),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    pub name: String,
    pub base: Base,
    pub body: Vec<Instruction>,
}

/// Everything that a build hangs on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct World {
    pub stages: Vec<Stage>,
    pub target: usize,
    pub context: Files,
    /// What is in the file that the moving base has.
    pub moving: String,
    pub build_args: BTreeMap<String, String>,
    /// Files of the context that COPY does not see.
    pub ignored: BTreeSet<String>,
    /// What a roll gives now.
    pub die: String,
    pub layers: bool,
    /// Comments and blank lines, which mean nothing.
    pub comments: usize,
}

/// One step, while it is told whether it runs.
pub struct Step<'a> {
    pub stage: usize,
    pub step: usize,
    /// What it hangs on.
    pub digest: &'a str,
}

/// What steps gave when they last ran.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    /// Steps whose result is known.
    pub known: BTreeSet<String>,
    /// How often each of them was run again since.
    again: BTreeMap<String, usize>,
    /// What their rolls gave.
    rolls: BTreeMap<String, String>,
}

impl Memory {
    fn decide(&mut self, step: &Step<'_>, die: &str, runs: &mut dyn FnMut(&Step<'_>) -> bool) -> String {
        if runs(step) {
            if !self.known.insert(step.digest.to_owned()) {
                *self.again.entry(step.digest.to_owned()).or_default() += 1;
            }
            self.rolls.insert(step.digest.to_owned(), die.to_owned());
        }
        self.rolls.get(step.digest).cloned().unwrap_or_default()
    }

    /// What stands on a step stands on what it gave last.
    fn edition(&self, step: &str) -> String {
        match self.again.get(step) {
            Some(again) => digest(&format!("{step} {again}")),
            None => step.to_owned(),
        }
    }
}

/// The steps of one stage of a clean build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CleanStage {
    /// What each step hangs on, whole: steps of one text do the same.
    pub steps: Vec<String>,
    /// What the stage as a whole amounts to.
    pub whole: String,
    pub state: State,
}

impl World {
    pub fn containerfile(&self) -> String {
        let mut text = String::new();
        for (n, stage) in self.stages.iter().enumerate() {
            if n < self.comments {
                text.push_str("# a remark\n\n");
            }
            let base = match &stage.base {
                Base::Scratch => "scratch".to_owned(),
                Base::Image(name) => (*name).to_owned(),
                Base::Stage(below) => self.stages[*below].name.clone(),
            };
            let _ = writeln!(text, "FROM {base} AS {}", stage.name);
            for instruction in &stage.body {
                let _ = writeln!(text, "{instruction}");
            }
        }
        text
    }

    /// The files of a base image that the model looks at.
    pub fn base(&self, name: &str) -> Option<Files> {
        match name {
            BUSYBOX => Some(Files::new()),
            MOVING => Some(Files::from([("b".to_owned(), File::new(&self.moving))])),
            _ => None,
        }
    }

    /// Whether a shell is there to run commands.
    pub fn has_shell(&self, stage: usize) -> bool {
        match self.stages[stage].base {
            Base::Scratch => false,
            Base::Image(_) => true,
            Base::Stage(below) => self.has_shell(below),
        }
    }

    /// The stage that a name stands for further up than `above`.
    fn stage_named(&self, name: &str, above: usize) -> Option<usize> {
        let number = name.parse().ok().filter(|n| *n < above);
        self.stages[..above].iter().rposition(|stage| stage.name == name).or(number)
    }

    fn needs(&self, stage: usize, needed: &mut Vec<bool>) {
        if std::mem::replace(&mut needed[stage], true) {
            return;
        }
        if let Base::Stage(below) = self.stages[stage].base {
            self.needs(below, needed);
        }
        for instruction in &self.stages[stage].body {
            let from = match instruction {
                Instruction::Copy { from, .. } => from.as_deref(),
                Instruction::Run { mount: Some(mount), .. } => mount.from.as_deref(),
                _ => None,
            };
            if let Some(other) = from.and_then(|name| self.stage_named(name, stage)) {
                self.needs(other, needed);
            }
        }
    }

    /// A clean build: each stage that the target needs.
    ///
    /// # Errors
    /// When something that is copied is not there.
    pub fn clean(&self) -> Result<BTreeMap<usize, CleanStage>, String> {
        self.built(&mut Memory::default(), &mut |_| true)
    }

    /// A build of which `runs` tells the steps that run; the others give what they gave when they last ran.
    ///
    /// # Errors
    /// When something that is copied is not there.
    pub fn built(
        &self,
        memory: &mut Memory,
        runs: &mut dyn FnMut(&Step<'_>) -> bool,
    ) -> Result<BTreeMap<usize, CleanStage>, String> {
        let mut needed = vec![false; self.stages.len()];
        self.needs(self.target, &mut needed);
        let mut done = BTreeMap::new();
        for stage in (0..self.stages.len()).filter(|stage| needed[*stage]) {
            let built = self.built_stage(stage, &done, memory, runs)?;
            done.insert(stage, built);
        }
        Ok(done)
    }

    fn built_stage(
        &self,
        at: usize,
        done: &BTreeMap<usize, CleanStage>,
        memory: &mut Memory,
        runs: &mut dyn FnMut(&Step<'_>) -> bool,
    ) -> Result<CleanStage, String> {
        let stage = &self.stages[at];
        let (mut state, mut whole) = match &stage.base {
            Base::Scratch => (State::default(), "scratch".to_owned()),
            Base::Image(name) => {
                let files = self.base(name).ok_or_else(|| format!("no image {name}"))?;
                let whole = digest(&format!("image {files:?}"));
                (State { files, ..State::default() }, whole)
            }
            Base::Stage(below) => {
                let below = done.get(below).ok_or_else(|| format!("no stage {below} above stage {at}"))?;
                (below.state.below_another(), below.whole.clone())
            }
        };
        let files_of = |place: Place<'_>| -> Result<Files, String> {
            match place {
                Place::Copied => Ok(self.copied()),
                Place::Mounted => Ok(self.context.clone()),
                Place::Stage(name) => match self.stage_named(name, at) {
                    Some(stage) => Ok(done[&stage].state.files.clone()),
                    None => self.base(name).ok_or_else(|| format!("no stage {name}")),
                },
            }
        };
        // What a roll gives is told when all is known that its step hangs on, and nothing of that is what it gives.
        let mut blank = state.clone();
        let mut steps = Vec::new();
        let mut taken: Vec<(&Instruction, Vec<Picked>)> = Vec::new();
        let mut pending = String::new();
        let mode = if self.layers { "tail" } else { "squashed" };
        for (n, instruction) in stage.body.iter().enumerate() {
            let sources = blank.sources(instruction, &files_of)?;
            pending.push_str(&self.hangs_on(&blank, instruction));
            // With --chmod the modes of the context's files go nowhere.
            let of_context = matches!(instruction, Instruction::Copy { from: None, chmod: Some(_), .. });
            let mut counted = sources.clone();
            counted
                .iter_mut()
                .filter(|_| of_context)
                .flat_map(BTreeMap::values_mut)
                .for_each(|file| file.mode = 0);
            let _ = writeln!(pending, "{counted:?}");
            blank.apply(instruction, &sources, &self.build_args, "");
            taken.push((instruction, sources));
            let last = n + 1 == stage.body.len();
            let ends = if self.layers { instruction.has_layer() } else { last };
            if !ends {
                continue;
            }
            let head = if self.layers { whole.clone() } else { format!("{whole}\n{mode}") };
            let step = digest(&format!("{head}\n{pending}"));
            let die = memory.decide(&Step { stage: at, step: steps.len(), digest: &step }, &self.die, runs);
            for (instruction, sources) in taken.drain(..) {
                state.apply(instruction, &sources, &self.build_args, &die);
            }
            whole = memory.edition(&step);
            steps.push(step);
            pending.clear();
        }
        for (instruction, sources) in taken {
            state.apply(instruction, &sources, &self.build_args, "");
        }
        whole = digest(&format!("{whole}\n{mode}\n{pending}"));
        Ok(CleanStage { steps, whole, state })
    }

    /// What COPY can take of the context.
    fn copied(&self) -> Files {
        let left = self.context.iter().filter(|(name, _)| !self.ignored.contains(*name));
        left.map(|(name, file)| (name.clone(), file.clone())).collect()
    }

    /// The text of an instruction and what it stands for, without the bytes.
    fn hangs_on(&self, state: &State, instruction: &Instruction) -> String {
        let nameless = match instruction {
            Instruction::Copy { chmod, sources, to, .. } => {
                Instruction::Copy { from: None, chmod: *chmod, sources: sources.clone(), to: to.clone() }
            }
            other => other.clone(),
        };
        let text = nameless.to_string();
        match instruction {
            // A command sees the variables themselves.
            Instruction::Run { .. } => format!("{text}\n{:?}\n", state.args),
            _ => format!("{text}\n{}\n", state.expand(&text)),
        }
    }

    /// Whether something lies at this path of a stage, when all is built.
    pub fn paths(&self, stage: usize) -> Vec<String> {
        let alone = Self { target: stage, ..self.clone() };
        let Ok(clean) = alone.clean() else { return Vec::new() };
        let files = &clean[&stage].state.files;
        let mut paths: Vec<String> = files.keys().map(|path| format!("/{path}")).collect();
        let mut folders: Vec<String> =
            files.keys().filter_map(|path| Some(format!("/{}", path.split_once('/')?.0))).collect();
        folders.dedup();
        paths.extend(folders);
        paths
    }
}

pub fn digest(text: &str) -> String {
    blake3::hash(text.as_bytes()).to_hex()[..24].to_owned()
}

/// Whether a path of the context is there.
pub fn is_there(files: &Files, path: &str) -> bool {
    !picked(files, path).is_empty()
}
