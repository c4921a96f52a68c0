//! Gathers what each step of each stage hangs on: expansion, files of the context, flags.
//!
//! Reads the context and the configs of base images; runs nothing. What is known of earlier builds, and so
//! whether a step runs, is `plan`'s work.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, anyhow};

use crate::bases::BaseImage;
use crate::containerfile::{
    BuildArgs, Containerfile, FileStages, Instruction, Keyword, Rules, Scope, StageBase, parse,
};
use crate::context::{
    ContextError, ContextPart, ContextReader, CopiedTree, CopyKind, CopyRequest, is_remote_source,
};
use crate::graph::{Origin, ReferenceKind, Stage, StageGraph, mount_fields};
use crate::image::{ImageFormat, ImageId};
use crate::key::{self, Content, Parent, Source, StepInputs, digest_of_value, text_of};
use crate::record::InputRecord;
use crate::render::{Rename, ScopedArg};
use crate::step;

/// One instruction of a stage as it is built.
#[derive(Debug, Clone)]
pub struct BodyItem {
    /// The instruction.
    pub instruction: Instruction,
    /// Its bytes.
    pub text: Vec<u8>,
    /// Where it stands.
    pub place: Place,
}

/// Where an instruction of a stage comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The file, by its index in the stage's body.
    File(usize),
    /// An ONBUILD trigger of the base.
    Trigger,
    /// A flag of the command line (`--label`).
    Flag,
}

/// A source of a step that lies in another stage or in an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Foreign {
    /// Which of the step's sources.
    pub source: usize,
    /// Where it lies.
    pub origin: Origin,
    /// The paths.
    pub paths: Vec<String>,
}

/// A name that a step refers to, and how the engine gets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedInput {
    /// The name of the build context.
    pub context: String,
    /// What it stands for.
    pub origin: Origin,
    /// It has to be a stage of the step's own file.
    pub as_stage: bool,
}

/// A part of a folder on this machine that a step takes: the step's key holds only as long as it stays as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FolderRead {
    /// The build context of that name; nothing for the build's own.
    pub named: Option<String>,
    /// What the step takes of it.
    pub part: ContextPart,
    /// The digest in the step's key; nothing where nothing was there.
    pub digest: Option<String>,
}

/// One step, ready to be keyed and called.
#[derive(Debug, Clone)]
pub struct PreparedStep {
    /// Its instructions, by index into the stage's body.
    pub items: Vec<usize>,
    /// First and last line.
    pub lines: (usize, usize),
    /// Its last instruction, as the history has it.
    pub title: String,
    /// What it hangs on; the parent is filled in by `plan`.
    pub inputs: StepInputs,
    /// Sources outside the context.
    pub foreign: Vec<Foreign>,
    /// Names that the engine needs contexts for.
    pub named: Vec<NamedInput>,
    /// Names to be rewritten.
    pub renames: Vec<Rename>,
    /// Why it cannot be keyed.
    pub always: Option<String>,
    /// Locks that it holds alone while it runs.
    pub exclusive: BTreeSet<String>,
    /// Whether it reads the build context.
    pub uses_context: bool,
    /// What it takes of folders on this machine.
    pub reads: Vec<FolderRead>,
    /// What it takes of servers, with what told those bytes from others when the step was keyed.
    pub remotes: Vec<(String, String)>,
    /// Whether it has a RUN.
    pub runs: bool,
    /// The working directory that the image has to bring, because the engine must not carry out the WORKDIRs.
    pub workdir: Option<String>,
    /// Whether each of its instructions is committed by itself.
    pub in_layers: bool,
    /// ARGs to be declared again.
    pub args: Vec<ScopedArg>,
    /// Values that travel with the call.
    pub build_args: Vec<(String, String)>,
    /// The SHELL to be declared again.
    pub shell: Option<Vec<String>>,
    /// Where its bytes come from, for the record.
    pub record: Vec<InputRecord>,
}

/// One stage, ready to be planned.
#[derive(Debug, Clone)]
pub struct PreparedStage {
    /// The stage as the graph has it.
    pub stage: Stage,
    /// All its instructions: the base's triggers, the file's, those of flags.
    pub body: Vec<BodyItem>,
    /// The base, where it is an image.
    pub base: Option<BaseImage>,
    /// The ONBUILD triggers of the base.
    pub triggers: usize,
    /// The variables in front of each instruction, and behind the last.
    pub scopes: Vec<Scope>,
    /// One layer an instruction; else the stage is one call.
    pub layers: bool,
    /// The steps.
    pub steps: Vec<PreparedStep>,
    /// The tail: its instructions, by index into the body.
    pub tail: Vec<usize>,
    /// What the tail hangs on.
    pub tail_inputs: StepInputs,
    /// The platform that the stage is for, where the user or FROM names one.
    pub platform: Option<String>,
}

/// What all stages of a build share.
pub struct Common<'a> {
    /// The file.
    pub file: &'a Containerfile,
    /// Its stages as read.
    pub read: &'a FileStages<'a>,
    /// The heading's scope.
    pub heading: &'a Scope,
    /// The build context; nothing where there is none.
    pub context: Option<&'a ContextReader>,
    /// Contexts by name that are folders.
    pub named_contexts: &'a BTreeMap<String, ContextReader>,
    /// OCI or docker.
    pub image_format: ImageFormat,
    /// `--layers`.
    pub layers: bool,
    /// Build the target in one call by itself, because a flag asks for what only the engine can do with a stage.
    pub target_in_one_call: bool,
    /// The platform, for the key.
    pub platform: String,
    /// Flags that can change a result.
    pub key_flags: BTreeMap<String, Vec<String>>,
    /// Flags that concern the target alone.
    pub target_flags: BTreeMap<String, Vec<String>>,
    /// `--label` of the target, as LABEL instructions.
    pub target_labels: Vec<String>,
    /// What tells the bytes behind an address from other bytes.
    pub remote: &'a dyn Fn(&str) -> anyhow::Result<String>,
    /// The ids of the secrets.
    pub secrets: Vec<String>,
}

/// Flags that concern commands only: a step without RUN does not hang on them.
const RUN_ONLY: &[&str] = &[
    "add-host",
    "cap-add",
    "cap-drop",
    "cdi-config-dir",
    "cgroup-manager",
    "cgroupns",
    "cni-config-dir",
    "cni-plugin-path",
    "compat-volumes",
    "default-mounts-file",
    "device",
    "dns",
    "dns-option",
    "dns-search",
    "group-add",
    "hooks-dir",
    "http-proxy",
    "ipc",
    "isolation",
    "network",
    "network-cmd-path",
    "network-config-dir",
    "no-hostname",
    "no-hosts",
    "pid",
    "runtime",
    "runtime-flag",
    "security-opt",
    "shm-size",
    "ulimit",
    "uts",
    "volume",
    "mount",
];

/// Prepares all stages that are built, in the order of the file.
///
/// `base_of` gives the image of a stage's base and of other names.
///
/// # Errors
/// When something cannot be expanded, a source matches nothing, or a file cannot be read.
pub fn prepare(
    graph: &StageGraph,
    common: &Common<'_>,
    image_of: &dyn Fn(&str) -> anyhow::Result<BaseImage>,
    keep_tree: &dyn Fn(&CopiedTree) -> anyhow::Result<String>,
) -> anyhow::Result<BTreeMap<usize, PreparedStage>> {
    let mut prepared: BTreeMap<usize, PreparedStage> = BTreeMap::new();
    let mut declarations: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    for stage in graph.built() {
        let file_stage = &common.read.stages[stage.index];
        let inherited = match stage.base {
            Origin::Stage(index) => declarations.get(&index).cloned().unwrap_or_default(),
            _ => Vec::new(),
        };
        let own = common
            .heading
            .inheritable(file_stage, &inherited)
            .map_err(|e| anyhow!("stage {}: {e}", stage.name))?;
        declarations.insert(stage.index, own);
        let preparer =
            Preparer { graph, common, image_of, keep_tree, done: &prepared, inherited: &inherited };
        let result = preparer.stage(stage)?;
        prepared.insert(stage.index, result);
    }
    Ok(prepared)
}

struct Preparer<'a> {
    graph: &'a StageGraph,
    common: &'a Common<'a>,
    image_of: &'a dyn Fn(&str) -> anyhow::Result<BaseImage>,
    keep_tree: &'a dyn Fn(&CopiedTree) -> anyhow::Result<String>,
    done: &'a BTreeMap<usize, PreparedStage>,
    inherited: &'a [String],
}

impl Preparer<'_> {
    fn stage(&self, stage: &Stage) -> anyhow::Result<PreparedStage> {
        let common = self.common;
        let is_target = stage.index == self.graph.target;
        let layers = common.layers && !(is_target && common.target_in_one_call);
        let base = match &stage.base {
            Origin::Image(name) => Some((self.image_of)(name).with_context(|| {
                common.file.point_at(&stage.from, &stage.base_written, self.hint(stage, name), String::new())
            })?),
            _ => None,
        };
        let (stage_base, trigger_texts) = self.inheritance(stage, base.as_ref());
        let mut scope =
            common.heading.enter_stage(stage_base).map_err(|e| anyhow!("stage {}: {e}", stage.name))?;

        let mut body = Vec::new();
        for text in &trigger_texts {
            for instruction in trigger_instructions(text)? {
                let bytes = [instruction.original.as_slice(), b"\n"].concat();
                body.push(BodyItem { instruction, text: bytes, place: Place::Trigger });
            }
        }
        let triggers = body.len();
        for (number, instruction) in stage.body.iter().enumerate() {
            body.push(BodyItem {
                instruction: instruction.clone(),
                text: common.file.text(instruction.span).to_vec(),
                place: Place::File(number),
            });
        }
        // In squashed mode the engine writes them, where there is a call.
        if is_target && (layers || body.is_empty()) {
            for label in &common.target_labels {
                let instruction = trigger_instructions(label)?.remove(0);
                body.push(BodyItem { instruction, text: Vec::new(), place: Place::Flag });
            }
        }

        let mut scopes = vec![scope.clone()];
        for item in &body {
            scope.apply(&item.instruction).map_err(|problem| {
                let word = item.instruction.rest.clone();
                anyhow!(common.file.point_at(&item.instruction, &word, problem.to_string(), String::new()))
            })?;
            scopes.push(scope.clone());
        }

        let instructions: Vec<Instruction> = body.iter().map(|item| item.instruction.clone()).collect();
        let cut = step::cut(&instructions, layers);
        let mut result = PreparedStage {
            stage: stage.clone(),
            body,
            base,
            triggers,
            scopes,
            layers,
            steps: Vec::new(),
            tail: cut.tail.clone(),
            tail_inputs: self.empty_inputs(layers),
            platform: stage.platform.clone(),
        };
        for items in &cut.steps {
            let prepared = self.step(&result, items, is_target)?;
            result.steps.push(prepared);
        }
        if result.body.is_empty() && stage.base == Origin::Scratch {
            let only = self.empty_stage(&result, is_target);
            result.steps.push(only);
        }
        result.tail_inputs = self.tail_inputs(&result, is_target)?;
        Ok(result)
    }

    fn hint(&self, stage: &Stage, name: &str) -> String {
        match self.graph.later_stage(name, stage.index) {
            Some(line) if line != stage.lines.0 => format!(
                "`{name}` is no image that can be had, and the stage of that name starts further down, in line {line}: \
                 a stage can only use those above it"
            ),
            _ => format!("the base image `{name}` of stage {} cannot be had", stage.name),
        }
    }

    /// What a stage takes over from its base, and the triggers that fire in it.
    fn inheritance(&self, stage: &Stage, base: Option<&BaseImage>) -> (StageBase, Vec<String>) {
        match &stage.base {
            Origin::Stage(index) => {
                let below = &self.done[index];
                let end = below.scopes.last().expect("a stage has a scope behind its last instruction");
                let docker = self.common.image_format == ImageFormat::Docker;
                let base = StageBase {
                    env: end.env().entries().to_vec(),
                    workdir: end.workdir().to_owned(),
                    user: end.user().to_owned(),
                    shell: if docker { end.shell().to_vec() } else { Vec::new() },
                    declarations: self.inherited.to_vec(),
                };
                let triggers = below
                    .body
                    .iter()
                    .filter(|item| docker && item.instruction.keyword == Keyword::Onbuild)
                    .map(|item| item.instruction.rest.clone())
                    .collect();
                (base, triggers)
            }
            _ => {
                let Some(base) = base else { return (StageBase::default(), Vec::new()) };
                let config = base.image.config.get("config").cloned().unwrap_or_default();
                let text =
                    |key: &str| config.get(key).and_then(|v| v.as_str()).unwrap_or_default().to_owned();
                let shell = config
                    .get("Shell")
                    .and_then(|v| serde_json::from_value::<Vec<String>>(v.clone()).ok())
                    .unwrap_or_default();
                let stage_base = StageBase {
                    env: base.image.env(),
                    workdir: text("WorkingDir"),
                    user: text("User"),
                    shell,
                    declarations: Vec::new(),
                };
                (stage_base, base.image.triggers())
            }
        }
    }

    fn empty_inputs(&self, layers: bool) -> StepInputs {
        StepInputs {
            format: key::FORMAT,
            platform: self.common.platform.clone(),
            image_format: self.common.image_format,
            layers,
            parent: Parent::Scratch,
            instructions: Vec::new(),
            expanded: Vec::new(),
            args: BTreeMap::new(),
            sources: Vec::new(),
            flags: BTreeMap::new(),
        }
    }

    fn tail_inputs(&self, stage: &PreparedStage, is_target: bool) -> anyhow::Result<StepInputs> {
        let mut inputs = self.empty_inputs(stage.layers);
        for &number in &stage.tail {
            self.describe(stage, number, &mut inputs)?;
        }
        for name in ["unsetenv", "timestamp", "source-date-epoch", "env"] {
            if let Some(values) = self.common.key_flags.get(name) {
                inputs.flags.insert(name.into(), values.clone());
            }
        }
        if is_target {
            inputs.flags.extend(self.common.target_flags.clone());
        }
        Ok(inputs)
    }

    /// Adds an instruction's text and expansion to the inputs.
    fn describe(&self, stage: &PreparedStage, number: usize, inputs: &mut StepInputs) -> anyhow::Result<()> {
        let item = &stage.body[number];
        let instruction = &item.instruction;
        let mut text = text_of(&instruction.original);
        let copies = matches!(instruction.keyword, Keyword::Copy | Keyword::Add);
        if let Some(from) = instruction.flag("from").filter(|_| copies).map(crate::containerfile::Flag::word)
        {
            // Neither image nor history tell the name of the stage: what it stands for is among the sources.
            text = text.replacen(&from, "--from", 1);
        }
        for heredoc in &instruction.heredocs {
            text.push_str(&format!("\n<<{} {} {}\n", heredoc.name, heredoc.expand, heredoc.chomp));
            text.push_str(&text_of(&heredoc.body));
        }
        inputs.instructions.push(text);
        let expanded = stage.scopes[number]
            .expanded(instruction)
            .map_err(|problem| self.wrong(item, &problem.to_string()))?;
        let mut words: Vec<String> = Vec::new();
        if instruction.keyword != Keyword::Run {
            words = expanded.words;
        }
        let flags = expanded.flags.iter().filter(|flag| !(copies && flag.name == "from"));
        words.extend(flags.map(crate::containerfile::Flag::word));
        inputs.expanded.push(words);
        Ok(())
    }

    fn wrong(&self, item: &BodyItem, problem: &str) -> anyhow::Error {
        match item.place {
            Place::File(_) => {
                let words = item.instruction.words();
                let word = words.iter().find(|word| problem.contains(word.as_str()));
                let word = word.map_or(item.instruction.rest.as_str(), String::as_str);
                anyhow!(self.common.file.point_at(&item.instruction, word, problem.to_owned(), String::new()))
            }
            Place::Trigger => {
                anyhow!("ONBUILD trigger `{}` of the base: {problem}", text_of(&item.instruction.original))
            }
            Place::Flag => anyhow!("--label: {problem}"),
        }
    }

    fn step(&self, stage: &PreparedStage, items: &[usize], is_target: bool) -> anyhow::Result<PreparedStep> {
        let first = &stage.body[items[0]].instruction;
        let last = &stage.body[*items.last().expect("a step has an instruction")].instruction;
        let runs = items
            .iter()
            .any(|&n| matches!(stage.body[n].instruction.keyword, Keyword::Run | Keyword::Unknown(_)));
        let mut inputs = self.empty_inputs(stage.layers);
        inputs.flags = self.common.key_flags.clone();
        if !runs {
            inputs.flags.retain(|name, _| !RUN_ONLY.contains(&name.as_str()));
        }
        if is_target && !stage.layers {
            inputs.flags.extend(self.common.target_flags.clone());
        }
        let mut step = PreparedStep {
            items: items.to_vec(),
            lines: (first.line, last.end_line),
            title: text_of(&last.original),
            inputs,
            foreign: Vec::new(),
            named: Vec::new(),
            renames: Vec::new(),
            always: None,
            exclusive: BTreeSet::new(),
            uses_context: false,
            reads: Vec::new(),
            remotes: Vec::new(),
            runs,
            workdir: None,
            in_layers: false,
            args: Vec::new(),
            build_args: Vec::new(),
            shell: None,
            record: Vec::new(),
        };
        for (position, &number) in items.iter().enumerate() {
            self.describe(stage, number, &mut step.inputs)?;
            match stage.body[number].instruction.keyword {
                Keyword::Copy | Keyword::Add => self.copy_sources(stage, number, position, &mut step)?,
                Keyword::Run => self.run_sources(stage, number, position, &mut step)?,
                _ => {}
            }
        }
        if runs {
            for name in ["volume", "device"] {
                for value in self.common.key_flags.get(name).into_iter().flatten() {
                    if !value.ends_with(":ro") && !value.ends_with(":O") {
                        step.exclusive.insert(format!("{name} {value}"));
                    }
                }
            }
        }
        self.arguments(stage, &mut step);
        step.in_layers = copy_makes_workdir(stage, items);
        step.workdir = workdir_to_bring(stage, items).filter(|_| !step.in_layers);
        Ok(step)
    }

    /// The one call of a stage `FROM scratch` without instructions, of which the engines make an image with an empty
    /// layer.
    fn empty_stage(&self, stage: &PreparedStage, is_target: bool) -> PreparedStep {
        let mut inputs = self.empty_inputs(stage.layers);
        if is_target {
            inputs.flags.extend(self.common.target_flags.clone());
        }
        PreparedStep {
            items: Vec::new(),
            lines: stage.stage.lines,
            title: text_of(&stage.stage.from.original),
            inputs,
            foreign: Vec::new(),
            named: Vec::new(),
            renames: Vec::new(),
            always: None,
            exclusive: BTreeSet::new(),
            uses_context: false,
            reads: Vec::new(),
            remotes: Vec::new(),
            runs: false,
            workdir: None,
            in_layers: false,
            args: Vec::new(),
            build_args: Vec::new(),
            shell: None,
            record: Vec::new(),
        }
    }

    /// What of the ARGs and the SHELL in force has to be said again in the step's own Containerfile.
    fn arguments(&self, stage: &PreparedStage, step: &mut PreparedStep) {
        let before = &stage.scopes[step.items[0]];
        let user = &before.build_args().values;
        let mut declared: BTreeSet<String> = BTreeSet::new();
        let from_file = stage.layers;
        if from_file {
            // Declared by the stages below (1.43), or above this step in this stage.
            let mut names: BTreeSet<String> =
                self.inherited.iter().map(|d| d.split('=').next().unwrap_or(d).to_owned()).collect();
            for number in 0..step.items[0] {
                names.extend(arg_names(stage, number));
            }
            declared.extend(names.into_iter().filter(|name| before.is_declared(name)));
        }
        let in_scope = before.args_in_scope();
        let mut own: BTreeSet<String> = BTreeSet::new();
        for &number in &step.items {
            own.extend(arg_names(stage, number));
        }
        let end = &stage.scopes[step.items.last().expect("a step has an instruction") + 1];
        for name in &declared {
            let Some(value) = in_scope.get(name) else { continue };
            let redeclared = own.contains(name) && !user.contains_key(name);
            let changes = end.args_in_scope().get(name) != Some(value);
            let literal = (redeclared && changes && !value.contains('\n')).then(|| value.clone());
            if literal.is_none() {
                step.build_args.push((name.clone(), value.clone()));
            }
            step.args.push(ScopedArg { name: name.clone(), literal });
        }
        for name in own.iter().filter(|name| !declared.contains(*name)) {
            if let Some(value) = user.get(name) {
                step.build_args.push((name.clone(), value.clone()));
            } else if let Some(value) = self.common.heading.heading().get(name) {
                // `ARG NAME` in a stage takes the heading's value, which the step's file does not have.
                if end.args_in_scope().get(name) == Some(value) {
                    step.build_args.push((name.clone(), value.clone()));
                }
            }
        }
        for name in crate::containerfile::PREDEFINED_ARGS {
            if let Some(value) = user.get(name).filter(|_| !declared.contains(name) && !own.contains(name)) {
                step.build_args.push((name.to_owned(), value.clone()));
            }
        }
        // Each command sees every ARG in scope; COPY and the like have theirs in their expansion.
        for &number in &step.items {
            if stage.body[number].instruction.keyword == Keyword::Run {
                for (name, value) in stage.scopes[number].args_in_scope() {
                    step.inputs.args.insert(name, digest_of_value(&value));
                }
            }
        }
        let inherits_shell = stage.layers
            && self.common.image_format == ImageFormat::Oci
            && !before.shell().is_empty()
            && (0..step.items[0]).any(|n| stage.body[n].instruction.keyword == Keyword::Shell);
        if inherits_shell {
            step.shell = Some(before.shell().to_vec());
        }
    }

    fn copy_sources(
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
        let mut note = |from: &str, sources: &[String], content: &Content| {
            step.record.push(InputRecord {
                line: instruction.line,
                kind: kind.into(),
                from: from.into(),
                sources: sources.to_vec(),
                destination: destination.clone(),
                digest: shown_content(content),
            });
        };
        if let Some(name) = flag("from").filter(|name| !name.is_empty()) {
            let origin = self.origin(stage, item, &name)?;
            let (from, content) = self.foreign_content(item, &origin, &name)?;
            note(&from, &sources, &content);
            self.add_foreign(
                step,
                position,
                &name,
                origin,
                from,
                sources,
                content,
                flag_written(instruction, "from"),
            );
            return Ok(());
        }
        let (remote, local): (Vec<String>, Vec<String>) =
            sources.into_iter().partition(|source| add && is_remote_source(source));
        for url in remote {
            let content = match flag("checksum").filter(|c| !c.is_empty()) {
                Some(checksum) => Content::Remote(checksum),
                None => match (self.common.remote)(&url) {
                    Ok(identity) => {
                        step.remotes.push((url.clone(), identity.clone()));
                        Content::Remote(identity)
                    }
                    Err(error) => {
                        step.always =
                            Some(format!("ADD {url} has no --checksum, and cannot be asked for: {error:#}"));
                        Content::Remote(String::new())
                    }
                },
            };
            note(&url, std::slice::from_ref(&url), &content);
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
            };
            let tree = self
                .context(item)?
                .copied(&request)
                .map_err(|e| self.missing(item, &local, &e.to_string()))?;
            let digest = (self.keep_tree)(&tree)?;
            let part = ContextPart::Copied(request);
            step.reads.push(FolderRead { named: None, part, digest: Some(digest.clone()) });
            let content = Content::Files(digest);
            note("context", &local, &content);
            step.inputs.sources.push(Source {
                instruction: position,
                from: "context".into(),
                paths: local,
                content,
            });
        }
        Ok(())
    }

    fn missing(&self, item: &BodyItem, sources: &[String], problem: &str) -> anyhow::Error {
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

    fn context(&self, item: &BodyItem) -> anyhow::Result<&ContextReader> {
        self.common.context.ok_or_else(|| self.wrong(item, "there is no build context to copy from"))
    }

    fn run_sources(
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
            if kind == "cache" && field(&["sharing"]).as_deref() != Some("shared") {
                step.exclusive.insert(format!("cache {}", field(&["id"]).unwrap_or_else(|| target.clone())));
            }
            if !matches!(kind.as_str(), "bind" | "cache") {
                continue;
            }
            let paths = vec![source.clone().unwrap_or_else(|| "/".into())];
            let destination = absolute(&target, stage.scopes[number].workdir());
            let (from_shown, content) = match &from {
                Some(name) => {
                    let origin = self.origin(stage, item, name)?;
                    let (shown, content) = self.foreign_content(item, &origin, name)?;
                    let written =
                        written.value.as_deref().and_then(|v| crate::graph::mount_field(v, &["from"]));
                    self.add_foreign(
                        step,
                        position,
                        name,
                        origin,
                        shown.clone(),
                        paths.clone(),
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
                    let path = source.unwrap_or_else(|| ".".into());
                    let read =
                        |digest| FolderRead { named: None, part: ContextPart::Mounted(path.clone()), digest };
                    let content = match self.context(item)?.tree(&path) {
                        Ok(tree) => {
                            let digest = (self.keep_tree)(&tree)?;
                            step.reads.push(read(Some(digest.clone())));
                            Content::Files(digest)
                        }
                        // 1.28 mounts an empty folder there, later ones fail: theirs to say.
                        Err(ContextError::NoMatch { .. }) => {
                            step.reads.push(read(None));
                            Content::Files(format!("absent {path}"))
                        }
                        Err(error) => {
                            step.always =
                                Some(format!("the files of mount source {path} cannot be told: {error}"));
                            Content::Files(String::new())
                        }
                    };
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

    fn origin(&self, stage: &PreparedStage, item: &BodyItem, name: &str) -> anyhow::Result<Origin> {
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
    fn foreign_content(
        &self,
        item: &BodyItem,
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
                let base = (self.image_of)(image).map_err(|error| {
                    let hint = match self.graph.later_stage(name, 0) {
                        Some(line) if line > item.instruction.line => format!(
                            "`{name}`: the stage of that name starts further down, in line {line}: a stage can only use those above it"
                        ),
                        _ => format!("no stage or image found with the name `{name}`"),
                    };
                    error.context(self.wrong(item, &hint).to_string())
                })?;
                (format!("image {image}"), Content::Image(base.image.id.clone()))
            }
            Origin::Named(context) => (format!("context {context}"), Content::Files(String::new())),
            Origin::Scratch | Origin::Context => (String::new(), Content::Files(String::new())),
        })
    }

    #[allow(
        clippy::too_many_arguments,
        reason = "one place that files a source, called for COPY and for mounts"
    )]
    fn add_foreign(
        &self,
        step: &mut PreparedStep,
        position: usize,
        name: &str,
        origin: Origin,
        from: String,
        paths: Vec<String>,
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
                let request = CopyRequest {
                    sources: paths.clone(),
                    kind: CopyKind::Copy,
                    exclude: Vec::new(),
                    parents: false,
                };
                content = match reader
                    .copied(&request)
                    .map_err(anyhow::Error::from)
                    .and_then(|t| (self.keep_tree)(&t))
                {
                    Ok(digest) => {
                        let part = ContextPart::Copied(request);
                        let named = Some(named.clone());
                        step.reads.push(FolderRead { named, part, digest: Some(digest.clone()) });
                        Content::Files(digest)
                    }
                    Err(error) => {
                        step.always = Some(format!("the files of context {named} cannot be told: {error:#}"));
                        Content::Files(String::new())
                    }
                };
            } else {
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

/// Set where a native build in layers would not make the folders of the step's WORKDIRs as one call makes them: when
/// there are several, or when somebody else than root is the user.
fn workdir_to_bring(stage: &PreparedStage, items: &[usize]) -> Option<String> {
    let workdirs: Vec<usize> =
        items.iter().copied().filter(|&n| stage.body[n].instruction.keyword == Keyword::Workdir).collect();
    let as_user = workdirs.iter().any(|&n| !is_root(stage.scopes[n].user()));
    let last = *items.last()?;
    let wanted = stage.layers && (workdirs.len() > 1 || (as_user && !workdirs.is_empty()));
    wanted.then(|| stage.scopes[last].workdir().to_owned())
}

/// Whether the folder that WORKDIR names may come out with another owner than natively in layers, where COPY and ADD
/// make it: in one call the instructions in front make it, as the USER in force (1.28).
fn copy_makes_workdir(stage: &PreparedStage, items: &[usize]) -> bool {
    let Some(&last) = items.last().filter(|_| stage.layers) else { return false };
    let (instruction, scope) = (&stage.body[last].instruction, &stage.scopes[last]);
    let copies = matches!(instruction.keyword, Keyword::Copy | Keyword::Add);
    copies
        && !matches!(scope.workdir(), "" | "/")
        && (instruction.flag("chown").is_some() || !is_root(scope.user()))
}

fn is_root(user: &str) -> bool {
    matches!(user, "" | "root" | "0" | "0:0" | "root:root")
}

fn flag_written(instruction: &Instruction, name: &str) -> Option<String> {
    instruction.flag(name).and_then(|flag| flag.value.clone())
}

fn shown_content(content: &Content) -> Option<String> {
    match content {
        Content::Files(digest) | Content::Bytes(digest) if !digest.is_empty() => {
            Some(format!("blake3:{digest}"))
        }
        Content::Image(id) => Some(format!("sha256:{id}")),
        Content::Remote(text) if !text.is_empty() => Some(text.clone()),
        _ => None,
    }
}

fn is_heredoc(word: &str, instruction: &Instruction) -> bool {
    !instruction.heredocs.is_empty() && word.starts_with("<<")
}

fn arg_names(stage: &PreparedStage, number: usize) -> Vec<String> {
    let item = &stage.body[number];
    if item.instruction.keyword != Keyword::Arg {
        return Vec::new();
    }
    let expanded = stage.scopes[number].expanded(&item.instruction);
    let words = expanded.map(|e| e.words).unwrap_or_default();
    words.iter().map(|word| word.split('=').next().unwrap_or(word).to_owned()).collect()
}

/// The instructions of an ONBUILD trigger or of a flag.
fn trigger_instructions(text: &str) -> anyhow::Result<Vec<Instruction>> {
    let mut bytes = text.as_bytes().to_vec();
    bytes.push(b'\n');
    let file = parse(bytes, Path::new("ONBUILD"), Rules::Buildah28.dialect())?;
    Ok(file.instructions().cloned().collect())
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

/// The platform arguments of a build.
pub fn build_args(
    values: BTreeMap<String, String>,
    target: &str,
    explicit: bool,
    host: &str,
) -> Option<BuildArgs> {
    Some(BuildArgs {
        values,
        target: crate::containerfile::Platform::parse(target)?,
        target_is_explicit: explicit,
        build: crate::containerfile::Platform::parse(host)?,
    })
}

/// The images that the stages' instructions name, beside the bases.
pub fn images_named(graph: &StageGraph) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for stage in graph.built() {
        let references =
            stage.references.iter().filter(|r| matches!(r.kind, ReferenceKind::Copy | ReferenceKind::Mount));
        for origin in references.map(|r| &r.origin).chain([&stage.base]) {
            if let Origin::Image(name) = origin {
                names.insert(name.clone());
            }
        }
    }
    names
}

/// The id that stands for an image in a key.
pub fn parent_of_image(id: &ImageId) -> Parent {
    Parent::Image(id.clone())
}
