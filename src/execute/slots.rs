//! Who may call the engine: a limited number at a time, whoever keeps the build waiting longest first.
//!
//! A slot that is free when several threads wake at the same moment does not go to the fastest of them: while a stage with
//! a longer way to the end is about to ask for one, the others let it come first.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use super::ahead::END;
use super::shared::locked;

/// How long a call lets a stage with a longer way come first; one that reads large trees meanwhile takes longer.
const PATIENCE: Duration = Duration::from_millis(200);

/// Who gets a slot first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Urgency {
    /// Nobody waits for it. What stands behind it is done: it is made though another stage has failed.
    CanWait,
    /// A step, with the milliseconds that lie ahead of it.
    Step(u64),
    /// A step waits for it.
    Now,
}

/// Engine calls that can be made at a time, and those that wait for one.
#[derive(Debug)]
pub(super) struct Slots {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    free: usize,
    waiting: BTreeSet<(Reverse<Urgency>, u64)>,
    tickets: u64,
    /// What lies ahead of each step that had no slot yet, and of each stage's end.
    ways: BTreeMap<(usize, usize), u64>,
    /// The stages whose threads are between two calls, and wait for nothing.
    on_their_way: BTreeSet<usize>,
}

impl State {
    /// Whether a stage with a longer way is about to ask for a slot.
    fn longer_is_coming(&self, way: u64) -> bool {
        let next = |&stage: &usize| self.ways.range((stage, 0)..=(stage, END)).next();
        self.on_their_way.iter().filter_map(next).any(|(_, next)| *next > way)
    }
}

/// A slot for one engine call; free again when dropped.
#[derive(Debug)]
pub(super) struct CallSlot<'a> {
    slots: &'a Slots,
    stage: Option<usize>,
}

impl Drop for CallSlot<'_> {
    fn drop(&mut self) {
        let mut state = locked(&self.slots.state);
        state.free += 1;
        state.on_their_way.extend(self.stage);
        drop(state);
        self.slots.changed.notify_all();
    }
}

impl Slots {
    /// So many calls at a time, for steps with these ways ahead of them (see [`super::ahead`]).
    pub(super) fn new(jobs: usize, ways: BTreeMap<(usize, usize), u64>) -> Self {
        let on_their_way = ways.keys().map(|(stage, _)| *stage).collect();
        let (free, waiting) = (jobs.max(1), BTreeSet::new());
        Self {
            state: Mutex::new(State { free, waiting, tickets: 0, ways, on_their_way }),
            changed: Condvar::new(),
        }
    }

    /// A slot for a step; nothing once `stopped`.
    pub(super) fn for_step(&self, step: (usize, usize), stopped: impl Fn() -> bool) -> Option<CallSlot<'_>> {
        let mut state = locked(&self.state);
        state.on_their_way.remove(&step.0);
        let way = state.ways.remove(&step).unwrap_or_default();
        self.wait(state, Some(step.0), Urgency::Step(way), stopped)
    }

    /// A slot for another call; nothing once `stopped`.
    pub(super) fn take(&self, urgency: Urgency, stopped: impl Fn() -> bool) -> Option<CallSlot<'_>> {
        self.wait(locked(&self.state), None, urgency, stopped)
    }

    fn wait<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        stage: Option<usize>,
        urgency: Urgency,
        stopped: impl Fn() -> bool,
    ) -> Option<CallSlot<'a>> {
        let mut could_go: Option<Instant> = None;
        let place = (Reverse(urgency), state.tickets);
        state.tickets += 1;
        state.waiting.insert(place);
        // Some may have let this stage come first.
        self.changed.notify_all();
        let slot = loop {
            if stopped() {
                break None;
            }
            let mut patience = None;
            if state.free > 0 && state.waiting.first() == Some(&place) {
                let since = *could_go.get_or_insert_with(Instant::now);
                let left = PATIENCE.saturating_sub(since.elapsed());
                let way = match urgency {
                    Urgency::CanWait => Some(0),
                    Urgency::Step(way) => Some(way),
                    Urgency::Now => None,
                };
                if way.is_some_and(|way| !left.is_zero() && state.longer_is_coming(way)) {
                    patience = Some(left);
                } else {
                    state.free -= 1;
                    break Some(CallSlot { slots: self, stage });
                }
            } else {
                could_go = None;
            }
            state = match patience {
                Some(left) => self.changed.wait_timeout(state, left).map(|(state, _)| state).ok(),
                None => self.changed.wait(state).ok(),
            }
            .unwrap_or_else(|| locked(&self.state));
        };
        state.waiting.remove(&place);
        drop(state);
        // Who is first now may not know it.
        self.changed.notify_all();
        slot
    }

    /// A stage's thread waits for something else, or is done: nobody lets it come first.
    pub(super) fn waits(&self, stage: usize) {
        locked(&self.state).on_their_way.remove(&stage);
        self.changed.notify_all();
    }

    /// What these stages' threads waited for is there.
    pub(super) fn go_on(&self, stages: impl IntoIterator<Item = usize>) {
        locked(&self.state).on_their_way.extend(stages);
    }

    /// Wakes those that wait, to look whether the build has stopped.
    pub(super) fn wake(&self) {
        // Not between somebody's look and its sleep.
        drop(locked(&self.state));
        self.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::thread;

    const RUNS: fn() -> bool = || false;

    /// The order in which steps get the only slot that ask for it while it is taken.
    fn order(ways: &[((usize, usize), u64)], asked: &[(usize, usize)]) -> Vec<(usize, usize)> {
        let slots = Slots::new(1, ways.iter().copied().collect());
        let (sender, receiver) = mpsc::channel();
        let taken = slots.take(Urgency::Now, RUNS).unwrap();
        thread::scope(|scope| {
            for (n, step) in asked.iter().enumerate() {
                let (slots, sender) = (&slots, sender.clone());
                scope.spawn(move || {
                    let slot = slots.for_step(*step, RUNS).unwrap();
                    sender.send(*step).unwrap();
                    slots.waits(step.0);
                    drop(slot);
                    slots.waits(step.0);
                });
                while locked(&slots.state).waiting.len() <= n {
                    thread::yield_now();
                }
            }
            drop(taken);
        });
        drop(sender);
        receiver.into_iter().collect()
    }

    #[test]
    fn the_longest_way_goes_first_whoever_comes_first() {
        let ways = [((0, 0), 1), ((1, 0), 3), ((2, 0), 2)];
        assert_eq!(order(&ways, &[(0, 0), (1, 0), (2, 0)]), [(1, 0), (2, 0), (0, 0)]);
    }

    #[test]
    fn a_stage_with_a_longer_way_that_is_still_coming_is_let_come_first() {
        let slots = Slots::new(1, BTreeMap::from([((0, 0), 1), ((1, 0), 3)]));
        let (sender, receiver) = mpsc::channel();
        thread::scope(|scope| {
            scope.spawn(|| {
                let _slot = slots.for_step((0, 0), RUNS).unwrap();
                sender.send(0).unwrap();
            });
            while locked(&slots.state).waiting.is_empty() {
                thread::yield_now();
            }
            let _slot = slots.for_step((1, 0), RUNS).unwrap();
            sender.send(1).unwrap();
        });
        drop(sender);
        assert_eq!(receiver.into_iter().collect::<Vec<_>>(), [1, 0]);
    }

    #[test]
    fn nobody_waits_for_a_stage_that_waits_itself_or_takes_too_long() {
        let slots = Slots::new(1, BTreeMap::from([((0, 0), 1), ((1, 0), 3)]));
        slots.waits(1);
        drop(slots.for_step((0, 0), RUNS).unwrap());
        slots.go_on([1]);
        let since = Instant::now();
        drop(slots.for_step((0, 0), RUNS).unwrap());
        assert!(since.elapsed() >= PATIENCE);
    }

    #[test]
    fn no_more_calls_are_made_at_a_time_than_there_are_slots() {
        let slots = Slots::new(1, BTreeMap::from([((0, 0), 1), ((1, 0), 1)]));
        let first = slots.for_step((0, 0), RUNS).unwrap();
        assert_eq!(locked(&slots.state).free, 0);
        drop(first);
        assert_eq!(locked(&slots.state).free, 1);
    }

    #[test]
    fn what_can_wait_is_made_last_and_nothing_is_made_once_it_stopped() {
        let slots = Slots::new(1, BTreeMap::new());
        assert!(slots.take(Urgency::CanWait, RUNS).is_some());
        assert!(slots.take(Urgency::Now, || true).is_none());
        assert!(Urgency::CanWait < Urgency::Step(0) && Urgency::Step(u64::MAX) < Urgency::Now);
    }
}
