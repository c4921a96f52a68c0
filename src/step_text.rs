//! A prepared step as the Containerfile that an engine gets, and the labels of its stage.
//!
//! One place for `execute`, which runs the text, and for `plan` and `--print-containerfiles`, which show it.

use std::collections::BTreeMap;

use crate::containerfile::{Containerfile, Instruction, Keyword};
use crate::graph::Origin;
use crate::key::StepKey;
use crate::plan::Plan;
use crate::prepare::{Place, PreparedStage, PreparedStep};
use crate::render::{StepInstruction, StepText, label_instruction};
use crate::tip::StageLabels;

/// How stages are labelled and named.
#[derive(Debug, Clone)]
pub struct Labelling {
    /// `--stage-labels`.
    pub stage_labels: bool,
    /// The build's UUID, with `--build-id-label`.
    pub build_id: Option<String>,
    /// `--save-stages`: leaves have no names, tips have.
    pub save_stages: bool,
    /// The engine's version, for intermediate stages.
    pub engine_version: String,
    /// Whether the user gives the target a name.
    pub target_is_named: bool,
    /// Labels that `--label` sets on the target.
    pub user_labels: Vec<String>,
}

/// The text of one step on the image `from`, behind `stages` as names and images; `labels` are injected where the stage is one call.
pub fn step_text(
    file: &Containerfile,
    stage: &PreparedStage,
    step: &PreparedStep,
    from: &str,
    stages: Vec<(String, String)>,
    labels: Option<&[(String, String)]>,
) -> Vec<u8> {
    // Files behind each other may have escape characters of their own.
    let last = step.items.last().map(|&item| &stage.body[item].instruction);
    let escape = last.map_or(file.escape, |instruction| instruction.escape);
    let mut label = labels
        .filter(|_| !stage.layers && !step.items.is_empty())
        .map(|labels| label_instruction(labels, escape));
    if stage.layers && step.gets_env && !step.items.is_empty() {
        // The engine sets the variables when it commits an instruction in front.
        label = Some("LABEL stagecache=env".to_owned());
    }
    // In squashed mode the engine fires the base's triggers itself.
    let own = |item: &&usize| stage.layers || stage.body[**item].place != Place::Trigger;
    // The image brings the working directory.
    let brings_workdir = step.workdir.is_some() && from != "scratch";
    let kept =
        |item: &&usize| !(brings_workdir && stage.body[**item].instruction.keyword == Keyword::Workdir);
    let instructions = step.items.iter().filter(own).filter(kept).map(|number| {
        let item = &stage.body[*number];
        let plain = step.without_heredocs.get(number);
        let text = match plain {
            Some(plain) => plain.text.as_slice().into(),
            None if item.instruction.escape != escape && item.place != Place::Flag => {
                unfolded(&item.instruction).into()
            }
            None => item.text.as_slice().into(),
        };
        StepInstruction {
            text,
            renames: step.renames.clone(),
            has_heredoc: plain.is_none() && !item.instruction.heredocs.is_empty(),
        }
    });
    // What it is for the engine knows of an image; 1.28 reads a literal platform as well.
    let own = stage.stage.platform.as_ref().filter(|_| from == "scratch");
    let from = own.map_or_else(|| from.to_owned(), |own| format!("--platform={own} {from}"));
    StepText {
        from: &from,
        stages,
        escape,
        newline: file.newline(),
        label: label.as_deref(),
        args: step.args.clone(),
        shell: step.shell.as_deref(),
        instructions: instructions.collect(),
    }
    .render()
}

/// An instruction without continuation lines, whatever character they end in.
fn unfolded(instruction: &Instruction) -> Vec<u8> {
    let mut text = instruction.original.clone();
    for heredoc in &instruction.heredocs {
        text.push(b'\n');
        text.extend_from_slice(&heredoc.body);
        text.extend_from_slice(heredoc.name.as_bytes());
    }
    text
}

/// What the labels of a stage hang on beside the stage.
#[derive(Debug, Clone, Copy)]
pub struct Labels<'a> {
    /// How stages are labelled.
    pub labelling: &'a Labelling,
    /// Labels that flags take away.
    pub unset: &'a [String],
    /// The target's index.
    pub target: usize,
}

impl Labels<'_> {
    /// The labels that a stage's image gets, on the labelled image `base` where it stands on a stage; nothing with
    /// `--stage-labels=false`.
    pub fn of(
        &self,
        stage: &PreparedStage,
        key: &StepKey,
        base: Option<&str>,
    ) -> Option<Vec<(String, String)>> {
        let labelling = self.labelling;
        if !labelling.stage_labels {
            return None;
        }
        let is_target = stage.stage.index == self.target;
        let base = match &stage.stage.base {
            Origin::Stage(_) => base?.to_owned(),
            Origin::Scratch => "scratch".to_owned(),
            // `--build-context NAME=container-image://REF` gives REF, as upstream.
            Origin::Image(image) => image.clone(),
            _ => stage.stage.base_expanded.clone(),
        };
        let mut set_by_user: Vec<String> = Vec::new();
        for (number, item) in stage.body.iter().enumerate() {
            if item.instruction.keyword == Keyword::Label {
                let expanded = stage.scopes[number].expanded(&item.instruction);
                let words = expanded.map(|expanded| expanded.words).unwrap_or_default();
                set_by_user.extend(words.chunks(2).filter_map(|pair| pair.first().cloned()));
            }
        }
        if is_target {
            set_by_user.extend(labelling.user_labels.iter().cloned());
        }
        set_by_user.extend(self.unset.iter().cloned());
        let labels = StageLabels {
            name: stage.stage.name.clone(),
            base,
            engine_version: (!is_target).then(|| labelling.engine_version.clone()),
            build_id: labelling.build_id.clone(),
            key: key.as_str().to_owned(),
        };
        Some(labels.pairs(&set_by_user))
    }
}

/// Every stage as it is really built: a Containerfile for each step, and the LABEL that ends the stage.
///
/// Images that no build has made yet stand as `<stage build, step 2>` and `<image of stage build>`.
pub fn containerfiles(
    file: &Containerfile,
    prepared: &BTreeMap<usize, PreparedStage>,
    plan: &Plan,
    labels: &Labels<'_>,
) -> Vec<u8> {
    let mut out = Vec::new();
    for (index, stage) in prepared {
        let planned = &plan.stages[index];
        let name = &stage.stage.name;
        let mut from = match (&stage.stage.base, &stage.base) {
            (Origin::Stage(below), _) => {
                let below = &prepared[below];
                let last = plan.stages[&below.stage.index].steps.last().and_then(|step| step.found.as_ref());
                match last.filter(|_| below.tail.is_empty()) {
                    Some(entry) => entry.image.to_string(),
                    None => format!("<stage {}>", below.stage.name),
                }
            }
            (_, Some(base)) => base.image.id.to_string(),
            (_, None) => "scratch".to_owned(),
        };
        let base = match &stage.stage.base {
            Origin::Stage(below) => Some(format!("<image of stage {}>", prepared[below].stage.name)),
            _ => None,
        };
        let key = planned.content_key.as_ref().unwrap_or(&planned.key);
        let pairs = labels.of(stage, key, base.as_deref());
        let of = stage.steps.len();
        for (n, (step, plan)) in stage.steps.iter().zip(&planned.steps).enumerate() {
            let word = if plan.verdict.is_hit() { ": cached" } else { "" };
            comment(&mut out, &format!("# stage {name}, step {} of {of}{word}", n + 1));
            let named = step.named.iter().filter(|named| named.as_stage);
            let stages =
                named.map(|named| (named.context.clone(), format!("<stage {}>", named.context))).collect();
            out.extend(step_text(file, stage, step, &from, stages, pairs.as_deref()));
            from = match &plan.found {
                Some(entry) => entry.image.to_string(),
                None => format!("<stage {name}, step {}>", n + 1),
            };
        }
        let ends_in_label = stage.layers || stage.steps.is_empty();
        if ends_in_label {
            comment(&mut out, &format!("# stage {name}, its image"));
            let with_label = pairs.as_ref().map(|pairs| label_instruction(pairs, file.escape));
            let mut lines = vec![format!("FROM {from}").into_bytes()];
            lines.extend(stage.tail.iter().map(|&item| stage.body[item].text.trim_ascii_end().to_vec()));
            lines.extend(with_label.map(String::into_bytes));
            for line in lines {
                out.extend_from_slice(&line);
                out.extend_from_slice(file.newline().as_bytes());
            }
        }
    }
    out
}

fn comment(out: &mut Vec<u8>, text: &str) {
    if !out.is_empty() {
        out.push(b'\n');
    }
    out.extend_from_slice(text.as_bytes());
    out.push(b'\n');
}
