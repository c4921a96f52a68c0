//! What still lies ahead of each step: the way through all that stands on it, up to the end of the build.
//!
//! With fewer slots than steps that could run, the one with the longest way goes first: what is late there is late at the
//! end (list scheduling by the critical path).

use std::collections::BTreeMap;

use crate::graph::Origin;
use crate::plan::Plan;
use crate::prepare::PreparedStage;

/// Where a step's number stands, for what follows a stage's last step: the steps of others that stand on it.
pub(super) const END: usize = usize::MAX;

/// What a step is taken to last of which nothing is known, in milliseconds.
const UNKNOWN: u64 = 500;

/// For each step of each stage, and for its [`END`], the milliseconds from there to the end of the build, were nothing else
/// in the way.
pub(super) fn ways(prepared: &BTreeMap<usize, PreparedStage>, plan: &Plan) -> BTreeMap<(usize, usize), u64> {
    let mut ways = BTreeMap::new();
    // What lies behind the last step of a stage on which others stand.
    let mut behind: BTreeMap<usize, u64> = BTreeMap::new();
    // A stage refers to earlier ones only.
    for (&index, stage) in prepared.iter().rev() {
        let mut way = behind.get(&index).copied().unwrap_or_default();
        ways.insert((index, END), way);
        let mut needs: Vec<(usize, u64)> = Vec::new();
        for (n, step) in stage.steps.iter().enumerate().rev() {
            let planned = &plan.stages[&index].steps[n];
            if !planned.verdict.is_hit() {
                way += planned.last_duration_ms.unwrap_or(UNKNOWN);
            }
            ways.insert((index, n), way);
            needs.extend(step.foreign.iter().filter_map(|foreign| match foreign.origin {
                Origin::Stage(below) => Some((below, way)),
                _ => None,
            }));
        }
        if let Origin::Stage(below) = stage.stage.base {
            needs.push((below, way));
        }
        for (below, way) in needs {
            let longest = behind.entry(below).or_default();
            *longest = way.max(*longest);
        }
    }
    ways
}
