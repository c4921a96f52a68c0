//! What the threads of a build share: which stages are done, who may call the engine, whose turn it is at a lock.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use super::slots::{CallSlot, Slots, Urgency};
use super::stage::StageWorker;
use super::{Begun, Execution, StageOutcome};
use crate::engine::Listing;
use crate::event::{BuildFailure, Event};
use crate::image::ImageId;
use crate::prepare::PreparedStage;
use crate::process;

/// How far a stage is.
pub(super) enum Progress {
    Pending,
    Done(Arc<StageOutcome>),
    /// It goes on when the plan is made again.
    Later,
    Failed,
}

/// How far each stage is, and for which one others wait.
pub(super) struct Stages {
    pub(super) progress: BTreeMap<usize, Progress>,
    pub(super) waiting: BTreeMap<usize, usize>,
}

pub(super) struct Shared<'a> {
    pub(super) execution: &'a Execution<'a>,
    pub(super) events: SyncSender<Event>,
    pub(super) slots: Slots,
    pub(super) stages: Mutex<Stages>,
    pub(super) changed: Condvar,
    /// Steps that hold a lock alone, in the file's order, that are not over yet.
    pub(super) turns: Mutex<BTreeMap<String, BTreeSet<(usize, usize)>>>,
    pub(super) turned: Condvar,
    pub(super) listing: Mutex<Listing>,
    pub(super) stop: AtomicBool,
    pub(super) failure: Mutex<Option<BuildFailure>>,
    pub(super) leftover: Mutex<Vec<String>>,
    pub(super) passing: Mutex<Vec<ImageId>>,
    pub(super) made: Mutex<BTreeSet<ImageId>>,
    pub(super) lost: AtomicBool,
    pub(super) gone: AtomicBool,
    pub(super) begun: Mutex<BTreeMap<usize, Begun>>,
}

/// Why a stage ended early.
pub(super) enum Ended {
    /// Another one failed.
    Stopped,
    /// The plan leaves the rest for later, or the stage that it waits for.
    Later,
    /// It failed.
    Failure(Box<BuildFailure>),
}

pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A stage whose thread panics has failed: others must not wait for it.
pub(super) struct PanicGuard<'a> {
    pub(super) shared: &'a Shared<'a>,
    pub(super) index: usize,
}

impl Drop for PanicGuard<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.shared.stop.store(true, Ordering::SeqCst);
            self.shared.publish(self.index, Progress::Failed);
            self.shared.slots.wake();
            self.shared.turned.notify_all();
        }
    }
}

/// A step's turn at the locks that it holds alone; over when dropped.
pub(super) struct Turn<'a> {
    pub(super) shared: &'a Shared<'a>,
    pub(super) step: (usize, usize),
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        for waiting in locked(&self.shared.turns).values_mut() {
            waiting.remove(&self.step);
        }
        self.shared.turned.notify_all();
    }
}

impl<'a> Shared<'a> {
    pub(super) fn send(&self, event: Event) {
        // The receiver lives as long as the build.
        let _ = self.events.send(event);
    }

    /// Says how far a stage is, to those that wait for it.
    pub(super) fn publish(&self, index: usize, progress: Progress) {
        let mut stages = locked(&self.stages);
        stages.progress.insert(index, progress);
        let waits = |(stage, wanted): (&usize, &usize)| (*wanted == index).then_some(*stage);
        self.slots.go_on(stages.waiting.iter().filter_map(waits));
        stages.waiting.retain(|_, wanted| *wanted != index);
        drop(stages);
        self.slots.waits(index);
        self.changed.notify_all();
    }

    pub(super) fn fail(&self, failure: BuildFailure) {
        let mut first = locked(&self.failure);
        if first.is_none() {
            *first = Some(failure);
        }
        drop(first);
        if !self.stop.swap(true, Ordering::SeqCst) {
            process::end_steps();
        }
        self.slots.wake();
        self.turned.notify_all();
        self.changed.notify_all();
    }

    pub(super) fn stopped(&self) -> bool {
        self.stop.load(Ordering::SeqCst) || process::interrupted()
    }

    pub(super) fn run_stage(&self, index: usize, stage: &PreparedStage, begun: Option<Begun>) {
        let _guard = PanicGuard { shared: self, index };
        let mut worker = StageWorker {
            shared: self,
            index,
            stage,
            built: Vec::new(),
            label_key: None,
            ground: None,
            root: None,
        };
        match worker.run(begun) {
            Ok(outcome) => self.publish(index, Progress::Done(Arc::new(outcome))),
            Err(Ended::Later) => self.publish(index, Progress::Later),
            Err(ended) => {
                match ended {
                    Ended::Failure(failure) => self.fail(*failure),
                    Ended::Stopped if process::interrupted() => self.fail(BuildFailure::Interrupted),
                    Ended::Stopped | Ended::Later => {}
                }
                self.publish(index, Progress::Failed);
            }
        }
        // Steps that were not reached do not keep others waiting.
        for n in 0..stage.steps.len() {
            drop(Turn { shared: self, step: (index, n) });
        }
    }

    /// What a stage leaves, for stage `asks`, which waits for it.
    pub(super) fn outcome(&self, index: usize, asks: usize) -> Result<Arc<StageOutcome>, Ended> {
        let mut stages = locked(&self.stages);
        loop {
            match stages.progress.get(&index) {
                Some(Progress::Done(outcome)) => return Ok(outcome.clone()),
                Some(Progress::Pending) => {
                    stages.waiting.insert(asks, index);
                    self.slots.waits(asks);
                    stages = self.changed.wait(stages).unwrap_or_else(PoisonError::into_inner);
                }
                Some(Progress::Later) | None => return Err(Ended::Later),
                Some(Progress::Failed) => return Err(Ended::Stopped),
            }
        }
    }

    /// A slot for a step.
    pub(super) fn step_slot(&self, step: (usize, usize)) -> Result<CallSlot<'_>, Ended> {
        self.slots.for_step(step, || self.stopped()).ok_or(Ended::Stopped)
    }

    /// A slot for another call.
    pub(super) fn call_slot(&self, urgency: Urgency) -> Result<CallSlot<'_>, Ended> {
        let stopped = || if urgency == Urgency::CanWait { process::interrupted() } else { self.stopped() };
        self.slots.take(urgency, stopped).ok_or(Ended::Stopped)
    }

    pub(super) fn turn(&'a self, step: (usize, usize), locks: &BTreeSet<String>) -> Result<Turn<'a>, Ended> {
        let mut turns = locked(&self.turns);
        loop {
            if self.stopped() {
                return Err(Ended::Stopped);
            }
            let first =
                |lock: &String| turns.get(lock).and_then(BTreeSet::first).is_none_or(|first| *first >= step);
            if locks.iter().all(first) {
                self.slots.go_on([step.0]);
                return Ok(Turn { shared: self, step });
            }
            self.slots.waits(step.0);
            turns = self.turned.wait(turns).unwrap_or_else(PoisonError::into_inner);
        }
    }

    pub(super) fn has_image(&self, id: &ImageId) -> bool {
        locked(&self.listing).contains(id)
    }
}
