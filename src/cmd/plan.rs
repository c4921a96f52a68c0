//! `plan`: what a build would run and why; nothing is run.

use std::ffi::OsString;

use serde::Serialize;

use super::build::{self, Build, Sources};
use crate::flags::Leading;
use crate::graph::Stage;
use crate::key::StepKey;
use crate::plan::StagePlan;
use crate::prepare::PreparedStage;
use crate::report::steps::{StageBlock, StepLine, colour, counted, draw, place};
use crate::report::table::{duration, one_line};
use crate::report::{print, print_file, print_json};
use crate::request::BuildRequest;
use crate::verdict::{FoundBy, Reason, Verdict};
use crate::visible::visible;

/// Plans.
///
/// # Errors
/// When the file is not valid, an image cannot be had, or a source is missing.
pub fn run(leading: Leading, args: &[OsString]) -> anyhow::Result<()> {
    let args: Vec<OsString> = args.iter().map(containerfiles_flag).collect();
    let (session, mut flags) = build::open(leading, &args)?;
    // `--format=oci` is the image's.
    let json = flags.take("format", "json");
    let request = BuildRequest::new(&flags, session.engine.probed())?;
    let sources = Sources::open(&request, &session)?;
    let mut plans = Vec::new();
    for platform in &request.platforms {
        let id = request.build_id_for(platform);
        let build = Build::new(&session, &request, &sources, platform, id, None)?;
        if request.print_containerfiles {
            print_file(&build.containerfiles())?;
            continue;
        }
        if json {
            plans.push(PlanReport::new(&build));
            continue;
        }
        if request.platforms.len() > 1 {
            print(&format!("{platform}\n"))?;
        }
        print(&text(&build))?;
    }
    match plans.as_slice() {
        [] => Ok(()),
        [one] => print_json(one),
        all => print_json(all),
    }
}

fn containerfiles_flag(arg: &OsString) -> OsString {
    if arg == "--containerfiles" { "--print-containerfiles".into() } else { arg.clone() }
}

/// The plan as JSON. Fields are added, and none changes its meaning, within one `schema`.
#[derive(Debug, Serialize)]
struct PlanReport {
    schema: u32,
    platform: String,
    target: String,
    /// Steps that run, that may turn out to be cached, and all.
    run: usize,
    open: usize,
    steps: usize,
    /// What the steps that run took last time, as far as that is known.
    last_duration_ms: u64,
    stages: Vec<StageReport>,
    /// Stages that can only be told when those before them have run.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    later: Vec<LaterReport>,
}

#[derive(Debug, Serialize)]
struct LaterReport {
    index: usize,
    name: String,
    why: String,
}

#[derive(Debug, Serialize)]
struct StageReport {
    index: usize,
    name: String,
    base: String,
    lines: (usize, usize),
    key: StepKey,
    steps: Vec<StepReport>,
}

#[derive(Debug, Serialize)]
struct StepReport {
    /// From 1, as the text has it.
    step: usize,
    lines: (usize, usize),
    instruction: String,
    key: StepKey,
    /// `hit`, `miss` or `open`.
    verdict: &'static str,
    found_by: Option<FoundBy>,
    reasons: Vec<ReasonReport>,
    last_duration_ms: Option<u64>,
}

/// A reason with its fields and its words.
#[derive(Debug, Serialize)]
pub struct ReasonReport {
    #[serde(flatten)]
    reason: Reason,
    text: String,
}

impl ReasonReport {
    /// All reasons of a verdict.
    pub fn all(verdict: &Verdict) -> Vec<Self> {
        let reasons = verdict.reasons().iter();
        reasons.map(|reason| Self { reason: reason.clone(), text: reason.to_string() }).collect()
    }
}

/// `hit`, `miss` or `open`.
pub fn verdict_word(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Hit { .. } => "hit",
        Verdict::Miss { .. } => "miss",
        Verdict::Open { .. } => "open",
    }
}

/// How a result was found.
pub fn found_by(verdict: &Verdict) -> Option<FoundBy> {
    match verdict {
        Verdict::Hit { by } => Some(*by),
        _ => None,
    }
}

impl PlanReport {
    fn new(build: &Build<'_>) -> Self {
        let counts = Counts::new(build);
        Self {
            schema: 1,
            platform: build.platform().to_string(),
            target: build.graph().target_stage().name.clone(),
            run: counts.run,
            open: counts.open,
            steps: counts.steps,
            last_duration_ms: counts.last_duration_ms,
            stages: build.planned().map(|(stage, plan)| StageReport::new(stage, plan)).collect(),
            later: build.unknown().map(|(stage, why)| LaterReport::new(stage, why)).collect(),
        }
    }
}

impl LaterReport {
    fn new(stage: &Stage, why: &anyhow::Error) -> Self {
        Self { index: stage.index, name: stage.name.clone(), why: format!("{why:#}") }
    }
}

impl StageReport {
    fn new(stage: &PreparedStage, plan: &StagePlan) -> Self {
        let steps = stage.steps.iter().zip(&plan.steps).enumerate().map(|(n, (step, plan))| StepReport {
            step: n + 1,
            lines: step.lines,
            instruction: step.title.clone(),
            key: plan.key.clone(),
            verdict: verdict_word(&plan.verdict),
            found_by: found_by(&plan.verdict),
            reasons: ReasonReport::all(&plan.verdict),
            last_duration_ms: plan.last_duration_ms,
        });
        Self {
            index: stage.stage.index,
            name: stage.stage.name.clone(),
            base: stage.stage.base_expanded.clone(),
            lines: stage.stage.lines,
            key: plan.key.clone(),
            steps: steps.collect(),
        }
    }
}

#[derive(Default)]
struct Counts {
    run: usize,
    open: usize,
    steps: usize,
    last_duration_ms: u64,
    /// Steps that run and never did before.
    unknown: usize,
}

impl Counts {
    fn new(build: &Build<'_>) -> Self {
        let mut counts = Self::default();
        for step in build.planned().flat_map(|(_, plan)| &plan.steps) {
            counts.steps += 1;
            match step.verdict {
                Verdict::Hit { .. } => continue,
                Verdict::Miss { .. } => counts.run += 1,
                Verdict::Open { .. } => counts.open += 1,
            }
            match step.last_duration_ms {
                Some(milliseconds) => counts.last_duration_ms += milliseconds,
                None => counts.unknown += 1,
            }
        }
        counts
    }
}

fn text(build: &Build<'_>) -> String {
    let blocks: Vec<StageBlock> = build.planned().map(|(stage, plan)| block(stage, plan)).collect();
    let mut out = draw(&blocks, colour());
    let mut wanted: Vec<usize> = build.planned().map(|(stage, _)| stage.stage.index).collect();
    for (stage, why) in build.unknown() {
        let why = one_line(&format!("{why:#}"), 100);
        let name = visible(&stage.name);
        out.push_str(&format!("{name}: told when the stages before it have run ({why})\n"));
        wanted.push(stage.index);
    }
    let skipped: Vec<&str> = build
        .graph()
        .stages
        .iter()
        .filter(|stage| !wanted.contains(&stage.index))
        .map(|stage| stage.name.as_str())
        .collect();
    if !skipped.is_empty() {
        out.push_str(&format!("not needed: {}\n", visible(&skipped.join(", "))));
    }
    out.push_str(&summary(&Counts::new(build)));
    out
}

fn block(stage: &PreparedStage, plan: &StagePlan) -> StageBlock {
    let steps = stage.steps.iter().zip(&plan.steps).map(|(step, plan)| StepLine {
        word: match plan.verdict {
            Verdict::Hit { .. } => "cached",
            Verdict::Miss { .. } => "run",
            Verdict::Open { .. } => "open",
        },
        title: step.title.clone(),
        duration_ms: plan.last_duration_ms,
        notes: match &plan.verdict {
            Verdict::Hit { by: FoundBy::Content } => vec!["the same bytes as before".into()],
            verdict => verdict.reasons().iter().map(ToString::to_string).collect(),
        },
    });
    let about = format!("{}, FROM {}", place(stage.stage.lines), stage.stage.base_expanded);
    StageBlock { name: stage.stage.name.clone(), about, notes: Vec::new(), steps: steps.collect() }
}

fn summary(counts: &Counts) -> String {
    if counts.run + counts.open == 0 {
        return format!("nothing runs: {} cached\n", counted(counts.steps, "step"));
    }
    let mut text = format!("{} of {} run", counts.run, counted(counts.steps, "step"));
    if counts.open > 0 {
        text.push_str(&format!(", {} more unless the bytes they take are the same", counts.open));
    }
    if counts.last_duration_ms > 0 {
        text.push_str(&format!("; that took {} last time", duration(counts.last_duration_ms)));
        if counts.unknown > 0 {
            text.push_str(&format!(", {} not counted", counted(counts.unknown, "new step")));
        }
    }
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema;
    use crate::verdict::examples::verdicts;

    #[test]
    fn the_schemas_know_every_reason_and_no_other() {
        let reports: Vec<_> = verdicts().iter().flat_map(ReasonReport::all).collect();
        let values: Vec<_> = reports.iter().map(|report| serde_json::to_value(report).unwrap()).collect();
        for name in ["plan", "explain"] {
            let root = schema::read(name);
            let reason = &root["$defs"]["reason"];
            let faults = values.iter().flat_map(|value| schema::faults(&root, reason, value, name));
            assert_eq!(faults.collect::<Vec<_>>(), [""; 0]);
            for word in ["reason", "change"] {
                let named = reason["properties"][word]["enum"].as_array().unwrap();
                let used = |name: &&serde_json::Value| values.iter().any(|value| value[word] == **name);
                assert_eq!(named.iter().filter(used).count(), named.len(), "{word}: one is nobody's");
            }
        }
    }
}
