//! What steps write to the machine that they are built on, and what follows for the order in which they are decided and
//! run.
//!
//! Verdicts are decided from the world as it is. A step that runs may change that world: it has the context mounted
//! writable, or a folder that a later base or context is read from. What reads that later in the file is decided when all
//! before it that runs is over, from the world as it is then; and who writes waits for those before it that read.
//! In a native build the instructions come one after the other in the order of the file, so that order is the right one.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use crate::event::StepId;
use crate::graph::Origin;
use crate::host::{HostAccess, overlap};
use crate::prepare::{PreparedStage, PreparedStep};
use crate::verdict::Verdict;

/// Why a step cannot be told before another one is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unsettled {
    /// The other one.
    pub writer: StepId,
    /// Whether it may only write over what this one wrote when it ran.
    pub what_it_wrote: bool,
}

/// What a build's steps have to wait for, as far as it is planned.
#[derive(Debug, Clone, Default)]
pub struct Order {
    /// By stage the first step that is decided when the steps before it in the file are over; its number of steps where
    /// only its end is.
    pub later: BTreeMap<usize, usize>,
    /// Steps of which the first goes before the second.
    pub pairs: Vec<(StepId, StepId)>,
    /// Steps that run, with what they touch.
    running: Vec<(StepId, HostAccess)>,
    /// Steps that are decided later, with what they touch and the locks that they hold alone.
    waiting: Vec<(HostAccess, BTreeSet<String>)>,
    /// Whether there are stages before of which nothing is known yet.
    unknown: bool,
}

impl Order {
    /// A stage of which nothing can be told yet: its base may still be made.
    pub(crate) fn add_unknown(&mut self, stage: usize) {
        self.later.insert(stage, 0);
        self.unknown = true;
    }

    /// The step that runs before and may write there.
    fn writer(&self, paths: &BTreeSet<PathBuf>) -> Option<StepId> {
        self.running.iter().find(|(_, running)| overlap(&running.writes, paths)).map(|(step, _)| *step)
    }

    /// For each step of a stage from `over` on to which an earlier stage may write, that step, and whether it concerns only
    /// what the one before may have to write again; the base counts for the first.
    pub(crate) fn unsettled(&self, stage: &PreparedStage, over: usize) -> BTreeMap<usize, Unsettled> {
        if self.running.is_empty() {
            return BTreeMap::new();
        }
        let mut found = BTreeMap::new();
        if let Some(writer) = self.writer(&stage.base_reads).filter(|_| over == 0) {
            found.insert(0, Unsettled { writer, what_it_wrote: false });
        }
        for (n, step) in stage.steps.iter().enumerate().skip(over) {
            let reads =
                self.writer(&step.host.reads).map(|writer| Unsettled { writer, what_it_wrote: false });
            let wrote =
                || self.writer(&step.host.writes).map(|writer| Unsettled { writer, what_it_wrote: true });
            if let Some(unsettled) = reads.or_else(wrote) {
                found.entry(n).or_insert(unsettled);
            }
        }
        found
    }

    /// Adds a stage with the verdicts on its steps, of which so many are over.
    pub(crate) fn add(&mut self, stage: &PreparedStage, over: usize, verdict: &dyn Fn(usize) -> Verdict) {
        let index = stage.stage.index;
        let base_waits = matches!(stage.stage.base, Origin::Stage(below) if self.later.contains_key(&below))
            || self.writer(&stage.base_reads).is_some();
        let mut later = base_waits && over == 0;
        if later {
            self.later.insert(index, 0);
        }
        for (n, step) in stage.steps.iter().enumerate().skip(over) {
            let verdict = verdict(n);
            if !later && self.waits(step, &verdict) {
                self.later.insert(index, n);
                later = true;
            }
            if later {
                self.waiting.push((step.host.clone(), step.exclusive.clone()));
            } else if !verdict.is_hit() {
                let id = (index, n);
                let before = self.running.iter().filter(|(_, before)| before.meets(&step.host));
                self.pairs.extend(before.map(|(before, _)| (*before, id)));
                if step.host != HostAccess::default() {
                    self.running.push((id, step.host.clone()));
                }
            }
        }
    }

    fn waits(&self, step: &PreparedStep, verdict: &Verdict) -> bool {
        let takes_later = step
            .foreign
            .iter()
            .any(|f| matches!(f.origin, Origin::Stage(index) if self.later.contains_key(&index)));
        if takes_later || self.writer(&step.host.reads).is_some() {
            return true;
        }
        match verdict {
            Verdict::Hit { .. } => return false,
            // It runs only if what it wrote is written over.
            Verdict::Open { .. } if self.writer(&step.host.writes).is_some() => return true,
            Verdict::Open { .. } | Verdict::Miss { .. } => {}
        }
        let alone = !step.host.writes.is_empty() || !step.exclusive.is_empty();
        let behind = |(host, locks): &(HostAccess, BTreeSet<String>)| {
            host.meets(&step.host) || !locks.is_disjoint(&step.exclusive)
        };
        (self.unknown && alone) || self.waiting.iter().any(behind)
    }
}
