//! `explain`: why each step of a build ran or did not; between two builds, what differs.

use std::collections::BTreeSet;

use anyhow::Context;
use jiff::Timestamp;
use serde::Serialize;

use super::plan::{ReasonReport, found_by, verdict_word};
use super::{Format, compare};
use crate::cli::ExplainArgs;
use crate::flags::Leading;
use crate::key::Change;
use crate::record::{BuildRecord, BuildStatus, StageRecord, StageStatus, StepRecord};
use crate::report::steps::{StageBlock, StepLine, colour, counted, draw, place};
use crate::report::table::{ago, duration, one_line};
use crate::report::{print, print_json};
use crate::verdict::{FoundBy, Reason, Verdict};
use crate::visible::{visible, visible_lines};

/// Explains.
///
/// # Errors
/// When a build is not known.
pub fn run(leading: Leading, args: &ExplainArgs) -> anyhow::Result<()> {
    let session = super::session(leading, &args.engine)?;
    let json = Format::json(args.format.as_deref())?;
    let record = |which: &str| {
        let id = session.store.find_build(which)?;
        session.store.record(&id).context("explaining a build")
    };
    match args.builds.as_slice() {
        [old, new] => compare::run(&session.store, &record(old)?, &record(new)?, json),
        builds => {
            let record = record(builds.first().map_or("latest", String::as_str))?;
            if json { print_json(&Explanation::new(&record)) } else { print(&text(&record)) }
        }
    }
}

/// A build explained, as JSON. Fields are added, and none changes its meaning, within one `schema`.
#[derive(Debug, Serialize)]
struct Explanation {
    schema: u32,
    build_id: String,
    status: BuildStatus,
    started: String,
    duration_ms: Option<u64>,
    error: Option<String>,
    stages: Vec<StageExplained>,
}

#[derive(Debug, Serialize)]
struct StageExplained {
    index: usize,
    name: String,
    base: String,
    lines: (usize, usize),
    status: StageStatus,
    /// What its steps took together.
    duration_ms: u64,
    steps: Vec<StepExplained>,
}

#[derive(Debug, Serialize)]
struct StepExplained {
    /// From 1, as the text has it.
    step: usize,
    lines: (usize, usize),
    instruction: String,
    /// `hit`, `miss`, `open`; nothing where the build did not get there.
    verdict: Option<&'static str>,
    found_by: Option<FoundBy>,
    reasons: Vec<ReasonReport>,
    first_causes: Vec<Cause>,
    duration_ms: Option<u64>,
}

/// The step where what made another one run began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Cause {
    stage: String,
    step: usize,
    lines: (usize, usize),
    reasons: Vec<String>,
}

impl Explanation {
    fn new(record: &BuildRecord) -> Self {
        Self {
            schema: 1,
            build_id: record.build_id.clone(),
            status: record.status,
            started: record.started.clone(),
            duration_ms: record.duration_ms(),
            error: record.error.clone(),
            stages: record.stages.iter().map(|stage| StageExplained::new(record, stage)).collect(),
        }
    }
}

impl StageExplained {
    fn new(record: &BuildRecord, stage: &StageRecord) -> Self {
        let steps = stage.steps.iter().map(|step| StepExplained {
            step: step.index + 1,
            lines: step.lines,
            instruction: step.instruction.clone(),
            verdict: step.verdict.as_ref().map(verdict_word),
            found_by: step.verdict.as_ref().and_then(found_by),
            reasons: step.verdict.as_ref().map(ReasonReport::all).unwrap_or_default(),
            first_causes: first_causes(record, stage, step),
            duration_ms: step.duration_ms,
        });
        Self {
            index: stage.index,
            name: stage.name.clone(),
            base: stage.base.expanded.clone(),
            lines: stage.lines,
            status: stage.status,
            duration_ms: stage.steps.iter().filter_map(|step| step.duration_ms).sum(),
            steps: steps.collect(),
        }
    }
}

/// Where what made a step run began, when that is another step: followed through the step before, the stage below
/// and the stages that bytes come from.
fn first_causes(record: &BuildRecord, stage: &StageRecord, step: &StepRecord) -> Vec<Cause> {
    let mut causes = Vec::new();
    let mut seen = BTreeSet::from([(stage.index, step.index)]);
    let mut open = leads(record, stage, step);
    while let Some((stage, step)) = open.pop() {
        if !seen.insert((stage.index, step.index)) {
            continue;
        }
        let own: Vec<String> = own_reasons(record, stage, step).map(ToString::to_string).collect();
        if !own.is_empty() {
            let cause =
                Cause { stage: stage.name.clone(), step: step.index + 1, lines: step.lines, reasons: own };
            causes.push(cause);
        }
        open.extend(leads(record, stage, step));
    }
    causes.sort_by(|a, b| (&a.lines, &a.stage).cmp(&(&b.lines, &b.stage)));
    causes
}

/// Reasons that are no other step's.
fn own_reasons<'a>(
    record: &'a BuildRecord,
    stage: &'a StageRecord,
    step: &'a StepRecord,
) -> impl Iterator<Item = &'a Reason> {
    let reasons = step.verdict.as_ref().map_or(&[][..], Verdict::reasons);
    reasons.iter().filter(move |reason| lead(record, stage, step, reason).is_none())
}

fn leads<'a>(
    record: &'a BuildRecord,
    stage: &'a StageRecord,
    step: &'a StepRecord,
) -> Vec<(&'a StageRecord, &'a StepRecord)> {
    let reasons = step.verdict.as_ref().map_or(&[][..], Verdict::reasons);
    reasons.iter().filter_map(|reason| lead(record, stage, step, reason)).collect()
}

/// The step that a reason points at.
fn lead<'a>(
    record: &'a BuildRecord,
    stage: &'a StageRecord,
    step: &StepRecord,
    reason: &Reason,
) -> Option<(&'a StageRecord, &'a StepRecord)> {
    let last_that_ran = |stage: &'a StageRecord| {
        let step = stage.steps.iter().rfind(|step| step.started.is_some())?;
        Some((stage, step))
    };
    match reason {
        Reason::StepBefore if step.index > 0 => Some((stage, stage.steps.get(step.index - 1)?)),
        Reason::StepBefore => last_that_ran(record.stages.get(stage.base.stage?)?),
        Reason::StageRuns { stage, .. } => last_that_ran(record.stage(stage)?),
        Reason::Changed(Change::Bytes { from }) => last_that_ran(record.stage(from.strip_prefix("stage ")?)?),
        _ => None,
    }
}

fn text(record: &BuildRecord) -> String {
    let mut out = format!("build {} {}", visible(&record.build_id), record.status.word());
    out.push_str(&format!(", {}", visible(&ago(&record.started, Timestamp::now()))));
    if let Some(milliseconds) = record.duration_ms() {
        out.push_str(&format!(", in {}", duration(milliseconds)));
    }
    out.push('\n');
    let shown = || record.stages.iter().filter(|stage| stage.status != StageStatus::Skipped);
    let blocks: Vec<StageBlock> = shown().map(|stage| block(record, stage)).collect();
    out.push_str(&draw(&blocks, colour()));
    let skipped: Vec<&str> = record
        .stages
        .iter()
        .filter(|stage| stage.status == StageStatus::Skipped)
        .map(|stage| stage.name.as_str())
        .collect();
    if !skipped.is_empty() {
        out.push_str(&format!("not needed: {}\n", visible(&skipped.join(", "))));
    }
    if let Some(error) = &record.error {
        out.push_str(&format!("failed: {}\n", visible_lines(error, "    ")));
    }
    let steps = || shown().flat_map(|stage| &stage.steps);
    let ran = steps().filter(|step| step.started.is_some()).count();
    let took: u64 = steps().filter_map(|step| step.duration_ms).sum();
    match ran {
        // It failed before anything was decided.
        0 if record.stages.is_empty() => {}
        0 => out.push_str(&format!("nothing ran: {} cached\n", counted(steps().count(), "step"))),
        ran => out.push_str(&format!(
            "{ran} of {} ran, {} together\n",
            counted(steps().count(), "step"),
            duration(took)
        )),
    }
    out
}

fn block(record: &BuildRecord, stage: &StageRecord) -> StageBlock {
    let steps = stage.steps.iter().map(|step| StepLine {
        word: word(stage, step),
        title: step.instruction.clone(),
        duration_ms: step.duration_ms,
        notes: notes(record, stage, step),
    });
    let mut about = format!("{}, FROM {}", place(stage.lines), stage.base.expanded);
    if stage.status == StageStatus::FromOnly {
        about.push_str(", nothing to run");
    }
    StageBlock { name: stage.name.clone(), about, notes: Vec::new(), steps: steps.collect() }
}

fn word(stage: &StageRecord, step: &StepRecord) -> &'static str {
    match &step.verdict {
        Some(Verdict::Hit { .. }) => "cached",
        Some(_) if step.image.is_some() => "ran",
        Some(_) if stage.status == StageStatus::Failed && step.started.is_some() => "failed",
        Some(_) => "stopped",
        None => "not reached",
    }
}

fn notes(record: &BuildRecord, stage: &StageRecord, step: &StepRecord) -> Vec<String> {
    let verdict = match &step.verdict {
        Some(Verdict::Hit { by: FoundBy::Content }) => return vec!["the same bytes as before".into()],
        Some(verdict) => verdict,
        None => return Vec::new(),
    };
    let mut notes: Vec<String> = verdict
        .reasons()
        .iter()
        .map(|reason| match reason {
            // The chain below says it in full.
            Reason::StageRuns { stage: from, .. } if lead(record, stage, step, reason).is_some() => {
                format!("stage {from} ran")
            }
            Reason::StepBefore => "the step before it ran".to_owned(),
            other => other.to_string(),
        })
        .collect();
    let mut said: Vec<String> = notes.clone();
    for mut cause in first_causes(record, stage, step) {
        // The same change often meets several steps on the way.
        cause.reasons.retain(|reason| !said.contains(reason));
        said.extend(cause.reasons.iter().cloned());
        if cause.reasons.is_empty() {
            continue;
        }
        let place = place(cause.lines);
        let reasons = one_line(&cause.reasons.join("; "), 100);
        notes.push(format!("because of {} step {} ({place}): {reasons}", cause.stage, cause.step));
    }
    notes
}
