//! Runs the plan: up to what has to be decided again from the world as it is then, and once more where images went from the
//! storage meanwhile.

use std::collections::BTreeMap;
use std::sync::mpsc;
use std::thread;

use anyhow::{Context, anyhow};

use super::Build;
use super::naming::{Gone, Named};
use super::sources::named_values;
use crate::engine::Listing;
use crate::event::{BuildFailure, Event, StepId};
use crate::execute::{Done, Executed, Execution, Traces, execute};
use crate::plan::Plan;
use crate::process::{self, OutputLine};
use crate::recording;
use crate::report::progress::Progress;
use crate::store::{Entry, RecordFile, StepLog};
use crate::upkeep::{self, Lease};

/// How often a build goes on after images that it needs went from the storage. Somebody may prune all the time, and each
/// time the steps that are over stay so.
const LOSSES: usize = 20;

/// How many events wait to be shown; then the steps wait, and what they print.
const EVENTS: usize = 16;

impl Build<'_> {
    /// Runs the plan. When an image goes from under it (`rmi`, a prune by somebody else), what is missing is built again.
    pub(super) fn execute_until_whole(
        &mut self,
        progress: &Progress,
        record: &RecordFile,
        lease: &Lease,
    ) -> anyhow::Result<(Executed, Named)> {
        let mut executed = self.execute_in_order(Done::default(), progress, record, lease)?;
        let mut losses = 0;
        loop {
            let mut named = Named::default();
            if executed.failure.is_none() {
                match self.name_images(&executed, executed.lost) {
                    Ok(done) => named = done,
                    Err(error) => {
                        let stage = self.graph.stages[self.graph.target].name.clone();
                        executed.failure = Some(BuildFailure::Stage { stage, error });
                    }
                }
            }
            let can_be_a_loss = executed.failure.as_ref().is_some_and(BuildFailure::can_be_a_loss);
            if losses == LOSSES || !can_be_a_loss || process::interrupted() {
                return Ok((executed, named));
            }
            losses += 1;
            self.loses = true;
            let listing = self.session.engine.list()?;
            if !self.has_lost(&executed, &listing) {
                return Ok((executed, named));
            }
            progress
                .warn("an image that the build needs went from the storage: what is missing is built again");
            self.rules.goes_on = true;
            self.listing = listing;
            self.decide();
            let before = Traces::of(&mut executed);
            executed = self.execute_in_order(Done::default(), progress, record, lease)?;
            before.add_to(&mut executed);
        }
    }

    /// Runs the plan up to the steps that read what others, which run, may write; decides on those from the world as it
    /// is then, and goes on.
    fn execute_in_order(
        &mut self,
        done: Done,
        progress: &Progress,
        record: &RecordFile,
        lease: &Lease,
    ) -> anyhow::Result<Executed> {
        let mut executed = self.execute(done, progress, record, lease)?;
        while executed.failure.is_none() && !self.plan.order.later.is_empty() {
            let before = Traces::of(&mut executed);
            self.rules.over = executed.over();
            self.listing = executed.listing;
            self.rules.goes_on = true;
            let contexts = self.contexts().again()?;
            self.contexts = Some(contexts);
            self.bases.forget_files();
            self.prepare()?;
            self.keep_what_is_left()?;
            self.decide();
            self.all_can_be_told()?;
            record.change(|record| recording::decided_again(record, &self.recorded(), &self.rules.over));
            let done = Done { stages: executed.stages, begun: executed.begun };
            executed = self.execute(done, progress, record, lease)?;
            before.add_to(&mut executed);
        }
        if !self.plan.left.is_empty() {
            self.rules.over.extend(executed.over());
            self.keep_what_is_left()?;
        }
        Ok(executed)
    }

    /// Keeps with the steps that are over what lies on this machine for those behind them, as far as that is known. With
    /// hits too: a step between that ran has written on top of what they had left, as it would have had they run.
    fn keep_what_is_left(&self) -> anyhow::Result<()> {
        let store = &self.session.store;
        for ((index, n), left) in Plan::left(&self.prepared, &self.known()) {
            let Some(planned) = self.plan.stages.get(&index).and_then(|stage| stage.steps.get(n)) else {
                continue;
            };
            let is_new = |entry: &Entry| entry.left.last() != Some(&left.digest);
            if self.rules.over.get(&index).is_some_and(|over| *over > n)
                && let Some(entry) = store.entry(&planned.key).filter(is_new)
            {
                store.put_entry(&planned.key, &entry.with_left(&left.digest))?;
            }
        }
        Ok(())
    }

    /// Sees to it that some step can go on where stages wait for what others make.
    fn all_can_be_told(&self) -> anyhow::Result<()> {
        let Some((first, unknown)) = self.prepared.unknown.iter().next() else { return Ok(()) };
        let over = |index: &usize, n: usize| self.rules.over.get(index).is_some_and(|over| *over > n);
        let goes_on =
            self.plan.stages.iter().take_while(|(index, _)| *index < first).any(|(index, stage)| {
                let steps = stage.steps.iter().enumerate();
                steps.into_iter().any(|(n, step)| !step.verdict.is_hit() && !over(index, n))
            });
        if goes_on { Ok(()) } else { Err(anyhow!("{:#}", unknown.problem)) }
    }

    /// Whether an image that the plan found, or that was made since, is no longer in the storage.
    fn has_lost(&self, executed: &Executed, now: &Listing) -> bool {
        let found = self.plan.stages.values().flat_map(|stage| &stage.steps);
        let found = found.filter_map(|step| Some(&step.found.as_ref()?.image));
        let was_there = found.filter(|id| executed.listing.contains(id));
        let failed = executed.failure.as_ref();
        executed.gone
            || failed.is_some_and(BuildFailure::tells_a_loss)
            || was_there.chain(&executed.made).chain(failed.and_then(Gone::of)).any(|id| !now.contains(id))
    }

    /// Keeps what a step prints.
    fn log(&self, event: &Event, logs: &mut BTreeMap<StepId, StepLog>, record: &RecordFile) {
        match event {
            Event::Started { step, .. } => {
                let log = self.session.store.start_log(&self.build_id, *step);
                let path = log.path().map(str::to_owned);
                record.change(|record| record.stages[step.0].steps[step.1].log = path);
                logs.insert(*step, log);
            }
            Event::Output { step, line: OutputLine::Stdout(line) | OutputLine::Stderr(line) } => {
                if let Some(log) = logs.get_mut(step) {
                    log.line(line);
                }
            }
            Event::Ran { step, .. } | Event::Failed { step } => drop(logs.remove(step)),
            _ => {}
        }
    }

    fn execute(
        &mut self,
        done: Done,
        progress: &Progress,
        record: &RecordFile,
        lease: &Lease,
    ) -> anyhow::Result<Executed> {
        let mut steps = self.plan.stages.values().flat_map(|stage| &stage.steps);
        let runs = steps.any(|step| !step.verdict.is_hit());
        let _watcher = if runs { upkeep::watch(self.session.engine.as_ref(), lease) } else { None };
        let listing = std::mem::take(&mut self.listing);
        let scratch =
            lease.folder().context("making a folder for the build (free some space, or set TMPDIR)")?;
        let for_platform = self.request.platform_given.then(|| self.platform.to_string());
        let images = self.bases.resolved();
        let resolve = |name: &str, own: Option<&str>| {
            let asked = (name.to_owned(), own.map(str::to_owned).or_else(|| for_platform.clone()));
            images.get(&asked).cloned().ok_or_else(|| anyhow!("image {name} was not resolved"))
        };
        let mut step_flags = self.request.step_flags.clone();
        if self.request.platform_given && self.request.platforms.len() > 1 || self.has_platform_flag() {
            step_flags.push(format!("--platform={}", self.platform).into());
        }
        let execution = Execution {
            engine: self.session.engine.as_ref(),
            store: &self.session.store,
            file: &self.sources.file,
            prepared: &self.prepared.stages,
            plan: &self.plan,
            target: self.graph.target,
            images: &resolve,
            jobs: self.request.jobs,
            context: &self.sources.context.folder,
            is_as_read: &|step| self.contexts().are_as_read(step),
            ignore_file: self.ignore_file_to_name(scratch.path())?,
            named_contexts: named_values(self.request),
            flags: step_flags,
            target_flags: self.request.target_flags.clone(),
            base_flags: self.request.base_flags.clone(),
            env_flags: self.request.env_flags.clone(),
            format: self.request.format,
            rules: self.sources.rules,
            tip_flags: self.request.tip_flags.clone(),
            target_tip_flags: self.request.target_tip_flags.clone(),
            labelling: self.labelling(),
            build_id: self.build_id.clone(),
            started: self.rules.now,
            stdin: self.request.stdin,
            loses: self.loses,
            waits: self.request.waits,
            patch_layers: self.request.patch_layers,
            kept_containers: self.request.kept_containers,
            mark_of_call: &|| lease.mark_of_call(),
            scratch: scratch.path(),
        };
        let (sender, events) = mpsc::sync_channel(EVENTS);
        let executed = thread::scope(|scope| {
            let running = scope.spawn(|| execute(&execution, done, listing, sender));
            let mut trouble = None;
            let mut logs: BTreeMap<StepId, StepLog> = BTreeMap::new();
            for event in events {
                progress.show(&event);
                self.log(&event, &mut logs, record);
                if let Err(error) = recording::note(record, &event) {
                    trouble.get_or_insert(error);
                }
            }
            let executed = running.join().map_err(|_| anyhow!("a stage's thread panicked"))?;
            match trouble {
                Some(error) if executed.failure.is_none() => Err(error),
                _ => Ok(executed),
            }
        })?;
        Ok(executed)
    }
}
