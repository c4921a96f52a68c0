//! One stage: its body with triggers and labels of flags, the variables in front of each instruction, its steps.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};

use super::step::{OF_EVERY_TIP, arg_names};
use super::{BodyItem, Common, Place, PreparedStage};
use crate::bases::BaseImage;
use crate::containerfile::{Instruction, Keyword, Rules, Scope, StageBase, parse};
use crate::context::CopiedTree;
use crate::graph::{Origin, Stage, StageGraph};
use crate::image::ImageFormat;
use crate::key::{Parent, StepInputs, text_of, title_of};
use crate::{given_env, host, key, step};

pub(super) struct Preparer<'a> {
    pub(super) graph: &'a StageGraph,
    pub(super) common: &'a Common<'a>,
    pub(super) image_of: &'a dyn Fn(&str, Option<&str>) -> anyhow::Result<BaseImage>,
    pub(super) keep_tree: &'a dyn Fn(&CopiedTree) -> anyhow::Result<String>,
    pub(super) done: &'a BTreeMap<usize, PreparedStage>,
    pub(super) inherited: &'a [String],
    /// What of this machine steps of the stages before may write.
    pub(super) written: &'a BTreeSet<PathBuf>,
    /// Whether of a stage before nothing is known yet.
    pub(super) anything_may_be_written: bool,
}

impl Preparer<'_> {
    /// The stage; its first steps as they were where they are given with their number.
    pub(super) fn stage(
        &self,
        stage: &Stage,
        kept: Option<(&PreparedStage, usize)>,
    ) -> anyhow::Result<PreparedStage> {
        let common = self.common;
        let is_target = stage.index == self.graph.target;
        let layers = common.layers && !(is_target && common.target_in_one_call);
        if let Some((whole, _)) = kept.filter(|(kept, over)| *over > kept.steps.len()) {
            return Ok(whole.clone());
        }
        let base = match &stage.base {
            Origin::Image(_) if kept.is_some() => kept.and_then(|(kept, _)| kept.base.clone()),
            Origin::Image(name) => {
                let base = (self.image_of)(name, stage.platform.as_deref()).with_context(|| {
                    common.file.point_at(
                        &stage.from,
                        &stage.base_written,
                        self.hint(stage, name),
                        String::new(),
                    )
                })?;
                Some(base)
            }
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
        if let Some(text) = &common.env_instruction {
            let instruction = trigger_instructions(text)?.remove(0);
            body.push(BodyItem { instruction, text: format!("{text}\n").into(), place: Place::Flag });
        }
        for (number, instruction) in stage.body.iter().enumerate() {
            body.push(BodyItem {
                instruction: instruction.clone(),
                text: common.file.text(instruction.span).to_vec(),
                place: Place::File(number),
            });
        }
        // In squashed mode the engine writes them, where there is a call.
        let labels = if is_target && !body.is_empty() { self.labels_of_commits() } else { &[] };
        if is_target && labels.is_empty() && (layers || body.is_empty()) {
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
        let given_env = self.given_env(stage, &instructions, &scopes, layers);
        let mut result = PreparedStage {
            stage: stage.clone(),
            body,
            base,
            base_reads: base_path(stage).into_iter().collect(),
            triggers,
            arg_names: instructions.iter().zip(&scopes).map(|(i, before)| arg_names(i, before)).collect(),
            scopes,
            layers,
            labels: labels.to_vec(),
            given_env,
            steps: Vec::new(),
            tail: cut.tail.clone(),
            tail_inputs: self.empty_inputs(stage, layers),
            platform_given: common.platform_given,
        };
        for (n, items) in cut.steps.iter().enumerate() {
            let kept = kept.filter(|(_, over)| n < *over).and_then(|(kept, _)| kept.steps.get(n).cloned());
            let prepared = match kept {
                Some(kept) => kept,
                None => self.step(&result, items, is_target)?,
            };
            result.steps.push(prepared);
        }
        if result.body.is_empty() && (stage.base == Origin::Scratch || is_target && self.may_change_a_base())
        {
            let only = self.empty_stage(&result, is_target);
            result.steps.push(only);
        }
        result.tail_inputs = self.tail_inputs(&result, is_target)?;
        Ok(result)
    }

    /// Whether a step of a stage before may write the folder or archive that a stage's base is read from.
    pub(super) fn base_may_be_written(&self, stage: &Stage) -> bool {
        base_path(stage).is_some_and(|path| self.may_be_written(&BTreeSet::from([path]), &BTreeSet::new()))
    }

    /// Whether what is read here is written by a step of a stage before, or by one of `own`.
    pub(super) fn may_be_written(&self, reads: &BTreeSet<PathBuf>, own: &BTreeSet<PathBuf>) -> bool {
        self.anything_may_be_written || host::overlap(self.written, reads) || host::overlap(own, reads)
    }

    /// Whether a flag may make an engine commit the image of a target that is nothing but a FROM. Which ones do, and what it
    /// leaves (another layer, or the base as it is), differs from version to version (1.28, 1.39, 1.43): it is asked.
    fn may_change_a_base(&self) -> bool {
        !self.common.target_flags.is_empty() || self.common.key_flags.contains_key("unsetenv")
    }

    pub(super) fn hint(&self, stage: &Stage, name: &str) -> String {
        match self.graph.later_stage(name, stage.index) {
            Some(line) if line != stage.lines.0 => format!(
                "`{name}` is no image that can be had, and the stage of that name starts further down, in line {line}: \
                 a stage can only use those above it"
            ),
            _ => format!("the base image `{name}` of stage {} cannot be had", stage.name),
        }
    }

    /// What a stage takes over from its base, and the triggers that fire in it.
    pub(super) fn inheritance(&self, stage: &Stage, base: Option<&BaseImage>) -> (StageBase, Vec<String>) {
        match &stage.base {
            Origin::Stage(index) => {
                let below = &self.done[index];
                let end = below.scopes.last().expect("a stage has a scope behind its last instruction");
                let docker = self.common.image_format == ImageFormat::Docker;
                let mut env = end.env().entries();
                given_env::put_into(&mut env, &below.given_env);
                let base = StageBase {
                    env,
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

    /// What `--label` sets without an instruction: the file's last stage has those, which is not the target.
    fn labels_of_commits(&self) -> &[(String, String)] {
        let is_last = self.graph.target + 1 == self.common.read.stages.len();
        if is_last { &[] } else { &self.common.labels_of_commits }
    }

    /// What `--env` leaves in a stage's image: nothing where the base is taken as it is.
    fn given_env(
        &self,
        stage: &Stage,
        body: &[Instruction],
        scopes: &[Scope],
        layers: bool,
    ) -> Vec<(String, String)> {
        if body.is_empty() && stage.base != Origin::Scratch {
            return Vec::new();
        }
        let unset = self.common.key_flags.get("unsetenv");
        let commits = if layers { &scopes[1.min(body.len())..] } else { &scopes[body.len()..] };
        let mut given = given_env::committed(&self.common.given_env, commits);
        given.retain(|(name, _)| !unset.is_some_and(|unset| unset.contains(name)));
        given
    }

    /// The platform that a stage's images are for: the one that the user names counts for what they claim, FROM's own for
    /// what they are made of, and alone for both.
    fn platform(&self, stage: &Stage) -> String {
        let wanted = &self.common.platform;
        match &stage.platform {
            None => wanted.clone(),
            Some(own) if !self.common.platform_given => own.clone(),
            Some(own) => format!("{wanted} from {own}"),
        }
    }

    pub(super) fn empty_inputs(&self, stage: &Stage, layers: bool) -> StepInputs {
        StepInputs {
            format: key::FORMAT,
            platform: self.platform(stage),
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

    pub(super) fn tail_inputs(&self, stage: &PreparedStage, is_target: bool) -> anyhow::Result<StepInputs> {
        let mut inputs = self.empty_inputs(&stage.stage, stage.layers);
        for &number in &stage.tail {
            self.describe(stage, number, &mut inputs)?;
        }
        for name in ["unsetenv", "timestamp", "source-date-epoch", "env"] {
            if let Some(values) = self.common.key_flags.get(name) {
                inputs.flags.insert(name.into(), values.clone());
            }
        }
        let counts = |name: &str| is_target || OF_EVERY_TIP.contains(&name);
        let flags = self.common.target_flags.iter().filter(|(name, _)| counts(name));
        inputs.flags.extend(flags.map(|(name, values)| (name.clone(), values.clone())));
        Ok(inputs)
    }

    /// Adds an instruction's text and expansion to the inputs.
    pub(super) fn describe(
        &self,
        stage: &PreparedStage,
        number: usize,
        inputs: &mut StepInputs,
    ) -> anyhow::Result<()> {
        let item = &stage.body[number];
        let instruction = &item.instruction;
        let mut text = text_of(&instruction.original);
        let copies = matches!(instruction.keyword, Keyword::Copy | Keyword::Add);
        let keyword = instruction.keyword.as_str();
        if instruction.is_filesystem() && text.is_char_boundary(keyword.len()) {
            // The history has no other than upper case of it, or does not name it (1.28, 1.43).
            text.replace_range(..keyword.len(), keyword);
        }
        if let Some(from) = instruction.flag("from").filter(|_| copies).map(crate::containerfile::Flag::word)
        {
            // Neither image nor history tell the name of the stage: what it stands for is among the sources.
            text = text.replacen(&from, "--from", 1);
        }
        for heredoc in &instruction.heredocs {
            text.push_str(&format!("\n<<{} {} {}\n", heredoc.name, heredoc.expand, heredoc.chomp));
            text.push_str(&text_of(&heredoc.body));
        }
        let expanded = stage.scopes[number]
            .expanded(instruction)
            .map_err(|problem| self.wrong(item, &problem.to_string()))?;
        let mut words: Vec<String> = Vec::new();
        if instruction.keyword != Keyword::Run {
            words = expanded.words;
        }
        let flags = expanded.flags.iter().filter(|flag| !(copies && flag.name == "from"));
        words.extend(flags.map(crate::containerfile::Flag::word));
        if copies {
            for heredoc in &instruction.heredocs {
                let text = stage.scopes[number].heredoc(heredoc);
                words.push(text_of(&text.map_err(|problem| self.wrong(item, &problem.to_string()))?));
            }
        }
        inputs.add_instruction(&text, words);
        Ok(())
    }

    pub(super) fn wrong(&self, item: &BodyItem, problem: &str) -> anyhow::Error {
        match item.place {
            Place::File(_) => {
                let words = item.instruction.words();
                let word = words.iter().find(|word| problem.contains(word.as_str()));
                let word = word.map_or(item.instruction.rest.as_str(), String::as_str);
                anyhow!(self.common.file.point_at(&item.instruction, word, problem.to_owned(), String::new()))
            }
            Place::Trigger => {
                anyhow!("ONBUILD trigger `{}` of the base: {problem}", title_of(&item.instruction.original))
            }
            Place::Flag if item.instruction.keyword == Keyword::Env => anyhow!("--env: {problem}"),
            Place::Flag => anyhow!("--label: {problem}"),
        }
    }
}

/// The folder or archive that a stage's base is read from.
pub(super) fn base_path(stage: &Stage) -> Option<PathBuf> {
    match &stage.base {
        Origin::Image(name) => host::image_path(name),
        _ => None,
    }
}

/// The instructions of an ONBUILD trigger or of a flag.
pub(super) fn trigger_instructions(text: &str) -> anyhow::Result<Vec<Instruction>> {
    let mut bytes = text.as_bytes().to_vec();
    bytes.push(b'\n');
    let file = parse(bytes, Path::new("ONBUILD"), Rules::Buildah28.dialect())?;
    Ok(file.instructions().cloned().collect())
}
