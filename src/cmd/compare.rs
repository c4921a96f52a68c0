//! `explain A B`: what differs between two builds, step by step, by the inputs that are kept under the steps' keys.

use std::cell::RefCell;
use std::collections::BTreeMap;

use serde::Serialize;

use crate::context::{CopiedTree, TreeDiff};
use crate::key::{Change, StepKey, changes};
use crate::record::{BuildRecord, StageRecord, StepRecord};
use crate::report::steps::{StageBlock, StepLine, colour, draw, place};
use crate::report::table::duration;
use crate::report::{print, print_json};
use crate::store::Store;
use crate::visible::visible;

/// As many paths of each kind are named; the counts are of all.
const PATHS: usize = 20;

/// Compares and shows.
///
/// # Errors
/// When standard output cannot be written.
pub fn run(store: &Store, old: &BuildRecord, new: &BuildRecord, json: bool) -> anyhow::Result<()> {
    let comparison = Comparison::new(store, old, new);
    if json { print_json(&comparison) } else { print(&comparison.text(old, new)) }
}

/// Two builds compared, as JSON. Fields are added, and none changes its meaning, within one `schema`.
#[derive(Debug, Serialize)]
struct Comparison {
    schema: u32,
    old: String,
    new: String,
    /// Whether both have the same target image.
    same_image: bool,
    /// What differs in the builds as such.
    builds: Vec<Difference>,
    stages: Vec<StageCompared>,
}

#[derive(Debug, Serialize)]
struct Difference {
    what: String,
    old: String,
    new: String,
}

#[derive(Debug, Serialize)]
struct StageCompared {
    name: String,
    /// `same`, `differs`, `new` or `gone`.
    result: &'static str,
    lines: (usize, usize),
    base: String,
    /// Whether only what stands behind the last step differs: CMD, ENTRYPOINT, LABEL, ….
    metadata_only: bool,
    steps: Vec<StepCompared>,
}

#[derive(Debug, Serialize)]
struct StepCompared {
    /// From 1, as the text has it.
    step: usize,
    instruction: String,
    /// `same`, `differs`, `new` or `gone`.
    result: &'static str,
    changes: Vec<ChangeReport>,
    /// Whether the inputs of one of the two are no longer kept.
    forgotten: bool,
    old_duration_ms: Option<u64>,
    new_duration_ms: Option<u64>,
}

#[derive(Debug, Serialize)]
struct ChangeReport {
    #[serde(flatten)]
    change: Change,
    text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    files: Option<FilesReport>,
}

/// Which files two listings differ in, at most [`PATHS`] of each kind.
#[derive(Debug, Serialize)]
struct FilesReport {
    added: usize,
    removed: usize,
    changed: usize,
    added_paths: Vec<String>,
    removed_paths: Vec<String>,
    changed_paths: Vec<String>,
}

impl FilesReport {
    fn new(diff: &TreeDiff) -> Self {
        let first = |paths: &[String]| paths.iter().take(PATHS).cloned().collect();
        Self {
            added: diff.added.len(),
            removed: diff.removed.len(),
            changed: diff.changed.len(),
            added_paths: first(&diff.added),
            removed_paths: first(&diff.removed),
            changed_paths: first(&diff.changed),
        }
    }
}

impl Comparison {
    fn new(store: &Store, old: &BuildRecord, new: &BuildRecord) -> Self {
        let mut stages: Vec<StageCompared> = Vec::new();
        for stage in &new.stages {
            stages.push(compared(store, counterpart(&old.stages, stage, &new.stages), stage));
        }
        let gone = old.stages.iter().filter(|stage| counterpart(&new.stages, stage, &old.stages).is_none());
        stages.extend(gone.map(|stage| one_sided(stage, "gone")));
        let image = |record: &BuildRecord| record.result.as_ref().map(|result| result.image.clone());
        Self {
            schema: 1,
            old: old.build_id.clone(),
            new: new.build_id.clone(),
            same_image: image(old).is_some() && image(old) == image(new),
            builds: differences(old, new),
            stages,
        }
    }

    fn text(&self, old: &BuildRecord, new: &BuildRecord) -> String {
        let build =
            |record: &BuildRecord| format!("{} ({})", visible(&record.build_id), visible(&record.started));
        let mut out = format!("from build {}\n", build(old));
        out.push_str(&format!("to   build {}\n", build(new)));
        for difference in &self.builds {
            let Difference { what, old, new } = difference;
            let line = match (old.as_str(), new.as_str()) {
                ("", new) => format!("{what}: {new} added"),
                (old, "") => format!("{what}: {old} removed"),
                (old, new) => format!("{what}: {old} -> {new}"),
            };
            out.push_str(&format!("{}\n", visible(&line)));
        }
        let (same, other): (Vec<_>, Vec<_>) = self.stages.iter().partition(|stage| stage.result == "same");
        let blocks: Vec<StageBlock> = other.iter().map(|stage| stage.block()).collect();
        out.push_str(&draw(&blocks, colour()));
        if !same.is_empty() {
            let names: Vec<&str> = same.iter().map(|stage| stage.name.as_str()).collect();
            out.push_str(&format!("the same: {}\n", visible(&names.join(", "))));
        }
        let image = |record: &BuildRecord| match &record.result {
            Some(result) => result.image.short().to_owned(),
            None => "none".into(),
        };
        match self.same_image {
            true => out.push_str(&format!("both have the image {}\n", image(new))),
            false => out.push_str(&format!("image: {} -> {}\n", image(old), image(new))),
        }
        out
    }
}

/// The stage of the same name; else the one at the same position, if its own name is not elsewhere.
fn counterpart<'a>(
    among: &'a [StageRecord],
    stage: &StageRecord,
    others: &[StageRecord],
) -> Option<&'a StageRecord> {
    let named = among.iter().find(|candidate| candidate.name == stage.name);
    named.or_else(|| {
        let placed = among.get(stage.index)?;
        others.iter().all(|other| other.name != placed.name).then_some(placed)
    })
}

fn differences(old: &BuildRecord, new: &BuildRecord) -> Vec<Difference> {
    let mut found = Vec::new();
    let mut note = |what: &str, old: &str, new: &str| {
        if old != new {
            found.push(Difference { what: what.to_owned(), old: old.to_owned(), new: new.to_owned() });
        }
    };
    let engine = |record: &BuildRecord| format!("{} {}", record.engine.name, record.engine.version);
    note("engine", &engine(old), &engine(new));
    note("tool", &old.tool, &new.tool);
    note("platform", &old.platform, &new.platform);
    let (before, after) = (&old.request, &new.request);
    note("Containerfile", &before.containerfile, &after.containerfile);
    let short = |digest: &str| digest.get(..19).unwrap_or(digest).to_owned();
    note("Containerfile's digest", &short(&before.containerfile_digest), &short(&after.containerfile_digest));
    note("context", &before.context, &after.context);
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    note("ignore file", &text(&before.ignore_file), &text(&after.ignore_file));
    note("target", &text(&before.target), &text(&after.target));
    note("layers", &before.layers.to_string(), &after.layers.to_string());
    let shown = |request: &crate::record::RequestRecord, name: &str| -> String {
        let public = request.public_args.get(name).cloned();
        public.or_else(|| request.args.get(name).map(|digest| short(digest))).unwrap_or_default()
    };
    let names: BTreeMap<&String, ()> =
        before.args.keys().chain(after.args.keys()).map(|name| (name, ())).collect();
    for name in names.keys() {
        note(&format!("build argument {name}"), &shown(before, name), &shown(after, name));
    }
    found
}

fn one_sided(stage: &StageRecord, result: &'static str) -> StageCompared {
    StageCompared {
        name: stage.name.clone(),
        result,
        lines: stage.lines,
        base: stage.base.expanded.clone(),
        metadata_only: false,
        steps: stage.steps.iter().map(|step| one_step(step, result)).collect(),
    }
}

fn one_step(step: &StepRecord, result: &'static str) -> StepCompared {
    let (old, new) = if result == "gone" { (step.duration_ms, None) } else { (None, step.duration_ms) };
    StepCompared {
        step: step.index + 1,
        instruction: step.instruction.clone(),
        result,
        changes: Vec::new(),
        forgotten: false,
        old_duration_ms: old,
        new_duration_ms: new,
    }
}

fn compared(store: &Store, old: Option<&StageRecord>, new: &StageRecord) -> StageCompared {
    let Some(old) = old else { return one_sided(new, "new") };
    let mut steps: Vec<StepCompared> = Vec::new();
    for n in 0..old.steps.len().max(new.steps.len()) {
        steps.push(match (old.steps.get(n), new.steps.get(n)) {
            (Some(old), Some(new)) => compared_step(store, old, new),
            (None, Some(new)) => one_step(new, "new"),
            (Some(old), None) => one_step(old, "gone"),
            (None, None) => continue,
        });
    }
    let steps_differ = steps.iter().any(|step| step.result != "same");
    let metadata_only = !steps_differ && old.key != new.key && old.key.is_some() && new.key.is_some();
    StageCompared {
        name: if old.name == new.name { new.name.clone() } else { format!("{} -> {}", old.name, new.name) },
        result: if steps_differ || metadata_only { "differs" } else { "same" },
        lines: new.lines,
        base: new.base.expanded.clone(),
        metadata_only,
        steps,
    }
}

fn compared_step(store: &Store, old: &StepRecord, new: &StepRecord) -> StepCompared {
    let same = old.key == new.key && (old.key.is_some() || old.instruction == new.instruction);
    let mut compared = StepCompared {
        result: if same { "same" } else { "differs" },
        old_duration_ms: old.duration_ms,
        ..one_step(new, "new")
    };
    if same {
        return compared;
    }
    let inputs = |key: &Option<StepKey>| store.entry(key.as_ref()?).map(|entry| entry.inputs);
    let (Some(before), Some(after)) = (inputs(&old.key), inputs(&new.key)) else {
        compared.forgotten = true;
        return compared;
    };
    let diffs: RefCell<Vec<(String, TreeDiff)>> = RefCell::default();
    let files = |a: &str, b: &str| {
        let (a, b): (CopiedTree, CopiedTree) = (store.tree(a)?, store.tree(b)?);
        let diff = CopiedTree::diff(&a, &b);
        let text = diff.to_string();
        diffs.borrow_mut().push((text.clone(), diff));
        Some(text)
    };
    let found = changes(&before, &after, &files);
    let mut diffs = diffs.into_inner().into_iter();
    compared.changes = found
        .into_iter()
        .map(|change| {
            // `changes` asks for the files of each change once, in order.
            let files = match &change {
                Change::Files { summary, .. } => diffs.find(|(text, _)| text == summary),
                _ => None,
            };
            let files = files.map(|(_, diff)| FilesReport::new(&diff));
            ChangeReport { text: change.to_string(), change, files }
        })
        .collect();
    compared
}

impl StageCompared {
    fn block(&self) -> StageBlock {
        let mut notes = Vec::new();
        if self.metadata_only {
            notes.push(
                "only what stands behind the last step differs: CMD, ENTRYPOINT, LABEL and the like"
                    .to_owned(),
            );
        }
        let word = if self.result == "differs" { String::new() } else { format!(", {}", self.result) };
        StageBlock {
            name: self.name.clone(),
            about: format!("{}, FROM {}{word}", place(self.lines), self.base),
            notes,
            steps: self.steps.iter().map(StepCompared::line).collect(),
        }
    }
}

impl StepCompared {
    fn line(&self) -> StepLine {
        let mut notes: Vec<String> = self.changes.iter().map(|change| change.text.clone()).collect();
        if self.forgotten {
            notes.push("what it hung on is no longer kept for one of the builds".into());
        }
        if let (Some(old), Some(new)) = (self.old_duration_ms, self.new_duration_ms) {
            notes.push(format!("took {}, before {}", duration(new), duration(old)));
        }
        StepLine { word: self.result, title: self.instruction.clone(), duration_ms: None, notes }
    }
}
