//! What the threads of a build share: which stages are done, who may call the engine, whose turn it is at a lock.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use super::stage::StageWorker;
use super::{Execution, StageOutcome};
use crate::engine::Listing;
use crate::event::{BuildFailure, Event};
use crate::image::ImageId;
use crate::prepare::PreparedStage;
use crate::process;

pub(super) enum Slot {
    Pending,
    Done(Arc<StageOutcome>),
    Failed,
}

pub(super) struct Shared<'a> {
    pub(super) execution: &'a Execution<'a>,
    pub(super) events: Sender<Event>,
    pub(super) slots: Mutex<BTreeMap<usize, Slot>>,
    pub(super) changed: Condvar,
    pub(super) free: Mutex<Free>,
    pub(super) freed: Condvar,
    /// Steps that hold a lock alone, in the file's order, that are not over yet.
    pub(super) turns: Mutex<BTreeMap<String, BTreeSet<(usize, usize)>>>,
    pub(super) turned: Condvar,
    pub(super) listing: Mutex<Listing>,
    pub(super) stop: AtomicBool,
    pub(super) failure: Mutex<Option<BuildFailure>>,
    pub(super) leftover: Mutex<Vec<String>>,
    pub(super) passing: Mutex<Vec<ImageId>>,
}

/// Engine calls that can be made now.
pub(super) struct Free {
    pub(super) slots: usize,
    /// How many wait that others wait for.
    pub(super) urgent: usize,
}

/// Whether a call keeps others waiting.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Urgency {
    /// It does.
    Now,
    /// It does not: those that do go first. What stands behind it is done: it is made though another stage has failed.
    CanWait,
}

/// Why a stage ended early.
pub(super) enum Ended {
    /// Another one failed.
    Stopped,
    /// It failed.
    Failure(Box<BuildFailure>),
}

pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A slot for one engine call; free again when dropped.
pub(super) struct CallSlot<'a>(pub(super) &'a Shared<'a>);

impl Drop for CallSlot<'_> {
    fn drop(&mut self) {
        locked(&self.0.free).slots += 1;
        self.0.freed.notify_all();
    }
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
            self.shared.publish(self.index, Slot::Failed);
            self.shared.freed.notify_all();
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

    pub(super) fn publish(&self, index: usize, slot: Slot) {
        locked(&self.slots).insert(index, slot);
        self.changed.notify_all();
    }

    pub(super) fn fail(&self, failure: BuildFailure) {
        let mut first = locked(&self.failure);
        if first.is_none() {
            *first = Some(failure);
        }
        drop(first);
        if !self.stop.swap(true, Ordering::SeqCst) {
            process::end_children();
        }
        self.freed.notify_all();
        self.turned.notify_all();
        self.changed.notify_all();
    }

    pub(super) fn stopped(&self) -> bool {
        self.stop.load(Ordering::SeqCst) || process::interrupted()
    }

    pub(super) fn run_stage(&self, index: usize, stage: &PreparedStage) {
        let _guard = PanicGuard { shared: self, index };
        let mut worker = StageWorker { shared: self, index, stage, built: Vec::new(), label_key: None };
        match worker.run() {
            Ok(outcome) => self.publish(index, Slot::Done(Arc::new(outcome))),
            Err(ended) => {
                match ended {
                    Ended::Failure(failure) => self.fail(*failure),
                    Ended::Stopped if process::interrupted() => self.fail(BuildFailure::Interrupted),
                    Ended::Stopped => {}
                }
                self.publish(index, Slot::Failed);
            }
        }
        // Steps that were not reached do not keep others waiting.
        for n in 0..stage.steps.len() {
            drop(Turn { shared: self, step: (index, n) });
        }
    }

    pub(super) fn outcome(&self, index: usize) -> Result<Arc<StageOutcome>, Ended> {
        let mut slots = locked(&self.slots);
        loop {
            match slots.get(&index) {
                Some(Slot::Done(outcome)) => return Ok(outcome.clone()),
                Some(Slot::Pending) => {
                    slots = self.changed.wait(slots).unwrap_or_else(PoisonError::into_inner);
                }
                Some(Slot::Failed) | None => return Err(Ended::Stopped),
            }
        }
    }

    pub(super) fn call_slot(&'a self, urgency: Urgency) -> Result<CallSlot<'a>, Ended> {
        let now = urgency == Urgency::Now;
        let mut free = locked(&self.free);
        free.urgent += usize::from(now);
        let slot = loop {
            if if now { self.stopped() } else { process::interrupted() } {
                break Err(Ended::Stopped);
            }
            if free.slots > 0 && (now || free.urgent == 0) {
                free.slots -= 1;
                break Ok(CallSlot(self));
            }
            free = self.freed.wait(free).unwrap_or_else(PoisonError::into_inner);
        };
        free.urgent -= usize::from(now);
        if free.urgent == 0 && free.slots > 0 {
            self.freed.notify_all();
        }
        slot
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
                return Ok(Turn { shared: self, step });
            }
            turns = self.turned.wait(turns).unwrap_or_else(PoisonError::into_inner);
        }
    }

    pub(super) fn has_image(&self, id: &ImageId) -> bool {
        locked(&self.listing).contains(id)
    }
}
